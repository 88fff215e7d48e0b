"""Figures of labels: how often, how even, in which split, how many per item, which together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focusedfashion import settings
from focusedfashion.columns import Column, clean_text
from focusedfashion.metrics import effective_number
from focusedfashion.report.figures import (
    Contradiction,
    Gap,
    Group,
    Hierarchy,
    LabelCount,
    LabelsPerItem,
    Pair,
    Tag,
    Together,
)

Ints = NDArray[np.int64]

# Labels that name nothing, in small letters.
_VAGUE = re.compile(
    r"others?|misc|miscellaneous|unknown|undefined|none|null|nan|n/?a|not sure|unsure|not applicable|skip|"
    r"(?:un|not )specified|-+|\?+|tbd|default|uncategori[sz]ed"
)

_PAIRED = 1_000  # most frequent labels whose pairs are counted
_CROWD = 64  # labels of one item; the pairs of items that have more would outweigh all others
_TOGETHER = 5  # items that a pair must have to be called more frequent than chance
_EXPECTED = 20  # items that chance must give a pair for its absence to say something
_PAIRS_LISTED = 8
_MATRIX = 12  # labels of the small matrix
_HIERARCHY_GROUPS = 12  # fullest groups of one label per item that are compared with each other
_HIERARCHY_CELLS = 4_000_000  # of two groups' cross table
_GAP_LISTED = 50


@dataclass(frozen=True, slots=True)
class LabelTable:
    """All labels of all items: those of item i are `ids[starts[i]:starts[i + 1]]`, indexes into `tags`.

    `groups` are the label columns, `firsts` where the tags of each begin (and where the last end); `several` says of
    each whether an item can have more than one of its labels.
    """

    groups: tuple[str, ...]
    several: tuple[bool, ...]
    firsts: tuple[int, ...]
    tags: tuple[Tag, ...]
    ids: NDArray[np.int32]
    starts: Ints

    @property
    def items(self) -> int:
        return len(self.starts) - 1

    @property
    def rows(self) -> Ints:
        """The item of each entry of `ids`."""
        return np.repeat(np.arange(self.items), np.diff(self.starts))

    def group_of(self, ids: NDArray[Any]) -> Ints:
        return np.searchsorted(np.asarray(self.firsts), ids, side="right") - 1

    def labels_of(self, item: int) -> dict[str, frozenset[str]]:
        """The labels of one item by group."""
        found: dict[str, set[str]] = {}
        for number in self.ids[self.starts[item] : self.starts[item + 1]]:
            tag = self.tags[number]
            found.setdefault(tag.group, set()).add(tag.label)
        return {group: frozenset(labels) for group, labels in found.items()}


def make_table(columns: Sequence[Column], items: int) -> LabelTable:
    """The label columns as one table."""
    tags: list[Tag] = []
    firsts, several = [0], []
    rows, ids = [np.zeros(0, np.int32)], [np.zeros(0, np.int32)]
    for column in columns:
        group = clean_text(column.name)
        texts = [clean_text(str(value)) for value in column.ids or ()]
        numbers = {text: number for number, text in enumerate(dict.fromkeys(text for text in texts if text))}
        # Values that are one label when they are trimmed; -1 is none at all.
        merged = np.array([numbers.get(text, -1) for text in texts], np.int32)[np.asarray(column.values)]
        row = np.asarray(column.rows, np.int32)[merged >= 0]
        merged = merged[merged >= 0]
        if len(numbers) < len(texts):
            entries = np.unique(row.astype(np.int64) * len(numbers) + merged)
            row, merged = (entries // len(numbers)).astype(np.int32), (entries % len(numbers)).astype(np.int32)
        tags += [Tag(group, text) for text in numbers]
        rows.append(row)
        ids.append(merged + np.int32(firsts[-1]))
        firsts.append(len(tags))
        several.append(bool(len(row) > 1 and (row[1:] == row[:-1]).any()))
    all_rows = np.concatenate(rows)
    order = np.argsort(all_rows, kind="stable")
    starts = np.zeros(items + 1, np.int64)
    np.cumsum(np.bincount(all_rows, minlength=items), out=starts[1:])
    names = tuple(clean_text(column.name) for column in columns)
    return LabelTable(names, tuple(several), tuple(firsts), tuple(tags), np.concatenate(ids)[order], starts)


def count_labels(table: LabelTable, splits: Sequence[str], split_of: Ints) -> tuple[Group, ...]:
    """The figures of each group; `split_of` is each item's index into `splits`, -1 for none."""
    rows = table.rows
    width = len(table.tags)
    counts = np.bincount(table.ids, minlength=width)
    by_split = np.bincount((split_of[rows] + 1) * width + table.ids, minlength=(len(splits) + 1) * width)
    by_split = by_split.reshape(len(splits) + 1, width)[1:].T  # (tags, splits)
    found = []
    for group, several, first, end in zip(table.groups, table.several, table.firsts, table.firsts[1:], strict=False):
        inside = (table.ids >= first) & (table.ids < end)
        order = first + np.argsort(-counts[first:end], kind="stable")
        labels = [
            LabelCount(table.tags[number].label, int(counts[number]), tuple(int(part) for part in by_split[number]))
            for number in order
        ]
        found.append(_describe_group(group, several, len(np.unique(rows[inside])), labels, splits))
    return tuple(found)


