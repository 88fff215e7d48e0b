"""Patterns: what is woven into a cloth or printed on it.

A tile is repeated all over: stripes, checks, dots, flowers or shapes. A graphic is one large print on a plain cloth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image, ImageDraw

from focusedfashion.sources.samples.colors import WHITE, Color, luma, mix
from focusedfashion.sources.samples.outlines import Point
from focusedfashion.sources.samples.planes import Pixels
from focusedfashion.sources.samples.sketches import Sketch


def weave_tile(sketch: Sketch, scale: float) -> Pixels:
    """One period of the pattern: uint8 (height, width, 3)."""
    weaves = {"striped": _weave_stripes, "checked": _weave_checks, "dotted": _weave_dots}
    return weaves.get(sketch.garment.pattern, _weave_print)(sketch, scale)


def _weave_stripes(sketch: Sketch, scale: float) -> Pixels:
    kind = int(sketch.rng.integers(3))
    periods = sketch.vary(20, 30), sketch.vary(13, 18), sketch.vary(26, 36)
    side = max(4, round(periods[kind] * scale))
    fine = (np.arange(side * 8) + 0.5) / (side * 8)
    inked = fine < (0.5, 0.36, 0.36)[kind]
    if kind == 2:  # a fine stripe beside the broad one
        inked |= (fine > 0.46) & (fine < 0.54)
    ink = inked.astype(np.float32).reshape(side, 8).mean(1)[:, None]
    line = np.asarray(sketch.base) * (1 - ink) + np.asarray(sketch.second) * ink
    tile = np.repeat(line[:, None], 8, 1)
    return np.asarray((tile.swapaxes(0, 1) if sketch.vertical else tile).round(), np.uint8)


def _weave_checks(sketch: Sketch, scale: float) -> Pixels:
    base, second = np.asarray(sketch.base, np.float32), np.asarray(sketch.second, np.float32)
    if sketch.rng.random() < 0.5:  # gingham: two sets of half-transparent stripes
        side = max(6, round(sketch.vary(15, 26) * scale))
        ink = (np.abs((np.arange(side) + 0.5) / side - 0.5) < 0.25).astype(np.float32)
        level = ((ink[:, None] + ink[None]) / 2)[..., None]
        return np.asarray((base * (1 - level) + second * level).round(), np.uint8)
    side = max(12, round(sketch.vary(44, 66) * scale))  # tartan: broad bands, and a fine line through the open squares
    at = (np.arange(side * 4) + 0.5) / (side * 4)
    bands = (np.abs(at - 0.3) < 0.15) * 0.75 + (np.abs(at - 0.3) < 0.035) * -0.5 + (np.abs(at - 0.56) < 0.02) * 0.5
    band = bands.reshape(side, 4).mean(1)
    fine = (np.abs(at - 0.8) < 0.022).astype(np.float32).reshape(side, 4).mean(1)
    level = (0.5 * (band[:, None] + band[None]))[..., None]
    tile = base * (1 - level) + second * level
    third = np.asarray(WHITE if luma(sketch.base) < 120 else (40, 36, 44), np.float32)
    line = (0.7 * np.maximum(fine[:, None], fine[None]))[..., None]
    return np.asarray((tile * (1 - line) + third * line).round(), np.uint8)


def _weave_dots(sketch: Sketch, scale: float) -> Pixels:
    period = sketch.vary(13, 22) if sketch.rng.random() < 0.6 else sketch.vary(24, 34)
    big = 4 * max(4, round(period * scale))
    r = big * sketch.vary(0.17, 0.27)
    tile = Image.new("RGB", (big, big), sketch.base)
    draw = ImageDraw.Draw(tile)
    for x, y in ((0, 0), (big, 0), (0, big), (big, big), (big / 2, big / 2)):
        draw.ellipse((x - r, y - r, x + r, y + r), fill=sketch.second)
    return np.asarray(tile.reduce(4))


def _weave_print(sketch: Sketch, scale: float) -> Pixels:
    """Flowers or shapes."""
    small = sketch.garment.category in ("cap", "sneakers", "shorts", "handbag")
    big = 3 * round((84 if small else sketch.vary(88, 118)) * scale)
    tile = Image.new("RGB", (big, big), sketch.base)
    draw = ImageDraw.Draw(tile)
    if sketch.garment.pattern == "floral":
        _draw_flowers(draw, big, sketch)
    else:
        _draw_shapes(draw, big, sketch)
    return np.asarray(tile.reduce(3))


def _draw_flowers(draw: ImageDraw.ImageDraw, big: int, sketch: Sketch) -> None:
    leaf: Color = (70, 124, 76) if luma(sketch.base) > 60 else (112, 158, 104)
    if abs(sketch.base[1] - leaf[1]) < 40 and abs(sketch.base[0] - leaf[0]) < 50:
        leaf = (190, 204, 150)
    heart: Color = (120, 62, 36) if sketch.garment.second in ("yellow", "mustard", "orange") else (244, 190, 66)
    pale = mix(sketch.second, sketch.base, 0.35)
    for i, (x, y) in enumerate(_scatter(sketch, big, 14)):
        turn = sketch.vary(0, 6.28)
        if i >= 7:  # small sprigs between the flowers
            r = big * 0.05
            for px, py in _repeat(big, x, y, big * 0.1):
                for k in (0, 2.1, 4.2):
                    _draw_petal(draw, px, py, r, turn + k, 0.34, leaf)
                draw.ellipse((px - r * 0.4, py - r * 0.4, px + r * 0.4, py + r * 0.4), fill=pale)
            continue
        r = big * sketch.vary(0.085, 0.135)
        petals = [turn + k * 1.2566 for k in range(5)]
        for px, py in _repeat(big, x, y, 2 * r):
            _draw_petal(draw, px, py, r * 1.5, turn + 0.5, 0.26, leaf)
            _draw_petal(draw, px, py, r * 1.5, turn + 2.9, 0.26, leaf)
            for a in petals:
                _draw_petal(draw, px, py, r, a, 0.46, sketch.second)
            for a in petals:
                end = (px + np.cos(a) * r * 0.66, py + np.sin(a) * r * 0.66)
                draw.line((px, py, *end), fill=pale, width=max(1, round(r * 0.1)))
            c = r * 0.27
            draw.ellipse((px - c, py - c, px + c, py + c), fill=heart)


def _draw_shapes(draw: ImageDraw.ImageDraw, big: int, sketch: Sketch) -> None:
    """An all-over print of cut-out shapes, for garments without a place for one graphic."""
    inks = (sketch.second, mix(sketch.second, sketch.base, 0.45), sketch.second)
    for i, (x, y) in enumerate(_scatter(sketch, big, 12)):
        r, turn, ink = big * sketch.vary(0.09, 0.16), sketch.vary(0, 6.28), inks[i % 3]
        for px, py in _repeat(big, x, y, 2.4 * r):
            if i % 4 == 0:  # a pebble
                t = np.linspace(0, 2 * np.pi, 26, endpoint=False)
                q = r * (1 + 0.22 * np.sin(2 * t + turn) + 0.12 * np.sin(3 * t))
                outline = np.stack([px + q * np.cos(t), py + q * np.sin(t)], 1)
                draw.polygon([(a, b) for a, b in outline.tolist()], fill=ink)
            elif i % 4 == 1:  # a ring
                draw.ellipse((px - r, py - r, px + r, py + r), outline=ink, width=max(2, round(r * 0.3)))
            elif i % 4 == 2:  # a leaf
                for k in (-0.9, -0.3, 0.3, 0.9):
                    _draw_petal(draw, px, py, r * 1.5, turn + k, 0.2, ink)
            else:  # a triangle
                draw.polygon([(px + r * np.cos(turn + a), py + r * np.sin(turn + a)) for a in (0, 2.1, 4.2)], fill=ink)


def _draw_petal(
    draw: ImageDraw.ImageDraw, x: float, y: float, length: float, turn: float, wide: float, ink: Color
) -> None:
    """A petal that grows from (x, y) px; `turn` in radians, `wide` a share of the length."""
    c, s = np.cos(turn), np.sin(turn)
    t = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    u, v = length * (0.5 - 0.5 * np.cos(t)), length * wide * np.sin(t) * (0.75 + 0.35 * (0.5 - 0.5 * np.cos(t)))
    outline = np.stack([x + u * c - v * s, y + u * s + v * c], 1)
    draw.polygon([(a, b) for a, b in outline.tolist()], fill=ink)


def _scatter(sketch: Sketch, big: int, count: int) -> list[Point]:
    """`count` places of a tile that keep apart, its edges joined."""
    places: list[Point] = []
    for _ in range(count):
        tries = sketch.rng.uniform(0, big, (12, 2))
        best = 0
        if places:
            gap = np.abs(tries[:, None] - np.asarray(places)[None])
            gap = np.minimum(gap, big - gap)
            best = int(np.hypot(gap[..., 0], gap[..., 1]).min(1).argmax())
        places.append((float(tries[best, 0]), float(tries[best, 1])))
    return places


def _repeat(big: int, x: float, y: float, reach: float) -> Iterator[Point]:
    """The places at which a tile repeats what stands at (x, y) and reaches over its edges."""
    for dx in (-big, 0, big):
        for dy in (-big, 0, big):
            if -reach < x + dx < big + reach and -reach < y + dy < big + reach:
                yield x + dx, y + dy


def draw_graphic(sketch: Sketch, radius: int) -> Image.Image:
    """One of six graphics in the sketch's colors: RGBA, `2 * radius` px a side."""
    graphics = (_draw_mountains, _draw_sun, _draw_geometry, _draw_waves, _draw_star, _draw_palm_leaf)
    sheet = _Sheet(sketch, 6 * radius)
    graphics[int(sketch.rng.integers(len(graphics)))](sheet)
    return sheet.image.reduce(3)


