"""Graphs in ONNX that a hub offers itself: pixels in front and the norm behind, without torch."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focusedfashion import settings
from focusedfashion.encoders.hub_input import Input
from focusedfashion.encoders.hub_repo import Repo
from focusedfashion.errors import EncoderError, MissingExtra

_PICTURES, _TEXTS, _BOTH = "onnx/vision_model.onnx", "onnx/text_model.onnx", "onnx/model.onnx"

# The outputs that hold the embedding of a picture and of a text, by the kind of network, the best first. A text's
# attention mask does not matter for these: CLIP looks back only, SigLIP learned with its padding.
_IMAGE = {
    "clip": ("image_embeds",),
    "siglip": ("image_embeds", "pooler_output"),
    "dinov2": ("pooler_output", "last_hidden_state"),
    "dinov2_with_registers": ("pooler_output", "last_hidden_state"),
    "dinov3_vit": ("pooler_output", "last_hidden_state"),
}
_TEXT = {"clip": ("text_embeds",), "siglip": ("text_embeds", "pooler_output")}


@dataclass(frozen=True, slots=True)
class Graphs:
    """The files of a repository that hold the network; `text` is empty where there is no text side."""

    kind: str
    pictures: str
    text: str


def find_graphs(repo: Repo, kind: str) -> Graphs | None:
    """The repository's own graphs, if there are any of a network of this kind (`model_type` of config.json)."""
    if kind not in _IMAGE:
        return None
    pictures = next((file for file in (_PICTURES, _BOTH) if file in repo.files), None)
    if pictures is None:
        return None
    text = (_TEXTS if pictures == _PICTURES else _BOTH) if kind in _TEXT else ""
    return Graphs(kind, pictures, text if text in repo.files else "")


def write_pictures(repo: Repo, graphs: Graphs, look: Input, folder: Path) -> int:
    """Writes `model.onnx`; the size of the embedding. Raises EncoderError, MissingExtra."""
    onnx = _import_onnx(repo.name)
    model, output = _load_part(repo, graphs.pictures, "pixel_values", (), _IMAGE[graphs.kind])
    where = f"{repo.name}: its {graphs.pictures}"
    entry = model.graph.input[0].type.tensor_type
    sides = [dim.dim_value or None for dim in entry.shape.dim]
    if entry.elem_type != onnx.TensorProto.FLOAT or len(sides) != 4:
        raise EncoderError(f"{where} takes no float32 pictures (n, 3, height, width)")
    if sides[0] or any(a and a != b for a, b in zip(sides[1:], (3, look.height, look.width), strict=True)):
        raise EncoderError(f"{where} takes pictures {sides}, not any number of 3 x {look.height} x {look.width}")
    std, mean = np.array(look.std), np.array(look.mean)
    values = {
        "scale": (1 / (255 * std)).astype(np.float32).reshape(1, 3, 1, 1),
        "offset": (-mean / std).astype(np.float32).reshape(1, 3, 1, 1),
    }
    node = onnx.helper.make_node
    front = [
        node("Cast", ["pictures"], ["numbers"], to=onnx.TensorProto.FLOAT),
        node("Transpose", ["numbers"], ["planes"], perm=[0, 3, 1, 2]),
        node("Mul", ["planes", "scale"], ["scaled"]),
        node("Add", ["scaled", "offset"], ["net/pixel_values"]),
    ]
    shape = ["n", look.height, look.width, 3]
    entry = onnx.helper.make_tensor_value_info("pictures", onnx.TensorProto.UINT8, shape)
    model = _wrap(model, front, values, entry, output)
    some = np.random.default_rng(0).integers(0, 256, (3, look.height, look.width, 3), np.uint8)
    return _finish(model, folder / "model.onnx", some, where)


