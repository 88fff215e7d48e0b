"""Fetching: what comes of URLs and servers as they really are, one by one and by the thousand."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

import web as local
from focusedfashion import settings
from focusedfashion.errors import FetchError
from focusedfashion.fetch import Answer, Fetcher, places, wire
from focusedfashion.fetch.places import is_public, parse_url
from web import Reply, Web, draw_bytes, http_date, make_pictures, serve_web

PICTURE = draw_bytes(0, 5_000)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits of a test's patience."""
    for name, value in {
        "CONNECT_SECONDS": 1.0,
        "READ_SECONDS": 0.3,
        "FETCH_SECONDS": 0.6,
        "BACKOFF_SECONDS": 0.05,
        "MAX_RETRY_AFTER": 3.0,
        "HOST_PATIENCE": 0.5,
        "LATE_SECONDS": 0.5,
        "MAX_PICTURE_BYTES": local.LIMIT,
    }.items():
        monkeypatch.setattr(settings, name, value)


@pytest.fixture
def fetcher() -> Iterator[Fetcher]:
    with Fetcher(allow_private=True) as fetcher:
        yield fetcher


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Host names -> addresses, changed by a test; other names are unknown. The calls are under the key "asked"."""
    known: dict[str, list[str]] = {"asked": []}

    def look_up(host: str, port: int, **options: Any) -> list[Any]:
        known["asked"].append(host)
        if host not in known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in known[host]
        ]

    monkeypatch.setattr(places.socket, "getaddrinfo", look_up)
    return known


def fetch_all(fetcher: Fetcher, urls: Sequence[str]) -> dict[str, Answer | FetchError]:
    """URL -> what came; every URL once."""
    found: dict[str, Answer | FetchError] = {}
    for url, answer in fetcher.fetch_ahead(urls, lambda url: (url, "")):
        assert url not in found
        assert answer is not None
        found[url] = answer
    return found


def fail(fetcher: Fetcher, url: str, **options: Any) -> str:
    """The message of the error, which is one line and begins with the URL."""
    with pytest.raises(FetchError) as caught:
        fetcher.fetch(url, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(url), message
    return message.removeprefix(f"{url}: ")


# URLs


@pytest.mark.parametrize(
    ("url", "cleaned"),
    [
        ("https://shop.example/a.jpg", "https://shop.example/a.jpg"),
        ("HTTP://Shop.Example", "http://shop.example/"),
        ("  https://shop.example/a.jpg\n", "https://shop.example/a.jpg"),
        ("https://shop.example/red\n dress.jpg", "https://shop.example/red%20dress.jpg"),
        ("https://shop.example/robe d'été.jpg", "https://shop.example/robe%20d'%C3%A9t%C3%A9.jpg"),
        ("https://shop.example/50%25 off 100%.jpg", "https://shop.example/50%25%20off%20100%25.jpg"),
        ("https://shop.example/%c3%a9.jpg", "https://shop.example/%c3%a9.jpg"),
        ("https://shop.example\\images\\a.jpg?path=c:\\x", "https://shop.example/images/a.jpg?path=c:%5Cx"),
        ("https://shop.example?size=XL&q=a b#top", "https://shop.example/?size=XL&q=a%20b"),
        ('https://shop.example/<a>|"b"{c}.jpg', "https://shop.example/%3Ca%3E%7C%22b%22%7Bc%7D.jpg"),
        ("https://bücher.example/ü", "https://xn--bcher-kva.example/%C3%BC"),
        ("https://例え.example/a.jpg", "https://xn--r8jz45g.example/a.jpg"),
        ("https://my_shop.example./a.jpg", "https://my_shop.example./a.jpg"),
        ("https://shop.example:443/a", "https://shop.example/a"),
        ("http://shop.example:080/a", "http://shop.example/a"),
        ("http://shop.example:8080/a", "http://shop.example:8080/a"),
        ("http://[::1]:8080/a", "http://[::1]:8080/a"),
        ("http://[2001:DB8::1]/a", "http://[2001:db8::1]/a"),
    ],
)
def test_a_url_is_cleaned_as_browsers_do(url: str, cleaned: str) -> None:
    assert parse_url(url).url == cleaned
    assert parse_url(cleaned).url == cleaned


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "only http"),
        ("a.jpg", "only http"),
        ("//shop.example/a.jpg", "only http"),
        ("ftp://shop.example/a.jpg", "only http"),
        ("file:///etc/passwd", "only http"),
        ("data:image/png;base64,AAAA", "only http"),
        ("javascript:alert(1)", "only http"),
        ("https://", "no host name"),
        ("https:///a.jpg", "no host name"),
        ("https://shop example/a.jpg", "no host name that can be"),
        ("https://shop..example/a.jpg", "no host name that can be"),
        ("https://shop%2eexample%2f@/a.jpg", ""),
        ("https://shop.example:99999/a", "ort"),
        ("https://shop.example:abc/a", "ort"),
        ("https://shop.example:0/a", "port 0"),
        ("https://[::1/a", ""),
        ("https://[shop]/a", ""),
        ("https://user:secret@shop.example/a", "user name"),
        (f"https://shop.example/{'a' * 9_000}", "9,021 characters"),
        (f"https://{'a' * 300}.example/", "253"),
        (f"https://{'é' * 70}.example/", "not a URL"),
        ("https://shop.example/\udcff.jpg", "not a URL"),
        ("https://shop.example\u2100/a", ""),
    ],
)
def test_what_is_no_url_is_one_line(fetcher: Fetcher, url: str, says: str) -> None:
    with pytest.raises(FetchError) as caught:
        fetcher.fetch(url)
    message = str(caught.value)
    assert says in message
    assert "secret" not in message
    assert message.isprintable()
    assert len(message) < 500
    ((_, error),) = fetcher.fetch_ahead([url], lambda url: (url, ""))
    assert str(error) == message


# Addresses


PRIVATE = """
    127.0.0.1 127.8.8.8 0.0.0.0 10.0.0.1 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 192.0.2.1 198.18.0.1
    224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255 :: ::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::127.0.0.1 fe80::1
    fe80::1%eth0 fc00::1 fd12::1 fec0::1 ff02::1 2001:db8::1 2002:7f00:1:: 64:ff9b::7f00:1 64:ff9b:1::1 2001::1 100::1
