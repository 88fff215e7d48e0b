"""The rows of a study: read once, parted into gallery and test rows, their pictures opened when they are needed."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from focusedfashion import settings
from focusedfashion.errors import FashionError, QueryError
from focusedfashion.images import RGB, open_image, read_bytes
from focusedfashion.items import Failure, Item
from focusedfashion.report.copies import find_near
from focusedfashion.report.looks import View, open_view
from focusedfashion.sources import read_source

SPLIT = "split"
TRAIN, VALIDATION, TEST = PARTS = ("train", "validation", "test")

_WORDS = {"train": TRAIN, "training": TRAIN, "val": VALIDATION, "validation": VALIDATION, "valid": VALIDATION}
_WORDS |= {"test": TEST, "testing": TEST}
_CHUNK = 64  # pictures that are open at once


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows that are measured, test rows first: `parts` says train, validation or test of each.

    `left_out` maps reasons to counts of rows that are not measured.
    """

    items: tuple[Item, ...]
    parts: NDArray[np.str_]
    left_out: Mapping[str, int]

    @property
    def tests(self) -> int:
        """How many of the rows, the first ones, are test rows."""
        return int((self.parts == TEST).sum())


def read_rows(source: str) -> tuple[list[Item], int]:
    """A source's items, without the bytes of their pictures, and how many rows could not be read.

    Of an id that comes twice the first row counts. Raises SourceError; QueryError where there is no row.
    """
    items: dict[str, Item] = {}
    failed, reason = 0, "it is empty"
    for entry in read_source(source):
        if isinstance(entry, Failure) or entry.item_id in items:
            failed += 1
            reason = entry.reason if isinstance(entry, Failure) else reason
        else:
            items[entry.item_id] = replace(entry, picture=None) if isinstance(entry.picture, bytes) else entry
    if not items:
        raise QueryError(f"{source} has no row that can be read: {reason}")
    return list(items.values()), failed


