"""How well a catalog answers: labelled queries, the same product, and its own pictures after changes.

The rules, which hold for every figure:

- k counts products, as in a search: items of one `product_id` are one result, shown by its closest picture.
- Scores are exact dot products, compared to 6 digits; of equal ones the product with the smaller first id comes first.
- The query itself is left out of the gallery: an item of its id, and any item with the same picture byte for byte.
- For labels, products of the query's own `product_id` are left out too: another view of it proves nothing. For
  `same_item` they are what is looked for; a query without any of them does not count.
- Two items match in a column if they share a value there. Items that say nothing there are left out, as queries and
  from the gallery; a query that shares its values with no item left does not count, and is counted as `unmatched`.
- After a change, a picture must find its own product or one with a copy of it: an item whose score with the unchanged
  item is 1 within 1e-6. Nothing is left out.
- A query that does not open is counted as failed.

Intervals are 95 % percentile bootstrap intervals over queries (`metrics.bootstrap_means`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focusedfashion import changes, metrics, settings
from focusedfashion.catalog import Catalog
from focusedfashion.encoders import Encoder
from focusedfashion.errors import QueryError
from focusedfashion.items import Failure, Item
from focusedfashion.labels import Labels, find_label_columns, read_labels
from focusedfashion.metrics import Estimate
from focusedfashion.queries import Rows, change_items, choose, embed_queries, read_gallery, sample_entries
from focusedfashion.questions import Column, Question, measure_change, measure_labels
from focusedfashion.search import check_k

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Vectors = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Scores:
    """The figures of one question, by name ("recall@1"), over the `queries` that count; `unmatched` more have nothing
    to be found. `chance` is the precision of products drawn at random; None where nothing is compared with it."""

    queries: int
    unmatched: int
    figures: Mapping[str, Estimate]
    chance: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """{"queries", "unmatched", "recall@1", ..., "intervals": {"recall@1": [low, high], ...}}."""
        found: dict[str, Any] = {"queries": self.queries, "unmatched": self.unmatched}
        if self.chance is not None:
            found["chance"] = round(self.chance, 6)
        found |= {name: round(figure.value, 6) for name, figure in self.figures.items()}
        spans = {name: [round(figure.low, 6), round(figure.high, 6)] for name, figure in self.figures.items()}
        return found | {"intervals": spans}


@dataclass(frozen=True, slots=True)
class Part:
    """All figures over some queries: per label column, for the same product, and per change."""

    queries: int
    columns: Mapping[str, Scores]
    same_item: Scores | None
    changes: Mapping[str, Scores]

    def to_dict(self) -> dict[str, Any]:
        """{"queries", "<column>": {...}, "same_item": {...}, "changes": {"crop": {...}, ...}}, what there is of it."""
        found: dict[str, Any] = {"queries": self.queries}
        found |= {name: scores.to_dict() for name, scores in self.columns.items()}
        if self.same_item:
            found["same_item"] = self.same_item.to_dict()
        if self.changes:
            found["changes"] = {name: scores.to_dict() for name, scores in self.changes.items()}
        return found


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What `evaluate` found: over all queries, and over those of each value of the column `slice_by`.

    Slices of less than settings.RARE_LABEL queries are left out, `small_slices` of them. `arrays` holds all that the
    figures were computed from (see `save_vectors`).
    """

    encoder: str
    fingerprint: str
    items: int
    products: int
    seed: int
    whole: Part
    failures: tuple[Failure, ...]
    slice_by: str | None
    slices: Mapping[str, Part]
    small_slices: int
    arrays: Mapping[str, NDArray[Any]] = field(repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON shows them."""
        found = self.whole.to_dict() | {
            "failed": len(self.failures),
            "gallery": {"items": self.items, "products": self.products},
            "encoder": {"name": self.encoder, "fingerprint": self.fingerprint},
            "seed": self.seed,
        }
        if self.whole.changes:
            found["changes_version"] = changes.VERSION
        if self.slice_by:
            parts = {value: part.to_dict() for value, part in self.slices.items()}
            found["slices"] = {"by": self.slice_by, "left_out": self.small_slices, "values": parts}
        return found

    def save_vectors(self, path: Path) -> None:
        """Writes `arrays` as NumPy's .npz, whole or not at all, for whoever wants to compute the figures again.

        `query_vectors` float32 (q, dim) and `gallery_vectors` (n, dim); a score is
        `(query_vectors * weights) @ gallery_vectors.T`. `query_ids`, `query_products`, `query_hashes` (of the picture)
        and the same of the gallery, which stands in the order that breaks ties. For the i-th of `columns`:
        `labels_i` names, `query_labels_i` bool (q, labels), `gallery_labels_i` bool (n, labels). `changes` names and
        `changed_vectors` (q, changes, dim), NaN where one does not apply. `slices` names, `query_slices` bool
        (q, slices). `ks`.
        """
        arrays: dict[str, Any] = dict(self.arrays)
        part = path.with_name(f"{path.name}.part")
        try:
            with part.open("wb") as file:  # savez alone would add an ending to the name
                np.savez(file, **arrays)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


_RESERVED = ("queries", "failed", "gallery", "encoder", "seed", "same_item", "changes", "changes_version", "slices")


def evaluate(
    catalog: Catalog,
    queries: Iterable[Item | Failure] | None = None,
    labels: Sequence[str] | None = None,
    ks: Sequence[int] = settings.EVALUATION_KS,
    slice_by: str | None = None,
    *,
    sample: int | None = None,
    seed: int = 0,
    allow_private: bool = False,
    on_progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """How well the catalog answers the queries, by the rules at the top of this module.

    `queries` are items of any source (`read_source`). Without them the catalog's own items are the queries: as they
    are for labels, and changed in every way of `changes.CHANGES`, by `seed`, to be found again.

    `labels` names the columns by which a result is right or wrong, which queries and catalog must both have; left
    out, they are found by the rule of `columns.py`, and () asks for none. `slice_by` is a column of the queries.
    `sample` takes so many queries at most, evenly and the same each time; left out, all that are given, or
    settings.EVALUATION_ITEMS of the catalog's own. `on_progress` hears how many pictures have been looked at.

    The whole catalog's embeddings are held in memory. Raises QueryError where nothing could be measured, CatalogError
    and EncoderError.
    """
    ks = sorted({check_k(k) for k in ks})
    if not ks:
        raise QueryError("no k is given: name at least one, as 1,5,10")
    if sample is not None and sample < 1:
        raise QueryError(f"the sample must be of one query at least, not {sample}")
    encoder = catalog.encoder
    gallery, starts = read_gallery(catalog)
    if not gallery.items:
        raise QueryError(f"{catalog.path} is empty: index something into it first")
    tell = on_progress or (lambda done: None)
    if queries is None:
        most = settings.EVALUATION_ITEMS if sample is None else sample
        asked = _ask_own(catalog, gallery, labels, slice_by, most, seed, tell)
    else:
        entries = queries if sample is None else sample_entries(queries, sample, seed)
        asked = _ask(entries, encoder, gallery, labels, slice_by, allow_private, tell)
    weights = _spread_weights(encoder)

    rows, columns, changed = asked.rows, asked.columns, asked.changed
    found, same = measure_labels(rows, gallery, starts, weights, columns, ks)
    tables: dict[tuple[str, str], Question] = {("columns", name): question for name, question in found.items()}
    if same is not None:
        tables["same_item", ""] = same
    if changed is not None:
        for number, name in enumerate(changes.CHANGES):
            tables["changes", name] = measure_change(rows, changed[:, number], gallery, starts, weights, ks)
    if not tables:
        raise QueryError(
            "nothing to measure: the queries share no label column with the catalog, and no product_id; "
            "name a column that both have"
        )
    values, truth = asked.slices
    large = [number for number in range(len(values)) if truth[:, number].sum() >= settings.RARE_LABEL]
    arrays = _list_arrays(rows, gallery, weights, columns, ks)
    if changed is not None:
        arrays |= {"changes": np.array(list(changes.CHANGES)), "changed_vectors": changed}
    if slice_by:
        arrays |= {"slices": np.array(values, np.str_), "query_slices": truth}
    return Evaluation(
        encoder.name,
        encoder.fingerprint,
        len(gallery.items),
        len(starts),
        seed,
        _summarize(tables, np.arange(len(rows.items))),
        tuple(asked.failures),
        slice_by,
        {values[number]: _summarize(tables, np.flatnonzero(truth[:, number])) for number in large},
        len(values) - len(large),
        arrays,
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """The queries, what they and the gallery are labelled with, the values of the slices and who has them (q, values),
    the queries' pictures after each change, if that is asked, and what did not open."""

    rows: Rows
    columns: Sequence[Column]
    slices: tuple[tuple[str, ...], Bools]
    changed: Vectors | None
    failures: Sequence[Failure]


def _ask_own(
    catalog: Catalog,
    gallery: Rows,
    labels: Sequence[str] | None,
    slice_by: str | None,
    most: int,
    seed: int,
    tell: Callable[[int], None],
) -> _Asked:
    """A sample of the catalog's own items. Labels are read of all of them, and before the pictures: those take long."""
    names = find_label_columns(gallery.items) if labels is None else list(dict.fromkeys(labels))
    sides = {name: read_labels(gallery.items, [name]) for name in names}
    by = read_labels(gallery.items, [slice_by]) if slice_by else None
    chosen = np.array(choose(((item.item_id, row) for row, item in enumerate(gallery.items)), most, seed))
    ids = [gallery.items[row].item_id for row in chosen]
    opened, changed, failures = change_items(catalog, catalog.encoder, ids, seed, tell)
    rows = chosen[opened]
    _check_some(rows, failures)
    columns = [Column(name, side.names, side.truth[rows], side.truth) for name, side in sides.items()]
    return _Asked(gallery.take(rows), columns, _slice(by, rows), changed, failures)


def _ask(
    entries: Iterable[Item | Failure],
    encoder: Encoder,
    gallery: Rows,
    labels: Sequence[str] | None,
    slice_by: str | None,
    allow_private: bool,
    tell: Callable[[int], None],
) -> _Asked:
    """Queries from elsewhere; they are read by their own rule, since one side may have lists where the other has text.

    The gallery's labels are read first: a wrong name must not cost the minutes that the pictures take.
    """
    sides = {name: _read_column(gallery.items, name, "the catalog") for name in labels or ()}
    rows, failures = embed_queries(entries, encoder, allow_private, tell)
    _check_some(rows.items, failures)
    by = _read_column(rows.items, slice_by, "the queries") if slice_by else None
    columns = _find_columns(rows.items, gallery.items) if labels is None else []
    for name, side in sides.items():
        columns.append(_join_column(name, _read_column(rows.items, name, "the queries"), side))
    return _Asked(rows, columns, _slice(by, np.arange(len(rows.items))), None, failures)


def _slice(by: Labels | None, rows: Ints) -> tuple[tuple[str, ...], Bools]:
    return (by.names, by.truth[rows]) if by else ((), np.zeros((len(rows), 0), bool))


def _check_some(opened: Sequence[Item] | Ints, failures: Sequence[Failure]) -> None:
    if not len(opened):
        reason = f": of {len(failures):,} that failed the first says: {failures[0].reason}" if failures else ""
        raise QueryError(f"no query can be used{reason}")


def _read_column(items: Sequence[Item], name: str, side: str) -> Labels:
    try:
        return read_labels(items, [name])
    except QueryError as error:
        raise QueryError(f"{side}: {error}") from None


def _find_columns(queries: Sequence[Item], gallery: Sequence[Item]) -> list[Column]:
    """The queries' label columns that the catalog has too, with a value in common."""
    there = {name for item in gallery for name in item.columns}
    found = []
    for name in find_label_columns(queries):
        if name not in there:
            continue
        try:
            found.append(_join_column(name, read_labels(queries, [name]), read_labels(gallery, [name])))
        except QueryError:  # of the same name, and other things
            continue
    return found


def _join_column(name: str, asked: Labels, has: Labels) -> Column:
    """Both sides under one list of labels. Raises QueryError where they have none in common."""
    if not set(asked.names) & set(has.names):
        sides = [", ".join(side.names[:3]) + (", …" if len(side.names) > 3 else "") for side in (asked, has)]
        raise QueryError(
            f"column '{name}': the queries ({sides[0]}) and the catalog ({sides[1]}) have no value in common"
        )
    labels = sorted({*asked.names, *has.names})
    places = {label: place for place, label in enumerate(labels)}
    truths = []
    for side in (asked, has):
        truth = np.zeros((len(side.truth), len(labels)), bool)
        truth[:, [places[label] for label in side.names]] = side.truth
        truths.append(truth)
    return Column(name, tuple(labels), truths[0], truths[1])


def _summarize(tables: Mapping[tuple[str, str], Question], rows: Ints) -> Part:
    """Means and intervals over some queries."""
    joined = np.concatenate([question.values[rows] for question in tables.values()], axis=1)
    low, high = metrics.take_interval(metrics.bootstrap_means(joined))
    scores: dict[tuple[str, str], Scores] = {}
    start = 0
    for key, question in tables.items():
        values = question.values[rows]
        counted = ~np.isnan(values[:, 0])
        figures = {}
        if counted.any():
            for number, name in enumerate(question.names):
                mean = float(values[counted, number].mean())
                figures[name] = Estimate(mean, float(low[start + number]), float(high[start + number]))
        start += len(question.names)
        chance = question.chance[rows][counted] if question.chance is not None and counted.any() else None
        mean_chance = None if chance is None else float(chance.mean())
        scores[key] = Scores(int(counted.sum()), int(question.unmatched[rows].sum()), figures, mean_chance)
    return Part(
        len(rows),
        {_name(name): found for (kind, name), found in scores.items() if kind == "columns"},
        scores.get(("same_item", "")),
        {name: found for (kind, name), found in scores.items() if kind == "changes"},
    )


def _name(column: str) -> str:
    """A label column's name among the keys of the JSON document."""
    return f"source_{column}" if column in _RESERVED else column


def _spread_weights(encoder: Encoder) -> Vectors:
    """What a query is multiplied with, (dim,), so that its dot products are the search's scores."""
    weights = np.zeros(encoder.dim, np.float32)
    for block, place in encoder.blocks.items():
        weights[place] = encoder.weights[block] / sum(encoder.weights.values())
    return weights


def _list_arrays(
    asked: Rows, gallery: Rows, weights: Vectors, columns: Sequence[Column], ks: Sequence[int]
) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {"weights": weights, "ks": np.array(ks)}
    for side, rows in (("query", asked), ("gallery", gallery)):
        arrays[f"{side}_vectors"] = rows.vectors
        arrays[f"{side}_ids"] = np.array([item.item_id for item in rows.items], np.str_)
        arrays[f"{side}_products"] = np.array([item.product_id for item in rows.items], np.str_)
        arrays[f"{side}_hashes"] = np.array(rows.hashes, np.str_)
    arrays["columns"] = np.array([column.name for column in columns], np.str_)
    for number, column in enumerate(columns):
        arrays[f"labels_{number}"] = np.array(column.labels, np.str_)
        arrays[f"query_labels_{number}"] = column.queries
        arrays[f"gallery_labels_{number}"] = column.gallery
    return arrays
