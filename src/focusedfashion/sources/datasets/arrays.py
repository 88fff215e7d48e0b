"""The elements of one array in a large JSON object, as a stream."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from focusedfashion import settings
from focusedfashion.errors import SourceError

_decode = json.JSONDecoder().raw_decode
_WORD = re.compile(r"[^ \t\n\r]")
_MARK = re.compile(r"[ \t\n\r]*([,\]}])")
# Where an array of objects goes on behind one that is broken.
_RESUME = re.compile(r"\}[ \t\n\r]*(?:,[ \t\n\r]*(?=\{)|(?=\]))")
_GOES_ON = ("", ".", "e", "E")  # behind a number of which not all is there yet
_TAIL = 1_000  # characters that such a place is at most long


class Element(NamedTuple):
    """One element: its place in the array from 0, its value, and why there is none, or ""."""

    row: int
    value: Any
    problem: str = ""


def read_array(path: Path, key: str) -> Iterator[Element] | None:
    """The elements of the array that the file's object has under `key`; None if it has no such key.

    About settings.MAX_CELL characters are in memory at most. An element that is broken is an Element with a problem;
    those behind it come, as long as they are objects. Raises SourceError if the file is no JSON object, or is broken
    before the array.
    """
    stream = _open_array(path, key)
    try:
        return stream if next(stream) else None
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    except _Broken as error:
        raise SourceError(f"{path}: {error}") from None


def _open_array(path: Path, key: str) -> Iterator[Any]:
    """Whether there is such an array, then its elements."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        text = _Text(file)
        found = _find(text, key)
        yield found
        if found:
            yield from _read_elements(text)


class _Broken(Exception):
    """What should be JSON is not, or is not of the shape that is needed."""


class _Text:
    """A text file, of which only what has not been taken yet is in memory."""

    def __init__(self, file: TextIO) -> None:
        self.file = file
        self.text = ""
        self.at = 0  # in `text`
        self._gone = 0  # characters of the file before `text`

    def place(self, at: int) -> str:
        return f"character {self._gone + at + 1:,}"

    def more(self) -> bool:
        """Reads on, as much again as is waiting; False at the end of the file, or if too much is waiting already."""
        waiting = len(self.text) - self.at
        piece = "" if waiting > settings.MAX_CELL else self.file.read(max(settings.JSON_PIECE, waiting))
        if piece:
            self._gone += self.at
            self.text, self.at = self.text[self.at :] + piece, 0
        return bool(piece)

    def peek(self) -> str:
        """The next character that is no space, which then is at `at`; "" at the end."""
        while True:
            if found := _WORD.search(self.text, self.at):
                self.at = found.start()
                return found[0]
            self.at = len(self.text)
            if not self.more():
                return ""

    def take_value(self) -> Any:
        """The value that `peek` shows the beginning of. Raises _Broken, and stays before it, where it is none."""
        while True:
            try:
                value, end = _decode(self.text, self.at)
            except json.JSONDecodeError as error:
                if self.more():
                    continue  # perhaps it is only not all there yet
                raise _Broken(f"{self.place(error.pos)}: not valid JSON ({error.msg})") from None
            except (ValueError, RecursionError) as error:  # a number of thousands of digits; thousands of brackets
                raise _Broken(f"{self.place(self.at)}: not valid JSON ({error})") from None
            if self.text[end : end + 1] not in _GOES_ON or not self.more():
                self.at = end
                return value

    def take_mark(self) -> str:
        """The next of `,`, `]` and `}`; "" where something else stands, or at the end."""
        found = _MARK.match(self.text, self.at)
        if not found:
            self.peek()
            found = _MARK.match(self.text, self.at)
        if not found:
            return ""
        self.at = found.end()
        return found[1]

    def resume(self) -> bool:
        """Goes on behind a broken object, to the next one or to the array's end. False if there is neither."""
        while not (found := _RESUME.search(self.text, self.at)):
            self.at = max(self.at, len(self.text) - _TAIL)
            if not self.more():
                return False
        self.at = found.end()
        return True


def _find(text: _Text, key: str) -> bool:
    """Goes to the array under `key` of the file's object, behind its bracket."""
    if text.peek() != "{":
        raise _Broken("not a JSON object" if text.peek() else "the file is empty")
    text.at += 1
    mark = ","
    while mark == "," and text.peek() == '"':
        name = text.take_value()
        if text.peek() != ":":
            raise _Broken(f"{text.place(text.at)}: not valid JSON (a colon is missing)")
        text.at += 1
        start = text.peek()
        if name == key:
            if start != "[":
                raise _Broken(f"'{key}' is not an array, as it must be")
            text.at += 1
            return True
        if start == "[":  # passed over piece by piece: it may be as large as the file
            text.at += 1
            deque(_read_elements(text), maxlen=0)
        else:
            text.take_value()
        mark = text.take_mark()
    if mark != "}" and text.take_mark() != "}":
        raise _Broken(f"{text.place(text.at)}: not valid JSON, and no '{key}' before it (is the file cut off?)")
    return False


def _read_elements(text: _Text) -> Iterator[Element]:
    """The elements from behind the bracket to the one that closes it."""
    row = 0
    while text.peek() != "]":
        try:
            yield Element(row, text.take_value())
            mark = text.take_mark()
            if mark == "]":
                return
            if mark != ",":
                row += 1
                raise _Broken(f"{text.place(text.at)}: not valid JSON (a comma is missing)")
        except _Broken as error:
            goes_on = text.resume()
            hint = "" if goes_on else "; nothing can be read behind it (is the file cut off?)"
            yield Element(row, None, f"{error}{hint}")
            if not goes_on:
                return
        row += 1
    text.at += 1
