from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conftest import draw_items
from focusedfashion.encoders import Encoder
from focusedfashion.errors import QueryError
from focusedfashion.indexing import index_items
from focusedfashion.items import Item, Matches
from focusedfashion.search import check_k, find_matches, weigh_blocks
from focusedfashion.store import Store

ITEMS = draw_items(60)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Encoder) -> Store:
    store = Store(str(tmp_path_factory.mktemp("search") / "shop"))
    index_items(ITEMS, tiny_encoder, store)
    return store


@pytest.fixture(scope="module")
def embeddings(tiny_encoder: Encoder) -> Mapping[str, np.ndarray]:
    vectors = tiny_encoder.embed([item.picture for item in ITEMS if item.picture is not None])
    return {item.item_id: vector for item, vector in zip(ITEMS, vectors, strict=True)}


def search_naively(
    query: np.ndarray,
    embeddings: Mapping[str, np.ndarray],
    encoder: Encoder,
    weights: Mapping[str, float],
    k: int,
    allowed: set[str] | None = None,
) -> list[tuple[str, float]]:
    """(item, score) by a loop over everything, straight from the definition."""
    scores = {}
    for item in ITEMS:
        if allowed is None or item.item_id in allowed:
            cosines = {}
            for block, place in encoder.blocks.items():
                one, two = query[place].astype(float), embeddings[item.item_id][place].astype(float)
                cosines[block] = float(one @ two / np.linalg.norm(one) / np.linalg.norm(two))
            score = sum(weights[block] * cosines[block] for block in cosines) / sum(weights.values())
            scores[item.item_id] = round(score, 6)
    best: dict[str, tuple[str, float]] = {}
    for name, score in sorted(scores.items(), key=lambda entry: (-entry[1], entry[0])):
        best.setdefault(next(item.product_id for item in ITEMS if item.item_id == name), (name, score))
    return list(best.values())[:k]


@pytest.mark.parametrize(
    "focus", [None, {"color": 2}, {"color": 0}, {"shape": 0, "color": 0}, {"pattern": 0.25, "shape": 7}]
)
@pytest.mark.parametrize("k", [1, 5, 30, 100])
def test_scores_are_those_of_a_loop(
    store: Store, tiny_encoder: Encoder, embeddings: Mapping[str, np.ndarray], focus: dict[str, float] | None, k: int
) -> None:
    weights = weigh_blocks(tiny_encoder.weights, focus)
    for name in ("item-007", "item-042"):
        query = embeddings[name]
        matches = find_matches(store, query, tiny_encoder.blocks, weights, k)
        expected = search_naively(query, embeddings, tiny_encoder, weights, k)
        assert [match.rank for match in matches] == list(range(1, min(k, 30) + 1))
        np.testing.assert_allclose([match.score for match in matches], [score for _, score in expected], atol=2e-6)
        for match in matches:
            mean = sum(weights[block] * cosine for block, cosine in match.blocks.items()) / sum(weights.values())
            assert match.score == pytest.approx(mean)
        # The order within a rounding step is of no meaning.
        clear = {name for name, score in expected if score > expected[-1][1] + 1e-5}
        assert clear <= {match.item.item_id for match in matches}


def test_filters_apply_before_the_neighbors(
    store: Store, tiny_encoder: Encoder, embeddings: Mapping[str, np.ndarray]
) -> None:
    query, weights = embeddings["item-000"], tiny_encoder.weights
    allowed = {item.item_id for item in ITEMS if item.columns["stock"] % 10 == 9}
    matches = find_matches(store, query, tiny_encoder.blocks, weights, 5, "stock % 10 = 9")
    expected = search_naively(query, embeddings, tiny_encoder, weights, 5, allowed)
    assert [match.item.item_id for match in matches] == [name for name, _ in expected]
    assert not find_matches(store, query, tiny_encoder.blocks, weights, 5, "stock < 0")


