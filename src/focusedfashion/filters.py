"""Filters: lists of conditions -> SQL, and what is wrong with an SQL filter, said in one line.

Lance parses the SQL (store.py); nothing else does. In what is compiled here a value is a literal of its column's type:
whatever a stranger writes into a condition, it stays a value.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from focusedfashion import settings
from focusedfashion.errors import QueryError
from focusedfashion.rows import INTERNAL

Where = str | Sequence[Mapping[str, Any]]

OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "in", "contains", "missing", "present")

_TIMES = pa.types.is_timestamp, pa.types.is_date
_KEYS = {"column", "op", "value"}

# What stands in quotes of any kind, or in a comment; without the quotes it may be anything.
_QUOTED = re.compile(r"""'(?:[^']|'')*'|`[^`]*`|"([^"]*)"|--[^\n]*|/\*.*?\*/""", re.DOTALL)


def check_words(where: str, schema: pa.Schema) -> None:
    """Raises QueryError for what Lance would take in quietly and wrongly."""
    # It takes "…" for text, so a filter on a column in double quotes would match nothing.
    names = {name.lower() for name in schema.names}
    for quoted in _QUOTED.findall(where):
        if quoted.lower() in names:
            raise QueryError(f'filter {cut_text(where)!r}: "{quoted}" is text here; write a column name as `{quoted}`')
    bare = _QUOTED.sub("", where)
    # Its parser dies on a placeholder, with a trace of its own on stderr.
    if re.search(r"\?|\$\w", bare):
        raise QueryError(f"filter {cut_text(where)!r}: nothing fills in a placeholder (? or $1); write the value")
    # It passes over everything after a parenthesis that closes none.
    depth = 0
    for bracket in re.findall(r"[()]", bare):
        depth += 1 if bracket == "(" else -1
        if depth < 0:
            raise QueryError(f"filter {cut_text(where)!r}: a parenthesis closes that was never opened")


def explain_complaint(where: str, schema: pa.Schema, message: str) -> QueryError:
    """Lance's message about a filter -> the error that a person reads."""
    problem = shorten_message(message)
    if unknown := re.search(r'No field named (".*?"|\S+?)\.( |$)|Field (.+?) not found in struct', message):
        name = cut_text((unknown[1] or unknown[3]).strip('"'))
        hint = "text stands in single quotes."
        if "attributes" in schema.names and schema.field("attributes").type.get_field_index(name) >= 0:
            hint = f"for predicted labels write array_has(attributes.{name}.labels, 'LABEL')."
        problem = _explain_unknown(name, schema, ".labels", hint)
    elif unfit := re.search(r"Received literal \w+\((.*)\) and could not convert to literal of type '(\w+)", message):
        hints = {
            "List": ": write array_has(column, value)",
            "Struct": ": write array_has(attributes.GROUP.labels, value)",
            "Timestamp": ": write timestamp '2026-01-31 12:00:00'",
        }
        problem = f"{unfit[1]} cannot be compared with a column of type {unfit[2]}{hints.get(unfit[2], '')}"
    return QueryError(f"filter {cut_text(where)!r}: {problem if unknown else cut_text(problem)}")


def shorten_message(message: str) -> str:
    """Lance's message without the stations that it came through."""
    message = re.sub(r",? ?(location: )?/[^ ]*\.rs:\d+:\d+", "", message).strip()
    stations = "sql parser error|Arrow error|Invalid user input|Error during planning"
    message = re.sub(rf"^.*({stations}): ", "", message, flags=re.DOTALL)
    return message.removesuffix(")") if message.count(")") > message.count("(") else message


def cut_text(text: str, length: int = 200) -> str:
    """At most `length` characters of it."""
    return text if len(text) <= length else f"{text[:length]}…"


def list_columns(schema: pa.Schema) -> dict[str, str]:
    """What conditions can name -> its kind: text, number, whole number, true or false, time, date, list.

    Predicted labels are `attributes.<group>`.
    """
    columns = {
        field.name: _name_kind(field.type)
        for field in schema
        if field.name not in (*INTERNAL, "attributes", "box") and not field.name.startswith("_")
    }
    if "attributes" in schema.names:
        columns |= {f"attributes.{group.name}": "list" for group in schema.field("attributes").type}
    return columns


def find_column(name: Any, schema: pa.Schema) -> tuple[str, pa.DataType]:
    """A column as a condition names it -> (as SQL names it, its type). Raises QueryError with the nearest spelling."""
    if not isinstance(name, str):
        raise QueryError(f"a filter's column must be a name, not {_show(name)}")
    known = list_columns(schema)
    found = name if name in known else next((other for other in known if other.lower() == name.lower()), None)
    if found is None:
        raise QueryError(_explain_unknown(cut_text(name), schema, "", ""))
    if found.startswith("attributes."):
        return f"attributes.`{found.removeprefix('attributes.')}`.labels", pa.list_(pa.string())
    return f"`{found}`", schema.field(found).type


