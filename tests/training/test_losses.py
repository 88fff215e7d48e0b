"""The choices for rare labels against their formulas, written out; sampling; the changes of pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from focusedfashion.training.augmentation import change_pictures  # noqa: E402
from focusedfashion.training.data import Packed  # noqa: E402
from focusedfashion.training.loading import Shuffled, compute_shares  # noqa: E402
from focusedfashion.training.losses import GroupLoss  # noqa: E402
from focusedfashion.training.recipe import Augmentation, Imbalance, find_recipe, load_recipe  # noqa: E402

ROWS = 1000
POSITIVES = torch.tensor([500.0, 100.0, 10.0])


def make_loss(exclusive: bool = False, **choices: object) -> GroupLoss:
    return GroupLoss(Imbalance(**choices), exclusive, POSITIVES, torch.full((3,), float(ROWS)))


@pytest.fixture
def logits() -> torch.Tensor:
    return torch.tensor([[0.3, -1.0, 2.0], [-0.5, 0.1, -3.0]])


TRUTH = torch.tensor([[True, False, True], [False, True, False]])


def list_naively(logits: torch.Tensor, positive: object, negative: object) -> float:
    """The mean of positive(p, label) where the label is true, of negative(p, label) where it is not."""
    found = []
    for row, truth in zip(logits.sigmoid().tolist(), TRUTH.tolist(), strict=True):
        for label, (p, has) in enumerate(zip(row, truth, strict=True)):
            found.append(positive(p, label) if has else negative(p, label))  # type: ignore[operator]
    return float(np.mean(found))


def test_plain_is_binary_cross_entropy(logits: torch.Tensor) -> None:
    expected = list_naively(logits, lambda p, _: -np.log(p), lambda p, _: -np.log(1 - p))
    assert float(make_loss()(logits, TRUTH, None)) == pytest.approx(expected, rel=1e-5)


def test_focal_counts_what_is_right_less(logits: torch.Tensor) -> None:
    expected = list_naively(logits, lambda p, _: -((1 - p) ** 2) * np.log(p), lambda p, _: -(p**2) * np.log(1 - p))
    assert float(make_loss(loss="focal")(logits, TRUTH, None)) == pytest.approx(expected, rel=1e-5)


def test_asymmetric_shifts_and_focuses_negatives(logits: torch.Tensor) -> None:
    def negative(p: float, _: int) -> float:
        shifted = max(0.0, p - 0.05)
        return -(shifted**4) * np.log(1 - shifted)

    expected = list_naively(logits, lambda p, _: -np.log(p), negative)
    assert float(make_loss(loss="asymmetric")(logits, TRUTH, None)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("weights", ["positive", "effective"])
def test_weights_are_of_the_positives(weights: str, logits: torch.Tensor) -> None:
    def weigh(label: int) -> float:
        positives, negatives = float(POSITIVES[label]), ROWS - float(POSITIVES[label])
        if weights == "effective":
            positives, negatives = ((1 - 0.9999**n) / (1 - 0.9999) for n in (positives, negatives))
        return negatives / positives

    expected = list_naively(logits, lambda p, label: -weigh(label) * np.log(p), lambda p, _: -np.log(1 - p))
    assert float(make_loss(weights=weights)(logits, TRUTH, None)) == pytest.approx(expected, rel=1e-4)
    assert weigh(2) > weigh(1) > weigh(0)


def test_logit_adjustment_takes_the_shares_out(logits: torch.Tensor) -> None:
    """A label's log odds are added in training; of an exclusive group, the log of its share."""
    odds = (POSITIVES / (ROWS - POSITIVES)).log()
    adjusted = make_loss(loss="logit-adjustment")
    torch.testing.assert_close(adjusted(logits, TRUTH, None), make_loss()(logits + odds, TRUTH, None))
    one = torch.tensor([[False, True, False], [True, False, False]])
    expected = torch.nn.functional.cross_entropy(logits + (POSITIVES / POSITIVES.sum()).log(), torch.tensor([1, 0]))
    torch.testing.assert_close(make_loss(True, loss="logit-adjustment")(logits, one, None), expected)


