"""Studies: figures against naive loops over the saved vectors, fair splits, engines, a page that lets nothing in."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from conftest import COLORS, draw_garment
from focusedfashion.cli import main
from focusedfashion.errors import QueryError
from focusedfashion.labels import Labels
from focusedfashion.study import engines
from focusedfashion.study.cost import count_graph, measure_times
from focusedfashion.study.data import part_rows, read_rows
from focusedfashion.study.effects import compare_settings, compare_with_best
from focusedfashion.study.engines import build_engine, compare_engines
from focusedfashion.study.figures import Study
from focusedfashion.study.markdown import draw_markdown
from focusedfashion.study.neighbors import find_nearest, score_neighbors, vote
from focusedfashion.study.page import draw_study
from focusedfashion.study.raw import RawPixels
from focusedfashion.study.run import compare
from focusedfashion.study.scores import UNKNOWN, Predicted, Samples, find_rare, score_prediction
from focusedfashion.study.words import PREDECESSOR

KINDS = ("shirt", "dress", "trousers")


def write_source(folder: Path, split: bool = True, count: int = 72) -> Path:
    """A table of drawn garments with the columns color, kind and tags (a list), and every fourth row for the test."""
    (folder / "pictures").mkdir(parents=True)
    with (folder / "shop.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "image", "color", "kind", "tags", *(["split"] if split else [])])
        for n in range(count):
            color, kind, stripes = list(COLORS)[n % 4], n // 4 % 3, n // 12
            (folder / "pictures" / f"{n}.jpg").write_bytes(draw_garment(color, kind, stripes))
            tags = f"{color}|{KINDS[kind]}" + ("|striped" if stripes else "")
            part = "test" if n % 5 == 0 else "validation" if n % 5 == 1 else "train"
            writer.writerow([n, f"pictures/{n}.jpg", color, KINDS[kind], tags, *([part] if split else [])])
    return folder / "shop.csv"


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def folder(source: Path, encoder_folder: Path, other_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies") / "study"
    compare([str(encoder_folder), str(other_folder)], str(source), folder, labels=["color"])
    return folder


@pytest.fixture(scope="module")
def study(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "study.json").read_text())
    return document


def get_encoder(study: dict[str, Any], name: str) -> dict[str, Any]:
    return next(entry for entry in study["encoders"] if entry["name"] == name)


# Figures


def test_neighbor_figures_are_those_of_naive_loops_over_the_saved_vectors(folder: Path, study: dict[str, Any]) -> None:
    rows = read_table(folder / "vectors" / "rows.csv")
    parts = [row["part"] for row in rows]
    saved = np.load(folder / "vectors" / "labels.npz")
    for name in ("tiny", "other", "raw pixels"):
        vectors = np.load(folder / "vectors" / f"{name}.npy")
        tests = [n for n, part in enumerate(parts) if part == "test"]
        others = [n for n, part in enumerate(parts) if part != "test"]
        precisions, recalls, averages = [], [], []
        for query in tests:
            ranked = sorted(others, key=lambda n, q=query: (-round(float(vectors[q] @ vectors[n]), 6), n))[:5]
            right = [bool((saved["truth"][query] & saved["truth"][n]).any()) for n in ranked]
            total = sum(bool((saved["truth"][query] & saved["truth"][n]).any()) for n in others)
            precisions.append(sum(right) / 5)
            recalls.append(float(any(right)))
            hits = [sum(right[: rank + 1]) / (rank + 1) for rank in range(5) if right[rank]]
            averages.append(sum(hits) / min(5, total))
        found = get_encoder(study, name)["retrieval"]["color"]
        assert found["precision"]["value"] == pytest.approx(np.mean(precisions), abs=1e-6)
        assert found["recall"]["value"] == pytest.approx(np.mean(recalls), abs=1e-6)
        assert found["mean_average_precision"]["value"] == pytest.approx(np.mean(averages), abs=1e-6)
        assert found["precision"]["low"] <= found["precision"]["value"] <= found["precision"]["high"]


def test_label_figures_are_those_of_naive_loops_over_the_saved_scores(folder: Path, study: dict[str, Any]) -> None:
    saved, head = np.load(folder / "vectors" / "labels.npz"), np.load(folder / "vectors" / "tiny.scores.npz")
    truth = saved["truth"][: len(head["scores"])]
    found = get_encoder(study, "tiny")["prediction"]
    assert found["how"] == "head"
    for key, limits in (("half", np.full(truth.shape[1], 0.5)), ("chosen", head["thresholds"])):
        each, cells = [], [0, 0, 0]
        for label in range(truth.shape[1]):
            is_it, said = truth[:, label], head["scores"][:, label] >= np.float32(limits[label])
            hits, wrong, missed = (is_it & said).sum(), (~is_it & said).sum(), (is_it & ~said).sum()
            each.append(2 * hits / (2 * hits + wrong + missed))
            cells = [cells[0] + hits, cells[1] + wrong, cells[2] + missed]
        assert found[key]["macro"]["value"] == pytest.approx(np.mean(each), abs=1e-6)
        assert found[key]["micro"]["value"] == pytest.approx(
            2 * cells[0] / (2 * cells[0] + cells[1] + cells[2]), abs=1e-6
        )
    first = head["scores"].argmax(axis=1)
    assert found["top_k_accuracy"]["1"]["value"] == pytest.approx(truth[np.arange(len(truth)), first].mean(), abs=1e-6)


def test_study_says_all_that_a_result_section_needs(study: dict[str, Any], folder: Path) -> None:
    assert study["rows"] == {"train": 42, "validation": 15, "test": 15}
    assert study["gallery"] == 57
    tiny, raw = get_encoder(study, "tiny"), get_encoder(study, "raw pixels")
    assert (tiny["kind"], raw["kind"]) == ("encoder", "raw pixels")
    assert raw["dim"] == 7500
    assert raw["prediction"]["how"] == "vote"
    assert raw["prediction"]["chosen"] is None
    assert tiny["cost"]["milliseconds"] > 0
    assert tiny["prediction"]["calibration"]["error"] >= 0
    assert {entry["measure"] for entry in study["differences"]} == {"macro-F1", "rare macro-F1", "label overlap"}
    assert len(study["recommendations"]) == 6
    assert all(set(entry["answers"]) == {"tiny", "other", "raw pixels"} for entry in study["recommendations"])
    assert {entry["engine"] for entry in study["engines"]} >= {"FocusedFashion", "Annoy"}
    text = (folder / "study.md").read_text()
    assert "![" not in text and "data:" not in text and "<img" not in text
    for title in ("Findings", "Labels predicted", "Cost", "Neighbors by", "Calibration", "Engines"):
        assert f"## {title}" in text


def test_second_call_encodes_nothing_anew(folder: Path, source: Path, encoder_folder: Path, other_folder: Path) -> None:
    times = {path.name: path.stat().st_mtime_ns for path in (folder / "vectors").glob("*.npy")}
    before = json.loads((folder / "study.json").read_text())
    compare([str(encoder_folder), str(other_folder)], str(source), folder, labels=["color"])
    assert {path.name: path.stat().st_mtime_ns for path in (folder / "vectors").glob("*.npy")} == times
    after = json.loads((folder / "study.json").read_text())
    assert after["encoders"][0]["prediction"] == before["encoders"][0]["prediction"]


def test_head_for_other_labels_is_not_asked(source: Path, encoder_folder: Path, tmp_path: Path) -> None:
    study = compare([str(encoder_folder)], str(source), tmp_path / "study", labels=["kind"])
    assert study.encoders[0].prediction.how == "vote"
    assert [label.name for label in study.labels] == sorted(KINDS)


def test_chosen_photos_and_lists_of_labels(source: Path, encoder_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "red.jpg").write_bytes(draw_garment("red", 1, 2))
    (tmp_path / "mine" / "broken.jpg").write_bytes(b"no picture")
    study = compare(
        [str(encoder_folder)], str(source), tmp_path / "s", labels=["tags"], queries=str(tmp_path / "mine"), k=3
    )
    (query,) = study.recommendations
    assert query.item_id == "red.jpg"
    assert all(len(answers) == 3 and answers[0].shared is None for answers in query.answers.values())
    assert 0 < study.encoders[0].overlap.value < 1


def test_gallery_can_be_a_sample(source: Path, encoder_folder: Path, tmp_path: Path) -> None:
    study = compare([str(encoder_folder)], str(source), tmp_path / "study", labels=["color"], gallery=20)
    assert study.gallery == 20
    assert study.rows["test"] == 15
    assert study.left_out == {"not in the sample of the gallery": 37}


def test_rows_without_a_value_count_neither_for_nor_against() -> None:
    truth = np.array([[1, 0], [1, 0], [0, 1], [0, 0]], bool)
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.7], [UNKNOWN, UNKNOWN]], np.float32)
    rare = np.array([False, True])
    with_it, _ = score_prediction(truth, Predicted("head", scores, None), rare)
    without, _ = score_prediction(truth[:3], Predicted("head", scores[:3], None), rare)
    assert with_it.half.macro.value == without.half.macro.value == 1.0
    assert with_it.mean_average_precision.value == without.mean_average_precision.value == 1.0
    assert with_it.calibration is not None and without.calibration is not None
    assert with_it.calibration.error == pytest.approx(without.calibration.error)


def test_intervals_lie_around_the_figure_where_many_labels_are_rare() -> None:
    """A label with one test row is missing from a third of the draws, and its F1 of 0 with it."""
    truth = np.zeros((200, 60), bool)
    truth[np.arange(60), np.arange(60)] = True  # labels of one row, never found
    truth[:, :3] |= np.random.default_rng(0).random((200, 3)) < 0.4
    scores = np.where(truth & (np.arange(60) < 3), 0.9, 0.1).astype(np.float32)
    scores[::9] = 0.1
    figures, samples = score_prediction(truth, Predicted("head", scores, None), np.arange(60) >= 40)
    for figure in (figures.half.macro, figures.mean_average_precision):
        assert figure.low < figure.value < figure.high
        assert figure.high - figure.value < 2 * (figure.value - figure.low)
    assert samples.values["macro-F1"].mean() == pytest.approx(figures.half.macro.value, abs=1e-6)


def test_rarest_third_has_rows_on_both_sides() -> None:
    rare = find_rare([50, 3, 0, 2, 40, 9, 30], np.array([9, 1, 4, 0, 8, 2, 7]))
    assert list(np.flatnonzero(rare)) == [1], "of the five labels that are on both sides a third is one"


@pytest.mark.parametrize("pieces", [(8, 3), (1000, 1000)])
def test_nearest_are_those_of_a_full_sort(pieces: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    from focusedfashion.study import neighbors

    monkeypatch.setattr(neighbors, "_GALLERY", pieces[0])
    monkeypatch.setattr(neighbors, "_QUERIES", pieces[1])
    random = np.random.default_rng(0)
    gallery = random.integers(-2, 3, (60, 3)).astype(np.float32)  # many ties
    queries = random.integers(-2, 3, (11, 3)).astype(np.float32)
    rows, scores = find_nearest(queries, gallery, 7)
    expected = np.argsort(-(queries @ gallery.T), axis=1, kind="stable")[:, :7]
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_allclose(scores, np.take_along_axis(queries @ gallery.T, expected, axis=1))
    assert find_nearest(queries, gallery[:4], 7)[0].shape == (11, 4)


def test_overlap_votes_and_queries_without_a_value() -> None:
    names, columns = ("a", "b", "c: x"), ("tags", "tags", "c")
    there = Labels(
        names, columns, np.array([[1, 1, 0], [0, 1, 1], [0, 0, 0]], bool), np.array([[1, 0], [1, 1], [0, 0]], bool)
    )
    asked = Labels(names, columns, np.array([[1, 0, 0], [0, 0, 1]], bool), np.array([[1, 0], [0, 1]], bool))
    nearest = np.array([[0, 1], [1, 2]])
    found, overlap, shares = score_neighbors(nearest, asked, there, ["tags", "c"], 2)
    np.testing.assert_allclose(found["tags"][0], [0.5, 1.0, 1.0, 0.25])  # {a} with {a, b}, {b}
    assert np.isnan(found["tags"][1]).all()
    np.testing.assert_allclose(found["c"][1], [0.5, 1.0, 1.0, 0.5])
    np.testing.assert_allclose(overlap, [0.25, 0.25])  # {x} with {b, x}, {}
    np.testing.assert_allclose(shares, [0.5, np.nan, 0.5])
    np.testing.assert_allclose(vote(nearest, there), [[0.5, 1.0, 0.5], [0.0, 0.5, 0.5]])


def test_raw_pixels_know_no_light_and_no_size() -> None:
    random = np.random.default_rng(0)
    picture = random.integers(0, 200, (50, 50, 3)).astype(np.uint8)
    raw = RawPixels()
    vectors = raw.embed_fitted([raw.fit(picture), raw.fit(picture + 40), raw.fit(np.full((9, 9, 3), 7, np.uint8))])
    assert vectors.shape == (3, 7500)
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 1, 0], atol=1e-5)


# What decided it


def make_samples(**means: float) -> dict[str, Samples]:
    noise = np.random.default_rng(0).normal(0, 0.05, 1_000)
    return {name: Samples({"macro-F1": mean + noise}, {"macro-F1": mean}) for name, mean in means.items()}


def test_differences_are_paired() -> None:
    """Each figure alone is uncertain by far more than the two differ; draw by draw they always do."""
    found = compare_with_best(make_samples(first=0.30, second=0.31, third=0.10), ["macro-F1"])
    assert [entry.second for entry in found] == ["second", "second"]
    assert [entry.first for entry in found] == ["first", "third"]
    assert found[0].value == pytest.approx(0.01)
    assert found[0].sure


def test_recipes_that_differ_in_a_key_say_what_the_key_did() -> None:
    recipes = {
        "a": {"epochs": "10", "dropout": "0.1", "layers": "x"},
        "b": {"epochs": "20", "dropout": "0.1", "layers": "x"},
        "c": {"epochs": "20", "layers": "x"},
        "d": {"epochs": "99", "dropout": "0.9", "layers": "y"},
        "e": {},
    }
    found = compare_settings(make_samples(a=0.1, b=0.2, c=0.25, d=0.3, e=0.1), recipes, ["macro-F1"])
    assert [(entry.first, entry.second, dict(entry.settings)) for entry in found] == [
        ("a", "b", {"epochs": ("10", "20")}),
        ("b", "c", {"dropout": ("0.1", "default")}),
        ("a", "c", {"dropout": ("0.1", "default"), "epochs": ("10", "20")}),
    ]


# Splits


def write_split(folder: Path, parts: dict[str, str]) -> None:
    with (folder / "split.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["data_set", "item_id", "split"])
        writer.writerows(("shop", item_id, part) for item_id, part in parts.items())


def test_no_encoder_is_tested_on_what_it_learned_from(source: Path, encoder_folder: Path, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "two"
    for place in (one, other):
        shutil.copytree(encoder_folder, place)
    write_split(one, {str(n): "test" if n < 20 else "train" for n in range(72)})
    write_split(other, {str(n): "test" if 10 <= n < 30 else "validation" if n < 40 else "train" for n in range(72)})
    study = compare([str(one), str(other)], str(source), tmp_path / "study", labels=["color"])
    assert study.rows == {"train": 42, "validation": 0, "test": 10}
    assert study.left_out == {"a test row of one encoder from which another learned": 20}
    assert [entry.split_known for entry in study.encoders] == [True, True, False]


def test_split_of_another_source_says_nothing(source: Path) -> None:
    items, _ = read_rows(str(source))
    rows = part_rows(items, str(source), [{f"else-{n}": "test" for n in range(72)} | {"5": "train"}])
    assert rows.tests == 15, "the source's own column decides"


def test_copies_and_products_stand_on_one_side(tmp_path: Path) -> None:
    table = write_source(tmp_path, split=False)
    rows = read_table(table)
    for row in rows[:30]:  # each picture once more, under another id
        (tmp_path / row["image"].replace(".jpg", "-again.jpg")).write_bytes((tmp_path / row["image"]).read_bytes())
        rows.append(row | {"id": row["id"] + "-again", "image": row["image"].replace(".jpg", "-again.jpg")})
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    items, _ = read_rows(str(table))
    parted = part_rows(items, str(table), [])
    part = {item.item_id: str(said) for item, said in zip(parted.items, parted.parts, strict=True)}
    assert len(part) == 102
    assert set(part.values()) == {"train", "test"}
    assert all(part[f"{n}"] == part[f"{n}-again"] for n in range(30))


# Cost


def test_times_are_taken_in_turns() -> None:
    order: list[str] = []

    def note(name: str) -> Callable[[], None]:
        return lambda: order.append(name)

    times = measure_times([note("a"), note("b")], rounds=4)
    assert len(order) == 2 * (4 + 3), "three rounds to warm up"
    assert all(set(order[start : start + 2]) == {"a", "b"} for start in range(0, len(order), 2))
    assert {order[start] for start in range(0, len(order), 2)} == {"a", "b"}, "none is always the first"
    assert len(times) == 2


def test_multiply_adds_are_counted(tmp_path: Path) -> None:
    weights = [np.zeros((8, 3, 3, 3), np.float32), np.zeros((8 * 6 * 6, 5), np.float32)]
    nodes = [
        helper.make_node("Conv", ["pictures", "kernel"], ["map"]),
        helper.make_node("Flatten", ["map"], ["flat"]),
        helper.make_node("MatMul", ["flat", "matrix"], ["embedding"]),
    ]
    graph = helper.make_graph(
        nodes,
        "counted",
        [helper.make_tensor_value_info("pictures", TensorProto.FLOAT, ["n", 3, 8, 8])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 5])],
        [onnx.numpy_helper.from_array(value, name) for value, name in zip(weights, ("kernel", "matrix"), strict=True)],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), tmp_path / "model.onnx"
    )
    assert count_graph(tmp_path / "model.onnx") == (8 * 27 + 288 * 5, 8 * 6 * 6 * 27 + 288 * 5)


# Engines


def make_clusters() -> tuple[np.ndarray, np.ndarray]:
    """Twenty clear clusters of ten, float32 (200, 16), and a query in each."""
    random = np.random.default_rng(0)
    middles = random.normal(size=(20, 16))
    vectors = np.repeat(middles, 10, axis=0) + random.normal(0, 0.05, (200, 16))
    return vectors.astype(np.float32), middles.astype(np.float32)


@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
def test_annoy_and_ball_tree_agree_on_clean_data(metric: engines.Metric) -> None:
    """The predecessor's Annoy asked for the neighbors of item 0, whatever the query was."""
    pytest.importorskip("annoy", reason="the comparison of engines needs the extra 'study'")
    pytest.importorskip("sklearn", reason="the comparison of engines needs the extra 'study'")
    vectors, queries = make_clusters()
    with ExitStack() as stack:
        annoy = build_engine("Annoy", metric, vectors, stack)
        tree = build_engine("BallTree (scikit-learn)", metric, vectors, stack)
        answers = [(list(annoy(query, 10)), list(tree(query, 10))) for query in queries]
    for number, (one, other) in enumerate(answers):
        assert one == other
        assert sorted(one) == list(range(10 * number, 10 * number + 10)), "its own cluster"


