"""Scenes: a painted garment in a shop's picture or in a person's photo."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from focusedfashion.errors import SourceError
from focusedfashion.sources.samples.colors import COLORS
from focusedfashion.sources.samples.garments import CUTS, PATTERNS, Garment
from focusedfashion.sources.samples.grounds import draw_ground
from focusedfashion.sources.samples.outlines import find_scale
from focusedfashion.sources.samples.painting import paint_garment
from focusedfashion.sources.samples.planes import Floats, Pixels, list_positions, to_pixels, to_planes


def draw_garment(garment: Garment, scene: str = "shop", seed: int = 0, size: tuple[int, int] = (300, 400)) -> Pixels:
    """The garment in a scene: RGB uint8 (height, width, 3); `size` is (width, height).

    "shop" is a shop's picture: centered, upright, on near white. "photo" is what a person's phone takes: turned, on
    some ground, in some light. The same arguments give the same picture.
    """
    if garment.category not in CUTS or garment.cut not in CUTS[garment.category]:
        raise SourceError(f"no garment {garment.category!r} with cut {garment.cut!r}; see samples.CUTS")
    if garment.color not in COLORS or garment.pattern not in PATTERNS or (garment.second or "black") not in COLORS:
        raise SourceError(f"no such color or pattern: {garment.color!r}, {garment.pattern!r}, {garment.second!r}")
    if scene not in ("shop", "photo") or min(size) < 24:
        raise SourceError(f"cannot draw scene {scene!r} at {size[0]} x {size[1]}: shop or photo, from 24 px a side")
    rng = np.random.default_rng([seed, garment.seed, len(scene)])
    layer = paint_garment(garment, *size)
    return _set_shop(layer, rng) if scene == "shop" else _take_photo(layer, rng)


def _cast_shadow(alpha: Floats, radius: float, dx: float, dy: float) -> Floats:
    """The soft shadow of a layer: float32 (height, width), 0..1."""
    height, width = alpha.shape
    size = (width // 4, height // 4)
    sheet = Image.fromarray((alpha * 255).astype(np.uint8)).resize(size, Image.Resampling.BOX)
    moved = (1, 0, -dx / 4, 0, 1, -dy / 4)
    sheet = sheet.transform(size, Image.Transform.AFFINE, moved, Image.Resampling.BILINEAR)
    blurred = sheet.filter(ImageFilter.GaussianBlur(radius / 4)).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(np.asarray(blurred, np.float32) / 255, np.float32)


def _set_shop(layer: Floats, rng: np.random.Generator) -> Pixels:
    height, width = layer.shape[1:]
    scale = find_scale(width, height)
    alpha = layer[3]
    far = _cast_shadow(alpha, 9 * scale, 2 * scale, 7 * scale)
    near = _cast_shadow(alpha, 3.2 * scale, scale, 2.5 * scale)
    shadow = 0.20 * far + 0.13 * near
    fall = np.linspace(0, 8 * rng.uniform(0.2, 1), height, dtype=np.float32)[:, None]
    picture = (254 - fall) * (1 - shadow * np.array([1.0, 0.98, 0.93], np.float32)[:, None, None])
    picture *= 1 - alpha
    picture += layer[:3]
    return to_pixels(picture)


def _take_photo(layer: Floats, rng: np.random.Generator) -> Pixels:
    height, width = layer.shape[1:]
    scale = find_scale(width, height)
    ground = draw_ground(rng, height, width)
    layer[3] *= 255
    flat = np.moveaxis(np.clip(layer, 0, 255, out=layer).astype(np.uint8), 0, 2)
    # "RGBa": the color is multiplied by alpha already, which keeps the edges clean
    image = Image.frombytes("RGBa", (width, height), flat.tobytes())
    camera = _place_camera(rng, width, height)
    cloth = to_planes(image.transform((width, height), Image.Transform.PERSPECTIVE, camera, Image.Resampling.BILINEAR))
    alpha = cloth[3] / 255
    angle, far = rng.uniform(0, 2 * np.pi), rng.uniform(3, 8) * scale
    shadow = _cast_shadow(alpha, rng.uniform(5, 12) * scale, far * np.cos(angle), far * np.sin(angle))
    near = _cast_shadow(alpha, 3 * scale, 0, scale)
    picture = ground * ((1 - np.float32(rng.uniform(0.3, 0.5)) * shadow) * (1 - 0.25 * near) * (1 - alpha))
    picture += cloth[:3]
    # The light: a slope across the picture, a vignette, a cast; then the camera's noise and blur
    y, x = list_positions(height, width)
    turn = rng.uniform(0, 2 * np.pi)
    slope = rng.uniform(0.05, 0.22) * (np.cos(turn) * x + np.sin(turn) * y)
    light = 1 + slope - rng.uniform(0.05, 0.2) * (x * x + y * y)
    warm = rng.uniform(-0.07, 0.09)
    cast = np.array([1 + warm, 1 + rng.uniform(-0.015, 0.015), 1 - warm]) * rng.uniform(0.86, 1.1)
    picture *= light.astype(np.float32) * cast.astype(np.float32)[:, None, None]
    noise = rng.standard_normal((height, width), np.float32) + _draw_grain(rng, height, width)
    noise *= np.float32(rng.uniform(1, 4))
    picture += noise
    done = to_pixels(picture)
    blur = rng.uniform(0, 0.9) * scale
    if blur > 0.3:
        done = np.asarray(Image.fromarray(done).filter(ImageFilter.GaussianBlur(blur)))
    return done


def _draw_grain(rng: np.random.Generator, height: int, width: int) -> Floats:
    """Color noise of a small sensor, coarser than a pixel: float32 (3, height, width)."""
    small = rng.standard_normal((3, height // 2 + 1, width // 2 + 1), np.float32)
    return small.repeat(2, 1).repeat(2, 2)[:, :height, :width]


def _place_camera(rng: np.random.Generator, width: int, height: int) -> list[float]:
    """The eight numbers of a perspective that maps the picture's corners into the layer."""
    turn, zoom = np.deg2rad(rng.uniform(-20, 20)), rng.uniform(0.94, 1.3)
    if rng.random() < 0.2:
        zoom = rng.uniform(0.8, 0.93)  # close: the garment is cropped a little
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float64) * (width / 2, height / 2)
    turned = corners @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) * zoom
    turned[:, 0] += turned[:, 1] * rng.uniform(-0.07, 0.07)
    turned += rng.uniform(-0.05, 0.05, (4, 2)) * (width, height) + rng.uniform(-0.05, 0.05, 2) * (width, height)
    middle = np.array([width, height]) / 2
    target, source = corners + middle, turned + middle
    rows, right = [], []
    for (x, y), (u, v) in zip(target, source, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    return [float(value) for value in np.linalg.solve(np.array(rows), np.array(right))]
