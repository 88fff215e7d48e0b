"""Sources: whatever holds items, read as `Item`s one by one."""

from __future__ import annotations

import hashlib
import inspect
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from focusedfashion import settings
from focusedfashion.errors import SourceError
from focusedfashion.fetch import Fetcher
from focusedfashion.items import Failure, Item
from focusedfashion.sources.folder import read_folder
from focusedfashion.sources.table import TABLE_ENDINGS, read_table

Entries = Iterator[Item | Failure]

# Kind -> module of `focusedfashion.sources`, function. Loaded when they are asked for.
_FEEDS = {"google": ("google", "read_google"), "shopify": ("shopify", "read_shopify")}
_WEB = ("page", "shop")
_SETS = {
    "class-folders": ("class_folders", "read_class_folders"),
    "clothing-dataset": ("clothing", "read_clothing_dataset"),
    "co-parsing": ("co_parsing", "read_co_parsing"),
    "deepfashion": ("deepfashion", "read_deepfashion"),
    "deepfashion-in-shop": ("deepfashion_retrieval", "read_deepfashion_in_shop"),
    "deepfashion-consumer-to-shop": ("deepfashion_retrieval", "read_deepfashion_consumer_to_shop"),
    "deepfashion2": ("deepfashion2", "read_deepfashion2"),
    "fashion-mnist": ("fashion_mnist", "read_fashion_mnist"),
    "fashion-products": ("fashion_products", "read_fashion_products"),
    "imaterialist": ("imaterialist", "read_imaterialist"),
}
KINDS = (*_FEEDS, *_WEB, *_SETS)
READABLE = (
    f"a folder of pictures, a table ({', '.join(TABLE_ENDINGS)}) or KIND:LOCATION with a kind of {', '.join(KINDS)}"
)

# One letter before the colon is a Windows drive.
_KIND = re.compile(r"([A-Za-z][\w-]+):(?!//)(.*)", re.DOTALL)
_URL = re.compile(r"https?://", re.IGNORECASE)


def read_source(
    location: str | Path, id_column: str | None = None, *, allow_private: bool = False
) -> Iterator[Item | Failure]:
    """A folder, a table, a feed, a web page, a shop or a data set -> its items in order.

    A row that cannot be used is a `Failure`. `location` is a path, or `kind:location` with one of KINDS; a file of an
    unmistakable form goes without (a feed, a shop's export, a saved page). Data sets take options behind a question
    mark: `imaterialist:train.json?rows=0-299999`. Feeds, pages and shops may be URLs; `allow_private` lets those lead
    into private networks. `id_column` names the column that holds a table's ids (see `read_table`).

    A source that cannot be read at all raises SourceError here, not at the first item; nothing is kept in memory but
    the row at hand.
    """
    path = Path(location)
    if os.fspath(location) and path.exists():
        return _read_path(path, id_column)
    said = _KIND.fullmatch(str(location))
    if said and said[1].lower() in KINDS:
        if id_column is not None:
            raise SourceError(f"{location} has its own ids: a column '{id_column}' for them is for tables only")
        return _read_kind(said[1].lower(), said[2], allow_private)
    if said:
        raise SourceError(f"'{said[1]}:' of '{location}' is no known kind of source; what can be read is {READABLE}")
    if _URL.match(str(location)):
        raise SourceError(f"'{location}' needs its kind before it: google:, shopify:, page: or shop:")
    raise SourceError(f"'{location}': no such file or folder")


def _read_path(path: Path, id_column: str | None) -> Entries:
    kind = "" if id_column is not None else _recognize(path)
    if kind:
        return _read_kind(kind, str(path), allow_private=False)
    if path.is_dir():
        if id_column is not None:
            raise SourceError(
                f"{path} is a folder, which has no column '{id_column}': the paths of its pictures are the ids"
            )
        return read_folder(path)
    if path.suffix.lower() not in TABLE_ENDINGS:
        raise SourceError(f"{path}: no source has the ending '{path.suffix}'; what can be read is {READABLE}")
    return read_table(path, id_column)


