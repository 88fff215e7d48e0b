"""A person at the page: a real server, a real browser. Look at the screenshots in pytest's temporary folder."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from focusedfashion.encoders import Encoder
from focusedfashion.items import Item
from serving import HOSTILE, ODD_IDS, make_catalog, start_server

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="PAGE NOT TESTED: playwright is missing (pip install -e '.[dev]')"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="PAGE NOT TESTED: no chromium (apt-get install chromium)")

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 800}
SECONDS = 15_000  # ms; the machine may be busy

Shop = tuple[str, list[Item]]
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def served_catalog(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Encoder) -> Iterator[Shop]:
    catalog, items = make_catalog(tmp_path_factory.mktemp("page"), tiny_encoder)
    with start_server(catalog) as (address, _):
        yield address, items


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Any, served_catalog: Shop) -> Iterator[Open]:
    """Opens the page in a fresh window; at the end, nothing may have gone wrong or to another host unless allowed."""
    address, _ = served_catalog
    contexts: list[Any] = []
    allowed: list[str] = []
    troubles: list[str] = []

    def note_request(request: Any) -> None:
        if not request.url.startswith((address + "/", "blob:" + address, "data:")):
            troubles.append(f"request to {request.url}")

    def open_page(path: str = "/", allow: str = "", **settings: Any) -> Any:
        context = browser.new_context(**{"viewport": DESK, "locale": "en-US", **settings})
        contexts.append(context)
        if allow:
            allowed.append(allow)
        page = context.new_page()
        page.set_default_timeout(SECONDS)
        page.on("request", note_request)
        page.on("pageerror", lambda error: troubles.append(f"error {error}"))
        page.on("console", lambda line: troubles.append(line.text) if line.type in ("error", "warning") else None)
        page.goto(address + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [trouble for trouble in troubles if not any(part in trouble for part in allowed)] == []


def photo_of(item: Item) -> dict[str, Any]:
    return {"name": "photo.webp", "mimeType": "image/webp", "buffer": item.picture}


def wait_for_results(page: Any) -> None:
    page.wait_for_selector("[data-state=done] #matches .match")


def count_overflow(page: Any) -> int:
    overflow: int = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return overflow


def is_in_sight(page: Any, selector: str) -> bool:
    box = page.locator(selector).bounding_box()
    size = page.viewport_size
    return bool(box) and box["y"] >= -1 and box["y"] + box["height"] <= size["height"] + 1


def take_screenshots(page: Any, stem: Path) -> None:
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.screenshot(path=f"{stem}-{scheme}.png", full_page=True)


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_a_photo_shows_the_five_closest(
    open_page: Open, served_catalog: Shop, tmp_path: Path, size: dict[str, int]
) -> None:
    _, items = served_catalog
    page = open_page(viewport=size, is_mobile=size is PHONE, has_touch=size is PHONE, reduced_motion="reduce")
    page.wait_for_selector("#count:not(:empty)")
    assert page.inner_text("#count") == "24 items"
    assert count_overflow(page) <= 0
    take_screenshots(page, tmp_path / f"start-{size['width']}")

    page.set_input_files("#file", photo_of(items[14]))
    wait_for_results(page)
    cards = page.locator(".match")
    assert cards.count() == 5
    first = cards.first
    assert items[14].title in first.inner_text()
    assert re.search(r"€\d+\.95", first.inner_text())
    assert re.search(r"Very close\s*(1\.00|0\.9\d)", first.locator(".score").inner_text())
    assert first.locator("dt").all_inner_texts() == ["Shape", "Color", "Pattern"]
    assert all(re.fullmatch(r"-?[01]\.\d\d", text) for text in first.locator("dd").all_inner_texts())
    assert first.locator(".bar").first.bounding_box()["width"] > 20
    assert "5 found" in page.inner_text("#news")
    assert page.get_attribute("#query-picture", "src").startswith("blob:")
    for picture in page.locator(".tile img, #query-picture").all():
        picture.evaluate("(image) => image.decode()")
        assert picture.get_attribute("alt")
    assert count_overflow(page) <= 0
    take_screenshots(page, tmp_path / f"results-{size['width']}")

    if size is DESK:
        assert is_in_sight(page, "#matches")  # all five at once
    page.mouse.wheel(0, 5_000)
    page.wait_for_timeout(100)
    assert is_in_sight(page, "#query-picture")


def test_no_width_overflows(open_page: Open, served_catalog: Shop) -> None:
    page = open_page()
    for photo in (None, photo_of(served_catalog[1][9])):  # with the hostile title, which is one long word
        if photo:
            page.set_input_files("#file", photo)
            wait_for_results(page)
        for width in (320, 360, 639, 640, 959, 960, 1199, 1200, 1920):
            page.set_viewport_size({"width": width, "height": 800})
            assert count_overflow(page) <= 0, width


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_photo_is_dropped_or_pasted(open_page: Open, served_catalog: Shop, way: str) -> None:
    _, items = served_catalog
    page = open_page()
    files = page.evaluate_handle(
        """(data) => {
            const files = new DataTransfer();
            const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
            files.items.add(new File([bytes], "photo.webp", { type: "image/webp" }));
            return files;
        }""",
        base64.b64encode(items[15].picture).decode(),
    )
    if way == "drop":
        page.dispatch_event("main", "dragover", {"dataTransfer": files})
        assert page.locator("body.dropping").count() == 1
        page.dispatch_event("main", "drop", {"dataTransfer": files})
        assert page.locator("body.dropping").count() == 0
    else:
        page.evaluate("(files) => dispatchEvent(new ClipboardEvent('paste', { clipboardData: files }))", files)
    wait_for_results(page)
    assert items[15].title in page.locator(".match").first.inner_text()


def test_more_like_this_and_back(open_page: Open, served_catalog: Shop) -> None:
    _, items = served_catalog
    page = open_page()
    odd = items[ODD_IDS.index("robe d'été #3?.jpg")]
    page.set_input_files("#file", photo_of(odd))
    wait_for_results(page)
    before = page.locator(".title").all_inner_texts()
    button = page.locator(".match").first.get_by_role("button", name="More like this: ")
    button.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-state=done] #query-picture[src^='/v1/items/']")
    wait_for_results(page)
    assert unquote(page.get_attribute("#query-picture", "src")) == f"/v1/items/{odd.item_id}/thumbnail"
    assert page.inner_text("#caption") == f"More like {odd.title}"
    assert page.evaluate("document.activeElement.id") == "results-title"  # and not lost with the button
    after = page.locator(".title").all_inner_texts()
    assert len(after) == 5
    assert after != before
    page.go_back()
    page.wait_for_selector("#query-picture[src^='blob:']")
    assert page.locator(".title").all_inner_texts() == before
    page.go_back()
    page.wait_for_selector("[data-state=start]")
    page.go_forward()
    page.wait_for_selector("[data-state=done]")
    assert page.locator(".title").all_inner_texts() == before


def test_a_file_that_is_no_picture_is_one_clear_line(open_page: Open, tmp_path: Path) -> None:
    page = open_page(allow="400 (Bad Request)")
    page.set_input_files("#file", {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture"})
    problem = page.get_by_role("alert").filter(has_text="picture")
    problem.wait_for()
    assert problem.inner_text().startswith("Not a picture")
    assert "\n" not in problem.inner_text()
    assert page.locator(".match").count() == 0
    assert page.locator("#retry").is_hidden()
    for size in (PHONE, DESK):
        page.set_viewport_size(size)
        assert count_overflow(page) <= 0
        page.screenshot(path=tmp_path / f"error-{size['width']}.png")


def test_a_server_that_is_gone_can_be_tried_again(open_page: Open, served_catalog: Shop) -> None:
    page = open_page(allow="net::ERR_FAILED")
    page.route("**/v1/search", lambda route: route.abort())
    page.set_input_files("#file", photo_of(served_catalog[1][14]))
    page.get_by_role("alert").filter(has_text="The server does not answer").wait_for()
    page.unroute("**/v1/search")
    page.get_by_role("button", name="Try again").click()
    wait_for_results(page)
    assert page.inner_text("#problem") == ""


def test_work_is_shown_and_the_last_photo_wins(open_page: Open, served_catalog: Shop) -> None:
    _, items = served_catalog
    page = open_page()
    held: list[Any] = []
    page.route("**/v1/search", lambda route: held.append(route))
    page.set_input_files("#file", photo_of(items[14]))
    page.wait_for_selector("[data-state=work]")
    assert page.locator(".blank").count() == 5
    assert page.get_attribute("#results", "aria-busy") == "true"
    assert "Looking" in page.inner_text("#news")
    assert page.locator("#query-picture").is_visible()
    page.unroute("**/v1/search")
    page.set_input_files("#file", photo_of(items[15]))
    wait_for_results(page)
    assert items[15].title in page.locator(".match").first.inner_text()
    assert page.get_attribute("#results", "aria-busy") is None


def test_text_of_a_catalog_stays_text(open_page: Open, served_catalog: Shop) -> None:
    page = open_page()
    page.set_input_files("#file", photo_of(served_catalog[1][len(ODD_IDS)]))
    wait_for_results(page)
    hostile = page.locator(".match").first
    assert hostile.locator(".title").inner_text() == HOSTILE
    assert hostile.locator("img").count() == 1
    assert hostile.locator("a").count() == 0  # javascript: is no link
    page.set_input_files("#file", photo_of(served_catalog[1][len(ODD_IDS) + 1]))
    link = page.locator(".title a").first
    link.wait_for()
    assert link.get_attribute("href") == "https://shop.example/p/1"
    assert link.get_attribute("rel") == "noopener noreferrer"


def test_blocks_come_from_the_answer(open_page: Open, served_catalog: Shop) -> None:
    page = open_page(allow="404 (Not Found)")
    item = {"item_id": "a/b", "title": None, "brand": None, "url": None, "price": None, "currency": None}
    scores = [0.9, 0.698, 0.5, 0.1, -0.2]
    matches = [
        {"rank": rank, "score": score, "blocks": {"all": score}, "item": item, "thumbnail": "/v1/items/a%2Fb/thumbnail"}
        for rank, score in enumerate(scores, 1)
    ]
    page.route("**/v1/search", lambda route: route.fulfill(json={"matches": matches}))
    page.set_input_files("#file", photo_of(served_catalog[1][0]))
    wait_for_results(page)
    assert page.locator("dt").all_inner_texts() == ["All"] * 5
    assert page.locator("dd").all_inner_texts() == ["0.90", "0.70", "0.50", "0.10", "-0.20"]
    words = page.locator(".score em").all_inner_texts()
    assert words == ["Very close", "Close", "Similar", "Somewhat alike", "Somewhat alike"]
    assert page.locator(".title").first.inner_text() == "a/b"
    page.wait_for_selector(".tile:not(:has(img))")  # a thumbnail that cannot be had leaves an empty tile


def test_the_photo_is_sent_small(open_page: Open) -> None:
    page = open_page(allow="400 (Bad Request)")
    sent: list[bytes] = []
    page.expose_function("noteUpload", lambda data: sent.append(base64.b64decode(data)))
    page.evaluate(
        """() => {
            const send = window.fetch;
            window.fetch = async (url, options) => {
                if (options?.body) {
                    const bytes = new Uint8Array(await options.body.get("image").arrayBuffer());
                    await noteUpload(btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), "")));
                }
                return send(url, options);
            };
        }"""
    )
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    exif[0x010F] = "a camera's name"
    pixels = np.full((1_000, 2_560, 3), (200, 30, 40), np.uint8)
    Image.fromarray(pixels).save(buffer, "JPEG", exif=exif)
    page.set_input_files("#file", {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": buffer.getvalue()})
    wait_for_results(page)
    with Image.open(io.BytesIO(sent[0])) as image:
        assert (image.format, image.size) == ("JPEG", (500, 1280))
        assert not dict(image.getexif())
    broken = b"a HEIC that this browser cannot read"
    page.set_input_files("#file", {"name": "a.heic", "mimeType": "image/heic", "buffer": broken})
    page.wait_for_selector("#problem:not(:empty)")
    assert sent[1] == broken


def test_the_keyboard_reaches_everything_and_shows_where_it_is(open_page: Open, served_catalog: Shop) -> None:
    page = open_page(reduced_motion="reduce")
    choosers: list[Any] = []
    page.on("filechooser", lambda chooser: choosers.append(chooser))
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "file"
    assert page.get_by_label("Choose a photo").count() == 1
    assert page.eval_on_selector("#pick", "(label) => getComputedStyle(label).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    deadline = time.monotonic() + 30
    while not choosers and time.monotonic() < deadline:
        page.wait_for_timeout(20)
    choosers[0].set_files(photo_of(served_catalog[1][14]))
    wait_for_results(page)
    assert page.eval_on_selector(".match", "(card) => getComputedStyle(card).animationName") == "none"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "link more"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_the_api_page_shows_every_route(open_page: Open, tmp_path: Path) -> None:
    page = open_page("/docs")
    page.wait_for_selector("section")
    text = page.inner_text("main")
    document = json.loads(page.evaluate("fetch('/openapi.json').then((answer) => answer.text())"))
    for path, operations in document["paths"].items():
        for method in operations:
            assert f"{method.upper()} {path}" in text
    for size in (PHONE, DESK):
        page.set_viewport_size(size)
        assert count_overflow(page) <= 0
        page.screenshot(path=tmp_path / f"docs-{size['width']}.png", full_page=True)
