"""Google Merchant feeds as a source, by the "Product data specification" of Merchant Center Help (answer 7052112).

The file formats are its "RSS 2.0 specification" (answer 160589), "Atom 1.0 specification" (160593), "Atom 0.3
specification" (14991618) and tab-delimited text.
"""

from __future__ import annotations

import html
import itertools
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urljoin
from xml.parsers import expat

from focusedfashion import settings
from focusedfashion.errors import SourceError
from focusedfashion.items import Failure, Item
from focusedfashion.sources.feeds import (
    Place,
    ReadErrors,
    column_name,
    find_markup,
    name_view,
    open_text,
    plain_text,
    read_head,
    unpack,
)
from focusedfashion.sources.prices import parse_price
from focusedfashion.sources.records import read_csv

# The attributes that fill an Item's own fields; all others are columns.
_FIELDS = ("id", "item_group_id", "title", "link", "image_link", "brand", "price", "sale_price")

# Numbered in the tables of some; as often as wanted in XML.
_ADDITIONAL = re.compile(r"additional_image_links?_?\d*")
# Elements whose text may hold HTML as elements. Other elements with elements in them (g:shipping) are no plain columns.
_MARKED_UP = ("title", "description", "summary", "content")
# XML allows no control characters; feeds have them.
_CONTROLS = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f]")


@dataclass(slots=True)
class _Offer:
    """One <item>, <entry> or row: `where` it stands, its name while it has no id, attributes and picture links."""

    where: str
    name: str
    cells: dict[str, str] = field(default_factory=dict)
    images: list[str] = field(default_factory=list)
    problem: str = ""


def read_google(path: Path, origin: str = "") -> Iterator[Item | Failure]:
    """A Google Merchant feed (RSS, Atom, or a table with the same names; also gzipped) -> its pictures, in order.

    `id` is the first picture's item_id, `id#2` the next one's; `item_group_id`, or else `id`, is the product_id.
    `price` is what is asked for now: the sale price while it holds (sale_price_effective_date); both are then in the
    columns `regular_price` and `sale_price`. A price that cannot be read is None, its text then is in `source_price`.
    All other attributes are columns of text under their own names, without HTML, those that come several times joined
    by commas; those made of parts (shipping) are left out.

    In XML a name counts by its last part, because prefixes are often wrong or not declared: g:title before title
    before any other prefix. `origin` is where the file came from: links that are relative are relative to it. What
    stands before a place where the XML is broken goes in. Raises SourceError where nothing can be read, and for
    entity declarations, which no feed needs and which attacks are made of.
    """
    place = Place(path, origin)
    head, encoding = read_head(place)
    kind = find_markup(head)
    if kind in ("html", "json"):
        what = "a web page" if kind == "html" else "JSON"
        raise SourceError(f"{place.name} is {what}, not a feed in XML or a table; does the address need a login?")
    offers = _read_xml(place, encoding) if kind == "xml" else _read_table(place, head)
    now = datetime.now(UTC)
    entries = itertools.chain.from_iterable(
        [offer] if isinstance(offer, Failure) else _make_items(place, offer, now) for offer in offers
    )
    first = next(entries, None)
    if first is None:
        raise SourceError(f"{place.name} has no products in it")
    return itertools.chain([first], entries)


def _make_items(place: Place, offer: _Offer, now: datetime) -> Iterator[Item | Failure]:
    cells, images = offer.cells, list(dict.fromkeys(offer.images))
    item_id = cells.get("id", "")
    problem = offer.problem or ("" if item_id else "no id") or ("" if images else "no picture (image_link)")
    if problem:
        yield Failure(item_id or offer.name, "read", f"{place.short}, {offer.where}: {problem}")
        return
    price, currency, prices = _find_prices(cells, now)
    columns: dict[str, Any] = {name: text for name, text in cells.items() if name not in _FIELDS}
    # Atom's names for it.
    about = columns.pop("summary", None), columns.pop("content", None)
    if description := columns.get("description") or about[0] or about[1]:
        columns["description"] = description
    columns.update(prices)
    for number, image in enumerate(images, start=1):
        view = name_view(item_id, number)
        try:
            picture = place.find_picture(image)
        except ValueError as error:
            yield Failure(view, "read", f"{place.short}, {offer.where}: {error}")
            continue
        yield Item(
            view,
            image=image,
            product_id=cells.get("item_group_id", item_id),
            title=cells.get("title"),
            brand=cells.get("brand"),
            url=_find_page(place, cells),
            price=price,
            currency=currency,
            columns=columns,
            picture=picture,
        )


