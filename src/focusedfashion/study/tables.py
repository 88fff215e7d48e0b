"""The tables of a study, once for the page and the Markdown: heads and cells, without markup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from focusedfashion.metrics import Estimate
from focusedfashion.study.engines import METRICS
from focusedfashion.study.figures import Difference, EncoderFigures, Study

Cell = str | Estimate | Difference | None  # None: there is no such figure

NONE = "\u2013"


@dataclass(frozen=True, slots=True)
class Table:
    """Column heads and rows; the first cell of a row is its head. `texts` are the columns that hold words."""

    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    texts: tuple[int, ...] = ()


def show_number(value: float | None, digits: int = 3) -> str:
    """0.1234 -> 0.123; what is not there is a dash."""
    return NONE if value is None or value != value else f"{value:.{digits}f}"


def show_estimate(figure: Estimate) -> str:
    """0.123 [0.110, 0.140]"""
    return f"{show_number(figure.value)} {show_interval(figure)}"


def show_gain(gain: Estimate) -> str:
    """A difference that is no other encoder's: +0.012 [+0.003, +0.020]"""
    return f"{_sign(gain.value, '+')} [{_sign(gain.low, '+')}, {_sign(gain.high, '+')}]"


def show_interval(figure: Estimate | Difference) -> str:
    sign = "+" if isinstance(figure, Difference) else ""
    if figure.low != figure.low:
        return f"[{NONE}]"
    return f"[{_sign(figure.low, sign)}, {_sign(figure.high, sign)}]"


def show_difference(difference: Difference) -> str:
    """+0.012 [+0.003, +0.020]"""
    return f"{_sign(difference.value, '+')} {show_interval(difference)}"


def show_change(value: float) -> str:
    """+0.012"""
    return _sign(value, "+")


def show_count(value: int | None) -> str:
    return NONE if value is None else f"{value:,}"


def show_seconds(value: float | None) -> str:
    """1:23:45 hours, 12:34 minutes or 5.6 s."""
    if value is None:
        return NONE
    if value < 60:
        return f"{value:.1f} s"
    minutes, seconds = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s"


def show_macs(value: int | None) -> str:
    """Multiply-adds in millions."""
    return NONE if value is None else f"{value / 1e6:,.1f} M"


def say_state(encoder: EncoderFigures) -> str:
    """How an encoder came by its weights."""
    if encoder.kind == "raw pixels":
        return "nothing to train"
    words = []
    if encoder.trained is False:
        words.append("not trained")
    elif encoder.trained:
        words.append("trained")
    if encoder.weights:
        words.append(f"from {encoder.weights}" if encoder.trained else encoder.weights)
    return ", ".join(words) or "as it is"


def tabulate_scores(study: Study) -> Table:
    heads = (
        "encoder",
        "labels by",
        "micro-F1 at 0.5",
        "micro-F1, chosen",
        "macro-F1 at 0.5",
        "macro-F1, chosen",
        "rarest third",
    )
    rows = []
    for encoder in _order(study):
        figures = encoder.prediction
        chosen = figures.chosen
        rows.append(
            (
                encoder.name,
                "its head" if figures.how == "head" else f"vote of {study.k}",
                figures.half.micro,
                chosen.micro if chosen else None,
                figures.half.macro,
                chosen.macro if chosen else None,
                figures.best.rare,
            )
        )
    always = study.always
    rows.append(("every label, always", "", always.micro, None, always.macro, None, always.rare))
    return Table(heads, tuple(rows), (1,))


def tabulate_ranking(study: Study) -> Table:
    """How well the probabilities order pictures (mAP) and labels (top-k)."""
    rows: list[tuple[Cell, ...]] = [
        (encoder.name, encoder.prediction.mean_average_precision, *encoder.prediction.top_k_accuracy.values())
        for encoder in sorted(study.encoders, key=lambda entry: -entry.prediction.mean_average_precision.value)
    ]
    tops = study.encoders[0].prediction.top_k_accuracy
    return Table(("encoder", "mAP", *(f"top-{k}" for k in tops)), tuple(rows))


def tabulate_batches(study: Study) -> Table:
    rows = []
    for encoder in _order(study):
        values = encoder.prediction.batches
        shown = [sum(values) / len(values), max(values), min(values)] if values else [None] * 3
        rows.append((encoder.name, *[show_number(value) for value in shown]))
    return Table(("encoder", "mean", "maximum", "minimum"), tuple(rows))


def tabulate_best(study: Study, measure: str) -> Table:
    """How much less than the best each other encoder has."""
    found = [entry for entry in study.differences if entry.measure == measure]
    rows = tuple((entry.first, _turn(entry), "yes" if entry.sure else "no") for entry in found)
    best = found[0].second if found else ""
    return Table(("encoder", f"{measure}, against {best}", "surely different"), rows, (2,))


