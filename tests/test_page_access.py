"""The page for everybody: by keyboard, by screen reader, large, still, dark, in one's own way of writing numbers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from browsing import DESK, PHONE, SIZES, Open, Shop, choose, count_overflow, do_and_wait, photo_of, wait_for_results


def find_faults(page: Any) -> list[str]:
    """What axe calls serious or critical on the page as it is now."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe NOT RUN: pip install -e '.[dev]'")
    found = axe.Axe().run(page).response["violations"]
    return [
        f"{fault['id']}: {node['target']} {node['failureSummary']}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]


@SIZES
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(open_page: Open, served_catalog: Shop, size: dict[str, int], scheme: str) -> None:
    page = open_page(size=size, color_scheme=scheme, reduced_motion="reduce")
    assert find_faults(page) == []
    choose(page, served_catalog[1][14])
    page.wait_for_selector(".facet", state="attached")
    page.locator(".like").first.click()
    page.get_by_role("button", name="Same, but in green").click()
    page.wait_for_selector("#chips .chip")
    wait_for_results(page)
    if size is PHONE:
        page.get_by_role("button", name="Crop", exact=True).click()
        assert find_faults(page) == []
        page.get_by_role("button", name="Done").click()
        page.click("#open-refine")
    page.eval_on_selector_all(".facet", "(facets) => facets.forEach((facet) => (facet.open = true))")
    assert find_faults(page) == []
    if size is PHONE:
        page.click("#close-refine")
    page.locator(".match .score").first.click()
    assert find_faults(page) == []
    page.keyboard.press("Escape")
    page.locator(".wish").first.click()
    page.click("#wishes-link")
    page.wait_for_selector("[data-state=wishes] .match")
    assert find_faults(page) == []


@pytest.mark.parametrize("path", ["/overview", "/docs"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_beside_the_search(open_page: Open, path: str, scheme: str) -> None:
    page = open_page(path, color_scheme=scheme)
    page.wait_for_selector("#failures:not([hidden]), section:nth-of-type(5)")
    assert find_faults(page) == []


def test_the_keyboard_reaches_everything_and_shows_where_it_is(open_page: Open, served_catalog: Shop) -> None:
    page = open_page(reduced_motion="reduce")
    choosers: list[Any] = []
    page.on("filechooser", lambda chooser: choosers.append(chooser))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "file"
    assert page.get_by_label("Choose a photo").count() == 1
    assert page.eval_on_selector("#pick", "(label) => getComputedStyle(label).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    deadline = time.monotonic() + 30
    while not choosers and time.monotonic() < deadline:
        page.wait_for_timeout(20)
    choosers[0].set_files(photo_of(served_catalog[1][14]))
    wait_for_results(page)
    page.wait_for_selector(".facet")
    reached: list[str] = []
    page.evaluate("document.querySelector('#skip').focus()")
    for _ in range(90):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            """() => {
                const it = document.activeElement;
                const drawn = it.type === "file" ? it.nextElementSibling : it;
                return [it.id || it.className || it.type || it.tagName, getComputedStyle(drawn).outlineStyle];
            }"""
        )
        assert outline != "none", name
        reached.append(name)
    for name in ("crop", "handle", "range", "SUMMARY", "checkbox", "sort", "swatch", "tile", "toggle wish", "score"):
        assert name in reached, (name, reached)
    assert "link similar" in reached
    assert "toggle like" in reached
    # The result of the last of it: a card's button by its key.
    page.locator(".match .similar").nth(2).focus()
    do_and_wait(page, lambda: page.keyboard.press("Space"))
    assert page.inner_text("#caption").startswith("More like ")


def test_nothing_moves_for_who_wants_it_still(open_page: Open, served_catalog: Shop) -> None:
    for motion, moves in (("no-preference", True), ("reduce", False)):
        page = open_page(reduced_motion=motion)
        page.evaluate(
            """() => {
                window.moved = 0;
                const animate = Element.prototype.animate;
                Element.prototype.animate = function (...all) { window.moved += 1; return animate.apply(this, all); };
            }"""
        )
        choose(page, served_catalog[1][14])
        page.wait_for_timeout(100)
        assert bool(page.evaluate("window.moved")) is moves
        if not moves:
            assert page.evaluate("document.getAnimations().length") == 0


def test_text_of_twice_the_size_fits(open_page: Open, served_catalog: Shop, tmp_path: Path) -> None:
    # 200 % zoom of a window of 1280 x 800 is a window of half of it with two dots for one.
    page = open_page(size={"width": 640, "height": 400}, device_scale_factor=2)
    choose(page, served_catalog[1][14])
    assert count_overflow(page) <= 0
    page.locator(".match .score").first.click()
    closer = page.get_by_role("button", name="Close", exact=True)
    assert closer.is_visible()
    page.screenshot(path=tmp_path / "zoom.png")
    closer.click()
    # And the browser's larger text alone.
    page = open_page(size=DESK)
    page.evaluate("document.documentElement.style.fontSize = '32px'")
    choose(page, served_catalog[1][14])
    assert count_overflow(page) <= 0


def test_numbers_are_written_as_at_home(open_page: Open, served_catalog: Shop) -> None:
    page = open_page(locale="de-DE")
    choose(page, served_catalog[1][14])
    assert "," in page.locator(".score").first.inner_text()
    price = page.locator(".price:not(:empty)").first.inner_text()
    assert price.endswith("€")
    assert ",95" in price


def test_without_scripts_it_says_so(browser: Any, served_catalog: Shop) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(served_catalog[0])
    assert page.locator("noscript p").is_visible()
    context.close()
