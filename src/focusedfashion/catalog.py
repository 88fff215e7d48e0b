"""`Catalog`: the object that users hold. It ties the parts together and does nothing that a part can do itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from focusedfashion import settings
from focusedfashion.colors import find_garment_colors
from focusedfashion.encoders import Encoder, load_encoder
from focusedfashion.errors import CatalogMissing, QueryError
from focusedfashion.explain import Look, Why, explain_matches, read_colors
from focusedfashion.facets import Facet, check_columns, count_facet, drop_column
from focusedfashion.filters import Where, list_columns
from focusedfashion.images import RGB, Picture, decode_image, measure_image, open_image, read_bytes
from focusedfashion.indexing import IndexReport, index_items
from focusedfashion.items import Failure, Item, Matches
from focusedfashion.rows import read_embeddings, read_items
from focusedfashion.search import SORTS, check_box, check_k, check_place, check_text, find_matches, weigh_blocks
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
    """Items that can be searched by picture, in a folder, and by words too where the encoder has a text side. Safe to
    use from several threads.

    Making the object touches no disk: a catalog comes to be when something is indexed into it. `encoder` is a name or
    folder as for `load_encoder`, or an Encoder; left out, it is the one that the catalog was indexed with, and the
    built-in one for a new catalog.
    """

    def __init__(self, path: str | Path, encoder: str | Path | Encoder | None = None) -> None:
        self.path = os.fspath(path) or "."
        self._store = Store(self.path)
        self._wanted = encoder
        self._encoder: Encoder | None = None
        self._count_facet = lru_cache(settings.FACET_CACHE)(partial(count_facet, self._store))

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
        keep_pictures: bool = False,
        on_progress: Callable[[IndexReport], None] | None = None,
    ) -> IndexReport:
        """Brings the items of a source (see `read_source`) into the catalog; makes it if there is none.

        Items that failed are in `failures()`, with the reason. `retry_failed` takes only those from the source. `sync`
        removes the items that the source does not name, unless it has rows that could not be read. Pictures by URL are
        fetched, from private networks only with `allow_private`. With `keep_pictures` an item that comes without a
        picture keeps the one that the catalog has of it.
        `on_progress` is called after each batch with the report so far.
        """
        return index_items(
            source,
            self.encoder,
            self._store,
            retry_failed=retry_failed,
            sync=sync,
            allow_private=allow_private,
            keep_pictures=keep_pictures,
            on_progress=on_progress,
        )

    def search(
        self,
        image: Picture | Look,
        k: int = settings.DEFAULT_K,
        where: Where | None = None,
        focus: Mapping[str, float] | None = None,
        *,
        start: int = 0,
        sort: str = "score",
        collapse: bool = True,
        thumbnails: bool = False,
    ) -> Matches:
        """The k products that look most like the picture (a path, encoded bytes or RGB uint8 (h, w, 3)), best first.

        `where` is an SQL filter over the columns, applied before the neighbors are chosen: `price < 50 AND brand =
        'Acme'`. Text stands in single quotes; a column whose name is not one plain word stands in backticks:
        `` `base color` = 'red' ``; upper and lower case in column names are the same. Predicted labels:
        `array_has(attributes.category.labels, 'dress')`. For values that come from strangers it takes a list of
        conditions instead, [{"column": "price", "op": "<", "value": 50}], as `filters.compile_filters` reads them.

        `focus` maps blocks to weights: {"color": 2} makes color count double beside the others' usual weight, and a
        weight of 0 switches a block off. `start` passes over the first products; `sort` by "price" or "-price" orders
        the closest 8 k (at most 200) of them; without `collapse` each item counts for itself; with `thumbnails` the
        items have theirs as `picture`. What `look` gave is searched without opening the picture again. Raises
        QueryError, PictureError, CatalogError or EncoderError.
        """
        encoder = self._match_encoder(self._store.read_identity())
        find = self._prepare(encoder, k, where, focus, start, sort, collapse, thumbnails)
        return find(image.embedding if isinstance(image, Look) else encoder.embed([image])[0], None)

    def search_text(
        self,
        text: str,
        k: int = settings.DEFAULT_K,
        where: Where | None = None,
        focus: Mapping[str, float] | None = None,
        *,
        start: int = 0,
        sort: str = "score",
        collapse: bool = True,
        thumbnails: bool = False,
    ) -> Matches:
        """As `search`, by words: "navy checked shirt".

        A score is the cosine between the text and a picture. It orders the matches of one text; it is much lower than
        between two pictures that are alike, and not to be compared with theirs. Raises EncoderError where the encoder
        has no text side, and MissingExtra.
        """
        encoder = self._match_encoder(self._store.read_identity())
        find = self._prepare(encoder, k, where, focus, start, sort, collapse, thumbnails)
        return find(encoder.embed_texts([check_text(text)])[0], None)

    def similar(
        self,
        item_id: str,
        k: int = settings.DEFAULT_K,
        where: Where | None = None,
        focus: Mapping[str, float] | None = None,
        *,
        start: int = 0,
        sort: str = "score",
        collapse: bool = True,
        thumbnails: bool = False,
    ) -> Matches:
        """As `search`, by an item that the catalog has; never an item of the same product (without `collapse`: never
        the item itself). Raises ItemNotFound too."""
        row = self._store.read_row(item_id)
        find = self._prepare(self.encoder, k, where, focus, start, sort, collapse, thumbnails)
        own = row.column("product_id" if collapse else "item_id")[0].as_py()
        return find(read_embeddings(row)[0], own)

    def look(self, image: Picture, box: Sequence[float] | None = None) -> Look:
        """What the encoder sees on a picture, or on its part: `box` is left, top, right, bottom, each 0..1 of the
        upright picture. Raises PictureError, QueryError."""
        encoder = self._match_encoder(self._store.read_identity())
        data: bytes | RGB = image if isinstance(image, np.ndarray) else read_bytes(image)
        width, height = data.shape[1::-1] if isinstance(data, np.ndarray) else measure_image(data)
        part = None
        if box is not None:
            left, top, right, bottom = check_box(box)
            part = left * width, top * height, right * width, bottom * height
        fitted = encoder.fit(open_image(data, part) if isinstance(data, np.ndarray) else decode_image(data, part))
        encoding = encoder.encode_fitted([fitted])
        color = find_garment_colors([Image.fromarray(fitted)])[0]
        return Look(encoding.embeddings[0], encoder.list_labels(encoding)[0], color, width, height)

    def explain(self, query: Look | Item | str, matches: Matches) -> list[Why]:
        """Why each match is one: shared and differing labels, and the two garments' colors, where the search was told
        to bring `thumbnails`. A text has neither labels nor a color: of its matches only the scores say why."""
        if isinstance(query, str):
            return explain_matches({}, None, matches)
        if isinstance(query, Look):
            return explain_matches(query.attributes, query.color, matches)
        return explain_matches(query.attributes, read_colors([self.thumbnail(query.item_id)])[0], matches)

    def variants(self, matches: Matches) -> list[int]:
        """Of each match, how many items the catalog has of its product: pictures, sizes, colors; itself counts."""
        return self._store.count_products([match.item.product_id for match in matches])

    def facets(self, columns: Sequence[str], where: Where | None = None) -> dict[str, Facet]:
        """The products under the filter by the values of columns; `attributes.<group>` are predicted labels.

        Conditions on a column do not narrow that column's own facet: who has chosen a brand still sees the others.
        Raises QueryError.
        """
        check_columns(columns)
        version = self._store.read_schema()[1]
        return {
            column: self._count_facet(column, self._store.read_filter(drop_column(where, column)), version)
            for column in columns
        }

    def columns(self) -> dict[str, str]:
        """What filters and facets can name, and of which kind each is: text, number, whole number, true or false, time,
        date, list."""
        return list_columns(self._store.read_schema()[0])

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

    def _prepare(
        self,
        encoder: Encoder,
        k: int,
        where: Where | None,
        focus: Mapping[str, float] | None,
        start: int,
        sort: str,
        collapse: bool,
        thumbnails: bool,
    ) -> Callable[[NDArray[np.float32], str | None], Matches]:
        """Checks what a search was told, before its picture is looked at -> (query, what to pass over) -> Matches."""
        check_k(k)
        check_place(start, k)
        if sort not in SORTS:
            raise QueryError(f"no sort {sort!r}: there are {', '.join(SORTS)}")
        weights = weigh_blocks(encoder.weights, focus)
        sql = self._store.read_filter(where)

        def find(query: NDArray[np.float32], without: str | None) -> Matches:
            return find_matches(
                self._store,
                query,
                encoder.blocks,
                weights,
                k,
                sql,
                without=without,
                start=start,
                sort=sort,
                collapse=collapse,
                thumbnails=thumbnails,
            )

        return find
