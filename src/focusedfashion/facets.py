"""Facets: how many products have which value of a column, as people know them from shops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from focusedfashion import settings
from focusedfashion.errors import QueryError
from focusedfashion.filters import Where, find_column
from focusedfashion.store import Store


@dataclass(frozen=True, slots=True)
class Facet:
    """A column under a filter: `values` with the products that have each, the most frequent first, or a range.

    Numbers, times and dates have `least` and `most` (None where nothing is there), all others `values`, at most
    settings.FACET_VALUES of the `distinct` ones. A product with two values counts for both.
    """

    values: tuple[tuple[Any, int], ...] | None = None
    distinct: int = 0
    least: Any = None
    most: Any = None

    def to_dict(self) -> dict[str, Any]:
        """The facet as JSON shows it."""
        if self.values is None:
            return {"min": self.least, "max": self.most}
        return {"values": [{"value": value, "count": count} for value, count in self.values], "distinct": self.distinct}


def count_facet(store: Store, column: str, where: str | None, version: int) -> Facet:
    """One column under an SQL filter; `version` is of the items, for a cache to tell them apart. Raises QueryError."""
    name, type_ = find_column(column, store.read_schema()[0])
    table = store.read_values({"value": name, "product": "product_id"}, where)
    values = table.column("value")
    if pa.types.is_floating(type_) or pa.types.is_integer(type_) or pa.types.is_temporal(type_):
        found = pc.min_max(values).as_py()
        least, most = (end.isoformat() if isinstance(end, date) else end for end in (found["min"], found["max"]))
        return Facet(least=least, most=most)
    if pa.types.is_list(type_):
        rows = pc.list_parent_indices(values.combine_chunks())
        table = pa.table(
            {"value": pc.list_flatten(values).combine_chunks(), "product": table.column("product").take(rows)}
        )
    table = table.filter(pc.is_valid(table.column("value")))
    counted = table.group_by("value").aggregate([("product", "count_distinct")])
    ordered = counted.sort_by([("product_count_distinct", "descending"), ("value", "ascending")])
    first = ordered.slice(0, settings.FACET_VALUES)
    pairs = zip(first.column("value").to_pylist(), first.column("product_count_distinct").to_pylist(), strict=True)
    return Facet(values=tuple(pairs), distinct=len(counted))


def drop_column(where: Where | None, column: str) -> Where | None:
    """The conditions that are not of this column: what a facet is counted under, so that a person who has chosen one
    brand still sees the others. SQL stays as it is."""
    if where is None or isinstance(where, str):
        return where
    return [entry for entry in where if column.lower() not in _name_columns(entry)]


def _name_columns(entry: Any) -> set[str]:
    if not isinstance(entry, Mapping):
        return set()
    inner = entry.get("any")
    inner = inner if isinstance(inner, Sequence) and not isinstance(inner, str) else ()
    return {str(entry.get("column")).lower()}.union(*map(_name_columns, inner))


def check_columns(columns: Sequence[str]) -> None:
    """Raises QueryError where more columns are asked for than a page can show."""
    if len(columns) > settings.MAX_FACETS:
        raise QueryError(f"at most {settings.MAX_FACETS} facets at once, not {len(columns)}")
