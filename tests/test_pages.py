"""Reading web pages: what becomes of the markup that shops really write."""

from __future__ import annotations

import base64
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from conftest import draw_garment
from focusedfashion import settings
from focusedfashion.errors import MissingExtra, SourceError
from focusedfashion.fetch import Fetcher
from focusedfashion.items import Failure, Item
from focusedfashion.sources.page import read_page
from web import Reply, serve_web

SHOP = "https://shop.example"
DRESS: dict[str, Any] = {
    "@context": "https://schema.org/",
    "@type": "Product",
    "sku": "D-1",
    "name": "Red dress",
    "image": f"{SHOP}/i/d1.jpg",
    "offers": {"@type": "Offer", "price": "59.90", "priceCurrency": "EUR"},
}


def script(thing: Any) -> str:
    return f'<script type="application/ld+json">{thing if isinstance(thing, str) else json.dumps(thing)}</script>'


def read_all(folder: Path, *markup: str | bytes, name: str = "page.html") -> tuple[list[Item], list[Failure]]:
    """What a saved page of this markup gives."""
    path = folder / name
    path.write_bytes(b"".join(part.encode() if isinstance(part, str) else part for part in markup))
    entries = list(read_page(str(path)))
    items = [entry for entry in entries if isinstance(entry, Item)]
    return items, [entry for entry in entries if isinstance(entry, Failure)]


def read_one(folder: Path, *markup: str | bytes) -> Item:
    items, failures = read_all(folder, *markup)
    assert not failures
    assert len(items) == 1, items
    return items[0]


# JSON-LD


def test_everything_that_json_ld_says(tmp_path: Path) -> None:
    product = {
        "@context": {"@vocab": "http://schema.org/"},
        "@type": ["http://schema.org/Product"],
        "sku": 1234,
        "gtin13": "4006381333931",
        "mpn": "925872",
        "name": "Robe d&#39;&eacute;t&eacute; <b>longue</b>",
        "description": "<p>Coton &amp; lin.</p><p>Lavable.</p>",
        "image": [f"{SHOP}/1.jpg", {"@type": "ImageObject", "contentUrl": f"{SHOP}/2.jpg"}, f"{SHOP}/1.jpg"],
        "brand": {"@type": "Brand", "name": "Nord"},
        "color": ["bleu", "blanc"],
        "material": "coton",
        "pattern": {"@type": "DefinedTerm", "name": "rayé"},
        "size": {"@type": "SizeSpecification", "name": "38"},
        "category": "Vêtements > Robes",
        "audience": {"@type": "PeopleAudience", "suggestedGender": "https://schema.org/Female"},
        "weight": {"@type": "QuantitativeValue", "value": 0.3, "unitText": "kg"},
        "aggregateRating": {"ratingValue": "4,5", "reviewCount": 12},
        "additionalProperty": [{"@type": "PropertyValue", "name": "Longueur (cm)", "value": 120}],
        "url": "/robes/1234?utm_source=mail#avis",
        "offers": [
            {
                "@type": "Offer",
                "price": "1.299,00",
                "priceCurrency": "EUR",
                "availability": "http://schema.org/InStock",
                "itemCondition": "https://schema.org/NewCondition",
            }
        ],
        "isRelatedTo": {"@type": "Product", "name": "Autre", "image": f"{SHOP}/other.jpg"},
        "review": {"@type": "Review", "itemReviewed": {"@type": "Product", "name": "x"}},
    }
    head = f'<link rel="canonical" href="{SHOP}/robes/1234">'
    items, failures = read_all(tmp_path, head, script(product))
    assert not failures
    assert [(item.item_id, item.product_id, item.picture) for item in items] == [
        ("1234", "1234", f"{SHOP}/1.jpg"),
        ("1234#2", "1234", f"{SHOP}/2.jpg"),
    ]
    item = items[0]
    assert (item.title, item.brand) == ("Robe d'été longue", "Nord")
    assert (item.price, item.currency, item.url) == (1299.0, "EUR", f"{SHOP}/robes/1234")
    assert item.columns == {
        "gtin13": "4006381333931",
        "mpn": "925872",
        "sku": "1234",
        "description": "Coton & lin. Lavable.",
        "color": "bleu, blanc",
        "material": "coton",
        "pattern": "rayé",
        "size": "38",
        "category": "Vêtements > Robes",
        "gender": "female",
        "weight": "0.3 kg",
        "rating": 4.5,
        "rating_count": 12.0,
        "longueur_cm": "120",
        "availability": "in_stock",
        "condition": "new",
    }


