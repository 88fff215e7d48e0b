"""Pictures that are opened for a report: in threads, all or an even sample, each reduced to a few kilobytes."""

from __future__ import annotations

import heapq
import io
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from focusedfashion import settings
from focusedfashion.columns import clean_text
from focusedfashion.errors import FashionError
from focusedfashion.images import RGB, open_image, read_bytes
from focusedfashion.items import Item
from focusedfashion.report.figures import Trouble
from focusedfashion.report.tally import Reasons

MINI = (18, 16)  # px, width and height of the picture that hashes and colors are made of

_BATCH = 16  # pictures that a worker takes at once
_LISTED = 8
_FOLDERS = 20_000  # that are searched for pictures which no item names
_ENDINGS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "AVIF": (".avif", ".avifs"),
    "HEIF": (".heic", ".heif", ".hif"),
    "GIF": (".gif",),
    "BMP": (".bmp", ".dib"),
    "TIFF": (".tif", ".tiff"),
}
_ALL_ENDINGS = tuple(ending for endings in _ENDINGS.values() for ending in endings)


@dataclass(frozen=True, slots=True)
class View:
    """What is kept of an opened picture.

    `width` and `height` in pixels of the whole upright picture; `digest` of the file's bytes; `mini` RGB uint8
    (16, 18, 3); `thumbnail` a JPEG.
    """

    format: str
    width: int
    height: int
    digest: bytes
    mini: RGB
    thumbnail: bytes


@dataclass(frozen=True, slots=True)
class Look:
    """A picture that was looked into; `view` is the reason, in one line, where it could not be opened."""

    row: int
    item_id: str
    title: str
    ending: str
    view: View | str


@dataclass(slots=True)
class _Chosen:
    row: int
    item_id: str
    title: str
    picture: Path | None  # to be opened at the end; None: in a worker's hands
    ending: str = ""
    view: View | str | None = None


