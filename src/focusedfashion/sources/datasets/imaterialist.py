"""iMaterialist Fashion 2018 (iFashion-Attribute): a million product photos by URL, with 228 labels in 8 groups.

The format: https://github.com/visipedia/imat_fashion_comp, and as the competition had it, with other names and with
text for numbers: https://www.kaggle.com/c/imaterialist-challenge-fashion-2018/data.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from focusedfashion import settings
from focusedfashion.errors import SourceError
from focusedfashion.items import Failure, Item
from focusedfashion.sources.datasets.arrays import Element, read_array
from focusedfashion.sources.datasets.entries import Entry, begin, find_folder
from focusedfashion.sources.datasets.imaterialist_labels import GROUPS, LABELS
from focusedfashion.sources.datasets.options import Rows, parse_choice, parse_labels, parse_rows

_FILES = ("train.json", "validation.json", "val.json", "test.json")
_NUMBER = re.compile(r"[\w.-]{1,100}")
_URL = re.compile(r"https?://[^\s/]", re.IGNORECASE)

# A label as it stands in the file, "17" or 17 -> its number.
_LABELS: dict[Any, int] = {spelling: number for number in LABELS for spelling in (number, str(number))}


def read_imaterialist(
    location: Path, split: str = "", rows: str = "", labels: str = "", drop: str = ""
) -> Iterator[Entry]:
    """train.json, validation.json or test.json, or the folder that they are in -> an Item for each picture.

    The id is `train/17`: the file's name and the picture's number. The column `split` has the file's name, a column
    for each of the 8 groups the list of its labels (None where the file has no labels at all, as the test set's). The
    picture is `<number>.jpg` in `<split>/`, `images/<split>/` or `images/`, the first of these folders that is there,
    or else its URL.

    `split` chooses one file of a folder; for a single file it is what the column `split` says instead. `rows` chooses
    rows of each file, from 0 and with both ends, and may make splits of them: "train:0-299999,test:700000-729999".
    `labels` keeps only these labels and `drop` drops these (see `parse_labels`); a group of which none is left has no
    column. A row that cannot be right is a Failure with its place: an unknown label, no URL, a picture without labels
    in a file that has some, labels without a picture.
    """
    kept = set(parse_labels("labels", labels, LABELS) if labels else LABELS) - parse_labels("drop", drop, LABELS)
    if not kept:
        raise SourceError(f"labels={labels} and drop={drop} leave no label")
    ranges = parse_rows(rows)
    files = {location.stem: location}
    if location.is_dir():
        files = {path.stem: path for path in (location / name for name in _FILES) if path.is_file()}
        if not files:
            raise SourceError(f"{location} has none of {', '.join(_FILES)} in it")
        if parse_choice("split", split, files):
            files = {split: files[split]}
            split = ""
    readers = [_Reader(path, split or stem, ranges, kept) for stem, path in files.items()]
    asked = f" in the rows {rows}" if rows else ""
    return begin(itertools.chain.from_iterable(map(_Reader.read, readers)), f"{location} has no pictures{asked}")


class _Picture(NamedTuple):
    row: int
    number: str
    url: str  # "" if there is none
    split: str  # "" if the row is not asked for


class _Labelling(NamedTuple):
    row: int
    number: str
    labels: tuple[int, ...]
    problem: str  # why the labels cannot be used, or ""


class _Reader:
    """One file. Its pictures and its labels are two arrays, which are read side by side and joined by the number."""

    def __init__(self, path: Path, split: str, ranges: list[Rows], kept: set[int]) -> None:
        images = read_array(path, "images")
        if images is None:
            raise SourceError(f"{path} has no array 'images', as the files of iMaterialist have")
        self.path = path
        self.stem = path.stem
        self.images = images
        self.annotations = read_array(path, "annotations")  # passes over the images first, which takes seconds
        self.split = split
        self.ranges = ranges
        self.labels = {number: LABELS[number] for number in kept}
        taken = {group for group, _ in self.labels.values()}
        self.groups = [group for group in GROUPS if group in taken]
        self.folder = find_folder(path.parent, path.stem, f"images/{path.stem}", "images")

    def read(self) -> Iterator[Entry]:
        if self.annotations is not None:
            yield from self._join(self._read_images(), self._read_annotations(self.annotations))
            return
        for picture in self._read_images():
            if isinstance(picture, Failure):
                yield picture
            elif picture.split:
                yield self._make_item(picture, None)

    def _join(
        self, pictures: Iterator[_Picture | Failure], labellings: Iterator[_Labelling | Failure]
    ) -> Iterator[Entry]:
        # Both arrays are published in one order: only those without a partner wait here.
        unlabelled: dict[str, _Picture] = {}
        unpictured: dict[str, _Labelling] = {}
        for picture, labelling in itertools.zip_longest(pictures, labellings):
            if picture is None and self.ranges and not unlabelled:
                return  # all that is asked for was there
            if (
                isinstance(picture, _Picture)
                and isinstance(labelling, _Labelling)
                and picture.number == labelling.number
            ):
                if picture.split:
                    yield self._make_item(picture, labelling)
                continue
            if isinstance(picture, Failure):
                yield picture
            elif picture and (partner := unpictured.pop(picture.number, None)):
                if picture.split:
                    yield self._make_item(picture, partner)
            elif picture and unlabelled.setdefault(picture.number, picture) is not picture:
                yield self._fail("images", picture.row, "its id comes twice", picture.number)
            if isinstance(labelling, Failure):
                yield labelling
            elif labelling and (found := unlabelled.pop(labelling.number, None)):
                if found.split:
                    yield self._make_item(found, labelling)
            elif labelling and unpictured.setdefault(labelling.number, labelling) is not labelling:
                yield self._fail("annotations", labelling.row, "its id comes twice", labelling.number)
        for rest in unlabelled.values():
            if rest.split:
                reason = "no labels for it in 'annotations', or its id comes twice"
                yield self._fail("images", rest.row, reason, rest.number)
        for left in unpictured.values():
            if not self.ranges:
                reason = "no picture for it in 'images', or its id comes twice"
                yield self._fail("annotations", left.row, reason, left.number)

    def _read_images(self) -> Iterator[_Picture | Failure]:
        ranges = iter(self.ranges)
        first, last, split = next(ranges, Rows(0, 2**63, ""))
        for row, value, problem in self.images:
            if row > last:
                following = next(ranges, None)
                if following is None:
                    return
                first, last, split = following
            asked = row >= first
            try:
                number = _read_number(value, problem)
                yield _Picture(row, number, _read_url(value), (split or self.split) if asked else "")
            except ValueError as error:
                if asked:
                    yield self._fail("images", row, error)

    def _read_annotations(self, elements: Iterator[Element]) -> Iterator[_Labelling | Failure]:
        for row, value, problem in elements:
            try:
                number = _read_number(value, problem)
            except ValueError as error:
                yield self._fail("annotations", row, error)
                continue
            labels = value.get("labelId", value.get("label_id"))
            try:
                known = tuple([_LABELS[label] for label in labels]) if isinstance(labels, list) else None
            except (TypeError, KeyError):
                known = None
            yield _Labelling(row, number, known or (), "" if known is not None else _explain_labels(labels))

    def _make_item(self, picture: _Picture, labelling: _Labelling | None) -> Entry:
        if labelling and labelling.problem:
            return self._fail("annotations", labelling.row, labelling.problem, picture.number)
        columns: dict[str, Any] = {"split": picture.split}
        if labelling is None:
            columns |= dict.fromkeys(self.groups)
        else:
            for group in self.groups:
                columns[group] = []
            for label in labelling.labels:
                group, name = self.labels.get(label, ("", ""))
                if group and name not in columns[group]:
                    columns[group].append(name)
        item_id = f"{self.stem}/{picture.number}"
        if self.folder:
            path = self.folder / f"{picture.number}.jpg"
            if path.is_file():
                image = path.relative_to(self.path.parent).as_posix()
                return Item(item_id, image, columns=columns, picture=path)
        if not picture.url:
            return self._fail("images", picture.row, "neither a URL nor a picture in a folder", picture.number)
        return Item(item_id, picture.url, columns=columns, picture=picture.url)

    def _fail(self, array: str, row: int, reason: object, number: str = "") -> Failure:
        item_id = f"{self.stem}/{number or f'{array}[{row}]'}"
        return Failure(item_id, "read", f"{self.path.name}, {array}[{row}]: {reason}")


def _read_number(value: Any, problem: str) -> str:
    """The picture's number as text; ValueError says why there is none."""
    if problem:
        raise ValueError(problem)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object, as each element must be")
    number = value.get("imageId", value.get("image_id"))
    if type(number) is int:
        return str(number)
    if isinstance(number, str) and _NUMBER.fullmatch(number):
        return number
    raise ValueError("no 'imageId' or 'image_id' that is a number")


def _read_url(value: dict[str, Any]) -> str:
    """The first URL, which is text or a list; "" if there is none. ValueError if it is no address of the web."""
    url = value.get("url")
    if isinstance(url, list):
        url = url[0] if url else ""
    if url in (None, ""):
        return ""
    if not isinstance(url, str) or not _URL.match(url) or len(url) > settings.MAX_REFERENCE or not url.isprintable():
        raise ValueError(f"its url is no address of the web: {ascii(url)[:100]}")
    return url


def _explain_labels(labels: Any) -> str:
    if not isinstance(labels, list):
        return "no 'labelId' or 'label_id' that is a list"
    wrong = next(label for label in labels if not isinstance(label, int | str) or label not in _LABELS)
    return f"the label {ascii(wrong)[:50]} is unknown: there are 1 to {len(LABELS)}"