def _recognize(path: Path) -> str:
    """The kind that a file certainly is, or ""."""
    if path.is_dir():
        return "fashion-products" if (path / "styles.csv").is_file() and (path / "images").is_dir() else ""
    ending = path.suffix.lower()
    if ending in (".html", ".htm"):
        return "page"
    if ending not in (".xml", ".gz", ".json", *TABLE_ENDINGS) or ending == ".parquet":
        return ""
    try:
        with path.open("rb") as file:
            head = file.read(settings.FEED_HEAD)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from None
    text = head.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    names = {name.strip(' "').lower() for name in re.split(r"[,;\t]", text.partition("\n")[0].strip())}
    if ending == ".xml" or path.name.lower().endswith(".xml.gz") or {"image_link", "id"} <= names:
        return "google"
    if ({"handle", "title"} <= names and names & {"image src", "option1 name"}) or "url handle" in names:
        return "shopify"
    if ending == ".json" and re.match(r'\{\s*"products"\s*:', text):
        return "shopify"
    if ending == ".json" and re.search(r'"(imageId|image_id)"\s*:', text):
        return "imaterialist"
    return ""


def _read_kind(kind: str, place: str, allow_private: bool) -> Entries:
    if kind == "page":
        from focusedfashion.sources.page import read_page

        return read_page(place, fetcher=Fetcher(allow_private=allow_private))
    if kind == "shop":
        from focusedfashion.sources.shop import read_shop

        return read_shop(place, Fetcher(allow_private=allow_private), state=_find_state(place))
    if kind in _FEEDS:
        read = _load("focusedfashion.sources", *_FEEDS[kind])
        if not _URL.match(place):
            return read(_find(place))
        return _read_download(read, place, allow_private)
    read = _load("focusedfashion.sources.datasets", *_SETS[kind])
    path, options = (place, {}) if Path(place).exists() else _split_options(kind, place, read)
    return read(_find(path), **options)


def _load(package: str, module: str, function: str) -> Callable[..., Entries]:
    import importlib

    loaded: Callable[..., Entries] = getattr(importlib.import_module(f"{package}.{module}"), function)
    return loaded


def _find(place: str) -> Path:
    if not place or not Path(place).exists():
        raise SourceError(f"'{place}': no such file or folder")
    return Path(place)


def _split_options(kind: str, place: str, read: Callable[..., Entries]) -> tuple[str, Mapping[str, str]]:
    path, _, query = place.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    known = [name for name in inspect.signature(read).parameters if name != "location"]
    for name in options:
        if name not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise SourceError(f"'{place}': {kind} has no option '{name}'; {has}")
    return path, options


def _read_download(read: Callable[..., Entries], url: str, allow_private: bool) -> Entries:
    """A feed by its URL: into a file first, which is deleted when the last item was read."""
    # The suffix tells nothing: the readers look at what is inside.
    folder = tempfile.TemporaryDirectory(prefix="focusedfashion-")
    try:
        path = Path(folder.name, "feed")
        with Fetcher(allow_private=allow_private) as fetcher:
            answer = fetcher.download(url, path, most=settings.MAX_FEED_BYTES)
        entries = read(path, answer.url)
    except BaseException:
        folder.cleanup()
        raise

    def read_all() -> Entries:
        with folder:
            yield from entries

    return read_all()


def _find_state(url: str) -> Path:
    """Where a shop's visited pages are kept between runs: in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "focusedfashion", "shops")
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SourceError(f"{cache} cannot be made ({error.strerror}): set XDG_CACHE_HOME to another folder") from None
    host = re.sub(r"[^\w.-]", "_", urlsplit(url).netloc) or "shop"
    return cache / f"{host}-{hashlib.sha256(url.encode()).hexdigest()[:8]}.sqlite"
