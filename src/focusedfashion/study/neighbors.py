"""The nearest gallery rows of each test row, exactly, and what share of them is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from focusedfashion.labels import Labels
from focusedfashion.metrics import mean_average_precision_at_k, precision_at_k, recall_at_k

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

_GALLERY = 8_192  # rows that are multiplied at once
_QUERIES = 1_024
_DIGITS = 6  # of a score; equal ones are in the order of the rows, whatever the order in which sums were taken


def find_nearest(queries: Floats, gallery: Floats, k: int) -> tuple[Ints, NDArray[np.float64]]:
    """The k rows of `gallery` float32 (n, dim) with the largest dot product with each query -> rows, scores (m, k).

    Best first; of equal scores (to six digits) the earlier row. Fewer than k columns where the gallery has fewer rows.
    `gallery` may be a memory map: it is read a piece at a time.
    """
    k = min(k, len(gallery))
    rows = np.zeros((len(queries), k), np.int64)
    scores = np.full((len(queries), k), -np.inf)
    for begin in range(0, len(queries), _QUERIES):
        some = np.asarray(queries[begin : begin + _QUERIES], np.float32)
        best_rows = np.zeros((len(some), 0), np.int64)
        best = np.zeros((len(some), 0))
        for start in range(0, len(gallery), _GALLERY):
            products = some @ np.asarray(gallery[start : start + _GALLERY], np.float32).T
            found: NDArray[np.float64] = products.astype(np.float64).round(_DIGITS)
            taken = _choose(found, min(k, found.shape[1]))
            best_rows = np.concatenate([best_rows, taken + start], axis=1)
            best = np.concatenate([best, np.take_along_axis(found, taken, axis=1)], axis=1)
            order = np.lexsort((best_rows, -best), axis=1)[:, :k]
            best_rows, best = np.take_along_axis(best_rows, order, axis=1), np.take_along_axis(best, order, axis=1)
        rows[begin : begin + len(some)], scores[begin : begin + len(some)] = best_rows, best
    return rows, scores


def _choose(scores: NDArray[np.float64], k: int) -> Ints:
    """The places of the k largest of each row (m, n), best first, the earlier of equal ones: (m, k)."""
    kth = np.partition(scores, scores.shape[1] - k, axis=1)[:, scores.shape[1] - k]
    rows, places = np.nonzero(scores >= kth[:, None])  # k of each row, or more where some are equal
    order = np.lexsort((places, -scores[rows, places], rows))
    rows, places = rows[order], places[order]
    rank = np.arange(len(rows)) - np.searchsorted(rows, np.arange(len(scores)))[rows]
    return places[rank < k].reshape(len(scores), k)


def score_neighbors(
    nearest: Ints, queries: Labels, gallery: Labels, columns: Sequence[str], k: int
) -> tuple[Mapping[str, NDArray[np.float64]], NDArray[np.float64], NDArray[np.float64]]:
    """Rows of the gallery (m, k) -> per column (m, 4), over all labels (m,), per label (labels,).

    `columns` are the label columns in the order of `known`.

    The four are precision, recall, average precision at k and the mean overlap of values (Jaccard); NaN of a query that
    has no value in the column, or for which no gallery row is relevant (an overlap only needs a value). Over all labels
    it is their overlap. Per label it is the share of the k nearest that have it, over the queries that have it.
    """
    found: dict[str, NDArray[np.float64]] = {}
    for number, column in enumerate(columns):
        mine = np.array([owner == column for owner in queries.columns])
        truth, there = queries.truth[:, mine], gallery.truth[:, mine]
        relevant = np.stack([(truth & there[nearest[:, rank]]).any(axis=1) for rank in range(nearest.shape[1])], axis=1)
        total = _count_relevant(truth, there)
        total[~queries.known[:, number]] = 0
        found[column] = np.stack(
            [
                precision_at_k(relevant, total, k),
                recall_at_k(relevant, total, k),
                mean_average_precision_at_k(relevant, total, k),
                _measure_overlap(truth, there, nearest),
            ],
            axis=1,
        )
    has = np.zeros(queries.truth.shape[1])
    for rank in range(nearest.shape[1]):
        has += (queries.truth & gallery.truth[nearest[:, rank]]).sum(axis=0)
    support = queries.truth.sum(axis=0) * max(1, nearest.shape[1])
    shares = np.divide(has, support, out=np.full(len(has), np.nan), where=support > 0)
    return found, _measure_overlap(queries.truth, gallery.truth, nearest), shares


def vote(nearest: Ints, gallery: Labels) -> NDArray[np.float32]:
    """The share of the nearest rows (m, k) that have each label, float32 (m, labels)."""
    votes = np.zeros((len(nearest), gallery.truth.shape[1]), np.float32)
    for rank in range(nearest.shape[1]):
        votes += gallery.truth[nearest[:, rank]]
    votes /= max(1, nearest.shape[1])
    return votes


def _measure_overlap(truth: NDArray[np.bool_], there: NDArray[np.bool_], nearest: Ints) -> NDArray[np.float64]:
    """The mean Jaccard index of each query's values with those of its nearest, (m,); NaN of a query without a value."""
    overlap = np.zeros(len(truth))
    for rank in range(nearest.shape[1]):
        other = there[nearest[:, rank]]
        overlap += (truth & other).sum(axis=1) / np.maximum(1, (truth | other).sum(axis=1))
    overlap /= max(1, nearest.shape[1])
    overlap[~truth.any(axis=1)] = np.nan
    return overlap


def _count_relevant(truth: NDArray[np.bool_], there: NDArray[np.bool_]) -> Ints:
    """How many gallery rows share a value with each query, (m,)."""
    wide = there.T.astype(np.float32)
    counts = [
        ((truth[start : start + _QUERIES].astype(np.float32) @ wide) > 0).sum(axis=1)
        for start in range(0, len(truth), _QUERIES)
    ]
    return np.concatenate(counts).astype(np.int64) if counts else np.zeros(0, np.int64)
