"""One example of every kind of answer, for the OpenAPI document; the tests hold them against real answers."""

from __future__ import annotations

from typing import Any

from focusedfashion import settings
from focusedfashion.items import Item, Label, Match, labels_to_dict
from focusedfashion.server.answers import show_match

_LABELS = {"category": [Label("dress", 0.97)], "color": [Label("red", 0.91)]}

_ITEM = Item(
    "dresses/17.jpg",
    image="dresses/17.jpg",
    title="Red midi dress",
    price=49.9,
    currency="EUR",
    columns={"season": "summer"},
    attributes=_LABELS,
)

ITEM: dict[str, Any] = _ITEM.to_dict()

TAGS: dict[str, Any] = {"width": 960, "height": 1280, "attributes": labels_to_dict(_LABELS)}

IMAGE: dict[str, Any] = {"image_id": "9dpF2mWkTq0Qb8mVtJrN4w", "expires_in": settings.HELD_SECONDS} | TAGS

MATCHES: dict[str, Any] = {
    "request_id": "b1946ac92492d234",
    "query": {
        "image_id": IMAGE["image_id"],
        "item_id": None,
        "text": None,
        "width": 960,
        "height": 1280,
        "attributes": TAGS["attributes"],
        "colors": ["#b8202a"],
    },
    "matches": [
        show_match(Match(1, 0.91, {"shape": 0.95, "color": 0.9, "pattern": 0.88}, _ITEM))
        | {
            "words": "very close",
            "variants": 3,
            "why": {
                "shared": [{"group": "category", "label": "dress"}],
                "different": [{"group": "season", "query": "winter", "item": "summer"}],
                "colors": {"query": "#b8202a", "item": "#c0262c", "distance": 2.1},
            },
        }
    ],
    "facets": {
        "brand": {"values": [{"value": "Acme", "count": 12}], "distinct": 1},
        "price": {"min": 9.9, "max": 149.0},
    },
    "cursor": "NS5mMmNhMWJiNmM3ZTkwN2Qw",
}

CATALOG: dict[str, Any] = {
    "items": 420,
    "products": 420,
    "failed": 0,
    "encoder": "builtin",
    "fingerprint": "3f2a91bc00d4e5f6",
    "indexed": "2026-01-31T12:00:00+00:00",
    "bytes": 6291456,
    "blocks": {"shape": 1.0, "color": 1.0, "pattern": 1.0},
    "text": False,
    "labels": {"category": ["dress", "shirt"], "color": ["red", "blue"]},
    "columns": [{"name": "price", "type": "number"}, {"name": "attributes.color", "type": "list"}],
}
