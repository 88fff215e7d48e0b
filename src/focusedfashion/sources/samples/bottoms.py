"""Bottoms: skirts, trousers and shorts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from focusedfashion.sources.samples.colors import GOLD, THREAD, Color, luma
from focusedfashion.sources.samples.outlines import path, ribbon, symmetric, whole
from focusedfashion.sources.samples.sketches import Part, Sketch


def draw_skirt(sketch: Sketch) -> None:
    cut, v = sketch.garment.cut, sketch.vary
    if cut == "pencil":
        w, top, sag, hem = 48.0, 66.0, 4.0, (50.0, 336.0)
        side = path((w, top), (66, 110, 67, 164), (67, 250, *hem))
    elif cut == "mini a-line":
        w, top, sag, hem = 54.0, 106.0, 14.0, (v(98, 106), 296.0)
        side = path((w, top), (70, 190, *hem))
    else:
        w, top, sag, hem = 40.0, 34.0, 12.0, (v(92, 102), 370.0)
        side = path((w, top), (56, 130, *hem))
    x, y = hem
    end = path(hem, (x * 0.6, y + sag, 0, y + sag))
    front = sketch.part(whole([(0, top), (w, top), *side, *end]))
    if cut == "maxi pleated":
        for i in range(12):
            t = float(np.sin((2 * (i / 11) - 1) * 1.35) / np.sin(1.35))
            front.line((t * w, top + 18), (t * (w + 14), 140, t * x, y + sag), width=1.3, alpha=0.45)
            bend = (t * (w + 14) - 4, 140, t * x - 6, y + sag + 8)
            front.fold((t * w - 3, top + 12), bend, width=13, strength=0.42)
    elif cut == "mini a-line":
        for t in (-0.7, -0.3, 0.12, 0.5, 0.82):
            bend = (t * 70, 200, t * x + v(-4, 4), y + sag)
            front.fold((t * w * 0.8, top + 40), bend, width=v(14, 20), strength=v(0.22, 0.36))
        front.stitch((-x, y - 7), (0, y - 7 + sag * 2, x, y - 7), alpha=0.45)
    else:
        for flip in (-1, 1):
            front.line((flip * 24, top + 14), (flip * 26, top + 56), width=1.3, alpha=0.5)
            front.fold((flip * 64, 150), (flip * 40, 158, flip * v(10, 20), 172), width=9, strength=0.2)
            front.fold((flip * 60, 250), (flip * 34, 262, flip * v(6, 20), 284), width=9, strength=0.18)
        front.line((14, y + 4), (14, y - 62), width=1.8, alpha=0.7)
        front.fold((16, y + 6), (18, y - 30, 16, y - 66), width=6, strength=0.3)
        front.stitch((-x, y - 7), (0, y - 1, x, y - 7), alpha=0.45)
    outline = symmetric(
        (0, top - 1), (w * 0.6, top - 1, w - 1, top - 4), (w + 2, top + 12), (w * 0.6, top + 17, 0, top + 17)
    )
    band = sketch.part(outline, plain=True, lift=0.3)
    band.stitch((-w, top + 9), (0, top + 18, w, top + 9), alpha=0.4)
    inside = symmetric((0, top - 6), (w * 0.6, top - 6, w - 1, top - 4), (w * 0.6, top - 0.5, 0, top - 0.5))
    sketch.part(inside, tone=-0.5, plain=True, lift=0.0, round=0.2)
    if cut == "mini a-line" and v(0, 1) < 0.6:  # buttoned
        for button in np.linspace(top + 26, y - 8, 6):
            front.button(0, float(button), sketch.trim, 3.6)
        for edge in (-8, 8):
            front.line((edge, top + 14), (edge, y + sag), width=1.2, alpha=0.4)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Legs:
    """The measures of trousers or shorts, for the right leg, and how they are made."""

    hip: float  # x
    outer: float  # x of the hem's corners
    inner: float
    hem: float  # y
    top: float  # y
    rise: float  # y of the crotch
    scale: float = 1.0  # of the waist, its band and the pockets
    cuffs: bool = False
    jeans: bool = False
    crease: bool = False
    sporty: bool = False

    @property
    def waist(self) -> float:
        return 47 * self.scale

    @property
    def hip_y(self) -> float:
        return self.top + (self.rise - self.top) * 0.72

    @property
    def long(self) -> bool:
        return self.hem > 340

    @property
    def elastic(self) -> bool:
        return self.cuffs or self.sporty


def draw_trousers(sketch: Sketch) -> None:
    cut, color = sketch.garment.cut, sketch.garment.color
    denim = (
        sketch.garment.pattern == "plain"
        and color in ("blue", "navy blue", "black", "grey")
        and sketch.vary(0, 1) < 0.6
    )
    hip, outer, inner, hem = {
        "slim": (60, 54, 26, 376),
        "straight": (62, 68, 24, 376),
        "wide": (63, 104, 14, 374),
        "joggers": (64, 60, 30, 362),
    }[cut]
    jeans = denim and cut != "joggers"
    sketch.vertical = True
    if jeans:
        sketch.texture = "denim"
    legs = _Legs(
        hip=hip,
        outer=outer,
        inner=inner,
        hem=hem,
        top=30.0,
        rise=136.0,
        cuffs=cut == "joggers",
        jeans=jeans,
        crease=cut in ("straight", "wide") and not denim,
    )
    _draw_legs(sketch, legs)


def draw_shorts(sketch: Sketch) -> None:
    if sketch.garment.cut == "short":
        sporty = sketch.vary(0, 1) < 0.5
        legs = _Legs(hip=84, outer=104, inner=8, hem=254, top=96.0, rise=218.0, scale=1.28, sporty=sporty)
    else:
        legs = _Legs(hip=74, outer=82, inner=14, hem=276, top=76.0, rise=182.0, scale=1.14)
    _draw_legs(sketch, legs)


def _draw_legs(sketch: Sketch, legs: _Legs) -> None:
    """Two legs and a waistband."""
    hip, outer, inner, hem = legs.hip, legs.outer, legs.inner, legs.hem
    top, rise, hip_y = legs.top, legs.rise, legs.hip_y
    thread = THREAD if legs.jeans and luma(sketch.base) < 150 else None
    outline = path(
        (-2, top + 6),
        (legs.waist, top + 4),
        (hip - 1, top + (hip_y - top) * 0.4, hip, hip_y),
        (outer + (hip - outer) * (0.35 if legs.long else 0.6), hip_y + (hem - hip_y) * 0.45, outer, hem),
        ((outer + inner) / 2, hem + 5, inner, hem + 1),
        (inner * 0.5 + (5 if legs.long else 2), rise + (hem - rise) * 0.4, 0, rise),
        (-2, rise - 6),
    )
    angle = -float(np.arctan2((outer + inner) / 2 - hip / 2, hem - hip_y)) * 0.9
    left, right = sketch.pair(outline, angle, lift=0.25)
    for leg in (left, right):
        _fold_leg(sketch, leg, legs)
        _sew_leg(sketch, leg, legs, thread)
    if not legs.elastic:
        _draw_fly(right, legs, thread)
    if legs.cuffs:
        outline = path(
            (inner + 1, hem - 4),
            ((outer + inner) / 2, hem + 1, outer + 1, hem - 4),
            (outer - 2, hem + 10, outer - 4, hem + 18),
            ((outer + inner) / 2, hem + 22, inner + 4, hem + 18),
            (inner + 2, hem + 8, inner + 1, hem - 4),
        )
        for cuff in sketch.pair(outline, plain=True, lift=0.3):
            cuff.ribs([(inner, hem - 4), (outer, hem - 4)], [(inner + 4, hem + 20), (outer - 4, hem + 20)], 11)
    _draw_waistband(sketch, legs, thread)


def _fold_leg(sketch: Sketch, leg: Part, legs: _Legs) -> None:
    hip, outer, inner, hem, rise, v = legs.hip, legs.outer, legs.inner, legs.hem, legs.rise, sketch.vary
    middle = (outer + inner) / 2
    bend = (hip * 0.4, rise - v(14, 22), hip * v(0.6, 0.75), rise - v(10, 24))
    leg.fold((2, rise - 2), bend, width=8, strength=0.28)
    bend = (hip * 0.35, rise + 4, hip * v(0.5, 0.65), rise + v(12, 22))
    leg.fold((3, rise + 3), bend, width=8, strength=0.24)
    if legs.long:
        knee = rise + (hem - rise) * 0.45
        a, b = inner * 0.5 + 4, (outer + hip) / 2 - 4
        for y in (knee, knee + 13):
            bend = ((a + b) / 2, y + v(-4, 6), a + (b - a) * v(0.6, 0.8), y + v(-2, 9))
            leg.fold((a, y), bend, width=6, strength=0.2)
            bend = ((a + b) / 2 + 8, y + v(0, 8), a + (b - a) * v(0.35, 0.5), y + v(4, 14))
            leg.fold((b + 3, y + 5), bend, width=6, strength=0.18)
        if not legs.crease:
            leg.fold((outer - 2, hem - 14), (middle, hem - 8, inner + 8, hem - 17), width=6, strength=0.26)
            leg.fold((inner + 2, hem - 28), (middle, hem - 20, outer - 10, hem - 31), width=6, strength=0.2)
    else:
        for t in (0.3, 0.62, 0.86):
            x = inner + (outer - inner) * t
            leg.fold((x, hem + 4), (x * 0.97, hem - 30, x * 0.85, hem - v(50, 74)), width=v(10, 15), strength=0.22)
    if legs.crease:
        x = legs.waist * 0.55
        leg.line((x, legs.top + 30), (hip * 0.56, legs.hip_y, middle, hem + 3), width=1.3, alpha=0.4)
        bend = (hip * 0.56 + 3, legs.hip_y, middle + 4, hem + 8)
        leg.fold((x + 2, legs.top + 26), bend, width=10, strength=0.3)


def _sew_leg(sketch: Sketch, leg: Part, legs: _Legs, thread: Color | None) -> None:
    """The hem, the pocket, and the side's seam or stripe."""
    hip, outer, inner, hem, top, hip_y = legs.hip, legs.outer, legs.inner, legs.hem, legs.top, legs.hip_y
    w, scale, alpha = legs.waist, legs.scale, 0.9 if thread else 0.5
    if not legs.cuffs:
        end = ((outer + inner) / 2, hem - 3, inner - 2, hem - 7)
        leg.stitch((outer + 2, hem - 8), end, ink=thread, alpha=alpha)
    if legs.jeans:
        knee = (hip - 4, hip_y, outer + (hip - outer) * 0.42 - 4, hip_y + (hem - hip_y) * 0.45)
        leg.stitch((hip - 4, top + 40), knee, (outer - 4, hem - 8), ink=thread, alpha=0.6)
    leg.line((w * 0.58, top + 16), (w * 0.66, top + 46 * scale, hip - 1, top + 46 * scale), width=2.0, alpha=0.75)
    pocket = (w * 0.62, top + 50 * scale, hip - 1, top + 50 * scale)
    leg.stitch((w * 0.58 - 3, top + 16), pocket, ink=thread, alpha=alpha)
    if legs.sporty:
        leg.line(
            (w + 0.5, top + 10),
            (hip - 2.5, top + (hip_y - top) * 0.4, hip - 2.5, hip_y),
            (outer + (hip - outer) * 0.6 - 3, hip_y + (hem - hip_y) * 0.45, outer - 4, hem),
            width=5,
            ink=sketch.trim,
            alpha=0.95,
        )


