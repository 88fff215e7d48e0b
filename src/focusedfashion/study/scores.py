"""How well the study's labels are predicted: F1, mAP, top-k, calibration, each with its interval over test rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from focusedfashion.metrics import (
    Estimate,
    average_precision,
    bootstrap_f1,
    bootstrap_means,
    calibrate,
    f1_by_batch,
    score_labels,
    take_interval,
    top_k_accuracy,
)
from focusedfashion.study.figures import Averages, CalibrationFigures, How, Prediction

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

UNKNOWN = -1.0
TOP = (1, 3, 5)  # k of the top-k accuracy
BATCH = 64  # rows, as the predecessor's batches
ROUNDS = 1_000  # of the bootstrap
_SLOW_ROUNDS = 200  # for the mAP, where each round is a sum over ranks
_CURVE = 10  # bins of the calibration curve


@dataclass(frozen=True, slots=True)
class Predicted:
    """Scores float32 (n, labels) in 0..1 and the thresholds (labels,) that go with them, None where there are none.

    A score of UNKNOWN stands where the row says nothing in the label's column: it counts neither for nor against.
    """

    how: How
    scores: NDArray[np.float32]
    thresholds: Floats | None


@dataclass(frozen=True, slots=True)
class Samples:
    """Bootstrap samples (rounds,) of one encoder's main measures, by name: the draws are the same for all encoders."""

    values: dict[str, Floats]
    means: dict[str, float]


def score_prediction(truth: Bools, predicted: Predicted, rare: Bools) -> tuple[Prediction, Samples]:
    """truth bool (n, labels), `rare` bool (labels,) for the rarest third -> the figures, and samples of the main ones.

    The samples' names are "micro-F1", "macro-F1" and "rare macro-F1", at chosen thresholds where there are some.
    """
    half = predicted.scores >= 0.5
    taken = half if predicted.thresholds is None else predicted.scores >= predicted.thresholds.astype(np.float32)
    at_half, samples = _average(truth, half, rare)
    at_chosen = gain = None
    if predicted.thresholds is not None:
        before = samples["macro-F1"]
        at_chosen, samples = _average(truth, taken, rare)
        gain = estimate(at_chosen.macro.value - at_half.macro.value, samples["macro-F1"] - before)
    averages = at_chosen or at_half
    means = {
        "micro-F1": averages.micro.value,
        "macro-F1": averages.macro.value,
        "rare macro-F1": averages.rare.value,
    }
    tops = np.stack([top_k_accuracy(truth, predicted.scores, k) for k in TOP], axis=1)
    precisions = average_precision(truth, predicted.scores)
    calibration = None
    if predicted.how == "head":
        said = predicted.scores >= 0
        curve = calibrate(predicted.scores[said].astype(np.float64), truth[said], _CURVE)
        calibration = CalibrationFigures(
            curve.error,
            tuple(curve.confidence.tolist()),
            tuple(curve.accuracy.tolist()),
            tuple(curve.count.tolist()),
        )
    mean_precision = float(np.nanmean(precisions)) if (~np.isnan(precisions)).any() else float("nan")
    drawn = _bootstrap_precision(truth, predicted.scores)
    prediction = Prediction(
        predicted.how,
        at_half,
        at_chosen,
        gain,
        tuple(value for value in f1_by_batch(truth, half, BATCH).tolist() if value == value),
        estimate(mean_precision, _center(drawn, mean_precision)),
        dict(zip(TOP, estimate_means(tops), strict=True)),
        calibration,
        _list(score_labels(truth, half).f1),
        None if predicted.thresholds is None else _list(score_labels(truth, taken).f1),
    )
    return prediction, Samples(samples, means)


def score_always(truth: Bools, known: Bools, rare: Bools) -> Averages:
    """The figures of who predicts every label wherever the row says something in its column; all bool (n, labels)."""
    return _average(truth, known, rare)[0]