def tabulate_settings(study: Study) -> Table:
    """What changed where two recipes differ in one or two keys."""
    measures = list(dict.fromkeys(entry.measure for entry in study.settings))
    pairs: dict[tuple[str, str], dict[str, Difference]] = {}
    for entry in study.settings:
        pairs.setdefault((entry.first, entry.second), {})[entry.measure] = entry
    rows: list[tuple[Cell, ...]] = [
        (f"{first} → {second}", say_settings(next(iter(found.values()))), *(found[measure] for measure in measures))
        for (first, second), found in pairs.items()
    ]
    return Table(("recipes", "what differs", *measures), tuple(rows), (1,))


def say_settings(difference: Difference) -> str:
    """epochs 25 → 50, dropout 0.1 → 0.5"""
    return ", ".join(f"{key} {before} → {after}" for key, (before, after) in difference.settings.items())


def tabulate_cost(study: Study) -> Table:
    heads = ("encoder", "input", "dimensions", "parameters", "MACs", "ms per picture", "epochs", "training", "weights")
    rows = []
    for encoder in study.encoders:
        cost = encoder.cost
        rows.append(
            (
                encoder.name,
                f"{encoder.width} x {encoder.height}",
                f"{encoder.dim:,}",
                show_count(cost.parameters),
                show_macs(cost.macs),
                show_number(cost.milliseconds, 2),
                show_count(cost.epochs),
                show_seconds(cost.seconds),
                say_state(encoder),
            )
        )
    return Table(heads, tuple(rows), (8,))


def tabulate_neighbors(study: Study, column: str) -> Table:
    k = study.k
    rows = [
        (e.name, r.precision, r.recall, r.mean_average_precision, r.overlap)
        for e in sorted(study.encoders, key=lambda entry: -entry.retrieval[column].overlap.value)
        for r in [e.retrieval[column]]
    ]
    return Table(("encoder", f"precision@{k}", f"recall@{k}", f"mAP@{k}", f"overlap@{k}"), tuple(rows))


def tabulate_labels(study: Study, best_labels: bool = True) -> Table:
    """F1 of each label by each encoder (or the share of its nearest that have it), the most frequent label first."""
    encoders = _order(study)
    ordered = sorted(range(len(study.labels)), key=lambda place: -study.labels[place].gallery)
    rows = []
    for place in ordered:
        label = study.labels[place]
        values = [e.prediction.best_labels[place] if best_labels else e.labels_nearest[place] for e in encoders]
        rows.append(
            (
                label.name,
                f"{label.gallery:,}",
                f"{label.test:,}",
                *(show_number(v, 2) if label.test else NONE for v in values),
            )
        )
    return Table(("label", "searched", "test", *(encoder.name for encoder in encoders)), tuple(rows))


def tabulate_calibration(study: Study) -> Table:
    rows = [
        (encoder.name, show_number(encoder.prediction.calibration.error, 4))
        for encoder in _order(study)
        if encoder.prediction.calibration
    ]
    return Table(("encoder", "expected calibration error"), tuple(rows))


def tabulate_engines(study: Study) -> Table:
    """The engines that were measured; `list_engine_notes` has the others."""
    rows = tuple(
        (
            entry.engine,
            entry.metric,
            show_number(entry.recall, 4),
            NONE if entry.build_seconds is None else f"{entry.build_seconds:.2f} s",
            NONE if entry.query_ms is None else f"{entry.query_ms:.2f} ms",
        )
        for entry in sorted(study.engines, key=lambda entry: METRICS.index(entry.metric))
        if entry.recall is not None
    )
    return Table(("engine", "metric", f"recall@{study.k}", "build", "a query"), rows, (1,))


def list_engine_notes(study: Study) -> list[str]:
    """Which engine was not measured under which metrics, and why."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for entry in study.engines:
        if entry.recall is None:
            reasons.setdefault((entry.engine, entry.note), []).append(entry.metric)
    return [f"{engine}, {' and '.join(metrics)}: {note}." for (engine, note), metrics in reasons.items()]


def say_rows(study: Study) -> str:
    """What was measured on what."""
    parts = [f"{count:,} {name}" for name, count in study.rows.items() if count]
    text = f"Rows: {', '.join(parts)}. Searched are the {study.gallery:,} that are no test rows."
    if study.left_out:
        gone = "; ".join(f"{count:,} {reason}" for reason, count in study.left_out.items())
        text += f" Left out: {gone}."
    return text


def order_by_macro(encoders: Sequence[EncoderFigures]) -> list[EncoderFigures]:
    """The best macro-F1 first, at chosen thresholds where there are some."""
    return sorted(encoders, key=lambda entry: -entry.prediction.best.macro.value)


def _order(study: Study) -> list[EncoderFigures]:
    return order_by_macro(study.encoders)


def _turn(entry: Difference) -> Difference:
    """The same difference seen from the worse one."""
    return Difference(entry.second, entry.first, entry.measure, -entry.value, -entry.high, -entry.low, entry.settings)


def _sign(value: float, sign: str) -> str:
    text = f"{value:{sign}.3f}"
    return "0.000" if text[1:] == "0.000" else text.replace("-", "\u2212")
