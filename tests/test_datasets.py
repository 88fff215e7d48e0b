"""Data sets: fixtures of the published formats, with all that can be wrong in them.

The pages that document the formats are named in the modules. What of the sets lies beside the checkout is read too.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from focusedfashion import settings
from focusedfashion.errors import SourceError
from focusedfashion.images import open_image
from focusedfashion.items import Box, Failure, Item
from focusedfashion.sources.datasets.class_folders import read_class_folders
from focusedfashion.sources.datasets.clothing import read_clothing_dataset
from focusedfashion.sources.datasets.co_parsing import read_co_parsing
from focusedfashion.sources.datasets.deepfashion import read_deepfashion
from focusedfashion.sources.datasets.deepfashion2 import read_deepfashion2
from focusedfashion.sources.datasets.deepfashion_retrieval import (
    read_deepfashion_consumer_to_shop,
    read_deepfashion_in_shop,
)
from focusedfashion.sources.datasets.fashion_mnist import read_fashion_mnist
from focusedfashion.sources.datasets.fashion_products import read_fashion_products
from focusedfashion.sources.datasets.imaterialist import read_imaterialist
from focusedfashion.sources.datasets.imaterialist_labels import GROUPS, LABELS
from focusedfashion.sources.datasets.matlab import read_matlab

Entry = Item | Failure
READERS: list[Callable[[Path], Iterator[Entry]]] = [
    read_class_folders,
    read_clothing_dataset,
    read_co_parsing,
    read_deepfashion,
    read_deepfashion2,
    read_deepfashion_consumer_to_shop,
    read_deepfashion_in_shop,
    read_fashion_mnist,
    read_fashion_products,
    read_imaterialist,
]


def split_entries(entries: Iterable[Entry]) -> tuple[list[Item], list[Failure]]:
    items, failures = [], []
    for entry in entries:
        if isinstance(entry, Item):
            items.append(entry)
        else:
            failures.append(entry)
            assert entry.step == "read"
            assert "\n" not in entry.reason
            (entry.item_id + entry.reason).encode()
    return items, failures


def read_items(entries: Iterable[Entry]) -> list[Item]:
    items, failures = split_entries(entries)
    assert not failures
    return items


def list_reasons(entries: Iterable[Entry]) -> list[tuple[str, str]]:
    return [(failure.item_id, failure.reason) for failure in split_entries(entries)[1]]


def write(path: Path, text: str | bytes = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def to_json(value: Any) -> str:
    return json.dumps(value)


# All of them


@pytest.mark.parametrize("read", READERS)
def test_a_place_where_there_is_nothing_is_an_error_of_the_call(
    read: Callable[[Path], Iterator[Entry]], tmp_path: Path
) -> None:
    write(tmp_path / "a file.txt", "something else\n")
    (tmp_path / "empty").mkdir()
    for name in ("nowhere", "a file.txt", "empty"):
        with pytest.raises(SourceError) as caught:
            read(tmp_path / name)  # without a next()
        assert str(tmp_path / name) in str(caught.value)


def test_importing_the_readers_loads_nothing_heavy() -> None:
    modules = sorted({read.__module__ for read in READERS})
    code = f"import sys, {', '.join(modules)}; print({{'PIL', 'numpy', 'pyarrow', 'scipy'}} & set(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("read", "options", "says"),
    [
        (read_deepfashion2, {"split": "val"}, "split=val: there is no such split here; there is train"),
        (read_fashion_mnist, {"split": "valid"}, "split=valid: there is no such split here; there is train, test"),
        (read_class_folders, {"split": "TEST"}, "split=TEST: there is no such split here; there is train"),
        (read_imaterialist, {"split": "dev"}, "split=dev: there is no such split here; there is train"),
        (read_imaterialist, {"rows": "5-3"}, "rows=5-3: '5-3' is no range of rows, such as 0-299999"),
        (read_imaterialist, {"rows": "a:b:1-2"}, "'a:b:1-2' is no range of rows"),
        (read_imaterialist, {"rows": "0-9,test:9-12"}, "row 9 is in two of the ranges"),
        (read_imaterialist, {"rows": "7-9"}, "has no pictures in the rows 7-9"),
        (read_imaterialist, {"labels": "Blackk"}, "labels: 'Blackk' is no label; give names, numbers of 1 to 228"),
        (read_imaterialist, {"drop": "229"}, "drop: '229' is no label"),
        (read_imaterialist, {"labels": "gender", "drop": "66,106-113"}, "leave no label"),
    ],
)
def test_options_that_make_no_sense(
    tmp_path: Path, read: Callable[..., Iterator[Entry]], options: dict[str, str], says: str
) -> None:
    write(tmp_path / "train/image/000001.jpg")
    write(tmp_path / "train.json", to_json({"images": [{"imageId": "1", "url": "https://a.example/1"}]}))
    with pytest.raises(SourceError) as caught:
        read(tmp_path, **options)
    assert says in str(caught.value)


# iMaterialist


def make_imaterialist(labels: Sequence[Sequence[int]], spelling: str = "competition") -> dict[str, Any]:
    """Pictures 1, 2, … with these labels, in one of the two spellings that were published."""
    urls = [f"https://img.example/{number}-large" for number in range(1, len(labels) + 1)]
    if spelling == "competition":
        images: list[dict[str, Any]] = [{"url": url, "imageId": str(n)} for n, url in enumerate(urls, start=1)]
        annotations: list[dict[str, Any]] = [
            {"labelId": [str(label) for label in own], "imageId": str(n)} for n, own in enumerate(labels, start=1)
        ]
    else:
        images = [{"image_id": n, "url": [url]} for n, url in enumerate(urls, start=1)]
        annotations = [{"image_id": n, "label_id": list(own)} for n, own in enumerate(labels, start=1)]
    info = {"year": 2018, "images": "in another place"}
    return {"info": info, "version": 2018.05, "images": images, "annotations": annotations, "license": {"url": ""}}


def read_json(folder: Path, value: Any, name: str = "train.json", **options: str) -> list[Entry]:
    return list(read_imaterialist(write(folder / name, value if isinstance(value, str) else to_json(value)), **options))


def test_the_labels_are_228_in_8_groups() -> None:
    sizes = {group: sum(own == group for own, _ in LABELS.values()) for group in GROUPS}
    assert sorted(LABELS) == list(range(1, 229))
    assert len({name for _, name in LABELS.values()}) == 228
    # 105 categories and 3 genders by the authors' page, the others by their map of labels
    assert sizes == {
        "category": 105,
        "color": 21,
        "gender": 3,
        "material": 34,
        "neckline": 11,
        "pattern": 28,
        "sleeve": 5,
        "style": 21,
    }
    assert LABELS[89] == ("category", "Hosiery, Stockings, Tights")
    assert (LABELS[1], LABELS[2], LABELS[228]) == (("pattern", "Argyle"), ("style", "Asymmetric"), ("pattern", "Zebra"))


@pytest.mark.parametrize("spelling", ["competition", "repository"])
def test_both_spellings_give_the_same_items(tmp_path: Path, spelling: str) -> None:
    items = read_items(read_json(tmp_path, make_imaterialist([[62, 17, 66, 53, 17], [174]], spelling)))
    none: dict[str, list[str]] = {group: [] for group in GROUPS}
    first = {"category": ["Dresses"], "color": ["Black"], "gender": ["Female"], "material": ["Cotton"]}
    url = "https://img.example/1-large"
    assert items == [
        Item("train/1", url, columns={"split": "train", **none, **first}),
        Item("train/2", "https://img.example/2-large", columns={"split": "train", **none, "category": ["Sneakers"]}),
    ]
    assert items[0].picture == url


def test_of_a_test_set_the_labels_are_unknown(tmp_path: Path) -> None:
    value = {"images": make_imaterialist([[1], [2]])["images"]}
    items = read_items(read_json(tmp_path, value, "test.json"))
    assert [item.item_id for item in items] == ["test/1", "test/2"]
    assert items[0].columns == {"split": "test", **dict.fromkeys(GROUPS)}


def test_a_folder_gives_its_splits_and_one_can_be_chosen(tmp_path: Path) -> None:
    for name, labels in (("train", [[1], [2]]), ("validation", [[3]]), ("test", [[4]])):
        write(tmp_path / f"{name}.json", to_json(make_imaterialist(labels)))
    items = read_items(read_imaterialist(tmp_path))
    assert [item.item_id for item in items] == ["train/1", "train/2", "validation/1", "test/1"]
    assert [item.columns["split"] for item in items] == ["train", "train", "validation", "test"]
    assert [item.item_id for item in read_items(read_imaterialist(tmp_path, split="validation"))] == ["validation/1"]


def test_rows_make_splits_of_one_file(tmp_path: Path) -> None:
    """As the predecessor had it: trained on the first rows of train.json, tested on others of it."""
    value = make_imaterialist([[62]] * 20)
    items = read_items(read_json(tmp_path, value, rows="test:14-16, 0-4"))
    splits = [(item.item_id, item.columns["split"]) for item in items]
    assert splits == [(f"train/{n}", "train") for n in range(1, 6)] + [(f"train/{n}", "test") for n in (15, 16, 17)]
    assert [item.item_id for item in read_items(read_json(tmp_path, value, rows="18-99"))] == ["train/19", "train/20"]
    named = read_items(read_json(tmp_path, value, rows="3-3", split="test"))
    assert [(item.item_id, item.columns["split"]) for item in named] == [("train/4", "test")]


def test_labels_are_kept_or_dropped_by_group_name_or_number(tmp_path: Path) -> None:
    value = make_imaterialist([[62, 174, 17, 222, 66, 53]])

    def columns(**options: str) -> dict[str, Any]:
        (item,) = read_items(read_json(tmp_path, value, **options))
        return {name: labels for name, labels in item.columns.items() if labels}

    assert columns(labels="color,62") == {"split": "train", "color": ["Black", "White"], "category": ["Dresses"]}
    assert columns(labels="COLOR, dresses", drop="Black") == columns(labels="62,222")
    assert columns(drop="1-60,62-228") == {"split": "train"}
    (item,) = read_items(read_json(tmp_path, value, labels="color,gender", drop="gender"))
    assert list(item.columns) == ["split", "color"]


@pytest.mark.parametrize("folder", ["train", "images/train", "images"])
def test_pictures_come_from_a_folder_or_else_by_url(tmp_path: Path, folder: str) -> None:
    path = write(tmp_path / folder / "2.jpg", b"x")
    first, second = read_items(read_json(tmp_path, make_imaterialist([[1], [1]])))
    assert (first.image, first.picture) == ("https://img.example/1-large",) * 2
    assert (second.image, second.picture) == (f"{folder}/2.jpg", path)


def test_rows_that_contradict_themselves(tmp_path: Path) -> None:
    value = make_imaterialist([[n + 1] for n in range(9)])
    value["images"][0]["url"] = []
    value["images"][1]["url"] = "ftp://img.example/2"
    value["images"][2] = {"url": ["https://img.example/3"]}
    value["images"][3] = "4"
    value["annotations"][4]["labelId"] = ["5", "229"]
    value["annotations"][5]["labelId"] = "6"
    value["annotations"][6]["imageId"] = "70"
    value["annotations"].append({"imageId": "9", "labelId": ["1"]})
    items, failures = split_entries(read_json(tmp_path, value))
    assert [item.item_id for item in items] == ["train/8", "train/9"]
    assert {(failure.item_id, failure.reason) for failure in failures} == {
        ("train/1", "train.json, images[0]: neither a URL nor a picture in a folder"),
        ("train/images[1]", "train.json, images[1]: its url is no address of the web: 'ftp://img.example/2'"),
        ("train/images[2]", "train.json, images[2]: no 'imageId' or 'image_id' that is a number"),
        ("train/images[3]", "train.json, images[3]: not a JSON object, as each element must be"),
        ("train/5", "train.json, annotations[4]: the label '229' is unknown: there are 1 to 228"),
        ("train/6", "train.json, annotations[5]: no 'labelId' or 'label_id' that is a list"),
        ("train/7", "train.json, images[6]: no labels for it in 'annotations', or its id comes twice"),
        *(
            (f"train/{n}", f"train.json, annotations[{row}]: no picture for it in 'images', or its id comes twice")
            for n, row in ((2, 1), (3, 2), (4, 3), (70, 6), (9, 9))
        ),
    }
    assert len(failures) == 12


def test_the_two_arrays_may_have_any_order_and_come_in_any_order(tmp_path: Path) -> None:
    value = make_imaterialist([[n % 228 + 1] for n in range(300)])
    expected = {item.item_id: item.columns for item in read_items(read_json(tmp_path, value))}
    rng = np.random.default_rng(0)
    value = {"annotations": value["annotations"], "images": value["images"]}
    rng.shuffle(value["images"])
    assert {item.item_id: item.columns for item in read_items(read_json(tmp_path, value))} == expected
    some = read_items(read_json(tmp_path, value, rows="100-149"))
    asked = {f"train/{image['imageId']}" for image in value["images"][100:150]}
    assert {item.item_id: item.columns for item in some} == {name: expected[name] for name in asked}


@pytest.mark.parametrize("piece", [1, 7, 64])
def test_pieces_may_end_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    value = make_imaterialist([[1, 17], [], [228]])
    value["images"][1]["url"] = 'https://img.example/é"2",{}[]\\'
    expected = [item.columns for item in read_items(read_json(tmp_path, value))]
    monkeypatch.setattr(settings, "JSON_PIECE", piece)
    for text in (to_json(value), json.dumps(value, indent=3, ensure_ascii=False), json.dumps(value, separators=",:")):
        assert [item.columns for item in read_items(read_json(tmp_path, text))] == expected
    with_mark = b"\xef\xbb\xbf" + to_json(value).encode()
    assert len(read_items(read_imaterialist(write(tmp_path / "train.json", with_mark)))) == 3


def test_a_file_that_is_cut_off_gives_what_it_has(tmp_path: Path) -> None:
    whole = to_json({key: value for key, value in make_imaterialist([[1], [2], [3]]).items() if key != "license"})
    behind_images = whole.index("annotations")
    for length in range(1, len(whole)):
        try:
            items, failures = split_entries(read_json(tmp_path, whole[:length]))
        except SourceError as error:
            assert length < behind_images + len('annotations": ['), error
            assert str(error).startswith(str(tmp_path / "train.json"))
            continue
        text = whole[behind_images:length]
        assert len(items) == text.count("}")
        if length < len(whole) - 1:
            assert "is the file cut off?" in failures[0].reason
    with pytest.raises(
        SourceError, match=r"character \d+: not valid JSON, and no 'annotations' before it \(is the file"
    ):
        read_json(tmp_path, whole[:149])


@pytest.mark.parametrize("piece", [10, 1_000_000])
def test_an_element_that_is_broken_costs_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr(settings, "JSON_PIECE", piece)
    text = to_json(make_imaterialist([[1], [2], [3], [4]]))
    broken = text.replace('"imageId": "2"}', '"imageId": 2"}', 1).replace('["4"]', '["4]')
    items, failures = split_entries(read_json(tmp_path, broken))
    assert [item.item_id for item in items] == ["train/1", "train/3"]
    reasons = [failure.reason for failure in failures]
    place = broken.index('2"}') + 2
    assert reasons[0] == f"train.json, images[1]: character {place}: not valid JSON (Expecting ',' delimiter)"
    assert reasons[1].startswith("train.json, annotations[3]: character ")
    assert "not valid JSON (" in reasons[1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the file is empty"),
        ("[]", "not a JSON object"),
        ("<html>404 Not Found</html>", "not a JSON object"),
        ("{}", "has no array 'images'"),
        ('{"annotations": []}', "has no array 'images'"),
        ('{"images": {}}', "'images' is not an array"),
        ('{"images": []}', "has no pictures"),
        ('{"images": [], "annotations": 5}', "'annotations' is not an array"),
        ('{"images" 5}', "character 11: not valid JSON (a colon is missing)"),
        ('{"a": ' + "[" * 100_000, "is the file cut off?"),
        ('{"a": ' + '{"a": ' * 100_000, "not valid JSON"),
        ('{"a": ' + "9" * 10_000 + "}", "not valid JSON"),
    ],
)
def test_json_of_the_wrong_shape(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(SourceError) as caught:
        read_json(tmp_path, text)
    assert says in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_row_that_never_ends_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "MAX_CELL", 10_000)
    monkeypatch.setattr(settings, "JSON_PIECE", 2**14)
    value = make_imaterialist([[1], [2], [3]])
    value["images"][1]["url"] = "https://img.example/" + "x" * 3_000_000
    write(tmp_path / "train.json", to_json(value))
    entries, peak = trace(lambda: list(read_imaterialist(tmp_path / "train.json")))
    assert peak < 500_000  # the row has 3 MB
    items, failures = split_entries(entries)
    assert [item.item_id for item in items] == ["train/1", "train/3"]
    assert "images[1]: character" in failures[0].reason


def trace(run: Callable[[], Any]) -> tuple[Any, int]:
    """-> (what it returns, the most bytes that were in memory at once)"""
    tracemalloc.start()
    try:
        result = run()
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_large_file_is_read_as_a_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "JSON_PIECE", 2**12)
    value = make_imaterialist([[n % 228 + 1] for n in range(20_000)])
    del value["annotations"][7]  # from here on the two are not side by side
    write(tmp_path / "train.json", to_json(value))
    del value
    count, peak = trace(lambda: sum(1 for _ in read_imaterialist(tmp_path / "train.json")))
    assert count == 20_000
    assert peak < 300_000  # the file has 3 MB


# DeepFashion


def write_list(path: Path, header: str, rows: Iterable[str], count: int | None = None) -> Path:
    rows = list(rows)
    return write(path, "\n".join([str(len(rows) if count is None else count), header, *rows, ""]))


BLOUSES = [f"img/Sheer_Blouse/img_{n:08}.jpg" for n in range(1, 5)]


def write_deepfashion(root: Path, anno: str = "Anno", order: Sequence[int] = (0, 1, 2, 3)) -> Path:
    """Four pictures of Category and Attribute Prediction; `order` is that of the lists other than the partition."""
    names = [BLOUSES[n] for n in order]
    write_list(
        root / anno / "list_category_cloth.txt", "category_name  category_type", ["Blouse 1", "Jeans 2", "Robe 3"]
    )
    attributes = ["a-line            3", "abstract chevron print  1", "cotton 2", "collar 4", "boho 5"]
    write_list(root / anno / "list_attr_cloth.txt", "attribute_name  attribute_type", attributes)
    landmarks = {
        0: "1  0  0 146 102  1 173 095  0 094 242  0 205 255  0 136 229  2 000 000",
        1: "2 1  " + "0 001 002  " * 4,
    }
    labels = {0: " 1 -1 -1 -1  1", 1: "-1  1  1  0 -1"}
    boxes = ["072 079 232 273", "000 000 100 299", "10 20 30 40", "1 2 3 4"]
    rows = {
        "list_category_img": ("image_name  category_label", [f"{BLOUSES[n]}    {(1, 2, 3, 1)[n]}" for n in order]),
        "list_bbox": ("image_name  x_1  y_1  x_2  y_2", [f"{BLOUSES[n]}  {boxes[n]}" for n in order]),
        "list_attr_img": ("image_name  attribute_labels", [f"{BLOUSES[n]}  {labels[n % 2]}" for n in order]),
        "list_landmarks": (
            "image_name  clothes_type  variation_type  landmark_visibility_1 ...",
            [f"{BLOUSES[n]}  {landmarks[n % 2]}" for n in order],
        ),
    }
    for name, (header, lines) in rows.items():
        write_list(root / anno / f"{name}.txt", header, lines)
    splits = ("train", "val", "test", "train")
    partition = [f"{name}   {split}" for name, split in zip(BLOUSES, splits, strict=True)]
    write_list(root / "Eval/list_eval_partition.txt", "image_name  evaluation_status", partition)
    for name in names:
        write(root / "Img" / name)
    return root


def edit(path: Path, line: int, text: str | None) -> None:
    """Line `line`, from 1, becomes another; None takes it out and corrects the number of rows."""
    lines = path.read_text().splitlines()
    if text is None:
        lines[0] = str(int(lines[0]) - 1)
        del lines[line - 1]
    else:
        lines[line - 1] = text
    path.write_text("\n".join([*lines, ""]))


@pytest.mark.parametrize("anno", ["Anno", "Anno_coarse"])
def test_deepfashion_has_categories_attributes_boxes_and_landmarks(tmp_path: Path, anno: str) -> None:
    items = read_items(read_deepfashion(write_deepfashion(tmp_path, anno)))
    assert items[0] == Item(
        BLOUSES[0],
        BLOUSES[0],
        columns={
            "split": "train",
            "category": "Blouse",
            "clothes_type": "upper-body",
            "texture": [],
            "fabric": [],
            "shape": ["a-line"],
            "part": [],
            "style": ["boho"],
            "landmarks": [0, 146, 102, 1, 173, 95, 0, 94, 242, 0, 205, 255, 0, 136, 229, 2, 0, 0],
            "variation_type": 0,
        },
        box=Box(72, 79, 232, 273),
    )
    assert [item.picture for item in items] == [tmp_path / "Img" / name for name in BLOUSES]
    assert [item.columns["split"] for item in items] == ["train", "val", "test", "train"]
    assert (items[1].columns["category"], items[1].columns["clothes_type"]) == ("Jeans", "lower-body")
    assert (items[1].columns["texture"], items[1].columns["fabric"]) == (["abstract chevron print"], ["cotton"])
    assert read_items(read_deepfashion(tmp_path, split="val")) == items[1:2]


def test_the_lists_of_deepfashion_may_have_any_order(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    expected = read_items(read_deepfashion(write_deepfashion(one)))
    assert read_items(read_deepfashion(write_deepfashion(other, order=(2, 0, 3, 1)))) == expected


def test_lists_of_deepfashion_that_are_not_there_leave_their_columns_empty(tmp_path: Path) -> None:
    write_deepfashion(tmp_path)
    for name in ("list_category_img", "list_attr_img", "list_bbox", "list_landmarks", "list_attr_cloth"):
        (tmp_path / f"Anno/{name}.txt").unlink()
    item = read_items(read_deepfashion(tmp_path))[0]
    assert item.box is None
    assert {value for name, value in item.columns.items() if name != "split"} == {None}


@pytest.mark.parametrize(
    ("name", "line", "text", "expected"),
    [
        ("Anno/list_bbox", 3, "232 079 072 273", "list_bbox.txt, line 3: the box (232, 079, 072, 273) has its right"),
        (
            "Anno/list_bbox",
            3,
            "72 79 232 79",
            "list_bbox.txt, line 3: the box (72, 79, 232, 79) has its right or lower",
        ),
        ("Anno/list_bbox", 3, "-5 79 72 273", "list_bbox.txt, line 3: the box (-5, 79, 72, 273) begins outside of"),
        ("Anno/list_bbox", 3, "72 79 232", "list_bbox.txt, line 3: (72, 79, 232) is no box: left, top, right, bottom"),
        ("Anno/list_bbox", 3, "72 79 232 nan", "list_bbox.txt, line 3: (72, 79, 232, nan) is no box"),
        (
            "Anno/list_category_img",
            3,
            "4",
            "list_category_img.txt, line 3: the category 4 is unknown: there are 1 to 3",
        ),
        ("Anno/list_category_img", 3, "x", "list_category_img.txt, line 3: 'x' is no whole number"),
        ("Anno/list_attr_img", 3, "1 1", "list_attr_img.txt, line 3: 2 labels for 5 attributes"),
        ("Anno/list_attr_img", 3, "1 1 2 0 0", "list_attr_img.txt, line 3: the label '2' is neither 1, -1 nor 0"),
        ("Anno/list_landmarks", 3, "1 0 0 1 2", "line 3: 3 numbers for the 6 landmarks of upper-body clothes"),
        ("Anno/list_landmarks", 3, "4 0 0 1 2", "list_landmarks.txt, line 3: the clothes type 4 is unknown"),
        (
            "Eval/list_eval_partition",
            3,
            "dev",
            "list_eval_partition.txt, line 3: 'dev' is none of the splits train, val",
        ),
    ],
)
def test_rows_of_deepfashion_that_cannot_be_right(
    tmp_path: Path, name: str, line: int, text: str, expected: str
) -> None:
    path = write_deepfashion(tmp_path) / f"{name}.txt"
    edit(path, line, f"{BLOUSES[line - 3]}  {text}")
    items, failures = split_entries(read_deepfashion(tmp_path))
    assert [item.item_id for item in items] == BLOUSES[1:]
    assert [failure.item_id for failure in failures] == BLOUSES[:1]
    assert expected in failures[0].reason


def test_a_picture_that_only_some_lists_have_and_a_wrong_number_of_rows(tmp_path: Path) -> None:
    write_deepfashion(tmp_path)
    edit(tmp_path / "Anno/list_bbox.txt", 4, None)
    edit(tmp_path / "Eval/list_eval_partition.txt", 5, None)
    edit(tmp_path / "Anno/list_category_img.txt", 1, "5")
    items, failures = split_entries(read_deepfashion(tmp_path))
    assert [item.item_id for item in items] == [BLOUSES[0], BLOUSES[3]]
    by = "list_eval_partition.txt does not name it, or names it twice"
    assert [(failure.item_id, failure.reason) for failure in failures] == [
        (BLOUSES[1], "list_bbox.txt has no row for it"),
        (BLOUSES[2], f"list_bbox.txt, line 4: {by}"),
        (BLOUSES[2], f"list_landmarks.txt, line 5: {by}"),
        (BLOUSES[2], f"list_category_img.txt, line 5: {by}"),
        ("list_category_img.txt", "list_category_img.txt, line 1: it says 5 rows, but there are 4"),
        (BLOUSES[2], f"list_attr_img.txt, line 5: {by}"),
    ]


def test_what_no_row_could_be_understood_without_is_an_error_of_the_call(tmp_path: Path) -> None:
    write_deepfashion(tmp_path)
    edit(tmp_path / "Anno/list_attr_cloth.txt", 4, "cotton 6")
    with pytest.raises(SourceError, match=r"list_attr_cloth\.txt, line 4: the type 6 is unknown: there are 1 to 5"):
        read_deepfashion(tmp_path)
    write(tmp_path / "Eval/list_eval_partition.txt", "image_name  evaluation_status\n")
    with pytest.raises(SourceError, match="is no list of DeepFashion: its first line must be the number of rows"):
        read_deepfashion(tmp_path)
    (tmp_path / "Eval/list_eval_partition.txt").unlink()
    with pytest.raises(SourceError, match=r"has no list_eval_partition\.txt, neither in it nor in Anno, Anno_coarse"):
        read_deepfashion(tmp_path)


def test_the_lists_of_deepfashion_are_read_as_a_stream(tmp_path: Path) -> None:
    names = [f"img/Shirt_{n}/img_00000001.jpg" for n in range(5_000)]
    write_list(
        tmp_path / "list_attr_cloth.txt", "attribute_name attribute_type", (f"word {n % 5 + 1}" for n in range(200))
    )
    labels = " ".join(["-1"] * 199 + ["1"])
    write_list(tmp_path / "list_attr_img.txt", "image_name attribute_labels", (f"{name} {labels}" for name in names))
    write_list(
        tmp_path / "list_eval_partition.txt", "image_name evaluation_status", (f"{name} train" for name in names)
    )
    count, peak = trace(lambda: sum(entry.columns["style"] == ["word"] for entry in read_items_lazily(tmp_path)))
    assert count == 5_000
    assert peak < 500_000  # the labels have 3 MB


def read_items_lazily(path: Path) -> Iterator[Item]:
    for entry in read_deepfashion(path):
        assert isinstance(entry, Item)
        yield entry


FRONT, BACK = "img/WOMEN/Dresses/id_00000002/02_1_front.jpg", "img/WOMEN/Dresses/id_00000002/02_3_back.jpg"
SHIRT = "img/MEN/Denim/id_00000080/01_1_front.jpg"


def write_in_shop(root: Path) -> Path:
    partition = [f"{FRONT}  id_00000002  query", f"{BACK}  id_00000002  gallery", f"{SHIRT}   id_00000080   train"]
    write_list(root / "Eval/list_eval_partition.txt", "image_name item_id evaluation_status", partition)
    boxes = [f"{SHIRT}  1  6  050  049  208  244", f"{FRONT}  3  1  065  045  233  252", f"{BACK}  3  3  1  2  3  4"]
    write_list(root / "Anno/list_bbox_inshop.txt", "image_name clothes_type pose_type x_1 y_1 x_2 y_2", boxes)
    colors = [f"{FRONT}      Cream-multi", f"{BACK}      Cream-multi", f"{SHIRT}      Medium denim"]
    write_list(root / "Anno/attributes/list_color_cloth.txt", "image_name  clothes_color", colors)
    write_list(root / "Anno/attributes/list_attr_cloth.txt", "attribute_name", ["a-line", "woven cotton", "zip"])
    items = ["id_00000002  1 -1 1", "id_00000080  -1 1 -1", "id_00000002  1 -1 1"]
    write_list(root / "Anno/attributes/list_attr_items.txt", "item_name attribute_labels", items)
    description = [{"item": "id_00000002", "color": "Cream", "description": ["A dress.", " It fits. "]}]
    write(root / "Anno/list_description_inshop.json", to_json(description))
    return root


def test_in_shop_has_items_poses_and_partitions(tmp_path: Path) -> None:
    items = read_items(read_deepfashion_in_shop(write_in_shop(tmp_path)))
    assert [(item.item_id, item.product_id, item.box) for item in items] == [
        (FRONT, "id_00000002", Box(65, 45, 233, 252)),
        (BACK, "id_00000002", Box(1, 2, 3, 4)),
        (SHIRT, "id_00000080", Box(50, 49, 208, 244)),
    ]
    assert items[0].columns == {
        "split": "query",
        "gender": "WOMEN",
        "category": "Dresses",
        "clothes_type": "full-body",
        "pose": "front",
        "color": "Cream-multi",
        "description": "A dress. It fits.",
        "attributes": ["a-line", "zip"],
        "landmarks": None,
        "variation_type": None,
    }
    assert items[2].columns["attributes"] == ["woven cotton"]
    assert (items[2].columns["color"], items[2].columns["description"]) == ("Medium denim", None)
    assert items[0].picture == tmp_path / FRONT  # without a folder Img
    assert [item.item_id for item in read_items(read_deepfashion_in_shop(tmp_path, split="gallery"))] == [BACK]


def test_rows_of_in_shop_that_contradict_themselves(tmp_path: Path) -> None:
    write_in_shop(tmp_path)
    edit(tmp_path / "Eval/list_eval_partition.txt", 3, f"{FRONT}  id_00000003  query")
    edit(tmp_path / "Anno/list_bbox_inshop.txt", 5, f"{BACK}  3  7  1  2  3  4")
    edit(tmp_path / "Anno/attributes/list_attr_items.txt", 5, "id_00000002  1 1 1")
    write(tmp_path / "Anno/list_description_inshop.json", '[{"color": "Cream"}]')
    items, failures = split_entries(read_deepfashion_in_shop(tmp_path))
    assert [item.item_id for item in items] == [SHIRT]
    assert [(failure.item_id, failure.reason) for failure in failures] == [
        ("id_00000002", "list_attr_items.txt, line 5: it is there before, with other attributes"),
        (
            "list_description_inshop.json",
            "list_description_inshop.json: not the descriptions of items (KeyError('item'))",
        ),
        (FRONT, "list_eval_partition.txt, line 3: it is of id_00000002 by its path, but of id_00000003 by the list"),
        (BACK, "list_bbox_inshop.txt, line 5: the pose 7 is unknown: there are 1 to 6"),
    ]


SKIRT = "img/DRESSES/Skirt/id_00004336"
STREET, OTHER, SHOP = f"{SKIRT}/comsumer_01.jpg", f"{SKIRT}/comsumer_02.jpg", f"{SKIRT}/shop_01.jpg"


def write_consumer_to_shop(root: Path) -> Path:
    header = "image_pair_name_1  image_pair_name_2  item_id  evaluation_status"
    partition = [f"{STREET}  {SHOP}  id_00004336  test", f"{OTHER}  {SHOP}  id_00004336  test"]
    write_list(root / "Eval/list_eval_partition.txt", header, partition)
    header = "image_name clothes_type source_type x_1 y_1 x_2 y_2"
    boxes = [f"{STREET} 2 2 013 052 158 300", f"{OTHER} 2 2 1 2 3 4", f"{SHOP} 2 1 30 40 50 60"]
    write_list(root / "Anno/list_bbox_consumer2shop.txt", header, boxes)
    landmarks = [f"{name}  2  1  " + "0 010 020  " * 4 for name in (STREET, OTHER, SHOP)]
    write_list(root / "Anno/list_landmarks_consumer2shop.txt", "image_name ...", landmarks)
    types = ["衣长       length of upper-body clothes", "材质     fabric of clothes"]
    write_list(root / "Anno/list_attr_type.txt", "attribute_type (Chinese)   attribute_type (English)", types)
    names = [
        "常规款   Regular length (51-65cm)   1",
        "棉   Cotton   2  ",
        "纯棉   Cotton   2",
        "蕾丝  Lace  2",
    ]
    write_list(root / "Anno/list_attr_cloth.txt", "attribute_name (Chinese)   attribute_name (English)   type", names)
    write_list(root / "Anno/list_attr_items.txt", "item_id  attribute_labels", ["id_00004336  1 1 1 -1"])
    return root


def test_consumer_to_shop_has_pairs_and_sources(tmp_path: Path) -> None:
    items = read_items(read_deepfashion_consumer_to_shop(write_consumer_to_shop(tmp_path)))
    assert [(item.item_id, item.product_id, item.columns["source"], item.columns["pairs"]) for item in items] == [
        (STREET, "id_00004336", "consumer", [SHOP]),
        (OTHER, "id_00004336", "consumer", [SHOP]),
        (SHOP, "id_00004336", "shop", [STREET, OTHER]),
    ]
    assert items[0].box == Box(13, 52, 158, 300)
    assert {name: value for name, value in items[0].columns.items() if name not in ("source", "pairs")} == {
        "split": "test",
        "section": "DRESSES",
        "category": "Skirt",
        "clothes_type": "lower-body",
        "length_of_upper_body_clothes": ["Regular length (51-65cm)"],
        "fabric_of_clothes": ["Cotton"],
        "landmarks": [0, 10, 20] * 4,
        "variation_type": 1,
    }
    with pytest.raises(SourceError, match="has no rows"):
        read_deepfashion_consumer_to_shop(tmp_path, split="train")


def test_rows_of_consumer_to_shop_that_contradict_themselves(tmp_path: Path) -> None:
    write_consumer_to_shop(tmp_path)
    partition, boxes = tmp_path / "Eval/list_eval_partition.txt", tmp_path / "Anno/list_bbox_consumer2shop.txt"
    edit(partition, 4, f"{OTHER}  {SHOP}  id_00004336  train")
    write(partition, partition.read_text().replace("2\n", "4\n", 1) + f"a.jpg b.jpg id_1 test\n{SHOP} id_1 test\n")
    edit(boxes, 3, f"{STREET} 2 3 013 052 158 300")
    write(boxes, boxes.read_text().replace("3\n", "4\n", 1) + "img/A/B/id_5/shop_01.jpg 1 1 1 2 3 4\n")
    items, failures = split_entries(read_deepfashion_consumer_to_shop(tmp_path))
    assert [(item.item_id, item.columns["split"]) for item in items] == [(OTHER, "train"), (SHOP, "test")]
    assert [(failure.item_id, failure.reason) for failure in failures] == [
        (
            SHOP,
            "list_eval_partition.txt, line 4: it is of id_00004336 in train here, but of id_00004336 in test before",
        ),
        (SHOP, "list_eval_partition.txt, line 6: 3 cells where there must be 4"),
        (STREET, "list_bbox_consumer2shop.txt, line 3: the source 3 is unknown: there are 1 to 2"),
        (
            "img/A/B/id_5/shop_01.jpg",
            "list_eval_partition.txt does not name it, or list_bbox_consumer2shop.txt names it twice",
        ),
        ("a.jpg", "list_bbox_consumer2shop.txt has no row for it"),
        ("b.jpg", "list_bbox_consumer2shop.txt has no row for it"),
    ]


# DeepFashion2


def make_garment(box: Sequence[float], category: int = 8, style: int = 0, **changes: Any) -> dict[str, Any]:
    left, top, right, bottom = box
    name = {1: "short sleeve top", 8: "trousers"}.get(category, "vest")
    return {
        "segmentation": [[left, top, right, top, right, bottom, left, top]],
        "scale": 2,
        "viewpoint": 2,
        "zoom_in": 3,
        "landmarks": [left, top, 1, 0, 0, 0, right, bottom, 2],
        "style": style,
        "bounding_box": list(box),
        "category_id": category,
        "occlusion": 2,
        "category_name": name,
        **changes,
    }


def write_deepfashion2(folder: Path, stem: str, annotation: Any = None) -> None:
    """A picture whose left half is red and whose right half is green, with what is said of it."""
    image = Image.new("RGB", (800, 600), (220, 20, 20))
    image.paste((20, 180, 20), (400, 0, 800, 600))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG")
    write(folder / f"image/{stem}.jpg", buffer.getvalue())
    if annotation is not None:
        write(folder / f"annos/{stem}.json", annotation if isinstance(annotation, str | bytes) else to_json(annotation))


def test_garments_of_one_picture_share_it_and_pairs_are_products(tmp_path: Path) -> None:
    left, right = (0, 29, 380, 590), (420, 5, 790, 595.5)
    user = {"item2": make_garment(right), "source": "user", "pair_id": 7, "item1": make_garment(left, 1, style=1)}
    shop = {"source": "shop", "pair_id": 7, "item1": make_garment(right, 1, style=1)}
    other = {"source": "shop", "pair_id": 8, "item1": make_garment(right, 1, style=1)}
    for n, annotation in enumerate((user, shop, other), start=1):
        write_deepfashion2(tmp_path / "train", f"00000{n}", annotation)
    write_deepfashion2(tmp_path / "test", "000001")
    items = read_items(read_deepfashion2(tmp_path))
    assert [(item.item_id, item.product_id) for item in items] == [
        ("train/000001#1", "train/pair-7/style-1"),
        ("train/000001#2", "train/000001#2"),
        ("train/000002#1", "train/pair-7/style-1"),
        ("train/000003#1", "train/pair-8/style-1"),
        ("test/000001", "test/000001"),
    ]
    first, second = items[:2]
    assert first.picture == second.picture == tmp_path / "train/image/000001.jpg"
    assert (first.image, first.box, second.box) == ("train/image/000001.jpg", Box(*left), Box(*right))
    assert first.columns == {
        "split": "train",
        "source": "user",
        "pair_id": 7,
        "style": 1,
        "category": "short sleeve top",
        "scale": 2,
        "occlusion": 2,
        "zoom_in": 3,
        "viewpoint": 2,
        "landmarks": [0, 29, 1, 0, 0, 0, 380, 590, 2],
        "segmentation": [[0, 29, 380, 29, 380, 590, 0, 29]],
    }
    assert items[4].columns == {**dict.fromkeys(first.columns), "split": "test"}
    assert items[4].box is None
    for item, color in ((first, (220, 20, 20)), (second, (20, 180, 20))):
        assert isinstance(item.picture, Path)
        assert item.box
        rgb = open_image(item.picture, (item.box.left, item.box.top, item.box.right, item.box.bottom))
        assert np.abs(rgb.mean(axis=(0, 1)) - color).max() < 5
    assert read_items(read_deepfashion2(tmp_path, split="train")) == items[:4]
    assert read_items(read_deepfashion2(tmp_path / "train")) == items[:4]
    with pytest.raises(SourceError, match=r"split=test: .* is one split by itself"):
        read_deepfashion2(tmp_path / "train", split="test")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"bounding_box": [9, 9, 5, 20]}, "the box (9, 9, 5, 20) has its right or lower side before the other"),
        ({"bounding_box": [9, -9, 15, 20]}, "the box (9, -9, 15, 20) begins outside of the picture"),
        ({"bounding_box": [9, 9, 15]}, "(9, 9, 15) is no box"),
        ({"bounding_box": [9, 9, 15, {}]}, "is no box"),
        ({"bounding_box": None}, "its bounding_box is not a list"),
        ({"category_id": 9}, "its category is 'trousers' by name, but 9 by number"),
        ({"category_id": 14, "category_name": "hat"}, "its category is 'hat' by name, but 14 by number"),
        ({"category_id": []}, "its category is 'trousers' by name, but [] by number"),
        ({"style": -1}, "its style cannot be -1"),
        ({"style": "1"}, "its style cannot be '1'"),
        ({"scale": 4}, "its scale cannot be 4"),
        ({"occlusion": None}, "its occlusion cannot be None"),
        ({"landmarks": [1, 2]}, "its landmarks are not x, y and visibility of each"),
        ({"landmarks": [1, 2, "a"]}, "its landmarks are not x, y and visibility of each"),
        ({"segmentation": [[1, 2, 3]]}, "its segmentation is not a list of polygons"),
        ({"segmentation": {}}, "its segmentation is not a list"),
    ],
)
def test_a_garment_that_cannot_be_right_costs_only_itself(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    wrong = make_garment((1, 2, 3, 4), **changes)
    annotation = {"source": "user", "pair_id": 1, "item1": wrong, "item2": make_garment((1, 2, 3, 4)), "item3": 5}
    write_deepfashion2(tmp_path / "train", "000001", annotation)
    items, failures = split_entries(read_deepfashion2(tmp_path))
    assert [item.item_id for item in items] == ["train/000001#2"]
    assert [failure.item_id for failure in failures] == ["train/000001#1", "train/000001#3"]
    assert failures[0].reason.startswith("annos/000001.json, item1: ")
    assert says in failures[0].reason
    assert failures[1].reason == "annos/000001.json, item3: not a JSON object"


def test_files_of_deepfashion2_that_cannot_be_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "MAX_CELL", 50_000)
    one = {"item1": make_garment((1, 2, 3, 4))}
    for stem, annotation in {
        "000001": '{"source": "user", "pair_id": 1, "item1": {"se',
        "000002": {"source": "web", "pair_id": 1, **one},
        "000003": {"source": "user", "pair_id": "1", **one},
        "000004": {"source": "user", "pair_id": 1},
        "000005": [one],
        "000006": "[" * 40_000,
        "000007": b'{"source": "\xff"}',
        "000008": " " * 60_000,
        "000009": {"source": "user", "pair_id": 1, **one},
    }.items():
        write_deepfashion2(tmp_path / "train", stem, annotation)
    write(tmp_path / "train/image/000010.jpg")
    write(tmp_path / "train/image/a copy.jpg")
    write(tmp_path / "train/annos/000011.json", "{}")
    items, failures = split_entries(read_deepfashion2(tmp_path))
    assert [item.item_id for item in items] == ["train/000009#1"]
    assert [failure.reason[:66] for failure in failures] == [
        "annos/000001.json: not valid JSON (Unterminated string starting at,"[:66],
        "annos/000002.json: its source is neither shop nor user: 'web'",
        "annos/000003.json: its pair_id is no whole number: '1'",
        "annos/000004.json: it has no garments: item1, item2, …",
        "annos/000005.json: not a JSON object",
        "annos/000006.json: not valid JSON (maximum recursion depth exceeded while"[:66],
        "annos/000007.json: not valid JSON ('utf-8' codec can't decode byte"[:66],
        "annos/000008.json: longer than 50,000 bytes",
        "image/000010.jpg: there is no annos/000010.json",
        "annos/000011.json: there is no picture image/000011.jpg",
        "image/a copy.jpg has no row in the annotations",
    ]


# Fashion-MNIST


def write_idx(path: Path, values: Any, count: int | None = None) -> Path:
    """Unsigned bytes as idx; a name that ends in .gz is packed."""
    data = np.asarray(values, np.uint8)
    sizes = (data.shape[0] if count is None else count, *data.shape[1:])
    content = struct.pack(f">{1 + data.ndim}I", 0x0800 + data.ndim, *sizes) + data.tobytes()
    return write(path, gzip.compress(content) if path.suffix == ".gz" else content)


def write_fashion_mnist(folder: Path, ending: str = ".gz") -> Any:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 28, 28), dtype=np.uint8)
    for prefix, own in (("train", pixels[:9]), ("t10k", pixels[9:])):
        write_idx(folder / f"{prefix}-images-idx3-ubyte{ending}", own)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte{ending}", range(len(own)))
    return pixels


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_fashion_mnist_gives_its_pixels_and_classes(tmp_path: Path, ending: str) -> None:
    pixels = write_fashion_mnist(tmp_path, ending)
    items = read_items(read_fashion_mnist(tmp_path))
    assert [item.item_id for item in items] == [f"train/0000{n}" for n in range(9)] + [
        f"test/0000{n}" for n in range(3)
    ]
    assert items[0].columns == {"split": "train", "category": "T-shirt/top"}
    assert [item.columns["category"] for item in items[9:]] == ["T-shirt/top", "Trouser", "Pullover"]
    for item, own in zip(items, pixels, strict=True):
        assert isinstance(item.picture, bytes)
        assert np.array_equal(open_image(item.picture), np.repeat(own[..., None], 3, axis=2))
    assert [item.item_id for item in read_items(read_fashion_mnist(tmp_path, split="test"))] == [
        f"test/0000{n}" for n in range(3)
    ]


def test_what_contradicts_itself_in_fashion_mnist(tmp_path: Path) -> None:
    write_fashion_mnist(tmp_path, "")
    labels = write_idx(tmp_path / "train-labels-idx1-ubyte", [0, 10, 2, 3, 4, 5, 6])
    assert list_reasons(read_fashion_mnist(tmp_path, split="train")) == [
        ("train/00001", f"{labels.name}, label 1: the label 10 is unknown: there are 0 to 9"),
        ("train/00007", f"{labels.name}, label 7: there are 7 labels for 9 pictures"),
        ("train/00008", f"{labels.name}, label 8: there are 7 labels for 9 pictures"),
    ]
    write_idx(labels, range(9), count=2**32 - 1)
    assert list_reasons(read_fashion_mnist(tmp_path, split="train")) == [
        (labels.name, f"{labels.name}: there are 4294967295 labels for 9 pictures")
    ]
    images = write_idx(tmp_path / "t10k-images-idx3-ubyte", np.zeros((2, 28, 28)), count=2**32 - 1)
    reason = f"{images.name}, picture 2 of 4294967295: the file ends before it"
    assert list_reasons(read_fashion_mnist(tmp_path, split="test")) == [(images.name, reason)]


def test_fashion_mnist_that_is_damaged(tmp_path: Path) -> None:
    write_fashion_mnist(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    items, failures = split_entries(read_fashion_mnist(tmp_path, split="train"))
    assert 0 < len(items) < 9
    assert "it is damaged or cut off" in failures[0].reason
    for content, says in (
        (b"", "the file ends before it"),
        (b"not gzip", "damaged"),
        (gzip.compress(struct.pack(">4I", 0x0801, 5, 1, 1)), r"it begins with 0x00000801, not 0x00000803"),
        (gzip.compress(struct.pack(">4I", 0x0803, 5, 2**31, 2**31)), "pictures have 2147483648 x 2147483648 pixels"),
    ):
        path.write_bytes(content)
        with pytest.raises(SourceError, match=says):
            read_fashion_mnist(tmp_path)
    path.write_bytes(whole)
    (tmp_path / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(SourceError, match=r"has no train-labels-idx1-ubyte\(\.gz\) beside it"):
        read_fashion_mnist(tmp_path)


# Fashion Product Images

STYLES = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName"


def test_fashion_products_may_have_commas_in_their_names(tmp_path: Path) -> None:
    rows = [
        "15970,Men,Apparel,Topwear,Shirts,Navy Blue,Fall,2011,Casual,Turtle Check Men Navy Blue Shirt",
        "1163,Men,Personal Care,Fragrance,Perfume and Body Mist,NA,,2012.0,NA,Boss Men Perfume, After Shave",
        '7,Women,Apparel,Topwear,Tshirts,Red,Fall,,Casual,"Tee, ""red"""',
    ]
    write(tmp_path / "styles.csv", "\r\n".join([STYLES, *rows, "", ""]))
    for number in (15970, 1163, 7):
        write(tmp_path / f"images/{number}.jpg")
    items = read_items(read_fashion_products(tmp_path))
    assert items == read_items(read_fashion_products(tmp_path / "styles.csv"))
    assert [item.title for item in items] == [
        "Turtle Check Men Navy Blue Shirt",
        "Boss Men Perfume, After Shave",
        'Tee, "red"',
    ]
    assert items[1] == Item(
        "1163",
        "images/1163.jpg",
        title="Boss Men Perfume, After Shave",
        columns={
            "gender": "Men",
            "masterCategory": "Personal Care",
            "subCategory": "Fragrance",
            "articleType": "Perfume and Body Mist",
            "baseColour": None,
            "season": None,
            "year": 2012,
            "usage": None,
            "productDisplayName": "Boss Men Perfume, After Shave",
        },
    )
    assert items[1].picture == tmp_path / "images/1163.jpg"


