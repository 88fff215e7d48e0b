"""Feeds and exports of shops, the untidy ones above all.

The fixtures are our own, in the formats of Merchant Center Help ("Product data specification", "RSS 2.0
specification", "Atom 1.0 specification"), of Shopify's Help Center ("Using CSV files to import and export products")
and of Shopify's Admin REST API ("Product").
"""

# ruff: noqa: RUF001 - prices are written with dashes and apostrophes that look like others

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from focusedfashion import settings
from focusedfashion.errors import SourceError
from focusedfashion.items import Failure, Item
from focusedfashion.sources.feeds import plain_text
from focusedfashion.sources.google import read_google
from focusedfashion.sources.prices import parse_price
from focusedfashion.sources.shopify import read_shopify

SHOP = "https://shop.example"
RSS = '<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel><title>Shop</title>'


def sort_entries(entries: Iterator[Item | Failure]) -> tuple[list[Item], list[Failure]]:
    found = list(entries)
    return [it for it in found if isinstance(it, Item)], [it for it in found if isinstance(it, Failure)]


def write(path: Path, text: str | bytes, encoding: str = "utf-8") -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return path


def write_offer(number: int | str = 1, **attributes: str) -> str:
    """An <item> with an id and a picture; an attribute that is "" is left out."""
    given = {"id": f"sku-{number}", "image_link": f"{SHOP}/{number}.jpg"} | attributes
    return f"<item>{''.join(f'<g:{name}>{text}</g:{name}>' for name, text in given.items() if text)}</item>\n"


@pytest.fixture
def google(tmp_path: Path) -> Callable[..., tuple[list[Item], list[Failure]]]:
    """Text or bytes of a feed, or the offers of an RSS feed -> (items, failures)."""

    def read(
        text: str | bytes, origin: str = "", name: str = "feed.xml", encoding: str = "utf-8"
    ) -> tuple[list[Item], list[Failure]]:
        if isinstance(text, str) and text.startswith("<item"):
            text = f"{RSS}\n{text}</channel></rss>"
        return sort_entries(read_google(write(tmp_path / name, text, encoding), origin))

    return read


@pytest.fixture
def shopify(tmp_path: Path) -> Callable[..., tuple[list[Item], list[Failure]]]:
    """A table (list of rows), JSON or text -> (items, failures)."""

    def read(content: Any, origin: str = "", name: str = "") -> tuple[list[Item], list[Failure]]:
        if isinstance(content, list) and isinstance(content[0], list):
            buffer = io.StringIO()
            csv.writer(buffer).writerows(content)
            content, name = buffer.getvalue(), name or "products.csv"
        elif not isinstance(content, (str, bytes)):
            content = json.dumps(content)
        return sort_entries(read_shopify(write(tmp_path / (name or "products.json"), content), origin))

    return read


def list_types(items: list[Item]) -> dict[str, set[str]]:
    """What a catalog decides on: a column's values must have one type over all items."""
    types: dict[str, set[str]] = {}
    for item in items:
        for name, value in item.columns.items():
            kind = f"list of {type(value[0]).__name__}" if isinstance(value, list) else type(value).__name__
            types.setdefault(name, set()).add(kind)
    return types


# Prices


@pytest.mark.parametrize(
    ("text", "price"),
    [
        ("49.90 EUR", (49.9, "EUR")),
        ("1.299,00 EUR", (1299.0, "EUR")),
        ("EUR 49,90", (49.9, "EUR")),
        ("EUR49.90", (49.9, "EUR")),
        ("49.90 eur", (49.9, "EUR")),
        ("49,90 Euro", (49.9, "EUR")),
        ("€ 1 299,-", (1299.0, "EUR")),
        ("1\u202f299,00\u00a0€", (1299.0, "EUR")),
        ("$1,299.00", (1299.0, "USD")),
        ("US$ 5", (5.0, "USD")),
        ("CA$ 10", (10.0, "CAD")),
        ("$10 AUD", (10.0, "AUD")),
        ("AUD $10", (10.0, "AUD")),
        ("1’299.00 CHF", (1299.0, "CHF")),
        ("CHF 1'299.–", (1299.0, "CHF")),
        ("Fr. 19.90", (19.9, "CHF")),
        ("¥1200", (1200.0, "JPY")),
        ("￥５０００", (5000.0, "JPY")),
        ("£10", (10.0, "GBP")),
        ("129,90 zł", (129.9, "PLN")),
        ("1 299 Kč", (1299.0, "CZK")),
        ("1 299 ₽", (1299.0, "RUB")),
        ("Rs.499", (499.0, "INR")),
        ("₹1,29,999.00", (129999.0, "INR")),
        ("R 299", (299.0, "ZAR")),
        ("299 kr", (299.0, None)),  # Swedish, Norwegian, Danish or Icelandic
        ("kr. 1.299,00", (1299.0, None)),
        ("12,50", (12.5, None)),
        ("19", (19.0, None)),
        ("0.00 EUR", (0.0, "EUR")),
        # One mark: three digits behind it are thousands, with the exceptions of the docstring.
        ("1.299 €", (1299.0, "EUR")),
        ("$1,299", (1299.0, "USD")),
        ("1.299.000", (1299000.0, None)),
        ("1.299.00", (1299.0, None)),
        ("0.999 EUR", (0.999, "EUR")),
        ("1299.000", (1299.0, None)),
        ("1 299.000", (1299.0, None)),
        ("1.299 KWD", (1.299, "KWD")),
        ("49.9000 USD", (49.9, "USD")),
        ("$.99", (0.99, "USD")),
        # Several numbers: the lowest of those with a currency.
        ("ab 19,99 €", (19.99, "EUR")),
        ("from £8", (8.0, "GBP")),
        ("19,99 € – 29,99 €", (19.99, "EUR")),
        ("29.99 - 19.99 EUR", (19.99, "EUR")),
        ("EUR 19-29", (19.0, "EUR")),
        ("1.299 - 1.999 KWD", (1.299, "KWD")),
        ("$10 to $20", (10.0, "USD")),
        ("5,- bis 9,- €", (5.0, "EUR")),
        ("UVP 49,99 € 29,99 €", (29.99, "EUR")),
        ("19,99 € / 100 ml", (19.99, "EUR")),
        ("2 x 19,99 €", (19.99, "EUR")),
        ("19.99 EUR for 5 items", (19.99, "EUR")),
        ("-20% 49,90 EUR", (49.9, "EUR")),
        ("10 EUR, 11 USD", (10.0, "EUR")),
        ("Top 3: 19,99 €", (19.99, "EUR")),
        # No price.
        ("", (None, None)),
        ("free", (None, None)),
        ("EUR", (None, None)),
        ("-5 EUR", (None, None)),
        ("−12,50 €", (None, None)),
        ("-€5", (None, None)),
        ("€ -5", (None, None)),
        ("20%", (None, None)),
        ("12.05.2024", (None, None)),
        ("1.299,000.00", (None, None)),
        ("M20", (None, None)),
        ("9" * 400 + " EUR", (None, None)),
        ("see the shop " * 100 + "5 EUR", (None, None)),
    ],
)
def test_a_price(text: str, price: tuple[float | None, str | None]) -> None:
    assert parse_price(text) == price