def test_a_graph_whose_parts_refer_to_each_other(tmp_path: Path) -> None:
    graph = {
        "@context": "https://schema.org",
        "@graph": [
            {"@type": "WebPage", "@id": "#page", "primaryImageOfPage": {"@id": "#picture"}},
            {"@type": "Product", "@id": "#it", "name": "Coat", "image": {"@id": "#picture"}, "offers": {"@id": "#o"}},
            {"@type": "ImageObject", "@id": "#picture", "url": f"{SHOP}/coat.jpg"},
            {"@type": "Offer", "@id": "#o", "price": 80, "priceCurrency": "GBP"},
        ],
    }
    item = read_one(tmp_path, script(graph))
    assert (item.title, item.picture, item.price, item.currency) == ("Coat", f"{SHOP}/coat.jpg", 80.0, "GBP")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda products: products,
        lambda products: {"@type": "ItemList", "itemListElement": [{"@type": "ListItem", "item": p} for p in products]},
        lambda products: {"@type": "WebPage", "mainEntity": products},
        lambda products: [{"@type": "Organization", "name": "Shop"}, {"@graph": products}],
        lambda products: "\n".join(map(json.dumps, products)),
    ],
)
def test_several_products(tmp_path: Path, wrap: Any) -> None:
    products = [DRESS, {**DRESS, "sku": "D-2"}, {"@type": "product", "name": "Hat", "image": "https://a/h.jpg"}]
    items, failures = read_all(tmp_path, script(wrap(products)))
    assert [item.item_id for item in items] == ["D-1", "D-2", "page.html"]
    assert not failures


@pytest.mark.parametrize(
    ("image", "found"),
    [
        ("https://a/1.jpg", ["https://a/1.jpg"]),
        (["//a/1.jpg", " https://a/2.jpg "], ["https://a/1.jpg", "https://a/2.jpg"]),
        ({"@type": "ImageObject", "url": ["https://a/1.jpg"]}, ["https://a/1.jpg"]),
        ([{"contentUrl": "https://a/1.jpg", "url": "https://a/page"}], ["https://a/1.jpg"]),
        ({"@type": "ImageObject", "@id": "https://a/1.jpg"}, ["https://a/1.jpg"]),
        ([None, "", {}, [], 7, "https://a/1.jpg"], ["https://a/1.jpg"]),
        ("https://a/Ünïcode b.jpg?x=1&y=2", ["https://a/Ünïcode b.jpg?x=1&y=2"]),
    ],
)
def test_pictures_in_every_shape(tmp_path: Path, image: Any, found: list[str]) -> None:
    items, failures = read_all(tmp_path, script({**DRESS, "image": image}))
    assert [item.picture for item in items] == found
    assert not failures


@pytest.mark.parametrize("brand", ["Nord", {"@type": "Brand", "name": "Nord"}, [{"name": ["Nord"]}], {"@id": "#b"}])
def test_brands_in_every_shape(tmp_path: Path, brand: Any) -> None:
    known = script({"@type": "Brand", "@id": "#b", "name": "Nord"})
    assert read_one(tmp_path, script({**DRESS, "brand": brand}), known).brand == "Nord"


def offer(price: Any, currency: Any = None, **more: Any) -> dict[str, Any]:
    return {"@type": "Offer", "price": price, "priceCurrency": currency, **more}


