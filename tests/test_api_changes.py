"""Keeping a catalog current over HTTP, what visitors liked, and how the server is."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import filelock
import lance
import pytest
from fastapi.testclient import TestClient

from conftest import draw_garment, draw_items
from focusedfashion import settings
from focusedfashion.catalog import Catalog
from focusedfashion.encoders import Encoder
from focusedfashion.server.app import make_app
from focusedfashion.server.feedback import Feedback
from focusedfashion.store import Store
from serving import ODD_IDS


@pytest.fixture
def catalog(tmp_path: Path, tiny_encoder: Encoder) -> Catalog:
    catalog = Catalog(tmp_path / "shop", tiny_encoder)
    catalog.index(draw_items(6))
    return catalog


@pytest.fixture
def client(catalog: Catalog) -> Iterator[TestClient]:
    with TestClient(make_app(catalog), raise_server_exceptions=False) as client:
        yield client


def encode(color: str = "red", kind: int = 0) -> str:
    return base64.b64encode(draw_garment(color, kind)).decode()


def test_an_item_is_put_found_changed_and_taken_out(client: TestClient) -> None:
    body: dict[str, Any] = {
        "image_base64": encode("green", 1),
        "title": "Green dress",
        "price": 49.5,
        "currency": "EUR",
        "url": "https://shop.example/p/1",
        "columns": {"season": "summer", "stock": 3},
    }
    stored = client.put("/v1/items/new", json=body)
    assert stored.status_code == 201, stored.text
    assert stored.json() == client.get("/v1/items/new").json()
    assert stored.json()["columns"] == {"season": "summer", "stock": 3}
    found = client.post("/v1/search", files={"image": draw_garment("green", 1)}).json()["matches"]
    assert "new" in [match["item"]["item_id"] for match in found if match["score"] > 0.999]

    assert client.put("/v1/items/new", json=body).status_code == 200
    assert client.delete("/v1/items/new").status_code == 204
    assert client.get("/v1/items/new").status_code == 404
    assert client.delete("/v1/items/new").status_code == 404


def test_a_change_of_price_needs_no_picture(client: TestClient, catalog: Catalog) -> None:
    before, thumbnail = catalog.item("item-001"), catalog.thumbnail("item-001")
    answer = client.put("/v1/items/item-001", json={"price": 5.0, "product_id": before.product_id})
    assert answer.status_code == 200, answer.text
    after = catalog.item("item-001")
    assert (after.price, after.title, after.columns) == (5.0, None, {})  # an item is put whole
    assert after.attributes == before.attributes
    assert catalog.thumbnail("item-001") == thumbnail
    assert catalog.similar("item-001", 1)


@pytest.mark.parametrize("item_id", [item_id for item_id in ODD_IDS if "%" not in item_id])
def test_an_id_may_be_anything(client: TestClient, item_id: str) -> None:
    path = f"/v1/items/{quote(item_id, safe='')}"
    assert client.put(path, json={"image_base64": encode()}).status_code == 201
    assert client.delete(path).status_code == 204


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"title": "no picture"}, 400, "no picture"),
        ({"image_base64": base64.b64encode(b"text").decode()}, 400, "not a picture"),
        ({"image_base64": "?"}, 422, "base64"),
        ({"image": "http://169.254.169.254/latest"}, 422, "image"),
        ({"price": "cheap"}, 422, "price"),
        ([], 422, "object"),
    ],
)
def test_what_cannot_be_stored_says_why(client: TestClient, body: Any, status: int, word: str) -> None:
    answer = client.put("/v1/items/new", json=body)
    assert answer.status_code == status, answer.text
    assert word in answer.json()["detail"]
    assert client.get("/v1/items/new").status_code == 404


def test_a_column_that_does_not_fit_is_told(client: TestClient) -> None:
    answer = client.put("/v1/items/new", json={"image_base64": encode(), "columns": {"stock": "many"}})
    assert (answer.status_code, "stock" in answer.json()["detail"]) == (400, True)


@pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson"])
def test_a_batch_has_an_answer_for_each(client: TestClient, catalog: Catalog, kind: str) -> None:
    entries: list[Any] = [
        {"item_id": "a", "image_base64": encode("blue"), "price": 1},
        {"item_id": "item-000", "delete": True},
        {"item_id": "b", "image_base64": base64.b64encode(b"none").decode()},
        {"item_id": "a", "delete": True},
        {"item_id": "item-001", "price": 9.5},
        {"price": 4},
        {"item_id": "c", "image_base64": "?"},
        {"item_id": "gone", "delete": True},
    ]
    lines = [json.dumps(entry) for entry in entries]
    body = "\n".join([*lines, "{broken"]) if kind != "application/json" else f"[{','.join([*lines, 'null'])}]"
    answer = client.post("/v1/items:batch", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert [result["ok"] for result in document["results"]] == [
        True,
        True,
        False,
        False,
        True,
        False,
        False,
        True,
        False,
    ]
    assert [result["item_id"] for result in document["results"][:3]] == ["a", "item-000", "b"]
    assert "not a picture" in document["results"][2]["detail"]
    assert "double" in document["results"][3]["detail"]
    assert {name: document[name] for name in ("added", "updated", "removed", "failed")} == {
        "added": 1,
        "updated": 1,
        "removed": 1,
        "failed": 5,
    }
    assert catalog.item("item-001").price == 9.5
    assert {item.item_id for item in catalog.items()} == {"a", *(f"item-00{place}" for place in range(1, 6))}


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data", "application/x-www-form-urlencoded", ""])
def test_what_a_form_of_another_site_can_send_changes_nothing(client: TestClient, kind: str) -> None:
    headers = {"Content-Type": kind} if kind else {}
    body = json.dumps([{"item_id": "item-000", "delete": True}])
    for method, path in (("POST", "/v1/items:batch"), ("PUT", "/v1/items/x"), ("POST", "/v1/feedback")):
        assert client.request(method, path, content=body, headers=headers).status_code == 415
    assert client.get("/v1/items/item-000").status_code == 200


def test_searches_go_on_while_another_process_writes(
    client: TestClient, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "CHANGE_SECONDS", 0.2)
    with filelock.FileLock(Path(catalog.path, "writer.lock")):
        waiting = client.put("/v1/items/item-001", json={"price": 7.0})
        assert (waiting.status_code, waiting.headers["retry-after"]) == (503, "10")
        assert client.get("/v1/items/item-000/similar").status_code == 200
    monkeypatch.setattr(settings, "CHANGE_SECONDS", 30)
    assert client.put("/v1/items/item-001", json={"price": 8.0}).status_code == 200
    assert catalog.item("item-001").price == 8.0


def test_feedback_is_written_in_the_background(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "FEEDBACK_SECONDS", 60)
    with TestClient(make_app(catalog)) as client:
        request_id = client.get("/v1/items/item-000/similar").json()["request_id"]
        for kind in ("click", "like", "dislike"):
            body = {"request_id": request_id, "item_id": "item-003", "kind": kind}
            assert client.post("/v1/feedback", json=body).status_code == 202
        for wrong in ({"kind": "hate"}, {"request_id": ""}, {"extra": 1}):
            body = {"request_id": request_id, "item_id": "item-003", "kind": "like"} | wrong
            assert client.post("/v1/feedback", json=body).status_code == 422
    table = Store(catalog.path).read_table("feedback")
    assert table is not None
    assert table.column("kind").to_pylist() == ["click", "like", "dislike"]
    assert set(table.column("request_id").to_pylist()) == {request_id}
    assert catalog.info().items == 6


def test_feedback_of_a_long_time_stays_in_few_pieces(catalog: Catalog) -> None:
    for turn in range(40):
        feedback = Feedback(catalog.path)
        feedback.add("r", f"item-{turn}", "click")
        feedback.close()
    table = lance.dataset(f"{catalog.path}/feedback.lance")
    assert table.count_rows() == 40
    assert len(table.get_fragments()) <= settings.MAX_FRAGMENTS + 1


def test_too_much_feedback_is_refused_at_once(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "MAX_FEEDBACK", 2)
    monkeypatch.setattr(settings, "FEEDBACK_SECONDS", 60)
    with TestClient(make_app(catalog)) as client:
        body = {"request_id": "r", "item_id": "i", "kind": "like"}
        assert [client.post("/v1/feedback", json=body).status_code for _ in range(3)] == [202, 202, 503]


def test_the_server_says_how_it_is(client: TestClient, tmp_path: Path, tiny_encoder: Encoder) -> None:
    assert client.get("/readyz").json() == {"status": "ready"}
    client.get("/v1/items/item-000")
    client.get("/v1/items/nothing")
    figures = client.get("/metrics")
    assert figures.headers["content-type"].startswith("text/plain; version=")
    route = 'route="/v1/items/{item_id:path}"'
    assert f'focusedfashion_requests_total{{method="GET",{route},status="200"}} 1.0' in figures.text
    assert f'focusedfashion_requests_total{{method="GET",{route},status="404"}} 1.0' in figures.text
    assert "nothing" not in figures.text
    with TestClient(make_app(Catalog(tmp_path / "nowhere", tiny_encoder))) as lost:
        assert lost.get("/healthz").status_code == 200
        answer = lost.get("/readyz")
        assert (answer.status_code, "no catalog" in answer.json()["detail"]) == (503, True)
