"""Jackets: bombers, blazers, denim jackets and puffers."""

from __future__ import annotations

import numpy as np

from focusedfashion.sources.samples.colors import GOLD, METAL, THREAD, luma, mix
from focusedfashion.sources.samples.outlines import between, path, symmetric
from focusedfashion.sources.samples.sketches import Sketch
from focusedfashion.sources.samples.torsos import Torso, draw_flat_collar, draw_placket, draw_rib_collar, draw_torso


def draw_jacket(sketch: Sketch) -> None:
    cuts = {"bomber": _draw_bomber, "blazer": _draw_blazer, "denim": _draw_denim_jacket, "puffer": _draw_puffer}
    cuts[sketch.garment.cut](sketch)


def _draw_bomber(sketch: Sketch) -> None:
    body = Torso(
        neck=29,
        top=72,
        depth=28,
        collar=13,
        shoulder=(82, 92),
        armpit=(74, 158),
        waist=(76, 240),
        hem=(70, 312),
        outer=(136, 306),
        inner=(104, 314),
        cuff=24,
        band=22,
        wide=12,
    )
    front = draw_torso(sketch, body)
    for flip in (-1, 1):
        front.line((flip * 34, 226), (flip * 54, 270), width=5.0, alpha=0.5)
        front.line((flip * 34, 226), (flip * 54, 270), width=1.6, ink=METAL, alpha=0.9)
    strip = sketch.part([(-5.5, 97), (5.5, 97), (5.5, 320), (-5.5, 320)], lift=0.2, round=0.1, plain=True)
    strip.zipper(92, 320, pull=104)
    draw_rib_collar(sketch, body)


def _draw_blazer(sketch: Sketch) -> None:
    sketch.vertical = True
    body = Torso(
        neck=24,
        top=64,
        depth=120,
        vee=True,
        shoulder=(80, 84),
        armpit=(68, 150),
        waist=(61, 232),
        hem=(72, 342),
        sag=2,
        outer=(121, 312),
        inner=(95, 320),
        wide=3,
        inside=False,
    )
    inside = symmetric((0, 58), (20, 58, 27, 66), (24, 120), (0, 190))
    lining = sketch.part(inside, tone=-0.3, fill=mix(sketch.base, (60, 50, 60), 0.35))
    lining.line((-20, 72), (0, 84, 20, 72), width=1.3, alpha=0.4)
    sketch.part(symmetric((0, 52), (16, 52, 24, 60), (22, 70), (14, 62, 0, 62)), tone=-0.08)
    front = draw_torso(sketch, body)
    sleeves = [part for part in sketch.parts if part.angle]  # nothing else is turned so far
    front.line((0, 184), (3, 260, 2, 344), width=1.8, alpha=0.85)
    front.fold((3, 186), (7, 260, 5, 344), width=5, strength=0.25)
    for flip in (-1, 1):  # the darts
        front.line((flip * 40, 170), (flip * 36, 220, flip * 40, 266), width=1.2, alpha=0.4)
    # The breast pocket, the pockets' flaps, the lapels and the collar
    front.line((26, 152), (50, 147), width=5.5, alpha=0.35)
    front.line((26, 149), (50, 144), width=1.2, alpha=0.6)
    for flap in sketch.pair(path((27, 268), (61, 264), (63, 278), (28, 283)), lift=0.25, round=0.4):
        flap.stitch((29, 280), (62, 275), alpha=0.3)
    lapel = path((1, 188), (12, 150, 40, 112), (28, 104), (37, 97), (25, 62), (23, 100, 2, 182))
    for side in sketch.pair(lapel, angle=-0.45, lift=0.5, tone=0.03):
        side.line((27, 104), (17, 96), width=1.4, alpha=0.6)
        side.stitch((6, 176), (17, 148, 37, 113), alpha=0.3)
    collar = path((17, 97), (28, 104), (39, 94), (30, 66), (23, 56), (20, 70, 17, 97))
    for side in sketch.pair(collar, angle=-0.3, lift=0.35, tone=0.02):
        side.line((24, 60), (23, 80, 19, 96), width=1.0, alpha=0.3)
    horn = mix(sketch.trim if sketch.dark else mix(sketch.base, (26, 20, 20), 0.72), (120, 110, 100), 0.3)
    for y in (200, 232):
        front.button(-2, y, horn, 4.2)
    for sleeve in sleeves:
        for i in range(3):
            sleeve.button(99 - i * 1.5, 309 - i * 8, horn, 2.2)


