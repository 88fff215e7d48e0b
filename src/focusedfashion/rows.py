"""What a row of a catalog is: its schema, the source's own columns, Item -> row and back. Plain Arrow, no Lance."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from numbers import Real
from typing import Any

import pyarrow as pa

from focusedfashion.encoders import Encoder, Encoding
from focusedfashion.errors import CatalogError
from focusedfashion.items import Item, Label

_TIME = pa.timestamp("us", tz="UTC")

# What the source says of an item; the rest of our columns is what indexing found out.
_FACTS = [
    pa.field("product_id", pa.string()),
    pa.field("image", pa.string()),
    pa.field("title", pa.string()),
    pa.field("brand", pa.string()),
    pa.field("url", pa.string()),
    pa.field("price", pa.float64()),
    pa.field("currency", pa.string()),
]
_FACT_NAMES = [field.name for field in _FACTS]
# Of use to this package only: not listed where a person is told what a filter can name.
INTERNAL = ("content_hash", "row_hash", "thumbnail", "embedding")
# `colors` is kept free: the design has it, a later version fills it.
OWN = ("item_id", *_FACT_NAMES, *INTERNAL, "attributes", "colors", "added_at", "updated_at")

_KINDS = {
    pa.bool_(): "true or false",
    pa.int64(): "whole numbers",
    pa.float64(): "numbers",
    pa.string(): "text",
    _TIME: "times",
    pa.date32(): "dates",
}


def make_schema(encoder: Encoder) -> pa.Schema:
    """The schema of an empty catalog for this encoder's embeddings and attribute groups."""
    fields = [
        pa.field("item_id", pa.string(), nullable=False),
        *_FACTS,
        pa.field("content_hash", pa.string()),
        pa.field("row_hash", pa.string()),
        pa.field("added_at", _TIME),
        pa.field("updated_at", _TIME),
        pa.field("thumbnail", pa.binary()),
    ]
    if encoder.attributes:
        # Two parallel lists and not a list of pairs: a filter can say array_has(attributes.category.labels, 'dress').
        group = pa.struct([("labels", pa.list_(pa.string())), ("scores", pa.list_(pa.float32()))])
        fields.append(pa.field("attributes", pa.struct([(name, group) for name in encoder.attributes])))
    fields.append(pa.field("embedding", pa.list_(pa.float32(), encoder.dim)))
    return pa.schema(fields)


@dataclass(frozen=True, slots=True)
class Row:
    """An item on its way in: `values` by the catalog's column names; `row_hash` is of all that is not its picture."""

    item: Item
    values: Mapping[str, Any]
    row_hash: str


class Columns:
    """The source's own columns in a catalog, name -> Arrow type. Grows as rows bring new ones.

    A type is decided by the first value: true or false, whole numbers, numbers, text, times (UTC), dates, or lists of
    the first four. Whole numbers become numbers when one with a fraction comes. A nested value is kept as JSON text;
    bytes are not kept. NaN and an empty list count as no value.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.types: dict[str, pa.DataType] = {field.name: field.type for field in schema if field.name not in OWN}
        self._spelling = {name.lower(): name for name in self.types}

    def fit_item(self, item: Item) -> Row:
        """An item -> its row. Where a value conflicts with its column's type: CatalogError, and nothing is learned."""
        said = {name: _simplify(value) for name, value in item.columns.items()}
        types: dict[str, pa.DataType] = {}
        values: dict[str, Any] = {}
        taken: set[str] = set()
        for given, value in said.items():
            name = self._name(given, taken)
            taken.add(name)
            if value is None:
                continue
            has, comes = types.get(name) or self.types.get(name), _type_of(value)
            joined = comes if has is None else _join_types(has, comes)
            if joined is None:
                raise CatalogError(f"column {name!r} holds {_describe(has)}, this row has {_show(value)} ({comes})")
            types[name], values[name] = joined, value
        for name, type_ in types.items():
            self.types[name] = type_
            self._spelling.setdefault(name.lower(), name)
        facts = {name: _clean_fact(name, getattr(item, name)) for name in _FACT_NAMES}
        digest = hashlib.blake2b(json.dumps([facts, said], sort_keys=True, default=str).encode(), digest_size=16)
        return Row(item, {**facts, **values}, digest.hexdigest())

    def _name(self, given: str, taken: set[str]) -> str:
        """The catalog's name for a column of the source, beside the names that the row has used already."""
        # Lance refuses dots and reads * as all columns, a filter cannot quote a backtick, and a column named _rowid
        # breaks the table for good.
        name = "".join("_" if c in ".*`" or not c.isprintable() else c for c in clean_text(given)).strip()
        if not name or name.startswith("_") or name.lower() in OWN:
            name = f"source_{name}"
        # Lance's filters do not tell upper from lower case, so 'Size' in one source and 'size' in another must be one
        # column; where one row has both, the second gets a number.
        free, count = self._spelling.get(name.lower(), name), 1
        while free.lower() in {other.lower() for other in taken}:
            count += 1
            free = self._spelling.get(f"{name}_{count}".lower(), f"{name}_{count}")
        return free


