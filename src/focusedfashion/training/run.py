"""Training: a recipe and its data -> a folder with the saved encoder. A killed run goes on at its last epoch."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning
import torch

from focusedfashion.errors import RecipeError
from focusedfashion.training.backbone import hash_file, load_backbone
from focusedfashion.training.data import Packed, pack, select, write_split
from focusedfashion.training.export import save_encoder
from focusedfashion.training.labelled import pack_source
from focusedfashion.training.loading import Rows
from focusedfashion.training.module import Module
from focusedfashion.training.network import Network, count_macs
from focusedfashion.training.recipe import Recipe, load_recipe
from focusedfashion.training.trainer import explain_errors, make_trainer

logger = logging.getLogger(__name__)


def train(
    recipe_path: Path,
    folder: Path,
    data: Path | str | None = None,
    weights: Path | str | None = None,
    *,
    labels: Sequence[str] = (),
    trainer: Mapping[str, Any] | None = None,
    packs: Path | None = None,
) -> Path:
    """Trains what the recipe says and saves the encoder as `folder`, whole or not at all; returns it.

    `data` is the directory that the recipe's `files` lie in or, for a recipe without [[data]], a source as
    `read_source` takes it, whose columns `labels` are learned (none: those whose values repeat). `weights` is a
    safetensors file to start from, "none" for a random start, or None for the hub. `trainer` goes to
    `lightning.Trainer` (devices, strategy, ...). Opened pictures are kept below `packs`, which several runs may share.
    What a run has reached lies in `folder` + ".run": the same call goes on there after a kill. Raises RecipeError, and
    SourceError or QueryError where the source or a column is not there.
    """
    recipe = load_recipe(recipe_path)
    if folder.exists():
        raise RecipeError(f"{folder} exists already: name another folder, or remove it")
    run = folder.with_name(folder.name + ".run")
    source, start = str(data) if data is not None else "", str(weights or "")
    with explain_errors(recipe, run):
        run.mkdir(parents=True, exist_ok=True)
        decisive = {"recipe": recipe.text, "weights": hash_file(Path(start)) if start not in ("", "none") else start}
        _check_same_run(run, decisive)
        if recipe.data:
            if labels:
                raise RecipeError(f"{recipe.name} says by itself what it learns from: leave --label out")
            packed = pack(recipe, Path(source) if source else None, run / "data")
        elif not source:
            raise RecipeError(f"{recipe.name} trains on any source: give one with --data")
        else:
            packed = pack_source(recipe, source, labels, packs or run / "data")
        _check_same_run(run, {"labels": packed.labels, "rows": _digest_rows(packed)})
        write_split(packed, run / "split.csv")

        lightning.seed_everything(recipe.seed, verbose=False)
        backbone = load_backbone(recipe, Path(start) if start not in ("", "none") else start or None)
        network = Network(recipe, packed.labels, backbone)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, unused-ignore]  # torch before 2.15
        module = Module(recipe, network, packed)
        device = _fit(recipe, module, packed, run, dict(trainer or {}))
        if device is None:
            return folder  # another process of this run saves it
        part = folder.with_name(folder.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        network.eval()
        save_encoder(recipe, network, backbone.origin, select(packed, packed.list_rows("validation")), part)
        (part / "recipe.toml").write_text(recipe.text, encoding="utf-8")
        _write_report(part / "training.json", recipe, module, packed, backbone.origin, device)
        shutil.copy(run / "split.csv", part / "split.csv")
        if (run / "log").is_dir():
            shutil.copytree(run / "log", part / "log")
        part.rename(folder)
    return folder


def _fit(recipe: Recipe, module: Module, packed: Packed, run: Path, wishes: dict[str, Any]) -> str | None:
    """Trains, or loads what was trained; the device in words, None where this process is not the one that saves."""
    rows = Rows(packed, recipe)
    saved = run / ("best.ckpt" if recipe.patience else "last.ckpt")
    if not recipe.epochs:
        return "none"
    for checkpoint in run.glob("*.ckpt"):
        if not zipfile.is_zipfile(checkpoint):  # cut off: it ends with its list of contents
            raise RecipeError(f"the checkpoint {checkpoint} is damaged: remove {run} and train anew")
    marker = run / "finished.json"
    if not marker.is_file():
        trainer = make_trainer(recipe, run, wishes)
        last = run / "last.ckpt"
        with warnings.catch_warnings():
            # The rows lie in memory and a batch is one slice: workers would only copy them.
            warnings.filterwarnings("ignore", ".*does not have many workers.*")
            warnings.filterwarnings("ignore", ".*Checkpoint directory .* exists and is not empty.*")
            warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated.*")  # Lightning's own use of torch
            warnings.filterwarnings("ignore", ".*all_gather is deprecated.*")  # the same
            warnings.filterwarnings("ignore", ".*is smaller than the logging interval.*")
            try:
                trainer.fit(module, datamodule=rows, ckpt_path=last if last.is_file() else None, weights_only=False)
            except SystemExit:  # Lightning's answer to Ctrl-C
                raise KeyboardInterrupt from None
        if not trainer.is_global_zero:
            return None
        device = _name_device(trainer.strategy.root_device)
        device = f"{trainer.world_size} x {device}" if trainer.world_size > 1 else device
        marker.write_text(json.dumps({"device": device}), encoding="utf-8")
    progress = torch.load(run / "last.ckpt", map_location="cpu", weights_only=False)["progress"]
    module.set_progress(progress)
    module.load_state_dict(torch.load(saved, map_location="cpu", weights_only=False)["state_dict"])
    return str(json.loads(marker.read_text(encoding="utf-8"))["device"])


def _write_report(path: Path, recipe: Recipe, module: Module, packed: Packed, origin: str, device: str) -> None:
    """training.json: what the encoder is and how it came to be."""
    report = {
        "recipe": recipe.name,
        "parameters": sum(p.numel() for p in module.network.parameters()),
        "macs": count_macs(module.network, recipe.height, recipe.width),
        "rows": {part: len(packed.list_rows(part)) for part in ("train", "validation", "test")},
        "epochs": len(module.curves),
        "seconds": round(module.seconds, 1),
        "pictures_per_second": round(module.pictures / module.training_seconds, 1) if module.curves else 0.0,
        "weights": origin,
        "trained": bool(module.curves),
        "corrections": [recipe.correction] if recipe.correction else [],
        "device": device,
        "curves": module.curves,
    }
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _name_device(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads" if device.type == "cpu" else device.type


def _digest_rows(packed: Packed) -> str:
    digest = hashlib.sha1()
    for table in (packed.item_ids, packed.split, *packed.allowed.values()):
        digest.update(table.tobytes())
    return digest.hexdigest()


def _check_same_run(run: Path, decisive: dict[str, Any]) -> None:
    """A run that was begun with another recipe, other labels or other weights is not gone on with."""
    begun = run / "run.json"
    saved = json.loads(begun.read_text(encoding="utf-8")) if begun.is_file() else {}
    other = " and ".join(name for name, value in decisive.items() if saved.get(name, value) != value)
    if other:
        raise RecipeError(f"{run} holds a run that differs in its {other}: remove it, or name another folder with -o")
    begun.write_text(json.dumps(saved | decisive), encoding="utf-8")
