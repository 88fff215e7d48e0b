"""Every example of docs/api.md is executed, and what it shows is what comes."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from focusedfashion import settings
from focusedfashion.catalog import Catalog
from focusedfashion.cli import main
from focusedfashion.demo import make_demo
from focusedfashion.encoders import Encoder, load_encoder
from focusedfashion.sources import read_source
from serving import start_server

PAGE = Path(__file__).parent.parent / "docs" / "api.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """A catalog of drawn garments, with a photo beside it."""
    folder = tmp_path_factory.mktemp("api")
    demo = make_demo(folder / "demo")
    shutil.copy(demo.photos[0], folder / "photo.jpg")
    catalog = Catalog(folder / "shop", load_encoder("builtin"))
    catalog.index(read_source(str(folder / "demo" / "garments" / "samples.csv")))
    return catalog


@pytest.fixture(scope="module")
def worded_shop(shop: Catalog, text_encoder: Encoder) -> Catalog:
    """The same garments behind an encoder with a text side."""
    folder = Path(shop.path).parent
    catalog = Catalog(folder / "worded", text_encoder)
    catalog.index(read_source(str(folder / "demo" / "garments" / "samples.csv")))
    return catalog


def run(script: str, address: str, folder: Path) -> str:
    # An error's document must not pass for an answer.
    curl = 'curl() { command curl --silent --show-error --fail-with-body "$@"; }\nset -e -o pipefail\n'
    script = curl + script.replace("http://127.0.0.1:8000", address)
    done = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="the examples of docs/api.md NOT TESTED: curl is missing")
def test_the_examples_answer(shop: Catalog, worded_shop: Catalog) -> None:
    folder = Path(shop.path).parent
    scripts = [text for kind, text in BLOCKS if kind == "sh"]
    (words,) = [script for script in scripts if '"text"' in script]
    with start_server(worded_shop) as (address, _):
        found = json.loads(run(words, address, folder))
    assert (len(found["matches"]), found["query"]["text"]) == (3, "red dress")
    assert found["matches"][0]["words"] is None
    with start_server(shop) as (address, _):
        answers = [run(script, address, folder) for script in scripts if script != words]
        first = json.loads(answers[0])
    assert len(answers) >= 8
    assert len(first["matches"]) == 3
    shown = next(json.loads(text) for kind, text in BLOCKS if kind == "json")
    assert_same_shape(shown, first)
    assert (folder / "thumbnail.jpg").read_bytes() == shop.thumbnail("sample-0007")
    assert shop.item("sample-0001").title == "Sold soon"
    assert shop.info().items == settings.DEMO_ITEMS - 1


def assert_same_shape(shown: Any, real: Any, place: str = "") -> None:
    """The same keys, and values of the same kinds; labels and columns are the catalog's own."""
    if isinstance(shown, dict) and place.rpartition(".")[2] not in ("columns", "attributes", "blocks"):
        assert shown.keys() == real.keys(), place
        for name in shown:
            assert_same_shape(shown[name], real[name], f"{place}.{name}")
    elif isinstance(shown, list) and shown and real:
        assert_same_shape(shown[0], real[0], f"{place}[]")
    elif shown is not None and real is not None:
        assert isinstance(real, type(shown)), place


def test_the_commands_run(shop: Catalog, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(Path(shop.path).parent)
    commands = [line[2:] for kind, text in BLOCKS if kind == "console" for line in text.splitlines()]
    assert commands
    for command in commands:
        assert main(shlex.split(command)[1:]) == 0, command
        assert capsys.readouterr().out.strip(), command


def test_the_error_is_the_real_one(shop: Catalog) -> None:
    shown = [json.loads(text) for kind, text in BLOCKS if kind == "json"][1]
    from fastapi.testclient import TestClient

    from focusedfashion.server.app import make_app

    real = TestClient(make_app(shop)).get("/v1/items/x").json()
    assert shown | {"request_id": ""} == real | {"request_id": ""}


def test_the_page_names_every_route_and_limit() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for number in (settings.MAX_K, settings.PRICE_POOL, settings.MAX_PRICE_POOL, settings.REQUESTS_AT_ONCE):
        assert str(number) in text
    assert f"{settings.MAX_TEXT} characters" in text
    assert f"{settings.REQUESTS_PER_SECOND:.0f} a second" in text
    assert f"{settings.MAX_BODY_BYTES // 2**20} MB" in text
    assert f"{settings.MAX_UPLOAD_SECONDS} seconds" in text
    for route in ("search", "images", "tags", "catalog", "facets", "failures", "feedback", "items:batch"):
        assert f"/v1/{route}" in text
