"""A catalog's tables in a folder: rows, filters, versions, the writer's lock. The only code that talks to Lance.

    shop/items.lance      one row per item
    shop/failures.lance   the ledger: items that did not get in
    shop/writer.lock      who writes now (process id and start), for those that wait

The schema's metadata says what the catalog is: our format number, the encoder's name, fingerprint and blocks.
"""

from __future__ import annotations

import json
import logging
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import filelock
import lance
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from focusedfashion import settings
from focusedfashion.encoders import Encoder
from focusedfashion.errors import CatalogError, CatalogMissing, EncoderMismatch, ItemNotFound
from focusedfashion.filters import check_words, explain_complaint, shorten_message
from focusedfashion.items import Failure
from focusedfashion.rows import make_schema

FORMAT = 1  # of a catalog; a reader refuses a higher one

_METADATA = b"focusedfashion"
_FILES = {"items.lance", "failures.lance", "writer.lock"}
_WIDENED = "_widened_"  # the prefix of a column that is being turned from whole numbers into numbers
_SAME = 1e-6  # two float32 dot products that differ by less may be of the same picture
_LEDGER = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("step", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("tries", pa.int64()),
    ]
)
_LANCE_ERRORS = (OSError, ValueError, RuntimeError)  # Arrow's own are among these

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """What the catalog at `path` was made with."""

    path: str
    encoder: str
    fingerprint: str

    def check(self, encoder: Encoder) -> None:
        """Raises EncoderMismatch where the encoder is another than the one that indexed."""
        if encoder.fingerprint != self.fingerprint:
            other = f"{encoder.name!r} ({encoder.fingerprint[:4]}…)"
            # An update of the package may bring another built-in encoder.
            way = "Open it with the first, or index" if encoder.name != self.encoder else "Index"
            raise EncoderMismatch(
                f"{self.path} was indexed with encoder {self.encoder!r} ({self.fingerprint[:4]}…), not {other}. "
                f"{way} into a new catalog."
            )