"""


@pytest.mark.parametrize("address", PRIVATE.split())
def test_an_address_that_is_not_of_the_open_internet(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::"]
)
def test_an_address_of_the_open_internet(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1"])
def test_this_machine_is_not_fetched_from_unless_allowed(host: str) -> None:
    with serve_web({"/a.jpg": Reply(PICTURE)}) as web, Fetcher() as fetcher:
        assert "private or reserved" in fail(fetcher, f"http://{host}:{web.port}/a.jpg")
        assert web.connections == 0


def test_what_is_checked_is_what_is_connected_to(names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    # A name server that gives a public address to the check and this machine to the connection.
    connected: list[str] = []

    def connect(self: object, address: tuple[str, int]) -> None:
        connected.append(address[0])
        raise ZeroDivisionError  # which nobody catches

    monkeypatch.setattr(wire._Counting, "connect", connect)
    answers = itertools.cycle([["93.184.215.14"], ["127.0.0.1"]])
    look_up = places.socket.getaddrinfo

    def look_up_in_turn(host: str, port: int, **options: Any) -> Any:
        names[host] = next(answers)
        return look_up(host, port, **options)

    monkeypatch.setattr(places.socket, "getaddrinfo", look_up_in_turn)
    with Fetcher() as fetcher, pytest.raises(ZeroDivisionError):
        fetcher.fetch("http://rebinding.example/a.jpg")
    assert connected == ["93.184.215.14"]
    assert names["asked"] == ["rebinding.example"]


def test_only_the_public_ones_of_several_addresses_are_tried(
    names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    names["shop.example"] = ["10.0.0.1", "::1", "93.184.215.14"]
    tried: list[str] = []

    def refuse(self: object, address: tuple[str, int]) -> None:
        tried.append(address[0])
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(wire._Counting, "connect", refuse)
    with Fetcher() as fetcher:
        assert "Connection refused" in fail(fetcher, "http://shop.example/a.jpg")
    assert set(tried) == {"93.184.215.14"}


def test_a_redirect_into_the_own_network_is_refused(
    names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    names |= {"shop.example": ["127.0.0.1"], "intranet.example": ["127.0.0.2"]}
    monkeypatch.setattr(places, "is_public", lambda address: address == "127.0.0.1")
    with serve_web() as web, Fetcher() as fetcher:
        web.replies = {"/a.jpg": Reply(status=302, headers={"Location": f"http://intranet.example:{web.port}/b.jpg"})}
        message = fail(fetcher, f"http://shop.example:{web.port}/a.jpg")
        assert "'intranet.example' is at 127.0.0.2, a private or reserved address" in message
        assert [asked.path for asked in web.asked] == ["/a.jpg"]


def test_the_next_address_is_tried_when_one_does_not_answer(fetcher: Fetcher, names: dict[str, list[str]]) -> None:
    names["shop.example"] = ["127.0.0.9", "127.0.0.1"]  # nobody listens at the first
    with serve_web({"/a": Reply(b"a")}) as web:
        assert fetcher.fetch(f"http://shop.example:{web.port}/a").data == b"a"


def test_no_proxy_is_used(fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with serve_web({"/a": Reply(b"a")}) as web:
        assert fetcher.fetch(f"{web.address}/a").data == b"a"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for shop.example with its key, in one file."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=shop.example"
    command += " -addext subjectAltName=DNS:shop.example -keyout key.pem -out cert.pem"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_bytes((folder / "cert.pem").read_bytes() + (folder / "key.pem").read_bytes())
    return both


def test_tls_verifies_the_name_though_the_address_is_connected_to(
    certificate: Path, names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    names |= {"shop.example": ["127.0.0.1"], "other.example": ["127.0.0.1"]}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    body = draw_bytes(1, 500_000)
    replies = {"/a": Reply(body), "/stalled": Reply(body, stall=1000), "/large": Reply(body, chunked=True)}
    with serve_web(replies, tls=context) as web:
        with Fetcher(allow_private=True) as fetcher:
            assert "certificate is not valid" in fail(fetcher, f"https://shop.example:{web.port}/a")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with Fetcher(allow_private=True) as fetcher:
            for _ in range(2):
                assert fetcher.fetch(f"https://shop.example:{web.port}/a").data == body
            assert web.connections == 1  # for both
            message = fail(fetcher, f"https://other.example:{web.port}/a")
            assert "certificate is not valid" in message
            assert "other.example" in message
            monkeypatch.setattr(settings, "READ_SECONDS", 30)
            monkeypatch.setattr(settings, "FETCH_SECONDS", 0.3)
        with Fetcher(allow_private=True) as fetcher:  # the watch ends what TLS waits for, and sizes are counted
            assert "not done after 0 seconds" in fail(fetcher, f"https://shop.example:{web.port}/stalled")
            assert "more than 1,000 bytes" in fail(fetcher, f"https://shop.example:{web.port}/large", most=1000)


# Answers


def test_an_answer_has_what_the_server_says_of_it(fetcher: Fetcher) -> None:
    headers = {"Content-Type": 'Text/HTML; Charset="UTF-8"'}
    replies = {"/a b.html": Reply(b"<p>", headers=headers), "/plain": Reply(b""), "/%C3%A9": Reply(b"e")}
    with serve_web({path.replace(" ", "%20"): reply for path, reply in replies.items()}) as web:
        assert fetcher.fetch(f"{web.address}/a b.html") == Answer(
            b"<p>", "", f"{web.address}/a%20b.html", "text/html", "utf-8"
        )
        assert fetcher.fetch(f"{web.address}/plain") == Answer(b"", "", f"{web.address}/plain", "", "")
        assert fetcher.fetch(f"{web.address}/é").data == b"e"
        asked = web.asked[0].headers
    assert re.fullmatch(r"focusedfashion/\d+\.\d+\.\d+\S*", asked["user-agent"])
    assert asked["host"] == web.address.removeprefix("http://")


def test_an_unchanged_picture_is_not_sent_again(fetcher: Fetcher) -> None:
    with serve_web({"/a.jpg": Reply(PICTURE, etag='W/"1"'), "/b.jpg": Reply(PICTURE, etag='W/"1"')}) as web:
        url = f"{web.address}/a.jpg"
        first = fetcher.fetch(url, kind="image")
        assert first.data == PICTURE
        assert first.validator
        again = fetcher.fetch(url, kind="image", validator=first.validator)
        assert again.data is None
        assert again.validator == first.validator
        assert fetcher.fetch(f"{web.address}/b.jpg", validator=first.validator).data == PICTURE  # it is not of this URL
        ((_, ahead),) = fetcher.fetch_ahead([url], lambda url: (url, first.validator))
        assert isinstance(ahead, Answer) and ahead.data is None
        web.replies = {"/a.jpg": Reply(b"new", etag='W/"2"')}
        changed = fetcher.fetch(url, validator=first.validator)
        assert changed.data == b"new"
        assert changed.validator not in ("", first.validator)


def test_a_date_is_a_validator_too_and_nonsense_is_none(fetcher: Fetcher) -> None:
    date = "Sun, 06 Nov 1994 08:49:37 GMT"
    with serve_web({"/a": Reply(b"a", headers={"Last-Modified": date}), "/b": Reply(b"b")}) as web:
        answer = fetcher.fetch(f"{web.address}/a")
        fetcher.fetch(f"{web.address}/a", validator=answer.validator)
        assert web.asked[-1].headers["if-modified-since"] == date
        assert "if-none-match" not in web.asked[-1].headers
        for validator in ("nonsense", "a b\nc", answer.validator.replace(" ", " \0\r\nX: y", 1)):
            assert fetcher.fetch(f"{web.address}/b", validator=validator).data == b"b"
        web.replies = {"/a": Reply(status=304)}
        assert "HTTP 304" in fail(fetcher, f"{web.address}/a")  # nothing was said that could be unmodified


def test_the_validator_of_a_redirected_url_is_for_where_it_led(fetcher: Fetcher) -> None:
    replies = {"/a": Reply(status=301, headers={"Location": "/b"}), "/b": Reply(b"b", etag='"b"')}
    with serve_web(replies) as web:
        answer = fetcher.fetch(f"{web.address}/a")
        assert fetcher.fetch(f"{web.address}/a", validator=answer.validator).data is None
        assert [asked.headers.get("if-none-match") for asked in web.asked] == [None, None, None, '"b"']


def test_pages_may_come_zipped(fetcher: Fetcher) -> None:
    page, headers = b"<p>" * 300_000, {"Content-Encoding": "gzip"}
    zipped = gzip.compress(page)
    replies = {
        "/page": Reply(zipped, headers=headers),
        "/two": Reply(gzip.compress(b"a") + gzip.compress(b"b") + bytes(9), headers=headers, chunked=True),
        "/none": Reply(b"", headers=headers),
        "/cut": Reply(zipped[:-9], headers=headers),
        "/damaged": Reply(b"\x1f\x8b" + zipped[20:], headers=headers),
        "/not": Reply(page, headers=headers),
        "/brotli": Reply(page, headers={"Content-Encoding": "br"}),
        "/large": Reply(gzip.compress(bytes(2**20)), headers=headers),
        "/file.gz": Reply(zipped, headers={"Content-Type": "application/gzip"}),
    }
    with serve_web(replies) as web:
        assert fetcher.fetch(f"{web.address}/page").data == page
        assert web.asked[0].headers["accept-encoding"] == "gzip"
        assert fetcher.fetch(f"{web.address}/two").data == b"ab"
        assert fetcher.fetch(f"{web.address}/file.gz").data == zipped
        assert "broke off" in fail(fetcher, f"{web.address}/none")
        assert "broke off" in fail(fetcher, f"{web.address}/cut")
        assert "damaged" in fail(fetcher, f"{web.address}/damaged")
        assert "damaged" in fail(fetcher, f"{web.address}/not")
        assert "Content-Encoding 'br'" in fail(fetcher, f"{web.address}/brotli")
        assert "more than 1,000,000 bytes" in fail(fetcher, f"{web.address}/large", most=1_000_000)


PNG, WEBP = b"\x89PNG\r\n\x1a\n" + bytes(99), b"RIFF\x20\x4e\0\0WEBPVP8 " + bytes(99)
AVIF, PAGE = b"\0\0\0\x20ftypavif" + bytes(99), b"\n<!DOCTYPE html><html>We are closed.</html>"


@pytest.mark.parametrize(
    ("body", "declared", "refused"),
    [
        (PICTURE, "image/jpeg", ""),
        (PICTURE, "", ""),
        (PICTURE, "text/plain", ""),
        (PICTURE, "application/octet-stream", ""),
        (PICTURE, "text/html; charset=utf-8", ""),  # the bytes know better
        (PNG, "image/jpg", ""),
        (WEBP, "image/jpeg", ""),
        (AVIF, "binary/octet-stream", ""),
        (b"some format of tomorrow", "image/jxl", ""),
        (PAGE, "image/jpeg", "no picture, but text that begins with b'\\n<!DOCTYPE html>"),
        (PAGE, "", "no picture, but text"),
        (PAGE, "text/html", "no picture, but text/html"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><svg/>", "image/jpeg", "no picture, but text"),
        (b"<svg/>", "image/svg+xml", "no picture, but image/svg+xml"),
        (b'{"error": "not found"}', "application/json", "no picture, but application/json"),
        (b'{"error": "not found"}', "application/octet-stream", "no picture, but text"),
        (b"not found", "text/plain", "no picture, but text/plain"),
        (b"%PDF-1.7", "application/pdf", "no picture, but application/pdf"),
        (b"", "image/jpeg", "the answer is empty"),
    ],
)
def test_what_is_no_picture_is_refused(fetcher: Fetcher, body: bytes, declared: str, refused: str) -> None:
    with serve_web({"/a.jpg": Reply(body, headers={"Content-Type": declared} if declared else {})}) as web:
        url = f"{web.address}/a.jpg"
        if refused:
            assert refused in fail(fetcher, url, kind="image")
        else:
            assert fetcher.fetch(url, kind="image").data == body
        assert fetcher.fetch(url).data == body


# Redirects


def test_redirects_are_followed_wherever_they_lead(fetcher: Fetcher) -> None:
    with serve_web({"/élan/b.jpg".encode().decode("latin-1"): Reply(b"")}) as other, serve_web() as web:
        other.replies = {"/%C3%A9lan/b%20c.jpg": Reply(PICTURE)}
        steps = ["c", "d?x=1", f"//127.0.0.1:{web.port}/e", " /f#there ", f"{other.address}/élan/b c.jpg"]
        raw = [step.encode().decode("latin-1") for step in steps]
        paths = ["/b/a", "/b/c", "/b/d?x=1", "/e", "/f"]
        statuses = [301, 302, 303, 307, 308]
        web.replies = {
            path: Reply(b"moved", status, {"Location": location})
            for path, status, location in zip(paths, statuses, raw, strict=True)
        }
        answer = fetcher.fetch(f"{web.address}/b/a", kind="image")
        assert answer.data == PICTURE
        assert answer.url == f"{other.address}/%C3%A9lan/b%20c.jpg"
        assert web.connections == 1


@pytest.mark.parametrize(
    ("location", "says"),
    [
        ("/loop", "redirected more than 5 times"),
        ("ftp://shop.example/a.jpg", "redirected to ftp://shop.example/a.jpg: only http"),
        ("file:///etc/passwd", "redirected to file:///etc/passwd: only http"),
        ("http://[", "redirected to"),
        ("http://shop example/", "redirected to"),
        ("", "HTTP 302 Found without a new address"),
    ],
)
def test_a_redirect_that_leads_nowhere(fetcher: Fetcher, location: str, says: str) -> None:
    with serve_web({"/loop": Reply(status=302, headers={"Location": location} if location else {})}) as web:
        assert says in fail(fetcher, f"{web.address}/loop")
        assert web.count("/loop") == (6 if location == "/loop" else 1)  # not tried again


# Troubles


@pytest.mark.parametrize(
    ("status", "tries"), [(400, 1), (401, 1), (403, 1), (404, 1), (410, 1), (204, 1), (206, 1), (299, 1), (999, 1)]
)
def test_a_status_that_is_final(fetcher: Fetcher, status: int, tries: int) -> None:
    with serve_web({"/a": Reply(b"no", status)}) as web:
        assert f"HTTP {status}" in fail(fetcher, f"{web.address}/a")
        assert web.count("/a") == tries


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_status_that_may_pass_is_tried_again(fetcher: Fetcher, status: int) -> None:
    with serve_web(
        {"/a": [Reply(b"no", status), Reply(b"no", status), Reply(b"yes")], "/b": Reply(b"", status)}
    ) as web:
        assert fetcher.fetch(f"{web.address}/a").data == b"yes"
        assert fail(fetcher, f"{web.address}/b").endswith("(4 tries)")
        assert web.count("/b") == 4


@pytest.mark.parametrize(
    ("retry_after", "least", "most"),
    [
        (lambda: "1", 1.0, 1.4),
        (lambda: http_date(2), 1.0, 2.4),
        (lambda: http_date(-100), 0.0, 0.4),
        (lambda: "0", 0.0, 0.4),
        (lambda: "soon", 0.0, 0.4),
        (lambda: "-5", 0.0, 0.4),
        (lambda: "1e9", 0.0, 0.4),
    ],
)
def test_retry_after_is_honored(fetcher: Fetcher, retry_after: Callable[[], str], least: float, most: float) -> None:
    with serve_web({"/a": [Reply(status=429, headers={"Retry-After": retry_after()}), Reply(b"yes")]}) as web:
        for ahead in (False, True):
            start = time.monotonic()
            url = f"{web.address}/a{'?ahead' * ahead}"
            if ahead:
                web.replies = {"/a?ahead": [Reply(status=503, headers={"Retry-After": retry_after()}), Reply(PICTURE)]}
                assert isinstance(fetch_all(fetcher, [url])[url], Answer)
            else:
                assert fetcher.fetch(url).data == b"yes"
            assert least <= time.monotonic() - start <= most + 0.2 * ahead


def test_by_the_clock_of_the_server_if_it_has_one(fetcher: Fetcher) -> None:
    headers = {"Date": http_date(5000), "Retry-After": http_date(5001)}
    with serve_web({"/a": [Reply(status=503, headers=headers), Reply(b"yes")]}) as web:
        start = time.monotonic()
        assert fetcher.fetch(f"{web.address}/a").data == b"yes"
        assert 1.0 <= time.monotonic() - start <= 1.4


@pytest.mark.parametrize("retry_after", ["3600", "9" * 5000, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_who_asks_for_too_long_a_wait_is_not_asked_again(fetcher: Fetcher, retry_after: str) -> None:
    with serve_web({"/a": Reply(status=429, headers={"Retry-After": retry_after})}) as web:
        start = time.monotonic()
        assert "HTTP 429 Too Many Requests, and not to be asked again for" in fail(fetcher, f"{web.address}/a")
        assert time.monotonic() - start < 0.5
        assert web.count("/a") == 1


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (Reply(PICTURE, stall=-1), "silent"),
        (Reply(PICTURE, stall=0), "silent"),
        (Reply(PICTURE, stall=100), "silent"),
        (Reply(PICTURE, stall=100, chunked=True), "silent"),
        (Reply(PICTURE, stall=100, open_ended=True), "silent"),
        (Reply(PICTURE, drip=0.2), "not done after 1 seconds"),
        (Reply(PICTURE[:20], drip=0.2), "not done after 1 seconds"),
        (Reply(PICTURE, 404, wait=5), "silent"),
    ],
)
def test_a_server_that_lets_us_wait_is_left(fetcher: Fetcher, reply: Reply, says: str) -> None:
    with serve_web({"/a": reply}) as web:
        start = time.monotonic()
        message = fail(fetcher, f"{web.address}/a")
        assert says in message
        assert message.endswith("(2 tries)")
        assert time.monotonic() - start < 3.0


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (Reply(PICTURE, cut=0), "broke off"),
        (Reply(PICTURE, cut=len(PICTURE) - 1), "broke off"),
        (Reply(PICTURE, cut=100, chunked=True), "broke off"),
        (Reply(raw=CHUNKED + b"5\r\nhello\r\n"), "broke off"),
        (Reply(raw=CHUNKED + b"zz\r\nhello\r\n0\r\n\r\n"), "broke off"),
        (Reply(raw=CHUNKED + b"50\r\nhello\r\n0\r\n\r\n"), "broke off"),
        (Reply(raw=b""), "connection failed"),
        (Reply(raw=b"HTTP/1.1 200"), ""),
        (Reply(raw=b"220 mail.example ESMTP\r\n"), "does not speak HTTP"),
        (Reply(raw=b"\x15\x03\x03\x00\x02\x02\x50"), "does not speak HTTP"),
        (Reply(raw=b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n"), "connection failed"),
        (Reply(raw=b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000), "connection failed"),
    ],
)
def test_an_answer_that_is_not_whole_is_none(fetcher: Fetcher, reply: Reply, says: str) -> None:
    with serve_web({"/a": reply, "/b": [reply, Reply(b"whole")]}) as web:
        message = fail(fetcher, f"{web.address}/a")
        assert says in message
        assert message.isprintable()
        if message.endswith("(4 tries)"):
            assert fetcher.fetch(f"{web.address}/b").data == b"whole"


def test_odd_answers_that_are_whole(fetcher: Fetcher) -> None:
    replies = {
        "/open": Reply(PICTURE, open_ended=True),
        "/chunked": Reply(PICTURE, chunked=True),
        "/both": Reply(raw=CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\n") + b"5\r\nhello\r\n0\r\n\r\n"),
        "/old": Reply(raw=b"HTTP/1.0 200 OK\r\n\r\nhello"),
        "/longer": Reply(b"hello, world", headers={"Content-Length": "5"}),
        "/closing": Reply(b"hello", cut=5),
    }
    with serve_web(replies) as web:
        assert fetcher.fetch(f"{web.address}/open").data == PICTURE
        assert fetcher.fetch(f"{web.address}/chunked").data == PICTURE
        for path in ("/both", "/old", "/longer", "/closing", "/closing", "/closing"):
            assert fetcher.fetch(f"{web.address}{path}").data == b"hello"
            time.sleep(0.02)  # for the end of a connection to be noticed
        assert web.count("/closing") == 3


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (Reply(bytes(1001)), "1,001 bytes, and 1,000 are the limit"),
        (Reply(b"", headers={"Content-Length": "99999999999999999999"}, stall=0), "are the limit"),
        (Reply(bytes(1001), chunked=True), "more than 1,000 bytes"),
        (Reply(bytes(1001), open_ended=True), "more than 1,000 bytes"),
        (Reply(bytes(10_000), forever=True), "more than 1,000 bytes"),
        (Reply(gzip.compress(bytes(50 * 2**20)), headers={"Content-Encoding": "gzip"}), "are the limit"),
        (Reply(gzip.compress(b""), headers={"Content-Encoding": "gzip"}, forever=True), "more than 1,000 bytes"),
        (Reply(bytes(2**16), raw=CHUNKED + b"-1\r\n", forever=True), "sends more than it should"),
        (Reply(b"1" * 2**16, raw=CHUNKED, forever=True), ""),
        (Reply(b"X: y\r\n" * 2**10, raw=CHUNKED + b"1\r\na\r\n0\r\n", forever=True), ""),
        (Reply(b"HTTP/1.1 100 Continue\r\n\r\n" * 999, raw=b"", forever=True), ""),
    ],
)
def test_no_more_than_the_limit_is_taken(fetcher: Fetcher, reply: Reply, says: str) -> None:
    with serve_web({"/a": reply}) as web:
        tracemalloc.start()
        try:
            message = fail(fetcher, f"{web.address}/a", most=1000)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert says in message
    assert peak < 8 * 2**20  # the server's part included


def test_exactly_the_limit_is_fine(fetcher: Fetcher) -> None:
    with serve_web({"/a": Reply(bytes(1000)), "/b": Reply(bytes(1000), chunked=True)}) as web:
        assert len(fetcher.fetch(f"{web.address}/a", most=1000).data or b"") == 1000
        assert len(fetcher.fetch(f"{web.address}/b", most=1000).data or b"") == 1000


def test_errors_keep_the_connection_where_they_can(fetcher: Fetcher) -> None:
    replies = {
        "/missing": Reply(bytes(1000), 404),
        "/chunked": Reply(bytes(1000), 404, chunked=True),
        "/a": Reply(b"a"),
    }
    with serve_web(replies) as web:
        for _ in range(3):
            assert "404" in fail(fetcher, f"{web.address}/missing")
            assert "404" in fail(fetcher, f"{web.address}/chunked")
            assert fetcher.fetch(f"{web.address}/a").data == b"a"
        assert web.connections == 1


# Hosts


@contextmanager
def closed_port() -> Iterator[int]:
    """A port that refuses connections, and goes on to."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_a_dead_host_costs_seconds_and_not_a_timeout_for_each_url(fetcher: Fetcher) -> None:
    with closed_port() as port, serve_web({"/a.jpg": Reply(PICTURE)}) as web:
        dead = [f"http://127.0.0.1:{port}/{n}.jpg" for n in range(3000)]
        start = time.monotonic()
        found = fetch_all(fetcher, [*dead, f"{web.address}/a.jpg"])
        assert time.monotonic() - start < 5
        assert isinstance(found.pop(f"{web.address}/a.jpg"), Answer)
        reasons = [str(error) for error in found.values()]
        assert all("Connection refused" in reason for reason in reasons)
        left_alone = f"not asked, because 127.0.0.1:{port} failed "
        assert sum(left_alone in reason for reason in reasons) > 2900
        assert left_alone in fail(fetcher, dead[0])  # the fetcher remembers


