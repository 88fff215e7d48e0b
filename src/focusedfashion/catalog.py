"""`Catalog`: the object that users hold. It ties the parts together and does nothing that a part can do itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from focusedfashion import settings
from focusedfashion.encoders import Encoder, load_encoder
from focusedfashion.errors import CatalogMissing
from focusedfashion.images import Picture
from focusedfashion.indexing import IndexReport, index_items
from focusedfashion.items import Failure, Item, Matches
from focusedfashion.rows import read_embeddings, read_items
from focusedfashion.search import check_k, find_matches, weigh_blocks
from focusedfashion.store import Identity, Store


@dataclass(frozen=True, slots=True)
class CatalogInfo:
    """What a catalog holds; `indexed` is the time of its last change (ISO 8601, UTC), `bytes` the size of its data."""

    items: int
    products: int
    failed: int
    encoder: str
    fingerprint: str
    indexed: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Vectors:
    """n items, without predicted labels; a hash of each one's picture (see `indexing.hash_picture`); `embeddings`,
    float32 (n, dim), each block of L2 norm 1."""

    items: tuple[Item, ...]
    hashes: tuple[str, ...]
    embeddings: NDArray[np.float32]


class Catalog:
    """Items that can be searched by picture, in a folder. Safe to use from several threads.

    Making the object touches no disk: a catalog comes to be when something is indexed into it. `encoder` is a name or
    folder as for `load_encoder`, or an Encoder; left out, it is the one that the catalog was indexed with, and the
    built-in one for a new catalog.
    """

    def __init__(self, path: str | Path, encoder: str | Path | Encoder | None = None) -> None:
        self.path = os.fspath(path) or "."
        self._store = Store(self.path)
        self._wanted = encoder
        self._encoder: Encoder | None = None

    def __repr__(self) -> str:
        return f"Catalog({self.path!r})"

    @property
    def encoder(self) -> Encoder:
        """The encoder, checked against the catalog's: raises EncoderMismatch where it is another."""
        try:
            return self._match_encoder(self._store.read_identity())
        except CatalogMissing:
            return self._match_encoder(None)

    def index(
        self,
        source: Iterable[Item | Failure],
        *,
        retry_failed: bool = False,
        sync: bool = False,
        allow_private: bool = False,
        on_progress: Callable[[IndexReport], None] | None = None,
    ) -> IndexReport:
        """Brings the items of a source (see `read_source`) into the catalog; makes it if there is none.

        Items that failed are in `failures()`, with the reason. `retry_failed` takes only those from the source. `sync`
        removes the items that the source does not name, unless it has rows that could not be read. Pictures by URL are
        fetched, from private networks only with `allow_private`.
        `on_progress` is called after each batch with the report so far.
        """
        return index_items(
            source,
            self.encoder,
            self._store,
            retry_failed=retry_failed,
            sync=sync,
            allow_private=allow_private,
            on_progress=on_progress,
        )

    def search(
        self,
        image: Picture,
        k: int = settings.DEFAULT_K,
        where: str | None = None,
        focus: Mapping[str, float] | None = None,
    ) -> Matches:
        """The k products that look most like the picture (a path, encoded bytes or RGB uint8 (h, w, 3)), best first.

        `where` is an SQL filter over the columns, applied before the neighbors are chosen: `price < 50 AND brand =
        'Acme'`. Text stands in single quotes; a column whose name is not one plain word stands in backticks:
        `` `base color` = 'red' ``; upper and lower case in column names are the same. Predicted labels:
        `array_has(attributes.category.labels, 'dress')`.

        `focus` maps blocks to weights: {"color": 2} makes color count double beside the others' usual weight, and a
        weight of 0 switches a block off. Raises QueryError, PictureError, CatalogError or EncoderError.
        """
        encoder = self._match_encoder(self._store.read_identity())
        check_k(k)
        weights = weigh_blocks(encoder.weights, focus)
        where = self._check_filter(where)
        query = encoder.embed([image])[0]
        return find_matches(self._store, query, encoder.blocks, weights, k, where)

    def similar(
        self,
        item_id: str,
        k: int = settings.DEFAULT_K,
        where: str | None = None,
        focus: Mapping[str, float] | None = None,
    ) -> Matches:
        """As `search`, by an item that the catalog has; never an item of the same product. Raises ItemNotFound too."""
        row = self._store.read_row(item_id)
        encoder = self.encoder
        check_k(k)
        weights = weigh_blocks(encoder.weights, focus)
        where = self._check_filter(where)
        query, product = read_embeddings(row)[0], row.column("product_id")[0].as_py()
        return find_matches(self._store, query, encoder.blocks, weights, k, where, without_product=product)

    def item(self, item_id: str) -> Item:
        """The item of this id. Raises ItemNotFound."""
        return read_items(self._store.read_row(item_id))[0]

    def items(self) -> Iterator[Item]:
        """All items as of now, in no order, each with its thumbnail's bytes as `picture`."""
        for rows in self._store.read_all():
            thumbnails = rows.column("thumbnail").to_pylist()
            for item, thumbnail in zip(read_items(rows), thumbnails, strict=True):
                yield replace(item, picture=thumbnail)

    def vectors(self) -> Iterator[Vectors]:
        """All items as of now, in no order, some at a time, with what their pictures gave."""
        for rows in self._store.read_embedded():
            hashes = tuple(rows.column("content_hash").to_pylist())
            yield Vectors(tuple(read_items(rows)), hashes, read_embeddings(rows))

    def thumbnail(self, item_id: str) -> bytes:
        """The item's picture, at most 320 px large, as JPEG. Raises ItemNotFound."""
        return self._store.read_thumbnail(item_id)

    def remove(self, item_ids: Sequence[str]) -> int:
        """Takes items out, with their ledger entries; how many of the ids were in the catalog or its ledger."""
        # A lone id is a sequence too, of letters that may be ids of others.
        wanted = [item_ids] if isinstance(item_ids, str) else item_ids
        with self._store.write() as writer:
            return writer.remove(wanted)

    def failures(self) -> list[Failure]:
        """The ledger: items that did not get in, the step that they failed at, why, and how often."""
        return self._store.list_failures()

    def info(self) -> CatalogInfo:
        """What the catalog holds."""
        identity = self._store.read_identity()
        return CatalogInfo(encoder=identity.encoder, fingerprint=identity.fingerprint, **self._store.measure())

    def _match_encoder(self, identity: Identity | None) -> Encoder:
        """The encoder, which must be the one that indexed the catalog, if there is a catalog."""
        encoder = self._encoder
        if encoder is None:
            named = identity.encoder if identity else "builtin"
            wanted = named if self._wanted is None else self._wanted
            encoder = wanted if isinstance(wanted, Encoder) else load_encoder(wanted)
        if identity:
            identity.check(encoder)
        self._encoder = encoder
        return encoder

    def _check_filter(self, where: str | None) -> str | None:
        """The filter, if there is one: blank text is none, as a form sends it."""
        if where is None or not where.strip():
            return None
        self._store.check_filter(where)
        return where
