"""Garments: what can be drawn, and a balanced choice of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from focusedfashion.sources.samples.colors import COLORS, list_contrasting

T = TypeVar("T")

PATTERNS: tuple[str, ...] = ("plain", "striped", "checked", "dotted", "floral", "printed")

CUTS: dict[str, tuple[str, ...]] = {
    "t-shirt": ("crew", "v-neck", "oversized"),
    "tank top": ("classic", "strappy", "cropped"),
    "long-sleeve top": ("crew", "v-neck", "boat-neck"),
    "shirt": ("regular", "short-sleeved", "blouse"),
    "sweater": ("crew", "turtleneck", "cardigan"),
    "hoodie": ("pullover", "zip"),
    "jacket": ("bomber", "blazer", "denim", "puffer"),
    "dress": ("mini sheath", "midi a-line", "maxi", "wrap"),
    "skirt": ("pencil", "mini a-line", "maxi pleated"),
    "trousers": ("slim", "straight", "wide", "joggers"),
    "shorts": ("short", "bermuda"),
    "cap": ("baseball", "beanie", "bucket"),
    "handbag": ("tote", "shoulder", "bucket"),
    "sneakers": ("low", "high", "slip-on"),
}

CATEGORIES: tuple[str, ...] = tuple(CUTS)


@dataclass(frozen=True, slots=True)
class Garment:
    """What is to be drawn. `second` is the color of the pattern ("" for plain); `seed` decides everything left."""

    category: str
    cut: str
    color: str
    pattern: str
    second: str
    gender: str
    seed: int


def list_garments(count: int, seed: int = 0) -> list[Garment]:
    """`count` garments, reproducible and balanced, four in nine plain.

    A look (all but gender and seed) comes twice only where a category's plain looks run short, past about 1,200
    garments; twins have different seeds, so that they are drawn a little differently.
    """
    rng = np.random.default_rng([seed, 11])
    categories = _deal(CATEGORIES, rng)
    cuts = {category: _deal(CUTS[category], rng) for category in CATEGORIES}
    colors = _deal(tuple(COLORS), rng)
    patterns = _deal(("plain",) * 4 + PATTERNS[1:], rng)
    seen: set[tuple[str, ...]] = set()
    garments: list[Garment] = []
    while len(garments) < count:
        category, pattern = next(categories), next(patterns)
        for _ in range(40):  # tries to find a new look
            cut, color = next(cuts[category]), next(colors)
            second = "" if pattern == "plain" else str(rng.choice(list_contrasting(color)))
            look = (category, cut, color, pattern, second)
            if look not in seen:
                break
        seen.add(look)
        gender = str(rng.choice(_list_genders(category, cut)))
        garments.append(Garment(*look, gender, int(rng.integers(2**31))))
    return garments


def _deal(cards: Sequence[T], rng: np.random.Generator) -> Iterator[T]:
    """The cards in random order, all of them before any comes again, without end."""
    while True:
        for place in rng.permutation(len(cards)):
            yield cards[place]


def _list_genders(category: str, cut: str) -> tuple[str, ...]:
    if category in ("dress", "skirt", "handbag") or cut in ("blouse", "strappy", "cropped", "boat-neck"):
        return ("women",)
    if category in ("cap", "sneakers", "hoodie"):
        return ("women", "men", "unisex", "unisex")
    return ("women", "men", "men", "unisex")
