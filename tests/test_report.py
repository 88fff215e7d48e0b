"""Reports: figures against naive loops, faults that were planted, and a page that holds all and lets nothing in."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import random
import re
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from focusedfashion.colors import name_color, to_lab, to_rgb
from focusedfashion.columns import Column
from focusedfashion.errors import QueryError
from focusedfashion.items import Box, Failure, Item, Label
from focusedfashion.metrics import effective_number
from focusedfashion.report import Progress, Report, make_report, write_report
from focusedfashion.report.charts import format_share, measure_text, place_words
from focusedfashion.report.colors import find_colors
from focusedfashion.report.copies import find_close, find_near
from focusedfashion.report.figures import LabelCount
from focusedfashion.report.labels import count_pairs, find_together, make_table
from focusedfashion.report.looks import open_view
from focusedfashion.report.page import draw_page
from focusedfashion.sources import read_source

HOSTILE = "</style><script>alert(1)</script><img src=x onerror=alert(2)>\"'&"


def draw_scene(seed: int, size: tuple[int, int] = (240, 320), ground: str | None = None) -> Image.Image:
    """A picture of many shapes that no other seed draws; on one ground, or a ground of many colors."""
    dice = random.Random(seed)

    def color() -> tuple[int, int, int]:
        return dice.randrange(256), dice.randrange(256), dice.randrange(256)

    width, height = size
    image = Image.new("RGB", size, ground or color())
    draw = ImageDraw.Draw(image)
    edge = 0.2 if ground else 0.0
    for _ in range(24):
        x, y = (sorted(dice.uniform(edge, 1 - edge) * side for _ in "ab") for side in (width, height))
        (draw.ellipse if dice.random() < 0.5 else draw.rectangle)((x[0], y[0], x[1] + 4, y[1] + 4), fill=color())
    return image


def encode(image: Image.Image, quality: int = 92, kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, quality=quality)
    return buffer.getvalue()


def find_text(report: Report, *words: str) -> str:
    """The one finding whose sentence has all the words."""
    found = [finding.text for finding in report.findings if all(word in finding.text for word in words)]
    assert len(found) == 1, (words, [finding.text for finding in report.findings])
    return found[0]


def list_labels(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Columns of items: a category, tags, a color that follows from the category but for a few, a split."""
    dice = random.Random(seed)
    rows: list[dict[str, Any]] = []
    for number in range(count):
        category = dice.choice(["dress", "dress", "dress", "shirt", "shirt", "hat"])
        row: dict[str, Any] = {"category": category, "tags": dice.sample("abcdefghijk", dice.randrange(10))}
        row["kind"] = "head" if category == "hat" else "body"
        row["split"] = "train" if number % 4 else "test"
        if dice.random() < 0.1:
            del row["category"]
        rows.append(row)
    return rows


# Figures of labels


def test_effective_number_is_the_exponential_of_the_entropy() -> None:
    counts = [807, 556, 529, 3, 1, 0]
    shares = [count / sum(counts) for count in counts if count]
    assert effective_number(np.array(counts)) == pytest.approx(math.exp(-sum(p * math.log(p) for p in shares)))
    assert effective_number(np.array([7, 7, 7])) == pytest.approx(3)
    assert effective_number(np.zeros(4, np.int64)) == 0


def test_label_figures_are_those_of_naive_loops() -> None:
    rows = list_labels(700)
    report = make_report([Item(str(n), columns=row) for n, row in enumerate(rows)], "x", pictures=0)
    groups = {group.name: group for group in report.groups}
    assert list(groups) == ["category", "tags", "kind"]
    assert [group.several for group in report.groups] == [False, True, False]
    for name, group in groups.items():
        counts: Counter[str] = Counter()
        train: Counter[str] = Counter()
        for row in rows:
            labels = row.get(name) or []
            labels = labels if isinstance(labels, list) else [labels]
            counts.update(labels)
            train.update(labels if row["split"] == "train" else [])
        assert {label.label: label.items for label in group.labels} == counts
        assert {label.label: label.splits for label in group.labels} == {
            label: (train[label], counts[label] - train[label]) for label in counts
        }
        assert group.items == sum(bool(row.get(name)) for row in rows)
        assert group.uses == counts.total()
        shares = [count / counts.total() for count in counts.values()]
        assert group.effective == pytest.approx(math.exp(-sum(p * math.log(p) for p in shares)), abs=0.01)
        ordered = sorted(counts.values(), reverse=True)
        assert group.half == next(n for n in range(1, 9) if sum(ordered[:n]) >= counts.total() / 2)
    sizes = [len(row["tags"]) + sum(name in row for name in ("category", "kind")) for row in rows]
    per_item = report.labels_per_item
    assert per_item.histogram == dict(sorted(Counter(sizes).items()))
    assert (per_item.most, per_item.least) == (max(sizes), min(sizes))
    assert per_item.mean == pytest.approx(sum(sizes) / len(sizes), abs=0.001)
    assert [(split.name, split.items, split.labelled) for split in report.splits] == [
        ("train", 525, 525),
        ("test", 175, 175),
    ]


