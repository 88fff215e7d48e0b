"""The encoder that ships, on garments whose type, cut, color and pattern are known because we drew them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import focusedfashion
from focusedfashion.encoders import Encoder, load_encoder
from focusedfashion.sources.samples import draw_garment, list_garments

SHIPPED = Path(focusedfashion.__file__).parent / "encoders" / "builtin"


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder("builtin")


def test_it_is_small_and_says_where_it_comes_from(encoder: Encoder) -> None:
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) <= 12_000_000
    assert list(encoder.blocks) == ["shape", "color", "pattern"]
    assert {"category", "color", "gender", "usage", "season"} <= set(encoder.attributes)
    assert encoder.spec["license"]
    assert encoder.spec["weights"]
    assert all(data["origin"] and data["license"] for data in encoder.spec["data"])
    assert encoder.spec["metrics"]["category_accuracy"]["rows"] > 1_000


def test_blocks_have_norm_one_whatever_the_picture(encoder: Encoder) -> None:
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (200, 120, 3), dtype=np.uint8)
    pictures = [noise, np.zeros((50, 400, 3), np.uint8), np.full((1, 1, 3), 255, np.uint8)]
    embeddings = encoder.embed(pictures)
    for block in encoder.blocks.values():
        np.testing.assert_allclose(np.linalg.norm(embeddings[:, block], axis=1), 1, rtol=1e-4)


def test_photo_of_a_garment_finds_its_cut_color_and_pattern(encoder: Encoder) -> None:
    """Shop pictures as the gallery, photos of the same garments on floors and beds as queries."""
    garments = list_garments(168, seed=5)
    gallery = encoder.embed([draw_garment(garment) for garment in garments])
    asked = list(range(0, 168, 4))
    photos = [draw_garment(garments[number], scene="photo", seed=number) for number in asked]
    first = (encoder.embed(photos) @ gallery.T).argmax(axis=1)
    found = [garments[number] for number in first]
    wanted = [garments[number] for number in asked]
    for field, least in (("category", 0.97), ("cut", 0.85), ("color", 0.85), ("pattern", 0.92)):
        share = np.mean([getattr(f, field) == getattr(w, field) for f, w in zip(found, wanted, strict=True)])
        assert share >= least, f"{field}: {share:.2f}"


def test_focus_on_a_block_finds_what_the_block_is_about(encoder: Encoder) -> None:
    garments = list_garments(168, seed=6)
    embeddings = encoder.embed([draw_garment(garment) for garment in garments])
    for block, field, least in (("shape", "category", 0.95), ("color", "color", 0.8), ("pattern", "pattern", 0.9)):
        part = embeddings[:, encoder.blocks[block]]
        cosines = part @ part.T
        np.fill_diagonal(cosines, -2)
        words = np.array([getattr(garment, field) for garment in garments])
        share = (words[cosines.argmax(axis=1)] == words).mean()
        assert share >= least, f"{block}: {share:.2f}"


def test_another_color_moves_the_color_block_and_hardly_the_shape(encoder: Encoder) -> None:
    plain = [garment for garment in list_garments(200, seed=7) if garment.pattern == "plain" and garment.color == "red"]
    recolored = [replace(garment, color="blue") for garment in plain]
    before, after = (encoder.embed([draw_garment(g) for g in garments]) for garments in (plain, recolored))
    cosines = {name: (before[:, b] * after[:, b]).sum(axis=1).mean() for name, b in encoder.blocks.items()}
    assert cosines["shape"] > 0.9
    assert cosines["color"] < 0.6


def test_tags_of_a_plain_garment(encoder: Encoder) -> None:
    garments = [
        g for g in list_garments(120, seed=8) if g.pattern == "plain" and g.category in ("dress", "skirt", "hoodie")
    ]
    tags = encoder.tag([draw_garment(garment) for garment in garments])
    right = [bool(t["category"]) and t["category"][0].label == g.category for t, g in zip(tags, garments, strict=True)]
    assert np.mean(right) >= 0.9
    assert all(0 <= label.score <= 1 for tag in tags for labels in tag.values() for label in labels)


def test_it_holds_no_place_of_the_machine_that_trained_it() -> None:
    graph = (load_encoder().folder / "model.onnx").read_bytes()
    assert b".py" not in graph
