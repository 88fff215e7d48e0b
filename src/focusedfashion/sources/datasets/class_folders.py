"""Pictures in folders by split and class, `train/dress/1.jpg`: how many sets come, as does torchvision's ImageFolder.

For example https://github.com/alexeygrigorev/clothing-dataset-small.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from focusedfashion.errors import SourceError
from focusedfashion.items import Failure, Item
from focusedfashion.sources.datasets.entries import Entry, begin, list_unnamed, need_folder
from focusedfashion.sources.datasets.options import parse_choice
from focusedfashion.sources.folder import read_folder

_SPLITS = ("train", "training", "valid", "validation", "val", "dev", "test", "testing", "query", "gallery")


def read_class_folders(location: Path, split: str = "") -> Iterator[Entry]:
    """A folder with sub-folders such as train, valid and test -> an Item for each picture in them.

    The id is the path relative to the folder. Columns: `split` (the sub-folder's own name) and `label` (the folders
    below it, with `/`; None for a picture that is right in the split). `split` chooses one of them. A picture beside
    the splits is a Failure; other folders beside them are passed over.
    """
    need_folder(location, "the splits")
    with os.scandir(location) as found:
        splits = sorted(entry.name for entry in found if entry.is_dir() and entry.name.lower() in _SPLITS)
    if not splits:
        raise SourceError(f"{location} has no folders of splits in it ({', '.join(_SPLITS)})")
    parse_choice("split", split, splits)
    asked = [name for name in splits if split in ("", name)]
    entries = itertools.chain(_read_splits(location, asked), list_unnamed(location, (), "a folder of a split"))
    return begin(entries, f"{location} has no pictures in {', '.join(asked)}")


def _read_splits(location: Path, splits: list[str]) -> Iterator[Entry]:
    for split in splits:
        try:
            entries = read_folder(location / split)
        except SourceError:  # an empty one
            continue
        for entry in entries:
            if isinstance(entry, Failure):
                yield replace(entry, item_id=f"{split}/{entry.item_id}")
                continue
            name = f"{split}/{entry.item_id}"
            columns = {"split": split, "label": entry.columns["folder"] or None}
            yield Item(name, name, columns=columns, picture=entry.picture)
