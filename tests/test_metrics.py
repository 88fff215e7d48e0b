"""Figures against a naive loop or a known formula."""

from __future__ import annotations

import numpy as np
import pytest

from focusedfashion.metrics import bootstrap_interval


def test_bootstrap_interval_is_the_normal_one_where_that_holds() -> None:
    values = (np.random.default_rng(1).random(2_000) < 0.3).astype(np.float64)
    low, high = bootstrap_interval(values)
    error = 1.96 * values.std() / np.sqrt(len(values))
    assert low == pytest.approx(values.mean() - error, abs=0.2 * error)
    assert high == pytest.approx(values.mean() + error, abs=0.2 * error)


def test_bootstrap_interval_is_the_same_again() -> None:
    values = np.random.default_rng(2).random(50)
    assert bootstrap_interval(values) == bootstrap_interval(values)
