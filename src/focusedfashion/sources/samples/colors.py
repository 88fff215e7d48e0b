"""Colors: their names, and how they are mixed and compared."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

Color = tuple[int, int, int]  # sRGB, 0..255

COLORS: dict[str, Color] = {
    "black": (36, 36, 40),
    "white": (247, 247, 246),
    "grey": (146, 149, 154),
    "navy blue": (33, 45, 88),
    "blue": (46, 104, 196),
    "turquoise blue": (48, 182, 192),
    "green": (44, 138, 82),
    "olive": (112, 114, 60),
    "yellow": (250, 216, 66),
    "mustard": (210, 156, 42),
    "orange": (242, 124, 44),
    "red": (208, 40, 48),
    "maroon": (116, 28, 48),
    "pink": (244, 154, 184),
    "purple": (112, 62, 156),
    "lavender": (188, 172, 224),
    "brown": (114, 76, 52),
    "beige": (214, 192, 158),
    "cream": (247, 238, 214),
}

WHITE: Color = (248, 248, 247)
METAL: Color = (176, 178, 184)
GOLD: Color = (202, 166, 92)
THREAD: Color = (214, 164, 92)  # what denim is sewn with


def mix(a: Color, b: Color, share: float) -> Color:
    """`share` of b in a."""
    return (
        round(a[0] + (b[0] - a[0]) * share),
        round(a[1] + (b[1] - a[1]) * share),
        round(a[2] + (b[2] - a[2]) * share),
    )


def luma(color: Color) -> float:
    """How light a color looks, 0..255."""
    return 0.3 * color[0] + 0.59 * color[1] + 0.11 * color[2]


def shade(color: Color, rng: np.random.Generator) -> Color:
    """The color a little lighter, darker, warmer or cooler: still the same name."""
    light = rng.uniform(-0.06, 0.06)
    warm = rng.uniform(-0.018, 0.018)
    if min(color) > 200:
        light = min(light, 0.01)
    r, g, b = (channel * (1 + light) for channel in color)
    return _clip(r * (1 + warm)), _clip(g), _clip(b * (1 - warm))


def _clip(value: float) -> int:
    return int(min(255, max(0, round(value))))


@lru_cache
def list_contrasting(color: str) -> list[str]:
    """Names of colors that show on `color`; neutral ones several times, since most prints use them."""
    mine = COLORS[color]
    names = []
    for name, other in COLORS.items():
        lightness = abs(luma(mine) - luma(other))
        distance = lightness + 0.25 * sum(abs(a - b) for a, b in zip(mine, other, strict=True))
        if lightness > 45 and distance > 110:
            names += [name] * (4 if name in ("white", "cream", "black", "navy blue") else 1)
    return names