def test_engines_find_what_is_there() -> None:
    vectors, queries = make_clusters()
    figures = {(entry.engine, entry.metric): entry for entry in compare_engines(vectors, queries, 5)}
    ours = figures["FocusedFashion", "cosine"]
    assert ours.recall == 1.0
    assert ours.query_ms is not None and ours.build_seconds is not None
    for entry in figures.values():
        assert (entry.recall is None) == bool(entry.note), "measured, or a word on why not"


def test_engine_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    vectors, queries = make_clusters()
    figures = compare_engines(vectors, queries[:2], 5)
    assert {entry.engine for entry in figures if entry.recall is not None} == {"FocusedFashion"}
    assert "Annoy is not installed (extra 'study')" in {entry.note for entry in figures}


def test_exact_distances_are_those_of_numpy() -> None:
    vectors, queries = make_clusters()
    for metric, expected in (
        ("euclidean", np.linalg.norm(vectors - queries[3], axis=1)),
        ("manhattan", np.abs(vectors - queries[3]).sum(axis=1)),
        ("cosine", 1 - vectors @ queries[3] / np.linalg.norm(vectors, axis=1) / np.linalg.norm(queries[3])),
    ):
        np.testing.assert_allclose(engines.measure_distances(queries[3], vectors, metric), expected, atol=1e-5)


