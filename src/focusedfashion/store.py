"""A catalog's tables in a folder: rows, filters, versions, the writer's lock. The only code that talks to Lance.

    shop/items.lance      one row per item
    shop/failures.lance   the ledger: items that did not get in
    shop/keys.lance       who may use the server from elsewhere (server/keys.py), if anybody was given a key
    shop/feedback.lance   what visitors liked, if the server was told
    shop/writer.lock      who writes now (process id and start), for those that wait

The schema's metadata says what the catalog is: our format number, the encoder's name, fingerprint and blocks.
"""

from __future__ import annotations

import json
import math
import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

os.environ.setdefault("LANCE_LOG", "error")  # its warnings, of empty partitions and such, are for its authors

import lance
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from focusedfashion import settings
from focusedfashion.encoders import Encoder
from focusedfashion.errors import CatalogError, CatalogMissing, EncoderMismatch, ItemNotFound
from focusedfashion.filters import Where, check_words, compile_filters, explain_complaint, shorten_message
from focusedfashion.items import Failure
from focusedfashion.lock import Lease, Turn, lock_file
from focusedfashion.rows import State, make_schema, read_embeddings
from focusedfashion.trouble import LANCE_ERRORS as _LANCE_ERRORS
from focusedfashion.trouble import explain_trouble, is_missing

P = ParamSpec("P")
T = TypeVar("T")

FORMAT = 1  # of a catalog; a reader refuses a higher one