class Store:
    """The tables of one catalog. Holds no open handle: every call sees the newest commit; safe for several threads."""

    def __init__(self, path: str) -> None:
        self.path = path

    # Reading

    def read_identity(self) -> Identity:
        """Raises CatalogMissing where there is no catalog, CatalogError where it cannot be read."""
        return self._read_identity(self._open_items())

    def measure(self) -> dict[str, Any]:
        """Counts `items`, `products` and `failed`; `indexed` (time of the last change, UTC) and `bytes` of its data."""
        items, ledger = self._open_items(), self.open_ledger()
        with _explained(self.path):
            products = items.to_table(columns=["product_id"]).column(0)
            newest = items.versions()[-1]
            return {
                "items": len(products),
                "products": pc.count_distinct(products).as_py(),
                "failed": ledger.count_rows() if ledger else 0,
                "indexed": _read_time(newest).isoformat(timespec="seconds"),
                "bytes": int(newest["metadata"]["total_files_size"]),
            }

    def check_filter(self, where: str) -> None:
        """Raises QueryError where `where` is no filter over this catalog's columns."""
        items = self._open_items()
        check_words(where, items.schema)
        if problem := _parse_filter(items, where):
            raise explain_complaint(where, items.schema, problem)
        # Lance passes over what comes after a complete filter (`price < 50 brand = 'Acme'`), but not between
        # parentheses. The line break ends a comment.
        if problem := _parse_filter(items, f"({where}\n)"):
            raise explain_complaint(where, items.schema, problem)

    def nearest(self, vector: NDArray[np.float32], n: int, where: str | None = None) -> pa.Table:
        """The n rows with the largest dot product with `vector`, float32 (dim,), in no order, without thumbnails.

        Exact, and the filter applies before the neighbors are chosen, so n come back if n exist. More come back where
        several are as close as the last: which of those count is then the caller's choice and not Lance's.
        """
        items = self._open_items()
        columns = _list_shown(items.schema)
        rows = items.count_rows()
        fetch = min(n + 1, max(1, rows))
        while True:
            query = {"column": "embedding", "q": vector, "k": fetch, "metric": "dot", "use_index": False}
            try:
                # `_distance` is asked for by name: without it every query would log a warning.
                table = items.to_table(columns=[*columns, "_distance"], filter=where, nearest=query, prefilter=True)
            except _LANCE_ERRORS as error:
                if where is not None:  # a filter that can be read may still fail on a row, as `stock / 0 > 1` does
                    raise explain_complaint(where, items.schema, str(error)) from None
                raise CatalogError(f"{self.path} cannot be read ({shorten_message(str(error))})") from error
            distances = np.sort(table.column("_distance").to_numpy())
            reach = distances[min(n, len(distances)) - 1] + _SAME if len(distances) else 0.0
            if len(distances) < fetch or fetch >= rows or distances[-1] > reach:
                near = pc.less_equal(table.column("_distance"), pa.scalar(reach, pa.float32()))
                return table.filter(near).drop_columns(["_distance"])
            fetch = min(fetch * 4, rows)

    def read_row(self, item_id: str) -> pa.Table:
        """The item's row, without its thumbnail. Raises ItemNotFound."""
        items = self._open_items()
        return self._read_one(items, item_id, _list_shown(items.schema))

    def read_thumbnail(self, item_id: str) -> bytes:
        """The item's thumbnail, WebP. Raises ItemNotFound."""
        thumbnail: bytes = self._read_one(self._open_items(), item_id, ["thumbnail"]).column(0)[0].as_py()
        return thumbnail

    def list_failures(self) -> list[Failure]:
        """The ledger, ordered by item."""
        self._open_items()  # a ledger without items is no catalog
        ledger = self.open_ledger()
        with _explained(self.path):
            return [Failure(**row) for row in ledger.to_table().sort_by("item_id").to_pylist()] if ledger else []

    def list_hashes(self) -> dict[str, tuple[str, str]]:
        """Item -> (hash of its picture's bytes, hash of its row), of the whole catalog: about 300 bytes an item."""
        items = self._open_items()
        with _explained(self.path):
            table = items.to_table(columns=["item_id", "content_hash", "row_hash"])
            ids, contents, rows = (table.column(place).to_pylist() for place in range(3))
            return dict(zip(ids, zip(contents, rows, strict=True), strict=True))

    # Writing

    @contextmanager
    def write(self, encoder: Encoder | None = None) -> Iterator[Writer]:
        """The one writer of this catalog; waits while there is another. An encoder makes a catalog if there is none."""
        if encoder is None:
            self._open_items()
        else:
            self._make_folder()
        with self._locked():
            if encoder is not None:
                try:
                    self.read_identity().check(encoder)
                except CatalogMissing:
                    self._create(encoder)
            writer = Writer(self, self._open_items())
            writer.repair()
            yield writer

    def _make_folder(self) -> None:
        if not self._is_local:
            return
        folder = Path(self.path)
        if folder.exists() and not folder.is_dir():
            raise CatalogError(f"{self.path} is a file, not a catalog: give a new or empty folder")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            there = {entry.name for entry in folder.iterdir()}
        except OSError as error:
            raise CatalogError(f"{self.path} cannot be made ({error.strerror}): give another folder") from None
        # The two arguments of `index` are easily given in the wrong order.
        if "items.lance" not in there and there - _FILES:
            raise CatalogError(f"{self.path} is a folder of other things, not a catalog: give a new or empty folder")

    def _create(self, encoder: Encoder) -> None:
        blocks = {block: place.stop - place.start for block, place in encoder.blocks.items()}
        said = {"format": FORMAT, "encoder": encoder.name, "fingerprint": encoder.fingerprint, "blocks": blocks}
        schema = make_schema(encoder).with_metadata({_METADATA: json.dumps(said)})
        with _explained(self.path):
            lance.write_dataset(schema.empty_table(), self._uri("items"), mode="create")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if not self._is_local:
            yield
            return
        place = Path(self.path, "writer.lock")
        lock = filelock.FileLock(place)
        holder = ""
        with suppress(OSError):
            holder = place.read_text(encoding="utf-8").strip()
        try:
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout:
                _log.warning("%s is being written by %s; waiting for it", self.path, holder or "another process")
                lock.acquire()
        except OSError as error:
            raise CatalogError(f"{self.path} cannot be written ({error.strerror or error})") from None
        try:
            with suppress(OSError):  # who holds it is a courtesy, which Windows does not grant
                since = datetime.now(UTC).isoformat(timespec="seconds")
                place.write_text(f"process {os.getpid()} since {since}\n", encoding="utf-8")
            yield
        finally:
            lock.release()

    # Lance

    @property
    def _is_local(self) -> bool:
        return "://" not in self.path

    def _uri(self, table: str) -> str:
        name = f"{table}.lance"
        # Absolute, because Lance takes the folder `a:b` for a place on a network.
        return str(Path(self.path, name).absolute()) if self._is_local else f"{self.path.rstrip('/')}/{name}"

    def _open_items(self) -> Any:
        hint = f"make one with `focusedfashion index {shlex.quote(self.path)} SOURCE`"
        if self._is_local:  # asked first: Lance takes seconds to find that a folder is a file
            if Path(self.path).exists() and not Path(self.path).is_dir():
                raise CatalogError(f"{self.path} is a file, not a catalog: give the folder of a catalog")
            if not Path(self._uri("items")).exists():
                raise CatalogMissing(f"no catalog at {self.path}: {hint}")
        try:
            items = lance.dataset(self._uri("items"))
        except _LANCE_ERRORS as error:
            if "was not found" in str(error):
                raise CatalogMissing(f"no catalog at {self.path}: {hint}") from None
            raise CatalogError(f"{self.path} cannot be opened ({shorten_message(str(error))})") from None
        self._read_identity(items)
        return items

    def open_ledger(self) -> Any:
        """The ledger's table, or None while nothing has failed."""
        try:
            return lance.dataset(self._uri("failures"))
        except _LANCE_ERRORS as error:
            if "was not found" in str(error):
                return None
            raise CatalogError(f"{self._uri('failures')} cannot be read ({shorten_message(str(error))})") from None

    def write_ledger(self, table: pa.Table) -> None:
        """Makes the ledger's table."""
        lance.write_dataset(table, self._uri("failures"), mode="create")

    def _read_identity(self, items: Any) -> Identity:
        said = (items.schema.metadata or {}).get(_METADATA)
        if said is None:
            raise CatalogError(f"{self._uri('items')} is a Lance table but no catalog: give another folder")
        found = json.loads(said)
        if found["format"] > FORMAT:
            raise CatalogError(
                f"{self.path} has catalog format {found['format']}, this version reads up to {FORMAT}: "
                "update focusedfashion"
            )
        return Identity(self.path, found["encoder"], found["fingerprint"])

    def _read_one(self, items: Any, item_id: str, columns: Sequence[str]) -> pa.Table:
        with _explained(self.path):
            table = items.to_table(columns=list(columns), filter=f"item_id = {_quote(item_id)}", limit=1)
        if not len(table):
            # Visitors of a server see this too: the catalog's name, not where it lies.
            raise ItemNotFound(f"no item {item_id!r} in {Path(self.path).name}")
        return table


