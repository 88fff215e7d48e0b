"""What a stranger may try: nothing breaks, nothing leaks, and everybody else is served meanwhile."""

from __future__ import annotations

import contextlib
import io
import json
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from conftest import draw_items
from focusedfashion import settings
from focusedfashion.catalog import Catalog
from focusedfashion.encoders import Encoder
from serving import start_server

IDLE = 1_000
SLOW = 100
FORM = b"Content-Type: multipart/form-data; boundary=b\r\n"
PART = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Encoder) -> Catalog:
    catalog = Catalog(tmp_path_factory.mktemp("attacks") / "shop", tiny_encoder)
    catalog.index(draw_items(8))
    return catalog


@pytest.fixture(scope="module")
def server(catalog: Catalog) -> Iterator[tuple[str, Any]]:
    with start_server(catalog) as (address, process):
        yield address, process
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=30) == ("", "")  # nothing in its log


@pytest.fixture
def address(server: tuple[str, Any]) -> str:
    return server[0]


def connect(address: str) -> socket.socket:
    place = urlsplit(address)
    return socket.create_connection((place.hostname, place.port), timeout=30)


def ask(address: str) -> httpx.Response:
    picture = draw_items(1)[0].picture
    assert isinstance(picture, bytes)
    return httpx.post(f"{address}/v1/search", files={"image": picture}, timeout=30)


def send(address: str, request: bytes) -> bytes:
    with connect(address) as line:
        line.sendall(request)
        answer = b""
        while piece := line.recv(65_536):
            answer += piece
        return answer


def test_idle_connections_and_slow_uploads_keep_nobody_out(address: str) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4_096, hard) if hard > 0 else 4_096, hard))
    with contextlib.ExitStack() as lines:
        for _ in range(IDLE):
            lines.enter_context(connect(address))
        for _ in range(SLOW):
            line = lines.enter_context(connect(address))
            line.sendall(
                b"POST /v1/search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999\r\n" + FORM + b"\r\n" + PART
            )
        start = time.monotonic()
        assert ask(address).status_code == 200
        assert time.monotonic() - start < 5
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_body_of_two_gigabytes_is_refused_unread(address: str, server: tuple[str, Any]) -> None:
    for path in (b"/v1/search", b"/v1/images", b"/v1/tags"):
        head = b"POST " + path + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2147483648\r\n"
        assert send(address, head + FORM + b"\r\n" + PART).startswith(b"HTTP/1.1 413")
    status = Path(f"/proc/{server[1].pid}/status")
    if status.exists():
        peak = re.search(r"VmHWM:\s+(\d+)", status.read_text())
        assert peak is not None
        assert int(peak[1]) < 1_500_000  # kB


