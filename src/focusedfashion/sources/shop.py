"""A whole shop as a source: its products' pages, found by robots.txt and sitemaps, or else by its links.

One request at a time, with a pause after each, and nothing that robots.txt forbids.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from focusedfashion import settings
from focusedfashion.errors import FetchError, SourceError
from focusedfashion.fetch import Answer, Fetcher
from focusedfashion.items import Failure, Item
from focusedfashion.sources.markup import Page
from focusedfashion.sources.page import NO_PRODUCT, Origin, open_answer, read_entries
from focusedfashion.sources.robots import AGENT, find_status, load_robots
from focusedfashion.sources.schemaorg import Listing, count_products, find_listings
from focusedfashion.sources.sitemap import parse_sitemap, read_sitemaps
from focusedfashion.sources.sites import clean_url, find_root, find_site, is_file, looks_like_product, may_follow
from focusedfashion.sources.visits import Visit, Visits

_GONE = (400, 401, 403, 404, 405, 406, 410, 414, 451)  # what stays so when it is asked for once more

_PAGE_LINKS = 2_000  # of one page that are followed; the largest lists have some hundred
_EXAMPLES = 3  # of what was left out

# What is left out, in words.
_REASONS = {
    "robots.txt": f"robots.txt forbids '{AGENT}' to read them",
    "limit": "the limit of {most} pages is reached, and there may be more",
    "other hosts": "they are listed here, but of other hosts",
    "redirected": "they lead to pages that were read under another address",
    "repeated": "they have only products that other pages have too",
    "no product": NO_PRODUCT,
    "barren": "links are not followed after {barren} pages without a new product",
}


class _Enough(Exception):
    """No more pages may be read."""


@dataclass(slots=True)
class _Left:
    """What was left out for one reason."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, url: str, count: int = 1) -> None:
        self.count += count
        if len(self.examples) < _EXAMPLES:
            self.examples.append(url)


def read_shop(
    url: str, fetcher: Fetcher, *, most_pages: int = settings.SHOP_PAGES, state: Path | None = None
) -> Iterator[Item | Failure]:
    """A shop's address -> the pictures of its products (see `read_page`), in the order in which they are found.

    The pages are those of the sitemaps that robots.txt names, or of /sitemap.xml, or of the sitemap that `url` is; and
    if no product is among them, those that links lead to, from `url` on. Only pages of the shop's own host are read
    (with or without "www."), no more than `most_pages`, each at most once. A product that a list shows is read from
    its own page. The pause between two requests is what robots.txt asks for (up to MAX_CRAWL_DELAY), or SHOP_PAUSE.

    With the file `state`, a run that was cut off goes on where it was: what its pages gave comes from there, without a
    request. A later run asks only for what may have changed: not for a page that the sitemap says is as it was, and
    with ETag and Last-Modified for the others; all products come in any case. A page that the server does not give for
    the moment has its last products, and a Failure.

    What cannot be read is a Failure with its address; what is left out is one Failure for each reason, at the end,
    with a count. A shop that gives no page several times in a row is left alone: the next run goes on there. Raises
    SourceError where no product can be read, and where robots.txt does not allow it.
    """
    entries = _Shop(url, fetcher, most_pages, state).read()
    first = next(entries)
    return itertools.chain([first], entries)


