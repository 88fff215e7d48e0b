"""The examples of the README and the guide run, and what is generated is current."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from focusedfashion.catalog import Catalog
from focusedfashion.cli import main, make_parser
from focusedfashion.demo import make_demo
from focusedfashion.sources import read_source
from serving import start_server

ROOT = Path(__file__).parent.parent
PAGES = ("README.md", "docs/guide.md")


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the demo was started once."""
    folder = tmp_path_factory.mktemp("docs")
    make_demo(folder / "focusedfashion-demo")
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_examples_run(
    page: str, demo_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(demo_folder)
    for left in ("shop", "closet"):
        shutil.rmtree(left, ignore_errors=True)
    blocks = re.findall(r"^```(console|python)\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    for kind, text in blocks:
        if kind == "python":
            exec(compile(text, page, "exec"), {})
            assert capsys.readouterr().out.strip(), f"{page}: prints nothing:\n{text}"
            continue
        for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE):
            words = shlex.split(command)
            assert words[0] == "focusedfashion", command
            if words[1] == "serve":
                continue  # test_server.py starts the real one
            assert main(words[1:]) == 0, command
            printed = capsys.readouterr().out
            assert printed.strip(), command
            assert expected.strip() in printed, f"{command} printed {printed!r}"


def test_commands_page_is_current() -> None:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    # In a process of its own: the script sets the width of the terminal.
    code = f"import runpy; print(runpy.run_path({str(spec.origin)!r})['describe_commands'](), end='')"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    wanted = (ROOT / "docs" / "commands.md").read_text()
    # How the lines are broken differs from Python to Python; the words are the same.
    assert re.sub(r"\s+", "", printed) == re.sub(r"\s+", "", wanted), "run make docs"


def test_every_verb_is_in_the_readme_or_the_guide() -> None:
    verbs = next(a for a in make_parser()._actions if a.dest == "verb" or (hasattr(a, "choices") and a.choices))
    text = "".join((ROOT / page).read_text() for page in PAGES)
    for verb in verbs.choices or ():
        assert f"focusedfashion {verb}" in text, f"{verb} is in no example"


@pytest.mark.skipif(shutil.which("curl") is None, reason="the README's curl lines NOT TESTED: curl is missing")
def test_curl_lines_answer(demo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(demo_folder)
    catalog = Catalog("curl")
    catalog.index(read_source("focusedfashion-demo/garments/samples.csv"))
    lines = re.findall(r"^curl .*", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert lines
    with start_server(catalog) as (address, _):
        for line in lines:
            words = [word.replace("http://127.0.0.1:8001", address) for word in shlex.split(line)]
            answer = subprocess.run([*words, "--silent"], capture_output=True, check=True).stdout
            assert len(json.loads(answer)["matches"]) == 3, line


@pytest.mark.parametrize("page", [*PAGES, "docs/model-card.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / page).read_text()):
        assert "://" in target or (ROOT / page).parent.joinpath(target).exists(), f"{page}: {target}"
