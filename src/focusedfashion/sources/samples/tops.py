"""Tops: T-shirts, tank tops, long-sleeve tops, shirts, sweaters and hoodies."""

from __future__ import annotations

import numpy as np

from focusedfashion.sources.samples.colors import METAL, WHITE, mix
from focusedfashion.sources.samples.outlines import Point, Step, along, path, ribbon, symmetric, whole
from focusedfashion.sources.samples.sketches import Sketch
from focusedfashion.sources.samples.torsos import (
    Torso,
    draw_flat_collar,
    draw_placket,
    draw_rib_collar,
    draw_torso,
    neckline,
)


def draw_t_shirt(sketch: Sketch) -> None:
    cut, v = sketch.garment.cut, sketch.vary
    body = Torso(neck=30, depth=v(30, 36), collar=7, outer=(v(127, 135), v(152, 162)), inner=(v(102, 106), v(172, 180)))
    if cut == "v-neck":
        body.vee, body.depth, body.waist = True, v(48, 60), (66, 226)
    elif cut == "oversized":
        body.neck, body.depth, body.collar, body.shoulder, body.armpit = 31, 29, 10, (94, 96), (86, 170)
        body.waist, body.hem, body.outer, body.inner = (85, 240), (86, 312), (143, 196), (110, 214)
    front = draw_torso(sketch, body)
    front.print_spot = (0, 188, 47)
    draw_rib_collar(sketch, body)


def draw_tank_top(sketch: Sketch) -> None:
    cut, v = sketch.garment.cut, sketch.vary
    strappy = cut == "strappy"
    top, arm, low = v(58, 64), v(146, 154), 112.0 if strappy else v(112, 124)
    side: list[Step]
    if strappy:
        waist, (x, hem), spot = 58, (66, 306), (0, 192, 34)
        side = [(62, arm), (58, 210, 58, 226), (60, 264, 66, 306)]
    elif cut == "cropped":
        waist, (x, hem), spot = 65, (63, 240), (0, 180, 36)
        side = [(69, arm), (63, 200, 63, 240)]
    else:
        waist, (x, hem), spot = 65, (69, 306), (0, 192, 36)
        side = [(69, arm), (65, 210, 65, 226), (67, 264, 69, 306)]
    edge = _draw_straps(sketch, top, low, arm) if strappy else _draw_tank_back(sketch, top, low, arm)
    front = sketch.part(whole(edge + path(*side, (x * 0.5, hem + 6, 0, hem + 6))))
    for flip in (-1, 1):
        front.fold((flip * 62, arm + 4), (flip * 44, arm + 20, flip * 22, arm + v(40, 60)), width=9, strength=0.25)
        front.fold((flip * waist, 232), (flip * 36, 236, flip * 18, 250), width=9, strength=0.18)
        front.fold((flip * v(20, 40), hem), (flip * 30, hem - 30, flip * v(14, 40), hem - 80), width=10, strength=0.16)
    front.stitch((-x, hem - 7), (0, hem + 5, x, hem - 7))
    front.print_spot = spot
    if strappy:
        front.line((-30, low + 3), (-16, low + 17, 0, low + 21), (16, low + 17, 30, low + 3), alpha=0.45)
        return
    neck, armhole = edge[:15], edge[16:]
    for flip in (1, -1):
        front.line(*[(flip * px, py + 6) for px, py in neck], alpha=0.45)
        front.line(*[(flip * (px - 6), py) for px, py in armhole], alpha=0.45)


def _draw_straps(sketch: Sketch, top: float, low: float, arm: float) -> list[Point]:
    """Thin straps and the back between them; returns the front's upper edge, from the middle to the armpit."""
    for tone, x, bend in ((-0.35, 17, 20), (0.0, 30, 29)):  # each strap comes up from the back and down to the front
        line = path((x, low + 14), (bend, 84, 22, top))
        sketch.pair(ribbon(line, 2.2), plain=True, lift=0.1, tone=tone, round=0.5)
    sketch.part(symmetric((0, low + 3), (27, low + 1), (27, low + 14), (0, low + 24)), tone=-0.42, plain=True)
    return path((0, low + 16), (16, low + 12, 30, low - 2), (40, low + 6, 62, arm))


def _draw_tank_back(sketch: Sketch, top: float, low: float, arm: float) -> list[Point]:
    """The back's inner side; returns the front's upper edge, from the middle to the armpit."""
    outline = symmetric((0, top + 36), (22, top + 36, 23, top + 1), (28, top + 6), (32, low + 4), (0, low + 12))
    sketch.part(outline, tone=-0.42, round=0.3)
    return path((0, low), (26, low, 23, low - 30, 23, top), (40, top + 4), (35, 122, 50, arm - 4, 69, arm))


