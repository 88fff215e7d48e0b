"""Clusters of pictures by several encoders: the joined partitions, the measures, the page and the command."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from conftest import COLORS, draw_garment
from focusedfashion.cli import main
from focusedfashion.encoders import Encoder
from focusedfashion.errors import QueryError

_REASON = "CLUSTERING NOT TESTED: scikit-learn is not installed (extra 'study')"
reference = pytest.importorskip("sklearn.metrics", reason=_REASON)
sklearn_cluster = pytest.importorskip("sklearn.cluster", reason=_REASON)

from focusedfashion.study.cluster_page import draw_clusters  # noqa: E402
from focusedfashion.study.clusters import (  # noqa: E402
    Clustering,
    cluster_sources,
    join_partitions,
    make_partitions,
    measure_agreement,
    reduce_features,
)

KINDS = ("shirt", "dress", "trousers")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 garments of four colors and three kinds in a CSV; one picture is broken, one missing, one by URL."""
    folder = tmp_path_factory.mktemp("garments")
    rows = []
    for n in range(60):
        color, kind = list(COLORS)[n % 4], n // 4 % 3
        (folder / f"{n:02}.jpg").write_bytes(draw_garment(color, kind, size=(48 + n // 12, 64)))
        tags = json.dumps([color, KINDS[kind]])
        rows.append({"id": f"g{n:02}", "image": f"{n:02}.jpg", "color": color, "kind": KINDS[kind], "tags": tags})
    (folder / "broken.jpg").write_bytes(b"not a picture")
    for name in ("broken.jpg", "missing.jpg", "https://127.0.0.1/g.jpg"):
        rows.append({"id": f"<b>{name}", "image": name, "color": "", "kind": "shirt", "tags": ""})
    path = folder / "garments.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture(scope="module")
def clustering(table: Path, tiny_encoder: Encoder, other_encoder: Encoder) -> Clustering:
    return cluster_sources([table], [tiny_encoder, other_encoder], clusters=8, labels=["color", "kind"])


def draw_groups(groups: int, each: int, noise: float, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    truth = np.repeat(np.arange(groups), each)
    points = random.normal(size=(groups, 6))[truth] * 3 + random.normal(scale=noise, size=(groups * each, 6))
    return points.astype(np.float32), truth


def score(assignment: NDArray[np.int64], truth: NDArray[np.int64]) -> float:
    return float(reference.normalized_mutual_info_score(truth, assignment))


# The ensemble


def test_joined_partitions_are_better_than_each_of_them() -> None:
    random = np.random.default_rng(3)
    truth = np.repeat(np.arange(5), 60)
    wrong = random.random((300, 15)) < 0.3
    partitions = np.where(wrong, random.integers(0, 5, (300, 15)), truth[:, None])
    partitions = np.stack([random.permutation(5)[column] for column in partitions.T], axis=1)  # numbers mean nothing
    assert max(score(column, truth) for column in partitions.T) < 0.65
    assert score(join_partitions(partitions, 5), truth) > 0.98


def test_views_that_each_see_a_part_see_the_whole_together() -> None:
    """One view tells two groups from the other two, the other view tells which of the two."""
    random = np.random.default_rng(5)
    truth = np.repeat(np.arange(4), 50)
    views = [
        np.stack([part + random.normal(scale=0.15, size=200) for _ in range(3)], axis=1).astype(np.float32)
        for part in (truth // 2, truth % 2)
    ]
    parts = [make_partitions(reduce_features(view), 2) for view in views]
    alone = [score(join_partitions(part, 4), truth) for part in parts]
    assert max(alone) < 0.75
    assert score(join_partitions(np.concatenate(parts, axis=1), 4), truth) > 0.95


def test_the_matrix_that_is_never_made_would_give_the_same() -> None:
    points, _ = draw_groups(4, 30, 2.0, seed=1)
    partitions = make_partitions(points, 4)
    together = np.zeros((120, 120))
    for column in partitions.T:
        sizes = np.bincount(column)[column]
        together += (column[:, None] == column) / np.sqrt(sizes[:, None] * sizes)
    values, vectors = np.linalg.eigh(together)
    rows = vectors[:, -4:] * values[-4:]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    naive = sklearn_cluster.KMeans(4, n_init=10, random_state=0).fit_predict(rows)
    assert score(join_partitions(partitions, 4), naive) == pytest.approx(1)


def test_partitions_differ_in_their_number_of_clusters() -> None:
    points, _ = draw_groups(6, 40, 1.0, seed=2)
    counts = {len(np.unique(column)) for column in make_partitions(points, 6).T}
    assert len(counts) > 2 and min(counts) >= 6 and max(counts) <= 12


def test_encoders_count_the_same_whatever_their_scale() -> None:
    random = np.random.default_rng(0)
    small = reduce_features((random.normal(size=(300, 200)) * 1e-3 + 7).astype(np.float32))
    large = reduce_features((random.normal(size=(300, 5)) * 1e3).astype(np.float32))
    assert small.shape == (300, 128) and large.shape == (300, 5)
    for view in (small, large):
        assert view.var(axis=0).sum() == pytest.approx(1, abs=1e-3)
        assert abs(view.mean(axis=0)).max() < 1e-3


def test_pictures_that_are_all_the_same_are_one_cluster() -> None:
    view = reduce_features(np.ones((40, 8), np.float32))
    assert set(join_partitions(make_partitions(view, 5), 5)) == {0}


# The measures


def test_measures_are_those_of_scikit_learn_and_of_a_loop() -> None:
    random = np.random.default_rng(7)
    for clusters, labels in ((3, 5), (8, 2), (1, 4)):
        assignment, label = random.integers(0, clusters, 200), random.integers(0, labels, 200)
        found = measure_agreement(assignment, np.eye(labels, dtype=bool)[label])
        assert found.nmi == pytest.approx(score(assignment, label), abs=1e-9)
        right = 0
        for cluster in range(clusters):
            inside = [int(label[n]) for n in range(200) if assignment[n] == cluster]
            right += Counter(inside).most_common(1)[0][1] if inside else 0
        assert found.purity == pytest.approx(right / 200)


def test_a_picture_with_several_labels_is_pure_by_any_of_them() -> None:
    table = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 1], [0, 0, 0]], bool)
    found = measure_agreement(np.array([0, 0, 1, 1, 1]), table)
    assert found.purity == 1  # the picture without a label does not count
    # By hand: joint (.375, .125, 0), (0, .125, .375); both clusters .5; labels .375, .25, .375.
    information = 2 * 0.375 * np.log(0.375 / (0.5 * 0.375))
    entropies = np.log(2), -(2 * 0.375 * np.log(0.375) + 0.25 * np.log(0.25))
    assert found.nmi == pytest.approx(information / np.mean(entropies))


# The whole


def test_planted_kinds_are_found(clustering: Clustering) -> None:
    methods = {method.name: method for method in clustering.methods}
    assert list(methods) == [
        "tiny", "other", "tiny, joined", "other, joined", "all side by side", "the ensemble", "by chance",
    ]  # fmt: skip
    ensemble, chance = methods["the ensemble"].agreement, methods["by chance"].agreement
    for column in ("color", "kind"):
        assert ensemble[column].purity > chance[column].purity + 0.1
        assert ensemble[column].nmi > chance[column].nmi + 0.2
    assert clustering.labelled == {"color": 60, "kind": 60}


def test_figures_can_be_computed_again_from_the_json(clustering: Clustering, table: Path) -> None:
    document = json.loads(json.dumps(clustering.to_dict()))
    with table.open(encoding="utf-8") as file:
        colors = {row["id"]: row["color"] for row in csv.DictReader(file)}
    truth = [colors[item_id] for item_id in document["item_ids"]]
    ensemble = next(method for method in document["methods"] if method["kind"] == "ensemble")
    again = reference.normalized_mutual_info_score(truth, document["assignment"])
    assert ensemble["agreement"]["color"]["nmi"] == pytest.approx(again, abs=1e-4)
    sizes = [cluster["pictures"] for cluster in document["clusters"]]
    assert sizes == [document["assignment"].count(number) for number in range(len(sizes))]
    assert sizes == sorted(sizes, reverse=True) and sum(sizes) == 60


def test_clusters_are_described_by_their_own_pictures(clustering: Clustering, table: Path) -> None:
    with table.open(encoding="utf-8") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    for number, cluster in enumerate(clustering.clusters):
        inside = [i for i, place in zip(clustering.item_ids, clustering.assignment, strict=True) if place == number]
        assert {clustering.item_ids[picture] for picture in cluster.shown} <= set(inside)
        assert len(cluster.shown) == len(set(cluster.shown)) == min(12, len(inside))
        label, count = Counter(rows[item_id]["color"] for item_id in inside).most_common(1)[0]
        first = cluster.labels["color"][0]
        assert (first.pictures, first.share) == (count, count / len(inside))
        assert first.lift == pytest.approx(first.share / (15 / 60))  # 15 of each color
        assert first.label == label or [s.pictures for s in cluster.labels["color"]].count(count) > 1
        assert 0 <= cluster.together <= 1
        assert all(clustering.thumbnails[picture][:2] == b"\xff\xd8" for picture in cluster.shown)


def test_medoid_and_together_are_those_of_a_loop() -> None:
    from focusedfashion.study.clusters import _describe_clusters

    points, truth = draw_groups(3, 14, 1.5, seed=4)
    partitions = make_partitions(points, 3)
    for number, cluster in enumerate(_describe_clusters(truth, points, partitions, {})):
        rows = np.flatnonzero(truth == number)
        costs = [sum(float(((points[a] - points[b]) ** 2).sum()) for b in rows) for a in rows]
        assert cluster.shown[0] == rows[int(np.argmin(costs))]
        pairs = [(partitions[a] == partitions[b]).mean() for a in rows for b in rows if a != b]
        assert cluster.together == pytest.approx(np.mean(pairs))


def test_the_same_seed_gives_the_same(table: Path, tiny_encoder: Encoder, other_encoder: Encoder) -> None:
    first, second = (
        replace(cluster_sources([table], [tiny_encoder, other_encoder], clusters=6, seed=4), made="") for _ in range(2)
    )
    assert first == second and first.thumbnails == second.thumbnails
    assert list(first.labelled) == ["color", "kind", "tags"]  # found by themselves; lists too


def test_one_encoder_is_enough(table: Path, tiny_encoder: Encoder) -> None:
    clustering = cluster_sources([table], [tiny_encoder], clusters=5, labels=["color"])
    assert [method.kind for method in clustering.methods] == ["encoder", "ensemble", "chance"]
    assert "k-means alone" in draw_clusters(clustering)


def test_rows_that_cannot_be_used_are_counted(clustering: Clustering, table: Path) -> None:
    assert len(clustering.item_ids) == 60 and clustering.failed == 3
    reasons = " ".join(trouble.reason for trouble in clustering.failures)
    assert "not a picture" in reasons and "no such file" in reasons and "URL" in reasons
    assert str(table.parent) not in json.dumps(clustering.to_dict()) + draw_clusters(clustering)


def test_of_many_rows_a_sample_is_taken(table: Path, tiny_encoder: Encoder) -> None:
    told: list[tuple[int, int]] = []
    clustering = cluster_sources(
        [table], [tiny_encoder], clusters=3, pictures=30, on_progress=lambda done, total: told.append((done, total))
    )
    assert (
        clustering.left_out == 32 and len(clustering.item_ids) + clustering.failed == 30 + 1
    )  # a row without a picture
    assert told[-1] == (30, 30) and "An even sample: 32 more" in draw_clusters(clustering)


def test_two_sources_are_one(table: Path, tiny_encoder: Encoder) -> None:
    clustering = cluster_sources([table, table], [tiny_encoder], clusters=3, labels=["color"])
    assert len(clustering.item_ids) == 60
    assert any(trouble.reason == "the id came before" and trouble.count == 62 for trouble in clustering.failures)


def test_the_page_needs_nothing_else(clustering: Clustering) -> None:
    page = draw_clusters(clustering)
    assert page.count("<article") == len(clustering.clusters)
    assert page.count("data:image/jpeg;base64,") >= len(clustering.thumbnails)
    assert not re.search(r"<script|https?://(?!127)|<b>|src=\"(?!data:)", page)
    assert "&lt;b&gt;broken.jpg" in page  # a stranger's id is text


def test_wrong_arguments_are_told_before_anything_is_encoded(
    table: Path, tiny_encoder: Encoder, other_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Encoder, "encode_pixels", lambda *_: pytest.fail("encoded"))
    for encoders, options, words in (
        ([tiny_encoder], {"labels": ["colr"]}, "did you mean 'color'"),
        ([tiny_encoder], {"clusters": 1}, "give 2 or more"),
        ([tiny_encoder], {"clusters": 63}, "too few for 63 clusters"),
        ([tiny_encoder, other_encoder, tiny_encoder], {}, "give each once"),
        ([], {}, "needs an encoder"),
    ):
        with pytest.raises(QueryError, match=words):
            cluster_sources([table], encoders, **options)  # type: ignore[arg-type]


def test_the_command(
    table: Path, encoder_folder: Path, other_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "clusters.html"
    words = ["cluster", str(table), "--encoder", str(encoder_folder), "--encoder", str(other_folder), "-n", "6"]
    assert main([*words, "-o", str(page), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert len(document["item_ids"]) == len(document["assignment"]) == 60
    assert document["encoders"][0]["name"] == "tiny" and "<title>garments.csv" in page.read_text(encoding="utf-8")
    assert main([*words, "-o", str(page), "--label", "color"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("color: NMI 0.") and "60 pictures in 6 clusters, 3 rows failed" in printed


@pytest.mark.parametrize(
    "words, told",
    [
        (["--encoder", "nowhere"], "no encoder 'nowhere'"),
        (["--label", "shade"], "no column 'shade'"),
        (["-n", "500"], "too few for 500 clusters"),
    ],
)
def test_an_error_is_one_line(table: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cluster", str(table), *words]) == 1
    captured = capsys.readouterr()
    assert told in captured.err and len(captured.err.strip().splitlines()) == 1 and not captured.out


def test_no_picture_at_all(tmp_path: Path, tiny_encoder: Encoder) -> None:
    for n in range(8):
        (tmp_path / f"{n}.jpg").write_bytes(b"nothing")
    with pytest.raises(QueryError, match=r"no picture that can be clustered \(8 failed: not a picture"):
        cluster_sources([tmp_path], [tiny_encoder], clusters=3)
