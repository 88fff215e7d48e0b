from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import draw_garment
from focusedfashion import cli
from focusedfashion.catalog import Catalog

Run = Callable[..., "Result"]


class Result:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run_main(*argv: object) -> Result:
        try:
            code = cli.main([str(word) for word in argv])
        except SystemExit as stop:  # argparse's way for wrong arguments
            code = int(stop.code or 0)
        return Result(code, *capsys.readouterr())

    return run_main


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number in range(12):
        place = folder / ("dresses" if number % 2 else "shirts") / f"{number:02}.jpg"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(draw_garment(["red", "green", "blue"][number % 3], number % 2, number // 6))
    return folder


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, photos: Path, encoder_folder: Path) -> Path:
    """A catalog of twelve photos, to read only."""
    shop = tmp_path_factory.mktemp("cli") / "shop"
    assert cli.main(["index", str(shop), str(photos), "--encoder", str(encoder_folder), "--json"]) == 0
    return shop


def test_index_from_nothing_to_done(run: Run, tmp_path: Path, encoder_folder: Path) -> None:
    photos, shop = tmp_path / "photos", tmp_path / "my shop"
    photos.mkdir()
    (photos / "a.jpg").write_bytes(draw_garment())
    (photos / "b.jpg").write_bytes(b"junk")
    done = run("index", shop, photos, "--encoder", encoder_folder)
    assert (done.code, done.out) == (0, f"1 added, 1 failed (focusedfashion failures '{shop}')\n")
    assert run("failures", shop).out.startswith("b.jpg: not a picture")
    (photos / "b.jpg").write_bytes(draw_garment("blue"))
    assert run("index", shop, photos, "--retry-failed").out == "1 added\n"
    assert run("failures", shop).out == "no failures\n"
    again = run("index", shop, photos, "--json")
    assert again.json.pop("seconds") >= 0
    assert {**again.json, "seconds": 0} == {
        "added": 0,
        "updated": 0,
        "unchanged": 2,
        "failed": 0,
        "removed": 0,
        "seconds": 0,
    }
    assert run("index", shop, photos, "--retry-failed").out == "nothing to index\n"


def test_index_several_sources(run: Run, tmp_path: Path, photos: Path, encoder_folder: Path) -> None:
    table = tmp_path / "feed.csv"
    (tmp_path / "x.jpg").write_bytes(draw_garment("white"))
    table.write_text("id,image,price\nx,x.jpg,9.50\ny,y.jpg,3\n")
    done = run("index", tmp_path / "shop", photos, table, "--encoder", encoder_folder, "--json")
    assert (done.json["added"], done.json["failed"]) == (13, 1)
    assert [entry["item_id"] for entry in run("failures", tmp_path / "shop", "--json").json] == ["y"]


def test_same_id_in_two_sources_of_one_call(run: Run, tmp_path: Path, encoder_folder: Path) -> None:
    for name, color in (("women", "red"), ("men", "blue")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.jpg").write_bytes(draw_garment(color))
    both = [tmp_path / "women", tmp_path / "men"]
    done = run("index", tmp_path / "shop", *both, "--encoder", encoder_folder, "--json").json
    assert (done["added"], done["updated"], done["failed"]) == (1, 0, 1)


def test_index_where_nothing_could_be_done(run: Run, tmp_path: Path, encoder_folder: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "b.jpg").write_bytes(b"junk")
    done = run("index", tmp_path / "shop", photos, "--encoder", encoder_folder)
    assert (done.code, done.out.split(" (")[0]) == (1, "1 failed")
    missing = run("index", tmp_path / "new", tmp_path / "nothing", "--encoder", encoder_folder)
    assert missing.code == 1 and missing.err.startswith("focusedfashion: error: ") and not missing.out
    assert not (tmp_path / "new").exists()
    swapped = run("index", photos, tmp_path / "shop", "--encoder", encoder_folder)
    assert swapped.code == 1 and sorted(path.name for path in photos.iterdir()) == ["b.jpg"]


def test_search_as_json(run: Run, shop: Path, photos: Path) -> None:
    done = run("search", shop, photos / "dresses" / "01.jpg", "-k", 2, "--focus", "color=2,shape=1", "--json")
    assert done.code == 0
    first, second = done.json["matches"]
    assert (first["rank"], first["score"], first["item"]["item_id"]) == (1, 1.0, "dresses/01.jpg")
    assert set(first["blocks"]) == {"shape", "color", "pattern"}
    assert first["item"]["columns"] == {"folder": "dresses"}
    assert first["item"]["attributes"]["color"][0]["label"] == "green"
    assert second["rank"] == 2


@pytest.mark.parametrize("place", [1, 2, 3])
def test_options_may_stand_anywhere(run: Run, shop: Path, photos: Path, place: int) -> None:
    words: list[object] = ["search", shop, photos / "shirts/00.jpg"]
    words[place:place] = ["-k", 2, "--json"]
    assert len(run(*words).json["matches"]) == 2


def test_search_as_table(run: Run, shop: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    done = run("search", shop, photos / "shirts" / "00.jpg")
    lines = done.out.splitlines()
    assert len(lines) == 6 and all(len(line) <= 80 for line in lines)
    assert lines[0].split() == ["score", "shape", "color", "pattern", "item", "labels"]
    assert lines[1].split() == ["1", "1.000", "1.00", "1.00", "1.00", "shirts/00.jpg", "red"]


def test_search_like_an_item(run: Run, shop: Path) -> None:
    done = run("search", shop, "--like", "shirts/00.jpg", "--where", "folder = 'dresses'", "--json", "-k", 100)
    assert len(done.json["matches"]) == 6
    assert run("search", shop, "--like", "nope").err == f"focusedfashion: error: no item 'nope' in {shop.name}\n"


@pytest.fixture(scope="module")
def worded_shop(tmp_path_factory: pytest.TempPathFactory, photos: Path, text_folder: Path) -> Path:
    """The same photos, with an encoder that has a text side."""
    shop = tmp_path_factory.mktemp("cli") / "worded"
    assert cli.main(["index", str(shop), str(photos), "--encoder", str(text_folder), "--json"]) == 0
    return shop


def test_search_by_words(run: Run, worded_shop: Path) -> None:
    done = run("search", worded_shop, "--text", "green dress", "-k", 2, "--json")
    assert done.code == 0
    first, second = done.json["matches"]
    assert (first["rank"], first["item"]["columns"], second["rank"]) == (1, {"folder": "dresses"}, 2)
    assert first["item"]["attributes"]["color"][0]["label"] == "green"
    assert set(first["blocks"]) == {"shape", "color", "pattern"} and 0 < first["score"] <= 1
    lines = run("search", worded_shop, "--text", "red", "--where", "folder = 'shirts'", "--focus", "color=2").out
    assert lines.splitlines()[0].split() == ["score", "shape", "color", "pattern", "item", "labels"]
    assert lines.splitlines()[1].split()[-2:] == ["shirts/00.jpg", "red"]
    nothing = run("search", worded_shop, "--text", "red", "--where", "price > 5")
    assert (nothing.code, nothing.out) == (0, "no match under this filter\n")


def test_words_that_cannot_be_searched(run: Run, shop: Path, worded_shop: Path, photos: Path) -> None:
    for where, text, told in (
        (shop, "red", "has no text side: search by a picture, or index with one that has"),
        (worded_shop, "", "an empty text finds nothing"),
        (worded_shop, "red " * 300, "the text has 1,200 characters"),
    ):
        done = run("search", where, "--text", text, "--json")
        assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
        assert done.err.startswith("focusedfashion: error: ") and told in done.err
    for argv in (["--text", "red", "--like", "shirts/00.jpg"], [photos / "shirts" / "00.jpg", "--text", "red"], []):
        done = run("search", worded_shop, *argv)
        assert (done.code, done.out) == (2, "")
        assert done.err.endswith("error: search needs one of IMAGE, --like ITEM_ID and --text WORDS\n")


def test_search_that_finds_nothing(run: Run, shop: Path, photos: Path) -> None:
    done = run("search", shop, photos / "shirts" / "00.jpg", "--where", "price > 5")
    assert (done.code, done.out) == (0, "no match under this filter\n")
    assert run("search", shop, photos / "shirts" / "00.jpg", "--where", "price > 5", "--json").json == {"matches": []}


@pytest.mark.parametrize(
    "argv",
    [
        ["search", "SHOP"],
        ["search", "SHOP", "a.jpg", "--like", "b"],
        ["search", "SHOP", "a.jpg", "-k", "0"],
        ["search", "SHOP", "a.jpg", "-k", "1001"],
        ["search", "SHOP", "a.jpg", "-k", "five"],
        ["search", "SHOP", "a.jpg", "--focus", "color"],
        ["search", "SHOP", "a.jpg", "--focus", "color=much"],
        ["search", "SHOP", "a.jpg", "--focus", ""],
        ["index", "SHOP"],
        ["tag"],
        ["remove", "SHOP"],
        ["find", "SHOP"],
        [],
    ],
)
def test_wrong_arguments(run: Run, shop: Path, argv: list[str]) -> None:
    done = run(*(str(shop) if word == "SHOP" else word for word in argv))
    assert done.code == 2 and not done.out
    assert done.err.startswith("usage: focusedfashion")


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["--where", "prise < 5"], "no column 'prise'; did you mean 'price'?"),
        (["--where", "price <"], "Expected: an expression"),
        (["--where", "color = 'red'"], "write array_has(attributes.color.labels, 'LABEL')"),
        (["--where", "attributes.color = 'red'"], "array_has(attributes.GROUP.labels, value)"),
        (["--focus", "sleeves=1"], "no block 'sleeves'"),
        (["--focus", "color=0,shape=0,pattern=0"], "leaves no block to compare"),
        (["--focus", "color=nan"], "must be a number from 0 to 1,000,000"),
        ([], "missing.jpg: no such file"),
    ],
)
def test_errors_are_one_line(run: Run, shop: Path, argv: list[str], told: str) -> None:
    done = run("search", shop, "missing.jpg", *argv, "--json")
    assert done.code == 1 and not done.out
    assert done.err.startswith("focusedfashion: error: ") and told in done.err
    assert done.err.count("\n") == 1