class Looker:
    """Chooses at most `most` pictures of those that pass by and opens them; a context manager.

    The choice is by a hash of the reference: even over the source, and the same each time. Files are opened when all
    have passed. Bytes cannot wait: they are opened as they pass if they belong to the choice so far.
    """

    def __init__(self, most: int, on_look: Callable[[int], None]) -> None:
        self.sampled = False  # whether there were more than `most`
        self.missing = Reasons()
        self._most = most
        self._on_look = on_look
        self._chosen: dict[int, _Chosen] = {}
        self._heap: list[int] = []  # the keys of the chosen, negative: the largest comes first
        self._folders: dict[str, None] = {}
        self.done = 0  # pictures that were opened
        self._pool = ThreadPoolExecutor(_count_cores(), thread_name_prefix="focusedfashion-report")
        self._batch: list[tuple[int, Path | bytes]] = []
        self._running: deque[Future[list[tuple[int, View | str]]]] = deque()

    def __enter__(self) -> Looker:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def take(self, row: int, item: Item) -> None:
        """A picture that passes by: a file or bytes; others are passed over."""
        picture = item.picture
        if isinstance(picture, Path):
            path = os.fspath(picture)
            try:
                picture.stat()
            except (OSError, ValueError) as error:
                reason = "no such file" if isinstance(error, FileNotFoundError) else getattr(error, "strerror", None)
                self.missing.add(reason or str(error), item.image or item.item_id)
                return
            folder = os.path.split(path)[0]
            if len(self._folders) < _FOLDERS:
                self._folders[folder] = None
            self._choose(path, _Chosen(row, item.item_id, item.title or "", picture, picture.suffix.lower()))
        elif isinstance(picture, bytes):
            chosen = _Chosen(row, item.item_id, item.title or "", None)
            key = self._choose(f"{row} {item.item_id}", chosen)
            if key is not None:
                self._submit(key, picture)

    def finish(self) -> list[Look]:
        """Opens what waits -> all that were chosen, in the source's order."""
        for key, chosen in sorted(self._chosen.items(), key=lambda entry: entry[1].row):
            if chosen.picture is not None:
                self._submit(key, chosen.picture)
        self._send()
        while self._running:
            self._collect()
        looks = sorted(self._chosen.values(), key=lambda chosen: chosen.row)
        return [
            Look(look.row, clean_text(look.item_id), clean_text(look.title), look.ending, look.view)
            for look in looks
            if look.view is not None
        ]

    def find_unlisted(self, named: NDArray[np.int64]) -> Trouble:
        """Pictures in the folders of the items' pictures that no item names; `named` are hashes of the items' paths."""
        spellings: dict[str, list[str]] = {}  # of one folder: a path may lead through another
        for folder in self._folders:
            spellings.setdefault(os.path.realpath(folder), []).append(folder)
        named = np.unique(named)
        count = 0
        first: list[str] = []
        for folder, ways in spellings.items():
            try:
                with os.scandir(folder) as entries:
                    names = sorted(entry.name for entry in entries if _is_picture(entry))
            except OSError:
                continue
            known = np.zeros(len(names), bool)
            for way in ways:
                known |= np.isin([hash(os.fspath(Path(way, name))) for name in names], named)
            names = [name for name, is_known in zip(names, known, strict=True) if not is_known]
            count += len(names)
            first += names[: max(0, _LISTED - len(first))]
        return Trouble("no item names them", count, tuple(map(clean_text, first)))

    def _choose(self, reference: str, chosen: _Chosen) -> int | None:
        """Its key if it is new and belongs to the choice so far; another one then goes, if there are too many."""
        digest = blake2b(reference.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        key = int.from_bytes(digest, "big")
        if key in self._chosen:
            return None
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, -key)
        else:
            self.sampled = True
            largest = -heapq.heappushpop(self._heap, -key)
            if largest == key:
                return None
            del self._chosen[largest]
        self._chosen[key] = chosen
        return key

    def _submit(self, key: int, picture: Path | bytes) -> None:
        self._batch.append((key, picture))
        if len(self._batch) == _BATCH:
            self._send()

    def _send(self) -> None:
        if self._batch:
            self._running.append(self._pool.submit(_open_batch, self._batch))
            self._batch = []
        # Two batches a worker: one in its hands, one ready; more would only hold pictures in memory.
        while len(self._running) > 2 * _count_cores():
            self._collect()

    def _collect(self) -> None:
        views = self._running.popleft().result()
        for key, view in views:
            if chosen := self._chosen.get(key):  # it may have had to go meanwhile
                chosen.view = view
        self.done += len(views)
        self._on_look(self.done)


def _open_batch(batch: list[tuple[int, Path | bytes]]) -> list[tuple[int, View | str]]:
    views: list[tuple[int, View | str]] = []
    for key, picture in batch:
        try:
            views.append((key, open_view(picture)))
        except FashionError as error:
            # The folders of this machine are nobody's business in a page that is sent around.
            views.append((key, str(error).removeprefix(f"{picture}: ") if isinstance(picture, Path) else str(error)))
    return views


def open_view(picture: Path | bytes) -> View:
    data = read_bytes(picture)
    rgb = open_image(data)
    with Image.open(io.BytesIO(data)) as header:  # of a picture that open_image took
        kind = "JPEG" if header.format == "MPO" else header.format or ""
        width, height = header.size
    if (width < height) != (rgb.shape[1] < rgb.shape[0]):
        width, height = height, width  # it lies on its side
    small = Image.fromarray(rgb)
    small.thumbnail((settings.REPORT_THUMBNAIL, settings.REPORT_THUMBNAIL), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=75)
    mini = np.asarray(small.resize(MINI, Image.Resampling.BOX))
    return View(kind, width, height, blake2b(data, digest_size=16).digest(), mini, buffer.getvalue())


def is_misnamed(look: Look) -> bool:
    """Whether a file's ending promises another format than it has."""
    if not isinstance(look.view, View) or look.ending not in _ALL_ENDINGS:
        return False
    return look.ending not in _ENDINGS.get(look.view.format, _ALL_ENDINGS)


def _is_picture(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.name[:1] != "." and entry.name.lower().endswith(_ALL_ENDINGS) and entry.is_file()
    except OSError:
        return False


def _count_cores() -> int:
    affinity: Any = getattr(os, "sched_getaffinity", None)  # the cores that this process may use; Linux only
    return len(affinity(0)) if affinity else os.cpu_count() or 1