@pytest.mark.parametrize(
    ("offers", "price", "currency", "columns"),
    [
        (offer(59.9, "EUR"), 59.9, "EUR", {}),
        (offer("59,90 €"), 59.9, "EUR", {}),
        (offer("1 299,00", "eur"), 1299.0, "EUR", {}),
        (offer("1.299", "€"), 1299.0, "EUR", {}),
        (offer("12.500", "KWD"), 12.5, "KWD", {}),
        (offer("auf Anfrage", "EUR"), None, "EUR", {"source_price": "auf Anfrage"}),
        (offer("", "EUR"), None, "EUR", {}),
        (offer(-1, "EUR"), None, "EUR", {}),
        (offer(1e999, "EUR"), None, "EUR", {}),
        ([offer(30, "EUR"), offer(20, "EUR")], 20.0, "EUR", {}),
        (
            [
                offer(30, "EUR", availability="InStock"),
                offer(20, "EUR", availability="https://schema.org/OutOfStock"),
            ],
            30.0,
            "EUR",
            {"availability": "in_stock"},
        ),
        (
            {"@type": "AggregateOffer", "lowPrice": "20,00", "highPrice": "25,00", "priceCurrency": "EUR"},
            20.0,
            "EUR",
            {"high_price": 25.0},
        ),
        ({"@type": "AggregateOffer", "offers": [offer(30, "USD"), offer(25, "USD")]}, 25.0, "USD", {}),
        (
            {
                "@type": "Offer",
                "priceSpecification": [
                    {"@type": "DeliveryChargeSpecification", "price": 3},
                    {"@type": "UnitPriceSpecification", "price": 4, "referenceQuantity": {"value": 100}},
                    {"@type": "UnitPriceSpecification", "priceType": "ListPrice", "price": 50, "priceCurrency": "CHF"},
                    {"@type": "UnitPriceSpecification", "price": 40, "priceCurrency": "CHF"},
                ],
            },
            40.0,
            "CHF",
            {"regular_price": 50.0},
        ),
        (offer(5, "EUR", availability="out of stock"), 5.0, "EUR", {"availability": "out_of_stock"}),
        (offer(5, "EUR", availability="LimitedAvailability"), 5.0, "EUR", {"availability": "limited_availability"}),
        ("free", None, None, {}),
        (None, None, None, {}),
    ],
)
def test_offers_in_every_shape(tmp_path: Path, offers: Any, price: Any, currency: Any, columns: dict[str, Any]) -> None:
    item = read_one(tmp_path, script(json.dumps({**DRESS, "offers": offers}).replace("Infinity", "1e999")))
    assert (item.price, item.currency) == (price, currency)
    assert {name: value for name, value in item.columns.items() if name != "sku"} == columns


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("}", ",}"),
        lambda text: f"<!-- {text} -->",
        lambda text: f"//<![CDATA[\n{text}\n//]]>",
        lambda text: f"/* a */ {text} // b",
        lambda text: f"\ufeff \n{text};",
        lambda text: text.replace("Red dress", "Red\n\tdress\x01"),
        lambda text: text.replace('"', "&quot;"),
        lambda text: f"{text}{{}}",
        lambda text: text.replace('"Red dress"', '"Red dress", "weight": NaN'),
        lambda text: text.replace('"Red dress"', '"Red dress", "description": "see //here, /* and */ [a,] <!-- b -->"'),
        lambda text: text.replace("Red dress", r"Red dress\ud83d").replace("d1.jpg", r"\udc00d1.jpg"),
    ],
)
def test_json_that_is_written_badly(tmp_path: Path, damage: Any) -> None:
    item = read_one(tmp_path, script(damage(json.dumps(DRESS))))
    assert (item.item_id, item.price) == ("D-1", 59.9)
    assert (item.title or "").startswith("Red")
    assert item.picture == f"{SHOP}/i/d1.jpg"
    if "description" in item.columns:
        assert item.columns["description"].startswith("see //here, /* and */ [a,]")


@pytest.mark.parametrize(
    "kind", ["application/ld+json", "Application/LD+JSON; charset=utf-8", "application/json+ld+json"]
)
def test_scripts_of_every_type(tmp_path: Path, kind: str) -> None:
    assert read_one(tmp_path, f'<body><script id=x type="{kind}">{json.dumps(DRESS)}</script>').item_id == "D-1"


def test_a_broken_script_costs_itself_alone(tmp_path: Path) -> None:
    broken = '{"@type": "Product",\n"name": "Blue\n" dress"}'
    items, failures = read_all(tmp_path, "<html>\r\n\r\n", script(DRESS), "\r\n", script(broken), script("{not ours"))
    assert [item.item_id for item in items] == ["D-1"]
    assert failures == [
        Failure(
            "page.html, line 6",
            "read",
            "page.html, line 6: JSON-LD that is no JSON (Expecting ',' delimiter, column 3)",
        )
    ]


# Variants


def variant(sku: str | None, color: str, size: str, **more: Any) -> dict[str, Any]:
    return {"@type": "Product", "sku": sku, "color": color, "size": size, **more}


def test_a_group_with_variants(tmp_path: Path) -> None:
    group = {
        "@type": "ProductGroup",
        "productGroupID": "TEE",
        "name": "Tee",
        "brand": "Nord",
        "material": "cotton",
        "variesBy": ["https://schema.org/color"],
        "image": ["https://a/red.jpg", "https://a/group.jpg"],
        "url": f"{SHOP}/tee",
        "hasVariant": [
            variant("T-R-S", "red", "S", image=["https://a/red.jpg", "https://a/back.jpg"], offers=offer(10, "EUR")),
            variant("T-R-M", "red", "M", image=["https://a/red.jpg", "https://a/back.jpg"], offers=offer(11, "EUR")),
            variant("T-B", "blue", "S", image="https://a/blue.jpg", name="Blue tee", url=f"{SHOP}/tee?c=blue"),
            variant(None, "green", "S"),
            {"@type": "Product", "url": f"{SHOP}/tee-of-another-page"},
        ],
    }
    items, failures = read_all(tmp_path, script(group))
    assert not failures
    assert {item.product_id for item in items} == {"TEE"}
    assert [(item.item_id, item.image) for item in items] == [
        ("T-R-S", "https://a/red.jpg"),
        ("T-R-S#2", "https://a/back.jpg"),
        ("T-R-M", "https://a/red.jpg"),
        ("T-B", "https://a/blue.jpg"),
        ("TEE/green-S", "https://a/red.jpg"),
        ("TEE", "https://a/group.jpg"),
    ]
    assert [(item.title, item.price, item.columns.get("color"), item.columns["material"]) for item in items] == [
        ("Tee", 10.0, "red", "cotton"),
        ("Tee", 10.0, "red", "cotton"),
        ("Tee", 11.0, "red", "cotton"),
        ("Blue tee", None, "blue", "cotton"),
        ("Tee", None, "green", "cotton"),
        ("Tee", None, None, "cotton"),
    ]
    assert items[3].url == f"{SHOP}/tee?c=blue"


