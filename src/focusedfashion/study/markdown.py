"""A study as Markdown: figures and text without a picture, fit to be committed."""

from __future__ import annotations

import os
import re
from pathlib import Path

from focusedfashion.metrics import Estimate
from focusedfashion.report.page import write_page
from focusedfashion.study.figures import Difference, Study
from focusedfashion.study.tables import (
    NONE,
    Cell,
    Table,
    list_engine_notes,
    say_rows,
    show_difference,
    show_estimate,
    tabulate_batches,
    tabulate_best,
    tabulate_calibration,
    tabulate_cost,
    tabulate_engines,
    tabulate_labels,
    tabulate_neighbors,
    tabulate_ranking,
    tabulate_scores,
    tabulate_settings,
)
from focusedfashion.study.words import METHOD, PREDECESSOR, list_findings

_CURVE = 10  # epochs of a loss curve that are listed, an even choice
_LEVELS = "▁▂▃▄▅▆▇█"


def write_markdown(study: Study, path: str | os.PathLike[str]) -> None:
    """Writes the text; the file is whole or, if that fails, as it was before. Raises OSError."""
    write_page(draw_markdown(study), Path(path))


def draw_markdown(study: Study) -> str:
    """The study as Markdown."""
    names = ", ".join(f"`{column}`" for column in study.columns)
    parts = [
        f"# Study: {_plain(study.name)}",
        f"{len(study.labels):,} labels of {names}. {say_rows(study)} Made on {study.made[:10]}, {study.device}.",
        "## Findings",
        "\n".join(f"- {_plain(sentence)}" for sentence in list_findings(study)),
        "## Labels predicted",
        _draw(tabulate_scores(study)),
        _draw(tabulate_ranking(study)),
        "Differences in macro-F1 and in the overlap of the neighbors' labels:",
        _draw(tabulate_best(study, "macro-F1")),
        _draw(tabulate_best(study, "label overlap")),
    ]
    if study.settings:
        parts += ["## Settings", "Recipes that differ in one or two keys.", _draw(tabulate_settings(study))]
    parts += [
        "## Cost",
        _draw(tabulate_cost(study)),
        "## F1 over batches of 64",
        "Micro-averaged F1 at 0.5, the predecessor's way of reporting.",
        _draw(tabulate_batches(study)),
    ]
    if curves := _draw_curves(study):
        parts += ["## Training", "Loss by epoch, from its lowest to its highest.", curves]
    for column in study.columns:
        parts += [f"## Neighbors by `{column}`", _draw(tabulate_neighbors(study, column))]
    calibration = tabulate_calibration(study)
    if calibration.rows:
        parts += ["## Calibration", _draw(calibration)]
    parts += [
        "## Labels",
        "F1 at chosen thresholds, or of the vote.",
        _draw(tabulate_labels(study)),
        "The share of the nearest that have the label, over test rows that have it.",
        _draw(tabulate_labels(study, best_labels=False)),
        "## Engines",
        f"On {study.engine_rows:,} vectors of {_plain(study.engine_encoder)}, {study.engine_queries:,} queries.",
        _draw(tabulate_engines(study)),
        "\n".join(f"- {note}" for note in list_engine_notes(study)),
        "## The predecessor's figures",
        f"> {PREDECESSOR}",
        "## How this was made",
        "\n".join(f"- {sentence}" for sentence in METHOD),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def show_cell(cell: Cell) -> str:
    """A cell as text."""
    if cell is None:
        return NONE
    if isinstance(cell, Estimate):
        return show_estimate(cell)
    return show_difference(cell) if isinstance(cell, Difference) else cell


def _draw(table: Table) -> str:
    lines = [
        "| " + " | ".join(map(_plain, table.heads)) + " |",
        "|" + "|".join("---" if place in (0, *table.texts) else "---:" for place in range(len(table.heads))) + "|",
    ]
    lines += ["| " + " | ".join(_plain(show_cell(cell)) for cell in row) + " |" for row in table.rows]
    return "\n".join(lines)


def _draw_curves(study: Study) -> str:
    rows = []
    for encoder in study.encoders:
        cells = []
        for key in ("loss", "validation_loss"):
            values = [curve[key] for curve in encoder.curves if curve.get(key) is not None]
            if not values:
                cells.append(NONE)
                continue
            step = max(1, (len(values) - 1) // (_CURVE - 1)) if len(values) > 1 else 1
            some = values[::step]
            low, high = min(values), max(values)
            bars = "".join(_LEVELS[round((value - low) / (high - low or 1) * 7)] for value in some)
            cells.append(f"{bars} {values[0]:.4g} → {values[-1]:.4g}")
        if encoder.curves:
            rows.append((encoder.name, *cells))
    return _draw(Table(("encoder", "training", "validation"), tuple(rows), (1, 2))) if rows else ""


def _plain(text: str) -> str:
    """Text that neither ends a cell nor makes markup: labels and names are strangers' words."""
    return re.sub(r"([\\|<>*_`#])", r"\\\1", " ".join(text.split()))
