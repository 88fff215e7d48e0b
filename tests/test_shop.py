"""Reading a whole shop, from a local one of some hundreds of products that has what real shops have."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from focusedfashion import settings
from focusedfashion.errors import MissingExtra, SourceError
from focusedfashion.fetch import Fetcher
from focusedfashion.items import Failure, Item
from focusedfashion.sources.robots import Robots, load_robots
from focusedfashion.sources.shop import read_shop
from focusedfashion.sources.sitemap import parse_sitemap
from focusedfashion.sources.sites import clean_url, find_site, may_follow
from web import Asked, Reply, Web, serve_web

COUNT = 300
A_LIST = 12  # products on one page of a category


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "SHOP_PAUSE", 0.0)
    monkeypatch.setattr(settings, "FETCH_TRIES", 1)


@pytest.fixture
def fetcher() -> Iterator[Fetcher]:
    with Fetcher(allow_private=True) as fetcher:
        yield fetcher


@dataclass
class Shop:
    """A shop of `count` garments in three languages; what a product's page has depends on its number."""

    count: int = COUNT
    robots: str | Reply = "User-agent: *\nDisallow: /cart\nDisallow: /private/\nCrawl-delay: 0\n"
    sitemaps: bool = True
    cents: float = 0.9
    more: dict[str, Callable[[str], Reply]] = field(default_factory=dict)

    def answer(self, asked: Asked) -> Reply:
        home = f"http://{asked.headers['host']}"
        path, _, query = asked.path.partition("?")
        parts = path.strip("/").split("/")
        if asked.path in self.more:
            return self.more[asked.path](home)
        if path == "/robots.txt":
            named = f"Sitemap: {home}/sitemaps/index.xml\n" if self.sitemaps else ""
            return self.robots if isinstance(self.robots, Reply) else text(self.robots + named)
        if path == "/":
            links = "".join(f'<a href="/c/{language}">{language}</a>' for language in ("en", "fr", "de"))
            return html(f"<nav>{links}<a href=/cart>Cart</a><a href=/about>About</a></nav>")
        if path.startswith("/sitemaps/") and self.sitemaps:
            return self.sitemap(home, parts[1])
        if parts[0] == "c":
            return html(self.list_products(parts[1], int(query.removeprefix("page=") or 1)))
        if parts[0] == "p" and int(parts[1]) < self.count:
            return self.product(home, int(parts[1]))
        return html("<p>About us <a href=/private/1>internal</a>") if path in ("/about", "/cart") else Reply(status=404)

    def sitemap(self, home: str, name: str) -> Reply:
        if name == "index.xml":
            names = ("pages.xml", "products-1.xml.gz", "products-2.xml")
            inner = "".join(f"<sitemap><loc>{home}/sitemaps/{name}</loc></sitemap>" for name in names)
            return Reply(f"<?xml version='1.0'?><sitemapindex xmlns='x'>{inner}</sitemapindex>".encode())
        if name == "pages.xml":
            return Reply(urlset(f"{home}/", f"{home}/about", f"{home}/c/en", f"{home}/cart", f"{home}/private/7"))
        half = self.count // 2
        numbers = range(half) if "1" in name else range(half, self.count)
        data = urlset(*(f"{home}/p/{number}" for number in numbers))
        return Reply(gzip.compress(data) if name.endswith("gz") else data)

    def list_products(self, language: str, number: int) -> str:
        """A category's page: cards in microdata, links in other orders, and the next page."""
        own = [n for n in range(self.count) if LANGUAGES[n % 3] == language]
        shown = own[(number - 1) * A_LIST : number * A_LIST]
        cards = "".join(
            f'<li itemscope itemtype="http://schema.org/Product"><a itemprop=url href="/p/{n}?utm_source=list">'
            f'<img itemprop=image src="/i/{n}-small.jpg"><b itemprop=name>{title(n)}</b></a></li>'
            for n in shown
        )
        following = f'<a rel=next href="?page={number + 1}">next</a>' if number * A_LIST < len(own) else ""
        return f'{cards}<a href="?sort=price">by price</a><a href="/cart?add-to-cart={shown[0]}">buy</a>{following}'

    def product(self, home: str, n: int) -> Reply:
        related = f'<div class=related><a href="/p/{(n + 3) % self.count}">next</a></div>'
        return html(f'<link rel=canonical href="{home}/p/{n}">{self.markup(home, n)}{related}')

    def markup(self, home: str, n: int) -> str:
        kind = find_kind(n)
        picture = f"{home}/i/{n}.jpg"
        thing: dict[str, Any] = {"@type": "Product", "sku": f"S{n}", "name": title(n), "image": picture}
        price = write_price(n, self.cents)
        thing["offers"] = {"@type": "Offer", "price": price, "priceCurrency": CURRENCIES[n % 3]}
        lazy = f'<div class=gallery><img src="data:image/gif;base64,R0" data-src="{picture}"></div>'
        if kind == "lazy":
            return script({**thing, "image": None}) + lazy
        if kind == "no picture":
            return script({**thing, "image": None}) + '<img src="/logo.png">'
        if kind == "broken":
            return script(thing).replace('"name"', "name'")
        if kind == "sloppy":
            return script(thing).replace("}}", ",},}").replace(title(n), f"{title(n)}\n")
        if kind == "microdata":
            return (
                f'<div itemscope itemtype="https://schema.org/Product"><h1 itemprop=name>{title(n)}</h1>'
                f'<meta itemprop=sku content="S{n}"><img itemprop=image src="/blank.gif" data-src="/i/{n}.jpg">'
                f"<div itemprop=offers itemscope itemtype=http://schema.org/Offer><b itemprop=price>{price}</b>"
                f"<i itemprop=priceCurrency content={CURRENCIES[n % 3]}></div>"
            )
        if kind == "opengraph":
            return (
                f'<meta property="og:type" content="product"><meta property="og:title" content="{title(n)}">'
                f'<meta property="og:image" content="{picture}">'
                f'<meta property="product:price:amount" content="{price}">'
                f'<meta property="product:price:currency" content="{CURRENCIES[n % 3]}">'
            )
        if kind == "group":
            variants = [{**thing, "sku": f"S{n}-{c}", "color": c, "image": f"{home}/i/{n}-{c}.jpg"} for c in COLORS]
            group = {"@type": "ProductGroup", "productGroupID": f"S{n}", "name": title(n), "hasVariant": variants}
            return script({"@graph": [{"@type": "WebPage"}, group]})
        return script(thing)

    def expect(self, home: str) -> dict[str, tuple[str, str, float, str, str]]:
        """item_id -> (product_id, title, price, currency, picture) of all that can be read."""
        expected = {}
        for n in range(self.count):
            kind = find_kind(n)
            names = [f"S{n}-{c}" for c in COLORS] if kind == "group" else [f"S{n}"]
            names = [f"{home}/p/{n}"] if kind == "opengraph" else names
            for name, color in zip(names, COLORS, strict=False) if kind not in ("no picture", "broken") else ():
                picture = f"{home}/i/{n}-{color}.jpg" if kind == "group" else f"{home}/i/{n}.jpg"
                product = f"S{n}" if kind == "group" else name
                expected[name] = (product, title(n), 10.0 + 7 * n + self.cents, CURRENCIES[n % 3], picture)
        return expected