def test_pairs_are_those_of_a_naive_loop() -> None:
    rows = list_labels(400, seed=3)
    report = make_report([Item(str(n), columns=row) for n, row in enumerate(rows)], "x", pictures=0)
    both: Counter[frozenset[str]] = Counter()
    alone: Counter[str] = Counter()
    for row in rows:
        labels = sorted({row.get("category", ""), row["kind"], *row["tags"]} - {""})
        alone.update(labels)
        both.update(frozenset(pair) for pair in itertools.combinations(labels, 2))
    together = report.together
    for i, first in enumerate(together.labels):
        assert together.counts[i][i] == alone[first.label]
        for j, second in enumerate(together.labels):
            if i != j:
                assert together.counts[i][j] == both[frozenset((first.label, second.label))]
    for pair in (*together.frequent, *together.attracted, *together.avoided):
        one, other = pair.first.label, pair.second.label
        assert pair.items == both[frozenset((one, other))]
        assert pair.lift == pytest.approx(pair.items * len(rows) / alone[one] / alone[other], abs=0.001)
    # `kind` follows from `category`: that they come together is no news, and said once.
    assert not any({pair.first.group, pair.second.group} == {"category", "kind"} for pair in together.frequent)
    assert [(tree.narrow, tree.broad, tree.exceptions) for tree in together.hierarchies] == [("category", "kind", 0)]


def test_pairs_of_crowded_and_empty_items() -> None:
    column = Column("tags")
    rows = {0: [f"t{n}" for n in range(70)], 2: ["t1", "t2"], 3: ["t2", "t1", "t2"], 5: ["t3"]}
    for row, labels in rows.items():
        column.add(row, labels)
    column.settle()
    table = make_table([column], 7)
    both = count_pairs(table, np.arange(len(table.tags)))
    assert both[1, 2] == both[2, 1] == 2  # without the item of 70 labels
    assert both[1, 1] == 3
    assert both[3, 3] == 2
    assert list(np.diff(table.starts)) == [70, 0, 2, 2, 0, 1, 0]
    assert find_together(make_table([], 3)).labels == ()


def test_surprising_and_inseparable_pairs() -> None:
    items = [Item(f"a{n}", columns={"tags": ["cap", "logo"]}) for n in range(60)]
    items += [Item(f"b{n}", columns={"tags": ["dress", "belt"] if n % 3 else ["dress"]}) for n in range(300)]
    items += [Item(f"c{n}", columns={"tags": ["shirt", "dress"] if n < 2 else ["shirt"]}) for n in range(200)]
    together = make_report(items, "x", pictures=0).together
    assert {together.attracted[0].first.label, together.attracted[0].second.label} == {"cap", "logo"}
    avoided = {frozenset((pair.first.label, pair.second.label)): pair.items for pair in together.avoided}
    assert avoided[frozenset(("dress", "shirt"))] == 2
    assert avoided[frozenset(("cap", "dress"))] == 0
    assert [(pair.items, pair.expected) for pair in together.inseparable] == [(60, round(60 * 60 / 560, 2))]


def test_contradictions_between_columns() -> None:
    kinds = {"cap": "head", "hat": "head", "shirt": "top", "vest": "top", "jeans": "legs"}
    items = [Item(f"{n}", columns={"type": name, "part": kinds[name]}) for n, name in enumerate(list(kinds) * 40)]
    items += [Item(f"odd{n}", columns={"type": "cap", "part": "legs"}) for n in range(3)]
    report = make_report(items, "x", pictures=0)
    (tree,) = report.together.hierarchies
    assert (tree.narrow, tree.broad, tree.exceptions) == ("type", "part", 3)
    assert find_text(report, "3 contradictions", "'cap'", "'head'", "'legs'")


