"""MATLAB's MAT-files of level 5, as far as data sets need them: arrays of numbers, text, cells of them.

The format: "MAT-File Format" of The MathWorks, chapter 1.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from focusedfashion import settings

# Types of data elements; those that hold numbers, with the typecode of `array`.
_TYPECODES = {1: "b", 2: "B", 3: "h", 4: "H", 5: "i", 6: "I", 7: "f", 9: "d", 12: "q", 13: "Q", 16: "B"}
_MATRIX, _COMPRESSED = 14, 15
# Classes of arrays.
_CELL, _TEXT, _NUMBERS = 1, 4, range(6, 16)


class Matrix(NamedTuple):
    """An array: its shape, and its values column by column; of an array of text there is one value for each cell."""

    shape: tuple[int, ...]
    values: Sequence[Any]


def read_matlab(path: Path) -> dict[str, Matrix]:
    """A MAT-file -> its arrays by name; those of another kind are passed over. Raises ValueError if it cannot be read.

    Text is an array of one value.
    """
    try:
        if path.stat().st_size > settings.MAX_ARRAY:
            raise ValueError(f"longer than {settings.MAX_ARRAY:,} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from None
    if data.startswith(b"MATLAB 7.3"):
        raise ValueError("a file of MATLAB 7.3, which cannot be read; save it with -v7")
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        raise ValueError("not a MAT-file of MATLAB 5 or later")
    matrices: dict[str, Matrix] = {}
    try:
        for kind, body in _read_elements(data[128:], order):
            if kind == _COMPRESSED:
                unpacker = zlib.decompressobj()
                body = unpacker.decompress(body, settings.MAX_ARRAY)
                if unpacker.unconsumed_tail:
                    raise ValueError(f"an array of more than {settings.MAX_ARRAY:,} bytes")
                kind, body = next(_read_elements(body, order))
            if kind == _MATRIX:
                name, matrix = _read_matrix(body, order)
                if matrix:
                    matrices[name] = matrix
    except (struct.error, zlib.error, StopIteration, RecursionError, IndexError) as error:
        raise ValueError(f"a damaged MAT-file ({error})") from None
    return matrices


def _read_elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """-> (type, content) of the data elements that stand one behind the other."""
    at = 0
    while at + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}II", data, at)
        if kind >> 16:  # a small one: type and size share four bytes, and the content has the other four
            yield kind & 0xFFFF, data[at + 4 : at + 4 + min(kind >> 16, 4)]
            at += 8
            continue
        if at + 8 + size > len(data):
            raise ValueError("a MAT-file that is cut off")
        yield kind, data[at + 8 : at + 8 + size]
        at += 8 + size + (0 if kind == _COMPRESSED else -size % 8)


def _read_matrix(data: bytes, order: str) -> tuple[str, Matrix | None]:
    """The content of a matrix element -> (its name, its values); None where it is of another kind."""
    elements = _read_elements(data, order)
    (_, flags), (_, sizes), (_, name) = next(elements), next(elements), next(elements)
    kind = struct.unpack(f"{order}I", flags[:4])[0] & 0xFF
    shape = tuple(size for (size,) in struct.iter_unpack(f"{order}i", sizes))
    values: Sequence[Any]
    if kind == _CELL:
        cells = [_read_matrix(body, order)[1] for _, body in elements]
        values = ["" if cell is None or not cell.values else cell.values[0] for cell in cells]
    elif kind == _TEXT:
        content, body = next(elements)
        values = [_read_text(content, body, order)]
    elif kind in _NUMBERS:
        values = _read_numbers(*next(elements), order)
    else:
        return "", None
    return name.decode("latin-1"), Matrix(shape, values)


def _read_numbers(kind: int, data: bytes, order: str) -> Sequence[int | float]:
    if kind not in _TYPECODES:
        raise ValueError(f"a MAT-file with numbers of the unknown type {kind}")
    if _TYPECODES[kind] == "B":
        return data
    numbers = array(_TYPECODES[kind])
    numbers.frombytes(data[: len(data) - len(data) % numbers.itemsize])
    if (order == "<") != (sys.byteorder == "little"):
        numbers.byteswap()
    return numbers


def _read_text(kind: int, data: bytes, order: str) -> str:
    if kind == 16:
        return data.decode("utf-8", "replace")
    return "".join(chr(int(number)) for number in _read_numbers(kind, data, order))
