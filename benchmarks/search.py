"""Search against others, side by side: recall@20, p50 and p99 at several sizes, under filters and focus.

    python benchmarks/search.py [SOURCE... | --catalog DIR] [--sizes 10000,100000,1000000] [--queries 100]

SOURCE (drawn garments without one) is indexed once; its embeddings are then multiplied by small perturbations (each
block moved by noise of a length of 0.15, and normalized again). The queries are moved by 0.3, so none of them is in the
catalog. Every query goes to all engines, one after the other, before the next: what else the machine does hits all
alike. Recall counts a found item as right if its exact score reaches that of the exact 20th.

Ours is timed twice: `nearest` (query vector in, row numbers out: what the others do) and `search` (20 whole items with
their columns and attributes, scored by block and ordered: what a user gets). The others lack filters
but hnswlib, which asks a function about each label; NumPy computes all scores and passes over what the filter excludes.
BallTree and Annoy are left out of the largest size, where they take minutes to build.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import annoy
import hnswlib
import numpy as np
import pyarrow as pa
from machine import describe_machine, median, percentile, print_table
from numpy.typing import NDArray
from sklearn.neighbors import BallTree

import focusedfashion as ff
from focusedfashion.search import find_matches
from focusedfashion.sources.samples import read_samples
from focusedfashion.store import Store

K = 20
SHARES = (100, 1, 10, 50)  # percent of the rows that pass; 100 is no filter
LARGEST_TREE = 100_000
CHUNK = 50_000

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Question:
    query: Vectors
    weights: dict[str, float]
    scaled: Vectors  # the query by its weights
    share: int  # percent of the rows that pass

    @property
    def where(self) -> str | None:
        return None if self.share == 100 else f"part < {self.share}"


@dataclass
class Engine:
    ask: Callable[[Question], Any]
    read: Callable[[Any], list[int]]  # what was answered -> row numbers
    filters: bool = True
    seconds: dict[tuple[str, int], list[float]] = field(default_factory=dict)
    right: dict[tuple[str, int], list[float]] = field(default_factory=dict)
    fewest: int = K

    def note(self, focus: str, share: int, seconds: float, scores: Vectors, kth: np.floating[Any]) -> None:
        self.seconds.setdefault((focus, share), []).append(seconds)
        self.right.setdefault((focus, share), []).append(min(K, int(np.sum(scores >= kth - 1e-6))) / K)
        self.fewest = min(self.fewest, len(scores))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", nargs="*", help="what to index for its embeddings (default: drawn garments)")
    parser.add_argument("--catalog", help="one that is indexed already, instead of SOURCE")
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument("--queries", type=int, default=100)
    args = parser.parse_args()
    print(describe_machine(("numpy", "pylance", "hnswlib", "scikit-learn", "annoy")))
    with tempfile.TemporaryDirectory(prefix="focusedfashion-") as folder:
        source = ff.Catalog(args.catalog or Path(folder, "source"))
        for place in args.source:
            source.index(ff.read_source(place))
        if not args.source and not args.catalog:
            source.index(read_samples(1_000))
        for size in map(int, args.sizes.split(",")):
            measure(source, Path(folder, str(size)), size, args.queries)


def measure(source: ff.Catalog, folder: Path, size: int, queries: int) -> None:
    encoder, random = source.encoder, np.random.default_rng(size)
    rows = read_all(source)
    real = stack(rows)
    store, vectors, parts = Store(str(folder)), np.empty((size, encoder.dim), np.float32), random.integers(0, 100, size)
    start = time.perf_counter()
    with store.write(encoder) as writer:
        for first in range(0, size, CHUNK):
            last = min(first + CHUNK, size)
            picked = random.integers(0, len(real), last - first)
            vectors[first:last] = perturb(real[picked], encoder.blocks, 0.15, random)
            writer.add(dress(rows.take(pa.array(picked)), first, vectors[first:last], parts[first:last]))
        written = time.perf_counter() - start
        writer.finish()
    finished = time.perf_counter() - start - written
    print(f"\n## {size:,} rows of {len(real):,} pictures (written in {written:.0f} s, indexed in {finished:.1f} s)\n")

    picked = random.integers(0, len(real), queries)
    asked = perturb(real[picked], encoder.blocks, 0.3, random)
    engines = make_engines(store, encoder, vectors, parts)
    focuses = {"default": dict(encoder.weights)} | {
        block: {name: float(name == block) for name in encoder.blocks} for block in encoder.blocks
    }
    for number, query in enumerate([asked[0], *asked]):
        for focus, weights in focuses.items():
            scaled = np.zeros_like(query)
            for block, place in encoder.blocks.items():
                scaled[place] = query[place] * (weights[block] / sum(weights.values()))
            for share in SHARES:
                scores = np.where(parts < share, vectors @ scaled, -np.inf)
                kth = np.partition(scores, -K)[-K]
                for engine in engines.values():
                    if share == 100 or engine.filters:
                        # The threads of OpenBLAS spin for 2^26 cycles after their work, at the cost of who comes next.
                        time.sleep(0.03)
                        begin = time.perf_counter()
                        answer = engine.ask(Question(query, weights, scaled, share))
                        spent = time.perf_counter() - begin
                        if number:  # the first query warms up
                            engine.note(focus, share, spent, scores[engine.read(answer)], kth)
    show(engines, list(focuses))


def make_engines(store: Store, encoder: ff.Encoder, vectors: Vectors, parts: NDArray[np.int64]) -> dict[str, Engine]:
    def scan(question: Question) -> NDArray[np.int64]:
        scores = vectors @ question.scaled
        if question.share < 100:
            scores[parts >= question.share] = -np.inf
        best = np.argpartition(scores, -K)[-K:]
        return best[np.argsort(-scores[best])]

    items = store._open_items()
    table = items.to_table(columns=["item_id"], with_row_id=True).sort_by("_rowid")
    row_ids_of_rows, rows = table.column("_rowid").to_numpy(), np.array(table.column("item_id").to_pylist(), np.int64)
    engines = {
        "nearest": Engine(
            lambda question: store._find_nearest(items, question.scaled, K, question.where),
            lambda row_ids: rows[np.searchsorted(row_ids_of_rows, row_ids)].tolist(),
        ),
        "search": Engine(
            lambda question: find_matches(store, question.query, encoder.blocks, question.weights, K, question.where),
            lambda found: [int(match.item.item_id) for match in found],
        ),
        "NumPy exact": Engine(scan, list),
    }
    graph = hnswlib.Index("ip", vectors.shape[1])
    graph.init_index(len(vectors), M=16, ef_construction=100, random_seed=1)
    graph.add_items(vectors)
    graph.set_ef(100)
    graph.set_num_threads(1)  # one query at a time has no use for more
    passing = {share: (parts < share).tolist() for share in SHARES}

    def walk(question: Question) -> list[int]:
        allowed = None if question.share == 100 else passing[question.share].__getitem__
        try:
            return list(graph.knn_query(question.scaled, K, filter=allowed)[0][0])
        except RuntimeError:  # it cannot fill k rows under this filter
            return []

    engines["hnswlib"] = Engine(walk, list)
    if len(vectors) <= LARGEST_TREE:
        # All rows have one length, so the smallest distance is the largest dot product, and so is the smallest angle.
        tree = BallTree(vectors)
        length = float(np.linalg.norm(vectors[0]))

        def descend(question: Question) -> list[int]:
            scaled = question.scaled * (length / np.linalg.norm(question.scaled))
            return list(tree.query(scaled[None], K, return_distance=False)[0])

        engines["BallTree"] = Engine(descend, list, filters=False)
        forest = annoy.AnnoyIndex(vectors.shape[1], "angular")
        forest.set_seed(1)
        for row, vector in enumerate(vectors):
            forest.add_item(row, vector)
        forest.build(20)
        engines["Annoy"] = Engine(lambda question: forest.get_nns_by_vector(question.scaled, K), list, filters=False)
    return engines


def show(engines: dict[str, Engine], focuses: list[str]) -> None:
    rows = []
    for focus in focuses:
        for share in SHARES:
            base = median(engines["NumPy exact"].seconds[focus, share])
            for name, engine in engines.items():
                if seconds := engine.seconds.get((focus, share)):
                    recall = f"{np.mean(engine.right[focus, share]):.4f}"
                    p50, p99 = median(seconds), percentile(seconds, 0.99)
                    rows.append([focus, f"{share} %", name, recall, p50 * 1e3, p99 * 1e3, f"{p50 / base:.2f}"])
    print_table(["focus", "passing", "engine", "recall@20", "p50 ms", "p99 ms", "p50 / NumPy's"], rows)
    fewest = ", ".join(f"{name} {engine.fewest}" for name, engine in engines.items())
    print(f"\nfewest items that came back of {K}: {fewest}", flush=True)


def read_all(catalog: ff.Catalog) -> pa.Table:
    """All rows of a catalog, whole but for thumbnails and the writer's own times."""
    import lance  # here: the store, which is loaded by now, has told it to keep its warnings to itself

    table = lance.dataset(str(Path(catalog.path, "items.lance")))
    return table.to_table(columns=[name for name in table.schema.names if name not in ("thumbnail", "added_at")])


def stack(rows: pa.Table) -> Vectors:
    column = rows.column("embedding").combine_chunks()
    return np.asarray(column.flatten()).reshape(len(rows), -1)


def perturb(vectors: Vectors, blocks: dict[str, slice], length: float, random: np.random.Generator) -> Vectors:
    """Each block moved by noise of about this length, and back to norm 1."""
    moved = vectors.copy()
    for place in blocks.values():
        size = place.stop - place.start
        moved[:, place] += random.normal(0, length / np.sqrt(size), (len(vectors), size)).astype(np.float32)
        moved[:, place] /= np.linalg.norm(moved[:, place], axis=1, keepdims=True)
    return moved


def dress(rows: pa.Table, first: int, vectors: Vectors, parts: NDArray[np.int64]) -> pa.Table:
    """The rows with these embeddings, ids from `first` on, and the column that the filters look at."""
    ids = pa.array([str(number) for number in range(first, first + len(rows))])
    flat = pa.array(vectors.reshape(-1))
    new = {"item_id": ids, "product_id": ids, "embedding": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])}
    for name, column in new.items():
        rows = rows.set_column(rows.column_names.index(name), name, column)
    return rows.append_column("part", pa.array(parts))


if __name__ == "__main__":
    main()