def test_a_name_that_is_not_known_is_looked_up_a_few_times(fetcher: Fetcher, names: dict[str, list[str]]) -> None:
    found = fetch_all(fetcher, [f"http://gone.example/{n}.jpg" for n in range(1000)])
    assert all("the host name 'gone.example' is not known" in str(error) for error in found.values())
    assert len(names["asked"]) < 50


def test_a_host_is_asked_again_after_its_rest(fetcher: Fetcher, names: dict[str, list[str]], monkeypatch: Any) -> None:
    monkeypatch.setattr(settings, "HOST_REST", 0.3)
    with serve_web({"/a": Reply(b"a")}) as web:
        url = f"http://shop.example:{web.port}/a"
        for _ in range(6):
            fail(fetcher, url)
        names["shop.example"] = ["127.0.0.1"]
        assert "left alone" in fail(fetcher, url)
        time.sleep(0.35)
        assert fetcher.fetch(url).data == b"a"
        assert fetcher.fetch(url).data == b"a"


def test_a_host_that_never_answers_is_given_up(fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "READ_SECONDS", 0.3)
    with serve_web(lambda asked: Reply(stall=-1)) as web:
        start = time.monotonic()
        found = fetch_all(fetcher, [f"{web.address}/{n}.jpg" for n in range(500)])
        assert time.monotonic() - start < 4
        assert len(web.asked) < 120
        assert sum("left alone" in str(error) for error in found.values()) > 400


