"""Accessories: caps, handbags and sneakers."""

from __future__ import annotations

import numpy as np

from focusedfashion.sources.samples.colors import GOLD, METAL, WHITE, Color, luma, mix
from focusedfashion.sources.samples.outlines import Point, Step, arch, oval, path, ribbon, shift, symmetric
from focusedfashion.sources.samples.sketches import Sketch

HOLE: Color = (20, 18, 24)  # of a cap's eyelets and a bag's rings
GORE: Color = (20, 20, 26)  # of a shoe's elastic and eyelets

UPPERS: dict[str, tuple[Step, ...]] = {  # a shoe's outline above the sole, by its cut
    "low": (
        (-116, 248),
        (-122, 206, -112, 162),
        (-104, 160, -98, 170),
        (-80, 190, -52, 188),
        (-36, 186, -26, 172),
        (2, 196, 30, 204),
        (50, 210, 76, 214),
        (124, 220, 124, 250),
        (0, 262),
    ),
    "high": (
        (-116, 248),
        (-120, 190, -110, 122),
        (-100, 118, -86, 130),
        (-56, 140, -26, 132),
        (-10, 160, 22, 196),
        (40, 208, 76, 212),
        (124, 218, 124, 250),
        (0, 262),
    ),
    "slip-on": (
        (-116, 248),
        (-122, 206, -112, 166),
        (-104, 163, -98, 172),
        (-82, 190, -60, 188),
        (-38, 182, -22, 166),
        (14, 176, 44, 198, 78, 211),
        (124, 219, 124, 250),
        (0, 262),
    ),
}

EYESTAYS: dict[str, tuple[Step, ...]] = {  # the strips that hold the eyelets
    "low": ((-27, 173), (2, 196, 30, 204), (48, 209), (42, 226), (4, 222, -28, 200), (-42, 190)),
    "high": ((-27, 132), (-10, 160, 24, 197), (44, 208), (38, 224), (6, 214, -14, 190), (-34, 168, -42, 137)),
}

EYELETS: dict[str, tuple[Point, ...]] = {
    "low": ((-18, 184), (-3, 193), (13, 200), (30, 206)),
    "high": ((-24, 150), (-12, 166), (2, 181), (17, 193), (33, 203)),
}


def draw_cap(sketch: Sketch) -> None:
    {"baseball": _draw_baseball_cap, "beanie": _draw_beanie, "bucket": _draw_bucket_hat}[sketch.garment.cut](sketch)


def _draw_baseball_cap(sketch: Sketch) -> None:
    """A cap from the side, its peak to the right."""
    sketch.part(path((-100, 214), (-104, 240), (-60, 250), (-52, 226)), plain=True, tone=-0.4)
    outline = path(
        (-98, 234),
        (-108, 150, -62, 94, -6, 94),
        (52, 94, 84, 146, 88, 226),
        (20, 246, -46, 238),
        (-50, 214, -78, 218, -82, 240),
    )
    crown = sketch.part(outline, round=1.6)
    crown.line((-8, 95), (-34, 140, -34, 240), width=1.5, alpha=0.6)
    crown.stitch((-12, 95), (-38, 140, -38, 240), alpha=0.45)
    crown.stitch((-4, 95), (-30, 140, -30, 240), alpha=0.45)
    crown.line((-5, 95), (50, 126, 58, 232), width=1.5, alpha=0.55)
    crown.stitch((-1, 95), (54, 126, 62, 232), alpha=0.4)
    crown.line((-96, 222), (-86, 222), width=1.3, alpha=0.4)
    for x, y in ((-58, 142), (10, 128)):  # eyelets
        crown.area(oval(x, y, 3.6, 3.6), mix(sketch.base, HOLE, 0.35))
        crown.area(oval(x, y, 1.9, 1.9), mix(sketch.base, HOLE, 0.75))
    crown.fold((-90, 170), (-66, 190, -56, 228), width=14, strength=0.22)
    crown.fold((74, 170), (62, 196, 66, 228), width=12, strength=0.2)
    crown.print_spot = (12, 184, 27)
    below = path((20, 238), (80, 236, 150, 268), (152, 276, 140, 274), (80, 256, 20, 246))
    sketch.part(below, tone=-0.5, plain=True, lift=0.1)
    outline = path((2, 240), (40, 212, 88, 220), (128, 226, 152, 262), (156, 272, 146, 271), (90, 244, 2, 244))
    peak = sketch.part(outline, lift=0.5, round=1.2, plain=True)
    for d in (0, 7, 14):
        peak.stitch((20, 238 - d), (88, 230 - d, 142 - d, 262 - d * 1.4), alpha=0.4)
    sketch.part(oval(-6, 93, 8.5, 5.5), plain=True, lift=0.3, round=1.2)


