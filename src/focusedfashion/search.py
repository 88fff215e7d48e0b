"""Query vector + focus + filter -> Matches, by asking the store. Knows neither pictures nor encoders."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from focusedfashion import settings
from focusedfashion.errors import QueryError
from focusedfashion.items import Match, Matches
from focusedfashion.rows import read_embeddings, read_items
from focusedfashion.store import Store

SORTS = ("score", "price", "-price")


def check_k(k: int) -> int:
    """The same k; raises QueryError where it is not a whole number from 1 to settings.MAX_K."""
    if not isinstance(k, int) or isinstance(k, bool) or not 1 <= k <= settings.MAX_K:
        raise QueryError(f"k must be a whole number from 1 to {settings.MAX_K}, not {k!r}")
    return k


def check_box(box: Sequence[float]) -> tuple[float, float, float, float]:
    """The same box; raises QueryError where it is not left < right, top < bottom, in fractions 0..1."""
    try:
        left, top, right, bottom = (float(side) for side in box)
        if 0 <= left < right <= 1 and 0 <= top < bottom <= 1:
            return left, top, right, bottom
    except (TypeError, ValueError):
        pass
    raise QueryError(f"the box is [left, top, right, bottom], fractions from 0 to 1 of the picture, not {box!r}")


def check_text(text: str) -> str:
    """The same text; raises QueryError where it is none, or longer than settings.MAX_TEXT."""
    if not isinstance(text, str):
        raise QueryError(f"a text is made of words, not {text!r}")
    if len(text) > settings.MAX_TEXT:
        raise QueryError(f"the text has {len(text):,} characters: say it in {settings.MAX_TEXT:,} at most")
    return text


def weigh_blocks(defaults: Mapping[str, float], focus: Mapping[str, float] | None) -> dict[str, float]:
    """Block -> weight: the encoder's defaults, with those that the focus names replaced. Raises QueryError.

    A weight of 0 switches a block off; 2 beside defaults of 1 makes it count double.
    """
    blocks = f"the blocks are {', '.join(defaults)}"
    for block, weight in (focus or {}).items():
        if block not in defaults:
            raise QueryError(f"no block {block!r} to focus on: {blocks}")
        if not isinstance(weight, Real) or isinstance(weight, bool) or not 0 <= weight <= settings.MAX_WEIGHT:
            most = f"{settings.MAX_WEIGHT:,}"
            raise QueryError(f"the focus on {block!r} must be a number from 0 to {most}, not {weight!r}: {blocks}")
    weights = {**defaults, **{block: float(weight) for block, weight in (focus or {}).items()}}
    if not sum(weights.values()) > 0:
        raise QueryError(f"the focus leaves no block to compare: give one a weight above 0; {blocks}")
    return weights


def check_place(start: int, k: int) -> None:
    """Raises QueryError where the matches from `start` on are not to be had: past settings.MAX_K there are none."""
    if not isinstance(start, int) or isinstance(start, bool) or not 0 <= start <= settings.MAX_K - k:
        raise QueryError(f"matches are listed up to the {settings.MAX_K:,}th, so `start` is 0 to {settings.MAX_K - k}")


def find_matches(
    store: Store,
    query: NDArray[np.float32],
    blocks: Mapping[str, slice],
    weights: Mapping[str, float],
    k: int,
    where: str | None = None,
    *,
    without: str | None = None,
    start: int = 0,
    sort: str = "score",
    collapse: bool = True,
    thumbnails: bool = False,
) -> Matches:
    """The k closest products after the first `start`, each shown by its closest picture; fewer where fewer are there.

    `query` is float32 (dim,), each block of L2 norm 1. The score is sum(w_b cos_b) / sum(w_b): a dot product with a
    scaled query. Equal scores are ordered by item_id. `sort` is one of SORTS: by price, the closest k * PRICE_POOL
    products (at most MAX_PRICE_POOL) come in the order of their prices, those without one last. Without `collapse`,
    each item counts by itself. `without` is a product, or without `collapse` an item, that is passed over. With
    `thumbnails` the items have theirs as `picture`.
    """
    total = sum(weights.values())
    scaled = np.zeros_like(query)
    for block, place in blocks.items():
        scaled[place] = query[place] * (weights[block] / total)
    wanted = start + k + 1  # the one after the last tells whether there are more
    if sort != "score":
        wanted = max(k, min(k * settings.PRICE_POOL, settings.MAX_PRICE_POOL))
    n = wanted + (without is not None)
    while True:
        table = store.nearest(scaled, n, where, thumbnails=thumbnails)
        best = _choose_products(table, query, blocks, weights, wanted, without, "product_id" if collapse else "item_id")
        if len(best) == wanted or len(table) < n:
            break
        n *= 4  # the nearest were views of the same few products
    if sort != "score":
        prices = table.column("price").to_pylist()
        sign = -1 if sort.startswith("-") else 1
        best.sort(key=lambda found: math.inf if prices[found[0]] is None else sign * prices[found[0]])
    more = len(best) > start + k
    best = best[start : start + k]
    items = read_items(table.take(pa.array([row for row, _, _ in best], pa.int64())))
    ranked = enumerate(zip(items, best, strict=True), start=start + 1)
    return Matches(tuple(Match(rank, score, cosines, item) for rank, (item, (_, score, cosines)) in ranked), more)


def _choose_products(
    table: pa.Table,
    query: NDArray[np.float32],
    blocks: Mapping[str, slice],
    weights: Mapping[str, float],
    k: int,
    without: str | None,
    key: str,
) -> list[tuple[int, float, dict[str, float]]]:
    """(row, score, cosines) of the closest picture of each of the k closest products, or whatever `key` names."""
    embeddings = read_embeddings(table).astype(np.float64)
    cosines = {block: np.clip(embeddings[:, place] @ query[place], -1.0, 1.0) for block, place in blocks.items()}
    scores = np.asarray(sum(weights[block] * cosines[block] for block in blocks)) / sum(weights.values())
    ids = table.column("item_id").to_pylist()
    products = table.column(key).to_pylist()
    # Rounded, so that two copies of a picture tie whatever the order in which their sums were taken.
    order = sorted(range(len(ids)), key=lambda row: (-round(float(scores[row]), 6), ids[row]))
    taken = {without}
    best: list[tuple[int, float, dict[str, float]]] = []
    for row in order:
        if products[row] not in taken and len(best) < k:
            taken.add(products[row])
            best.append((row, float(scores[row]), {block: float(cosines[block][row]) for block in blocks}))
    return best