def draw_long_sleeve_top(sketch: Sketch) -> None:
    cut, v = sketch.garment.cut, sketch.vary
    body = Torso(
        shoulder=(76, 88),
        armpit=(69, 146),
        waist=(65, 226),
        hem=(69, 308),
        outer=(v(121, 127), 300),
        inner=(v(101, 104), 306),
        neck=29,
        depth=v(29, 34),
        collar=6.5,
    )
    if cut == "v-neck":
        body.vee, body.depth = True, v(48, 58)
    elif cut == "boat-neck":
        body.neck, body.depth, body.top, body.collar = 48, 17, 78, 5
    front = draw_torso(sketch, body)
    front.print_spot = (0, 184, 42)
    draw_rib_collar(sketch, body)


def draw_shirt(sketch: Sketch) -> None:
    cut, v = sketch.garment.cut, sketch.vary
    sketch.vertical = v(0, 1) < 0.7
    body = Torso(
        neck=25,
        top=68,
        depth=26,
        shoulder=(78, 87),
        armpit=(71, 148),
        waist=(67, 230),
        hem=(69, 306),
        sag=22,
        outer=(v(123, 129), 300),
        inner=(v(100, 103), 307),
        inside=False,
    )
    if cut == "short-sleeved":
        body.outer, body.inner, body.sag, body.hem = (v(127, 133), 164), (103, 184), 6, (72, 316)
    elif cut == "blouse":
        body.wide, body.waist, body.hem, body.sag = 14, (69, 236), (77, 306), 8
        body.outer, body.inner, body.vee, body.depth = (132, 288), (93, 296), True, 58
        body.cuff, body.inside, body.neck = 14, True, 26
    front = draw_torso(sketch, body)
    bottom = body.hem[1] + body.sag - 1
    if cut == "blouse":
        _draw_frill(sketch, body)
        draw_placket(sketch, 128, bottom, 6, width=5)
        return
    for flip in (-1, 1):  # the yoke
        front.line((flip * 28, 76), (flip * 50, 93, flip * 77, 97), alpha=0.35, width=1.2)
    if cut == "regular":
        (ox, oy), (ix, iy) = body.outer, body.inner
        outline = [(ox - 2, oy - 20), (ox + 1, oy + 1), (ix - 1, iy + 1), (ix - 5, iy - 17)]
        for cuff in sketch.pair(outline, angle=-0.2, lift=0.3):
            cuff.stitch((ox - 3, oy - 16), (ix - 4, iy - 13), alpha=0.4)
            cuff.button(ix + 6, iy - 8, sketch.trim, 2.4)
    draw_placket(sketch, 92, bottom, 7)
    pocket = sketch.part([(19, 142), (49, 142), (49, 170), (34, 179), (19, 170)], lift=0.15, round=0.2, tone=0.02)
    pocket.stitch((19, 148), (49, 148), alpha=0.45)
    draw_flat_collar(sketch, 62)


def _draw_frill(sketch: Sketch, body: Torso) -> None:
    """A frill along a neckline without a collar."""
    edge = neckline(body)
    outline = [*edge, *path((26, 68), (37, 80, 33, 96), (36, 112, 24, 122), (22, 138, 5, 146), (0, 126))]
    for side in sketch.pair(outline, angle=-0.35, lift=0.4):
        for t in (0.25, 0.45, 0.65, 0.85):
            x, y = along(edge, t)
            side.line((x, y), (x + 11, y + 5), width=1.3, alpha=0.4)


def draw_sweater(sketch: Sketch) -> None:
    cut, v = sketch.garment.cut, sketch.vary
    sketch.texture = "knit"
    body = Torso(
        shoulder=(78, 90),
        armpit=(70, 154),
        waist=(69, 235),
        hem=(66, 316),
        outer=(v(124, 130), 312),
        inner=(v(97, 101), 320),
        cuff=24,
        band=21,
        neck=31,
        depth=v(29, 33),
        wide=9,
        collar=9,
    )
    if cut == "cardigan":
        body.vee, body.depth, body.hem, body.collar = True, v(86, 104), (69, 326), 0
    front = draw_torso(sketch, body)
    if cut == "crew":
        front.print_spot = (0, 190, 44)
        draw_rib_collar(sketch, body)
    elif cut == "turtleneck":
        front.print_spot = (0, 200, 44)
        outline = symmetric((0, 48), (16, 48, 25, 52), (30, 64, 31, 84), (24, 100, 0, 101))
        roll = sketch.part(outline, plain=True, lift=0.45, round=1.2)
        roll.ribs(path((-25, 50), (0, 44, 25, 50)), path((-31, 86), (0, 112, 31, 86)), 17)
        roll.fold((-26, 56), (0, 62, 26, 56), width=5, strength=0.3)
    else:
        _draw_cardigan_front(sketch, body)