class _Shop:
    """One run through a shop."""

    def __init__(self, url: str, fetcher: Fetcher, most_pages: int, state: Path | None) -> None:
        self._start = clean_url(url if "://" in url else f"https://{url}")
        if not self._start:
            raise SourceError(f"{url}: no web address; a shop is named like https://shop.example")
        self._fetcher = fetcher
        self._most_pages = most_pages
        self._site = find_site(self._start)
        self._visits = Visits(state, self._start)
        self._next = 0.0  # when the next request may be made, by the monotonic clock
        self._pages = 0
        self._items = 0
        self._failures = 0  # in a row
        self._seen: set[str] = set()  # pages that were read
        self._ids: set[str] = set()  # of items
        self._waiting: tuple[deque[str], deque[str]] = deque(), deque()  # links: those that look like products, others
        self._met: set[str] = set()  # links
        self._left: dict[str, _Left] = {}

    def read(self) -> Iterator[Item | Failure]:
        given = 0
        try:
            for entry in self._read():
                given += 1
                yield entry
            left = list(self._describe_left())
            if not given:
                raise SourceError(self._explain_nothing(left))
            yield from left
            if not self._is_dead:
                self._visits.finish()
        finally:
            self._visits.close()

    @property
    def _is_dead(self) -> bool:
        return self._failures >= settings.SHOP_FAILURES

    def _read(self) -> Iterator[Item | Failure]:
        self._open()
        loaded: dict[str, bytes] = {}
        sitemaps = [self._start]
        if not is_file(self._start):
            first = list(self._read_page(self._start, ""))
            sitemaps = [clean_url(url, self._root) or url for url in self._robots.sitemaps]
            loaded = {} if sitemaps else self._guess_sitemap()
            closed = not (sitemaps or loaded or any(self._waiting))
            for entry in first:
                if closed and isinstance(entry, Failure):
                    raise SourceError(entry.reason)
                yield entry
        before = self._items
        with contextlib.suppress(_Enough):
            yield from self._read_listed(sitemaps or list(loaded), loaded)
        if self._items == before:
            yield from self._follow_links()
        if self._is_dead:
            yield Failure(
                f"{self._root} (stopped)",
                "read",
                f"{self._root} gave none of the last {self._failures} pages and is left alone; start again to go on",
            )

    def _read_listed(self, sitemaps: list[str], loaded: dict[str, bytes]) -> Iterator[Item | Failure]:
        """The pages of sitemaps, some of which are loaded already. Raises _Enough."""

        def fetch(url: str) -> bytes:
            if self._pages >= self._most_pages:
                self._leave("limit", url)
            if self._pages >= self._most_pages or self._is_dead:
                raise _Enough
            return loaded.pop(url) if url in loaded else self._fetch(url)

        for entry in read_sitemaps(sitemaps, fetch):
            if isinstance(entry, Failure):
                yield entry
            elif find_site(entry.url) != self._site:
                self._leave("other hosts", entry.url)
            elif not is_file(entry.url):
                yield from self._read_page(entry.url, entry.changed)

    def _open(self) -> None:
        """robots.txt, of the host that the shop's address leads to."""
        root = find_root(self._start)
        where = self._load_robots(root)
        if find_site(where) == self._site and find_root(where) != root:
            self._root = find_root(where)
            self._start = self._root + self._start.removeprefix(root)

    def _load_robots(self, root: str) -> str:
        self._root = root
        self._robots, where = load_robots(root, self._fetcher)
        self._rest()
        return where

    def _rest(self) -> None:
        self._next = time.monotonic() + self._robots.delay

    def _fetch(self, url: str) -> bytes:
        """A sitemap."""
        time.sleep(max(0.0, self._next - time.monotonic()))
        try:
            return self._fetcher.fetch(url, most=settings.MAX_SITEMAP_BYTES).data or b""
        finally:
            self._rest()

    def _guess_sitemap(self) -> dict[str, bytes]:
        """The sitemap where it usually is, if it is there."""
        for url in (f"{self._root}/sitemap.xml", f"{self._root}/sitemap_index.xml"):
            try:
                if self._robots.allows(url):
                    data = self._fetch(url)
                    next(parse_sitemap(data))
                    return {url: data}
            except (FetchError, ValueError, StopIteration):
                continue
        return {}

    def _read_page(self, url: str, changed: str) -> Iterator[Item | Failure]:
        """What is new on a page, unless it was read before or may not be read."""
        url = clean_url(url)
        if url in self._seen or self._is_dead:
            return
        if not self._robots.allows(url):
            self._leave("robots.txt", url)
            return
        if self._pages >= self._most_pages:
            self._leave("limit", url)
            return
        self._pages += 1
        self._seen.add(url)
        visit = self._visit(url, changed)
        if visit.final != url:
            if url == self._start and find_root(visit.final) != self._root:
                self._load_robots(find_root(visit.final))
            if not self._robots.allows(visit.final) or visit.final in self._seen:
                self._leave("redirected" if visit.final in self._seen else "robots.txt", url)
                return
            self._seen.add(visit.final)
        self._queue(visit.links)
        yield from self._take(url, visit.entries)

    def _take(self, url: str, entries: list[Item | Failure]) -> Iterator[Item | Failure]:
        count = self._items
        for entry in entries:
            if isinstance(entry, Item):
                if entry.item_id in self._ids:
                    continue
                self._ids.add(entry.item_id)
                self._items += 1
            yield entry
        if count == self._items and url != self._start and not any(isinstance(entry, Failure) for entry in entries):
            self._leave("repeated" if entries else "no product", url)

    def _visit(self, url: str, changed: str) -> Visit:
        """What a page gives now, or gave when it was last asked for, where that still holds."""
        known = self._visits.get(url)
        if known is not None and self._holds(known, changed):
            return known
        time.sleep(max(0.0, self._next - time.monotonic()))
        try:
            answer = self._fetcher.fetch(url, validator=known.validator if known else "", most=settings.MAX_PAGE_BYTES)
        except FetchError as error:
            failure = Failure(url, "read", str(error))
            visit = Visit(url, "", "", time.time(), [failure], [])
            if find_status(error) not in _GONE:
                self._failures += 1
                return visit if known is None else replace(known, entries=[*known.entries, failure])
        else:
            if answer.data is None and known is not None:
                visit = replace(known, changed=changed, asked=time.time(), validator=answer.validator)
            else:
                visit = self._open_page(url, answer, changed)
        finally:
            self._rest()
        self._failures = 0
        self._visits.put(url, visit)
        return visit

    def _holds(self, known: Visit, changed: str) -> bool:
        """Whether a page need not be asked for: it was in this run, or its sitemap says that it is as it was."""
        if known.asked >= self._visits.since:
            return True
        if not changed or changed != known.changed or time.time() - known.asked > settings.FRESH_SECONDS:
            return False
        # A day without an hour may not be over.
        return len(changed) > len("2026-01-31") or time.strftime("%Y-%m-%d", time.gmtime(known.asked)) > changed

    def _open_page(self, url: str, answer: Answer, changed: str) -> Visit:
        final = clean_url(answer.url)
        if find_site(final) != self._site:
            reason = f"{url}: redirected to another host, {answer.url}"
            if url == self._start:
                raise SourceError(f"{reason}; name that shop if it is the one")
            return Visit(url, "", "", time.time(), [Failure(url, "read", reason)], [])
        try:
            page = open_answer(answer)
        except ValueError as error:
            return Visit(final, "", "", time.time(), [Failure(url, "read", f"{url}: {error}")], [])
        links = list(self._find_links(page, final))
        own, elsewhere = _split(find_listings(page), (final, clean_url(page.address)), set(links))
        links = list(dict.fromkeys([*elsewhere, *links]))[:_PAGE_LINKS]
        entries = read_entries(page, Origin(final, final), own)
        return Visit(final, answer.validator, changed, time.time(), entries, links)

    def _find_links(self, page: Page, url: str) -> Iterator[str]:
        base = clean_url(page.base, url) if page.base else url
        for link in sorted(page.find_links(), key=lambda link: not link.next):
            address = clean_url(link.reference, base)
            if address and find_site(address) == self._site and (link.next or may_follow(address)):
                yield address

    def _queue(self, links: list[str]) -> None:
        for link in links:
            if link not in self._met and len(self._met) < settings.SHOP_LINKS:
                self._met.add(link)
                self._waiting[0 if looks_like_product(link) else 1].append(link)

    def _follow_links(self) -> Iterator[Item | Failure]:
        barren = 0
        while any(self._waiting) and not self._is_dead:
            url = (self._waiting[0] or self._waiting[1]).popleft()
            before, pages = self._items, self._pages
            yield from self._read_page(url, "")
            barren = 0 if self._items > before else barren + self._pages - pages
            if barren >= settings.SHOP_BARREN and any(self._waiting):
                rest = [link for links in self._waiting for link in links if link not in self._seen]
                self._leave("barren", url, len(rest))
                return

    def _leave(self, reason: str, url: str, count: int = 1) -> None:
        self._left.setdefault(reason, _Left()).add(url, count)

    def _describe_left(self) -> Iterator[Failure]:
        for name, left in self._left.items():
            what = _REASONS[name].format(most=f"{self._most_pages:,}", barren=settings.SHOP_BARREN)
            pages = "1 page" if left.count == 1 else f"{left.count:,} pages"
            examples = ", ".join(url[:300] for url in left.examples)
            # What was left out before its turn may have products; what is none of them has not.
            step = "read" if name in ("limit", "barren") else "skip"
            yield Failure(
                f"{self._root} ({name})", step, f"{self._root}: {pages} left out: {what}; for example {examples}"
            )

    def _explain_nothing(self, left: list[Failure]) -> str:
        if set(self._left) == {"robots.txt"}:
            return (
                f"{self._root}/robots.txt forbids '{AGENT}' to read the shop "
                f"({', '.join(self._left['robots.txt'].examples)}); ask its owner, or for a feed"
            )
        reasons = "; ".join(failure.reason.removeprefix(f"{self._root}: ") for failure in left)
        return f"{self._root}: no product was found on {self._pages:,} pages; {reasons or 'no links either'}"


def _split(listings: list[Listing], names: tuple[str, str], links: set[str]) -> tuple[list[Listing], list[str]]:
    """-> (what a page of these addresses has to show itself, the addresses of other products that it lists).

    The only product of a page is its own even if its address is wrong, unless the page links there.
    """
    alone = count_products(listings) == 1
    here = {_path(name) for name in names}
    own, elsewhere = [], []
    for listing in listings:
        address = clean_url(listing.url, names[0]) if listing.url else ""
        is_listed = address in links if alone else find_site(address) == find_site(names[0])
        if not is_listed or _path(address) in ("", *here):
            own.append(listing)
        else:
            elsewhere.append(address)
    return own, elsewhere


def _path(url: str) -> str:
    return urlsplit(url).path.rstrip("/")
