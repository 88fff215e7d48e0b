"""What a page's markup says -> its products, by schema.org's Product, ProductGroup and Offer, and by OpenGraph.

The vocabulary is documented at schema.org and, as shops use it, in Google Search Central, "Product structured data" and
"Product variant structured data"; OpenGraph's at ogp.me and in Meta's "Product" object.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from focusedfashion import settings
from focusedfashion.sources.feeds import column_name
from focusedfashion.sources.markup import Page
from focusedfashion.sources.offers import read_offers
from focusedfashion.sources.things import Fields, Things

# Properties that are no columns as they stand, or of no use in a catalog.
_READ = re.compile(
    r"type|id|context|graph|name|url|images?|photo|thumbnail(?:_url)?|brand|logo|offers|audience|video|same_as|keywords"
    r"|product_?id|product_?group_?id|in_product_group_with_id|varies_by|has_variant|additional_property|identifier"
    r"|aggregate_rating|potential_action|main_entity(?:_of_page)?|subject_of|.*_notes|has_\w*_policy|shipping_details"
    r"|price|low_price|high_price|price_currency|price_specification|price_valid_until|availability|item_condition"
    r"|disambiguating_description|is_(?:variant_of|related_to|similar_to|accessory_\w*|consumable_for)|reviews?|has_part"
)
_IDS = ("sku", "product_id", "productid", "gtin", "gtin14", "gtin13", "gtin12", "gtin8", "isbn", "mpn", "identifier")
_GROUP_IDS = ("product_group_id", "productgroupid", "in_product_group_with_id")
_CHOICES = ("color", "size", "pattern")  # what names a variant that has no id

# OpenGraph's names, by what comes after the prefix; the first of an offer's that is there counts.
_OFFER_KEYS = {
    "sale_price:amount": "price",
    "price:amount": "price",
    "price:currency": "priceCurrency",
    "sale_price:currency": "priceCurrency",
    "availability": "availability",
    "condition": "itemCondition",
}
_FACT_KEYS = {"title": "name", "retailer_item_id": "sku", "item_group_id": "productGroupID"}
_IMAGE_KEYS = ("og:image:secure_url", "og:image", "og:image:url", "twitter:image", "twitter:image:src", "image_src")


@dataclass(slots=True)
class Listing:
    """One product or variant as a page lists it; what is not said is "", None or empty. Addresses are as they stand."""

    item_id: str = ""
    product_id: str = ""  # of its group, "" if it is in none
    title: str | None = None
    brand: str | None = None
    url: str = ""
    images: list[str] = field(default_factory=list)
    price: float | None = None
    currency: str | None = None
    columns: dict[str, Any] = field(default_factory=dict)

    def fill(self, other: Listing) -> None:
        """Takes over what is not said here."""
        self.item_id, self.product_id = self.item_id or other.item_id, self.product_id or other.product_id
        self.title, self.brand, self.url = self.title or other.title, self.brand or other.brand, self.url or other.url
        self.images = self.images or other.images
        if self.price is None:
            self.price, self.currency = other.price, other.currency or self.currency
        for name, value in other.columns.items():
            self.columns.setdefault(name, value)


def find_listings(page: Page) -> list[Listing]:
    """The page's products in order, variants one by one: JSON-LD counts before microdata, and that before OpenGraph.

    What one of them leaves out is taken from the others, where it is clear that they mean the same product.
    """
    listings = _merge(_Reader(page.things).read())
    others = _merge(_Reader(page.microdata).read())
    if not listings:
        listings, others = others, []
    alone = count_products(listings) == 1
    described, is_product = _read_opengraph(page.meta)
    for listing in listings:
        for other in others:
            if _is_same(listing, other) or (len(listings) == len(others) == 1):
                listing.fill(other)
        if alone:
            listing.fill(described if len(listings) == 1 else replace(described, item_id=""))
    return listings or ([described] if is_product else [])


def count_products(listings: Iterable[Listing]) -> int:
    """How many products these are, variants of one counted once."""
    return len({listing.product_id or f"\n{number}" for number, listing in enumerate(listings)})


def _merge(listings: Iterable[Listing]) -> list[Listing]:
    """The same without repetitions: themes and plug-ins often describe the same product once more."""
    merged: list[Listing] = []
    known: dict[tuple[str, str], Listing] = {}
    for listing in listings:
        keys = [("id", listing.item_id), ("url", listing.url), ("title", listing.title or "")]
        same = next((known[key] for key in keys if key in known and _is_same(known[key], listing)), None)
        if same is not None and not listing.product_id:
            same.fill(listing)
            continue
        merged.append(listing)
        for key in keys:
            if key[1]:
                known.setdefault(key, listing)
    return merged


def _is_same(one: Listing, other: Listing) -> bool:
    """Whether two listings of one page mean the same product."""
    remark = any(not known.images and known.price is None for known in (one, other))  # as plug-ins for ratings make it
    if one.item_id and other.item_id and (one.item_id == other.item_id or not remark):
        return one.item_id == other.item_id
    if one.url and other.url:
        return one.url.rstrip("/") == other.url.rstrip("/")
    if one.title is None or one.title != other.title:
        return False
    # Of the same name: without any other name they may still be different garments.
    named = [bool(known.item_id or known.url) for known in (one, other)]
    return remark or any(named) or not set(one.images).isdisjoint(other.images)


class _Reader:
    """Reads the products among a page's things."""

    def __init__(self, things: list[Any]) -> None:
        self._things = Things(things)

    def read(self) -> Iterator[Listing]:
        products = [(thing, self._things.open(thing)) for thing in self._things.products]
        groups = {
            str(name): fields
            for _, fields in products
            if "has_variant" in fields or any("group" in str(kind).lower() for kind in fields.get("type", ()))
            for name in (*fields.get("id", ()), *fields.get("product_group_id", ()))
        }
        are_groups = {id(fields) for fields in groups.values()}
        in_groups = {id(variant) for _, fields in products for variant in fields.get("has_variant", ())}
        referred = {self._find_group(fields) for _, fields in products if id(fields) not in are_groups}
        for thing, fields in products:
            name = self._find_group(fields)
            if fields.get("has_variant"):
                yield from self._read_group(fields)
            elif id(fields) in are_groups and name not in referred:
                yield self._read_product(fields)
            elif id(fields) not in are_groups and id(thing) not in in_groups:
                yield self._read_product(_inherit(fields, groups.get(name, {})))

    def _find_group(self, fields: Fields) -> str:
        """The id of the group that a product is, or is in, or ""."""
        for parent in fields.get("is_variant_of", ()):
            inherited = self._things.open(parent)
            if found := self._things.find_text(inherited, (*_GROUP_IDS, "id")):
                return found
        return self._things.find_text(fields, _GROUP_IDS) or ""

    def _read_group(self, fields: Fields) -> Iterator[Listing]:
        """A group's variants one by one, and what pictures of the group are left."""
        whole = self._read_product(fields)
        whole.product_id = whole.item_id = whole.product_id or whole.item_id or whole.url or whole.title or ""
        shown: set[str] = set()
        for thing in fields["has_variant"]:
            own = self._things.open(thing)
            if own.keys() <= {"type", "id", "url"}:
                continue  # it has a page of its own
            own_url = self._find_address(own)
            if own_url:
                own["url"] = [own_url]
            listing = self._read_product(_inherit(own, fields))
            listing.product_id = whole.product_id
            # Of pictures that several variants show one each is enough. The group's own say nothing of a variant.
            many = [image for image in listing.images[1:] if image not in shown] if "image" in own else []
            listing.images = listing.images[:1] + many
            shown.update(listing.images)
            choice = [str(listing.columns[name]) for name in _CHOICES if name in listing.columns]
            if not listing.item_id:
                listing.item_id = f"{whole.product_id}/{'-'.join(choice)}" if choice else own_url
            yield listing
        rest = [image for image in whole.images if image not in shown]
        if rest or not shown:
            whole.images = rest
            yield whole

    def _read_product(self, fields: Fields) -> Listing:
        item_id = self._things.find_text(fields, _IDS) or ""
        price, currency, columns = read_offers(self._things, fields)
        return Listing(
            re.sub(r"\A(?:sku|mpn|gtin\d*|upc|ean|isbn):", "", item_id, flags=re.IGNORECASE),
            self._find_group(fields),
            self._things.find_text(fields, ("name",)),
            self._things.find_text(fields, ("brand",)),
            self._find_address(fields),
            list(dict.fromkeys(self._find_images(fields)))[: settings.PAGE_PICTURES],
            price,
            currency,
            self._read_columns(fields) | columns,
        )

    def _find_address(self, fields: Fields) -> str:
        offers = [self._things.open(offer) for offer in fields.get("offers", ())[:1]]
        for known in (fields, *offers):
            for value in known.get("url", ()):
                if isinstance(value, str):
                    return value.strip()
        return ""

    def _find_images(self, fields: Fields) -> Iterator[str]:
        for name in ("image", "images", "photo", "thumbnail_url", "thumbnail"):
            found = False
            for value in fields.get(name, ()):
                if isinstance(value, dict):
                    inner = self._things.open(value)
                    addresses = [*inner.get("content_url", ()), *inner.get("url", ()), *inner.get("thumbnail_url", ())]
                    addresses += inner.get("id", ())
                    value = next((one for one in addresses if isinstance(one, str)), None)
                if isinstance(value, str) and value.strip():
                    found = True
                    yield value.strip()
            if found:
                return

    def _read_columns(self, fields: Fields) -> dict[str, Any]:
        columns: dict[str, Any] = {}
        for name, values in fields.items():
            if not _READ.fullmatch(name) and (texts := list(filter(None, map(self._things.to_text, values)))):
                columns[name] = ", ".join(dict.fromkeys(texts))
        for audience in fields.get("audience", ()):
            inner = self._things.open(audience)
            if gender := self._things.find_text(inner, ("suggested_gender", "gender")):
                columns.setdefault("gender", gender.lower())
            if age := self._things.find_text(inner, ("suggested_age", "audience_type")):
                columns.setdefault("age_group", age)
        for rating in fields.get("aggregate_rating", ())[:1]:
            inner = self._things.open(rating)
            for name, properties in (("rating", ("rating_value",)), ("rating_count", ("rating_count", "review_count"))):
                number = _to_number(self._things.find_text(inner, properties) or "")
                if number is not None:
                    columns[name] = number
        for known in fields.get("additional_property", ()):
            inner = self._things.open(known)
            name = column_name(self._things.find_text(inner, ("name", "property_id")) or "")[:100]
            text = self._things.to_text(known) if "value" in inner else None
            if name and text:
                columns.setdefault(name, text)
        return dict(list(columns.items())[: settings.PAGE_PROPERTIES])


