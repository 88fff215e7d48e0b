"""A saved encoder: loading, and what is said where its folder is not what it should be."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from conftest import COLORS, draw_garment
from focusedfashion.encoders import AttributeGroup, Encoder, load_encoder
from focusedfashion.errors import EncoderError, PictureError
from focusedfashion.images import open_image


@pytest.fixture
def folder(encoder_folder: Path, tmp_path: Path) -> Path:
    """A copy of a good encoder, to be spoiled."""
    return Path(shutil.copytree(encoder_folder, tmp_path / "copy"))


def change(folder: Path, **values: object) -> None:
    path = folder / "encoder.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_threads_may_share_it(tiny_encoder: Encoder) -> None:
    pictures = [draw_garment(color) for color in ("red", "green", "blue")] * 8
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda picture: tiny_encoder.embed([picture])[0], pictures))
    np.testing.assert_allclose(np.stack(found), tiny_encoder.embed(pictures), atol=1e-6)


def test_no_pictures(tiny_encoder: Encoder) -> None:
    assert tiny_encoder.embed([]).shape == (0, tiny_encoder.dim)
    assert tiny_encoder.tag([]) == []


def test_a_picture_that_does_not_open(tiny_encoder: Encoder, tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"gone\.jpg: no such file"):
        tiny_encoder.embed([draw_garment(), tmp_path / "gone.jpg"])


def test_tags_are_those_past_their_threshold_best_first(folder: Path) -> None:
    spec = json.loads((folder / "encoder.json").read_text())
    spec["attributes"]["color"]["thresholds"] = [0.0] * 4
    (folder / "encoder.json").write_text(json.dumps(spec))
    scores = [label.score for label in load_encoder(folder).tag([draw_garment("blue")])[0]["color"]]
    assert len(scores) == 4 and scores == sorted(scores, reverse=True)
    spec["attributes"]["color"]["thresholds"] = [1.1] * 4
    (folder / "encoder.json").write_text(json.dumps(spec))
    assert load_encoder(folder).tag([draw_garment("blue")])[0]["color"] == ()


def test_of_equal_scores_the_first_label_comes_first() -> None:
    group = AttributeGroup(("a", "b", "c", "d"), (0.3, 0.2, 0.2, 0.5), exclusive=False)
    scores = np.array([[0.2, 0.2, 0.2, 0.4], [0.1, 0.1, 0.1, 0.1], [0.3, 0.12346, 0.9, 0.50004]], np.float32)
    counts, places, passing = group.choose(scores)
    assert counts.tolist() == [2, 0, 3]
    assert places.tolist() == [1, 2, 2, 3, 0]
    assert passing.tolist() == [0.2, 0.2, 0.9, 0.5, 0.3]


def test_fitted_pictures_are_encoded_as_they_are(tiny_encoder: Encoder) -> None:
    pictures = [open_image(draw_garment(color, size=(60, 40 + n))) for n, color in enumerate(COLORS)] * 5
    found = tiny_encoder.encode_fitted([tiny_encoder.fit(picture) for picture in pictures])
    expected = tiny_encoder.encode_pixels(pictures)
    np.testing.assert_array_equal(found.embeddings, expected.embeddings)
    np.testing.assert_array_equal(found.scores["color"], expected.scores["color"])
    assert tiny_encoder.encode_fitted([]).embeddings.shape == (0, tiny_encoder.dim)


def test_fingerprint_hangs_on_what_decides_the_output(folder: Path) -> None:
    before = load_encoder(folder).fingerprint
    change(folder, license="another", name="another")
    assert load_encoder(folder).fingerprint == before
    change(folder, input={"width": 32, "height": 32, "resize": "fit", "note": "other"})
    assert load_encoder(folder).fingerprint != before


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda folder: (folder / "encoder.json").unlink(), "has no encoder.json"),
        (lambda folder: (folder / "encoder.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "encoder.json").write_text("[]"), "has no format number"),
        (lambda folder: change(folder, format=99), "has format 99, this version reads up to 1: update"),
        (lambda folder: change(folder, blocks=None), "lacks or garbles"),
        (
            lambda folder: change(folder, input={"width": 32, "height": 32, "resize": "stretch"}),
            "resize rule 'stretch'",
        ),
        (
            lambda folder: change(
                folder, attributes={"color": {"labels": ["a"], "thresholds": [0.1, 0.2], "exclusive": True}}
            ),
            "color has 1 labels, 2 thresholds",
        ),
        (lambda folder: (folder / "model.onnx").unlink(), "model.onnx cannot be read"),
        (lambda folder: (folder / "model.onnx").write_bytes(b"junk"), "cannot be run"),
        (lambda folder: change(folder, input={"width": 64, "height": 32, "resize": "fit"}), "is not the graph of its"),
        (lambda folder: change(folder, blocks={"all": {"size": 7, "weight": 1}}), "is not the graph of its"),
    ],
)
def test_a_folder_that_is_none(folder: Path, spoil: object, told: str) -> None:
    spoil(folder)  # type: ignore[operator]
    with pytest.raises(EncoderError, match=told) as caught:
        load_encoder(folder).embed([draw_garment()])
    assert "\n" not in str(caught.value)


def test_a_name_that_is_none() -> None:
    with pytest.raises(EncoderError, match="no encoder 'resnet': give 'builtin' or the folder"):
        load_encoder("resnet")
