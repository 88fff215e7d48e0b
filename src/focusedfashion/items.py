"""The things that travel between the parts: items, ledger entries, matches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Label:
    """One label of an attribute group; `score` is a probability in 0..1."""

    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a picture, in pixels of the whole upright picture: left < right, top < bottom, the origin top left."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Item:
    """One row of a catalog: what a source yields and what a match shows.

    `image` is the picture's reference as the source gave it (a path, or "" for bytes without a name); `picture` is
    where the picture comes from (a path, a URL as str, or its bytes) while the item is on its way into a catalog, and
    None afterwards. `box` is the garment's part of the picture, None where it is the whole. `product_id` is the
    item's own id unless the source knows better. `columns` are the source's own columns under their own names.
    `attributes` maps each attribute group of the encoder to the labels that passed their thresholds, best first.
    """

    item_id: str
    image: str = ""
    product_id: str = ""
    title: str | None = None
    brand: str | None = None
    url: str | None = None
    price: float | None = None
    currency: str | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Sequence[Label]] = field(default_factory=dict)
    box: Box | None = None
    picture: Path | str | bytes | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.product_id:
            object.__setattr__(self, "product_id", self.item_id)

    def to_dict(self) -> dict[str, Any]:
        """The item as JSON shows it, on the command line and over HTTP."""
        return {
            "item_id": self.item_id,
            "product_id": self.product_id,
            "title": self.title,
            "image": self.image,
            "brand": self.brand,
            "url": self.url,
            "price": self.price,
            "currency": self.currency,
            "attributes": labels_to_dict(self.attributes),
            "columns": dict(self.columns),
            "box": [self.box.left, self.box.top, self.box.right, self.box.bottom] if self.box else None,
        }


def labels_to_dict(attributes: Mapping[str, Sequence[Label]]) -> dict[str, list[dict[str, Any]]]:
    """Attribute groups as JSON shows them: {"category": [{"label": "dress", "score": 0.93}], ...}."""
    return {
        group: [{"label": label.label, "score": label.score} for label in labels]
        for group, labels in attributes.items()
    }


@dataclass(frozen=True, slots=True)
class Failure:
    """One entry of the ledger: an item that did not get in, the step that it failed at, and why, in one line.

    `step` is "read" (the source's row), "fetch" (its URL), "picture" (opening it), "store" (its columns do not fit
    the catalog's) or "skip" (the source leaves it out on purpose).
    """

    item_id: str
    step: str
    reason: str
    tries: int = 1


@dataclass(frozen=True, slots=True)
class Match:
    """One result: `rank` from 1; `score` in -1..1, higher is closer; `blocks` has each block's cosine."""

    rank: int
    score: float
    blocks: Mapping[str, float]
    item: Item

    def to_dict(self) -> dict[str, Any]:
        """The match as JSON shows it, on the command line and over HTTP."""
        blocks = {block: round(cosine, 4) for block, cosine in self.blocks.items()}
        return {"rank": self.rank, "score": round(self.score, 4), "blocks": blocks, "item": self.item.to_dict()}


@dataclass(frozen=True, slots=True)
class Matches(Sequence[Match]):
    """The closest products, best first: at most k, never padded. `more` says whether others follow the last one."""

    matches: tuple[Match, ...]
    more: bool = False

    def __len__(self) -> int:
        return len(self.matches)

    def __getitem__(self, index: Any) -> Any:
        return self.matches[index]

    def __iter__(self) -> Iterator[Match]:
        return iter(self.matches)
