"""Torsos: what tops, jackets and some dresses share - an upper body with its neckline, sleeves and collars."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from focusedfashion.sources.samples.colors import WHITE, Color, mix
from focusedfashion.sources.samples.outlines import Point, between, mirror, path, symmetric, whole
from focusedfashion.sources.samples.sketches import Part, Sketch


@dataclass(slots=True, kw_only=True)
class Torso:
    """The measures of an upper body; all of them for the right half, y from the top."""

    outer: Point  # the sleeve's end, outer corner
    inner: Point
    neck: float = 27.0
    top: float = 72.0
    depth: float = 24.0
    vee: bool = False
    shoulder: Point = (79.0, 88.0)
    armpit: Point = (72.0, 148.0)
    waist: Point = (69.0, 226.0)
    hem: Point = (72.0, 312.0)
    sag: float = 6.0  # how much lower the hem is in the middle
    cuff: float = 0.0  # length of a ribbed cuff
    band: float = 0.0  # height of a ribbed hem
    wide: float = 4.0  # how far the sleeve bulges outwards
    collar: float = 0.0  # width of a ribbed collar
    inside: bool = True  # the back's inner side shows in the neckline


def neckline(body: Torso, grow: float = 0.0) -> list[Point]:
    """The front neckline's right half from the middle to the shoulder, `grow` units inside the body's own."""
    n, t, d = body.neck - grow * 0.8, body.top - grow * 0.45, body.depth - grow
    if body.vee:
        return path((0, t + d), (n * 0.62, t + d * 0.46, n, t))
    return path((0, t + d), (n * 0.62, t + d, n * 0.98, t + d * 0.55, n, t))


def draw_torso(sketch: Sketch, body: Torso) -> Part:
    """Back, sleeves and front; returns the front."""
    if body.inside:
        _draw_back(sketch, body)
    draw_sleeves(sketch, body)
    n, t, v = body.neck, body.top, sketch.vary
    (sx, sy), (ax, ay), (wx, wy), (hx, hy) = body.shoulder, body.armpit, body.waist, body.hem
    side = path(
        (n, t),
        ((n + sx) / 2, (t + sy) / 2 - 2, sx, sy),
        (sx - 10, sy + 20, ax - 6, ay - 16, ax, ay),
        (wx - 1, (ay + wy) / 2, wx, wy),
        (wx + (hx - wx) * 0.3, (wy + hy) / 2, hx, hy),
        (hx * 0.55, hy + body.sag, 0, hy + body.sag),
    )
    front = sketch.part(whole(neckline(body) + side), lift=0.4)
    for flip in (-1, 1):
        front.fold(
            (flip * (ax - 1), ay + 2),
            (flip * (ax - 16), ay + v(8, 16), flip * (ax - v(30, 42)), ay + v(34, 54)),
            width=8,
            strength=0.26,
        )
        front.fold(
            (flip * (wx + 1), wy - v(6, 20)),
            (flip * wx * 0.7, wy + 2, flip * wx * v(0.3, 0.45), wy + v(18, 34)),
            width=10,
            strength=0.2,
        )
        x = flip * wx * v(0.3, 0.7)
        front.fold((x, hy + 2), (x + v(-5, 5), hy - 40, x + v(-10, 10), hy - v(60, 100)), width=12, strength=0.17)
    if body.band:
        _draw_band(sketch, body)
    else:
        front.stitch((-hx, hy - 7), (0, hy - 7 + body.sag * 2, hx, hy - 7))
    return front


def _draw_back(sketch: Sketch, body: Torso) -> None:
    """The back's inner side, with a label."""
    n, t = body.neck, body.top
    m, u = n - body.collar * 0.8, t - body.collar * 0.45  # where the collar ends at the neck
    back = sketch.part(
        symmetric(
            (0, u + 6),
            (m * 0.6, u + 6, m, u),
            (n - 0.5, t + 0.5),
            (n - 1, t + 6),
            (n * 0.8, t + body.depth + 4),
            (0, t + body.depth + 8),
        ),
        tone=-0.42,
        round=0.3,
        plain=sketch.garment.pattern in ("floral", "printed"),
    )
    back.line((-n, t + 6), (0, u + 18, n, t + 6), width=1.2, alpha=0.4)
    back.area([(-4, u + 12), (4, u + 12), (4, u + 18), (-4, u + 18)], mix(WHITE, sketch.base, 0.2), 0.85)


def _draw_band(sketch: Sketch, body: Torso) -> None:
    """The ribbed hem."""
    (x, y), sag = body.hem, body.sag
    top = y - body.band
    band = sketch.part(
        symmetric(
            (0, top + sag),
            (x * 0.55, top + sag, x + 1, top),
            (x - 1, top + body.band * 0.5, x - 4, y + 2),
            (x * 0.5, y + sag + 2, 0, y + sag + 2),
        ),
        plain=True,
        lift=0.25,
        tone=-0.04,
    )
    upper = path((-x, top), (0, top + sag * 2, x, top))
    lower = path((4 - x, y + 2), (0, y + 2 + sag * 2, x - 4, y + 2))
    band.ribs(upper, lower, 32)