def estimate(value: float, samples: Floats) -> Estimate:
    """A figure with the interval of its bootstrap samples (rounds,)."""
    low, high = take_interval(samples[:, None])
    return Estimate(value, float(low[0]), float(high[0]))


def estimate_means(values: Floats) -> list[Estimate]:
    """Figures over rows, (n, figures), NaN where one does not count -> the estimate of each mean."""
    counted = (~np.isnan(values)).sum(axis=0)
    means = np.where(counted, np.nansum(values, axis=0) / np.maximum(1, counted), np.nan)
    samples = bootstrap_means(values, ROUNDS)
    return [estimate(float(mean), samples[:, place]) for place, mean in enumerate(means)]


def _average(truth: Bools, prediction: Bools, rare: Bools) -> tuple[Averages, dict[str, Floats]]:
    all_labels, some = score_labels(truth, prediction), score_labels(truth[:, rare], prediction[:, rare])
    micro, macro = bootstrap_f1(truth, prediction, ROUNDS)
    _, rarest = bootstrap_f1(truth[:, rare], prediction[:, rare], ROUNDS)
    macro, rarest = _center(macro, all_labels.f1_macro), _center(rarest, some.f1_macro)
    averages = Averages(
        estimate(all_labels.f1_micro, micro), estimate(all_labels.f1_macro, macro), estimate(some.f1_macro, rarest)
    )
    return averages, {"micro-F1": micro, "macro-F1": macro, "rare macro-F1": rarest}


def _center(samples: Floats, value: float) -> Floats:
    """Samples of a mean over labels, moved so that their mean is the figure.

    A label of few rows is missing from many draws, and where it is there its few rows come twice: as they are, the
    samples lie to one side of the figure, the more so the more rare labels there are.
    """
    if np.isnan(samples).all():
        return samples
    moved: Floats = np.clip(samples + (value - np.nanmean(samples)), 0.0, 1.0)
    return moved


def _bootstrap_precision(truth: Bools, scores: NDArray[np.float32]) -> Floats:
    """The mAP of rows that are drawn again, (rounds,): a row that is drawn twice counts twice."""
    random = np.random.default_rng(0)
    drawn = (
        np.stack(
            [
                np.bincount(random.integers(0, len(truth), len(truth)), minlength=len(truth)).astype(np.float32)
                for _ in range(_SLOW_ROUNDS)
            ]
        )
        if len(truth)
        else np.zeros((_SLOW_ROUNDS, 0), np.float32)
    )
    total, counted = np.zeros(_SLOW_ROUNDS), np.zeros(_SLOW_ROUNDS)
    for label in np.flatnonzero(truth.any(axis=0)):
        order = np.argsort(-scores[:, label], kind="stable")
        ranked = scores[order, label]
        last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
        weights = drawn[:, order]
        rows = weights.cumsum(axis=1)[:, last]
        hits = (weights * truth[order, label]).cumsum(axis=1)[:, last]
        gains = np.diff(hits, axis=1, prepend=0) * hits / np.maximum(rows, 1)
        there = hits[:, -1] > 0
        total[there] += gains.sum(axis=1)[there] / hits[there, -1]
        counted += there
    means: Floats = np.divide(total, counted, out=np.full(_SLOW_ROUNDS, np.nan), where=counted > 0)
    return means


def _list(values: Floats) -> tuple[float | None, ...]:
    return tuple(None if value != value else float(value) for value in values)


def find_rare(counts: Sequence[int] | NDArray[np.int64], support: NDArray[np.int64]) -> Bools:
    """The third of the labels with the fewest training rows, of those that have some there and some in the test rows.

    `counts` and `support` (labels,) -> bool (labels,). Equal counts are in the labels' own order.
    """
    counts = np.asarray(counts)
    able = np.flatnonzero((counts > 0) & (support > 0))
    ordered = able[np.argsort(counts[able], kind="stable")]
    rare = np.zeros(len(counts), bool)
    rare[ordered[: max(1, len(ordered) // 3)]] = True
    return rare