def test_a_host_that_limits_the_rate_gives_everything_in_the_end(fetcher: Fetcher) -> None:
    window: Counter[int] = Counter()

    def limit(asked: local.Asked) -> Reply:
        quarter = int(time.monotonic() * 4)
        window[quarter] += 1
        return Reply(PICTURE) if window[quarter] <= 10 else Reply(status=429, headers={"Retry-After": "0"})

    with serve_web(limit) as web:
        found = fetch_all(fetcher, [f"{web.address}/{n}.jpg" for n in range(150)])
        assert all(isinstance(answer, Answer) for answer in found.values())
        assert len(web.asked) < 300


# Many at once


def test_every_good_picture_of_a_bad_shop_arrives_once(fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "READ_SECONDS", 2.0)
    monkeypatch.setattr(settings, "FETCH_SECONDS", 3.0)
    kinds = local.LATE_GOOD + local.BAD + local.STALLED
    replies, good, bad = make_pictures(2000, faulty=0.1, kinds=kinds, size=8_000)
    assert set(bad.values()) == {*local.BAD, *local.STALLED}
    paths = sorted([*good, *bad], key=lambda path: int(path[1:-4]))
    with serve_web(replies) as web:
        start = time.monotonic()
        found: dict[str, Answer | FetchError | None] = {}
        for path, answer in fetcher.fetch_ahead(paths, lambda path: (web.address + path, "")):
            assert path not in found
            found[path] = answer
            if path in good and len(found.keys() & good) == len(good):
                here = time.monotonic() - start
        assert found.keys() == {*good, *bad}
        for path, body in good.items():
            answer = found[path]
            assert isinstance(answer, Answer) and answer.data == body, answer
        reasons = {kind: {str(found[path]) for path in bad if bad[path] == kind} for kind in set(bad.values())}
        says = {
            "missing": "HTTP 404 Not Found",
            "gone": "HTTP 410 Gone",
            "forbidden": "HTTP 403 Forbidden",
            "always unavailable": "HTTP 503 Service Unavailable",
            "always cut": "broke off",
            "broken chunks": "broke off",
            "page": "no picture, but text/html",
            "page as picture": "no picture, but text that begins",
            "empty": "empty",
            "too large": "10,485,760 bytes, and 1,048,576 are the limit",
            "undeclared": "more than 1,048,576 bytes",
            "endless": "more than 1,048,576 bytes",
            "bomb": "more than 1,048,576 bytes",
            "loop": "redirected more than 5 times",
            "no HTTP": "does not speak HTTP",
            "stalled": "silent",
            "stalled within": "silent",
            "dripping": "not done after",
        }
        assert reasons.keys() == says.keys()
        for kind, messages in reasons.items():
            assert all(says[kind] in message for message in messages), (kind, messages)
        assert web.most_under_way <= settings.HOST_CONNECTIONS + settings.HOST_SLOW + 8  # some end unnoticed
        assert here < 10
        assert time.monotonic() - start < 15


