"""A table (CSV, JSONL, Parquet) as a source: each row is an item."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date, time
from functools import partial
from pathlib import Path
from typing import Any

from focusedfashion import settings
from focusedfashion.errors import SourceError
from focusedfashion.items import Failure, Item
from focusedfashion.sources.records import Record, read_csv, read_jsonl, read_parquet, read_parquet_types, take_name

TABLE_ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")

# The first of these that is there names the items, where no other column is asked for.
ID_COLUMNS = ("id", "item_id", "sku")

# The columns that fill an Item's own fields.
ITEM_COLUMNS = ("image", "product_id", "title", "brand", "url", "price", "currency")

# The first of these that is there fills the title, where no column has that name.
TITLE_COLUMNS = ("name", "product_name", "productDisplayName")

# A leading zero makes a code of it (a postcode, a GTIN), and so does a plus.
_INTEGER = re.compile(r"-?(?:0|[1-9]\d*)", re.ASCII)
_NUMBER = re.compile(r"-?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_URL = re.compile(r"data:|[a-z][a-z0-9+.-]*://", re.IGNORECASE)

# What a column's values are in a catalog: bool, int, float or str; None while it has only empty cells.
Kind = type | None


def read_table(path: Path, id_column: str | None = None) -> Iterator[Item | Failure]:
    """A table -> an Item for each row, or a Failure where the row cannot be used, in the table's order.

    The column `image` has the picture's path (relative to the table) or, in Parquet, its bytes, also as
    {"bytes", "path"}. The id is the column `id_column`, or else `id`, `item_id` or `sku`, or else the picture's
    path, or else "row 7" (rows count from 1); the id column is not among `columns` again. ITEM_COLUMNS fill the
    item's fields. `name`, `product_name` or `productDisplayName` fills the title where there is no `title`, and stays
    in `columns` too. A price that is no number is None, its text then is in `source_price`.

    All other columns are in `columns` under their own names, in every row. A column has one type over the whole table
    (see `Kind`): numbers if all its values are, text if they are mixed; what is nested becomes JSON text, and a date
    ISO text. For this CSV and JSONL are read twice, the first time before this function returns. Raises SourceError if
    no row can be read, or for a missing column.
    """
    kinds: dict[str, Kind]
    ending = path.suffix.lower()
    if ending == ".parquet":
        records, kinds = partial(read_parquet, path), dict(read_parquet_types(path))
    elif ending in (".jsonl", ".ndjson"):
        records = partial(read_jsonl, path)
        kinds = _find_kinds(path, records(), _value_kind)
    else:
        records = partial(read_csv, path)
        kinds = _find_kinds(path, records(), _text_kind)
    layout = _Layout(path, kinds, id_column)
    return (layout.read_item(number, record) for number, record in enumerate(records(), start=1))


class _Layout:
    """Where in an Item each column of one table goes."""

    def __init__(self, path: Path, kinds: dict[str, Kind], id_column: str | None) -> None:
        for needed, purpose in (("image", "with the pictures"), (id_column, "for the ids")):
            if needed is not None and needed not in kinds:
                names = ", ".join(map(repr, kinds))
                raise SourceError(f"{path} has no column '{needed}' {purpose}; it has {names[:1000]}")
        self.path = path
        self.kinds = kinds
        self.id_column = id_column or next((name for name in ID_COLUMNS if name in kinds), None)
        self.title_column = next((name for name in ("title", *TITLE_COLUMNS) if name in kinds), "title")
        self.price_is_text = "price" in kinds and kinds["price"] not in (int, float)
        taken = {"source_price"} if self.price_is_text else set()
        # The table's name, the name in `Item.columns`, the kind, and the type of the cells that stay as they are.
        self.columns: list[tuple[str, str, Kind, Kind]] = []
        for name, kind in kinds.items():
            if name not in ITEM_COLUMNS and name != self.id_column:
                self.columns.append((name, take_name(name, taken), kind, None if kind is float else kind))

    def read_item(self, number: int, record: Record) -> Item | Failure:
        """Row `number`, from 1, as an Item, or as a Failure that says where it stands and what is wrong."""
        cells = record.cells
        item_id = _to_line(cells.get(self.id_column)) if self.id_column else None
        try:
            if record.problem:
                raise ValueError(record.problem)
            if self.id_column and item_id is None:
                raise ValueError(f"nothing in the column '{self.id_column}', which has the ids")
            image, picture = _find_picture(cells.get("image"), self.path.parent)
            columns = {
                own: cell if type(cell := cells.get(name)) is plain else _convert(cell, kind)
                for name, own, kind, plain in self.columns
            }
            price = _convert(cells.get("price"), self.kinds.get("price"))
            if self.price_is_text:
                text = None if price is None else _to_text(price)
                price = float(text) if text and _text_kind(text) is not str else None
                columns["source_price"] = text if price is None else None
        except (ValueError, TypeError, OverflowError) as error:  # the last two if the file has changed meanwhile
            return Failure(item_id or f"row {number}", "read", f"{self.path.name}, {record.place}: {error}")
        return Item(
            item_id or image or f"row {number}",
            image=image,
            product_id=_to_line(cells.get("product_id")) or "",
            title=_to_line(cells.get(self.title_column)),
            brand=_to_line(cells.get("brand")),
            url=_to_line(cells.get("url")),
            price=None if price is None else float(price),
            currency=_to_line(cells.get("currency")),
            columns=columns,
            picture=picture,
        )


def _find_picture(cell: Any, folder: Path) -> tuple[str, Path | bytes]:
    """The cell `image` -> (the reference as it stands there, where the picture comes from); ValueError says why not."""
    if isinstance(cell, dict):  # as Hugging Face's data sets have it
        path, data = cell.get("path") or "", cell.get("bytes")
        if isinstance(data, bytes) and data and isinstance(path, str):
            return path, data
        cell = path
    if isinstance(cell, bytes) and cell:
        return "", cell
    if not cell:
        raise ValueError("no picture in the column 'image'")
    if not isinstance(cell, str):
        raise ValueError(f"the column 'image' must have a path or bytes, not {_to_text(cell)[:100]}")
    if _URL.match(cell):
        raise ValueError(f"pictures by URL cannot be read yet: download them first ({cell[:200]})")
    if len(cell) > settings.MAX_REFERENCE:
        raise ValueError(f"what stands in the column 'image' is too long for a path ({cell[:40]}…)")
    return cell, folder / cell


def _find_kinds(path: Path, records: Iterable[Record], kind_of: Callable[[Any], type]) -> dict[str, Kind]:
    kinds: dict[str, Kind] = {}
    problem = ""
    for record in records:
        if record.problem:
            problem = problem or f" that can be read; {record.place}: {record.problem}"
            continue
        for name, cell in record.cells.items():
            kind = kinds.setdefault(name, None)
            if cell is not None and kind is not str:
                kinds[name] = _join_kinds(kind, kind_of(cell))
    if not kinds:
        raise SourceError(f"{path} has no rows{problem}")
    return kinds


def _join_kinds(kind: Kind, other: type) -> type:
    if kind is None or kind is other:
        return other
    return float if {kind, other} == {int, float} else str


def _text_kind(text: str) -> type:
    if _INTEGER.fullmatch(text):
        return int if _fits(text) else str
    return float if _NUMBER.fullmatch(text) and math.isfinite(float(text)) else str


def _value_kind(value: Any) -> type:
    if isinstance(value, int) and not isinstance(value, bool):
        return int if _fits(value) else str
    return type(value) if isinstance(value, (bool, float)) else str


def _fits(number: int | str) -> bool:
    """Whether a whole number goes into 64 bits; one that does not stays text, digit by digit."""
    return len(str(number)) <= 20 and -(2**63) <= int(number) < 2**63


def _convert(cell: Any, kind: Kind) -> bool | int | float | str | None:
    if cell is None or kind is None:
        return None
    if kind is str:
        return _to_text(cell)
    if kind is float:
        number = float(cell)
        return number if math.isfinite(number) else None
    return int(cell) if kind is int else bool(cell)


def _to_text(value: Any) -> str:
    if isinstance(value, bytes):
        # Old writers mark text as binary; what is not text (a mask, a second picture) has no place among the columns.
        try:
            return value.decode()
        except UnicodeDecodeError:
            return f"<{len(value)} bytes>"
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, (bool, int, float, list, dict)):
        return json.dumps(value, ensure_ascii=False, default=_to_text)
    return str(value)


def _to_line(value: Any) -> str | None:
    """An id or another short text; 7.0 is 7, because a missing cell makes floats of a column's ids."""
    if type(value) is str:
        return value.strip() or None
    if isinstance(value, float):
        value = int(value) if value.is_integer() else value if math.isfinite(value) else None
    return None if value is None else _to_text(value).strip() or None
