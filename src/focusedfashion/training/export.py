"""A trained network -> the folder of a saved encoder: ONNX graph, labels, thresholds, figures."""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from focusedfashion.encoders import load_encoder
from focusedfashion.encoders.encoder import FORMAT
from focusedfashion.errors import RecipeError
from focusedfashion.training.data import Packed
from focusedfashion.training.network import Network
from focusedfashion.training.recipe import Recipe

logger = logging.getLogger(__name__)

TOLERANCE = 1e-3  # largest difference of an output between PyTorch and ONNX Runtime, both float32
_FEW = 10  # a label with fewer validation rows than this gets the usual threshold instead of a fitted one
_USUAL = 0.5


class _Graph(nn.Module):
    """What is exported: the embedding and, per reported group, probabilities."""

    def __init__(self, network: Network, groups: list[str]) -> None:
        super().__init__()
        self.network, self.groups = network, groups

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        embedding, logits = self.network(pictures)
        return (embedding, *(logits[group].softmax(dim=1) for group in self.groups))


def save_encoder(recipe: Recipe, network: Network, held_out: Packed, folder: Path) -> None:
    """Writes `encoder.json` and `model.onnx`, with thresholds and figures from the validation rows.

    Raises RecipeError where ONNX Runtime does not compute what PyTorch does.
    """
    folder.mkdir(parents=True)
    groups = [name for name, head in recipe.heads.items() if head.report]
    graph = _Graph(network.float().to("cpu"), groups).eval()
    example = torch.from_numpy(np.array(held_out.pictures[:2]))
    if len(example) < 2:
        example = example.repeat(2, 1, 1, 1)
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
    program.save(str(folder / "model.onnx"), external_data=False)

    spec: dict[str, Any] = {
        "format": FORMAT,
        "name": recipe.name,
        "blocks": {name: {"size": block.size, "weight": block.weight} for name, block in recipe.blocks.items()},
        "input": {
            "width": recipe.width,
            "height": recipe.height,
            "resize": "fit",
            "mean": [round(float(v), 4) for v in network.mean.flatten()],
            "std": [round(float(v), 4) for v in network.std.flatten()],
        },
        "attributes": {
            group: {
                "exclusive": True,
                "labels": held_out.labels[group],
                "thresholds": [_USUAL] * len(held_out.labels[group]),
            }
            for group in groups
        },
        "license": recipe.license,
        "weights": recipe.weights,
        "data": [{"name": d.name, "origin": d.origin, "license": d.license} for d in recipe.data],
        "metrics": {},
    }
    _write_spec(folder, spec)
    encoding = load_encoder(folder).encode_pixels(list(held_out.pictures))
    _check_equal(graph, held_out, [encoding.embeddings, *(encoding.scores[g] for g in groups)])
    for group in groups:
        scores, allowed = encoding.scores[group], held_out.allowed[group]
        spec["attributes"][group]["thresholds"] = fit_thresholds(scores, allowed)
        known = allowed.any(axis=1)
        if known.any():
            right = allowed[known][np.arange(known.sum()), scores[known].argmax(axis=1)]
            spec["metrics"][f"{group}_accuracy"] = {"value": round(float(right.mean()), 4), "rows": int(known.sum())}
    spec["metrics"]["protocol"] = (
        f"share of validation rows (a {recipe.validation:.0%} share of groups of the same product, sender or picture, "
        "never trained on) whose most probable label is one that the row may have"
    )
    _write_spec(folder, spec)


def fit_thresholds(scores: NDArray[np.float32], allowed: NDArray[np.bool_]) -> list[float]:
    """Per label the threshold with the best F1 on rows whose label is certain; scores float32 (n, labels), 0..1."""
    certain = allowed.sum(axis=1) == 1
    thresholds = []
    for label in range(scores.shape[1]):
        truth, values = allowed[certain, label], scores[certain, label]
        if truth.sum() < _FEW:
            thresholds.append(_USUAL)
            continue
        order = np.argsort(-values, kind="stable")
        hits = np.cumsum(truth[order])
        f1 = 2 * hits / (np.arange(1, len(order) + 1) + truth.sum())
        # Between the last value that is taken and the next: a threshold on a value itself hangs on its last digit.
        best = int(f1.argmax())
        following = values[order[best + 1]] if best + 1 < len(order) else 0.0
        thresholds.append(round(float((values[order[best]] + following) / 2), 4))
    return thresholds


def _check_equal(graph: _Graph, held_out: Packed, computed: list[NDArray[np.float32]]) -> None:
    some = slice(0, 64)
    with torch.inference_mode():
        expected = graph(torch.from_numpy(np.array(held_out.pictures[some])))
    worst = max(float(np.abs(e.numpy() - c[some]).max()) for e, c in zip(expected, computed, strict=True))
    logger.info("ONNX Runtime and PyTorch differ by at most %.1e", worst)
    if worst > TOLERANCE:
        raise RecipeError(f"the exported graph differs from PyTorch by {worst:.1e}, more than {TOLERANCE:.0e}")


def _write_spec(folder: Path, spec: dict[str, Any]) -> None:
    (folder / "encoder.json").write_text(json.dumps(spec, indent=1) + "\n", encoding="utf-8")
