"""Planes: pictures as float32 (channels, height, width).

The numbers of one channel lie together, which makes the arithmetic fast.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from focusedfashion.sources.samples.colors import Color

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]


def to_planes(image: Image.Image) -> Floats:
    """Pillow's picture -> float32 (channels, height, width), 0..255."""
    return np.ascontiguousarray(np.moveaxis(np.asarray(image), 2, 0), np.float32)


def to_pixels(picture: Floats) -> Pixels:
    """Float32 (3, height, width) -> uint8 (height, width, 3); clips the planes in place."""
    picture = np.clip(picture, 0, 255, out=picture)
    return np.ascontiguousarray(np.moveaxis(picture.astype(np.uint8), 0, 2))


def to_ink(color: Color) -> Floats:
    """A color that multiplies with planes: float32 (3, 1, 1)."""
    return np.array(color, np.float32)[:, None, None]


@lru_cache(maxsize=8)
def list_positions(height: int, width: int) -> tuple[Floats, Floats]:
    """y (height, 1) and x (1, width) of each pixel, -1..1."""
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    return y, np.linspace(-1, 1, width, dtype=np.float32)[None]
