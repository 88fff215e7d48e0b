"""Outlines: lines and curves in garment units.

x runs from -150 to 150 with the garment's middle at 0, y from 0 (top) to 400. A symmetric part is described by its
right half.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]  # garment units
Step = tuple[float, ...]  # of a path: 2, 4 or 6 numbers

BOARD = (300, 400)  # the width and height that garments are laid out on

_STEPS = [i / 14 for i in range(1, 15)]  # a curve becomes 14 lines
_QUADRATIC = [((1 - t) ** 2, 2 * t * (1 - t), t * t) for t in _STEPS]
_CUBIC = [((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3) for t in _STEPS]


def path(*steps: Step) -> list[Point]:
    """Steps -> points: 2 numbers are a line's end, 4 a quadratic and 6 a cubic Bezier curve (its end comes last)."""
    points: list[Point] = [(steps[0][0], steps[0][1])]
    for step in steps[1:]:
        x0, y0 = points[-1]
        if len(step) == 2:
            points.append((step[0], step[1]))
        elif len(step) == 4:
            a, b, x, y = step
            points += [(p * x0 + q * a + r * x, p * y0 + q * b + r * y) for p, q, r in _QUADRATIC]
        else:
            a, b, c, d, x, y = step
            points += [(p * x0 + q * a + r * c + s * x, p * y0 + q * b + r * d + s * y) for p, q, r, s in _CUBIC]
    return points


def mirror(points: Sequence[Point]) -> list[Point]:
    return [(-x, y) for x, y in points]


def shift(points: Sequence[Point], dx: float, dy: float) -> list[Point]:
    return [(x + dx, y + dy) for x, y in points]


def whole(half: Sequence[Point]) -> list[Point]:
    """The outline of a symmetric part from its right half."""
    return [*half, *mirror(half)[::-1]]


def symmetric(*steps: Step) -> list[Point]:
    """The outline of a symmetric part from the steps of its right half."""
    return whole(path(*steps))


def ribbon(line: Sequence[Point], half: float) -> list[Point]:
    """A band along a line that runs down, `half` units to either side."""
    return [*shift(line, -half, 0), *shift(line, half, 0)[::-1]]


def oval(x: float, y: float, rx: float, ry: float) -> list[Point]:
    return [(x + rx * np.cos(t), y + ry * np.sin(t)) for t in np.linspace(0, 2 * np.pi, 28, endpoint=False)]


def arch(y: float, half: float, high: float, width: float) -> list[Point]:
    """A handle: an arch of the given half width and height that stands on y."""
    a, b = half + width / 2, half - width / 2
    outer = path((-a, y), (2 - a, y - high * 1.28, a - 2, y - high * 1.28, a, y))
    inner = path((-b, y), (2 - b, y - (high - width) * 1.28, b - 2, y - (high - width) * 1.28, b, y))
    return [*outer, *inner[::-1]]


def between(a: Point, b: Point, t: float) -> Point:
    return (a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t)


def along(points: Sequence[Point], t: float) -> Point:
    """The point at the share `t` of a line's length."""
    line, lengths = _measure(points)
    where = t * lengths[-1]
    return float(np.interp(where, lengths, line[:, 0])), float(np.interp(where, lengths, line[:, 1]))


def dashes(points: Sequence[Point], dash: float, period: float) -> list[tuple[float, float, float, float]]:
    """A line cut into dashes, one each `period`: x and y of each one's start and end."""
    line, lengths = _measure(points)
    starts = np.arange(0, lengths[-1], period)
    ends = np.minimum(starts + dash, lengths[-1])
    x0, y0, x1, y1 = (np.interp(at, lengths, line[:, axis]).tolist() for at in (starts, ends) for axis in (0, 1))
    return list(zip(x0, y0, x1, y1, strict=True))


def _measure(points: Sequence[Point]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A line as an array (points, 2), and the length from its start to each of its points."""
    line = np.asarray(points, np.float64)
    return line, np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])


def find_scale(width: int, height: int) -> float:
    """Pixels per unit of a picture that shows the whole board."""
    return min(width / BOARD[0], height / BOARD[1])
