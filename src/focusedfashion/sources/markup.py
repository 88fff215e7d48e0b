"""A web page's markup -> what it says of products: JSON-LD, microdata, OpenGraph; its links and pictures.

The tree is Lexbor's (selectolax), which reads broken HTML as browsers do. What is read from it here is what the usual
extractor, extruct, would give, without what keeps us from it: there one broken JSON-LD script costs all of a page's
others, lazy pictures and OpenGraph in a page's body are not seen, and it brings 14 packages for syntaxes of no shop.
"""

from __future__ import annotations

import codecs
import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from focusedfashion import settings
from focusedfashion.errors import MissingExtra
from focusedfashion.sources.lazy import find_picture
from focusedfashion.sources.microdata import Thing, read_microdata

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser

_CHARSET = re.compile(rb"<meta[^>]{0,300}?charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)
# A declared encoding that is none of these is not looked up: Python knows some that are no encodings of text.
_ENCODINGS = re.compile(r"(utf-?8|utf-?16|ascii|iso-?8859|latin|windows-|cp\d|koi8|gb|big5|shift.jis|euc|mac)", re.I)
_SAVED = re.compile(r"<!-- saved from url=\(\d+\)(https?://\S+) -->")

_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/<>]*)([^<>]*)")
_SCRIPT_END = re.compile(r"</(?:script|style)", re.IGNORECASE)
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
# Elements without an end.
_VOID = re.compile(r"area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr")
# Elements that end by themselves where the next one begins: however many are open, they are not inside each other.
_LOOSE = re.compile(r"a|body|colgroup|d[dt]|head|html|li|optgroup|option|p|r[pt]|t[dhr]|tbody|tfoot|thead")
_FORMATTING = re.compile(r"b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u")

# In a script: a string, or what does not belong into JSON: comments, and commas before a bracket or the end.
_NOT_JSON = re.compile(
    r'("(?:[^"\\]|\\.)*+")|/\*.*?(?:\*/|\Z)|<!--|-->|<!\[CDATA\[|\]\]>|//[^\n]*|,(?=\s*[}\]])', re.DOTALL
)

_BEGIN = re.compile(r"[^\s\ufeff;,]")


class Link(NamedTuple):
    """A link of a page as it stands there; `next` where the page says that it leads to the list's next page."""

    reference: str
    next: bool


@dataclass(slots=True)
class Page:
    """What one page says.

    `things` are the objects of its JSON-LD, `microdata` the items of microdata, `meta` the values of OpenGraph's
    properties. References are relative to `base` ("" for the page itself); `address` is where the page says that it
    lives, or "". `problems` has a line for each script about a product that cannot be read.
    """

    things: list[Any]
    microdata: list[Thing]
    meta: dict[str, list[str]]
    base: str
    address: str
    problems: list[str]
    tree: LexborHTMLParser

    def find_links(self) -> Iterator[Link]:
        """The links that a crawler may follow, in the page's order."""
        for node in self.tree.css("a[href], link[rel][href]"):
            attributes = node.attributes
            relation = (attributes.get("rel") or "").lower().split()
            following = "next" in relation
            if "nofollow" not in relation and (node.tag == "a" or following):
                yield Link((attributes.get("href") or "").strip(), following)

    def find_picture(self, title: str, alone: bool) -> str:
        """A picture from the page's elements for the product of this title, which may be `alone` on the page, or ""."""
        return find_picture(self.tree, title, alone)


def read_markup(data: bytes, charset: str = "") -> Page:
    """A page's bytes, and the charset that its server declares -> Page. Raises ValueError where it is no web page."""
    try:
        from selectolax.lexbor import LexborHTMLParser
    except ImportError:
        raise MissingExtra("reading web pages", "web") from None
    text = re.sub(r"\r\n?", "\n", decode_page(data, charset))
    _check_tree(text)
    tree = LexborHTMLParser(text)
    things, problems = _read_scripts(tree, text)
    meta = _read_meta(tree)
    base = tree.css_first("base[href]")
    return Page(
        things,
        read_microdata(tree),
        meta,
        (base.attributes.get("href") or "").strip() if base is not None else "",
        _find_address(tree, text, meta),
        problems,
        tree,
    )


def decode_page(data: bytes, charset: str = "") -> str:
    """Bytes of a page -> text; what they show of their encoding counts before what is declared."""
    if not data.strip():
        raise ValueError("the page is empty")
    if len(data) > settings.MAX_PAGE_BYTES:
        raise ValueError(f"{len(data):,} bytes are too many for a web page ({settings.MAX_PAGE_BYTES:,})")
    if re.match(rb"\s*From: |\s*MIME-Version:", data, re.IGNORECASE):
        raise ValueError("an MHTML archive; save the page as HTML")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    if b"\0" in data[:1_000] or data.startswith((b"%PDF", b"\xff\xd8\xff", b"\x89PNG", b"PK\3\4", b"\x1f\x8b")):
        raise ValueError("not a web page: these are no characters")
    try:
        return data.decode("utf-8-sig")  # text of another encoding is hardly ever UTF-8 by chance
    except UnicodeDecodeError:
        declared = _CHARSET.search(data[:4_096])
        return data.decode(_find_encoding(charset or (declared[1].decode("ascii") if declared else "")), "replace")


