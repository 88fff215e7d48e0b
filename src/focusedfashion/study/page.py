"""A study as one HTML page that needs nothing else: no script, no file beside it, no request."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Sequence
from importlib import resources

from focusedfashion.metrics import Estimate
from focusedfashion.report.markup import Html, element, join
from focusedfashion.report.page import draw_document, write_page
from focusedfashion.report.parts import draw_section
from focusedfashion.report.words import say
from focusedfashion.study.figures import Answer, Difference, Recommendation, Study
from focusedfashion.study.plots import draw_curves, draw_forest, draw_reliability, draw_scatter, draw_spread
from focusedfashion.study.tables import (
    NONE,
    Cell,
    Table,
    list_engine_notes,
    order_by_macro,
    say_rows,
    show_change,
    show_interval,
    show_number,
    tabulate_batches,
    tabulate_best,
    tabulate_cost,
    tabulate_engines,
    tabulate_labels,
    tabulate_neighbors,
    tabulate_ranking,
    tabulate_scores,
    tabulate_settings,
)
from focusedfashion.study.words import METHOD, PREDECESSOR, list_findings

_FEW = 6  # encoders whose recommendations stand in rows; those of more stand in columns, on a wide screen
_MANY = 16  # rows of a table, past which it scrolls in itself


def write_study_page(study: Study, path: str | os.PathLike[str]) -> None:
    """Writes the page; the file is whole or, if that fails, as it was before. Raises OSError."""
    write_page(draw_study(study), path)


def draw_study(study: Study) -> str:
    """The page's HTML."""
    style = resources.files("focusedfashion.study").joinpath("page.css").read_text(encoding="utf-8")
    sections = [section for draw in _SECTIONS if (section := draw(study))]
    foot = join(
        element("h2", "How this was made"),
        element("ul", [element("li", _mark(line)) for line in METHOD]),
        element("p", "Made by FocusedFashion. This page holds all that it shows and asks nothing of the network."),
    )
    return draw_document(study.name, "Study", study.made, join(_draw_title(study), sections), foot, style)


def _draw_title(study: Study) -> Html:
    facts = [
        ("encoders", len(study.encoders)),
        ("labels", len(study.labels)),
        *((name if name != "train" else "training rows", count) for name, count in study.rows.items() if count),
    ]
    names = {"validation": "validation rows", "test": "test rows"}
    figures = [
        element("div", element("dt", names.get(name, name)), element("dd", f"{count:,}")) for name, count in facts
    ]
    columns = ", ".join(study.columns)
    return element(
        "section",
        element("h1", element("bdi", study.name)),
        element("p", f"{say(len(study.encoders), 'encoder')} compared on the labels of {columns}.", class_="verdict"),
        element("dl", figures, class_="facts"),
        class_="title",
    )


def _draw_findings(study: Study) -> Html:
    return draw_section(
        "findings",
        "Findings",
        "What the figures below say, with 95 % intervals over test pictures.",
        element("ul", [element("li", sentence) for sentence in list_findings(study)], class_="sentences"),
        element("p", say_rows(study), class_="soft"),
    )


def _draw_labels(study: Study) -> Html:
    encoders = order_by_macro(study.encoders)
    always = study.always
    charts = [
        ("Macro-F1, all labels", [(e.name, e.prediction.best.macro) for e in encoders], always.macro.value),
        (
            "Macro-F1, the rarest third of the labels",
            [(e.name, e.prediction.best.rare) for e in encoders],
            always.rare.value,
        ),
        ("Micro-F1", [(e.name, e.prediction.best.micro) for e in encoders], always.micro.value),
        ("mAP over labels", [(e.name, e.prediction.mean_average_precision) for e in encoders], None),
    ]
    return draw_section(
        "labels",
        "Labels predicted",
        "At chosen thresholds where the encoder has a head for these labels, else by the vote of its neighbors. A dot "
        "is the figure, the line its interval; dashed is what predicting every label for every picture would give.",
        element("div", [_figure(draw_forest(rows, title, mark), title) for title, rows, mark in charts], class_="pair"),
        _draw_table(tabulate_scores(study)),
        _draw_table(tabulate_ranking(study)),
        element("h3", "Against the best"),
        _draw_table(tabulate_best(study, "macro-F1")),
    )


