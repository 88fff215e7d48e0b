"""Reading sources: what becomes of a person's folders and tables, the untidy ones above all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from focusedfashion import settings
from focusedfashion.errors import SourceError
from focusedfashion.items import Failure, Item
from focusedfashion.sources import read_source


def read_all(path: Path, id_column: str | None = None) -> tuple[list[Item], list[Failure]]:
    entries = list(read_source(path, id_column))
    items = [entry for entry in entries if isinstance(entry, Item)]
    return items, [entry for entry in entries if isinstance(entry, Failure)]


def write_text(path: Path, *lines: str, encoding: str = "utf-8", end: str = "\n") -> Path:
    path.write_bytes(end.join([*lines, ""]).encode(encoding))
    return path


def write_jsonl(path: Path, *rows: Any) -> Path:
    return write_text(path, *(row if isinstance(row, str) else json.dumps(row) for row in rows))


def write_parquet(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    parquet.write_table(pa.table(columns), path, **options)
    return path


def list_column(items: Sequence[Item], name: str) -> list[Any]:
    """The column's values, with their types: 1 == 1.0 == True in Python."""
    return [(type(item.columns[name]).__name__, item.columns[name]) for item in items]


# Any source


def test_importing_the_sources_does_not_load_pyarrow() -> None:
    code = "import sys, focusedfashion.sources; print([name for name in ('pyarrow', 'PIL') if name in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("location", "says"),
    [
        ("nowhere.csv", "'nowhere.csv': no such file or folder"),
        ("", "no such file or folder"),
        ("a\0b.csv", "no such file or folder"),
        ("goggle:feed.xml", "'goggle:' of 'goggle:feed.xml' is no known kind"),
        ("google:feed.xml", "'feed.xml': no such file or folder"),
        ("https://shop.example/feed.csv", "needs its kind before it: google:, shopify:, page: or shop:"),
        ("imaterialist:nowhere.json?row=1", "imaterialist has no option 'row'; it has split, rows, labels, drop"),
    ],
)
def test_a_place_that_is_not_there_is_an_error_of_the_call(location: str, says: str) -> None:
    with pytest.raises(SourceError) as caught:
        read_source(location)  # without a next()
    assert says.replace("\0", " ") in str(caught.value)


def test_an_unknown_ending_names_what_can_be_read(tmp_path: Path) -> None:
    path = write_text(tmp_path / "shop.xlsx", "x")
    with pytest.raises(SourceError, match=r"ending '\.xlsx'.*folder of pictures.*\.csv.*\.jsonl.*\.parquet"):
        read_source(path)


def test_the_ending_counts_in_any_case_and_the_location_may_be_a_string(tmp_path: Path) -> None:
    path = write_text(tmp_path / "SHOP.CSV", "image", "a.jpg")
    assert [entry.item_id for entry in read_source(str(path))] == ["a.jpg"]


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_an_empty_table_has_no_rows(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match=r"t\.(csv is empty|jsonl has no rows)"):
        read_source(write_text(tmp_path / name))
    with pytest.raises(SourceError, match=r"t\.(csv is empty|jsonl has no rows)"):
        read_source(write_text(tmp_path / name, "", "  ", ""))


# Folders


