"""The changes of a picture: what each one does, and that it does it again."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import draw_garment
from focusedfashion.changes import CHANGES, change_picture
from focusedfashion.images import RGB, open_image


@pytest.fixture(scope="module")
def picture() -> RGB:
    """A red shirt on even grey, 96 x 128 px."""
    return open_image(draw_garment(stripes=3, size=(96, 128)))


def change(name: str, picture: RGB, key: str = "item", seed: int = 0) -> RGB:
    changed = change_picture(name, picture, key, seed)
    assert changed is not None and changed.dtype == np.uint8 and changed.ndim == 3 and changed.shape[2] == 3
    return changed


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_the_same_again_and_another_for_another_item_or_seed(name: str, picture: RGB) -> None:
    before = picture.copy()
    changed = change(name, picture)
    np.testing.assert_array_equal(changed, change(name, picture))
    np.testing.assert_array_equal(picture, before)
    for others in ({"key": "another"}, {"key": "a third"}), ({"seed": 1}, {"seed": 2}):
        drawn = [change(name, picture, **other) for other in others]
        assert any(not np.array_equal(other, changed) for other in drawn) == (name != "none")
    if name == "none":
        np.testing.assert_array_equal(changed, picture)


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 300, 3), (60, 1, 3)])
def test_the_smallest_pictures_survive(name: str, shape: tuple[int, int, int]) -> None:
    assert change(name, np.full(shape, 200, np.uint8)).size > 0


def test_a_crop_is_a_part_of_the_picture(picture: RGB) -> None:
    for key in "abcde":
        part = change("crop", picture, key)
        high, wide = part.shape[:2]
        assert 0.69 <= high / 128 <= 0.91 and 0.69 <= wide / 96 <= 0.91
        windows = np.lib.stride_tricks.sliding_window_view(picture, part.shape)
        assert (windows == part).all(axis=(3, 4, 5)).any()


def test_rotation_and_perspective_keep_the_size_and_the_ground(picture: RGB) -> None:
    for name in ("rotation", "perspective"):
        changed = change(name, picture)
        assert changed.shape == picture.shape
        # The corners come from outside the picture: they have its ground's color.
        assert np.abs(changed[0, 0].astype(int) - picture[0, 0]).max() <= 8
        assert np.abs(changed.astype(int) - picture).max() > 100


def test_light_changes_no_shape(picture: RGB) -> None:
    """What was equal stays equal, and lighter stays lighter."""
    changed = change("light", picture)
    for part in range(3):
        levels = {int(a): int(b) for a, b in zip(picture[..., part].ravel(), changed[..., part].ravel(), strict=True)}
        ordered = [levels[level] for level in sorted(levels)]
        assert ordered == sorted(ordered)
        np.testing.assert_array_equal([levels[int(v)] for v in picture[..., part].ravel()], changed[..., part].ravel())


def test_blur_takes_detail_away(picture: RGB) -> None:
    def sharpness(pixels: RGB) -> float:
        return float(np.abs(np.diff(pixels.astype(float), axis=0)).max())

    assert sharpness(change("blur", picture)) < 0.8 * sharpness(picture)


def test_another_background_leaves_the_garment(picture: RGB) -> None:
    changed = change("background", picture)
    garment = np.abs(picture.astype(int) - picture[0, 0]).max(axis=2) > 60
    inside = garment.copy()
    for axis in (0, 1):
        for step in (-2, 2):
            inside &= np.roll(garment, step, axis)
    difference = np.abs(changed.astype(int) - picture).max(axis=2)
    assert inside.sum() > 500 and difference[inside].max() <= 2
    assert (difference[0] > 5).mean() > 0.5


def test_ground_that_the_garment_encloses_stays(picture: RGB) -> None:
    ring = np.full((60, 60, 3), 230, np.uint8)
    ring[15:45, 15:45] = (120, 0, 0)
    ring[25:35, 25:35] = 230
    changed = change("background", ring)
    np.testing.assert_array_equal(changed[27:33, 27:33], ring[27:33, 27:33])
    assert (changed[:10] != ring[:10]).any()


def test_a_ground_that_winds_is_found_whole() -> None:
    """A corridor in a walled yard that turns nine times before it ends."""
    yard = np.full((60, 60, 3), 230, np.uint8)
    wall = (0, 0, 120)
    yard[10:51, [10, 50]] = wall
    for number, row in enumerate(range(10, 51, 4)):
        yard[row, 14:51] = wall  # the gap is on the left,
        if number % 2:
            yard[row, 10:47], yard[row, 47:50] = wall, 230  # or on the right
    yard[50, 10:51] = wall
    changed = change("background", yard)
    assert (changed[47:50, 11:50] != 230).any(axis=2).mean() > 0.5


def test_without_an_even_ground_there_is_no_other_background() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (50, 50, 3), np.uint8)
    assert change_picture("background", noise, "item") is None
