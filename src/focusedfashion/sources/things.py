"""The things that a page's JSON-LD or microdata speaks of, and their properties by plain names."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

from focusedfashion import settings
from focusedfashion.sources.feeds import column_name, plain_text

Fields = dict[str, list[Any]]  # a thing's values by the snake_case names of its properties, never empty ones

_PREFIX = re.compile(r"(?:https?://(?:www\.)?schema\.org/|schema:|@)", re.IGNORECASE)
_SCHEMA = re.compile(r"https?://(?:www\.)?schema\.org/(?=\w+/?\Z)", re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_PRODUCTS = re.compile(r"product(?:group|model)?|(?:individual|some)products?", re.IGNORECASE)
# Properties with products that are mentioned for the sake of another one.
_MENTIONS = re.compile(
    r"is_(?:related_to|similar_to|accessory_or_spare_part_for|consumable_for|variant_of)|item_reviewed|reviews?|has_part"
)


class Things:
    """All things of a page; those that only have an @id are looked up among the others.

    `products` are its products in order, without variants and other products that are inside one.
    """

    def __init__(self, things: list[Any]) -> None:
        self.products: list[dict[str, Any]] = []
        self._known: dict[str, dict[str, Any]] = {}  # by @id
        self._collect(things)

    def _collect(self, things: list[Any]) -> None:
        """Finds the products, in order, and the things with an @id."""
        seen: set[int] = set()
        waiting: list[tuple[Any, bool]] = [(thing, True) for thing in reversed(things)]  # (value, whether it counts)
        while waiting and len(seen) < settings.MAX_NODES:
            value, counts = waiting.pop()
            if isinstance(value, list):
                waiting += [(inner, counts) for inner in reversed(value)]
            if not isinstance(value, dict) or id(value) in seen:
                continue
            seen.add(id(value))
            known = value.get("@id")
            if isinstance(known, str) and not _is_reference(value):
                self._known.setdefault(known, value)
            if counts and _is_product(value):
                self.products.append(value)
                counts = False  # what is inside it belongs to it
            waiting += [
                (inner, counts and not _MENTIONS.fullmatch(snake_name(key))) for key, inner in reversed(value.items())
            ]

    def open(self, thing: Any) -> Fields:
        """A thing -> its fields."""
        fields: Fields = {}
        if isinstance(thing, dict):
            for key, value in thing.items():
                values = [self._resolve(one) for one in (value if isinstance(value, list) else [value])]
                if values := [one for one in values if one not in (None, "", [], {})]:
                    fields.setdefault(snake_name(key), []).extend(values)
        return fields

    def _resolve(self, value: Any) -> Any:
        if isinstance(value, str):  # JSON may have halves of a character, which no catalog can keep
            return value.encode("utf-8", "ignore").decode().replace("\0", "")
        return self._known.get(value["@id"], value) if isinstance(value, dict) and _is_reference(value) else value

    def find_text(self, fields: Fields, names: Iterable[str]) -> str | None:
        """The first text of the first of these properties that there is."""
        texts = (self.to_text(value) for name in names for value in fields.get(name, ()))
        return next(filter(None, texts), None)

    def to_text(self, value: Any) -> str | None:
        """A value in one line: what it says, or what the thing is called."""
        if isinstance(value, str):
            return plain_text(_SCHEMA.sub("", value, count=1)) or None
        if isinstance(value, float):
            return (str(int(value)) if value.is_integer() else str(value)) if math.isfinite(value) else None
        if isinstance(value, (bool, int)):
            return str(value).lower()
        if not isinstance(value, dict):
            return None
        fields = self.open(value)
        plain = (one for name in ("value", "name") for one in fields.get(name, ()) if not isinstance(one, (dict, list)))
        text = self.to_text(next(plain, None))
        units = [unit for name in ("unit_text", "unit_code") for unit in fields.get(name, ()) if isinstance(unit, str)]
        return f"{text} {units[0]}" if text and units else text


def _is_product(thing: dict[str, Any]) -> bool:
    kinds = thing.get("@type")
    return any(
        isinstance(kind, str) and _PRODUCTS.fullmatch(_PREFIX.sub("", kind.strip()))
        for kind in (kinds if isinstance(kinds, list) else [kinds])
    )


def _is_reference(thing: dict[str, Any]) -> bool:
    """Whether this only names a thing that stands elsewhere."""
    return isinstance(thing.get("@id"), str) and thing.keys() <= {"@id", "@type"}


def snake_name(name: str) -> str:
    """'schema:productGroupID' -> 'product_group_id'."""
    return column_name(_CAMEL.sub("_", _PREFIX.sub("", name)))
