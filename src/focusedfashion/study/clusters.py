"""Pictures clustered on the features of several encoders at once, and how well the clusters agree with labels.

Each encoder is a view of the same pictures, as in Guérin and Boots, "Improving Image Clustering With Multiple
Pretrained CNN Feature Extractors" (BMVC 2018): which extractor suits a set of pictures cannot be known without labels,
so several are used together. Their own way to join the views is a network trained end to end; here the views are joined
by a cluster ensemble, which needs no training: each view is clustered several times by itself, and what counts is how
often two pictures fall together (Fred and Jain, "Combining Multiple Clusterings Using Evidence Accumulation", TPAMI
2005). `join_partitions` says how that is done without a matrix of n x n.

The same seed gives the same clusters on the same machine: all sums are made in one thread, in one order.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from focusedfashion import settings
from focusedfashion.encoders import Encoder
from focusedfashion.errors import MissingExtra, QueryError
from focusedfashion.labels import Labels, find_label_columns, read_labels
from focusedfashion.report.figures import Trouble
from focusedfashion.study.views import Floats, encode_rows, read_rows

if find_spec("sklearn") is None:
    raise MissingExtra("clustering", "study")

from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.extmath import randomized_svd
from threadpoolctl import threadpool_limits

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Kind = Literal["encoder", "encoder joined", "side by side", "ensemble", "chance"]

_STARTS = 10  # of k-means where its clusters are shown or scored; the best by its own sum of squares is taken
_POWERS = 20  # iterations of the randomized SVD (Halko, Martinsson and Tropp 2011)
_SHUFFLES = 20  # of the pictures, for what chance would give


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well clusters agree with the labels of one column; both in 0..1, and `measure_agreement` defines them."""

    nmi: float
    purity: float


@dataclass(frozen=True, slots=True)
class Method:
    """One way to cluster, how many clusters it gave, and per label column how well they agree with it.

    Kinds: "encoder", k-means on one encoder's features; "encoder joined", its partitions joined, without the others;
    "side by side", k-means on the features of all, one behind the other; "ensemble", the partitions of all joined;
    "chance", the ensemble's clusters with the pictures dealt anew.
    """

    name: str
    kind: Kind
    clusters: int
    agreement: Mapping[str, Agreement]


