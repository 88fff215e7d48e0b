"""Table files -> records, as a stream: CSV, JSONL, Parquet. What the columns mean is decided in `table.py`."""

from __future__ import annotations

import csv
import json
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from focusedfashion import settings
from focusedfashion.errors import SourceError

_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class Record(NamedTuple):
    """One row: where it stands ("line 7"), its cells by column (None where empty), and why it cannot be used, or ""."""

    place: str
    cells: dict[str, Any]
    problem: str = ""


def read_csv(path: Path) -> Iterator[Record]:
    """A CSV file -> its rows; every cell is text without surrounding spaces, or None.

    The header line decides on the delimiter: comma, semicolon or tab. A column without a name is called `column_N`
    by its position, a name that comes again gets `_2`. Rows that are empty are passed over. A quote that is never
    closed costs its own row: the rows that it swallowed are read again.
    """
    # The limit is the csv module's own, for the whole process: it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), settings.MAX_CELL))
    with _open_lines(path) as lines:
        names, delimiter = _read_header(path, lines)
        reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
        while True:
            lines.start_row()
            try:
                texts = next(reader, None)
            except (_LineError, csv.Error) as error:
                lines.go_back()
                yield Record(lines.place, {}, str(error))
                continue
            if texts is None:
                return
            texts = [text.strip() for text in texts]
            if not any(texts):
                continue
            cells = {name: text or None for name, text in zip(names, texts, strict=False)}
            problem = ""
            if len(texts) != len(names):
                problem = f"{len(texts)} cells where the header has {len(names)}"
                if len(lines.row) > 1:
                    problem += " (is a quote left open?)"
            elif any("\0" in line for line in lines.row):
                problem = "a NUL character in it: the file is damaged here"
            yield Record(lines.place, cells, problem)


def read_jsonl(path: Path) -> Iterator[Record]:
    """A file with one JSON object in each line -> its rows; NaN and infinity become None."""
    with _open_lines(path) as lines:
        while True:
            lines.start_row()
            try:
                line = next(lines, None)
                if line is None:
                    return
                if not line.strip():
                    continue
                cells = json.loads(line, parse_constant=lambda _: None)
                # Half of a surrogate pair can be written in JSON, but is no text that could be stored.
                if "\\u" in line:
                    json.dumps(cells, ensure_ascii=False).encode()
            except _LineError as error:
                yield Record(lines.place, {}, str(error))
            except (ValueError, RecursionError) as error:
                # A JSONDecodeError's own text names a line too, which is always line 1.
                reason = f"{error.msg}, character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else error
                yield Record(lines.place, {}, f"not valid JSON ({reason})")
            else:
                problem = "" if isinstance(cells, dict) else "not a JSON object, as each line must be"
                yield Record(lines.place, {} if problem else cells, problem)


def read_parquet(path: Path) -> Iterator[Record]:
    """A Parquet file -> its rows, in Python's types; times to the microsecond, those with a zone in UTC."""
    import pyarrow as pa  # here: it takes 0.2 s and other sources do without

    with _open_parquet(path) as file:
        schema = pa.schema([(field.name, _plain_time(field.type)) for field in file.schema_arrow])
        is_plain = schema.equals(file.schema_arrow)
        number = 0
        for group in range(file.num_row_groups):
            rows = _count_rows(file.metadata.row_group(group))
            # Without Arrow's threads, which take longer to start than so few rows to unpack.
            for batch in file.iter_batches(rows, row_groups=[group], use_threads=False):
                for cells in (batch if is_plain else batch.cast(schema, safe=False)).to_pylist():
                    number += 1
                    yield Record(f"row {number}", cells)