def _draw_beanie(sketch: Sketch) -> None:
    sketch.texture = "knit"
    dome = sketch.part(symmetric((0, 92), (64, 92, 96, 150, 97, 240), (60, 262, 0, 262)), round=1.6)
    for t in np.linspace(-0.9, 0.9, 13):
        dome.line((t * 18, 94), (t * 96, 140, t * 99, 250), width=1.3, alpha=0.3)
    for x in (-64, -30, 8, 46, 74):
        dome.fold((x * 0.3, 104), (x, 150, x * 1.02, 228), width=12, strength=0.18)
    outline = symmetric((0, 226), (56, 226, 101, 214), (104, 240, 100, 276), (56, 292, 0, 292))
    cuff = sketch.part(outline, plain=True, lift=0.55, round=1.3)
    cuff.ribs(path((-101, 214), (0, 238, 101, 214)), path((-100, 276), (0, 306, 100, 276)), 34, alpha=0.38)
    leather = mix((150, 104, 66), sketch.base, 0.1)
    patch = sketch.part([(-17, 246), (17, 246), (17, 272), (-17, 272)], fill=leather, round=0.4)
    patch.stitch((-14, 249), (14, 249), (14, 269), (-14, 269), (-14, 249), ink=WHITE, alpha=0.7)
    if sketch.vary(0, 1) < 0.5:
        pompon = [
            (x * (1 + 0.05 * np.sin(7 * i)), 78 + (y - 78) * (1 + 0.05 * np.cos(5 * i)))
            for i, (x, y) in enumerate(oval(0, 78, 31, 29))
        ]
        sketch.part(pompon, plain=sketch.vary(0, 1) < 0.5, lift=0.4, round=1.6, texture="fur")


def _draw_bucket_hat(sketch: Sketch) -> None:
    outline = symmetric((0, 110), (38, 110, 60, 114), (72, 122, 84, 210), (50, 226, 0, 226))
    crown = sketch.part(outline, round=1.4)
    crown.line((-62, 117), (0, 132, 62, 117), width=1.4, alpha=0.55)
    crown.stitch((-63, 121), (0, 136, 63, 121), alpha=0.4)
    crown.line((0, 125), (0, 224), width=1.3, alpha=0.35)
    crown.print_spot = (0, 176, 27)
    outline = symmetric((0, 218), (50, 218, 82, 202), (112, 226, 132, 268), (128, 282, 112, 284), (60, 298, 0, 298))
    brim = sketch.part(outline, lift=0.45, round=1.1)
    for i in range(5):
        y, x = 232 + i * 14, 92 + i * 8
        brim.stitch((-x, y - 8), (0, y + 14, x, y - 8), alpha=0.35)
    for flip in (-1, 1):
        brim.fold((flip * 96, 226), (flip * 104, 250, flip * 112, 280), width=14, strength=0.22)


def draw_handbag(sketch: Sketch) -> None:
    sketch.texture = "leather"
    metal = GOLD if sketch.vary(0, 1) < 0.65 else METAL
    cuts = {"tote": _draw_tote, "shoulder": _draw_shoulder_bag, "bucket": _draw_bucket_bag}
    cuts[sketch.garment.cut](sketch, metal)


def _draw_tote(sketch: Sketch, metal: Color) -> None:
    sketch.part(arch(150, 42, 94, 7), plain=True, tone=-0.35, lift=0.15)
    sketch.part(symmetric((0, 138), (86, 138), (90, 160), (0, 160)), plain=True, tone=-0.5, lift=0.0)
    outline = symmetric((0, 146), (88, 146), (92, 152), (102, 322), (102, 334, 90, 334), (0, 336))
    bag = sketch.part(outline, round=1.2)
    bag.stitch((-88, 154), (88, 154), alpha=0.5)
    bag.line((-98, 296), (98, 296), width=1.4, alpha=0.5)
    bag.stitch((-98, 300), (98, 300), alpha=0.45)
    for flip in (-1, 1):
        bag.fold((flip * 84, 160), (flip * 80, 220, flip * 90, 300), width=14, strength=0.2)
    bag.print_spot = (0, 238, 42)
    sketch.part(arch(166, 46, 112, 8), plain=True, lift=0.5, round=1.2)
    outline = [(37, 158), (55, 158), (53, 190), (46, 196), (39, 190)]
    for tab in sketch.pair(outline, plain=True, lift=0.4, tone=-0.05):
        tab.area(oval(46, 180, 3.4, 3.4), metal)
        tab.stitch((40, 161), (52, 161), alpha=0.5)