def test_k_counts_products(tmp_path: Path, tiny_encoder: Encoder) -> None:
    # Fifty views of one product are closer than the views of three others.
    store = Store(str(tmp_path / "shop"))
    views = [replace(item, item_id=f"view-{n:02}", product_id="many") for n, item in enumerate(draw_items(50))]
    others = [
        replace(item, item_id=f"other-{n}", product_id=f"few-{n % 3}") for n, item in enumerate(draw_items(60)[50:56])
    ]
    index_items(views + others, tiny_encoder, store)
    query = tiny_encoder.embed([views[20].picture])[0]
    matches = find_matches(store, query, tiny_encoder.blocks, tiny_encoder.weights, 4)
    assert sorted(match.item.product_id for match in matches) == ["few-0", "few-1", "few-2", "many"]
    assert matches[0].item.item_id == "view-20"
    assert len(find_matches(store, query, tiny_encoder.blocks, tiny_encoder.weights, 9)) == 4
    without = find_matches(store, query, tiny_encoder.blocks, tiny_encoder.weights, 9, without="many")
    assert sorted(match.item.product_id for match in without) == ["few-0", "few-1", "few-2"]


def test_ties_are_ordered_by_item(tmp_path: Path, tiny_encoder: Encoder) -> None:
    store = Store(str(tmp_path / "shop"))
    (item,) = draw_items(1)
    names = [f"copy-{n * 7 % 40:02}" for n in range(40)]
    index_items([replace(item, item_id=name, product_id=name) for name in names], tiny_encoder, store)
    query = tiny_encoder.embed([item.picture])[0]
    for k in (1, 3, 40):
        matches = find_matches(store, query, tiny_encoder.blocks, tiny_encoder.weights, k)
        assert [match.item.item_id for match in matches] == sorted(names)[:k]
        assert all(match.score == pytest.approx(1) and match.score <= 1 for match in matches)


def test_an_empty_catalog_has_no_matches(tmp_path: Path, tiny_encoder: Encoder) -> None:
    store = Store(str(tmp_path / "shop"))
    index_items([Item("a", picture=b"junk")], tiny_encoder, store)
    query = np.ones(35, np.float32)
    assert find_matches(store, query, tiny_encoder.blocks, tiny_encoder.weights, 5) == Matches(())
    assert find_matches(store, query, tiny_encoder.blocks, tiny_encoder.weights, 5, "price < 1") == Matches(())


@pytest.mark.parametrize("k", [0, -1, 1001, 2.0, "5", True, None])
def test_k_must_be_a_whole_number(k: object) -> None:
    with pytest.raises(QueryError, match=r"k must be a whole number from 1 to 1000, not"):
        check_k(k)


@pytest.mark.parametrize(
    ("focus", "told"),
    [
        ({"colour": 1}, "no block 'colour' to focus on"),
        ({"color": -1}, "the focus on 'color' must be a number from 0 to 1,000,000, not -1"),
        ({"color": float("nan")}, "must be a number"),
        ({"color": float("inf")}, "must be a number"),
        ({"color": "2"}, "must be a number"),
        ({"color": True}, "must be a number"),
        ({"shape": 0, "color": 0, "pattern": 0}, "leaves no block to compare"),
    ],
)
def test_focus_that_makes_no_sense(tiny_encoder: Encoder, focus: dict[str, float], told: str) -> None:
    with pytest.raises(QueryError, match=told) as caught:
        weigh_blocks(tiny_encoder.weights, focus)
    assert "the blocks are shape, color, pattern" in str(caught.value)


def test_focus_keeps_the_others_at_their_weight() -> None:
    defaults = {"shape": 1.0, "color": 0.5}
    assert weigh_blocks(defaults, None) == weigh_blocks(defaults, {}) == defaults
    assert weigh_blocks(defaults, {"shape": 3}) == {"shape": 3.0, "color": 0.5}
    assert weigh_blocks(defaults, {"shape": np.float32(2)}) == {"shape": 2.0, "color": 0.5}
    assert defaults == {"shape": 1.0, "color": 0.5}
