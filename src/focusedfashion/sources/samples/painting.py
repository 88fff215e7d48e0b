"""Painting: parts are cut out of the cloth, shaded, and laid over each other.

Masks are drawn larger than the picture and reduced, which smooths the edges; everything that is blurred is blurred at
half the resolution, which keeps a picture at about 15 ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from focusedfashion.sources.samples.cloth import Box, Cloth, weave_texture
from focusedfashion.sources.samples.colors import Color, mix
from focusedfashion.sources.samples.garments import Garment
from focusedfashion.sources.samples.outlines import Point, dashes, find_scale
from focusedfashion.sources.samples.planes import Floats, to_ink, to_planes
from focusedfashion.sources.samples.silhouettes import sketch_garment
from focusedfashion.sources.samples.sketches import Fold, Mark, Part, Sketch

SMOOTHING = 3  # masks are drawn this many times larger
LINING = 2  # and seams this many times
SHADOW = np.array([0.80, 0.77, 0.72], np.float32)[:, None, None]  # takes away a little less of the blue


def paint_garment(garment: Garment, width: int, height: int) -> Floats:
    """The garment alone: float32 (4, height, width), color multiplied by alpha, 0..255 and 0..1."""
    sketch = sketch_garment(garment)
    # Fill the picture, whatever the garment's size
    points = np.array([point for part in sketch.parts for point in part.points])
    low, high = points.min(0), points.max(0)
    stretch = np.array([sketch.vary(0.965, 1.03), sketch.vary(0.97, 1.02)])
    wanted = np.array([272.0, 352.0]) * sketch.vary(0.92, 1.0)
    scale = find_scale(width, height) * min(1.35, float((wanted / ((high - low) * stretch)).min()))
    matrix = np.array([scale * stretch, np.array([width, height]) / 2 - (low + high) / 2 * scale * stretch])
    cloth = Cloth(sketch, scale, (width, height))
    canvas = np.zeros((4, height, width), np.float32)
    for part in sketch.parts:
        window = _open_window(part, matrix, scale, width, height)
        if min(window.size) >= 2:
            _paint(canvas, part, window, sketch, cloth)
    return canvas


@dataclass(frozen=True, slots=True)
class _Window:
    """The box of the canvas that a part is painted in, and the way from garment units into it."""

    box: Box
    matrix: NDArray[np.float64]  # (2, 2): the scale and then the shift of x and y that lead to the canvas's pixels
    scale: float  # px per garment unit

    @property
    def size(self) -> tuple[int, int]:
        left, top, right, bottom = self.box
        return right - left, bottom - top

    @property
    def area(self) -> float:
        """In square units."""
        return self.size[0] * self.size[1] / (self.scale * self.scale)

    def place(self, points: Sequence[Point], zoom: float) -> list[Point]:
        """Where points lie in a sheet that is `zoom` times as large as the window."""
        placed = ((np.asarray(points) * self.matrix[0] + self.matrix[1]) - self.box[:2]) * zoom
        return [(x, y) for x, y in placed.tolist()]


def _open_window(part: Part, matrix: NDArray[np.float64], scale: float, width: int, height: int) -> _Window:
    outline = np.asarray(part.points) * matrix[0] + matrix[1]
    margin = max(4, round(5 * scale))
    low, high = outline.min(0), outline.max(0)
    left, top = max(0, int(low[0]) - margin), max(0, int(low[1]) - margin)
    # Even sides, since the shading works at half the resolution
    right = min(width, left + 2 * -(-(int(high[0]) + margin + 1 - left) // 2))
    bottom = min(height, top + 2 * -(-(int(high[1]) + margin + 1 - top) // 2))
    return _Window((left, top, right, bottom), matrix, scale)


def _paint(canvas: Floats, part: Part, window: _Window, sketch: Sketch, cloth: Cloth) -> None:
    """Lay one part over the canvas."""
    (left, top, right, bottom), (width, height), scale = window.box, window.size, window.scale
    sheet = Image.new("L", (width * SMOOTHING, height * SMOOTHING))
    ImageDraw.Draw(sheet).polygon(window.place(part.points, SMOOTHING), fill=255)
    mask = sheet.reduce(SMOOTHING)
    half = mask.reduce(2)
    soft = _blur(half, 1.8 * scale)

    shade = _shade(part, half, soft, window, sketch)
    light = np.asarray(Image.fromarray(shade).resize((width, height), Image.Resampling.BILINEAR))
    if part.fill is None and window.area > 400:
        light = light + weave_texture(part.texture or sketch.texture, max(canvas.shape))[top:bottom, left:right]
    light = np.clip(light, -0.95, 0.6)
    bright = 0.5 * np.maximum(light, 0)  # light mixes white in, shadow takes color away
    color = cloth.cut(part, window.box, window.matrix)
    color = color * (1 - bright + np.minimum(light, 0) * SHADOW)
    color += 255 * bright

    seam = sketch.ink if part.fill is None else mix(part.fill, (40, 36, 44), 0.5)
    if part.marks:
        drawn = _draw_marks(part.marks, seam, window)
        color *= 1 - drawn[3] / 255
        color += drawn[:3]
    rim = np.asarray(mask.filter(ImageFilter.BoxBlur(max(0.8, 0.9 * scale))), np.float32) / 255
    rim = np.clip((0.97 - rim) * 1.5, 0, 0.62)
    color *= 1 - rim
    color += to_ink(seam) * rim

    area = canvas[:, top:bottom, left:right]
    if part.lift:
        drop = Image.fromarray(soft).resize((width, height), Image.Resampling.BILINEAR, box=(0, 0, *half.size))
        step = max(1, round(1.6 * scale))
        area[:3, step:] *= 1 - part.lift * np.asarray(drop)[: height - step]
    alpha = np.asarray(mask, np.float32) / 255
    area *= 1 - alpha
    color *= alpha
    area[:3] += color
    area[3] += alpha


def _blur(image: Image.Image, radius: float) -> Floats:
    blurred = np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), np.float32)
    return np.asarray(blurred / 255, np.float32)


def _shade(part: Part, half: Image.Image, soft: Floats, window: _Window, sketch: Sketch) -> Floats:
    """Light and dark at half the resolution, around 0: a light from the upper left, dark edges, folds, unevenness."""
    scale = window.scale
    gy, gx = np.gradient(_blur(half, 6.5 * scale))
    size = min(1.0, min(window.size) / (70 * scale))  # small parts bulge less
    shade = part.round * size * (7.0 * scale) * (0.55 * gx + 0.8 * gy) * 0.75
    shade -= 0.30 * np.clip(1 - (soft - 0.5) * 2, 0, 1) * (0.4 + 0.6 * size)
    shade += part.tone
    if window.area > 2_500:
        rows, columns = shade.shape
        bumps = sketch.rng.normal(0, 0.05, (max(3, rows // 28), max(3, columns // 20))).astype(np.float32)
        shade += np.asarray(Image.fromarray(bumps).resize((columns, rows), Image.Resampling.BICUBIC))
    if part.folds:
        shade += _draw_folds(part.folds, half.size, window)
    return np.asarray(shade, np.float32)


def _draw_folds(folds: Sequence[Fold], size: tuple[int, int], window: _Window) -> Floats:
    """Folds as tapered strokes, -1..1: a dark one, and a light one beside it."""
    sheet = Image.new("L", size, 128)
    draw = ImageDraw.Draw(sheet)
    for fold in folds:
        line = np.asarray(window.place(fold.points, 0.5), np.float32)
        if len(line) == 2:
            line = line[:1] + (line[1:] - line[:1]) * np.linspace(0, 1, 12, dtype=np.float32)[:, None]
        along = np.gradient(line, axis=0)
        across = np.stack([-along[:, 1], along[:, 0]], 1) / (np.hypot(along[:, 0], along[:, 1])[:, None] + 1e-6)
        across = across * np.sign(across[:, 1:].sum() + 0.3 * across[:, :1].sum() + 1e-6)  # towards the lower right
        taper = np.sin(np.linspace(0.12, 0.97, len(line)) * np.pi)[:, None] ** 0.8 * fold.width * window.scale * 0.5
        for offset, level in ((-0.55, fold.strength * 0.6), (0.25, -fold.strength)):
            middle = line + across * taper * offset
            upper, lower = middle - across * taper * 0.42, middle + across * taper * 0.42
            stroke = [(x, y) for x, y in np.concatenate([upper, lower[::-1]]).tolist()]
            draw.polygon(stroke, fill=int(128 + 127 * level))
    blurred = np.asarray(sheet.filter(ImageFilter.GaussianBlur(2.1 * window.scale)), np.float32)
    return np.asarray((blurred - 128) / 127, np.float32)


def _draw_marks(marks: Sequence[Mark], seam: Color, window: _Window) -> Floats:
    """Marks as planes (4, height, width), 0..255, color multiplied by alpha."""
    width, height = window.size
    sheet = Image.new("RGBA", (width * LINING, height * LINING), (*seam, 0))
    draw = ImageDraw.Draw(sheet)
    unit = window.scale * LINING
    for mark in marks:
        ink = (*(mark.ink or seam), round(255 * mark.alpha))
        points, thick = window.place(mark.points, LINING), max(1, round(mark.width * unit))
        if not mark.width:
            draw.polygon(points, fill=ink)
        elif mark.dash:
            for dash in dashes(points, mark.dash * unit, mark.dash * unit * 1.7):
                draw.line(dash, fill=ink, width=thick)
        else:
            draw.line(points, fill=ink, width=thick, joint="curve")
    return to_planes(sheet.convert("RGBa").reduce(LINING))
