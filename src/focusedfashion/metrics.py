"""Figures of merit. They work from ranks, so a score below zero is a score like any other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def recall_at_k(relevant: NDArray[np.bool_], k: int) -> float:
    """Share of queries with at least one relevant item among the first k (metric learning's R@k).

    `relevant` is bool (queries, n): whether the item at each rank is relevant, best first.

    >>> recall_at_k(np.array([[False, True], [False, False]]), k=2)
    0.5
    """
    return float(relevant[:, :k].any(axis=1).mean())


def precision_at_k(relevant: NDArray[np.bool_], k: int) -> float:
    """Mean share of relevant items among the first k; `relevant` as for `recall_at_k`.

    >>> precision_at_k(np.array([[True, True], [True, False]]), k=2)
    0.75
    """
    return float(relevant[:, :k].mean(axis=1).mean())


def bootstrap_interval(values: NDArray[np.float64], rounds: int = 1_000, seed: int = 0) -> tuple[float, float]:
    """The 95 % percentile interval of the mean of `values`, float (n,), one per query (Efron 1979).

    >>> bootstrap_interval(np.ones(10))
    (1.0, 1.0)
    """
    random = np.random.default_rng(seed)
    means = [values[random.integers(0, len(values), len(values))].mean() for _ in range(rounds)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
