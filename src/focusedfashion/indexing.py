"""The pipeline: items -> pictures -> encoder -> store. All cores busy, bounded memory, whole commits, a ledger.

One thread reads the source; a worker per core hashes, opens, shrinks and encodes batches of pictures (Pillow and ONNX
Runtime let other threads run meanwhile); one more writes the store. Batches are taken back in the source's order, so
the same source makes the same catalog.

What has not changed costs as little as can be. A picture is known again by the hash of its bytes, and is then not
decoded. A picture's file is known again by its stamp (`images.stamp_file`), and is then not even read. A row of which
anything else has changed is written again without its picture.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from focusedfashion import settings
from focusedfashion.encoders import Encoder
from focusedfashion.errors import CatalogError, FashionError, FetchError
from focusedfashion.fetch import Fetcher
from focusedfashion.images import RGB, decode_image, make_thumbnail, read_file, stamp_file
from focusedfashion.items import Box, Failure, Item
from focusedfashion.rows import Columns, Row, State, add_pictures, add_stamps, clean_text, make_rows, make_stamps
from focusedfashion.store import Store, Writer

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What became of a source's items. `seconds` is the time from the first item to the last commit."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: int = 0
    removed: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Batch:
    """What came of a few rows: tables for the store, None for none, and what did not get in.

    `added` and `updated` are whole rows (the second of items whose picture is another than before), `corrected` lacks
    what the pictures gave, since only the source's columns changed. `stamps` are new ones of unchanged items.
    """

    added: pa.Table | None
    updated: pa.Table | None
    corrected: pa.Table | None
    unchanged: tuple[str, ...]
    stamps: Mapping[str, str]
    failures: tuple[Failure, ...]


def index_items(
    source: Iterable[Item | Failure],
    encoder: Encoder,
    store: Store,
    *,
    retry_failed: bool = False,
    sync: bool = False,
    allow_private: bool = False,
    keep_pictures: bool = False,
    on_progress: Callable[[IndexReport], None] | None = None,
) -> IndexReport:
    """Brings a source's items into a catalog, which is made if need be; `on_progress` hears of every batch.

    A source that yields nothing makes no catalog. Where it breaks off (an error, Ctrl-C), what is finished is
    committed before the exception goes on.

    Pictures by URL are fetched; `allow_private` lets them lead into private networks. `sync` removes the items that the
    source does not name, unless it has rows that could not be read: those may be the missing ones. `keep_pictures`
    lets an item without a picture keep the one that the catalog has of it.
    """
    start = time.monotonic()
    entries = iter(source)
    first = next(entries, None)
    if first is None:
        return IndexReport()
    with store.write(encoder) as writer:
        run = _Run(
            encoder,
            store,
            writer,
            retry_failed,
            allow_private,
            keep_pictures,
            start,
            on_progress or (lambda report: None),
        )
        run.take(chain([first], entries))
        if sync:
            run.remove_absent()
        writer.finish()
        return run.report()


def encode_batch(
    rows: Sequence[Row], types: Mapping[str, pa.DataType], encoder: Encoder, known: Mapping[str, State]
) -> Batch:
    """Rows -> Batch: the plain function in the middle, with no state, for a thread here or a machine elsewhere.

    `types` are those of the source's own columns; `known` maps the items that the catalog has to what it knows them by.
    """
    added: list[_Opened] = []
    updated: list[_Opened] = []
    corrected: list[tuple[Row, str | None]] = []
    unchanged: list[str] = []
    stamps: dict[str, str] = {}
    failures: list[Failure] = []
    for row in rows:
        item_id = row.item.item_id
        state = known.get(item_id)
        try:
            data, content, stamp = _read_picture(row, state)
            if state is None or content != state.content_hash:
                picture = decode_image(data, None if row.item.box is None else _place(row.item.box))
                opened = _Opened(row, content, stamp, make_thumbnail(picture), encoder.fit(picture))
                (added if state is None else updated).append(opened)
                continue
        except FashionError as error:
            failures.append(Failure(item_id, "picture", str(error)))
            continue
        if row.row_hash != state.row_hash:
            corrected.append((row, stamp or state.picture_stamp))
            continue
        unchanged.append(item_id)
        if stamp and stamp != state.picture_stamp:
            stamps[item_id] = stamp
    now = datetime.now(UTC)
    return Batch(
        added=_encode(added, types, encoder, now) if added else None,
        updated=_encode(updated, types, encoder, now) if updated else None,
        corrected=_correct(corrected, types, now) if corrected else None,
        unchanged=tuple(unchanged),
        stamps=stamps,
        failures=tuple(failures),
    )


class _Opened(NamedTuple):
    """A row with what its picture gave before the network saw it."""

    row: Row
    content_hash: str
    picture_stamp: str | None
    thumbnail: bytes
    fitted: RGB


def _encode(opened: Sequence[_Opened], types: Mapping[str, pa.DataType], encoder: Encoder, now: datetime) -> pa.Table:
    """Whole rows."""
    rows, hashes, stamps, thumbnails, fitted = zip(*opened, strict=True)
    table = add_stamps(make_rows(rows, types, now), stamps)
    return add_pictures(table, hashes, thumbnails, encoder, encoder.encode_fitted(fitted))


def _correct(corrected: Sequence[tuple[Row, str | None]], types: Mapping[str, pa.DataType], now: datetime) -> pa.Table:
    """Rows, each with its picture's stamp, without the rest of what their pictures gave."""
    rows, stamps = zip(*corrected, strict=True)
    return add_stamps(make_rows(rows, types, now), stamps)