def _draw_shoulder_bag(sketch: Sketch, metal: Color) -> None:
    strap = path((-80, 206), (-70, 30, 0, 30), (70, 30, 80, 206))
    inner = path((-72, 206), (-62, 40, 0, 40), (62, 40, 72, 206))
    sketch.part([*strap, *inner[::-1]], plain=True, lift=0.2, tone=-0.08, round=1.2)
    outline = symmetric((0, 192), (82, 190), (96, 192, 98, 206), (104, 270, 102, 312), (100, 334, 78, 335), (0, 337))
    bag = sketch.part(outline, round=1.4)
    bag.stitch((-94, 318), (-92, 329, -76, 330), (76, 330), (92, 329, 94, 318), alpha=0.45)
    outline = symmetric((0, 190), (84, 188), (97, 190, 99, 206), (101, 244), (94, 276, 60, 282), (0, 290))
    flap = sketch.part(outline, lift=0.6, round=1.3)
    seam = (-96, 212), (-97, 242), (-90, 270, -58, 276), (0, 284), (58, 276), (90, 270, 97, 242), (96, 212)
    flap.stitch(*seam, alpha=0.5)
    clasp = sketch.part([(-15, 272), (15, 272), (15, 292), (-15, 292)], fill=metal, lift=0.5)
    clasp.line((-8, 282), (8, 282), width=3.0, ink=mix(metal, (60, 40, 20), 0.6), alpha=0.9)
    for ring in sketch.pair(oval(76, 200, 9, 9), fill=metal, round=1.2):
        ring.area(oval(76, 200, 5, 5), mix(sketch.base, HOLE, 0.4))


def _draw_bucket_bag(sketch: Sketch, metal: Color) -> None:
    strap = path((-62, 170), (-84, 40, 10, 34), (84, 40, 64, 170))
    inner = path((-54, 170), (-70, 50, 8, 43), (72, 48, 56, 170))
    sketch.part([*strap, *inner[::-1]], plain=True, lift=0.2, tone=-0.08, round=1.2)
    sketch.part(symmetric((0, 128), (40, 126, 66, 136), (68, 150), (0, 156)), tone=-0.5, plain=True)
    outline = symmetric(
        (0, 148),
        (40, 148, 66, 136),
        (70, 150),
        (60, 168, 66, 186),
        (92, 240, 88, 314),
        (86, 334, 60, 337),
        (0, 340),
    )
    bag = sketch.part(outline, round=1.6)
    for t in (-0.8, -0.5, -0.2, 0.12, 0.42, 0.72):  # gathered below and above the tie
        bag.fold((t * 62, 168), (t * 74, 210, t * 84, sketch.vary(230, 268)), width=10, strength=0.34)
        bag.fold((t * 62, 166), (t * 66, 154, t * 66, 142), width=8, strength=0.3)
    bag.line((-88, 306), (0, 318, 88, 306), width=1.4, alpha=0.55)
    bag.stitch((-88, 310), (0, 322, 88, 310), alpha=0.45)
    bag.print_spot = (0, 256, 38)
    outline = symmetric((0, 170), (36, 170, 63, 164), (62, 172), (36, 178, 0, 178))
    tie = sketch.part(outline, plain=True, tone=-0.15)
    tie.line((-60, 171), (0, 178, 60, 171), width=1.0, alpha=0.3)
    for x, y in ((-9, 222), (11, 214)):
        cord = sketch.part(ribbon(path((0, 174), (x * 0.4, 196, x, y)), 2), plain=True, tone=-0.12)
        cord.area([(x - 2.4, y - 9), (x + 2.4, y - 9), (x + 2.4, y), (x - 2.4, y)], metal)


def draw_sneakers(sketch: Sketch) -> None:
    sketch.vertical = True
    down = 8 if sketch.garment.cut == "high" else 0
    for dx, dy in ((8, -62), (-8, 44)):
        first = len(sketch.parts)
        _draw_shoe(sketch)
        for part in sketch.parts[first:]:
            part.move(dx, dy + down)