def _find_encoding(name: str) -> str:
    try:
        name = str(codecs.lookup(name).name) if _ENCODINGS.match(name) else ""
    except LookupError:
        name = ""
    # As browsers do: cp1252 has more letters than what it stands in for.
    return "cp1252" if name in ("", "ascii", "iso8859-1") or name.startswith("utf-16") else name


def _check_tree(text: str) -> None:
    """Raises ValueError for a page whose tree would take the parser minutes or gigabytes: a bomb, or broken beyond use.

    An estimate in one pass: tags that stay open make each later step slow, formatting tags that stay open are copied
    into each block that follows, and attributes are compared with each other.
    """
    opened: dict[str, list[bool]] = {}  # by name: whether it will be copied
    depth = steps = formats = copies = start = 0
    for tag in _TAG.finditer(text):
        if tag.start() < start:
            continue  # inside a script, where "<" is no tag
        closing, name, rest = tag[1], tag[2].lower(), tag[3]
        if len(rest) > 2 * settings.MAX_TAG_ATTRIBUTES:
            count = len(_QUOTED.sub("", rest).split())
            if count > settings.MAX_TAG_ATTRIBUTES:
                raise ValueError(f"its markup cannot be read: a tag <{name[:20]}> with {count:,} attributes")
        if name in ("script", "style") and not closing:
            end = _SCRIPT_END.search(text, tag.end())
            start = end.end() if end else len(text)
        if name in ("script", "style") or _VOID.fullmatch(name) or _LOOSE.fullmatch(name):
            continue
        nest = opened.setdefault(name, [])
        if closing:
            if nest:
                depth -= 1
                formats -= nest.pop()
            continue
        # Of those without attributes at most three are copied.
        nest.append(_FORMATTING.fullmatch(name) is not None and not rest.isspace() and bool(rest))
        depth += 1
        formats += nest[-1]
        steps += depth
        copies += formats
        if steps > settings.MAX_TREE_STEPS or copies > settings.MAX_TAG_COPIES:
            raise ValueError(f"its markup cannot be read: {depth:,} tags are open inside each other")


def _find_address(tree: LexborHTMLParser, text: str, meta: dict[str, list[str]]) -> str:
    canonical = [node.attributes.get("href") or "" for node in tree.css("link[rel~=canonical][href]")]
    saved = _SAVED.search(text[:2_000])
    for address in (*canonical, *meta.get("og:url", ()), *([saved[1]] if saved else ())):
        if found := re.match(r"\s*(https?://[^/\s]\S*)", address, re.IGNORECASE):
            return str(found[1])
    return ""


def _read_meta(tree: LexborHTMLParser) -> dict[str, list[str]]:
    """OpenGraph's properties, and the like -> their values in order."""
    meta: dict[str, list[str]] = {}
    for node in tree.css("meta[content], link[rel=image_src][href]"):
        attributes = node.attributes
        name = (attributes.get("property") or attributes.get("name") or attributes.get("rel") or "").strip().lower()
        value = (attributes.get("content") or attributes.get("href") or "").strip()
        if value and (name.startswith(("og:", "product:", "twitter:image")) or name == "image_src"):
            meta.setdefault(name, []).append(value)
    return meta


def _read_scripts(tree: LexborHTMLParser, text: str) -> tuple[list[Any], list[str]]:
    """-> (what the JSON-LD scripts hold, a line for each about a product that cannot be read)"""
    things: list[Any] = []
    problems = []
    for node in tree.css('script[type*="ld+json" i]'):
        script = node.text()
        try:
            things += parse_json(script)
        except (ValueError, RecursionError) as error:
            if "product" not in script.lower():
                continue
            line = text.count("\n", 0, max(0, text.find(script))) + getattr(error, "lineno", 1)
            problems.append(f"line {line}: JSON-LD that is no JSON ({_explain(error)})")
    return things, problems


def _explain(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "too many brackets inside each other"
    # Only a JSONDecodeError names a column.
    return f"{getattr(error, 'msg', error)!s:.100}, column {getattr(error, 'colno', 1)}"


def parse_json(script: str) -> list[Any]:
    """JSON as shops write it: with comments, trailing commas, line breaks in strings, entities, one text after another.

    Raises ValueError, or RecursionError for a bomb.
    """
    if '"' not in script and "&quot;" in script:
        script = html.unescape(script)
    try:
        return [_DECODER.decode(script.strip("\ufeff \t\r\n;"))]
    except ValueError:
        pass
    script = _NOT_JSON.sub(lambda found: found[1] or _blank(found[0]), script)  # of the same length: places stay true
    found: list[Any] = []
    at = 0
    while start := _BEGIN.search(script, at):
        value, at = _DECODER.raw_decode(script, start.start())
        found.append(value)
    return found


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


_DECODER = json.JSONDecoder(strict=False, parse_constant=lambda _: None)
