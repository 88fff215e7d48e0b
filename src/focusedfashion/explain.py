"""Why a match is one: what two pictures share, where they differ, how far apart their colors look."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from focusedfashion import settings
from focusedfashion.colors import find_garment_colors, measure_distance, write_hex
from focusedfashion.items import Item, Label, Matches

# Not yet calibrated against what people call alike.
_WORDS = ((0.85, "very close"), (0.7, "close"), (0.5, "similar"))
_FAR = "less similar"

_known: dict[bytes, NDArray[np.float64]] = {}  # by the hash of a thumbnail: what is found once is found again
_SMALL = 64  # px; the side to which a thumbnail is decoded for its color


@dataclass(frozen=True, slots=True)
class Look:
    """What a query's picture, or its part in a box, gave: enough to search with it again without the picture.

    `embedding` is float32 (dim,), `color` the garment's in CIE Lab (3,); `width` and `height` are pixels of the whole
    upright picture.
    """

    embedding: NDArray[np.float32]
    attributes: Mapping[str, Sequence[Label]]
    color: NDArray[np.float64]
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Why:
    """A query and one match: labels that both have, the groups in which they differ, and their garments' colors.

    `different` has (group, the query's first label, the item's). `colors` are "#rrggbb" of query and item and their
    CIEDE2000, None where a picture cannot be read.
    """

    shared: tuple[tuple[str, str], ...]
    different: tuple[tuple[str, str, str], ...]
    colors: tuple[str, str, float] | None

    def to_dict(self) -> dict[str, Any]:
        """The reasons as JSON shows them."""
        return {
            "shared": [{"group": group, "label": label} for group, label in self.shared],
            "different": [{"group": group, "query": ours, "item": its} for group, ours, its in self.different],
            "colors": dict(zip(("query", "item", "distance"), self.colors, strict=True)) if self.colors else None,
        }


def word_score(score: float) -> str:
    """A score in words: very close, close, similar, less similar."""
    return next((word for least, word in _WORDS if score >= least), _FAR)


def explain_matches(
    attributes: Mapping[str, Sequence[Label]], color: NDArray[np.float64] | None, matches: Matches
) -> list[Why]:
    """The reasons of each match, by the query's labels and color; without an item's thumbnail it has no colors."""
    others = read_colors([match.item.picture for match in matches]) if color is not None else [None] * len(matches)
    return [_explain(attributes, color, match.item, other) for match, other in zip(matches, others, strict=True)]


def read_colors(thumbnails: Sequence[Any]) -> list[NDArray[np.float64] | None]:
    """The garments' colors in thumbnails' bytes, each CIE Lab (3,); None for one that cannot be read, or is none."""
    names = [blake2b(one, digest_size=16).digest() if isinstance(one, bytes) else b"" for one in thumbnails]
    found: dict[bytes, NDArray[np.float64] | None] = {name: _known.get(name) for name in names}
    opened: dict[bytes, Image.Image] = {}
    for name, thumbnail in zip(names, thumbnails, strict=True):
        if found[name] is None and (picture := _open(thumbnail)) is not None:
            opened[name] = picture
    found |= dict(zip(opened, find_garment_colors(list(opened.values())), strict=True))
    if len(_known) > settings.KNOWN_COLORS:
        _known.clear()
    _known.update((name, color) for name in opened if (color := found[name]) is not None)
    return [found[name] for name in names]


def _open(thumbnail: Any) -> Image.Image | None:
    if not isinstance(thumbnail, bytes):
        return None
    try:
        with Image.open(io.BytesIO(thumbnail), formats=("JPEG", "WEBP")) as image:
            image.draft("RGB", (_SMALL, _SMALL))
            image.load()
            return image
    except (OSError, ValueError):
        return None


def _explain(
    attributes: Mapping[str, Sequence[Label]],
    color: NDArray[np.float64] | None,
    item: Item,
    other: NDArray[np.float64] | None,
) -> Why:
    shared: list[tuple[str, str]] = []
    different: list[tuple[str, str, str]] = []
    for group, labels in attributes.items():
        its = [label.label for label in item.attributes.get(group, ())]
        both = [label.label for label in labels if label.label in its]
        shared += [(group, label) for label in both]
        if labels and its and not both:
            different.append((group, labels[0].label, its[0]))
    colors = None
    if color is not None and other is not None:
        colors = (write_hex(color), write_hex(other), round(measure_distance(color, other), 1))
    return Why(tuple(shared), tuple(different), colors)