def compile_filters(filters: Sequence[Mapping[str, Any]], schema: pa.Schema) -> str:
    """Conditions that must all hold -> SQL; none give "". Raises QueryError.

    A condition is {"column": C, "op": O, "value": V}, or {"any": [conditions]} of which one must hold. `=` and `in` on
    a list look for one of its entries. What is missing equals nothing, so it passes `!=`.
    """
    count = 0

    def compile_one(entry: Any, inner: bool) -> str:
        nonlocal count
        count += 1
        if count > settings.MAX_CONDITIONS:
            raise QueryError(f"a filter has at most {settings.MAX_CONDITIONS} conditions")
        if not isinstance(entry, Mapping):
            raise QueryError(f'a condition is written {{"column": …, "op": …, "value": …}}, not {_show(entry)}')
        if "any" in entry and not inner:
            others = entry["any"]
            if len(entry) > 1 or not isinstance(others, (list, tuple)) or not others:
                raise QueryError('alternatives are written {"any": [conditions]}, with one condition at least')
            return f"({' OR '.join(compile_one(other, True) for other in others)})"
        if unknown := entry.keys() - _KEYS:
            raise QueryError(f"a condition has column, op and value, not {_show(sorted(map(str, unknown))[0])}")
        return f"({_compile_condition(entry, schema)})"

    if isinstance(filters, (str, bytes, Mapping)) or not isinstance(filters, Sequence):
        raise QueryError(f"filters are a list of conditions, not {_show(filters)}")
    return " AND ".join(compile_one(entry, False) for entry in filters)


def _compile_condition(entry: Mapping[str, Any], schema: pa.Schema) -> str:
    name, type_ = find_column(entry.get("column"), schema)
    op, value = entry.get("op", "="), entry.get("value")
    if op not in OPERATORS:
        raise QueryError(f"no operator {_show(op)}: there are {' '.join(OPERATORS)}")
    is_list = pa.types.is_list(type_)
    if op in ("missing", "present"):
        if value is not None:
            raise QueryError(f"{op!r} takes no value")
        there = f"coalesce(array_length({name}), 0) > 0" if is_list else f"{name} IS NOT NULL"
        return there if op == "present" else f"NOT ({there})"
    if "value" not in entry or value is None:
        raise QueryError(f"the operator {op!r} needs a value; for items without one there is 'missing'")
    column = entry["column"]
    if op == "in":
        if not isinstance(value, (list, tuple)) or not value or len(value) > settings.MAX_ALTERNATIVES:
            most = settings.MAX_ALTERNATIVES
            raise QueryError(f"'in' takes a list of 1 to {most:,} values for {column!r}, not {_show(value)}")
        kind = type_.value_type if is_list else type_
        values = ", ".join(_write_literal(one, kind, column) for one in value)
        return f"coalesce(array_has_any({name}, [{values}]), false)" if is_list else f"{name} IN ({values})"
    if is_list:
        if op not in ("=", "!=", "contains"):
            raise QueryError(f"{column!r} is a list: it takes contains, in, missing and present, not {op!r}")
        has = f"coalesce(array_has({name}, {_write_literal(value, type_.value_type, column)}), false)"
        return f"NOT {has}" if op == "!=" else has
    if op == "contains":
        raise QueryError(f"{column!r} is no list: 'contains' is for lists and for attributes.<group>; use '=' or 'in'")
    if op not in ("=", "!=") and pa.types.is_boolean(type_):
        raise QueryError(f"{column!r} is true or false: it takes = and !=, not {op!r}")
    literal = _write_literal(value, type_, column)
    return f"{name} != {literal} OR {name} IS NULL" if op == "!=" else f"{name} {op} {literal}"


def _write_literal(value: Any, type_: pa.DataType, column: str) -> str:
    """A value as SQL of the column's type. Raises QueryError where it is of another."""
    if pa.types.is_string(type_) and isinstance(value, str):
        # Lone surrogates, which JSON can write, would break Lance's parser.
        return "'" + value.encode("utf-8", "replace").decode().replace("'", "''") + "'"
    if pa.types.is_boolean(type_) and isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if pa.types.is_integer(type_) and value == value and abs(value) < 2**63 and int(value) == value:
            return str(int(value))
        # A double is compared with whole numbers as one: stock <= 2.5.
        if (pa.types.is_floating(type_) or pa.types.is_integer(type_)) and abs(value) < 1e308:
            return f"CAST({float(value)!r} AS DOUBLE)"
    if any(is_time(type_) for is_time in _TIMES) and isinstance(value, str):
        try:
            if pa.types.is_date(type_):
                return f"date '{date.fromisoformat(value).isoformat()}'"
            moment = datetime.fromisoformat(value)
            moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
            return f"timestamp '{moment.replace(tzinfo=None).isoformat(sep=' ')}'"
        except (ValueError, OverflowError):
            pass
    hints = {"time": " (as 2026-01-31T12:00:00Z)", "date": " (as 2026-01-31)"}
    kind = _name_kind(type_)
    raise QueryError(f"{column!r} is compared with {kind}{hints.get(kind, '')}, not with {_show(value)}")


def _name_kind(type_: pa.DataType) -> str:
    if pa.types.is_list(type_):
        return "list"
    if pa.types.is_boolean(type_):
        return "true or false"
    if pa.types.is_integer(type_):
        return "whole number"
    if pa.types.is_floating(type_):
        return "number"
    if pa.types.is_timestamp(type_):
        return "time"
    return "date" if pa.types.is_date(type_) else "text"


def _explain_unknown(name: str, schema: pa.Schema, suffix: str, hint: str) -> str:
    """What to say of a column that is not there; `suffix` is how labels are named: ".labels" in SQL."""
    known = list_columns(schema)
    short = {column.removeprefix("attributes."): column for column in known} | {column: column for column in known}
    if near := difflib.get_close_matches(name, short, n=1):
        found = near[0] if suffix else short[near[0]]
        hint = hint if name in short and hint else f"did you mean {found!r}?"
    columns = ", ".join(f"{column}{suffix if column.startswith('attributes.') else ''}" for column in known)
    return f"no column {name!r}; {hint}{' ' if hint else ''}There are {cut_text(columns, 1000)}"


def _show(value: Any) -> str:
    return cut_text(repr(value), 60)
