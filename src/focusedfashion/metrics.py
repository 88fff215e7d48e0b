"""Figures of merit and how sure they are: labels, ranked lists, calibration, bootstrap. NumPy alone.

A figure that is a mean over rows or queries comes as its values, one per row, NaN where a row does not count:
`np.nanmean` of them is the figure, and `bootstrap_means` says how sure it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_DRAWS = 2**23  # weights of resampled rows that are held at once; 32 MB

# Labels


@dataclass(frozen=True, slots=True)
class LabelScores:
    """How well labels are predicted. Arrays have one entry per label.

    `precision` is NaN of a label that is never predicted, `recall` of one that never occurs, `f1` of one that neither
    occurs nor is predicted. `support` is in how many rows it occurs. `f1_micro` counts all cells of the table as one
    label's; `f1_macro` is the mean of the F1 of the labels that occur (support above 0), so that everything that is
    measured on the same rows is averaged over the same labels; NaN where there is nothing to count.
    """

    precision: Floats
    recall: Floats
    f1: Floats
    support: Ints
    f1_micro: float
    f1_macro: float


def score_labels(truth: Bools, prediction: Bools) -> LabelScores:
    """What is and what is predicted, both bool (n, labels) -> scores per label and their averages.

    F1 = 2 TP / (2 TP + FP + FN), the harmonic mean of precision and recall (van Rijsbergen, "Information Retrieval",
    1979).
    """
    hits = (truth & prediction).sum(axis=0)
    support, predicted = truth.sum(axis=0), prediction.sum(axis=0)
    f1 = _divide(2 * hits, support + predicted)
    return LabelScores(
        _divide(hits, predicted),
        _divide(hits, support),
        f1,
        support.astype(np.int64),
        float(_divide(2 * hits.sum(), support.sum() + predicted.sum())),
        float(f1[support > 0].mean()) if support.any() else float("nan"),
    )


def f1_by_batch(truth: Bools, prediction: Bools, size: int = 64) -> Floats:
    """The micro-averaged F1 of each `size` rows, (n, labels) -> (batches,); the last batch may be smaller.

    NaN where a batch has no label and none is predicted.
    """
    starts = np.arange(0, len(truth), size)
    if not len(starts):
        return np.zeros(0)
    hits = np.add.reduceat((truth & prediction).sum(axis=1), starts)
    return _divide(2 * hits, np.add.reduceat(truth.sum(axis=1) + prediction.sum(axis=1), starts))


def average_precision(truth: Bools, scores: NDArray[np.floating]) -> Floats:
    """The area under each label's precision-recall steps: truth bool and scores (n, labels) -> (labels,).

    AP = sum over thresholds of (R_i - R_(i-1)) P_i, without interpolation; rows of equal score enter together. NaN of
    a label that never occurs: `np.nanmean` of the result is the mAP.
    """
    found = np.full(truth.shape[1], np.nan)
    for label in np.flatnonzero(truth.any(axis=0)):
        order = np.argsort(-scores[:, label], kind="stable")
        ranked = scores[order, label]
        last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)  # of those that are equal
        hits = truth[order, label].cumsum()[last]
        found[label] = (np.diff(hits, prepend=0) / hits[-1] * hits / (last + 1)).sum()
    return found


def top_k_accuracy(truth: Bools, scores: NDArray[np.floating], k: int) -> Floats:
    """Whether one of a row's labels is among its k highest scores: (n, labels) -> 0 or 1, (n,); NaN without a label.

    Of equal scores the earlier label comes first.
    """
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.where(truth.any(axis=1), np.take_along_axis(truth, best, axis=1).any(axis=1), np.nan)


# Ranked lists
#
# `relevant` is bool (queries, depth): whether the result at each rank is relevant, the best first. Ranks decide, never
# scores: a cosine may be negative. `total` is int (queries,): how many relevant items there are to be found. A query
# for which there are none does not count: NaN.


def recall_at_k(relevant: Bools, total: Ints, k: int) -> Floats:
    """1 for a query with at least one relevant item in the first k, else 0 -> (queries,).

    The R@k of metric learning (Song et al., "Deep Metric Learning via Lifted Structured Feature Embedding", 2016).
    """
    return np.where(total > 0, relevant[:, :k].any(axis=1), np.nan)


def precision_at_k(relevant: Bools, total: Ints, k: int) -> Floats:
    """The share of relevant items in the first k -> (queries,). What a list is short of k counts as not relevant."""
    return np.where(total > 0, relevant[:, :k].sum(axis=1) / k, np.nan)


def mean_average_precision_at_k(relevant: Bools, total: Ints, k: int) -> Floats:
    """Each query's average precision in the first k -> (queries,); their mean is the MAP@k.

    AP@k = sum over the relevant ranks r <= k of (share of relevant items in the first r) / min(k, total): a list that
    begins with all relevant items, or has nothing else in its first k, gives 1.
    """
    first = relevant[:, :k]
    shares = first.cumsum(axis=1) / np.arange(1, first.shape[1] + 1)
    return np.where(total > 0, (shares * first).sum(axis=1) / np.clip(total, 1, k), np.nan)


# Calibration


@dataclass(frozen=True, slots=True)
class Calibration:
    """Bins of rows by confidence, from low to high: mean `confidence`, `accuracy` and `count` of each, (bins,)."""

    confidence: Floats
    accuracy: Floats
    count: Ints

    @property
    def error(self) -> float:
        """The expected calibration error: the mean of |accuracy - confidence|, each bin by its count; NaN if empty.

        (Naeini, Cooper, Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", 2015.)
        """
        gaps = np.abs(self.accuracy - self.confidence)
        return float((gaps * self.count).sum() / self.count.sum()) if len(gaps) else float("nan")


def calibrate(confidence: Floats, correct: Bools, bins: int = 15) -> Calibration:
    """How often predictions of a confidence in 0..1 are right, both (n,), in at most `bins` bins of equal count.

    Equal counts and not equal widths (the adaptive bins of Nixon et al., "Measuring Calibration in Deep Learning",
    2019), since most confidences lie near 1. Rows of one confidence share a bin: their order decides nothing.
    """
    order = np.argsort(confidence, kind="stable")
    ranked = confidence[order].astype(np.float64)
    cuts = np.arange(min(bins, len(ranked))) * len(ranked) // max(1, min(bins, len(ranked)))
    starts = np.unique(np.searchsorted(ranked, ranked[cuts]))
    count = np.diff(starts, append=len(ranked))
    if not len(starts):
        return Calibration(np.zeros(0), np.zeros(0), np.zeros(0, np.int64))
    right = np.add.reduceat(correct[order].astype(np.float64), starts)
    return Calibration(np.add.reduceat(ranked, starts) / count, right / count, count.astype(np.int64))


# Certainty


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % bootstrap interval over rows or queries."""

    value: float
    low: float
    high: float


def bootstrap_interval(values: Floats, rounds: int = 1_000, seed: int = 0) -> tuple[float, float]:
    """The 95 % percentile interval of the mean of `values`, float (n,), one per query (Efron 1979).

    NaNs do not count. The same draws as in `bootstrap_means` and `bootstrap_f1`, by the same seed.

    >>> bootstrap_interval(np.ones(10))
    (1.0, 1.0)
    """
    low, high = take_interval(bootstrap_means(values[:, None], rounds, seed))
    return float(low[0]), float(high[0])


def bootstrap_means(values: Floats, rounds: int = 1_000, seed: int = 0) -> Floats:
    """The means of figures over rows that are drawn again: (n, figures), NaN where one does not count -> (rounds, ·).

    One seed draws the same rows for every table of n rows, so the difference of two results is that of paired samples:
    what two encoders do on the same queries is compared query by query.
    """
    known = ~np.isnan(values)
    counted = np.concatenate([np.where(known, values, 0.0), known], axis=1)
    sums = np.concatenate([drawn @ counted for drawn in _draw_rows(len(values), rounds, seed)])
    return _divide(sums[:, : values.shape[1]], sums[:, values.shape[1] :])


def bootstrap_f1(truth: Bools, prediction: Bools, rounds: int = 1_000, seed: int = 0) -> tuple[Floats, Floats]:
    """`score_labels` of rows that are drawn again: bool (n, labels) -> f1_micro (rounds,), f1_macro (rounds,).

    Paired by the seed, as in `bootstrap_means`. A draw's macro average is over the labels that occur in it.
    """
    labels = truth.shape[1]
    counted = np.concatenate([truth & prediction, truth, prediction], axis=1).astype(np.float32)
    # Counts stay below 2**24, so float32 holds them exactly.
    sums = np.concatenate([drawn.astype(np.float32) @ counted for drawn in _draw_rows(len(truth), rounds, seed)])
    hits, support, predicted = (sums[:, part * labels : (part + 1) * labels].astype(np.float64) for part in range(3))
    f1 = np.where(support > 0, _divide(2 * hits, support + predicted), 0.0)
    micro = _divide(2 * hits.sum(axis=1), (support + predicted).sum(axis=1))
    return micro, _divide(f1.sum(axis=1), (support > 0).sum(axis=1))


def take_interval(samples: Floats) -> tuple[Floats, Floats]:
    """The 2.5 and 97.5 % percentiles of bootstrap samples (rounds, ·), NaNs left out; NaN where all are."""
    found = np.full((2, *samples.shape[1:]), np.nan)
    full = ~np.isnan(samples).all(axis=0)
    if full.any():
        found[:, full] = np.nanpercentile(samples[:, full], [2.5, 97.5], axis=0)
    return found[0], found[1]


def _draw_rows(n: int, rounds: int, seed: int) -> Iterator[Floats]:
    """How often each of n rows comes in samples of n drawn with replacement: float64 (some of the rounds, n)."""
    random = np.random.default_rng(seed)
    step = max(1, _DRAWS // max(1, 2 * n))
    for start in range(0, rounds, step):
        some = min(step, rounds - start)
        drawn = np.empty((some, n))
        for row in drawn:
            row[:] = np.bincount(random.integers(0, n, n), minlength=n) if n else 0
        yield drawn


# Variety


def effective_number(counts: Ints) -> float:
    """How many equally frequent kinds would be as varied as these, by their counts (n,): exp of the Shannon entropy.

    The Hill number of order 1 (Hill, "Diversity and Evenness", 1973); 0 where there is nothing.

    >>> round(effective_number(np.array([5, 5, 5, 5])), 6)
    4.0
    """
    shares = counts[counts > 0] / max(1, counts.sum())
    return float(np.exp(-(shares * np.log(shares)).sum())) if len(shares) else 0.0


def _divide(part: Any, whole: Any) -> Floats:
    """part / whole, NaN where whole is 0."""
    top, bottom = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    found = np.full(np.broadcast_shapes(top.shape, bottom.shape), np.nan)
    np.divide(top, bottom, out=found, where=bottom > 0)
    return found