def _draw_denim_jacket(sketch: Sketch) -> None:
    sketch.texture = "denim"
    thread = THREAD if luma(sketch.base) < 170 else mix(sketch.base, (120, 90, 50), 0.7)
    body = Torso(
        neck=25,
        top=70,
        depth=24,
        shoulder=(78, 90),
        armpit=(71, 152),
        waist=(67, 230),
        hem=(63, 300),
        sag=4,
        outer=(124, 300),
        inner=(97, 308),
        inside=False,
        wide=5,
    )
    front = draw_torso(sketch, body)
    for flip in (-1, 1):
        front.line((flip * 8, 138), (flip * 72, 132), width=1.6, alpha=0.7)
        front.stitch((flip * 8, 141), (flip * 72, 135), ink=thread, alpha=0.9)
        for x0, x1 in ((20, 26), (48, 38)):
            front.line((flip * x0, 142), (flip * x1, 296), width=1.5, alpha=0.6)
            front.stitch((flip * (x0 + 2.6), 142), (flip * (x1 + 2.6), 296), ink=thread, alpha=0.85)
        front.line((flip * 50, 236), (flip * 60, 278), width=2.0, alpha=0.75)
    for cuff in sketch.pair([(120, 282), (124, 303), (96, 311), (91, 291)], angle=-0.2, lift=0.3):
        cuff.stitch((120, 286), (93, 296), ink=thread, alpha=0.9)
        cuff.button(102, 301, GOLD, 2.6)
    for flap in sketch.pair(path((19, 139), (53, 136), (53, 149), (36, 160), (19, 151)), lift=0.35, round=0.4):
        flap.stitch((21, 149), (36, 157), (51, 147), ink=thread, alpha=0.9)
        flap.button(36, 152, GOLD, 2.8)
    band = sketch.part(symmetric((0, 294), (63, 290), (63, 312), (0, 317)), lift=0.3, round=0.5)
    band.stitch((-62, 294), (0, 302, 62, 294), ink=thread, alpha=0.9)
    band.stitch((-62, 309), (0, 317, 62, 309), ink=thread, alpha=0.9)
    strip = draw_placket(sketch, 92, 316, 6, width=8, metal=GOLD)
    for x in (-5.5, 5.5):
        strip.stitch((x, 92), (x, 316), ink=thread, alpha=0.9)
    draw_flat_collar(sketch, 63, spread=36, tip=42, thread=thread)


def _draw_puffer(sketch: Sketch) -> None:
    sketch.texture = "shiny"
    body = Torso(
        neck=27,
        top=78,
        depth=12,
        shoulder=(86, 96),
        armpit=(80, 164),
        waist=(82, 245),
        hem=(80, 330),
        sag=4,
        outer=(146, 312),
        inner=(108, 324),
        wide=16,
        inside=False,
    )
    front = draw_torso(sketch, body)
    sleeves = [part for part in sketch.parts if part.angle]  # nothing else is turned so far
    for part in (front, *sleeves):  # quilting instead of folds and seams
        part.folds.clear()
        part.marks.clear()
    for sleeve in sleeves:
        for i in range(7):
            t = (i + 0.75) / 7.3
            a, b = between((66, 146), (104, 324), t), between((90, 92), (154, 312), t)
            arc = ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2 + 8, *b)
            sleeve.line(a, arc, width=1.6, alpha=0.75)
            sleeve.fold(a, arc, width=9, strength=0.5)
    for y in np.linspace(112, 316, 8):
        front.line((-90, y), (0, y + 9, 90, y), width=1.6, alpha=0.75)
        front.fold((-110, y - 1), (0, y + 8, 110, y - 1), width=11, strength=0.55)
    strip = sketch.part([(-6, 82), (6, 82), (6, 333), (-6, 333)], lift=0.25, round=0.5, plain=True)
    strip.zipper(70, 333, pull=88)
    collar = sketch.part(symmetric((0, 46), (24, 46, 33, 52), (38, 66, 40, 88), (24, 102, 0, 104)), lift=0.5, round=1.3)
    collar.line((-38, 72), (0, 84, 38, 72), width=1.5, alpha=0.7)
    collar.fold((-44, 71), (0, 83, 44, 71), width=10, strength=0.5)
    sketch.part(symmetric((0, 50), (20, 50, 27, 55), (20, 62, 0, 63)), tone=-0.5, plain=True, lift=0.0)
    collar.zipper(60, 104)