class _Sheet:
    """A transparent square to draw on, 0..100 a side, and its three colors."""

    def __init__(self, sketch: Sketch, size: int) -> None:
        self.ink = sketch.second
        self.half = mix(self.ink, sketch.base, 0.45)
        self.warm: Color = (246, 206, 92) if sketch.garment.second in ("orange", "red") else (238, 122, 72)
        self.size, self.unit = size, size / 100
        self.image = Image.new("RGBA", (size, size), (*self.ink, 0))
        self.draw = ImageDraw.Draw(self.image)

    def area(self, points: Sequence[Point], color: Color) -> None:
        self.draw.polygon([(x * self.unit, y * self.unit) for x, y in points], fill=color)

    def disc(self, x: float, y: float, r: float, color: Color) -> None:
        u = self.unit
        self.draw.ellipse(((x - r) * u, (y - r) * u, (x + r) * u, (y + r) * u), fill=color)

    def petal(self, x: float, y: float, length: float, turn: float, wide: float, color: Color) -> None:
        _draw_petal(self.draw, x * self.unit, y * self.unit, length * self.unit, turn, wide, color)


def _draw_mountains(sheet: _Sheet) -> None:
    """Mountains before a sun, all within a disc."""
    sheet.disc(50, 50, 48, sheet.ink)
    sheet.disc(62, 36, 15, sheet.warm)
    sheet.area([(6, 72), (36, 30), (52, 54), (62, 42), (94, 72), (84, 88), (50, 99), (16, 88)], sheet.half)
    sheet.area([(36, 30), (27, 43), (34, 48), (38, 43), (44, 46)], WHITE)
    near = mix(sheet.ink, (20, 22, 40), 0.55)
    sheet.area([(2, 74), (30, 60), (52, 72), (74, 58), (98, 74), (84, 90), (50, 99), (16, 90)], near)
    disc, u = Image.new("L", (sheet.size, sheet.size), 0), sheet.unit
    ImageDraw.Draw(disc).ellipse((2 * u, 2 * u, 98 * u, 98 * u), fill=255)
    sheet.image.putalpha(disc)