_METADATA = b"focusedfashion"
_FILES = {"items.lance", "failures.lance", "keys.lance", "feedback.lance", "writer.lock"}
# Of two processes that insert the same new item at once, Lance makes one start again.
_KEY = {"lance-schema:unenforced-primary-key": "true"}
_WIDENED = "_widened_"  # the prefix of a column that is being turned from whole numbers into numbers
_TRAINED = "focusedfashion.index_rows"  # in the table's configuration: the rows that its index was made from
_EVER = timedelta(days=36_500)
_SAME = 1e-6  # two float32 dot products that differ by less may be of the same picture
_LEDGER = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False, metadata=_KEY),
        pa.field("step", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("tries", pa.int64()),
    ]
)


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
    """The tables of one catalog. Every call sees the newest commit; safe for several threads."""

    def __init__(self, path: str) -> None:
        self.path = path
        # Nothing of a table stays open but what versions share and what is dear to read: the indexes.
        self._session = lance.Session(index_cache_size_bytes=settings.INDEX_CACHE_BYTES)
        self._answers = self._is_local
        # The products with several items, of one version: most have none, and a search asks at once.
        self._multiples: tuple[int, dict[str, int]] = (-1, {})

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

    def read_schema(self) -> tuple[pa.Schema, int]:
        """The items' schema, and the number of the version that it is of: another one after every commit."""
        items = self._open_items()
        return items.schema, items.version

    def read_filter(self, where: Where | None) -> str | None:
        """A filter as SQL; None where there is none (blank text, an empty list). Raises QueryError where it is none
        over this catalog's columns."""
        if isinstance(where, str):
            where = where if where.strip() else None
            if where is not None:
                self._check_filter(where)
            return where
        return compile_filters(where, self._open_items().schema) if where else None

    def _check_filter(self, where: str) -> None:
        items = self._open_items()
        check_words(where, items.schema)
        if problem := _parse_filter(items, where):
            raise explain_complaint(where, items.schema, problem)
        # Lance passes over what comes after a complete filter (`price < 50 brand = 'Acme'`), but not between
        # parentheses. The line break ends a comment.
        if problem := _parse_filter(items, f"({where}\n)"):
            raise explain_complaint(where, items.schema, problem)

    def nearest(
        self, vector: NDArray[np.float32], n: int, where: str | None = None, *, thumbnails: bool = False
    ) -> pa.Table:
        """The n rows with the largest dot product with `vector`, float32 (dim,), best first, if asked for with their
        thumbnails.

        The filter applies before the neighbors are chosen, so n come back if n exist. More come back where several are
        as close as the last: which of those count is then the caller's choice. Exact in a small catalog; in a larger
        one the index chooses candidates, of which the exact dot product decides (`benchmarks/search.py` measures it).
        """
        items = self._open_items()
        columns = [*_list_shown(items.schema), *(["thumbnail"] if thumbnails else [])]
        return self._read_rows(items, self._find_nearest(items, vector, n, where), columns)

    def read_row(self, item_id: str) -> pa.Table:
        """The item's row, without its thumbnail. Raises ItemNotFound."""
        items = self._open_items()
        return self._read_one(items, item_id, _list_shown(items.schema))

    def read_thumbnail(self, item_id: str) -> bytes:
        """The item's thumbnail, JPEG (WebP in the first catalogs). Raises ItemNotFound."""
        thumbnail: bytes = self._read_one(self._open_items(), item_id, ["thumbnail"]).column(0)[0].as_py()
        return thumbnail

    def count_products(self, product_ids: Sequence[str]) -> list[int]:
        """How many items each product has, 1 where it has none: of what the catalog holds now."""
        items = self._open_items()
        version, counts = self._multiples
        if version != items.version:
            with _explained(self.path):
                table = pc.value_counts(items.to_table(columns=["product_id"]).column(0).combine_chunks())
            several = table.filter(pc.greater(table.field("counts"), 1))
            counts = dict(zip(several.field("values").to_pylist(), several.field("counts").to_pylist(), strict=True))
            self._multiples = items.version, counts
        return [counts.get(product, 1) for product in product_ids]

    def read_values(self, columns: Mapping[str, str], where: str | None) -> pa.Table:
        """Columns by the names of `columns`, each of the SQL expression that it maps to, where the filter holds."""
        items = self._open_items()
        try:
            return items.to_table(columns=dict(columns), filter=where)
        except _LANCE_ERRORS as error:
            raise explain_complaint(where or "", items.schema, str(error)) from None

    def list_failures(self) -> list[Failure]:
        """The ledger, ordered by item."""
        self._open_items()  # a ledger without items is no catalog
        ledger = self.open_ledger()
        with _explained(self.path):
            return [Failure(**row) for row in ledger.to_table().sort_by("item_id").to_pylist()] if ledger else []

    def read_all(self) -> Iterator[pa.Table]:
        """All rows of one version, a few at a time, with thumbnails and without embeddings."""
        items = self._open_items()
        columns = [*(name for name in _list_shown(items.schema) if name != "embedding"), "thumbnail"]
        yield from self._read_batches(items, columns, settings.READ_ROWS)

    def read_embedded(self) -> Iterator[pa.Table]:
        """All rows of one version, some at a time, with embeddings, without thumbnails and predicted labels."""
        items = self._open_items()
        columns = [name for name in _list_shown(items.schema) if name != "attributes"]
        yield from self._read_batches(items, columns, settings.EMBEDDED_ROWS)

    def _read_batches(self, items: Any, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:
        with _explained(self.path):
            for batch in items.to_batches(columns=columns, batch_size=rows):
                yield pa.Table.from_batches([batch])

    def list_states(self) -> dict[str, State]:
        """Item -> by what it is known again, of the whole catalog: about 400 bytes an item."""
        items = self._open_items()
        wanted = ["item_id", *State._fields]
        with _explained(self.path):
            # A catalog may be older than a column.
            table = items.to_table(columns=[name for name in wanted if name in items.schema.names])
        ids, *parts = (
            table.column(name).to_pylist() if name in table.column_names else [None] * len(table) for name in wanted
        )
        return dict(zip(ids, map(State, *parts), strict=True))

    # Tables beside the items: keys, feedback

    def read_table(self, name: str) -> pa.Table | None:
        """A table beside the items, or None where there is none."""
        table = self._open_beside(name)
        if table is None:
            return None
        with _explained(self.path):
            return table.to_table()

    def append(self, name: str, rows: pa.Table) -> None:
        """Appends to a table beside the items, which is made if need be. Any number of processes may, at once."""
        self._open_items()  # beside nothing there is no table
        with _explained(self.path, "written"):
            table = lance.write_dataset(rows, self._uri(name), mode="append")
            if len(table.get_fragments()) > settings.MAX_FRAGMENTS:
                _compact(table)
                _clean(table)

    def delete(self, name: str, key: str, values: Sequence[str]) -> None:
        """Deletes the rows of a table beside the items whose `key` has one of the values."""
        table = self._open_beside(name)
        if table is not None and values:
            with _explained(self.path, "written"):
                table.delete(f"{key} IN ({', '.join(map(_quote, values))})")

    # Writing

    @contextmanager
    def write(self, encoder: Encoder | None = None) -> Iterator[Writer]:
        """The one writer of this catalog; waits while there is another. An encoder makes a catalog if there is none.

        Raises CatalogError where it cannot be written, CatalogMissing, EncoderMismatch.
        """
        if encoder is None:
            self._open_items()
        else:
            self._make_folder()
        with self._take_turn() as turn:
            if encoder is not None:
                try:
                    self.read_identity().check(encoder)
                except CatalogMissing:
                    self._create(encoder)
            writer = Writer(self, self._open_items(), turn)
            writer.repair()
            yield writer
            if turn.interrupted:
                writer.clear()

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
        place = schema.get_field_index("item_id")
        schema = schema.set(place, schema.field(place).with_metadata(_KEY))
        with _explained(self.path, "written"):
            lance.write_dataset(schema.empty_table(), self._uri("items"), mode="create")

    def _take_turn(self) -> AbstractContextManager[Turn]:
        if self._is_local:
            return lock_file(Path(self.path, "writer.lock"), self.path)
        return Lease(self._uri("writer"), self.path)

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
            if not self._answers:  # asked once, with little patience
                lance.dataset(self._uri("items"), storage_options=settings.CONTACT)
                self._answers = True
            items = lance.dataset(self._uri("items"), session=self._session)
        except _LANCE_ERRORS as error:
            if is_missing(error):
                raise CatalogMissing(f"no catalog at {self.path}: {hint}") from None
            raise explain_trouble(self.path, str(error), "opened") from None
        self._read_identity(items)
        return items

    def open_ledger(self) -> Any:
        """The ledger's table, or None while nothing has failed."""
        return self._open_beside("failures")

    def _open_beside(self, name: str) -> Any:
        try:
            return lance.dataset(self._uri(name))
        except _LANCE_ERRORS as error:
            if is_missing(error):
                return None
            raise explain_trouble(self._uri(name), str(error), "read") from None

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

    def _find_nearest(self, items: Any, vector: NDArray[np.float32], n: int, where: str | None) -> list[int]:
        """Row ids of this version of the table."""
        rows = items.count_rows()
        partitions = rows // settings.PARTITION_ROWS + 1
        # Partitions are cut by the whole vector: what is near in one block alone, as a focus asks, may lie in any.
        probes = max(settings.PROBES, partitions // 8) if vector.all() else 2 * partitions
        query = {"column": "embedding", "q": vector, "metric": "dot", "minimum_nprobes": probes}
        if where is None:
            # Told where to stop, Lance takes half the time. Under a filter these partitions may hold too few.
            query["maximum_nprobes"] = probes
        fetch = min(n * settings.CANDIDATES + 1, max(1, rows))
        while True:
            try:
                # `_distance` is asked for by name: without it every query would log a warning.
                found = items.to_table(
                    columns=["embedding", "_distance"],
                    filter=where,
                    nearest=query | {"k": fetch},
                    prefilter=True,
                    with_row_id=True,
                )
            except _LANCE_ERRORS as error:
                if where is not None:  # a filter that can be read may still fail on a row, as `stock / 0 > 1` does
                    raise explain_complaint(where, items.schema, str(error)) from None
                raise CatalogError(f"{self.path} cannot be read ({shorten_message(str(error))})") from error
            scores = read_embeddings(found) @ vector
            order = np.argsort(-scores, kind="stable")
            reach = scores[order[min(n, len(order)) - 1]] - _SAME if len(order) else 0.0
            if len(order) < min(fetch, rows) and query.pop("maximum_nprobes", None):
                continue
            if len(order) < fetch or fetch >= rows or scores[order[-1]] < reach:
                best = order[scores[order] >= reach]
                row_ids: list[int] = found.column("_rowid").to_numpy()[best].tolist()
                return row_ids
            fetch = min(fetch * 4, rows)

    def _read_rows(self, items: Any, row_ids: list[int], columns: Sequence[str]) -> pa.Table:
        """Rows in this order."""
        if not row_ids:
            return items.schema.empty_table().select(list(columns))
        with _explained(self.path):
            # Lance looks such rows up by their places; in one call with the search it would read them one by one.
            rows = items.to_table(columns=list(columns), filter=f"_rowid IN ({str(row_ids)[1:-1]})", with_row_id=True)
        places = {row_id: place for place, row_id in enumerate(rows.column("_rowid").to_pylist())}
        return rows.take(pa.array([places[row_id] for row_id in row_ids])).drop_columns(["_rowid"])

    def _read_one(self, items: Any, item_id: str, columns: Sequence[str]) -> pa.Table:
        with _explained(self.path):
            table = items.to_table(columns=list(columns), filter=f"item_id = {_quote(item_id)}", limit=1)
        if not len(table):
            # Visitors of a server see this too: the catalog's name, not where it lies.
            raise ItemNotFound(f"no item {item_id!r} in {Path(self.path).name}")
        return table


def _in_turn(change: Callable[Concatenate[Writer, P], T]) -> Callable[Concatenate[Writer, P], T]:
    """A change of the catalog: only while the turn to write is held, and with our errors."""

    @wraps(change)
    def run(writer: Writer, /, *args: P.args, **kwargs: P.kwargs) -> T:
        writer._turn.check()
        try:
            return change(writer, *args, **kwargs)
        except _LANCE_ERRORS as error:
            writer._turn.check()  # it may be of two who write at once
            raise explain_trouble(writer._store.path, str(error), "written") from error

    return run


class Writer:
    """The one who may change a catalog, while `Store.write` lasts. Every method leaves only whole commits.

    Each raises CatalogError where the catalog cannot be written, or the turn to write was lost.
    """

    def __init__(self, store: Store, items: Any, turn: Turn) -> None:
        self._store = store
        self._items = items
        self._turn = turn
        self._changed = False

    @property
    def schema(self) -> pa.Schema:
        """The schema of the items as of now."""
        return self._items.schema

    @_in_turn
    def add(self, rows: pa.Table) -> None:
        """Whole rows of items that the catalog does not have yet, each item once. New columns are made."""
        self._merge(rows.append_column("added_at", rows.column("updated_at")), insert=True)

    @_in_turn
    def update(self, rows: pa.Table) -> None:
        """Rows of items that it has, each once; the columns that `rows` lacks stay as they are."""
        self._merge(rows, insert=False)

    @_in_turn
    def remove(self, item_ids: Sequence[str]) -> int:
        """Deletes items and their ledger entries; how many of the ids were in either."""
        wanted = set(item_ids)
        there = wanted & (self._store.list_states().keys() | {entry.item_id for entry in self._store.list_failures()})
        _delete(self._items, item_ids)
        self._forget(item_ids)
        return len(there)

    @_in_turn
    def record(self, failures: Sequence[Failure]) -> None:
        """Writes ledger entries over those of the same items, each item once."""
        rows = [{name: getattr(failure, name) for name in _LEDGER.names} for failure in failures]
        table = pa.Table.from_pylist(rows, _LEDGER)
        ledger = self._store.open_ledger()
        if ledger is None:
            self._store.write_ledger(table)
        else:
            ledger.merge_insert("item_id").when_matched_update_all().when_not_matched_insert_all().execute(table)

    @_in_turn
    def forget(self, item_ids: Sequence[str]) -> None:
        """Deletes ledger entries."""
        self._forget(item_ids)

    @_in_turn
    def finish(self) -> None:
        """Brings the indexes up to date and deletes versions that nobody can be reading any more."""
        if self._changed and self._items.count_rows() >= settings.INDEX_ROWS:
            # Made anew: that takes 0.1 s for 100,000 rows, and no row is left outside it.
            self._items.create_scalar_index("item_id", "BTREE", replace=True)
        _index_vectors(self._items, settings.TAIL_ROWS, settings.INDEX_GROWTH)
        _clean(self._items)
        ledger = self._store.open_ledger()
        if ledger is not None:
            _compact(ledger)
            _clean(ledger)

    @_in_turn
    def repair(self) -> None:
        """Takes back a widening that a writer that was killed has left half done."""
        for name in self.schema.names:
            if name.startswith(_WIDENED):
                self._items.drop_columns([name])

    @_in_turn
    def clear(self) -> None:
        """Deletes what writers that were killed have left: files of no version."""
        for table in (self._items, self._store.open_ledger()):
            if table is not None:
                _clean(table, leftovers=True)

    def _merge(self, rows: pa.Table, *, insert: bool) -> None:
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
            # Not by the index: Lance does not watch for a second writer's inserts then. The scan takes 30 ms at a
            # million rows.
            merge = merge.when_not_matched_insert_all().use_index(False)
        merge.execute(pa.table(arrays, schema=pa.schema(fields)))
        self._changed = True
        _compact(self._items)
        # While a long run goes on, others search what it has committed.
        _index_vectors(self._items, settings.FRAGMENT_ROWS)

    def _make_columns(self, wanted: pa.Schema) -> None:
        new = [field for field in wanted if field.name not in self.schema.names]
        if new:
            self._items.add_columns(pa.schema(new))
        for field in wanted:
            if field.type == pa.float64() and self.schema.field(field.name).type == pa.int64():
                # Lance cannot alter whole numbers into numbers. These three commits can, and whoever reads or kills in
                # between finds the column as it was or as it will be.
                wide, narrow = _WIDENED + field.name, _WIDENED + "of_" + field.name
                self._items.add_columns({wide: f"CAST(`{field.name}` AS DOUBLE)"})
                self._items.alter_columns({"path": field.name, "name": narrow}, {"path": wide, "name": field.name})
                self._items.drop_columns([narrow])

    def _forget(self, item_ids: Sequence[str]) -> None:
        ledger = self._store.open_ledger()
        if ledger is not None:
            _delete(ledger, item_ids)


@contextmanager
def _explained(path: str, doing: str = "read") -> Iterator[None]:
    """Turns Lance's errors into ours."""
    try:
        yield
    except _LANCE_ERRORS as error:
        raise explain_trouble(path, str(error), doing) from error


def _delete(table: Any, item_ids: Sequence[str]) -> None:
    for start in range(0, len(item_ids), settings.COMMIT_ROWS):
        part = item_ids[start : start + settings.COMMIT_ROWS]
        table.delete(f"item_id IN ({', '.join(map(_quote, part))})")


def _compact(table: Any) -> None:
    """Joins the pieces that commits leave, where they are many."""
    small = sum(fragment.count_rows() < settings.FRAGMENT_ROWS for fragment in table.get_fragments())
    if small > settings.MAX_FRAGMENTS:
        table.optimize.compact_files(target_rows_per_fragment=settings.FRAGMENT_ROWS)


def _index_vectors(items: Any, most: int, growth: float = math.inf) -> None:
    """Brings the index of the embeddings up to date, where more than `most` rows are outside it.

    IVF_RQ: partitions of about settings.PARTITION_ROWS, codes of 5 bits a dimension (RaBitQ, Gao and Long 2024). Lance
    splits and joins partitions as rows come and go, but theirs are less even than those of an index made at once: where
    the rows are `growth` times those that it was made from, it is made anew.
    """
    rows = items.count_rows()
    if rows < settings.VECTOR_ROWS:
        return
    index = next((index for index in items.describe_indices() if index.field_names == ["embedding"]), None)
    if index is None or rows >= growth * int(items.config().get(_TRAINED, 1)):
        # The codes pack 8 dimensions together; an encoder with others gets partitions of whole vectors.
        kind = "IVF_FLAT" if items.schema.field("embedding").type.list_size % 8 else "IVF_RQ"
        # A quarter of the usual sample: the build takes half the time, and recall does not move.
        items.create_index("embedding", kind, metric="dot", sample_rate=64, replace=True)
        items.update_config({_TRAINED: str(rows)})
    elif rows - index.num_rows_indexed > most:
        items.optimize.optimize_indices(index_names=[index.name])


def _clean(table: Any, *, leftovers: bool = False) -> None:
    """Deletes the versions that were replaced at least settings.KEEP_VERSIONS minutes ago, with their files.

    And the `leftovers` of writers that died, files of no version, which Lance alone deletes after a week: it cannot
    know that nobody else is writing, so nobody else may.
    """
    now = datetime.now(UTC)
    times = sorted(_read_time(version) for version in table.versions())
    replaced = [time for time in times if time <= now - timedelta(minutes=settings.KEEP_VERSIONS)]
    if len(replaced) > 1:
        # A version's age counts from its making, but it is read until the next one: the newest of the old ones may
        # have been replaced a moment ago and stays. The second keeps rounding from taking it.
        age = now - replaced[-1] + timedelta(seconds=1)
        table.cleanup_old_versions(older_than=age, delete_unverified=leftovers)
    elif leftovers:
        table.cleanup_old_versions(older_than=_EVER, delete_unverified=True)


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