def test_rows_of_fashion_products_that_cannot_be_right(tmp_path: Path) -> None:
    rows = [
        "1,Men,Apparel,Topwear,Shirts,Navy Blue,Fall,2011,Casual,Shirt",
        "2,Men,Apparel,Topwear,Shirts",
        "3,Men,Apparel,Topwear,Shirts,Blue, light,Fall,2011,Casual,Shirt",
        "../4,Men,Apparel,Topwear,Shirts,Blue,Fall,2011,Casual,Shirt",
    ]
    write(tmp_path / "styles.csv", "\n".join([STYLES, *rows]))
    for name in ("1.jpg", "2.jpg", "5.jpg", "notes.txt"):
        write(tmp_path / "images" / name)
    items, failures = split_entries(read_fashion_products(tmp_path))
    assert [item.item_id for item in items] == ["1"]
    assert [(failure.item_id, failure.reason) for failure in failures] == [
        ("2", "styles.csv, line 3: 5 cells where there must be 10"),
        ("3", "styles.csv, line 4: the year is 'Fall': a comma must have moved the cells"),
        ("line 5", "styles.csv, line 5: '../4' is no id"),
        ("images/5.jpg", "images/5.jpg has no row in styles.csv"),
    ]
    with pytest.raises(SourceError, match=r"is no styles\.csv of this set: its first line must be id,gender"):
        read_fashion_products(write(tmp_path / "other.csv", "id,image\n1,a.jpg\n"))