def write_text(repo: Repo, graphs: Graphs, length: int, dim: int, folder: Path) -> None:
    """Writes `text.onnx`, for `length` tokens. Raises EncoderError."""
    onnx = _import_onnx(repo.name)
    model, output = _load_part(repo, graphs.text, "input_ids", ("attention_mask",), _TEXT[graphs.kind])
    where = f"{repo.name}: its {graphs.text}"
    node, inputs = onnx.helper.make_node, {entry.name: entry.type.tensor_type for entry in model.graph.input}
    front = [node("Cast", ["tokens"], ["net/input_ids"], to=inputs["net/input_ids"].elem_type)]
    values: dict[str, NDArray[Any]] = {}
    if "net/attention_mask" in inputs:
        values["zero"], values["one"] = np.array(0, np.int64), np.array(1, np.int64)
        front += [
            node("Mul", ["tokens", "zero"], ["zeros"]),
            node("Add", ["zeros", "one"], ["ones"]),
            node("Cast", ["ones"], ["net/attention_mask"], to=inputs["net/attention_mask"].elem_type),
        ]
    entry = onnx.helper.make_tensor_value_info("tokens", onnx.TensorProto.INT64, ["n", length])
    model = _wrap(model, front, values, entry, output)
    some = np.random.default_rng(0).integers(0, 100, (3, length), np.int64)
    found = _finish(model, folder / "text.onnx", some, where)
    if found != dim:
        raise EncoderError(f"{where} gives {found} numbers for a text, {dim} for a picture: they cannot be compared")


def name_ends(model: Any, entry: str) -> Any:
    """The same graph, with its one input named `entry` and its one output `embedding`, which nothing else is named."""
    onnx = _import_onnx("")
    names = {f"net/{model.graph.input[0].name}": entry, f"net/{model.graph.output[0].name}": "embedding"}
    model = onnx.compose.add_prefix(model, "net/")
    graph = model.graph
    for value in (graph.input[0], graph.output[0]):
        value.name = names[value.name]
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    return model


def save_graph(model: Any, file: Path, name: str) -> None:
    """Writes a graph without what says where it was made: notes, and the places in somebody's sources."""
    for value in (*model.graph.node, *model.graph.input, *model.graph.output, *model.graph.value_info, model.graph):
        value.ClearField("doc_string")
        value.ClearField("metadata_props")
    for function in model.functions:
        function.ClearField("doc_string")
        function.ClearField("metadata_props")
        for part in function.node:
            part.ClearField("doc_string")
            part.ClearField("metadata_props")
    model.ClearField("metadata_props")
    if model.ByteSize() > settings.MAX_GRAPH_BYTES:
        raise EncoderError(
            f"{name} has {model.ByteSize():,} bytes as ONNX, more than one file can hold: take a smaller"
        )
    file.write_bytes(model.SerializeToString(deterministic=True))


