"""A person at the page: a photo in, results out. Look at the screenshots in pytest's temporary folder."""

from __future__ import annotations

import base64
import io
import json
import re
import time
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from browsing import (
    DESK,
    PHONE,
    SIZES,
    Open,
    Shop,
    choose,
    count_overflow,
    do_and_wait,
    is_in_sight,
    list_titles,
    photo_of,
    take_screenshots,
    wait_for_results,
    watch_searches,
)
from serving import HOSTILE, ODD_IDS


@SIZES
def test_a_photo_shows_the_closest(open_page: Open, served_catalog: Shop, tmp_path: Path, size: dict[str, int]) -> None:
    _, items = served_catalog
    page = open_page(size=size, reduced_motion="reduce")
    assert page.text_content("#count") == "48 items"
    assert count_overflow(page) <= 0
    take_screenshots(page, tmp_path / f"start-{size['width']}")

    choose(page, items[14])
    cards = page.locator(".match")
    assert cards.count() == 20
    first = cards.first
    assert items[14].title in first.inner_text()
    assert re.search(r"€\d+\.95", first.inner_text())
    assert re.search(r"Very close\s*(1\.00|0\.9\d)", first.locator(".score").inner_text())
    assert "20 shown" in page.inner_text("#news")
    assert page.get_attribute("#query-picture", "src").startswith("blob:")
    for picture in page.locator(".match:nth-child(-n+4) .tile img, #query-picture").all():
        picture.evaluate("(image) => image.decode()")
        assert picture.get_attribute("alt")
    assert count_overflow(page) <= 0
    page.wait_for_selector(".facet", state="attached")
    take_screenshots(page, tmp_path / f"results-{size['width']}")
    if size is DESK:
        assert all(is_in_sight(page, f".match:nth-child({place})") for place in range(1, 6))
    page.mouse.wheel(0, 5_000)
    page.wait_for_timeout(100)
    assert is_in_sight(page, "#query-picture")


def test_no_width_overflows(open_page: Open, served_catalog: Shop) -> None:
    page = open_page()
    for photo in (None, served_catalog[1][9]):  # with the hostile title, which is one long word
        if photo:
            choose(page, photo)
        for width in (320, 360, 639, 640, 960, 1199, 1200, 1599, 1600, 1920):
            page.set_viewport_size({"width": width, "height": 800})
            assert count_overflow(page) <= 0, width


def test_pictures_take_their_room_before_they_come(open_page: Open, served_catalog: Shop) -> None:
    page = open_page()
    page.evaluate(
        """() => {
            window.shift = 0;
            const watch = new PerformanceObserver((list) => {
                for (const entry of list.getEntries()) window.shift += entry.hadRecentInput ? 0 : entry.value;
            });
            watch.observe({ type: "layout-shift", buffered: true });
        }"""
    )
    page.route("**/thumbnail", lambda route: (time.sleep(0.05), route.continue_()))
    # Half a second after a click the browser excuses what moves: the answer comes later.
    page.route("**/v1/search", lambda route: (time.sleep(0.7), route.continue_()))
    choose(page, served_catalog[1][14])
    page.wait_for_selector(".facet", state="attached")
    page.wait_for_timeout(500)
    assert page.evaluate("window.shift") < 0.03  # a third of what the Web Vitals call good
    far = page.locator(".match").last.locator("img")
    assert far.get_attribute("loading") == "lazy"


def test_more_is_shown_on_demand(open_page: Open, served_catalog: Shop) -> None:
    page = open_page(size=PHONE)
    choose(page, served_catalog[1][14])
    before = list_titles(page)
    more = page.get_by_role("button", name="Show more")
    for expected in (40, 47):  # products; two of the 48 items are one
        more.click()
        page.wait_for_selector(f".match:nth-child({expected})")
    assert page.locator(".match").count() == 47
    assert list_titles(page)[:20] == before
    ids = page.eval_on_selector_all(".match", "(cards) => cards.map((card) => card.dataset.id)")
    assert len(set(ids)) == 47
    assert more.is_hidden()


@pytest.mark.parametrize("way", ["drop", "paste", "camera"])
def test_a_photo_comes_in_other_ways(open_page: Open, served_catalog: Shop, way: str) -> None:
    _, items = served_catalog
    page = open_page(size=PHONE if way == "camera" else DESK)
    if way == "camera":
        assert page.get_by_text("Take a photo").is_visible()
        assert page.get_attribute("#camera", "capture") == "environment"
        assert page.get_attribute("#file", "capture") is None  # the library first
        page.set_input_files("#camera", photo_of(items[15]))
    else:
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
    elif way == "paste":
        page.evaluate("(files) => dispatchEvent(new ClipboardEvent('paste', { clipboardData: files }))", files)
    wait_for_results(page)
    assert items[15].title in list_titles(page)[0]


