"""A saved encoder: loading, and what is said where its folder is not what it should be."""

from __future__ import annotations

import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from conftest import BLOCKS, COLORS, KINDS, TEXT_LENGTH, draw_garment
from focusedfashion.encoders import AttributeGroup, Encoder, load_encoder
from focusedfashion.errors import EncoderError, MissingExtra, PictureError, QueryError
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


# The text side


@pytest.fixture
def worded(text_folder: Path, tmp_path: Path) -> Path:
    """A copy of a good encoder with a text side, to be spoiled."""
    return Path(shutil.copytree(text_folder, tmp_path / "worded"))


def test_texts_lie_beside_their_pictures(text_encoder: Encoder) -> None:
    assert text_encoder.has_text
    names = [f"{color} {kind}" for color in ("red", "green", "blue") for kind in KINDS]
    texts = text_encoder.embed_texts(names)
    assert (texts.shape, texts.dtype) == ((9, text_encoder.dim), np.float32)
    for block in text_encoder.blocks.values():
        np.testing.assert_allclose(np.linalg.norm(texts[:, block], axis=1), 1, atol=1e-5)
    drawn = [(color, kind) for color in ("red", "green", "blue") for kind in range(3)]
    pictures = text_encoder.embed([draw_garment(color, kind, stripes=1) for color, kind in drawn])
    assert (texts @ pictures.T).argmax(axis=1).tolist() == list(range(9))


def test_texts_one_by_one_and_many_at_once(text_encoder: Encoder) -> None:
    texts = [f"{color} {kind}" for color in COLORS for kind in KINDS] * 2  # more than one batch
    with ThreadPoolExecutor(4) as pool:
        alone = list(pool.map(lambda text: text_encoder.embed_texts([text])[0], texts))
    np.testing.assert_allclose(np.stack(alone), text_encoder.embed_texts(texts), atol=1e-6)
    np.testing.assert_array_equal(text_encoder.embed_texts("red"), text_encoder.embed_texts(["red"]))  # not r, e, d
    assert text_encoder.embed_texts([]).shape == (0, text_encoder.dim)


def test_what_a_text_may_hold(text_encoder: Encoder, worded: Path) -> None:
    red, unknown = text_encoder.embed_texts(["red", "or"])
    assert not np.allclose(red, unknown)
    # Longer than the encoder reads; other letters, and half of one; capitals, which this encoder does not tell apart.
    for text in ("red " + "or " * 500, "赤い red \x00 \u200f", "red \ud800", "  RED\n"):
        (found,) = text_encoder.embed_texts([text])
        assert found @ red > found @ unknown, text
    change(worded, text={"length": TEXT_LENGTH})
    cased = load_encoder(worded)
    assert not np.allclose(cased.embed_texts(["RED"]), cased.embed_texts(["red"]))
    for empty in ("", " \n\t"):
        with pytest.raises(QueryError, match="an empty text finds nothing: name what is looked for"):
            text_encoder.embed_texts(["red", empty])


def test_an_encoder_without_a_text_side(tiny_encoder: Encoder) -> None:
    builtin = load_encoder()
    assert not builtin.has_text and not tiny_encoder.has_text
    with pytest.raises(EncoderError, match=r"^the encoder 'builtin' has no text side: search by a picture, or .*hf:"):
        builtin.embed_texts(["red"])


def test_the_text_side_leaves_the_fingerprint_as_it_is(text_encoder: Encoder, tiny_encoder: Encoder) -> None:
    assert text_encoder.fingerprint == tiny_encoder.fingerprint


def test_texts_without_the_extra(worded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    encoder = load_encoder(worded)
    assert encoder.has_text
    assert len(encoder.embed([draw_garment()])) == 1  # pictures need nothing of it
    with pytest.raises(MissingExtra, match=r"searching by words needs the extra 'hub': pip install"):
        encoder.embed_texts(["red"])


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer.json cannot be read"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "tokenizer.json cannot be read"),
        (lambda folder: (folder / "text.onnx").unlink(), "text.onnx cannot be run"),
        (lambda folder: shutil.copy(folder / "model.onnx", folder / "text.onnx"), "text.onnx is not the graph of its"),
        (lambda folder: change(folder, text={"length": 77}), "makes 8 tokens of a text, encoder.json says 77"),
        (lambda folder: change(folder, text={"lower": True}), "lacks or garbles 'length'"),
        (lambda folder: change(folder, text="yes"), "lacks or garbles"),
        (
            lambda folder: change(folder, blocks={"all": {"size": sum(BLOCKS.values()) + 1, "weight": 1}}),
            "text.onnx is not the graph of its",
        ),
    ],
)
def test_a_text_side_that_is_none(worded: Path, spoil: object, told: str) -> None:
    spoil(worded)  # type: ignore[operator]
    with pytest.raises(EncoderError, match=told) as caught:
        load_encoder(worded).embed_texts(["red"])
    assert "\n" not in str(caught.value)