def run_graph(file: Path, values: NDArray[Any], name: str) -> NDArray[np.float32]:
    """What ONNX Runtime computes of the one input: `embedding`, float32 (n, dim). Raises EncoderError."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(file, options, ["CPUExecutionProvider"])
        found = session.run(["embedding"], {session.get_inputs()[0].name: values})[0]
    except Exception as error:  # its exception classes are private
        raise EncoderError(f"{name} cannot be run ({error})") from None
    if found.ndim != 2 or len(found) != len(values) or found.dtype != np.float32 or not np.isfinite(found).all():
        raise EncoderError(
            f"{name} gives {found.dtype} {found.shape}, or no numbers, for {len(values)} pictures or texts"
        )
    return np.asarray(found)


def _load_part(repo: Repo, file: str, wanted: str, others: Sequence[str], outputs: Sequence[str]) -> tuple[Any, str]:
    """The part of a graph from the input `wanted` (and those of `others` that it needs) to the best of `outputs`.

    All its names get the prefix `net/`. Raises EncoderError.
    """
    onnx = _import_onnx(repo.name)
    beside = sorted(entry for entry in repo.files if entry.startswith((f"{file}_data", f"{file}.data")))
    folder = repo.fetch([file, *beside])
    where = f"{repo.name}: its {file}"
    try:
        with tempfile.TemporaryDirectory() as copies:
            place = folder / file
            if beside:  # a hub's cache is made of links, which weights in files beside the graph must not be
                place = Path(copies, place.name)
                for entry in (file, *beside):
                    shutil.copyfile(folder / entry, Path(copies, Path(entry).name))
            model = onnx.load(place)
    except Exception as error:
        raise EncoderError(f"{where} cannot be read ({error})") from None
    found = {entry.name: entry.type.tensor_type for entry in model.graph.output}
    output = next((name for name in outputs if name in found), None)
    inputs = [entry.name for entry in model.graph.input if entry.name in (wanted, *others)]
    if output is None or wanted not in inputs:
        names = ", ".join(entry.name for entry in model.graph.input), ", ".join(found)
        raise EncoderError(f"{where} computes {names[1]} of {names[0]}; {outputs[0]} of {wanted} is needed")
    try:
        _cut(model.graph, inputs, output)
    except Exception as error:
        raise EncoderError(f"{where} has no part that computes {output} of {wanted} alone ({error})") from None
    model.ir_version = max(model.ir_version, 8)  # before 4, weights had to be inputs too
    return onnx.compose.add_prefix(model, "net/"), f"net/{output}"


def _cut(graph: Any, inputs: Sequence[str], output: str) -> None:
    """Leaves the nodes that the output needs, and of the inputs those that they read. Raises ValueError."""
    makers = {name: node for node in graph.node for name in node.output if name}
    weights = {entry.name for entry in graph.initializer}
    needed: set[str] = set()
    todo = [output]
    while todo:
        name = todo.pop()
        if name not in needed:
            needed.add(name)
            todo += _list_read(makers[name]) if name in makers else []
    missing = needed & {entry.name for entry in graph.input} - weights - set(inputs)
    if missing:
        raise ValueError(f"it reads {', '.join(sorted(missing))} too")
    kept: tuple[tuple[Any, list[Any]], ...] = (
        (graph.node, [node for node in graph.node if needed.intersection(node.output)]),
        (graph.initializer, [entry for entry in graph.initializer if entry.name in needed]),
        (graph.input, [entry for entry in graph.input if entry.name in needed - weights]),
        (graph.output, [entry for entry in graph.output if entry.name == output]),
        (graph.value_info, []),  # sizes that somebody noted, of one batch maybe
    )
    for entries, some in kept:
        del entries[:]
        entries.extend(some)


def _list_read(node: Any) -> list[str]:
    """What a node reads, also inside its branches and loops."""
    names = [name for name in node.input if name]
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            names += [name for inner in graph.node for name in _list_read(inner)]
            names += [entry.name for entry in graph.output]
    return names


def _wrap(model: Any, front: Sequence[Any], values: Mapping[str, NDArray[Any]], entry: Any, output: str) -> Any:
    """`front` computes the graph's inputs of `entry`; behind comes the embedding, of norm 1."""
    onnx = _import_onnx("")
    graph = model.graph
    node = onnx.helper.make_node
    behind = []
    if output.endswith("last_hidden_state"):  # (n, tokens, dim), of which the first is the class token
        behind.append(node("Gather", [output, "first"], ["net/one"], axis=1))
        values, output = {**values, "first": np.array(0, np.int64)}, "net/one"
    behind.append(node("LpNormalization", [output], ["embedding"], axis=1, p=2))
    nodes = [*front, *graph.node, *behind]
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(nodes)
    graph.input.append(entry)
    graph.output.append(onnx.helper.make_tensor_value_info("embedding", onnx.TensorProto.FLOAT, None))
    graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in values.items())
    return model


def _finish(model: Any, file: Path, some: NDArray[Any], where: str) -> int:
    """Writes the graph and tries it: whatever comes beside it, a row must give the same. The size of the embedding."""
    onnx = _import_onnx("")
    save_graph(model, file, where)
    together = run_graph(file, some, where)
    alone = np.concatenate([run_graph(file, some[n : n + 1], where) for n in range(len(some))])
    worst = float(np.abs(together - alone).max())
    if not worst <= settings.HUB_TOLERANCE:
        raise EncoderError(f"{where} gives other numbers for a batch than one by one (by {worst:.1e})")
    dim = int(together.shape[1])
    model.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("embedding", onnx.TensorProto.FLOAT, ["n", dim]))
    save_graph(model, file, where)
    return dim


def _import_onnx(name: str) -> Any:
    try:
        import onnx
        import onnx.compose
    except ImportError:
        raise MissingExtra(f"the encoder {name}", "hub") from None
    return onnx
