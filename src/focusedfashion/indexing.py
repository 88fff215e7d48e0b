"""The pipeline: items -> pictures -> encoder -> store. All cores busy, bounded memory, whole commits, a ledger.

One thread reads the source and writes the store; a worker per core opens, hashes, shrinks and encodes batches of
pictures (Pillow and ONNX Runtime both let other threads run meanwhile). Batches are taken back in the source's order,
so the same source makes the same catalog.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import chain
from typing import Any

import pyarrow as pa

from focusedfashion import settings
from focusedfashion.encoders import Encoder
from focusedfashion.errors import CatalogError, FashionError
from focusedfashion.images import RGB, make_thumbnail, open_image, read_bytes
from focusedfashion.items import Failure, Item
from focusedfashion.rows import Columns, Row, add_pictures, clean_text, make_rows
from focusedfashion.store import Store, Writer


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What became of a source's items. `seconds` is the time from the first item to the last commit."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Batch:
    """What came of a few rows: tables for the store, and what did not get in.

    `added` and `updated` are whole rows (the second of items whose picture is another than before), `corrected` lacks
    what the pictures gave, since only the source's columns changed.
    """

    added: pa.Table
    updated: pa.Table
    corrected: pa.Table
    unchanged: tuple[str, ...]
    failures: tuple[Failure, ...]


def index_items(
    source: Iterable[Item | Failure],
    encoder: Encoder,
    store: Store,
    *,
    retry_failed: bool = False,
    on_progress: Callable[[IndexReport], None] | None = None,
) -> IndexReport:
    """Brings a source's items into a catalog, which is made if need be; `on_progress` hears of every batch.

    A source that yields nothing makes no catalog. Where it breaks off (an error, Ctrl-C), what is finished is
    committed before the exception goes on.
    """
    start = time.monotonic()
    entries = iter(source)
    first = next(entries, None)
    if first is None:
        return IndexReport()
    with store.write(encoder) as writer:
        run = _Run(encoder, store, writer, retry_failed, start, on_progress or (lambda report: None))
        run.take(chain([first], entries))
        writer.finish()
        return run.report()


def encode_batch(
    rows: Sequence[Row], types: Mapping[str, pa.DataType], encoder: Encoder, known: Mapping[str, tuple[str, str]]
) -> Batch:
    """Rows -> Batch: the plain function in the middle, with no state, for a thread here or a machine elsewhere.

    `types` are those of the source's own columns; `known` maps the items that the catalog has to their content and row
    hashes: a picture whose bytes are the known ones is not decoded again.
    """
    opened: list[tuple[Row, str, RGB]] = []
    corrected: list[Row] = []
    unchanged: list[str] = []
    failures: list[Failure] = []
    for row in rows:
        item_id = row.item.item_id
        try:
            if row.item.picture is None:
                raise FashionError("the source gives no picture for it")
            data = read_bytes(row.item.picture)
            content = blake2b(data, digest_size=16).hexdigest()
            has_content, has_row = known.get(item_id, (None, None))
            if content != has_content:
                opened.append((row, content, open_image(data)))
            elif row.row_hash != has_row:
                corrected.append(row)
            else:
                unchanged.append(item_id)
        except FashionError as error:
            failures.append(Failure(item_id, "picture", str(error)))
    now = datetime.now(UTC)
    pictures = [pixels for _, _, pixels in opened]
    table = add_pictures(
        make_rows([row for row, _, _ in opened], types, now),
        [content for _, content, _ in opened],
        [make_thumbnail(pixels) for pixels in pictures],
        encoder,
        encoder.encode_pixels(pictures),
    )
    new = pa.array([row.item.item_id not in known for row, _, _ in opened], pa.bool_())
    old = pa.array([row.item.item_id in known for row, _, _ in opened], pa.bool_())
    return Batch(
        table.filter(new), table.filter(old), make_rows(corrected, types, now), tuple(unchanged), tuple(failures)
    )


@dataclass(slots=True)
class _Pending:
    """What waits for the next commit."""

    added: list[pa.Table] = field(default_factory=list)
    updated: list[pa.Table] = field(default_factory=list)
    corrected: list[pa.Table] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    failures: dict[str, Failure] = field(default_factory=dict)
    size: int = 0


class _Run:
    """One pass over a source."""

    def __init__(
        self,
        encoder: Encoder,
        store: Store,
        writer: Writer,
        retry_failed: bool,
        start: float,
        on_progress: Callable[[IndexReport], None],
    ) -> None:
        self._encoder = encoder
        self._writer = writer
        self._retry_failed = retry_failed
        self._start = start
        self._on_progress = on_progress
        self._known = store.list_hashes()
        self._ledger = {failure.item_id: failure.tries for failure in store.list_failures()}
        self._columns = Columns(writer.schema)
        self._seen: set[str] = set()
        self._failed: set[str] = set()
        self._pending = _Pending()
        self._counts = dict.fromkeys(("added", "updated", "unchanged", "failed"), 0)

    def report(self) -> IndexReport:
        return IndexReport(**self._counts, seconds=round(time.monotonic() - self._start, 3))

    def take(self, entries: Iterable[Item | Failure]) -> None:
        """Everything of the source, committed."""
        workers = _count_cores()
        running: deque[Future[Batch]] = deque()
        with ThreadPoolExecutor(workers, thread_name_prefix="focusedfashion") as pool:
            try:
                for rows in self._read_batches(entries):
                    types = dict(self._columns.types)
                    running.append(pool.submit(encode_batch, rows, types, self._encoder, self._known))
                    # Two batches a worker: one in its hands, one ready; more would only hold pictures in memory.
                    if len(running) >= 2 * workers:
                        self._collect(running.popleft().result())
                while running:
                    self._collect(running.popleft().result())
            except BaseException:
                # Whatever stopped the source (or the person), what the workers have in hand is worth keeping.
                for future in running:
                    if not future.cancel() and future.exception() is None:
                        self._collect(future.result(), tell=False)
                raise
            finally:
                self._commit()

    def _read_batches(self, entries: Iterable[Item | Failure]) -> Iterator[list[Row]]:
        batch: list[Row] = []
        for entry in entries:
            row = self._admit(entry)
            if row is not None:
                batch.append(row)
            if len(batch) == settings.ENCODE_BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    def _admit(self, entry: Item | Failure) -> Row | None:
        """The entry as a row to be encoded; None where it is none: a failure, a double id, one not asked for."""
        item_id = clean_text(entry.item_id)
        if self._retry_failed and item_id not in self._ledger:
            return None
        if isinstance(entry, Failure):
            self._fail(replace(entry, item_id=item_id))
            return None
        if item_id in self._seen:
            self._fail(Failure(item_id, "read", f"double id {item_id!r}: the first row with it counts"))
            return None
        self._seen.add(item_id)
        try:
            return self._columns.fit_item(replace(entry, item_id=item_id))
        except CatalogError as error:
            self._fail(Failure(item_id, "store", str(error)))
            return None

    def _fail(self, failure: Failure) -> None:
        self._counts["failed"] += 1
        self._failed.add(failure.item_id)
        tries = self._ledger.get(failure.item_id, 0) + 1
        self._pending.failures[failure.item_id] = replace(failure, reason=clean_text(failure.reason), tries=tries)
        self._grow(1)

    def _collect(self, batch: Batch, *, tell: bool = True) -> None:
        pending = self._pending
        for name in ("added", "updated", "corrected"):
            table = getattr(batch, name)
            if len(table):
                getattr(pending, name).append(table)
                pending.done += table.column("item_id").to_pylist()
                self._counts["updated" if name == "corrected" else name] += len(table)
        pending.done += batch.unchanged
        self._counts["unchanged"] += len(batch.unchanged)
        for failure in batch.failures:
            self._fail(failure)
        self._grow(len(batch.added) + len(batch.updated) + len(batch.corrected))
        if tell:
            self._on_progress(self.report())

    def _grow(self, entries: int) -> None:
        self._pending.size += entries
        if self._pending.size >= settings.COMMIT_ROWS:
            self._commit()

    def _commit(self) -> None:
        """Items first, then the ledger: killed in between, an entry may be stale until the next run."""
        pending, self._pending = self._pending, _Pending()
        if pending.added:
            self._writer.add(_join(pending.added))
        for tables in (pending.updated, pending.corrected):
            if tables:
                self._writer.update(_join(tables))
        if pending.failures:
            self._writer.record(list(pending.failures.values()))
        # An item that got in although another row of its id failed keeps that row's entry.
        cleared = [item_id for item_id in pending.done if item_id in self._ledger and item_id not in self._failed]
        if cleared:
            self._writer.forget(cleared)


def _join(tables: Sequence[pa.Table]) -> pa.Table:
    """One table; a later one may have more columns than an earlier one, or numbers in place of whole numbers."""
    return pa.concat_tables(tables, promote_options="permissive")


def _count_cores() -> int:
    affinity: Any = getattr(os, "sched_getaffinity", None)  # the cores that this process may use; Linux only
    return len(affinity(0)) if affinity else os.cpu_count() or 1
