"""Figures against a naive loop, scikit-learn where it is there, or a known formula."""

from __future__ import annotations

import numpy as np
import pytest

from focusedfashion import metrics
from focusedfashion.metrics import Bools, Floats, bootstrap_interval


def draw_labels(seed: int = 0, rows: int = 200, labels: int = 12) -> tuple[Bools, Bools, Floats]:
    """(truth, prediction, scores); label 0 never occurs, 1 is never predicted, 2 neither; scores have ties."""
    random = np.random.default_rng(seed)
    truth = random.random((rows, labels)) < random.uniform(0.02, 0.6, labels)
    scores = np.round(0.4 * truth + 0.6 * random.random((rows, labels)), 2)
    prediction = scores > 0.5
    truth[:, [0, 2]] = False
    prediction[:, [1, 2]] = False
    return truth, prediction, scores


def draw_ranking(seed: int, queries: int = 50, gallery: int = 30, depth: int = 20) -> tuple[Bools, metrics.Ints]:
    """(relevant, total): for some queries there is nothing to be found, for most more than the depth shows."""
    random = np.random.default_rng(seed)
    relevant = random.random((queries, gallery)) < random.uniform(0, 0.6, (queries, 1))
    relevant[:5] = False
    return relevant[:, :depth], relevant.sum(axis=1)


def count_one(truth: Bools, prediction: Bools) -> tuple[int, int, int]:
    """True positives, false positives, false negatives, one cell at a time."""
    pairs = list(zip(truth.ravel().tolist(), prediction.ravel().tolist(), strict=True))
    return pairs.count((True, True)), pairs.count((False, True)), pairs.count((True, False))


def test_label_scores_are_those_of_a_naive_loop() -> None:
    truth, prediction, _ = draw_labels()
    found = metrics.score_labels(truth, prediction)
    f1_of_occurring = []
    for label in range(truth.shape[1]):
        hits, false, missed = count_one(truth[:, label], prediction[:, label])
        assert found.support[label] == hits + missed
        np.testing.assert_equal(found.precision[label], hits / (hits + false) if hits + false else np.nan)
        np.testing.assert_equal(found.recall[label], hits / (hits + missed) if hits + missed else np.nan)
        f1 = 2 * hits / (2 * hits + false + missed) if hits + false + missed else np.nan
        np.testing.assert_equal(found.f1[label], f1)
        if hits + missed:
            f1_of_occurring.append(f1)
    hits, false, missed = count_one(truth, prediction)
    assert found.f1_micro == pytest.approx(2 * hits / (2 * hits + false + missed))
    assert found.f1_macro == pytest.approx(sum(f1_of_occurring) / len(f1_of_occurring))


def test_a_label_that_never_occurs_does_not_move_the_macro_average() -> None:
    truth = np.array([[True, False], [True, False]])
    for prediction in (np.array([[True, False], [True, False]]), np.array([[True, True], [True, True]])):
        assert metrics.score_labels(truth, prediction).f1_macro == 1.0
    empty = metrics.score_labels(np.zeros((3, 2), bool), np.zeros((3, 2), bool))
    assert np.isnan([empty.f1_micro, empty.f1_macro]).all()


def test_the_predecessors_report_is_over_batches() -> None:
    truth, prediction, _ = draw_labels(rows=150)
    parts = []
    for start in (0, 64, 128):
        hits, false, missed = count_one(truth[start : start + 64], prediction[start : start + 64])
        parts.append(2 * hits / (2 * hits + false + missed))
    np.testing.assert_allclose(metrics.f1_by_batch(truth, prediction), parts)
    # A batch in which nothing is and nothing is predicted says nothing.
    padded = [np.concatenate([table, np.zeros((64 * 2 - 22, 12), bool)]) for table in (truth, prediction)]
    assert metrics.f1_by_batch(*padded).shape == (4,) and np.isnan(metrics.f1_by_batch(*padded)[3])
    assert metrics.f1_by_batch(truth[:0], prediction[:0]).shape == (0,)


