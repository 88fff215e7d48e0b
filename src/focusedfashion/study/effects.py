"""Which encoder is better, and which setting made it so: paired differences over the same draws of test rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from focusedfashion.metrics import take_interval
from focusedfashion.study.figures import Difference
from focusedfashion.study.scores import Samples

_MOST_KEYS = 2  # that two recipes differ in, for their difference to say something about these keys


def compare_with_best(samples: Mapping[str, Samples], measures: Sequence[str]) -> list[Difference]:
    """Per measure, the best encoder against each other one, the closest first."""
    found = []
    for measure in measures:
        there = {name: entry for name, entry in samples.items() if entry.means[measure] == entry.means[measure]}
        ordered = sorted(there, key=lambda name: -there[name].means[measure])
        found += [measure_difference(name, ordered[0], measure, samples) for name in ordered[1:]]
    return found


def compare_settings(
    samples: Mapping[str, Samples], recipes: Mapping[str, Mapping[str, str]], measures: Sequence[str]
) -> list[Difference]:
    """Recipes that differ in one or two keys: what that changed. Fewer keys first, then the larger change."""
    found = []
    for first, second in combinations([name for name in samples if recipes.get(name)], 2):
        one, other = recipes[first], recipes[second]
        keys = sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))
        if not 1 <= len(keys) <= _MOST_KEYS:
            continue
        settings = {key: (one.get(key, "default"), other.get(key, "default")) for key in keys}
        found += [measure_difference(first, second, measure, samples, settings) for measure in measures]
    largest: dict[tuple[str, str], float] = {}
    for entry in found:
        pair = entry.first, entry.second
        largest[pair] = max(largest.get(pair, 0.0), abs(entry.value))
    return sorted(found, key=lambda entry: (len(entry.settings), -largest[entry.first, entry.second]))


def measure_difference(
    first: str,
    second: str,
    measure: str,
    samples: Mapping[str, Samples],
    settings: Mapping[str, tuple[str, str]] | None = None,
) -> Difference:
    """`second` minus `first`, with the interval of the difference of their samples, draw by draw."""
    gap: NDArray[np.float64] = samples[second].values[measure] - samples[first].values[measure]
    low, high = take_interval(gap[:, None])
    value = samples[second].means[measure] - samples[first].means[measure]
    return Difference(first, second, measure, value, float(low[0]), float(high[0]), dict(settings or {}))
