"""The pictures of a page's elements: the real ones behind placeholders, and the one that shows the product."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from focusedfashion import settings

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

_LAZY = ("data-src", "data-lazy-src", "data-lazy", "data-original", "data-image", "data-zoom-image", "data-large_image")
_LAZY_SETS = ("data-srcset", "data-lazy-srcset", "data-original-set")
# The name of a picture that only keeps a place.
_PLACEHOLDER = re.compile(
    r"(?:[a-z0-9]+[-_])?(?:placeholder|blank|spacer|pixel|1x1|loading|loader|lazy|transparent|no-?image)"
    r"(?:[-_][a-z0-9]+)?\.(?:gif|png|svg|jpe?g|webp)",
    re.IGNORECASE,
)
# A number in the address of a lazy picture that the shop's script fills in.
_WIDTH = re.compile(r"\{(?:width|size)\}")
_DECORATION = re.compile(
    r"(?<![a-z])(?:logos?|icons?|sprites?|avatars?|badges?|payments?|flags?|banners?)(?![a-z])|\.(?:svg|gif)(?:\?|\Z)",
    re.IGNORECASE,
)
_GALLERY = re.compile(r"product|gallery|zoom|main|hero|carousel|artikel|produit|prodott|producto", re.IGNORECASE)
_OTHERS = re.compile(r"related|recommend|upsell|cross-?sell|similar|recently|footer|newsletter", re.IGNORECASE)
_CALLED_LIKE_IT = 10  # what that weighs, more than all else


def find_picture(tree: LexborHTMLParser, title: str, alone: bool) -> str:
    """The picture that most likely shows the product of this title, or "" where all look like decoration.

    Where it is not alone on the page, the picture must be called like it.
    """
    best, found = 0 if alone else _CALLED_LIKE_IT - 1, ""
    for node in tree.css("img, source[srcset], source[data-srcset]")[: settings.MAX_NODES]:
        reference = find_source(node)
        if not reference or _keeps_place(reference) or _DECORATION.search(reference[: settings.MAX_REFERENCE]):
            continue
        score = _score_picture(node, title)
        if score > best:
            best, found = score, reference
    return found


def find_source(node: LexborNode) -> str:
    """The address of an <img> or <source>: what a lazy one will show counts before what it shows now, "" if nothing."""
    attributes = node.attributes
    for name in _LAZY:
        if (value := (attributes.get(name) or "").strip()) and not _keeps_place(value):
            return _WIDTH.sub("800", value)
    shown = (attributes.get("src") or "").strip()
    for name in (*_LAZY_SETS, "srcset"):
        if name == "srcset" and shown and not _keeps_place(shown):
            return shown
        if found := _pick_largest(attributes.get(name) or ""):
            return found
    return shown


def _pick_largest(srcset: str) -> str:
    """The largest of a srcset's pictures ("a.jpg 400w, b.jpg 800w"), "" where there is none."""
    best, found = -1.0, ""
    for part in re.split(r",\s+|(?<=\d[wx]),", srcset):
        address, _, size = part.strip(" ,\t\r\n").partition(" ")
        digits = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)[wx]", size.strip())
        width = float(digits[1]) if digits else 1.0
        if address and width > best and not _keeps_place(address):
            best, found = width, address
    return found


def _keeps_place(reference: str) -> bool:
    """Whether this shows nothing yet: an embedded picture of a pixel or so, a file named placeholder."""
    if reference[:5].lower() == "data:":
        return len(reference) < settings.MAX_REFERENCE
    return _PLACEHOLDER.fullmatch(reference.partition("?")[0].rpartition("/")[2][:100]) is not None


def _score_picture(node: LexborNode, title: str) -> int:
    """How much an <img> looks like the product's own; 0 for what is decoration."""
    attributes = node.attributes
    for side in ("width", "height"):
        if re.fullmatch(r"\d{1,2}", (attributes.get(side) or "").strip().removesuffix("px")):
            return 0  # below 100 pixels
    score = 1
    alt, title = ((text or "").strip().casefold() for text in (attributes.get("alt"), title))
    if min(len(alt), len(title)) > 3 and (alt in title or title in alt):
        score += _CALLED_LIKE_IT
    around: LexborNode | None = node
    for _ in range(6):
        if around is None:
            break
        if around.tag in ("header", "nav", "footer", "aside"):
            return 0
        names = around.attributes if around.is_element_node else {}
        words = f"{names.get('class') or ''} {names.get('id') or ''}"
        if _OTHERS.search(words):
            return 0
        score += _GALLERY.search(words) is not None
        around = around.parent
    return score
