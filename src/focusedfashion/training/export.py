"""A trained network -> the folder of a saved encoder: ONNX graph, labels, thresholds, figures."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn

from focusedfashion.encoders import load_encoder
from focusedfashion.encoders.encoder import FORMAT
from focusedfashion.encoders.hub_graphs import save_graph
from focusedfashion.errors import RecipeError
from focusedfashion.training.data import Packed
from focusedfashion.training.network import ALL, Network
from focusedfashion.training.recipe import Recipe

logger = logging.getLogger(__name__)

TOLERANCE = 1e-3  # largest difference of an output between PyTorch and ONNX Runtime, both float32
_FEW = 10  # a label with fewer validation rows than this gets the usual threshold instead of a fitted one
_USUAL = 0.5
_COMPARED = 64  # pictures on which both are compared


class _Graph(nn.Module):
    """What is exported: the embedding and, per reported group, probabilities."""

    def __init__(self, network: Network, exclusive: Mapping[str, bool]) -> None:
        super().__init__()
        self.network, self.groups, self.exclusive = network, list(exclusive), dict(exclusive)

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        embedding, logits = self.network(pictures)
        return (embedding, *(self._read(logits[group], group) for group in self.groups))

    def _read(self, logits: Tensor, group: str) -> Tensor:
        return logits.softmax(dim=1) if self.exclusive[group] else logits.sigmoid()


def save_encoder(recipe: Recipe, network: Network, origin: str, held_out: Packed, folder: Path) -> None:
    """Writes `encoder.json`, `model.onnx` and `weights.safetensors`, with thresholds and figures from validation rows.

    `origin` says where the starting weights came from.

    Raises RecipeError where ONNX Runtime does not compute what PyTorch does.
    """
    folder.mkdir(parents=True)
    groups = [name for name, head in recipe.heads.items() if head.report]
    graph = _Graph(network.float().to("cpu"), {name: recipe.heads[name].exclusive for name in groups}).eval()
    some = np.array(held_out.pictures[:_COMPARED])
    dim = write_graph(graph, some, groups, folder)
    state = {key: value.contiguous() for key, value in network.state_dict().items()}
    (folder / "weights.safetensors").write_bytes(save(state))
    blocks = {name: {"size": block.size, "weight": block.weight} for name, block in recipe.blocks.items()}
    attributes = {
        group: {
            "exclusive": recipe.heads[group].exclusive,
            "labels": held_out.labels[group],
            "thresholds": [_USUAL] * len(held_out.labels[group]),
        }
        for group in groups
    }
    spec = describe(recipe, network, origin, blocks or {ALL: {"size": dim, "weight": 1.0}}, attributes)
    write_spec(folder, spec)
    encoder = load_encoder(folder)
    encoding = encoder.encode_fitted(list(some))
    check_equal(graph, some, [encoding.embeddings, *(encoding.scores[g] for g in groups)])
    if not recipe.epochs:
        return  # what a network says that has learned nothing needs no thresholds
    encoding = encoder.encode_fitted(list(held_out.pictures))
    for group in groups:
        scores, allowed = encoding.scores[group], held_out.allowed[group]
        if recipe.heads[group].exclusive:
            certain = np.repeat(allowed.sum(axis=1, keepdims=True) == 1, allowed.shape[1], axis=1)
            attributes[group]["thresholds"] = fit_thresholds(scores, allowed, certain)
            rows = allowed.any(axis=1)
            if rows.any():
                right = allowed[rows][np.arange(rows.sum()), scores[rows].argmax(axis=1)]
                spec["metrics"][f"{group}_accuracy"] = {"value": round(float(right.mean()), 4), "rows": int(rows.sum())}
            continue
        known = held_out.known[group]
        attributes[group]["thresholds"] = fit_thresholds(scores, allowed, known, pooled=True)
        predicted, truth = (scores >= _USUAL) & known, allowed & known
        f1 = 2 * (predicted & truth).sum() / max(1, predicted.sum() + truth.sum())
        spec["metrics"][f"{group}_f1"] = {"value": round(float(f1), 4), "rows": int(known.any(axis=1).sum())}
    spec["metrics"]["protocol"] = (
        f"on validation rows (a {recipe.validation:.0%} share of groups of the same product, sender or picture, "
        "never trained on, or the source's own): accuracy is the share whose most probable label is one that the row "
        "may have, f1 the micro-averaged F1 at a threshold of 0.5"
    )
    write_spec(folder, spec)


def write_graph(graph: nn.Module, pictures: NDArray[np.uint8], groups: Sequence[str], folder: Path) -> int:
    """Writes `model.onnx` of a module that takes `pictures`, uint8 (n, height, width, 3); the size of its embedding."""
    example = torch.from_numpy(pictures[:2] if len(pictures) > 1 else np.repeat(pictures, 2, axis=0))
    batch = torch.export.Dim("batch", min=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter warns of its own internals
        program = torch.onnx.export(
            graph,
            (example,),
            input_names=["pictures"],
            output_names=["embedding", *groups],
            dynamic_shapes=({0: batch},),
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise RecipeError("torch gave no ONNX program")
    save_graph(program.model_proto, folder / "model.onnx", "the network")
    with torch.inference_mode():
        return int(graph(example)[0].shape[1])


def describe(
    recipe: Recipe, network: Network, origin: str, blocks: Mapping[str, Any], attributes: Mapping[str, Any]
) -> dict[str, Any]:
    """What encoder.json says, without figures."""
    shape = {"width": recipe.width, "height": recipe.height, "resize": recipe.resize}
    if recipe.resize == "crop":
        shape["resize_to"] = recipe.resize_to
    return {
        "format": FORMAT,
        "name": recipe.name,
        "blocks": blocks,
        "input": shape
        | {
            "mean": [round(float(v), 4) for v in network.mean.flatten()],
            "std": [round(float(v), 4) for v in network.std.flatten()],
        },
        "attributes": attributes,
        "license": recipe.license,
        "weights": origin if origin.startswith("none") else recipe.weights or origin,
        "data": [{"name": d.name, "origin": d.origin, "license": d.license} for d in recipe.data],
        "metrics": {},
    }


def fit_thresholds(
    scores: NDArray[np.float32], truth: NDArray[np.bool_], known: NDArray[np.bool_], pooled: bool = False
) -> list[float]:
    """Per label the threshold with the best F1 on the rows where it is known; scores float32 (n, labels), 0..1.

    `truth` and `known` bool (n, labels). A label of fewer than 10 rows keeps 0.5, or, where `pooled`, gets the
    threshold that is best for all such labels together: its own would hang on a few rows by chance.
    """
    few = (truth & known).sum(axis=0) < _FEW
    common = _fit_threshold(scores[:, few][known[:, few]], truth[:, few][known[:, few]]) if pooled else _USUAL
    thresholds = []
    for label in range(scores.shape[1]):
        sure = known[:, label]
        thresholds.append(common if few[label] else _fit_threshold(scores[sure, label], truth[sure, label]))
    return thresholds


def _fit_threshold(values: NDArray[np.float32], has: NDArray[np.bool_]) -> float:
    """The threshold with the best F1 of scores float32 (m,), of which `has` bool (m,) are true; 0.5 where none is."""
    if not has.any():
        return _USUAL
    order = np.argsort(-values, kind="stable")
    hits = np.cumsum(has[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + has.sum())
    # Between the last value that is taken and the next: a threshold on a value itself hangs on its last digit.
    best = int(f1.argmax())
    following = values[order[best + 1]] if best + 1 < len(order) else 0.0
    return round(float((values[order[best]] + following) / 2), 4)


def check_equal(graph: nn.Module, pictures: NDArray[np.uint8], computed: Sequence[NDArray[np.float32]]) -> None:
    """Raises RecipeError where what ONNX Runtime computed of these pictures is not what PyTorch does."""
    with torch.inference_mode():
        expected = graph(torch.from_numpy(pictures))
    worst = max(float(np.abs(e.numpy() - c).max()) for e, c in zip(expected, computed, strict=True))
    logger.info("ONNX Runtime and PyTorch differ by at most %.1e", worst)
    if not worst <= TOLERANCE:
        raise RecipeError(f"the exported graph differs from PyTorch by {worst:.1e}, more than {TOLERANCE:.0e}")


def write_spec(folder: Path, spec: dict[str, Any]) -> None:
    """Writes encoder.json."""
    (folder / "encoder.json").write_text(json.dumps(spec, indent=1) + "\n", encoding="utf-8")