@pytest.mark.parametrize("link", [{"inProductGroupWithID": "G"}, {"isVariantOf": {"@id": "#g"}}])
def test_variants_that_name_their_group(tmp_path: Path, link: dict[str, Any]) -> None:
    graph = [
        {"@type": "ProductGroup", "@id": "#g", "productGroupID": "G", "name": "Tee", "brand": "Nord"},
        variant("A", "red", "S", image="https://a/a.jpg", **link),
        variant("B", "blue", "S", image="https://a/b.jpg", **link),
    ]
    items, failures = read_all(tmp_path, script(graph))
    assert [(item.item_id, item.product_id, item.title, item.brand) for item in items] == [
        ("A", "G", "Tee", "Nord"),
        ("B", "G", "Tee", "Nord"),
    ]
    assert not failures


def test_a_group_without_an_id(tmp_path: Path) -> None:
    group = {"@type": "ProductGroup", "name": "Tee", "url": f"{SHOP}/tee", "image": "https://a/1.jpg"}
    group |= {"hasVariant": [variant("A", "red", "S"), variant(None, "blue", "S", image="https://a/2.jpg")]}
    items, _ = read_all(tmp_path, script(group))
    assert [(item.item_id, item.product_id) for item in items] == [
        ("A", f"{SHOP}/tee"),
        (f"{SHOP}/tee/blue-S", f"{SHOP}/tee"),
    ]


def test_a_group_whose_variants_have_only_an_offer(tmp_path: Path) -> None:
    """As the most common theme of the most common shop system writes it, where the skus are empty."""
    group = {
        "@type": "ProductGroup",
        "productGroupID": "77",
        "name": "Tee",
        "url": f"{SHOP}/products/tee",
        "hasVariant": [
            {
                "@id": f"/products/tee?variant={n}#variant",
                "@type": "Product",
                "image": "https://a/1.jpg",
                "name": f"Tee - {size}",
                "offers": {**offer("50.00", "USD"), "@id": f"#{n}", "url": f"{SHOP}/products/tee?variant={n}"},
            }
            for n, size in enumerate("SM")
        ],
    }
    items, _ = read_all(tmp_path, script(group))
    assert [(item.item_id, item.url, item.product_id, item.title) for item in items] == [
        (f"{SHOP}/products/tee?variant={n}", f"{SHOP}/products/tee?variant={n}", "77", f"Tee - {size}")
        for n, size in enumerate("SM")
    ]


def test_ids_are_different_on_a_page_and_the_same_each_time(tmp_path: Path) -> None:
    group = {
        "@type": "ProductGroup",
        "productGroupID": "G",
        "hasVariant": [variant("X", c, s, image=f"https://a/{c}.jpg") for c, s in ("rS", "rS", "bM")],
    }
    nameless = [{"@type": "Product", "name": n, "image": f"https://a/{n}.jpg"} for n in "pq"]
    markup = [f'<link rel=canonical href="{SHOP}/p">', script(group), script(nameless)]
    items, _ = read_all(tmp_path, *markup)
    assert [item.item_id for item in items] == ["X", "X/r-S", "X/b-M", f"{SHOP}/p", f"{SHOP}/p!2"]
    assert read_all(tmp_path, *markup)[0] == items


# Microdata


