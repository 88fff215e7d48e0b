"""What the tests of the page share: a served catalog, a real browser, windows in which nothing may go wrong."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from focusedfashion.encoders import Encoder
from focusedfashion.items import Item
from serving import make_catalog, start_server

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
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
SIZES = pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
SECONDS = 8_000  # ms; the machine may be busy
PAIR = (40, 41)  # two items of one product

Shop = tuple[str, list[Item]]
Open = Callable[..., Any]


@pytest.fixture(scope="session")
def served_catalog(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Encoder) -> Iterator[Shop]:
    """The address of a catalog of 48 items, of which two are one product, and the items."""
    catalog, items = make_catalog(tmp_path_factory.mktemp("page"), tiny_encoder, 48)
    for place in PAIR:
        items[place] = dataclasses.replace(items[place], product_id="pair")
    report = catalog.index([*(items[place] for place in PAIR), Item("broken", picture=b"no picture")])
    assert (report.updated, report.failed) == (2, 1)
    with start_server(catalog) as (address, _):
        yield address, items


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's chromium. Of a module, not the session: while it is there, no test can run an event loop of its own."""
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="PAGE NOT TESTED: playwright is missing (pip install -e '.[dev]')"
    )
    if not CHROMIUM:
        pytest.skip("PAGE NOT TESTED: no chromium (apt-get install chromium)")
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

    def open_page(path: str = "/", allow: str = "", size: dict[str, int] = DESK, **settings: Any) -> Any:
        phone = {"is_mobile": True, "has_touch": True} if size is PHONE else {}
        context = browser.new_context(**{"viewport": size, "locale": "en-US", **phone, **settings})
        contexts.append(context)
        if allow:
            allowed.append(allow)
        page = context.new_page()
        page.set_default_timeout(SECONDS)
        page.on("request", note_request)
        page.on("pageerror", lambda error: troubles.append(f"error {error}"))
        page.on("console", lambda line: troubles.append(line.text) if line.type in ("error", "warning") else None)
        page.goto(address + path)
        if path.startswith("/#") or path == "/":
            page.wait_for_selector("#count:not(:empty)", state="attached")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [trouble for trouble in troubles if not any(part in trouble for part in allowed)] == []


def photo_of(item: Item) -> dict[str, Any]:
    """The item's own picture, as a file that a person chooses."""
    return {"name": "photo.webp", "mimeType": "image/webp", "buffer": item.picture}


def wait_for_results(page: Any) -> None:
    """Until what was asked last is shown."""
    page.wait_for_selector("[data-state=done] #matches .match:not(.blank)")


def choose(page: Any, item: Item) -> None:
    """Chooses the item's picture and waits for the results."""
    do_and_wait(page, lambda: page.set_input_files("#file", photo_of(item)))


def watch_searches(page: Any) -> list[dict[str, Any]]:
    """The bodies of all searches from now on, as they are sent."""
    bodies: list[dict[str, Any]] = []

    def note(request: Any) -> None:
        if request.url.endswith("/v1/search"):
            bodies.append(request.post_data_json)

    page.on("request", note)
    return bodies


def do_and_wait(page: Any, act: Callable[[], Any]) -> dict[str, Any]:
    """Does what starts a search -> that search's answer, once it is shown."""
    with page.expect_response("**/v1/search") as caught:
        act()
    answer: dict[str, Any] = caught.value.json()
    wait_for_results(page)
    return answer


def list_titles(page: Any) -> list[str]:
    """The titles of the cards, in their order."""
    titles: list[str] = page.locator(".match .title").all_inner_texts()
    return titles


def count_overflow(page: Any) -> int:
    """Pixels by which the page is wider than its window."""
    overflow: int = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return overflow


def is_in_sight(page: Any, selector: str) -> bool:
    """Whether all of it lies in the window."""
    box = page.locator(selector).first.bounding_box()
    size = page.viewport_size
    return bool(box) and box["y"] >= -1 and box["y"] + box["height"] <= size["height"] + 1


def take_screenshots(page: Any, stem: Any) -> None:
    """Light and dark, of the whole page."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.screenshot(path=f"{stem}-{scheme}.png", full_page=True)
    page.emulate_media(color_scheme="light")