def _find_prices(cells: dict[str, str], now: datetime) -> tuple[float | None, str | None, dict[str, Any]]:
    """-> (the price that counts now, its currency, the columns that say more)"""
    columns: dict[str, Any] = {}
    price, currency = parse_price(cells.get("price", ""))
    if price is None and "price" in cells:
        columns["source_price"] = cells["price"]
    sale, sale_currency = parse_price(cells.get("sale_price", ""))
    # Zero, or more than the price, is how some shops say that there is none.
    if sale and (price is None or sale <= price):
        columns |= {"sale_price": sale} | ({} if price is None else {"regular_price": price})
        if price is None or _holds(cells.get("sale_price_effective_date", ""), now):
            price, currency = sale, sale_currency or currency
    return price, currency, columns


def _holds(interval: str, now: datetime) -> bool:
    """Whether now is in "2026-01-05T10:00+0100/2026-01-31"; also where there is no interval, or none that is one."""
    try:
        start, end = (datetime.fromisoformat(part.strip()) for part in interval.split("/"))
        if len(interval.partition("/")[2].strip()) <= len("2026-01-31"):
            end += timedelta(days=1)  # the whole of that day
    except (ValueError, OverflowError):
        return True
    start, end = (time if time.tzinfo else time.replace(tzinfo=UTC) for time in (start, end))
    return start <= now < end


def _find_page(place: Place, cells: dict[str, str]) -> str | None:
    link = cells.get("link")
    try:
        return urljoin(place.url, link) if link else None
    except ValueError:  # brackets that are no IPv6 address
        return link


@lru_cache(1024)
def _attribute(name: str) -> str:
    """'g:image_link', 'Image Link' -> 'image_link'."""
    return column_name(re.sub(r"\A\s*[\w-]*:", "", name))


def _split_links(text: str) -> list[str]:
    """Links with commas between them; a comma inside a URL is not followed by another URL."""
    mark = r"\s*,\s*(?=https?:|//)" if re.match(r"https?:|//", text) else r"\s*,\s*"
    return [link for link in re.split(mark, text) if link]


def _read_table(place: Place, head: str) -> Iterator[_Offer]:
    line = head.lstrip("\ufeff \t\r\n").partition("\n")[0].strip()
    names = {_attribute(cell.strip(' "')) for cell in re.split(r"[,;\t]", line)}
    if "id" not in names or not any(name == "image_link" or _ADDITIONAL.fullmatch(name) for name in names):
        raise SourceError(
            f"{place.name} is neither XML nor a table with the columns id and image_link: it begins with {line[:80]!r}"
        )
    return _read_rows(place)


def _read_rows(place: Place) -> Iterator[_Offer]:
    with unpack(place) as path:
        for number, record in enumerate(read_csv(path), start=1):
            offer = _Offer(record.place, f"row {number}", problem=record.problem)
            images = []
            for given, cell in record.cells.items():
                name, text = _attribute(given), plain_text(cell or "")
                if text and _ADDITIONAL.fullmatch(name):
                    images += _split_links(text)
                elif text:
                    offer.cells.setdefault(name, text)
            offer.images = [*filter(None, [offer.cells.get("image_link")]), *images]
            yield offer


def _read_xml(place: Place, encoding: str) -> Iterator[_Offer | Failure]:
    """The feed's products, and a Failure where it breaks off or stops to be XML."""
    reader = _Reader()
    problem, found = "", False
    with open_text(place, encoding) as text:
        while not reader.ended and not problem:
            try:
                chunk = text.read(settings.FEED_CHUNK)
                reader.feed(chunk)
            except (expat.ExpatError, _Refusal) as error:
                problem = reader.explain(error)
            except ReadErrors as error:
                problem = f"line {reader.line}: the file is damaged or breaks off here ({error})"
            while reader.offers:
                found = True
                yield reader.offers.popleft()
    if problem and not found:
        raise SourceError(f"{place.name}, {problem}")
    if problem:
        yield Failure(problem.partition(":")[0], "read", f"{place.short}, {problem}; what follows is not read")
    elif not found:
        raise SourceError(f"{place.name} has no products in it: no <item> or <entry> in <{reader.root}>")


class _Refusal(Exception):
    """What a feed never needs, and what attacks are made of."""


