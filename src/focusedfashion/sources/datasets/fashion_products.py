"""Fashion Product Images: 44,000 photos of a shop, with what it says of each product.

The format: https://www.kaggle.com/datasets/paramaggarwal/fashion-product-images-dataset (and its -small).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from focusedfashion import settings
from focusedfashion.errors import SourceError
from focusedfashion.items import Failure, Item
from focusedfashion.sources.datasets.entries import Entry, begin, find_folder, list_unnamed

# In the file's order. The last may have commas in it, without quotes around it.
_COLUMNS = (
    "id",
    "gender",
    "masterCategory",
    "subCategory",
    "articleType",
    "baseColour",
    "season",
    "year",
    "usage",
    "productDisplayName",
)
_ID = re.compile(r"[0-9]{1,12}", re.ASCII)
_YEAR = re.compile(r"[12][0-9]{3}(?:\.0)?", re.ASCII)


def read_fashion_products(location: Path) -> Iterator[Entry]:
    """styles.csv, or the folder that it is in -> an Item for each product.

    The picture is `<id>.jpg` in `images/` beside it, the title is `productDisplayName`. The other columns keep the
    set's names; `NA` and nothing are None, `year` is a number. A row that is too short, or whose commas moved its
    cells, is a Failure with its line; so is a picture in `images/` that has no row.
    """
    path = location / "styles.csv" if location.is_dir() else location
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            header = file.readline(settings.MAX_CELL).strip()
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if tuple(header.split(",")) != _COLUMNS:
        raise SourceError(f"{path} is no styles.csv of this set: its first line must be {','.join(_COLUMNS)}")
    return begin(_read_rows(path), f"{path} has no rows")


def _read_rows(path: Path) -> Iterator[Entry]:
    named: set[str] = set()  # the files of the pictures
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        file.readline(settings.MAX_CELL)
        for number, line in enumerate(iter(lambda: file.readline(settings.MAX_CELL), ""), start=2):
            if not line.strip():
                continue
            cells: list[str] = []
            try:
                cells = _split(line)
                columns = _read_columns(cells)
            except (ValueError, csv.Error) as error:
                product = cells[0] if cells and _ID.fullmatch(cells[0]) else ""
                named.add(f"{product}.jpg")
                yield Failure(product or f"line {number}", "read", f"{path.name}, line {number}: {error}")
                continue
            name = f"{cells[0]}.jpg"
            named.add(name)
            picture = path.parent / "images" / name
            title = columns["productDisplayName"]
            yield Item(cells[0], f"images/{name}", title=title, columns=columns, picture=picture)
    yield from list_unnamed(find_folder(path.parent, "images"), named, path.name)


def _split(line: str) -> list[str]:
    """A line -> ten cells: further commas are part of the name."""
    texts = next(csv.reader([line])) if '"' in line else line.split(",")
    name = texts[len(_COLUMNS) - 1 :]
    if len(name) > 1:
        texts[len(_COLUMNS) - 1 :] = [",".join(name)]
    return [text.strip() for text in texts]


def _read_columns(cells: list[str]) -> dict[str, Any]:
    """The columns but for the id. Raises ValueError for cells that cannot be right."""
    if len(cells) < len(_COLUMNS):
        raise ValueError(f"{len(cells)} cells where there must be {len(_COLUMNS)}")
    if not _ID.fullmatch(cells[0]):
        raise ValueError(f"'{cells[0][:50]}' is no id")
    columns: dict[str, Any] = {
        name: None if text in ("", "NA") else text for name, text in zip(_COLUMNS[1:], cells[1:], strict=True)
    }
    if columns["year"] is not None:
        if not _YEAR.fullmatch(columns["year"]):
            raise ValueError(f"the year is '{columns['year'][:50]}': a comma must have moved the cells")
        columns["year"] = int(columns["year"][:4])
    return columns
