"""What the tests share: encoders small enough to be built on the spot, pictures drawn on the spot."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image, ImageDraw

from focusedfashion.encoders import Encoder, load_encoder
from focusedfashion.items import Item

pytest_plugins = ("browsing",)  # the browser of the tests of the page

COLORS = {"red": (200, 30, 40), "green": (30, 160, 60), "blue": (30, 60, 200), "white": (245, 245, 245)}
SIDE = 32  # px; the tiny encoder's input
BLOCKS = {"shape": 16, "color": 3, "pattern": 16}


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved encoder of three blocks that looks at pooled pixels."""
    return save_encoder(tmp_path_factory.mktemp("encoders") / "tiny", bias=0.1)


@pytest.fixture(scope="session")
def other_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another one, which no catalog of the first may be opened with."""
    return save_encoder(tmp_path_factory.mktemp("encoders") / "other", bias=0.3)


@pytest.fixture(scope="session")
def text_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny encoder with a text side: it knows the names of colors and of kinds of garments."""
    return add_text_side(save_encoder(tmp_path_factory.mktemp("encoders") / "worded", bias=0.1))


@pytest.fixture(scope="session")
def text_encoder(text_folder: Path) -> Encoder:
    return load_encoder(text_folder)


@pytest.fixture(scope="session")
def tiny_encoder(encoder_folder: Path) -> Encoder:
    return load_encoder(encoder_folder)


@pytest.fixture(scope="session")
def other_encoder(other_folder: Path) -> Encoder:
    return load_encoder(other_folder)


def draw_garment(color: str = "red", kind: int = 0, stripes: int = 0, size: tuple[int, int] = (48, 64)) -> bytes:
    """A JPEG of a shirt (kind 0), a dress (1) or trousers (2) on light grey; each number of stripes looks different."""
    width, height = size
    image = Image.new("RGB", size, (225, 225, 225))
    draw = ImageDraw.Draw(image)
    x = [round(width * part / 8) for part in range(9)]
    y = [round(height * part / 8) for part in range(9)]
    corners = ("12 31 51 72 64 67 27 24", "31 51 53 77 17 33", "21 61 77 57 43 37 17")[kind]
    draw.polygon([(x[int(at[0])], y[int(at[1])]) for at in corners.split()], fill=COLORS[color])
    for stripe in range(stripes):
        top = round(height * (stripe + 1) / (stripes + 1))
        draw.line([(x[2], top), (x[6], top)], fill=(0, 0, 0), width=2)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def draw_items(count: int, prefix: str = "item") -> list[Item]:
    """Items with different pictures and some columns; two by two they are one product."""
    colors = list(COLORS)
    return [
        Item(
            item_id=f"{prefix}-{n:03}",
            product_id=f"{prefix}-product-{n // 2}",
            title=f"garment {n}",
            price=float(n),
            columns={"season": "summer" if n % 2 else "winter", "stock": n},
            picture=draw_garment(colors[n % 4], n // 4 % 3, n // 12),
        )
        for n in range(count)
    ]


def save_encoder(folder: Path, bias: float, labels: Sequence[str] = tuple(COLORS)) -> Path:
    """Writes encoder.json and model.onnx: blocks of pooled pixels, and a color group from their mean color.

    The model is a real graph of the contract: `pictures` uint8 (n, 32, 32, 3) -> `embedding` float32 (n, 35), each
    block of L2 norm 1, and `color` float32 (n, labels), a softmax. `bias` only makes two encoders differ.
    """
    folder.mkdir(parents=True)
    (folder / "encoder.json").write_text(
        json.dumps(
            {
                "format": 1,
                "name": folder.name,
                "blocks": {block: {"size": size, "weight": 1.0} for block, size in BLOCKS.items()},
                "input": {"width": SIDE, "height": SIDE, "resize": "fit"},
                "attributes": {"color": {"labels": list(labels), "thresholds": [0.4] * len(labels), "exclusive": True}},
            }
        )
    )
    targets = np.array([COLORS[label] for label in labels], np.float32).T / 255  # (3, labels)
    constants = {
        "scale": np.array(1 / 255, np.float32),
        "bias": np.array(bias, np.float32),
        "flat": np.array([0, -1], np.int64),
        "sharp": np.array(40, np.float32),
        "targets": targets,
        # softmax(-sharp * distance^2) = softmax(sharp * (2 x.t - |t|^2))
        "offsets": (targets**2).sum(axis=0) / 2,
        "axes": np.array([2, 3], np.int64),
    }
    pool = {"kernel_shape": [8, 8], "strides": [8, 8]}
    node = helper.make_node
    nodes = [
        node("Cast", ["pictures"], ["float"], to=TensorProto.FLOAT),
        node("Mul", ["float", "scale"], ["unit"]),
        node("Transpose", ["unit"], ["planes"], perm=[0, 3, 1, 2]),
        node("ReduceMean", ["planes"], ["grey"], axes=[1], keepdims=1),
        node("AveragePool", ["grey"], ["coarse"], **pool),
        node("Reshape", ["coarse", "flat"], ["coarse_flat"]),
        node("Sub", ["coarse_flat", "bias"], ["shape_raw"]),
        node("LpNormalization", ["shape_raw"], ["shape"], axis=1, p=2),
        # The middle of the picture, where the garment is.
        node("Slice", ["planes", "starts", "ends", "axes"], ["middle"]),
        node("ReduceMean", ["middle"], ["mean_color"], axes=[2, 3], keepdims=0),
        node("Sub", ["mean_color", "bias"], ["color_raw"]),
        node("LpNormalization", ["color_raw"], ["color_block"], axis=1, p=2),
        node("MaxPool", ["grey"], ["highest"], **pool),
        node("Sub", ["highest", "coarse"], ["contrast"]),
        node("Reshape", ["contrast", "flat"], ["contrast_flat"]),
        node("Add", ["contrast_flat", "bias"], ["pattern_raw"]),
        node("LpNormalization", ["pattern_raw"], ["pattern"], axis=1, p=2),
        node("Concat", ["shape", "color_block", "pattern"], ["embedding"], axis=1),
        node("MatMul", ["mean_color", "targets"], ["products"]),
        node("Sub", ["products", "offsets"], ["closeness"]),
        node("Mul", ["closeness", "sharp"], ["logits"]),
        node("Softmax", ["logits"], ["color"], axis=1),
    ]
    constants["starts"], constants["ends"] = np.array([12, 12], np.int64), np.array([20, 20], np.int64)
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("pictures", TensorProto.UINT8, ["n", SIDE, SIDE, 3])],
        [
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", sum(BLOCKS.values())]),
            helper.make_tensor_value_info("color", TensorProto.FLOAT, ["n", len(labels)]),
        ],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, folder / "model.onnx")
    return folder


