"""Labelled pictures, opened once into arrays on disk, and split so that no picture stands on both sides."""

from __future__ import annotations

import csv
import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from focusedfashion.errors import FashionError, RecipeError
from focusedfashion.images import RGB, open_image, resize_image
from focusedfashion.items import Failure, Item
from focusedfashion.sources import read_source
from focusedfashion.sources.samples import draw_garment, list_garments
from focusedfashion.training.recipe import DataSet, Recipe
from focusedfashion.training.vocabulary import Vocabulary

logger = logging.getLogger(__name__)

_SCENES = ("shop", "photo")  # each drawn garment is seen as both
_TELL_ROWS = 5_000  # between two lines of progress


@dataclass(frozen=True, slots=True)
class Packed:
    """All rows of a recipe: `pictures` uint8 (n, height, width, 3); `masks` uint8 (n, height, width), 1 on a garment
    whose ground is white and 0 all over where that is not known (None where no change of the pictures needs them);
    `allowed` per group bool (n, labels): the labels that a row may have (of an exclusive group, none where it has no
    label) or has (of another); `known` of each group that is not exclusive, bool (n, labels): whether the row says
    anything in the label's column; `data_sets`, `item_ids` str (n); `split` str (n): "train", "validation", "test"
    or, for rows of other splits of the source, "".
    """

    pictures: NDArray[np.uint8]
    masks: NDArray[np.uint8] | None
    allowed: Mapping[str, NDArray[np.bool_]]
    known: Mapping[str, NDArray[np.bool_]]
    labels: Mapping[str, list[str]]
    data_sets: NDArray[np.str_]
    item_ids: NDArray[np.str_]
    split: NDArray[np.str_]

    def list_rows(self, part: str) -> NDArray[np.int64]:
        """The numbers of the rows of "train", "validation" or "test", int64 (m,)."""
        return np.flatnonzero(self.split == part)


def pack(recipe: Recipe, root: Path | None, folder: Path) -> Packed:
    """Opens every picture of the recipe's data into `folder`, or takes what lies there from the same recipe.

    Rows whose picture does not open, and copies of a row already taken, are left out and counted in the log. Raises
    RecipeError where a data set has no picture at all.
    """
    vocabulary = Vocabulary()
    for data in recipe.data:
        if data.vocabulary not in vocabulary.list_sets():
            known = ", ".join(vocabulary.list_sets())
            raise RecipeError(f"data {data.name}: no vocabulary {data.vocabulary!r}; known are {known}")
    stamp = {"recipe": recipe.text, "vocabulary": vocabulary.text, "root": str(root.resolve()) if root else ""}
    done = folder / "packed.json"
    if not done.is_file() or json.loads(done.read_text(encoding="utf-8"))["stamp"] != stamp:
        folder.mkdir(parents=True, exist_ok=True)
        done.unlink(missing_ok=True)  # what it speaks of is about to be overwritten
        rows, labels, failed = _write_arrays(recipe, vocabulary, root, folder)
        text = json.dumps({"stamp": stamp, "rows": rows, "labels": labels, "failed": failed})
        done.write_text(text, encoding="utf-8")
    saved = json.loads(done.read_text(encoding="utf-8"))
    rows, labels = saved["rows"], saved["labels"]
    shape = (len(rows), recipe.height, recipe.width)
    pictures = np.memmap(folder / "pictures.u8", np.uint8, "r", shape=(*shape, 3))
    masks = np.memmap(folder / "masks.u8", np.uint8, "r", shape=shape)
    allowed = {group: np.zeros((len(rows), len(names)), bool) for group, names in labels.items()}
    for index, row in enumerate(rows):
        for group, ours in row["labels"].items():
            if group in allowed:
                allowed[group][index, [labels[group].index(label) for label in ours]] = True
    return Packed(
        pictures,
        masks,
        allowed,
        {},
        labels,
        np.array([row["set"] for row in rows]),
        np.array([row["id"] for row in rows]),
        split_groups([row["keys"] for row in rows], recipe),
    )


