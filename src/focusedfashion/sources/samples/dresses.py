"""Dresses: gowns in one line, and wrap dresses."""

from __future__ import annotations

from dataclasses import dataclass

from focusedfashion.sources.samples.outlines import Point, mirror, oval, path, symmetric, whole
from focusedfashion.sources.samples.sketches import Part, Sketch
from focusedfashion.sources.samples.torsos import Torso, draw_sleeves


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gown:
    """The measures of a dress in one line, for the right half."""

    neck: tuple[float, float, float]  # half width, top, and the neckline's lowest point
    strap: float
    waist: Point
    hip: Point
    hem: Point
    flare: float = 0.0  # 0..1
    vee: bool = False
    sleeve: bool = False

    @property
    def arm(self) -> float:
        """The armpit's y."""
        return self.neck[1] + (52 if self.vee else 56)

    @property
    def sag(self) -> float:
        """How much lower the hem is in the middle."""
        return 4 + 8 * self.flare


def draw_dress(sketch: Sketch) -> None:
    cut, v = sketch.garment.cut, sketch.vary
    if cut == "mini sheath":
        _draw_gown(sketch, _Gown(neck=(24, 84, 106), strap=17, waist=(44, 188), hip=(60, 240), hem=(56, 322)))
    elif cut == "midi a-line":
        hem = (v(100, 108), 342)
        gown = _Gown(neck=(26, 62, 84), strap=24, waist=(44, 158), hip=(66, 214), hem=hem, flare=1.0, sleeve=True)
        _draw_gown(sketch, gown)
        _draw_belt(sketch, gown)
    elif cut == "maxi":
        hem = (v(84, 94), 378)
        gown = _Gown(neck=(20, 40, 66), strap=5, waist=(38, 134), hip=(52, 200), hem=hem, flare=0.8, vee=True)
        _draw_gown(sketch, gown)
        _draw_belt(sketch, gown)
    else:
        _draw_wrap_dress(sketch)


def _draw_gown(sketch: Sketch, gown: _Gown) -> None:
    (n, top, low), (wx, wy), (px, py), (hx, hy) = gown.neck, gown.waist, gown.hip, gown.hem
    arm, sag, sx = gown.arm, gown.sag, n + gown.strap
    back = symmetric((0, low - 12), (n * 0.7, low - 12, n - 0.5, top + 0.5), (n, top + 8), (n, low + 8), (0, low + 12))
    sketch.part(back, tone=-0.42, round=0.3)
    if gown.sleeve:
        outer, inner = (sx + 34, top + 70), (sx + 10, top + 84)
        draw_sleeves(sketch, Torso(shoulder=(sx, top + 9), armpit=(wx + 8, arm), outer=outer, inner=inner, wide=8))
    if gown.vee:
        edge = path(
            (0, low + 12),
            (10, low + 4, n, low - 20),
            (n, top),
            (sx, top),
            (sx, low - 22),
            (n + 12, low - 6, wx + 7, arm),
        )
    else:
        edge = path(
            (0, low),
            (n * 0.62, low, n * 0.98, top + (low - top) * 0.55, n, top),
            (sx, top + gown.strap * 0.3),
            (sx - 6, top + 24, wx + 2, arm - 12, wx + 8, arm),
        )
    bodice = path((wx + 8, arm), (wx, (arm + wy) / 2, wx, wy))
    hip = (wx + (px - wx) * 0.75, wy + (py - wy) * 0.4, px, py)
    skirt = path((wx, wy), hip, (px + (hx - px) * 0.42, (py + hy) / 2, hx, hy))
    end = path((hx, hy), (hx * 0.6, hy + sag, 0, hy + sag))
    front = sketch.part(whole(edge + bodice + skirt + end), lift=0.4)
    _fold_gown(sketch, front, gown)
    front.stitch((-hx, hy - 6), (0, hy - 6 + sag * 2, hx, hy - 6), alpha=0.4)
    if gown.vee:
        front.line((-n, low - 16), (-10, low + 8, 0, low + 17), (10, low + 8, n, low - 16), width=1.2, alpha=0.4)
        return
    for flip in (1, -1):
        front.line(*[(flip * x, y + 5) for x, y in edge[:15]], width=1.2, alpha=0.4)