@dataclass(frozen=True, slots=True)
class LabelShare:
    """A label within a cluster: the pictures that have it, and their share of those with any label of its column.

    `lift` is how many times the label's share of all pictures that is.
    """

    label: str
    pictures: int
    share: float
    lift: float


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster of the ensemble, shown by some pictures: numbers into the clustering's `item_ids`.

    `shown` begins with the medoid, the picture with the smallest sum of squared distances to the others (over all
    encoders' features side by side); the others stand evenly between the nearest to the middle and the farthest.
    `together` is how often two of the cluster's pictures fall together in the partitions that were joined.
    """

    pictures: int
    together: float
    shown: tuple[int, ...]
    labels: Mapping[str, tuple[LabelShare, ...]]


@dataclass(frozen=True, slots=True)
class _Table:
    """The labels of one column, and `truth` bool (n, labels): which picture has which."""

    labels: tuple[str, ...]
    truth: Bools


@dataclass(frozen=True, slots=True)
class EncoderFacts:
    """An encoder that took part."""

    name: str
    fingerprint: str
    dim: int


@dataclass(frozen=True, slots=True)
class Clustering:
    """Pictures in clusters, largest first: `assignment` says the cluster, from 0, of each of `item_ids`.

    `left_out` rows were not in the sample, `failed` rows could not be used, for the reasons in `failures`.
    `labelled` counts, per label column, the pictures that have a label of it: the others do not count there.
    `thumbnails` has the small JPEGs of the pictures that are shown.
    """

    name: str
    made: str
    seed: int
    encoders: tuple[EncoderFacts, ...]
    left_out: int
    failed: int
    failures: tuple[Trouble, ...]
    labelled: Mapping[str, int]
    methods: tuple[Method, ...]
    clusters: tuple[Cluster, ...]
    item_ids: tuple[str, ...]
    assignment: tuple[int, ...]
    thumbnails: Mapping[int, bytes] = field(repr=False, default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The clustering as JSON shows it: all but the thumbnails; shares have four digits."""
        document = asdict(self)
        del document["thumbnails"]
        rounded: dict[str, Any] = _round(document)
        return rounded


def cluster_sources(
    sources: Sequence[str | Path],
    encoders: Sequence[Encoder],
    *,
    clusters: int = settings.CLUSTERS,
    labels: Sequence[str] = (),
    pictures: int = settings.CLUSTER_PICTURES,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Clustering:
    """Sources (see `read_source`) -> their pictures in `clusters` clusters, by the features of all encoders.

    `labels` names the columns that the clusters are compared with (left out, those whose values repeat); the clusters
    themselves come from the pictures alone. Of more than `pictures` rows an even sample is taken. The sources are read
    twice, so that wrong arguments show before anything is encoded. `on_progress` gets (pictures done, of how many).

    In memory are, for each picture, two bytes for each number of each encoder's features, 3 KB of thumbnail and the
    source's columns, and while one encoder's features are reduced, ten bytes for each of its numbers: at most 1 GB in
    all for 37,854 pictures and two encoders of 256 and 1,280 numbers. Nothing of n x n is ever made.

    Raises SourceError, QueryError where there are too few pictures or no such column, and EncoderError.
    """
    names = _name_encoders(encoders)
    if clusters < 2:
        raise QueryError(f"{clusters} clusters make no sense: give 2 or more")
    name = ", ".join(Path(str(source).rstrip("/")).name or str(source) for source in sources)
    rows = read_rows(sources, pictures, seed)
    columns = list(labels) or find_label_columns(rows.items)
    if columns:
        read_labels(rows.items, columns)  # wrong names are told before minutes of encoding
    _check_number(len(rows.items), clusters, name)
    views = encode_rows(sources, rows, encoders, on_progress)
    _check_number(len(views.items), clusters, name, views.failures)
    tables = _part_labels(read_labels(views.items, columns)) if columns else {}
    with threadpool_limits(1):
        reduced = [reduce_features(views.take_features(place), seed) for place in range(len(encoders))]
        partitions = [make_partitions(view, clusters, seed) for view in reduced]
        beside = reduced[0] if len(reduced) == 1 else np.concatenate(reduced, axis=1)
        found: list[tuple[str, Kind, Ints]] = [
            (each, "encoder", _run_k_means(view, clusters, seed, _STARTS))
            for each, view in zip(names, reduced, strict=True)
        ]
        if len(encoders) > 1:
            found += [
                (f"{each}, joined", "encoder joined", join_partitions(parts, clusters, seed))
                for each, parts in zip(names, partitions, strict=True)
            ]
            found.append(("all side by side", "side by side", _run_k_means(beside, clusters, seed, _STARTS)))
        all_partitions = np.concatenate(partitions, axis=1)
        joined = _order_by_size(join_partitions(all_partitions, clusters, seed))
        found.append(("the ensemble", "ensemble", joined))
    methods = [
        Method(
            each,
            kind,
            len(np.unique(assignment)),
            {column: measure_agreement(assignment, table.truth) for column, table in tables.items()},
        )
        for each, kind, assignment in found
    ]
    if tables:
        by_chance = {column: _measure_chance(joined, table.truth, seed) for column, table in tables.items()}
        methods.append(Method("by chance", "chance", len(np.unique(joined)), by_chance))
    shown = _describe_clusters(joined, beside, all_partitions, tables)
    return Clustering(
        name,
        datetime.now(UTC).isoformat(timespec="seconds"),
        seed,
        tuple(EncoderFacts(each, e.fingerprint, e.dim) for each, e in zip(names, encoders, strict=True)),
        rows.left_out,
        views.failed,
        views.failures,
        {column: int(table.truth.any(axis=1).sum()) for column, table in tables.items()},
        tuple(methods),
        tuple(shown),
        tuple(item.item_id for item in views.items),
        tuple(joined.tolist()),
        {picture: views.thumbnails[picture] for cluster in shown for picture in cluster.shown},
    )


def reduce_features(features: NDArray[np.float32], seed: int = 0) -> Floats:
    """Features float32 (n, d) -> float32 (n, at most settings.CLUSTER_NUMBERS): centered, of total variance 1.

    Of more numbers the main components are kept (PCA by randomized SVD; Halko, Martinsson and Tropp 2011). Equal
    variance lets every encoder count the same where they stand side by side.
    """
    centered = features - features.mean(axis=0)
    if min(centered.shape) > settings.CLUSTER_NUMBERS:
        # Its own pass over the numbers would copy them once more.
        reducer = PCA(settings.CLUSTER_NUMBERS, svd_solver="randomized", random_state=seed, copy=False)
        centered = reducer.fit_transform(centered).astype(np.float32)
    spread = np.sqrt(float(centered.var(axis=0, dtype=np.float64).sum()))
    reduced: Floats = centered / np.float32(max(spread, 1e-12))
    return reduced


def make_partitions(view: Floats, clusters: int, seed: int = 0) -> Ints:
    """A view float32 (n, d) -> int64 (n, settings.CLUSTER_RUNS): each column a k-means partition of its own.

    They differ in their start and in their number of clusters, drawn from `clusters` to twice as many: partitions that
    are all alike would add nothing to each other.
    """
    random = np.random.default_rng(seed)
    parts = [
        _run_k_means(view, int(random.integers(clusters, 2 * clusters + 1)), int(random.integers(2**31)), 1)
        for _ in range(settings.CLUSTER_RUNS)
    ]
    return np.stack(parts, axis=1)


def join_partitions(partitions: Ints, clusters: int, seed: int = 0) -> Ints:
    """Partitions int64 (n, p) -> one of at most `clusters` clusters, int64 (n,), numbered from 0 without gaps.

    Two pictures are the closer, the more of the partitions have them in one cluster; a small cluster says more than a
    large one. That is the spectral cut of the graph between pictures and clusters (Fern and Brodley, "Solving Cluster
    Ensemble Problems by Bipartite Graph Partitioning", ICML 2004). Its matrix of n x n, the co-association matrix with
    each common cluster divided by its size, is B B' with B sparse, (n, all clusters of all partitions), p entries in a
    row. So its eigenvectors are B's left singular vectors, and it is never made. Each is scaled by its eigenvalue, as
    in diffusion maps (Coifman and Lafon 2006): what most partitions agree on counts more than what a few do.
    """
    marks = _mark_clusters(partitions)
    sizes = np.asarray(marks.sum(axis=0), np.float64).ravel()
    graph = marks.astype(np.float64) @ sparse.diags(1 / np.sqrt(sizes))
    rank = min(clusters, *graph.shape)
    # Not ARPACK: where eigenvalues are equal, SciPy's restarts are random, whatever the seed.
    vectors, values, _ = randomized_svd(graph, rank, n_oversamples=rank, n_iter=_POWERS, random_state=seed)
    points = vectors * values**2
    points /= np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
    points = points.round(6)  # what differs in the last digits only is the same
    return _run_k_means(points, clusters, seed, _STARTS)


def measure_agreement(assignment: Ints, table: Bools) -> Agreement:
    """Clusters int64 (n,) against the labels of one column, bool (n, labels), over the pictures that have one.

    NMI is the mutual information of cluster and label over the mean of their entropies (as scikit-learn's
    `normalized_mutual_info_score`); a picture with several labels counts as a part of each. Purity is the share of
    pictures that have their cluster's most frequent label (Manning, Raghavan and Schütze, "Introduction to Information
    Retrieval", 2008, section 16.3). Both grow with the number of clusters, so compare them at the same number only.

    >>> measure_agreement(np.array([0, 0, 1, 1]), np.array([[1, 0], [1, 0], [0, 1], [0, 1]], bool))
    Agreement(nmi=1.0, purity=1.0)
    """
    known = table.any(axis=1)
    table, assignment = table[known], assignment[known]
    if not len(table):
        return Agreement(0.0, 0.0)
    counts = _count(assignment, table.astype(np.float64))
    joint = _count(assignment, table / table.sum(axis=1, keepdims=True)) / len(table)
    own, others = joint.sum(axis=1, keepdims=True), joint.sum(axis=0, keepdims=True)
    there = joint > 0
    information = float((joint[there] * np.log(joint[there] / (own * others)[there])).sum())
    entropy = (_entropy(own) + _entropy(others)) / 2
    nmi = 1.0 if entropy == 0 else min(1.0, max(0.0, information / entropy))
    return Agreement(nmi, float(counts.max(axis=1).sum() / len(table)))


def _measure_chance(assignment: Ints, table: Bools, seed: int) -> Agreement:
    """The mean agreement of clusters of these sizes whose pictures were dealt anew."""
    random = np.random.default_rng(seed)
    found = [measure_agreement(random.permutation(assignment), table) for _ in range(_SHUFFLES)]
    return Agreement(float(np.mean([each.nmi for each in found])), float(np.mean([each.purity for each in found])))


def _run_k_means(points: Any, clusters: int, seed: int, starts: int) -> Ints:
    """Points (n, d), dense or sparse -> their clusters int64 (n,), numbered from 0 without gaps."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different points than clusters: it gives fewer
        found = KMeans(min(clusters, points.shape[0]), n_init=starts, random_state=seed).fit_predict(points)
    numbered: Ints = np.unique(found, return_inverse=True)[1].astype(np.int64)
    return numbered


def _mark_clusters(partitions: Ints) -> Any:
    """Partitions int64 (n, p) -> sparse float32 (n, all their clusters): 1 for each cluster that a picture is in."""
    n, p = partitions.shape
    starts = np.concatenate([[0], np.cumsum(partitions.max(axis=0) + 1)])
    places = (partitions + starts[:-1]).ravel()
    return sparse.csr_matrix((np.ones(n * p, np.float32), places, np.arange(0, n * p + 1, p)), (n, int(starts[-1])))


def _order_by_size(assignment: Ints) -> Ints:
    order = np.argsort(-np.bincount(assignment), kind="stable")
    ordered: Ints = np.argsort(order, kind="stable")[assignment]
    return ordered


def _describe_clusters(assignment: Ints, view: Floats, partitions: Ints, tables: Mapping[str, _Table]) -> list[Cluster]:
    marks = _mark_clusters(partitions)
    described = []
    for number in range(int(assignment.max()) + 1):
        rows = np.flatnonzero(assignment == number)
        distances = ((view[rows] - view[rows].mean(axis=0)) ** 2).sum(axis=1)
        # Squared distances to the others sum to a constant and n times the one to the mean: the first is the medoid.
        nearest = rows[np.argsort(distances, kind="stable")]
        places = np.linspace(0, len(rows) - 1, min(settings.CLUSTER_SHOWN, len(rows))).round().astype(int)
        parts = np.asarray(marks[rows].sum(axis=0), np.float64).ravel()
        pairs = (parts * (parts - 1)).sum() / partitions.shape[1] / max(1, len(rows) * (len(rows) - 1))
        shares = {column: _list_labels(rows, table) for column, table in tables.items()}
        described.append(
            Cluster(
                len(rows),
                float(pairs) if len(rows) > 1 else 1.0,
                tuple(nearest[places].tolist()),
                {column: found for column, found in shares.items() if found},
            )
        )
    return described


def _list_labels(rows: Ints, table: _Table) -> tuple[LabelShare, ...]:
    """The most frequent labels of a column within these rows."""
    truth = table.truth[rows]
    counts, known = truth.sum(axis=0), int(truth.any(axis=1).sum())
    best = [place for place in np.argsort(-counts, kind="stable")[: settings.CLUSTER_LABELS] if counts[place]]
    usual = table.truth.sum(axis=0) / table.truth.any(axis=1).sum()
    return tuple(
        LabelShare(table.labels[at], int(counts[at]), float(counts[at] / known), float(counts[at] / known / usual[at]))
        for at in best
    )


def _part_labels(labels: Labels) -> dict[str, _Table]:
    """The columns' labels apart from each other, without the column before each."""
    columns = sorted(set(labels.columns))
    tables = {}
    for column in columns:
        places = [place for place, owner in enumerate(labels.columns) if owner == column]
        prefix = f"{column}: " if len(columns) > 1 else ""
        tables[column] = _Table(
            tuple(labels.names[place].removeprefix(prefix) for place in places), labels.truth[:, places]
        )
    return tables


def _count(assignment: Ints, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Clusters (n,) and weights (n, labels) -> their sums, (clusters, labels)."""
    counts = np.zeros((int(assignment.max()) + 1, weights.shape[1]))
    np.add.at(counts, assignment, weights)
    return counts


def _entropy(shares: NDArray[np.float64]) -> float:
    some = shares[shares > 0]
    return float(-(some * np.log(some)).sum())


def _name_encoders(encoders: Sequence[Encoder]) -> list[str]:
    """Names to show: the folders of this machine are nobody's business in a page that is sent around."""
    if not encoders:
        raise QueryError("clustering needs an encoder or several: give 'builtin' or the folders of saved ones")
    names = [Path(encoder.name).name for encoder in encoders]
    for place, encoder in enumerate(encoders):
        for earlier in encoders[:place]:
            if earlier.fingerprint == encoder.fingerprint:
                raise QueryError(f"{encoder.name} is the same encoder as {earlier.name}: give each once")
    return [
        f"{name} ({encoder.fingerprint[:4]})" if names.count(name) > 1 else name
        for name, encoder in zip(names, encoders, strict=True)
    ]


def _check_number(pictures: int, clusters: int, name: str, failures: Sequence[Trouble] = ()) -> None:
    if pictures > clusters:
        return
    reason = f" ({failures[0].count:,} failed: {failures[0].reason})" if failures else ""
    if not pictures:
        raise QueryError(f"{name} has no picture that can be clustered{reason}")
    raise QueryError(f"{name} has {pictures:,} pictures, too few for {clusters:,} clusters{reason}: ask for fewer (-n)")


def _round(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: _round(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_round(entry) for entry in value]
    return value