def test_weighted_classes_are_torchs(logits: torch.Tensor) -> None:
    one = torch.tensor([[False, True, False], [True, False, False]])
    weight = POSITIVES.sum() / (3 * POSITIVES)
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor([1, 0]), weight=weight)
    torch.testing.assert_close(make_loss(True, weights="positive")(logits, one, None), expected)


def test_what_is_not_known_does_not_count(logits: torch.Tensor) -> None:
    known = torch.tensor([[True, True, True], [False, False, False]])
    expected = make_loss()(logits[:1], TRUTH[:1], None)
    torch.testing.assert_close(make_loss()(logits, TRUTH, known), expected)


def make_packed(truth: np.ndarray) -> Packed:
    n = len(truth)
    names = np.array([str(row) for row in range(n)])
    known = {"labels": np.ones_like(truth)}
    labels = {"labels": [str(label) for label in range(truth.shape[1])]}
    pictures = np.zeros((n, 4, 4, 3), np.uint8)
    return Packed(pictures, None, {"labels": truth}, known, labels, names, names, np.array(["train"] * n))


def test_balanced_sampling_shows_rare_labels_more_often() -> None:
    truth = np.zeros((100, 3), bool)
    truth[:90, 0], truth[90:99, 1], truth[99, 2] = True, True, True
    shares = compute_shares(make_packed(truth), np.arange(100))
    assert shares.sum() == pytest.approx(1)
    # Shares 0.9, 0.09, 0.01; the median is 0.09: the rarest is shown sqrt(9) times as often, the others as before.
    assert shares[99] / shares[0] == pytest.approx(3)
    assert shares[95] / shares[0] == pytest.approx(1)


@pytest.mark.parametrize("sampling", ["uniform", "balanced"])
def test_order_hangs_on_seed_and_epoch_and_is_parted_among_devices(sampling: str) -> None:
    recipe = load_recipe(find_recipe("jessica-5"))
    recipe = replace(recipe, imbalance=Imbalance(sampling=sampling))
    packed = make_packed(np.random.default_rng(0).random((40, 3)) < 0.4)

    def list_epoch(epoch: int, rank: int = 0, devices: int = 1) -> list[int]:
        sampler = Shuffled(np.arange(40), packed, recipe, rank, devices)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert list_epoch(0) == list_epoch(0)
    assert list_epoch(0) != list_epoch(1)
    parts = [list_epoch(1, rank, 2) for rank in range(2)]
    assert [row for pair in zip(*parts, strict=True) for row in pair] == list_epoch(1)
    if sampling == "uniform":
        assert sorted(list_epoch(1)) == list(range(40))


def test_no_change_leaves_the_pixels() -> None:
    pictures = torch.randint(0, 256, (3, 8, 6, 3), dtype=torch.uint8)
    pixels, kept = change_pictures(pictures, None, torch.zeros(0), Augmentation(), 1)
    torch.testing.assert_close(pixels, pictures.permute(0, 3, 1, 2).float())
    assert kept.all()


def test_flips_are_exact() -> None:
    pictures = torch.randint(0, 256, (2, 8, 8, 3), dtype=torch.uint8)
    plain = pictures.permute(0, 3, 1, 2).float()
    pixels, _ = change_pictures(pictures, None, torch.zeros(0), Augmentation(flip_vertical=1.0), 1)
    torch.testing.assert_close(pixels, plain.flip(2), atol=0.05, rtol=0)
    pixels, _ = change_pictures(pictures, None, torch.zeros(0), Augmentation(flip=1.0), 1)
    torch.testing.assert_close(pixels, plain.flip(3), atol=0.05, rtol=0)


def test_light_and_saturation_stay_in_range_and_keep_grey_grey() -> None:
    grey = torch.full((4, 8, 8, 3), 200, dtype=torch.uint8)
    pixels, _ = change_pictures(grey, None, torch.zeros(0), Augmentation(saturation=0.9), 3)
    torch.testing.assert_close(pixels, torch.full((4, 3, 8, 8), 200.0))
    pictures = torch.randint(0, 256, (4, 8, 8, 3), dtype=torch.uint8)
    pixels, _ = change_pictures(pictures, None, torch.zeros(0), Augmentation(light=0.5, saturation=0.5), 3)
    assert float(pixels.min()) >= 0 and float(pixels.max()) <= 255
    assert (pixels - pictures.permute(0, 3, 1, 2)).abs().mean() > 1