def write_split(packed: Packed, path: Path) -> None:
    """Which row stood on which side, as CSV, so that anyone can measure on the same rows."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["data_set", "item_id", "split"])
        rows = zip(packed.data_sets, packed.item_ids, packed.split, strict=True)
        writer.writerows(row for row in rows if row[2])


def _write_arrays(
    recipe: Recipe, vocabulary: Vocabulary, root: Path | None, folder: Path
) -> tuple[list[dict[str, Any]], dict[str, list[str]], int]:
    rows: list[dict[str, Any]] = []
    seen: set[str] = set()
    failed = copies = 0
    with (folder / "pictures.u8").open("wb") as pictures, (folder / "masks.u8").open("wb") as masks:
        for data in recipe.data:
            before = len(rows)
            for item, picture in _open_pictures(data, root, recipe):
                if picture is None:
                    failed += 1
                    continue
                labels = vocabulary.read_labels(data.vocabulary, item)
                digest = hashlib.sha1(picture.tobytes()).hexdigest()
                if digest + str(labels) in seen:
                    copies += 1
                    continue
                seen.add(digest + str(labels))
                pictures.write(picture.tobytes())
                masks.write(find_garment(picture).tobytes())
                group = item.columns.get(data.group_by) or item.item_id
                keys = [f"{data.family or data.name}:{group}", digest, hash_outline(picture)]
                rows.append({"set": data.name, "id": item.item_id, "labels": labels, "keys": keys})
                if (len(rows) - before) % _TELL_ROWS == 0:
                    logger.info("%s: %s pictures opened", data.name, f"{len(rows) - before:,}")
            if len(rows) == before:
                raise RecipeError(f"data {data.name}: no picture could be opened from {data.files}")
    logger.info("%s pictures, %s exact copies left out, %s failed", f"{len(rows):,}", f"{copies:,}", f"{failed:,}")
    return rows, _list_labels(recipe, vocabulary, rows), failed


def _open_pictures(data: DataSet, root: Path | None, recipe: Recipe) -> Iterator[tuple[Item, RGB | None]]:
    """Each item of a data set with its picture at the network's size, None where it does not open."""
    items = _read_items(data, root)
    with ThreadPoolExecutor() as pool:
        while chunk := list(islice(items, 512)):
            yield from zip(chunk, pool.map(partial(_open, data=data, recipe=recipe), chunk), strict=True)


def _list_labels(recipe: Recipe, vocabulary: Vocabulary, rows: list[dict[str, Any]]) -> dict[str, list[str]]:
    """The labels of each head: those of the vocabulary that some row may have."""
    labels = {}
    for group in recipe.heads:
        present = {label for row in rows for label in row["labels"].get(group, ())}
        labels[group] = [label for label in vocabulary.list_labels(group) or sorted(present) if label in present]
        if len(labels[group]) < 2:
            raise RecipeError(
                f"heads.{group}: the data has {len(labels[group])} of its labels; a head needs two or more"
            )
    return labels


def _read_items(data: DataSet, root: Path | None) -> Iterator[Item]:
    if data.files.startswith("samples:"):
        yield from _draw_items(data)
        return
    if root is None:
        raise RecipeError(f"data {data.name}: give the directory that holds {data.files} with --data")
    files = sorted(root.glob(data.files))
    if not files:
        raise RecipeError(f"data {data.name}: nothing at {root / data.files}")
    for file in files:
        for entry in read_source(file):
            if isinstance(entry, Failure):
                continue
            if data.group_by != "item_id" and data.group_by not in entry.columns:
                raise RecipeError(f"data {data.name}: {file} has no column {data.group_by!r} to group by")
            yield entry


def _draw_items(data: DataSet) -> Iterator[Item]:
    count = data.files.removeprefix("samples:")
    if not count.isdigit():
        raise RecipeError(f"data {data.name}: files must be samples:N with a whole number N, not {data.files!r}")
    for index, garment in enumerate(list_garments(int(count), seed=1)):
        columns = {
            "category": garment.category,
            "cut": f"{garment.category}: {garment.cut}",
            "color": garment.color,
            "pattern": garment.pattern,
            "garment": garment,
            "group": f"{garment.category} {garment.cut} {garment.color} {garment.pattern} {garment.second}",
        }
        for scene in _SCENES:
            yield Item(item_id=f"{index}-{scene}", columns=columns | {"scene": scene})


