"""Label columns of items: what each column says of each item, as one flat list of labels.

A label column holds a text, a list of texts, true or false, or a few whole numbers (which are taken as text). Text that
holds a list is taken apart as `columns.py` says.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focusedfashion import settings
from focusedfashion.columns import Column, is_empty
from focusedfashion.errors import QueryError
from focusedfashion.items import Item


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of n items: all columns together make one list of labels, sorted by name.

    With one column a label's name is the value, with several it is "column: value". `columns` has, per name, the
    column that it comes from; `truth` bool (n, labels), whether the item has it; `known` bool (n, number of label
    columns, in the order in which they were asked for), whether the item has any value there.
    """

    names: tuple[str, ...]
    columns: tuple[str, ...]
    truth: NDArray[np.bool_]
    known: NDArray[np.bool_]


def read_values(item: Item, column: str) -> tuple[str, ...]:
    """The item's values in a column as texts, each once; () where it says nothing. `brand` is a column too.

    Lists and JSON lists are taken apart. What parts the labels of a text like `red|blue` shows only in many rows:
    `read_labels` takes such texts apart.
    """
    counted = Column(column, wanted=True)
    cell = _read_cell(item, column)
    if not is_empty(cell):
        counted.add(0, cell)
    counted.settle()
    return tuple(map(str, counted.ids or ()))


def read_labels(items: Sequence[Item], columns: Sequence[str]) -> Labels:
    """The labels of items in these columns, each taken once.

    Raises QueryError where no column is named, where no item has one of them, or where one has more than
    settings.MAX_LABELS different values.
    """
    wanted = list(dict.fromkeys(columns))
    if not wanted:
        raise QueryError("no label column is given: name one that says what the pictures show")
    counted = [_count_column(items, name) for name in wanted]
    # (name, column's number, number of the value in its column): sorted, so that the order of the rows does not matter
    entries = sorted(
        (f"{column.name}: {value}" if len(wanted) > 1 else str(value), number, place)
        for number, column in enumerate(counted)
        for place, value in enumerate(column.ids or ())
    )
    truth = np.zeros((len(items), len(entries)), bool)
    known = np.zeros((len(items), len(wanted)), bool)
    for number, column in enumerate(counted):
        targets = np.zeros(len(column.ids or ()), np.int64)
        for target, (_, owner, place) in enumerate(entries):
            if owner == number:
                targets[place] = target
        rows = np.asarray(column.rows, np.int64)
        truth[rows, targets[np.asarray(column.values, np.int64)]] = True
        known[rows, number] = True
    return Labels(
        tuple(name for name, _, _ in entries), tuple(wanted[number] for _, number, _ in entries), truth, known
    )


def find_label_columns(items: Sequence[Item]) -> list[str]:
    """The items' own columns whose values repeat, by the rule of `columns.py`, in the order in which they come."""
    counted: dict[str, Column] = {}
    for row, item in enumerate(items):
        for name, cell in item.columns.items():
            if is_empty(cell):
                continue
            if name not in counted:
                if len(counted) >= settings.REPORT_COLUMNS:
                    continue
                counted[name] = Column(name)
            counted[name].add(row, cell)
    for column in counted.values():
        column.settle()
    return [name for name, column in counted.items() if column.is_label()]


def _count_column(items: Sequence[Item], name: str) -> Column:
    """The column over all items, settled. Raises QueryError where it holds no labels."""
    column = Column(name, wanted=True)
    for row, item in enumerate(items):
        cell = _read_cell(item, name)
        if not is_empty(cell):
            column.add(row, cell)
    column.settle()
    if not column.filled:
        known = list(dict.fromkeys(other for item in items for other in item.columns))
        near = difflib.get_close_matches(name, known, n=1)
        there = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(known)[:1000] or 'none'}"
        raise QueryError(f"no column '{name}' to take labels from; {there}")
    if column.ids is None or len(column.ids) > settings.MAX_LABELS:
        most = f"{settings.MAX_LABELS:,}"
        raise QueryError(f"column '{name}' has more than {most} different values: name one that holds labels")
    if not column.ids:
        raise QueryError(f"column '{name}' holds nothing that could be a label: name another one")
    return column


def _read_cell(item: Item, column: str) -> Any:
    cell = item.columns.get(column)
    return item.brand if cell is None and column == "brand" else cell
