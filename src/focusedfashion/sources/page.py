"""Web pages as a source: the products of a saved HTML file, of a folder of them, or of a page on the web."""

from __future__ import annotations

import base64
import binascii
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urljoin

from focusedfashion import settings
from focusedfashion.errors import FetchError, SourceError
from focusedfashion.fetch import Answer, Fetcher
from focusedfashion.items import Failure, Item
from focusedfashion.sources.feeds import name_view
from focusedfashion.sources.markup import Page, read_markup
from focusedfashion.sources.schemaorg import Listing, count_products, find_listings
from focusedfashion.sources.sites import clean_url, find_site

PAGE_ENDINGS = (".html", ".htm", ".xhtml")

NO_PRODUCT = "no product in the markup (schema.org as JSON-LD or microdata, or OpenGraph)"

_WEB = re.compile(r"https?://", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:", re.IGNORECASE)  # one letter before the colon is a Windows drive
_PAGE_TYPES = ("", "text/html", "application/xhtml+xml", "application/xml", "text/xml", "text/plain")
_EMBEDDED = re.compile(r"data:image/[\w.+-]+;base64,", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a page came from: its `name` for messages and ids, its address `url`, and its `folder` if it was saved.

    A saved page has the address that it gives itself, or "".
    """

    name: str
    url: str
    folder: Path | None = None

    def find_picture(self, reference: str, base: str) -> Path | str | bytes:
        """A picture's reference on a page with this <base> -> where it is; ValueError says why it cannot be used.

        What a saved page names relatively is looked for beside it first: browsers save pictures there.
        """
        if self.folder is not None and (embedded := _EMBEDDED.match(reference)):
            return _decode(reference[embedded.end() :])
        if len(reference) > settings.MAX_REFERENCE:
            raise ValueError(f"the picture's link is longer than {settings.MAX_REFERENCE:,} characters")
        if self.folder is not None and not _SCHEME.match(reference) and not reference.startswith("//"):
            path = _find_file(self.folder, reference)
            if path.is_file() or not (self.url or _WEB.match(base)):
                return path
        url = clean_picture(reference, urljoin(self.url or "https:", base))
        if not url:
            raise ValueError(f"the picture's link is no web address: {reference[:200]}")
        return url


def read_page(location: str, *, fetcher: Fetcher | None = None) -> Iterator[Item | Failure]:
    """A web page -> its products' pictures, in order; `location` is a URL, an HTML file or a folder of them.

    Products are read from JSON-LD, microdata and OpenGraph (see `find_listings`). The item_id is the product's sku, or
    else its GTIN or MPN, or else the page's address (its file name, for a saved page that does not name one); further
    pictures are `id#2` and so on. Variants are items of their own with their group's product_id. What the markup says
    besides is in columns under snake_case names. A price that cannot be read is None, its text then in `source_price`.

    A product without a picture in its markup gets the one that the page most likely shows it with, lazy ones too.
    Pictures of a saved page are looked for beside it, then at the address that it names itself. Raises SourceError
    where there is nothing to read, and MissingExtra without the extra 'web'.
    """
    if _WEB.match(location):
        if fetcher is None:
            with Fetcher() as own:
                return iter(_read_url(location, own))
        return iter(_read_url(location, fetcher))
    path = Path(location)
    if not path.is_dir():
        return iter(_read_file(path, path.name))
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in PAGE_ENDINGS and file.is_file())
    entries = itertools.chain.from_iterable(_read_saved(path, file) for file in files)
    first = next(entries, None)
    if first is None:
        raise SourceError(f"{path} has no web pages in it ({', '.join(PAGE_ENDINGS)})")
    return itertools.chain([first], entries)


def _read_url(url: str, fetcher: Fetcher) -> list[Item | Failure]:
    try:
        answer = fetcher.fetch(url, most=settings.MAX_PAGE_BYTES)
        if find_site(answer.url) != find_site(clean_url(url)):
            raise ValueError(f"redirected to another host, {answer.url}; name that page if it is the one")
        entries = read_entries(open_answer(answer), Origin(answer.url, answer.url))
        if not entries:
            raise ValueError(NO_PRODUCT)
        return entries
    except FetchError as error:
        raise SourceError(str(error)) from None
    except ValueError as error:
        raise SourceError(f"{url}: {error}") from None


def open_answer(answer: Answer) -> Page:
    """What a page that was fetched says. Raises ValueError where it is no web page."""
    if answer.type not in _PAGE_TYPES:
        raise ValueError(f"no web page, but {answer.type}")
    return read_markup(answer.data or b"", answer.charset)


def _read_saved(folder: Path, file: Path) -> list[Item | Failure]:
    name = file.relative_to(folder).as_posix()
    try:
        return _read_file(file, name)
    except SourceError as error:
        return [Failure(name, "read", str(error))]


def _read_file(path: Path, name: str) -> list[Item | Failure]:
    try:
        size = path.stat().st_size
        if size > settings.MAX_PAGE_BYTES:
            raise SourceError(f"{path}: {size:,} bytes are too many for a web page ({settings.MAX_PAGE_BYTES:,})")
        page = read_markup(path.read_bytes())
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:
        raise SourceError(f"{path}: {error}") from None
    entries = read_entries(page, Origin(name, page.address, path.parent))
    if not entries:
        raise SourceError(f"{path}: {NO_PRODUCT}")
    return entries


def read_entries(page: Page, origin: Origin, listings: list[Listing] | None = None) -> list[Item | Failure]:
    """The pictures of a page's products, and a Failure for whatever is wrong with one; [] without any product."""
    entries: list[Item | Failure] = [
        Failure(f"{origin.name}, {problem.partition(':')[0]}", "read", f"{origin.name}, {problem}")
        for problem in page.problems
    ]
    listings = find_listings(page) if listings is None else listings
    alone = count_products(listings) == 1
    taken: set[str] = set()
    for listing in listings:
        if not listing.images and (found := page.find_picture(listing.title or "", alone)):
            listing.images = [found]
        item_id = _take_id(listing, _find_address(page, origin) or origin.name, taken)
        if not listing.images:
            entries.append(Failure(item_id, "read", f"{origin.name}: no picture of '{listing.title or item_id}'"))
        entries += _make_items(page, origin, listing, item_id)
    return entries


def _make_items(page: Page, origin: Origin, listing: Listing, item_id: str) -> Iterator[Item | Failure]:
    shown: set[Path | str | bytes] = set()  # one picture may have several references
    for image in listing.images:
        view = name_view(item_id, len(shown) + 1)
        try:
            picture = origin.find_picture(image, page.base)
        except ValueError as error:
            shown.add(image)
            yield Failure(view, "read", f"{origin.name}: {error}")
            continue
        if picture in shown:
            continue
        shown.add(picture)
        yield Item(
            view,
            image="" if isinstance(picture, bytes) else image,
            product_id=listing.product_id or item_id,
            title=listing.title,
            brand=listing.brand,
            url=(clean_url(listing.url, urljoin(origin.url, page.base)) if listing.url else "")
            or _find_address(page, origin)
            or None,
            price=listing.price,
            currency=listing.currency,
            columns=listing.columns,
            picture=picture,
        )


def _take_id(listing: Listing, page_name: str, taken: set[str]) -> str:
    """The listing's id, which no other of its page has."""
    first = listing.item_id or page_name
    choice = "-".join(str(listing.columns[name]) for name in ("color", "size", "pattern") if name in listing.columns)
    further = (f"{first}!{number}" for number in itertools.count(2))
    names = itertools.chain([first, f"{first}/{choice}"] if choice else [first], further)
    item_id = next(name for name in names if name not in taken)
    taken.add(item_id)
    return item_id


def _find_address(page: Page, origin: Origin) -> str:
    """Where the page lives: where it says so, if that is on its own site."""
    own = clean_url(page.address)
    return own if own and find_site(own) == find_site(origin.url) else clean_url(origin.url)


def _find_file(folder: Path, reference: str) -> Path:
    """The file beside a saved page that a relative reference means, by its name with or without "?v=2"."""
    reference = reference.lstrip("/")
    plain = unquote(re.split(r"[?#]", reference, maxsplit=1)[0])
    names = [name for name in (reference, plain) if name and "\0" not in name]
    if not names:
        raise ValueError(f"the picture's link is no file: {reference[:200]!r}")
    try:
        return next((folder / name for name in names if (folder / name).is_file()), folder / names[-1])
    except OSError:  # a name that is too long
        return folder / names[-1]


def _decode(text: str) -> bytes:
    try:
        data = base64.b64decode(unquote(text))
    except (binascii.Error, ValueError):
        raise ValueError("the picture that is embedded in the page is damaged") from None
    return data


def clean_picture(reference: str, base: str) -> str:
    """A picture's full address, "" for none. It stays as it is otherwise: its parameters may be signed."""
    try:
        url = urljoin(base, reference)
    except ValueError:  # brackets that are no IPv6 address
        return ""
    return url if find_site(url) else ""