def test_catalogs_that_are_none(run: Run, tmp_path: Path, photos: Path) -> None:
    (tmp_path / "file").write_text("")
    picture = photos / "shirts" / "00.jpg"
    for verb in (
        ["search", "X", picture],
        ["search", "X", "--like", "a"],
        ["info", "X"],
        ["failures", "X"],
        ["remove", "X", "a"],
    ):
        for name, told in (("missing", "no catalog at"), ("file", "is a file, not a catalog")):
            done = run(*(tmp_path / name if word == "X" else word for word in verb))
            assert done.code == 1 and told in done.err and done.err.count("\n") == 1
    assert not (tmp_path / "missing").exists()


def test_another_encoder(run: Run, shop: Path, photos: Path, other_folder: Path) -> None:
    done = run("index", shop, photos, "--encoder", other_folder)
    assert done.code == 1 and "was indexed with encoder" in done.err


def test_tag(run: Run, photos: Path, encoder_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"junk")
    good, bad = photos / "shirts" / "00.jpg", tmp_path / "bad.jpg"
    done = run("tag", good, bad, "--encoder", encoder_folder, "--json")
    assert done.code == 0 and done.err.count("\n") == 1 and str(bad) in done.err
    (tagged,) = done.json
    assert tagged["image"] == str(good) and tagged["attributes"]["color"][0]["label"] == "red"
    text = run("tag", good, good, "--encoder", encoder_folder).out.splitlines()
    assert text[0] == str(good) and text[1].split()[:2] == ["color", "red"] and len(text) == 4
    none = run("tag", bad, "--encoder", encoder_folder, "--json")
    assert (none.code, none.json) == (1, [])