def test_any_amount_in_any_usual_form_is_read_back() -> None:
    draw = random.Random(4)
    for _ in range(3000):
        amount = draw.choice([draw.randrange(100, 10**5), draw.randrange(100, 10**9)]) / 100
        english = f"{amount:,.2f}"
        swaps = draw.choice([",.", ".,", " ,", "\u00a0,", "\u202f,", "’.", "'.", " ."])
        text = english.translate(str.maketrans({",": swaps[0], ".": swaps[1]}))
        if draw.random() < 0.2:
            text = text.replace(swaps[0], "")
        code = draw.choice(["EUR", "USD", "GBP", "CHF", "SEK", "KWD", "TRY"])
        space = draw.choice(["", " ", "\u00a0"])
        text = draw.choice([f"{code}{space}{text}", f"{text}{space}{code}"])
        assert parse_price(text) == (amount, code), text


def test_no_text_at_all_makes_a_price_fail() -> None:
    draw = random.Random(5)
    for _ in range(5000):
        text = "".join(draw.choice("0123456789.,'’ -–$€EURkr%\n٣½") for _ in range(draw.randrange(40)))
        amount, currency = parse_price(text)
        assert amount is None or 0 <= amount < float("inf")
        assert currency is None or (amount is not None and len(currency) == 3)


# Google: what becomes of an offer


def test_an_offer_in_rss(google: Any) -> None:
    items, failures = google(f"""<?xml version="1.0" encoding="utf-8"?>
    <rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel>
    <title>Shop</title><link>{SHOP}</link><description>All of it</description>
    <item>
      <g:id> TS-7-M </g:id>
      <g:title>T-shirt &amp; more,
        striped</g:title>
      <g:description><![CDATA[<p>Soft<br/>cotton &eacute;t&eacute;</p><script>x()</script>]]></g:description>
      <g:link>{SHOP}/ts-7?size=M&amp;color=red</g:link>
      <g:image_link>{SHOP}/ts-7.jpg</g:image_link>
      <g:additional_image_link>{SHOP}/ts-7-back.jpg</g:additional_image_link>
      <g:additional_image_link>{SHOP}/ts-7-worn.jpg</g:additional_image_link>
      <g:additional_image_link>{SHOP}/ts-7.jpg</g:additional_image_link>
      <g:item_group_id>TS-7</g:item_group_id>
      <g:price>49.90 EUR</g:price>
      <g:availability>in_stock</g:availability>
      <g:color>Red/White</g:color><g:size>38</g:size><g:material>cotton</g:material><g:pattern>striped</g:pattern>
      <g:gender>female</g:gender><g:age_group>adult</g:age_group><g:brand>Lume</g:brand>
      <g:google_product_category>Apparel &amp; Accessories &gt; Clothing</g:google_product_category>
      <g:product_type>Tops &gt; T-shirts</g:product_type><g:product_type>Summer</g:product_type>
      <g:gtin>0012345678905</g:gtin><g:condition>new</g:condition><g:custom_label_0>hot</g:custom_label_0>
      <g:Fit_Name>slim</g:Fit_Name><g:empty/>
      <g:shipping><g:country>DE</g:country><g:price>4.95 EUR</g:price></g:shipping>
    </item></channel></rss>""")
    assert not failures
    facts = ("T-shirt & more, striped", "Lume", f"{SHOP}/ts-7?size=M&color=red", 49.9, "EUR")
    columns = {
        "description": "Soft cotton été",
        "availability": "in_stock",
        "color": "Red/White",
        "size": "38",
        "material": "cotton",
        "pattern": "striped",
        "gender": "female",
        "age_group": "adult",
        "google_product_category": "Apparel & Accessories > Clothing",
        "product_type": "Tops > T-shirts, Summer",
        "gtin": "0012345678905",
        "condition": "new",
        "custom_label_0": "hot",
        "fit_name": "slim",
    }
    pictures = [f"{SHOP}/ts-7.jpg", f"{SHOP}/ts-7-back.jpg", f"{SHOP}/ts-7-worn.jpg"]
    ids = ["TS-7-M", "TS-7-M#2", "TS-7-M#3"]
    assert items == [Item(*pair, "TS-7", *facts, columns=columns) for pair in zip(ids, pictures, strict=True)]
    assert [item.picture for item in items] == pictures


ATOM = f"""<feed xmlns="{{}}" xmlns:g="http://base.google.com/ns/1.0"><title>Shop</title><id>tag:shop</id>
    <link href="{SHOP}" rel="alternate" type="text/html"/><entry>
    <id>a</id><title>Coat</title><link rel="self" href="{SHOP}/api/a"/><link href="{SHOP}/a"/><summary>Warm</summary>
    <g:image_link>{SHOP}/a.jpg</g:image_link><g:additional_image_link>{SHOP}/a2.jpg</g:additional_image_link>
    <g:price>1,200.00 USD</g:price><g:item_group_id>coats</g:item_group_id><g:color>red</g:color></entry></feed>"""