def test_microdata(tmp_path: Path) -> None:
    item = read_one(
        tmp_path,
        """<div itemscope itemtype="https://schema.org/Product" itemref="more elsewhere">
          <h1 itemprop="name">Red <em>dress</em><script>var a = 1</script></h1>
          <meta itemprop="sku" content="D-1"><link itemprop="url" href="/d1">
          <a itemprop="brand" href="/brands/nord">Nord</a>
          <img itemprop="image" src="data:image/gif;base64,R0lGOD" data-src="/i/d1.jpg">
          <div itemprop="offers" itemscope itemtype="http://schema.org/Offer">
            <span itemprop="price">59,90</span> <span itemprop="priceCurrency">€</span>
            <link itemprop="availability" href="http://schema.org/PreOrder">
          </div>
          <ul><li itemprop="color">red<li itemprop="color">blue</ul>
          <div itemprop="isRelatedTo" itemscope itemtype="https://schema.org/Product">
            <b itemprop="name">Hat</b><img itemprop="image" src="/i/hat.jpg"></div>
          <div itemprop="aggregateRating" itemscope><meter itemprop="ratingValue" value="4">four</meter></div>
        </div>
        <p id="more">Made of <b itemprop="material">wool</b></p>
        <p id="elsewhere" itemprop="description">Long<br>warm</p>
        <base href="https://shop.example/shop/">""",
    )
    assert (item.item_id, item.title, item.brand, item.url) == ("D-1", "Red dress", "Nord", f"{SHOP}/d1")
    assert (item.picture, item.image, item.price, item.currency) == (f"{SHOP}/i/d1.jpg", "/i/d1.jpg", 59.9, "EUR")
    assert item.columns == {
        "sku": "D-1",
        "color": "red, blue",
        "material": "wool",
        "description": "Long warm",
        "rating": 4.0,
        "availability": "preorder",
    }


def test_microdata_of_broken_html(tmp_path: Path) -> None:
    """Nothing is closed, a table has what no table may have, and the price stands without an offer."""
    item = read_one(
        tmp_path,
        '<table itemscope itemtype="http://schema.org/Product"><tr><td><div itemprop=name>Coat<tr><td>'
        '<span itemprop=price content="19.90">19,90<meta itemprop=priceCurrency content=USD>'
        '<div itemprop=image><img srcset="a-1.jpg 200w, https://a/2.jpg 800w, a-3.jpg 400w">',
    )
    assert (item.title, item.price, item.currency, item.picture) == ("Coat", 19.9, "USD", "https://a/2.jpg")


def test_several_products_in_microdata(tmp_path: Path) -> None:
    card = '<li itemscope itemtype="https://schema.org/Product"><a itemprop=url href="{n}.html"><img itemprop=image '
    card += 'src="https://a/{n}.jpg" alt=x><span itemprop=name>Shirt</span></a></li>'
    items, _ = read_all(tmp_path, f'<base href="{SHOP}/list/">', *(card.format(n=n) for n in range(3)))
    assert [item.url for item in items] == [f"{SHOP}/list/{n}.html" for n in range(3)]
    assert len({item.item_id for item in items}) == 3


# OpenGraph, and all of them together

OPENGRAPH = """<head><meta property="og:type" content="product"><meta property="og:title" content="Red dress">
    <meta property="og:url" content="https://shop.example/d1"><meta name="og:image" content="/i/d1.jpg">
    <meta property="og:image" content="https://shop.example/i/d1-back.jpg"><body>
    <meta property="product:price:amount" content="59,90"><meta property="product:price:currency" content="EUR">
    <meta property="product:brand" content="Nord"><meta property="product:retailer_item_id" content="D-1">
    <meta property="product:item_group_id" content="D"><meta property="product:color" content="red">
    <meta property="product:availability" content="in stock"><meta property="og:description" content="Long">"""


def test_opengraph(tmp_path: Path) -> None:
    items, _ = read_all(tmp_path, OPENGRAPH)
    assert [(item.item_id, item.product_id, item.picture) for item in items] == [
        ("D-1", "D", f"{SHOP}/i/d1.jpg"),
        ("D-1#2", "D", f"{SHOP}/i/d1-back.jpg"),
    ]
    item = items[0]
    assert (item.title, item.brand, item.price, item.currency) == ("Red dress", "Nord", 59.9, "EUR")
    assert item.url == f"{SHOP}/d1"
    assert item.columns == {"sku": "D-1", "color": "red", "description": "Long", "availability": "in_stock"}


def test_a_page_about_something_else_is_no_product(tmp_path: Path) -> None:
    blog = '<meta property="og:type" content="article"><meta property="og:title" content="News">'
    with pytest.raises(SourceError, match="no product in the markup"):
        read_all(tmp_path, blog, '<meta property="og:image" content="https://a/b.jpg">', script({"@type": "Article"}))