# clothing-dataset


@pytest.mark.parametrize("folder", ["images", "images_compressed", "images_original"])
def test_clothing_dataset_in_both_its_forms(tmp_path: Path, folder: str) -> None:
    for name in ("ea7b6656-3f84", "c995c900-693d"):
        write(tmp_path / folder / f"{name}.jpg")
    published = ["image,sender_id,label,kids", "ea7b6656-3f84,148,T-Shirt,False", "c995c900-693d,337,Not sure,True"]
    path = write(tmp_path / "images.csv", "\n".join(published))
    items = read_items(read_clothing_dataset(tmp_path))
    assert items == [
        Item(
            "ea7b6656-3f84",
            f"{folder}/ea7b6656-3f84.jpg",
            columns={"label": "T-Shirt", "kids": False, "sender_id": 148},
        ),
        Item(
            "c995c900-693d",
            f"{folder}/c995c900-693d.jpg",
            columns={"label": "Not sure", "kids": True, "sender_id": 337},
        ),
    ]
    assert items[0].picture == tmp_path / folder / "ea7b6656-3f84.jpg"
    prepared = ["image,label,kids,sender_id", "images/ea7b6656-3f84.jpg,T-Shirt,False,148"]
    write(path, "\n".join([*prepared, "images/c995c900-693d.jpg,Not sure,True,337"]))
    assert read_items(read_clothing_dataset(path)) == items


