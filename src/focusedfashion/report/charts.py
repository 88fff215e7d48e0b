"""Charts as inline SVG and HTML, in the page's own ink, readable at the width of a phone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from focusedfashion.report.figures import LabelCount, Together
from focusedfashion.report.markup import Html, element

_WIDTH = 360  # of all drawings, in their own units: the width of a phone, so that their letters stay readable there

# Widths of letters in thousandths of the font size, as in Helvetica and the faces that are made to its measure.
_LETTERS = {
    letter: width
    for width, letters in {
        222: "ijl'|",
        278: "ftI,./\\:;! []",
        333: "r-()`",
        355: '"',
        400: "*°",
        500: "cksvxyzJ",
        556: "abdeghnopquL0123456789_$#?",
        584: "+=<>~",
        611: "FTZ",
        667: "ABEKPSVXY&",
        722: "CDHNRUw",
        778: "GOQ",
        833: "mM",
        889: "%",
        944: "W",
        1000: "…—@",
    }.items()
    for letter in letters
}

_COLUMN = 44.0  # the widest column of a histogram
_CLOUD_HEIGHT = 270
_CLOUD_WORDS = 60
_CLOUD_FONTS = (
    84.0,
    72.0,
    62.0,
    53.0,
    46.0,
    40.0,
    34.0,
)  # of the most frequent label; the first that leaves room for all
_CLOUD_LEAST = 8.0  # of the rarest


@dataclass(frozen=True, slots=True)
class Word:
    """A placed word of a cloud: its box's left and top, width and height, and its font size."""

    label: LabelCount
    left: float
    top: float
    width: float
    height: float
    font: float


def draw_bars(labels: Sequence[LabelCount], whole: int, longest: int) -> Html:
    """Labels with a bar each, of the longest bar's length; shares are of `whole` items."""
    return element(
        "ol",
        [
            element(
                "li",
                element("span", element("bdi", label.label), class_="name"),
                element("span", class_="bar", style=f"--share:{label.items / max(1, longest):.4f}"),
                element("span", f"{label.items:,}", class_="count"),
                element("span", format_share(label.items, whole), class_="share"),
            )
            for label in labels
        ],
        class_="bars",
        role="list",
    )


def draw_histogram(bars: Sequence[tuple[str, int]], title: str) -> Html:
    """Columns with their names below and their counts above."""
    height, foot, head = 150, 22, 14
    step = _WIDTH / max(1, len(bars))
    width = min(_COLUMN, max(1.0, step - 2))
    most = max((count for _, count in bars), default=1) or 1
    widest = max((measure_text(name, 10) for name, _ in bars), default=1.0)
    every = max(1, math.ceil((widest + 5) / step))
    parts = []
    for place, (name, count) in enumerate(bars):
        size = max((height - foot - head) * count / most, 1 if count else 0)
        x = (place + 0.5) * step
        parts.append(
            element(
                "g",
                element("title", f"{name}: {count:,}"),
                element(
                    "rect",
                    class_="ink",
                    x=x - width / 2,
                    y=height - foot - size,
                    width=width,
                    height=size,
                ),
                len(bars) <= 12
                and element("text", shorten_count(count), x=x, y=height - foot - size - 4, class_="tick"),
                place % every == 0 and element("text", name, x=x, y=height - foot + 14, class_="tick"),
            )
        )
    base = element("line", x1=0, x2=_WIDTH, y1=height - foot + 0.5, y2=height - foot + 0.5, class_="rule")
    return _draw(height, title, parts, base)


def draw_cloud(labels: Sequence[LabelCount], title: str) -> Html:
    """The labels as a cloud of words, the larger the more frequent."""
    words = place_words(labels)
    if not words:
        return Html("")
    low = min(word.top for word in words)
    high = max(word.top + word.height for word in words)
    most = words[0].label.items
    texts = [
        element(
            "text",
            element("title", f"{word.label.label}: {word.label.items:,}"),
            word.label.label,
            x=word.left,
            y=word.top - low + 0.78 * word.height,
            font_size=word.font,
            # The width that was reckoned with: whatever face the reader has, no word runs into another.
            textLength=word.width,
            lengthAdjust="spacingAndGlyphs",
            opacity=0.5 + 0.5 * math.sqrt(word.label.items / most),
        )
        for word in words
    ]
    return _draw(high - low, title, texts, class_="cloud")


def place_words(labels: Sequence[LabelCount]) -> list[Word]:
    """The most frequent labels on a spiral from the middle outwards, each at the first place that is free.

    Areas go with frequencies. The largest letters are taken that leave room for all; where none do, the labels that
    find no place are left out. The bars show all.
    """
    chosen = [label for label in labels[:_CLOUD_WORDS] if label.items > 0]
    words: list[Word] = []
    for font in _CLOUD_FONTS:
        words = _place(chosen, font)
        if len(words) == len(chosen):
            break
    return words