LANGUAGES = ("en", "fr", "de")
CURRENCIES = ("GBP", "EUR", "EUR")
COLORS = ("red", "blue")


def title(n: int) -> str:
    return ("Dress {}", "Robe d'été n° {}", "Kleid für {} Größen")[n % 3].format(n)


def find_kind(n: int) -> str:
    if n % 29 == 7:
        return "broken" if n % 2 else "no picture"
    return ("plain", "microdata", "opengraph", "group", "lazy", "sloppy")[n % 6]


def write_price(n: int, cents: float) -> str:
    whole, rest = 10 + 7 * n, f"{round(cents * 100):02}"
    if n % 3 == 0:
        return f"{whole}.{rest}"
    return f"{whole:,}".replace(",", " " if n % 3 == 1 else ".") + f",{rest}"


def script(thing: Any) -> str:
    return f'<script type="application/ld+json">{json.dumps(thing, ensure_ascii=False)}</script>'


def html(body: str, **more: Any) -> Reply:
    return Reply(body.encode(), headers={"Content-Type": "text/html; charset=utf-8"}, **more)


def text(body: str) -> Reply:
    return Reply(body.encode(), headers={"Content-Type": "text/plain"})


def urlset(*urls: str, changed: str = "") -> bytes:
    changed = f"<lastmod>{changed}</lastmod>" if changed else ""
    inner = "".join(f"<url><loc>{url}</loc>{changed}</url>\n" for url in urls)
    return f'<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{inner}</urlset>'.encode()


def sort_out(entries: Iterator[Item | Failure]) -> tuple[list[Item], dict[str, str]]:
    """-> (the items, the reasons of the failures by their ids)"""
    items, failures = [], {}
    for entry in entries:
        if isinstance(entry, Item):
            items.append(entry)
        else:
            assert entry.item_id not in failures, entry
            assert "\n" not in entry.reason
            failures[entry.item_id] = entry.reason
    return items, failures


def describe(items: list[Item]) -> dict[str, tuple[Any, ...]]:
    assert len({item.item_id for item in items}) == len(items)
    return {item.item_id: (item.product_id, item.title, item.price, item.currency, item.picture) for item in items}


def count_asked(web: Web) -> Counter[str]:
    return Counter(asked.path for asked in web.asked)


# The whole