def test_a_folder_gives_its_pictures_sorted_with_their_sub_folder(tmp_path: Path) -> None:
    names = ["b.JPG", "a.png", "sub/deep/c.webp", "sub/d.jpeg", "sub/e.avif", "f.heic", "g.heif", "h.gif", "i.bmp"]
    names += ["j.tif", "k.TIFF", "été/l.jpg"]
    for name in [*names, "notes.txt", "table.csv", "jpg", "sub/x.jpg.part", ".hidden.jpg", ".trash/m.jpg"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    items, failures = read_all(tmp_path)
    assert not failures
    assert [item.item_id for item in items] == sorted(names, key=lambda name: name.split("/"))
    by_id = {item.item_id: item for item in items}
    assert by_id["sub/deep/c.webp"] == Item("sub/deep/c.webp", "sub/deep/c.webp", columns={"folder": "sub/deep"})
    assert by_id["sub/deep/c.webp"].picture == tmp_path / "sub/deep/c.webp"
    assert by_id["a.png"].columns == {"folder": ""}
    assert by_id["a.png"].title is None


def test_a_folder_without_pictures_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has no pictures in it"):
        read_source(tmp_path)
    write_text(tmp_path / "readme.txt", "x")
    (tmp_path / "sub").mkdir()
    with pytest.raises(SourceError, match="has no pictures in it"):
        read_source(tmp_path)


def test_links_in_a_circle_end_and_linked_folders_are_read_once(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    (shop / "a").mkdir(parents=True)
    (shop / "a/1.jpg").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/2.jpg").touch()
    try:
        (shop / "a/round").symlink_to(shop, target_is_directory=True)
        (shop / "b").symlink_to(shop / "a", target_is_directory=True)
        (shop / "c").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
        (shop / "self").symlink_to(shop / "self")
    except OSError as error:
        pytest.skip(f"no symbolic links here: {error}")
    assert [item.item_id for item in read_all(shop)[0]] == ["a/1.jpg", "c/2.jpg"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has names that are not text")
def test_a_name_that_is_not_text_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "good.jpg").touch()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg")).touch()
    items, failures = read_all(tmp_path)
    assert [item.item_id for item in items] == ["good.jpg"]
    assert [failure.step for failure in failures] == ["read"]
    assert "not UTF-8" in failures[0].reason
    (failures[0].item_id + failures[0].reason).encode()


def test_a_folder_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.jpg").touch()
    (tmp_path / "locked").mkdir()
    scan = os.scandir

    def refuse(path: Path) -> Any:  # root, who runs many tests, may read everything
        if path.name == "locked":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    items, failures = read_all(tmp_path)
    assert [item.item_id for item in items] == ["a.jpg"]
    assert failures == [Failure("locked", "read", f"{tmp_path / 'locked'}: Permission denied")]
    with pytest.raises(SourceError, match="locked: Permission denied"):
        read_source(tmp_path / "locked")


def test_an_id_column_makes_no_sense_for_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    with pytest.raises(SourceError, match="is a folder, which has no column 'sku'"):
        read_source(tmp_path, "sku")


# Tables: what becomes of the columns


def test_our_own_fields_are_filled_and_the_rest_are_columns(tmp_path: Path) -> None:
    path = write_text(
        tmp_path / "shop.csv",
        "id,image,title,brand,url,price,currency,product_id,gender,year,rating,code",
        '7,img/7.jpg,"Dress, red",Lume,https://x.example/7,19.5,EUR,P1,Women,2011,4,007',
        "8,img/8.jpg,,,,,,,,2012,4.5,12",
    )
    (first, second), failures = read_all(path)
    assert not failures
    columns = {"gender": "Women", "year": 2011, "rating": 4.0, "code": "007"}
    facts = ("Dress, red", "Lume", "https://x.example/7", 19.5, "EUR")
    assert first == Item("7", "img/7.jpg", "P1", *facts, columns=columns)
    assert first.picture == tmp_path / "img/7.jpg"
    columns = {"gender": None, "year": 2012, "rating": 4.5, "code": "12"}
    assert second == Item("8", "img/8.jpg", "8", columns=columns)
    assert list_column([first, second], "rating") == [("float", 4.0), ("float", 4.5)]


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (["1", "-2", ""], "int", [1, -2, None]),
        (["0", str(2**63 - 1), str(-(2**63))], "int", [0, 2**63 - 1, -(2**63)]),
        (["1", "2.5", "1e3"], "float", [1.0, 2.5, 1000.0]),
        ([".5", "5.", "-0.25"], "float", [0.5, 5.0, -0.25]),
        (["1", "007", "2"], "str", ["1", "007", "2"]),
        (["1", str(2**63), "2"], "str", ["1", str(2**63), "2"]),
        (["1.5", "nan", "2"], "str", ["1.5", "nan", "2"]),
        (["1.5", "1e999", "2"], "str", ["1.5", "1e999", "2"]),
        (["1", "1_000", "2"], "str", ["1", "1_000", "2"]),
        (["1", "٣", "2"], "str", ["1", "٣", "2"]),  # a digit, but not one of ours
        (["1", "+2", "3"], "str", ["1", "+2", "3"]),
        (["1", "", "late"], "str", ["1", None, "late"]),
        (["", "", ""], "NoneType", [None, None, None]),
    ],
)
def test_a_csv_column_has_one_type_over_the_whole_table(
    tmp_path: Path, cells: list[str], kind: str, values: list[Any]
) -> None:
    path = write_text(tmp_path / "t.csv", "image,x,y", *(f"{n}.jpg,{cell},z" for n, cell in enumerate(cells)))
    found = list_column(read_all(path)[0], "x")
    assert found == [("NoneType" if value is None else kind, value) for value in values]


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        ([1, 2, None], [("int", 1), ("int", 2), ("NoneType", None)]),
        ([1, 2.5], [("float", 1.0), ("float", 2.5)]),
        ([True, False], [("bool", True), ("bool", False)]),
        ([1, True], [("str", "1"), ("str", "true")]),
        (["a", 1.5, None], [("str", "a"), ("str", "1.5"), ("NoneType", None)]),
        ([2**64, 1], [("str", str(2**64)), ("str", "1")]),
        ([["é", 1], {"b": None}], [("str", '["é", 1]'), ("str", '{"b": null}')]),
        ([float("nan"), 1], [("NoneType", None), ("int", 1)]),
        ([float("inf"), 1.5], [("NoneType", None), ("float", 1.5)]),
        ([None, None], [("NoneType", None), ("NoneType", None)]),
    ],
)
def test_a_jsonl_column_has_one_type_over_the_whole_table(tmp_path: Path, cells: list[Any], values: list[Any]) -> None:
    path = write_jsonl(tmp_path / "t.jsonl", *({"image": f"{n}.jpg", "x": cell} for n, cell in enumerate(cells)))
    assert list_column(read_all(path)[0], "x") == values


