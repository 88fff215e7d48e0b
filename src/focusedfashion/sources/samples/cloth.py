"""Cloth: the fabric that the parts of a garment are cut out of."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from focusedfashion.sources.samples.patterns import draw_graphic, weave_tile
from focusedfashion.sources.samples.planes import Floats, to_ink, to_planes
from focusedfashion.sources.samples.sketches import Part, Sketch

Box = tuple[int, int, int, int]  # left, top, right, bottom; px


class Cloth:
    """The fabric: the plain color, and a large swatch of the pattern if there is one."""

    def __init__(self, sketch: Sketch, scale: float, size: tuple[int, int]) -> None:
        self.sketch, self.scale, self.size = sketch, scale, size
        self.base = to_ink(sketch.base)
        self.swatch: Image.Image | None = None
        pattern = sketch.garment.pattern
        # A print is one graphic where some part has a place for it
        self.graphic = pattern == "printed" and any(part.print_spot for part in sketch.parts)
        if pattern != "plain" and not self.graphic:
            tile = weave_tile(sketch, scale)
            side = round(1.25 * max(size))  # a part turned by any angle fits in
            rows, columns = -(-side // tile.shape[0]), -(-side // tile.shape[1])
            self.swatch = Image.fromarray(np.tile(tile, (rows, columns, 1))[:side, :side])

    def cut(self, part: Part, box: Box, matrix: NDArray[np.float64]) -> Floats:
        """Cloth for the box: float32 (3, height, width); (3, 1, 1) if plain."""
        if part.fill is not None:
            return to_ink(part.fill)
        if self.swatch is not None and not part.plain:
            return _cut_swatch(self.swatch, part.angle, box, self.size)
        if self.graphic and part.print_spot:
            x, y, radius = part.print_spot
            return self._print_graphic(np.array([x, y]) * matrix[0] + matrix[1], round(radius * self.scale), box)
        return self.base

    def _print_graphic(self, middle: NDArray[np.float64], radius: int, box: Box) -> Floats:
        cloth = np.broadcast_to(self.base, (3, box[3] - box[1], box[2] - box[0])).copy()
        ink = to_planes(draw_graphic(self.sketch, radius))
        left, top = (round(float(at)) - radius for at in middle - box[:2])
        area = cloth[:, max(top, 0) : top + 2 * radius, max(left, 0) : left + 2 * radius]
        ink = ink[:, max(-top, 0) :, max(-left, 0) :][:, : area.shape[1], : area.shape[2]]
        alpha = ink[3] / 255
        area *= 1 - alpha
        area += ink[:3] * alpha
        return cloth


def _cut_swatch(swatch: Image.Image, angle: float, box: Box, size: tuple[int, int]) -> Floats:
    """The swatch's middle lies on the middle of the box, or, for all that are not turned, on that of the picture."""
    left, top, right, bottom = box
    c, s = float(np.cos(angle)), float(np.sin(angle))
    middle = ((left + right) / 2, (top + bottom) / 2) if angle else (size[0] / 2, size[1] / 2)
    ax, ay = swatch.width / 2, swatch.height / 2
    dx, dy = left - middle[0], top - middle[1]
    data = (c, s, ax + c * dx + s * dy, -s, c, ay - s * dx + c * dy)
    return to_planes(
        swatch.transform((right - left, bottom - top), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)
    )


@lru_cache(maxsize=16)
def weave_texture(kind: str, side: int) -> Floats:
    """A weave to add to the shading: float32 (side, side)."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    noise = rng.normal(0, 1, (side, side)).astype(np.float32)
    k = side / 400  # the weave grows with the picture
    if kind == "knit":
        stitch = np.sin(2 * np.pi * (y / (4.2 * k) + np.abs((x / (4.6 * k)) % 1 - 0.5) * 1.3))
        column = np.cos(2 * np.pi * x / (4.6 * k))
        return np.asarray(0.045 * stitch + 0.05 * column + 0.014 * noise, np.float32)
    if kind == "denim":
        streaks = np.repeat(rng.normal(0, 1, (side // 12 + 1, side)), 12, 0)[:side]
        twill = np.sin(2 * np.pi * (x + y) / (3.2 * k))
        return np.asarray(0.035 * twill + 0.025 * streaks + 0.04 * noise, np.float32)
    return {"fur": 0.13, "shiny": 0.006}.get(kind, 0.016) * noise
