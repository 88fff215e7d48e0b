"""What a study found, in sentences: for the head of its page and of its Markdown."""

from __future__ import annotations

from focusedfashion.report.words import say
from focusedfashion.study.figures import Difference, EncoderFigures, Study
from focusedfashion.study.tables import (
    order_by_macro,
    say_settings,
    show_difference,
    show_estimate,
    show_gain,
    show_number,
)

PREDECESSOR = (
    "The predecessor of this project published a micro-averaged F1 of 0.390 for its best small CNN and 0.396 for "
    "MobileNetV2: on 149 labels of iMaterialist Fashion 2018, on rows 700,000 to 729,999 of its training file, as the "
    "mean over batches of 64. Other labels and other pictures give another scale: these two figures stand here as what "
    "they were, and beside no figure of this study."
)

METHOD = (
    "One study is one source, one list of labels and one split: test rows are rows from which no encoder of the study "
    "has learned; all others are searched. Where the source has no column `split`, rows of one product, copies and "
    "near copies of a picture are on one side.",
    "Intervals are 95 % percentile bootstrap intervals over test pictures (Efron 1979), 1,000 rounds (mAP over labels: "
    "200); means over labels are moved so that the draws' mean is the figure, since rare labels are missing from some "
    "draws. All encoders have the same draws, so a difference is measured "
    "picture by picture; it is called sure where its interval leaves out zero. Intervals say nothing of other training "
    "runs: each recipe was trained once, from one seed. Of many pairs without a difference, one in twenty is called "
    "sure by chance.",
    "F1 = 2 TP / (2 TP + FP + FN). Micro counts all labels' cells together; macro is the mean over the labels that "
    "occur in the test rows; the rarest third are those with the fewest rows to learn from, of those that occur in "
    "both. Chosen thresholds were fitted on the validation rows, per label, when the encoder was made. mAP is the mean "
    "over labels of the area under the precision-recall steps. top-k: one of the picture's labels is among the k most "
    "probable. Where a row says nothing in a label's column, that label does not count for it.",
    "An encoder without a head for these labels lets its nearest neighbors vote: a label's score is the share of them "
    "that have it, and 0.5 is the only threshold.",
    "Neighbors are exact, by cosine (the weighted mean of the blocks' cosines). Relevant is a row that shares a value "
    "of the column; one without a value is not. precision@k: share of relevant rows in the first k; recall@k: share of "
    "queries with at least one; mAP@k divides by the smaller of k and the relevant rows there are; overlap@k: the mean "
    "of common labels over labels of either (Jaccard).",
    "Raw pixels are the picture squashed to 50 x 50, centered, of norm 1.",
    "Calibration: all cells of test rows and labels in bins of equal count; the error is the mean gap between mean "
    "probability and share of truths.",
    "ms per picture: the median of 50 runs of the network by ONNX Runtime, one picture, one thread, all encoders in "
    "turns; decoding and resizing come on top. MACs are multiply-adds of convolutions and matrix products.",
    "Engines: one query at a time, all engines in turns, one thread where that can be said; recall is the share of the "
    "exact nearest. FocusedFashion's time includes reading the items, the others give row numbers.",
)


def list_findings(study: Study) -> list[str]:
    """The sentences, the most important first."""
    found = [
        *_say_best(study),
        *_say_always(study),
        *_say_rare(study),
        *_say_settings(study),
        *_say_thresholds(study),
        *_say_neighbors(study),
        *_say_cost(study),
        *_say_engines(study),
        *_say_limits(study),
    ]
    return [sentence for sentence in found if sentence]


def _say_best(study: Study) -> list[str]:
    ordered = order_by_macro(study.encoders)
    best = ordered[0]
    figure = best.prediction.best.macro
    where = "at chosen thresholds" if best.prediction.chosen else _name_way(best, study)
    text = f"{best.name} predicts the labels best: macro-F1 {show_estimate(figure)} {where}"
    rivals = [entry for entry in study.differences if entry.measure == "macro-F1"]
    if not rivals:
        return [text + "."]
    alike = [entry.first for entry in rivals if not entry.sure]
    if alike:
        return [f"{text}. Not surely worse: {_list(alike)}."]
    return [f"{text}, {show_difference(rivals[0])} against {rivals[0].first}, the next."]


def _say_always(study: Study) -> list[str]:
    """Whoever predicts every label has an F1 too: encoders that do not reach it have learned nothing of the labels."""
    always = study.always.macro
    below = [e.name for e in study.encoders if e.prediction.best.macro.value <= always.value]
    text = f"To predict every label, always, gives macro-F1 {show_number(always.value)} and micro-F1 "
    text += show_number(study.always.micro.value)
    return [
        f"{text}; {_list(below)} {'does' if len(below) == 1 else 'do'} not get beyond that." if below else text + "."
    ]


