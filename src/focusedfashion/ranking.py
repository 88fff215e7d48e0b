"""Exact ranking in memory, for evaluation: figures must not depend on an index."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


def order_products(item_ids: Sequence[str], product_ids: Sequence[str]) -> tuple[Ints, Ints]:
    """Items -> the order in which ties are broken (n,), and where each product starts in it (products,).

    Products stand in the order of their first item's id, their items together, ordered by id.
    """
    by_id = sorted(range(len(item_ids)), key=lambda row: item_ids[row])
    numbers: dict[str, int] = {}
    for row in by_id:
        numbers.setdefault(product_ids[row], len(numbers))
    owners = np.array([numbers[product_ids[row]] for row in by_id], np.int64)
    order = np.argsort(owners, kind="stable")
    _, starts = np.unique(owners[order], return_index=True)
    return np.asarray(by_id, np.int64)[order], starts.astype(np.int64)


def score_items(queries: Floats, gallery: Floats) -> Floats:
    """Scaled queries (q, dim) and a gallery (n, dim), float32 -> dot products (q, n), to 6 digits.

    To 6 digits, so that copies of a picture tie whatever the order in which their sums were taken.
    """
    scores: Floats = queries @ gallery.T
    return np.round(scores, 6, out=scores)


def rank_products(scores: Floats, starts: Ints, depth: int) -> tuple[Ints, Ints]:
    """The first `depth` products of each query, and the item that each is shown by: both int64 (q, depth).

    `scores` float32 (q, n), -inf for items that are left out; `starts` says where each product's items start. A
    product is shown by its closest item; of equal products and items the first comes first. -1 where none is left.
    """
    count, single = len(starts), len(starts) == scores.shape[1]
    best = scores if single else np.maximum.reduceat(scores, starts, axis=1)
    found = np.full((2, len(scores), depth), -1, np.int64)
    if not count:
        return found[0], found[1]
    ends = np.append(starts[1:], scores.shape[1])
    least = np.partition(best, count - min(depth, count), axis=1)[:, count - min(depth, count)]
    for query, row in enumerate(best):
        candidates = np.flatnonzero((row >= least[query]) & (row > -np.inf))
        chosen = candidates[np.argsort(-row[candidates], kind="stable")[:depth]]
        found[0, query, : len(chosen)] = chosen
        found[1, query, : len(chosen)] = (
            chosen
            if single
            else [starts[place] + scores[query, starts[place] : ends[place]].argmax() for place in chosen]
        )
    return found[0], found[1]


def count_products(items: Bools, starts: Ints) -> Ints:
    """bool (q, n) -> of how many products at least one item is marked, (q,)."""
    marked = items if len(starts) == items.shape[1] else np.logical_or.reduceat(items, starts, axis=1)
    counts: Ints = np.count_nonzero(marked, axis=1).astype(np.int64)
    return counts
