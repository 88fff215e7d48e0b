"""Garments drawn by our own code: their type, cut, color and pattern are known because they were asked for.

One drawing goes four steps, and the modules stand in that order; each imports only what stands above it:

    colors, garments          what is to be drawn
    outlines, sketches        a silhouette lays out parts (body, sleeves, collar, ...): outlines with seams and folds
      torsos, tops, jackets, dresses, bottoms, accessories
      silhouettes             garment -> sketch
    planes, patterns, cloth   the cloth is woven: a color, or a swatch of a pattern
    painting                  each part is cut out of the cloth, shaded, and laid over the parts before it
    grounds, scenes           the whole is set into a scene: draw_garment
    source                    the drawings as items with a title, a brand and a price
"""

from __future__ import annotations

from focusedfashion.sources.samples.colors import COLORS
from focusedfashion.sources.samples.garments import CATEGORIES, CUTS, PATTERNS, Garment, list_garments
from focusedfashion.sources.samples.scenes import draw_garment
from focusedfashion.sources.samples.source import read_samples, write_samples

__all__ = [
    "CATEGORIES",
    "COLORS",
    "CUTS",
    "PATTERNS",
    "Garment",
    "draw_garment",
    "list_garments",
    "read_samples",
    "write_samples",
]
