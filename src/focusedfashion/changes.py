"""What can happen to a picture of a garment and leaves it the same garment: a published set of changes.

An encoder that knows garments finds an item again by its own picture after each of them. They are drawn by a seed, the
change's name and the item's id, so they do not depend on the order of the items or on how many there are.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from focusedfashion.images import RGB
from focusedfashion.sources.samples.grounds import draw_ground

Bools = NDArray[np.bool_]

VERSION = 1  # of the set: figures of different versions are not to be compared

_EVEN = 10  # of 255; a border pixel this near to the border's median lies on an even ground,
_EVEN_SHARE = 0.6  # if this share of the border does; a leg may reach out of the picture
_GROUND = 16  # of 255; nearer to the border's median a pixel is ground, where ground leads to it from the border


def change_picture(name: str, picture: RGB, key: str, seed: int = 0) -> RGB | None:
    """RGB uint8 (h, w, 3) -> the same, changed: uint8 of any size, or None where the change does not apply.

    `name` is one of CHANGES; `key` (the item's id) and `seed` decide how much it is changed.
    """
    digest = blake2b(f"{seed} {name} {key}".encode("utf-8", "replace"), digest_size=8).digest()
    return CHANGES[name](picture, np.random.default_rng(int.from_bytes(digest, "big")))


def _leave(picture: RGB, random: np.random.Generator) -> RGB:
    """Nothing: what the catalog's reduced pictures alone cost."""
    return picture


def _crop(picture: RGB, random: np.random.Generator) -> RGB:
    """A part whose sides are 70 to 90 % of the picture's, anywhere in it."""
    height, width = picture.shape[:2]
    share = random.uniform(0.7, 0.9)
    high, wide = max(1, round(height * share)), max(1, round(width * share))
    top, left = random.integers(0, height - high + 1), random.integers(0, width - wide + 1)
    return np.ascontiguousarray(picture[top : top + high, left : left + wide])


def _rotate(picture: RGB, random: np.random.Generator) -> RGB:
    """Turned by 5 to 20 degrees to either side; the corners get the border's median color."""
    angle = random.uniform(5, 20) * random.choice([-1, 1])
    fill = tuple(int(part) for part in _find_ground(picture))
    return np.asarray(Image.fromarray(picture).rotate(angle, Image.Resampling.BICUBIC, fillcolor=fill))


def _tilt(picture: RGB, random: np.random.Generator) -> RGB:
    """Seen from another place: each corner moves inwards by up to 15 % of the width and of the height."""
    height, width = picture.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    inwards = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * (width, height)
    seen = corners + inwards * random.uniform(0, 0.15, (4, 2))
    # Pillow asks where each pixel of the result comes from: 8 numbers from 4 corners.
    rows: list[list[float]] = []
    for (x, y), (u, v) in zip(seen.tolist(), corners.tolist(), strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    numbers = np.linalg.solve(np.array(rows), corners.reshape(8)).tolist()
    fill = tuple(int(part) for part in _find_ground(picture))
    return np.asarray(
        Image.fromarray(picture).transform(
            (width, height), Image.Transform.PERSPECTIVE, numbers, Image.Resampling.BICUBIC, fillcolor=fill
        )
    )


def _light(picture: RGB, random: np.random.Generator) -> RGB:
    """Other light: 0.6 to 1.4 times as much, a gamma of 0.8 to 1.25, and up to 12 % warmer or colder."""
    warmth = random.uniform(-0.12, 0.12)
    gain = random.uniform(0.6, 1.4) * np.array([1 + warmth, 1, 1 - warmth])
    gamma = 1.25 ** random.uniform(-1, 1)
    levels = np.linspace(0, 1, 256)[:, None] ** gamma * gain * 255
    table = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    changed: RGB = np.stack([table[picture[..., part], part] for part in range(3)], axis=-1)
    return changed


def _blur(picture: RGB, random: np.random.Generator) -> RGB:
    """Out of focus: a Gaussian with a standard deviation of 0.6 to 1.2 % of the longer side."""
    radius = random.uniform(0.006, 0.012) * max(picture.shape[:2])
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(radius)))


def _recompress(picture: RGB, random: np.random.Generator) -> RGB:
    """Sent around: saved as a JPEG of quality 15 to 40."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=int(random.integers(15, 41)))
    return np.asarray(Image.open(buffer))


def _lay_elsewhere(picture: RGB, random: np.random.Generator) -> RGB | None:
    """On another ground: wood, a sheet, a carpet, a wall, a table or grass, drawn.

    The ground is what leads from the border inwards in the border's median color; a garment of nearly that color loses
    parts. A picture whose border is not of one color has no ground that could be told from the garment: None.
    """
    color = _find_ground(picture)
    border = np.abs(_list_border(picture).astype(np.int16) - color).max(axis=1)
    if (border <= _EVEN).mean() < _EVEN_SHARE:
        return None
    near = np.abs(picture.astype(np.int16) - color).max(axis=2) <= _GROUND
    ground = _flood(near)
    height, width = picture.shape[:2]
    soft = Image.fromarray((ground * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(max(height, width) / 320))
    share = np.asarray(soft, np.float32)[..., None] / 255
    other = np.clip(draw_ground(random, height, width), 0, 255).transpose(1, 2, 0)
    return np.rint(picture * (1 - share) + other * share).astype(np.uint8)


CHANGES: Mapping[str, Callable[[RGB, np.random.Generator], RGB | None]] = {
    "none": _leave,
    "crop": _crop,
    "rotation": _rotate,
    "perspective": _tilt,
    "light": _light,
    "blur": _blur,
    "recompression": _recompress,
    "background": _lay_elsewhere,
}


def _list_border(picture: RGB) -> RGB:
    """The outermost pixels, (m, 3)."""
    return np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])


def _find_ground(picture: RGB) -> NDArray[np.int16]:
    """The median color of the border, (3,)."""
    color: NDArray[np.int16] = np.median(_list_border(picture), axis=0).astype(np.int16)
    return color


def _flood(free: Bools) -> Bools:
    """(h, w) -> those of the free pixels to which free ones lead from the border, up, down or sideways."""
    reached = np.zeros_like(free)
    for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        reached[edge] = free[edge]
    # A run of free pixels in a row or column is reached as a whole.
    runs = [_number_runs(free), _number_runs(free.T).T]
    while True:
        before = np.count_nonzero(reached)
        for run in runs:
            entered = np.zeros(run.max() + 1, bool)
            entered[run[reached]] = True
            reached = entered[run] & free
        if np.count_nonzero(reached) == before:
            return reached


def _number_runs(free: Bools) -> NDArray[np.int64]:
    """(h, w) -> numbers from 1, one for each run of free pixels in a row; elsewhere any."""
    starts = free.copy()
    starts[:, 1:] &= ~free[:, :-1]
    numbers: NDArray[np.int64] = np.cumsum(starts.ravel(), dtype=np.int64)
    return numbers.reshape(free.shape)