def test_a_slow_host_holds_up_no_other(fetcher: Fetcher) -> None:
    with serve_web(lambda asked: Reply(PICTURE, wait=0.5)) as slow, serve_web(lambda asked: Reply(PICTURE)) as fast:
        urls = [f"{slow.address}/{n}.jpg" for n in range(100)] + [f"{fast.address}/{n}.jpg" for n in range(300)]
        start = time.monotonic()
        ends = {url: time.monotonic() - start for url, _ in fetcher.fetch_ahead(urls, lambda url: (url, ""))}
        assert len(ends) == 400
        assert max(seconds for url, seconds in ends.items() if url.startswith(fast.address)) < 1.5
        assert max(ends.values()) >= 1.0


def test_stalled_answers_do_not_hold_up_their_own_host(fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "READ_SECONDS", 4.0)
    monkeypatch.setattr(settings, "FETCH_SECONDS", 4.0)
    stall, good = Reply(stall=-1), Reply(PICTURE, wait=0.02)
    with serve_web(lambda asked: stall if int(asked.path[1:-4]) % 20 == 7 else good) as web:
        urls = [f"{web.address}/{n}.jpg" for n in range(1200)]  # 60 stall, more than there are places
        start = time.monotonic()
        results = fetcher.fetch_ahead(urls, lambda url: (url, ""))
        count = sum(1 for _ in itertools.islice((answer for _, answer in results if isinstance(answer, Answer)), 1140))
        assert count == 1140
        assert time.monotonic() - start < 4.0
        results.close()
        assert web.most_under_way <= settings.HOST_CONNECTIONS + settings.HOST_SLOW + 4


