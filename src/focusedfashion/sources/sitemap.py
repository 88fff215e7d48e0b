"""Sitemaps: the pages of a site as it lists them itself, by the protocol of sitemaps.org (XML, indexes, text, gzip)."""

from __future__ import annotations

import re
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple
from xml.parsers import expat

from focusedfashion import settings
from focusedfashion.errors import FetchError
from focusedfashion.items import Failure
from focusedfashion.sources.sites import clean_url, find_site

_CONTROLS = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f]")
# "&" that is not escaped, as many write it, but for where it may stand.
_BARE = re.compile(
    r"(<!\[CDATA\[.*?(?:\]\]>|\Z))|&(?!#\d{1,7};|#x[0-9a-f]{1,6};|(?:amp|lt|gt|quot|apos);)", re.DOTALL | re.IGNORECASE
)
_CHUNK = 2**22  # characters that are parsed at once; in small pieces, expat reads a tag without end again and again
# How shops call the sitemaps that have their products.
_PRODUCTS = re.compile(r"prod(?:u[ck]t|otto|otti)|artikel|artiklar|catalog", re.IGNORECASE)


class Entry(NamedTuple):
    """One page, or one sitemap of an index, and when it last changed, as the sitemap says; "" if it does not."""

    url: str
    changed: str


class _Refusal(Exception):
    """What a sitemap never needs, and what attacks are made of."""


def read_sitemaps(urls: Iterable[str], fetch: Callable[[str], bytes]) -> Iterator[Entry | Failure]:
    """All pages that these sitemaps list, those of sitemaps that are named for products first.

    `fetch` gives a sitemap's bytes; it may raise FetchError, or ValueError, which ends as a Failure like whatever else
    is wrong with one of them. An index leads only to sitemaps of its own site.
    """
    waiting = deque((url, 1) for url in _sort(urls))
    seen = {url for url, _ in waiting}
    for _ in range(settings.MAX_SITEMAPS):
        if not waiting:
            return
        url, level = waiting.popleft()
        children: list[str] = []
        try:
            for is_index, entry in parse_sitemap(fetch(url)):
                address = clean_url(entry.url, url)
                if not is_index:
                    yield entry._replace(url=address or entry.url)
                elif find_site(address) != find_site(url):
                    yield Failure(entry.url, "read", f"{entry.url[:300]}: a sitemap of another site, named by {url}")
                elif address not in seen:
                    seen.add(address)
                    children.append(address)
        except (FetchError, ValueError) as error:
            reason = str(error) if isinstance(error, FetchError) else f"{url}: {error}"
            yield Failure(url, "read", f"the sitemap {reason}")
        if level < settings.SITEMAP_LEVELS:
            waiting.extendleft((child, level + 1) for child in reversed(_sort(children)))
        elif children:
            yield Failure(url, "read", f"{url}: more than {settings.SITEMAP_LEVELS} sitemap indexes inside each other")
    if waiting:
        yield Failure(
            waiting[0][0], "read", f"{len(waiting):,} sitemaps are left: {settings.MAX_SITEMAPS:,} are the limit"
        )


def _sort(urls: Iterable[str]) -> list[str]:
    return sorted(urls, key=lambda url: _PRODUCTS.search(url.partition("://")[2].partition("/")[2]) is None)


def parse_sitemap(data: bytes) -> Iterator[tuple[bool, Entry]]:
    """A sitemap -> (whether it leads to a sitemap, the entry) for each entry, as far as it can be read.

    Raises ValueError with the line where it cannot, also for entity declarations, which no sitemap needs.
    """
    text = _decode(_unpack(data)).lstrip("\ufeff \t\r\n")
    if not text:
        raise ValueError("it is empty")
    if text.startswith("<"):
        yield from _parse_xml(text)
        return
    for number, line in enumerate(text.splitlines(), start=1):
        url = line.strip()
        if url and not clean_url(url):
            raise ValueError(f"line {number}: neither XML nor a list of addresses: {url[:80]!r}")
        if url:
            yield False, Entry(url, "")


def _parse_xml(text: str) -> Iterator[tuple[bool, Entry]]:
    head = text[:1_000].lower()
    if "<!doctype html" in head or "<html" in head:
        raise ValueError("a web page, not a sitemap")
    reader = _Reader()
    text = _BARE.sub(lambda found: found[1] or "&amp;", _CONTROLS.sub(" ", text))
    for start in range(0, len(text) + _CHUNK, _CHUNK):
        chunk = text[start : start + _CHUNK]
        problem = ""
        try:
            reader.parser.Parse(chunk.encode(), not chunk)
        except expat.ExpatError as error:
            problem = f"line {error.lineno}, column {error.offset + 1}: no XML ({expat.ErrorString(error.code)})"
        except _Refusal as error:
            problem = f"line {reader.parser.CurrentLineNumber}: {error}"
        while reader.entries:
            yield reader.entries.popleft()
        if problem:
            raise ValueError(problem)
        if not chunk:
            return


class _Reader:
    """Collects a sitemap's entries while it is parsed. Names count without their prefixes, but for other vocabularies:
    <image:loc> is no page."""

    def __init__(self) -> None:
        self.entries: deque[tuple[bool, Entry]] = deque()
        self._open: list[str] = []
        self._values: dict[str, str] = {}
        self.parser = expat.ParserCreate("utf-8")  # what is fed, whatever the document declares
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._add_text
        self.parser.EntityDeclHandler = self._refuse

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        prefix, _, local = name.rpartition(":")
        self._open.append("" if prefix in ("image", "video", "news", "xhtml") else local.lower())
        if len(self._open) > settings.MAX_DEPTH:
            raise _Refusal(f"more than {settings.MAX_DEPTH} elements inside each other")
        if len(self._open) == 1 and self._open[0] not in ("urlset", "sitemapindex"):
            raise _Refusal(f"it is <{name[:40]}>, not a sitemap")
        if len(self._open) == 2:
            self._values = {}

    def _add_text(self, text: str) -> None:
        if len(self._open) == 3 and self._open[-1] in ("loc", "lastmod"):
            known = self._values.get(self._open[-1], "")
            if len(known) <= settings.MAX_URL:
                self._values[self._open[-1]] = known + text

    def _end(self, _: str) -> None:
        kind = self._open.pop()
        url = self._values.get("loc", "").strip()
        if len(self._open) == 1 and kind in ("url", "sitemap") and url:
            self.entries.append((kind == "sitemap", Entry(url, self._values.get("lastmod", "").strip()[:40])))

    def _refuse(self, name: str, *_: object) -> None:
        raise _Refusal(f"the entity '{name[:40]}' is declared here: such sitemaps are not read, for entities can harm")


def _unpack(data: bytes) -> bytes:
    """Gzip or not. Raises ValueError where it is damaged or too large."""
    if not data.startswith(b"\x1f\x8b"):
        return data
    parts = []
    left = settings.MAX_SITEMAP_BYTES
    while data.startswith(b"\x1f\x8b"):  # often there are several members
        unpacker = zlib.decompressobj(wbits=31)
        try:
            parts.append(unpacker.decompress(data, left + 1))
        except zlib.error:
            raise ValueError("its compression is damaged") from None
        left -= len(parts[-1])
        if left < 0:
            raise ValueError(f"it unpacks to more than {settings.MAX_SITEMAP_BYTES:,} bytes")
        if not unpacker.eof:
            break  # broken off: what is there is read
        data = unpacker.unused_data
    return b"".join(parts)


def _decode(data: bytes) -> str:
    utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    return data.decode("utf-16" if utf16 else "utf-8-sig", "replace")