def test_info_remove_failures(run: Run, tmp_path: Path, photos: Path, encoder_folder: Path) -> None:
    shop = tmp_path / "shop"
    run("index", shop, photos, "--encoder", encoder_folder)
    assert run("remove", shop, "shirts/00.jpg", "nope").out == "1 removed, 1 not there\n"
    gone = run("remove", shop, "shirts/00.jpg", "--json")
    assert (gone.code, gone.json) == (1, {"removed": 0})
    info = run("info", shop, "--json").json
    assert list(info) == ["items", "products", "failed", "encoder", "fingerprint", "indexed", "bytes"]
    assert (info["items"], info["products"], info["failed"]) == (11, 11, 0)
    assert run("info", shop).out.splitlines()[0].split() == ["items", "11"]
    assert run("failures", shop, "--json").json == []


def test_remove_what_only_failed(run: Run, tmp_path: Path, encoder_folder: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "good.jpg").write_bytes(draw_garment())
    (tmp_path / "photos" / "bad.jpg").write_bytes(b"junk")
    run("index", tmp_path / "shop", tmp_path / "photos", "--encoder", encoder_folder)
    gone = run("remove", tmp_path / "shop", "bad.jpg")
    assert (gone.code, gone.out) == (0, "1 removed\n")
    assert run("failures", tmp_path / "shop").out == "no failures\n"


