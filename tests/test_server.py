from __future__ import annotations

import asyncio
import datetime
import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from focusedfashion import settings
from focusedfashion.catalog import Catalog
from focusedfashion.encoders import Encoder
from focusedfashion.errors import CatalogMissing, FashionError
from focusedfashion.items import Item
from focusedfashion.server.app import make_app, serve
from serving import ODD_IDS, make_catalog, start_server

Shop = tuple[Catalog, list[Item]]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Encoder) -> Shop:
    return make_catalog(tmp_path_factory.mktemp("server"), tiny_encoder)


@pytest.fixture(scope="module")
def client(shop: Shop) -> Iterator[TestClient]:
    with open_client(shop[0]) as client:
        yield client


@pytest.fixture(scope="module")
def visitor(shop: Shop) -> Iterator[httpx.Client]:
    """At a real server: the test client decodes a path twice, so `%25` in an id is beyond it."""
    with start_server(shop[0]) as (address, _), httpx.Client(base_url=address, timeout=30) as visitor:
        yield visitor


def open_client(catalog: Any) -> TestClient:
    return TestClient(make_app(catalog), raise_server_exceptions=False)


def picture_of(item: Item) -> bytes:
    assert isinstance(item.picture, bytes)
    return item.picture


def post(client: TestClient, picture: bytes, **query: Any) -> Any:
    files = {"image": ("photo.jpg", picture)}
    return client.post("/v1/search", files=files, data={"query": json.dumps(query)} if query else {})


EXPLAINED = ("thumbnail", "words", "variants", "why")  # what a match has over HTTP only


def draw_noise(side: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)).save(buffer, "BMP")
    return buffer.getvalue()


