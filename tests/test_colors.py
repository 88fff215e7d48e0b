"""The colors of garments, and how far apart two look."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from conftest import draw_garment
from focusedfashion.colors import find_garment_colors, measure_distance, name_color, to_lab, write_hex

# Pairs of the paper's own test data (Sharma, Wu, Dalal 2005, table 1), each for another branch of the formula.
PAIRS = [
    ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
    ((50.0, -1.3802, -84.2814), (50.0, 0.0, -82.7485), 1.0000),
    ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
    ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0009), 7.1792),
    ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0011), 7.2195),
    ((50.0, -0.001, 2.49), (50.0, 0.0011, -2.49), 4.7461),
    ((50.0, 2.5, 0.0), (50.0, 0.0, -2.5), 4.3065),
    ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
    ((50.0, 2.5, 0.0), (56.0, -27.0, -3.0), 31.9030),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
    ((90.8027, -2.0831, 1.4410), (91.1528, -1.6435, 0.0447), 1.4441),
    ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
]


@pytest.mark.parametrize(("one", "other", "distance"), PAIRS)
def test_distances_are_those_of_the_paper(one: tuple[float, ...], other: tuple[float, ...], distance: float) -> None:
    assert measure_distance(np.array(one), np.array(other)) == pytest.approx(distance, abs=1e-4)
    assert measure_distance(np.array(other), np.array(one)) == pytest.approx(distance, abs=1e-4)


@pytest.mark.parametrize("color", ["red", "green", "blue"])
@pytest.mark.parametrize("stripes", [0, 2])
def test_a_garment_has_the_color_of_its_largest_part(color: str, stripes: int) -> None:
    with Image.open(io.BytesIO(draw_garment(color, 0, stripes, (300, 400)))) as picture:
        assert color in name_color(find_garment_colors([picture])[0])


def test_a_garment_of_the_color_of_its_ground_is_found_too() -> None:
    white, black = find_garment_colors([Image.new("RGB", (50, 60), "white"), Image.new("L", (1, 1), 0)])
    assert (name_color(white), name_color(black)) == ("white", "black")
    assert find_garment_colors([]).shape == (0, 3)


def test_a_color_is_written_as_on_the_web() -> None:
    assert write_hex(to_lab(np.array([184, 32, 42], np.uint8))) == "#b8202a"