def _draw_settings(study: Study) -> Html | None:
    if not study.settings:
        return None
    return draw_section(
        "settings",
        "Settings",
        "Recipes that differ in one or two keys, and what that changed: the second minus the first, picture by "
        "picture. Bold where the interval leaves out zero.",
        _draw_table(tabulate_settings(study)),
    )


def _draw_cost(study: Study) -> Html:
    points = [(e.name, e.cost.milliseconds, e.prediction.best.macro.value) for e in study.encoders]
    points = [point for point in points if point[1] > 0 and point[2] == point[2]]
    title = "Macro-F1 by milliseconds per picture"
    return draw_section(
        "cost",
        "Cost",
        "What an encoder takes, and what it gives for that.",
        len(points) > 1 and _figure(draw_scatter(points, "ms per picture", title), title),
        _draw_table(tabulate_cost(study)),
    )


def _draw_training(study: Study) -> Html | None:
    figures = []
    for encoder in study.encoders:
        lines = [
            (name, [float(curve[key]) for curve in encoder.curves if curve.get(key) is not None])
            for name, key in (("training", "loss"), ("validation", "validation_loss"))
        ]
        if any(line for _, line in lines):
            figures.append(_figure(draw_curves(lines, f"Loss of {encoder.name} by epoch"), encoder.name))
    if not figures:
        return None
    return draw_section(
        "training",
        "Training",
        "Loss by epoch: of the training rows (line) and of the validation rows (dashed). Each has its own scale, a "
        "logarithmic one where the loss spans more than thirtyfold.",
        element("div", figures, class_="multiples"),
    )


def _draw_distributions(study: Study) -> Html:
    encoders = order_by_macro(study.encoders)
    batches = [(e.name, e.prediction.batches) for e in encoders]
    labels = [(e.name, [v for v in e.prediction.best_labels if v is not None]) for e in encoders]
    one, other = "Micro-F1 of batches of 64, at 0.5", "F1 of single labels"
    return draw_section(
        "distributions",
        "How even it is",
        "F1 from batch to batch and from label to label: the whole range, the middle half, the median.",
        element(
            "div",
            _figure(draw_spread(batches, one), one),
            _figure(draw_spread(labels, other), other),
            class_="pair",
        ),
        element("h3", "Over batches of 64, as the predecessor reported"),
        _draw_table(tabulate_batches(study)),
    )


def _draw_neighbors(study: Study) -> Html:
    forest = [(e.name, e.overlap) for e in study.encoders]
    title = f"Overlap of all labels with the {study.k} nearest"
    return draw_section(
        "neighbors",
        "Neighbors",
        f"The {study.k} nearest of each test row, by label column. Where rows have many labels, the overlap says more "
        "than whether one is shared.",
        element("div", _figure(draw_forest(forest, title), title), class_="pair"),
        [
            element("article", element("h3", element("bdi", column)), _draw_table(tabulate_neighbors(study, column)))
            for column in study.columns
        ],
        element("h3", "Against the best"),
        _draw_table(tabulate_best(study, "label overlap")),
    )


def _draw_each(study: Study) -> Html:
    return draw_section(
        "each",
        "Label by label",
        f"{say(len(study.labels), 'label')}, the most frequent first, by the rows that are searched.",
        element("h3", "F1"),
        _draw_table(tabulate_labels(study)),
        element("h3", f"Share of the {study.k} nearest that have it too"),
        _draw_table(tabulate_labels(study, best_labels=False)),
    )


def _draw_calibration(study: Study) -> Html | None:
    figures = []
    for encoder in order_by_macro(study.encoders):
        curve = encoder.prediction.calibration
        if curve is not None:
            words = [element("span", encoder.name), " ", element("span", show_number(curve.error, 4), class_="soft")]
            figures.append(_figure(draw_reliability(curve, f"Calibration of {encoder.name}"), join(words)))
    if not figures:
        return None
    return draw_section(
        "calibration",
        "Calibration",
        "How often a label is there, by the probability that it got, in bins of equal count. The number is the "
        "expected calibration error.",
        element("div", figures, class_="multiples"),
    )