def test_a_shop_with_sitemaps(fetcher: Fetcher) -> None:
    shop = Shop()
    with serve_web(shop.answer) as web:
        items, failures = sort_out(read_shop(web.address, fetcher))
        assert describe(items) == shop.expect(web.address)
        assert len(items) == 337
        asked = count_asked(web)
        assert set(asked.values()) == {1}  # nothing twice
        assert web.most_under_way == 1  # one at a time
        assert not any(path.startswith(("/cart", "/private")) for path in asked)
        broken = [n for n in range(COUNT) if find_kind(n) in ("broken", "no picture")]
        assert len(failures) == len(broken) + 2
        for n in broken:
            reason = failures.get(f"S{n}") or failures[f"{web.address}/p/{n}, line 1"]
            wanted = (
                f"no picture of '{title(n)}'" if find_kind(n) == "no picture" else "line 1: JSON-LD that is no JSON"
            )
            assert wanted in reason, reason
            assert f"{web.address}/p/{n}" in reason
        assert failures[f"{web.address} (robots.txt)"] == (
            f"{web.address}: 2 pages left out: robots.txt forbids 'focusedfashion' to read them; for example "
            f"{web.address}/cart, {web.address}/private/7"
        )
        reason = failures[f"{web.address} (no product)"]
        assert reason.startswith(f"{web.address}: 2 pages left out: no product in the markup")


def test_a_shop_without_a_sitemap(fetcher: Fetcher) -> None:
    """By its links: categories, page by page, each product's own page, and nothing that a cart would notice."""
    shop = Shop(sitemaps=False)
    with serve_web(shop.answer) as web:
        items, failures = sort_out(read_shop(web.address, fetcher))
        assert describe(items) == shop.expect(web.address)
        asked = count_asked(web)
        assert set(asked.values()) == {1}
        pages = {
            f"/c/{language}{query}" for language in LANGUAGES for query in ("", *(f"?page={n}" for n in range(2, 10)))
        }
        known = {"/", "/about", "/robots.txt", "/sitemap.xml", "/sitemap_index.xml", *pages}
        assert set(asked) == known | {f"/p/{n}" for n in range(COUNT)}
        assert failures[f"{web.address} (robots.txt)"].endswith(f"{web.address}/private/1")


def test_a_list_of_one_product_is_a_list(fetcher: Fetcher) -> None:
    """And a product's page is its own, whatever address a plug-in gives it."""
    shop = Shop(count=37, sitemaps=False)  # 13 in English: one on the second page
    wrong = {"@type": "Product", "name": "Hat", "image": "/hat.jpg", "url": "/products/old-hat"}
    shop.more["/about"] = lambda _: html(script(wrong) + "<a href=/front>x</a>")
    front = [{**wrong, "name": "Cap", "url": "/"}, {**wrong, "name": "Scarf", "url": "/p/0", "sku": "Scarf"}]
    shop.more["/front"] = lambda _: html(script(front))
    with serve_web(shop.answer) as web:
        items, _ = sort_out(read_shop(web.address, fetcher))
        assert web.count("/c/en?page=2") == 1
        expected = shop.expect(web.address)
        assert {name: known for name, known in describe(items).items() if name in expected} == expected
        assert {item.title for item in items if item.item_id not in expected} == {"Hat", "Cap"}


def test_a_shop_by_its_sitemap_or_without_a_scheme(fetcher: Fetcher) -> None:
    with serve_web(Shop(count=20, sitemaps=True).answer) as web:
        items, _ = sort_out(read_shop(f"{web.address}/sitemaps/products-1.xml.gz", fetcher))
        assert len({item.product_id for item in items}) == 9  # of 10, one is broken
        assert web.count("/") == 0
    with pytest.raises(SourceError, match=r"https://127\.0\.0\.1:9/robots.txt"):
        read_shop("127.0.0.1:9", fetcher)
    with pytest.raises(SourceError, match="no web address; a shop is named like"):
        read_shop("ftp://shop.example", fetcher)


def test_the_page_limit(fetcher: Fetcher) -> None:
    with serve_web(Shop().answer) as web:
        items, failures = sort_out(read_shop(web.address, fetcher, most_pages=21))
        assert sum(path.startswith("/p/") for path in count_asked(web)) == 20  # and the first page
        assert items
        reason = failures[f"{web.address} (limit)"]
        assert "131 pages left out: the limit of 21 pages is reached, and there may be more; for example " in reason
        assert web.count("/sitemaps/products-2.xml") == 0
    with serve_web(Shop(sitemaps=False).answer) as web:
        _, failures = sort_out(read_shop(web.address, fetcher, most_pages=30))
        assert f"{web.address} (limit)" in failures
        assert len(web.asked) == 30 + 3


# Politeness


@pytest.mark.parametrize(("robots", "pause"), [("Crawl-delay: 0.15", 0.15), ("Request-rate: 1/5", 0.1), ("", 0.05)])
def test_pauses(monkeypatch: pytest.MonkeyPatch, fetcher: Fetcher, robots: str, pause: float) -> None:
    monkeypatch.setattr(settings, "SHOP_PAUSE", 0.05)
    monkeypatch.setattr(settings, "MAX_CRAWL_DELAY", 0.1 if "rate" in robots else 9.0)
    times: list[float] = []
    shop = Shop(count=3, robots=f"User-agent: *\n{robots}\n")

    def answer(asked: Asked) -> Reply:
        times.append(time.monotonic())
        return shop.answer(asked)

    with serve_web(answer) as web:
        sort_out(read_shop(web.address, fetcher))
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert len(gaps) == 12
    assert min(gaps) >= pause
    assert sorted(gaps)[6] < pause + 0.1