def _draw_sun(sheet: _Sheet) -> None:
    """A setting sun in bars."""
    sheet.disc(50, 50, 46, sheet.ink)
    for i in range(5):
        y, high = 52 + i * 9, 1.6 + i * 1.1
        sheet.draw.rectangle((0, y * sheet.unit, sheet.size, (y + high) * sheet.unit), fill=(*sheet.ink, 0))


def _draw_geometry(sheet: _Sheet) -> None:
    u = sheet.unit
    sheet.disc(36, 38, 30, sheet.ink)
    sheet.area([(30, 92), (62, 30), (94, 92)], sheet.half)
    sheet.draw.rectangle((6 * u, 72 * u, 44 * u, 80 * u), fill=sheet.warm)
    sheet.draw.ellipse((62 * u, 6 * u, 92 * u, 36 * u), outline=sheet.ink, width=round(4 * u))


def _draw_waves(sheet: _Sheet) -> None:
    u, inks = sheet.unit, (sheet.ink, sheet.half, sheet.warm)
    for i in range(5):
        middle = 14 + i * 18
        x = np.linspace(4, 96, 50)
        x = x[np.abs(x - 50) <= np.sqrt(46**2 - (middle - 50) ** 2) + 6]
        y = middle + 5 * np.sin(x / 7.5 + i * 1.3)
        points = [(a * u, b * u) for a, b in zip(x.tolist(), y.tolist(), strict=True)]
        sheet.draw.line(points, fill=inks[i % 3], width=round(8 * u), joint="curve")


def _draw_star(sheet: _Sheet) -> None:
    """A star in a star."""
    for share, color in ((1, sheet.ink), (0.62, sheet.half)):
        points = []
        for i in range(10):
            turn, r = i * np.pi / 5 - np.pi / 2, (48, 21)[i % 2] * share
            points.append((50 + r * np.cos(turn), 53 + r * np.sin(turn)))
        sheet.area(points, color)


def _draw_palm_leaf(sheet: _Sheet) -> None:
    u, up = sheet.unit, -np.pi / 2
    sheet.draw.line((50 * u, 98 * u, 50 * u, 20 * u), fill=sheet.ink, width=round(3 * u))
    for i in range(7):
        length, color = 40 - abs(i - 2) * 5, sheet.ink if i % 2 else sheet.half
        for side in (-1, 1):
            sheet.petal(50, 84 - i * 10, length, up + side * (1.05 - i * 0.08), 0.13, color)
    sheet.petal(50, 24, 22, up, 0.16, sheet.ink)