class Writer:
    """The one who may change a catalog, while `Store.write` lasts. Every method leaves only whole commits."""

    def __init__(self, store: Store, items: Any) -> None:
        self._store = store
        self._items = items
        self._changed = False

    @property
    def schema(self) -> pa.Schema:
        """The schema of the items as of now."""
        return self._items.schema

    def add(self, rows: pa.Table) -> None:
        """Whole rows of items that the catalog does not have yet, each item once. New columns are made."""
        self._merge(rows.append_column("added_at", rows.column("updated_at")), insert=True)

    def update(self, rows: pa.Table) -> None:
        """Rows of items that it has, each once; the columns that `rows` lacks stay as they are."""
        self._merge(rows, insert=False)

    def remove(self, item_ids: Sequence[str]) -> int:
        """Deletes items and their ledger entries; how many of the ids were in either."""
        wanted = set(item_ids)
        there = wanted & (self._store.list_hashes().keys() | {entry.item_id for entry in self._store.list_failures()})
        with _explained(self._store.path):
            _delete(self._items, item_ids)
        self.forget(item_ids)
        return len(there)

    def record(self, failures: Sequence[Failure]) -> None:
        """Writes ledger entries over those of the same items, each item once."""
        rows = [{name: getattr(failure, name) for name in _LEDGER.names} for failure in failures]
        table = pa.Table.from_pylist(rows, _LEDGER)
        ledger = self._store.open_ledger()
        with _explained(self._store.path):
            if ledger is None:
                self._store.write_ledger(table)
            else:
                ledger.merge_insert("item_id").when_matched_update_all().when_not_matched_insert_all().execute(table)

    def forget(self, item_ids: Sequence[str]) -> None:
        """Deletes ledger entries."""
        ledger = self._store.open_ledger()
        with _explained(self._store.path):
            if ledger is not None:
                _delete(ledger, item_ids)

    def finish(self) -> None:
        """Brings the index by item_id up to date and deletes versions that nobody can be reading any more."""
        ledger = self._store.open_ledger()
        with _explained(self._store.path):
            if self._changed and self._items.count_rows() >= settings.INDEX_ROWS:
                # Made anew: that takes 0.1 s for 100,000 rows, and no row is left outside it.
                self._items.create_scalar_index("item_id", "BTREE", replace=True)
            if ledger is not None:
                _compact(ledger)
                _clean(ledger)
            _clean(self._items)

    def repair(self) -> None:
        """Finishes a widening that a killed process left half done."""
        for name in self.schema.names:
            if name.startswith(_WIDENED):
                with _explained(self._store.path):
                    if name.removeprefix(_WIDENED) in self.schema.names:
                        self._items.drop_columns([name])
                    else:
                        self._items.alter_columns({"path": name, "name": name.removeprefix(_WIDENED)})

    def _merge(self, rows: pa.Table, *, insert: bool) -> None:
        with _explained(self._store.path):
            self._make_columns(rows.schema)
            fields = [field for field in self.schema if insert or field.name in rows.schema.names]
            arrays = [
                rows.column(field.name).cast(field.type)
                if field.name in rows.schema.names
                else pa.nulls(len(rows), field.type)
                for field in fields
            ]
            merge = self._items.merge_insert("item_id").when_matched_update_all()
            if insert:
                merge = merge.when_not_matched_insert_all()
            merge.execute(pa.table(arrays, schema=pa.schema(fields)))
            self._changed = True
            _compact(self._items)

    def _make_columns(self, wanted: pa.Schema) -> None:
        new = [field for field in wanted if field.name not in self.schema.names]
        if new:
            self._items.add_columns(pa.schema(new))
        for field in wanted:
            if field.type == pa.float64() and self.schema.field(field.name).type == pa.int64():
                # Lance cannot alter whole numbers into numbers; these three commits can, and `repair` ends them.
                widened = _WIDENED + field.name
                self._items.add_columns({widened: f"CAST(`{field.name}` AS DOUBLE)"})
                self._items.drop_columns([field.name])
                self._items.alter_columns({"path": widened, "name": field.name})