def test_average_precision_is_that_of_a_naive_loop() -> None:
    truth, _, scores = draw_labels(3)
    found = metrics.average_precision(truth, scores)
    for label in range(truth.shape[1]):
        area, before = 0.0, 0.0
        for threshold in sorted(set(scores[:, label]), reverse=True):
            taken = scores[:, label] >= threshold
            hits = int((taken & truth[:, label]).sum())
            recall = hits / max(1, truth[:, label].sum())
            area += (recall - before) * hits / taken.sum()
            before = recall
        np.testing.assert_allclose(found[label], area if truth[:, label].any() else np.nan)


def test_top_k_accuracy_is_that_of_a_naive_loop() -> None:
    truth, _, scores = draw_labels(4)
    truth[:3] = False
    for k in (1, 3, 50):
        found = metrics.top_k_accuracy(truth, scores, k)
        for row in range(len(truth)):
            best = sorted(range(truth.shape[1]), key=lambda label: (-scores[row, label], label))[:k]
            expected = float(any(truth[row, label] for label in best)) if truth[row].any() else np.nan
            np.testing.assert_equal(found[row], expected)


@pytest.mark.parametrize("k", [1, 5, 20])
def test_ranked_figures_are_those_of_a_naive_loop(k: int) -> None:
    relevant, total = draw_ranking(k)
    recall = metrics.recall_at_k(relevant, total, k)
    precision = metrics.precision_at_k(relevant, total, k)
    mean_ap = metrics.mean_average_precision_at_k(relevant, total, k)
    for query, ranks in enumerate(relevant.tolist()):
        if not total[query]:
            assert np.isnan([recall[query], precision[query], mean_ap[query]]).all()
            continue
        hits, area = 0, 0.0
        for rank, hit in enumerate(ranks[:k], start=1):
            hits += hit
            area += hits / rank if hit else 0
        assert recall[query] == float(hits > 0)
        assert precision[query] == pytest.approx(hits / k)
        assert mean_ap[query] == pytest.approx(area / min(k, total[query]))


def test_a_perfect_list_has_a_mean_average_precision_of_one() -> None:
    relevant, total = np.array([[True, True, False]]), np.array([2])
    assert [metrics.mean_average_precision_at_k(relevant, total, k)[0] for k in (1, 2, 3)] == [1, 1, 1]
    # A list that is shorter than k lacks what it does not have.
    assert metrics.precision_at_k(relevant, total, 4)[0] == 0.5


def test_calibration_is_that_of_a_naive_loop() -> None:
    random = np.random.default_rng(5)
    confidence = random.permutation(np.linspace(0.01, 1, 300))
    correct = random.random(300) < confidence**2
    order = sorted(range(300), key=lambda row: confidence[row])
    expected = 0.0
    for start in range(0, 300, 30):
        rows = order[start : start + 30]
        expected += abs(correct[rows].mean() - confidence[rows].mean()) * 30 / 300
    found = metrics.calibrate(confidence, correct, bins=10)
    assert found.count.tolist() == [30] * 10 and (np.diff(found.confidence) > 0).all()
    assert found.error == pytest.approx(expected)


def test_calibration_does_not_depend_on_the_order_of_equal_confidences() -> None:
    confidence = np.repeat([0.25, 0.5, 1.0], [10, 70, 20])
    correct = np.arange(100) % 2 == 0
    errors = []
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(100)
        errors.append(metrics.calibrate(confidence[order], correct[order], bins=10).error)
    assert errors == pytest.approx([0.1 * 0.25 + 0.2 * 0.5] * 5)
    assert np.isnan(metrics.calibrate(np.zeros(0), np.zeros(0, bool)).error)
    one = metrics.calibrate(np.array([0.3]), np.array([True]))
    assert one.count.tolist() == [1] and one.error == pytest.approx(0.7)


