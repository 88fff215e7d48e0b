"""What a row of a catalog is: its schema, the source's own columns, Item -> row and back. Plain Arrow, no Lance."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from focusedfashion.encoders import AttributeGroup, Encoder, Encoding
from focusedfashion.errors import CatalogError
from focusedfashion.items import Box, Item, Label

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
_MAX_LAYOUTS = 256  # that are kept; a source in which every row has columns of its own would fill the memory
# left, top, right, bottom in pixels of the whole upright picture; null where the item is all of it
_BOX = pa.field("box", pa.list_(pa.float64()))
# Of use to this package only: not listed where a person is told what a filter can name.
INTERNAL = ("content_hash", "row_hash", "picture_stamp", "thumbnail", "embedding")
# `colors` is kept free: the design has it, a later version fills it.
OWN = ("item_id", *_FACT_NAMES, "box", *INTERNAL, "attributes", "colors", "added_at", "updated_at")

_TEXTS = pa.list_(pa.string())
_PLAIN_TYPES = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}
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
        _BOX,
        pa.field("content_hash", pa.string()),
        pa.field("row_hash", pa.string()),
        pa.field("picture_stamp", pa.string()),
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
    """An item on its way in: `values` by the catalog's column names; `row_hash` is of all that is not its picture.

    `picture_stamp` is of a picture that came from a URL; the item's picture then is its bytes, or None where the server
    says that they are those of the catalog.
    """

    item: Item
    values: Mapping[str, Any]
    row_hash: str
    picture_stamp: str | None = None


class State(NamedTuple):
    """By what a catalog knows an item again: hashes of its picture's bytes and of its row, the picture's file.

    `picture_stamp` (see `images.stamp_file`) is of a file that held these bytes, or what a server calls them; None
    where none is known.
    """

    content_hash: str
    row_hash: str
    picture_stamp: str | None = None


class Columns:
    """The source's own columns in a catalog, name -> Arrow type. Grows as rows bring new ones.

    A type is decided by the first value: true or false, whole numbers, numbers, text, times (UTC), dates, or lists of
    the first four. Whole numbers become numbers when one with a fraction comes. A nested value is kept as JSON text;
    bytes are not kept. NaN and an empty list count as no value.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.types: dict[str, pa.DataType] = {field.name: field.type for field in schema if field.name not in OWN}
        self._spelling = {name.lower(): name for name in self.types}
        # Names of a row's columns in the source -> in the catalog: most rows have the same ones.
        self._layouts: dict[tuple[str, ...], list[str]] = {}

    def fit_item(self, item: Item) -> Row:
        """An item -> its row. Where a value conflicts with its column's type: CatalogError, and nothing is learned."""
        values = {name: _clean_fact(name, getattr(item, name)) for name in _FACT_NAMES}
        facts = dict(values)
        said: dict[str, Any] = {}
        learned: dict[str, pa.DataType] = {}
        for (given, value), name in zip(item.columns.items(), self._name_all(tuple(item.columns)), strict=True):
            said[given] = value = _simplify(value)
            if value is None:
                continue
            has, comes = self.types.get(name), _PLAIN_TYPES.get(type(value)) or _type_of(value)
            if has is not comes:
                joined = comes if has is None else _join_types(has, comes)
                if joined is None:
                    raise CatalogError(f"column {name!r} holds {_describe(has)}, this row has {_show(value)} ({comes})")
                learned[name] = joined
            values[name] = value
        if learned:
            self._learn(learned)
        digest = hashlib.blake2b(json.dumps([facts, said], sort_keys=True, default=str).encode(), digest_size=16)
        return Row(item, values, digest.hexdigest())

    def _learn(self, types: Mapping[str, pa.DataType]) -> None:
        self.types |= types
        for name in types:
            if name.lower() not in self._spelling:
                self._spelling[name.lower()] = name
                self._layouts.clear()

    def _name_all(self, given: tuple[str, ...]) -> list[str]:
        """The catalog's names for the columns of a row, all different."""
        names = self._layouts.get(given)
        if names is None:
            names, taken = [], set[str]()
            for name in given:
                names.append(self._name(name, taken))
                taken.add(names[-1])
            if len(self._layouts) == _MAX_LAYOUTS:
                self._layouts.clear()
            self._layouts[given] = names
        return names

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
        values = [row.values.get(name) for row in rows]
        if type_ == pa.float64():
            values = [None if value is None else float(value) for value in values]
        elif type_ == pa.string():
            values = [", ".join(value) if isinstance(value, list) else value for value in values]
        elif type_ == _TEXTS:
            values = [[value] if isinstance(value, str) else value for value in values]
        arrays.append(pa.array(values, type_))
    fields = [pa.field("item_id", pa.string(), nullable=False), *(pa.field(*column) for column in columns.items())]
    boxes = [None if (box := row.item.box) is None else [box.left, box.top, box.right, box.bottom] for row in rows]
    fields.append(_BOX)
    arrays.append(pa.array(boxes, _BOX.type))
    fields += [pa.field("row_hash", pa.string()), pa.field("updated_at", _TIME)]
    arrays += [pa.array([row.row_hash for row in rows], pa.string()), pa.repeat(pa.scalar(now, _TIME), len(rows))]
    return pa.table(arrays, schema=pa.schema(fields))


