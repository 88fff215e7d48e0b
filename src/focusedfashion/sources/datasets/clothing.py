"""clothing-dataset: 5,000 photos that people took of their own clothes, in 20 classes. CC0.

The format: https://github.com/alexeygrigorev/clothing-dataset (README.md); in full size:
https://www.kaggle.com/datasets/agrigorev/clothing-dataset-full.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from focusedfashion.errors import SourceError
from focusedfashion.items import Failure, Item
from focusedfashion.sources.datasets.entries import Entry, begin, find_folder, list_unnamed
from focusedfashion.sources.records import read_csv

_COLUMNS = {"image", "sender_id", "label", "kids"}
_ID = re.compile(r"(?:images/)?([\w-]{1,100})(?:\.jpg)?")
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
_LABELS = re.compile(
    "Blazer|Blouse|Body|Dress|Hat|Hoodie|Longsleeve|Not sure|Other|Outwear|Pants|Polo|Shirt|Shoes|Shorts|Skip|Skirt|"
    "T-Shirt|Top|Undershirt"
)


def read_clothing_dataset(location: Path) -> Iterator[Entry]:
    """images.csv, or the folder that it is in -> an Item for each photo.

    The id is the photo's, whether the column `image` has it alone or as `images/<id>.jpg`. The photo is `<id>.jpg` in
    `images/`, `images_compressed/` or `images_original/`, the first that is there. Columns: `label`, as published
    ("Not sure" and "Skip" are no classes), `kids` (a bool) and `sender_id`. A row with an unknown label, or that
    cannot be right in another way, is a Failure with its line; so is a photo without a row.
    """
    path = location / "images.csv" if location.is_dir() else location
    return begin(_read_rows(path), f"{path} has no rows")


def _read_rows(path: Path) -> Iterator[Entry]:
    folder = find_folder(path.parent, "images", "images_compressed", "images_original") or path.parent / "images"
    named: set[str] = set()  # the files of the photos
    for record in read_csv(path):
        if not record.problem and not set(record.cells) >= _COLUMNS:
            raise SourceError(f"{path} is no table of this set: it must have the columns {', '.join(sorted(_COLUMNS))}")
        photo = _ID.fullmatch(record.cells.get("image") or "")
        name = f"{photo[1]}.jpg" if photo else ""
        named.add(name)
        try:
            if record.problem or not photo:
                raise ValueError(record.problem or "there is no photo's id in the column 'image'")
            columns = _read_columns(record.cells)
        except ValueError as error:
            item_id = photo[1] if photo else record.place
            yield Failure(item_id, "read", f"{path.name}, {record.place}: {error}")
            continue
        yield Item(photo[1], f"{folder.name}/{name}", columns=columns, picture=folder / name)
    yield from list_unnamed(folder, named, path.name)


def _read_columns(cells: dict[str, Any]) -> dict[str, Any]:
    label, kids, sender = (cells[name] or "" for name in ("label", "kids", "sender_id"))
    if not _LABELS.fullmatch(label):
        raise ValueError(f"the label '{label[:50]}' is unknown")
    if kids not in ("True", "False"):
        raise ValueError(f"kids is '{kids[:50]}', neither True nor False")
    if not _NUMBER.fullmatch(sender):
        raise ValueError(f"sender_id is '{sender[:50]}', no number")
    return {"label": label, "kids": kids == "True", "sender_id": int(sender)}