def make_rows(rows: Sequence[Row], types: Mapping[str, pa.DataType], now: datetime) -> pa.Table:
    """Rows -> the part of the table that the source decides: item_id, facts, its own columns, row_hash, updated_at."""
    columns = {field.name: field.type for field in _FACTS} | dict(types)
    arrays = [pa.array([row.item.item_id for row in rows], pa.string())]
    for name, type_ in columns.items():
        arrays.append(pa.array([_cast(row.values.get(name), type_) for row in rows], type_))
    fields = [pa.field("item_id", pa.string(), nullable=False), *(pa.field(*column) for column in columns.items())]
    table = pa.table(arrays, schema=pa.schema(fields))
    table = table.append_column("row_hash", pa.array([row.row_hash for row in rows], pa.string()))
    return table.append_column("updated_at", pa.array([now] * len(rows), _TIME))


def add_pictures(
    table: pa.Table, hashes: Sequence[str], thumbnails: Sequence[bytes], encoder: Encoder, encoding: Encoding
) -> pa.Table:
    """The same table with what the pictures gave: content_hash, thumbnail (WebP), attributes, embedding."""
    table = table.append_column("content_hash", pa.array(hashes, pa.string()))
    table = table.append_column("thumbnail", pa.array(thumbnails, pa.binary()))
    if encoder.attributes:
        labels = [
            {
                group: {"labels": [label.label for label in found], "scores": [label.score for label in found]}
                for group, found in groups.items()
            }
            for groups in encoder.list_labels(encoding)
        ]
        table = table.append_column("attributes", pa.array(labels, make_schema(encoder).field("attributes").type))
    flat = pa.array(encoding.embeddings.reshape(-1), pa.float32())
    return table.append_column("embedding", pa.FixedSizeListArray.from_arrays(flat, encoder.dim))


def read_items(table: pa.Table) -> list[Item]:
    """Rows of a catalog -> Items, with the source's own columns in the order in which the catalog met them."""
    names = [name for name in table.column_names if name not in OWN and not name.startswith("_")]
    wanted = ["item_id", *_FACT_NAMES, *names] + [name for name in ("attributes",) if name in table.column_names]
    return [
        Item(
            item_id=row["item_id"],
            **{name: row[name] for name in _FACT_NAMES},
            columns={name: row[name] for name in names if row[name] is not None},
            attributes={group: _read_labels(found) for group, found in (row.get("attributes") or {}).items()},
        )
        for row in table.select(wanted).to_pylist()
    ]


def clean_text(text: str) -> str:
    """Text that Arrow can hold: a file name that is not UTF-8 has lone surrogates, which become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _read_labels(found: Mapping[str, Any] | None) -> tuple[Label, ...]:
    if not found:
        return ()
    return tuple(Label(name, round(score, 4)) for name, score in zip(found["labels"], found["scores"], strict=True))


def _clean_fact(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name == "price":
        if isinstance(value, bool) or not isinstance(value, Real):
            raise CatalogError(f"the price must be a number, not {_show(value)}")
        return float(value) if math.isfinite(value) else None
    if not isinstance(value, str):
        raise CatalogError(f"the field {name!r} must be text, not {_show(value)}")
    return clean_text(value)


def _simplify(value: Any) -> Any:
    """A value of a source -> None, bool, int, float, str, datetime, date or a list of one of the first four."""
    if hasattr(value, "tolist"):  # NumPy's scalars and arrays
        value = value.tolist()
    if isinstance(value, str):
        return clean_text(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
    if isinstance(value, date):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return None
    if isinstance(value, (list, tuple)):
        return _simplify_list(value)
    if isinstance(value, Mapping):
        return clean_text(json.dumps(value, ensure_ascii=False, default=str))
    return clean_text(str(value))


def _simplify_list(value: Sequence[Any]) -> Any:
    parts = [part for part in map(_simplify, value) if part is not None]
    kinds = {type(part) for part in parts}
    if not parts or kinds in ({str}, {int}, {float}, {bool}):
        return parts or None
    if kinds == {int, float}:
        return [float(part) for part in parts]
    return clean_text(json.dumps(value, ensure_ascii=False, default=str))


def _type_of(value: Any) -> pa.DataType:
    if isinstance(value, list):
        return pa.list_(_type_of(value[0]))
    if isinstance(value, datetime):  # before date, which it also is
        return _TIME
    kinds = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}
    return kinds.get(type(value), pa.date32())


def _join_types(has: pa.DataType, comes: pa.DataType) -> pa.DataType | None:
    """The type that holds both, or None."""
    if has == comes:
        return has
    if {has, comes} == {pa.int64(), pa.float64()}:
        return pa.float64()
    return None


def _cast(value: Any, type_: pa.DataType) -> Any:
    return float(value) if type_ == pa.float64() and value is not None else value


def _describe(type_: pa.DataType | None) -> str:
    return f"{_KINDS[type_]} ({type_})" if type_ in _KINDS else str(type_)


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