def draw_sleeves(sketch: Sketch, body: Torso) -> None:
    shoulder, armpit, outer, inner = body.shoulder, body.armpit, body.outer, body.inner
    (sx, sy), (ax, ay), (ox, oy), (ix, iy) = shoulder, armpit, outer, inner
    v, long = sketch.vary, oy - sy > 120
    length = float(np.hypot(ox - sx, oy - sy))
    angle = -float(np.arctan2((ox + ix) / 2 - (sx + ax) / 2, (oy + iy) / 2 - (sy + ay) / 2))
    bulge = (sx + (ox - sx) * 0.55 + body.wide, sy + (oy - sy) * (0.36 if long else 0.45))
    outline = path(
        (sx - 14, sy - 3),
        (sx - 1, sy - 0.5),
        (sx + 9 + body.wide, sy + 6, *bulge, ox, oy),
        ((ox + ix) / 2 + 1, (oy + iy) / 2 + 3, ix, iy),
        (ix + (ax - ix) * 0.55 - 1, ay + (iy - ay) * 0.4, ax - 3, ay - 4),
        (ax - 16, ay - 10),
    )
    for sleeve in sketch.pair(outline, angle, lift=0.2):
        sleeve.fold((ax, ay - 4), (ax + 10, ay - 10, between(armpit, outer, 0.45)[0], ay - v(14, 22)), strength=0.28)
        if long:
            for t in (v(0.34, 0.42), v(0.48, 0.55), v(0.62, 0.7)):
                a, b = between(armpit, inner, t), between(shoulder, outer, t + v(-0.05, 0.06))
                sleeve.fold(a, (*between(a, b, 0.4), *between(a, b, v(0.6, 0.8))), width=6, strength=0.26)
            a, b = between(shoulder, outer, 0.2), between(shoulder, outer, 0.85)
            sleeve.fold((a[0] - 8, a[1]), (b[0] - 12, b[1]), width=8, strength=0.1)
        if not body.cuff:
            k = 7 / length
            a, b = between(outer, shoulder, k), between(inner, armpit, k if long else k * 1.3)
            sleeve.stitch(a, ((a[0] + b[0]) / 2 + 1, (a[1] + b[1]) / 2 + 3, *b))
    if body.cuff:
        k = body.cuff / length
        a, b = between(outer, shoulder, k), between(inner, armpit, k * 1.1)
        top = path((a[0] + 1.5, a[1]), ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2 + 3, b[0] - 1.5, b[1]))
        a, b = between(outer, inner, 0.1), between(inner, outer, 0.1)
        end = path(a, ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2 + 3, *b))
        for cuff in sketch.pair([*top, *end[::-1]], angle, plain=True, lift=0.25, tone=-0.04):
            cuff.ribs(top, end, 8)


def draw_rib_collar(sketch: Sketch, body: Torso) -> None:
    """The ribbed band along the front neckline."""
    outer, inner = neckline(body), neckline(body, body.collar)
    outline = [*outer, *inner[::-1], *mirror(inner), *mirror(outer)[::-1]]
    collar = sketch.part(outline, plain=True, lift=0.3, round=0.8, tone=-0.03)
    collar.ribs(outer, inner, 12, alpha=0.28)
    collar.ribs(mirror(outer), mirror(inner), 12, alpha=0.28)


def draw_placket(
    sketch: Sketch, top: float, bottom: float, buttons: int, width: float = 7.5, metal: Color | None = None
) -> Part:
    """The strip in the middle that carries the buttons; one with `metal` buttons is not stitched yet."""
    strip = sketch.part([(-width, top), (width, top), (width, bottom), (-width, bottom)], lift=0.18, round=0.15)
    if metal is None:
        strip.stitch((-width + 2, top), (-width + 2, bottom), alpha=0.35)
        strip.stitch((width - 2, top), (width - 2, bottom), alpha=0.35)
    for y in np.linspace(top + 12, bottom - 26, buttons):
        strip.button(0, float(y), metal or sketch.trim)
    return strip


def draw_flat_collar(
    sketch: Sketch, top: float, spread: float = 30.0, tip: float = 44.0, thread: Color | None = None
) -> None:
    """A shirt's collar: the stand behind, two leaves in front."""
    inside = symmetric((0, top - 8), (20, top - 9, 26, top + 2), (20, top + 26), (0, top + 38))
    sketch.part(inside, tone=-0.4, round=0.4)
    outline = symmetric((0, top - 9), (19, top - 10, 25, top), (23, top + 9), (14, top - 1, 0, top))
    stand = sketch.part(outline, tone=-0.12)
    stand.line((-22, top + 6), (-10, top - 2, 0, top - 2), (10, top - 2, 22, top + 6), alpha=0.3, width=1.2)
    leaf = path(
        (0.5, top + 24), (16, top + 14, 25, top - 5), (33, top + 1, spread + 9, top + 14), (spread - 4, top + tip)
    )
    for side in sketch.pair(leaf, angle=-0.5, lift=0.5):
        side.stitch(
            (4, top + 24),
            (spread - 5, top + tip - 5),
            (spread + 5, top + 14),
            ink=thread,
            alpha=0.9 if thread else 0.4,
        )