def _draw_recommendations(study: Study) -> Html | None:
    if not study.recommendations:
        return None
    return draw_section(
        "recommendations",
        "Recommendations",
        f"Query photos, and the {study.k} nearest by each encoder, best first. Below a picture: the labels that it has "
        "in common with the query, of those that either has.",
        [_draw_query(study, query) for query in study.recommendations],
    )


def _draw_query(study: Study, query: Recommendation) -> Html:
    answers = [
        element(
            "section",
            element("h4", name, title=name),
            element("div", [_draw_shot(study, answer) for answer in found], class_="shots"),
        )
        for name, found in query.answers.items()
    ]
    return element(
        "article",
        element(
            "div",
            element("figure", _draw_tile(study, query.picture, query.item_id), class_="shot"),
            query.labels and element("p", element("bdi", ", ".join(query.labels)), class_="soft"),
            class_="asked",
        ),
        element("div", answers, class_="answers few" if len(answers) <= _FEW else "answers"),
        class_="query",
    )


def _draw_shot(study: Study, answer: Answer) -> Html:
    words = f"{answer.shared[0]} of {answer.shared[1]}" if answer.shared else f"{answer.score:.2f}"
    tile = _draw_tile(study, answer.picture, f"{answer.item_id}, score {answer.score:.3f}")
    return element("figure", tile, element("figcaption", words), class_="shot")


def _draw_tile(study: Study, picture: int, words: str) -> Html:
    thumbnail = study.thumbnails.get(picture)
    if thumbnail is None:
        return element("div", class_="tile")
    data = base64.b64encode(thumbnail).decode()
    return element("div", element("img", src=f"data:image/jpeg;base64,{data}", alt=words, title=words), class_="tile")


def _draw_engines(study: Study) -> Html:
    return draw_section(
        "engines",
        "Engines",
        f"Who finds the neighbors: {study.engine_rows:,} vectors of {study.engine_encoder}, "
        f"{study.engine_queries:,} queries, one at a time.",
        _draw_table(tabulate_engines(study)),
        element("ul", [element("li", note) for note in list_engine_notes(study)], class_="plain soft"),
    )


def _draw_predecessor(study: Study) -> Html:
    return draw_section(
        "predecessor",
        "The predecessor",
        "Its published figures, apart.",
        element("p", PREDECESSOR, class_="aside"),
    )


def _draw_table(table: Table) -> Html:
    def name_class(place: int) -> str | None:
        return "said" if place in table.texts else None

    head = element("tr", [element("th", name, scope="col", class_=name_class(n)) for n, name in enumerate(table.heads)])
    rows = [
        element(
            "tr",
            element("th", element("bdi", _draw_cell(row[0])), scope="row"),
            [element("td", _draw_cell(cell), class_=name_class(n)) for n, cell in enumerate(row[1:], start=1)],
        )
        for row in table.rows
    ]
    body = element("table", element("thead", head), element("tbody", rows), class_="figures")
    return element("div", body, class_="table many" if len(rows) > _MANY else "table", tabindex="0")


def _draw_cell(cell: Cell) -> Html | str:
    if cell is None:
        return NONE
    if isinstance(cell, Estimate):
        return element("div", show_number(cell.value), element("span", show_interval(cell)), class_="estimate")
    if isinstance(cell, Difference):
        value = show_change(cell.value)
        words = element("b", value) if cell.sure else value
        return element("div", words, element("span", show_interval(cell)), class_="estimate")
    return cell


def _figure(chart: Html, words: str | Html) -> Html:
    return element("figure", element("figcaption", words), chart)


def _mark(text: str) -> Html:
    """Text with the parts in backticks, names of columns, set off."""
    return join([element("code", part) if place % 2 else part for place, part in enumerate(text.split("`"))])


_SECTIONS: Sequence[Callable[[Study], Html | None]] = (
    _draw_findings,
    _draw_labels,
    _draw_settings,
    _draw_cost,
    _draw_recommendations,
    _draw_neighbors,
    _draw_training,
    _draw_distributions,
    _draw_each,
    _draw_calibration,
    _draw_engines,
    _draw_predecessor,
)
