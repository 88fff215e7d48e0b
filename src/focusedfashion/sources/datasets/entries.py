"""What the readers of data sets share: the first entry at once, files that must be there, boxes that make sense."""

from __future__ import annotations

import itertools
import math
import os
import re
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Any

from focusedfashion.errors import SourceError
from focusedfashion.items import Box, Failure, Item
from focusedfashion.sources.folder import PICTURE_ENDINGS

Entry = Item | Failure

_STEM = re.compile(r"[\w-]+")


def begin(entries: Iterator[Entry], nothing: str) -> Iterator[Entry]:
    """The same entries; the first is looked for now, so that what cannot be read at all shows in the call."""
    first = next(entries, None)
    if first is None:
        raise SourceError(nothing)
    return itertools.chain([first], entries)


def find_file(folder: Path, *names: str) -> Path | None:
    """The first of these files that is there; each name is a path relative to the folder."""
    return next((folder / name for name in names if (folder / name).is_file()), None)


def find_folder(folder: Path, *names: str) -> Path | None:
    """The first of these folders that is there; each name is a path relative to the folder."""
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def list_stems(folder: Path, endings: tuple[str, ...]) -> dict[str, str]:
    """The files of these endings right in a folder, by their names without it; none where there is no such folder.

    Hidden files are passed over, and those whose names are more than letters, digits, `_` and `-`.
    """
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as files:
        names = (Path(file.name) for file in files if file.name.lower().endswith(endings))
        return {name.stem: name.name for name in names if _STEM.fullmatch(name.stem)}


def need_folder(location: Path, what: str) -> None:
    """Raises SourceError where the location is not a folder that can be read."""
    try:
        os.scandir(location).close()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SourceError(f"{location}: {reason}; it must be the folder of {what}") from None


def make_box(numbers: Iterable[Any]) -> Box:
    """left, top, right, bottom -> Box. Raises ValueError where they are no box that could lie in a picture."""
    corners = list(numbers)
    try:
        left, top, right, bottom = (float(number) for number in corners)
    except (ValueError, TypeError, OverflowError):
        raise ValueError(f"{_show(corners)} is no box: left, top, right, bottom") from None
    if not all(math.isfinite(number) for number in (left, top, right, bottom)):
        raise ValueError(f"{_show(corners)} is no box: left, top, right, bottom")
    if left >= right or top >= bottom:
        raise ValueError(f"the box {_show(corners)} has its right or lower side before the other")
    if left < 0 or top < 0:
        raise ValueError(f"the box {_show(corners)} begins outside of the picture")
    return Box(left, top, right, bottom)


def list_unnamed(folder: Path | None, named: Container[str], by: str) -> Iterator[Failure]:
    """A Failure for each picture right in the folder whose file name is not among `named`, the names that `by` has."""
    if folder is None or not folder.is_dir():
        return
    try:
        with os.scandir(folder) as files:
            names = sorted(file.name for file in files if file.name.lower().endswith(PICTURE_ENDINGS))
    except OSError as error:
        yield Failure(folder.name, "read", f"{folder}: {error.strerror}")
        return
    for name in names:
        if name not in named and not name.startswith("."):
            shown = f"{folder.name}/{name}".encode("utf-8", "backslashreplace").decode()  # a ledger holds text only
            yield Failure(shown, "read", f"{shown} has no row in {by}")


def _show(corners: list[Any]) -> str:
    return f"({', '.join(map(str, corners))})"[:100]
