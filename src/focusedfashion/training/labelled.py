"""A source's items as training rows: their pictures opened once into arrays on disk, their label columns as labels.

The split is the source's own where it has a column `split`; else products, copies and near copies of a picture stay
together. Nothing of it hangs on the size of the network's input, so recipes of one seed and one pair of shares can be
compared: they hold out the same rows.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focusedfashion.columns import SPLIT
from focusedfashion.errors import FashionError, RecipeError
from focusedfashion.images import RGB, open_image, resize_image
from focusedfashion.items import Item
from focusedfashion.labels import Labels, find_label_columns, read_labels
from focusedfashion.sources import read_source
from focusedfashion.training.data import Packed, find_garment, hash_outline, split_groups
from focusedfashion.training.recipe import Recipe

logger = logging.getLogger(__name__)

_PARTS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
_CHUNK = 512  # pictures that are opened at once
_TELL_ROWS = 5_000  # between two lines of progress
_LISTED = 10  # labels that a warning names


def pack_source(recipe: Recipe, source: str, columns: Sequence[str], packs: Path) -> Packed:
    """Opens every picture of a source into a folder below `packs`, or takes what lies there of the same pictures.

    `columns` are the label columns: of the heads that name one, one after the other, and all of them together of those
    that name none; without them the heads' own, and the columns whose values repeat. Rows without a usable picture
    are left out and counted in the log. Raises RecipeError where nothing can be learned from what is left, SourceError
    and QueryError where the source or a column is not there.
    """
    items, digest = _read_items(source)
    heads = _choose_columns(recipe, items, columns)
    tables = {group: read_labels(items, names) for group, names in heads.items()}
    with_masks = recipe.augmentation.background > 0
    stamp = [digest, recipe.width, recipe.height, recipe.resize, recipe.resize_to, with_masks]
    folder = packs / hashlib.sha1(json.dumps(stamp).encode()).hexdigest()[:16]
    if not (folder / "packed.json").is_file():
        _write_pictures(recipe, source, len(items), folder, with_masks)
    rows = json.loads((folder / "packed.json").read_text(encoding="utf-8"))
    shape = (len(rows), recipe.height, recipe.width)
    pictures = np.memmap(folder / "pictures.u8", np.uint8, "r", shape=(*shape, 3))
    masks = np.memmap(folder / "masks.u8", np.uint8, "r", shape=shape) if with_masks else None
    places = np.array([row["place"] for row in rows])
    split = _split(recipe, [items[place] for place in places], [row["keys"] for row in rows])
    for group, table in tables.items():
        _check_labels(recipe, group, table, places, split)
    open_groups = [group for group in tables if not recipe.heads[group].exclusive]
    return Packed(
        pictures,
        masks,
        {group: table.truth[places] for group, table in tables.items()},
        {group: _find_known(tables[group], heads[group])[places] for group in open_groups},
        {group: list(table.names) for group, table in tables.items()},
        np.array([Path(source).name] * len(rows)),
        np.array([items[place].item_id for place in places]),
        split,
    )


def _read_items(source: str) -> tuple[list[Item], str]:
    """All items, each id once, without their pictures, and a digest of what the pictures are."""
    digest = hashlib.sha1(source.encode())
    items = []
    for item in _list_items(source):
        digest.update(f"{item.item_id}\0{item.box}\0".encode())
        digest.update(item.picture if isinstance(item.picture, bytes) else _describe_file(item.picture).encode())
        items.append(replace(item, picture=None))
    if not items:
        raise RecipeError(f"{source} has no item to train on")
    return items, digest.hexdigest()


def _list_items(source: str) -> Iterator[Item]:
    seen: set[str] = set()
    for entry in read_source(source):
        if isinstance(entry, Item) and entry.item_id not in seen:
            seen.add(entry.item_id)
            yield entry


def _describe_file(picture: Path | str | None) -> str:
    try:
        status = Path(picture or "").stat()
    except (OSError, ValueError):
        return str(picture)
    return f"{picture} {status.st_size} {status.st_mtime_ns}"


def _choose_columns(recipe: Recipe, items: Sequence[Item], columns: Sequence[str]) -> dict[str, list[str]]:
    """Head -> the columns that its labels come from."""
    named = [name for name, head in recipe.heads.items() if head.columns]
    if named and columns and len(columns) != len(named):
        raise RecipeError(f"{recipe.name} has the heads {', '.join(named)}: give --label once for each, in this order")
    chosen = {name: [column] for name, column in zip(named, columns, strict=False)}
    rest = list(columns) or (find_label_columns(items) if len(named) < len(recipe.heads) else [])
    heads = {name: chosen.get(name) or head.columns or rest for name, head in recipe.heads.items()}
    if empty := [name for name, found in heads.items() if not found]:
        raise RecipeError(f"heads.{empty[0]}: no column's values repeat: name those that hold labels with --label")
    return heads


def _write_pictures(recipe: Recipe, source: str, count: int, folder: Path, with_masks: bool) -> None:
    """Writes `pictures.u8`, `masks.u8` and, per row, its place among the items and what it is grouped by.

    Elsewhere first: several processes may do the same at once, and a stopped one leaves no half folder.
    """
    part = folder.with_name(f"{folder.name}.part-{os.getpid()}")
    part.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    failed, reason = 0, ""
    try:
        with (part / "pictures.u8").open("wb") as pictures, (part / "masks.u8").open("wb") as masks:
            for place, (item, opened) in enumerate(_open_pictures(recipe, source)):
                if isinstance(opened, str):
                    failed, reason = failed + 1, reason or f"{item.item_id}: {opened}"
                    continue
                picture, keys = opened
                pictures.write(picture.tobytes())
                if with_masks:
                    masks.write(find_garment(picture).tobytes())
                rows.append({"place": place, "keys": [f"product:{item.product_id}", *keys]})
                if len(rows) % _TELL_ROWS == 0:
                    logger.info("%s of %s pictures opened", f"{len(rows):,}", f"{count:,}")
        if not rows:
            raise RecipeError(f"{source}: none of {count:,} pictures could be opened ({reason})")
        if failed:
            logger.warning("%s pictures do not open and are left out (%s)", f"{failed:,}", reason)
        (part / "packed.json").write_text(json.dumps(rows), encoding="utf-8")
        if not folder.is_dir():
            part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _open_pictures(recipe: Recipe, source: str) -> Iterator[tuple[Item, tuple[RGB, list[str]] | str]]:
    """Each item with its picture at the network's size and the keys of its copies, or the reason why there is none."""
    items = _list_items(source)
    with ThreadPoolExecutor() as pool:
        while chunk := list(islice(items, _CHUNK)):
            yield from zip(chunk, pool.map(partial(_open, recipe=recipe), chunk), strict=True)


