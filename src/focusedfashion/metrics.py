"""Figures of merit and how sure they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def bootstrap_interval(values: NDArray[np.float64], rounds: int = 1_000, seed: int = 0) -> tuple[float, float]:
    """The 95 % percentile interval of the mean of `values`, float (n,), one per query (Efron 1979).

    >>> bootstrap_interval(np.ones(10))
    (1.0, 1.0)
    """
    random = np.random.default_rng(seed)
    means = [values[random.integers(0, len(values), len(values))].mean() for _ in range(rounds)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def effective_number(counts: NDArray[np.int64]) -> float:
    """How many equally frequent kinds would be as varied as these, by their counts (n,): exp of the Shannon entropy.

    The Hill number of order 1 (Hill, "Diversity and Evenness", 1973); 0 where there is nothing.

    >>> round(effective_number(np.array([5, 5, 5, 5])), 6)
    4.0
    """
    shares = counts[counts > 0] / max(1, counts.sum())
    return float(np.exp(-(shares * np.log(shares)).sum())) if len(shares) else 0.0
