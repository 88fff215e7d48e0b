"""Training: a recipe and its data -> a folder with the saved encoder. A killed run goes on at its last epoch."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import shutil
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from focusedfashion.errors import RecipeError
from focusedfashion.training.augmentation import change_pictures
from focusedfashion.training.data import Packed, pack, select, write_split
from focusedfashion.training.export import save_encoder
from focusedfashion.training.network import Network, load_backbone
from focusedfashion.training.recipe import Recipe, load_recipe

logger = logging.getLogger(__name__)

Batch = tuple[Tensor, Tensor, dict[str, Tensor]]  # pictures, masks, allowed labels


def train(recipe_path: Path, folder: Path, root: Path | None = None, weights: Path | None = None) -> Path:
    """Trains what the recipe says and saves the encoder as `folder`, whole or not at all; returns it.

    `root` is the directory that the recipe's `files` lie in, `weights` a safetensors file to start from instead of
    timm's hub. What a run has reached lies in `folder` + ".run": the same call goes on there after a kill. Raises
    RecipeError.
    """
    recipe = load_recipe(recipe_path)
    if folder.exists():
        raise RecipeError(f"{folder} exists already: name another folder, or remove it")
    run = folder.with_name(folder.name + ".run")
    run.mkdir(parents=True, exist_ok=True)
    _check_same_run(run, {"recipe": recipe.text, "weights": _hash_file(weights)})
    packed = pack(recipe, root, run / "data")
    _check_same_run(run, {"labels": packed.labels})
    write_split(packed, run / "split.csv")

    lightning.seed_everything(recipe.seed, verbose=False)
    network = Network(recipe, packed.labels, *load_backbone(recipe, weights))
    module = _Module(recipe, network, packed)
    last = run / "last.ckpt"
    training = _make_loader(packed, np.flatnonzero(~packed.held_out), recipe, shuffle=True)
    validation = _make_loader(packed, np.flatnonzero(packed.held_out), recipe, shuffle=False)
    trainer = lightning.Trainer(
        max_epochs=recipe.epochs,
        devices=1,
        precision=recipe.precision,  # type: ignore[arg-type]
        logger=CSVLogger(run, name="log"),
        callbacks=[
            ModelCheckpoint(run, filename="last", enable_version_counter=False),
            TQDMProgressBar(refresh_rate=10),
        ],
        num_sanity_val_steps=0,
        enable_model_summary=False,
        log_every_n_steps=min(20, len(training)),
    )
    with warnings.catch_warnings():
        # The rows lie in memory and a batch is one slice: workers would only copy them.
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        warnings.filterwarnings("ignore", ".*Checkpoint directory .* exists and is not empty.*")
        warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated.*")  # Lightning's own use of torch
        begun = last if last.is_file() else None
        try:
            trainer.fit(module, training, validation, ckpt_path=begun, weights_only=False)
        except SystemExit:  # Lightning's answer to Ctrl-C
            raise KeyboardInterrupt from None
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    save_encoder(recipe, network.eval(), select(packed, packed.held_out), part)
    (part / "recipe.toml").write_text(recipe.text, encoding="utf-8")
    shutil.copy(run / "split.csv", part / "split.csv")
    shutil.copytree(run / "log", part / "log")
    part.rename(folder)
    return folder


class _Module(lightning.LightningModule):
    scenes: Tensor

    def __init__(self, recipe: Recipe, network: Network, packed: Packed) -> None:
        super().__init__()
        self.recipe = recipe
        self.network = network
        # Photos, whose corners become other grounds: pictures of the training side without a white ground.
        photos = np.flatnonzero(~packed.held_out & ~packed.masks.reshape(len(packed.masks), -1).any(axis=1))
        chosen = photos[:: max(1, len(photos) // 2_000)]
        self.register_buffer("scenes", torch.from_numpy(packed.pictures[chosen]), persistent=False)

    def on_train_start(self) -> None:
        self._begun, self._first = time.monotonic(), self.current_epoch

    def training_step(self, batch: Batch, index: int) -> Tensor:
        pictures, masks, allowed = batch
        # By the step, so that a resumed run goes on to the same result; dropout draws from the global generator.
        seed = self.recipe.seed * 1_000_003 + self.global_step
        torch.manual_seed(seed)
        with torch.autocast(self.device.type, enabled=False):
            pixels, kept = change_pictures(pictures, masks, self.scenes, self.recipe.augmentation, seed)
        pixels = pixels.to(memory_format=torch.channels_last)
        heads = self.recipe.heads
        allowed = {g: a & kept.unsqueeze(1) if heads[g].hue else a for g, a in allowed.items()}
        _, logits = self.network.forward_float(pixels)
        losses = {group: count_allowed(logits[group], allowed[group]) for group in logits}
        total = sum((heads[g].weight * loss for g, loss in losses.items()), torch.zeros(()))
        if not torch.isfinite(total):
            raise RecipeError(f"the loss is {float(total)} at step {self.global_step}: lower the learning rate")
        self.log("loss", total, prog_bar=True)
        self.log_dict({f"loss/{group}": loss for group, loss in losses.items()})
        return total

    def validation_step(self, batch: Batch, index: int) -> None:
        pictures, _, allowed = batch
        _, logits = self.network(pictures)
        for group, rows in allowed.items():
            known = rows.any(dim=1)
            if known.any():
                best = logits[group][known].argmax(dim=1, keepdim=True)
                right = rows[known].gather(1, best).float().mean()
                self.log(f"right/{group}", right, batch_size=int(known.sum()), prog_bar=True)

    def on_train_epoch_end(self) -> None:
        done = self.current_epoch - self._first + 1
        left = (self.recipe.epochs - self.current_epoch - 1) * (time.monotonic() - self._begun) / done
        logger.info(
            "epoch %d of %d done, about %.0f minutes left", self.current_epoch + 1, self.recipe.epochs, left / 60
        )

    def configure_optimizers(self) -> Any:
        decayed = [p for p in self.network.parameters() if p.requires_grad and p.ndim > 1]
        plain = [p for p in self.network.parameters() if p.requires_grad and p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": self.recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=self.recipe.learning_rate)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.recipe.learning_rate, steps, pct_start=0.15)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def count_allowed(logits: Tensor, allowed: Tensor) -> Tensor:
    """-log of the probability that falls among the allowed labels, mean over the rows that have any; a scalar.

    `logits` float (n, labels), `allowed` bool (n, labels). With one allowed label it is cross-entropy; with several it
    is the likelihood of a partial label (Jin & Ghahramani, NIPS 2002); rows without a label do not count.
    """
    known = allowed.any(dim=1)
    if not known.any():
        return logits.sum() * 0
    logits, allowed = logits[known].float(), allowed[known]
    among = logits.masked_fill(~allowed, -math.inf).logsumexp(dim=1)
    return (logits.logsumexp(dim=1) - among).mean()


def _check_same_run(run: Path, decisive: dict[str, Any]) -> None:
    """A run that was begun with another recipe, other labels or other weights is not gone on with."""
    begun = run / "run.json"
    saved = json.loads(begun.read_text(encoding="utf-8")) if begun.is_file() else {}
    other = " and ".join(name for name, value in decisive.items() if saved.get(name, value) != value)
    if other:
        raise RecipeError(f"{run} holds a run with another {other}: remove it, or name another folder with -o")
    begun.write_text(json.dumps(saved | decisive), encoding="utf-8")


def _hash_file(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise RecipeError(f"{path} cannot be read ({error.strerror})") from None


class _Rows(Dataset[Any]):
    """A batch is one read of the arrays: `__getitems__` gets all its row numbers at once."""

    def __init__(self, packed: Packed) -> None:
        self.packed = packed

    def __len__(self) -> int:
        return len(self.packed.pictures)

    def __getitems__(self, rows: list[int]) -> Batch:
        pictures = torch.from_numpy(self.packed.pictures[rows])
        masks = torch.from_numpy(self.packed.masks[rows])
        allowed = {group: torch.from_numpy(table[rows]) for group, table in self.packed.allowed.items()}
        return pictures, masks, allowed


class _Shuffled(Sampler[int]):
    """Each row as often as its data set's `repeat`, in an order that the seed and the epoch decide."""

    def __init__(self, rows: np.ndarray[Any, Any], packed: Packed, recipe: Recipe) -> None:
        repeats: Mapping[str, int] = {data.name: data.repeat for data in recipe.data}
        self.rows = np.repeat(rows, [repeats[str(name)] for name in packed.data_sets[rows]])
        self.seed = recipe.seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this at the start of each epoch, also of the first after a resumed run."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[int]:
        return iter(np.random.default_rng((self.seed, self.epoch)).permutation(self.rows).tolist())


def _make_loader(packed: Packed, rows: np.ndarray[Any, Any], recipe: Recipe, shuffle: bool) -> DataLoader[Any]:
    if len(rows) == 0:
        side = "training" if shuffle else "validation"
        raise RecipeError(f"no row fell on the {side} side: give more data, or another share with `validation`")
    sampler = _Shuffled(rows, packed, recipe) if shuffle else rows.tolist()
    size = min(recipe.batch, len(rows))
    return DataLoader(
        _Rows(packed), batch_size=size, sampler=sampler, drop_last=shuffle, collate_fn=lambda batch: batch
    )