KINDS = ("shirt", "dress", "trousers")  # as draw_garment numbers them
TEXT_LENGTH = 8  # tokens


def add_text_side(folder: Path, lower: bool = True) -> Path:
    """Writes text.onnx and tokenizer.json beside a saved encoder's files, and `text` into its encoder.json.

    A text is the sum of its words, each block of L2 norm 1: a color has the embedding of garments of that color, a kind
    that of garments of that kind less that of all, and any other word hardly counts.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers

    drawn = [(color, kind) for color in COLORS for kind in range(len(KINDS))]
    embeddings = load_encoder(folder).embed([draw_garment(color, kind) for color, kind in drawn])
    mean = embeddings.mean(axis=0)
    rows = {"[PAD]": np.zeros_like(mean), "[UNK]": mean / 100}
    for color in COLORS:
        rows[color] = embeddings[[one == color for one, _ in drawn]].mean(axis=0)
    for number, name in enumerate(KINDS):
        rows[name] = mean / 100 + 4 * (embeddings[[kind == number for _, kind in drawn]].mean(axis=0) - mean)
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(rows)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_padding(length=TEXT_LENGTH, pad_id=0, pad_token="[PAD]")
    tokenizer.enable_truncation(TEXT_LENGTH)
    tokenizer.save(str(folder / "tokenizer.json"))
    node = helper.make_node
    nodes = [
        node("Gather", ["words", "tokens"], ["each"], axis=0),
        node("ReduceSum", ["each", "second"], ["sum"], keepdims=0),
        node("Split", ["sum", "sizes"], list(BLOCKS), axis=1),
        *(node("LpNormalization", [block], [f"{block}_unit"], axis=1, p=2) for block in BLOCKS),
        node("Concat", [f"{block}_unit" for block in BLOCKS], ["embedding"], axis=1),
    ]
    constants = {
        "words": np.stack(list(rows.values())),
        "second": np.array([1], np.int64),
        "sizes": np.array(list(BLOCKS.values()), np.int64),
    }
    graph = helper.make_graph(
        nodes,
        "words",
        [helper.make_tensor_value_info("tokens", TensorProto.INT64, ["n", TEXT_LENGTH])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", sum(BLOCKS.values())])],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, folder / "text.onnx")
    path = folder / "encoder.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"text": {"length": TEXT_LENGTH, "lower": lower}}))
    return folder
