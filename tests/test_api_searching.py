"""Searching over HTTP: held pictures, boxes, pages, sorting, facets, variants, reasons."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from fastapi.testclient import TestClient
from PIL import ExifTags, Image

from conftest import draw_garment, draw_items
from focusedfashion import settings
from focusedfashion.catalog import Catalog
from focusedfashion.encoders import Encoder
from focusedfashion.errors import MissingExtra
from focusedfashion.images import measure_image, open_image
from focusedfashion.items import Item
from focusedfashion.server.app import make_app

ITEMS = 40
AS_JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Encoder) -> Catalog:
    catalog = Catalog(tmp_path_factory.mktemp("api") / "shop", tiny_encoder)
    items = [replace(item, price=None) if place == 7 else item for place, item in enumerate(draw_items(ITEMS))]
    assert catalog.index(items).added == ITEMS
    return catalog


@pytest.fixture(scope="module")
def client(catalog: Catalog) -> Iterator[TestClient]:
    with TestClient(make_app(catalog), raise_server_exceptions=False) as client:
        yield client


def picture(place: int = 12) -> bytes:
    item = draw_items(ITEMS)[place]
    assert isinstance(item.picture, bytes)
    return item.picture


def ask(client: TestClient, **query: Any) -> dict[str, Any]:
    answer = client.post("/v1/search", json=query)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def hold(client: TestClient, data: bytes) -> str:
    answer = client.post("/v1/images", files={"image": data})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["image_id"])


def list_ids(document: dict[str, Any]) -> list[str]:
    return [match["item"]["item_id"] for match in document["matches"]]


# Ways to say what is looked for


def test_a_picture_is_the_same_however_it_comes(client: TestClient) -> None:
    data = picture()
    text = base64.b64encode(data).decode()
    form = client.post("/v1/search", files={"image": data}).json()
    wanted = form["matches"]
    assert ask(client, image_base64=text)["matches"] == wanted
    assert ask(client, image_base64=f"data:image/jpeg;base64,{text}")["matches"] == wanted
    image_id = hold(client, data)
    held = ask(client, image_id=image_id)
    assert held["matches"] == wanted
    assert held["query"] == form["query"] | {"image_id": image_id}
    assert (form["query"]["width"], form["query"]["height"], form["query"]["item_id"]) == (48, 64, None)


def test_an_item_is_looked_for_by_its_id(client: TestClient) -> None:
    document = ask(client, item_id="item-012", k=30)
    assert document["query"]["item_id"] == "item-012"
    assert document["query"]["width"] is None
    assert document["query"]["attributes"]["color"]
    assert not {"item-012", "item-013"} & set(list_ids(document))  # one product
    shared = client.get("/v1/items/item-012/similar", params={"k": 30}).json()
    assert shared["matches"] == document["matches"]
    single = ask(client, item_id="item-012", k=39, collapse=False)
    assert "item-013" in list_ids(single)
    assert "item-012" not in list_ids(single)


def test_similar_takes_what_a_search_takes(client: TestClient) -> None:
    filters = [{"column": "season", "op": "=", "value": "summer"}]
    params = {
        "k": 3,
        "focus": "color=2,shape=0",
        "filters": json.dumps(filters),
        "facets": "season, price",
        "sort": "price",
    }
    document = client.get("/v1/items/item-012/similar", params=params).json()
    same = ask(
        client,
        item_id="item-012",
        k=3,
        focus={"color": 2, "shape": 0},
        filters=filters,
        facets=["season", "price"],
        sort="price",
    )
    assert document["matches"] == same["matches"]
    assert document["facets"] == same["facets"]
    assert document["cursor"] == same["cursor"]


@pytest.mark.parametrize(
    "query",
    [
        {"image_id": "x", "item_id": "item-000"},
        {},
        {"text": "a dress"},
        {"item_id": "item-000", "box": [0, 0, 0.5, 0.5]},
    ],
)
def test_one_thing_is_looked_for(client: TestClient, query: dict[str, Any]) -> None:
    answer = client.post("/v1/search", json=query)
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:focusedfashion:query-error"


# Words


@pytest.fixture(scope="module")
def worded(catalog: Catalog, text_encoder: Encoder) -> Iterator[TestClient]:
    """The same catalog behind an encoder that has a text side."""
    app = make_app(Catalog(catalog.path, text_encoder))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def test_words_are_looked_for(worded: TestClient) -> None:
    assert worded.get("/v1/catalog").json()["text"] is True
    filters = [{"column": "price", "op": "<", "value": 30}]
    question = {"text": "blue dress", "k": 3, "focus": {"pattern": 0}, "filters": filters, "facets": ["season"]}
    document = ask(worded, **question)
    assert document["query"] == {
        "image_id": None,
        "item_id": None,
        "text": "blue dress",
        "width": None,
        "height": None,
        "attributes": {},
        "colors": [],
    }
    first = document["matches"][0]
    assert first["item"]["attributes"]["color"][0]["label"] == "blue"
    assert int(first["item"]["item_id"][-3:]) // 4 % 3 == 1  # of draw_items' kinds, a dress
    assert all(match["item"]["price"] < 30 for match in document["matches"])
    assert {match["words"] for match in document["matches"]} == {None}  # they are of cosines between pictures
    assert first["why"] == {"shared": [], "different": [], "colors": None}
    assert (first["score"], first["variants"]) == (pytest.approx(0.9, abs=0.1), 2)
    assert document["facets"]["season"]["values"]
    more = ask(worded, **question, cursor=document["cursor"])
    assert [match["rank"] for match in more["matches"]] == [4, 5, 6]
    assert not set(list_ids(more)) & set(list_ids(document))
    other = worded.post("/v1/search", json=question | {"text": "blue shirt", "cursor": document["cursor"]})
    assert (other.status_code, "another search" in other.json()["detail"]) == (400, True)
    form = worded.post("/v1/search", files={"query": (None, json.dumps(question))})
    assert form.json()["matches"] == document["matches"]
    field = worded.post("/v1/search", files={"text": (None, "5"), "k": (None, "2")})  # a number, and still a text
    assert (field.status_code, field.json()["query"]["text"]) == (200, "5")


@pytest.mark.parametrize(
    ("query", "status", "told"),
    [
        ({"text": ""}, 400, "an empty text"),
        ({"text": " \n"}, 400, "an empty text"),
        ({"text": "x" * (settings.MAX_TEXT + 1)}, 400, "the text has 1,001 characters: say it in 1,000 at most"),
        ({"text": "red", "item_id": "item-000"}, 400, "not by item_id and text"),
        ({"text": "red", "box": [0, 0, 0.5, 0.5]}, 400, "a box is a part of a picture"),
        ({"text": "red", "focus": {"sleeves": 1}}, 400, "no block 'sleeves'"),
        ({"text": 5}, 422, "text: "),
        ({"text": ["red"]}, 422, "text: "),
    ],
)
def test_words_that_cannot_be_looked_for(worded: TestClient, query: dict[str, Any], status: int, told: str) -> None:
    answer = worded.post("/v1/search", json=query)
    assert (answer.status_code, told in answer.json()["detail"]) == (status, True), answer.text


def test_text_of_every_kind_is_answered(worded: TestClient) -> None:
    for text in ("\ud800 red", "\x00", "赤", "red' OR 1=1 --", "<b>red</b>", "x" * settings.MAX_TEXT):
        answer = worded.post("/v1/search", content=json.dumps({"text": text}), headers=AS_JSON)
        assert (answer.status_code, answer.json()["query"]["text"]) == (200, text)


def test_words_where_there_is_no_text_side(client: TestClient, worded: TestClient, monkeypatch: Any) -> None:
    answer = client.post("/v1/search", json={"text": "a dress"})
    assert answer.status_code == 400
    assert answer.json()["detail"] == "this catalog's encoder has no text side: search by a picture or an item"
    missing = MissingExtra("searching by words", "hub")
    monkeypatch.setattr("focusedfashion.encoders.text.TextSide.embed", Mock(side_effect=missing))
    answer = worded.post("/v1/search", json={"text": "a dress"})
    assert (answer.status_code, "needs the extra 'hub'" in answer.json()["detail"]) == (415, True)


# Held pictures


def test_a_held_picture_is_looked_at_once(
    client: TestClient, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id = hold(client, picture())
    first = ask(client, image_id=image_id, box=[0.2, 0.1, 0.9, 0.9])
    looked: list[Any] = []
    monkeypatch.setattr(Encoder, "encode", lambda *args: looked.append(args))
    assert ask(client, image_id=image_id, box=[0.2, 0.1, 0.9, 0.9])["matches"] == first["matches"]
    assert len(ask(client, image_id=image_id, focus={"color": 3}, k=7)["matches"]) == 7
    assert not looked


def test_held_pictures_end(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    old = hold(client, picture())
    monkeypatch.setattr(settings, "HELD_SECONDS", -1)
    gone = client.post("/v1/search", json={"image_id": old})
    assert (gone.status_code, gone.json()["type"]) == (404, "urn:focusedfashion:item-not-found")
    assert "send it again" in gone.json()["detail"]


def test_held_pictures_keep_within_their_memory(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "HELD_BYTES", 3 * len(picture()) + 100)
    ids = [hold(client, picture()) for _ in range(5)]
    assert client.post("/v1/search", json={"image_id": ids[0]}).status_code == 404
    assert client.post("/v1/search", json={"image_id": ids[-1]}).status_code == 200
    assert "focusedfashion_held_pictures 3.0" in client.get("/metrics").text


def test_tags_are_those_of_the_command(client: TestClient, tiny_encoder: Encoder) -> None:
    data = draw_garment("green", 1)
    expected = [label.label for label in tiny_encoder.tag([data])[0]["color"]]
    image_id = hold(client, data)
    for answer in (
        client.post("/v1/tags", files={"image": data}),
        client.post("/v1/tags", json={"image_id": image_id}),
    ):
        assert [entry["label"] for entry in answer.json()["attributes"]["color"]] == expected == ["green"]


# Boxes


def test_a_box_is_the_part_that_it_names(client: TestClient) -> None:
    both = Image.new("RGB", (96, 64))
    for place, color in enumerate(("red", "blue")):
        both.paste(Image.open(io.BytesIO(draw_garment(color))), (48 * place, 0))
    buffer = io.BytesIO()
    both.save(buffer, "PNG")
    for box, color in (([0, 0, 0.5, 1], "red"), ([0.5, 0, 1, 1], "blue")):
        document = ask(client, image_id=hold(client, buffer.getvalue()), box=box, focus={"shape": 0, "pattern": 0})
        assert document["query"]["attributes"]["color"][0]["label"] == color
        assert document["matches"][0]["item"]["attributes"]["color"][0]["label"] == color
        assert (document["query"]["width"], document["query"]["height"]) == (96, 64)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_is_measured_upright(orientation: int, kind: str) -> None:
    image = Image.new("RGB", (60, 40), "red")
    exif = image.getexif()
    exif[ExifTags.Base.Orientation] = orientation
    buffer = io.BytesIO()
    image.save(buffer, kind, exif=exif)
    height, width = open_image(buffer.getvalue()).shape[:2]
    assert measure_image(buffer.getvalue()) == (width, height) == ((40, 60) if orientation > 4 else (60, 40))


# Pages and orders


@pytest.mark.parametrize("sort", ["score", "price", "-price"])
def test_pages_make_the_whole_list(client: TestClient, sort: str) -> None:
    query: dict[str, Any] = {"item_id": "item-000", "k": 6, "sort": sort, "collapse": False}
    pages: list[dict[str, Any]] = []
    cursor = None
    while True:
        document = ask(client, **query, cursor=cursor)
        pages += document["matches"]
        cursor = document["cursor"]
        if cursor is None:
            break
    assert [match["rank"] for match in pages] == list(range(1, ITEMS))
    assert len({match["item"]["item_id"] for match in pages}) == ITEMS - 1
    if sort == "score":
        whole = ask(client, item_id="item-000", k=100, collapse=False)["matches"]
        assert pages == whole
    else:
        prices = [match["item"]["price"] for match in pages]
        assert prices.pop() is None  # the one without a price
        assert prices == sorted(prices, reverse=sort == "-price")


def test_the_price_orders_the_closest_only(client: TestClient) -> None:
    closest = set(list_ids(ask(client, item_id="item-000", k=16, collapse=False)))
    cheap = list_ids(ask(client, item_id="item-000", k=2, sort="price", collapse=False))
    assert set(cheap) <= closest


def test_a_cursor_belongs_to_its_search(client: TestClient) -> None:
    cursor = ask(client, item_id="item-000", k=3)["cursor"]
    for other in ({"item_id": "item-004"}, {"item_id": "item-000", "focus": {"color": 2}}):
        answer = client.post("/v1/search", json={"cursor": cursor} | other)
        assert (answer.status_code, "another search" in answer.json()["detail"]) == (400, True)
    for broken in ("", "AAAA", "MS4", "\u00e9", "x" * 999):
        assert client.post("/v1/search", json={"cursor": broken, "item_id": "item-000"}).status_code == 400


def test_facets_are_those_of_the_catalog(client: TestClient, catalog: Catalog) -> None:
    filters = [{"column": "price", "op": "<", "value": 10}]
    columns = ["season", "price", "attributes.color"]
    document = ask(client, item_id="item-000", filters=filters, facets=columns)
    alone = client.get("/v1/facets", params={"columns": ",".join(columns), "filters": json.dumps(filters)}).json()
    assert document["facets"] == alone["facets"]
    assert alone["facets"]["price"] == {"min": 0.0, "max": 39.0}  # not narrowed by itself
    assert {entry["value"]: entry["count"] for entry in alone["facets"]["season"]["values"]} == {
        "summer": 4,
        "winter": 5,
    }
    assert client.get("/v1/facets").status_code == 422
    assert client.get("/v1/facets", params={"columns": "price", "filters": "{"}).status_code == 422
    assert client.get("/v1/facets", params={"columns": ",".join(["price"] * 21)}).status_code == 400


# Reasons


def test_a_match_says_why(client: TestClient) -> None:
    document = client.post(
        "/v1/search", files={"image": draw_garment("red", 0, 0, (300, 400))}, data={"k": "40", "collapse": "false"}
    ).json()
    assert document["query"]["colors"][0].startswith("#c")
    first, last = document["matches"][0], document["matches"][-1]
    assert (first["words"], first["why"]["shared"]) == ("very close", [{"group": "color", "label": "red"}])
    assert first["why"]["colors"]["distance"] < 5
    assert first["why"]["colors"]["query"] == document["query"]["colors"][0]
    other = next(match for match in document["matches"] if match["item"]["attributes"]["color"][0]["label"] == "blue")
    assert other["why"]["different"] == [{"group": "color", "query": "red", "item": "blue"}]
    assert other["why"]["colors"]["distance"] > 30
    assert last["score"] <= first["score"]


def test_variants_are_counted_and_listed(client: TestClient) -> None:
    document = ask(client, item_id="item-000", k=40)
    assert {match["variants"] for match in document["matches"]} == {2}
    product = document["matches"][0]["item"]["product_id"]
    filters = [{"column": "product_id", "op": "=", "value": product}]
    variants = ask(client, item_id="item-000", k=40, collapse=False, filters=filters)["matches"]
    assert len(variants) == 2


def test_a_thumbnail_that_cannot_be_read_has_no_color(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("focusedfashion.catalog.Catalog.thumbnail", lambda catalog, item_id: b"broken")
    assert ask(client, item_id="item-000")["matches"][0]["why"]["colors"] is None


def test_the_catalog_says_what_can_be_asked(client: TestClient, tiny_encoder: Encoder) -> None:
    document = client.get("/v1/catalog").json()
    assert (document["items"], document["products"]) == (ITEMS, ITEMS // 2)
    assert document["blocks"] == tiny_encoder.weights
    assert document["labels"] == {"color": ["red", "green", "blue", "white"]}
    assert document["text"] is False
    columns = {entry["name"]: entry["type"] for entry in document["columns"]}
    assert (columns["price"], columns["season"], columns["stock"]) == ("number", "text", "whole number")
    assert columns["attributes.color"] == "list"
    assert not {"embedding", "thumbnail", "content_hash"} & set(columns)


def test_failures_are_listed(tmp_path: Path, tiny_encoder: Encoder) -> None:
    catalog = Catalog(tmp_path / "shop", tiny_encoder)
    catalog.index([*draw_items(2), Item("broken", picture=b"no picture"), Item("worse", picture=b"")])
    with TestClient(make_app(catalog)) as client:
        document = client.get("/v1/failures", params={"limit": 1}).json()
        assert document["total"] == 2
        assert [(entry["item_id"], entry["step"]) for entry in document["failures"]] == [("broken", "picture")]
        assert client.get("/v1/failures", params={"limit": 0}).status_code == 422
