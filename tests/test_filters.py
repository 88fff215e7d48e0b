"""Conditions become SQL that finds the same items as looking at each, and whatever stands in them stays a value."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from conftest import draw_items
from focusedfashion.catalog import Catalog
from focusedfashion.encoders import Encoder
from focusedfashion.errors import QueryError
from focusedfashion.items import Item

NASTY = (
    "it's",
    "' OR 1=1 --",
    "a\\' OR 1=1 --",
    'say "hi" `now`',
    "100% _under_ ?$1",
    "line\nbreak",
    "/* no */ -- comment",
    "外套; DROP TABLE items",
    ")",
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Encoder) -> Catalog:
    catalog = Catalog(tmp_path_factory.mktemp("filters") / "shop", tiny_encoder)
    items = draw_items(len(NASTY) + 3)
    for place, item in enumerate(items):
        columns = dict(item.columns) | {
            "sale": place % 2 == 0,
            "since": date(2026, 1, 1 + place),
            "seen": datetime(2026, 1, 1, place, tzinfo=UTC),
            "sizes": ["S", "M"] if place % 3 else ["L"],
            "odd name": place,
        }
        if place == 4:
            del columns["sizes"], columns["sale"]
        brand = NASTY[place] if place < len(NASTY) else None
        items[place] = replace(item, brand=brand, columns=columns)
    assert catalog.index(items).failed == 0
    return catalog


def find(shop: Catalog, *filters: Any) -> list[int]:
    matches = shop.similar("item-000", 100, list(filters), collapse=False)
    return sorted(int(match.item.item_id[-3:]) for match in matches)


def condition(column: str, op: str, value: Any = None) -> dict[str, Any]:
    return {"column": column, "op": op} | ({} if value is None else {"value": value})


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([], range(1, 12)),
        ([condition("price", "<=", 3)], [1, 2, 3]),
        ([condition("price", ">", 9.5)], [10, 11]),
        ([condition("stock", "<", 2.5)], [1, 2]),
        ([condition("stock", "in", [3, 5, 99])], [3, 5]),
        ([condition("stock", "=", 3.0)], [3]),
        ([condition("stock", "=", 3.5)], []),
        ([condition("season", "=", "summer"), condition("price", ">=", 7)], [7, 9, 11]),
        ([{"any": [condition("price", "=", 2), condition("price", ">", 10)]}], [2, 11]),
        ([condition("sale", "=", True)], [2, 6, 8, 10]),
        ([condition("sale", "!=", True)], [1, 3, 4, 5, 7, 9, 11]),
        ([condition("sale", "missing")], [4]),
        ([condition("brand", "present"), condition("price", ">", 6)], [7, 8]),
        ([condition("brand", "!=", NASTY[1])], [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
        ([condition("since", ">=", "2026-01-11")], [10, 11]),
        ([condition("seen", "<", "2026-01-01T03:00:00Z")], [1, 2]),
        ([condition("seen", "<", "2026-01-01T05:00:00+02:00")], [1, 2]),
        ([condition("sizes", "contains", "L")], [3, 6, 9]),
        ([condition("sizes", "!=", "M")], [3, 4, 6, 9]),
        ([condition("sizes", "in", ["L", "XL"])], [3, 6, 9]),
        ([condition("sizes", "missing")], [4]),
        ([condition("odd name", "=", 7)], [7]),
        ([condition("PRICE", "=", 7)], [7]),
        ([condition("attributes.color", "contains", "red")], [4, 8]),
        ([condition("attributes.color", "in", ["red", "green"]), condition("price", "<", 6)], [1, 4, 5]),
        ([condition("attributes.color", "missing")], []),
    ],
)
def test_conditions_find_what_they_say(shop: Catalog, filters: list[Any], expected: Any) -> None:
    assert find(shop, *filters) == list(expected)


@pytest.mark.parametrize("value", NASTY)
@pytest.mark.parametrize("op", ["=", "in"])
def test_a_value_stays_a_value(shop: Catalog, value: str, op: str) -> None:
    found = find(shop, condition("brand", op, [value] if op == "in" else value))
    assert found == [place for place in [NASTY.index(value)] if place]
    assert find(shop, condition("sizes", "contains", value)) == []
    assert find(shop, condition("attributes.color", "contains", value)) == []


@pytest.mark.parametrize("value", ["\ud800", "\x00", "a\x00b", "'" * 5_000])
def test_values_that_no_column_can_hold_find_nothing(shop: Catalog, value: str) -> None:
    assert find(shop, condition("brand", "=", value)) == []


@pytest.mark.parametrize(
    ("filters", "word"),
    [
        ([condition("prize", "=", 1)], "did you mean 'price'"),
        ([condition("color", "=", "red")], "did you mean 'attributes.color'"),
        ([condition("attributes.colour", "=", "red")], "did you mean 'attributes.color'"),
        ([condition("price` = 1 OR `price", "=", 1)], "no column"),
        ([condition("embedding", "=", 1)], "no column"),
        ([condition("thumbnail", "present")], "no column"),
        ([condition("price", "<", "50")], "number"),
        ([condition("price", "<", True)], "number"),
        ([condition("price", "<", float("nan"))], "number"),
        ([condition("price", "<", 10**400)], "number"),
        ([condition("brand", "=", 5)], "text"),
        ([condition("brand", "=")], "missing"),
        ([condition("brand", "missing", 1)], "no value"),
        ([condition("brand", "LIKE", "x")], "operator"),
        ([condition("brand", "contains", "x")], "list"),
        ([condition("sizes", "<", "x")], "list"),
        ([condition("sale", "<", True)], "= and !="),
        ([condition("since", "<", "tomorrow")], "2026-01-31"),
        ([condition("seen", "<", "0001-01-01T00:00:00+23:00")], "2026-01-31T12:00:00Z"),
        ([condition("stock", "in", [])], "list of 1"),
        ([condition("stock", "in", 5)], "list of 1"),
        ([{"any": []}], "any"),
        ([{"any": [{"any": [condition("price", "=", 1)]}]}], "any"),
        ([{"column": "price", "op": "=", "value": 1, "extra": 1}], "extra"),
        (["price < 5"], "condition"),
        ([None], "condition"),
        ([condition("price", "=", 1)] * 101, "100"),
    ],
)
def test_what_makes_no_sense_is_one_line(shop: Catalog, filters: list[Any], word: str) -> None:
    with pytest.raises(QueryError) as caught:
        find(shop, *filters)
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_facet_is_counted_without_its_own_condition(shop: Catalog) -> None:
    red = [{"column": "attributes.color", "op": "=", "value": "red"}]
    facets = shop.facets(["attributes.color", "season", "price", "sale", "since"], red)
    by_color = dict(facets["attributes.color"].values or ())
    assert by_color == dict(shop.facets(["attributes.color"])["attributes.color"].values or ())
    assert by_color["red"] == 3
    assert facets["season"].values == (("winter", 3),)
    assert (facets["price"].least, facets["price"].most) == (0.0, 8.0)
    assert facets["sale"].values == ((True, 2),)
    assert facets["since"].to_dict() == {"min": "2026-01-01", "max": "2026-01-09"}


def test_a_facet_counts_products(shop: Catalog) -> None:
    sizes = shop.facets(["sizes"])["sizes"]
    products: dict[str, set[str]] = {}
    for item in shop.items():
        for size in item.columns.get("sizes", ()):
            products.setdefault(size, set()).add(item.product_id)
    assert dict(sizes.values or ()) == {size: len(found) for size, found in products.items()}
    assert sizes.distinct == 3


def test_a_facet_follows_the_catalog(tmp_path: Path, tiny_encoder: Encoder) -> None:
    catalog = Catalog(tmp_path / "shop", tiny_encoder)
    items = draw_items(4)
    catalog.index(items[:2])
    assert catalog.facets(["season"])["season"].values == (("summer", 1), ("winter", 1))
    catalog.index([Item("new", columns={"season": "summer"}, picture=items[2].picture)])
    assert catalog.facets(["season"])["season"].values == (("summer", 2), ("winter", 1))
    with pytest.raises(QueryError, match="did you mean 'season'"):
        catalog.facets(["saeson"])