def _say_rare(study: Study) -> list[str]:
    ordered = sorted(study.encoders, key=lambda entry: -_or_none(entry.prediction.best.rare.value))
    rare = sum(label.rare for label in study.labels)
    best = ordered[0]
    if not rare or not best.prediction.best.rare.value > 0:
        return [f"No encoder predicts any of the {say(rare, 'label')} of the rarest third."] if rare else []
    rivals = [e for e in study.differences if e.measure == "rare macro-F1" and e.second == best.name]
    alike = [entry.first for entry in rivals if not entry.sure]
    text = (
        f"On the rarest third ({say(rare, 'label')}) {best.name} leads with {show_estimate(best.prediction.best.rare)}"
    )
    return [text + (f"; not surely worse: {_list(alike)}." if alike else ".")]


def _say_settings(study: Study) -> list[str]:
    single = [e for e in study.settings if e.measure == "macro-F1" and len(e.settings) == 1]
    sure = sorted((e for e in single if e.sure), key=lambda e: -abs(e.value))
    texts = []
    if sure:
        texts.append(
            "Settings that mattered for macro-F1: "
            + "; ".join(f"{say_settings(e)} ({e.first} → {e.second}) {show_difference(e)}" for e in sure[:5])
            + "."
        )
    rest = [e for e in single if not e.sure]
    if rest:
        texts.append("No sure difference: " + "; ".join(_say_pair(entry) for entry in rest[:5]) + ".")
    return texts


def _say_pair(entry: Difference) -> str:
    return f"{say_settings(entry)} ({entry.first} → {entry.second}) {show_difference(entry)}"


def _say_thresholds(study: Study) -> list[str]:
    gains = [(e.name, e.prediction.gain) for e in study.encoders if e.prediction.gain]
    if not gains:
        return []
    gains.sort(key=lambda entry: entry[1].value)
    ends = [f"{show_gain(gain)} ({name})" for name, gain in dict.fromkeys((gains[0], gains[-1]))]
    return [f"Chosen thresholds change macro-F1 by {' to '.join(ends)} against 0.5."]


def _say_neighbors(study: Study) -> list[str]:
    ordered = sorted(study.encoders, key=lambda entry: -entry.overlap.value)
    best = ordered[0]
    raw = next((entry for entry in study.encoders if entry.kind == "raw pixels"), None)
    text = (
        f"The {study.k} nearest of {best.name} share most labels with the query: overlap {show_estimate(best.overlap)}"
    )
    if raw is None or raw is best:
        return [text + "."]
    against = next((e for e in study.differences if e.measure == "label overlap" and e.first == raw.name), None)
    gap = f", {show_difference(against)} against raw pixels" if against else ""
    worse = [e.name for e in study.encoders if e.kind != "raw pixels" and e.overlap.value <= raw.overlap.value]
    return [text + gap + "." + (f" No better than raw pixels: {_list(worse)}." if worse else "")]


def _say_cost(study: Study) -> list[str]:
    encoders = [entry for entry in study.encoders if entry.kind != "raw pixels"]
    if len(encoders) < 2:
        return []
    fast = min(encoders, key=lambda entry: entry.cost.milliseconds)
    slow = max(encoders, key=lambda entry: entry.cost.milliseconds)
    return [
        f"A picture takes {show_number(fast.cost.milliseconds, 2)} ms ({fast.name}) to "
        f"{show_number(slow.cost.milliseconds, 2)} ms ({slow.name}); their macro-F1 is "
        f"{show_number(fast.prediction.best.macro.value)} and {show_number(slow.prediction.best.macro.value)}."
    ]


def _say_engines(study: Study) -> list[str]:
    measured = [entry for entry in study.engines if entry.recall is not None and entry.metric == "cosine"]
    if not measured:
        return []
    words = [f"{entry.engine} {show_number(entry.recall)} in {entry.query_ms:.2f} ms" for entry in measured]
    return [f"Of the exact {study.k} nearest by cosine, engines find: {'; '.join(words)}."]


def _say_limits(study: Study) -> list[str]:
    texts = []
    untrained = [entry.name for entry in study.encoders if entry.trained is False]
    if untrained:
        texts.append(f"Not trained, by recipe: {_list(untrained)}.")
    voting = [e.name for e in study.encoders if e.prediction.how == "vote"]
    if voting:
        texts.append(f"Without a head for these labels, so by the vote of {study.k} neighbors: {_list(voting)}.")
    texts += [
        f"{entry.name} was corrected: {'; '.join(entry.corrections)}." for entry in study.encoders if entry.corrections
    ]
    elsewhere = [
        e.name + (f" (learned from {', '.join(e.data)})" if e.data else "")
        for e in study.encoders
        if e.kind != "raw pixels" and not e.split_known
    ]
    if elsewhere:
        texts.append(f"Trained elsewhere, on rows that are not known: {_list(elsewhere)}.")
    texts += [f"{name} failed: {reason}" for name, reason in study.failed.items()]
    return texts


def _name_way(encoder: EncoderFigures, study: Study) -> str:
    return f"by the vote of {study.k} neighbors" if encoder.prediction.how == "vote" else "at 0.5"


def _or_none(value: float) -> float:
    return value if value == value else -1.0


def _list(names: list[str]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]