@pytest.mark.parametrize("verb", ["info", "failures", "index"])
def test_a_path_that_no_system_takes_is_one_line(run: Run, photos: Path, verb: str) -> None:
    told = run(verb, "x" * 300, *([photos] if verb == "index" else []))
    assert told.code == 1
    assert told.err.count("\n") == 1
    assert told.err.startswith("focusedfashion: error: ")


def test_text_of_strangers_is_printed_harmlessly(
    run: Run, tmp_path: Path, encoder_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.jpg").write_bytes(draw_garment())
    (tmp_path / "feed.jsonl").write_text(
        json.dumps({"id": "a", "image": "x.jpg", "title": "[bold]\x1b[31m kurta"}) + "\n"
    )
    shop = tmp_path / "shop"
    run("index", shop, tmp_path / "feed.jsonl", "--encoder", encoder_folder)
    done = run("search", shop, tmp_path / "x.jpg")
    assert "\x1b" not in done.out and "[bold]" in done.out


def test_progress(
    monkeypatch: pytest.MonkeyPatch, run: Run, tmp_path: Path, photos: Path, encoder_folder: Path
) -> None:
    monkeypatch.setattr(cli, "_PROGRESS_SECONDS", 0.0)
    done = run("index", tmp_path / "shop", photos, "--encoder", encoder_folder, "--json")
    assert done.json["added"] == 12
    assert done.err.splitlines()[-1].startswith("focusedfashion: 12 done, 0 failed, ")


def test_ctrl_c(run: Run, shop: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Catalog, "search", stop)
    done = run("search", shop, photos / "shirts" / "00.jpg")
    assert (done.code, done.out) == (130, "") and done.err.count("\n") == 1


def test_a_reader_that_leaves(shop: Path) -> None:
    script = "import sys; from focusedfashion.cli import main; sys.stdin.read(); sys.exit(main(sys.argv[1:]))"
    with subprocess.Popen(
        [sys.executable, "-c", script, "info", str(shop)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdout.close()
        process.stdin.close()
        assert process.stderr.read() == ""
        assert process.wait(20) == 0


def test_a_terminal_without_letters(shop: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(cli, "run_info", lambda args: print("größe") or 0)
    assert cli.main(["info", str(shop)]) == 0
    stream.seek(0)
    assert stream.read() == "gr??e\n"


def test_help_of_every_verb(run: Run) -> None:
    top = run("--help")
    assert top.code == 0
    for verb in ("index", "search", "tag", "info", "remove", "failures"):
        assert verb in top.out
        assert run(verb, "--help").code == 0
