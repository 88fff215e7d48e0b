"""What Lightning runs: a step, a validation, the optimizer, and the curves of the run so far."""

from __future__ import annotations

import logging
import time
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor, nn

from focusedfashion.errors import RecipeError
from focusedfashion.training.augmentation import change_pictures
from focusedfashion.training.data import Packed
from focusedfashion.training.loading import Batch
from focusedfashion.training.losses import GroupLoss
from focusedfashion.training.network import Network
from focusedfashion.training.recipe import Recipe

logger = logging.getLogger(__name__)

_CHECK_STEPS = 20  # between two looks at the loss: each waits for the device
_SCENES = 2_000  # photos, at most, whose corners become other grounds


class Module(lightning.LightningModule):
    """`curves` has a dict per epoch, `seconds` the time of all epochs and `training_seconds` that without validation,
    `pictures` the number of pictures that were trained on; all of them survive a kill."""

    scenes: Tensor

    def __init__(self, recipe: Recipe, network: Network, packed: Packed) -> None:
        super().__init__()
        self.recipe = recipe
        self.network = network
        # Photos, whose corners become other grounds: pictures of the training side without a white ground.
        photos = np.zeros(0, np.int64)
        if packed.masks is not None and recipe.augmentation.background:
            white = packed.masks.reshape(len(packed.masks), -1).any(axis=1)
            photos = np.flatnonzero((packed.split == "train") & ~white)
        chosen = photos[:: max(1, len(photos) // _SCENES)]
        self.register_buffer("scenes", torch.from_numpy(packed.pictures[chosen]), persistent=False)
        self.losses = nn.ModuleDict(_make_losses(recipe, packed))
        self.curves: list[dict[str, Any]] = []
        self.seconds = self.training_seconds = 0.0
        self.pictures = 0

    def on_train_start(self) -> None:
        self._first = self.current_epoch
        self._begun = time.monotonic()

    def on_train_epoch_start(self) -> None:
        self._epoch_begun, self._trained = time.monotonic(), 0.0
        self._sum, self._steps = torch.zeros((), device=self.device), 0

    def training_step(self, batch: Batch, index: int) -> Tensor:
        pictures, masks, allowed, known = batch
        # By the batch, so that a resumed run goes on to the same result; dropout draws from the global generator.
        number = self.current_epoch * int(self.trainer.num_training_batches) + index
        seed = (self.recipe.seed * 1_000_003 + number) * self.trainer.world_size + self.trainer.global_rank
        torch.manual_seed(seed)
        with torch.autocast(self.device.type, enabled=False):
            pixels, kept = change_pictures(pictures, masks, self.scenes, self.recipe.augmentation, seed)
        logits = self.network.forward_logits(pixels)
        losses = self._count(logits, allowed, known, kept)
        total = self._weigh(losses)
        value = total.detach()
        self._sum, self._steps = self._sum + value, self._steps + 1
        self.pictures += len(pictures) * self.trainer.world_size
        if self._steps % _CHECK_STEPS == 0:
            self._check_loss()
        self.log("loss", value, prog_bar=True)
        if len(losses) > 1:
            self.log_dict({f"loss/{group}": loss.detach() for group, loss in losses.items()})
        return total

    def _check_loss(self) -> None:
        """Raises RecipeError where a loss of this epoch was no number; the checkpoint of the epoch before stays."""
        if torch.isfinite(self._sum):
            return
        recipe = self.recipe
        raise RecipeError(
            f"the loss became {float(self._sum)} in epoch {self.current_epoch + 1}, by step {self._steps}: lower "
            f"learning_rate (it is {recipe.learning_rate:g}; a tenth is a good try)"
            + ("" if recipe.precision == "32-true" else ', or set precision = "32-true"')
        )

    def on_validation_epoch_start(self) -> None:
        self._trained = time.monotonic() - self._epoch_begun
        self._counts = torch.zeros(3, device=self.device)  # true positives, false positives, false negatives

    def validation_step(self, batch: Batch, index: int) -> None:
        pictures, _, allowed, known = batch
        pixels = pictures.permute(0, 3, 1, 2).float()
        logits = self.network.forward_logits(pixels)
        losses = self._count(logits, allowed, known, None)
        self.log("validation_loss", self._weigh(losses), batch_size=len(pictures), prog_bar=True, sync_dist=True)
        for group, head in self.recipe.heads.items():
            if not head.exclusive:
                predicted, truth = (logits[group] > 0) & known[group], allowed[group] & known[group]
                missed = truth & ~predicted
                self._counts += torch.stack([(predicted & truth).sum(), (predicted & ~truth).sum(), missed.sum()])
                continue
            rows = allowed[group].any(dim=1)
            if rows.any():
                best = logits[group][rows].argmax(dim=1, keepdim=True)
                right = allowed[group][rows].gather(1, best).float()
                wrong = len(right) - right.sum()
                self._counts += torch.stack([right.sum(), wrong, wrong])
                self.log(f"right/{group}", right.mean(), batch_size=int(rows.sum()), prog_bar=True, sync_dist=True)

    def on_validation_epoch_end(self) -> None:
        counts = self._counts
        if self.trainer.world_size > 1:
            counts = self.all_gather(counts).sum(dim=0)  # type: ignore[union-attr]
        right, extra, missed = counts.tolist()
        self._f1 = 2 * right / max(1.0, 2 * right + extra + missed)
        self.log("validation_f1", self._f1, sync_dist=True)

    def on_train_epoch_end(self) -> None:
        self._check_loss()
        now = time.monotonic()
        self.seconds += now - self._epoch_begun
        self.training_seconds += self._trained or now - self._epoch_begun
        figures = {"loss": float(self._sum) / max(1, self._steps)}
        if "validation_loss" in self.trainer.callback_metrics:
            figures |= {"validation_loss": float(self.trainer.callback_metrics["validation_loss"])}
            figures |= {"validation_f1": self._f1}
        epoch = self.current_epoch + 1
        self.curves.append({"epoch": epoch, **{name: round(value, 6) for name, value in figures.items()}})
        if not self.trainer.is_global_zero:
            return
        left = (self.recipe.epochs - epoch) * (now - self._begun) / (epoch - self._first)
        told = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in figures.items())
        logger.info("epoch %d of %d: %s; about %.0f minutes left", epoch, self.recipe.epochs, told, left / 60)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["progress"] = self.get_progress()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.set_progress(checkpoint["progress"])

    def get_progress(self) -> dict[str, Any]:
        """What the run has behind it, as it stands in a checkpoint."""
        names = ("curves", "seconds", "training_seconds", "pictures")
        return {name: getattr(self, name) for name in names}

    def set_progress(self, progress: dict[str, Any]) -> None:
        """Goes on from `get_progress` of another process."""
        for name, value in progress.items():
            setattr(self, name, list(value) if name == "curves" else value)

    def configure_optimizers(self) -> Any:
        recipe = self.recipe
        decayed = [p for p in self.network.parameters() if p.requires_grad and p.ndim > 1]
        plain = [p for p in self.network.parameters() if p.requires_grad and p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        fused = recipe.precision != "16-mixed"  # fused ones cannot be clipped under a gradient scaler
        optimizer: torch.optim.Optimizer
        if recipe.optimizer == "sgd":
            optimizer = torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum, fused=fused)
        elif recipe.optimizer == "adam":
            optimizer = torch.optim.Adam(groups, lr=recipe.learning_rate, fused=fused)
        else:
            optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=fused)
        if recipe.schedule == "constant":
            return optimizer
        steps = int(self.trainer.estimated_stepping_batches)
        schedule: Any = (
            torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, steps, pct_start=0.15)
            if recipe.schedule == "one-cycle"
            else torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _count(
        self, logits: dict[str, Tensor], allowed: dict[str, Tensor], known: dict[str, Tensor], kept: Tensor | None
    ) -> dict[str, Tensor]:
        losses = {}
        for group, head in self.recipe.heads.items():
            rows, sure = allowed[group], known.get(group)
            if head.hue and kept is not None:
                rows = rows & kept.unsqueeze(1)
                sure = None if sure is None else sure & kept.unsqueeze(1)
            losses[group] = self.losses[group](logits[group], rows, sure)
        return losses

    def _weigh(self, losses: dict[str, Tensor]) -> Tensor:
        first, *others = (self.recipe.heads[group].weight * loss for group, loss in losses.items())
        return sum(others, first)


def _make_losses(recipe: Recipe, packed: Packed) -> dict[str, nn.Module]:
    rows = packed.list_rows("train")
    losses: dict[str, nn.Module] = {}
    for group, head in recipe.heads.items():
        allowed = packed.allowed[group][rows]
        if group in packed.known:
            known = packed.known[group][rows]
        else:
            known = np.broadcast_to(allowed.any(axis=1, keepdims=True), allowed.shape)
        positives, totals = (torch.from_numpy(table.sum(axis=0)) for table in (allowed, known))
        losses[group] = GroupLoss(recipe.imbalance, head.exclusive, positives, totals)
    return losses