def add_stamps(table: pa.Table, stamps: Sequence[str | None]) -> pa.Table:
    """The same table with `picture_stamp`."""
    return table.append_column("picture_stamp", pa.array(stamps, pa.string()))


def make_stamps(stamps: Mapping[str, str]) -> pa.Table:
    """Item -> stamp, as a table that changes nothing else."""
    return add_stamps(pa.table({"item_id": pa.array(stamps, pa.string())}), list(stamps.values()))


def add_pictures(
    table: pa.Table, hashes: Sequence[str], thumbnails: Sequence[bytes], encoder: Encoder, encoding: Encoding
) -> pa.Table:
    """The same table with what the pictures gave: content_hash, thumbnail (JPEG), attributes, embedding."""
    table = table.append_column("content_hash", pa.array(hashes, pa.string()))
    table = table.append_column("thumbnail", pa.array(thumbnails, pa.binary()))
    if encoder.attributes:
        groups = [_make_labels(entry, encoding.scores[group]) for group, entry in encoder.attributes.items()]
        table = table.append_column("attributes", pa.StructArray.from_arrays(groups, names=list(encoder.attributes)))
    flat = pa.array(encoding.embeddings.reshape(-1), pa.float32())
    return table.append_column("embedding", pa.FixedSizeListArray.from_arrays(flat, encoder.dim))


def _make_labels(group: AttributeGroup, scores: NDArray[np.float32]) -> pa.StructArray:
    """Probabilities, float32 (n, labels) -> n of {labels, scores}: those that pass, best first."""
    counts, places, passing = group.choose(scores)
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
    labels = pa.array([group.labels[place] for place in places], pa.string())
    lists = [pa.ListArray.from_arrays(offsets, values) for values in (labels, pa.array(passing, pa.float32()))]
    return pa.StructArray.from_arrays(lists, names=["labels", "scores"])


def read_items(table: pa.Table) -> list[Item]:
    """Rows of a catalog -> Items, with the source's own columns in the order in which the catalog met them.

    A thumbnail, where the rows have it, is the item's `picture`.
    """
    names = [name for name in table.column_names if name not in OWN and not name.startswith("_")]
    others = [name for name in ("attributes", "box", "thumbnail") if name in table.column_names]
    wanted = ["item_id", *_FACT_NAMES, *names, *others]
    return [
        Item(
            item_id=row["item_id"],
            **{name: row[name] for name in _FACT_NAMES},
            columns={name: row[name] for name in names if row[name] is not None},
            attributes={group: _read_labels(found) for group, found in (row.get("attributes") or {}).items()},
            box=Box(*row["box"]) if row.get("box") else None,
            picture=row.get("thumbnail"),
        )
        for row in table.select(wanted).to_pylist()
    ]


def read_embeddings(table: pa.Table) -> NDArray[np.float32]:
    """The embeddings of a table's rows, float32 (rows, dim)."""
    column = table.column("embedding").combine_chunks()
    flat: NDArray[np.float32] = column.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(table), column.type.list_size)


def clean_text(text: str) -> str:
    """Text that Arrow can hold: a file name that is not UTF-8 has lone surrogates, which become question marks."""
    return text if type(text) is str and text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


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
    if type(value) is str:  # most are, and this is asked of every cell
        return clean_text(value)
    if value is None or isinstance(value, bool):
        return value
    if hasattr(value, "tolist"):  # NumPy's scalars and arrays
        value = value.tolist()
    if isinstance(value, str):
        return clean_text(value)
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
    return _PLAIN_TYPES.get(type(value), pa.date32())


def _join_types(has: pa.DataType, comes: pa.DataType) -> pa.DataType | None:
    """The type that holds both, or None."""
    if has == comes:
        return has
    if {has, comes} == {pa.int64(), pa.float64()}:
        return pa.float64()
    if {has, comes} == {pa.string(), _TEXTS}:  # one shop's feed says 'red', another's ['red', 'blue']
        return has
    return None


def _describe(type_: pa.DataType | None) -> str:
    return f"{_KINDS[type_]} ({type_})" if type_ in _KINDS else str(type_)


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