@pytest.mark.parametrize(
    ("name", "cells", "labels"),
    [
        ("category", ["dress", "hat"] * 3, {"dress", "hat"}),
        ("kids", [True, False, False] * 4, {"True", "False"}),
        ("tags", ["a|b", "b|c", "a", "c|a|b"] * 2, {"a", "b", "c"}),
        ("style", ['["boho", "maxi"]', '["maxi"]', '["boho"]'], {"boho", "maxi"}),
        ("colors", [["red", "blue"], ["red"], ["blue"], ["blue"]], {"red", "blue"}),
        ("seasons", ["summer, spring", "spring, fall", "fall", "summer"] * 5, {"summer", "spring", "fall"}),
        ("label", [3, 7, 7, 3, 5, 5], {"3", "5", "7"}),
        ("label_ids", [["95", "66"], ["66"], ["95"], ["95"]], {"95", "66"}),
        ("labelId", ["[0, 66]", "[66]", "[0]"], {"0", "66"}),
        ("year", [2012, 2011] * 10, {"2011", "2012"}),
        ("occlusion", [1.0, 2.0, 3.0] * 5, {"1", "2", "3"}),  # a missing cell makes floats of numbers
        (" padded ", ["a", " a ", "b", "b"] * 2, {"a", "b"}),
        # no labels
        ("sender_id", [181, 204] * 20, None),
        ("title", ["Red dress", "Hat"] * 10, None),
        ("image_url", ["https://a.example/1", "https://a.example/2"] * 10, None),
        ("home", ["https://a.example/1", "https://a.example/2"] * 10, None),
        ("stock", list(range(40)) * 5, None),
        ("rating", [1.5, 2.5] * 20, None),
        ("note", ["unique " + str(n) for n in range(50)], None),
        ("material", ["wool"] * 30, None),  # one value tells nothing apart
        (
            "advice",
            ["a sentence that goes on and on for longer than any label", "another one like it, also long"] * 9,
            None,
        ),
        ("landmarks", ["[1, 2, 3]", "[1, 2, 3]"] * 9, None),
        ("points", [[1, 2], [1, 2]] * 9, None),
        ("extra", ['{"a": 1}', '{"a": 2}'] * 9, None),
        ("segmentation", [{"a": 1}, {"a": 1}] * 9, None),
        ("split", ["train", "test"] * 9, None),
    ],
)
def test_which_columns_are_labels(name: str, cells: list[Any], labels: set[str] | None) -> None:
    report = make_report([Item(str(n), columns={name: cell}) for n, cell in enumerate(cells)], "x", pictures=0)
    assert [{label.label for label in group.labels} for group in report.groups] == ([labels] if labels else [])


def test_label_columns_can_be_named() -> None:
    items = [Item(str(n), columns={"shelf_id": n % 3, "category": "ab"[n % 2]}) for n in range(12)]
    assert [group.name for group in make_report(items, "x", labels=["shelf_id"], pictures=0).groups] == ["shelf_id"]
    with pytest.raises(QueryError, match=r"no column 'shelf' to take labels from; there are: 'shelf_id', 'category'"):
        make_report(items, "x", labels=["shelf"], pictures=0)


def test_how_cells_are_read_does_not_hang_on_the_first() -> None:
    """More cells than the sample, columns that begin late, and too many values."""
    items = [
        Item(
            str(n),
            columns={"tags": "a|b" if n % 2 else "b", "name": f"n{n}", **({"late": "xy"[n % 2]} if n > 900 else {})},
        )
        for n in range(2_500)
    ]
    report = make_report(items, "x", pictures=0)
    groups = {group.name: {label.label: label.items for label in group.labels} for group in report.groups}
    assert groups == {"tags": {"a": 1_250, "b": 2_500}, "late": {"x": 800 - 1, "y": 800}}
    columns = {column.name: column for column in report.columns}
    assert (columns["name"].filled, columns["name"].distinct, columns["name"].use) == (2_500, 2_500, "")
    many = make_report([Item(str(n), columns={"name": f"n{n}"}) for n in range(20_100)], "x", pictures=0)
    assert many.columns[0].distinct is None


# Copies