def read_split(path: Path) -> dict[str, str]:
    """An encoder's split.csv -> item id -> train, validation or test; nothing where there is no such file."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(row.get("item_id") or "", _WORDS.get(row.get("split") or "", "")) for row in csv.DictReader(file)]
    return {item_id: part for item_id, part in rows if part}


def is_about(split: Mapping[str, str], items: Sequence[Item]) -> bool:
    """Whether a split.csv is of these items: at least half of its ids are theirs."""
    return 2 * sum(item.item_id in split for item in items) >= len(split) > 0


def part_rows(
    items: Sequence[Item], source: str, splits: Sequence[Mapping[str, str]], gallery: int | None = None, seed: int = 0
) -> Rows:
    """Says which rows are test rows, by what the encoders were trained on, and leaves out what would not be fair.

    `splits` are those of the encoders that learned from this source: a row is a test row where one of them says so and
    none has learned from it. Without any, the source's own column `split` decides, and without that, groups of rows
    (the same product, copies and near copies of a picture) are dealt by the hash of `seed` and group. `gallery` is how
    many of the other rows are kept at most, an even sample. Raises QueryError where a side is empty.
    """
    splits = [split for split in splits if is_about(split, items)]
    left_out: Counter[str] = Counter()
    parts = []
    own = _deal(items, source, seed) if not splits else {}
    for item in items:
        said = {split[item.item_id] for split in splits if item.item_id in split} or {own.get(item.item_id, "")}
        if said == {""}:
            left_out["in no split"] += 1
            parts.append("")
        elif TEST in said and len(said) > 1:
            left_out["a test row of one encoder from which another learned"] += 1
            parts.append("")
        else:
            parts.append(TRAIN if TRAIN in said else said.pop())
    tests = [row for row, part in enumerate(parts) if part == TEST]
    others = [row for row, part in enumerate(parts) if part in (TRAIN, VALIDATION)]
    if not tests or not others:
        side = "test" if not tests else "train"
        raise QueryError(f"{source}: no row is in the part '{side}': give more rows, or a column 'split'")
    if gallery is not None and len(others) > gallery:
        left_out["not in the sample of the gallery"] = len(others) - gallery
        chosen = np.random.default_rng(seed).choice(len(others), gallery, replace=False)
        others = [others[place] for place in sorted(chosen.tolist())]
    rows = tests + others
    return Rows(tuple(items[row] for row in rows), np.array([parts[row] for row in rows]), dict(left_out))


def drop_rows(rows: Rows, kept: NDArray[np.bool_], reason: str) -> Rows:
    """The rows where `kept` bool (n,) is true; the others are counted under the reason."""
    gone = int((~kept).sum())
    if not gone:
        return rows
    items = tuple(item for item, keep in zip(rows.items, kept, strict=True) if keep)
    return Rows(items, rows.parts[kept], dict(rows.left_out) | {reason: gone})


def open_pictures(source: str, rows: Mapping[str, int]) -> Iterator[list[tuple[int, RGB | None]]]:
    """The pictures of the rows, item id -> number: some at a time, each as `images.open_image` gives it, or None.

    The source is read again, so that no more than some pictures are in memory.
    """
    seen: set[str] = set()

    def choose() -> Iterator[Item]:
        for entry in read_source(source):
            if isinstance(entry, Item) and entry.item_id in rows and entry.item_id not in seen:
                seen.add(entry.item_id)
                yield entry
                if len(seen) == len(rows):
                    return

    for chunk, pictures in _open_all(choose()):
        yield [(rows[item.item_id], picture) for item, picture in zip(chunk, pictures, strict=True)]


def open_picture(item: Item) -> RGB | None:
    """The item's picture, its box's part where it has one; None where it does not open or is a URL."""
    if item.picture is None or isinstance(item.picture, str):
        return None
    box = None if item.box is None else (item.box.left, item.box.top, item.box.right, item.box.bottom)
    try:
        return open_image(item.picture, box)
    except FashionError:
        return None


def _open_all(items: Iterable[Item]) -> Iterator[tuple[list[Item], list[RGB | None]]]:
    iterator = iter(items)
    with ThreadPoolExecutor() as pool:
        while chunk := list(islice(iterator, _CHUNK)):
            yield chunk, list(pool.map(open_picture, chunk))


def _deal(items: Sequence[Item], source: str, seed: int) -> dict[str, str]:
    """Item id -> part, by the column `split`, or by groups of rows that look alike or are of one product."""
    if any(item.columns.get(SPLIT) for item in items):
        return {item.item_id: _WORDS.get(str(item.columns.get(SPLIT)).lower(), "") for item in items}
    group = {item.item_id: item.product_id for item in items}
    views: list[tuple[str, View]] = []
    for entry in read_source(source):
        if isinstance(entry, Item) and isinstance(entry.picture, (Path, bytes)):
            try:
                views.append((entry.item_id, open_view(read_bytes(entry.picture))))
            except FashionError:
                continue
    if views:
        joined: dict[str, str] = {}  # product -> the product whose picture its own is a copy of

        def find(product: str) -> str:
            while product in joined:
                product = joined[product]
            return product

        pictures = [view for _, view in views]
        first: dict[bytes, str] = {}
        pairs = [(first.setdefault(view.digest, item_id), item_id) for item_id, view in views]
        for copies in find_near(pictures, np.stack([view.mini for view in pictures])):
            pairs += [(views[copies[0]][0], views[place][0]) for place in copies[1:]]
        for one, other in pairs:
            root, leaf = find(group[one]), find(group[other])
            if root != leaf:
                joined[leaf] = root
        group = {item_id: find(product) for item_id, product in group.items()}
    return {
        item_id: TEST if _hash(f"{seed}{product}") < settings.STUDY_TEST else TRAIN
        for item_id, product in group.items()
    }


def _hash(text: str) -> float:
    """0..1, even."""
    return int(hashlib.sha1(text.encode()).hexdigest()[:8], 16) / 2**32