# The page


def test_page_lets_nothing_in_and_asks_for_nothing(encoder_folder: Path, tmp_path: Path) -> None:
    hostile = "</style><script>alert(1)</script>|<img src=x onerror=alert(2)>"
    table = write_source(tmp_path / "source")
    table.write_text(table.read_text().replace("shirt", hostile.replace("|", "/")))
    study = compare([str(encoder_folder)], str(table), tmp_path / "study", labels=["kind"])
    page, text = draw_study(study), draw_markdown(study)
    assert "<script" not in page
    assert "onerror=alert(2)>" not in page.replace("onerror=alert(2)&gt;", "")
    assert page.count("</style>") == 1
    assert "http://" not in page and "https://" not in page
    assert "\\<script\\>" in text
    assert (tmp_path / "study" / "study.html").read_text() == page


def test_predecessors_figures_stand_apart(folder: Path) -> None:
    page, text = (folder / "study.html").read_text(), (folder / "study.md").read_text()
    for figure in ("0.390 for", "0.396 for"):
        assert page.count(figure) == 1
        assert text.count(figure) == 1
    section = page[page.index('id="predecessor"') :]
    assert PREDECESSOR in section
    assert "<table" not in section


# The command, and what can be wrong


def test_command_prints_findings_or_one_document(
    source: Path, encoder_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["compare", str(encoder_folder), "--data", str(source), "--label", "color", "-o", str(tmp_path / "study")]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "macro-F1" in printed
    assert str(tmp_path / "study" / "study.html") in printed
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["columns"] == ["color"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{encoder}", "--label", "colour"], "no column 'colour' to take labels from; did you mean 'color'?"),
        (["{encoder}", "{encoder}/", "--label", "color"], "two of the encoders and recipes are called 'tiny'"),
        (["{encoder}", "--label", "color", "--queries", "{empty}"], "no picture"),
        (["{empty}", "--label", "color"], "is a folder without an encoder.json: give a saved encoder, or a recipe"),
        (["{encoder}", "--label", "color", "--weights", "jessica=x"], "weights for 'jessica', which is none of tiny"),
    ],
)
def test_what_is_wrong_is_one_line(
    words: list[str],
    message: str,
    source: Path,
    encoder_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty").mkdir()
    given = [word.format(encoder=encoder_folder, empty=tmp_path / "empty") for word in words]
    assert main(["compare", *given, "--data", str(source), "-o", str(tmp_path / "study")]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not (tmp_path / "study" / "study.html").exists()


def test_folder_of_another_study_is_refused(folder: Path, source: Path, encoder_folder: Path) -> None:
    with pytest.raises(QueryError, match="holds a study with other labels: remove it"):
        compare([str(encoder_folder)], str(source), folder, labels=["kind"])


def test_broken_encoder_is_reported_and_the_rest_goes_on(source: Path, encoder_folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(encoder_folder, broken)
    (broken / "model.onnx").write_bytes(b"no graph")
    study = compare([str(broken), str(encoder_folder)], str(source), tmp_path / "study", labels=["color"])
    assert "broken" in study.failed and "cannot be run" in study.failed["broken"]
    assert [entry.name for entry in study.encoders] == ["tiny", "raw pixels"]


def test_pictures_that_do_not_open_are_left_out(encoder_folder: Path, tmp_path: Path) -> None:
    table = write_source(tmp_path / "source")
    for number in (0, 7, 8):
        (tmp_path / "source" / "pictures" / f"{number}.jpg").write_bytes(b"no picture")
    study = compare([str(encoder_folder)], str(table), tmp_path / "study", labels=["color"])
    assert study.left_out == {"whose picture does not open": 3}
    assert study.rows == {"train": 40, "validation": 15, "test": 14}
    rows = read_table(tmp_path / "study" / "vectors" / "rows.csv")
    assert {row["item_id"] for row in rows if row["part"] == "unopened"} == {"0", "7", "8"}


def test_recipes_are_trained_once_and_a_failing_one_does_not_stop_the_others(source: Path, tmp_path: Path) -> None:
    if find_spec("lightning") is None:
        pytest.skip("training needs the extra 'train'")
    recipe = """
        name = "small"
        seed = 1
        width = 24
        height = 24
        resize = "squash"
        layers = [{ conv = 4, kernel = 3 }, { linear = 8 }]
        features = "linear1"
        epochs = 2
        batch = 16
        learning_rate = 1e-2
        weight_decay = 0.0
        precision = "32-true"
        validation = 0.2
        test = 0.2
        [heads]
        labels = { exclusive = false }
    """
    (tmp_path / "small.toml").write_text(recipe)
    (tmp_path / "long.toml").write_text(recipe.replace('"small"', '"long"').replace("epochs = 2", "epochs = 3"))
    (tmp_path / "wrong.toml").write_text(recipe.replace("epochs", "epoch"))
    names = [str(tmp_path / f"{name}.toml") for name in ("small", "wrong", "long")]
    study = compare(names, str(source), tmp_path / "study", labels=["tags"])
    assert [entry.name for entry in study.encoders] == ["small", "long", "raw pixels"]
    assert list(study.failed) == ["wrong"] and "did you mean 'epochs'" in study.failed["wrong"]
    small = study.encoders[0]
    assert small.prediction.how == "head" and small.trained and small.cost.epochs == 2 and len(small.curves) == 2
    assert small.cost.parameters and small.cost.macs
    assert study.rows["test"] == 15
    (change,) = {tuple(entry.settings.items()) for entry in study.settings}
    assert change == (("epochs", ("2", "3")),)
    made = (tmp_path / "study" / "encoders" / "small" / "model.onnx").stat().st_mtime_ns
    again = compare(names, str(source), tmp_path / "study", labels=["tags"])
    assert (tmp_path / "study" / "encoders" / "small" / "model.onnx").stat().st_mtime_ns == made
    assert again.encoders[0].prediction == small.prediction
    (tmp_path / "small.toml").write_text(recipe.replace("1e-2", "1e-3"))
    changed = compare(names, str(source), tmp_path / "study", labels=["tags"])
    assert "was trained by another recipe of this name" in changed.failed["small"]


def test_source_without_a_usable_row_says_why(encoder_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "shop.csv").write_text("id,image,color\n1,https://shop.example/1.jpg,red\n")
    with pytest.raises(QueryError, match=r"has no row that can be read: .*pictures by URL"):
        compare([str(encoder_folder)], str(tmp_path / "shop.csv"), tmp_path / "study", labels=["color"])
    table = write_source(tmp_path / "source", count=20)
    for path in (tmp_path / "source" / "pictures").iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(QueryError, match="no picture of the test rows, or of the others, opens"):
        compare([str(encoder_folder)], str(table), tmp_path / "study", labels=["color"])


def test_json_has_every_figure(study: dict[str, Any]) -> None:
    assert set(study) == {name for name in Study.__dataclass_fields__ if name != "thumbnails"}
    assert "NaN" not in json.dumps(study)
