"""Fashion-MNIST: 70,000 grey pictures of 28 x 28 px in ten classes, as four idx files.

The format: https://github.com/zalandoresearch/fashion-mnist (README.md, "Get the Data" and "Labels"); idx is that of
MNIST: a magic number, the sizes as big-endian 32-bit numbers, the bytes.
"""

from __future__ import annotations

import gzip
import itertools
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from focusedfashion import settings
from focusedfashion.errors import SourceError
from focusedfashion.items import Failure, Item
from focusedfashion.sources.datasets.entries import Entry, begin, find_file, need_folder
from focusedfashion.sources.datasets.options import parse_choice

_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_PREFIXES = {"train": "train", "test": "t10k"}
_PICTURES, _LABELS = 0x0803, 0x0801  # unsigned bytes in three dimensions, and in one


def read_fashion_mnist(location: Path, split: str = "") -> Iterator[Entry]:
    """The folder of the idx files, gzipped or not -> an Item for each picture, in the files' order.

    The id is `train/00017`: the split and the place in its file, from 0. The picture is its bytes as PNG; columns:
    `split` (train or test) and `category` (10). `split` chooses one of them. A label above 9, a picture without a
    label, and what a file lacks of the number that it begins with are Failures.
    """
    need_folder(location, "the idx files")
    parse_choice("split", split, _PREFIXES)
    asked = ((name, prefix) for name, prefix in _PREFIXES.items() if split in ("", name))
    entries = itertools.chain.from_iterable(_read_split(location, name, prefix) for name, prefix in asked)
    return begin(entries, f"{location} has no {' or '.join(_PREFIXES.values())}-images-idx3-ubyte(.gz) with pictures")


def _read_split(location: Path, split: str, prefix: str) -> Iterator[Entry]:
    pictures, labels = _find(location, prefix, "images-idx3"), _find(location, prefix, "labels-idx1")
    if pictures is None:
        return
    if labels is None:
        raise SourceError(f"{pictures} has no {prefix}-labels-idx1-ubyte(.gz) beside it")
    with _open(pictures) as picture_file, _open(labels) as label_file:
        count, height, width = _read_header(picture_file, pictures, _PICTURES, 3)
        (label_count,) = _read_header(label_file, labels, _LABELS, 1)
        if not 0 < height * width <= settings.MAX_CELL:
            raise SourceError(f"{pictures} says that its pictures have {width} x {height} pixels")
        for number in range(count):
            try:
                pixels = _read(picture_file, height * width)
            except ValueError as error:
                yield Failure(pictures.name, "read", f"{pictures.name}, picture {number} of {count}: {error}")
                return
            item_id = f"{split}/{number:05}"
            try:
                if number >= label_count:
                    raise ValueError(f"there are {label_count} labels for {count} pictures")
                label = _read(label_file, 1)[0]
                if label >= len(_CLASSES):
                    raise ValueError(f"the label {label} is unknown: there are 0 to {len(_CLASSES) - 1}")
            except ValueError as error:
                yield Failure(item_id, "read", f"{labels.name}, label {number}: {error}")
                continue
            columns = {"split": split, "category": _CLASSES[label]}
            yield Item(item_id, columns=columns, picture=_encode_png(pixels, width, height))
        if label_count > count:
            reason = f"{labels.name}: there are {label_count} labels for {count} pictures"
            yield Failure(labels.name, "read", reason)


def _find(location: Path, prefix: str, kind: str) -> Path | None:
    # Some unpackers put a dot where the published names have a hyphen.
    names = [f"{prefix}-{own}-ubyte" for own in (kind, kind.replace("-", "."))]
    return find_file(location, *(name + ending for name in names for ending in (".gz", "")))


def _open(path: Path) -> BinaryIO:
    try:
        return cast(BinaryIO, gzip.open(path)) if path.suffix == ".gz" else path.open("rb")
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from None


def _read_header(file: BinaryIO, path: Path, magic: int, dimensions: int) -> tuple[int, ...]:
    try:
        found, *sizes = struct.unpack(f">{1 + dimensions}I", _read(file, 4 * (1 + dimensions)))
    except ValueError as error:
        raise SourceError(f"{path} is no idx file: {error}") from None
    if found != magic:
        raise SourceError(f"{path} is no idx file of this kind: it begins with {found:#010x}, not {magic:#010x}")
    return tuple(sizes)


def _read(file: BinaryIO, count: int) -> bytes:
    """So many bytes. Raises ValueError where there are fewer."""
    try:
        data = file.read(count)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"it is damaged or cut off ({error})") from None
    if len(data) < count:
        raise ValueError("the file ends in the middle of it" if data else "the file ends before it")
    return data


def _encode_png(pixels: bytes, width: int, height: int) -> bytes:
    """Grey bytes -> a PNG; Pillow takes longer to import than this set to read."""
    rows = b"".join(b"\0" + pixels[start : start + width] for start in range(0, width * height, width))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
