"""The pictures that an evaluation asks with, and the gallery that it asks: items with their embeddings, in memory."""

from __future__ import annotations

import heapq
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focusedfashion import settings
from focusedfashion.catalog import Catalog
from focusedfashion.changes import CHANGES, change_picture
from focusedfashion.encoders import Encoder
from focusedfashion.errors import FashionError, PictureError
from focusedfashion.fetch import Fetcher
from focusedfashion.images import open_image, read_bytes
from focusedfashion.indexing import hash_picture
from focusedfashion.items import Failure, Item
from focusedfashion.ranking import order_products

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Tell = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Rows:
    """n items with their pictures' hashes and embeddings, float32 (n, dim)."""

    items: tuple[Item, ...]
    hashes: tuple[str, ...]
    vectors: Floats

    def take(self, rows: Ints) -> Rows:
        """Some of them, by their numbers."""
        hashes = tuple(self.hashes[row] for row in rows)
        return Rows(tuple(self.items[row] for row in rows), hashes, self.vectors[rows])


def read_gallery(catalog: Catalog) -> tuple[Rows, Ints]:
    """All items in the order that breaks ties, and where each product starts (see `ranking.order_products`)."""
    parts = list(catalog.vectors())
    items = [item for part in parts for item in part.items]
    hashes = [digest for part in parts for digest in part.hashes]
    order, starts = order_products([item.item_id for item in items], [item.product_id for item in items])
    vectors = np.empty((len(items), parts[0].embeddings.shape[1] if parts else 0), np.float32)
    places = np.argsort(order)  # where each row goes
    end = len(items)
    while parts:  # each one is freed when it is copied: a million items have a gigabyte of embeddings
        part = parts.pop()
        vectors[places[end - len(part.items) : end]] = part.embeddings
        end -= len(part.items)
    return Rows(tuple(items[row] for row in order), tuple(hashes[row] for row in order), vectors), starts


def choose(ids: Iterable[tuple[str, Any]], most: int, seed: int) -> list[Any]:
    """At most `most` of what passes by, in its order: an even sample by a hash of its id, the same each time."""
    heap: list[tuple[int, int, Any]] = []
    for number, (item_id, value) in enumerate(ids):
        digest = blake2b(f"{seed} {item_id}".encode("utf-8", "replace"), digest_size=8).digest()
        entry = (-int.from_bytes(digest, "big"), number, value)
        if len(heap) < most:
            heapq.heappush(heap, entry)
        elif entry > heap[0]:
            heapq.heapreplace(heap, entry)
    return [value for _, _, value in sorted(heap, key=lambda entry: entry[1])]


def sample_entries(entries: Iterable[Item | Failure], most: int, seed: int) -> list[Item | Failure]:
    """At most `most` items, and all failures."""
    failures: list[Item | Failure] = []

    def pass_items() -> Iterator[tuple[str, Item]]:
        for entry in entries:
            if isinstance(entry, Failure):
                failures.append(entry)
            else:
                yield entry.item_id, entry

    return [*choose(pass_items(), most, seed), *failures]


def embed_queries(
    entries: Iterable[Item | Failure], encoder: Encoder, allow_private: bool, tell: Tell
) -> tuple[Rows, list[Failure]]:
    """Opens and encodes the queries' pictures; those that do not open are failures."""
    failures: list[Failure] = []

    def pass_items() -> Iterator[Item]:
        for entry in entries:
            if isinstance(entry, Failure):
                failures.append(entry)
            else:
                yield entry

    items: list[Item] = []
    hashes: list[str] = []
    vectors: list[Floats] = []
    with Fetcher(allow_private=allow_private) as fetcher:
        for opened in _work(lambda batch: _open_batch(batch, encoder, fetcher), pass_items()):
            failures += opened[1]
            items += opened[0].items
            hashes += opened[0].hashes
            vectors.append(opened[0].vectors)
            tell(len(items))
    joined = np.concatenate(vectors) if vectors else np.zeros((0, encoder.dim), np.float32)
    return Rows(tuple(items), tuple(hashes), joined), failures


def _open_batch(batch: Sequence[Item], encoder: Encoder, fetcher: Fetcher) -> tuple[Rows, list[Failure]]:
    items, hashes, fitted, failures = [], [], [], []
    for item in batch:
        step, picture, box = "picture", item.picture, item.box
        try:
            if isinstance(picture, str):
                step = "fetch"
                picture = fetcher.fetch(picture, kind="image").data
                step = "picture"
            if picture is None:
                raise PictureError("the source gives no picture for it")
            data = read_bytes(picture)
            place = (box.left, box.top, box.right, box.bottom) if box else None
            fitted.append(encoder.fit(open_image(data, place)))
        except FashionError as error:
            failures.append(Failure(item.item_id, step, str(error)))
            continue
        items.append(replace(item, picture=None))
        hashes.append(hash_picture(data, box))
    return Rows(tuple(items), tuple(hashes), encoder.encode_fitted(fitted).embeddings), failures


def change_items(
    catalog: Catalog, encoder: Encoder, item_ids: Sequence[str], seed: int, tell: Tell
) -> tuple[Ints, Floats, list[Failure]]:
    """Items of a catalog -> which of them could be opened, (q,), and their pictures' embeddings after each change.

    The embeddings are float32 (q, changes, dim), NaN where a change does not apply.
    """

    def change_batch(batch: Sequence[int]) -> list[tuple[int, Floats | Failure]]:
        found: list[tuple[int, Floats | Failure]] = []
        for place in batch:
            item_id = item_ids[place]
            try:
                picture = open_image(catalog.thumbnail(item_id))
            except FashionError as error:  # removed meanwhile
                found.append((place, Failure(item_id, "picture", str(error))))
                continue
            changed = [change_picture(name, picture, item_id, seed) for name in CHANGES]
            vectors = np.full((len(changed), encoder.dim), np.nan, np.float32)
            applied = [number for number, one in enumerate(changed) if one is not None]
            vectors[applied] = encoder.encode_pixels([one for one in changed if one is not None]).embeddings
            found.append((place, vectors))
        return found

    places: list[int] = []
    vectors: list[Floats] = []
    failures: list[Failure] = []
    for found in _work(change_batch, range(len(item_ids))):
        for place, result in found:
            if isinstance(result, Failure):
                failures.append(result)
            else:
                places.append(place)
                vectors.append(result)
        tell(len(places))
    return np.array(places, np.int64), np.array(vectors, np.float32), failures


def _work(task: Callable[[Any], Any], things: Iterable[Any]) -> Iterator[Any]:
    """The task over batches of things, on all cores, in their order; few batches wait in memory."""
    workers = _count_cores()
    source = iter(things)
    running: deque[Future[Any]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="focusedfashion-evaluation") as pool:
        try:
            while batch := list(islice(source, settings.ENCODE_BATCH)):
                running.append(pool.submit(task, batch))
                if len(running) >= 3 * workers:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()


def _count_cores() -> int:
    affinity: Any = getattr(os, "sched_getaffinity", None)  # the cores that this process may use; Linux only
    return len(affinity(0)) if affinity else os.cpu_count() or 1
