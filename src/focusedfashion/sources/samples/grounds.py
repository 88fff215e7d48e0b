"""Grounds: what a garment lies on or hangs before when a person takes its photo."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from focusedfashion.sources.samples.colors import Color
from focusedfashion.sources.samples.planes import Floats, list_positions, to_ink

Draw = Callable[[np.random.Generator, int, int], Floats]


def draw_ground(rng: np.random.Generator, height: int, width: int) -> Floats:
    """Some ground: float32 (3, height, width), about 0..255."""
    grounds: tuple[Draw, ...] = (
        _draw_wood,
        _draw_wood,
        _draw_sheet,
        _draw_sheet,
        _draw_carpet,
        _draw_wall,
        _draw_table,
        _draw_grass,
    )
    return grounds[int(rng.integers(len(grounds)))](rng, height, width)


def _draw_wood(rng: np.random.Generator, height: int, width: int) -> Floats:
    color = _pick(rng, (178, 132, 88), (148, 104, 68), (206, 172, 128), (108, 76, 54), (188, 176, 158))
    across = rng.random() < 0.5
    if across:
        height, width = width, height
    grain = 0.05 * _cloud(rng, height, width, 5, 70) + 0.035 * _cloud(rng, height, width, 9, 160)
    count = int(rng.integers(4, 8))
    edges = np.linspace(0, width, count + 1).astype(int)
    planks = np.repeat(rng.normal(0, 0.07, count), np.diff(edges)).astype(np.float32)[None]
    ground = color * (1 + grain + planks)
    thick = max(1, width // 200)
    for i, edge in enumerate(edges[1:]):
        ground[:, :, max(0, edge - thick) : edge] *= 0.55
        joint = int(rng.uniform(0, height))
        ground[:, joint : joint + thick, edges[i] : edge] *= 0.6
    return np.asarray(ground.swapaxes(1, 2) if across else ground, np.float32)


def _draw_sheet(rng: np.random.Generator, height: int, width: int) -> Floats:
    color = _pick(
        rng, (232, 230, 226), (206, 214, 226), (226, 212, 200), (180, 190, 186), (236, 222, 226), (120, 132, 156)
    )
    folds = 0.05 * _cloud(rng, height, width, 5, 4)
    folds = folds + 0.03 * _cloud(rng, height, width, int(rng.integers(4, 16)), int(rng.integers(4, 16)))
    y, x = list_positions(height, width)
    for _ in range(3):
        turn, where = rng.uniform(0, np.pi), rng.uniform(-0.8, 0.8)
        away = (np.cos(turn) * x + np.sin(turn) * y - where) * rng.uniform(8, 20)
        folds = folds - 0.08 * away * np.exp(-away * away)
    return np.asarray(color * (1 + folds), np.float32)


def _draw_carpet(rng: np.random.Generator, height: int, width: int) -> Floats:
    color = _pick(rng, (150, 142, 132), (176, 164, 146), (112, 120, 132), (138, 96, 84), (92, 104, 96), (196, 190, 182))
    pile = 0.09 * rng.standard_normal((height, width), np.float32)
    pile = pile + 0.05 * _cloud(rng, height, width, height // 5 + 2, width // 5 + 2)
    return np.asarray(color * (1 + pile + 0.04 * _cloud(rng, height, width, 4, 4)), np.float32)


def _draw_wall(rng: np.random.Generator, height: int, width: int) -> Floats:
    color = _pick(
        rng,
        (226, 222, 214),
        (190, 206, 210),
        (222, 196, 176),
        (172, 188, 168),
        (214, 186, 190),
        (236, 228, 200),
        (120, 138, 150),
    )
    slow = 0.02 * _cloud(rng, height, width, 5, 5)
    fine = 0.012 * _cloud(rng, height, width, height // 3 + 2, width // 3 + 2)
    return np.asarray(color * (1 + slow + fine), np.float32)


def _draw_table(rng: np.random.Generator, height: int, width: int) -> Floats:
    color = _pick(rng, (236, 234, 232), (216, 214, 212), (92, 92, 98), (160, 158, 154))
    veins = _cloud(rng, height, width, 5, 4) + 0.5 * _cloud(rng, height, width, 11, 8)
    lines = 0.16 * np.exp(-np.abs(veins) * 14) * rng.uniform(0.3, 1)
    return np.asarray(color * (1 - lines + 0.02 * _cloud(rng, height, width, 6, 6)), np.float32)


def _draw_grass(rng: np.random.Generator, height: int, width: int) -> Floats:
    color = _pick(rng, (98, 132, 62), (84, 118, 56), (122, 142, 74))
    blades = 0.22 * _cloud(rng, height, width, height // 7 + 2, width // 2 + 2)
    blades = blades + 0.12 * _cloud(rng, height, width, height // 3 + 2, width // 3 + 2)
    patches = _cloud(rng, height, width, 5, 5)
    return np.asarray(color * (1 + blades + 0.07 * patches) + to_ink((8, 2, -2)) * patches, np.float32)


def _cloud(rng: np.random.Generator, height: int, width: int, rows: int, columns: int) -> Floats:
    """Smooth noise around 0 with so many bumps: float32 (height, width)."""
    grid = rng.standard_normal((rows, columns), np.float32)
    return np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC))


def _pick(rng: np.random.Generator, *colors: Color) -> Floats:
    """One of the colors, a little changed: float32 (3, 1, 1)."""
    color = np.array(colors[int(rng.integers(len(colors)))], np.float32)
    return np.asarray(color * rng.uniform(0.92, 1.06) + rng.uniform(-6, 6, 3), np.float32)[:, None, None]