def _describe_group(name: str, several: bool, items: int, labels: list[LabelCount], splits: Sequence[str]) -> Group:
    counts = np.array([label.items for label in labels], np.int64)
    uses = int(counts.sum())
    covered = np.cumsum(counts)
    spellings: dict[str, list[str]] = {}
    for label in labels:
        spellings.setdefault(re.sub(r"[\W_]+", "", label.label).casefold(), []).append(label.label)
    return Group(
        name=name,
        several=several,
        items=items,
        uses=uses,
        distinct=len(labels),
        effective=round(effective_number(counts), 2),
        half=int(np.searchsorted(covered, uses / 2)) + 1 if uses else 0,
        head=round(float(counts[: max(1, -(-len(counts) // 10))].sum()) / max(1, uses), 4),
        rare=int((counts < settings.RARE_LABEL).sum()),
        labels=tuple(labels[: settings.REPORT_LISTED]),
        vague=tuple(label for label in labels if _VAGUE.fullmatch(label.label.casefold())),
        spellings=tuple(tuple(ways) for key, ways in spellings.items() if key and len(ways) > 1),
        gaps=tuple(_find_gaps(labels, splits)),
    )


def _find_gaps(labels: Sequence[LabelCount], splits: Sequence[str]) -> Iterator[Gap]:
    """What splits lack of each other; one without any label of the group (a test without answers) says nothing."""
    told = [place for place in range(len(splits)) if any(label.splits[place] > 0 for label in labels)]
    if len(told) < 2:
        return
    for place in told:
        missing = [label for label in labels if not label.splits[place] and sum(label.splits) > 0]
        only = [label for label in labels if label.splits[place] and label.splits[place] == sum(label.splits)]
        if missing or only:
            yield Gap(splits[place], len(missing), tuple(missing[:_GAP_LISTED]), len(only), tuple(only[:_GAP_LISTED]))


def count_per_item(table: LabelTable) -> LabelsPerItem:
    counts = np.diff(table.starts)
    if not len(counts):
        return LabelsPerItem(0.0, 0, 0, {})
    values, items = np.unique(counts, return_counts=True)
    histogram = {int(value): int(count) for value, count in zip(values, items, strict=True)}
    return LabelsPerItem(round(float(counts.mean()), 3), int(counts.max()), int(counts.min()), histogram)


def count_pairs(table: LabelTable, numbers: Ints) -> NDArray[np.int64]:
    """Tags (n,) -> (n, n): how many items have both; the diagonal is how many have the tag.

    Items with more than 64 of the tags are passed over, but for the diagonal.
    """
    n = len(numbers)
    place = np.full(len(table.tags), -1, np.int64)
    place[numbers] = np.arange(n)
    ids = place[table.ids]
    rows = table.rows[ids >= 0]
    ids = ids[ids >= 0]
    per_row = np.bincount(rows, minlength=table.items)
    starts = np.concatenate([[0], np.cumsum(per_row)])
    pairs = np.zeros(n * n, np.int64)
    for count in range(2, min(_CROWD, int(per_row.max(initial=0))) + 1):
        first, second = np.triu_indices(count, 1)
        chosen = starts[:-1][per_row == count]
        step = max(1, 2_000_000 // len(first))
        for begin in range(0, len(chosen), step):
            members = ids[chosen[begin : begin + step, None] + np.arange(count)]
            pairs += np.bincount((members[:, first] * n + members[:, second]).ravel(), minlength=n * n)
    both = pairs.reshape(n, n)
    both = both + both.T
    np.fill_diagonal(both, np.bincount(ids, minlength=n))
    return both


def find_together(table: LabelTable) -> Together:
    """Which labels come together.

    The lift of a pair is how many items have both, over what chance would give among the items with labels. Pairs are
    ordered by a cautious lift, two standard errors (of a Poisson count) nearer to chance, so that small numbers do
    not win. Pairs of groups of which one follows from the other are left out: they say only that.
    """
    hierarchies, bound = _find_hierarchies(table)
    counts = np.bincount(table.ids, minlength=len(table.tags))
    numbers = np.argsort(-counts, kind="stable")[:_PAIRED]
    both = count_pairs(table, numbers)
    labelled = int((np.diff(table.starts) > 0).sum())
    alone = np.diagonal(both).astype(np.float64)
    expected = np.outer(alone, alone) / max(1, labelled)
    groups = table.group_of(numbers)
    free = np.triu(np.ones(both.shape, bool), 1) & ~bound[groups[:, None], groups[None, :]]
    # Two labels of a group with one label per item cannot meet; that they do not is no news.
    apart = np.array([not several for several in table.several], bool)[groups]
    free &= ~((groups[:, None] == groups[None, :]) & apart[:, None])
    with np.errstate(divide="ignore", invalid="ignore"):
        low = (both - 2 * np.sqrt(both)) / expected
        high = (both + 2 * np.sqrt(both + 1.0)) / expected
        union = alone[:, None] + alone[None, :] - both
        same = both / union

    def list_pairs(chosen: NDArray[np.bool_], order: NDArray[Any]) -> tuple[Pair, ...]:
        first, second = np.nonzero(free & chosen)
        found: dict[frozenset[str], Pair] = {}
        for place in np.argsort(order[first, second], kind="stable"):
            a, b = first[place], second[place]
            one, other = table.tags[numbers[a]], table.tags[numbers[b]]
            lift = round(float(both[a, b] / expected[a, b]), 3)
            pair = Pair(one, other, int(both[a, b]), round(float(expected[a, b]), 2), lift)
            # Two columns may have a label of one name, with much the same items.
            found.setdefault(frozenset((one.label, other.label)), pair)
            if len(found) == _PAIRS_LISTED:
                break
        return tuple(found.values())

    top = slice(0, _MATRIX)
    return Together(
        labels=tuple(table.tags[number] for number in numbers[top]),
        counts=tuple(tuple(int(count) for count in row) for row in both[top, top]),
        frequent=list_pairs(both > 0, -both),
        attracted=list_pairs((both >= _TOGETHER) & (low > 1), -low),
        avoided=list_pairs((expected >= _EXPECTED) & (high < 1), high),
        inseparable=list_pairs((same >= 0.95) & (both >= 2 * settings.RARE_LABEL) & (both >= 2 * expected), -both),
        hierarchies=hierarchies,
    )


def _find_hierarchies(table: LabelTable) -> tuple[tuple[Hierarchy, ...], NDArray[np.bool_]]:
    """Groups of which one follows from the other, and a table (groups, groups) of which pairs these are.

    A group follows from another if knowing the other's label takes away nine tenths of the errors of a guess at it:
    Goodman and Kruskal's lambda (1954) of 0.9.
    """
    bound = np.zeros((len(table.groups), len(table.groups)), bool)
    rows = table.rows
    groups = table.group_of(table.ids)
    sizes = np.bincount(groups, minlength=len(table.groups))
    single = [place for place in np.argsort(-sizes, kind="stable") if not table.several[place] and sizes[place]]
    values: dict[int, Ints] = {}
    for place in single[:_HIERARCHY_GROUPS]:
        values[place] = np.full(table.items, -1, np.int64)
        values[place][rows[groups == place]] = table.ids[groups == place] - table.firsts[place]
    found = []
    for one, other in combinations(values, 2):
        narrow, broad = sorted((one, other), key=lambda place: (-_width(table, place), place))
        if _width(table, narrow) * _width(table, broad) > _HIERARCHY_CELLS:
            continue
        given = (values[narrow] >= 0) & (values[broad] >= 0)
        cells = values[narrow][given] * _width(table, broad) + values[broad][given]
        cross = np.bincount(cells, minlength=_width(table, narrow) * _width(table, broad))
        cross = cross.reshape(_width(table, narrow), _width(table, broad))
        if hierarchy := _judge(table, narrow, broad, cross):
            found.append(hierarchy)
            bound[narrow, broad] = bound[broad, narrow] = True
    return tuple(found), bound


def _judge(table: LabelTable, narrow: int, broad: int, cross: Ints) -> Hierarchy | None:
    common = cross.sum(axis=1) >= settings.RARE_LABEL // 2  # a label used once always follows
    cross = np.where(common[:, None], cross, 0)
    items, best = int(cross.sum()), int(cross.max(axis=1).sum())
    blind = int(cross.sum(axis=0).max(initial=0))
    if items < 50 or items == blind or best - blind < 0.9 * (items - blind):
        return None
    usual = cross.argmax(axis=1)
    odd = cross.copy()
    odd[np.arange(len(odd)), usual] = 0
    narrow_tags, broad_tags = (table.tags[table.firsts[place] : table.firsts[place + 1]] for place in (narrow, broad))
    examples = [
        Contradiction(
            narrow_tags[cell // odd.shape[1]].label,
            broad_tags[cell % odd.shape[1]].label,
            broad_tags[usual[cell // odd.shape[1]]].label,
            int(odd.ravel()[cell]),
        )
        for cell in np.argsort(-odd.ravel(), kind="stable")[:_PAIRS_LISTED]
        if odd.ravel()[cell]
    ]
    return Hierarchy(table.groups[narrow], table.groups[broad], items, items - best, tuple(examples))


def _width(table: LabelTable, group: int) -> int:
    return table.firsts[group + 1] - table.firsts[group]
