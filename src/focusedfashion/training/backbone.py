"""What a network begins with: a network of timm or torchvision without its classifier, or its own layers."""

from __future__ import annotations

import difflib
import hashlib
import warnings
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from focusedfashion.errors import RecipeError
from focusedfashion.training.recipe import Recipe, Start

NO_WEIGHTS = "none"  # what `--weights` says where the network is to begin at random
TORCHVISION = "torchvision:"
_LISTED = 30  # layers that an error names


@dataclass(frozen=True, slots=True)
class Backbone:
    """float (n, 3, height, width), normalized by `mean` and `std` (of RGB in 0..1) -> float (n, features).

    `origin` says where its weights come from.
    """

    module: nn.Module
    mean: Sequence[float]
    std: Sequence[float]
    origin: str


def load_backbone(
    recipe: Recipe,
    weights: Path | str | None,
    *,
    classifier: bool = False,
    options: Mapping[str, Any] | None = None,
) -> Backbone:
    """The recipe's backbone; weights from a file, at random (NO_WEIGHTS), or (None) from the hub of its library.

    With `classifier` a network of a library keeps its own. `options` are for its library; by default those of the
    recipe's `start` where the weights come from a file. Raises RecipeError.
    """
    if recipe.layers:
        if isinstance(weights, Path):
            raise RecipeError(f"{recipe.name} has layers of its own, which begin at random: leave --weights out")
        return Backbone(_make_layers(recipe), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "none (random)")
    file = Path(weights) if weights not in (None, NO_WEIGHTS) else None
    make = _make_torchvision if recipe.backbone.startswith(TORCHVISION) else _make_timm
    start = recipe.start if file else Start(options or {})
    try:
        backbone = make(recipe, weights is None, start, classifier)
    except OSError as error:  # urllib's and requests' errors are of this kind too
        raise RecipeError(
            f"the weights of {recipe.backbone!r} cannot be fetched from the hub ({error}): "
            "give a file with --weights, or --weights none"
        ) from None
    if file is not None:
        _load_file(backbone.module, file, recipe.backbone)
        backbone = replace(backbone, origin=f"file: sha256 {hash_file(file)}")
    elif weights == NO_WEIGHTS:
        backbone = replace(backbone, origin="none (random)")
    return replace(backbone, mean=start.mean or backbone.mean, std=start.std or backbone.std)