def test_rows_of_clothing_dataset_that_cannot_be_right(tmp_path: Path) -> None:
    rows = ["a,1,Dress,False", "b,1,Gown,False", "c,1,Dress,Maybe", "d,x,Dress,True", "../e,1,Dress,True", "f,1,Dress"]
    write(tmp_path / "images.csv", "\n".join(["image,sender_id,label,kids", *rows]))
    for name in ("a", "b", "z"):
        write(tmp_path / f"images/{name}.jpg")
    items, failures = split_entries(read_clothing_dataset(tmp_path))
    assert [item.item_id for item in items] == ["a"]
    assert [(failure.item_id, failure.reason) for failure in failures] == [
        ("b", "images.csv, line 3: the label 'Gown' is unknown"),
        ("c", "images.csv, line 4: kids is 'Maybe', neither True nor False"),
        ("d", "images.csv, line 5: sender_id is 'x', no number"),
        ("line 6", "images.csv, line 6: there is no photo's id in the column 'image'"),
        ("f", "images.csv, line 7: 3 cells where the header has 4"),
        ("images/z.jpg", "images/z.jpg has no row in images.csv"),
    ]
    with pytest.raises(SourceError, match="must have the columns image, kids, label, sender_id"):
        read_clothing_dataset(write(tmp_path / "other.csv", "image,label\na,Dress\n"))


