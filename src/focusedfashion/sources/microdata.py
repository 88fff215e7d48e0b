"""Microdata: the items that the attributes itemscope, itemprop and itemref of a page's elements make up."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from focusedfashion import settings
from focusedfashion.sources.lazy import find_source

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

Thing = dict[str, Any]  # an item as JSON-LD would have it: "@type", and a list of values for each property

_SCHEMA = re.compile(r"(?:https?://(?:www\.)?schema\.org/|schema:)", re.IGNORECASE)
# Elements that set off what is in them from the text around.
_BREAKING = re.compile(r"br|d[dlt]|div|h[1-6]|li|p|t[dhr]")
# Properties whose value is an address.
_ADDRESSES = re.compile(r"url|image|logo|photo|thumbnailurl|contenturl|availability|itemcondition|sameas")


def read_microdata(tree: LexborHTMLParser) -> list[Thing]:
    """The page's items in order, those inside others too."""
    return _Reader(tree).things


class _Reader:
    def __init__(self, tree: LexborHTMLParser) -> None:
        self._things: dict[int, Thing] = {}  # by the element that is the item
        self._referred: dict[str, list[Thing]] = {}  # what has the properties inside the element of this id (itemref)
        self._owners: dict[int, list[Thing]] = {}  # what has the properties directly inside this element
        self._budget = settings.MAX_TEXT_STEPS  # steps for texts: those of elements inside each other are read often
        for node in tree.css("[itemscope]"):
            attributes = node.attributes
            thing = self._things[node.mem_id] = {"@type": (attributes.get("itemtype") or "").split()}
            if attributes.get("itemid"):
                thing["@id"] = attributes["itemid"]
            for target in (attributes.get("itemref") or "").split()[:100]:
                self._referred.setdefault(target, []).append(thing)
        for node in tree.css("[itemprop]")[: settings.MAX_NODES] if self._things else ():
            self._read_properties(node)
        self.things = list(self._things.values())

    def _read_properties(self, node: LexborNode) -> None:
        inner = self._things.get(node.mem_id)
        holders = [*self._find_owners(node.parent), *(self._referred.get(node.id or "") or ())]
        holders = [holder for holder in holders if holder is not inner][:100]
        for name in (node.attributes.get("itemprop") or "").split()[:10] if holders else ():
            name = _SCHEMA.sub("", name)
            value = inner if inner is not None else self._read_value(node, name.lower())
            for holder in holders:
                holder.setdefault(name, []).append(value)

    def _find_owners(self, node: LexborNode | None) -> list[Thing]:
        """What has the properties directly inside this element: the nearest item around it, or one by itemref."""
        passed: list[int] = []
        found: list[Thing] = []
        while node is not None and node.is_element_node:
            key = node.mem_id
            if key in self._owners:
                found = self._owners[key]
                break
            passed.append(key)
            if key in self._things:
                found = [self._things[key]]
                break
            if self._referred and (node.id or "") in self._referred:
                found = self._referred[node.id or ""]
                break
            node = node.parent
        self._owners.update(dict.fromkeys(passed, found))
        return found

    def _read_value(self, node: LexborNode, name: str) -> str:
        """The value of a property, by the kind of its element; `name` is in lower case."""
        tag, attributes = node.tag, node.attributes
        if tag in ("img", "source"):
            return find_source(node)
        if tag in ("a", "area", "link"):
            address = (attributes.get("href") or "").strip()
            # By the letter <a itemprop="brand" href="/brands/7">Seven</a> is a brand named /brands/7.
            return address if tag == "link" or _ADDRESSES.fullmatch(name) else self._read_text(node) or address
        if tag in ("data", "meter"):
            return attributes.get("value") or ""
        if tag == "meta" or attributes.get("content"):
            return attributes.get("content") or ""
        if tag in ("object", "embed", "iframe", "video", "audio", "track"):
            return (attributes.get("data") or attributes.get("src") or "").strip()
        if tag == "time" and attributes.get("datetime"):
            return attributes["datetime"] or ""
        text = self._read_text(node)
        if not text and _ADDRESSES.fullmatch(name) and self._budget > 0:
            inner = node.css_first("img, source, a[href]")
            return self._read_value(inner, name) if inner is not None else ""
        return text

    def _read_text(self, node: LexborNode) -> str:
        """The text inside an element in one line, without scripts and styles."""
        parts: list[str] = []
        for inner in node.traverse(include_text=True):
            text = inner.text_content if inner.is_text_node else None
            parent = inner.parent
            if text is not None and parent is not None and parent.tag not in ("script", "style"):
                parts.append(text)
            elif _BREAKING.fullmatch(inner.tag or ""):
                parts.append(" ")
            self._budget -= len(text or "") + 1
            if self._budget < 0:
                break
        return " ".join("".join(parts).split())