def _draw_shoe(sketch: Sketch) -> None:
    cut, base, light = sketch.garment.cut, sketch.base, luma(sketch.base)
    laced, high = cut != "slip-on", cut == "high"
    ankle = 128 if high else 172
    sole = WHITE
    if light >= 225:
        sole = mix(WHITE, (200, 176, 140), 0.45)
        sketch.rng.random()  # decides nothing, but light shoes would be drawn differently without it
    lining = mix(base, WHITE, 0.55) if light < 200 else mix(base, (120, 116, 120), 0.4)
    if laced:
        tongue = path((-44, ankle + 2), (-20, ankle - 6), (0, ankle - 14, 8, ankle - 4), (22, 196, 40, 214), (-30, 220))
        sketch.part(tongue, plain=True, tone=-0.1, lift=0.2)
    inside = path(
        (-110, ankle - 2), (-96, ankle - 8, -80, ankle - 2), (-40, ankle + 4, -14, ankle + 2), (0, 212), (-100, 214)
    )
    sketch.part(inside, fill=lining, tone=-0.35, lift=0.0)
    upper = sketch.part(path(*UPPERS[cut]), lift=0.5, round=1.5)
    upper.fold((34, 214), (42, 228, 36, 242), width=7, strength=0.22)
    upper.line((40, 206), (60, 226, 52, 256), width=1.5)
    upper.stitch((43.5, 207), (63.5, 227, 55.5, 256), alpha=0.5)
    heel = path((-117, 250), (-122, 206, -111, 150 if high else 172), (-94, 186, -84, 222), (-80, 240, -80, 254))
    panel = sketch.part(heel, plain=True, lift=0.25, tone=-0.08)
    panel.stitch(*shift(heel[15:], -4, 1), alpha=0.5)
    if laced:
        _draw_laces(sketch)
        toe = path((72, 212), (125, 218, 125, 252), (84, 258), (88, 232, 66, 213))
        fill, tone = (sole, 0.0) if high else (None, -0.04)
        cap = sketch.part(toe, fill=fill, plain=True, lift=0.25, round=1.3, tone=tone)
        cap.stitch((63, 212), (84, 232, 80, 258), alpha=0.5)
    else:
        outline = path((-68, 189), (-52, 188, -38, 178), (-34, 200, -46, 222), (-60, 214, -68, 189))
        gore = sketch.part(outline, fill=mix(base, GORE, 0.42), lift=0.2, round=0.6)
        gore.ribs(path((-68, 190), (-50, 186, -38, 178)), path((-56, 214), (-50, 220, -45, 222)), 6, alpha=0.5)
    outline = path(
        (-120, 240),
        (-60, 252, 0, 251),
        (70, 250, 126, 240),
        (134, 254, 126, 264),
        (120, 270, 100, 270),
        (-104, 270),
        (-124, 270, -120, 240),
    )
    bottom = sketch.part(outline, fill=sole, lift=0.3, round=0.9)
    stripe = sketch.second if sketch.garment.second else base
    bottom.line((-120, 247), (-60, 258, 0, 257.5), (70, 257, 129, 248), width=1.3, ink=stripe, alpha=0.75)
    bottom.line((-122, 267), (126, 267), width=3.0, ink=(150, 148, 146), alpha=0.55)


def _draw_laces(sketch: Sketch) -> None:
    """The eyelets, the laces, and the badge beside them."""
    cut, base, light = sketch.garment.cut, sketch.base, luma(sketch.base)
    stay = sketch.part(path(*EYESTAYS[cut]), plain=True, lift=0.3, tone=-0.06)
    ink = WHITE if light < 215 else mix(base, (90, 90, 100), 0.45)
    for x, y in EYELETS[cut]:
        outline = [(x - 7.5, y + 6.6), (x + 7, y - 6), (x + 11, y - 2.4), (x - 4.5, y + 11.4)]
        sketch.part(outline, fill=ink, lift=0.3)
        stay.area(oval(x - 6, y + 9, 2.6, 2.6), mix(base, GORE, 0.6))
    contrast = WHITE if light < 200 else mix(base, (110, 100, 110), 0.5)
    accent = sketch.second if sketch.garment.second else contrast
    if cut == "high":
        badge = sketch.part(oval(-78, 172, 15, 15), fill=accent, lift=0.2)
        badge.stitch(*oval(-78, 172, 11, 11), alpha=0.5)
    elif sketch.garment.pattern == "plain":
        sketch.part(path((-66, 224), (-36, 246, 14, 220), (-26, 262, -64, 236)), fill=accent, lift=0.2)
