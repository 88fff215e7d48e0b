"""What feeds and exports have in common: how they are opened, where their pictures are, text without HTML."""

from __future__ import annotations

import codecs
import gzip
import html
import io
import json
import re
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast
from urllib.parse import urljoin

from focusedfashion import settings
from focusedfashion.errors import SourceError

# What reading a file may raise; the last two where a compressed one is damaged or breaks off.
ReadErrors = (OSError, EOFError, zlib.error)

# A declared encoding that is none of these is not looked up: Python knows some that unpack or execute escapes.
_ENCODINGS = re.compile(r"(ascii|us-ascii|iso-?8859|latin|windows-|cp\d|koi8|gb|big5|shift.jis|euc|mac)", re.IGNORECASE)
_DECLARED = re.compile(rb"<\?xml[^>]*?encoding\s*=\s*[\"']([\w.:-]+)", re.IGNORECASE)

_SPACES = re.compile(r"\s*")
_AHEAD = 256  # characters that show whether a document begins with the list that is looked for
_URL = re.compile(r"[a-z][a-z0-9+.-]+:", re.IGNORECASE)  # one letter before the colon is a Windows drive
_WEB = re.compile(r"https?://[^/\s]", re.IGNORECASE)
# An opened tag or comment that is never closed goes on to the next tag, or to the end: that keeps the search linear.
_TAG = re.compile(
    r"<(?:!--.*?(?:-->|\Z)|(script|style)\b.*?(?:</\1\s*>|\Z)|/?([a-z][a-z0-9]*)[^<>]*>?|[!?][^<>]*>?)",
    re.IGNORECASE | re.DOTALL,
)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});", re.IGNORECASE)
_INLINE = ("a", "abbr", "b", "bdi", "em", "font", "i", "mark", "s", "small", "span", "strong", "sub", "sup", "u", "wbr")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a feed is (`path`) and where it came from (`origin`: a URL, a path, or "" for the same path)."""

    path: Path
    origin: str = ""

    @property
    def url(self) -> str:
        """The feed's own address, "" for a file."""
        return self.origin if _WEB.match(self.origin) else ""

    @property
    def name(self) -> str:
        """For messages about the whole."""
        return self.url or self.origin or str(self.path)

    @property
    def short(self) -> str:
        """For messages about one row."""
        return self.url or Path(self.name).name

    def find_picture(self, reference: str) -> Path | str:
        """A picture's reference -> its URL, or its path where the feed is a file; ValueError says what is wrong.

        A feed that came from the web never names a file.
        """
        if len(reference) > settings.MAX_REFERENCE:
            raise ValueError(f"the picture's link is longer than {settings.MAX_REFERENCE:,} characters")
        if not self.url and not _URL.match(reference) and not reference.startswith("//"):
            return Path(self.origin or self.path).parent / reference
        try:
            # urljoin takes longer than all else that is done with a link.
            whole = _WEB.match(reference) and "[" not in reference
            url = reference if whole else urljoin(self.url or "https:", reference)
        except ValueError:  # brackets that are no IPv6 address
            url = ""
        if not _WEB.match(url):
            raise ValueError(f"the picture's link is no web address: {reference[:200]}")
        return url


@contextmanager
def open_bytes(place: Place) -> Iterator[BinaryIO]:
    """The file, unpacked where it is gzipped. Raises SourceError where it cannot be opened."""
    try:
        with place.path.open("rb") as file:
            if file.peek(2)[:2] == b"\x1f\x8b":
                with gzip.open(file) as unpacked:
                    yield cast(BinaryIO, unpacked)
            else:
                yield file
    except OSError as error:
        raise SourceError(f"{place.name}: {error.strerror or error}") from None


def read_head(place: Place) -> tuple[str, str]:
    """-> (how the file begins, its encoding). Raises SourceError where it is empty or cannot be unpacked."""
    with open_bytes(place) as file:
        try:
            head = file.read(settings.FEED_HEAD)
        except ReadErrors as error:
            raise SourceError(f"{place.name} cannot be unpacked: {error}") from None
    if not head.strip(b"\0 \t\r\n\xef\xbb\xbf\xff\xfe"):
        raise SourceError(f"{place.name} is empty")
    encoding = _find_encoding(head)
    return head.decode(encoding, "replace"), encoding


def _find_encoding(head: bytes) -> str:
    """The encoding of a text that begins with these bytes: what they show counts before what they declare."""
    if head.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "utf-32"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if head[:4].replace(b"\0", b"") != head[:4]:
        return "utf-16-be" if head[0] == 0 else "utf-16-le"
    declared = _DECLARED.search(head)
    name = declared[1].decode("ascii") if declared else ""
    # A declared UTF-16 that is none (the text was copied from memory) is UTF-8, and so is an unknown name.
    if not _ENCODINGS.match(name):
        return "utf-8-sig"
    try:
        name = codecs.lookup(name).name
    except LookupError:
        return "utf-8-sig"
    return "cp1252" if name in ("ascii", "iso8859-1") else name  # as browsers do; it has more letters


@contextmanager
def open_text(place: Place, encoding: str) -> Iterator[TextIO]:
    """The file as text; what is not UTF-8 although it should be is read as cp1252, byte by byte."""
    with (
        open_bytes(place) as file,
        io.TextIOWrapper(file, encoding, "focusedfashion.mixed", newline="") as text,
    ):
        yield text


