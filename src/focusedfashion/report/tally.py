"""What is counted of a source while it passes by, once, in little space: no row is kept."""

from __future__ import annotations

import os
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from focusedfashion import settings
from focusedfashion.columns import SPLIT, Column, clean_text, is_empty
from focusedfashion.errors import QueryError
from focusedfashion.items import Failure, Item
from focusedfashion.report.figures import Bin, LabelCount, Predicted, Prices, Trouble
from focusedfashion.report.figures import Column as ColumnFigures

Ints = NDArray[np.int64]

NONE, FILE, URL, EMBEDDED = range(4)  # where an item's picture is

_FACTS = ("title", "brand", "url", "price", "currency")
_MOST_REASONS = 1_000  # different ones of failures that are counted apart
_MOST_CURRENCIES = 50
_EXAMPLES = 8  # ids that a reason is shown with
_ODD = 100  # times the median, or a hundredth of it: a price that is probably wrong


class Reasons:
    """Counts reasons that differ only in numbers and quoted names as one."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._first: dict[str, tuple[str, list[str]]] = {}

    def add(self, reason: str, example: str) -> None:
        kind = re.sub(r"'[^']*'|\"[^\"]*\"|\d+", "#", reason)
        if kind not in self._first and len(self._first) >= _MOST_REASONS:
            kind = "other reasons"
        reason, examples = self._first.setdefault(kind, (reason if kind != "other reasons" else kind, []))
        self._counts[kind] += 1
        if len(examples) < _EXAMPLES:
            examples.append(clean_text(example))

    def total(self) -> int:
        return self._counts.total()

    def list(self) -> tuple[Trouble, ...]:
        """The most frequent first; of reasons that are one, the first one's words."""
        return tuple(
            Trouble(clean_text(self._first[kind][0], 300), count, tuple(self._first[kind][1]))
            for kind, count in self._counts.most_common()
        )