# Clothing Co-Parsing


def pack_element(kind: int, data: bytes, order: str = "<") -> bytes:
    """A data element of a MAT-file; up to four bytes stand in its tag."""
    if 0 < len(data) <= 4:
        return struct.pack(f"{order}I", len(data) << 16 | kind) + data.ljust(4, b"\0")
    return struct.pack(f"{order}II", kind, len(data)) + data + bytes(-len(data) % 8)


def pack_matrix(name: str, kind: int, shape: Sequence[int], content: bytes, order: str = "<") -> bytes:
    parts = [
        pack_element(6, struct.pack(f"{order}II", kind, 0), order),
        pack_element(5, struct.pack(f"{order}{len(shape)}i", *shape), order),
        pack_element(1, name.encode(), order),
    ]
    return pack_element(14, b"".join(parts) + content, order)


def write_matlab(path: Path, matrix: bytes, order: str = "<", packed: bool = True) -> Path:
    header = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(f"{order}H", 0x0100) + (b"IM" if order == "<" else b"MI")
    if packed:
        data = zlib.compress(matrix)
        matrix = struct.pack(f"{order}II", 15, len(data)) + data
    return write(path, header + matrix)


TAGS = ["null", "bag", "dress", "hair", "skin"]


def write_co_parsing(root: Path) -> Path:
    """Two photos as published, the first with a label for each pixel."""
    cells = [pack_matrix("", 4, (1, len(tag)), pack_element(16, tag.encode())) for tag in TAGS]
    write_matlab(root / "label_list.mat", pack_matrix("label_list", 1, (1, len(TAGS)), b"".join(cells)))
    pixels = np.array([[0, 0, 2], [0, 4, 2]], np.uint8)
    content = pack_element(2, pixels.tobytes("F"))
    write_matlab(root / "annotations/pixel-level/0001.mat", pack_matrix("groundtruth", 9, pixels.shape, content))
    content = pack_element(9, struct.pack("<3d", 3, 1, 2))
    write_matlab(root / "annotations/image-level/1005.mat", pack_matrix("tags", 6, (3, 1), content))
    for stem in ("0001", "1005"):
        write(root / f"photos/{stem}.jpg")
    return root


