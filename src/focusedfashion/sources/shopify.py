"""Exports of Shopify as a source: the product CSV, and `products.json` of a shop's front and of its Admin API.

The CSV is documented in Shopify's Help Center, "Using CSV files to import and export products"; the JSON in its
"Admin REST API, Product resource" (a shop's own /products.json has a part of it).
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections import OrderedDict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from focusedfashion import settings
from focusedfashion.errors import SourceError
from focusedfashion.items import Failure, Item
from focusedfashion.sources.feeds import (
    Place,
    ReadErrors,
    column_name,
    find_markup,
    open_text,
    plain_text,
    read_elements,
    read_head,
    unpack,
)
from focusedfashion.sources.prices import parse_price
from focusedfashion.sources.products import Picture, Product, Variant, list_once, make_items
from focusedfashion.sources.records import read_csv, read_jsonl

# The CSV's columns that have a meaning here, by `column_name`: the older names first.
_NAMES = {
    "handle": ("handle", "url_handle"),
    "title": ("title",),
    "description": ("body_html", "description"),
    "vendor": ("vendor",),
    "product_type": ("type",),
    "product_category": ("product_category", "standard_product_type", "standardized_product_type"),
    "tags": ("tags",),
    "published": ("published", "published_on_online_store"),
    "sku": ("variant_sku", "sku"),
    "barcode": ("variant_barcode", "barcode"),
    "price": ("variant_price", "price"),
    "regular_price": ("variant_compare_at_price", "compare_at_price"),
    "inventory": ("variant_inventory_qty", "inventory_quantity"),
    "image": ("image_src", "product_image_url"),
    "position": ("image_position",),
    "alt": ("image_alt_text",),
    "variant_image": ("variant_image", "variant_image_url"),
}
_MEANINGS = {name: meaning for meaning, names in _NAMES.items() for name in names}
_READ = set(_NAMES) - {"description", "product_type", "product_category"}  # those that are no columns as they stand
# What a variant weighs, costs its shop or is taxed: of no use in a catalog, and one value for each variant.
_LEFT_OUT = re.compile(
    r"(.*_)?variant_.*|option\d_(name|value|linked_to)|cost_per_item|charge_tax|tax_code|unit_price_.*|inventory_tracker"
    r"|continue_selling_.*|weight_.*|requires_shipping|fulfillment_service"
)
# Keys of a product in JSON that are no columns as they stand; the prices are a theme's own, in hundredths.
_READ_KEYS = re.compile(
    "handle|title|vendor|body_html|description|content|tags|options|variants|images?|featured_image|price.*"
    "|compare_at_price.*"
)
_METAFIELD = re.compile(r".*\(\s*(?:product\.)?metafields\.[\w-]+\.([\w-]+)\s*\)")

# Where a shop shows its products as JSON: at the root, in a collection, in a language; also the shop's address alone.
_SHOP_PAGES = re.compile(r"/?|(?:/[a-z-]{2,5})?(?:/collections/[^/]+)?/products(?:/[^/]+)?\.json", re.IGNORECASE)


def read_shopify(path: Path, origin: str = "") -> Iterator[Item | Failure]:
    """A product CSV, a `products.json` or products as JSON Lines (also gzipped) -> the products' pictures, in order.

    The handle is the product_id and the first picture's item_id, `handle#2` is the second's, by their positions. The
    options (`color`, `size`), `sku` and `barcode` are columns of lists: of the picture's own variants, where variants
    have it as their picture, or else of all. So is `price`, the lowest of theirs; `regular_price` is what that variant
    is compared at, `inventory_quantity` their sum. `tags` is a list; texts are without HTML; there is no currency in
    these files. Other columns of the product are text under their own names; other columns of variants are left out.

    A CSV has several rows for a product. They need not stand together, but with no more than
    settings.HELD_CHARACTERS of other rows between them; rows without a title that come later are Failures.

    `origin` is where the file came from. If that is a shop's address (or its products.json), `url` is the product's
    page. Raises SourceError where nothing can be read.
    """
    place = Place(path, origin)
    head, encoding = read_head(place)
    kind = find_markup(head)
    if kind in ("html", "xml"):
        what = "a web page" if kind == "html" else "XML"
        raise SourceError(f"{place.name} is {what}, not a product CSV or a products.json of Shopify")
    products = _read_json(place, encoding) if kind == "json" else _read_table(place, head)
    entries = itertools.chain.from_iterable(
        [product] if isinstance(product, Failure) else make_items(place, product) for product in products
    )
    first = next(entries, None)
    if first is None:
        raise SourceError(f"{place.name} has no products in it")
    return itertools.chain([first], entries)


def _find_page(place: Place, handle: str) -> str | None:
    shop = urlsplit(place.url)
    if not handle or not shop.netloc or not _SHOP_PAGES.fullmatch(shop.path):
        return None
    return f"{shop.scheme}://{shop.netloc}/products/{quote(handle)}"


def _read_amount(value: Any) -> tuple[float | None, str | None]:
    """A price as Shopify writes it, "1299.00", or as a person changed it -> (amount, the text if it is none)."""
    if isinstance(value, str) and re.fullmatch(r"\d{1,20}(\.\d{1,20})?", value, re.ASCII):
        return float(value), None  # also with three decimals: here a point is never for thousands
    if isinstance(value, str):
        amount = parse_price(value)[0]
        return amount, value if amount is None else None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf:
        return float(value), None
    return None, None if value is None else str(value)[: settings.MAX_PRICE]


def _add_option(variant: Variant, name: str, value: str) -> None:
    if value.lower() != "default title":  # what a product without options has
        variant.options[column_name(name) or "option"] = value


# The CSV


def _read_table(place: Place, head: str) -> Iterator[Product | Failure]:
    line = head.lstrip("\ufeff \t\r\n").partition("\n")[0].strip()
    names = [column_name(cell.strip(' "')) for cell in re.split(r"[,;\t]", line)]
    meanings = {_MEANINGS.get(name) for name in names}
    if "handle" not in meanings or not meanings & {"image", "variant_image"}:
        raise SourceError(
            f"{place.name} is neither JSON nor a product CSV of Shopify, with the columns Handle (or URL handle) and "
            f"Image Src (or Product image URL): it begins with {line[:80]!r}"
        )
    return _read_rows(place, "title" in meanings)


def _read_rows(place: Place, has_titles: bool) -> Iterator[Product | Failure]:
    # By handle, with the names of its options; first those that have had no row for longest.
    held: OrderedDict[str, tuple[Product, dict[str, str]]] = OrderedDict()
    sizes: dict[str, int] = {}  # characters of each
    total, last = 0, ""
    with unpack(place) as path:
        for number, record in enumerate(read_csv(path), start=1):
            cells = {_name_column(name): text for name, text in record.cells.items() if text}
            # Some leave the handle out in a product's further rows.
            handle = cells.get("handle", "" if "title" in cells else last)
            problem = record.problem or ("" if handle else "no handle")
            if not problem and has_titles and "title" not in cells and handle not in held:
                problem = f"no title, and none of the rows shortly before is of '{handle}' and has one"
            last = "" if problem else handle
            if problem:
                yield Failure(f"row {number}", "read", f"{place.short}, {record.place}: {problem}")
                continue
            if handle not in held:
                url = _find_page(place, handle)
                held[handle] = Product(record.place, f"row {number}", handle, url=url), {}
            _add_row(*held[handle], cells)
            held.move_to_end(handle)
            size = sum(map(len, cells.values()))
            sizes[handle] = sizes.get(handle, 0) + size
            total += size
            while total > settings.HELD_CHARACTERS:
                done, (product, _) = held.popitem(last=False)
                total -= sizes.pop(done)
                yield product
    yield from (product for product, _ in held.values())


def _add_row(product: Product, option_names: dict[str, str], cells: dict[str, str]) -> None:
    """What a row says goes to its product; where two rows contradict each other the first counts."""
    product.title = product.title or cells.get("title")
    product.brand = product.brand or cells.get("vendor")
    variant = Variant({}, sku=cells.get("sku"), barcode=cells.get("barcode"), image=cells.get("variant_image", ""))
    variant.price, variant.source_price = _read_amount(cells.get("price"))
    variant.regular_price, _ = _read_amount(cells.get("regular_price"))
    if re.fullmatch(r"-?\d{1,18}", inventory := cells.get("inventory", ""), re.ASCII):
        variant.inventory = int(inventory)
    for number in "123":
        if name := cells.get(f"option{number}_name"):
            option_names.setdefault(number, name)
        if value := cells.get(f"option{number}_value"):
            _add_option(variant, option_names.get(number, f"option{number}"), value)
    for name, text in cells.items():
        if name == "tags":
            product.columns.setdefault(name, _split_tags(text))
        elif name == "published":
            product.columns.setdefault(name, text.lower() == "true")
        elif name not in _READ and not _LEFT_OUT.fullmatch(name) and name not in product.columns:
            product.columns[name] = plain_text(text)
    product.variants.append(variant)  # one that says nothing where the row is there for its picture alone
    if link := cells.get("image"):
        position = cells.get("position", "")
        at = int(position) if re.fullmatch(r"\d{1,9}", position, re.ASCII) else math.inf
        product.pictures.setdefault(link, Picture(link, at, cells.get("alt")))


def _split_tags(text: str) -> list[str]:
    return [tag for part in text.split(",") if (tag := part.strip())]


@lru_cache(1024)
def _name_column(name: str) -> str:
    """The meaning of a column, or else its own name; that of a metafield is its key."""
    metafield = _METAFIELD.fullmatch(name)
    own = column_name(metafield[1] if metafield else name)
    if metafield:
        return f"metafield_{own}" if own in _NAMES else own
    return _MEANINGS.get(own, own)


# The JSON


def _read_json(place: Place, encoding: str) -> Iterator[Product | Failure]:
    with open_text(place, encoding) as text:
        try:
            first = json.loads(text.readline(settings.MAX_CELL))
        except (*ReadErrors, ValueError, RecursionError):
            first = None  # a document of several lines, or of one that is very long
    return _read_lines(place) if _is_product(first) else _read_document(place, encoding)


def _is_product(value: Any) -> bool:
    return isinstance(value, dict) and not {"handle", "variants", "images"}.isdisjoint(value)


def _read_lines(place: Place) -> Iterator[Product | Failure]:
    with unpack(place) as path:
        for number, record in enumerate(read_jsonl(path), start=1):
            if record.problem:
                yield Failure(f"row {number}", "read", f"{place.short}, {record.place}: {record.problem}")
            else:
                yield _read_product(place, record.cells, record.place, f"row {number}")


def _read_document(place: Place, encoding: str) -> Iterator[Product | Failure]:
    number = 0
    with open_text(place, encoding) as text:
        try:
            for value in itertools.chain.from_iterable(map(_open_page, read_elements(text, "products"))):
                number += 1
                where = f"product {number}"
                if isinstance(value, dict) and _is_product(value):
                    yield _read_product(place, value, where, where)
                elif number == 1:
                    raise SourceError(
                        f'{place.name} is JSON, but neither {{"products": [...]}} of Shopify nor a list of products: '
                        f"it begins with {json.dumps(value, ensure_ascii=False)[:80]}"
                    )
                else:
                    yield Failure(where, "read", f"{place.short}, {where}: not a product")
        except (*ReadErrors, ValueError) as error:
            if not number:
                raise SourceError(f"{place.name}, {error}") from None
            yield Failure(f"product {number + 1}", "read", f"{place.short}, {error}; what follows is not read")


def _open_page(value: Any) -> list[Any]:
    """A product, or the answer of an API that has some -> products."""
    if isinstance(value, dict) and isinstance(value.get("products"), list):
        return list(value["products"])
    if isinstance(value, dict) and _is_product(value.get("product")):
        return [value["product"]]
    return [value]


def _read_product(place: Place, cells: dict[str, Any], where: str, name: str) -> Product:
    handle = _text(cells.get("handle")) or ""
    product = Product(where, name, handle or _text(cells.get("id")) or "", url=_find_page(place, handle))
    product.title, product.brand = _text(cells.get("title")), _text(cells.get("vendor"))
    if description := plain_text(_text(cells.get("body_html") or cells.get("description")) or ""):
        product.columns["description"] = description
    tags = cells.get("tags")
    if tags := list_once(map(_text, tags if isinstance(tags, list) else _split_tags(_text(tags) or ""))):
        product.columns["tags"] = tags
    for key, value in cells.items():
        if not _READ_KEYS.fullmatch(key) and (plain := value if isinstance(value, bool) else _text(value)) is not None:
            product.columns[column_name(key)] = plain_text(plain) if isinstance(plain, str) else plain
    pictures, by_id = _read_pictures(cells)
    product.pictures = pictures
    options = [_text(_get(option, "name", option)) or "" for option in _list(cells.get("options"))]
    # A theme's own form of a product (the Ajax API) has its prices in hundredths.
    hundredths = "price_varies" in cells
    product.variants = [
        _read_variant(variant, options, by_id, hundredths)
        for variant in _list(cells.get("variants"))
        if isinstance(variant, dict)
    ]
    return product


def _read_pictures(cells: dict[str, Any]) -> tuple[dict[str, Picture], dict[Any, str]]:
    """-> (the product's pictures by link, the link by the picture's id and by the variants that it shows)"""
    pictures: dict[str, Picture] = {}
    by_id: dict[Any, str] = {}
    for image in _list(cells.get("images")) or _list(cells.get("image")) or _list(cells.get("featured_image")):
        if not (link := _text(_get(image, "src", image))):
            continue
        position = _get(image, "position")
        number = position if isinstance(position, int) else math.inf
        pictures.setdefault(link, Picture(link, number, _text(_get(image, "alt"))))
        for known in (("picture", _get(image, "id")), *(("variant", id_) for id_ in _list(_get(image, "variant_ids")))):
            if isinstance(known[1], (int, str)):
                by_id.setdefault(known, link)
    return pictures, by_id


def _read_variant(cells: dict[str, Any], options: list[str], by_id: dict[Any, str], hundredths: bool) -> Variant:
    variant = Variant({}, sku=_text(cells.get("sku")), barcode=_text(cells.get("barcode")))
    variant.price, variant.source_price = _read_amount(cells.get("price"))
    variant.regular_price, _ = _read_amount(cells.get("compare_at_price"))
    if hundredths:
        variant.price = variant.price and variant.price / 100
        variant.regular_price = variant.regular_price and variant.regular_price / 100
    variant.available = available if isinstance(available := cells.get("available"), bool) else None
    inventory = cells.get("inventory_quantity")
    variant.inventory = inventory if isinstance(inventory, int) and not isinstance(inventory, bool) else None
    for number in range(1, 4):
        if value := _text(cells.get(f"option{number}")):
            _add_option(variant, options[number - 1] if number <= len(options) else f"option{number}", value)
    featured = _text(_get(cells.get("featured_image"), "src"))
    ids = ("picture", cells.get("image_id")), ("variant", cells.get("id"))
    known = (by_id.get(id_) for id_ in ids if isinstance(id_[1], (int, str)))
    variant.image = featured or next(filter(None, known), "")
    return variant


def _get(value: Any, key: str, otherwise: Any = None) -> Any:
    return value.get(key) if isinstance(value, dict) else otherwise


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _text(value: Any) -> str | None:
    if isinstance(value, float):
        value = int(value) if value.is_integer() else value
    if isinstance(value, str) or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return " ".join(str(value).split()) or None
    return None
