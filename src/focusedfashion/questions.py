"""What is asked of a catalog, and which answers are right: by labels, by product, after a change.

The rules are those of `evaluation`. Every question becomes a table of figures with one row per query.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from focusedfashion import metrics, settings
from focusedfashion.queries import Rows
from focusedfashion.ranking import count_products, rank_products, score_items

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Vectors = NDArray[np.float32]
Ints = NDArray[np.int64]

_SAME = 1e-6  # of a score; as near to 1 an item is a copy


@dataclass(frozen=True, slots=True)
class Column:
    """A label column: its labels' names, and which each query (q, labels) and each gallery item (n, labels) has."""

    name: str
    labels: tuple[str, ...]
    queries: Bools
    gallery: Bools


@dataclass(frozen=True, slots=True)
class Question:
    """A table of figures: `values` (q, names), NaN where a query does not count; `unmatched` (q,), whether that is
    because nothing in the gallery answers it; `chance` (q,), the precision of products drawn at random."""

    names: tuple[str, ...]
    values: Floats
    unmatched: Bools
    chance: Floats | None = None


def measure_labels(
    asked: Rows, gallery: Rows, starts: Ints, weights: Vectors, columns: Sequence[Column], ks: Sequence[int]
) -> tuple[dict[str, Question], Question | None]:
    """The figures of each label column, and of the same product where any query has one in the gallery."""
    depth, count = ks[-1], len(asked.items)
    relevant = {column.name: np.zeros((count, depth), bool) for column in columns}
    total = {column.name: np.zeros(count, np.int64) for column in columns}
    left = {column.name: np.zeros(count, np.int64) for column in columns}  # products that could be found
    same, same_total = np.zeros((count, depth), bool), np.zeros(count, np.int64)
    known = {column.name: column.gallery.any(axis=1) for column in columns}
    keys = {name: np.packbits(rows).tobytes() for name, rows in known.items()}  # equal where the same rows are known
    holders = {  # per label the rows that have it
        column.name: [np.flatnonzero(column.gallery[:, label]) for label in range(len(column.labels))]
        for column in columns
    }
    own_rows = _find_places(asked, gallery, starts)
    for begin, end in _split(count, len(gallery.items)):
        scores = score_items(asked.vectors[begin:end] * weights, gallery.vectors)
        for place, (itself, _) in enumerate(own_rows[begin:end]):
            scores[place, itself] = -np.inf
        if any(product for _, product in own_rows[begin:end]):
            _, shown = rank_products(scores, starts, depth)
            for place, (_, product) in enumerate(own_rows[begin:end]):
                if product:
                    here = shown[place]
                    same[begin + place] = (here >= product.start) & (here < product.stop)
                    same_total[begin + place] = 1
                    scores[place, product] = -np.inf
        ranked: dict[bytes, tuple[Ints, Bools]] = {}  # columns that all items fill have one ranking
        for column in columns:
            key = keys[column.name]
            if key not in ranked:
                allowed = np.where(known[column.name], scores, np.float32(-np.inf))
                ranked[key] = (rank_products(allowed, starts, depth)[1], allowed > -np.inf)
            shown, there = ranked[key]
            shares = np.zeros((end - begin, len(gallery.items)), bool)
            for place, label in zip(*np.nonzero(column.queries[begin:end]), strict=True):
                shares[place, holders[column.name][label]] = True
            hits = np.take_along_axis(shares, np.maximum(shown, 0), axis=1) & (shown >= 0)
            relevant[column.name][begin:end] = hits
            total[column.name][begin:end] = count_products(shares & there, starts)
            left[column.name][begin:end] = count_products(there, starts)
    found = {}
    for column in columns:
        hits, all_of_them = relevant[column.name], total[column.name]
        values, names = [], []
        for title, measure in (
            ("recall", metrics.recall_at_k),
            ("precision", metrics.precision_at_k),
            ("map", metrics.mean_average_precision_at_k),
        ):
            values += [measure(hits, all_of_them, k) for k in ks]
            names += [f"{title}@{k}" for k in ks]
        chance = np.where(all_of_them > 0, all_of_them / np.maximum(left[column.name], 1), np.nan)
        unmatched = column.queries.any(axis=1) & (all_of_them == 0)
        found[column.name] = Question(tuple(names), np.stack(values, axis=1), unmatched, chance)
    if not same_total.any():
        return found, None
    recalls = np.stack([metrics.recall_at_k(same, same_total, k) for k in ks], axis=1)
    return found, Question(tuple(f"recall@{k}" for k in ks), recalls, np.zeros(count, bool))


def _find_places(asked: Rows, gallery: Rows, starts: Ints) -> list[tuple[list[int], slice | None]]:
    """Per query the gallery's rows that are the query itself; and those of its product, if there are more."""
    by_id = {item.item_id: row for row, item in enumerate(gallery.items)}
    by_hash: dict[str, list[int]] = {}
    for row, digest in enumerate(gallery.hashes):
        by_hash.setdefault(digest, []).append(row)
    ends = np.append(starts[1:], len(gallery.items))
    products = {
        gallery.items[start].product_id: slice(int(start), int(end)) for start, end in zip(starts, ends, strict=True)
    }
    found = []
    for item, digest in zip(asked.items, asked.hashes, strict=True):
        itself = [*by_hash.get(digest, ()), *([by_id[item.item_id]] if item.item_id in by_id else [])]
        product = products.get(item.product_id)
        if product and set(range(product.start, product.stop)) <= set(itself):
            product = None
        found.append((itself, product))
    return found


def measure_change(
    asked: Rows, changed: Vectors, gallery: Rows, starts: Ints, weights: Vectors, ks: Sequence[int]
) -> Question:
    """Whether changed pictures, (q, dim), find the item that they are of, or a copy of it."""
    depth = ks[-1]
    hits = np.zeros((len(changed), depth), bool)
    applies = ~np.isnan(changed[:, 0])
    by_id = {item.item_id: row for row, item in enumerate(gallery.items)}
    product_of = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(gallery.items)))
    own = np.array([product_of[by_id[item.item_id]] for item in asked.items], np.int64)
    for begin, end in _split(len(changed), len(gallery.items)):
        copies = (asked.vectors[begin:end] * weights) @ gallery.vectors.T >= 1 - _SAME
        scores = score_items(np.nan_to_num(changed[begin:end]) * weights, gallery.vectors)
        products, _ = rank_products(scores, starts, depth)
        for place in range(end - begin):
            wanted = np.append(product_of[copies[place]], own[begin + place])
            hits[begin + place] = np.isin(products[place], wanted)
    values = np.stack([metrics.recall_at_k(hits, applies.astype(np.int64), k) for k in ks], axis=1)
    return Question(tuple(f"recall@{k}" for k in ks), values, np.zeros(len(changed), bool))


def _split(queries: int, items: int) -> Iterator[tuple[int, int]]:
    """Ranges of queries whose scores fit in memory."""
    step = max(1, settings.EVALUATION_SCORES // max(1, items))
    for begin in range(0, queries, step):
        yield begin, min(begin + step, queries)