def test_what_one_markup_leaves_out_another_says(tmp_path: Path) -> None:
    thin = {"@type": "Product", "name": "Red dress", "sku": "D-1"}
    micro = '<div itemscope itemtype="http://schema.org/Product"><b itemprop=name>Dress, red</b>'
    micro += "<i itemprop=material>wool</i></div>"
    rating = {"@type": "Product", "name": "Red dress", "productID": "99", "aggregateRating": {"ratingValue": 3}}
    item = read_one(tmp_path, script(thin), micro, script(rating), OPENGRAPH.replace("/i/d1-back.jpg", "/i/d1.jpg"))
    assert (item.item_id, item.title, item.brand, item.price) == ("D-1", "Red dress", "Nord", 59.9)
    assert (item.columns["material"], item.columns["rating"]) == ("wool", 3.0)


def test_a_product_that_is_only_mentioned(tmp_path: Path) -> None:
    other = {"@type": "Product", "name": "Hat", "sku": "H", "image": "https://a/h.jpg"}
    page = [{"@type": "WebPage", "isRelatedTo": other}, {"@type": "Review", "itemReviewed": other}]
    assert read_one(tmp_path, script(page), script(DRESS)).item_id == "D-1"


def test_a_repeated_product_is_one(tmp_path: Path) -> None:
    without_id = {name: value for name, value in DRESS.items() if name != "sku"}
    assert read_one(tmp_path, script(DRESS), script(without_id), script([DRESS])).item_id == "D-1"
    items, _ = read_all(tmp_path, script([without_id, {**without_id, "image": "https://a/other.jpg"}]))
    assert len(items) == 2  # of the same name, but nothing says that they are the same


# Pictures of a page


@pytest.mark.parametrize(
    ("markup", "found"),
    [
        ('<img src="data:image/gif;base64,R0lGOD" data-src="https://a/1.jpg">', "https://a/1.jpg"),
        ('<img src="https://a/placeholder.png" data-original="//a/1.jpg">', "https://a/1.jpg"),
        ('<img srcset="https://a/1.jpg 1x, https://a/2.jpg 2x">', "https://a/2.jpg"),
        ('<img data-srcset="https://a/1.jpg?w=1,2 100w,https://a/2.jpg?w=3,4 200w">', "https://a/2.jpg?w=3,4"),
        ('<img data-src="https://a/1_{width}x.jpg">', "https://a/1_800x.jpg"),
        ('<picture><source srcset="https://a/1.webp"><img src="/spacer.gif"></picture>', "https://a/1.webp"),
        ('<noscript><img src="https://a/1.jpg"></noscript>', "https://a/1.jpg"),
        ('<link rel="image_src" href="https://a/1.jpg"><img src="https://a/2.jpg">', "https://a/1.jpg"),
        (
            '<header><img src="https://a/head.jpg"></header><img src="https://a/logo.png"><img src="https://a/x.svg">'
            '<img src="https://a/tiny.jpg" width=40><div class="related-products"><img src="https://a/r.jpg"></div>'
            '<img src="https://a/some.jpg"><div class="product-gallery"><img src="https://a/1.jpg"></div>',
            "https://a/1.jpg",
        ),
        (
            '<div class=product><img src="https://a/2.jpg"></div><img src="https://a/1.jpg" alt="Red dress, back">',
            "https://a/1.jpg",
        ),
    ],
)
def test_a_picture_that_only_the_page_shows(tmp_path: Path, markup: str, found: str) -> None:
    assert read_one(tmp_path, script({**DRESS, "image": None}), markup).picture == found


def test_a_product_without_a_picture(tmp_path: Path) -> None:
    items, failures = read_all(tmp_path, script([{**DRESS, "image": []}, {**DRESS, "sku": "D-2"}]), '<img src="l.jpg">')
    assert [item.item_id for item in items] == ["D-2"]
    assert failures == [Failure("D-1", "read", "page.html: no picture of 'Red dress'")]


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "ftp://a/b.jpg", "http://[bad/x.jpg", "x" * 5_000, "file:///x"]
)
def test_a_link_that_is_none(tmp_path: Path, link: str) -> None:
    canonical = f'<link rel=canonical href="{SHOP}/p">'
    items, failures = read_all(tmp_path, canonical, script({**DRESS, "image": [link, "https://a/1.jpg"]}))
    assert [item.item_id for item in items] == ["D-1#2"]
    assert [failure.item_id for failure in failures] == ["D-1"]
    assert "the picture's link is" in failures[0].reason


# Saved pages


