"""The demo as a person starts it: a process that draws, indexes, says what to try, and serves."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

import pytest

from conftest import draw_garment as draw_picture
from focusedfashion import settings
from focusedfashion.cli import main
from focusedfashion.demo import fetch_photos, make_demo
from focusedfashion.errors import SourceError
from focusedfashion.sources.samples import draw_garment, list_garments
from web import Reply, serve_web


def start_demo(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "focusedfashion", "demo", "--port", "0", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def read_address(process: subprocess.Popen[str]) -> tuple[list[str], str]:
    """What it printed, and the address that it serves at."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip())
        if line.startswith("serving"):
            return lines, line.split(" at ")[1].split()[0]
    raise AssertionError(f"it ended: {lines} {process.communicate()[1]}")


def test_demo_draws_indexes_and_serves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start = time.monotonic()
    process = start_demo("-o", str(tmp_path / "demo"))
    try:
        lines, address = read_address(process)
        assert time.monotonic() - start < 120  # half a minute on an idle machine
        assert lines[0].startswith("420 added in ")
        page = urllib.request.urlopen(address).read()
        assert b"FocusedFashion" in page
    finally:
        process.terminate()
        assert process.wait(20) == 0
        process.communicate()
    # What it says to try works, and the photo's own garment comes first.
    tried = next(line.split() for line in lines if "focusedfashion search" in line)
    assert main([*tried[tried.index("search") :], "--json"]) == 0
    matches = json.loads(capsys.readouterr().out)["matches"]
    assert len(matches) == 5
    best = matches[0]["item"]["columns"]
    assert "-".join([best["color"], best["pattern"], best["category"]]).replace(" ", "-") == Path(tried[-1]).stem


def test_demo_again_draws_nothing_anew(tmp_path: Path) -> None:
    assert make_demo(tmp_path).report.added == 420
    told: list[str] = []
    again = make_demo(tmp_path, tell=told.append)
    assert again.report.unchanged == 420
    assert not any("drawing" in line for line in told)
    assert all(photo.is_file() for photo in again.photos)


def test_demo_of_own_pictures(tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "mine").mkdir()
    for number, garment in enumerate(list_garments(3)):
        Image.fromarray(draw_garment(garment)).save(tmp_path / "mine" / f"{number}.png")
    (tmp_path / "mine" / "notes.jpg").write_text("not a picture")
    process = start_demo("-o", str(tmp_path / "demo"), str(tmp_path / "mine"))
    try:
        lines, _ = read_address(process)
        assert lines[0].startswith("3 added, 1 failed")
    finally:
        process.terminate()
        process.wait(20)
        process.communicate()


def test_demo_takes_nothing_that_is_not_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "garments").mkdir()
    (tmp_path / "garments" / "mine.jpg").write_bytes(b"mine")
    assert main(["demo", "-o", str(tmp_path)]) == 1
    assert "garments is there already and not the demo's" in capsys.readouterr().err
    assert (tmp_path / "garments" / "mine.jpg").read_bytes() == b"mine"


def test_demo_that_was_stopped_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "garments.part" / "pictures").mkdir(parents=True)
    assert make_demo(tmp_path).report.added == 420


def test_demo_of_nothing_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", str(tmp_path / "nowhere"), "-o", str(tmp_path / "demo")]) == 1
    assert "nowhere" in capsys.readouterr().err


def test_demo_of_photos_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("set-master/images.csv", "image,sender_id,label,kids\nabc-1,7,Dress,False\nabc-2,7,Hat,True\n")
        archive.writestr("set-master/images/abc-1.jpg", draw_picture("red", 1))
        archive.writestr("set-master/images/abc-2.jpg", draw_picture("blue"))
        archive.writestr("../evil.jpg", b"x")
        archive.writestr("set-master/images/../../evil.jpg", b"x")
    with serve_web({"/set.zip": Reply(packed.getvalue())}) as web:
        monkeypatch.setattr(settings, "DEMO_ARCHIVE", f"{web.address}/set.zip")
        folder = tmp_path / "demo"
        photos = fetch_photos(folder, allow_private=True)
        assert fetch_photos(folder, allow_private=True) == photos
        assert web.count("/set.zip") == 1
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["abc-1.jpg", "abc-2.jpg", "images.csv"]
    demo = make_demo(folder, f"clothing-dataset:{photos}")
    assert (demo.report.added, demo.report.failed) == (2, 0)
    assert demo.catalog.item("abc-2").columns["label"] == "Hat"


def test_demo_of_photos_that_cannot_be_had_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_web({"/set.zip": Reply(b"<html>no archive</html>")}) as web:
        monkeypatch.setattr(settings, "DEMO_ARCHIVE", f"{web.address}/set.zip")
        assert main(["demo", "--photos", "-o", str(tmp_path / "demo")]) == 1  # a private address
        with pytest.raises(SourceError, match="no archive that can be read"):
            fetch_photos(tmp_path / "demo", allow_private=True)
    assert "error: " in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["demo", "somewhere", "--photos"])