def test_more_like_this_and_back(open_page: Open, served_catalog: Shop) -> None:
    _, items = served_catalog
    page = open_page()
    odd = items[ODD_IDS.index("robe d'été #3?.jpg")]
    choose(page, odd)
    before = list_titles(page)
    button = page.locator(".match").first.get_by_role("button", name="More like this: ")
    button.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-state=done] #query-picture[src^='/v1/items/']")
    wait_for_results(page)
    assert unquote(page.get_attribute("#query-picture", "src")) == f"/v1/items/{odd.item_id}/thumbnail"
    assert page.inner_text("#caption") == f"More like {odd.title}"
    assert page.evaluate("document.activeElement.id") == "results-title"  # and not lost with the button
    after = list_titles(page)
    assert after != before
    page.go_back()
    page.wait_for_selector("#query-picture[src^='blob:']")
    assert list_titles(page) == before
    page.go_back()
    page.wait_for_selector("[data-state=start]")
    page.go_forward()
    page.wait_for_selector("[data-state=done]")
    assert list_titles(page) == before


def test_a_link_shows_the_same_results(open_page: Open, served_catalog: Shop) -> None:
    _, items = served_catalog
    page = open_page()
    choose(page, items[20])
    page.wait_for_selector(".facet", state="attached")
    do_and_wait(page, lambda: page.locator(".choice").filter(has_text=items[20].brand).locator("input").check())
    do_and_wait(page, lambda: page.locator("#sort").select_option("price"))
    photo_link, photo_titles = page.url, list_titles(page)
    do_and_wait(page, lambda: page.get_by_role("button", name="More like this").first.click())
    item_link, item_titles = page.url, list_titles(page)
    other = open_page(item_link[item_link.index("/#") :])
    wait_for_results(other)
    assert list_titles(other) == item_titles
    assert other.input_value("#sort") == "price"
    assert items[20].brand.lower() in other.inner_text("#chips").lower()
    # A photo's link holds as long as the server has the photo; the photo itself stays in the browser that sent it.
    other = open_page(photo_link[photo_link.index("/#") :])
    wait_for_results(other)
    assert list_titles(other) == photo_titles
    assert not other.locator("#query-picture").is_visible()


def test_a_photo_that_the_server_let_go(open_page: Open, served_catalog: Shop) -> None:
    _, items = served_catalog
    page = open_page("/#image=gone-long-ago", allow="404 (Not Found)")
    page.get_by_role("alert").filter(has_text="ten minutes only").wait_for()
    assert page.get_by_role("button", name="Choose a photo").is_visible()
    # The tab that sent it still has it, and sends it again without a word.
    choose(page, items[14])
    titles = list_titles(page)
    name = page.evaluate("location.hash.slice('#image='.length)")
    page.evaluate(
        """(name) => {
            const photos = "focusedfashion.photo.";
            sessionStorage.setItem(photos + "old", sessionStorage.getItem(photos + name));
        }""",
        name,
    )
    page.evaluate("location.hash = '#image=old'")
    page.wait_for_url(re.compile(r"#image=(?!old)"))
    wait_for_results(page)
    assert list_titles(page) == titles
    assert page.locator("#query-picture").is_visible()


