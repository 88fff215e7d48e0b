"""The words of a filter: what is wrong with one, said in one line. Lance parses it (store.py); nothing else does."""

from __future__ import annotations

import difflib
import re

import pyarrow as pa

from focusedfashion.errors import QueryError
from focusedfashion.rows import INTERNAL

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
        groups = [group.name for group in schema.field("attributes").type] if "attributes" in schema.names else []
        plain = [column for column in schema.names if column not in (*INTERNAL, "attributes")]
        near = difflib.get_close_matches(name, groups if unknown[3] else plain, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "text stands in single quotes."
        if name in groups:
            hint = f"for predicted labels write array_has(attributes.{name}.labels, 'LABEL')."
        columns = ", ".join(plain + [f"attributes.{group}.labels" for group in groups])
        problem = f"no column {name!r}; {hint} There are {cut_text(columns, 1000)}"
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