def _read_picture(row: Row, state: State | None) -> tuple[bytes, str, str | None]:
    """-> (its bytes, b"" where its stamp says that they are the known ones; their hash; its stamp). PictureError."""
    picture, stamp = row.item.picture, row.picture_stamp
    if picture is None and stamp is not None and state is not None:
        return b"", state.content_hash, stamp
    part = _name_part(row.item.box)
    if isinstance(picture, bytes):
        data = picture
    elif isinstance(picture, Path):
        if state and state.picture_stamp is not None and _add_part(stamp_file(picture), part) == state.picture_stamp:
            return b"", state.content_hash, state.picture_stamp
        data, stamp = read_file(picture)
        stamp = _add_part(stamp, part)
    else:
        raise FashionError("the source gives no picture for it")
    return data, hash_picture(data, row.item.box), stamp


def hash_picture(data: bytes, box: Box | None) -> str:
    """By what a catalog knows a picture, or its part in `box`, again: 32 hexadecimal digits; `data` are its bytes."""
    return blake2b(data + _name_part(box).encode(), digest_size=16).hexdigest()


def _place(box: Box) -> tuple[float, float, float, float]:
    return box.left, box.top, box.right, box.bottom


def _name_part(box: Box | None) -> str:
    """What an item's box adds to the hash and the stamp of its picture: another part is another picture."""
    return "" if box is None else repr(_place(box))


def _add_part(stamp: str | None, part: str) -> str | None:
    return f"{stamp} {part}" if stamp and part else stamp


def _name_url(item: Item) -> str:
    """The beginning of a stamp: what a server calls a picture means nothing for another address, or another part."""
    name = f"{item.picture!s}{_name_part(item.box)}"
    return f"{blake2b(name.encode('utf-8', 'replace'), digest_size=8).hexdigest()} "


@dataclass(slots=True)
class _Pending:
    """What waits for the next commit."""

    added: list[pa.Table] = field(default_factory=list)
    updated: list[pa.Table] = field(default_factory=list)
    corrected: list[pa.Table] = field(default_factory=list)
    stamps: dict[str, str] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)  # of the items that have a ledger entry
    failures: dict[str, Failure] = field(default_factory=dict)
    size: float = 0  # in rows