TABLE = (
    f"id,title,link,description,image_link,additional_image_link,price,item_group_id,color\n"
    f'a,Coat,{SHOP}/a,Warm,{SHOP}/a.jpg,{SHOP}/a2.jpg,"1,200.00 USD",coats,red\n'
)
FORMS = {
    "atom 1.0": ATOM.format("http://www.w3.org/2005/Atom"),
    "atom 0.3": ATOM.format("http://purl.org/atom/ns#"),
    "rss": f"{RSS}<item><title>Coat</title><link>{SHOP}/a</link><description>Warm</description><g:id>a</g:id>"
    f"<g:image_link>{SHOP}/a.jpg</g:image_link><g:additional_image_link>{SHOP}/a2.jpg</g:additional_image_link>"
    "<g:price>1,200.00 USD</g:price><g:item_group_id>coats</g:item_group_id><g:color>red</g:color></item>"
    "</channel></rss>",
    "csv": TABLE,
    "tsv": TABLE.replace('"1,200.00 USD"', "1;200.00 USD").replace(",", "\t").replace(";", ","),
    "spaces": TABLE.replace("image_link", "Image Link").replace("item_group", "g:item group"),
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_the_same_offer_in_every_form(google: Any, text: str) -> None:
    items, failures = google(text, name="feed.txt")  # the content decides, not the ending
    facts = ("coats", "Coat", None, f"{SHOP}/a", 1200.0, "USD")
    columns = {"description": "Warm", "color": "red"}
    assert not failures
    assert items == [
        Item("a", f"{SHOP}/a.jpg", *facts, columns=columns),
        Item("a#2", f"{SHOP}/a2.jpg", *facts, columns=columns),
    ]


@pytest.mark.parametrize(
    "feed",
    [
        FORMS["rss"].replace("<g:", "<x:").replace("</g:", "</x:").replace("xmlns:g=", "xmlns:x="),
        FORMS["rss"].replace(' xmlns:g="http://base.google.com/ns/1.0"', ""),  # not declared
        FORMS["rss"].replace("base.google.com/ns/1.0", "example.com/other"),
        FORMS["rss"].replace("g:", ""),  # no prefix at all
        FORMS["rss"].replace("<g:", "<google:").replace("</g:", "</google:"),
    ],
    ids=["another", "undeclared", "wrong", "none", "unknown"],
)
def test_prefixes_may_be_wrong_or_missing(google: Any, feed: str) -> None:
    assert google(feed) == google(FORMS["rss"])


def test_a_name_with_googles_prefix_counts_before_others(google: Any) -> None:
    others = "<id>no</id><x:id>no</x:id><title>no</title><x:color>no</x:color><x:care>wash</x:care>"
    (item,), _ = google(f"<item>{others}<g:color>red</g:color><g:id>a</g:id><g:title>Coat</g:title>"
                        f"<image_link>{SHOP}/a.jpg</image_link><x:title>no</x:title></item>")  # fmt: skip
    assert (item.item_id, item.title, item.columns) == ("a", "Coat", {"color": "red", "care": "wash"})


def test_what_was_escaped_twice_is_text_too(google: Any) -> None:
    link = f"{SHOP}/1.jpg?a=1&amp;amp;b=2"
    (item,), _ = google(
        write_offer(title="Men&amp;amp;s <![CDATA[<b>T</b>&eacute;e]]>", image_link=link, price="5 &amp;euro;")
    )
    assert (item.title, item.picture, item.price) == ("Men&s Tée", f"{SHOP}/1.jpg?a=1&b=2", 5.0)


def test_variants_are_items_of_one_product(google: Any) -> None:
    sizes = "SML"
    items, _ = google("".join(write_offer(size, item_group_id="tee", size=size) for size in sizes))
    assert [(item.item_id, item.product_id, item.columns) for item in items] == [
        (f"sku-{size}", "tee", {"size": size}) for size in sizes
    ]


@pytest.mark.parametrize(
    ("links", "found"),
    [
        ("http://x.example/1.jpg,http://x.example/2.jpg", ["http://x.example/1.jpg", "http://x.example/2.jpg"]),
        ("http://x.example/w_4,h_3/1.jpg, //x.example/2.jpg", ["http://x.example/w_4,h_3/1.jpg", "//x.example/2.jpg"]),
        ("1.jpg, sub/2.jpg,", ["1.jpg", "sub/2.jpg"]),
    ],
)
def test_additional_pictures_with_commas(google: Any, links: str, found: list[str]) -> None:
    items, _ = google(f"id\timage_link\tadditional_image_link\na\tmain.jpg\t{links}\n", name="feed.tsv")
    assert [item.image for item in items] == ["main.jpg", *found]
    items, _ = google(write_offer(image_link="main.jpg", additional_image_link=links))
    assert [item.image for item in items] == ["main.jpg", *found]


def test_the_first_of_the_additional_pictures_stands_in_for_a_missing_one(google: Any) -> None:
    items, failures = google("id,additional_image_link_1,additional_image_link_2\na,1.jpg,2.jpg\n")
    assert [(item.item_id, item.image) for item in items] == [("a", "1.jpg"), ("a#2", "2.jpg")]
    assert not failures


@pytest.mark.parametrize(
    ("attributes", "price", "columns"),
    [
        ({"price": "50 EUR", "sale_price": "39,90 EUR"}, 39.9, {"regular_price": 50.0, "sale_price": 39.9}),
        ({"sale_price": "39.90 EUR"}, 39.9, {"sale_price": 39.9}),
        ({"price": "50 EUR", "sale_price": "0.00 EUR"}, 50.0, {}),
        ({"price": "50 EUR", "sale_price": "60 EUR"}, 50.0, {}),
        ({"price": "50 EUR", "sale_price": "soon"}, 50.0, {}),
    ],
)
def test_the_sale_price_counts(google: Any, attributes: dict[str, str], price: float, columns: dict[str, Any]) -> None:
    (item,), _ = google(write_offer(**attributes))
    assert (item.price, item.currency, item.columns) == (price, "EUR", columns)


@pytest.mark.parametrize(
    ("interval", "holds"),
    [
        ("2020-01-01T00:00+0100/2999-12-31T23:59+0100", True),
        ("2020-01-01/2999-12-31", True),
        ("2020-01-01T00:00+0100/2020-02-01T00:00+0100", False),
        ("2999-01-01T00:00Z/2999-02-01T00:00Z", False),
        ("next week", True),
        ("2020-01-01/9999-12-31", True),
    ],
)
def test_a_sale_price_holds_in_its_time(google: Any, interval: str, holds: bool) -> None:
    sale = {"price": "50 EUR", "sale_price": "40 EUR", "sale_price_effective_date": interval}
    (item,), _ = google(write_offer(**sale))
    assert item.price == (40.0 if holds else 50.0)
    assert (item.columns["regular_price"], item.columns["sale_price"]) == (50.0, 40.0)


def test_a_price_that_cannot_be_read_is_kept_as_text_and_an_empty_one_is_none(google: Any) -> None:
    items, failures = google("id,image_link,price\na,a.jpg,on request\nb,b.jpg,\nc,c.jpg,-5 EUR\nd,d.jpg,5 EUR\n")
    assert not failures
    assert [item.price for item in items] == [None, None, None, 5.0]
    columns = [{"source_price": "on request"}, {}, {"source_price": "-5 EUR"}, {}]
    assert [item.columns for item in items] == columns


@pytest.mark.parametrize(
    ("link", "origin", "picture"),
    [
        ("https://cdn.example/a.jpg", "", "https://cdn.example/a.jpg"),
        ("//cdn.example/a.jpg", "", "https://cdn.example/a.jpg"),
        ("//cdn.example/a.jpg", "http://shop.example/f.xml", "http://cdn.example/a.jpg"),
        ("/img/a.jpg", f"{SHOP}/feeds/f.xml", f"{SHOP}/img/a.jpg"),
        ("img/a.jpg", f"{SHOP}/feeds/f.xml", f"{SHOP}/feeds/img/a.jpg"),
        ("../../../etc/passwd", f"{SHOP}/f.xml", f"{SHOP}/etc/passwd"),  # of the shop, not of this machine
    ],
)
def test_a_link_is_relative_to_the_feed(google: Any, link: str, origin: str, picture: str) -> None:
    (item,), _ = google(write_offer(image_link=link), origin)
    assert (item.image, item.picture) == (link, picture)


def test_a_relative_link_in_a_file_is_relative_to_its_folder(google: Any, tmp_path: Path) -> None:
    (item,), _ = google(write_offer(image_link="img/a.jpg", link="/a"))
    assert item.picture == tmp_path / "img/a.jpg"
    (item,), _ = google(write_offer(image_link="img/a.jpg"), str(tmp_path / "other/feed.xml"))
    assert item.picture == tmp_path / "other/img/a.jpg"
    (item,), _ = google(write_offer(link="/a"), f"{SHOP}/feed.xml")
    assert item.url == f"{SHOP}/a"


def test_all_columns_have_one_type(google: Any) -> None:
    """A catalog refuses rows whose column has another type than before."""
    sale = write_offer(
        2, size="XL", price="1 EUR", sale_price="0.5 EUR", product_type="a</g:product_type><g:product_type>b"
    )
    items, _ = google(write_offer(1, size="38", price="?", gtin="1", product_type="a") + sale)
    assert all(len(kinds) == 1 for kinds in list_types(items).values())


# Google: bad input


def test_offers_without_id_or_picture_are_failures_and_the_rest_goes_in(google: Any) -> None:
    offers = [write_offer(1), write_offer(2, id=""), write_offer(3, image_link=""), write_offer(4)]
    offers.insert(2, write_offer(5, image_link="data:image/png;base64,AAAA"))
    items, failures = google("".join(offers))
    assert [item.item_id for item in items] == ["sku-1", "sku-4"]
    assert failures == [
        Failure("item 2", "read", "feed.xml, line 3: no id"),
        Failure("sku-5", "read", "feed.xml, line 4: the picture's link is no web address: data:image/png;base64,AAAA"),
        Failure("sku-3", "read", "feed.xml, line 5: no picture (image_link)"),
    ]


@pytest.mark.parametrize(
    "link", ["ftp://x.example/a.jpg", "file:///etc/passwd", "mailto:a@x.example", "http://[a/b", "x" * 5000]
)
@pytest.mark.parametrize("origin", ["", f"{SHOP}/feed.xml"])
def test_a_link_that_leads_nowhere_is_a_failure_of_its_own_picture(google: Any, link: str, origin: str) -> None:
    items, failures = google(write_offer(additional_image_link=link), origin)
    assert [item.item_id for item in items] == ["sku-1"]
    assert [failure.item_id for failure in failures] == ["sku-1#2"]
    assert (origin or "feed.xml") + ", line 2: the picture's link is" in failures[0].reason
    assert len(failures[0].reason) < 400


def test_rows_of_a_table_without_id_or_picture(google: Any) -> None:
    items, failures = google("id\timage_link\tprice\n\ta.jpg\t1\nb\t\t2\nc\td.jpg\n\ne\te.jpg\t3\n", f"{SHOP}/feed.tsv")
    assert [item.item_id for item in items] == ["e"]
    assert failures == [
        Failure("row 1", "read", f"{SHOP}/feed.tsv, line 2: no id"),
        Failure("b", "read", f"{SHOP}/feed.tsv, line 3: no picture (image_link)"),
        Failure("c", "read", f"{SHOP}/feed.tsv, line 4: 2 cells where the header has 3"),
    ]


def test_duplicate_ids_are_left_to_indexing(google: Any) -> None:
    items, failures = google(write_offer(1) + write_offer(1))
    assert [item.item_id for item in items] == ["sku-1", "sku-1"]
    assert not failures


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        (f"{RSS}</channel></rss>", "no products in it: no <item> or <entry> in <rss>"),
        ("id\timage_link\n", "has no products in it"),
        ("<!DOCTYPE html><html><body>Sign in</body></html>", "is a web page, not a feed.*login"),
        ("<!-- x -->\n<html lang='en'><head>", "is a web page"),
        ('<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body/></html>', "a web page, not a feed"),
        ('{"products": []}', "is JSON, not a feed"),
        ("Not found", "neither XML nor a table with the columns id and image_link: it begins with 'Not found'"),
        ("sku,name\n1,x\n", "neither XML nor a table .* 'sku,name'"),
        ("PK\x03\x04\x00\x00", "neither XML nor a table"),
        (
            f"{RSS}<item><g:id>1</g:id><link>http://x/?a=1&b=2</link></item>",
            "line 1, column 129: no longer XML .*&amp;",
        ),
        (RSS, "line 1, column 88: the feed breaks off here"),
        ("<a>" * 1000, "line 1: more than 64 elements inside each other"),
        ("\x1f\x8b\x08\x00garbage", "cannot be unpacked"),
    ],
)
def test_what_is_no_feed_is_one_error_at_once(tmp_path: Path, text: str, says: str) -> None:
    path = write(tmp_path / "feed.xml", text, "latin-1")
    with pytest.raises(SourceError, match=says) as caught:
        read_google(path)  # without a next()
    assert str(caught.value).startswith(str(path))
    with pytest.raises(SourceError) as caught:
        read_google(path, f"{SHOP}/feed.xml")
    assert str(caught.value).startswith(f"{SHOP}/feed.xml")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"nowhere\.xml: No such file"):
        read_google(tmp_path / "nowhere.xml")
    with pytest.raises(SourceError, match=r"nowhere\.csv: No such file"):
        read_shopify(tmp_path / "nowhere.csv")


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha" * 10}">' for n in range(10))


