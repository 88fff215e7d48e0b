"""DeepFashion, Category and Attribute Prediction: 289,222 pictures with 50 categories and 1,000 attributes.

The format: the benchmark's README, which https://github.com/open-mmlab/mmfashion has as docs/dataset/ATTR_DATASET.md;
the set: http://mmlab.ie.cuhk.edu.hk/projects/DeepFashion.html. The 26 attributes of `Anno_fine` are not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from focusedfashion.errors import SourceError
from focusedfashion.items import Failure, Item
from focusedfashion.sources.datasets.entries import Entry, begin, find_file, make_box, need_folder
from focusedfashion.sources.datasets.lists import ListFile, Lists, parse_flags, parse_name, parse_numbers
from focusedfashion.sources.datasets.options import parse_choice

CLOTHES_TYPES = {1: "upper-body", 2: "lower-body", 3: "full-body"}
_LANDMARKS = {1: 6, 2: 4, 3: 8}  # how many, by the clothes type
_ATTRIBUTES = {1: "texture", 2: "fabric", 3: "shape", 4: "part", 5: "style"}
_SPLITS = ("train", "val", "test")
_FOLDERS = ("Anno", "Anno_coarse", "Anno/attributes", "Eval", ".")


def read_deepfashion(location: Path, split: str = "") -> Iterator[Entry]:
    """The benchmark's folder, with `Anno` or `Anno_coarse`, `Eval` and `Img` -> an Item for each picture, with its box.

    The id is the picture's name in the lists. Columns: `split` (train, val or test), `category`, `clothes_type`, a
    list of attributes for each of their types (`texture`, `fabric`, `shape`, `part`, `style`), `landmarks`
    (visibility, x and y of each, as published: 0 is visible, 1 hidden, 2 cut off) and `variation_type`. A list that is
    not there leaves its columns None. `split` chooses one of the splits.

    A row that cannot be right is a Failure with its place; so is a picture that one list has and another lacks.
    """
    need_folder(location, "the benchmark")
    parse_choice("split", split, _SPLITS)
    partition = ListFile(need_list(location, "list_eval_partition.txt"), _parse_split)
    return begin(_Attributes(location).read(partition, split), f"{partition.path} has no rows")


class _Attributes:
    """The lists of the benchmark that are there, beside its partition."""

    def __init__(self, location: Path) -> None:
        self.pictures = find_pictures(location)
        self.lists = Lists()
        self.lists.add("box", find_list(location, "list_bbox.txt"), make_box)
        self.lists.add("landmarks", find_list(location, "list_landmarks.txt"), parse_landmarks)
        self.categories: dict[int, tuple[str, str]] = {}
        if path := find_list(location, "list_category_img.txt"):
            types = _read_types(location, "list_category_cloth.txt", CLOTHES_TYPES)
            self.categories = dict(enumerate(types, start=1))
            self.lists.add("category", path, self._parse_category)
        self.attributes: list[tuple[str, str]] = []
        if path := find_list(location, "list_attr_img.txt"):
            self.attributes = list(_read_types(location, "list_attr_cloth.txt", _ATTRIBUTES))
            self.lists.add("attributes", path, self._parse_attributes)

    def read(self, partition: ListFile[str], split: str) -> Iterator[Entry]:
        for row in partition:
            found, problem = self.lists.take(row.name)  # also if it is not asked for: the lists go side by side
            if split and row.value not in (split, None):
                continue
            if row.value is None or problem:
                yield Failure(row.name, "read", problem if row.value else f"{row.place}: {row.problem}")
            else:
                yield self._make_item(row.name, row.value, found)
        yield from self.lists.finish(partition.path.name)
        yield from partition.finish()

    def _make_item(self, name: str, split: str, found: dict[str, Any]) -> Item:
        category, clothes_type = found.get("category", (None, None))
        landmarks = found.get("landmarks", NO_LANDMARKS)
        columns: dict[str, Any] = {"split": split, "category": category}
        columns["clothes_type"] = clothes_type or landmarks.clothes_type
        flags = found.get("attributes")
        for group in _ATTRIBUTES.values():
            columns[group] = None if flags is None else []
        for place in flags or ():
            attribute, group = self.attributes[place]
            columns[group].append(attribute)
        columns |= {"landmarks": landmarks.points, "variation_type": landmarks.variation_type}
        return Item(name, name, columns=columns, box=found.get("box"), picture=self.pictures / name)

    def _parse_category(self, cells: list[str]) -> tuple[str, str]:
        numbers = parse_numbers(cells)
        return parse_name(self.categories, numbers[0] if len(numbers) == 1 else 0, "category")

    def _parse_attributes(self, cells: list[str]) -> tuple[int, ...]:
        return parse_flags(cells, len(self.attributes))


class Landmarks(NamedTuple):
    """The landmarks of one garment: visibility, x and y of each, one behind the other."""

    clothes_type: str | None
    variation_type: int | None
    points: list[int] | None


NO_LANDMARKS = Landmarks(None, None, None)


def parse_landmarks(cells: list[str]) -> Landmarks:
    numbers = parse_numbers(cells)
    if len(numbers) < 2:
        raise ValueError("no clothes type and variation type")
    clothes_type, variation_type, *points = numbers
    count = parse_name(_LANDMARKS, clothes_type, "clothes type")
    if len(points) != 3 * count:
        raise ValueError(f"{len(points)} numbers for the {count} landmarks of {CLOTHES_TYPES[clothes_type]} clothes")
    return Landmarks(CLOTHES_TYPES[clothes_type], variation_type, points)


def find_list(location: Path, name: str) -> Path | None:
    return find_file(location, *(f"{folder}/{name}" for folder in _FOLDERS))


def need_list(location: Path, name: str) -> Path:
    path = find_list(location, name)
    if path is None:
        raise SourceError(f"{location} has no {name}, neither in it nor in {', '.join(_FOLDERS[:-1])}")
    return path


def find_pictures(location: Path) -> Path:
    """The folder that the lists' names, which begin with `img/`, are relative to."""
    return location / "Img" if (location / "Img" / "img").is_dir() else location


def _parse_split(cells: list[str]) -> str:
    if len(cells) != 1 or cells[0] not in _SPLITS:
        raise ValueError(f"'{' '.join(cells)[:50]}' is none of the splits {', '.join(_SPLITS)}")
    return cells[0]


def _read_types(location: Path, name: str, types: dict[int, str]) -> Iterator[tuple[str, str]]:
    """A list of names with the number of their type behind them -> (name, type); a name may have spaces in it."""
    path = need_list(location, name)
    for row in ListFile(path, lambda cells: cells):
        *words, number = [row.name, *row.checked]
        try:
            yield " ".join(words), parse_name(types, parse_numbers([number])[0], "type")
        except ValueError as error:  # no row of the other lists could be understood
            raise SourceError(f"{path.parent / row.place}: {error}") from None
