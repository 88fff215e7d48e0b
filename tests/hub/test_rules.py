"""The resize rules that networks of hubs ask for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import focusedfashion as ff
from focusedfashion.images import FILTERS, RGB, RULES, resize_image


def draw(width: int, height: int) -> RGB:
    small = np.random.default_rng(width).integers(0, 256, (9, 9, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("size", [(64, 64), (97, 61), (61, 99), (40, 640), (1, 30), (5, 3)])
@pytest.mark.parametrize("kernel", ["bilinear", "bicubic", "lanczos"])
def test_the_middle_is_that_of_the_whole(size: tuple[int, int], kernel: str) -> None:
    picture = draw(*size)
    whole = Image.fromarray(picture)
    shorter = min(size)
    whole = whole.resize((36 * size[0] // shorter, 36 * size[1] // shorter), FILTERS[kernel])
    rest = whole.width - 32, whole.height - 24
    for rule, (left, top) in (
        ("shortest", (rest[0] // 2, rest[1] // 2)),
        ("shortest-even", (round(rest[0] / 2), round(rest[1] / 2))),
    ):
        found = resize_image(picture, 32, 24, rule, 36, kernel)
        expected = np.asarray(whole)[top : top + 24, left : left + 32].astype(int)
        assert np.abs(found.astype(int) - expected).max() <= 2, rule  # its weights are rounded anew


def test_a_thread_costs_no_more_than_others() -> None:
    assert resize_image(draw(1, 1279), 224, 224, "shortest", 4096).shape == (224, 224, 3)  # whole: 64 GB


def test_each_rule_and_filter_gives_other_pixels() -> None:
    picture = draw(97, 61)
    found = {rule: resize_image(picture, 32, 32, rule, 35).tobytes() for rule in RULES}
    assert len(set(found.values())) == len(RULES)
    assert len({resize_image(picture, 32, 32, "squash", 0, kernel).tobytes() for kernel in FILTERS}) == len(FILTERS)
    assert found["squash"] == resize_image(picture, 32, 32, "squash", 0, "bicubic").tobytes()


def test_a_filter_that_is_none(encoder_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(encoder_folder, tmp_path / "copy"))
    spec = json.loads((folder / "encoder.json").read_text())
    for change, told in (
        ({"filter": "gauss"}, "asks for the filter 'gauss'; known are nearest, bilinear, bicubic, lanczos"),
        ({"resize": "shortest", "resize_to": 20}, "resize_to is smaller than the part to be cut out"),
    ):
        (folder / "encoder.json").write_text(json.dumps(spec | {"input": spec["input"] | change}))
        with pytest.raises(ff.EncoderError, match=told):
            ff.load_encoder(folder)