def test_a_jsonl_column_that_a_row_lacks_is_none_there(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "t.ndjson", {"image": "a.jpg"}, {"image": "b.jpg", "size": "M"})
    assert [item.columns for item in read_all(path)[0]] == [{"size": None}, {"size": "M"}]


def test_columns_keep_their_own_names(tmp_path: Path) -> None:
    """Also names that a catalog needs itself: it gives them a prefix when they are stored (test_store.py)."""
    header = "image,item_id,thumbnail,attributes.color,size,size,id"
    path = write_text(tmp_path / "t.csv", header, "a.jpg,i,t,d,S,M,7")
    (item,) = read_all(path)[0]
    assert item.item_id == "7"
    assert item.columns == {"item_id": "i", "thumbnail": "t", "attributes.color": "d", "size": "S", "size_2": "M"}


@pytest.mark.parametrize("name", ["name", "product_name", "productDisplayName"])
def test_another_name_fills_the_title_and_stays(tmp_path: Path, name: str) -> None:
    (item,) = read_all(write_text(tmp_path / "t.csv", f"image,{name}", "a.jpg,Red dress"))[0]
    assert (item.title, item.columns) == ("Red dress", {name: "Red dress"})
    (item,) = read_all(write_text(tmp_path / "t.csv", f"image,{name},title", "a.jpg,Red dress,"))[0]
    assert (item.title, item.columns) == (None, {name: "Red dress"})


def test_a_price_that_is_no_number_is_kept_as_text(tmp_path: Path) -> None:
    path = write_text(tmp_path / "t.csv", "image;price", "a;19.50", 'b;"1.299,00 €"', "c;", "d;nan")
    items, _ = read_all(path)
    assert [item.price for item in items] == [19.5, None, None, None]
    assert [item.columns["source_price"] for item in items] == [None, "1.299,00 €", None, "nan"]
    path = write_jsonl(tmp_path / "t.jsonl", {"image": "a", "price": "19.50"}, {"image": "b", "price": [1]})
    items, _ = read_all(path)
    assert [(item.price, item.columns["source_price"]) for item in items] == [(19.5, None), (None, "[1]")]
    (item,) = read_all(write_text(tmp_path / "t.csv", "image,price,source_price", "a,cheap,EU"))[0]
    assert item.columns == {"source_price": "cheap", "source_price_2": "EU"}
    items, _ = read_all(write_text(tmp_path / "t.csv", "image,price", "a,19.50", "b,3"))
    assert [(item.price, item.columns) for item in items] == [(19.5, {}), (3.0, {})]