def hash_file(path: Path) -> str:
    """SHA-256 of a file, hexadecimal. Raises RecipeError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise RecipeError(f"{path} cannot be read ({error.strerror})") from None


def measure(module: nn.Module, height: int, width: int) -> tuple[int, ...]:
    """The shape of what a module gives for one picture of zeros, without the batch."""
    was_training = module.training
    with torch.inference_mode():
        output: Tensor = module.eval()(torch.zeros(1, 3, height, width))
    module.train(was_training)
    return tuple(output.shape[1:])


def _make_timm(recipe: Recipe, pretrained: bool, start: Start, classifier: bool) -> Backbone:
    import timm

    name = recipe.backbone
    if not timm.is_model(name.partition(".")[0]):
        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "timm.list_models() lists them"
        raise RecipeError(f"timm has no network {name!r}; {hint}")
    options: dict[str, Any] = dict(start.options)
    if not classifier:
        options["num_classes"] = 0
        if recipe.pool == "flatten":
            options["global_pool"] = ""
    try:
        module = timm.create_model(name, pretrained=pretrained, **options)
    except (RuntimeError, TypeError) as error:
        raise RecipeError(f"timm cannot make the backbone {name!r} ({error})") from None
    config = module.pretrained_cfg
    origin = f"hub: {config.get('hf_hub_id') or config.get('url') or name}" if pretrained else ""
    if recipe.pool == "flatten" and not classifier:
        module = nn.Sequential(OrderedDict(body=module, flatten=nn.Flatten()))
    return Backbone(module, config["mean"], config["std"], origin)


def _make_torchvision(recipe: Recipe, pretrained: bool, start: Start, classifier: bool) -> Backbone:
    from torchvision import models

    name = recipe.backbone.removeprefix(TORCHVISION)
    known = models.list_models(module=models)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"it has {', '.join(known)}"
        raise RecipeError(f"torchvision has no network {name!r}; {hint}")
    options: dict[str, Any] = dict(start.options)
    if name in ("googlenet", "inception_v3"):
        options |= {"aux_logits": pretrained, "init_weights": not pretrained}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of slow initializations
            module = models.get_model(name, weights="DEFAULT" if pretrained else None, **options)
    except (RuntimeError, TypeError, ValueError) as error:
        raise RecipeError(f"torchvision cannot make the backbone {name!r} ({error})") from None
    if not classifier:
        _remove_classifier(module)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    return Backbone(module, mean, std, f"hub: torchvision {name}" if pretrained else "")


def _remove_classifier(module: nn.Module) -> None:
    """Puts nothing in the place of the last linear layer; auxiliary classifiers go as well."""
    for name in ("aux1", "aux2", "AuxLogits"):
        if getattr(module, name, None) is not None:
            setattr(module, name, None)
    if hasattr(module, "aux_logits"):
        module.__dict__["aux_logits"] = False
    last = [name for name, part in module.named_modules() if isinstance(part, nn.Linear)][-1]
    parent, _, child = last.rpartition(".")
    setattr(module.get_submodule(parent), child, nn.Identity())


def _make_layers(recipe: Recipe) -> nn.Sequential:
    """The recipe's layers, by names that `features` can say: conv1, conv1_relu, conv1_norm, conv1_pool, linear1, …"""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    height, width, channels, features = recipe.height, recipe.width, 3, 0
    convolutions = linears = 0
    for layer in recipe.layers:
        if layer.conv:
            convolutions += 1
            name = f"conv{convolutions}"
            parts[name] = nn.Conv2d(channels, layer.conv, layer.kernel, layer.stride, padding=1)
            parts[f"{name}_relu"], parts[f"{name}_norm"] = nn.ReLU(), nn.BatchNorm2d(layer.conv)
            parts[f"{name}_pool"] = nn.MaxPool2d(2)
            sides = [(side + 2 - layer.kernel) // layer.stride + 1 for side in (height, width)]
            if min(sides) < 2 or layer.kernel > min(height, width) + 2:
                raise RecipeError(
                    f"{recipe.name}: {name} (kernel {layer.kernel}, stride {layer.stride}) leaves nothing to pool of "
                    f"{width} x {height}: make the input larger, or the kernel or stride smaller"
                )
            height, width, channels = sides[0] // 2, sides[1] // 2, layer.conv
            continue
        if not linears:
            parts["flatten"], features = nn.Flatten(), channels * height * width
        linears += 1
        name = f"linear{linears}"
        parts[name] = nn.Linear(features, layer.linear)
        parts[f"{name}_relu"], parts[f"{name}_norm"] = nn.ReLU(), nn.BatchNorm1d(layer.linear)
        features = layer.linear
    if not linears:
        parts["flatten"] = nn.Flatten()
    return nn.Sequential(parts)


def _load_file(backbone: nn.Module, weights: Path, name: str) -> None:
    from safetensors.torch import load_file

    if not weights.is_file():
        raise RecipeError(f"no file of weights at {weights}")
    try:
        state = load_file(weights)
    except Exception as error:  # safetensors raises its own class for a broken file
        raise RecipeError(f"{weights} cannot be read as safetensors ({error})") from None
    module = getattr(backbone, "body", backbone)
    # Batch norm's counters are not weights, and many files lack them.
    wanted = {key: value for key, value in module.state_dict().items() if "num_batches_tracked" not in key}
    unfit = [key for key in wanted if key not in state or state[key].shape != wanted[key].shape]
    if unfit:
        raise RecipeError(f"{weights} does not fit the backbone {name!r}: {unfit[0]} is missing or of another shape")
    module.load_state_dict(state, strict=False)  # not strict: a file may have a classifier too


def find_part(backbone: nn.Module, name: str, whose: str) -> nn.Module:
    """The part of a network that is called so. Raises RecipeError with the nearest names."""
    parts = dict(backbone.named_modules())
    found: nn.Module | None = parts.get(name) if name else None
    if found is not None:
        return found
    names = [part for part in parts if part]
    near = difflib.get_close_matches(name, names, n=3)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"it has {', '.join(names[:_LISTED])}"
    raise RecipeError(f"{whose} has no layer {name!r}; {hint}")
