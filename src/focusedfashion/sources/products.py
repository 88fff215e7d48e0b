"""A product with its pictures and variants -> items."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from focusedfashion.items import Failure, Item
from focusedfashion.sources.feeds import Place, name_view
from focusedfashion.sources.records import take_name


@dataclass(slots=True)
class Variant:
    options: dict[str, str]  # column name -> value
    price: float | None = None
    regular_price: float | None = None
    source_price: str | None = None
    sku: str | None = None
    barcode: str | None = None
    available: bool | None = None
    inventory: int | None = None
    image: str = ""  # its own, by link


@dataclass(slots=True)
class Picture:
    link: str
    position: float = math.inf
    alt: str | None = None


@dataclass(slots=True)
class Product:
    """A product with all that is known of it; `where` it begins, `name` while it has no id."""

    where: str
    name: str
    product_id: str = ""
    title: str | None = None
    brand: str | None = None
    url: str | None = None
    columns: dict[str, Any] = field(default_factory=dict)
    variants: list[Variant] = field(default_factory=list)
    pictures: dict[str, Picture] = field(default_factory=dict)  # by link


def make_items(place: Place, product: Product) -> Iterator[Item | Failure]:
    """The product's pictures by position, then those that only variants have.

    An item has the columns of the variants whose picture it is, or else of all: each option as a list, the lowest
    price. The first item has the product's own id.
    """
    own: dict[str, list[Variant]] = {}
    for variant in product.variants:
        if variant.image:
            own.setdefault(variant.image, []).append(variant)
    pictures = sorted(product.pictures.values(), key=lambda picture: picture.position)
    pictures += [Picture(link) for link in own if link not in product.pictures]
    problem = "no handle" if not product.product_id else "" if pictures else "no picture"
    if problem:
        yield Failure(product.product_id or product.name, "read", f"{place.short}, {product.where}: {problem}")
        return
    for number, picture in enumerate(pictures, start=1):
        view = name_view(product.product_id, number)
        try:
            source = place.find_picture(picture.link)
        except ValueError as error:
            yield Failure(view, "read", f"{place.short}, {product.where}: {error}")
            continue
        price, columns = _describe_variants(own.get(picture.link, product.variants), set(product.columns))
        if picture.alt:
            columns["image_alt_text"] = picture.alt
        yield Item(
            view,
            image=picture.link,
            product_id=product.product_id,
            title=product.title,
            brand=product.brand,
            url=product.url,
            price=price,
            columns=product.columns | columns,
            picture=source,
        )


def _describe_variants(variants: list[Variant], taken: set[str]) -> tuple[float | None, dict[str, Any]]:
    """-> (the lowest price, the columns that say what there is)"""
    columns: dict[str, Any] = {}
    cheapest = min(variants, key=lambda variant: math.inf if variant.price is None else variant.price, default=None)
    price = cheapest.price if cheapest else None
    if cheapest and price is not None and (cheapest.regular_price or 0) > price:
        columns["regular_price"] = cheapest.regular_price
    if price is None and (text := next((variant.source_price for variant in variants if variant.source_price), None)):
        columns["source_price"] = text
    for name in ("sku", "barcode"):
        if values := list_once(getattr(variant, name) for variant in variants):
            columns[name] = values
    available = [variant.available for variant in variants if variant.available is not None]
    if available:
        columns["available"] = any(available)
    inventory = [variant.inventory for variant in variants if variant.inventory is not None]
    if inventory:
        columns["inventory_quantity"] = sum(inventory)
    taken |= set(columns)
    for name in dict.fromkeys(name for variant in variants for name in variant.options):
        columns[take_name(name, taken)] = list_once(variant.options.get(name) for variant in variants)
    return price, columns


def list_once(values: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(value for value in values if value))