@SIZES
def test_a_file_that_is_no_picture_is_one_clear_line(open_page: Open, tmp_path: Path, size: dict[str, int]) -> None:
    page = open_page(size=size, allow="400 (Bad Request)")
    page.set_input_files("#file", {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture"})
    problem = page.get_by_role("alert").filter(has_text="picture")
    problem.wait_for()
    assert problem.inner_text().startswith("Not a picture")
    assert "\n" not in problem.inner_text()
    assert page.locator(".match").count() == 0
    assert page.locator("#retry").is_hidden()
    with page.expect_file_chooser():
        page.get_by_role("button", name="Choose a photo").click()
    assert count_overflow(page) <= 0
    page.screenshot(path=tmp_path / f"error-{size['width']}.png")


@pytest.mark.parametrize("route", ["images", "search"])
def test_a_server_that_is_gone_can_be_tried_again(open_page: Open, served_catalog: Shop, route: str) -> None:
    page = open_page()
    # Once, and in the page: a browser that is told to stop requests loses the pictures in the next ones, too.
    page.evaluate(
        """(path) => {
            const send = window.fetch;
            window.fetch = (url, options) => {
                if (url !== path) return send(url, options);
                window.fetch = send;
                return Promise.reject(new TypeError("Failed to fetch"));
            };
        }""",
        f"/v1/{route}",
    )
    page.set_input_files("#file", photo_of(served_catalog[1][14]))
    page.get_by_role("alert").filter(has_text="The server does not answer").wait_for()
    page.get_by_role("button", name="Try again").click()
    wait_for_results(page)
    assert page.inner_text("#problem") == ""


def test_work_is_shown_and_the_last_photo_wins(open_page: Open, served_catalog: Shop) -> None:
    _, items = served_catalog
    page = open_page()
    # The first upload never arrives. (A browser that is told to hold requests loses the pictures in them.)
    page.evaluate(
        """() => {
            const send = window.fetch;
            window.fetch = (url, options) => {
                if (url !== "/v1/images") return send(url, options);
                window.fetch = send;
                return new Promise((_, reject) => options.signal.addEventListener("abort", () => reject("left")));
            };
        }"""
    )
    page.set_input_files("#file", photo_of(items[14]))
    page.wait_for_selector("[data-state=work] #query-picture:not([hidden])")
    assert page.locator(".blank").count() == 10
    assert page.get_attribute("#results", "aria-busy") == "true"
    assert "Looking" in page.inner_text("#news")
    page.set_input_files("#file", photo_of(items[15]))
    wait_for_results(page)
    assert items[15].title in list_titles(page)[0]
    assert page.get_attribute("#results", "aria-busy") is None


def test_text_of_a_catalog_stays_text(open_page: Open, served_catalog: Shop) -> None:
    page = open_page()
    choose(page, served_catalog[1][len(ODD_IDS)])
    hostile = page.locator(".match").first
    assert hostile.locator(".title").inner_text() == HOSTILE
    assert hostile.locator("img").count() == 1
    assert hostile.locator("a").count() == 0  # javascript: is no link
    hostile.locator(".score").click()
    assert page.locator("#why .title").inner_text() == HOSTILE
    assert page.locator("#why a").count() == 0
    page.keyboard.press("Escape")
    choose(page, served_catalog[1][len(ODD_IDS) + 1])
    link = page.locator(".title a").first
    assert link.get_attribute("href") == "https://shop.example/p/1"
    assert link.get_attribute("rel") == "noopener noreferrer"


def test_the_photo_is_sent_small_and_once(open_page: Open) -> None:
    page = open_page(allow="400 (Bad Request)")
    sent: list[bytes] = []
    page.expose_function("noteUpload", lambda data: sent.append(base64.b64decode(data)))
    page.evaluate(
        """() => {
            const send = window.fetch;
            window.fetch = async (url, options) => {
                if (options?.body instanceof FormData) {
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
        assert image.format == "JPEG"
        assert image.height == 800
        assert image.width == pytest.approx(312, abs=1)
        assert not dict(image.getexif())
    # Everything after it goes by the server's name for it.
    searches = watch_searches(page)
    do_and_wait(page, lambda: page.locator("#sort").select_option("price"))
    assert len(sent) == 1
    assert searches[0]["image_id"]
    broken = b"a HEIC that this browser cannot read"
    page.set_input_files("#file", {"name": "a.heic", "mimeType": "image/heic", "buffer": broken})
    page.wait_for_selector("#problem:not(:empty)")
    assert sent[1] == broken


def test_there_is_no_box_for_words_without_a_text_side(open_page: Open, served_catalog: Shop) -> None:
    page = open_page(allow="400 (Bad Request)")
    assert page.get_by_role("searchbox").count() == 0
    choose(page, served_catalog[1][14])
    assert page.get_by_role("searchbox").count() == 0
    other = open_page("/#text=red")  # a link of another catalog
    other.get_by_role("alert").filter(has_text="encoder has no text side: search by a picture").wait_for()
    assert other.get_by_role("button", name="Choose a photo").is_visible()


@SIZES
def test_the_overview_says_what_is_in_the_catalog(open_page: Open, tmp_path: Path, size: dict[str, int]) -> None:
    page = open_page("/overview", size=size)
    page.wait_for_selector("#failures:not([hidden])")
    facts = dict(
        zip(page.locator(".facts dt").all_inner_texts(), page.locator(".facts dd").all_inner_texts(), strict=True)
    )
    assert (facts["Items"], facts["Products"], facts["Left out"]) == ("48", "47", "1")
    assert re.search(r"(red|green|blue|white)\s+\d+", page.inner_text("#legend"))
    assert "Brand" in page.inner_text("#columns")
    row = page.locator("#ledger tbody tr")
    assert row.count() == 1
    assert row.inner_text().startswith("broken\tpicture\tnot a picture")
    assert count_overflow(page) <= 0
    take_screenshots(page, tmp_path / f"overview-{size['width']}")


def test_the_api_page_shows_every_route(open_page: Open, tmp_path: Path) -> None:
    page = open_page("/docs")
    page.wait_for_selector("section:last-child .note, section:last-child dl")
    text = page.inner_text("main")
    document = json.loads(page.evaluate("fetch('/openapi.json').then((answer) => answer.text())"))
    for path, operations in document["paths"].items():
        for method in operations:
            assert f"{method.upper()} {path}" in text
    for size in (PHONE, DESK):
        page.set_viewport_size(size)
        assert count_overflow(page) <= 0
        page.screenshot(path=tmp_path / f"docs-{size['width']}.png", full_page=True)
