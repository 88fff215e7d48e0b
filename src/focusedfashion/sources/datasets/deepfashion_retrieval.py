"""DeepFashion, the two benchmarks of retrieval: pictures of one garment within a shop, and of customers and shops.

The formats: the benchmarks' READMEs, which https://github.com/open-mmlab/mmfashion has as
docs/dataset/IN_SHOP_DATASET.md and CONSUMER_TO_SHOP_DATASET.md; the set:
http://mmlab.ie.cuhk.edu.hk/projects/DeepFashion.html. Boxes and landmarks are in pixels of the pictures in `Img/img`,
not of `img_highres`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from focusedfashion.errors import SourceError
from focusedfashion.items import Box, Failure, Item
from focusedfashion.sources.datasets.deepfashion import (
    CLOTHES_TYPES,
    NO_LANDMARKS,
    find_list,
    find_pictures,
    need_list,
    parse_landmarks,
)
from focusedfashion.sources.datasets.entries import Entry, begin, make_box, need_folder
from focusedfashion.sources.datasets.lists import ListFile, Lists, parse_flags, parse_name, parse_numbers
from focusedfashion.sources.datasets.options import parse_choice

_IN_SHOP_SPLITS = ("train", "query", "gallery")
_CONSUMER_SPLITS = ("train", "val", "test")
_POSES = {1: "front", 2: "side", 3: "back", 4: "zoom-out", 5: "zoom-in", 6: "stand-alone"}
_SOURCES = {1: "shop", 2: "consumer"}


def read_deepfashion_in_shop(location: Path, split: str = "") -> Iterator[Entry]:
    """In-shop Clothes Retrieval: its folder, with `Anno`, `Eval` and `Img` -> an Item for each picture, with its box.

    The id is the picture's name in the lists, the product is the set's item. Columns: `split` (train, query or
    gallery), `gender` and `category` (of the picture's path), `clothes_type`, `pose`, `color`, `description`,
    `attributes` (a list), `landmarks` (as of `read_deepfashion`) and `variation_type`. A list that is not there leaves
    its columns None. `split` chooses one of the splits.

    A row that cannot be right is a Failure with its place; so is a picture that one list has and another lacks.
    """
    need_folder(location, "the benchmark")
    parse_choice("split", split, _IN_SHOP_SPLITS)
    partition = ListFile(need_list(location, "list_eval_partition.txt"), _parse_in_shop)
    return begin(_read_in_shop(location, partition, split), f"{partition.path} has no rows")


def read_deepfashion_consumer_to_shop(location: Path, split: str = "") -> Iterator[Entry]:
    """Consumer-to-shop Clothes Retrieval: its folder -> an Item for each picture, with its box.

    The id is the picture's name in the lists, the product is the set's item, which the pictures of a pair share.
    Columns: `split` (train, val or test), `source` (shop or consumer), `pairs` (the pictures that it is paired with),
    `section` and `category` (of the picture's path), `clothes_type`, a list of attributes for each of their types,
    `landmarks` (as of `read_deepfashion`) and `variation_type`. A list that is not there leaves its columns None.
    `split` chooses one of the splits.

    A row that cannot be right is a Failure with its place; so is a picture that one list has and another lacks, and
    one that is in two splits or of two items.
    """
    need_folder(location, "the benchmark")
    parse_choice("split", split, _CONSUMER_SPLITS)
    partition = ListFile(need_list(location, "list_eval_partition.txt"), _parse_pair)
    boxes = ListFile(need_list(location, "list_bbox_consumer2shop.txt"), partial(_parse_box, _SOURCES, "source"))
    return begin(_read_consumer_to_shop(location, partition, boxes, split), f"{boxes.path} has no rows")


class _Place(NamedTuple):
    """Where the partition puts a picture; of a pair `other` is the second picture."""

    item: str
    split: str
    other: str = ""


class _Box(NamedTuple):
    """`kind` is the pose of an in-shop picture, the source of the other benchmark's."""

    clothes_type: str | None
    kind: str | None
    box: Box | None


_NO_BOX = _Box(None, None, None)


def _read_in_shop(location: Path, partition: ListFile[_Place], split: str) -> Iterator[Entry]:
    pictures = find_pictures(location)
    lists = Lists()
    lists.add("box", find_list(location, "list_bbox_inshop.txt"), partial(_parse_box, _POSES, "pose"))
    lists.add("landmarks", find_list(location, "list_landmarks_inshop.txt"), parse_landmarks)
    lists.add("color", find_list(location, "list_color_cloth.txt"), " ".join)
    attributes = _ItemAttributes([(name, "attributes") for name in _read_names(location)])
    yield from attributes.read(find_list(location, "list_attr_items.txt"))
    descriptions: dict[str, dict[str, str]] = {}
    yield from _read_descriptions(find_list(location, "list_description_inshop.json"), descriptions)
    for row in partition:
        found, problem = lists.take(row.name)
        if row.value is None:
            yield Failure(row.name, "read", f"{row.place}: {row.problem}")
            continue
        item, own_split, _ = row.value
        if split not in ("", own_split):
            continue
        gender, category, path_item = _read_path(row.name)
        if path_item not in (None, item):
            problem = f"{row.place}: it is of {path_item} by its path, but of {item} by the list"
        if problem:
            yield Failure(row.name, "read", problem)
            continue
        box, landmarks = found.get("box", _NO_BOX), found.get("landmarks", NO_LANDMARKS)
        description = descriptions.get(item, {})
        columns = {
            "split": own_split,
            "gender": gender,
            "category": category,
            "clothes_type": box.clothes_type or landmarks.clothes_type,
            "pose": box.kind,
            "color": found.get("color") or description.get("color"),
            "description": description.get("description"),
            **(attributes.list_columns(item) or {"attributes": None}),
            "landmarks": landmarks.points,
            "variation_type": landmarks.variation_type,
        }
        yield Item(row.name, row.name, item, columns=columns, box=box.box, picture=pictures / row.name)
    yield from lists.finish(partition.path.name)
    yield from partition.finish()


def _read_consumer_to_shop(
    location: Path, partition: ListFile[_Place], boxes: ListFile[_Box], split: str
) -> Iterator[Entry]:
    pictures = find_pictures(location)
    lists = Lists()
    lists.add("landmarks", find_list(location, "list_landmarks_consumer2shop.txt"), parse_landmarks)
    attributes = _ItemAttributes(_read_typed_names(location))
    yield from attributes.read(find_list(location, "list_attr_items.txt"))
    places: dict[str, _Pairs] = {}
    yield from _read_pairs(partition, places)
    for row in boxes:
        found, problem = lists.take(row.name)
        place = places.pop(row.name, None)
        if place and split not in ("", place.split):
            continue
        section, category, path_item = _read_path(row.name)
        try:
            if place is None:
                raise ValueError(f"{partition.path.name} does not name it, or {boxes.path.name} names it twice")
            box = row.checked
            if path_item not in (None, place.item):
                raise ValueError(f"it is of {path_item} by its path, but of {place.item} by {partition.path.name}")
            if problem:
                raise ValueError(problem)
        except ValueError as error:
            yield Failure(row.name, "read", str(error))
            continue
        landmarks = found.get("landmarks", NO_LANDMARKS)
        columns = {
            "split": place.split,
            "source": box.kind,
            "pairs": place.others,
            "section": section,
            "category": category,
            "clothes_type": box.clothes_type,
            **attributes.list_columns(place.item),
            "landmarks": landmarks.points,
            "variation_type": landmarks.variation_type,
        }
        yield Item(row.name, row.name, place.item, columns=columns, box=box.box, picture=pictures / row.name)
    for name in places:
        yield Failure(name, "read", f"{boxes.path.name} has no row for it")
    yield from lists.finish(boxes.path.name)
    yield from boxes.finish()


@dataclass(slots=True)
class _Pairs:
    """All that the partition says of one picture."""

    item: str
    split: str
    others: list[str]


def _read_pairs(partition: ListFile[_Place], places: dict[str, _Pairs]) -> Iterator[Failure]:
    """Fills `places`, by the picture's name. A pair that contradicts an earlier one is a Failure and is not taken."""
    for row in partition:
        if row.value is None:
            yield Failure(row.name, "read", f"{row.place}: {row.problem}")
            continue
        item, split, other = row.value
        pair = (row.name, other)
        known = [places.setdefault(name, _Pairs(item, split, [])) for name in pair]
        wrong = [name for name, place in zip(pair, known, strict=True) if (place.item, place.split) != (item, split)]
        if wrong:
            place = places[wrong[0]]
            reason = f"it is of {item} in {split} here, but of {place.item} in {place.split} before"
            yield Failure(wrong[0], "read", f"{row.place}: {reason}")
            continue
        known[0].others.append(other)
        known[1].others.append(row.name)
    yield from partition.finish()


class _ItemAttributes:
    """The attributes of each item; `names` has the name and the group of each attribute, in the lists' order."""

    def __init__(self, names: list[tuple[str, str]]) -> None:
        self.names = names
        self.groups = list(dict.fromkeys(group for _, group in names))
        self.items: dict[str, tuple[int, ...]] = {}

    def read(self, path: Path | None) -> Iterator[Failure]:
        if path is None or not self.names:
            return
        rows = ListFile(path, lambda cells: parse_flags(cells, len(self.names)))
        for row in rows:
            if row.value is None:
                yield Failure(row.name, "read", f"{row.place}: {row.problem}")
            elif self.items.setdefault(row.name, row.value) != row.value:
                yield Failure(row.name, "read", f"{row.place}: it is there before, with other attributes")
        yield from rows.finish()

    def list_columns(self, item: str) -> dict[str, list[str] | None]:
        """Each group with the item's attributes, or with None where nothing is said of the item."""
        flags = self.items.get(item)
        if flags is None:
            return dict.fromkeys(self.groups)
        columns: dict[str, list[str] | None] = {}
        for group in self.groups:
            named = (self.names[place] for place in flags)
            columns[group] = list(dict.fromkeys(name for name, own in named if own == group))
        return columns


def _read_names(location: Path) -> list[str]:
    """The attributes of in-shop: each line is a name, which may have spaces in it."""
    path = find_list(location, "list_attr_cloth.txt")
    return [" ".join([row.name, *row.checked]) for row in ListFile(path, list)] if path else []


def _read_typed_names(location: Path) -> list[tuple[str, str]]:
    """The attributes of consumer-to-shop: Chinese name, English name, number of the type -> (English name, type)."""
    path, types_path = find_list(location, "list_attr_cloth.txt"), find_list(location, "list_attr_type.txt")
    if not path or not types_path:
        return []
    rows = enumerate(ListFile(types_path, " ".join), start=1)
    types = {number: re.sub(r"\W+", "_", row.checked.strip()) for number, row in rows}
    names = []
    for row in ListFile(path, list):
        try:
            *words, number = row.checked
            names.append((" ".join(words), parse_name(types, parse_numbers([number])[0], "type")))
        except ValueError as error:  # no row of the items' list could be understood
            raise SourceError(f"{path.parent / row.place}: {error}") from None
    return names


def _read_descriptions(path: Path | None, descriptions: dict[str, dict[str, str]]) -> Iterator[Failure]:
    """Fills `descriptions`, by the item: its color and what the shop writes of it."""
    if path is None:
        return
    try:
        for entry in json.loads(path.read_text("utf-8", "replace")):
            text = " ".join(str(line).strip() for line in entry.get("description") or [])
            descriptions[entry["item"]] = {"color": str(entry.get("color") or ""), "description": text}
    except (ValueError, TypeError, KeyError, AttributeError, OSError, RecursionError) as error:
        yield Failure(path.name, "read", f"{path.name}: not the descriptions of items ({error!r:.200})")


def _read_path(name: str) -> tuple[str | None, str | None, str | None]:
    """img/WOMEN/Dresses/id_00000002/02_1_front.jpg -> (WOMEN, Dresses, id_00000002), Nones if it looks otherwise."""
    parts = name.split("/")
    return (parts[1], parts[2], parts[3]) if len(parts) == 5 else (None, None, None)


def _parse_in_shop(cells: list[str]) -> _Place:
    return _Place(*_check_split(cells, 2, _IN_SHOP_SPLITS))


def _parse_pair(cells: list[str]) -> _Place:
    other, item, split = _check_split(cells, 3, _CONSUMER_SPLITS)
    return _Place(item, split, other)


def _check_split(cells: list[str], count: int, splits: tuple[str, ...]) -> list[str]:
    if len(cells) != count:
        raise ValueError(f"{len(cells) + 1} cells where there must be {count + 1}")
    if cells[-1] not in splits:
        raise ValueError(f"'{cells[-1][:50]}' is none of the splits {', '.join(splits)}")
    return cells


def _parse_box(kinds: dict[int, str], what: str, cells: list[str]) -> _Box:
    if len(cells) != 6:
        raise ValueError(f"{len(cells) + 1} cells where there must be 7")
    clothes_type, kind = parse_numbers(cells[:2])
    return _Box(
        parse_name(CLOTHES_TYPES, clothes_type, "clothes type"), parse_name(kinds, kind, what), make_box(cells[2:])
    )