class Tally:
    """The counts so far. Arrays have an entry per item; hashes stand for ids and for pictures' references."""

    def __init__(self, labels: Sequence[str]) -> None:
        self.items = 0
        self.failures = Reasons()
        self.columns: dict[str, Column] = {}
        self.item_keys, self.product_keys, self.picture_keys = array("q"), array("q"), array("q")
        self.places, self.boxed = array("b"), array("b")
        self._wanted = frozenset(labels)
        self._facts = dict.fromkeys(_FACTS, 0)
        self._fact_examples: dict[str, str] = {}
        self._brands = Column("brand")
        self._prices: dict[str, array[float]] = {}
        self._predicted: dict[str, Counter[str]] = defaultdict(Counter)
        self._predicted_items: Counter[str] = Counter()
        self._predicted_scores: dict[str, float] = defaultdict(float)

    def add(self, item: Item) -> None:
        row = self.items
        self.items += 1
        self.item_keys.append(hash(item.item_id))
        self.product_keys.append(hash(item.product_id))
        self.boxed.append(item.box is not None)
        self._add_picture(row, item)
        columns = self.columns
        for name, value in item.columns.items():
            if is_empty(value):
                continue
            column = columns.get(name)
            if column is None:
                if len(columns) >= settings.REPORT_COLUMNS and name not in self._wanted:
                    continue
                column = columns[name] = Column(name, name in self._wanted)
            column.add(row, value)
        self._add_facts(row, item)
        for group, labels in item.attributes.items():
            if labels:
                self._predicted_items[group] += 1
                self._predicted_scores[group] += labels[0].score
                self._predicted[group].update(label.label for label in labels)

    def fail(self, failure: Failure) -> None:
        self.failures.add(failure.reason, failure.item_id)

    def settle(self) -> list[Column]:
        """All has passed -> the label columns. Raises QueryError if one that was asked for is not there."""
        for column in (self._brands, *self.columns.values()):
            column.settle()
        if unknown := sorted(self._wanted - set(self.columns)):
            names = ", ".join(map(repr, self.columns)) or "none"
            raise QueryError(f"no column '{unknown[0]}' to take labels from; there are: {names[:1000]}")
        return [
            column
            for column in self.columns.values()
            if (column.name in self._wanted or not self._wanted) and column.is_label()
        ]

    def splits(self) -> tuple[list[str], Ints]:
        """The names of the splits in order of their size, and each item's index into them; -1 has none."""
        found = np.full(self.items, -1, np.int64)
        column = next((column for name, column in self.columns.items() if name.lower() == SPLIT), None)
        if column is None or not column.ids or len(column.ids) > settings.FEW_NUMBERS:
            return [], found
        names = [clean_text(str(value), 40) for value in column.ids]
        values = np.asarray(column.values, np.int64)
        order = np.argsort(-np.bincount(values, minlength=len(names)), kind="stable")
        found[np.asarray(column.rows, np.int64)] = np.argsort(order)[values]
        return [names[place] for place in order], found

    def list_columns(self, labels: Sequence[Column]) -> tuple[ColumnFigures, ...]:
        """How full each column is: the facts that every item may have, then the source's own."""
        used = {column.name for column in labels}
        facts = [
            ColumnFigures(
                name,
                filled,
                len(self._brands.ids) if name == "brand" and self._brands.ids is not None else None,
                self._fact_examples[name],
                "fact",
            )
            for name, filled in self._facts.items()
            if filled
        ]
        own = [
            ColumnFigures(
                clean_text(column.name),
                column.filled,
                None if column.ids is None or not (column.ids or not column.filled) else len(column.ids),
                column.example,
                "label" if column.name in used else "split" if column.name.lower() == SPLIT else "",
                column.low,
                column.high,
            )
            for column in self.columns.values()
        ]
        return (*facts, *own)

    def list_prices(self) -> tuple[Prices, ...]:
        found = []
        for currency, prices in sorted(self._prices.items(), key=lambda entry: (-len(entry[1]), entry[0])):
            values = np.asarray(prices, np.float64)
            values = values[np.isfinite(values)]
            if not len(values):
                continue
            median = float(np.median(values))
            odd = (values <= 0) | (values > _ODD * median) | (values * _ODD < median)
            least, quarter, three, most = (float(part) for part in np.percentile(values, [0, 25, 75, 100]))
            bins = _make_price_bins(values[~odd])
            found.append(Prices(currency, len(values), least, quarter, median, three, most, int(odd.sum()), bins))
        return tuple(found)

    def list_predicted(self) -> tuple[Predicted, ...]:
        return tuple(
            Predicted(
                clean_text(group),
                self._predicted_items[group],
                round(self._predicted_scores[group] / self._predicted_items[group], 4),
                len(labels),
                tuple(
                    LabelCount(clean_text(label), count) for label, count in labels.most_common(settings.REPORT_LISTED)
                ),
            )
            for group, labels in self._predicted.items()
        )

    def _add_picture(self, row: int, item: Item) -> None:
        picture = item.picture
        if isinstance(picture, Path):
            place, key = FILE, hash(os.fspath(picture))
        elif isinstance(picture, str):
            place, key = URL, hash(picture)
        else:
            place, key = (NONE if picture is None else EMBEDDED), row
        self.places.append(place)
        self.picture_keys.append(key)

    def _add_facts(self, row: int, item: Item) -> None:
        for name in _FACTS:
            value = getattr(item, name)
            if value is not None and value != "":
                self._facts[name] += 1
                if name not in self._fact_examples:
                    self._fact_examples[name] = clean_text(str(value))
        if item.brand:
            self._brands.add(row, item.brand)
        if item.price is not None:
            currency = clean_text(item.currency or "", 20)
            if currency not in self._prices and len(self._prices) >= _MOST_CURRENCIES:
                currency = "others"
            self._prices.setdefault(currency, array("d")).append(item.price)


def _make_price_bins(values: NDArray[np.float64]) -> tuple[Bin, ...]:
    """Twelve bins, in even steps of the logarithm where the prices span more than a factor of 20."""
    if not len(values) or values.min() == values.max():
        return ()
    low, high = float(values.min()), float(values.max())
    edges = np.geomspace(low, high, 13) if high > 20 * low else np.linspace(low, high, 13)
    edges[-1] = np.nextafter(high, np.inf)
    counts, _ = np.histogram(values, edges)
    return tuple(Bin(float(a), float(b), int(n)) for a, b, n in zip(edges, edges[1:], counts, strict=False))