def test_there_are_limits_for_each_host_and_for_all(fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "SLOW_SECONDS", 10.0)  # none makes room for another
    lag = 2  # that the server may see as under way, while the client has begun the next
    most = 0
    webs: list[Web] = []

    def count(asked: local.Asked) -> Reply:
        nonlocal most
        most = max(most, sum(web.under_way for web in webs))
        return Reply(PICTURE, wait=0.15)

    with ExitStack() as stack:
        webs += [stack.enter_context(serve_web(count)) for _ in range(6)]
        fetch_all(fetcher, [f"{webs[0].address}/{n}.jpg" for n in range(60)])
        assert 0 <= webs[0].most_under_way - settings.HOST_CONNECTIONS <= lag
        fetch_all(fetcher, [f"{web.address}/{n}.jpg" for n in range(60) for web in webs])
        assert max(web.most_under_way for web in webs) <= settings.HOST_CONNECTIONS + lag
        assert settings.CONNECTIONS * 0.75 <= most <= settings.CONNECTIONS + lag


def test_a_source_without_end_is_read_as_far_as_needed(fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "AHEAD_ENTRIES", 100)
    pulled = 0

    def pull() -> Iterator[int]:
        nonlocal pulled
        while True:
            pulled += 1
            yield pulled

    with serve_web(lambda asked: Reply(PICTURE, wait=0.1)) as web:
        results = fetcher.fetch_ahead(pull(), lambda n: (f"{web.address}/{n}.jpg", ""))
        assert pulled == 0
        numbers = [n for n, _ in itertools.islice(results, 150)]
        assert len(set(numbers)) == 150
        results.close()
        assert pulled <= 250