@contextmanager
def _explained(path: str) -> Iterator[None]:
    """Turns Lance's errors into ours."""
    try:
        yield
    except _LANCE_ERRORS as error:
        raise CatalogError(f"{path} cannot be used ({shorten_message(str(error))})") from error


def _delete(table: Any, item_ids: Sequence[str]) -> None:
    for start in range(0, len(item_ids), settings.COMMIT_ROWS):
        part = item_ids[start : start + settings.COMMIT_ROWS]
        table.delete(f"item_id IN ({', '.join(map(_quote, part))})")


def _compact(table: Any) -> None:
    """Joins the pieces that commits leave, where they are many."""
    if len(table.get_fragments()) > settings.MAX_FRAGMENTS:
        table.optimize.compact_files(target_rows_per_fragment=settings.FRAGMENT_ROWS)


def _clean(table: Any) -> None:
    """Deletes the versions that were replaced at least settings.KEEP_VERSIONS minutes ago, with their files."""
    now = datetime.now(UTC)
    times = sorted(_read_time(version) for version in table.versions())
    replaced = [time for time in times if time <= now - timedelta(minutes=settings.KEEP_VERSIONS)]
    if len(replaced) > 1:
        # A version's age counts from its making, but it is read until the next one: the newest of the old ones may
        # have been replaced a moment ago and stays. The second keeps rounding from taking it.
        table.cleanup_old_versions(older_than=now - replaced[-1] + timedelta(seconds=1))


def _read_time(version: Mapping[str, Any]) -> datetime:
    """When a version was made, UTC; Lance says it in local time without a zone."""
    made: datetime = version["timestamp"]
    return made.astimezone(UTC)


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _list_shown(schema: pa.Schema) -> list[str]:
    """The columns that a match needs: all but the thumbnail, and but one that is being widened."""
    return [name for name in schema.names if name != "thumbnail" and not name.startswith(_WIDENED)]


def _parse_filter(items: Any, where: str) -> str:
    """Lance's complaint about the filter, or ""."""
    try:
        items.scanner(columns=["item_id"], filter=where).explain_plan()
    except _LANCE_ERRORS as error:
        return str(error)
    return ""