def _fold_gown(sketch: Sketch, front: Part, gown: _Gown) -> None:
    (wx, wy), (px, py), (hx, hy), arm, v = gown.waist, gown.hip, gown.hem, gown.arm, sketch.vary
    if gown.flare:
        for i in range(7):
            t = (i - 3) / 3.5 + v(-0.06, 0.06)
            front.fold(
                (t * wx * 0.8, wy + 6),
                (t * px * 0.86, py, t * hx * 0.97, hy + gown.sag),
                width=v(9, 16) * (0.7 + gown.flare * 0.5),
                strength=v(0.25, 0.4),
            )
    else:
        for flip in (-1, 1):
            front.fold((flip * wx, wy), (flip * 24, wy + 6, flip * v(5, 16), wy + v(16, 26)), width=9, strength=0.2)
            start = (flip * px, py + 6)
            front.fold(start, (flip * 36, py + 10, flip * v(10, 22), py + v(20, 34)), width=9, strength=0.18)
            front.line((flip * 24, arm + 18), (flip * 22, wy, flip * 26, wy + 36), width=1.2, alpha=0.35)
    for flip in (-1, 1):
        start = (flip * (wx + 6), arm + 4)
        front.fold(start, (flip * wx * 0.7, arm + 12, flip * wx * 0.4, arm + v(24, 34)), width=7, strength=0.22)


def _draw_belt(sketch: Sketch, gown: _Gown) -> None:
    x, y = gown.waist[0] + 1, gown.waist[1]
    outline = symmetric((0, y - 3), (x * 0.5, y - 3, x, y - 6), (x, y + 5), (x * 0.5, y + 9, 0, y + 9))
    sash = sketch.part(outline, plain=True, lift=0.3, tone=-0.06)
    sash.line((-x, y + 3), (0, y + 8, x, y + 3), width=1.0, alpha=0.3)


def _draw_wrap_dress(sketch: Sketch) -> None:
    v = sketch.vary
    body = Torso(
        neck=25,
        top=60,
        depth=80,
        vee=True,
        shoulder=(60, 72),
        armpit=(54, 124),
        waist=(44, 176),
        outer=(100, 226),
        inner=(76, 236),
        wide=6,
    )
    n, t = body.neck, body.top
    sketch.part(symmetric((0, t + 6), (n * 0.6, t + 6, n + 2, t - 3), (n, t + 60), (0, t + 90)), tone=-0.42, round=0.3)
    draw_sleeves(sketch, body)
    hem = v(84, 94)
    side = path(
        (n, t),
        (42, 62, 60, 72),
        (50, 94, 48, 110, 54, 124),
        (44, 150, 44, 176),
        (54, 196, 62, 226),
        (70, 280, hem, 340),
    )
    front = sketch.part(
        [
            *path((-14, 118), (14, 96, n, t)),
            *side[1:],
            *path((hem, 340), (40, 352, 0, 352), (-40, 352, -hem, 340)),
            *mirror(side)[::-1],
            (-n, t),
        ],
        lift=0.4,
    )
    over = sketch.part(
        path(
            (-n, t),
            (-8, 104, 42, 158),
            (46, 178),
            (24, 250, 44, 351),
            (0, 353),
            (-40, 352, -hem, 340),
            (-70, 280, -62, 226),
            (-54, 196, -44, 176),
            (-44, 150, -54, 124),
            (-48, 110, -50, 94, -60, 72),
            (-42, 62, -n, t),
        ),
        lift=0.4,
        angle=0.08,
    )
    for i in range(5):
        over.fold(
            (40 - i * 4, 178), (30 - i * 20, 220, 26 - i * 25 + v(-6, 6), 350), width=v(9, 14), strength=v(0.25, 0.38)
        )
        over.fold((40, 164 - i * 3), (20 - i * 4, 158 - i * 7, -10 - i * 9, 150 - i * 10), width=6, strength=0.18)
    front.fold((58, 190), (66, 260, 72, 344), width=12, strength=0.3)
    over.line((-n + 3, t + 2), (-6, 104, 42, 153), width=1.2, alpha=0.4)
    sash = sketch.part(symmetric((0, 172), (44, 169), (45, 182), (0, 186)), plain=True, lift=0.35, tone=-0.06)
    sash.line((-44, 178), (44, 178), width=1.0, alpha=0.3)
    for points in (
        path((36, 178), (46, 206, 40, 246), (50, 246), (56, 206, 44, 178)),
        path((40, 178), (56, 204, 60, 232), (69, 229), (64, 200, 46, 176)),
    ):
        sketch.part(points, plain=True, lift=0.35, tone=-0.05)
    sketch.part(oval(41, 177, 7, 8), plain=True, lift=0.4, round=1.3)
