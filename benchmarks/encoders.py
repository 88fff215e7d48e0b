"""The built-in encoder against raw pixels and the frozen ImageNet network, on rows that training never saw.

    python benchmarks/encoders.py --data DATA --weights mobilenetv2_100_imagenet.safetensors

DATA holds the folders that the recipe names. The recipe's own split is made again (it hangs on the seed and the rows
alone): its validation rows are the queries, its training rows the gallery and what the linear layers learn from. Two
protocols, on each data set apart, each figure with its 95 % bootstrap interval:

- neighbor: the share of queries whose first neighbor, of the rows that have a label, has one that the query may have;
- label: the share of queries whose most probable label is one that the query may have. The built-in encoder answers
  with its own heads; for the other two a linear layer is trained on their features, 20 passes, best of three rates.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from focusedfashion.encoders import load_encoder
from focusedfashion.metrics import bootstrap_interval
from focusedfashion.training.backbone import load_backbone
from focusedfashion.training.data import Packed, pack, select
from focusedfashion.training.losses import count_allowed
from focusedfashion.training.recipe import find_recipe, load_recipe

Floats = NDArray[np.float32]
TRIPLE = ("category", "gender", "color")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the directory that the recipe's files lie in")
    parser.add_argument("--weights", type=Path, help="the ImageNet weights (default: timm's hub)")
    parser.add_argument("--recipe", default="builtin")
    parser.add_argument("--encoder", default="builtin", help="the encoder to measure")
    parser.add_argument("--cache", type=Path, default=Path("runs/packed"), help="where pictures are packed")
    options = parser.parse_args()

    recipe = load_recipe(find_recipe(options.recipe))
    packed = pack(recipe, options.data, options.cache)
    encoder = load_encoder(options.encoder)
    groups = list(encoder.attributes)
    for data_set in ("products", "clothing"):
        gallery = select(packed, (packed.data_sets == data_set) & (packed.split == "train"))
        queries = select(packed, (packed.data_sets == data_set) & (packed.split == "validation"))
        print(f"\n{data_set}: {len(queries.pictures):,} queries, {len(gallery.pictures):,} in the gallery")
        print(f"{'':>26}" + "".join(f"{group:>21}" for group in [*groups, "all three"]))
        for name, features, probabilities in _list_methods(encoder, options.weights, recipe, gallery, queries):
            first = _find_first(*features, gallery, groups)
            right = {g: _share(queries.allowed[g], gallery.allowed[g][first[g]]) for g in groups}
            _print_row(f"{name}, neighbor", [*right.values(), _share_all(queries, gallery, first["all three"])])
            labels = {g: _share(queries.allowed[g], _one_hot(p)) for g, p in probabilities.items()}
            _print_row(f"{name}, label", [*labels.values(), None])


def _list_methods(encoder, weights, recipe, gallery, queries):
    """Name, (query features, gallery features), group -> probabilities of the queries; one method after the other."""
    groups = list(encoder.attributes)
    pixels = [_shrink(side.pictures) for side in (queries, gallery)]
    yield "raw pixels", pixels, _probe(pixels, gallery, groups)
    start = load_backbone(recipe, weights)
    frozen = [_run_frozen(start, side.pictures) for side in (queries, gallery)]
    yield "frozen ImageNet", frozen, _probe(frozen, gallery, groups)
    ours = [encoder.encode_pixels(list(side.pictures)) for side in (queries, gallery)]
    yield "built-in", [side.embeddings for side in ours], ours[0].scores


def _shrink(pictures) -> Floats:
    """Pixels at a quarter of the side, each picture centered and of norm 1, float32 (n, h * w * 3 / 16)."""
    _, height, width, _ = pictures.shape
    small = np.stack([p.reshape(height // 4, 4, width // 4, 4, 3).mean(axis=(1, 3)).ravel() for p in pictures])
    return _normalize((small - small.mean(axis=1, keepdims=True)).astype(np.float32))


def _run_frozen(start, pictures) -> Floats:
    mean, std = (torch.tensor(part).view(1, 3, 1, 1) * 255 for part in (start.mean, start.std))
    network = start.module.eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(pictures), 64):
            batch = torch.from_numpy(np.array(pictures[start : start + 64])).permute(0, 3, 1, 2).float()
            parts.append(network((batch - mean) / std).numpy())
    return _normalize(np.concatenate(parts))


def _normalize(features: Floats) -> Floats:
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-9)


def _probe(features, gallery: Packed, groups: list[str]) -> dict[str, Floats]:
    """A linear layer per group on the gallery's features -> the queries' probabilities.

    The learning rate is the one with the lowest loss on a tenth of the gallery that the layer does not learn from.
    """
    queries, train = (torch.from_numpy(f) for f in features)
    spread = train.std(dim=0) + 1e-6
    queries, train = (queries - train.mean(0)) / spread, (train - train.mean(0)) / spread
    kept = torch.from_numpy(np.random.default_rng(0).random(len(train)) < 0.1)
    probabilities = {}
    for group in groups:
        allowed = torch.from_numpy(gallery.allowed[group])
        best = (torch.inf, None)
        for rate in (1e-4, 3e-4, 1e-3):
            torch.manual_seed(0)
            layer = torch.nn.Linear(train.shape[1], allowed.shape[1])
            optimizer = torch.optim.AdamW(layer.parameters(), lr=rate, weight_decay=0.05)
            rows = torch.nonzero(~kept).flatten()
            for _ in range(20):
                for batch in rows[torch.randperm(len(rows))].split(512):
                    optimizer.zero_grad()
                    count_allowed(layer(train[batch]), allowed[batch]).backward()
                    optimizer.step()
            with torch.inference_mode():
                loss = float(count_allowed(layer(train[kept]), allowed[kept]))
                if loss < best[0]:
                    best = (loss, layer(queries).softmax(dim=1).numpy())
        probabilities[group] = best[1]
    return probabilities


def _find_first(queries: Floats, gallery: Floats, labels: Packed, groups: list[str]) -> dict[str, NDArray[np.int64]]:
    """Per group each query's first neighbor among the rows that have a label, the same rows for every method."""
    known = {group: labels.allowed[group].any(axis=1) for group in groups}
    known["all three"] = np.all([known[group] for group in TRIPLE], axis=0)
    found: dict[str, list[NDArray[np.int64]]] = {group: [] for group in known}
    for part in np.array_split(queries, 1 + len(queries) // 256):
        cosines = part @ gallery.T
        for group, rows in known.items():
            found[group].append(np.where(rows, cosines, -np.inf).argmax(axis=1))
    return {group: np.concatenate(parts) for group, parts in found.items()}


def _one_hot(probabilities: Floats) -> NDArray[np.bool_]:
    return np.eye(probabilities.shape[1], dtype=bool)[probabilities.argmax(axis=1)]


def _share(asked, answered) -> NDArray[np.float64] | None:
    """1 or 0 per query that has a label: whether the answer may have the same; None where no query has one."""
    known = asked.any(axis=1)
    return (asked & answered).any(axis=1)[known].astype(np.float64) if known.any() else None


def _share_all(queries: Packed, gallery: Packed, first) -> NDArray[np.float64] | None:
    both = [(queries.allowed[g], gallery.allowed[g][first]) for g in TRIPLE]
    known = np.all([a.any(axis=1) for a, _ in both], axis=0)
    right = np.all([(a & b).any(axis=1) for a, b in both], axis=0)
    return right[known].astype(np.float64) if known.any() else None


def _print_row(name: str, columns) -> None:
    cells = []
    for values in columns:
        if values is None:
            cells.append("-")
            continue
        low, high = bootstrap_interval(values)
        cells.append(f"{values.mean():.3f} [{low:.3f}, {high:.3f}]")
    print(f"{name:<26}" + "".join(f"{cell:>21}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
