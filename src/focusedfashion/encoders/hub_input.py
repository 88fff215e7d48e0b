"""What a network's own configuration says of how pictures come in: size, resize rule, filter, mean and deviation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from focusedfashion.errors import EncoderError
from focusedfashion.images import FILTERS

_CLIP_MEAN, _CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_BY_NUMBER = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}  # Pillow's numbers of its filters


@dataclass(frozen=True, slots=True)
class Input:
    """As `encoder.json` has it; `mean` and `std` are of RGB in 0..1, and go into the graph."""

    width: int
    height: int
    resize: str
    resize_to: int
    filter: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def describe(self) -> dict[str, Any]:
        """The entry `input` of encoder.json."""
        cut = {} if self.resize == "squash" else {"resize_to": self.resize_to}
        shape = {"width": self.width, "height": self.height, "resize": self.resize} | cut
        return shape | {"filter": self.filter, "mean": list(self.mean), "std": list(self.std)}


def read_processor(config: Mapping[str, Any], name: str) -> Input:
    """Of transformers' preprocessor_config.json, or the part of processor_config.json. Raises EncoderError.

    What it leaves out is as transformers' processors have it.
    """
    where = f"{name}: its preprocessor_config.json"
    with_crop = bool(config.get("do_center_crop", "crop_size" in config))
    if not config.get("do_resize", True):
        raise EncoderError(f"{where} leaves pictures as large as they are, which an encoder cannot")
    size = config.get("size", 224)
    if isinstance(size, int):  # of the first versions; those that cut the middle out meant the shorter side
        size = {"shortest_edge": size} if with_crop else {"height": size, "width": size}
    kernel = _BY_NUMBER.get(config.get("resample", 3), "")
    mean, std = config.get("image_mean", _CLIP_MEAN), config.get("image_std", _CLIP_STD)
    if not config.get("do_normalize", True):
        mean, std = (0.0,) * 3, (1.0,) * 3
    factor = config.get("rescale_factor", 1 / 255) if config.get("do_rescale", True) else 1.0
    if not isinstance(factor, (int, float)) or abs(factor * 255 - 1) > 1e-3:
        raise EncoderError(f"{where} multiplies pixels by {factor}; only 1/255 is read")
    if set(size) == {"height", "width"}:
        width, height = size["width"], size["height"]
        if with_crop:
            crop = _read_crop(config, where)
            if crop != (width, height):
                raise EncoderError(f"{where} squashes to {width} x {height} and cuts {crop}; that rule is not read")
        return _check(Input(width, height, "squash", 0, kernel, _three(mean, where), _three(std, where)), where)
    if set(size) == {"shortest_edge"} and with_crop:
        width, height = _read_crop(config, where)
        found = Input(width, height, "shortest", size["shortest_edge"], kernel, _three(mean, where), _three(std, where))
        return _check(found, where)
    raise EncoderError(
        f"{where} asks for the size {dict(size)}: only one height and width, or a shortest edge with a cut, are read"
    )


def read_open_clip(config: Mapping[str, Any], name: str) -> Input:
    """Of open_clip_config.json. Raises EncoderError."""
    where = f"{name}: its open_clip_config.json"
    prepared = config.get("preprocess_cfg", {})
    size = prepared.get("size") or config.get("model_cfg", {}).get("vision_cfg", {}).get("image_size") or 224
    height, width = (size, size) if isinstance(size, int) else size[-2:]
    mode = prepared.get("resize_mode") or "shortest"
    if mode not in ("shortest", "squash"):
        raise EncoderError(f"{where} asks for the resize mode {mode!r}: only shortest and squash are read")
    if mode == "shortest" and width != height:
        raise EncoderError(f"{where} cuts {width} x {height} out of the shorter side: only squares are read so")
    kernel = "bilinear" if prepared.get("interpolation") == "bilinear" else "bicubic"
    mean = _three(prepared.get("mean") or _CLIP_MEAN, where)
    std = _three(prepared.get("std") or _CLIP_STD, where)
    rule = "squash" if mode == "squash" else "shortest-even"
    return _check(Input(width, height, rule, 0 if mode == "squash" else width, kernel, mean, std), where)


def read_timm(config: Mapping[str, Any], name: str) -> Input:
    """Of timm's config.json. Raises EncoderError."""
    where = f"{name}: its config.json"
    given = config.get("pretrained_cfg") or {}
    colors, height, width = given.get("input_size") or (3, 224, 224)
    if colors != 3:
        raise EncoderError(f"{where} asks for pictures of {colors} channels, not of 3")
    share = given.get("crop_pct") or 0.875  # timm's default
    mode = given.get("crop_mode") or "center"
    if mode not in ("center", "squash"):
        raise EncoderError(f"{where} asks for the crop mode {mode!r}: only center and squash are read")
    if width != height:
        raise EncoderError(f"{where} asks for {width} x {height} pixels: of timm only squares are read")
    to = math.floor(width / share)
    kernel = given.get("interpolation") or "bicubic"
    kernel = "bicubic" if kernel == "random" else kernel
    rule = "shortest-even" if mode == "center" else "squash" if to == width else "crop-even"
    mean = _three(given.get("mean") or _IMAGENET_MEAN, where)
    std = _three(given.get("std") or _IMAGENET_STD, where)
    return _check(Input(width, height, rule, to, kernel, mean, std), where)


def _read_crop(config: Mapping[str, Any], where: str) -> tuple[int, int]:
    """(width, height)"""
    crop = config.get("crop_size", 224)
    crop = {"height": crop, "width": crop} if isinstance(crop, int) else crop
    if set(crop) != {"height", "width"}:
        raise EncoderError(f"{where} cuts {crop}: only a height and a width are read")
    return crop["width"], crop["height"]


def _three(values: float | Sequence[float], where: str) -> tuple[float, ...]:
    numbers = (values,) * 3 if isinstance(values, (int, float)) else tuple(values)
    if len(numbers) != 3 or not all(isinstance(number, (int, float)) for number in numbers):
        raise EncoderError(f"{where} normalizes by {values}, which are not three numbers")
    return tuple(float(number) for number in numbers)


def _check(found: Input, where: str) -> Input:
    sides = (found.width, found.height)
    if not all(isinstance(side, int) and 0 < side <= 4096 for side in sides):
        raise EncoderError(f"{where} asks for {found.width} x {found.height} pixels, which makes no picture")
    if found.filter not in FILTERS:
        raise EncoderError(f"{where} asks for an interpolation that is not read; those are {', '.join(FILTERS)}")
    if found.resize != "squash" and found.resize_to < max(sides):
        raise EncoderError(f"{where} cuts {found.width} x {found.height} out of {found.resize_to} px, with a margin")
    if not all(found.std):
        raise EncoderError(f"{where} divides by a deviation of 0")
    return found
