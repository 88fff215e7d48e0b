"""Who may do what: this machine, a link, keys, other sites, a pace for each."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from conftest import draw_items
from focusedfashion import settings
from focusedfashion.catalog import Catalog
from focusedfashion.cli import main
from focusedfashion.encoders import Encoder
from focusedfashion.server.access import Access, Pace, is_loopback
from focusedfashion.server.app import make_app
from focusedfashion.server.keys import Keys

LOCAL, REMOTE = ("127.0.0.1", 50_000), ("192.168.1.7", 50_000)
BODY = {"price": 5.0}


@pytest.fixture
def catalog(tmp_path: Path, tiny_encoder: Encoder) -> Catalog:
    catalog = Catalog(tmp_path / "shop", tiny_encoder)
    catalog.index(draw_items(4))
    return catalog


def visit(
    catalog: Catalog,
    client: tuple[str, int] = REMOTE,
    host: str = "192.168.1.2:8000",
    scheme: str = "http",
    **rules: Any,
) -> TestClient:
    access = Access(Keys(catalog.path), **rules)
    app = make_app(catalog, access, rules.get("origins", ()))
    return TestClient(app, base_url=f"{scheme}://{host}", client=client, follow_redirects=False)


def statuses(visitor: TestClient, **headers: str) -> tuple[int, int]:
    """Of a reading request and of a changing one."""
    read = visitor.get("/v1/items/item-000", headers=headers)
    write = visitor.put("/v1/items/item-000", json=BODY, headers=headers)
    return read.status_code, write.status_code


# This machine


@pytest.mark.parametrize(
    ("address", "host"), [("127.0.0.1", "127.0.0.1:8000"), ("::1", "[::1]:8000"), ("127.0.0.1", "localhost")]
)
def test_on_this_machine_nothing_is_needed(catalog: Catalog, address: str, host: str) -> None:
    assert statuses(visit(catalog, (address, 5), host)) == (200, 200)


@pytest.mark.parametrize(
    ("host", "headers"),
    [
        ("127.0.0.1", {"X-Forwarded-For": "203.0.113.9"}),
        ("127.0.0.1", {"Forwarded": "for=203.0.113.9"}),
        ("127.0.0.1", {"Via": "1.1 proxy"}),
        ("127.0.0.1", {"Origin": "https://evil.example"}),
        ("127.0.0.1", {"Origin": "null"}),
        ("rebound.evil.example", {}),
        ("127.0.0.1.evil.example", {}),
    ],
)
def test_what_only_comes_through_this_machine_needs_a_key(catalog: Catalog, host: str, headers: dict[str, str]) -> None:
    visitor = visit(catalog, LOCAL, host)
    assert statuses(visitor, **headers) == (401, 401)
    key = Keys(catalog.path).add("proxy", write=True)
    assert statuses(visit(catalog, LOCAL, host), **headers, Authorization=f"Bearer {key}") == (200, 200)


def test_is_loopback() -> None:
    for host in ("127.0.0.1", "127.1.2.3", "::1", "localhost", "::ffff:127.0.0.1"):
        assert is_loopback(host), host
    for host in ("0.0.0.0", "192.168.1.2", "example.com", "", "localhost.evil.example", "127.0.0.1.evil.example"):
        assert not is_loopback(host), host


# Keys


def test_a_key_lets_in_and_can_be_taken_back(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "KEY_SECONDS", 0.0)
    keys = Keys(catalog.path)
    reads, writes = keys.add("page"), keys.add("shop", write=True)
    visitor = visit(catalog)
    refused = visitor.get("/v1/items/item-000")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert statuses(visitor, Authorization=f"Bearer {reads}") == (200, 403)
    assert statuses(visitor, Authorization=f"bearer {writes}") == (200, 200)
    assert statuses(visitor, Authorization=f"Basic {writes}") == (401, 401)
    assert statuses(visitor, Authorization=f"Bearer {writes}x") == (401, 401)
    assert visitor.post("/v1/items:batch", json=[], headers={"Authorization": f"Bearer {reads}"}).status_code == 403
    assert visitor.delete("/v1/items/item-000", headers={"Authorization": f"Bearer {reads}"}).status_code == 403
    keys.remove("shop")
    assert statuses(visitor, Authorization=f"Bearer {writes}") == (401, 401)
    assert statuses(visitor, Authorization=f"Bearer {reads}") == (200, 403)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/", "/docs", "/openapi.json", "/page/page.js"])
def test_what_tells_nothing_of_the_catalog_needs_no_key(catalog: Catalog, path: str) -> None:
    assert visit(catalog).get(path).status_code == 200


def test_everything_else_needs_one(catalog: Catalog) -> None:
    visitor = visit(catalog)
    document = visitor.get("/openapi.json").json()
    asked = 0
    for path, operations in document["paths"].items():
        for method in operations:
            if path not in ("/healthz", "/readyz"):
                answer = visitor.request(method, path.replace("{item_id}", "item-000"))
                assert (answer.status_code, answer.json()["status"]) == (401, 401), (method, path)
                asked += 1
    assert asked > 10


def test_keys_are_hashed_at_rest(catalog: Catalog) -> None:
    token = Keys(catalog.path).add("shop")
    for path in Path(catalog.path).rglob("*"):
        if path.is_file():
            assert token.encode() not in path.read_bytes(), path
    assert catalog.info().items == 4


def test_the_command_makes_lists_and_takes_back(catalog: Catalog, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", catalog.path, "list"]) == 0
    assert capsys.readouterr().out == "no keys\n"
    assert main(["keys", catalog.path, "add", "shop", "--write"]) == 0
    token = capsys.readouterr().out.strip()
    assert statuses(visit(catalog), Authorization=f"Bearer {token}") == (200, 200)
    assert main(["keys", catalog.path, "add", "shop"]) == 1
    assert "there is a key 'shop' already" in capsys.readouterr().err
    assert main(["keys", catalog.path, "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(key["name"], key["write"]) for key in listed] == [("shop", True)]
    assert token not in json.dumps(listed)
    assert main(["keys", catalog.path, "remove", "shop"]) == 0
    assert statuses(visit(catalog), Authorization=f"Bearer {token}") == (401, 401)
    assert main(["keys", catalog.path, "remove", "shop"]) == 1
    assert main(["keys", f"{catalog.path}-none", "list"]) == 1
    for wrong in (["add"], ["list", "x"], ["renew", "x"]):
        with pytest.raises(SystemExit):
            main(["keys", catalog.path, *wrong])


# The link


def test_a_link_lets_read(catalog: Catalog) -> None:
    visitor = visit(catalog, link="secret-token")
    assert visitor.get("/v1/items/item-000").status_code == 401
    assert "set-cookie" not in visitor.get("/?key=wrong").headers
    opened = visitor.get("/?key=secret-token")
    assert (opened.status_code, opened.headers["location"]) == (303, "/")
    cookie = opened.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "secure" not in cookie.replace("secret-token", "")
    assert statuses(visitor) == (200, 403)  # the cookie is kept
    assert "; secure" in visit(catalog, link="t", scheme="https").get("/?key=t").headers["set-cookie"].lower()


def test_open_lets_everybody_read(catalog: Catalog) -> None:
    visitor = visit(catalog, is_open=True)
    assert statuses(visitor) == (200, 401)
    key = Keys(catalog.path).add("shop", write=True)
    assert statuses(visit(catalog, is_open=True), Authorization=f"Bearer {key}") == (200, 200)


# Other sites, and the pace


def test_only_the_sites_that_are_named_may_ask(catalog: Catalog) -> None:
    visitor = visit(catalog, is_open=True, origins=["https://shop.example"])
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    for origin, allowed in (("https://shop.example", True), ("https://evil.example", False)):
        before = visitor.options("/v1/search", headers=asked | {"Origin": origin})
        assert (before.headers.get("access-control-allow-origin") == origin) == allowed
        answer = visitor.get("/v1/items/item-000", headers={"Origin": origin})
        assert (answer.headers.get("access-control-allow-origin") == origin) == allowed
    assert (
        "X-Request-Id"
        in visitor.get("/", headers={"Origin": "https://shop.example"}).headers["access-control-expose-headers"]
    )


def test_each_key_has_its_pace(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "REQUESTS_AT_ONCE", 3)
    monkeypatch.setattr(settings, "REQUESTS_PER_SECOND", 0.1)
    keys = Keys(catalog.path)
    one, other = keys.add("one"), keys.add("other")
    visitor = visit(catalog)
    path = "/v1/items/item-000"
    codes = [visitor.get(path, headers={"Authorization": f"Bearer {one}"}).status_code for _ in range(4)]
    assert codes == [200, 200, 200, 429]
    slowed = visitor.get(path, headers={"Authorization": f"Bearer {one}"})
    assert 1 <= int(slowed.headers["retry-after"]) <= 11
    assert visitor.get(path, headers={"Authorization": f"Bearer {other}"}).status_code == 200


def test_a_pace_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    pace = Pace(rate=2.0, burst=2)
    assert [pace.take("a") for _ in range(3)] == [0.0, 0.0, 0.5]
    now += 0.5
    assert [pace.take("a"), pace.take("a")] == [0.0, 0.5]
    assert pace.take("b") == 0.0


# The process


def start(catalog: Catalog, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "focusedfashion", "serve", catalog.path, "--port", "0", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def process_of(catalog: Catalog) -> Iterator[Any]:
    processes: list[subprocess.Popen[str]] = []

    def begin(*options: str) -> subprocess.Popen[str]:
        processes.append(start(catalog, *options))
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def test_serving_elsewhere_prints_a_link_that_works(process_of: Any) -> None:
    process = process_of("--host", "0.0.0.0")
    line = process.stdout.readline() + process.stdout.readline()
    link = re.search(r"open (http://\S+:(\d+)/\?key=\S+)", line)
    assert link, line
    local = f"http://127.0.0.1:{link[2]}"
    # A proxy's header stands for a visitor from elsewhere.
    with httpx.Client(base_url=local, headers={"X-Forwarded-For": "203.0.113.9"}) as visitor:
        assert visitor.get("/v1/catalog").status_code == 401
        key = link[1].partition("?key=")[2]
        assert visitor.get(f"/?key={key}").status_code == 303
        assert visitor.get("/v1/catalog").json()["items"] == 4
        assert visitor.put("/v1/items/item-000", json=BODY).status_code == 403
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0


def test_serving_elsewhere_openly(process_of: Any) -> None:
    process = process_of("--host", "0.0.0.0", "--open", "--allow-origin", "https://shop.example/")
    line = process.stdout.readline()
    port = re.search(r":(\d+) ", line)
    assert port, line
    headers = {"X-Forwarded-For": "203.0.113.9", "Origin": "https://shop.example"}
    answer = httpx.get(f"http://127.0.0.1:{port[1]}/v1/catalog", headers=headers)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "https://shop.example")
