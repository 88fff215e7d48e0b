"""Colors: sRGB and CIE Lab (1976, D65), what people call them, how far apart they look, which one a garment has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from focusedfashion.images import RGB

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

GROUND = 14.0  # distance in Lab; a pixel that is nearer to its picture's even ground is ground

_STUDIO = 10  # of 255; so near to its median is the border of a picture on even ground, a floor or a bed is not,
_EVEN = 0.5  # for this share of it: a leg may reach out of the picture
_SIDE = 24  # px; what a picture is reduced to before its garment's color is looked for
_FEW = 0.02  # of a picture; what differs from an even ground in less than this is no garment
_CELL = 12.0  # of Lab; the fullest cell of this size is where the garment's color is
_SHADES = 16.0  # distance in Lab; folds and shadows of one color

_MIDDLE = np.zeros((_SIDE, _SIDE), bool)
_MIDDLE[_SIDE // 8 : -_SIDE // 8, _SIDE // 4 : -_SIDE // 4] = True

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
_RGB = np.linalg.inv(_XYZ)


def to_lab(pixels: NDArray[np.uint8] | Floats) -> Floats:
    """sRGB (..., 3), 0 to 255 -> CIE Lab (..., 3) under D65."""
    linear = _LINEAR[pixels] if pixels.dtype == np.uint8 else _linearize(pixels)
    xyz = linear @ _XYZ.T / _WHITE
    curve = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = curve[..., 0], curve[..., 1], curve[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def _linearize(values: NDArray[Any]) -> Floats:
    unit = np.asarray(values, np.float64) / 255
    linear: Floats = np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4)
    return linear


def to_rgb(lab: Floats) -> NDArray[np.uint8]:
    """CIE Lab (..., 3) -> sRGB uint8 (..., 3), clipped to what a screen has."""
    y = (lab[..., 0] + 16) / 116
    curve = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], axis=-1)
    xyz = np.where(curve > 6 / 29, curve**3, 3 * (6 / 29) ** 2 * (curve - 4 / 29)) * _WHITE
    linear = np.clip(xyz @ _RGB.T, 0, 1)
    unit = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    rgb: NDArray[np.uint8] = np.rint(unit * 255).astype(np.uint8)
    return rgb


def name_color(lab: Floats) -> str:
    """The name of the nearest of our points."""
    return _POINT_NAMES[int(np.linalg.norm(_POINTS - lab, axis=1).argmin())]


def list_border(pictures: NDArray[Any]) -> NDArray[Any]:
    """(n, h, w, 3) -> (n, 2 (h + w) - 4, 3): the outermost pixels."""
    top, bottom = pictures[:, 0], pictures[:, -1]
    return np.concatenate([top, bottom, pictures[:, 1:-1, 0], pictures[:, 1:-1, -1]], axis=1)


def has_even_ground(minis: RGB) -> Bools:
    """(n, 16, 18, 3) -> (n,): whether the picture's border is of one color."""
    border = list_border(minis).astype(np.int16)
    near = np.abs(border - np.median(border, axis=1, keepdims=True)).max(axis=2) <= _STUDIO
    even: Bools = near.mean(axis=1) >= _EVEN
    return even


def find_garment_colors(pictures: Sequence[Image.Image]) -> Floats:
    """Pictures of garments -> the CIE Lab (n, 3) of the largest area of one color of each.

    On an even ground all that differs from it is garment; elsewhere the middle is taken for it, as nothing tells the
    garment from what surrounds it.
    """
    minis = np.empty((len(pictures), _SIDE, _SIDE, 3), np.uint8)
    for place, picture in enumerate(pictures):
        rgb = picture if picture.mode == "RGB" else picture.convert("RGB")
        minis[place] = np.asarray(rgb.resize((_SIDE, _SIDE), Image.Resampling.BOX, reducing_gap=1.0))
    lab = to_lab(minis)
    ground = np.median(list_border(lab), axis=1)
    differs = ((lab - ground[:, None, None]) ** 2).sum(axis=-1) > GROUND**2
    # What has the color of its ground is not lost: white on white.
    is_even = has_even_ground(minis) & (differs.mean(axis=(1, 2)) >= _FEW)
    # 32 cells to each side hold all of Lab; light needs no more than 9.
    cells = (np.floor(lab / _CELL).astype(np.int64) + 16) @ np.array([1024, 32, 1])
    colors = np.empty((len(pictures), 3))
    for place, even in enumerate(is_even):
        garment = differs[place] if even else _MIDDLE
        pixels, found = lab[place][garment], cells[place][garment]
        fullest = pixels[found == np.bincount(found).argmax()].mean(axis=0)
        colors[place] = pixels[((pixels - fullest) ** 2).sum(axis=1) <= _SHADES**2].mean(axis=0)
    return colors


def measure_distance(one: Floats, other: Floats) -> float:
    """CIEDE2000 between two colors in Lab (3,): about 2 is the least that people see, 10 is seen at a glance.

    After Sharma, Wu, Dalal, "The CIEDE2000 Color-Difference Formula: Implementation Notes", 2005.
    """
    light1, a1, b1 = (float(part) for part in one)
    light2, a2, b2 = (float(part) for part in other)
    mean7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    stretch = 1 + 0.5 * (1 - np.sqrt(mean7 / (mean7 + 25.0**7)))
    chroma1, chroma2 = np.hypot(stretch * a1, b1), np.hypot(stretch * a2, b2)
    hue1, hue2 = (np.degrees(np.arctan2(b, stretch * a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn = hue2 - hue1
    mean_hue = (hue1 + hue2) / 2
    if chroma1 * chroma2 == 0:  # a grey has no hue
        turn, mean_hue = 0.0, hue1 + hue2
    elif abs(turn) > 180:
        mean_hue += 180 if hue1 + hue2 < 360 else -180
        turn -= 360 if turn > 0 else -360
    d_light, d_chroma = light2 - light1, chroma2 - chroma1
    d_hue = 2 * np.sqrt(chroma1 * chroma2) * np.sin(np.radians(turn) / 2)
    light, chroma = (light1 + light2) / 2, (chroma1 + chroma2) / 2
    waves = ((-0.17, 1, -30), (0.24, 2, 0), (0.32, 3, 6), (-0.20, 4, -63))
    wave = 1 + sum(size * np.cos(np.radians(times * mean_hue + phase)) for size, times, phase in waves)
    s_light = 1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2)
    s_chroma, s_hue = 1 + 0.045 * chroma, 1 + 0.015 * chroma * wave
    bend = 60 * np.exp(-(((mean_hue - 275) / 25) ** 2))  # of blues
    twist = -2 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7)) * np.sin(np.radians(bend))
    parts = d_light / s_light, d_chroma / s_chroma, d_hue / s_hue
    return float(np.sqrt(max(0.0, sum(part**2 for part in parts) + twist * parts[1] * parts[2])))


def write_hex(lab: Floats) -> str:
    """CIE Lab (3,) -> "#rrggbb"."""
    red, green, blue = to_rgb(lab)
    return f"#{red:02x}{green:02x}{blue:02x}"


_LINEAR = _linearize(np.arange(256, dtype=np.float64))  # of each of the 256 values that a pixel can have
_POINT_NAMES = [name for name, points in _NAMES.items() for _ in points]
_POINTS = to_lab(np.array([list(bytes.fromhex(p[1:])) for points in _NAMES.values() for p in points], np.float64))