def _open(item: Item, data: DataSet, recipe: Recipe) -> RGB | None:
    """The picture at the network's size, as every other part would see it; None where it does not open."""
    try:
        if "garment" in item.columns:
            seed = int(item.item_id.partition("-")[0])
            rgb = draw_garment(item.columns["garment"], scene=item.columns["scene"], seed=seed)
        elif item.picture is None:
            return None
        else:
            rgb = open_image(item.picture)
    except FashionError:
        return None
    if data.aspect:
        height = rgb.shape[0]
        rgb = np.asarray(Image.fromarray(rgb).resize((max(1, round(height * data.aspect)), height)))
    return resize_image(rgb, recipe.width, recipe.height, recipe.resize, recipe.resize_to)


def find_garment(picture: RGB) -> NDArray[np.uint8]:
    """1 on the garment of a picture with a white ground, uint8 (h, w); all 0 where the ground is not white."""
    from scipy import ndimage

    light = picture.min(axis=2) >= 240
    edge = np.zeros_like(light)
    edge[0], edge[-1], edge[:, 0], edge[:, -1] = True, True, True, True
    if light[edge].mean() < 0.85:
        return np.zeros(light.shape, np.uint8)
    regions, _ = ndimage.label(light)
    ground = np.isin(regions, np.unique(regions[edge & light]))
    garment = ndimage.binary_closing(~ground, iterations=2) | ~ground
    # A white garment runs into its ground: what is left of it is no mask.
    inside = garment & light
    if not 0.08 < garment.mean() < 0.9 or inside.sum() > 0.35 * garment.sum():
        return np.zeros(light.shape, np.uint8)
    mask: NDArray[np.uint8] = garment.astype(np.uint8)
    return mask


def hash_outline(picture: RGB) -> str:
    """A difference hash (dHash) of 16 x 16 grey differences and the mean color: near copies mostly share it."""
    grey = np.asarray(Image.fromarray(picture).convert("L").resize((17, 16), Image.Resampling.BOX)).astype(np.int16)
    bits = (grey[:, 1:] - grey[:, :-1]) > 2
    color = picture.reshape(-1, 3).mean(axis=0) // 16
    return np.packbits(bits).tobytes().hex() + "".join(f"{int(c):x}" for c in color)


def split_groups(keys: Sequence[Sequence[str]], recipe: Recipe) -> NDArray[np.str_]:
    """The keys of each row (its product, its sender, its picture) -> "train", "validation" or "test", str (n,).

    Rows that share a key form a group; whole groups are dealt out, by a hash of the recipe's seed and the group.
    """
    parent: dict[str, str] = {}

    def find(key: str) -> str:
        root = key
        while parent.setdefault(root, root) != root:
            root = parent[root]
        while parent[key] != root:
            parent[key], key = root, parent[key]
        return root

    for first, *others in keys:
        for key in others:
            parent[find(key)] = find(first)
    share = np.array([draw_share(recipe.seed, find(row[0])) for row in keys])
    # Validation first: a recipe without a test share has the split that it always had.
    return np.select(
        [share < recipe.validation, share < recipe.validation + recipe.test], ["validation", "test"], "train"
    )


def draw_share(seed: int, name: str) -> float:
    """A number in 0..1 that hangs on the seed and the name alone."""
    return int(hashlib.sha1(f"{seed}{name}".encode()).hexdigest()[:8], 16) / 2**32


def select(packed: Packed, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Packed:
    """The rows where `rows` (bool (n,)) is true, or those of these numbers (int64 (m,))."""
    return replace(
        packed,
        pictures=packed.pictures[rows],
        masks=None if packed.masks is None else packed.masks[rows],
        allowed={group: allowed[rows] for group, allowed in packed.allowed.items()},
        known={group: known[rows] for group, known in packed.known.items()},
        data_sets=packed.data_sets[rows],
        item_ids=packed.item_ids[rows],
        split=packed.split[rows],
    )
