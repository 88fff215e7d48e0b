"""A person who is nearly there: crop, weights, colors, filters, order, reasons, likes, wishes."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest

from browsing import (
    DESK,
    PAIR,
    PHONE,
    SIZES,
    Open,
    Shop,
    choose,
    count_overflow,
    do_and_wait,
    is_in_sight,
    list_titles,
    wait_for_results,
    watch_searches,
)


def drag(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """From one place to another, with the mouse."""
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*((one + other) / 2 for one, other in zip(start, end, strict=True)))
    page.mouse.move(*end)
    page.mouse.up()


def touch(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """From one place to another, with a finger."""
    session = page.context.new_cdp_session(page)
    middle = tuple((one + other) / 2 for one, other in zip(start, end, strict=True))
    steps: list[tuple[str, list[Any]]] = [("touchStart", [start]), ("touchMove", [middle]), ("touchMove", [end])]
    for kind, points in [*steps, ("touchEnd", [])]:
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})


@pytest.mark.parametrize("way", ["mouse", "touch", "keyboard", "draw"])
def test_results_follow_the_crop(open_page: Open, served_catalog: Shop, tmp_path: Path, way: str) -> None:
    page = open_page(size=PHONE if way == "touch" else DESK)
    choose(page, served_catalog[1][14])
    if way == "touch":
        page.get_by_role("button", name="Crop", exact=True).click()
    box = page.locator("#look").bounding_box()
    assert box["width"] > 150
    at = lambda x, y: (box["x"] + x * box["width"], box["y"] + y * box["height"])  # noqa: E731
    handle = page.get_by_role("button", name="Top left corner")
    grip = handle.bounding_box()
    middle = (grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2)
    if way == "keyboard":
        handle.focus()
        page.keyboard.press("Shift+ArrowRight")
        answer = do_and_wait(page, lambda: page.keyboard.press("Shift+ArrowDown"))
        wanted = [0.1, 0.1, 1, 1]
    elif way == "draw":
        answer = do_and_wait(page, lambda: drag(page, at(0.2, 0.3), at(0.8, 0.9)))
        wanted = [0.2, 0.3, 0.8, 0.9]
    else:
        target = (middle[0] + box["width"] / 4, middle[1] + box["height"] / 4)
        answer = do_and_wait(page, lambda: (touch if way == "touch" else drag)(page, middle, target))
        wanted = [0.25, 0.25, 1, 1]
    link = re.search(r"box=([\d.,]+)", page.url.replace("%2C", ","))
    assert link, page.url
    assert [float(edge) for edge in link[1].split(",")] == pytest.approx(wanted, abs=0.02)
    assert answer["query"]["image_id"]
    page.screenshot(path=tmp_path / f"crop-{way}.png")
    do_and_wait(page, lambda: page.get_by_role("button", name="Whole photo").click())
    assert "box" not in page.url


def test_a_slider_ranks_again_without_sending_the_photo_again(open_page: Open, served_catalog: Shop) -> None:
    page = open_page()
    choose(page, served_catalog[1][14])
    before = list_titles(page)
    searches = watch_searches(page)
    uploads: list[str] = []
    page.on("request", lambda request: uploads.append(request.url) if request.url.endswith("/v1/images") else None)
    color = page.get_by_role("slider", name="Color")
    assert color.get_attribute("aria-valuetext") == "normal"
    color.focus()
    answer = do_and_wait(page, lambda: [page.keyboard.press("ArrowLeft") for _ in range(3)])
    assert color.get_attribute("aria-valuetext") == "not at all"
    assert len(searches) == 1  # one for the three steps
    assert searches[0]["focus"] == {"color": 0}
    assert uploads == []
    assert list_titles(page) == [match["item"]["title"] for match in answer["matches"]] != before
    assert "focus=color" in page.url
    do_and_wait(page, lambda: page.get_by_role("button", name="All alike").click())
    assert list_titles(page) == before


@SIZES
def test_the_same_in_another_color(open_page: Open, served_catalog: Shop, tmp_path: Path, size: dict[str, int]) -> None:
    page = open_page(size=size)
    choose(page, served_catalog[1][14])
    before = list_titles(page)
    searches = watch_searches(page)
    swatch = page.get_by_role("button", name="Same, but in green")
    answer = do_and_wait(page, swatch.click)
    assert searches[0]["focus"] == {"color": 0}
    assert searches[0]["filters"] == [{"column": "attributes.color", "op": "contains", "value": "green"}]
    assert all("green" in str(match["item"]["attributes"]["color"]) for match in answer["matches"])
    assert swatch.get_attribute("aria-pressed") == "true"
    assert page.get_by_role("button", name="Take away: Green").is_visible()
    assert count_overflow(page) <= 0
    page.screenshot(path=tmp_path / f"swatch-{size['width']}.png")
    page.go_back()
    wait_for_results(page)
    assert list_titles(page) == before


def test_facets_have_counts_and_narrow(open_page: Open, served_catalog: Shop) -> None:
    _, items = served_catalog
    page = open_page()
    choose(page, items[20])
    brand = page.locator(".facet").filter(has_text="Brand")
    names = brand.locator(".choice span").all_inner_texts()
    counts = [int(text) for text in brand.locator(".choice small").all_inner_texts()]
    products = {item.product_id: item for item in items}.values()
    assert counts == sorted(counts, reverse=True)
    for name, count in itertools.islice(zip(names, counts, strict=True), 2):
        assert count == sum(item.brand == name for item in products), name

    answer = do_and_wait(page, lambda: brand.get_by_label(names[0]).check())
    assert {match["item"]["brand"] for match in answer["matches"]} == {names[0]}
    assert len(answer["matches"]) == min(20, counts[0])
    # The other brands stay, to be added.
    answer = do_and_wait(page, lambda: brand.get_by_label(names[1]).check())
    assert {match["item"]["brand"] for match in answer["matches"]} == set(names[:2])
    assert page.evaluate("document.activeElement.type") == "checkbox"  # the focus stays where it was

    price = page.get_by_role("spinbutton", name="Price, at most")
    answer = do_and_wait(page, lambda: (price.fill("100"), price.press("Enter")))
    assert answer["matches"]
    assert all(match["item"]["price"] <= 100 for match in answer["matches"])
    assert page.locator("#chips .chip").count() == 3
    do_and_wait(page, lambda: page.get_by_role("button", name="Clear all").click())
    assert "in.brand" not in page.url
    assert page.locator("#chips .chip").count() == 0


def test_choices_in_a_row_all_count(open_page: Open, served_catalog: Shop) -> None:
    page = open_page()
    choose(page, served_catalog[1][20])
    brand = page.locator(".facet").filter(has_text="Brand")
    names = brand.locator(".choice span").all_inner_texts()[:3]
    page.route("**/v1/facets*", lambda route: None)  # counted anew too late for who clicks fast
    for name in names:
        answer = do_and_wait(page, lambda name=name: brand.get_by_label(name).check())
    assert {match["item"]["brand"] for match in answer["matches"]} == set(names)
    assert page.locator("#chips .chip").count() == 3
    answer = do_and_wait(page, lambda: brand.get_by_label(names[0]).uncheck())
    assert {match["item"]["brand"] for match in answer["matches"]} == set(names[1:])


def test_nothing_found_says_what_to_do(open_page: Open, served_catalog: Shop) -> None:
    page = open_page()
    choose(page, served_catalog[1][20])
    page.wait_for_selector(".facet")
    price = page.get_by_role("spinbutton", name="Price, at least")
    price.fill("99999")
    price.press("Enter")
    page.get_by_text("Take a filter away").wait_for()
    assert page.inner_text("#results-title") == "Nothing found"


def test_the_price_orders(open_page: Open, served_catalog: Shop) -> None:
    page = open_page()
    choose(page, served_catalog[1][20])
    for order in ("price", "-price"):
        answer = do_and_wait(page, lambda order=order: page.get_by_label("Sort").select_option(order))
        prices = [match["item"]["price"] for match in answer["matches"]]
        assert prices == sorted(prices, reverse=order == "-price")
        shown = [float(text.strip("€").replace(",", "")) for text in page.locator(".price").all_inner_texts() if text]
        assert shown == prices


@SIZES
def test_why_this_one(open_page: Open, served_catalog: Shop, tmp_path: Path, size: dict[str, int]) -> None:
    _, items = served_catalog
    page = open_page(size=size)
    choose(page, items[14])
    opener = page.get_by_role("button", name="Why this one").nth(3)
    opener.click()
    window = page.get_by_role("dialog", name="Why this one")
    assert window.locator(".blocks dt").all_inner_texts() == ["Shape", "Color", "Pattern"]
    assert all(re.fullmatch(r"-?[01]\.\d\d", text.strip()) for text in window.locator(".blocks dd").all_inner_texts())
    assert window.locator(".pair canvas").count() == 1
    assert window.locator(".pair img").count() == 1
    assert window.locator(".sample").count() == 2
    assert "ΔE2000" in window.inner_text()
    assert re.search(r"In common|Different", window.inner_text())
    page.screenshot(path=tmp_path / f"why-{size['width']}.png")
    page.keyboard.press("Escape")
    assert window.is_hidden()
    assert opener.evaluate("(button) => button === document.activeElement")


def test_one_card_shows_a_product_and_its_variants(open_page: Open, served_catalog: Shop) -> None:
    _, items = served_catalog
    page = open_page()
    choose(page, items[PAIR[0]])
    card = page.locator(".match").first
    assert items[PAIR[0]].title in card.inner_text()
    assert card.get_by_text("+1 view").is_visible()
    assert items[PAIR[1]].title not in list_titles(page)
    card.locator(".tile").click()
    other = page.locator("#why .variants button")
    other.wait_for()
    assert items[PAIR[1]].title in other.get_attribute("title")
    do_and_wait(page, other.click)
    assert page.inner_text("#caption") == f"More like {items[PAIR[1]].title}"


def test_likes_rank_again_and_stay_in_this_browser(open_page: Open, served_catalog: Shop) -> None:
    page = open_page()
    choose(page, served_catalog[1][14])
    before = list_titles(page)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(f"{request.method} {request.url}"))
    disliked, liked = page.locator(".match").nth(0), page.locator(".match").nth(9)
    liked_title = liked.locator(".title").inner_text()
    liked.get_by_role("button", name="More of this kind").click()
    page.wait_for_selector("#note:not([hidden])")
    assert "1 like" in page.inner_text("#note")
    page.wait_for_timeout(500)
    assert list_titles(page).index(liked_title) < 9
    disliked = page.locator(".match").filter(has_text=before[0])
    disliked.get_by_role("button", name="Less of this kind").click()
    page.wait_for_selector(f".match:last-child:has-text({before[0]!r})")
    assert not [line for line in sent if not line.startswith("GET ")]  # only asked what is similar
    page.reload()
    wait_for_results(page)
    page.wait_for_selector(f".match:last-child:has-text({before[0]!r})")
    page.get_by_role("button", name="Forget them").click()
    page.wait_for_selector(f".match:first-child:has-text({before[0]!r})")
    assert list_titles(page) == before


@SIZES
def test_the_wish_list_is_kept(open_page: Open, served_catalog: Shop, tmp_path: Path, size: dict[str, int]) -> None:
    page = open_page(size=size, allow="404 (Not Found)")
    choose(page, served_catalog[1][14])
    titles = list_titles(page)[:2]
    for card in range(2):
        page.locator(".match").nth(card).get_by_role("button", name="Wish list").click()
    assert page.inner_text("#wishes-link") == "Wish list (2)"
    page.reload()
    page.click("#wishes-link")
    page.wait_for_selector("[data-state=wishes]")
    assert sorted(list_titles(page)) == sorted(titles)
    assert count_overflow(page) <= 0
    page.screenshot(path=tmp_path / f"wishes-{size['width']}.png")
    page.locator(".match").filter(has_text=titles[0]).get_by_role("button", name="Wish list").click()
    assert list_titles(page) == [titles[1]]
    page.go_back()
    wait_for_results(page)
    # What the catalog has no more is said to be gone.
    page.evaluate(
        "localStorage.setItem('focusedfashion.wishes', JSON.stringify([['x', {item_id: 'x', title: 'old'}]]))"
    )
    page.click("#wishes-link")
    page.wait_for_selector(".match.gone")


def test_refining_on_a_phone_leaves_the_results_in_sight(open_page: Open, served_catalog: Shop, tmp_path: Path) -> None:
    page = open_page(size=PHONE)
    choose(page, served_catalog[1][14])
    assert page.get_by_role("slider", name="Shape").is_hidden()
    page.get_by_role("button", name="Refine", exact=True).click()
    shape = page.get_by_role("slider", name="Shape")
    assert shape.is_visible()
    assert is_in_sight(page, ".match .tile")
    page.screenshot(path=tmp_path / "sheet.png")
    shape.focus()
    do_and_wait(page, lambda: page.keyboard.press("ArrowRight"))
    page.keyboard.press("Escape")
    assert shape.is_hidden()
    assert page.evaluate("document.activeElement.id") == "open-refine"