def test_the_id_is_what_was_asked_for_or_the_first_that_is_known(tmp_path: Path) -> None:
    path = write_text(tmp_path / "t.csv", "sku,item_id,image,ean", "s,i,a.jpg,0042")
    assert read_all(path)[0] == [Item("i", "a.jpg", columns={"sku": "s", "ean": "0042"})]
    assert read_all(path, "ean")[0] == [Item("0042", "a.jpg", columns={"sku": "s", "item_id": "i"})]
    with pytest.raises(SourceError, match="no column 'gtin' for the ids; it has 'sku', 'item_id', 'image', 'ean'"):
        read_source(path, "gtin")
    path = write_text(tmp_path / "t.csv", "image,size", "sub/a.jpg,M")
    assert read_all(path)[0] == [Item("sub/a.jpg", "sub/a.jpg", columns={"size": "M"})]


def test_ids_become_text_without_a_fraction(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "t.jsonl", *({"image": "a", "id": value} for value in (7, 7.0, "7.0", 7.5, " x ")))
    assert [item.item_id for item in read_all(path)[0]] == ["7", "7", "7.0", "7.5", "x"]


def test_a_row_without_an_id_or_a_picture_is_a_failure(tmp_path: Path) -> None:
    path = write_text(tmp_path / "t.csv", "id,image", "1,a.jpg", ",b.jpg", "3,", "4,d.jpg")
    items, failures = read_all(path)
    assert [item.item_id for item in items] == ["1", "4"]
    assert failures == [
        Failure("row 2", "read", "t.csv, line 3: nothing in the column 'id', which has the ids"),
        Failure("3", "read", "t.csv, line 4: no picture in the column 'image'"),
    ]


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
def test_a_table_without_pictures_lists_its_columns(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "t.csv":
        write_text(path, "id,Image,photo", "1,a,b")
    elif name == "t.jsonl":
        write_jsonl(path, {"id": 1, "Image": "a"}, {"photo": "b"})
    else:
        write_parquet(path, {"id": [1], "Image": ["a"], "photo": ["b"]})
    with pytest.raises(SourceError, match=rf"{name} has no column 'image'.*'id', 'Image', 'photo'"):
        read_source(path)


def test_a_picture_by_url_has_to_be_downloaded_first(tmp_path: Path) -> None:
    urls = [
        "https://x.example/a.jpg",
        "HTTP://x.example/b.jpg",
        "s3://bucket/c.jpg",
        "data:image/png;base64," + "A" * 5000,
    ]
    path = write_jsonl(
        tmp_path / "t.jsonl", *({"id": n, "image": url} for n, url in enumerate(urls)), {"image": "e.jpg", "id": "e"}
    )
    items, failures = read_all(path)
    assert [item.item_id for item in items] == ["e"]
    assert {failure.step for failure in failures} == {"read"}
    assert all("pictures by URL cannot be read yet: download them first" in failure.reason for failure in failures)
    assert failures[0].reason.startswith("t.jsonl, line 1: ")
    assert max(len(failure.reason) for failure in failures) < 400


@pytest.mark.parametrize("image", [["a.jpg", "b.jpg"], 7, {"bytes": None, "path": None}, "", "x" * 5000, True])
def test_an_image_that_is_no_path_is_a_failure(tmp_path: Path, image: Any) -> None:
    items, failures = read_all(write_jsonl(tmp_path / "t.jsonl", {"image": image, "id": 1}, {"image": "b", "id": 2}))
    assert [item.item_id for item in items] == ["2"]
    assert [(failure.item_id, failure.step) for failure in failures] == [("1", "read")]
    assert "'image'" in failures[0].reason
    assert len(failures[0].reason) < 200


def test_an_absolute_path_is_taken_as_it_is(tmp_path: Path) -> None:
    picture = tmp_path / "elsewhere" / "a.jpg"
    path = write_text(tmp_path / "t.csv", "image", str(picture), "../b.jpg")
    assert [item.picture for item in read_all(path)[0]] == [picture, tmp_path / "../b.jpg"]


# CSV


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_delimiters_and_line_ends(tmp_path: Path, mark: str, end: str) -> None:
    rows = [("id", "image", '"a title, or; more"'), ("1", "a.jpg", '"x, y; z"'), ("2", " b.jpg ", "")]
    path = write_text(tmp_path / "t.tsv", *(mark.join(row) for row in rows), end=end)
    items, failures = read_all(path)
    assert not failures
    assert [(item.item_id, item.image, item.columns) for item in items] == [
        ("1", "a.jpg", {"a title, or; more": "x, y; z"}),
        ("2", "b.jpg", {"a title, or; more": None}),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    path = write_text(tmp_path / "t.csv", "image,größe", "été.jpg,“L” … 5 €", encoding=encoding)
    (item,) = read_all(path)[0]
    assert (item.image, item.columns) == ("été.jpg", {"größe": "“L” … 5 €"})


def test_mixed_encodings_are_told_apart_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    lines = [
        b"id,image,title",
        "1,a,Café".encode(),
        "2,b,Café".encode("cp1252"),
        b"3,c,odd \x81\x9d",
        "4,d,日本".encode(),
    ]
    path.write_bytes(b"\n".join(lines))
    assert [item.title for item in read_all(path)[0]] == ["Café", "Café", "odd \ufffd\ufffd", "日本"]


def test_broken_rows_are_failures_and_the_rest_is_read(tmp_path: Path) -> None:
    path = write_text(
        tmp_path / "t.csv",
        "id,image,title",
        "1,a.jpg,first",
        "2,b.jpg",
        "",
        "3,c.jpg,too,many",
        ",,",
        '4,d.jpg,"two',
        'lines"',
        "5,e.jpg,nul\0",
        '6,"f.jpg","over',
        'two",7',
        "8,h.jpg,last",
    )
    items, failures = read_all(path)
    assert [(item.item_id, item.title) for item in items] == [("1", "first"), ("4", "two\nlines"), ("8", "last")]
    assert [(failure.item_id, failure.reason) for failure in failures] == [
        ("2", "t.csv, line 3: 2 cells where the header has 3"),
        ("3", "t.csv, line 5: 4 cells where the header has 3"),
        ("5", "t.csv, line 9: a NUL character in it: the file is damaged here"),
        ("6", "t.csv, lines 10 to 11: 4 cells where the header has 3 (is a quote left open?)"),
    ]
    assert {failure.step for failure in failures} == {"read"}


def test_a_row_that_breaks_before_its_id_is_named_by_its_number(tmp_path: Path) -> None:
    path = write_text(tmp_path / "t.csv", "image,title,id", "a,b,1", "c", "e,f,2")
    assert [failure.item_id for failure in read_all(path)[1]] == ["row 2"]


def test_a_broken_row_does_not_decide_on_types(tmp_path: Path) -> None:
    path = write_text(tmp_path / "t.csv", "image,year", "a.jpg,2011", "b.jpg,oops,2", "c.jpg,2012")
    assert list_column(read_all(path)[0], "year") == [("int", 2011), ("int", 2012)]


def test_a_table_whose_rows_are_all_broken_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no rows that can be read; line 2: 1 cells where the header has 2"):
        read_source(write_text(tmp_path / "t.csv", "id,image", "1", "2"))
    with pytest.raises(SourceError, match="no rows that can be read; line 1: not a JSON object"):
        read_source(write_text(tmp_path / "t.jsonl", '[{"image": "a.jpg"}]'))
    with pytest.raises(SourceError, match="has no rows"):
        read_source(write_text(tmp_path / "t.csv", "id,image"))


def test_a_cell_of_a_million_characters_is_fine(tmp_path: Path) -> None:
    text, more = "x\ny " * 250_000, "z" * 200_000
    path = write_text(tmp_path / "t.csv", "image,text,more", f'a.jpg,"{text}",{more}')
    (item,) = read_all(path)[0]
    assert item.columns == {"text": text.strip(), "more": more}


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_a_row_past_the_cap_is_a_failure(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "MAX_CELL", 1_000)
    if name == "t.csv":
        path = write_text(tmp_path / name, "id,image", "1,a", f"2,{'x' * 5_000}", f"3,{'y' * 980}", "4,d")
    else:
        rows = [{"id": n, "image": "x" * length} for n, length in ((1, 1), (2, 5_000), (3, 960), (4, 1))]
        path = write_jsonl(tmp_path / name, *rows)
    items, failures = read_all(path)
    assert [item.item_id for item in items] == ["1", "3", "4"]
    line = 3 if name == "t.csv" else 2
    assert failures == [Failure("row 2", "read", f"{name}, line {line}: longer than 1,000 characters")]


def test_a_quote_that_is_never_closed_costs_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f"{n},{n}.jpg,{chr(34) if n == 3 else ''}Dress" for n in range(1, 101)]
    path = write_text(tmp_path / "t.csv", "id,image,title", *rows)
    for cap, says in ((10_000, "a quote is opened and never closed"), (500, "longer than 500 characters")):
        monkeypatch.setattr(settings, "MAX_CELL", cap)
        items, failures = read_all(path)
        assert [item.item_id for item in items] == [str(n) for n in range(1, 101) if n != 3]
        assert [failure.item_id for failure in failures] == ["row 3"]
        assert failures[0].reason.startswith(f"t.csv, line 4: {says}")


def test_a_hostile_file_is_gone_back_over_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Each line closes a quote and opens another, so that every row runs to the cap, wherever one starts again.
    monkeypatch.setattr(settings, "MAX_CELL", 10_000)
    path = write_text(tmp_path / "t.csv", "id,image", "1,a.jpg", *['x""","y'] * 10_000, "2,b.jpg")
    items, failures = read_all(path)
    assert items[0].item_id == "1"
    assert len(failures) < 30


def test_columns_without_a_name_or_with_the_same(tmp_path: Path) -> None:
    (item,) = read_all(write_text(tmp_path / "t.csv", ",image,size,size,", "0,a.jpg,M,L,x"))[0]
    assert item.columns == {"column_1": 0, "size": "M", "size_2": "L", "column_5": "x"}


def test_quotes_inside_a_cell_are_text(tmp_path: Path) -> None:
    path = write_text(tmp_path / "t.csv", "id,image,title", '1,a,Bag 15" wide', '2,b,"He said ""no"""', '3, "c", x')
    assert [(item.image, item.title) for item in read_all(path)[0]] == [
        ("a", 'Bag 15" wide'),
        ("b", 'He said "no"'),
        ("c", "x"),
    ]


# JSONL


def test_broken_json_lines_are_failures_and_the_rest_is_read(tmp_path: Path) -> None:
    path = write_jsonl(
        tmp_path / "t.jsonl",
        "\ufeff" + json.dumps({"id": 1, "image": "a"}),
        '{"id": 2, "image": "b"',
        "",
        "[1, 2]",
        "[" * 100_000,
        '{"id": 5, "image": "\\ud800"}',
        '{"id": 6, "n": ' + "9" * 5_000 + "}",
        {"id": 7, "image": "\U0001f457.jpg"},
    )
    items, failures = read_all(path)
    assert [(item.item_id, item.image) for item in items] == [("1", "a"), ("7", "\U0001f457.jpg")]
    assert [failure.item_id for failure in failures] == ["row 2", "row 3", "row 4", "row 5", "row 6"]
    assert failures[0].reason.startswith("t.jsonl, line 2: not valid JSON (Expecting ',' delimiter, character")
    assert failures[1].reason.startswith("t.jsonl, line 4: not a JSON object")
    assert all("not valid JSON" in failure.reason for failure in failures[2:])


# Parquet


def test_parquet_types_and_bytes(tmp_path: Path) -> None:
    zone = timezone(timedelta(hours=2))
    path = write_parquet(
        tmp_path / "t.parquet",
        {
            "id": pa.array([1, 2], pa.int64()),
            "image": pa.array([b"\xff\xd8one", b""], pa.binary()),
            "price": pa.array([Decimal("19.50"), None], pa.decimal128(8, 2)),
            "year": pa.array([2011, None], pa.int16()),
            "ratio": pa.array([0.5, float("nan")], pa.float32()),
            "kids": [True, None],
            "size": pa.array(["M", None]).dictionary_encode(),
            "hash": pa.array([2**64 - 1, None], pa.uint64()),
            "day": [date(2024, 1, 2), None],
            "at": pa.array([datetime(2024, 1, 2, 3, 4, 5, tzinfo=zone), None], pa.timestamp("ns", tz="Europe/Berlin")),
            "tags": [["a", "b"], None],
            "info": [{"x": 1, "y": Decimal("2.5")}, None],
            "blob": [b"\xff\xfe\xfd", b"text"],
            "void": pa.nulls(2),
        },
    )
    (item,), failures = read_all(path)
    assert (item.item_id, item.image, item.price, item.picture) == ("1", "", 19.5, b"\xff\xd8one")
    assert item.columns == {
        "year": 2011,
        "ratio": 0.5,
        "kids": True,
        "size": "M",
        "hash": str(2**64 - 1),
        "day": "2024-01-02",
        "at": "2024-01-02T01:04:05+00:00",
        "tags": '["a", "b"]',
        "info": '{"x": 1, "y": "2.5"}',
        "blob": "<3 bytes>",
        "void": None,
    }
    assert failures == [Failure("2", "read", "t.parquet, row 2: no picture in the column 'image'")]


def test_parquet_pictures_as_hugging_face_has_them(tmp_path: Path) -> None:
    images = [
        {"bytes": b"one", "path": "1.jpg"},
        {"bytes": None, "path": "2.jpg"},
        {"bytes": b"three", "path": None},
        {"bytes": None, "path": None},
        None,
    ]
    items, failures = read_all(write_parquet(tmp_path / "t.parquet", {"image": images, "label": list("abcde")}))
    assert [(item.item_id, item.image, item.picture) for item in items] == [
        ("1.jpg", "1.jpg", b"one"),
        ("2.jpg", "2.jpg", tmp_path / "2.jpg"),
        ("row 3", "", b"three"),
    ]
    assert [failure.item_id for failure in failures] == ["row 4", "row 5"]


def test_parquet_ids_that_a_missing_one_made_floats(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "t.parquet", {"id": [7.0, None, float("nan")], "image": ["a", "b", "c"]})
    items, failures = read_all(path)
    assert [item.item_id for item in items] == ["7"]
    assert [failure.item_id for failure in failures] == ["row 2", "row 3"]


def test_a_large_parquet_row_group_is_not_held_in_memory(tmp_path: Path) -> None:
    pictures = [os.urandom(50_000) for _ in range(600)]  # 30 MB
    path = tmp_path / "t.parquet"
    write_parquet(path, {"image": pictures}, write_batch_size=8, use_dictionary=False, row_group_size=600)
    del pictures
    before, most = pa.total_allocated_bytes(), 0
    for entry in read_source(path):
        assert isinstance(entry, Item)
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < 10e6


def test_parquet_rows_are_counted_over_row_groups(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "t.parquet", {"image": [f"{n}.jpg" for n in range(1000)]}, row_group_size=300)
    items, _ = read_all(path)
    assert [item.image for item in items] == [f"{n}.jpg" for n in range(1000)]
    path = write_parquet(tmp_path / "u.parquet", {"image": ["a.jpg"] * 300 + [""]}, row_group_size=300)
    assert read_all(path)[1] == [Failure("row 301", "read", "u.parquet, row 301: no picture in the column 'image'")]


def test_broken_parquet(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    with pytest.raises(SourceError, match=r"t\.parquet cannot be read as Parquet: "):
        read_source(write_text(path, "this is no Parquet"))
    write_parquet(path, {"image": [os.urandom(10_000) for _ in range(100)]}, compression="none")
    whole = path.read_bytes()
    path.write_bytes(whole[:-2_000])
    with pytest.raises(SourceError, match="cannot be read as Parquet"):
        read_source(path)
    path.write_bytes(b"PAR1" + bytes(1_000_000) + whole[1_000_004:])
    with pytest.raises(SourceError, match="cannot be read as Parquet"):
        list(read_source(path))
    write_parquet(path, {"image": pa.array([], pa.string())})
    with pytest.raises(SourceError, match="has no rows"):
        read_source(path)
