"""A column of a source, counted in little space while it passes by, and the rule that says which columns are labels.

A column holds labels if its values repeat: text, true/false or lists of text, with at least two different values and
at most MAX_LABELS, each used twice on the average (five times where there are more than 50), and LABEL_LENGTH
characters long on the average at most. Numbers are labels only if they are whole and few (FEW_NUMBERS), or if the
column is called a label, class, category, tag or attribute. Columns that are called ids, URLs, files, titles, free
text, times, prices or measures hold none. Text that holds lists is taken apart: JSON, or parted by `|`, `;` or `,`.
The column `split` says which split an item is of.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from focusedfashion import settings

SPLIT = "split"

_LONG = 4_000  # characters of a cell; longer ones hold polygons or articles, and a sample of them would be large
_SHOWN = 100  # characters of a label in the report
_NUMBERS = (int, float)

# After camelCase became snake_case.
_NEVER = re.compile(
    r"(?:.*_)?(?:ids?|uuid|guid|sku|gtin\d*|ean\d*|upc|isbn|mpn|asin|urls?|uri|links?|href|paths?|files?|filename|"
    r"images?|pictures?|photos?|masks?|titles?|handle|slug|description|summary|text|caption|comments?|body|html|"
    r"date|time|timestamp|created|updated|at|hash|md5|sha\d*|box|bbox|landmarks?|segmentation|polygons?|"
    r"price|cost|amount|width|height|area|weight|email)|(?:product_|item_|display_|product_display_|file_)?name"
)
_ALWAYS = re.compile(r"(?:.*_)?(?:label|class|category|tag|attribute)(?:e?s)?(?:_(?:ids?|names?))?|.*categories")


class Column:
    """One column: how many cells are filled, and their different values as (row, value) pairs while they are few."""

    def __init__(self, name: str, wanted: bool = False) -> None:
        self.name = name
        self.wanted = wanted
        self.filled = 0
        self.several = False
        self.low: float | None = None
        self.high: float | None = None
        self.example = ""
        self.ids: dict[Any, int] | None = {}  # None: too many different values
        self.rows, self.values = array("i"), array("i")
        self._sample: list[tuple[int, Any]] | None = []
        self._read: Callable[[Any], Iterable[Any]] | None = None
        snake = re.sub(r"\W+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)).lower()
        self._called_label = wanted or bool(_ALWAYS.fullmatch(snake))
        self._called_other = not self._called_label and bool(_NEVER.fullmatch(snake))

    def add(self, row: int, value: Any) -> None:
        """The cell of row `row`, from 0; rows come in order. Empty ones are not to be given."""
        self.filled += 1
        if self._sample is None:
            if self._read is not None:
                self._take(row, self._read(value))
            return
        if isinstance(value, str) and len(value) > _LONG:
            return
        self._sample.append((row, value))
        if len(self._sample) == settings.REPORT_CELLS:
            self.settle()

    def settle(self) -> None:
        """Says how cells are to be read, by those so far; called once more when all have passed."""
        if self._sample is None:
            return
        sample, self._sample = self._sample, None
        self._read = self._choose([value for _, value in sample])
        if sample:
            self.example = clean_text(str(sample[0][1]))
        for row, value in sample:
            if self._read is not None:
                self._take(row, self._read(value))

    def is_label(self) -> bool:
        """Whether the column holds labels, by the rule above."""
        if self.ids is None or self._read is None or self._called_other or self.name.lower() == SPLIT:
            return False
        distinct, uses = len(self.ids), len(self.values)
        if self.wanted:
            return distinct > 0
        if not 2 <= distinct <= settings.MAX_LABELS:
            return False
        kinds = {type(value) for value in self.ids}
        if kinds & set(_NUMBERS) and not self._called_label:
            if float in kinds or distinct > settings.FEW_NUMBERS or uses < 5 * distinct:
                return False
        elif uses < (5 if distinct > 50 else 2) * distinct:
            return False
        length = sum(len(str(value)) for value in self.ids) / distinct
        return length <= settings.LABEL_LENGTH and not any(
            "://" in value for value in islice(self.ids, 10) if isinstance(value, str)
        )

    def _take(self, row: int, values: Iterable[Any]) -> None:
        ids = self.ids
        if ids is None:
            return
        for value in values:
            number = ids.get(value)
            if number is None:
                if len(ids) >= settings.REPORT_VALUES:
                    self.ids = None
                    self.rows, self.values = array("i"), array("i")
                    return
                number = ids[value] = len(ids)
            self.rows.append(row)
            self.values.append(number)

    def _choose(self, sample: list[Any]) -> Callable[[Any], Iterable[Any]] | None:
        """How a cell of this column becomes values; None where it has none that could be labels."""
        lists = [value for value in sample if isinstance(value, (list, tuple))]
        texts = [value for value in sample if isinstance(value, str)]
        if not sample:
            return None
        if 2 * len(lists) > len(sample):
            return self._choose_list([value for cell in lists for value in cell], _read_list)
        if 2 * len(texts) > len(sample):
            parsed = [cell for text in texts if (cell := _read_json(text))]
            if 2 * len(parsed) > len(texts):
                return self._choose_list([value for cell in parsed for value in cell], _read_json)
            if sum(text[:1] == "{" for text in texts) * 2 > len(texts):
                return None
            if not self._called_other and (mark := _find_mark(texts)):
                self.several = True
                return lambda cell: dict.fromkeys(part for part in map(str.strip, str(cell).split(mark)) if part)
            return _read_text
        if any(isinstance(value, dict) for value in sample):
            return None
        return self._read_scalar

    def _choose_list(
        self, values: list[Any], read: Callable[[Any], Iterable[Any]]
    ) -> Callable[[Any], Iterable[Any]] | None:
        """Lists of numbers are landmarks and boxes, unless the column is called otherwise."""
        if not self._called_label and any(isinstance(value, _NUMBERS) for value in values):
            return None
        self.several = True
        return read

    def _read_scalar(self, cell: Any) -> Iterable[Any]:
        if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
            cell = int(cell)  # a missing cell makes floats of a column's whole numbers
        if isinstance(cell, bool):
            return (str(cell),)
        if isinstance(cell, _NUMBERS):
            self.low = cell if self.low is None else min(self.low, cell)
            self.high = cell if self.high is None else max(self.high, cell)
        elif isinstance(cell, (list, tuple, dict)):
            return ()
        return (cell if isinstance(cell, _NUMBERS) else str(cell)[:_LONG],)


def is_empty(cell: Any) -> bool:
    """Whether a cell says nothing: None, "", NaN, or nothing in a list."""
    return cell is None or cell == "" or cell != cell or (type(cell) in (list, tuple, dict) and not cell)


def clean_text(text: str, length: int = _SHOWN) -> str:
    """One line of printable text, cut at `length` characters."""
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in text[: 4 * length]).split())
    return text if len(text) <= length else text[: length - 1] + "…"


def _read_text(cell: Any) -> Iterable[Any]:
    text = cell if type(cell) is str else str(cell)
    return (text,) if len(text) <= _LONG else ()


def _read_list(cell: Any) -> Iterable[Any]:
    if not isinstance(cell, (list, tuple)):
        return _read_text(cell)
    if len(cell) == 1 and type(cell[0]) is str:
        return cell
    return dict.fromkeys(value if type(value) is str else str(value) for value in cell if value is not None)


def _read_json(cell: Any) -> Iterable[Any]:
    """The values of a JSON list of scalars; nothing where it is none."""
    if not isinstance(cell, str) or cell[:1] != "[" or len(cell) > _LONG:
        return ()
    try:
        values = json.loads(cell)
    except (ValueError, RecursionError):
        return ()
    if any(isinstance(value, (list, dict)) for value in values):
        return ()
    return dict.fromkeys(
        value if isinstance(value, (str, *_NUMBERS)) else str(value) for value in values if value not in (None, "")
    )


def _find_mark(texts: list[str]) -> str | None:
    """What parts the labels of a cell, if its cells are lists of labels."""
    for mark, share in (("|", 0.05), (";", 0.05), (",", 0.2)):
        if sum(mark in text for text in texts) < share * len(texts) or len(texts) < 2:
            continue
        parts = [part.strip() for text in texts for part in text.split(mark)]
        distinct = {part for part in parts if part}
        words = sum(len(part.split()) for part in distinct) / max(1, len(distinct))
        # Taken apart they repeat, and none is a sentence. A comma may stand in a label: lists have many of them.
        if not distinct or words > 3 or 2 * len(distinct) > len(parts):
            continue
        if mark != "," or len(distinct) < len(set(texts)):
            return mark
    return None