def make_bomb(width: int, height: int) -> bytes:
    """A PNG whose header promises much, in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(10_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("route", ["search", "images", "tags"])
def test_a_decompression_bomb_is_not_opened(address: str, route: str) -> None:
    start = time.monotonic()
    answer = httpx.post(f"{address}/v1/{route}", files={"image": make_bomb(60_000, 60_000)}, timeout=30)
    assert (answer.status_code, "megapixels" in answer.json()["detail"]) == (400, True)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    "path",
    [
        "/v1/items/..%2f..%2f..%2fetc%2fpasswd",
        "/v1/items/../../etc/passwd",
        "/v1/items/%2e%2e%2fitems.lance/thumbnail",
        "/v1/items/%00/thumbnail",
        "/v1/items/x'%20OR%20'1'='1",
        "/v1/items/%27%20OR%201=1%20--/similar",
        "/page/..%2fapp.py",
        "/page/%2e%2e/app.py",
        "/page/../app.py",
        "/page//etc/passwd",
        "/page/%00",
    ],
)
def test_a_path_leads_nowhere_else(address: str, path: str) -> None:
    answer = send(address, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
    assert answer.split()[1] in (b"404", b"405"), answer
    assert b"root:" not in answer
    assert b"def " not in answer


@pytest.mark.parametrize("request_id", ["a b", "x" * 65, "<script>", "a;b=c", "\u00e9"])
def test_a_strangers_request_id_is_not_repeated(address: str, request_id: str) -> None:
    answer = httpx.get(f"{address}/v1/items/none", headers={"X-Request-Id": request_id.encode()})
    assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["x-request-id"])
    kept = httpx.get(f"{address}/v1/items/none", headers={"X-Request-Id": "shop-17.a_b"})
    assert kept.headers["x-request-id"] == kept.json()["request_id"] == "shop-17.a_b"


@pytest.mark.parametrize("text", ["a\r\nSet-Cookie: x=1", "a\nX-Evil: 1", "a\x00b"])
def test_nothing_becomes_a_header(address: str, text: str) -> None:
    for answer in (
        httpx.get(
            f"{address}/v1/items/{httpx.QueryParams({'a': text})['a']!s}".replace("\r", "%0d")
            .replace("\n", "%0a")
            .replace("\x00", "%00")
        ),
        httpx.get(f"{address}/", params={"key": text}),
        httpx.post(f"{address}/v1/search", json={"item_id": text}),
    ):
        assert answer.status_code in (303, 404)
        assert not {"set-cookie", "x-evil"} & set(answer.headers)


@pytest.mark.parametrize("depth", [33, 500, 900, 5_000, 100_000])
def test_deep_documents_are_refused(address: str, depth: int) -> None:
    nested = "[" * depth + "]" * depth
    bodies = (
        nested,
        f'{{"item_id": "item-000", "filters": [{{"column": "price", "value": {nested}}}]}}',
        f'{{"box": {nested}}}',
    )
    headers = {"Content-Type": "application/json"}
    for body in bodies:
        answer = httpx.post(f"{address}/v1/search", content=body, headers=headers, timeout=30)
        assert answer.status_code in (400, 422), answer.text
    for body in (f"[{nested}]", f'[{{"item_id": "deep", "columns": {{"x": {nested}}}}}]'):
        assert httpx.post(f"{address}/v1/items:batch", content=body, headers=headers, timeout=30).status_code == 422


def test_an_upload_that_breaks_off_costs_nothing(address: str) -> None:
    for _ in range(40):
        with connect(address) as line:
            line.sendall(
                b"POST /v1/images HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 999999\r\n" + FORM + b"\r\n" + PART
            )
    deadline = time.monotonic() + 10
    while "focusedfashion_body_bytes 0.0" not in httpx.get(f"{address}/metrics").text:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert ask(address).status_code == 200


def test_the_bodies_together_are_bounded(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    from fastapi.testclient import TestClient

    from focusedfashion.server.app import make_app

    monkeypatch.setattr(settings, "MAX_BODIES_BYTES", 10_000)
    client = TestClient(make_app(catalog))
    refused = client.post("/v1/search", files={"image": bytes(20_000)})
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert client.post("/v1/search", files={"image": bytes(5_000)}).status_code == 400  # what was counted is given back
    assert client.post("/v1/search", files={"image": bytes(5_000)}).status_code == 400


def test_script_in_a_title_stays_text(address: str, catalog: Catalog) -> None:
    body = {
        "title": "<script>alert(1)</script>",
        "url": "javascript:alert(1)",
        "product_id": "item-product-0",
        "price": 0.0,
    }
    assert httpx.put(f"{address}/v1/items/item-000", json=body).status_code == 200
    answer = httpx.get(f"{address}/v1/items/item-000")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.json()["title"] == body["title"]


def test_the_catalog_is_indexed_anew_while_the_server_answers(address: str, catalog: Catalog, tmp_path: Path) -> None:
    """By another process; each answer is right, and the new state shows within seconds."""
    stopped = threading.Event()
    codes: list[int] = []

    def keep_asking() -> None:
        with httpx.Client(base_url=address, timeout=30) as visitor:
            while not stopped.is_set():
                codes.append(visitor.get("/v1/items/item-001/similar", params={"facets": "season"}).status_code)
                codes.append(visitor.get("/v1/items/item-001/thumbnail").status_code)

    visitors = [threading.Thread(target=keep_asking) for _ in range(2)]
    for visitor in visitors:
        visitor.start()
    try:
        for turn in range(3):
            folder = tmp_path / f"new-{turn}"
            folder.mkdir()
            for place, item in enumerate(draw_items(30)):
                assert isinstance(item.picture, bytes)
                (folder / f"{turn}-{place}.jpg").write_bytes(item.picture)
            command = [sys.executable, "-m", "focusedfashion", "index", catalog.path, str(folder)]
            subprocess.run([*command, "--encoder", catalog.encoder.name], check=True, capture_output=True)
            assert httpx.get(f"{address}/v1/items/{turn}-29.jpg").status_code == 200
    finally:
        stopped.set()
        for visitor in visitors:
            visitor.join()
    assert len(codes) > 20
    assert set(codes) == {200}


def test_a_request_under_way_is_answered_before_the_end(catalog: Catalog) -> None:
    with start_server(catalog) as (address, process):
        ask(address)
        picture = draw_items(1)[0].picture
        assert isinstance(picture, bytes)
        body = PART + picture + b"\r\n--b--\r\n"
        with connect(address) as line:
            head = f"POST /v1/search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n".encode()
            line.sendall(head + FORM + b"\r\n" + body[:100])
            time.sleep(0.3)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            with pytest.raises(OSError), connect(address) as late:  # nobody new comes in
                late.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                assert late.recv(1)
                raise OSError
            line.sendall(body[100:])
            answer = io.BytesIO()
            while piece := line.recv(65_536):
                answer.write(piece)
        head_, _, document = answer.getvalue().partition(b"\r\n\r\n")
        assert head_.startswith(b"HTTP/1.1 200")
        assert json.loads(document)["matches"]
        assert process.wait(15) == 0