def test_clothing_co_parsing_as_published(tmp_path: Path) -> None:
    items = read_items(read_co_parsing(write_co_parsing(tmp_path)))
    mask = "annotations/pixel-level/0001.mat"
    assert items == [
        Item("0001", "photos/0001.jpg", columns={"tags": ["dress", "skin"], "garments": ["dress"], "mask": mask}),
        Item(
            "1005",
            "photos/1005.jpg",
            columns={"tags": ["bag", "dress", "hair"], "garments": ["bag", "dress"], "mask": None},
        ),
    ]
    assert items[0].picture == tmp_path / "photos/0001.jpg"


def test_clothing_co_parsing_as_a_table(tmp_path: Path) -> None:
    write(tmp_path / "labels.json", to_json(TAGS))
    rows = ["images/0001.jpg,masks/0001.png,dress|hair|skin", "images/1005.jpg,,bag", "images/1006.jpg,,"]
    write(tmp_path / "images.csv", "\n".join(["image,mask,tags", *rows]))
    for name in ("images/0001.jpg", "masks/0001.png", "images/1005.jpg", "images/1006.jpg"):
        write(tmp_path / name)
    first, second, third = read_items(read_co_parsing(tmp_path))
    columns = {"tags": ["dress", "hair", "skin"], "garments": ["dress"], "mask": "masks/0001.png"}
    assert first == Item("0001", "images/0001.jpg", columns=columns)
    assert second.columns == {"tags": ["bag"], "garments": ["bag"], "mask": None}
    assert third.columns == {"tags": [], "garments": [], "mask": None}


