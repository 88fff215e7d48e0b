"""The options of data sets, as they stand on the command line: `split=train`, `rows=0-299999`, `drop=gender,17`."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from typing import NamedTuple

from focusedfashion.errors import SourceError

_ROWS = re.compile(r"(?:([\w-]+):)?([0-9]{1,18})-([0-9]{1,18})", re.ASCII)


class Rows(NamedTuple):
    """Rows `first` to `last`, both among them, from 0; `split` is what they are called, "" for the file's own name."""

    first: int
    last: int
    split: str


def parse_rows(text: str) -> list[Rows]:
    """ "0-299999" or "train:0-299999,test:700000-729999" -> the ranges, by their first row; [] of "" is all of them."""
    ranges = []
    for part in _split(text):
        found = _ROWS.fullmatch(part)
        if not found or int(found[2]) > int(found[3]):
            raise SourceError(f"rows={text}: '{part}' is no range of rows, such as 0-299999 or test:700000-729999")
        ranges.append(Rows(int(found[2]), int(found[3]), found[1] or ""))
    ranges.sort()
    for one, other in itertools.pairwise(ranges):
        if other.first <= one.last:
            raise SourceError(f"rows={text}: row {other.first} is in two of the ranges")
    return ranges


def parse_choice(name: str, text: str, choices: Iterable[str]) -> str:
    """The value of an option that must be one of `choices`; "" is allowed and means all or the usual one."""
    choices = list(choices)
    if text and text not in choices:
        raise SourceError(f"{name}={text}: there is no such {name} here; there is {', '.join(choices)}")
    return text


def parse_labels(name: str, text: str, labels: dict[int, tuple[str, str]]) -> set[int]:
    """ "gender,17,30-33,Polka Dot" -> the numbers of these labels.

    Each part is a group, a label's name, its number, or a range of numbers. A name with a comma in it goes by number.
    """
    numbers: dict[str, set[int]] = {}
    for number, (group, label) in labels.items():
        for word in (group.lower(), label.lower(), str(number)):
            numbers.setdefault(word, set()).add(number)
    chosen: set[int] = set()
    for part in _split(text):
        first, dash, last = part.partition("-")
        if dash and first in numbers and last in numbers and first.isdecimal() and last.isdecimal():
            chosen.update(range(int(first), int(last) + 1))
        elif part.lower() in numbers:
            chosen |= numbers[part.lower()]
        else:
            groups = ", ".join(dict.fromkeys(group for group, _ in labels.values()))
            raise SourceError(
                f"{name}: '{part[:100]}' is no label; give names, numbers of 1 to {len(labels)}, or groups ({groups})"
            )
    return chosen


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