def _open(item: Item, recipe: Recipe) -> tuple[RGB, list[str]] | str:
    if item.picture is None:
        return "it has no picture"
    if isinstance(item.picture, str) and item.picture.startswith(("http://", "https://")):
        return "it is a URL: download the pictures first"
    try:
        box = item.box
        rgb = open_image(item.picture, None if box is None else (box.left, box.top, box.right, box.bottom))
    except FashionError as error:
        return str(error)
    keys = [hashlib.sha1(rgb.tobytes()).hexdigest(), hash_outline(rgb)]
    return resize_image(rgb, recipe.width, recipe.height, recipe.resize, recipe.resize_to), keys


def _split(recipe: Recipe, items: Sequence[Item], keys: Sequence[Sequence[str]]) -> NDArray[np.str_]:
    """Row -> "train", "validation", "test", or "" where the source's own column `split` says something else."""
    dealt = split_groups(keys, recipe)
    if not any(item.columns.get(SPLIT) for item in items):
        return dealt
    own = np.array([_PARTS.get(str(item.columns.get(SPLIT)).lower(), "") for item in items], dtype="<U10")
    if (others := int((own == "").sum())) > 0:
        logger.info("%s rows are neither of train nor of validation nor of test and are left out", f"{others:,}")
    if not (own == "validation").any():
        own[(own == "train") & (dealt == "validation")] = "validation"
    return own


def _check_labels(
    recipe: Recipe, group: str, table: Labels, places: NDArray[np.int64], split: NDArray[np.str_]
) -> None:
    """Raises RecipeError where there is nothing to learn; warns of labels that a part of the split lacks."""
    parts = [part for part in ("train", "validation", "test") if (split == part).any()]
    columns = np.array(table.columns)
    for column in dict.fromkeys(table.columns):
        rows = table.truth[:, columns == column]
        if rows.shape[1] == 1 and rows.all():
            value = table.names[int(np.flatnonzero(columns == column)[0])]
            raise RecipeError(f"column {column!r} says {value!r} of every item: nothing to learn; take another --label")
    counts = {part: table.truth[places[split == part]].sum(axis=0) for part in parts}
    taught = int((counts["train"] > 0).sum()) if "train" in counts else 0
    needed = 2 if recipe.heads[group].exclusive else 1
    if "train" in counts and taught < needed:
        raise RecipeError(f"heads.{group}: the training rows have {taught} labels; it needs {needed} or more")
    for part, found in counts.items():
        absent = [table.names[place] for place in np.flatnonzero(found == 0)]
        if absent:
            names = ", ".join(absent[:_LISTED]) + (", …" if len(absent) > _LISTED else "")
            logger.warning("%s of %s labels have no %s row: %s", f"{len(absent):,}", f"{len(found):,}", part, names)


def _find_known(table: Labels, columns: Sequence[str]) -> NDArray[np.bool_]:
    """Whether the item says anything in the label's column, bool (n, labels)."""
    number = {column: place for place, column in enumerate(dict.fromkeys(columns))}
    known: NDArray[np.bool_] = table.known[:, [number[column] for column in table.columns]]
    return known