def allow(robots: str, path: str) -> bool:
    return Robots(robots).allows(f"http://shop.example{path}")


def test_the_rules_of_robots_txt() -> None:
    """RFC 9309: the group for us before that for all, groups joined, the longest match, wildcards, allow on a tie."""
    rules = "User-agent: *\nDisallow: /\n\nUser-Agent: other\nUser-agent: FocusedFashion\nDisallow: /a\nAllow: /a/b\n"
    rules += "Disallow: /*.pdf$\nDisallow: /*?sort=\n\nUser-agent: x\nDisallow: /z\n"
    rules += "User-agent: focusedfashion\nDisallow: /c # x"
    allowed = ["/", "/robots.txt", "/a/b/c", "/A", "/d.pdf?x", "/d?x=1", "/z"]
    forbidden = ["/a", "/apple", "/a/c", "/d.pdf", "/d?sort=1", "/c", "/c/d", "/%61"]
    assert [path for path in allowed + forbidden if allow(rules, path)] == allowed
    assert allow("Disallow: /", "/x")  # of no group
    assert allow("User-agent: *\nDisallow:\n", "/x")
    assert allow("User-agent: *\nAllow: /x\nDisallow: /x\n", "/x")
    assert not allow("User-agent: *\r\nDisallow: /é\r\n", "/%C3%A9")
    assert allow("<html>User-agent: none</html>", "/x")
    start = time.monotonic()
    assert allow("User-agent: *\nDisallow: /" + "*a" * 1_000 + "b$", "/" + "a" * 5_000)
    assert time.monotonic() - start < 1


@pytest.mark.parametrize(
    ("reply", "allows"),
    [
        (Reply(status=404), True),
        (Reply(status=403), True),
        (text("\ufeffUser-agent: *\nDisallow: /x"), False),
        (text("#" * 600_000 + "\nUser-agent: *\nDisallow: /x"), True),
        (text("User-agent: *\nDisallow: /x\n" + "#\n" * 300_000 + "Disallow: /y"), False),
        (Reply(status=301, headers={"Location": "/r.txt"}), False),
        (Reply(b"\xff\xfe\x00garbage"), True),
    ],
)
def test_the_answer_for_robots_txt(fetcher: Fetcher, reply: Reply, allows: bool) -> None:
    with serve_web({"/robots.txt": reply, "/r.txt": text("User-agent: *\nDisallow: /x")}) as web:
        robots, _ = load_robots(web.address, fetcher)
        assert robots.allows(f"{web.address}/x") is allows
        assert robots.allows(f"{web.address}/y")


@pytest.mark.parametrize("status", [500, 503, 429])
def test_no_answer_for_robots_txt_forbids_all(fetcher: Fetcher, status: int) -> None:
    with serve_web(Shop(count=3, robots=Reply(status=status)).answer) as web:
        with pytest.raises(SourceError, match=rf"so nothing is: {web.address}/robots.txt: HTTP {status}"):
            read_shop(web.address, fetcher)
        assert set(count_asked(web)) == {"/robots.txt"}


@pytest.mark.parametrize("sitemaps", [True, False])
def test_robots_txt_that_forbids_everything(fetcher: Fetcher, sitemaps: bool) -> None:
    shop = Shop(count=30, robots="User-agent: *\nDisallow: /\n", sitemaps=sitemaps)
    with serve_web(shop.answer) as web:
        with pytest.raises(SourceError, match=f"{web.address}/robots.txt forbids 'focusedfashion' to read the shop"):
            read_shop(web.address, fetcher)
        assert not any(path.startswith(("/p", "/c")) or path == "/" for path in count_asked(web))


# What goes wrong