CHANGES: dict[str, Callable[[Image.Image], bytes]] = {
    "saved again": lambda image: encode(image, 40),
    "smaller": lambda image: encode(image.resize((image.width * 7 // 10, image.height * 7 // 10)), 85),
    "half": lambda image: encode(image.resize((image.width // 2, image.height // 2)), 85),
    "as PNG": lambda image: encode(image, kind="PNG"),
    "lighter": lambda image: encode(ImageEnhance.Brightness(image).enhance(1.05)),
}


@pytest.mark.parametrize("ground", [None, "white"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_photo_that_was_saved_again_is_a_near_copy(change: str, ground: str | None) -> None:
    scenes = [draw_scene(seed, ground=ground) for seed in range(12)]
    views = [open_view(encode(scene)) for scene in scenes]
    views += [open_view(CHANGES[change](scene)) for scene in scenes[:4]]
    assert find_near(views, np.array([view.mini for view in views])) == [[n, 12 + n] for n in range(4)]


def draw_lipstick(tip: str, print_: str = "") -> bytes:
    """One shape on white; the tip's color or the print on its side may differ."""
    image = Image.new("RGB", (240, 320), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((90, 130, 150, 290), fill="#404048")
    draw.polygon([(102, 130), (102, 70), (138, 50), (138, 130)], fill=tip)
    if print_:
        draw.rectangle((112, 190, 128, 232), fill=print_)
    return encode(image)


def test_what_only_looks_alike_is_no_copy() -> None:
    def find(*pictures: bytes) -> list[list[int]]:
        views = [open_view(picture) for picture in pictures]
        return find_near(views, np.array([view.mini for view in views], np.uint8).reshape(-1, 16, 18, 3))

    assert find(draw_lipstick("#b03040"), draw_lipstick("#b03541")) == [[0, 1]]  # hardly another
    assert find(draw_lipstick("#b03040"), draw_lipstick("#505c90")) == []  # as light, of another hue
    assert find(draw_lipstick("#b03040", "#c0c0c8"), draw_lipstick("#b03040")) == []  # with a print and without
    plain = [encode(Image.new("RGB", (100, 100 + n), color)) for n, color in enumerate(["white", "white", "red"])]
    assert find(*plain) == []
    assert find() == []


def test_close_hashes_are_those_of_a_naive_loop() -> None:
    dice = random.Random(1)
    hashes = [dice.getrandbits(64) for _ in range(150)]
    hashes += [0] * 5 + [2**64 - 1] * 2
    for number in range(150):
        changed = hashes[number]
        for bit in dice.sample(range(64), dice.randrange(9)):
            changed ^= 1 << bit
        hashes.append(changed)
    expected = {
        (i, j) for i, j in itertools.combinations(range(len(hashes)), 2) if (hashes[i] ^ hashes[j]).bit_count() <= 6
    }
    pairs = find_close(np.array(hashes, np.uint64), 6)
    assert len(expected) > 100
    assert {(int(i), int(j)) for i, j in pairs} == expected
    assert len(pairs) == len(expected)


def test_many_pictures_with_one_hash_end() -> None:
    pairs = find_close(np.zeros(5_000, np.uint64))
    assert len(pairs) == 64 * 63 // 2


# Colors


def test_lab_is_cie_lab() -> None:
    known = {(255, 255, 255): (100, 0, 0), (0, 0, 0): (0, 0, 0), (255, 0, 0): (53.24, 80.09, 67.20)}
    for rgb, lab in known.items():
        assert to_lab(np.array(rgb, np.uint8)) == pytest.approx(lab, abs=0.02)
    pixels = np.random.default_rng(0).integers(0, 256, (50, 3)).astype(np.uint8)
    assert np.array_equal(to_rgb(to_lab(pixels)), pixels)
    assert [name_color(to_lab(np.array(rgb))) for rgb in ((10, 10, 10), (250, 250, 250), (30, 40, 90))] == [
        "black",
        "white",
        "navy",
    ]


def test_garments_are_seen_without_their_ground() -> None:
    pictures = np.full((40, 16, 18, 3), 255, np.uint8)
    pictures[:30, 4:12, 5:13] = (200, 30, 40)
    pictures[30:, 6:9, 7:10] = (30, 60, 160)  # smaller, yet each picture counts the same
    pictures[39] = np.random.default_rng(0).integers(0, 256, (16, 18, 3))
    grounds, colors = find_colors(pictures[:39])
    assert grounds == {"white": 39}
    assert [(color.name, round(color.share, 3)) for color in colors] == [
        ("red", round(30 / 39, 3)),
        ("blue", round(9 / 39, 3)),
    ]
    assert find_colors(pictures)[0] == {"white": 39, "busy": 1}
    assert find_colors(pictures[:0]) == ({}, ())


# A data set with planted faults


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """images.csv with splits and pictures, in which one thing of each kind is wrong."""
    folder = tmp_path_factory.mktemp("faulty")
    (folder / "images").mkdir()
    rows: list[tuple[str, str, str, str]] = []

    def add(name: str, label: str, split: str, data: bytes | None, number: str = "") -> None:
        if data is not None:
            (folder / "images" / name).write_bytes(data)
        rows.append((number or name.rpartition(".")[0], f"images/{name}", label, split))

    labels = ["dress", "shirt", "jeans"]
    for n in range(60):
        add(f"{n:02}.jpg", labels[n % 3], "train" if n % 5 else "test", encode(draw_scene(n)))
    first, second = (folder / "images" / name for name in ("01.jpg", "02.jpg"))  # both in train
    add("copy1.jpg", "shirt", "test", first.read_bytes())  # straddles, same label
    add("copy2.jpg", "dress", "test", second.read_bytes())  # straddles, another label
    add("again.jpg", "dress", "train", (folder / "images" / "06.jpg").read_bytes())  # a copy, but harmless
    add("near3.jpg", labels[3 % 3], "test", encode(draw_scene(3).resize((180, 240)), 80))
    add("gone1.jpg", "dress", "train", None)
    add("gone2.jpg", "dress", "train", None)
    add("half.jpg", "shirt", "train", encode(draw_scene(200))[:900])
    add("empty.jpg", "shirt", "train", b"")
    add("text.jpg", "shirt", "train", b"no picture at all")
    add("cape.jpg", "cape", "test", encode(draw_scene(201)))
    add("kilt.jpg", "kilt", "train", encode(draw_scene(202)))
    add("bare.jpg", "", "train", encode(draw_scene(203)))
    add("vague.jpg", "Other", "train", encode(draw_scene(204)))
    add("spelled.jpg", "Shirt ", "train", encode(draw_scene(205)))
    add("white.jpg", "dress", "train", encode(Image.new("RGB", (200, 200), "white")))
    add("small.jpg", "dress", "train", encode(draw_scene(206, (40, 60))))
    add("long.jpg", "dress", "train", encode(draw_scene(207, (900, 200))))
    add("really.jpg", "dress", "train", encode(draw_scene(208), kind="PNG"))
    add("59.jpg", "dress", "train", None, number="twice")  # a picture that another row has
    add("twin.jpg", "jeans", "train", encode(draw_scene(209)), number="twice")  # an id that another row has
    (folder / "images" / "unlisted.jpg").write_bytes(encode(draw_scene(210)))
    with (folder / "images.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("id", "image", "label", "split"), *rows])
    return folder / "images.csv"


@pytest.fixture(scope="module")
def faulty_report(faulty: Path) -> Report:
    return make_report(read_source(faulty), "faulty")


@pytest.mark.parametrize(
    ("level", "words"),
    [
        ("harm", ["2 items of 80 name a picture that is not there", "'images/gone1.jpg', 'images/gone2.jpg'"]),
        ("harm", ["3 pictures of 77 cannot be opened"]),
        ("harm", ["1 item bears an id that an earlier one has"]),
        ("harm", ["3 groups of copies, 6 pictures, lie in more than one split"]),
        ("harm", ["1 label of `label` never occurs in 'train'", "'cape'"]),
        ("look", ["3 labels of `label` never occur in 'test'", "'kilt', 'Other', 'Shirt'"]),
        ("harm", ["1 group of identical pictures has labels that contradict each other: `label` in 1"]),
        ("harm", ["1 picture is named by several items whose labels differ"]),
        ("harm", ["1 label of `label` is spelled in several ways, as 'shirt' and 'Shirt'"]),
        ("look", ["3 pictures of 74 are byte for byte copies of another (3 groups)"]),
        ("look", ["2 pictures are near copies of each other, in 1 group"]),
        ("look", ["1 item of 80 has no label in any group"]),
        ("look", ["1 item has a label that names nothing: 'Other' (1) in `label`"]),
        ("look", ["4 of 7 labels have fewer than 10 items: 4 of `label`"]),
        ("look", ["1 picture is of one even color"]),
        ("look", ["1 picture of 74 is smaller than 96 px"]),
        ("look", ["1 picture is more than three times as long"]),
        ("look", ["1 picture lies beside the others, but no item names it ('unlisted.jpg')"]),
        ("note", ["1 file is of another format than the ending says"]),
    ],
    ids=lambda value: value[0][:40] if isinstance(value, list) else value,
)
def test_each_planted_fault_is_found(faulty_report: Report, level: str, words: list[str]) -> None:
    text = find_text(faulty_report, *words)
    assert next(finding.level for finding in faulty_report.findings if finding.text == text) == level
    assert all(finding.advice for finding in faulty_report.findings)


def test_findings_come_most_harmful_first(faulty_report: Report) -> None:
    levels = [finding.level for finding in faulty_report.findings]
    assert levels == sorted(levels, key=["harm", "look", "note"].index)


def test_planted_copies_are_shown(faulty_report: Report) -> None:
    copies = faulty_report.pictures.copies
    across = {tuple(shot.item_id for shot in group.shots): group for group in copies.across}
    assert set(across) == {("01", "copy1"), ("02", "copy2"), ("03", "near3")}
    assert across["01", "copy1"].splits == ("test", "train")
    assert [group.exact for group in across.values()] == [True, True, False]
    (contrary,) = copies.contrary
    assert contrary.disagree == ("label",)
    assert [shot.labels["label"] for shot in contrary.shots] == [("jeans",), ("dress",)]
    broken = sorted((trouble.examples, trouble.count) for trouble in faulty_report.pictures.broken)
    assert broken == [(("empty",), 1), (("half",), 1), (("text",), 1)]
    assert faulty_report.pictures.smallest[0].item_id == "small"
    assert [shot.item_id for shot in faulty_report.pictures.plain_shots] == ["white"]


def test_no_folder_of_this_machine_is_told(faulty: Path, faulty_report: Report) -> None:
    assert str(faulty.parent) not in json.dumps(faulty_report.to_dict()) + draw_page(faulty_report)


def test_a_good_set_has_no_findings() -> None:
    items = [
        Item(
            str(n),
            picture=encode(draw_scene(n)),
            columns={"label": ["dress", "hat", "shirt"][n % 3], "split": "test" if n % 12 > 8 else "train"},
        )
        for n in range(120)
    ]
    report = make_report(items, "good")
    assert report.findings == ()
    assert "Nothing was found that harms training or search." in draw_page(report)


# Pictures


def test_pictures_by_url_are_counted_and_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a connection"))
    items = [
        Item(str(n), picture=f"https://a.example/{n // 2}.jpg", columns={"label": "ab"[n % 2], "split": "train"})
        for n in range(20)
    ]
    report = make_report(items, "x")
    pictures = report.pictures
    assert (pictures.urls, pictures.distinct, pictures.looked, pictures.files) == (20, 10, 0, 0)
    assert (pictures.shared, pictures.shared_disagreeing, pictures.shared_straddling) == (10, 10, 0)
    assert find_text(report, "20 items have a picture by URL; a report fetches none")


def test_garments_of_one_picture_share_it(tmp_path: Path) -> None:
    path = tmp_path / "street.jpg"
    path.write_bytes(encode(draw_scene(1)))
    other = tmp_path / "other.jpg"
    other.write_bytes(encode(draw_scene(2)))
    boxed = [
        Item(f"{label}{n}", columns={"label": label}, picture=path, box=Box(0, 0, 20, 30))
        for n, label in enumerate(["hat", "shoe"] * 2)
    ]
    views = [Item(f"v{n}", product_id="p", columns={"label": "hat"}, picture=other) for n in range(2)]
    report = make_report([*boxed, *views], "x")
    assert (report.items, report.products) == (6, 5)
    pictures = report.pictures
    assert (pictures.files, pictures.distinct, pictures.opened, pictures.shared) == (6, 2, 2, 0)
    assert pictures.copies.exact_groups == 0


def test_a_product_in_two_splits_is_a_finding() -> None:
    def make(splits: list[str]) -> Report:
        return make_report(
            [
                Item(f"{n}", product_id=f"p{n // 2}", columns={"split": splits[n % 2], "label": "ab"[n // 2 % 2]})
                for n in range(20)
            ],
            "x",
        )

    assert find_text(make(["train", "test"]), "10 products have items in more than one split")
    assert make(["query", "gallery"]).straddling_products == 0  # they are meant to


@pytest.mark.parametrize("as_files", [True, False])
def test_a_sample_is_even_the_same_again_and_said(tmp_path: Path, as_files: bool) -> None:
    def read(prefix: str = "") -> Iterator[Item]:
        for n in range(200):
            data = encode(Image.new("RGB", (20 + n, 40), "red"))
            if as_files:
                (tmp_path / f"{n}.jpg").write_bytes(data)
            yield Item(f"{prefix}{n}", picture=tmp_path / f"{n}.jpg" if as_files else data)

    report = make_report(read(), "x", pictures=30)
    pictures = report.pictures
    assert (pictures.looked, pictures.opened, pictures.sampled) == (30, 30, True)
    rows = [shot.width - 20 for shot in pictures.plain_shots]
    assert rows == sorted(rows)
    assert make_report(read(), "x", pictures=30).pictures == pictures
    assert find_text(report, "Only a sample of 30 pictures was opened")
    assert "A sample of 30 looked into" in draw_page(report)
    everything = make_report(read(), "x", pictures=200).pictures
    assert (everything.looked, everything.sampled) == (200, False)
    nothing = make_report(read(), "x", pictures=0)
    assert (nothing.pictures.looked, nothing.pictures.sampled, nothing.pictures.missing.count) == (0, True, 0)
    assert find_text(nothing, "No picture was opened")


def test_sizes_formats_and_shapes() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    draw_scene(1, (80, 45)).save(buffer, "JPEG", exif=exif)  # upright it is 45 x 80
    sizes = [(45, 80), (300, 400), (300, 400), (1_800, 1_000)]
    pictures = [buffer.getvalue(), *(encode(draw_scene(n, size), kind="WEBP") for n, size in enumerate(sizes[1:]))]
    figures = make_report([Item(str(n), picture=data) for n, data in enumerate(pictures)], "x").pictures
    assert figures.formats == {"WEBP": 3, "JPEG": 1}
    assert [(shot.width, shot.height) for shot in figures.smallest] == sizes
    assert figures.aspects == {"9:16": 1, "3:4": 2, "16:9": 1}
    assert [(part.low, part.high) for part in figures.sides if part.count] == [(32, 64), (256, 384), (768, 1024)]
    assert figures.small == 1
    assert figures.median_size == (300, 400)


def test_progress_is_told_and_ends_with_all() -> None:
    told: list[Progress] = []
    items = [Item(str(n), picture=encode(draw_scene(n, (30, 30)))) for n in range(40)]
    make_report(items, "x", on_progress=told.append)
    assert (told[-1].items, told[-1].pictures) == (40, 40)


# Catalogs


def test_a_catalog_has_prices_predictions_and_failures() -> None:
    items = [
        Item(
            str(n),
            title=f"dress {n}" if n % 2 else None,
            brand="Acme" if n % 4 else "Bolt",
            price=price,
            currency=currency,
            attributes={"category": [Label("dress", 0.9)] if n % 3 else [], "color": [Label("red", 0.5)]},
            columns={"stock": n, "season": "summer"},
            picture=encode(draw_scene(n, (60, 80))),
        )
        for n, (price, currency) in enumerate(
            [(10.0 + n, "EUR") for n in range(30)] + [(0.0, "EUR"), (5_000.0, "EUR"), (20.0, "USD"), (8.0, None)]
        )
    ]
    failures = [Failure(f"bad{n}", "picture", f"line {n}: 'x{n}.jpg': no such file") for n in range(3)]
    report = make_report([*items, *failures, Failure("z", "read", "no id")], "shop", thumbnails=True)
    euro, *others = report.prices
    values = sorted([10.0 + n for n in range(30)] + [0.0, 5_000.0])
    assert (euro.currency, euro.items, euro.least, euro.most, euro.odd) == ("EUR", 32, 0.0, 5_000.0, 2)
    assert (euro.quarter, euro.median, euro.three_quarters) == tuple(np.percentile(values, [25, 50, 75]))
    assert sum(part.count for part in euro.histogram) == 30
    assert [(prices.currency, prices.items) for prices in others] == [("", 1), ("USD", 1)]
    assert sorted((group.group, group.items, group.labels[0].items) for group in report.predicted) == [
        ("category", 22, 22),
        ("color", 34, 34),
    ]
    columns = {column.name: (column.filled, column.distinct, column.use) for column in report.columns}
    assert columns["title"] == (17, None, "fact")
    assert columns["brand"] == (34, 2, "fact")
    assert columns["stock"] == (34, 34, "")
    assert (report.failed, [(trouble.count, trouble.reason) for trouble in report.failures]) == (
        4,
        [(3, "line 0: 'x0.jpg': no such file"), (1, "no id")],
    )
    assert find_text(report, "2 prices in EUR are zero, negative or a hundred times off")
    assert find_text(report, "1 price has no currency")
    assert find_text(report, "Prices are in 2 currencies: EUR, USD")
    assert find_text(report, "4 rows could not be used", "no such file")
    page = draw_page(report)
    assert "A catalog keeps at most 320 px" in page
    assert "from 0.00 to 5,000.00" in page


def test_a_source_of_nothing() -> None:
    for entries in ([], [Failure("a", "read", "broken")]):
        report = make_report(entries, "nothing")
        assert find_text(report, "not a single item")
        json.dumps(report.to_dict(), allow_nan=False)
        assert "not a single item" in draw_page(report)
    single = make_report([Item("a", picture=encode(draw_scene(1)))], "one")
    assert single.pictures.opened == 1
    assert draw_page(single)


# The page


class _Reader(HTMLParser):
    """Every tag and attribute of a page; an end tag without its start is an error."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def close(self) -> None:
        super().close()
        assert self._open == []


def read_page(page: str) -> _Reader:
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader


@pytest.fixture(scope="module")
def hostile_report() -> Report:
    """Strangers' text wherever text can stand, one word as long as a page, and control characters."""
    words = [HOSTILE, "w" * 300, "外套 " * 9, "مع\u202eطف", "nul\x00 esc\x1b[31m", "\ud800", "`tick`"]
    items = [
        Item(
            f"{HOSTILE}{n}",
            title=words[n % 7],
            brand=words[n % 7],
            price=float(n),
            currency=words[n % 7],
            columns={words[k]: words[(n + k) % 7] for k in range(7)}
            | {"split": words[n % 2], "tags": ["a", "b", HOSTILE, "c", "w" * 80][: n % 6]},
            attributes={HOSTILE: [Label(words[n % 7], 0.5)]},
            picture=encode(draw_scene(n % 10)),
        )
        for n in range(42)
    ]
    failures = [Failure(HOSTILE, "read", f"{HOSTILE}: {word}") for word in words]
    return make_report([*items, *failures], HOSTILE)


@pytest.mark.parametrize("which", ["faulty_report", "hostile_report"])
def test_the_page_is_complete_in_itself(which: str, request: pytest.FixtureRequest) -> None:
    page = draw_page(request.getfixturevalue(which))
    reader = read_page(page)
    names = {tag for tag, _ in reader.tags}
    assert not names & {"script", "link", "iframe", "object", "embed", "base", "form", "audio", "video"}
    pictures = [attributes for tag, attributes in reader.tags if tag == "img"]
    assert pictures
    assert all((picture["src"] or "").startswith("data:image/jpeg;base64,") for picture in pictures)
    for tag, attributes in reader.tags:
        assert not any(name.startswith("on") or name in ("srcset", "action", "xlink:href") for name in attributes), tag
        assert (attributes.get("href") or "#")[0] == "#"
        assert "url(" not in (attributes.get("style") or "")
    assert "@import" not in page
    assert not re.search(r"url\((?!data:)", page)
    policy = next(attributes for tag, attributes in reader.tags if attributes.get("http-equiv"))
    assert "default-src 'none'" in (policy["content"] or "")
    assert "img-src data:" in (policy["content"] or "")
    page.encode()  # no lone surrogate


def test_text_of_strangers_stays_text(hostile_report: Report) -> None:
    page = draw_page(hostile_report)
    assert HOSTILE[8:] not in page
    assert HOSTILE in "".join(read_page(page).texts)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e]", page)
    json.dumps(hostile_report.to_dict(), allow_nan=False)


def test_page_and_json_have_the_same_figures(faulty_report: Report) -> None:
    document = json.loads(json.dumps(faulty_report.to_dict(), allow_nan=False))
    text = re.sub(r"\s+", " ", "".join(read_page(draw_page(faulty_report)).texts))
    for finding in document["findings"]:
        assert finding["text"].replace("`", "") in text
        assert finding["advice"].replace("`", "") in text
    for group in document["groups"]:
        for label in group["labels"]:
            assert f"{label['label']}{label['items']:,}" in text
    for swatch in document["pictures"]["colors"]:
        assert f"{swatch['name']}{format_share(swatch['share'], 1)}" in text
    assert "thumbnails" not in document
    assert document["items"] == 80


def test_a_page_is_whole_or_as_it_was(tmp_path: Path, faulty_report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    write_report(faulty_report, path)
    assert path.read_text(encoding="utf-8") == draw_page(faulty_report)
    path.write_text("as it was")

    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_report(faulty_report, path)
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("report.html", "as it was")]


def test_some_is_never_nothing_and_not_all_never_all() -> None:
    shares = [(0, 5), (1, 10_000), (1, 1_000), (1, 21), (1, 3), (996, 1_000), (9_999, 10_000), (7, 7), (0, 0)]
    told = ["0 %", "<0.1 %", "0.1 %", "4.8 %", "33 %", "99.6 %", ">99.9 %", "100 %", "0 %"]
    assert [format_share(part, whole) for part, whole in shares] == told


@pytest.mark.parametrize("count", [1, 5, 40, 200])
def test_words_of_a_cloud_do_not_overlap(count: int) -> None:
    dice = random.Random(count)
    texts = ["外套", "w" * 40, "A B", *(f"label {n}" * dice.randrange(1, 4) for n in range(count))][:count]
    labels = [LabelCount(text, 10_000 // (n + 1)) for n, text in enumerate(texts)]
    words = place_words(labels)
    assert words == place_words(labels)
    assert len(words) >= min(count, 30)
    for word in words:
        assert 0 <= word.left <= word.left + word.width <= 360
        assert word.width == pytest.approx(measure_text(word.label.label, word.font))
    for one, other in itertools.combinations(words, 2):
        beside = one.left + one.width <= other.left or other.left + other.width <= one.left
        assert beside or one.top + one.height <= other.top or other.top + other.height <= one.top
    assert place_words([]) == []


def test_a_row_takes_few_bytes() -> None:
    """A million rows must fit into a gigabyte: nothing of a row may stay but numbers."""

    def read() -> Iterator[Item]:
        for n in range(30_000):
            yield Item(
                f"item number {n}",
                title=f"a title that nobody else has, {n}",
                picture=f"https://a.example/{n}.jpg",
                columns={"tags": [f"tag {(n + k * k) % 60}" for k in range(5)], "description": f"text {n}"},
            )

    tracemalloc.start()
    try:
        make_report(read(), "x")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak / 30_000 < 450  # bytes; a third is of the descriptions that were kept until there were too many


# In a browser


@pytest.mark.parametrize("which", ["faulty_report", "hostile_report"])
def test_the_page_fits_every_screen(browser: Any, which: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path = tmp_path / "report.html"
    write_report(request.getfixturevalue(which), path)
    page = browser.new_page()
    troubles: list[str] = []
    page.on("request", lambda asked: None if asked.url.startswith(("file:", "data:")) else troubles.append(asked.url))
    page.on("console", lambda line: troubles.append(line.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(path.as_uri())
    for width in (320, 390, 768, 1024, 1280, 1920):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, width
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        paper, ink = page.evaluate(
            "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
        )
        assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
        assert paper != ink
    # Whatever face the reader has, the words keep to their places.
    overlaps = page.evaluate(
        """() => [...document.querySelectorAll(".cloud")].map((cloud) => {
            const boxes = [...cloud.querySelectorAll("text")].map((text) => text.getBBox());
            return boxes.filter((a, i) => boxes.some((b, j) => j < i &&
                a.x + a.width > b.x + 0.5 && b.x + b.width > a.x + 0.5 &&
                a.y + a.height * 0.85 > b.y + b.height * 0.15 && b.y + b.height * 0.85 > a.y + a.height * 0.15)).length;
        })"""
    )
    assert overlaps
    assert not any(overlaps)
    assert troubles == []
    page.close()
