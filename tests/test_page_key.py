"""The page from another machine: the link that the server prints lets in, without it the page says what is missing."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from browsing import PHONE, SECONDS, choose, do_and_wait
from focusedfashion.encoders import Encoder
from focusedfashion.items import Item
from focusedfashion.server.access import COOKIE
from serving import make_catalog

Link = tuple[str, str, list[Item]]


@pytest.fixture(scope="module")
def link(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Encoder) -> Iterator[Link]:
    """The address of a server for all machines, the path of the link that it printed, and the catalog's items.

    A browser leads every name below `localhost` to this machine; the server takes only `localhost` itself for it.
    """
    catalog, items = make_catalog(tmp_path_factory.mktemp("key"), tiny_encoder)
    command = [sys.executable, "-m", "focusedfashion", "serve", catalog.path, "--host", "0.0.0.0", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            printed = process.stdout.readline() + process.stdout.readline()
            found = re.search(r"open http://\S+:(\d+)(/\?key=\S+)", printed)
            assert found, printed
            yield f"http://shop.localhost:{found[1]}", found[2], items
        finally:
            process.kill()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport=PHONE, locale="en-US", is_mobile=True, has_touch=True)
    page = context.new_page()
    page.set_default_timeout(SECONDS)
    yield page
    context.close()


def test_the_printed_link_lets_in(link: Link, page: Any) -> None:
    address, path, items = link
    page.goto(address + path)
    page.wait_for_selector("#count:not(:empty)", state="attached")
    assert page.url == address + "/"  # what people copy holds no key
    assert [cookie["httpOnly"] for cookie in page.context.cookies() if cookie["name"] == COOKIE] == [True]
    choose(page, items[14])
    assert page.locator(".match").count() > 1
    assert page.evaluate("[...document.querySelectorAll('.match img')][0].decode().then(() => true)")
    do_and_wait(page, page.get_by_role("button", name=re.compile("^More like")).first.click)
    page.reload()
    page.wait_for_selector("[data-state=done] #matches .match:not(.blank)")


@pytest.mark.parametrize("path", ["/", "/?key=guessed", "/overview"])
def test_without_the_link_the_page_says_what_is_missing(link: Link, page: Any, path: str) -> None:
    page.goto(link[0] + path)
    page.wait_for_selector("#problem:not(:empty)")
    assert "link" in page.locator("#problem").inner_text()
    assert page.locator(".match").count() == 0
    assert not [cookie for cookie in page.context.cookies() if cookie["name"] == COOKIE]
    with page.expect_response("**/v1/catalog") as caught:
        page.reload()
    assert caught.value.status == 401
