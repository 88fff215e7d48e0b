"""The list files of DeepFashion: the number of rows, the names of the columns, then a row for each picture or item."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from focusedfashion import settings
from focusedfashion.errors import SourceError
from focusedfashion.items import Failure

T = TypeVar("T")

_NUMBER = re.compile(r"-?[0-9]{1,9}")


class Row(NamedTuple, Generic[T]):
    """One row: its first cell, where it stands, what the other cells say, and why they cannot be used, or ""."""

    name: str
    place: str
    value: T | None
    problem: str

    @property
    def checked(self) -> T:
        """The value. Raises ValueError where there is none."""
        if self.value is None:
            raise ValueError(f"{self.place}: {self.problem}")
        return self.value


class ListFile(Generic[T]):
    """A list file as a stream, read by itself or beside others that have rows of the same names.

    `parse` makes a value of the cells behind the name, and raises ValueError for a row that cannot be right. Raises
    SourceError if there is no such file, or if its first line is no number.
    """

    def __init__(self, path: Path, parse: Callable[[list[str]], T]) -> None:
        self.path = path
        self._parse = parse
        self._failures: list[Failure] = []
        # Rows that were read while another was looked for. The published lists have one order: then none is here.
        self._passed: dict[str, Row[T]] = {}
        self._rows = self._read()
        try:
            next(self._rows)
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror or error}") from None

    def __iter__(self) -> Iterator[Row[T]]:
        return self._rows

    def take(self, name: str) -> T:
        """What the row of this name says. Raises ValueError if there is no such row, or if it cannot be right."""
        found = self._passed.pop(name, None)
        while found is None:
            row = next(self._rows, None)
            if row is None:
                raise ValueError(f"{self.path.name} has no row for it")
            if row.name == name:
                found = row
            elif self._passed.setdefault(row.name, row) is not row:
                self._failures.append(Failure(row.name, "read", f"{row.place}: it is there twice"))
        return found.checked

    def finish(self, by: str = "") -> Iterator[Failure]:
        """What is wrong with the file as a whole, and each row that was not taken, as `by` does not name it."""
        for row in self._passed.values():
            yield Failure(row.name, "read", f"{row.place}: {by} does not name it, or names it twice")
        for row in self._rows:
            yield Failure(row.name, "read", f"{row.place}: {by} does not name it, or names it twice")
        yield from self._failures

    def _read(self) -> Iterator[Any]:
        """Nothing, when the first two lines could be read; then the rows."""
        found = 0
        with self.path.open(encoding="utf-8-sig", errors="replace") as file:
            first = file.readline(settings.MAX_CELL).strip()
            if not first.isdecimal():
                raise SourceError(f"{self.path} is no list of DeepFashion: its first line must be the number of rows")
            file.readline(settings.MAX_CELL)  # the names of the columns
            yield None
            for line, text in enumerate(iter(partial(file.readline, settings.MAX_CELL), ""), start=3):
                cells = text.split()
                if not cells:
                    continue
                found += 1
                place = f"{self.path.name}, line {line}"
                try:
                    yield Row(cells[0], place, self._parse(cells[1:]), "")
                except ValueError as error:
                    yield Row(cells[0], place, None, str(error))
        if found != int(first[:18]):
            reason = f"{self.path.name}, line 1: it says {first[:18]} rows, but there are {found}"
            self._failures.append(Failure(self.path.name, "read", reason))


class Lists:
    """Several lists that are read side by side, each by the name that it has here."""

    def __init__(self) -> None:
        self.files: dict[str, ListFile[Any]] = {}

    def add(self, key: str, path: Path | None, parse: Callable[[list[str]], Any]) -> None:
        """Nothing is added where there is no path."""
        if path is not None:
            self.files[key] = ListFile(path, parse)

    def take(self, name: str) -> tuple[dict[str, Any], str]:
        """-> (what each list says of this name, the first thing that is wrong with it, or "")"""
        found: dict[str, Any] = {}
        problem = ""
        for key, file in self.files.items():
            try:
                found[key] = file.take(name)
            except ValueError as error:
                problem = problem or str(error)
        return found, problem

    def finish(self, by: str) -> Iterator[Failure]:
        for file in self.files.values():
            yield from file.finish(by)


def parse_numbers(cells: list[str]) -> list[int]:
    """Cells -> whole numbers, which may begin with zeros. Raises ValueError."""
    for cell in cells:
        if not _NUMBER.fullmatch(cell):
            raise ValueError(f"'{cell[:50]}' is no whole number")
    return [int(cell) for cell in cells]


def parse_name(names: Mapping[int, T], number: int, what: str) -> T:
    """The name of a number. Raises ValueError where it has none."""
    if number not in names:
        raise ValueError(f"the {what} {number} is unknown: there are {min(names)} to {max(names)}")
    return names[number]


def parse_flags(cells: list[str], count: int) -> tuple[int, ...]:
    """1, -1 and 0 for each attribute -> the places, from 0, of those that are 1. Raises ValueError."""
    if len(cells) != count:
        raise ValueError(f"{len(cells)} labels for {count} attributes")
    if cells.count("1") + cells.count("-1") + cells.count("0") != count:
        wrong = next(cell for cell in cells if cell not in ("1", "-1", "0"))
        raise ValueError(f"the label '{wrong[:50]}' is neither 1, -1 nor 0")
    return tuple([place for place, cell in enumerate(cells) if cell == "1"])
