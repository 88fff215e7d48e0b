"""A person with words in place of a photo, at a catalog whose encoder has a text side."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

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
    take_screenshots,
    wait_for_results,
    watch_searches,
)
from focusedfashion import settings
from focusedfashion.encoders import Encoder
from serving import make_catalog, start_server
from test_page_access import find_faults


@pytest.fixture(scope="module")
def served_catalog(tmp_path_factory: pytest.TempPathFactory, text_encoder: Encoder) -> Iterator[Shop]:
    """48 items behind an encoder that knows some words."""
    catalog, items = make_catalog(tmp_path_factory.mktemp("text"), text_encoder, 48)
    with start_server(catalog) as (address, _):
        yield address, items


def say(page: Any, text: str) -> dict[str, Any]:
    """Writes it into the box and presses Enter -> the search's answer, once it is shown."""
    page.get_by_role("searchbox", name="Describe what you look for").fill(text)
    return do_and_wait(page, lambda: page.keyboard.press("Enter"))


def title_of(answer: dict[str, Any]) -> str:
    """The closest match's."""
    title: str = answer["matches"][0]["item"]["title"]
    return title


@SIZES
def test_words_show_the_closest(open_page: Open, tmp_path: Path, size: dict[str, int]) -> None:
    page = open_page(size=size, reduced_motion="reduce")
    box = page.get_by_role("searchbox", name="Describe what you look for")
    assert box.get_attribute("placeholder").startswith("or describe it")
    assert box.get_attribute("maxlength") == str(settings.MAX_TEXT)
    assert is_in_sight(page, "#text") and count_overflow(page) <= 0
    take_screenshots(page, tmp_path / f"start-{size['width']}")
    for color in ("red", "green", "blue"):
        answer = say(page, f"  {color} ")
        assert answer["query"]["text"] == color
        assert color in title_of(answer)
        assert list_titles(page)[0] == title_of(answer)
        assert page.url.endswith(f"/#text={color}")
        assert page.title().startswith(f"“{color}” ")
    assert box.input_value() == "blue" and is_in_sight(page, "#text")
    assert page.locator(".match").count() == 20
    # Words for the closeness are of two pictures; here there is the number alone.
    assert re.fullmatch(r"0\.\d\d\s*Why\?", page.locator(".match .score").first.inner_text())
    assert re.search(r"^20 shown\. The closest: .*, 0\.\d\d\.$", page.inner_text("#news"))
    assert not page.locator("#query-picture").is_visible() and not page.locator("#adjust").is_visible()
    assert page.evaluate("document.activeElement.id") == "results-title"  # and a phone's keyboard is gone
    assert count_overflow(page) <= 0
    page.wait_for_selector(".facet", state="attached")
    take_screenshots(page, tmp_path / f"results-{size['width']}")


def test_a_link_back_and_a_reload_show_the_same(open_page: Open, served_catalog: Shop) -> None:
    page = open_page()
    say(page, "green shirt & tie? #1")
    first = list_titles(page)
    assert page.url.endswith("#text=green+shirt+%26+tie%3F+%231")
    page.reload()
    wait_for_results(page)
    assert (list_titles(page), page.input_value("#text")) == (first, "green shirt & tie? #1")
    other = open_page(page.url[page.url.index("/#") :])
    wait_for_results(other)
    assert list_titles(other) == first
    say(page, "red")
    red = list_titles(page)
    assert red != first
    choose(page, served_catalog[1][14])
    assert (page.input_value("#text"), page.inner_text("#caption")) == ("", "Your photo")
    for titles, text in ((red, "red"), (first, "green shirt & tie? #1")):
        page.go_back()
        page.wait_for_function("(text) => document.querySelector('#text').value === text", arg=text)
        wait_for_results(page)
        assert list_titles(page) == titles
    page.go_back()
    page.wait_for_selector("[data-state=start]")
    assert page.input_value("#text") == ""
    # The same words once more are the same search, and no second entry in the history.
    say(page, "white")
    say(page, "white")
    page.go_back()
    page.wait_for_selector("[data-state=start]")


@SIZES
def test_what_can_be_refined_is_refined(open_page: Open, size: dict[str, int]) -> None:
    page = open_page(size=size)
    say(page, "red")
    page.wait_for_selector(".facet", state="attached")
    searches = watch_searches(page)
    if size is PHONE:
        page.click("#open-refine")
    do_and_wait(page, lambda: page.get_by_role("slider", name="Color").press("End"))
    assert (searches[-1]["text"], searches[-1]["focus"]) == ("red", {"color": 8})
    page.eval_on_selector_all(".facet", "(facets) => facets.forEach((facet) => (facet.open = true))")
    brand = page.locator(".choice").first
    do_and_wait(page, lambda: brand.locator("input").check())
    if size is PHONE:
        page.click("#close-refine")
    do_and_wait(page, lambda: page.locator("#sort").select_option("price"))
    answer = say(page, "blue")  # the filters and the order stay, what counts is as usual again
    assert searches[-1]["filters"] and searches[-1]["sort"] == "price" and "focus" not in searches[-1]
    assert len({match["item"]["brand"] for match in answer["matches"]}) == 1
    do_and_wait(page, lambda: page.get_by_role("button", name="Clear all").click())
    do_and_wait(page, lambda: page.locator("#sort").select_option("score"))
    do_and_wait(page, lambda: page.get_by_role("button", name="Same, but in green").click())
    assert (searches[-1]["text"], searches[-1]["focus"]["color"]) == ("blue", 0)
    page.get_by_role("button", name="Take away: Green").click()
    wait_for_results(page)
    more = page.get_by_role("button", name="Show more")
    more.click()
    page.wait_for_selector(".match:nth-child(40)")
    name = page.locator(".match .title").first.inner_text()
    answer = do_and_wait(page, lambda: page.get_by_role("button", name="More like this").first.click())
    assert answer["query"]["item_id"] and answer["query"]["text"] is None
    assert (page.inner_text("#caption"), page.input_value("#text")) == (f"More like {name}", "")
    assert page.locator("#query-picture").is_visible()


