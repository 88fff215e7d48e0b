"""The colors of garments and of the grounds that they lie on: a small clustering in CIE Lab (1976, D65)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from focusedfashion.colors import GROUND, Floats, has_even_ground, list_border, name_color, to_lab, write_hex
from focusedfashion.images import RGB
from focusedfashion.report.figures import Swatch

_CLUSTERS = 12
_ROUNDS = 25
_STEP = 4.0  # of Lab; pixels in one cell of this size count as one color
_SAME = 9.0  # distance in Lab; nearer clusters are joined
_CHUNK = 2_048


def find_colors(minis: RGB) -> tuple[dict[str, int], tuple[Swatch, ...]]:
    """Pictures (n, 16, 18, 3) -> how many have which ground, and the garments' colors, the most frequent first.

    Each picture counts the same. On an even ground all that differs from it is garment; elsewhere the middle is taken
    for it, as nothing tells the garment from what surrounds it.
    """
    grounds: dict[str, int] = {}
    sums = np.zeros((0, 4))
    codes = np.zeros(0, np.int64)
    for begin in range(0, len(minis), _CHUNK):
        some = minis[begin : begin + _CHUNK]
        lab = to_lab(some)
        even = has_even_ground(some)
        ground = np.median(list_border(lab), axis=1)
        for name, count in zip(*np.unique(_name_grounds(ground, even), return_counts=True), strict=True):
            grounds[str(name)] = grounds.get(str(name), 0) + int(count)
        garment = np.linalg.norm(lab - ground[:, None, None], axis=-1) > GROUND
        garment[~even] = False
        garment[~even, 3:13, 4:14] = True
        counts = garment.sum(axis=(1, 2))
        weights = np.where(garment, 1 / np.maximum(1, counts)[:, None, None], 0)[garment]
        colors = lab[garment]
        code = (np.floor(colors / _STEP).astype(np.int64) + 64) @ np.array([1 << 16, 1 << 8, 1])
        fresh, place = np.unique(code, return_inverse=True)
        entries = np.stack(
            [np.bincount(place, weights * part, minlength=len(fresh)) for part in (1.0, *colors.T)], axis=1
        )
        codes, place = np.unique(np.concatenate([codes, fresh]), return_inverse=True)
        both = np.concatenate([sums, entries])
        sums = np.stack([np.bincount(place, part, minlength=len(codes)) for part in both.T], axis=1)
    if not len(sums):
        return grounds, ()
    return dict(sorted(grounds.items(), key=lambda entry: -entry[1])), _cluster(sums[:, 1:] / sums[:, :1], sums[:, 0])


def _cluster(colors: Floats, weights: Floats) -> tuple[Swatch, ...]:
    """Weighted k-means (Lloyd) over colors (n, 3); each start is the color that is farthest off and frequent."""
    centers = colors[[int(weights.argmax())]]
    while len(centers) < min(_CLUSTERS, len(colors)):
        distance = np.linalg.norm(colors[:, None] - centers, axis=2).min(axis=1)
        if distance.max() == 0:
            break
        centers = np.concatenate([centers, colors[[int((weights * distance**2).argmax())]]])
    nearest = np.zeros(len(colors), np.int64)
    for _ in range(_ROUNDS):
        nearest = np.linalg.norm(colors[:, None] - centers, axis=2).argmin(axis=1)
        total = np.bincount(nearest, weights, minlength=len(centers))
        means = np.stack([np.bincount(nearest, weights * part, minlength=len(centers)) for part in colors.T], axis=1)
        moved = np.where(total[:, None] > 0, means / np.maximum(total, 1e-12)[:, None], centers)
        if np.allclose(moved, centers):
            break
        centers = moved
    shares = np.bincount(nearest, weights, minlength=len(centers)) / weights.sum()
    centers, shares = _join_close(centers, shares)
    swatches = []
    for place in np.argsort(-shares, kind="stable"):
        if shares[place] <= 0:
            continue
        light, a, b = (round(float(part), 1) for part in centers[place])
        name = name_color(centers[place])
        swatches.append(Swatch(name, write_hex(centers[place]), (light, a, b), round(float(shares[place]), 4)))
    return tuple(swatches)


def _join_close(centers: Floats, shares: Floats) -> tuple[Floats, Floats]:
    while len(centers) > 1:
        gaps = np.linalg.norm(centers[:, None] - centers, axis=2) + np.eye(len(centers)) * 1e9
        a, b = np.unravel_index(gaps.argmin(), gaps.shape)
        if gaps[a, b] >= _SAME:
            break
        total = float(shares[a] + shares[b]) or 1.0
        centers[a] = (centers[a] * shares[a] + centers[b] * shares[b]) / total
        shares[a] = shares[a] + shares[b]
        centers, shares = np.delete(centers, b, axis=0), np.delete(shares, b)
    return centers, shares


def _name_grounds(ground: Floats, even: NDArray[np.bool_]) -> NDArray[np.str_]:
    light, chroma = ground[:, 0], np.hypot(ground[:, 1], ground[:, 2])
    return np.select(
        [~even, (light >= 93) & (chroma < 8), (light >= 65) & (chroma < 12), (light < 30) & (chroma < 12)],
        ["busy", "white", "light", "dark"],
        "colored",
    )