def test_pages_that_cannot_be_read(fetcher: Fetcher) -> None:
    shop = Shop(count=40)
    with serve_web(Shop(count=3).answer) as other, serve_web(shop.answer) as web:
        shop.more = {
            "/p/0": lambda _: Reply(status=302, headers={"Location": f"{other.address}/p/0"}),
            "/p/1": lambda _: Reply(b"<p>" * 2**20, forever=True, headers={"Content-Type": "text/html"}),
            "/p/2": lambda _: Reply(status=404),
            "/p/3": lambda _: Reply(status=301, headers={"Location": "/p/4"}),
            "/p/5": lambda _: Reply(b"%PDF-1.4", headers={"Content-Type": "application/pdf"}),
            "/p/6": lambda _: Reply(status=301, headers={"Location": "/private/6"}),
            "/private/6": lambda home: html(shop.markup(home, 6)),
            "/p/8": lambda _: Reply(status=503),
            "/p/9": lambda _: html("<div>" * 100_000),
            "/p/11": lambda _: Reply(status=301, headers={"Location": "/p/4"}),
            "/p/10": lambda home: html(shop.markup(home, 12)),
        }
        items, failures = sort_out(read_shop(web.address, fetcher))
        left_out = {0, 1, 2, 3, 5, 6, 8, 9, 10, 11}
        expected = shop.expect(web.address)
        assert {item.title for item in items} == {known[1] for known in expected.values()} - set(map(title, left_out))
        reasons = {n: failures.get(f"{web.address}/p/{n}", "") for n in left_out}
        assert reasons[0] == f"{web.address}/p/0: redirected to another host, {other.address}/p/0"
        assert "10,485,760 bytes" in reasons[1]
        assert "HTTP 404" in reasons[2]
        assert reasons[5] == f"{web.address}/p/5: no web page, but application/pdf"
        assert "HTTP 503" in reasons[8]
        assert "its markup cannot be read" in reasons[9]
        assert failures[f"{web.address} (redirected)"].endswith(f"example {web.address}/p/11")
        assert f"{web.address}/p/6" in failures[f"{web.address} (robots.txt)"]
        assert failures[f"{web.address} (repeated)"].endswith(f"{web.address}/p/12")
        assert count_asked(other) == {"/p/0": 1}  # by the redirect itself


def test_a_shop_that_moved(fetcher: Fetcher) -> None:
    with serve_web(Shop(count=3).answer) as other, serve_web(Shop(count=3).answer) as web:
        shop = Shop(more={"/": lambda _: Reply(status=301, headers={"Location": f"{other.address}/"})})
        web.replies = shop.answer
        with pytest.raises(SourceError, match=f"redirected to another host, {other.address}/; name that shop"):
            read_shop(web.address, fetcher)


def test_a_shop_without_products(fetcher: Fetcher) -> None:
    replies = {"/": html("<a href=/about>About</a>"), "/about": html("x")}
    with (
        serve_web(replies) as web,
        pytest.raises(SourceError, match="no product was found on 2 pages; 1 page left out"),
    ):
        read_shop(web.address, fetcher)


def test_a_shop_that_lets_nobody_in(fetcher: Fetcher) -> None:
    with serve_web(lambda _: Reply(status=403)) as web, pytest.raises(SourceError, match="/: HTTP 403 Forbidden"):
        read_shop(web.address, fetcher)


def test_a_shop_that_dies(fetcher: Fetcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "HOST_FAILURES", 10**6)
    monkeypatch.setattr(settings, "SHOP_FAILURES", 4)
    shop = Shop(count=60)
    state = tmp_path / "shop.pages"
    with serve_web(shop.answer) as web:
        whole = shop.expect(web.address)
        shop.more = {f"/p/{n}": lambda _: Reply(status=503) for n in range(10, 60)}
        items, failures = sort_out(read_shop(web.address, fetcher, state=state))
        assert "gave none of the last 4 pages and is left alone" in failures[f"{web.address} (stopped)"]
        assert len(web.asked) == 4 + 14
        assert set(describe(items)) == {
            name for name in whole if int(name.rpartition("/")[2].split("-")[0].strip("S")) < 10
        }

        shop.more = {}
        items, failures = sort_out(read_shop(web.address, fetcher, state=state))
        assert describe(items) == whole
        assert count_asked(web)["/p/3"] == 1  # goes on where it was


def test_a_trap_of_links(fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "SHOP_BARREN", 25)
    shop = Shop(count=6, sitemaps=False)

    def answer(asked: Asked) -> Reply:
        if asked.path == "/about" or asked.path.startswith("/calendar"):
            number = int(asked.path.rpartition("/")[2]) if "/calendar/" in asked.path else 0
            return html(f'<a href="/calendar/{number + 1}">next</a><a href="/calendar/{number + 2}">later</a>')
        return shop.answer(asked)

    with serve_web(answer) as web:
        items, failures = sort_out(read_shop(web.address, fetcher))
        assert describe(items) == shop.expect(web.address)
        assert "after 25 pages without a new product" in failures[f"{web.address} (barren)"]
        assert sum("calendar" in path for path in count_asked(web)) <= 25


# Going on, and once more


