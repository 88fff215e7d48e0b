"""The network: a timm backbone, a block of the embedding per linear layer, a head per attribute group.

A head on a block reads it after normalization, times a learned scale, so that its classes lie in directions and the
cosine of two embeddings orders pictures as the heads see them (NormFace, Wang et al. 2017, arXiv:1704.06369).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from focusedfashion.errors import RecipeError
from focusedfashion.training.recipe import Recipe, Start

TRUNK = "trunk"  # what a head reads that reads no block: the pooled features of the backbone


def load_backbone(recipe: Recipe, weights: Path | None) -> tuple[nn.Module, dict[str, Sequence[float]]]:
    """The recipe's timm network without its classifier, its mean and std; weights from a file, else from timm's hub."""
    import timm

    name, start = recipe.backbone, recipe.start if weights is not None else Start()
    try:
        backbone = timm.create_model(name, pretrained=weights is None, num_classes=0, **start.options)
    except (RuntimeError, TypeError) as error:
        raise RecipeError(f"timm cannot make the backbone {name!r} ({error})") from None
    except OSError as error:
        raise RecipeError(f"the weights of {name!r} cannot be fetched ({error}); give a file with --weights") from None
    config = {key: getattr(start, key) or backbone.pretrained_cfg[key] for key in ("mean", "std")}
    if weights is not None:
        from safetensors.torch import load_file

        try:
            state = load_file(weights)
        except Exception as error:  # safetensors raises its own class for a broken file
            raise RecipeError(f"{weights} cannot be read as safetensors ({error})") from None
        # Batch norm's counters are not weights, and many files lack them.
        wanted = {key: value for key, value in backbone.state_dict().items() if "num_batches_tracked" not in key}
        unfit = [key for key in wanted if key not in state or state[key].shape != wanted[key].shape]
        if unfit:
            raise RecipeError(
                f"{weights} does not fit the backbone {name!r}: {unfit[0]} is missing or of another shape"
            )
        backbone.load_state_dict(state, strict=False)  # not strict: a file may have a classifier too
    return backbone, config


class Network(nn.Module):
    """uint8 (n, height, width, 3) -> the embedding (n, dim), each block of L2 norm 1, and logits per group."""

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        recipe: Recipe,
        labels: Mapping[str, list[str]],
        backbone: nn.Module,
        config: Mapping[str, Sequence[float]],
    ) -> None:
        super().__init__()
        self.backbone = backbone
        width = getattr(backbone, "head_hidden_size", None)
        if not isinstance(width, int):
            raise RecipeError(f"{recipe.backbone} does not say how wide its features are: take another backbone")
        self.register_buffer("mean", torch.tensor(config["mean"]).view(1, 3, 1, 1) * 255)
        self.register_buffer("std", torch.tensor(config["std"]).view(1, 3, 1, 1) * 255)
        self.blocks = nn.ModuleDict({name: nn.Linear(width, block.size) for name, block in recipe.blocks.items()})
        self.scales = nn.ParameterDict({name: nn.Parameter(torch.tensor(12.0)) for name in recipe.blocks})
        self.reads = {name: head.reads for name, head in recipe.heads.items()}
        sizes = {name: block.size for name, block in recipe.blocks.items()} | {TRUNK: width}
        heads = {name: nn.Linear(sizes[head.reads], len(labels[name])) for name, head in recipe.heads.items()}
        self.heads = nn.ModuleDict(heads)
        self.dropout = nn.Dropout(0.2)
        self._frozen = [module for name, module in backbone.named_modules() if name in recipe.freeze]
        if len(self._frozen) < len(recipe.freeze):
            names = ", ".join(name for name, _ in backbone.named_children())
            raise RecipeError(f"freeze names a part that {recipe.backbone} lacks; its parts are {names}")
        for module in self._frozen:
            module.requires_grad_(False)

    def train(self, mode: bool = True) -> Network:
        super().train(mode)
        for module in self._frozen:
            module.eval()  # a frozen batch norm keeps its statistics too
        return self

    def forward(self, pictures: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return self.forward_float(pictures.permute(0, 3, 1, 2).float())

    def forward_float(self, pixels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """float (n, 3, height, width) in 0..255 -> the same; where training's random changes leave the pictures."""
        features = self.backbone((pixels - self.mean) / self.std)
        with torch.autocast(pixels.device.type, enabled=False):  # norms and cosines in half precision are too rough
            return self._read_features(features.float())

    def _read_features(self, features: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        dropped = self.dropout(features)
        inputs: dict[str, Tensor] = {TRUNK: dropped}
        normal = []
        for name, linear in self.blocks.items():
            block = nn.functional.normalize(linear(dropped), dim=1)
            normal.append(block)
            inputs[name] = block * self.scales[name]
        logits = {name: head(inputs[self.reads[name]]) for name, head in self.heads.items()}
        return torch.cat(normal, dim=1), logits
