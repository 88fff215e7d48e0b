"""One photo in, five items out: warm in Python and over HTTP, and as a cold command.

    python benchmarks/one_photo.py [SOURCE] [--photo FILE] [--rounds 20]

SOURCE (2,000 drawn garments without one; a catalog's folder is taken as it is) is the catalog; the photo (a drawn one
without) is saved at 400x533 and at 3000x4000 px, with a camera's noise, as JPEG. Medians of rounds in which all ways
take turns. "Bare imports" is a Python that imports LIBRARIES and does nothing else.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
from machine import describe_machine, median, print_table, take_turns
from PIL import Image

import focusedfashion as ff
from focusedfashion.images import open_image, read_bytes
from focusedfashion.search import find_matches
from focusedfashion.sources.samples import read_samples

SIZES = {"400x533": (400, 533), "12 megapixels": (3000, 4000)}
# The libraries that `focusedfashion search` asks for; what they import in turn comes along.
LIBRARIES = "numpy, PIL.Image, PIL.ImageCms, onnxruntime, pyarrow, pyarrow.compute, lance, filelock, argparse, logging"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", nargs="?", help="what to search: a source or a catalog (default: drawn garments)")
    parser.add_argument("--photo", type=Path, help="a picture to search with (default: a drawn one)")
    parser.add_argument("--rounds", type=int, default=20)
    args = parser.parse_args()
    print(describe_machine())
    with tempfile.TemporaryDirectory(prefix="focusedfashion-") as folder:
        if args.source and Path(args.source, "items.lance").exists():
            catalog = ff.Catalog(args.source)
        else:
            catalog = ff.Catalog(Path(folder, "catalog"))
            catalog.index(ff.read_source(args.source) if args.source else read_samples(2_000))
        photos = {name: save_photo(args.photo, size, Path(folder)) for name, size in SIZES.items()}
        print(f"{catalog.info().items:,} items\n")
        warm(catalog, photos, args.rounds)
        cold(catalog, photos, max(5, args.rounds // 4))


def save_photo(photo: Path | None, size: tuple[int, int], folder: Path) -> Path:
    picture: bytes | Path | None = photo or next(iter(read_samples(1))).picture
    assert isinstance(picture, (bytes, Path))
    image = Image.open(io.BytesIO(read_bytes(picture))).convert("RGB").resize(size, Image.Resampling.BICUBIC)
    noise = np.random.default_rng(1).normal(0, 4, (size[1], size[0], 1))
    path = folder / f"{size[0]}.jpg"
    Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8)).save(path, quality=90)
    return path


def warm(catalog: ff.Catalog, photos: dict[str, Path], rounds: int) -> None:
    encoder, store = catalog.encoder, catalog._store
    with start_server(catalog) as (address, _), httpx.Client(base_url=address) as client:
        ways: dict[str, Callable[[], object]] = {}
        for name, path in photos.items():
            data = path.read_bytes()
            pixels = open_image(data)
            query = encoder.encode_pixels([pixels]).embeddings[0]

            def post(data: bytes = data) -> None:
                client.post("/v1/search", files={"image": data}, data={"k": "5"}).raise_for_status()

            ways |= {
                f"{name}: decode": lambda data=data: open_image(data),  # type: ignore[misc]
                f"{name}: encode": lambda pixels=pixels: encoder.encode_pixels([pixels]),  # type: ignore[misc]
                f"{name}: search": lambda query=query: find_matches(  # type: ignore[misc]
                    store, query, encoder.blocks, encoder.weights, 5
                ),
                f"{name}: Python, all of it": lambda data=data: catalog.search(data, 5),  # type: ignore[misc]
                f"{name}: HTTP, all of it": post,
            }
        take_turns(3, ways)
        seconds = take_turns(rounds, ways)
        print_table(["warm", "ms"], [[name, median(values) * 1e3] for name, values in seconds.items()])


def cold(catalog: ff.Catalog, photos: dict[str, Path], rounds: int) -> None:
    def command(path: Path) -> list[str]:
        return ["search", catalog.path, str(path), "--json"]

    def run(*program: str) -> None:
        subprocess.run([sys.executable, *program], check=True, stdout=subprocess.DEVNULL)

    ways: dict[str, Callable[[], object]] = {
        "bare Python": lambda: run("-c", "pass"),
        "bare imports": lambda: run("-c", f"import {LIBRARIES}"),
    }
    for name, path in photos.items():
        ways[f"{name}: focusedfashion search"] = lambda path=path: run("-m", "focusedfashion", *command(path))  # type: ignore[misc]
    take_turns(1, ways)
    seconds = {name: median(values) for name, values in take_turns(rounds, ways).items()}
    base = seconds["bare imports"]
    print()
    print_table(["cold", "ms", "times the imports"], [[name, s * 1e3, s / base] for name, s in seconds.items()])


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from serving import start_server

    main()
