"""Any layer of a network as an encoder: of a trained one, of a recipe, or of a network of timm or torchvision."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from focusedfashion.encoders import load_encoder
from focusedfashion.errors import RecipeError
from focusedfashion.training.backbone import NO_WEIGHTS, TORCHVISION, find_part, load_backbone
from focusedfashion.training.export import check_equal, describe, write_graph, write_spec
from focusedfashion.training.network import ALL, MAP_LIMIT, Network, flatten
from focusedfashion.training.recipe import LOGITS, TRUNK, Head, Recipe, find_recipe, load_recipe

logger = logging.getLogger(__name__)

TIMM = "timm:"
_COMPARED = 8  # pictures of noise on which ONNX Runtime and PyTorch are compared


@dataclass(frozen=True, slots=True)
class LayerShape:
    """A layer and the shape of what it gives for one picture; `dim` is the length of its embedding."""

    name: str
    shape: tuple[int, ...]
    dim: int


def list_layers(network: str, weights: Path | str | None = NO_WEIGHTS) -> list[LayerShape]:
    """The layers of a network, named as `save_features` takes it, in the order of its parts. Raises RecipeError."""
    recipe, net, _ = _load(network, weights)
    found: dict[str, LayerShape] = {}
    hooks = []
    for name, part in net.backbone.named_modules():
        if name:
            hooks.append(part.register_forward_hook(_note(name, found)))
    with torch.inference_mode():
        _, logits = net.eval()(torch.zeros(1, recipe.height, recipe.width, 3, dtype=torch.uint8))
    for hook in hooks:
        hook.remove()
    layers = [found[name] for name, _ in net.backbone.named_modules() if name in found]
    if logits:
        size = sum(value.shape[1] for value in logits.values())
        layers.append(LayerShape(LOGITS, (size,), size))
    return layers


def save_features(network: str, layer: str, folder: Path, weights: Path | str | None = None) -> LayerShape:
    """Saves an encoder whose block `all` is the layer's output, flattened, of L2 norm 1; which layer it is.

    `network` is the folder of a trained encoder (whose weights it takes), a recipe (a file or one that ships), or
    `timm:NAME` or `torchvision:NAME`; of the last three `weights` are those that it starts from, as `train` takes them.
    `layer` is one of `list_layers`. A map of more than 4,096 numbers is averaged over its places. Raises RecipeError.
    """
    if folder.exists():
        raise RecipeError(f"{folder} exists already: name another folder, or remove it")
    layers = {entry.name: entry for entry in list_layers(network)}
    recipe, net, spec = _load(network, weights)
    if layer not in layers:
        find_part(net.backbone, layer, recipe.name)  # raises with the nearest name
        raise RecipeError(f"{recipe.name}: the layer {layer!r} gives no numbers for a picture; take another one")
    tap = _Tap(net, layer).eval()
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    shape = (_COMPARED, recipe.height, recipe.width, 3)
    pictures = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    try:
        dim = write_graph(tap, pictures, [], part)
    except Exception as error:  # of torch's exporter, many classes
        shutil.rmtree(part, ignore_errors=True)
        raise RecipeError(f"the layer {layer!r} of {recipe.name} cannot be exported to ONNX ({error})") from None
    described = describe(recipe, net, str(spec["weights"]), {ALL: {"size": dim, "weight": 1.0}}, {})
    kept = {key: spec[key] for key in ("license", "data") if spec.get(key)}
    write_spec(part, described | kept | {"name": f"{recipe.name}/{layer}", "layer": layer})
    encoder = load_encoder(part)
    check_equal(tap, pictures, [encoder.encode_fitted(list(pictures)).embeddings])
    part.rename(folder)
    entry = layers[layer]
    if int(np.prod(entry.shape)) > MAP_LIMIT and len(entry.shape) > 1:
        logger.info("%s gives %s numbers; it is averaged over its places", layer, " x ".join(map(str, entry.shape)))
    return entry


class _Tap(nn.Module):
    """uint8 (n, height, width, 3) -> (a layer's output, flattened, of norm 1,)."""

    def __init__(self, network: Network, layer: str) -> None:
        super().__init__()
        self.network, self.layer = network, layer
        self._caught: list[Tensor] = []
        if layer != LOGITS:
            find_part(network.backbone, layer, "the network").register_forward_hook(self._catch)

    def forward(self, pictures: Tensor) -> tuple[Tensor]:
        self._caught.clear()
        _, logits = self.network(pictures)
        output = torch.cat(list(logits.values()), dim=1) if self.layer == LOGITS else self._caught.pop()
        return (nn.functional.normalize(flatten(output.float()), dim=1),)

    def _catch(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._caught[:] = [output.clone()]  # the next layer may work in place


def _note(name: str, found: dict[str, LayerShape]) -> Any:
    def note(module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim > 1 and output.is_floating_point():
            found[name] = LayerShape(name, tuple(output.shape[1:]), flatten(output).shape[1])

    return note


def _load(network: str, weights: Path | str | None) -> tuple[Recipe, Network, Mapping[str, Any]]:
    """The recipe, the network with its weights, and what its encoder.json says, if it has one."""
    folder = Path(network)
    if (folder / "encoder.json").is_file():
        return _load_trained(folder)
    weights = Path(weights) if weights not in (None, NO_WEIGHTS) else weights
    if network.startswith((TIMM, TORCHVISION)):
        recipe = _describe_hub(network)
        backbone = load_backbone(recipe, weights, classifier=True)
    else:
        # Its heads hang on labels that are not there yet.
        recipe = replace(load_recipe(find_recipe(network)), blocks={}, features=TRUNK)
        backbone = load_backbone(recipe, weights)
    origin = {"weights": backbone.origin}
    return recipe, Network(recipe, {}, backbone), origin


def _load_trained(folder: Path) -> tuple[Recipe, Network, Mapping[str, Any]]:
    from safetensors.torch import load_file

    if not (folder / "weights.safetensors").is_file() or not (folder / "recipe.toml").is_file():
        raise RecipeError(f"{folder} has no recipe.toml and weights.safetensors: only an encoder of `train` has layers")
    recipe = load_recipe(folder / "recipe.toml")
    state = load_file(folder / "weights.safetensors")
    spec = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
    origin = json.loads((folder / "training.json").read_text(encoding="utf-8"))["weights"]
    # The options of the starting weights' file (their padding, say) belong to the network that learned from it.
    options = recipe.start.options if origin.startswith("file") else {}
    backbone = load_backbone(recipe, NO_WEIGHTS, options=options)
    sizes = {name: state[f"heads.{name}.weight"].shape[0] for name in recipe.heads}
    net = Network(recipe, {name: [""] * size for name, size in sizes.items()}, backbone)
    net.load_state_dict(state)
    return recipe, net, spec


def _describe_hub(network: str) -> Recipe:
    """The input of a network of a library, as a recipe without heads: both sides resized, the middle cut out."""
    size, crop = 224, 224 / 256
    name = network.removeprefix(TIMM)
    if network.startswith(TIMM):
        import timm

        config = timm.get_pretrained_cfg(name) if timm.is_model(name.partition(".")[0]) else None
        if config is not None:
            size, crop = config.input_size[-1], config.crop_pct or 1.0
    return Recipe(
        name=network,
        seed=0,
        width=size,
        height=size,
        resize="crop",
        resize_to=round(size / crop),
        backbone=name,
        features=TRUNK,
        epochs=0,
        batch=1,
        validation=0.1,
        heads={"none": Head()},
        license="see the network's own page",
    )