class _Reader:
    """Collects the products of a feed while it is parsed: only the one at hand is in memory.

    Expat knows nothing of namespaces here: a prefix that is not declared would be an error of the whole feed.
    """

    def __init__(self) -> None:
        self.root = ""
        self.count = 0  # of the products that began
        self.begun = self.ended = False
        self.offers: deque[_Offer] = deque()
        self.prefixes = {"g"}  # of Google's names
        self.offset = 0  # lines before the document
        self.depth = 0
        self.waiting = 0  # bytes of a tag that has not ended yet
        self.offer: _Offer | None = None
        self.offer_depth = 0
        self.cells: dict[str, tuple[int, list[str]]] = {}  # name -> (rank of its prefix, texts)
        self.size = 0  # characters of the product
        self.texts: list[str] = []
        self.simple = True  # whether the attribute at hand is nothing but text
        self.parser = expat.ParserCreate("utf-8")  # what is fed, whatever the document declares
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._add_text
        self.parser.EntityDeclHandler = self._refuse_entity
        # &nbsp; and the like, which XML does not know: expat goes on if there might be a DTD that declares them. It
        # is never opened.
        self.parser.UseForeignDTD(True)
        self.parser.SkippedEntityHandler = lambda name, _: self._add_text(html.unescape(f"&{name};"))

    @property
    def line(self) -> int:
        return self.offset + self.parser.CurrentLineNumber

    def feed(self, text: str) -> None:
        """Parses the next piece; "" is the end. Raises ExpatError or _Refusal."""
        if not self.begun and text:  # nothing may stand before <?xml, and often something does
            document = text.lstrip("\ufeff \t\r\n")
            self.offset += text.count("\n", 0, len(text) - len(document))
            if not document:
                return
            self.begun, text = True, document
        data = _CONTROLS.sub(" ", text).encode()
        before = self.parser.CurrentByteIndex
        self.ended = not text
        self.parser.Parse(data, self.ended)
        self.waiting = self.waiting + len(data) if self.parser.CurrentByteIndex == before else 0
        if self.waiting > settings.MAX_CELL:
            raise _Refusal(f"a tag of more than {settings.MAX_CELL:,} bytes")

    def explain(self, error: expat.ExpatError | _Refusal) -> str:
        if isinstance(error, _Refusal):
            return f"line {self.line}: {error}"
        where = f"line {self.offset + error.lineno}, column {error.offset + 1}"
        reason = expat.ErrorString(error.code)
        if self.ended:
            return f"{where}: the feed breaks off here ({reason})"
        hint = "; is a & or < not written as &amp; or &lt;?" if reason == expat.errors.XML_ERROR_INVALID_TOKEN else ""
        return f"{where}: no longer XML ({reason}{hint})"

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth > settings.MAX_DEPTH:
            raise _Refusal(f"more than {settings.MAX_DEPTH} elements inside each other")
        local = name.rpartition(":")[2].lower()
        if self.depth == 1:
            self._start_root(name, attributes)
        elif self.offer is None:
            if local in ("item", "entry"):
                self.count += 1
                self.offer, self.offer_depth = _Offer(f"line {self.line}", f"item {self.count}"), self.depth
                self.cells, self.size = {}, 0
        elif self.depth == self.offer_depth + 1:
            self.texts, self.simple = [], True
            # Atom's link; its others lead to other things.
            if local == "link" and "href" in attributes and attributes.get("rel", "alternate") == "alternate":
                self._add_text(attributes["href"])
        else:
            self.simple = False

    def _start_root(self, name: str, attributes: dict[str, str]) -> None:
        self.root = name
        if name.lower() == "html":
            raise _Refusal("this is a web page, not a feed")
        declared = [key for key, uri in attributes.items() if "base.google.com/ns" in uri]
        self.prefixes |= {key.partition(":")[2] for key in declared if key.startswith("xmlns:")}

    def _refuse_entity(self, name: str, *_: Any) -> None:
        raise _Refusal(f"the entity '{name}' is declared here: such feeds are not read, for entities can harm")

    def _add_text(self, text: str) -> None:
        if self.offer is not None and self.depth > self.offer_depth:
            self.size += len(text)
            if self.size <= settings.MAX_CELL:
                self.texts.append(text)

    def _end(self, name: str) -> None:
        if self.offer is not None:
            if self.depth == self.offer_depth + 1:
                self._end_attribute(name)
            elif self.depth == self.offer_depth:
                self._end_offer(self.offer)
        self.depth -= 1

    def _end_attribute(self, full_name: str) -> None:
        prefix, _, _ = full_name.rpartition(":")
        name = _attribute(full_name)
        text = plain_text("".join(self.texts))
        if not text or not (self.simple or name in _MARKED_UP):
            return
        self.size += len(name)
        rank = 0 if prefix in self.prefixes else 1 if not prefix else 2
        best, texts = self.cells.get(name, (3, []))
        if rank < best:
            self.cells[name] = (rank, [text])
        elif rank == best:
            texts.append(text)

    def _end_offer(self, offer: _Offer) -> None:
        if self.size > settings.MAX_CELL:
            offer.problem = f"longer than {settings.MAX_CELL:,} characters"
        for name, (_, texts) in self.cells.items():
            if _ADDITIONAL.fullmatch(name):
                offer.images += itertools.chain.from_iterable(map(_split_links, texts))
            elif name in _FIELDS:
                offer.cells[name] = texts[0]
            else:
                offer.cells[name] = ", ".join(texts)
        if main := offer.cells.get("image_link"):
            offer.images.insert(0, main)
        self.offers.append(offer)
        self.offer = None