def _read_mixed(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    wrong = error.object[error.start : error.end]
    return wrong.decode("cp1252", "replace") if error.encoding == "utf-8" else "\ufffd", error.end


codecs.register_error("focusedfashion.mixed", _read_mixed)


@contextmanager
def unpack(place: Place) -> Iterator[Path]:
    """The path of the file, or of an unpacked copy while it is gzipped: for readers that take a path."""
    with open_bytes(place) as file:
        if not isinstance(file, gzip.GzipFile):
            yield place.path
            return
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / place.path.stem
            try:
                with copy.open("wb") as target:
                    while chunk := file.read(2**20):
                        target.write(chunk)
                        if target.tell() > settings.MAX_UNPACKED:
                            raise SourceError(f"{place.name} unpacks to more than {settings.MAX_UNPACKED:,} bytes")
            except ReadErrors as error:
                raise SourceError(f"{place.name} cannot be unpacked: {error}") from None
            yield copy


def read_elements(text: TextIO, key: str) -> Iterator[Any]:
    """JSON documents one after the other -> the elements of those that are a list, or begin with `key` and a list.

    Any other document is yielded whole. One element is in memory at a time, of at most settings.MAX_CELL characters.
    Raises ValueError with the line where the text is no JSON.
    """
    reader = _JSONReader(text)
    listed = re.compile(rf'\{{\s*"{key}"\s*:\s*\[')
    while mark := reader.peek():
        if mark == "[":
            reader.at += 1
            yield from reader.read_list()
        elif begin := listed.match(reader.data, reader.at):
            reader.at = begin.end()
            yield from reader.read_list()
            while reader.take(",}") == ",":
                reader.decode()
                reader.take(":")
                reader.decode()
        else:
            yield reader.decode()


class _JSONReader:
    """Values out of a text that is read piece by piece."""

    def __init__(self, text: TextIO) -> None:
        self.text = text
        self.data, self.at = "", 0  # what is in memory, and where in it the next value is
        self.ended = False
        self.line, self.column = 1, 1  # of the start of `data`
        self.decoder = json.JSONDecoder(parse_constant=lambda _: None)

    def peek(self) -> str:
        """The next character that is no space, with some text behind it; "" at the end."""
        while True:
            self.at = _SPACES.match(self.data, self.at).end()  # type: ignore[union-attr]  # matches anything
            if self.ended or self.at + _AHEAD < len(self.data):
                return self.data[self.at : self.at + 1]
            self._read_on()

    def take(self, marks: str) -> str:
        """The next character, which must be one of these."""
        mark = self.peek()
        if not mark or mark not in marks:
            raise self._fail(f"'{marks[0]}' expected" if mark else "the file breaks off", self.at)
        self.at += 1
        return mark

    def read_list(self) -> Iterator[Any]:
        if self.peek() == "]":
            self.at += 1
            return
        yield self.decode()
        while self.take(",]") == ",":
            yield self.decode()

    def decode(self) -> Any:
        self.peek()
        while True:
            try:
                value, end = self.decoder.raw_decode(self.data, self.at)
                if self.ended or end < len(self.data):
                    self.at = end
                    return value
            except json.JSONDecodeError as error:
                if self.ended:
                    reason = "the file breaks off" if error.pos >= len(self.data.rstrip()) else error.msg
                    raise self._fail(reason, error.pos) from None
            except (ValueError, RecursionError) as error:  # a number of thousands of digits, lists in lists in lists
                raise self._fail(str(error), self.at) from None
            if len(self.data) - self.at > settings.MAX_CELL:
                raise self._fail(f"damaged, or longer than {settings.MAX_CELL:,} characters", self.at)
            self._read_on()

    def _read_on(self) -> None:
        """Reads as much again as is there, so that a long value is not tried again and again."""
        self.line, self.column = self._find(self.at)
        self.data, self.at = self.data[self.at :], 0
        more = self.text.read(max(settings.FEED_CHUNK, len(self.data)))
        self.data += more
        self.ended = not more

    def _find(self, at: int) -> tuple[int, int]:
        lines = self.data.count("\n", 0, at)
        return self.line + lines, (at - self.data.rfind("\n", 0, at)) if lines else self.column + at

    def _fail(self, reason: str, at: int) -> ValueError:
        line, column = self._find(at)
        return ValueError(f"line {line}, column {column}: not valid JSON ({reason})")


def find_markup(head: str) -> str:
    """What a text that begins like this is: "html", "xml", "json" or ""."""
    start = re.sub(r"\A(?:\s|\ufeff|<!--.*?-->)*", "", head, flags=re.DOTALL).lower()
    if start.startswith(("<!doctype html", "<html", "<head", "<body")):
        return "html"
    return {"<": "xml", "{": "json", "[": "json"}.get(start[:1], "")


def column_name(name: str) -> str:
    """'Google Shopping / Age Group' -> 'google_shopping_age_group'."""
    return re.sub(r"\W+", "_", name.strip().lower()).strip("_")


def plain_text(text: str) -> str:
    """Text or HTML -> text in one line, without tags, comments, scripts and character references."""
    if "<" in text:
        text = _TAG.sub(lambda tag: "" if (tag[2] or "").lower() in _INLINE else " ", text)
    if "&" in text:
        text = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
    return " ".join(text.split())


def name_view(item_id: str, number: int) -> str:
    """The id of a product's picture, which are counted from 1: the first has the product's own id."""
    return item_id if number == 1 else f"{item_id}#{number}"