def test_figures_are_those_of_scikit_learn() -> None:
    reference = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not there: NOT COMPARED with it")
    truth, prediction, scores = draw_labels(6)
    found = metrics.score_labels(truth, prediction)
    expected = reference.precision_recall_fscore_support(truth, prediction, zero_division=np.nan)
    for mine, theirs in zip((found.precision, found.recall, found.support), np.array(expected)[[0, 1, 3]], strict=True):
        np.testing.assert_allclose(mine, theirs)
    occurring = np.flatnonzero(truth.any(axis=0))
    np.testing.assert_allclose(found.f1[occurring], np.array(expected[2])[occurring])
    assert found.f1_micro == pytest.approx(reference.f1_score(truth, prediction, average="micro"))
    macro = reference.f1_score(truth, prediction, average="macro", labels=occurring)
    assert found.f1_macro == pytest.approx(macro)
    expected_ap = reference.average_precision_score(truth[:, occurring], scores[:, occurring], average=None)
    np.testing.assert_allclose(metrics.average_precision(truth, scores)[occurring], expected_ap)
    classes = np.random.default_rng(7).integers(0, 12, 200)
    unequal = np.random.default_rng(8).random((200, 12))
    mine = metrics.top_k_accuracy(np.eye(12, dtype=bool)[classes], unequal, 3).mean()
    assert mine == pytest.approx(reference.top_k_accuracy_score(classes, unequal, k=3))


def test_bootstrap_interval_is_the_normal_one_where_that_holds() -> None:
    values = (np.random.default_rng(1).random(2_000) < 0.3).astype(np.float64)
    low, high = bootstrap_interval(values)
    error = 1.96 * values.std() / np.sqrt(len(values))
    assert low == pytest.approx(values.mean() - error, abs=0.2 * error)
    assert high == pytest.approx(values.mean() + error, abs=0.2 * error)


def test_bootstrap_interval_is_the_same_again() -> None:
    values = np.random.default_rng(2).random(50)
    assert bootstrap_interval(values) == bootstrap_interval(values)


def test_bootstrap_means_are_those_of_a_naive_loop() -> None:
    values = np.random.default_rng(3).random((40, 2))
    values[::3, 1] = np.nan
    found = metrics.bootstrap_means(values, rounds=30, seed=9)
    random = np.random.default_rng(9)
    for means in found:
        drawn = values[random.integers(0, 40, 40)]
        np.testing.assert_allclose(means, [drawn[:, 0].mean(), np.nanmean(drawn[:, 1])])
    low, high = metrics.take_interval(found)
    np.testing.assert_allclose([low, high], np.percentile(found, [2.5, 97.5], axis=0))


def test_bootstrap_f1_draws_the_same_rows_as_the_means() -> None:
    truth, prediction, _ = draw_labels(10, rows=60)
    micro, macro = metrics.bootstrap_f1(truth, prediction, rounds=25, seed=4)
    random = np.random.default_rng(4)
    for draw in range(25):
        rows = random.integers(0, 60, 60)
        expected = metrics.score_labels(truth[rows], prediction[rows])
        assert (micro[draw], macro[draw]) == pytest.approx((expected.f1_micro, expected.f1_macro))


def test_paired_samples_see_a_difference_that_apart_they_do_not() -> None:
    """Of two encoders that fail on the same hard queries, the one that is always a little better is better."""
    hardness = np.random.default_rng(11).random((200, 1))
    one, other = metrics.bootstrap_means(hardness), metrics.bootstrap_means(hardness + 0.01)
    low, high = metrics.take_interval(other - one)
    assert low[0] == pytest.approx(0.01) and high[0] == pytest.approx(0.01)


def test_an_interval_of_nothing_is_no_number() -> None:
    low, high = metrics.take_interval(metrics.bootstrap_means(np.full((5, 1), np.nan), rounds=10))
    assert np.isnan([low[0], high[0]]).all()