def _place(labels: Sequence[LabelCount], largest: float) -> list[Word]:
    turns = np.linspace(0, 60 * np.pi, 3_000)
    reach = np.sqrt(turns / turns[-1])[:, None] * np.array([_WIDTH / 2, _CLOUD_HEIGHT / 2])
    spiral = np.stack([np.cos(turns), np.sin(turns)], axis=1) * reach + np.array([_WIDTH / 2, _CLOUD_HEIGHT / 2])
    taken = np.zeros((0, 4))
    words: list[Word] = []
    for label in labels:
        font = max(_CLOUD_LEAST, largest * math.sqrt(label.items / labels[0].items))
        font = min(font, 0.98 * _WIDTH / measure_text(label.label, 1.0))
        size = np.array([measure_text(label.label, font), 1.02 * font])
        corners = spiral - size / 2
        ends = corners + size
        free = (corners >= 0).all(axis=1) & (ends <= [_WIDTH, _CLOUD_HEIGHT]).all(axis=1)
        apart = (ends[:, None, 0] + 3 <= taken[:, 0]) | (corners[:, None, 0] >= taken[:, 2] + 3)
        apart |= (ends[:, None, 1] + 1 <= taken[:, 1]) | (corners[:, None, 1] >= taken[:, 3] + 1)
        free &= apart.all(axis=1)
        if not free.any():
            if largest > _CLOUD_FONTS[-1]:
                return words
            continue
        place = int(free.argmax())
        taken = np.concatenate([taken, [[*corners[place], *ends[place]]]])
        (left, top), (width, height) = corners[place].tolist(), size.tolist()
        words.append(Word(label, left, top, width, height, font))
    return words


def measure_text(text: str, font: float) -> float:
    """The width of a text in a usual sans-serif face of this size; scripts of square letters are as wide as high."""
    return font / 1_000 * sum(_LETTERS.get(letter) or (1_000 if ord(letter) >= 0x1100 else 620) for letter in text)


def draw_matrix(together: Together) -> Html:
    """The most frequent labels against each other: the darker, the more of the row's items have the column's label."""
    labels, counts = together.labels, together.counts
    margin, head = 132, 18
    cell = (_WIDTH - margin) / max(1, len(labels))
    several = len({tag.group for tag in labels}) > 1
    parts = []
    for row, tag in enumerate(labels):
        y = head + row * cell
        parts.append(element("text", row + 1, x=margin + (row + 0.5) * cell, y=head - 6, class_="tick"))
        name = _fit(tag.label, margin - 26, 11)
        parts.append(element("text", row + 1, x=14, y=y + cell / 2 + 4, class_="tick end"))
        parts.append(
            element(
                "text",
                element("title", f"{tag.label}{f' ({tag.group})' if several else ''}: {counts[row][row]:,}"),
                name,
                x=20,
                y=y + cell / 2 + 4,
                class_="word",
            )
        )
        for column, other in enumerate(labels):
            share = counts[row][column] / max(1, counts[row][row])
            told = f"{share:.0%} of '{tag.label}' have '{other.label}' ({counts[row][column]:,})"
            parts.append(
                element(
                    "g",
                    row != column and element("title", told),
                    element(
                        "rect",
                        x=margin + column * cell + 0.75,
                        y=y + 0.75,
                        width=cell - 1.5,
                        height=cell - 1.5,
                        class_="self" if row == column else "ink",
                        opacity=None if row == column else f"{0.04 + 0.96 * share:.3f}",
                    ),
                )
            )
    return _draw(head + len(labels) * cell, "How often labels come together", parts, class_="matrix")


def format_share(part: float, whole: float) -> str:
    """A share in percent, with a digit behind the point near both ends: some is never 0 %, not all never 100 %."""
    share = part / whole if whole else 0.0
    if 0 < share < 0.0005:
        return "<0.1 %"
    if 0.9995 <= share < 1:
        return ">99.9 %"
    return f"{100 * share:.1f} %" if 0 < share < 0.0995 or 0.995 <= share < 1 else f"{100 * share:.0f} %"


def shorten_count(count: int) -> str:
    """12,345 -> 12k: for where there is little room."""
    for size, mark in ((1_000_000, "M"), (1_000, "k")):
        if count >= 10 * size:
            return f"{count / size:.0f}{mark}"
        if count >= size and mark == "M":
            return f"{count / size:.1f}{mark}"
    return f"{count:,}"


def _fit(text: str, width: float, font: float) -> str:
    if measure_text(text, font) <= width:
        return text
    while text and measure_text(text + "…", font) > width:
        text = text[:-1]
    return text.rstrip() + "…"


def _draw(height: float, title: str, *parts: object, class_: str = "") -> Html:
    return element(
        "svg",
        *parts,
        viewBox=f"0 0 {_WIDTH} {height:.1f}",
        role="img",
        aria_label=title,
        class_=f"chart {class_}".strip(),
    )