def test_pictures_beside_a_saved_page(tmp_path: Path) -> None:
    (tmp_path / "Red dress_files").mkdir()
    for name in ("d1.jpg", "d 2.jpg", "d3.jpg?v=7"):
        (tmp_path / "Red dress_files" / name).write_bytes(draw_garment())
    images = [f"./Red dress_files/{name}" for name in ("d1.jpg?v=2", "d%202.jpg", "d3.jpg?v=7", "gone.jpg")]
    thing = script({**DRESS, "image": [*images, "/i/d1.jpg", "//cdn.example/1.jpg"]})
    items, _ = read_all(tmp_path, thing, name="Red dress.html")
    folder = tmp_path / "Red dress_files"
    assert [item.picture for item in items] == [
        folder / "d1.jpg",
        folder / "d 2.jpg",
        folder / "d3.jpg?v=7",
        folder / "gone.jpg",
        tmp_path / "i/d1.jpg",
        "https://cdn.example/1.jpg",
    ]
    assert items[0].image == "./Red dress_files/d1.jpg?v=2"

    items, _ = read_all(tmp_path, f'<link rel=canonical href="{SHOP}/a/p">', thing, name="Red dress.html")
    assert [item.picture for item in items][:3] == [folder / "d1.jpg", folder / "d 2.jpg", folder / "d3.jpg?v=7"]
    assert [item.picture for item in items][3:5] == [f"{SHOP}/a/Red dress_files/gone.jpg", f"{SHOP}/i/d1.jpg"]


@pytest.mark.parametrize(
    "head",
    [
        f'<link rel="canonical" href="{SHOP}/a/p">',
        f'<meta property="og:url" content="{SHOP}/a/p">',
        f"<!-- saved from url=(0026){SHOP}/a/p -->",
        f'<base href="{SHOP}/a/">',
    ],
)
def test_where_a_saved_page_came_from(tmp_path: Path, head: str) -> None:
    items, _ = read_all(tmp_path, head, script({**DRESS, "image": ["i/d1.jpg", "/i/d1.jpg"], "url": "../b"}))
    assert [item.picture for item in items] == [f"{SHOP}/a/i/d1.jpg", f"{SHOP}/i/d1.jpg"]
    assert items[0].url == f"{SHOP}/b"


def test_pictures_embedded_in_a_saved_page(tmp_path: Path) -> None:
    data = draw_garment()
    link = f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"
    micro = (
        f'<div itemscope itemtype="http://schema.org/Product"><b itemprop=name>A</b><img itemprop=image src="{link}">'
    )
    item = read_one(tmp_path, micro)
    assert (item.picture, item.image) == (data, "")


def test_a_folder_of_pages(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "2.HTM").write_text(script({**DRESS, "sku": "D-2"}))
    (tmp_path / "1.html").write_text(script({**DRESS, "sku": None}))
    (tmp_path / "3.html").write_text("<p>nothing")
    (tmp_path / "4.txt").write_text(script(DRESS))
    entries = list(read_page(str(tmp_path)))
    assert [entry.item_id for entry in entries] == ["1.html", "3.html", "D-2"]
    assert isinstance(entries[1], Failure)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="no web pages in it"):
        read_page(str(tmp_path / "empty"))


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [
        ("utf-8", ""),
        ("utf-8", '<meta charset="iso-8859-1">'),  # as it stands in templates that nobody looks at
        ("utf-8-sig", ""),
        ("utf-16", ""),
        ("cp1252", ""),
        ("iso-8859-1", '<meta charset="ISO-8859-1">'),
        ("iso-8859-2", '<meta http-equiv="Content-Type" content="text/html; charset=iso-8859-2">'),
        ("cp1252", '<meta charset="utf-8">'),
        ("cp1252", '<meta charset="rot13">'),
    ],
)
def test_encodings(tmp_path: Path, encoding: str, declared: str) -> None:
    thing = json.dumps({**DRESS, "name": "Kleid für Öl"}, ensure_ascii=False)
    item = read_one(tmp_path, (declared + script(thing)).encode(encoding))
    broken = declared == '<meta charset="utf-8">'  # nothing else can be known then
    assert item.title == ("Kleid f\ufffdr \ufffdl" if broken else "Kleid für Öl")


