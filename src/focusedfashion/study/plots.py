"""A study's charts as inline SVG, in the page's own ink, readable at the width of a phone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from focusedfashion.metrics import Estimate
from focusedfashion.report.charts import measure_text
from focusedfashion.report.markup import Html, element
from focusedfashion.study.figures import CalibrationFigures
from focusedfashion.study.tables import show_number

_WIDTH = 360.0  # of the wide charts, in their own units
_SMALL = 190.0  # of the small multiples
_NAME = 112.0  # of the names at the left of a chart
_ROW = 21.0
_WIDE = 30.0  # a loss that spans more is on a logarithmic scale

Box = tuple[float, float, float, float]  # left, top, right, bottom


def draw_forest(rows: Sequence[tuple[str, Estimate]], title: str, mark: float | None = None) -> Html:
    """A dot and its interval for each name, the largest first, on one axis; a dashed line at `mark`."""
    ordered = sorted(rows, key=lambda row: -row[1].value if row[1].value == row[1].value else math.inf)
    marks = [] if mark is None or mark != mark else [mark]
    ends = [row[1].high for row in ordered if row[1].high == row[1].high] + marks
    starts = [row[1].low for row in ordered if row[1].low == row[1].low] + marks
    low, high = _span(min(starts, default=0.0), max(ends, default=1.0))
    place = _Scale(low, high, _NAME + 6, _WIDTH - 40)
    parts = []
    for number, (name, figure) in enumerate(ordered):
        y = (number + 0.5) * _ROW
        parts += [_name(name, y), element("text", show_number(figure.value), x=_WIDTH, y=y + 3.5, class_="tick end")]
        if figure.value == figure.value:
            told = f"{name}: {figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"
            parts.append(
                element(
                    "g",
                    element("title", told),
                    element("line", x1=place(figure.low), x2=place(figure.high), y1=y, y2=y, class_="whisker"),
                    element("circle", cx=place(figure.value), cy=y, r=3.5, class_="ink"),
                )
            )
    bottom = len(ordered) * _ROW
    dashed = [element("line", x1=place(x), x2=place(x), y1=0, y2=bottom, class_="whisker dashed") for x in marks]
    return _draw(_WIDTH, bottom + 20, title, _axis(low, high, place, bottom), dashed, parts)


def draw_spread(rows: Sequence[tuple[str, Sequence[float]]], title: str) -> Html:
    """Where the values of each name lie: a line from the least to the most, a box of the middle half, the median."""
    filled = [(name, np.asarray(values)) for name, values in rows if len(values)]
    high = max((float(values.max()) for _, values in filled), default=1.0)
    low, high = _span(0.0, high)
    place = _Scale(low, high, _NAME + 6, _WIDTH - 40)
    parts = []
    for number, (name, values) in enumerate(filled):
        y = (number + 0.5) * _ROW
        least, quarter, median, three, most = np.percentile(values, [0, 25, 50, 75, 100]).tolist()
        told = f"{name}: {least:.3f}, {quarter:.3f}, {median:.3f}, {three:.3f}, {most:.3f}"
        parts += [
            _name(name, y),
            element(
                "g",
                element("title", told),
                element("line", x1=place(least), x2=place(most), y1=y, y2=y, class_="whisker"),
                element(
                    "rect",
                    x=place(quarter),
                    y=y - 5,
                    width=max(1.0, place(three) - place(quarter)),
                    height=10,
                    class_="box",
                ),
                element("line", x1=place(median), x2=place(median), y1=y - 5, y2=y + 5, class_="median"),
            ),
            element("text", show_number(median), x=_WIDTH, y=y + 3.5, class_="tick end"),
        ]
    bottom = len(filled) * _ROW
    return _draw(_WIDTH, bottom + 20, title, _axis(low, high, place, bottom), parts)


def draw_scatter(points: Sequence[tuple[str, float, float]], across: str, title: str) -> Html:
    """Names at (x, y); x is on a logarithmic axis, in what `across` says."""
    height, left, foot = 250.0, 34.0, 34.0
    xs, ys = [x for _, x, _ in points], [y for _, _, y in points]
    low, high = math.log10(min(xs)) - 0.15, math.log10(max(xs)) + 0.15
    least, most = _span(min(ys), max(ys))
    x_of = _Scale(low, high, left, _WIDTH - 8)
    y_of = _Scale(least, most, height - foot, 8.0)
    axis = []
    ticks = [value for power in range(-3, 6) for value in (10.0**power, 2 * 10.0**power, 5 * 10.0**power)]
    for value in ticks:
        if low <= math.log10(value) <= high:
            x = x_of(math.log10(value))
            axis.append(element("text", f"{value:g}", x=x, y=height - foot + 14, class_="tick"))
    for value in _ticks(least, most):
        axis.append(element("line", x1=left, x2=_WIDTH, y1=y_of(value), y2=y_of(value), class_="rule"))
        axis.append(element("text", f"{value:g}", x=left - 6, y=y_of(value) + 3.5, class_="tick end"))
    dots = [(x_of(math.log10(x)), y_of(y)) for _, x, y in points]
    taken: list[Box] = [(x - 4, y - 4, x + 4, y + 4) for x, y in dots]
    parts = []
    for (name, x_value, y_value), (x, y) in zip(points, dots, strict=True):
        told = f"{name}: {x_value:.3g} {across}, {y_value:.3f}"
        parts.append(element("g", element("title", told), element("circle", cx=x, cy=y, r=3.5, class_="ink")))
        width = measure_text(name, 10)
        for dx, dy in ((7, 3.5), (-7 - width, 3.5), (-width / 2, -7), (-width / 2, 14), (7, -6), (7, 13)):
            box = (x + dx, y + dy - 9, x + dx + width, y + dy + 2)
            free = all(box[2] < b[0] or box[0] > b[2] or box[3] < b[1] or box[1] > b[3] for b in taken)
            if free and box[0] >= left and box[2] <= _WIDTH and box[1] >= 0 and box[3] <= height - foot:
                taken.append(box)
                parts.append(element("text", name, x=x + dx, y=y + dy, class_="point"))
                break
    named = element("text", across, x=_WIDTH, y=height - 4, class_="tick end")
    return _draw(_WIDTH, height, title, axis, parts, named)


def draw_curves(lines: Sequence[tuple[str, Sequence[float]]], title: str) -> Html:
    """Values by epoch: the first line is drawn through, the others are dashed; logarithmic where they span much."""
    height, left, foot = 120.0, 34.0, 18.0
    values = [value for _, line in lines for value in line if math.isfinite(value)]
    if not values:
        return Html("")
    low, high = min(values), max(values)
    wide = low > 0 and high > _WIDE * low
    by = math.log10 if wide else float
    pad = 0.05 * (by(high) - by(low)) or 0.05 * abs(high) or 1.0
    length = max(len(line) for _, line in lines)
    x_of = _Scale(1, max(2, length), left + 4, _SMALL - 6)
    y_of = _Scale(by(low) - pad, by(high) + pad, height - foot, 6.0)
    parts = []
    for number, (name, line) in enumerate(lines):
        at = [(x_of(epoch), y_of(by(value))) for epoch, value in enumerate(line, start=1) if math.isfinite(value)]
        if len(at) == 1:
            parts.append(element("circle", cx=at[0][0], cy=at[0][1], r=3, class_="ink"))
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
        kind = "line dashed" if number else "line"
        parts.append(element("polyline", element("title", name), points=points, class_=kind))
    for value in (low, high):
        parts.append(
            element(
                "text",
                f"{value:,.0f}" if value >= 100 else f"{value:.3g}",
                x=left - 4,
                y=y_of(by(value)) + 3.5,
                class_="tick end",
            )
        )
    for epoch in sorted({1, length}):
        parts.append(element("text", epoch, x=x_of(epoch), y=height - 4, class_="tick"))
    base = element("line", x1=left, x2=_SMALL, y1=height - foot, y2=height - foot, class_="rule")
    return _draw(_SMALL, height, title, base, parts, small=True)


def draw_reliability(curve: CalibrationFigures, title: str) -> Html:
    """Share of truths by mean probability; on the diagonal the two are one."""
    side, left = 160.0, 24.0
    x_of, y_of = _Scale(0, 1, left, _SMALL - 8), _Scale(0, 1, side - 18, 6.0)
    dots = [(x_of(c), y_of(a), n) for c, a, n in zip(curve.confidence, curve.accuracy, curve.count, strict=True)]
    parts = [
        element("line", x1=x_of(0), y1=y_of(0), x2=x_of(1), y2=y_of(1), class_="rule dashed"),
        element("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y, _ in dots), class_="line"),
        [
            element(
                "g", element("title", f"{c:.3f}: {a:.3f} of {n:,}"), element("circle", cx=x, cy=y, r=2.5, class_="ink")
            )
            for (x, y, n), c, a in zip(dots, curve.confidence, curve.accuracy, strict=True)
        ],
        [element("text", f"{value:g}", x=x_of(value), y=side - 4, class_="tick") for value in (0, 0.5, 1)],
        [element("text", f"{value:g}", x=left - 5, y=y_of(value) + 3.5, class_="tick end") for value in (0.5, 1)],
    ]
    return _draw(_SMALL, side, title, parts, small=True)


def _name(name: str, y: float) -> Html:
    """A name at the left, shortened in its middle where it is too long: recipes differ at both ends."""
    shown = name
    while measure_text(shown, 11) > _NAME and len(shown) > 4:
        middle = len(shown.replace("…", "")) // 2
        letters = shown.replace("…", "")
        shown = letters[: middle - 1] + "…" + letters[middle + 1 :]
    return element("text", element("title", name), shown, x=_NAME, y=y + 4, class_="word end")


def _axis(low: float, high: float, place: _Scale, bottom: float) -> list[Html]:
    parts = []
    for value in _ticks(low, high):
        x = place(value)
        parts.append(element("line", x1=x, x2=x, y1=0, y2=bottom, class_="rule"))
        parts.append(element("text", f"{value:g}", x=x, y=bottom + 14, class_="tick"))
    return parts


def _span(low: float, high: float) -> tuple[float, float]:
    """An axis that holds both: from 0, unless all lies in its upper half, and to a whole tick."""
    start = 0.0 if low < 0.5 * high else low
    step = _step(high - start or 1.0)
    return math.floor(start / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step or step


def _step(width: float) -> float:
    """The distance of ticks on an axis of this width: 1, 2 or 5 times a power of ten, four to eight of them."""
    power: float = 10.0 ** math.floor(math.log10(width / 4))
    return next(power * factor for factor in (1, 2, 5, 10) if width / (power * factor) <= 5)


def _ticks(low: float, high: float) -> list[float]:
    step = _step(high - low or 1.0)
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 10) for number in range(first, math.floor(high / step + 1e-9) + 1)]


class _Scale:
    """Values from `low` to `high` -> places from `start` to `end`."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.factor, self.start = low, (end - start) / (high - low or 1.0), start

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) * self.factor


def _draw(width: float, height: float, title: str, *parts: object, small: bool = False) -> Html:
    return element(
        "svg",
        *parts,
        viewBox=f"0 0 {width:g} {height:.1f}",
        role="img",
        aria_label=title,
        class_="chart small" if small else "chart",
    )
