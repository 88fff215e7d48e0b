"""Sketches: a garment as a pile of parts, before it is painted."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from focusedfashion.sources.samples.colors import COLORS, METAL, WHITE, Color, luma, mix, shade
from focusedfashion.sources.samples.garments import Garment
from focusedfashion.sources.samples.outlines import Point, Step, along, mirror, oval, path, shift

BLACK: Color = (20, 20, 24)  # of buttons' shadows and holes


@dataclass(slots=True)
class Mark:
    """Something drawn onto a part: an area (width 0), a line, or a row of stitches (dash > 0). `ink` None: a seam."""

    points: list[Point]
    width: float
    ink: Color | None
    alpha: float
    dash: float = 0.0


@dataclass(slots=True)
class Fold:
    """A soft crease in the cloth: dark, with light beside it. `strength` is added to the shading, 0..1."""

    points: list[Point]
    width: float
    strength: float


@dataclass(slots=True)
class Part:
    """One piece of a garment. Marks and folds are given for the right side; a flipped part mirrors them."""

    points: list[Point]
    fill: Color | None = None  # None: the cloth
    plain: bool = False  # the cloth's color without its pattern
    angle: float = 0.0  # radians that the cloth is turned by
    tone: float = 0.0  # added to the shading, -1..1
    lift: float = 0.35  # how dark a shadow it throws on the parts below
    round: float = 1.0  # how strongly it bulges
    texture: str = ""  # "" for the garment's own
    flipped: bool = False
    print_spot: tuple[float, float, float] | None = None  # x, y, radius of a large graphic
    marks: list[Mark] = field(default_factory=list)
    folds: list[Fold] = field(default_factory=list)

    def mark(self, points: Sequence[Point], width: float, ink: Color | None, alpha: float, dash: float = 0.0) -> None:
        self.marks.append(Mark(self._side(points), width, ink, alpha, dash))

    def fold(self, *steps: Step, width: float = 7.0, strength: float = 0.3) -> None:
        self.folds.append(Fold(self._side(path(*steps)), width, strength))

    def _side(self, points: Sequence[Point]) -> list[Point]:
        return mirror(points) if self.flipped else list(points)

    def line(self, *steps: Step, width: float = 1.6, ink: Color | None = None, alpha: float = 0.6) -> None:
        self.mark(path(*steps), width, ink, alpha)

    def stitch(self, *steps: Step, ink: Color | None = None, alpha: float = 0.55) -> None:
        self.mark(path(*steps), 1.1, ink, alpha, dash=3.4)

    def area(self, points: Sequence[Point], ink: Color, alpha: float = 1.0) -> None:
        self.mark(points, 0.0, ink, alpha)

    def ribs(self, start: Sequence[Point], end: Sequence[Point], count: int, alpha: float = 0.3) -> None:
        """`count` lines from the curve `start` to the curve `end`: the ribbing of a cuff."""
        for t in np.linspace(0, 1, count + 2)[1:-1]:
            self.mark([along(start, t), along(end, t)], 1.3, None, alpha)

    def button(self, x: float, y: float, ink: Color, r: float = 3.2) -> None:
        self.area(oval(x + 0.6, y + 1.0, r + 0.6, r + 0.6), BLACK, 0.35)
        self.area(oval(x, y, r, r), ink)
        dark = mix(ink, BLACK, 0.5)
        self.area(oval(x - 0.9, y, 0.6, 0.6), dark)
        self.area(oval(x + 0.9, y, 0.6, 0.6), dark)

    def zipper(self, top: float, bottom: float, pull: float | None = None) -> None:
        """A zipper down the middle, its pull tab hanging from y = `pull`."""
        teeth = [(0.0, top), (0.0, bottom)]
        self.mark(teeth, 5.0, None, 0.5)
        self.mark(teeth, 2.6, METAL, 1.0)
        self.mark(teeth, 2.6, (120, 122, 128), 1.0, dash=1.6)
        if pull is not None:
            self.area([(-2, pull), (2, pull), (2.6, pull + 11), (-2.6, pull + 11)], (150, 152, 158))

    def move(self, dx: float, dy: float) -> None:
        """Shift the part with all that is drawn onto it; not for one with a print spot."""
        self.points = shift(self.points, dx, dy)
        for mark in self.marks:
            mark.points = shift(mark.points, dx, dy)
        for fold in self.folds:
            fold.points = shift(fold.points, dx, dy)


class Sketch:
    """The parts of one garment, lowest first, and the colors that they share."""

    def __init__(self, garment: Garment) -> None:
        self.garment = garment
        self.rng = np.random.default_rng([garment.seed, zlib.crc32(f"{garment.category}/{garment.cut}".encode())])
        self.base = shade(COLORS[garment.color], self.rng)
        self.second = shade(COLORS[garment.second], self.rng) if garment.second else WHITE  # the pattern's color
        light = luma(self.base)
        self.dark = light < 60
        ground = mix(self.base, self.second, 0.35) if garment.second else self.base
        self.ink: Color = mix(self.base, (255, 255, 255), 0.24) if self.dark else mix(ground, (30, 24, 40), 0.54)
        self.trim: Color = WHITE if light < 150 else mix(self.base, (60, 44, 36), 0.75)  # of buttons
        self.cord: Color = WHITE if light < 185 else mix(self.base, (70, 60, 60), 0.6)
        self.texture = "smooth"
        self.vertical = False  # stripes run down instead of across
        self.parts: list[Part] = []

    def part(self, points: Sequence[Point], **how: Any) -> Part:
        """Lay a part (see `Part` for the keywords) over those before it."""
        self.parts.append(Part(list(points), **how))
        return self.parts[-1]

    def pair(self, points: Sequence[Point], angle: float = 0.0, **how: Any) -> tuple[Part, Part]:
        """A part's mirror image on the left, then the part on the right."""
        left = self.part(mirror(points), angle=-angle, flipped=True, **how)
        return left, self.part(points, angle=angle, **how)

    def vary(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))