# Bad input


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the page is empty"),
        (b" \n", "the page is empty"),
        (b"%PDF-1.7 ...", "not a web page: these are no characters"),
        (draw_garment(), "not a web page"),
        (b"From: <Saved by Blink>\r\nMIME-Version: 1.0\r\n", "an MHTML archive; save the page as HTML"),
        (b'{"products": []}', "no product in the markup"),
        (b"<html><p>Hello</p>", r"no product in the markup \(schema.org as JSON-LD or microdata, or OpenGraph\)"),
        (b'<script type="application/ld+json">"Product"</script>', "no product in the markup"),
    ],
)
def test_what_is_no_product_page(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(SourceError, match=reason) as caught:
        read_all(tmp_path, data)
    assert str(tmp_path / "page.html") in str(caught.value)


def test_a_page_of_50_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "large.html"
    with path.open("wb") as file:
        file.truncate(50 * 2**20)
    with pytest.raises(SourceError, match=r"large.html: 52,428,800 bytes are too many for a web page"):
        read_page(str(path))
    with pytest.raises(SourceError, match=r"none.html: No such file"):
        read_page(str(tmp_path / "none.html"))


@pytest.mark.parametrize(
    "bomb",
    [
        "<div>" * 200_000,
        "<div>" + "".join(f"<b id={n}>" for n in range(2_000)) + "</div>" + "<div>x</div>" * 2_000,  # 2 GB as a tree
        "<p " + " ".join(f"a{n}=1" for n in range(200_000)) + ">",
        "<div itemscope>" + "<div itemprop=a>t" * 10_000,
        "".join(f"<p itemscope itemref=r id=i{n}></p>" for n in range(2_000))
        + "<p id=r>"
        + "<b itemprop=p>x</b>" * 2_000,
        script("[" * 1_000_000),
        script('{"product":' + "/*" * 500_000),
        script("{}," * 200_000),
        script('{"@type": "Product", "image": [' + '"a.jpg",' * 300_000 + '"b.jpg"]}'),
        '<img srcset="' + "a " * 500_000 + '">',
        "<!-- saved from url=(1)http://" + "a" * 2_000_000,
        '<div itemscope itemtype="Product" id=a itemprop=x itemref=a>' * 100,
    ],
)
def test_bombs_end_soon(tmp_path: Path, bomb: str) -> None:
    start = time.monotonic()
    with pytest.raises(SourceError):
        items, _ = read_all(tmp_path, bomb)
        assert len(items) <= settings.PAGE_PICTURES
        raise SourceError("read")
    assert time.monotonic() - start < 10  # 0.02 to 2 seconds on an idle machine


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "selectolax.lexbor", None)
    with pytest.raises(MissingExtra, match=r"reading web pages needs the extra 'web'"):
        read_all(tmp_path, script(DRESS))


# On the web


def read_web(replies: dict[str, Any], path: str = "/p/1") -> Sequence[Item | Failure]:
    with serve_web(replies) as web, Fetcher(allow_private=True) as fetcher:
        return list(read_page(web.address + path, fetcher=fetcher))


def page(*markup: str, kind: str = "text/html; charset=utf-8", **more: Any) -> Reply:
    return Reply("".join(markup).encode(), headers={"Content-Type": kind}, **more)


def test_a_page_on_the_web() -> None:
    thing = script({**DRESS, "sku": None, "image": ["../i/1.jpg", "//a/2.jpg"]})
    with serve_web({"/p/1?id=2": page(thing)}) as web, Fetcher(allow_private=True) as fetcher:
        items = list(read_page(f"{web.address}/p/1?id=2", fetcher=fetcher))
        assert [entry.item_id for entry in items] == [f"{web.address}/p/1?id=2", f"{web.address}/p/1?id=2#2"]
        assert isinstance(items[0], Item)
        assert (items[0].picture, items[0].url) == (f"{web.address}/i/1.jpg", f"{web.address}/p/1?id=2")


def test_the_charset_of_the_server() -> None:
    body = script(json.dumps({**DRESS, "name": "Жакет"}, ensure_ascii=False)).encode("cp1251")
    entries = read_web({"/p/1": Reply(body, headers={"Content-Type": "text/html; charset=windows-1251"})})
    assert isinstance(entries[0], Item)
    assert entries[0].title == "Жакет"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(b"gone", 404), "HTTP 404 Not Found"),
        (page("{}", kind="application/json"), "no web page, but application/json"),
        (page("<p>x"), "no product in the markup"),
        (page(" "), "the page is empty"),
        (Reply(b"x" * 2**20, forever=True), "10,485,760 bytes"),
    ],
)
def test_pages_of_the_web_that_give_nothing(reply: Reply, reason: str) -> None:
    with pytest.raises(SourceError) as caught:
        read_web({"/p/1": reply})
    assert reason in str(caught.value)
    assert str(caught.value).startswith("http://127.0.0.1:")


def test_redirects_to_another_host_are_not_taken() -> None:
    with serve_web({"/p/2": page(script(DRESS))}) as other:
        moved = Reply(status=301, headers={"Location": "/p/2"})
        assert len(read_web({"/p/1": moved, "/p/2": page(script(DRESS))})) == 1
        moved = Reply(status=302, headers={"Location": f"{other.address}/p/2"})
        with pytest.raises(SourceError, match=f"redirected to another host, {other.address}/p/2; name that page"):
            read_web({"/p/1": moved})
    with pytest.raises(SourceError, match="private or reserved address"):
        read_page("http://127.0.0.1:9/p")