def test_what_contradicts_itself_in_clothing_co_parsing(tmp_path: Path) -> None:
    write_co_parsing(tmp_path / "a")
    content = pack_element(2, bytes([1, 9]))
    write_matlab(tmp_path / "a/annotations/image-level/1005.mat", pack_matrix("tags", 9, (2, 1), content))
    write_matlab(tmp_path / "a/annotations/image-level/1006.mat", pack_matrix("other", 9, (2, 1), content))
    write(tmp_path / "a/annotations/image-level/1007.mat", b"MATLAB 5.0 MAT-file")
    for name in ("1006.jpg", "1007.jpg", "1008.jpg", "the 9th.jpg"):
        write(tmp_path / "a/photos" / name)
    write(tmp_path / "a/annotations/pixel-level/0002.mat")
    tags, pixels = "annotations/image-level", "annotations/pixel-level"
    assert list_reasons(read_co_parsing(tmp_path / "a")) == [
        ("0002", f"{pixels}/0002.mat: there is no photo photos/0002.jpg"),
        ("1005", f"{tags}/1005.mat: the label 9 is unknown: there are 0 to 4"),
        ("1006", f"{tags}/1006.mat: it has no array 'tags'"),
        ("1007", f"{tags}/1007.mat: not a MAT-file of MATLAB 5 or later"),
        ("1008", f"{tags}/1008.mat: the photo has no annotations"),
        ("photos/the 9th.jpg", "photos/the 9th.jpg has no row in the annotations"),
    ]
    write(tmp_path / "b/labels.json", to_json(TAGS))
    rows = ["images/1.jpg,masks/1.png,dress", "images/2.jpg,,gown", "images/../3.jpg,,bag", "images/4.jpg,,bag"]
    write(tmp_path / "b/images.csv", "\n".join(["image,mask,tags", *rows]))
    write(tmp_path / "b/images/5.jpg")
    assert list_reasons(read_co_parsing(tmp_path / "b")) == [
        ("1", "images.csv, line 2: its mask masks/1.png is not there"),
        ("2", "images.csv, line 3: the tag 'gown' is unknown: labels.json does not have it"),
        ("line 4", "images.csv, line 4: there is no photo in the column 'image'"),
        ("images/5.jpg", "images/5.jpg has no row in images.csv"),
    ]
    (tmp_path / "a/label_list.mat").unlink()
    with pytest.raises(SourceError, match=r"label_list\.mat: No such file"):
        read_co_parsing(tmp_path / "a")


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("order", ["<", ">"])
def test_matlab_files_of_all_kinds_of_numbers(tmp_path: Path, order: str, packed: bool) -> None:
    for kind, code in ((1, "b"), (2, "B"), (3, "h"), (4, "H"), (5, "i"), (6, "I"), (7, "f"), (9, "d"), (12, "q")):
        data = struct.pack(f"{order}6{code}", *range(6))
        matrix = pack_matrix("numbers", 6, (2, 3), pack_element(kind, data, order), order)
        (name, (shape, values)), *others = read_matlab(write_matlab(tmp_path / "a.mat", matrix, order, packed)).items()
        assert (name, shape, list(values), others) == ("numbers", (2, 3), list(range(6)), [])


