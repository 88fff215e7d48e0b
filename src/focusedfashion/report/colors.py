"""The colors of garments and of the grounds that they lie on: a small clustering in CIE Lab (1976, D65)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from focusedfashion.images import RGB
from focusedfashion.report.copies import has_even_ground, list_border
from focusedfashion.report.figures import Swatch

Floats = NDArray[np.float64]

_CLUSTERS = 12
_ROUNDS = 25
_STEP = 4.0  # of Lab; pixels in one cell of this size count as one color
_GROUND = 14.0  # distance in Lab; a pixel that is nearer to its picture's even ground is ground
_SAME = 9.0  # distance in Lab; nearer clusters are joined
_CHUNK = 2_048

# Colors as people call them, one or more points each.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "black": ("#0b0b0c", "#1c1c1f"),
    "charcoal": ("#37373b",),
    "grey": ("#6e6e70", "#8c8c8e"),
    "light grey": ("#b2b2b3", "#cfcfd0"),
    "white": ("#f4f4f4", "#e6e6e8"),
    "cream": ("#f3ead6", "#e6dcc6"),
    "beige": ("#d6c3a5", "#c4b199"),
    "tan": ("#b99369", "#c49a75"),
    "brown": ("#7b5436", "#8c6a52", "#6f5a4d"),
    "dark brown": ("#45301f", "#3d2f2a"),
    "taupe": ("#8d7f75", "#a39488"),
    "burgundy": ("#5e1726", "#6e2433"),
    "red": ("#b8202a", "#d42c31", "#8f1d1d"),
    "coral": ("#e8705e", "#d9806f"),
    "orange": ("#e07a26", "#d2611c"),
    "mustard": ("#b98a2b", "#c9a24a"),
    "yellow": ("#ecd03f", "#f0de7c"),
    "olive": ("#666537", "#7f7a4b"),
    "green": ("#3f8a45", "#62a354"),
    "dark green": ("#214a31", "#35503a"),
    "mint": ("#a6d6bf", "#bfe0cb"),
    "teal": ("#217a7d", "#3a9490"),
    "light blue": ("#a5c6de", "#86b0d6"),
    "blue": ("#2f62b5", "#4a7fc0", "#2447a0"),
    "denim": ("#4c6485", "#6b83a3"),
    "navy": ("#1c2747", "#2b3550"),
    "purple": ("#5e3a83", "#7d4f9c"),
    "lavender": ("#b6a5d0", "#9b8fb8"),
    "pink": ("#e7a6b7", "#d98ba6", "#eec6cc"),
    "magenta": ("#c22d77", "#a5326f"),
}


# sRGB's primaries and white in CIE XYZ.
_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = _XYZ.sum(axis=1)


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
        garment = np.linalg.norm(lab - ground[:, None, None], axis=-1) > _GROUND
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


def to_lab(pixels: NDArray[np.uint8] | Floats) -> Floats:
    """sRGB (..., 3), 0 to 255 -> CIE Lab (..., 3) under D65."""
    unit = np.asarray(pixels, np.float64) / 255
    linear = np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _XYZ.T / _WHITE
    curve = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = curve[..., 0], curve[..., 1], curve[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def to_rgb(lab: Floats) -> NDArray[np.uint8]:
    """CIE Lab (..., 3) -> sRGB uint8 (..., 3), clipped to what a screen has."""
    y = (lab[..., 0] + 16) / 116
    curve = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], axis=-1)
    xyz = np.where(curve > 6 / 29, curve**3, 3 * (6 / 29) ** 2 * (curve - 4 / 29)) * _WHITE
    linear = np.clip(xyz @ np.linalg.inv(_XYZ).T, 0, 1)
    unit = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    rgb: NDArray[np.uint8] = np.rint(unit * 255).astype(np.uint8)
    return rgb


def name_color(lab: Floats) -> str:
    """The name of the nearest of our points."""
    return _POINT_NAMES[int(np.linalg.norm(_POINTS - lab, axis=1).argmin())]


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
        red, green, blue = to_rgb(centers[place])
        light, a, b = (round(float(part), 1) for part in centers[place])
        name = name_color(centers[place])
        swatches.append(Swatch(name, f"#{red:02x}{green:02x}{blue:02x}", (light, a, b), round(float(shares[place]), 4)))
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


_POINT_NAMES = [name for name, points in _NAMES.items() for _ in points]
_POINTS = to_lab(np.array([list(bytes.fromhex(p[1:])) for points in _NAMES.values() for p in points], np.float64))