def test_why_this_one_shows_the_words_and_the_scores_alone(open_page: Open, tmp_path: Path) -> None:
    page = open_page()
    say(page, "<b>red</b>")
    page.locator(".match .score").first.click()
    dialog = page.locator("#why")
    assert dialog.locator("figure").first.inner_text() == "“<b>red</b>”"
    assert dialog.locator(".blocks dt").all_inner_texts() == ["Shape", "Color", "Pattern"]
    assert "the numbers stay low" in dialog.inner_text()
    assert dialog.locator("section:not([hidden])").count() == 1  # no colors, nothing in common, nothing different
    box = dialog.locator("figure img").bounding_box()
    frame = dialog.locator("figure").last.bounding_box()
    assert box["height"] <= frame["height"] + 1  # the whole garment
    take_screenshots(page, tmp_path / "why")


def test_likes_order_by_a_part_of_the_score(open_page: Open) -> None:
    page = open_page()

    def scale(route: Any) -> None:
        """As low as the scores of real words."""
        answer = route.fetch()
        document = answer.json()
        for match in document["matches"]:
            match["score"] = 0.2 - 0.005 * match["rank"]
        route.fulfill(response=answer, json=document)

    page.route("**/v1/search", scale)
    page.route("**/similar?*", lambda route: route.fulfill(json={"matches": []}))
    say(page, "red")
    ids = "(cards) => cards.map((card) => card.dataset.id)"
    before = page.eval_on_selector_all(".match", ids)
    page.locator(".match .like").nth(10).click()
    page.get_by_text("Ordered by your taste too").wait_for()
    after = page.eval_on_selector_all(".match", ids)
    # The eleventh has 0.145; 0.15 of the best score are 0.029, which bring it behind 0.175. 0.15 would make it first.
    assert after.index(before[10]) == 5
    assert [one for one in after if one != before[10]] == before[:10] + before[11:]


def test_by_keyboard_alone(open_page: Open) -> None:
    page = open_page(reduced_motion="reduce")
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "text":
            break
    assert page.eval_on_selector("#text", "(box) => getComputedStyle(box).outlineStyle") == "solid"
    page.keyboard.press("Enter")  # nothing to look for
    assert page.get_attribute("body", "data-state") == "start" and page.url.endswith("/")
    page.keyboard.type("green")
    answer = do_and_wait(page, lambda: page.keyboard.press("Enter"))
    assert "green" in title_of(answer)
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.className"))
    assert "tile" in reached  # the results follow the title that has the focus
    page.keyboard.press("Shift+Tab")
    page.locator("#text").focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("blue")
    assert "blue" in title_of(do_and_wait(page, lambda: page.keyboard.press("Enter")))


@SIZES
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_about_words(open_page: Open, size: dict[str, int], scheme: str) -> None:
    page = open_page(size=size, color_scheme=scheme, reduced_motion="reduce")
    assert find_faults(page) == []
    say(page, "red")
    assert find_faults(page) == []
    page.locator(".match .score").first.click()
    assert find_faults(page) == []


def test_no_width_overflows_with_words(open_page: Open) -> None:
    page = open_page()
    for text in ("", "x" * settings.MAX_TEXT):
        if text:
            say(page, text)
            page.locator(".match .score").first.click()
        for width in (320, 390, 640, 1199, 1200, 1600):
            page.set_viewport_size({"width": width, "height": 800})
            assert count_overflow(page) <= 0, (len(text), width)


def test_words_are_tried_again(open_page: Open) -> None:
    page = open_page(allow="net::ERR_FAILED")
    page.route("**/v1/search", lambda call: call.abort())
    page.fill("#text", "red")
    page.keyboard.press("Enter")
    page.get_by_role("alert").filter(has_text="The server does not answer").wait_for()
    page.unroute("**/v1/search")
    page.get_by_role("button", name="Try again").click()
    wait_for_results(page)
    assert page.inner_text("#problem") == ""


def test_the_start_hardly_moves_when_the_box_comes(open_page: Open) -> None:
    for size in (PHONE, DESK):
        page = open_page("/docs", size=size)
        page.route("**/v1/catalog", lambda route: (time.sleep(0.3), route.continue_()))
        page.add_init_script(
            """window.shift = 0;
            new PerformanceObserver((list) => {
                for (const entry of list.getEntries()) window.shift += entry.value;
            }).observe({ type: "layout-shift", buffered: true });"""
        )
        page.goto(page.url.removesuffix("docs"))
        page.wait_for_selector("#text")
        page.wait_for_timeout(300)
        assert page.evaluate("window.shift") < 0.05