def _inherit(own: Fields, group: Fields) -> Fields:
    """What is said of a variant, with what it has from its group: all but names that are the group's own."""
    return {name: values for name, values in group.items() if name not in (*_IDS, "has_variant", "id", "type")} | own


def _to_number(text: str) -> float | None:
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _read_opengraph(meta: dict[str, list[str]]) -> tuple[Listing, bool]:
    """-> (what OpenGraph says, whether it says that the page is about a product)"""
    facts: dict[str, Any] = {"@type": "Product"}
    offer: dict[str, str] = {}
    for key, name in _OFFER_KEYS.items():
        for values in (meta.get(f"product:{key}"), meta.get(f"og:{key}")):
            if values:
                offer.setdefault(name, values[0])
    for name, values in meta.items():
        key = name.partition(":")[2]
        if name.startswith("product:") and re.fullmatch(r"[a-z_]+", key):
            facts[_FACT_KEYS.get(key, key)] = values
        elif name in ("og:title", "og:url", "og:brand", "og:description"):
            facts[_FACT_KEYS.get(key, key)] = values[0]
    images = (meta[name] for name in _IMAGE_KEYS if name in meta)
    facts |= {"image": next(images, []), "offers": offer}
    is_product = "product" in " ".join(meta.get("og:type", ())).lower() or "price" in offer or "sku" in facts
    if not is_product:  # a page about anything: only its picture can help a product that is known otherwise
        facts = {name: facts[name] for name in ("@type", "image")}
    return next(_Reader([facts]).read()), is_product
