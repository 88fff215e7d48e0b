"""The pictures of sources as several encoders see them: read, opened once each, encoded by all."""

from __future__ import annotations

import io
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from focusedfashion import settings
from focusedfashion.encoders import Encoder
from focusedfashion.errors import FashionError, PictureError
from focusedfashion.images import RGB, open_image
from focusedfashion.items import Failure, Item
from focusedfashion.report.figures import Trouble
from focusedfashion.report.tally import Reasons
from focusedfashion.sources import read_source

Floats = NDArray[np.float32]
Opened = tuple[list[bytes | str], list[NDArray[np.float16]]]  # thumbnails or reasons; features of those that opened

_AHEAD = 4  # batches for each worker that are in its hands or wait to be taken


@dataclass(frozen=True, slots=True)
class SourceRows:
    """The rows that are to be encoded, without the bytes of their pictures; `failures` of those that are none."""

    items: tuple[Item, ...]
    left_out: int
    failures: Reasons


@dataclass(slots=True)
class Views:
    """Pictures that opened, and their features, which are taken out encoder by encoder."""

    items: tuple[Item, ...]
    thumbnails: list[bytes]
    failed: int
    failures: tuple[Trouble, ...]
    _features: list[NDArray[np.float16] | None]
    _opened: NDArray[np.bool_]

    def take_features(self, place: int) -> Floats:
        """The features of the encoder at this place, float32 (n, dim); their memory is the caller's from then on."""
        features = self._features[place]
        if features is None:
            raise ValueError(f"the features of encoder {place} were taken before")
        self._features[place] = None
        return features[self._opened].astype(np.float32)


def read_rows(sources: Sequence[str | Path], most: int, seed: int) -> SourceRows:
    """The items of the sources, at most `most`, an even sample by `seed`; of a double id the first row counts.

    Raises SourceError.
    """
    failures = Reasons()
    items: dict[str, Item] = {}
    for entry in _read(sources):
        if isinstance(entry, Failure):
            failures.add(entry.reason, entry.item_id)
        elif entry.item_id in items:
            failures.add("the id came before", entry.item_id)
        else:
            items[entry.item_id] = replace(entry, picture=None)
    rows = list(items.values())
    chosen = np.arange(len(rows))
    if len(rows) > most:
        chosen = np.sort(np.random.default_rng(seed).choice(len(rows), most, replace=False))
    return SourceRows(tuple(rows[row] for row in chosen), len(rows) - len(chosen), failures)


def encode_rows(
    sources: Sequence[str | Path],
    rows: SourceRows,
    encoders: Sequence[Encoder],
    on_progress: Callable[[int, int], None] | None = None,
) -> Views:
    """Opens the pictures of the rows, as the sources are read again, and encodes each with every encoder.

    Features are kept as float16, blocks weighted as the encoder weighs them (so that a squared distance is what the
    score falls short of its best). Pictures by URL are not fetched. Raises SourceError and EncoderError.
    """
    total = len(rows.items)
    wanted = {item.item_id: row for row, item in enumerate(rows.items)}
    features = [np.zeros((total, encoder.dim), np.float16) for encoder in encoders]
    thumbnails: dict[int, bytes] = {}
    done = 0

    def choose() -> Iterator[Item]:
        left = set(wanted)
        for entry in _read(sources):
            if isinstance(entry, Item) and entry.item_id in left:
                left.remove(entry.item_id)
                yield entry
                if not left:
                    return

    for items, (views, encoded) in _open_all(choose(), encoders):
        for item, view in zip(items, views, strict=True):
            if isinstance(view, str):
                rows.failures.add(view, item.item_id)
            else:
                thumbnails[wanted[item.item_id]] = view
        good = [wanted[item.item_id] for item, view in zip(items, views, strict=True) if not isinstance(view, str)]
        for whole, part in zip(features, encoded, strict=True):
            whole[good] = part
        done += len(items)
        if on_progress is not None:
            on_progress(done, total)
    opened = np.array([row in thumbnails for row in range(total)], bool)
    return Views(
        tuple(item for row, item in enumerate(rows.items) if opened[row]),
        [thumbnails[row] for row in sorted(thumbnails)],
        rows.failures.total(),
        rows.failures.list(),
        list(features),
        opened,
    )


def _read(sources: Sequence[str | Path]) -> Iterator[Item | Failure]:
    return chain.from_iterable(read_source(source) for source in sources)


def _open_all(items: Iterator[Item], encoders: Sequence[Encoder]) -> Iterator[tuple[list[Item], Opened]]:
    """The items a few at a time with what `_open_batch` makes of them, in their order, all cores busy."""
    scales = [np.sqrt(_weigh(encoder)).astype(np.float32) for encoder in encoders]
    work = partial(_open_batch, encoders=encoders, scales=scales)
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    running: deque[tuple[list[Item], Future[Opened]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="focusedfashion-cluster") as pool:
        try:
            while batch := list(islice(items, settings.ENCODE_BATCH)):
                running.append((batch, pool.submit(work, batch)))
                if len(running) >= _AHEAD * workers:
                    first, future = running.popleft()
                    yield first, future.result()
            for first, future in running:
                yield first, future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _open_batch(batch: list[Item], *, encoders: Sequence[Encoder], scales: Sequence[Floats]) -> Opened:
    views: list[bytes | str] = []
    pictures: list[RGB] = []
    for item in batch:
        try:
            picture = _open(item)
        except FashionError as error:
            # The folders of this machine are nobody's business in a page that is sent around.
            place = f"{item.picture}: " if isinstance(item.picture, Path) else ""
            views.append(str(error).removeprefix(place))
            continue
        pictures.append(picture)
        views.append(_shrink(picture))
    return views, [
        (encoder.encode_pixels(pictures).embeddings * scale).astype(np.float16)
        for encoder, scale in zip(encoders, scales, strict=True)
    ]


def _open(item: Item) -> RGB:
    if item.picture is None:
        raise PictureError("it has no picture")
    if isinstance(item.picture, str):
        raise PictureError("its picture is a URL, which is not fetched here: download it first")
    box = item.box
    return open_image(item.picture, None if box is None else (box.left, box.top, box.right, box.bottom))


def _shrink(picture: RGB) -> bytes:
    small = Image.fromarray(picture)
    small.thumbnail((settings.REPORT_THUMBNAIL, settings.REPORT_THUMBNAIL), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=75)
    return buffer.getvalue()


def _weigh(encoder: Encoder) -> Floats:
    """The weight of each number of the embedding, (dim,)."""
    weights = np.ones(encoder.dim, np.float32)
    blocks: Mapping[str, slice] = encoder.blocks
    for name, place in blocks.items():
        weights[place] = encoder.weights[name]
    return weights
