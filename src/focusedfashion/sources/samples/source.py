"""Samples as a source: drawn garments as items, or written as a folder with a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from focusedfashion.errors import SourceError
from focusedfashion.items import Item
from focusedfashion.sources.samples.garments import Garment, list_garments
from focusedfashion.sources.samples.scenes import draw_garment

BRANDS = ("Nordlys", "Atelier Mio", "Fjord & Field", "Casa Lume", "Oak Street", "Velin", "Kobalt")

PRICES = {  # EUR, from and to
    "t-shirt": (12, 40),
    "tank top": (9, 30),
    "long-sleeve top": (15, 50),
    "shirt": (25, 90),
    "sweater": (30, 130),
    "hoodie": (30, 95),
    "jacket": (60, 260),
    "dress": (35, 180),
    "skirt": (25, 110),
    "trousers": (30, 140),
    "shorts": (18, 70),
    "cap": (12, 45),
    "handbag": (35, 240),
    "sneakers": (45, 160),
}

COLUMNS = ("category", "cut", "color", "pattern", "gender")  # of a garment, as a sample's own columns

NOUNS = {("sweater", "cardigan"): "", ("cap", "beanie"): "", ("cap", "bucket"): "hat"}  # in titles; else the category


def read_samples(count: int, seed: int = 0) -> Iterator[Item]:
    """`count` drawn garments as items, one by one; `picture` holds a WebP picture, `columns` what was drawn."""
    for number, garment in enumerate(list_garments(count, seed), 1):
        rng = np.random.default_rng([garment.seed, 3])
        low, high = PRICES[garment.category]
        buffer = io.BytesIO()
        Image.fromarray(draw_garment(garment, seed=seed)).save(buffer, "WEBP", quality=90, method=2)
        yield Item(
            item_id=f"sample-{number:04d}",
            image=f"pictures/sample-{number:04d}.webp",
            title=_compose_title(garment),
            brand=BRANDS[int(rng.integers(len(BRANDS)))],
            price=float(round(rng.uniform(low, high))) - 0.05,
            currency="EUR",
            columns={name: getattr(garment, name) for name in COLUMNS},
            picture=buffer.getvalue(),
        )


def _compose_title(garment: Garment) -> str:
    """For example "Women's navy blue checked midi a-line dress"."""
    owner = {"women": "Women's", "men": "Men's"}.get(garment.gender, "")
    pattern = "" if garment.pattern == "plain" else garment.pattern
    noun = NOUNS.get((garment.category, garment.cut), garment.category)
    title = " ".join(word for word in (owner, garment.color, pattern, garment.cut, noun) if word)
    return title[0].upper() + title[1:]


def write_samples(folder: Path, count: int, seed: int = 0) -> Path:
    """Write `count` samples as `folder/pictures/*.webp` and `folder/samples.csv`; returns the CSV's path."""
    pictures = folder / "pictures"
    try:
        pictures.mkdir(parents=True, exist_ok=True)
        path = folder / "samples.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(["id", "image", "title", "brand", "price", "currency", *COLUMNS])
            for item in read_samples(count, seed):
                if isinstance(item.picture, bytes):
                    (folder / item.image).write_bytes(item.picture)
                own = (item.item_id, item.image, item.title, item.brand, f"{item.price:.2f}", item.currency)
                table.writerow([*own, *item.columns.values()])
    except OSError as error:
        raise SourceError(f"cannot write samples to {folder}: {error.strerror or error}") from error
    return path
