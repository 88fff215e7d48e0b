"""Silhouettes: which function lays out which category."""

from __future__ import annotations

from collections.abc import Callable

from focusedfashion.sources.samples.accessories import draw_cap, draw_handbag, draw_sneakers
from focusedfashion.sources.samples.bottoms import draw_shorts, draw_skirt, draw_trousers
from focusedfashion.sources.samples.dresses import draw_dress
from focusedfashion.sources.samples.garments import Garment
from focusedfashion.sources.samples.jackets import draw_jacket
from focusedfashion.sources.samples.sketches import Sketch
from focusedfashion.sources.samples.tops import (
    draw_hoodie,
    draw_long_sleeve_top,
    draw_shirt,
    draw_sweater,
    draw_t_shirt,
    draw_tank_top,
)

SILHOUETTES: dict[str, Callable[[Sketch], None]] = {
    "t-shirt": draw_t_shirt,
    "tank top": draw_tank_top,
    "long-sleeve top": draw_long_sleeve_top,
    "shirt": draw_shirt,
    "sweater": draw_sweater,
    "hoodie": draw_hoodie,
    "jacket": draw_jacket,
    "dress": draw_dress,
    "skirt": draw_skirt,
    "trousers": draw_trousers,
    "shorts": draw_shorts,
    "cap": draw_cap,
    "handbag": draw_handbag,
    "sneakers": draw_sneakers,
}


def sketch_garment(garment: Garment) -> Sketch:
    sketch = Sketch(garment)
    SILHOUETTES[garment.category](sketch)
    return sketch
