"""The drawn garments: reproducible, complete, and of the colors that they are named after."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from focusedfashion.errors import SourceError
from focusedfashion.sources.samples import (
    CATEGORIES,
    COLORS,
    CUTS,
    PATTERNS,
    Garment,
    draw_garment,
    list_garments,
    read_samples,
    write_samples,
)

DRESS = Garment("dress", "midi a-line", "navy blue", "checked", "white", "women", 4)
SMALL = (150, 200)


def test_the_same_arguments_give_the_same_picture() -> None:
    for scene in ("shop", "photo"):
        first = draw_garment(DRESS, scene, 3, SMALL)
        assert first.dtype == np.uint8
        assert first.shape == (200, 150, 3)
        assert np.array_equal(first, draw_garment(DRESS, scene, 3, SMALL))
    assert not np.array_equal(draw_garment(DRESS, "photo", 1, SMALL), draw_garment(DRESS, "photo", 2, SMALL))
    assert not np.array_equal(draw_garment(DRESS, size=SMALL), draw_garment(replace(DRESS, seed=5), size=SMALL))


@pytest.mark.parametrize("size", [(40, 40), (97, 131), (224, 224), (400, 200)])
def test_any_size_is_drawn(size: tuple[int, int]) -> None:
    for scene in ("shop", "photo"):
        assert draw_garment(DRESS, scene, size=size).shape == (size[1], size[0], 3)


@pytest.mark.parametrize("category", CATEGORIES)
def test_cuts_and_patterns_cover_a_sensible_share_of_the_picture(category: str) -> None:
    for number, cut in enumerate(CUTS[category]):
        for pattern in PATTERNS[number % 2 :: 2]:  # every second one; each category meets them all
            garment = Garment(category, cut, "maroon", pattern, "" if pattern == "plain" else "white", "unisex", 7)
            picture = draw_garment(garment, size=SMALL)
            assert 0.12 < np.mean(picture.min(axis=2) < 215) < 0.75, (cut, pattern)
            edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
            assert edge.min() > 200, (cut, pattern)  # nothing is cut off


@pytest.mark.parametrize("name", COLORS)
def test_a_plain_garment_has_the_color_that_it_is_named_after(name: str) -> None:
    for seed in range(3):
        picture = draw_garment(Garment("t-shirt", "crew", name, "plain", "", "men", seed))
        inside = picture[150:260, 115:185].reshape(-1, 3).astype(float).mean(axis=0)
        distance = {other: float(np.abs(inside - color).sum()) for other, color in COLORS.items()}
        assert distance[name] < 75
        assert name in sorted(distance, key=lambda other: distance[other])[:2]


@pytest.mark.parametrize("name", ["white", "cream"])
def test_a_light_garment_shows_on_the_light_ground(name: str) -> None:
    picture = draw_garment(Garment("t-shirt", "crew", name, "plain", "", "men", 1)).astype(int).sum(axis=2)
    row = picture[240]
    assert row[:150].min() < row[150] - 60  # the garment's edge is darker than its middle
    assert row[150:].min() < row[150] - 60


def test_the_list_is_reproducible_balanced_and_without_twins() -> None:
    garments = list_garments(420, 1)
    assert garments == list_garments(420, 1)
    assert garments != list_garments(420, 2)
    assert garments[:50] == list_garments(50, 1)
    looks = {(g.category, g.cut, g.color, g.pattern, g.second) for g in garments}
    assert len(looks) == len(garments)
    for category in CATEGORIES:
        mine = [g for g in garments if g.category == category]
        assert len(mine) == 30
        assert {g.cut for g in mine} == set(CUTS[category])
    assert {g.color for g in garments} == set(COLORS)
    assert 0.4 < np.mean([g.pattern == "plain" for g in garments]) < 0.5
    assert all((g.second == "") == (g.pattern == "plain") and g.second != g.color for g in garments)


def test_a_list_longer_than_the_combinations_ends() -> None:
    assert len(list_garments(3_000)) == 3_000


def test_samples_are_items() -> None:
    items = list(read_samples(3, seed=2))
    assert [item.item_id for item in items] == ["sample-0001", "sample-0002", "sample-0003"]
    for item, garment in zip(items, list_garments(3, 2), strict=True):
        assert isinstance(item.picture, bytes)
        assert Image.open(io.BytesIO(item.picture)).size == (300, 400)
        assert item.currency == "EUR" and item.price and item.brand and item.title
        assert item.columns["color"] == garment.color
        assert garment.color in item.title.lower()


def test_samples_are_written_with_a_table(tmp_path: Path) -> None:
    path = write_samples(tmp_path / "shop", 4, seed=9)
    assert path == tmp_path / "shop" / "samples.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    for row, item in zip(rows, read_samples(4, 9), strict=True):
        assert (path.parent / row["image"]).read_bytes() == item.picture
        assert (row["id"], row["title"], row["brand"]) == (item.item_id, item.title, item.brand)
        assert float(row["price"]) == item.price
        assert {name: row[name] for name in item.columns} == item.columns


def test_a_garment_that_cannot_be_drawn_is_an_error(tmp_path: Path) -> None:
    for wrong in (replace(DRESS, cut="bomber"), replace(DRESS, color="teal"), replace(DRESS, pattern="paisley")):
        with pytest.raises(SourceError, match="no "):
            draw_garment(wrong)
    with pytest.raises(SourceError, match="scene"):
        draw_garment(DRESS, "street")
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match="cannot write"):
        write_samples(tmp_path / "file", 1)
