"""Clothing Co-Parsing: 2,098 photos of people in the street, with 59 tags; half of them with a label for each pixel.

The format: https://github.com/bearpaw/clothing-co-parsing (README.md). Of its MAT-files only numbers and names are
read. A prepared copy has images.csv (image, mask, tags), labels.json and PNG masks instead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from focusedfashion import settings
from focusedfashion.errors import SourceError
from focusedfashion.items import Failure, Item
from focusedfashion.sources.datasets.entries import Entry, begin, list_stems, list_unnamed, need_folder
from focusedfashion.sources.datasets.matlab import Matrix, read_matlab
from focusedfashion.sources.records import read_csv

_BACKGROUND = "null"
_BODY = ("hair", "skin")  # tags that are nothing to wear
_ID = re.compile(r"(?:images/)?([\w-]{1,100})\.jpg")
_PIXELS, _TAGS = "annotations/pixel-level", "annotations/image-level"


def read_co_parsing(location: Path) -> Iterator[Entry]:
    """The folder as published, with `photos` and `annotations`, or with images.csv -> an Item for each photo.

    The id is the photo's number. An item is the whole photo: the masks are kept, but garments are not cut out by them.
    Columns: `tags` (a list; of a photo with a mask what is in the mask), `garments` (those of them that are worn, so
    without hair and skin) and `mask` (its path in the folder, or None). A tag or label that is unknown, a mask that is
    not there, a photo without tags or tags without a photo are Failures.
    """
    need_folder(location, "the set")
    if (location / "images.csv").is_file():
        return begin(_read_table(location / "images.csv"), f"{location / 'images.csv'} has no rows")
    if not (location / "photos").is_dir():
        raise SourceError(f"{location} has neither a folder 'photos' nor an images.csv, as this set has")
    return begin(_read_photos(location, _read_label_list(location)), f"{location} has no photos")


def _read_table(path: Path) -> Iterator[Entry]:
    known = _read_labels(path.parent / "labels.json")
    named: set[str] = set()  # the files of the photos
    for record in read_csv(path):
        if not record.problem and not {"image", "tags"} <= set(record.cells):
            raise SourceError(f"{path} is no table of this set: it must have the columns image, tags and mask")
        image = record.cells.get("image") or ""
        photo = _ID.fullmatch(image)
        named.add(f"{photo[1]}.jpg" if photo else "")
        try:
            if record.problem or not photo:
                raise ValueError(record.problem or "there is no photo in the column 'image'")
            tags = [tag for tag in (record.cells["tags"] or "").split("|") if tag]
            if unknown := [tag for tag in tags if known and tag not in known]:
                raise ValueError(f"the tag '{unknown[0][:50]}' is unknown: labels.json does not have it")
            mask = record.cells.get("mask")
            if mask and not (len(mask) < settings.MAX_REFERENCE and (path.parent / mask).is_file()):
                raise ValueError(f"its mask {mask[:100]} is not there")
        except ValueError as error:
            item_id = photo[1] if photo else record.place
            yield Failure(item_id, "read", f"{path.name}, {record.place}: {error}")
            continue
        yield _make_item(photo[1], image, path.parent / image, tags, mask)
    yield from list_unnamed(path.parent / "images", named, path.name)


def _read_photos(location: Path, labels: Sequence[str]) -> Iterator[Entry]:
    photos = list_stems(location / "photos", (".jpg",))
    masks, tags = list_stems(location / _PIXELS, (".mat",)), list_stems(location / _TAGS, (".mat",))
    for stem in sorted(photos | masks | tags):
        name = f"{_PIXELS}/{masks[stem]}" if stem in masks else f"{_TAGS}/{tags.get(stem, f'{stem}.mat')}"
        try:
            if stem not in photos:
                raise ValueError(f"there is no photo photos/{stem}.jpg")
            if stem not in masks and stem not in tags:
                raise ValueError("the photo has no annotations")
            numbers = _read_values(location / name, "groundtruth" if stem in masks else "tags")
            found = [labels[number] for number in _check_numbers(numbers, len(labels))]
        except ValueError as error:
            yield Failure(stem, "read", f"{name}: {error}")
            continue
        image = f"photos/{photos[stem]}"
        yield _make_item(stem, image, location / image, found, name if stem in masks else None)
    yield from list_unnamed(location / "photos", set(photos.values()), "the annotations")


def _make_item(number: str, image: str, picture: Path, tags: list[str], mask: str | None) -> Item:
    tags = [tag for tag in tags if tag != _BACKGROUND]
    garments = [tag for tag in tags if tag not in _BODY]
    return Item(number, image, columns={"tags": tags, "garments": garments, "mask": mask}, picture=picture)


def _read_labels(path: Path) -> list[str]:
    """The names in labels.json, by their number; none where there is no such file."""
    if not path.is_file():
        return []
    try:
        labels = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise SourceError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise SourceError(f"{path} is not a list of names")
    return labels


def _read_label_list(location: Path) -> Sequence[str]:
    path = location / "label_list.mat"
    try:
        labels = _read_values(path, "label_list")
    except ValueError as error:
        raise SourceError(f"{path}: {error}") from None
    if not labels or not all(isinstance(label, str) for label in labels):
        raise SourceError(f"{path}: not a list of names")
    return labels


def _read_values(path: Path, name: str) -> Sequence[Any]:
    matrix: Matrix | None = read_matlab(path).get(name)
    if matrix is None:
        raise ValueError(f"it has no array '{name}'")
    return matrix.values


def _check_numbers(numbers: Sequence[Any], count: int) -> list[int]:
    """The different labels among them, sorted. Raises ValueError where one is no label."""
    different = set(numbers)
    for number in different:
        if not isinstance(number, int | float) or number != number // 1 or not 0 <= number < count:
            raise ValueError(f"the label {number!s:.50} is unknown: there are 0 to {count - 1}")
    return sorted(int(number) for number in different)
