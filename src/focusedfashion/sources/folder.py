"""A folder of pictures as a source: each picture is an item, named by its path."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from focusedfashion.errors import SourceError
from focusedfashion.items import Failure, Item

PICTURE_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".avif", ".heic", ".heif", ".gif", ".bmp", ".tif", ".tiff")


def read_folder(folder: Path) -> Iterator[Item | Failure]:
    """A folder with sub-folders -> its pictures, sorted by path.

    The path relative to the folder, with `/`, is both `item_id` and `image`; the column `folder` has the sub-folder
    ("" at the top). Hidden files and folders are passed over. Symbolic links are followed, but no folder is read
    twice, so links that go round in circles end.
    """
    try:
        os.scandir(folder).close()
    except OSError as error:
        raise SourceError(f"{folder}: {error.strerror}") from None
    items = _walk(folder)
    first = next(items, None)
    if first is None:
        raise SourceError(f"{folder} has no pictures in it ({', '.join(PICTURE_ENDINGS)})")
    return itertools.chain([first], items)


def _walk(folder: Path) -> Iterator[Item | Failure]:
    seen: set[tuple[int, int]] = set()
    # Depth first without recursion, which deep trees would exhaust. The last entry comes next.
    waiting: list[tuple[str, bool]] = [("", True)]  # (path relative to the folder, whether it is a folder)
    while waiting:
        name, is_folder = waiting.pop()
        path = folder / name
        try:
            name.encode()
        except UnicodeEncodeError:  # a catalog holds text only
            yield Failure(ascii(name)[1:-1], "read", f"{str(path)!a}: its name is not UTF-8; rename it")
            continue
        if not is_folder:
            yield Item(name, image=name, columns={"folder": name.rpartition("/")[0]}, picture=path)
            continue
        try:
            status = path.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(path) as entries:
                found = [(entry.name, _is_folder(entry)) for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            yield Failure(name, "read", f"{path}: {error.strerror}")
            continue
        found.sort(reverse=True)
        prefix = f"{name}/" if name else ""
        waiting += [
            (prefix + child, is_dir) for child, is_dir in found if is_dir or child.lower().endswith(PICTURE_ENDINGS)
        ]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False