def _draw_cardigan_front(sketch: Sketch, body: Torso) -> None:
    """The ribbed strips along the opening, the right one with buttons."""
    neck, top, depth, bottom = body.neck, body.top, body.depth, 334.0
    low = top + depth
    outline = [
        *neckline(body)[::-1],
        *path((0, low), (0, bottom), (9, bottom), (9, low + 4)),
        *path((9, low - 2), (neck * 0.72 + 8, top + depth * 0.46, neck + 7, top + 2)),
    ]
    left, right = sketch.pair(outline, plain=True, lift=0.3, round=0.7)
    for side in (left, right):
        side.line((4.5, bottom), (4.5, low), (neck * 0.7 + 3, top + depth * 0.5, neck + 3, 70), width=1.2, alpha=0.3)
    for y in np.linspace(low + 14, 322, 5):
        right.button(4.5, float(y), sketch.trim, 3.6)


def draw_hoodie(sketch: Sketch) -> None:
    cut, v = sketch.garment.cut, sketch.vary
    body = Torso(
        neck=32,
        top=84,
        depth=20,
        shoulder=(82, 102),
        armpit=(74, 166),
        waist=(73, 245),
        hem=(70, 322),
        outer=(v(128, 134), 318),
        inner=(v(102, 106), 326),
        cuff=22,
        band=19,
        wide=8,
        inside=False,
    )
    front = draw_torso(sketch, body)
    _draw_hood(sketch)
    if cut == "zip":
        strip = sketch.part([(-6, 108), (6, 108), (6, 330), (-6, 330)], lift=0.15, round=0.1)
        strip.zipper(108, 330, pull=120)
        for pocket in sketch.pair(path((16, 312), (16, 262), (34, 250), (60, 290), (60, 312)), lift=0.14, round=0.3):
            pocket.stitch((19, 309), (19, 263), (34, 254), (58, 291), alpha=0.4)
    else:
        front.print_spot = (0, 178, 40)
        outline = symmetric((0, 240), (33, 240), (55, 284), (56, 305), (30, 308, 0, 308))
        pouch = sketch.part(outline, lift=0.2, round=0.35)
        for flip in (-1, 1):
            pouch.stitch((flip * 29, 243), (flip * 51, 286), alpha=0.5)
        pouch.stitch((-30, 244), (30, 244), alpha=0.4)
    for x, length in ((-15.0, v(46, 58)), (15.0, v(46, 58))):
        line = path((x * 0.95, 100), (x * 1.25, 118, x, 104 + length))
        string = sketch.part(ribbon(line, 1.7), fill=sketch.cord, lift=0.3, round=0.5)
        x, y = line[-1]
        string.area([(x - 2, y - 7), (x + 2, y - 7), (x + 2, y), (x - 2, y)], METAL)


def _draw_hood(sketch: Sketch) -> None:
    top = sketch.vary(26, 32)
    outline = symmetric((0, top), (30, top - 1, 50, top + 18, 50, 66), (50, 88, 40, 100), (24, 120, 0, 124))
    hood = sketch.part(outline, lift=0.5, round=1.2)
    for flip in (-1, 1):
        hood.fold((flip * 46, 62), (flip * 40, 88, flip * 24, 104), width=8, strength=0.3)
        hood.fold((flip * 30, top + 12), (flip * 42, top + 26, flip * 44, 70), width=6, strength=0.14)
    mouth = symmetric((0, top + 19), (22, top + 20, 33, top + 34, 32, 72), (28, 92, 0, 112))
    hood.mark([(x * 1.16, 68 + (y - 68) * 1.09) for x, y in mouth], 1.2, None, 0.4, dash=3.4)
    hole = sketch.part(mouth, tone=-0.62, plain=True, lift=-0.2, round=0.2)
    hole.line((-20, 62), (0, 74, 20, 62), width=1.2, alpha=0.4)
    hole.area([(-4, 68), (4, 68), (4, 75), (-4, 75)], mix(WHITE, sketch.base, 0.25), 0.8)
