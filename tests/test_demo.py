"""The demo as a person starts it: a process that draws, indexes, says what to try, and serves."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from focusedfashion.cli import main
from focusedfashion.demo import make_demo
from focusedfashion.sources.samples import draw_garment, list_garments


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