@pytest.mark.parametrize(
    ("declaration", "use"),
    [
        (LAUGHS, "&l9;"),
        ('<!ENTITY a "b">', "&a;"),
        ('<!ENTITY a SYSTEM "{secret}">', "&a;"),
        ('<!ENTITY % a SYSTEM "{secret}"> %a;', "x"),
        ('<!ENTITY a PUBLIC "x" "http://127.0.0.1:9/x">', "&a;"),
        ("<!ENTITY a SYSTEM 'x' NDATA gif>", "x"),
    ],
    ids=["bomb", "internal", "file", "parameter", "web", "unparsed"],
)
def test_entities_are_refused_and_nothing_is_expanded_or_opened(tmp_path: Path, declaration: str, use: str) -> None:
    secret = write(tmp_path / "secret", "<!ENTITY b 'top secret'>")
    declaration = declaration.replace("{secret}", secret.as_uri())
    feed = f"<!DOCTYPE rss [{declaration}]>\n{RSS}{write_offer(title=use)}</channel></rss>"
    with pytest.raises(SourceError, match=r"line 1: the entity '\w+' is declared here") as caught:
        read_google(write(tmp_path / "feed.xml", feed))
    assert "secret" not in str(caught.value)


def test_a_dtd_that_is_only_named_is_not_fetched(google: Any, tmp_path: Path) -> None:
    dtd = write(tmp_path / "x.dtd", "<!ENTITY care 'secret'>")
    feed = f'<!DOCTYPE rss SYSTEM "{dtd.as_uri()}">{RSS}{write_offer(title="A &care; B")}</channel></rss>'
    assert google(feed)[0][0].title == "A &care; B"


def test_references_of_html_are_read_although_xml_does_not_know_them(google: Any) -> None:
    (item,), _ = google(write_offer(title="Robe d&rsquo;&eacute;t&eacute;&nbsp;&bogus; &#233;&amp;"))
    assert item.title == "Robe d’été &bogus; é&"


BREAKS: dict[str, tuple[str, str]] = {
    "breaks off": ("<item><g:id>3</g:id><g:titl", "line 4, column 21: the feed breaks off here"),
    "ampersand": ("<item><link>http://x/?a=1&b=2</link></item>", "line 4, column 28: no longer XML"),
    "mismatch": ("<item><g:id>3</id></item>", "line 4, column 16: no longer XML"),
    "deep": ("<item>" * 100, "line 4: more than 64 elements"),
    "html": ("<item><br></item></channel></rss>", "line 4, column 13: no longer XML"),
}