class _Run:
    """One pass over a source."""

    def __init__(
        self,
        encoder: Encoder,
        store: Store,
        writer: Writer,
        retry_failed: bool,
        allow_private: bool,
        keep_pictures: bool,
        start: float,
        on_progress: Callable[[IndexReport], None],
    ) -> None:
        self._encoder = encoder
        self._writer = writer
        self._retry_failed = retry_failed
        self._allow_private = allow_private
        self._keep_pictures = keep_pictures
        self._start = start
        self._on_progress = on_progress
        self._known = store.list_states()
        self._ledger = {failure.item_id: failure.tries for failure in store.list_failures()}
        self._columns = Columns(writer.schema)
        self._seen: set[str] = set()
        self._failed: set[str] = set()
        self._passed: set[str] = set()  # what a retry does not take: the source has it all the same
        self._unread = 0  # rows of the source that could not be read
        self._pending = _Pending()
        self._committer = ThreadPoolExecutor(1, thread_name_prefix="focusedfashion-writer")
        self._commit: Future[None] | None = None  # the one under way
        self._committed = time.monotonic()  # when it began
        self._counts = dict.fromkeys(("added", "updated", "unchanged", "failed", "removed"), 0)

    def report(self) -> IndexReport:
        return IndexReport(**self._counts, seconds=round(time.monotonic() - self._start, 3))

    def take(self, entries: Iterable[Item | Failure]) -> None:
        """Everything of the source, committed."""
        workers = _count_cores()
        running: deque[Future[Batch]] = deque()
        with self._committer, ThreadPoolExecutor(workers, thread_name_prefix="focusedfashion") as pool:
            try:
                for rows in self._read_batches(entries):
                    types = dict(self._columns.types)
                    running.append(pool.submit(encode_batch, rows, types, self._encoder, self._known))
                    # Three batches a worker: one in its hands, two ready; more would only hold pictures in memory.
                    if len(running) >= 3 * workers:
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
                self._start_commit()
                self._end_commit()

    def _read_batches(self, entries: Iterable[Item | Failure]) -> Iterator[list[Row]]:
        batch: list[Row] = []
        fill, size = 0.0, self._choose_size()
        for row in self._read_rows(entries):
            batch.append(row)
            # A row that the catalog has is most likely unchanged, and then a small matter.
            is_known = row.item.item_id in self._known
            fill += 1 / (min(settings.CHECK_ROWS, 4 * size) if is_known else min(settings.BATCH_ROWS, size))
            if isinstance(row.item.picture, bytes):
                fill += len(row.item.picture) / settings.BATCH_BYTES
            if fill >= 1:
                yield batch
                batch, fill, size = [], 0.0, self._choose_size()
        if batch:
            yield batch

    def _choose_size(self) -> int:
        """The rows of the next batch: few at first, so that the workers of a small source end together, and few where
        pictures are large, so that neither progress nor Ctrl-C waits long for a batch."""
        done = sum(self._counts.values())
        pace = done / _count_cores() / max(time.monotonic() - self._start, 1e-3)  # rows a second, of a worker
        fast = int(settings.BATCH_SECONDS * pace) if done else 0
        return max(settings.ENCODE_BATCH, min(len(self._seen) // 16, fast))

    def _read_rows(self, entries: Iterable[Item | Failure]) -> Iterator[Row]:
        """The rows to be encoded, with their pictures if those are to be had by URL only."""
        rows = (row for entry in entries if (row := self._admit(entry)) is not None)
        for row in rows:
            if isinstance(row.item.picture, str):
                # From the first URL on all go this way, which lets those pass that need no fetching.
                with Fetcher(allow_private=self._allow_private) as fetcher:
                    yield from self._fetch(fetcher, chain([row], rows))
                return
            yield row

    def _fetch(self, fetcher: Fetcher, rows: Iterable[Row]) -> Iterator[Row]:
        def ask(row: Row) -> tuple[str, str] | None:
            url = row.item.picture
            if not isinstance(url, str):
                return None
            state = self._known.get(row.item.item_id)
            stamp = (state.picture_stamp or "") if state else ""
            name = _name_url(row.item)
            return url, stamp.removeprefix(name) if stamp.startswith(name) else ""

        # A generator: closed so that Ctrl-C cuts off what is under way.
        answers: Any = fetcher.fetch_ahead(rows, ask)
        with closing(answers):
            for row, answer in answers:
                if answer is None:
                    yield row
                elif isinstance(answer, FetchError):
                    self._fail(Failure(row.item.item_id, "fetch", str(answer)))
                else:
                    stamp = _name_url(row.item) + answer.validator if answer.validator else None
                    yield replace(row, item=replace(row.item, picture=answer.data), picture_stamp=stamp)

    def remove_absent(self) -> None:
        """Takes out what the source has not named: items, and ledger entries of what it had once."""
        named = self._seen | self._failed | self._passed
        absent, stale = self._known.keys() - named, self._ledger.keys() - named
        if self._unread:
            if absent or stale:
                _log.warning(
                    "nothing was removed: %s items are not in the source, but %s of its rows could not be read",
                    f"{len(absent | stale):,}",
                    f"{self._unread:,}",
                )
            return
        self._counts["removed"] = self._writer.remove(sorted(absent)) if absent else 0
        if stale:
            self._writer.forget(sorted(stale))

    def _admit(self, entry: Item | Failure) -> Row | None:
        """The entry as a row to be encoded; None where it is none: a failure, a double id, one not asked for."""
        item_id = clean_text(entry.item_id)
        if item_id is not entry.item_id:
            entry = replace(entry, item_id=item_id)
        if self._retry_failed and item_id not in self._ledger:
            self._passed.add(item_id)
            self._unread += isinstance(entry, Failure) and entry.step == "read"
            return None
        if isinstance(entry, Failure):
            self._unread += entry.step == "read"
            self._fail(entry)
            return None
        if item_id in self._seen:
            self._fail(Failure(item_id, "read", f"double id {item_id!r}: the first row with it counts"))
            return None
        self._seen.add(item_id)
        try:
            row = self._columns.fit_item(entry)
            if self._keep_pictures and entry.picture is None and (state := self._known.get(item_id)) is not None:
                return replace(row, picture_stamp=state.picture_stamp or "")
            return row
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
        done = list(batch.unchanged)
        for name in ("added", "updated", "corrected"):
            table = getattr(batch, name)
            if table is not None:
                getattr(pending, name).append(table)
                pending.size += len(table)
                done += table.column("item_id").to_pylist()
                self._counts["updated" if name == "corrected" else name] += len(table)
        pending.done += [item_id for item_id in done if item_id in self._ledger]
        pending.stamps |= batch.stamps
        self._counts["unchanged"] += len(batch.unchanged)
        for failure in batch.failures:
            self._fail(failure)
        # A stamp is small, and waits for others: Lance writes the column anew wherever one changes.
        self._grow(len(batch.stamps) / settings.STAMPS_PER_ROW)
        if tell:
            self._on_progress(self.report())

    def _grow(self, rows: float) -> None:
        self._pending.size += rows
        is_late = self._pending.size > 0 and time.monotonic() - self._committed >= settings.COMMIT_SECONDS
        if self._pending.size < settings.COMMIT_ROWS and not is_late:
            return
        # A store that is slow gets larger commits; only where it falls far behind do the workers wait for it.
        if self._commit is None or self._commit.done() or self._pending.size >= 2 * settings.COMMIT_ROWS:
            self._start_commit()

    def _start_commit(self) -> None:
        """Hands what waits to the writing thread, when the commit before is through; raises what that one met."""
        self._end_commit()
        self._committed = time.monotonic()
        pending, self._pending = self._pending, _Pending()
        # An item that got in although another row of its id failed keeps that row's entry.
        cleared = [item_id for item_id in pending.done if item_id not in self._failed]
        self._commit = self._committer.submit(self._write, pending, cleared)

    def _end_commit(self) -> None:
        commit, self._commit = self._commit, None
        if commit is not None:
            commit.result()

    def _write(self, pending: _Pending, cleared: Sequence[str]) -> None:
        """Items first, then the ledger: killed in between, an entry may be stale until the next run."""
        if pending.added:
            self._writer.add(_join(pending.added))
        for tables in (pending.updated, pending.corrected):
            if tables:
                self._writer.update(_join(tables))
        if pending.stamps:
            self._writer.update(make_stamps(pending.stamps))
        if pending.failures:
            self._writer.record(list(pending.failures.values()))
        if cleared:
            self._writer.forget(cleared)


def _join(tables: Sequence[pa.Table]) -> pa.Table:
    """One table; a later one may have more columns than an earlier one, or numbers in place of whole numbers."""
    return pa.concat_tables(tables, promote_options="permissive")


def _count_cores() -> int:
    affinity: Any = getattr(os, "sched_getaffinity", None)  # the cores that this process may use; Linux only
    return len(affinity(0)) if affinity else os.cpu_count() or 1