def assert_problem(answer: Any, status: int, *words: str) -> None:
    """One shape and one line, whatever went wrong."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert list(document) == ["type", "title", "status", "detail", "request_id"]
    assert document["status"] == status
    assert document["request_id"] == answer.headers["x-request-id"]
    assert "\n" not in document["detail"]
    assert "Traceback" not in document["detail"]
    for word in words:
        assert word in document["detail"]


# Searching


def test_search_gives_the_matches_of_the_catalog(client: TestClient, shop: Shop) -> None:
    catalog, items = shop
    answer = post(client, picture_of(items[12]))
    assert answer.status_code == 200
    matches = answer.json()["matches"]
    assert len(matches) == settings.DEFAULT_K
    assert matches[0]["item"]["item_id"] == items[12].item_id
    expected = [match.to_dict() for match in catalog.search(picture_of(items[12]))]
    assert [{key: value for key, value in match.items() if key not in EXPLAINED} for match in matches] == expected
    assert client.get(matches[0]["thumbnail"]).content == catalog.thumbnail(items[12].item_id)


@pytest.mark.parametrize("way", ["query", "fields"])
def test_options_come_as_one_field_or_as_several(client: TestClient, shop: Shop, way: str) -> None:
    catalog, items = shop
    options: dict[str, Any] = {
        "k": 3,
        "filters": [{"column": "price", "op": "<", "value": 100}],
        "focus": {"color": 2, "shape": 0},
    }
    fields = {name: json.dumps(value) for name, value in options.items()}
    data = {"query": json.dumps(options)} if way == "query" else fields
    answer = client.post("/v1/search", files={"image": picture_of(items[3])}, data=data)
    expected = catalog.search(picture_of(items[3]), 3, "price < 100", {"color": 2, "shape": 0})
    assert [match["item"]["item_id"] for match in answer.json()["matches"]] == [m.item.item_id for m in expected]
    assert [match["score"] for match in answer.json()["matches"]] == [round(m.score, 4) for m in expected]


def test_empty_fields_of_a_form_count_as_not_given(client: TestClient, shop: Shop) -> None:
    files = {"image": picture_of(shop[1][3])}
    empty = client.post("/v1/search", files=files, data={"query": "", "focus": "", "k": ""}).json()
    assert empty["matches"] == client.post("/v1/search", files=files).json()["matches"]


@pytest.mark.parametrize(
    ("query", "status", "word"),
    [
        ({"k": 0}, 400, "k"),
        ({"k": 1001}, 400, "1000"),
        ({"k": "many"}, 422, "k"),
        ({"focus": {"sleeve": 1}}, 400, "sleeve"),
        ({"focus": {"color": -1}}, 400, "color"),
        ({"focus": "color"}, 422, "focus"),
        ({"filters": [{"column": "prize", "op": "<", "value": 5}]}, 400, "'price'"),
        ({"filters": [{"column": "price", "op": "<", "value": "5"}]}, 400, "number"),
        ({"filters": [{"column": "price", "op": "like", "value": 5}]}, 400, "like"),
        ({"filters": {"price": 5}}, 422, "filters"),
        ({"facets": ["prize"]}, 400, "'price'"),
        ({"sort": "brand"}, 422, "sort"),
        ({"box": [0, 0, 2, 1]}, 400, "box"),
        ({"cursor": "abc"}, 400, "cursor"),
        ({"text": "a red dress"}, 400, "text"),
        ({"limit": 3}, 422, "limit"),
    ],
)
def test_an_option_that_makes_no_sense_is_one_line(
    client: TestClient, shop: Shop, query: dict[str, Any], status: int, word: str
) -> None:
    assert_problem(post(client, picture_of(shop[1][0]), **query), status, word)
    if not {"box", "text"} & query.keys():
        assert_problem(client.post("/v1/search", json={"item_id": "sample-0012"} | query), status, word)


@pytest.mark.parametrize("picture", [b"", b"just text", b"\xff\xd8\xff\xe0 broken", b"<svg xmlns='http://x'/>"])
def test_a_picture_that_is_none_is_a_400(client: TestClient, picture: bytes) -> None:
    assert_problem(post(client, picture), 400)


@pytest.mark.parametrize(
    ("request_parts", "status"),
    [
        ({}, 415),
        ({"content": b"x", "headers": {"Content-Type": "text/plain"}}, 415),
        ({"json": {}}, 400),
        ({"json": {"image": "http://somewhere/a.jpg"}}, 422),
        ({"json": {"image_base64": "http://somewhere/a.jpg"}}, 422),
        ({"json": ["image_base64"]}, 422),
        ({"data": {"image": "http://somewhere/a.jpg"}}, 415),
        ({"files": {"picture": b"x"}}, 400),
        ({"files": {"k": (None, "3")}}, 400),
        ({"files": {"image": (None, "http://somewhere/a.jpg")}}, 422),
    ],
)
def test_a_missing_picture_is_said(client: TestClient, request_parts: dict[str, Any], status: int) -> None:
    assert_problem(client.post("/v1/search", **request_parts), status)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"x"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n"),
        ("multipart/form-data; boundary=" + "b" * 999, b"x"),
    ],
)
def test_a_broken_upload_is_a_400(client: TestClient, kind: str, body: bytes) -> None:
    assert_problem(client.post("/v1/search", content=body, headers={"Content-Type": kind}), 400, "cannot be read")


def test_a_large_picture_never_touches_the_disk(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, shop: Shop
) -> None:
    def refuse(*args: Any) -> None:
        raise AssertionError("a query picture was about to be written to the disk")

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", refuse)
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    picture = draw_noise(1_300)
    assert len(picture) > 5_000_000
    assert post(client, picture).status_code == 200


# Items, whatever their ids


@pytest.mark.parametrize("item_id", [*ODD_IDS, "sample-0020"])
def test_items_with_any_id_are_reached(visitor: httpx.Client, shop: Shop, item_id: str) -> None:
    catalog, _ = shop
    url = f"/v1/items/{quote(item_id, safe='')}"
    similar = visitor.get(f"{url}/similar", params={"k": 30}).json()["matches"]
    assert len(similar) == 23
    assert item_id not in [match["item"]["item_id"] for match in similar]
    assert visitor.get(f"{url}/thumbnail").content == catalog.thumbnail(item_id)
    if not item_id.endswith(("/similar", "/thumbnail")):  # those two words end a route
        assert visitor.get(url).json() == catalog.item(item_id).to_dict()


def test_slashes_need_no_encoding(visitor: httpx.Client) -> None:
    assert visitor.get("/v1/items/dresses/red one.jpg").json()["item_id"] == "dresses/red one.jpg"
    assert visitor.get("/v1/items/dresses/red one.jpg/similar").status_code == 200


def test_every_match_leads_to_its_thumbnail(visitor: httpx.Client, shop: Shop) -> None:
    matches = visitor.post("/v1/search", files={"image": picture_of(shop[1][0])}, data={"k": "30"}).json()["matches"]
    assert len(matches) == 24
    for match in matches:
        thumbnail = visitor.get(match["thumbnail"])
        assert thumbnail.content == shop[0].thumbnail(match["item"]["item_id"])


@pytest.mark.parametrize("suffix", ["", "/similar", "/thumbnail"])
def test_an_unknown_item_is_a_404(client: TestClient, suffix: str) -> None:
    assert_problem(client.get(f"/v1/items/nothing{suffix}"), 404, "nothing")


def test_a_thumbnail_is_sent_once(client: TestClient) -> None:
    first = client.get("/v1/items/sample-0020/thumbnail")
    assert first.headers["content-type"] == "image/jpeg"
    assert "max-age" in first.headers["cache-control"]
    again = client.get("/v1/items/sample-0020/thumbnail", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = client.get("/v1/items/sample-0020/thumbnail", headers={"If-None-Match": '"another"'})
    assert other.content == first.content


def test_a_thumbnail_of_an_early_catalog_is_webp(
    client: TestClient, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "WEBP")
    monkeypatch.setattr(Catalog, "thumbnail", lambda catalog, item_id: buffer.getvalue())
    answer = client.get("/v1/items/sample-0020/thumbnail")
    assert (answer.headers["content-type"], answer.content) == ("image/webp", buffer.getvalue())


def test_catalog_and_health(client: TestClient) -> None:
    assert client.get("/v1/catalog").json()["items"] == 24
    assert client.get("/healthz").json() == {"status": "ok"}


def test_columns_of_any_type_become_json() -> None:
    item = Item(
        "x", price=float("nan"), columns={"day": datetime.date(2024, 5, 1), "raw": b"\xff", "rate": [1.5, 1e999]}
    )

    class Odd:
        path = "odd"

        def item(self, item_id: str) -> Item:
            return item

    document = open_client(Odd()).get("/v1/items/x").json()
    assert document["price"] is None
    assert document["columns"] == {"day": "2024-05-01", "raw": "b'\\xff'", "rate": [1.5, None]}


# Errors


def test_a_missing_catalog_is_a_404(tmp_path: Path, tiny_encoder: Encoder, shop: Shop) -> None:
    client = open_client(Catalog(tmp_path / "nowhere", tiny_encoder))
    for answer in (client.get("/v1/catalog"), client.get("/v1/items/a"), post(client, picture_of(shop[1][0]))):
        assert_problem(answer, 404, "no catalog")


def test_a_crash_tells_the_visitor_nothing() -> None:
    class Crashing:
        path = "crashing"

        def item(self, item_id: str) -> None:
            raise RuntimeError("a secret of /srv/shop")

    answer = open_client(Crashing()).get("/v1/items/a")
    assert_problem(answer, 500)
    assert "secret" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("GET", "/v1/search", 405)])
def test_a_wrong_address_has_the_same_shape(client: TestClient, method: str, path: str, status: int) -> None:
    assert_problem(client.request(method, path), status)


@pytest.mark.parametrize("path", ["/", "/docs", "/page/page.js", "/v1/catalog", "/v1/items/nothing", "/page/nothing"])
def test_every_answer_is_guarded(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'self'; img-src 'self' blob: data:;")
    assert headers["x-content-type-options"] == "nosniff"


def test_an_upload_past_the_limit_is_a_413(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "MAX_BODY_BYTES", 100_000)
    assert_problem(post(client, b"x" * 100_001), 413, "larger")
    assert_problem(post(client, b"x" * 90_000), 400)  # no picture, but let in
    assert_problem(post(client, b"x", sort="y" * 70_000), 400, "cannot be read")


def test_a_crowd_is_sent_away_and_a_slow_search_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    monkeypatch.setattr(settings, "MAX_WAITING", 1)
    release, working = threading.Event(), []

    class Slow:
        path = "slow"

        def item(self, item_id: str) -> Item:
            working.append(item_id)
            assert release.wait(60)
            return Item(item_id)

    async def visit() -> None:
        transport = httpx.ASGITransport(make_app(Slow()))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as visitor:
            let_in = [asyncio.create_task(visitor.get(f"/v1/items/{name}")) for name in "ab"]
            async with asyncio.timeout(60):
                while not working:
                    await asyncio.sleep(0.01)
            refused = await visitor.get("/v1/items/c")
            assert_problem(refused, 503, "again")
            assert refused.headers["retry-after"] == "1"
            assert (await visitor.get("/healthz")).status_code == 200
            assert len(working) == 1
            release.set()
            assert [(await answer).status_code for answer in let_in] == [200, 200]
            assert (await visitor.get("/v1/items/d")).status_code == 200

    asyncio.run(visit())


def test_a_stalled_upload_loses_its_place(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "MAX_UPLOAD_SECONDS", 0.05)

    async def stall() -> AsyncIterator[bytes]:
        yield b"--b\r\n"
        await asyncio.sleep(5)
        yield b""

    async def visit() -> httpx.Response:
        transport = httpx.ASGITransport(make_app(shop[0]))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as visitor:
            kind = {"Content-Type": "multipart/form-data; boundary=b"}
            return await visitor.post("/v1/search", content=stall(), headers=kind)

    assert_problem(asyncio.run(visit()), 408)


# Documents


def test_the_api_describes_itself(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {
        "/v1/search",
        "/v1/images",
        "/v1/tags",
        "/v1/items/{item_id}",
        "/v1/items/{item_id}/similar",
        "/v1/items/{item_id}/thumbnail",
        "/v1/items:batch",
        "/v1/catalog",
        "/v1/facets",
        "/v1/failures",
        "/v1/feedback",
        "/healthz",
        "/readyz",
        "/metrics",
    }
    search = document["paths"]["/v1/search"]["post"]
    assert search["requestBody"]["content"]["multipart/form-data"]["schema"]["required"] == ["image"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], (method, path)
            for status, answer in operation["responses"].items():
                if status >= "400":
                    schema = answer["content"]["application/problem+json"]["schema"]
                    assert schema == {"$ref": "#/components/schemas/Problem"}, (method, path, status)
    # Whatever is referred to is there.
    text = json.dumps(document)
    assert set(re.findall(r"#/components/schemas/(\w+)", text)) <= set(document["components"]["schemas"])


def test_importing_the_server_package_loads_no_framework() -> None:
    program = "import sys, focusedfashion.server, focusedfashion.focus; assert 'fastapi' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


# The process


def test_the_process_serves_and_ends_on_sigterm(shop: Shop) -> None:
    catalog, items = shop
    with start_server(catalog) as (address, process):
        files = {"image": picture_of(items[0])}
        matches = httpx.post(f"{address}/v1/search", files=files, data={"k": "2"}, timeout=30).json()["matches"]
        assert matches[0]["item"]["item_id"] == items[0].item_id
        assert httpx.get(address + matches[0]["thumbnail"]).content == catalog.thumbnail(items[0].item_id)
        assert httpx.get(f"{address}/v1/items/{quote(ODD_IDS[3], safe='')}").json()["item_id"] == ODD_IDS[3]

        # A body without a Content-Length is counted as well.
        place = urlsplit(address)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
        start = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
        chunks = iter([start, *[bytes(2**20)] * 33])
        connection.request("POST", "/v1/search", chunks, {"Content-Type": "multipart/form-data; boundary=b"})
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["status"]) == (413, 413)
        connection.close()

        # An upload that breaks off is nobody's error: nothing in the log, and the server goes on.
        with socket.create_connection((place.hostname, place.port)) as half:
            half.sendall(b"POST /v1/search HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n")
            half.sendall(b"Content-Type: multipart/form-data; boundary=b\r\n\r\n" + start)
        assert httpx.get(f"{address}/healthz").status_code == 200

        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=15)
        assert (process.returncode, output, errors) == (0, "", "")


def test_ctrl_c_ends_it_too_even_with_a_visitor_connected(shop: Shop) -> None:
    with start_server(shop[0]) as (address, process), httpx.Client() as visitor:
        assert visitor.get(f"{address}/healthz").status_code == 200
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=15)
        assert (process.returncode, output, errors) == (0, "", "")


def test_a_taken_port_is_one_line_that_says_what_to_do(shop: Shop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(FashionError, match=rf"127.0.0.1:{port} .*in use.*--port"):
            serve(shop[0], port=port)


def test_serving_what_is_not_there_fails_at_once(tmp_path: Path) -> None:
    with pytest.raises(CatalogMissing):
        serve(Catalog(tmp_path / "nowhere"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_told_so_at_once(shop: Shop, number: int) -> None:
    """The moment after it says that it serves, when the web server may not listen to signals yet."""
    with start_server(shop[0]) as (_, process):
        process.send_signal(number)
        assert process.wait(30) == 0