def _draw_fly(leg: Part, legs: _Legs, thread: Color | None) -> None:
    top, rise, scale = legs.top, legs.rise, legs.scale
    leg.line((0, top + 14), (0, rise - 2), width=1.6, alpha=0.8)
    end = (9 * scale, rise - 20, 1, rise - 15)
    leg.stitch((11 * scale, top + 14), (11 * scale, rise - 34), end, ink=thread, alpha=0.9 if thread else 0.5)


def _draw_waistband(sketch: Sketch, legs: _Legs, thread: Color | None) -> None:
    """A band with a cord, or with belt loops and a button."""
    w, top, v = legs.waist, legs.top, sketch.vary
    high = 17 * legs.scale
    low = top + high
    outline = symmetric((0, top + 2), (w * 0.6, top + 2, w - 1, top - 2), (w + 1.5, low - 3), (w * 0.6, low, 0, low))
    band = sketch.part(outline, plain=legs.elastic, lift=0.3, round=0.7)
    inside = symmetric((0, top - 4), (w * 0.6, top - 4, w - 1, top - 2), (w * 0.6, top + 2.4, 0, top + 2.4))
    sketch.part(inside, tone=-0.5, plain=True, lift=0.0, round=0.2)
    if legs.elastic:
        upper = path((-w, top - 2), (0, top + 6, w, top - 2))
        lower = path((-w - 1, low - 3), (0, low + 3, w + 1, low - 3))
        band.ribs(upper, lower, 30)
        for flip, length in ((-1, v(34, 42)), (1, v(34, 42))):
            line = path((flip * 3, top + high * 0.6), (flip * 12, low + 10, flip * 8, low + length))
            sketch.part(ribbon(line, 1.5), fill=sketch.cord)
        return
    band.stitch((-w, low - 6), (0, low + 1, w, low - 6), ink=thread, alpha=0.9 if thread else 0.45)
    for share in (-0.74, -0.3, 0.3, 0.74):
        x = share * w
        loop = [(x - 2.4, top - 2), (x + 2.4, top - 2), (x + 2.4, low + 3), (x - 2.4, low + 3)]
        sketch.part(loop, lift=0.3, round=0.4)
    band.button(0, top + high * 0.56, GOLD if legs.jeans else sketch.trim, 3.8)
