"""Batches of packed rows: a batch is one read of the arrays, in an order that the seed and the epoch decide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from focusedfashion.errors import RecipeError
from focusedfashion.training.data import Packed
from focusedfashion.training.recipe import Recipe

# Pictures uint8 (n, h, w, 3), masks uint8 (n, h, w), and per group what a row may have or has, and where that is known
Batch = tuple[Tensor, Tensor | None, dict[str, Tensor], dict[str, Tensor]]


class Rows(lightning.LightningDataModule):
    """The loaders of one run; on several devices each takes its own part of every epoch."""

    def __init__(self, packed: Packed, recipe: Recipe) -> None:
        super().__init__()
        self.packed, self.recipe = packed, recipe
        self.rows = {part: packed.list_rows(part) for part in ("train", "validation")}
        for part, key in (("train", "less `validation` and `test`"), ("validation", "another `validation`")):
            if len(self.rows[part]) < 2:
                raise RecipeError(f"fewer than two rows fell on the {part} part of the split: give more data, or {key}")

    def train_dataloader(self) -> DataLoader[Any]:
        trainer = self.trainer
        rank, devices = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        sampler = Shuffled(self.rows["train"], self.packed, self.recipe, rank, devices)
        size = min(self.recipe.batch, len(sampler))
        # Batch norm cannot do with a batch of one.
        drop_last = self.recipe.drop_last or len(sampler) % size == 1
        return self._make_loader(sampler, size, drop_last)

    def val_dataloader(self) -> DataLoader[Any]:
        trainer = self.trainer
        rank, devices = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        rows = self.rows["validation"][rank::devices].tolist()
        return self._make_loader(rows, min(self.recipe.batch, max(1, len(rows))), drop_last=False)

    def _make_loader(self, sampler: Any, size: int, drop_last: bool) -> DataLoader[Any]:
        return DataLoader(
            _Read(self.packed),
            batch_size=size,
            sampler=sampler,
            drop_last=drop_last,
            collate_fn=lambda batch: batch,
            pin_memory=torch.cuda.is_available(),
        )


class Shuffled(Sampler[int]):
    """Each row as often as its data set's `repeat`, in an order that the seed and the epoch decide.

    With balanced sampling an epoch is as long, and draws rows by chance with replacement: one with a rare label
    sqrt(t / f) times as often, f being the label's share of rows and t the median of these shares (the repeat factor
    of Gupta, Dollár & Girshick 2019, "LVIS", arXiv:1908.03195; of several labels the rarest decides).
    """

    def __init__(
        self, rows: NDArray[np.int64], packed: Packed, recipe: Recipe, rank: int = 0, devices: int = 1
    ) -> None:
        repeats = {data.name: data.repeat for data in recipe.data}
        self.rows = np.repeat(rows, [repeats.get(str(name), 1) for name in packed.data_sets[rows]])
        balanced = recipe.imbalance.sampling == "balanced"
        self.shares = compute_shares(packed, self.rows) if balanced else None
        self.seed, self.rank, self.devices = recipe.seed, rank, devices
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this at the start of each epoch, also of the first after a resumed run."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.rows) // self.devices

    def __iter__(self) -> Iterator[int]:
        random = np.random.default_rng((self.seed, self.epoch))
        if self.shares is None:
            order = random.permutation(self.rows)
        else:
            order = random.choice(self.rows, len(self.rows), p=self.shares)
        return iter(order[self.rank :: self.devices][: len(self)].tolist())


def compute_shares(packed: Packed, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """How probable each of the rows is in balanced sampling, float64 (m,), of sum 1."""
    factors = np.ones(len(rows))
    for allowed in packed.allowed.values():
        truth = allowed[rows]
        share = truth.mean(axis=0)
        rarity = np.sqrt(np.median(share[share > 0]) / np.maximum(share, 1 / len(rows)))
        factors = np.maximum(factors, (truth * rarity).max(axis=1))
    shares: NDArray[np.float64] = factors / factors.sum()
    return shares


class _Read(Dataset[Any]):
    """`__getitems__` gets all the row numbers of a batch at once."""

    def __init__(self, packed: Packed) -> None:
        self.packed = packed

    def __len__(self) -> int:
        return len(self.packed.pictures)

    def __getitems__(self, rows: list[int]) -> Batch:
        packed = self.packed
        pictures = torch.from_numpy(packed.pictures[rows])
        masks = None if packed.masks is None else torch.from_numpy(packed.masks[rows])
        allowed = {group: torch.from_numpy(table[rows]) for group, table in packed.allowed.items()}
        known = {group: torch.from_numpy(table[rows]) for group, table in packed.known.items()}
        return pictures, masks, allowed, known