@pytest.mark.parametrize(("rest", "says"), BREAKS.values(), ids=BREAKS)
def test_what_stands_before_a_broken_place_goes_in(google: Any, rest: str, says: str) -> None:
    items, failures = google(f"{RSS}\n{write_offer(1)}{write_offer(2)}{rest}\n")
    assert [item.item_id for item in items] == ["sku-1", "sku-2"]
    assert len(failures) == 1
    assert failures[0].reason.startswith(f"feed.xml, {says}"), failures[0].reason
    assert failures[0].reason.endswith("what follows is not read")
    assert says.startswith(failures[0].item_id)


def test_a_place_is_also_right_behind_many_lines(google: Any) -> None:
    offers = "".join(map(write_offer, range(5000)))  # several pieces
    items, failures = google(f"\n\n  <?xml version='1.0'?>{RSS}\n{offers}<oh no")
    assert len(items) == 5000
    assert failures[0].reason.startswith("feed.xml, line 5004, column ")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1"])
@pytest.mark.parametrize("declared", ["utf-8", "UTF-16", "no-such-thing", "zlib", None])
def test_encodings_are_what_they_are_and_not_what_they_declare(
    google: Any, encoding: str, declared: str | None
) -> None:
    prolog = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    feed = f"{prolog}{RSS}{write_offer(title='Größe é', color='weiß')}</channel></rss>"
    items, failures = google(feed, encoding=encoding)
    assert not failures
    assert (items[0].title, items[0].columns) == ("Größe é", {"color": "weiß"})


@pytest.mark.parametrize(("declared", "title"), [("ISO-8859-1", "é’"), ("windows-1252", "é’"), ("Shift_JIS", "服")])
def test_a_declared_encoding_is_used(google: Any, declared: str, title: str) -> None:
    encoding = "cp1252" if declared == "ISO-8859-1" else declared
    feed = f'<?xml version="1.0" encoding="{declared}"?>{RSS}{write_offer(title=title)}</channel></rss>'
    assert google(feed, encoding=encoding)[0][0].title == title


def test_mixed_encodings_and_control_characters_cost_nothing(google: Any) -> None:
    feed = (RSS + write_offer(1, title="café") + write_offer(2, title="\0ca\x0bf?")).encode()
    items, failures = google(feed.replace(b"f?", b"f\xe9") + b"</channel></rss>")
    assert [item.title for item in items] == ["café", "ca fé"]
    assert not failures


def test_gzipped_feeds(google: Any) -> None:
    assert google(gzip.compress(FORMS["rss"].encode()), name="feed.xml.gz") == google(FORMS["rss"])
    assert google(gzip.compress(FORMS["tsv"].encode()), name="feed.tsv.gz") == google(FORMS["tsv"])
    draw = random.Random(0)
    offers = "".join(write_offer(n, title=str(draw.random())) for n in range(3000))
    packed = gzip.compress(f"{RSS}\n{offers}</channel></rss>".encode())
    items, failures = google(packed[:-2000], name="feed.xml.gz")
    assert 100 < len(items) < 3000
    assert len(failures) == 1
    assert "the file is damaged or breaks off here" in failures[0].reason


def test_giant_offers_and_tags_are_bounded(google: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "MAX_CELL", 300_000)
    items, failures = google(write_offer(1) + write_offer(2, title="x" * 400_000) + write_offer(3))
    assert [item.item_id for item in items] == ["sku-1", "sku-3"]
    assert failures == [Failure("sku-2", "read", "feed.xml, line 3: longer than 300,000 characters")]
    items, failures = google(write_offer(1) + f"<item a='{'x' * 500_000}'>")
    assert [item.item_id for item in items] == ["sku-1"]
    assert "a tag of more than 300,000 bytes" in failures[0].reason


