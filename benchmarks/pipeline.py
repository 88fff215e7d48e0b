"""The pipeline that people use today against ours, on the same files and cores: pictures a second.

    python benchmarks/pipeline.py [FOLDER] [--pictures 256] [--rounds 5]

Theirs: Pillow opens a picture, resizes its shorter side to 224 px (bicubic), crops the middle and normalizes; an image
tower of the size of CLIP's ViT-B/32 embeds 32 at a time, in PyTorch eager under inference_mode, with as many threads as
there are cores. The next pictures are prepared by a thread a core meanwhile. The weights are random: they do not change
the time. Ours: the built-in encoder at its own input size, files in, embeddings out, in threads as `index` has them.
Both are warm, and take turns. FOLDER holds pictures; drawn ones of 300 x 400 px stand in for it.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from machine import count_cores, describe_machine, median, print_table, take_turns
from PIL import Image

import focusedfashion.training  # noqa: F401  before timm: it lets torchvision load beside a CPU build of torch
from focusedfashion import settings
from focusedfashion.encoders import Encoder, load_encoder
from focusedfashion.items import Item
from focusedfashion.sources import read_source
from focusedfashion.sources.samples import write_samples

BATCH = 32
SIDE = 224
MEAN, STD = (np.array(values, np.float32) for values in ((0.481, 0.458, 0.408), (0.269, 0.261, 0.276)))  # CLIP's
REPEATS = 4  # of ours in a round; once would be too short to be timed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--pictures", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    import timm

    cores = count_cores()
    torch.set_num_threads(cores)
    print(describe_machine(("numpy", "pillow", "onnxruntime", "torch", "timm")), flush=True)
    with tempfile.TemporaryDirectory() if options.folder is None else nullcontext(str(options.folder)) as folder:
        if options.folder is None:
            write_samples(Path(folder), options.pictures)
        paths = [item.picture for item in _spread(Path(folder), options.pictures)]
        tower = timm.create_model("vit_base_patch32_224", pretrained=False, num_classes=512).eval()
        encoder = load_encoder()
        with ThreadPoolExecutor(cores) as pool:
            ways = {
                "ViT-B/32, PyTorch eager": lambda: _embed_as_usual(paths, tower, pool),
                f"{encoder.name}, ONNX Runtime": lambda: _embed(paths * REPEATS, encoder, pool),
            }
            _embed_as_usual(paths[:BATCH], tower, pool)
            _embed(paths[:BATCH], encoder, pool)
            seconds = take_turns(options.rounds, ways)
    usual, ours = (np.array(values) for values in seconds.values())
    rates = [len(paths) / usual, REPEATS * len(paths) / ours]
    ratios = rates[1] / rates[0]
    theirs, own = ways
    rows = [
        (theirs, f"{median(rates[0]):.0f}", "1", "", ""),
        (own, f"{median(rates[1]):.0f}", *(f"{value:.1f}" for value in (median(ratios), min(ratios), max(ratios)))),
    ]
    print(f"{len(paths)} pictures, {options.rounds} rounds")
    print_table(("", "pictures a second", "ratio", "lowest", "highest"), rows)


def _spread(folder: Path, count: int) -> list[Item]:
    """So many of a folder's pictures, evenly."""
    items = [item for item in read_source(folder) if isinstance(item, Item)]
    return items[:: max(1, len(items) // count)][:count]


def _embed_as_usual(paths: list[Path], tower: torch.nn.Module, pool: ThreadPoolExecutor) -> None:
    with torch.inference_mode():
        ahead = None
        for part in [*_batches(paths, BATCH), None]:
            prepared = None if part is None else [pool.submit(_prepare, path) for path in part]
            if ahead is not None:
                tower(torch.from_numpy(np.stack([future.result() for future in ahead])))
            ahead = prepared


def _prepare(path: Path) -> np.ndarray:
    """A file -> float32 (3, 224, 224), as CLIP's own preprocessing does it."""
    with Image.open(path) as image:
        rgb = image.convert("RGB")
    scale = SIDE / min(rgb.size)
    rgb = rgb.resize([max(SIDE, round(side * scale)) for side in rgb.size], Image.Resampling.BICUBIC)
    left, top = (rgb.width - SIDE) // 2, (rgb.height - SIDE) // 2
    pixels = np.asarray(rgb.crop((left, top, left + SIDE, top + SIDE)), np.float32) / 255
    return ((pixels - MEAN) / STD).transpose(2, 0, 1)


def _embed(paths: list[Path], encoder: Encoder, pool: ThreadPoolExecutor) -> None:
    for _ in pool.map(encoder.embed, _batches(paths, settings.BATCH_ROWS)):
        pass


def _batches(paths: list[Path], size: int) -> Iterator[list[Path]]:
    rest = iter(paths)
    while batch := list(itertools.islice(rest, size)):
        yield batch


if __name__ == "__main__":
    main()
