"""The network: a backbone, and on it either blocks with heads, or heads alone and a layer's output as the embedding.

A block of the embedding is a linear layer. A head on a block reads it after normalization, times a learned scale, so
that its classes lie in directions and the cosine of two embeddings orders pictures as the heads see them (NormFace,
Wang et al. 2017, arXiv:1704.06369). Without blocks the embedding is one block `all`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from focusedfashion.errors import RecipeError
from focusedfashion.training.backbone import Backbone, find_part, measure
from focusedfashion.training.recipe import LOGITS, TRUNK, Recipe

ALL = "all"  # the block of an encoder that has but one


class Network(nn.Module):
    """uint8 (n, height, width, 3) -> the embedding (n, dim), each block of L2 norm 1, and logits per group."""

    mean: Tensor
    std: Tensor

    def __init__(self, recipe: Recipe, labels: Mapping[str, list[str]], backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone.module
        shape = measure(self.backbone, recipe.height, recipe.width)
        if len(shape) != 1:
            raise RecipeError(f'{recipe.backbone} gives {shape} numbers, not a row of them: set pool = "flatten"')
        width = shape[0]
        self.register_buffer("mean", torch.tensor(backbone.mean).view(1, 3, 1, 1) * 255)
        self.register_buffer("std", torch.tensor(backbone.std).view(1, 3, 1, 1) * 255)
        self.blocks = nn.ModuleDict({name: nn.Linear(width, block.size) for name, block in recipe.blocks.items()})
        self.scales = nn.ParameterDict({name: nn.Parameter(torch.tensor(12.0)) for name in recipe.blocks})
        self.reads = {name: recipe.heads[name].reads for name in labels}
        sizes = {name: block.size for name, block in recipe.blocks.items()} | {TRUNK: width}
        heads = {name: nn.Linear(sizes[self.reads[name]], len(found)) for name, found in labels.items()}
        self.heads = nn.ModuleDict(heads)
        self.dropout = nn.Dropout(recipe.dropout)
        whose = recipe.backbone or recipe.name
        whole = "all" in recipe.freeze
        self._frozen = [self.backbone] if whole else [find_part(self.backbone, part, whose) for part in recipe.freeze]
        for module in self._frozen:
            module.requires_grad_(False)
        self.features = recipe.features
        self._caught: list[Tensor] = []
        if not recipe.blocks and recipe.features not in (TRUNK, LOGITS):
            find_part(self.backbone, recipe.features, whose).register_forward_hook(self._catch)

    def train(self, mode: bool = True) -> Network:
        super().train(mode)
        for module in self._frozen:
            module.eval()  # a frozen batch norm keeps its statistics too
        return self

    def forward(self, pictures: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return self.forward_float(pictures.permute(0, 3, 1, 2).float())

    def forward_float(self, pixels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """float (n, 3, height, width) in 0..255 -> the same; where training's random changes leave the pictures."""
        self._caught.clear()
        features = self.backbone((pixels - self.mean) / self.std)
        with torch.autocast(pixels.device.type, enabled=False):  # norms and cosines in half precision are too rough
            features = features.float()
            if self.blocks:
                return self._read_blocks(features)
            logits = self._read_trunk(features)
            layer = self._caught.pop() if self._caught else self._join(logits) if self.features == LOGITS else features
            return nn.functional.normalize(flatten(layer.float()), dim=1), logits

    def forward_logits(self, pixels: Tensor) -> dict[str, Tensor]:
        """float (n, 3, height, width) in 0..255 -> logits per group, float32 (n, labels): all that training needs.

        `pixels` are changed: they are normalized where they lie.
        """
        features = self.backbone(pixels.mul_(1 / self.std).sub_(self.mean / self.std).contiguous(memory_format=_LAST))
        self._caught.clear()
        with torch.autocast(pixels.device.type, enabled=False):
            return self._read_blocks(features.float())[1] if self.blocks else self._read_trunk(features.float())

    def _read_trunk(self, features: Tensor) -> dict[str, Tensor]:
        dropped = self.dropout(features)
        return {name: head(dropped) for name, head in self.heads.items()}

    def _read_blocks(self, features: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        dropped = self.dropout(features)
        inputs: dict[str, Tensor] = {TRUNK: dropped}
        normal = []
        for name, linear in self.blocks.items():
            block = nn.functional.normalize(linear(dropped), dim=1)
            normal.append(block)
            inputs[name] = block * self.scales[name]
        logits = {name: head(inputs[self.reads[name]]) for name, head in self.heads.items()}
        return torch.cat(normal, dim=1), logits

    def _join(self, logits: Mapping[str, Tensor]) -> Tensor:
        return torch.cat(list(logits.values()), dim=1)

    def _catch(self, module: nn.Module, inputs: Any, output: Any) -> None:
        # A copy: the next layer may work in place.
        self._caught[:] = [output.clone()]


_LAST = torch.channels_last  # the faster order of memory for convolutions
MAP_LIMIT = 4_096  # numbers of a layer's output; a larger one is averaged over its places


def flatten(output: Tensor) -> Tensor:
    """A layer's output (n, ...) -> (n, dim): flattened, or averaged over its places where it is a large map.

    A map is (n, channels, h, w), or (n, places, channels) as transformers have it.
    """
    if output[0].numel() > MAP_LIMIT and output.ndim > 2:
        output = output.mean(dim=(2, 3)) if output.ndim == 4 else output.mean(dim=1)
    return output.flatten(1)


def count_macs(network: nn.Module, height: int, width: int) -> int:
    """Multiply-adds of one picture on its way through a network that takes uint8 (n, height, width, 3)."""
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), counter:
        network.eval()(torch.zeros(1, height, width, 3, dtype=torch.uint8))
    return int(counter.get_total_flops()) // 2