def test_matlab_files_as_scipy_writes_them(tmp_path: Path) -> None:
    scipy_io = pytest.importorskip("scipy.io", reason="only the files that the tests write themselves are read")
    names = np.empty((1, 3), object)
    names[0] = ["null", "bag", "ärmel"]
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    for packed in (True, False):
        scipy_io.savemat(
            tmp_path / "a.mat", {"names": names, "pixels": pixels, "struct": {"a": 1}}, do_compression=packed
        )
        found = read_matlab(tmp_path / "a.mat")
        assert list(found) == ["names", "pixels"]
        assert list(found["names"].values) == ["null", "bag", "ärmel"]
        assert (found["pixels"].shape, list(found["pixels"].values)) == ((2, 3), [0, 3, 1, 4, 2, 5])


def test_matlab_files_that_are_damaged_or_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = pack_matrix("numbers", 6, (2, 3), pack_element(9, struct.pack("<6d", *range(6))))
    whole = write_matlab(tmp_path / "a.mat", matrix).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(300):
        data = bytearray(whole[: rng.integers(0, len(whole) + 1)])
        if len(data) > 128:
            data[rng.integers(124, len(data))] = rng.integers(0, 256)
        try:
            read_matlab(write(tmp_path / "a.mat", bytes(data)))
        except ValueError as error:
            assert str(error)
    for content, says in (
        (b"MATLAB 7.3 MAT-file", "save it with -v7"),
        (b"", "not a MAT-file"),
        (whole, "more than 100 b"),
    ):
        monkeypatch.setattr(settings, "MAX_ARRAY", 2**20)
        if content == whole:
            content = write_matlab(tmp_path / "b.mat", pack_element(14, bytes(10_000))).read_bytes()
            monkeypatch.setattr(settings, "MAX_ARRAY", len(content))
            says = f"an array of more than {len(content):,} bytes"
        with pytest.raises(ValueError, match=says):
            read_matlab(write(tmp_path / "a.mat", content))


# Folders of classes


def test_folders_of_splits_and_classes(tmp_path: Path) -> None:
    names = ["test/dress/1.jpg", "train/dress/1.jpg", "train/shoes/boots/2.png", "train/3.jpg", "valid/hat/4.jpg"]
    for name in [*names, "extra/5.jpg", "train/hat/notes.txt"]:
        write(tmp_path / name)
    (tmp_path / "val").mkdir()
    items = read_items(read_class_folders(tmp_path))
    assert [(item.item_id, item.columns["split"], item.columns["label"]) for item in items] == [
        ("test/dress/1.jpg", "test", "dress"),
        ("train/3.jpg", "train", None),
        ("train/dress/1.jpg", "train", "dress"),
        ("train/shoes/boots/2.png", "train", "shoes/boots"),
        ("valid/hat/4.jpg", "valid", "hat"),
    ]
    assert items[0].picture == tmp_path / "test/dress/1.jpg"
    assert [item.item_id for item in read_items(read_class_folders(tmp_path, split="valid"))] == ["valid/hat/4.jpg"]
    write(tmp_path / "6.jpg")
    reason = f"{tmp_path.name}/6.jpg has no row in a folder of a split"
    assert list_reasons(read_class_folders(tmp_path)) == [(f"{tmp_path.name}/6.jpg", reason)]
    with pytest.raises(SourceError, match="has no folders of splits in it"):
        read_class_folders(tmp_path / "train")


# The sets that lie beside the checkout


def find_set(name: str) -> Path:
    """A folder of real data: $FOCUSEDFASHION_DATA/name, or shared/data/name beside one of the folders above."""
    places = [Path(os.environ["FOCUSEDFASHION_DATA"])] if "FOCUSEDFASHION_DATA" in os.environ else []
    places += [folder / "shared/data" for folder in Path(__file__).resolve().parents]
    found = next((place / name for place in places if (place / name).is_dir()), None)
    if found is None:
        pytest.skip(f"the real set '{name}' is not here; its generated twin is tested")
    return found


def test_the_real_clothing_dataset() -> None:
    items = read_items(read_clothing_dataset(find_set("clothing")))
    assert len(items) > 4_000
    assert len({item.item_id for item in items}) == len(items)
    assert len({item.columns["label"] for item in items}) == 20
    assert isinstance(items[0].picture, Path)
    assert open_image(items[0].picture).shape[2] == 3


def test_the_real_clothing_co_parsing() -> None:
    items = read_items(read_co_parsing(find_set("street")))
    assert len(items) > 1_700
    masked = [item for item in items if item.columns["mask"]]
    assert 800 < len(masked) < len(items)
    assert sum(bool(item.columns["garments"]) for item in masked) > 800
