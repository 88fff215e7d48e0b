"""DeepFashion2: pictures of shops and of their customers, with every garment boxed; one JSON file for each picture.

The format: https://github.com/switchablenorms/DeepFashion2 (README.md, "Data Organization" and "Data Description").
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from focusedfashion import settings
from focusedfashion.errors import SourceError
from focusedfashion.items import Failure, Item
from focusedfashion.sources.datasets.entries import Entry, begin, list_stems, list_unnamed, make_box, need_folder
from focusedfashion.sources.datasets.options import parse_choice
from focusedfashion.sources.folder import PICTURE_ENDINGS

_SPLITS = ("train", "validation", "test")
_CATEGORIES = {
    1: "short sleeve top",
    2: "long sleeve top",
    3: "short sleeve outwear",
    4: "long sleeve outwear",
    5: "vest",
    6: "sling",
    7: "shorts",
    8: "trousers",
    9: "skirt",
    10: "short sleeve dress",
    11: "long sleeve dress",
    12: "vest dress",
    13: "sling dress",
}
_LEVELS = ("scale", "occlusion", "zoom_in", "viewpoint")  # numbers of 1 to 3
_MOST = 10**9  # no number of the files is as large
_GARMENT = re.compile(r"item([1-9][0-9]{0,5})")
_COLUMNS = ("style", "category", *_LEVELS, "landmarks", "segmentation")
_UNLABELLED = dict.fromkeys(("source", "pair_id", *_COLUMNS))


def read_deepfashion2(location: Path, split: str = "") -> Iterator[Entry]:
    """The folder with `train`, `validation` and `test`, or one of these -> an Item for each garment, with its box.

    In each are `image` and, but for the test set, `annos`. The id is `train/000001#1`: the picture and the garment's
    number; garments of one picture share the picture. Those of one pair and one style above 0 are one product: the
    same garment of a shop and of its customers. Columns: `split`, `source` (shop or user), `pair_id`, `style`,
    `category` (13), `scale`, `occlusion`, `zoom_in` and `viewpoint` (1 to 3, as published), `landmarks` (x, y and
    visibility of each, as published: 2 is visible, 1 hidden, 0 not there) and `segmentation` (polygons of x, y). The
    pictures of the test set have no garments: each is one Item with None in these columns. `split` chooses one.

    A file or garment that cannot be right is a Failure that names the file; so is a picture without annotations, where
    there are some, and annotations without a picture.
    """
    need_folder(location, "the set")
    if (location / "image").is_dir() or (location / "annos").is_dir():
        if split:
            raise SourceError(f"split={split}: {location} is one split by itself")
        folders = [location]
    else:
        folders = [location / name for name in _SPLITS if (location / name).is_dir()]
        parse_choice("split", split, (folder.name for folder in folders))
        folders = [folder for folder in folders if split in ("", folder.name)]
    entries = itertools.chain.from_iterable(map(_read_split, folders))
    return begin(entries, f"{location} has no pictures in train/image, validation/image or test/image")


def _read_split(folder: Path) -> Iterator[Entry]:
    split = folder.resolve().name
    pictures = list_stems(folder / "image", PICTURE_ENDINGS)
    annotations = list_stems(folder / "annos", (".json",))
    for stem in sorted(annotations | pictures):
        item_id, name = f"{split}/{stem}", f"image/{pictures.get(stem, f'{stem}.jpg')}"
        if not annotations:
            columns = {"split": split, **_UNLABELLED}
            yield Item(item_id, f"{split}/{name}", columns=columns, picture=folder / name)
        elif stem not in annotations:
            yield Failure(item_id, "read", f"{name}: there is no annos/{stem}.json")
        elif pictures and stem not in pictures:
            yield Failure(item_id, "read", f"annos/{stem}.json: there is no picture image/{stem}.jpg")
        else:
            yield from _read_garments(folder / "annos" / annotations[stem], split, f"{split}/{name}", folder / name)
    yield from list_unnamed(folder / "image", set(pictures.values()), "the annotations")


def _read_garments(path: Path, split: str, image: str, picture: Path) -> Iterator[Entry]:
    item_id = f"{split}/{path.stem}"
    try:
        annotation = _load(path)
        source, pair = annotation.get("source"), annotation.get("pair_id")
        if source not in ("shop", "user"):
            raise ValueError(f"its source is neither shop nor user: {ascii(source)[:50]}")
        if type(pair) is not int or not 0 <= pair < _MOST:
            raise ValueError(f"its pair_id is no whole number: {ascii(pair)[:50]}")
        garments = sorted(int(found[1]) for found in map(_GARMENT.fullmatch, annotation) if found)
        if not garments:
            raise ValueError("it has no garments: item1, item2, …")
    except ValueError as error:
        yield Failure(item_id, "read", f"annos/{path.name}: {error}")
        return
    for number in garments:
        own_id = f"{item_id}#{number}"
        try:
            garment = _check_garment(annotation[f"item{number}"])
            box = make_box(_need_list(garment, "bounding_box"))
        except ValueError as error:
            yield Failure(own_id, "read", f"annos/{path.name}, item{number}: {error}")
            continue
        style = garment["style"]
        product = f"{split}/pair-{pair}/style-{style}" if style > 0 else own_id
        columns = {"split": split, "source": source, "pair_id": pair, **{name: garment[name] for name in _COLUMNS}}
        yield Item(own_id, image, product, columns=columns, box=box, picture=picture)


def _load(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises ValueError where there is none."""
    try:
        if path.stat().st_size > settings.MAX_CELL:
            raise ValueError(f"longer than {settings.MAX_CELL:,} bytes")
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not valid JSON ({error.msg}, character {error.pos + 1})") from None
    except (UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not valid JSON ({error})") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def _check_garment(value: Any) -> dict[str, Any]:
    """A garment of the file, with its category as one column. Raises ValueError where something cannot be right."""
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    for name in ("style", *_LEVELS):
        number = value.get(name)
        if type(number) is not int or not (0 <= number < _MOST if name == "style" else 1 <= number <= 3):
            raise ValueError(f"its {name} cannot be {ascii(number)[:50]}")
    category, number = value.get("category_name"), value.get("category_id")
    if type(number) is not int or number not in _CATEGORIES or _CATEGORIES[number] != category:
        raise ValueError(f"its category is {ascii(category)[:50]} by name, but {ascii(number)[:50]} by number")
    landmarks = _need_list(value, "landmarks")
    if len(landmarks) % 3 or not all(isinstance(number, int | float) and abs(number) < _MOST for number in landmarks):
        raise ValueError("its landmarks are not x, y and visibility of each")
    for polygon in _need_list(value, "segmentation"):
        if not isinstance(polygon, list) or len(polygon) % 2:
            raise ValueError("its segmentation is not a list of polygons, each x and y of its corners")
    return {**value, "category": category}


def _need_list(value: dict[str, Any], name: str) -> list[Any]:
    found = value.get(name)
    if not isinstance(found, list):
        raise ValueError(f"its {name} is not a list")
    return found