MEASURE = """
import resource, sys
from pathlib import Path
from focusedfashion.sources.google import read_google
from focusedfashion.sources.shopify import read_shopify
read = {"google": read_google, "shopify": read_shopify}[sys.argv[1]]
small = sum(1 for _ in read(Path(sys.argv[2])))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
count = sum(1 for _ in read(Path(sys.argv[3])))
print(small, count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def measure(kind: str, small: Path, large: Path) -> tuple[int, int, float]:
    """-> (entries of the small file, of the large one, MB of memory that the large one takes more)"""
    command = [sys.executable, "-c", MEASURE, kind, str(small), str(large)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    few, many, more = done.stdout.split()
    return int(few), int(many), int(more) / (2**20 if sys.platform == "darwin" else 2**10)


def write_many(path: Path, begin: str, entry: str, end: str, count: int) -> Path:
    with path.open("w", encoding="utf-8") as file:
        file.write(begin)
        file.writelines(entry.replace("NUMBER", str(n)) for n in range(count))
        file.write(end)
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="no getrusage")
def test_a_large_feed_takes_no_more_memory_than_a_small_one(tmp_path: Path) -> None:
    offer = write_offer("NUMBER", title="Coat", description="x" * 2000)
    few, many, more = measure(
        "google",
        write_many(tmp_path / "small.xml", RSS, offer, "</channel></rss>", 100),
        write_many(tmp_path / "large.xml", RSS, offer, "</channel></rss>", 14_000),
    )
    assert (tmp_path / "large.xml").stat().st_size > 30_000_000
    assert (few, many) == (100, 14_000)
    assert more < 5


@pytest.mark.skipif(sys.platform == "win32", reason="no getrusage")
def test_a_large_products_json_takes_little_memory(tmp_path: Path) -> None:
    product = {"handle": "NUMBER", "title": "Coat", "body_html": "x" * 2000, "images": [{"src": "a.jpg"}]}
    entry, end = json.dumps(product), f"{json.dumps(product)}]}}"
    few, many, more = measure(
        "shopify",
        write_many(tmp_path / "small.json", '{"products":[', f"{entry},", end, 100),
        write_many(tmp_path / "large.json", '{"products":[', f"{entry},", end, 10_000),
    )
    assert (tmp_path / "large.json").stat().st_size > 20_000_000
    assert (few, many) == (101, 10_001)
    assert more < 25  # the first look at its one line takes settings.MAX_CELL characters


# Shopify: the CSV

OLD = [
    *("Handle", "Title", "Body (HTML)", "Vendor", "Product Category", "Type", "Tags", "Published"),
    *("Option1 Name", "Option1 Value", "Option1 Linked To", "Option2 Name", "Option2 Value"),
    *("Variant SKU", "Variant Grams", "Variant Inventory Qty", "Variant Price", "Variant Compare At Price"),
    *("Variant Barcode", "Image Src", "Image Position", "Image Alt Text", "Gift Card", "SEO Title"),
    *("Google Shopping / Age Group", "Fit (product.metafields.custom.fit)", "Variant Image", "Cost per item", "Status"),
]
NEW = [
    *("URL handle", "Title", "Description", "Vendor", "Product category", "Type", "Tags", "Published on online store"),
    *("Option1 name", "Option1 value", "Option1 Linked To", "Option2 name", "Option2 value"),
    *("SKU", "Weight value (grams)", "Inventory quantity", "Price", "Compare-at price"),
    *("Barcode", "Product image URL", "Image position", "Image alt text", "Gift card", "SEO title"),
    *("Google Shopping / Age Group", "Fit (product.metafields.custom.fit)", "Variant image URL", "Cost per item"),
    "Status",
]


def make_row(handle: str, **cells: str) -> list[str]:
    """A row by the old names, in lower case and with underscores."""
    cells["handle"] = handle
    names = ["".join(c if c.isalnum() else "_" for c in name).strip("_").lower() for name in OLD]
    assert cells.keys() <= set(names), cells.keys() - set(names)
    return [cells.get(name, "") for name in names]


def make_variant(handle: str, color: str, size: str, price: str, image: str = "", **cells: str) -> list[str]:
    options = {"option1_value": color, "option2_value": size, "variant_sku": f"{color[0]}{size}"}
    return make_row(handle, **options, variant_price=price, variant_image=image, **cells)


TEE = [
    make_row(
        "tee",
        title="Tee",
        body__html="<p>Soft &amp; <b>w</b>arm</p><ul><li>Cotton</li></ul>",
        vendor="Lume",
        product_category="Apparel > Tops",
        type="Tops",
        tags="summer, striped ,",
        published="true",
        option1_name="Color",
        option1_value="Red",
        option2_name="Size",
        option2_value="S",
        variant_sku="RS",
        variant_grams="200",
        variant_inventory_qty="3",
        variant_price="29.90",
        variant_compare_at_price="39.90",
        variant_barcode="0012",
        image_src=f"{SHOP}/back.jpg",
        image_position="2",
        gift_card="false",
        seo_title="<i>Tee</i> &amp; more",
        google_shopping___age_group="adult",
        fit__product_metafields_custom_fit="slim",
        variant_image=f"{SHOP}/red.jpg",
        cost_per_item="7",
        status="active",
    ),
    make_variant("tee", "Red", "M", "27.90", f"{SHOP}/red.jpg", image_src=f"{SHOP}/front.jpg", image_position="1",
                 image_alt_text="From the front", variant_inventory_qty="-1"),
    make_variant("tee", "Blue", "S", "24.90", f"{SHOP}/blue.jpg", image_src=f"{SHOP}/red.jpg", image_position="3"),
    make_row("tee", image_src=f"{SHOP}/blue.jpg", image_position="4"),
]  # fmt: skip
CAP = [
    make_row(
        "cap", title="Cap", option1_name="Title", option1_value="Default Title", variant_price="19.9", image_src="c.jpg"
    )
]


@pytest.mark.parametrize("header", [OLD, NEW], ids=["old names", "new names"])
def test_a_product_csv(shopify: Any, header: list[str]) -> None:
    items, failures = shopify([header, *TEE, *CAP])
    assert not failures
    product = {
        "description": "Soft & warm Cotton",
        "product_category": "Apparel > Tops",
        "product_type": "Tops",
        "tags": ["summer", "striped"],
        "published": True,
        "gift_card": "false",
        "seo_title": "Tee & more",
        "google_shopping_age_group": "adult",
        "fit": "slim",
        "status": "active",
    }
    codes = {"sku": ["RS", "RM", "BS"], "barcode": ["0012"]}
    every = {**codes, "inventory_quantity": 2, "color": ["Red", "Blue"], "size": ["S", "M"]}
    red = {"sku": ["RS", "RM"], "barcode": ["0012"], "inventory_quantity": 2, "color": ["Red"], "size": ["S", "M"]}
    blue = {"sku": ["BS"], "color": ["Blue"], "size": ["S"]}
    facts = ("tee", "Tee", "Lume", None)
    assert items == [
        Item(
            "tee", f"{SHOP}/front.jpg", *facts, 24.9, columns={**product, **every, "image_alt_text": "From the front"}
        ),
        Item("tee#2", f"{SHOP}/back.jpg", *facts, 24.9, columns={**product, **every}),
        Item("tee#3", f"{SHOP}/red.jpg", *facts, 27.9, columns={**product, **red}),
        Item("tee#4", f"{SHOP}/blue.jpg", *facts, 24.9, columns={**product, **blue}),
        Item("cap", "c.jpg", "cap", "Cap", price=19.9),
    ]
    assert [item.picture for item in items[:4]] == [item.image for item in items[:4]]


def test_what_a_variant_was_before_is_a_column(shopify: Any) -> None:
    rows = [make_variant("a", "Red", "S", "20", variant_compare_at_price="30", title="A", image_src="a.jpg"),
            make_variant("a", "Red", "M", "25", variant_compare_at_price="45")]  # fmt: skip
    (item,), _ = shopify([OLD, *rows])
    assert (item.price, item.columns["regular_price"], item.currency) == (20.0, 30.0, None)


@pytest.mark.parametrize(
    ("text", "price"),
    [
        ("1299.00", 1299.0),
        ("1.299", 1.299),
        ("1.299,00", 1299.0),
        ("19,9", 19.9),
        ("€ 5", 5.0),
        ("", None),
        ("-1", None),
    ],
)
def test_prices_of_a_csv(shopify: Any, text: str, price: float | None) -> None:
    (item,), failures = shopify([OLD, make_row("a", title="A", variant_price=text, image_src="a.jpg")])
    assert item.price == price
    assert item.columns == ({"source_price": "-1"} if text == "-1" else {})
    assert not failures


def test_rows_of_a_product_need_not_stand_together(shopify: Any) -> None:
    together, _ = shopify([OLD, *TEE, *CAP])
    items, failures = shopify([OLD, TEE[0], *CAP, *TEE[1:]])
    assert not failures
    assert sorted(items, key=lambda it: it.item_id) == sorted(together, key=lambda it: it.item_id)


def test_a_product_whose_rows_go_on_is_held(shopify: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while more rows of others pass than are held."""
    monkeypatch.setattr(settings, "HELD_CHARACTERS", 300)
    rows = [make_row("a", title="A", image_src="a.jpg")]
    for n in range(40):
        rows += [make_row(f"b-{n}", title="B", image_src="b.jpg"), make_row("a", option1_value=str(n))]
    items, failures = shopify([OLD, *rows])
    assert not failures
    (item,) = [item for item in items if item.item_id == "a"]
    assert item.columns == {"option1": list(map(str, range(40)))}


def test_rows_far_apart_are_failures_and_memory_stays_bounded(shopify: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "HELD_CHARACTERS", 500)
    caps = [[f"cap-{n}", *CAP[0][1:]] for n in range(30)]
    items, failures = shopify([OLD, TEE[0], *caps, *TEE[1:]])
    assert [item.item_id for item in items] == ["tee", "tee#2", *(f"cap-{n}" for n in range(30))]
    assert [failure.item_id for failure in failures] == ["row 32", "row 33", "row 34"]
    assert "no title, and none of the rows shortly before is of 'tee'" in failures[0].reason
    assert "products.csv, line 33: " in failures[0].reason