def test_entries_that_need_no_fetching_come_back_at_once(fetcher: Fetcher) -> None:
    with serve_web({"/a.jpg": Reply(PICTURE, wait=0.5)}) as web:
        entries = ["a", b"bytes", None, "a", 3]
        found = list(fetcher.fetch_ahead(entries, lambda one: (f"{web.address}/a.jpg", "") if one == "a" else None))
        assert found[:3] == [(b"bytes", None), (None, None), (3, None)]
        assert [entry for entry, _ in found[3:]] == ["a", "a"]
        assert list(fetcher.fetch_ahead([], lambda one: None)) == []


def test_memory_does_not_grow_with_what_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "AHEAD_BYTES", 8 * 2**20)
    command = [sys.executable, str(Path(local.__file__)), "120", "0", "", "0", str(2**20)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        said = json.loads(server.stdout.readline())
        tracemalloc.start()
        try:
            with Fetcher(allow_private=True) as fetcher:
                urls = [f"{said['address']}/clean{path}" for path in said["good"]]
                size = 0
                for _, answer in fetcher.fetch_ahead(urls, lambda url: (url, "")):
                    assert isinstance(answer, Answer), answer
                    size += len(answer.data or b"")
                    time.sleep(0.005)  # slower than the downloads
                peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            server.kill()
    assert size > 50 * 2**20
    # 8 MB, 256 KB of each of 16 connections, and one picture that is put together and one that is looked at
    assert peak < 20 * 2**20


def count_threads() -> int:
    return sum(thread.name == "focusedfashion-fetch" for thread in threading.enumerate())


@pytest.mark.parametrize("end", ["close", "throw", "source", "ask"])
def test_the_end_comes_at_once_while_servers_stall(fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    monkeypatch.setattr(settings, "READ_SECONDS", 30.0)
    monkeypatch.setattr(settings, "FETCH_SECONDS", 30.0)

    def pull() -> Iterator[int]:
        yield from range(100)
        if end == "source":
            raise OSError("the source broke off")
        yield -1
        yield from range(100, 200)

    def ask(n: int) -> tuple[str, str] | None:
        if n == -1 and end == "ask":
            raise ZeroDivisionError
        return (f"{web.address}/{n}.jpg", "") if n >= 0 else None

    replies = {0: Reply(stall=-1), 1: Reply(PICTURE, stall=50), 2: Reply(PICTURE, drip=0.1)}
    with serve_web(lambda asked: replies[int(asked.path[1:-4]) % 3]) as web:
        results = fetcher.fetch_ahead(pull(), ask)
        if end in ("close", "throw"):
            assert next(results) == (-1, None)
            time.sleep(0.3)
            assert count_threads() >= settings.HOST_CONNECTIONS
        start = time.monotonic()
        if end == "close":
            results.close()
        else:
            error = {"throw": KeyboardInterrupt, "source": OSError, "ask": ZeroDivisionError}[end]
            with pytest.raises(error):
                results.throw(KeyboardInterrupt) if end == "throw" else list(results)
        assert time.monotonic() - start < 1.0
        assert count_threads() == 0
        deadline = time.monotonic() + 2
        while web.under_way and time.monotonic() < deadline:
            time.sleep(0.02)
        assert web.under_way == 0  # the server was hung up on


def test_ctrl_c_ends_a_process_at_once() -> None:
    program = (
        "import sys; from focusedfashion.fetch import Fetcher; print('ready', flush=True)\n"
        "for _ in Fetcher(allow_private=True).fetch_ahead(range(100), lambda n: (f'{sys.argv[1]}/{n}.jpg', '')): pass"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with serve_web(lambda asked: Reply(stall=-1)) as web:
        command = [sys.executable, "-c", program, web.address]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        ) as one:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
            while web.under_way < settings.HOST_CONNECTIONS:
                time.sleep(0.02)
            start = time.monotonic()
            one.send_signal(signal.SIGINT)
            _, errors = one.communicate(timeout=10)
            assert time.monotonic() - start < 2.0
            assert errors.rstrip().endswith("KeyboardInterrupt")


def test_a_fetcher_serves_many_threads(fetcher: Fetcher) -> None:
    with serve_web({f"/{n}": Reply(draw_bytes(n, 1000)) for n in range(200)}) as web:
        found: dict[int, bytes | None] = {}

        def fetch(start: int) -> None:
            for n in range(start, 200, 10):
                found[n] = fetcher.fetch(f"{web.address}/{n}").data

        threads = [threading.Thread(target=fetch, args=(start,)) for start in range(10)]
        for thread in threads:
            thread.start()
        urls = [f"{web.address}/{n}" for n in range(200)]
        assert sum(isinstance(answer, Answer) for answer in fetch_all(fetcher, urls).values()) == 200
        for thread in threads:
            thread.join()
        assert found == {n: draw_bytes(n, 1000) for n in range(200)}


# Into a file


def test_a_download_is_whole_or_not_there(fetcher: Fetcher, tmp_path: Path) -> None:
    path, feed = tmp_path / "feed.xml", bytes(range(256)) * 20_000
    replies = {
        "/feed": [Reply(feed, cut=1_000_000), Reply(feed, headers={"Content-Type": "text/xml; charset=ISO-8859-1"})],
        "/zip": Reply(gzip.compress(b"zip"), headers={"Content-Encoding": "gzip"}),
        "/cut": Reply(feed, cut=4_000_000),
        "/missing": Reply(status=404),
    }
    with serve_web(replies) as web:
        answer = fetcher.download(f"{web.address}/feed", path, most=len(feed))
        assert answer == Answer(None, "", f"{web.address}/feed", "text/xml", "iso-8859-1")
        assert path.read_bytes() == feed
        for name, says in {"cut": "broke off", "missing": "HTTP 404", "feed": "are the limit"}.items():
            with pytest.raises(FetchError, match=says):
                fetcher.download(f"{web.address}/{name}", path, most=len(feed) - (name == "feed"))
        assert path.read_bytes() == feed
        fetcher.download(f"{web.address}/zip", path, most=99)
        assert path.read_bytes() == b"zip"
        assert list(tmp_path.iterdir()) == [path]
        with pytest.raises(FetchError, match=r"no-folder.feed\.xml: cannot be written \(No such file"):
            fetcher.download(f"{web.address}/zip", tmp_path / "no-folder" / "feed.xml", most=3)
        with pytest.raises(FetchError, match="only http"):
            fetcher.download("ftp://shop.example/feed.xml", path, most=3)


def test_a_large_download_has_its_time_but_a_slow_one_has_not(
    fetcher: Fetcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "FETCH_SECONDS", 0.5)
    monkeypatch.setattr(settings, "LATE_TRIES", 1)
    path = tmp_path / "feed"
    with serve_web({"/slow": Reply(b"x" * 500, drip=0.01), "/steady": Reply(bytes(4 * 2**20), pace=0.2)}) as web:
        with pytest.raises(FetchError, match="not done after"):
            fetcher.download(f"{web.address}/slow", path, most=10**6)
        start = time.monotonic()
        fetcher.download(f"{web.address}/steady", path, most=10**7)
        assert time.monotonic() - start > 1.0
        assert path.stat().st_size == 4 * 2**20