def _count_rows(group: Any) -> int:
    """How many rows of a row group to unpack at once, by their mean size."""
    size: int = max(1, group.total_byte_size // max(1, group.num_rows))
    return max(settings.PARQUET_ROWS, min(settings.PARQUET_BYTES // size, settings.PARQUET_MOST_ROWS))


def read_parquet_types(path: Path) -> dict[str, type]:
    """The columns of a Parquet file with the type that their values have in a catalog: bool, int, float or str."""
    from pyarrow import types

    def plain_type(arrow_type: Any) -> type:
        if types.is_dictionary(arrow_type):
            return plain_type(arrow_type.value_type)
        if types.is_boolean(arrow_type):
            return bool
        # An unsigned 64-bit number may not fit the catalog's signed ones.
        if types.is_integer(arrow_type) and not types.is_uint64(arrow_type):
            return int
        return float if types.is_floating(arrow_type) or types.is_decimal(arrow_type) else str

    with _open_parquet(path) as file:
        if not file.metadata.num_rows:
            raise SourceError(f"{path} has no rows")
        return {field.name: plain_type(field.type) for field in file.schema_arrow}


@contextmanager
def _open_parquet(path: Path) -> Iterator[Any]:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path, buffer_size=settings.PARQUET_BUFFER, pre_buffer=False) as file:
            yield file
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise SourceError(f"{path} cannot be read as Parquet: {error}") from None


def _plain_time(arrow_type: Any) -> Any:
    """Python knows no nanoseconds and not every time zone."""
    import pyarrow as pa

    if pa.types.is_timestamp(arrow_type):
        return pa.timestamp("us", tz=arrow_type.tz and "UTC")
    return pa.time64("us") if pa.types.is_time64(arrow_type) else arrow_type


class _LineError(Exception):
    """A line, or a row of several, that cannot be taken."""


class _Lines:
    """The lines of a text file for `csv.reader`, which can go back to the second line of a row that has no end.

    A line that is not UTF-8 is read as cp1252: exports that were pasted together mix both. `row` has the lines that
    were taken since `start_row`; together they are at most settings.MAX_CELL characters long.
    """

    def __init__(self, file: TextIO) -> None:
        self.file = file
        self.number = 0  # of the line that was taken last, from 1
        self.row: list[str] = []
        self._size = 0  # characters of the row
        self._again: deque[str] = deque()  # lines to be taken again
        self._again_until = 0  # number of the last line that was ever gone back over

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._read()
        if not line and self.row:
            raise _LineError("a quote is opened and never closed")
        if not line:
            raise StopIteration
        self.number += 1
        self.row.append(line)
        self._size += len(line)
        if self._size > settings.MAX_CELL:
            hint = " (is a quote left open?)" if len(self.row) > 1 else ""
            raise _LineError(f"longer than {settings.MAX_CELL:,} characters{hint}")
        return line

    @property
    def place(self) -> str:
        first = self.number - len(self.row) + 1
        return f"line {first}" if first == self.number else f"lines {first} to {self.number}"

    def start_row(self) -> None:
        self.row.clear()
        self._size = 0

    def go_back(self) -> None:
        """The row's lines from its second on come again, each at most once: that bounds the work on a hostile file."""
        if self.number - len(self.row) >= self._again_until:
            self._again_until = self.number
            self.number -= len(self.row) - 1
            self._again.extendleft(reversed(self.row[1:]))
            del self.row[1:]

    def _read(self) -> str:
        line = rest = self.file.readline(settings.MAX_CELL + 1)
        while len(rest) > settings.MAX_CELL and rest[-1] not in "\r\n":  # too long: only its beginning is kept
            rest = self.file.readline(settings.MAX_CELL + 1)
        if line.isascii():
            return line
        try:
            line.encode()
        except UnicodeEncodeError:
            return line.encode("utf-8", "surrogateescape").decode("cp1252", "replace")
        return line


@contextmanager
def _open_lines(path: Path) -> Iterator[_Lines]:
    try:
        with path.open("rb") as file:
            wide = file.read(2) in _UTF16
        # Bytes that are not UTF-8 become surrogates, by which `_Lines` knows them.
        encoding, errors = ("utf-16", "replace") if wide else ("utf-8-sig", "surrogateescape")
        with path.open(encoding=encoding, errors=errors, newline="") as text:
            yield _Lines(text)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from None


def _read_header(path: Path, lines: _Lines) -> tuple[list[str], str]:
    """-> (the column names, the delimiter)"""
    line = ""
    try:
        while not line.strip():
            lines.start_row()
            line = next(lines)
    except StopIteration:
        raise SourceError(f"{path} is empty") from None
    except _LineError as error:
        raise SourceError(f"{path} is not a table: its first line is {error}") from None
    rows = {mark: next(csv.reader([line], delimiter=mark, skipinitialspace=True)) for mark in ",;\t"}
    delimiter = max(rows, key=lambda mark: len(rows[mark]))
    taken: set[str] = set()
    names = [take_name(cell.strip() or f"column_{n}", taken) for n, cell in enumerate(rows[delimiter], start=1)]
    return names, delimiter


def take_name(name: str, taken: set[str]) -> str:
    """-> the name, with `_2`, `_3`, … behind it where it is taken; it is added to `taken`."""
    count, free = 1, name
    while free in taken:
        count += 1
        free = f"{name}_{count}"
    taken.add(free)
    return free
