"""Engines that find neighbors, compared on the same vectors: how much of the exact answer, built and asked how fast.

The engines of others are in the extra `study`; one that is not installed stands in the table with that note.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from focusedfashion.encoders import Encoder, Encoding
from focusedfashion.errors import MissingExtra, QueryError
from focusedfashion.items import Item
from focusedfashion.rows import Columns, add_pictures, add_stamps, make_rows, make_schema
from focusedfashion.store import Store

Floats = NDArray[np.float32]
Metric = Literal["euclidean", "cosine", "manhattan"]
Ask = Callable[[Floats, int], Sequence[int]]  # query float32 (dim,), k -> row numbers, nearest first

METRICS: tuple[Metric, ...] = ("euclidean", "cosine", "manhattan")

_TREES = 50  # of Annoy
_LINKS, _EFFORT = 16, 100  # of hnswlib: M; ef, while it builds and while it searches
_COMMIT = 4_096  # rows of one commit into ours
_SAME = 1e-5  # relative; two distances that differ by less are of two rows that may change places


@dataclass(frozen=True, slots=True)
class EngineFigures:
    """One engine under one metric: `recall` is the mean share of the exact k nearest that it found.

    `build_seconds` is for all vectors, `query_ms` the median time of one query, in milliseconds. All three are None
    where the engine was not measured, and `note` says why.
    """

    engine: str
    metric: Metric
    recall: float | None = None
    build_seconds: float | None = None
    query_ms: float | None = None
    note: str = ""


def compare_engines(vectors: Floats, queries: Floats, k: int) -> list[EngineFigures]:
    """Each engine under each metric, on the same `vectors` float32 (n, dim) and `queries` float32 (m, dim).

    Every query goes to all engines, one after the other, before the next: what else the machine does hits all alike.
    A found row is right if its exact distance reaches that of the exact k-th. Cosine needs vectors of norm above 0.
    """
    k = min(k, len(vectors))
    figures: dict[tuple[str, Metric], EngineFigures] = {}
    for metric in METRICS:
        with ExitStack() as stack:
            _limit_threads(stack)
            asks: dict[str, Ask] = {}
            seconds: dict[str, float] = {}
            for name, engine in _ENGINES.items():
                if metric not in engine.metrics:
                    figures[name, metric] = EngineFigures(name, metric, note=engine.why or "it has no such metric")
                elif not engine.is_there():
                    figures[name, metric] = EngineFigures(name, metric, note=f"{name} is not installed (extra 'study')")
                else:
                    engine.load()
                    start = time.perf_counter()
                    asks[name] = engine.build(vectors, metric, stack)
                    seconds[name] = time.perf_counter() - start
            times: dict[str, list[float]] = {name: [] for name in asks}
            found: dict[str, list[float]] = {name: [] for name in asks}
            for number, query in enumerate([queries[0], *queries]):
                distances = measure_distances(query, vectors, metric)
                kth = np.partition(distances, k - 1)[k - 1]
                for name, ask in asks.items():
                    # The threads of NumPy's BLAS spin for a moment after their work, at the cost of who comes next.
                    time.sleep(0.001)
                    start = time.perf_counter()
                    rows = ask(query, k)
                    spent = time.perf_counter() - start
                    if number:  # the first query warms up
                        times[name].append(spent)
                        right = distances[list(rows)] <= kth * (1 + _SAME) + _SAME**2
                        found[name].append(min(k, int(right.sum())) / k)
            for name in asks:
                query_ms = round(float(np.median(times[name])) * 1e3, 4)
                recall = round(float(np.mean(found[name])), 4)
                figures[name, metric] = EngineFigures(name, metric, recall, round(seconds[name], 4), query_ms)
    return [figures[name, metric] for name in _ENGINES for metric in METRICS]


def build_engine(name: str, metric: Metric, vectors: Floats, stack: ExitStack) -> Ask:
    """The engine of this name over `vectors` float32 (n, dim); what it holds open is closed with `stack`.

    Raises QueryError for an engine or a metric that is not there, MissingExtra where its package is not installed.
    """
    engine = _ENGINES.get(name)
    if engine is None or metric not in engine.metrics:
        known = ", ".join(f"{other} ({', '.join(_ENGINES[other].metrics)})" for other in _ENGINES)
        raise QueryError(f"no engine {name!r} for the metric {metric!r}; there are {known}")
    if not engine.is_there():
        raise MissingExtra(f"the engine {name}", "study")
    return engine.build(vectors, metric, stack)


def measure_distances(query: Floats, vectors: Floats, metric: Metric) -> NDArray[np.float64]:
    """Exact distances of `query` float32 (dim,) to `vectors` float32 (n, dim), float64 (n,); cosine is 1 - cosine."""
    distances: NDArray[np.float64]
    if metric == "manhattan":
        distances = np.abs(vectors - query).sum(axis=1, dtype=np.float64)
    elif metric == "euclidean":
        difference = vectors - query
        distances = np.sqrt(np.einsum("ij,ij->i", difference, difference).astype(np.float64))
    else:
        lengths = np.linalg.norm(vectors, axis=1).astype(np.float64) * float(np.linalg.norm(query))
        distances = 1 - (vectors @ query).astype(np.float64) / np.maximum(lengths, 1e-12)
    return distances


@dataclass(frozen=True, slots=True)
class _Engine:
    package: str  # that it needs, "" for none
    metrics: tuple[Metric, ...]
    build: Callable[[Floats, Metric, ExitStack], Ask]
    why: str = ""  # it has no other metrics

    def is_there(self) -> bool:
        return not self.package or find_spec(self.package.partition(".")[0]) is not None

    def load(self) -> None:
        """So that loading its package does not count as building it."""
        if self.package:
            import_module(self.package)


def _build_ball_tree(vectors: Floats, metric: Metric, stack: ExitStack) -> Ask:
    tree = import_module("sklearn.neighbors").BallTree(vectors, metric=metric)
    return lambda query, k: cast(Sequence[int], tree.query(query[None], k, return_distance=False)[0])


def _build_brute(vectors: Floats, metric: Metric, stack: ExitStack) -> Ask:
    neighbors = import_module("sklearn.neighbors")
    scan = neighbors.NearestNeighbors(algorithm="brute", metric=metric, n_jobs=1).fit(vectors)
    return lambda query, k: cast(Sequence[int], scan.kneighbors(query[None], k, return_distance=False)[0])


def _build_annoy(vectors: Floats, metric: Metric, stack: ExitStack) -> Ask:
    forest = import_module("annoy").AnnoyIndex(vectors.shape[1], "angular" if metric == "cosine" else metric)
    forest.set_seed(1)
    for row, vector in enumerate(vectors):
        forest.add_item(row, vector)
    forest.build(_TREES, n_jobs=1)
    return lambda query, k: cast(Sequence[int], forest.get_nns_by_vector(query, k))


def _build_hnswlib(vectors: Floats, metric: Metric, stack: ExitStack) -> Ask:
    graph = import_module("hnswlib").Index("cosine" if metric == "cosine" else "l2", vectors.shape[1])
    graph.init_index(len(vectors), M=_LINKS, ef_construction=_EFFORT, random_seed=1)
    graph.add_items(vectors, num_threads=1)
    graph.set_num_threads(1)

    def ask(query: Floats, k: int) -> Sequence[int]:
        graph.set_ef(max(_EFFORT, 2 * k))
        return cast(Sequence[int], graph.knn_query(query, k)[0][0])

    return ask


@dataclass(frozen=True, slots=True)
class _Given:
    """What a catalog asks of its encoder, where the vectors are there already."""

    dim: int
    name: str = "vectors"
    fingerprint: str = "vectors"
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def blocks(self) -> dict[str, slice]:
        return {"all": slice(0, self.dim)}


def _build_ours(vectors: Floats, metric: Metric, stack: ExitStack) -> Ask:
    """A catalog whose items are numbered; it orders by the dot product, so the vectors are brought to norm 1."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    encoder = cast(Encoder, _Given(vectors.shape[1]))
    store = Store(str(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="focusedfashion-")), "catalog")))
    columns, now = Columns(make_schema(encoder)), datetime.now(UTC)
    with store.write(encoder) as writer:
        for first in range(0, len(units), _COMMIT):
            part = units[first : first + _COMMIT]
            rows = [columns.fit_item(Item(str(first + place))) for place in range(len(part))]
            table = add_stamps(make_rows(rows, columns.types, now), [None] * len(rows))
            writer.add(add_pictures(table, [""] * len(rows), [b""] * len(rows), encoder, Encoding(part, {})))
        writer.finish()
    return lambda query, k: list(map(int, store.nearest(query, k).column("item_id").to_pylist()))[:k]


_ENGINES = {
    "BallTree (scikit-learn)": _Engine(
        "sklearn.neighbors",
        ("euclidean", "manhattan"),
        _build_ball_tree,
        "a ball tree needs the triangle inequality, which cosine lacks; on vectors of norm 1 Euclidean orders alike",
    ),
    "brute force (scikit-learn)": _Engine("sklearn.neighbors", METRICS, _build_brute),
    "Annoy": _Engine("annoy", METRICS, _build_annoy),
    "hnswlib": _Engine("hnswlib", ("euclidean", "cosine"), _build_hnswlib),
    "FocusedFashion": _Engine(
        "", ("cosine",), _build_ours, "a catalog orders by cosine; on vectors of norm 1 Euclidean orders alike"
    ),
}


def _limit_threads(stack: ExitStack) -> None:
    """One thread for scikit-learn's and NumPy's libraries, where threadpoolctl (scikit-learn's own need) is there."""
    if find_spec("threadpoolctl") is not None:
        stack.enter_context(import_module("threadpoolctl").threadpool_limits(1))