def test_a_run_that_was_killed_goes_on(tmp_path: Path, fetcher: Fetcher) -> None:
    state = tmp_path / "shop.pages"
    program = (
        "import sys; from pathlib import Path; from focusedfashion import settings; settings.SHOP_PAUSE = 0.01\n"
        "from focusedfashion.fetch import Fetcher; from focusedfashion.sources.shop import read_shop\n"
        "for entry in read_shop(sys.argv[1], Fetcher(allow_private=True), state=Path(sys.argv[2])):\n"
        "    print(entry.item_id, flush=True)\n"
    )
    shop = Shop(robots="User-agent: *\nDisallow: /cart\nDisallow: /private/\n")
    with serve_web(shop.answer) as web:
        with subprocess.Popen(
            [sys.executable, "-c", program, web.address, str(state)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            for _ in range(2):
                process.stdout.readline()
            while len(web.asked) < 100 and process.poll() is None:
                time.sleep(0.01)
            os.kill(process.pid, signal.SIGKILL)
        before = count_asked(web)
        assert 100 <= len(before) < 200
        items, _ = sort_out(read_shop(web.address, fetcher, state=state))
        assert describe(items) == shop.expect(web.address)
        twice = [path for path, count in count_asked(web).items() if count > 1]
        # The page that was under way, and what is asked for in any case.
        pages = [path for path in twice if path.startswith("/p/")]
        assert len(pages) <= 1
        assert set(twice) - set(pages) <= {"/robots.txt", "/sitemaps/index.xml", "/sitemaps/products-1.xml.gz"}


def test_a_reader_that_stops_goes_on(tmp_path: Path, fetcher: Fetcher) -> None:
    state = tmp_path / "shop.pages"
    with serve_web(Shop(count=60).answer) as web:
        entries = read_shop(web.address, fetcher, state=state)
        for _ in range(10):
            next(entries)
        del entries
        asked = len(web.asked)
        items, _ = sort_out(read_shop(web.address, fetcher, state=state))
        assert describe(items) == Shop(count=60).expect(web.address)
        assert asked < 20
        twice = {path for path, count in count_asked(web).items() if count > 1}
        assert twice == {"/robots.txt", "/sitemaps/index.xml", "/sitemaps/products-1.xml.gz"}


def test_a_later_run_asks_for_what_may_have_changed(tmp_path: Path, fetcher: Fetcher) -> None:
    """Unchanged by the sitemap: not asked. With an ETag: asked, not sent. Gone: not given. All others are read anew."""
    state = tmp_path / "shop.pages"
    shop = Shop(count=12)
    changed = dict.fromkeys(range(4), "2026-01-01T00:00:00Z")
    sent: list[str] = []

    def sitemap(home: str) -> Reply:
        urls = (f"<url><loc>{home}/p/{n}</loc><lastmod>{changed.get(n, '')}</lastmod></url>" for n in range(12))
        return Reply(f"<urlset>{''.join(urls)}</urlset>".encode())

    def answer(asked: Asked) -> Reply:
        reply = shop.answer(asked)
        if asked.path.startswith("/p/") and int(asked.path[3:]) >= 4:
            tag = f'"{shop.cents}"'
            if asked.headers.get("if-none-match") == tag:
                return Reply(status=304, headers={"ETag": tag})
            sent.append(asked.path)
            return Reply(reply.body, reply.status, {**reply.headers, "ETag": tag})
        return reply

    shop.more["/sitemaps/index.xml"] = sitemap
    with serve_web(answer) as web:
        items, _ = sort_out(read_shop(web.address, fetcher, state=state))
        assert describe(items) == shop.expect(web.address)
        assert len(sent) == 8
        time.sleep(0.01)

        items, _ = sort_out(read_shop(web.address, fetcher, state=state))
        assert describe(items) == shop.expect(web.address)
        assert len(sent) == 8
        asked = count_asked(web)
        assert {asked[f"/p/{n}"] for n in range(4)} == {1}
        assert {asked[f"/p/{n}"] for n in range(4, 12)} == {2}

        shop.cents = 0.5
        changed[1] = "2026-02-02T00:00:00Z"
        shop.more["/p/5"] = lambda _: Reply(status=410)
        shop.more["/p/6"] = lambda _: Reply(status=503)
        old = Shop(count=12).expect(web.address)
        new = shop.expect(web.address)
        items, failures = sort_out(read_shop(web.address, fetcher, state=state))
        kept = (0, 2, 3, 6)  # unchanged by the sitemap; not given for the moment
        expected = {
            name: (old if any(f"S{n}" == name.split("-")[0] or name.endswith(f"/p/{n}") for n in kept) else new)[name]
            for name in new
            if name != "S5"
        }
        assert describe(items) == expected
        assert "HTTP 410" in failures[f"{web.address}/p/5"]
        assert "HTTP 503" in failures[f"{web.address}/p/6"]


def test_a_sitemap_that_only_names_a_day_is_not_believed_on_that_day(tmp_path: Path, fetcher: Fetcher) -> None:
    for day, asked in ((time.strftime("%Y-%m-%d", time.gmtime()), 2), ("2026-01-01", 1)):
        shop = Shop(count=2)
        shop.more["/sitemaps/index.xml"] = lambda home, day=day: Reply(urlset(f"{home}/p/0", changed=day))  # type: ignore[misc]
        with serve_web(shop.answer) as web:
            for _ in range(2):
                sort_out(read_shop(web.address, fetcher, state=tmp_path / day))
                time.sleep(0.01)
            assert web.count("/p/0") == asked


def test_a_state_that_is_none(tmp_path: Path, fetcher: Fetcher) -> None:
    with serve_web(Shop(count=3).answer) as web:
        state = tmp_path / "shop.pages"
        state.write_text("this is no database, but a text that is long enough to be taken for one" * 100)
        with pytest.raises(SourceError, match=r"shop.pages does not hold what was read of a shop .*; remove it"):
            read_shop(web.address, fetcher, state=state)
        with pytest.raises(SourceError, match="cannot be kept there"):
            read_shop(web.address, fetcher, state=tmp_path / "no folder" / "shop.pages")
        old = sqlite3.connect(tmp_path / "old")
        old.execute("CREATE TABLE pages (url TEXT)")  # of another version
        old.close()
        items, _ = sort_out(read_shop(web.address, fetcher, state=tmp_path / "old"))
        assert items


# Sitemaps


def read_map(data: bytes) -> tuple[list[tuple[bool, str, str]], str]:
    """-> (the entries, what was wrong after them or "")"""
    found = []
    try:
        for is_index, entry in parse_sitemap(data):
            found.append((is_index, *entry))
    except ValueError as error:
        return found, str(error)
    return found, ""


ENTRY = [(False, "http://a/1", "")]


@pytest.mark.parametrize(
    ("data", "entries", "problem"),
    [
        (urlset("http://a/1"), ENTRY, ""),
        (gzip.compress(urlset("http://a/1")), ENTRY, ""),
        (gzip.compress(urlset("http://a/1")[:40]) + gzip.compress(urlset("http://a/1")[40:]), ENTRY, ""),
        (b"\xef\xbb\xbf\n\n" + urlset("http://a/1"), ENTRY, ""),
        (urlset("http://a/1").decode().encode("utf-16"), ENTRY, ""),
        (urlset("\n http://a/1 \n"), ENTRY, ""),
        (urlset("<![CDATA[http://a/1?b&c]]>"), [(False, "http://a/1?b&c", "")], ""),
        (urlset("http://a/1?b=2&c=3"), [(False, "http://a/1?b=2&c=3", "")], ""),
        (urlset("http://a/1?b=2&amp;c=3\x01"), [(False, "http://a/1?b=2&c=3", "")], ""),
        (urlset("http://a/1", changed=" 2026-01-31 "), [(False, "http://a/1", "2026-01-31")], ""),
        (b"http://a/1\r\n\r\n  http://a/2", [*ENTRY, (False, "http://a/2", "")], ""),
        (
            b"<sm:sitemapindex><sm:sitemap><sm:loc>http://a/1</sm:loc></sm:sitemap></sm:sitemapindex>",
            [(True, "http://a/1", "")],
            "",
        ),
        (
            b"<urlset><url><image:image><image:loc>http://a/i.jpg</image:loc></image:image><loc>http://a/1</loc>"
            b"<xhtml:link rel='alternate' href='http://a/2'/></url></urlset>",
            ENTRY,
            "",
        ),
        (urlset("http://a/1")[:-9], ENTRY, "line 2, column 1: no XML (no element found)"),
        (
            urlset("http://a/1").replace(b"</urlset>", b"<url><loc></url>"),
            ENTRY,
            "line 2, column 13: no XML (mismatched tag)",
        ),
        (gzip.compress(urlset("http://a/1") * 1)[:-12], None, ""),
        (b"", [], "it is empty"),
        (b"  ", [], "it is empty"),
        (b"\x1f\x8bgarbage", [], "its compression is damaged"),
        (b"<!DOCTYPE html><html><p>not found</html>", [], "a web page, not a sitemap"),
        (b'<?xml version="1.0"?><rss><channel/></rss>', [], "line 1: it is <rss>, not a sitemap"),
        (b"Not found", [], "line 1: neither XML nor a list of addresses: 'Not found'"),
        (
            b'<?xml version="1.0"?><!DOCTYPE urlset [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
            b"<urlset><url><loc>&b;</loc>",
            [],
            "line 1: the entity 'a' is declared here: such sitemaps are not read, for entities can harm",
        ),
        (
            b'<!DOCTYPE urlset [<!ENTITY x SYSTEM "file:///etc/passwd">]><urlset><url><loc>&x;</loc></url></urlset>',
            [],
            "line 1: the entity 'x' is declared here: such sitemaps are not read, for entities can harm",
        ),
        (b"<urlset>" + b"<a>" * 100, [], "line 1: more than 64 elements inside each other"),
    ],
)
def test_sitemaps(data: bytes, entries: Any, problem: str) -> None:
    found, reason = read_map(data)
    if entries is not None:
        assert (found, reason) == (entries, problem)


def test_sitemaps_that_unpack_to_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "MAX_SITEMAP_BYTES", 10_000)
    assert read_map(gzip.compress(b" " * 10_000)) == ([], "it is empty")
    assert read_map(gzip.compress(b" " * 1_000_000)) == ([], "it unpacks to more than 10,000 bytes")


def test_sitemaps_that_lead_astray(fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other hosts, circles, indexes in indexes; a broken one costs what is behind its break."""
    monkeypatch.setattr(settings, "MAX_SITEMAPS", 8)
    shop = Shop(count=8)

    def index(home: str, *names: str) -> Reply:
        urls = (name if "://" in name else f"{home}/{name}" for name in names)
        return Reply(urlset(*urls).replace(b"urlset", b"sitemapindex").replace(b"url>", b"sitemap>"))

    with serve_web(Shop(count=8).answer) as other, serve_web(shop.answer) as web:
        far = f"{other.address}/sitemaps/products-1.xml.gz"
        shop.more = {
            "/sitemaps/index.xml": lambda home: index(
                home, "sitemaps/index.xml", far, "a.xml", "b.xml", "deep.xml", "404"
            ),
            "/a.xml": lambda home: Reply(urlset(f"{home}/p/0", f"{other.address}/p/1", f"{home}/i/x.jpg", "mailto:a")),
            "/b.xml": lambda home: Reply(urlset(f"{home}/p/4")[:-9] + b"<url><loc>" + f"{home}/p/5".encode()),
            "/deep.xml": lambda home: index(home, "deeper.xml"),
            "/deeper.xml": lambda home: index(home, "deepest.xml"),
            "/deepest.xml": lambda home: Reply(urlset(f"{home}/p/2")),
        }
        items, failures = sort_out(read_shop(web.address, fetcher))
        assert [item.item_id for item in items] == ["S0", "S4"]
        assert failures[far].endswith(f"a sitemap of another site, named by {web.address}/sitemaps/index.xml")
        assert "line 2, column" in failures[f"{web.address}/b.xml"]
        assert failures[f"{web.address}/deeper.xml"].endswith("more than 3 sitemap indexes inside each other")
        assert failures[f"{web.address}/404"].startswith(f"the sitemap {web.address}/404: HTTP 404")
        assert "2 pages left out: they are listed here, but of other hosts" in failures[f"{web.address} (other hosts)"]
        assert not other.asked


def test_a_sitemap_of_another_host_that_robots_txt_names(fetcher: Fetcher) -> None:
    shop = Shop(count=4, sitemaps=False)
    with serve_web(shop.answer) as web, serve_web({}) as other:
        other.replies = {"/m.txt": text("\n".join(f"{web.address}/p/{n}" for n in range(4)))}
        shop.robots = f"Sitemap: {other.address}/m.txt\nSitemap: /m2.txt\n"
        shop.more["/m2.txt"] = lambda home: text(f"{home}/p/3")
        items, failures = sort_out(read_shop(web.address, fetcher))
        assert describe(items) == shop.expect(web.address)
        assert not failures


def test_sitemaps_that_list_no_product_are_followed_on(fetcher: Fetcher) -> None:
    shop = Shop(count=20)
    shop.more["/sitemaps/index.xml"] = lambda home: Reply(urlset(*(f"{home}/c/{language}" for language in LANGUAGES)))
    with serve_web(shop.answer) as web:
        items, _ = sort_out(read_shop(web.address, fetcher))
        assert describe(items) == shop.expect(web.address)


def test_the_usual_place_of_a_sitemap(fetcher: Fetcher) -> None:
    shop = Shop(count=10, sitemaps=False)
    shop.more["/sitemap.xml"] = lambda home: Reply(urlset(*(f"{home}/p/{n}" for n in range(10))))
    with serve_web(shop.answer) as web:
        items, _ = sort_out(read_shop(web.address, fetcher))
        assert describe(items) == shop.expect(web.address)
        assert web.count("/sitemap.xml") == 1
        assert web.count("/c/en") == 0


# Addresses


def test_sites_and_addresses() -> None:
    assert find_site("https://WWW.Shop.example:443/a") == find_site("http://shop.example./b") == "shop.example"
    assert find_site("https://shop.example:8443") == "shop.example:8443"
    assert find_site("mailto:a@b") == find_site("https://") == find_site("http://a:b:c/") == ""
    assert clean_url("../b?utm_source=x&id=1&gclid=2#top", "HTTP://Shop.example:80/a/c") == "http://shop.example/b?id=1"
    assert clean_url("?page=2", "http://a/c/d?page=1") == "http://a/c/d?page=2"
    assert clean_url("javascript:void(0)", "http://a/") == clean_url("http://user@a/") == clean_url("http://[x") == ""


@pytest.mark.parametrize(
    ("path", "followed"),
    [
        ("/p/1", True),
        ("/c/dresses?page=2", True),
        ("/product.php?id=7&cat=2", True),
        ("/cartoon-shirts", True),
        ("/cart", False),
        ("/de/warenkorb/", False),
        ("/my-account/orders", False),
        ("/c?add-to-cart=7", False),
        ("/c?sort_by=price", False),
        ("/c?a=1&b=2&c=3&d=4", False),
        ("/a.jpg", False),
        ("/x?PHPSESSID=abc", False),
        ("/" + "a" * 10_000, False),
    ],
)
def test_links_that_are_followed(path: str, followed: bool) -> None:
    assert may_follow(f"http://shop.example{path}") is followed


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, fetcher: Fetcher) -> None:
    monkeypatch.setitem(sys.modules, "protego", None)
    with (
        serve_web(Shop(count=3).answer) as web,
        pytest.raises(MissingExtra, match="a whole shop needs the extra 'web'"),
    ):
        read_shop(web.address, fetcher)
