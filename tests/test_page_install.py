"""The page as something that one keeps: its weight, its speed, installed on a phone, shared to, without the network."""

from __future__ import annotations

import io
import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from PIL import Image

from browsing import ARGUMENTS, CHROMIUM, PHONE, Open, do_and_wait, photo_of, wait_for_results
from focusedfashion.encoders import Encoder
from focusedfashion.items import Item
from focusedfashion.server.app import make_app
from serving import make_catalog

MOST_WEIGHT = 100_000  # bytes of all that is no picture, unpacked
MOST_WAIT = 1_500  # ms from choosing a photo to the first result
SLOW_4G = {"latency": 165, "downloadThroughput": 1_012_500, "uploadThroughput": 168_750}  # bytes/s: 8.1 and 1.35 Mbit/s


@pytest.fixture(scope="module")
def https_shop(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Encoder) -> Iterator[tuple[str, list[Item]]]:
    """The same page over HTTPS, with a certificate that nobody knows."""
    if shutil.which("openssl") is None:
        pytest.skip("HTTPS NOT TESTED: no openssl")
    folder = tmp_path_factory.mktemp("https")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    subprocess.run(
        [*command.split(), "-keyout", key, "-out", certificate, "-addext", "subjectAltName=DNS:localhost"],
        check=True,
        capture_output=True,
    )
    catalog, items = make_catalog(folder, tiny_encoder)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(make_app(catalog), log_level="error", ws="none", ssl_keyfile=key, ssl_certfile=certificate)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"https://localhost:{listener.getsockname()[1]}", items
    server.should_exit = True
    thread.join()


def test_the_page_weighs_little(open_page: Open) -> None:
    page = open_page()
    loaded = page.evaluate(
        """performance.getEntriesByType("resource").concat(performance.getEntriesByType("navigation"))
            .filter(({ name }) => !/\\.(png|svg)$|\\/v1\\//.test(name))
            .map(({ name, decodedBodySize }) => [name, decodedBodySize])"""
    )
    assert len(loaded) > 10
    assert sum(size for _, size in loaded) < MOST_WEIGHT, loaded


def test_the_first_result_is_there_soon_on_a_phone(open_page: Open) -> None:
    noise = np.random.default_rng(7).integers(0, 40, (3_000, 4_000, 1), np.uint8)
    pixels = np.full((3_000, 4_000, 3), (180, 30, 40), np.uint8) + noise
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=85)
    page = open_page(size=PHONE)
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", {"offline": False, **SLOW_4G})
    page.evaluate(
        """() => {
            document.querySelector("#file").addEventListener("change", () => (window.chosen = performance.now()), true);
            const look = () => {
                if (document.querySelector(".match .score")) window.seen ||= performance.now();
                else window.seen = 0;
                requestAnimationFrame(look);
            };
            look();
        }"""
    )
    waits: list[float] = []
    for _ in range(3):  # the best of three: other tests may want the machine too
        file = {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": buffer.getvalue()}
        do_and_wait(page, lambda file=file: page.set_input_files("#file", file))
        waits.append(page.evaluate("window.seen - window.chosen"))
        if waits[-1] < MOST_WAIT:
            break
    assert min(waits) < MOST_WAIT, waits


def test_over_http_nothing_is_installed(open_page: Open) -> None:
    page = open_page()
    assert page.evaluate("navigator.serviceWorker.getRegistrations().then((found) => found.length)") == 0


def test_the_manifest_can_be_installed(open_page: Open) -> None:
    page = open_page()
    session = page.context.new_cdp_session(page)
    manifest = session.send("Page.getAppManifest")
    assert manifest["errors"] == []
    content = json.loads(manifest["data"])
    assert content["display"] == "standalone"
    for icon in content["icons"]:
        kind, size = page.evaluate(
            """(url) => fetch(url).then(async (answer) => {
                const image = new Image();
                image.src = url;
                await image.decode();
                return [answer.headers.get("content-type"), `${image.naturalWidth}x${image.naturalHeight}`];
            })""",
            icon["src"],
        )
        assert kind.startswith(icon["type"])
        assert icon["sizes"] in ("any", size)


def test_over_https_it_is_shared_to_and_opens_without_the_network(
    browser: Any, https_shop: tuple[str, list[Item]], tmp_path: Path
) -> None:
    address, items = https_shop
    # A certificate that nobody knows keeps a service worker out, but for this.
    window = browser.browser_type.launch_persistent_context(
        tmp_path / "profile",
        executable_path=CHROMIUM,
        args=[*ARGUMENTS, "--ignore-certificate-errors"],
        viewport=PHONE,
    )
    page = window.new_page()
    page.goto(address)
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.reload()
    assert page.evaluate("Boolean(navigator.serviceWorker.controller)")
    # As the phone does it: a form with the picture, to where the manifest says.
    photo = photo_of(items[14])
    address_after = page.evaluate(
        """async ([data, type]) => {
            const { share_target: target } = await (await fetch("/manifest.webmanifest")).json();
            const form = new FormData();
            const bytes = Uint8Array.from(data);
            form.set(target.params.files[0].name, new File([bytes], "screenshot", { type }));
            const answer = await fetch(target.action, { method: target.method, body: form });
            return answer.url;
        }""",
        [list(photo["buffer"]), photo["mimeType"]],
    )
    page.goto(address_after)
    wait_for_results(page)
    assert items[14].title in page.locator(".match .title").first.inner_text()
    # Once: a reload shows that search's address, and does not search what was shared again.
    assert "shared" not in page.url
    assert page.evaluate("caches.open('shared').then((cache) => cache.keys()).then((keys) => keys.length)") == 0

    window.set_offline(True)
    page.goto(address + "/")
    page.get_by_role("alert").filter(has_text="The server does not answer").wait_for()
    window.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector("[data-state=start]")
    page.wait_for_selector("#count:not(:empty)", state="attached")
    kept = page.evaluate(
        "caches.open('shell-1').then((cache) => cache.keys()).then((found) => found.map(({ url }) => url))"
    )
    assert len(kept) > 10
    assert not [url for url in kept if "/v1/" in url]  # nothing of the catalog
    window.close()