def test_further_rows_may_lack_the_handle(shopify: Any) -> None:
    expected = shopify([OLD, *TEE, *CAP])
    assert shopify([OLD, TEE[0], *(["", *row[1:]] for row in TEE[1:]), *CAP]) == expected
    # Those of a product whose first row is broken belong to no other.
    items, failures = shopify([OLD, *CAP, ["tee", "broken"], make_row("", image_src="tee.jpg")])
    assert [item.image for item in items] == ["c.jpg"]
    assert [failure.item_id for failure in failures] == ["row 2", "row 3"]


def test_bad_rows_of_a_csv(shopify: Any) -> None:
    rows = [
        make_row("", title="No handle", image_src="x.jpg"),
        make_row("", variant_price="5"),  # of the one above
        make_row("no-picture", title="No picture"),
        make_row("bad-link", title="Bad link", image_src="ftp://x/a.jpg"),
        ["broken"],
        make_row("ok", title="OK", image_src="ok.jpg"),
        make_row("ok", title="OK again", image_src="ok.jpg"),
    ]
    items, failures = shopify([OLD, *rows])
    assert [(item.item_id, item.title) for item in items] == [("ok", "OK")]
    reasons = {failure.item_id: failure.reason for failure in failures}
    assert reasons == {
        "row 1": "products.csv, line 2: no handle",
        "row 2": "products.csv, line 3: no handle",
        "row 5": f"products.csv, line 6: 1 cells where the header has {len(OLD)}",
        "no-picture": "products.csv, line 4: no picture",
        "bad-link": "products.csv, line 5: the picture's link is no web address: ftp://x/a.jpg",
    }


@pytest.mark.parametrize(
    ("origin", "url"),
    [
        (SHOP, f"{SHOP}/products/t%C3%A9"),
        (f"{SHOP}/products.json?limit=250", f"{SHOP}/products/t%C3%A9"),
        (f"{SHOP}/en/collections/all/products.json", f"{SHOP}/products/t%C3%A9"),
        ("https://files.example/export/products.csv", None),
        ("", None),
    ],
)
def test_the_url_of_a_product_is_known_where_the_shop_is(shopify: Any, origin: str, url: str | None) -> None:
    row = make_row("té", title="A", image_src="/a.jpg")
    for content in ([OLD, row], {"products": [{"handle": "té", "images": [{"src": "/a.jpg"}]}]}):
        (item,), _ = shopify(content, origin)
        assert item.url == url
        if origin:
            assert str(item.picture).endswith(".example/a.jpg")


def test_a_metafield_does_not_stand_in_for_a_column(shopify: Any) -> None:
    header = ["Handle", "Title", "Image Src", "X (product.metafields.my.title)", "Y (variant.metafields.my.y)"]
    (item,), _ = shopify([header, ["a", "A", "a.jpg", "B", "C"]])
    assert (item.title, item.columns) == ("A", {"metafield_title": "B"})


# Shopify: the JSON


def make_product(**more: Any) -> dict[str, Any]:
    """As a shop's front has it at /products.json."""
    variants = [
        {"id": 11, "title": "Red / S", "option1": "Red", "option2": "S", "option3": None, "sku": "RS", "grams": 200,
         "price": "29.90", "compare_at_price": "39.90", "available": False, "position": 1, "product_id": 1,
         "featured_image": {"id": 22, "src": f"{SHOP}/red.jpg", "variant_ids": [11, 12]}},
        {"id": 12, "title": "Red / M", "option1": "Red", "option2": "M", "sku": "", "price": "27.90",
         "compare_at_price": None, "available": False, "featured_image": {"id": 22, "src": f"{SHOP}/red.jpg"}},
        {"id": 13, "title": "Blue / S", "option1": "Blue", "option2": "S", "sku": "BS", "price": "24.90",
         "available": True, "featured_image": None},
    ]  # fmt: skip
    images = [
        {"id": 22, "position": 2, "src": f"{SHOP}/red.jpg", "variant_ids": [11, 12], "width": 10, "height": 10},
        {"id": 21, "position": 1, "src": f"{SHOP}/front.jpg", "variant_ids": [], "alt": "Front"},
    ]
    return {
        "id": 1,
        "title": "Tee",
        "handle": "tee",
        "body_html": "<p>Soft &amp; <b>w</b>arm</p>",
        "published_at": "2026-01-05T10:00:00+01:00",
        "vendor": "Lume",
        "product_type": "Tops",
        "tags": ["summer", "striped"],
        "variants": variants,
        "images": images,
        "options": [
            {"name": "Color", "position": 1, "values": ["Red", "Blue"]},
            {"name": "Size", "position": 2, "values": ["S", "M"]},
        ],
        **more,
    }


def check_tee(items: list[Item], failures: list[Failure], **more: Any) -> None:
    product = {"description": "Soft & warm", "tags": ["summer", "striped"], "id": "1", "product_type": "Tops"}
    product |= {"published_at": "2026-01-05T10:00:00+01:00"}
    every = {"sku": ["RS", "BS"], "available": True, "color": ["Red", "Blue"], "size": ["S", "M"]}
    red = {"sku": ["RS"], "available": False, "color": ["Red"], "size": ["S", "M"]}
    facts = ("tee", "Tee", "Lume", None)
    assert not failures
    assert items == [
        Item("tee", f"{SHOP}/front.jpg", *facts, 24.9, columns={**product, **every, "image_alt_text": "Front"} | more),
        Item("tee#2", f"{SHOP}/red.jpg", *facts, 27.9, columns={**product, **red} | more),
    ]


FORMS_OF_JSON = {
    "shop": {"products": [make_product()]},
    "pretty": json.dumps({"products": [make_product()]}, indent=2),
    "keys before": {"count": 1, "products": [make_product()]},
    "keys behind": {"products": [make_product()], "page": {"next": [1, 2]}, "count": 1},
    "list": [make_product()],
    "lines": json.dumps(make_product()) + "\n",
    "one": {"product": make_product()},
    "bare": json.dumps(make_product(), indent=1),
}


@pytest.mark.parametrize("content", FORMS_OF_JSON.values(), ids=FORMS_OF_JSON)
def test_products_json_in_every_form(shopify: Any, content: Any) -> None:
    check_tee(*shopify(content))
    text = content if isinstance(content, str) else json.dumps(content)
    check_tee(*shopify(gzip.compress(text.encode()), name="products.json.gz"))
    check_tee(*shopify(text.encode("utf-16"), name="products.json"))


