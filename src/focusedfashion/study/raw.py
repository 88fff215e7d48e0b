"""The baseline: a picture's own pixels, reduced to 50 x 50, as its vector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from focusedfashion.images import RGB, resize_image

SIDE = 50  # px, as the predecessor's baseline


class RawPixels:
    """Pictures -> their pixels, in the manner of an encoder."""

    name = "raw pixels"
    dim = SIDE * SIDE * 3

    def fit(self, picture: RGB) -> RGB:
        """RGB uint8 (h, w, 3) of any size -> uint8 (50, 50, 3), squashed to the square (bicubic)."""
        return resize_image(picture, SIDE, SIDE, "squash")

    def embed_fitted(self, pictures: Sequence[RGB]) -> NDArray[np.float32]:
        """Pictures as `fit` gives them -> float32 (n, 7500), each centered and of norm 1 (0 where of one color)."""
        flat = np.stack(pictures).reshape(len(pictures), -1).astype(np.float32)
        flat -= flat.mean(axis=1, keepdims=True)
        lengths = np.linalg.norm(flat, axis=1, keepdims=True).astype(np.float32)
        units: NDArray[np.float32] = flat / np.maximum(lengths, np.float32(1e-6))
        return units