@pytest.mark.parametrize("size", [1, 7, 100])
def test_the_size_of_the_pieces_does_not_matter(
    google: Any, shopify: Any, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    feed = f"\n\n{RSS}\n{write_offer(1, title='é &eacute; ' * 50)}{write_offer(2)}<item><oh"
    pages = json.dumps({"products": [make_product(), make_product(id=2)], "n": 1, "pi": 0.25}, indent=1)
    pages = pages.replace("0.25", f"0.{'25' * 300}") + json.dumps([make_product(id=3)]) + '[{"images":[],}'
    expected = google(feed), shopify(pages)
    assert [len(found) for pair in expected for found in pair] == [2, 1, 6, 1]
    monkeypatch.setattr(settings, "FEED_CHUNK", size)
    assert (google(feed), shopify(pages)) == expected


def test_products_of_the_admin_api(shopify: Any) -> None:
    product = make_product(tags="summer, striped", status="active", template_suffix=None)
    for variant, image in zip(product["variants"], [22, 22, None], strict=True):
        variant.pop("featured_image")
        variant |= {"image_id": image, "inventory_quantity": 2}
    items, failures = shopify({"products": [product]})
    assert [item.columns.pop("inventory_quantity") for item in items] == [6, 4]
    check_tee(items, failures, status="active")


def test_a_picture_may_name_its_variants(shopify: Any) -> None:
    product = make_product()
    for variant in product["variants"]:
        variant["featured_image"] = None
    check_tee(*shopify([product]))


def test_a_themes_own_form_has_its_prices_in_hundredths(shopify: Any) -> None:
    variants = [{"id": 1, "option1": "S", "price": 2990, "compare_at_price": 3990}]
    images = ["//cdn.example/a.jpg"]
    product = {"handle": "a", "title": "A", "price": 2990, "price_varies": False, "images": images}
    (item,), _ = shopify(product | {"variants": variants, "options": ["Size"], "featured_image": images[0]})
    assert (item.price, item.columns) == (29.9, {"regular_price": 39.9, "size": ["S"]})
    assert item.picture == "https://cdn.example/a.jpg"


def test_lines_and_pages_of_products(shopify: Any) -> None:
    products = [make_product(handle=f"tee-{n}") for n in range(4)]
    expected = shopify(products)
    assert len(expected[0]) == 8
    assert shopify("\n".join(map(json.dumps, products))) == expected
    pages = [json.dumps({"products": products[at : at + 2]}) for at in (0, 2)]
    assert shopify("\n".join(pages)) == expected
    assert shopify("".join(pages)) == expected


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"errors": "Not Found"}, r'is JSON, but neither .* begins with \{"errors": "Not Found"\}'),
        ({"data": {"products": {"edges": []}}}, "is JSON, but neither"),
        ({"products": {"edges": []}}, "is JSON, but neither"),
        ([1, 2, 3], "is JSON, but neither .* begins with 1"),
        ({"products": []}, "has no products in it"),
        ([], "has no products in it"),
        ('{"products": [{"handle": "a", ', "line 1, column 31: not valid JSON .the file breaks off"),
        ('{"products": [\n{"handle": oops}]}', "line 2, column 12: not valid JSON .Expecting value"),
        ("[" * 100_000, "not valid JSON .maximum recursion"),
        ("[" + "9" * 5000 + "]", "not valid JSON .Exceeds the limit"),
        ("<html>", "is a web page, not a product CSV"),
        ("<rss/>", "is XML, not a product CSV"),
        ("id,image\n1,a.jpg\n", "neither JSON nor a product CSV .* begins with 'id,image'"),
        ("Handle,Title,Image Src\n", "has no products in it"),
        ("", "is empty"),
    ],
)
def test_what_is_no_export_is_one_error_at_once(tmp_path: Path, content: Any, says: str) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    path = write(tmp_path / "products.json", text)
    with pytest.raises(SourceError, match=says) as caught:
        read_shopify(path)
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


def test_what_stands_before_broken_json_goes_in(shopify: Any) -> None:
    text = json.dumps({"products": [make_product(), make_product(handle="b"), make_product(handle="c")]}, indent=1)
    items, failures = shopify(text[:-500])
    assert {item.product_id for item in items} == {"tee", "b"}
    (failure,) = failures
    assert failure.item_id == "product 3"
    assert failure.reason.startswith("products.json, line 2")
    assert failure.reason.endswith("not valid JSON (the file breaks off); what follows is not read")
    lines = [json.dumps(make_product()), "{oops", json.dumps(make_product(handle="b"))]
    items, failures = shopify("\n".join(lines))
    assert {item.product_id for item in items} == {"tee", "b"}
    assert [failure.item_id for failure in failures] == ["row 2"]


def test_bad_products_in_good_json(shopify: Any) -> None:
    products = [
        make_product(),
        {"title": "neither handle nor id", "images": [{"src": "a.jpg"}]},
        {"handle": "no-pictures", "images": [], "variants": []},
        7,
        {"title": "nothing at all"},
        {"id": 5, "images": [{"src": "b.jpg"}, {"src": None}, None, {"src": 7}]},
        {"handle": "odd", "images": "c.jpg", "variants": "x", "options": 5, "tags": {}, "body_html": [], "vendor": {}},
    ]
    items, failures = shopify({"products": products})
    assert [item.item_id for item in items] == ["tee", "tee#2", "5", "5#2", "odd"]
    assert [(failure.item_id, failure.reason) for failure in failures] == [
        ("product 2", "products.json, product 2: no handle"),
        ("no-pictures", "products.json, product 3: no picture"),
        ("product 4", "products.json, product 4: not a product"),
        ("product 5", "products.json, product 5: not a product"),
    ]


def test_prices_and_options_of_odd_products(shopify: Any) -> None:
    def read(variants: Any, options: Any = None) -> Item:
        (item,), _ = shopify([{"handle": "a", "images": ["a.jpg"], "variants": variants, "options": options}])
        assert isinstance(item, Item)
        return item

    assert read([{"price": 19.9}]).price == 19.9
    assert read([{"price": "?"}]).columns == {"source_price": "?"}
    assert read([{"price": True}, {"price": {}}, {}, 5]).price is None
    assert read([{"option1": "S"}]).columns == {"option1": ["S"]}
    assert read([{"option1": "S", "sku": "x"}], [{"name": "SKU"}]).columns == {"sku": ["x"], "sku_2": ["S"]}
    assert read([{"option1": 38.0}], [{"name": "Größe"}]).columns == {"größe": ["38"]}


def test_all_columns_of_an_export_have_one_type(shopify: Any) -> None:
    items, _ = shopify([OLD, *TEE, *CAP])
    more, _ = shopify([make_product(), make_product(id="x", tags="a", status="draft")])
    assert all(len(kinds) == 1 for kinds in list_types(items + more).values())


# Text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("plain  text\n", "plain text"),
        ("a < b & c <3", "a < b & c <3"),
        ("AT&T &copy &copy; &#8217;&#x2019;", "AT&T &copy © ’’"),
        ("<p>a</p><p>b</p>", "a b"),
        ("W<b>or</b>d<br>x", "Word x"),
        ('<a href="x">l</a><!-- c > d --><style>p{}</style><SCRIPT>1<2</SCRIPT >e', "l e"),
        ("a<!-- open", "a"),
        ("a<script>open", "a"),
        ("a<img src='x' b <i>c", "a c"),
    ],
)
def test_html_becomes_text(html: str, text: str) -> None:
    assert plain_text(html) == text


def test_hostile_html_takes_no_time() -> None:
    for piece in ("<!--", "<script>", "<style", "<a ", "<", "&", "&#", "</script"):
        plain_text(piece * 200_000)
