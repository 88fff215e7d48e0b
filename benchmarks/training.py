"""Training by a recipe against the same network on tensors that lie in memory, in one run.

    python benchmarks/training.py [RECIPE...] [--data SOURCE --label COLUMN...] [--trainer KEY=VALUE...]

Both ways train the same network with the same optimizer, loss, precision and batch, in turns. "in memory" is a bare
loop over batches of float pictures that are normalized already, nothing else; "train" is what `focusedfashion train`
does: packed pictures read from disk, turned into floats, changed at random where the recipe says so, normalized,
logged. Validation and checkpoints are not counted on either side. Prints pictures per second (medians of the rounds)
and their ratio; without --data the pictures are noise, which costs the same.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
import warnings
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from machine import describe_machine, median, print_table, take_turns

from focusedfashion.training.backbone import NO_WEIGHTS, load_backbone
from focusedfashion.training.data import Packed
from focusedfashion.training.labelled import pack_source
from focusedfashion.training.loading import Rows
from focusedfashion.training.module import Module
from focusedfashion.training.network import Network
from focusedfashion.training.recipe import Recipe, find_recipe, load_recipe
from focusedfashion.training.trainer import make_trainer, parse_wishes

LABELS = 149  # of noise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", default=["jessica-5", "jessica-7", "mary-2"], metavar="RECIPE")
    parser.add_argument("--data", metavar="SOURCE", help="train on its pictures (default: noise)")
    parser.add_argument("--label", action="append", default=[], metavar="COLUMN")
    parser.add_argument("--trainer", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--steps", type=int, default=12, help="batches of a round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    options = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    wishes = parse_wishes(options.trainer)
    print(describe_machine(("torch", "lightning")))
    rows = []
    for name in options.recipes:
        recipe = load_recipe(find_recipe(name))
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder)
            if options.data:
                packed = pack_source(recipe, options.data, options.label, run / "packs")
            else:
                packed = make_noise(recipe, options.steps * recipe.batch, run)
            rows.append([name, recipe.batch, *measure(recipe, packed, wishes, run, options.steps, options.rounds)])
    print_table(["recipe", "batch", "in memory, pictures/s", "train, pictures/s", "ratio", "ratio of rounds"], rows)


def measure(recipe: Recipe, packed: Packed, wishes, run: Path, steps: int, rounds: int) -> list[object]:
    """Pictures per second of both ways, the ratio of the medians, and the least and greatest ratio of a round."""
    torch.manual_seed(recipe.seed)
    steps = min(steps, max(1, len(packed.list_rows("train")) // recipe.batch))
    recipe = replace(recipe, epochs=1, patience=0)
    wishes = {"limit_train_batches": steps, "limit_val_batches": 0} | wishes
    network = Network(recipe, packed.labels, load_backbone(recipe, NO_WEIGHTS)).to(memory_format=torch.channels_last)
    module = Module(recipe, network, packed)
    seconds: dict[str, list[float]] = {"memory": [], "train": []}
    loop = make_loop(recipe, module, packed, steps, wishes)

    def train() -> None:
        # Lightning's own setup is not the rate of training: the module's clock counts epochs.
        module.set_progress({"curves": [], "seconds": 0.0, "training_seconds": 0.0, "pictures": 0})
        trainer = make_trainer(recipe, run, {"enable_progress_bar": False} | wishes)
        trainer.fit(module.train(), datamodule=Rows(packed, recipe))
        seconds["train"].append(module.training_seconds / module.pictures)
        (run / "last.ckpt").unlink()

    def in_memory() -> None:
        pictures, spent = loop()
        seconds["memory"].append(spent / pictures)

    for way in (in_memory, train):
        way()
    seconds = {name: [] for name in seconds}
    take_turns(rounds, {"memory": in_memory, "train": train})
    ratios = [memory / train for memory, train in zip(seconds["memory"], seconds["train"], strict=True)]
    rates = [1 / median(seconds["memory"]), 1 / median(seconds["train"])]
    return [*rates, rates[1] / rates[0], f"{min(ratios):.2f} to {max(ratios):.2f}"]


def make_loop(recipe: Recipe, module: Module, packed: Packed, steps: int, wishes):
    """A function that trains on `steps` batches in memory -> (pictures, seconds)."""
    cuda = torch.cuda.is_available() and wishes.get("accelerator") != "cpu"
    device = torch.device("cuda" if cuda else "cpu")
    chosen = packed.list_rows("train")[: steps * recipe.batch]
    module.to(device)
    batches = []
    for part in np.array_split(chosen, steps):
        pixels = torch.from_numpy(packed.pictures[part]).permute(0, 3, 1, 2).float().to(device)
        pixels = ((pixels - module.network.mean) / module.network.std).contiguous(memory_format=torch.channels_last)
        allowed = {group: torch.from_numpy(table[part]).to(device) for group, table in packed.allowed.items()}
        known = {group: torch.from_numpy(table[part]).to(device) for group, table in packed.known.items()}
        batches.append((pixels, allowed, known))
    parameters = [p for p in module.network.parameters() if p.requires_grad]
    kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    optimizer = kinds[recipe.optimizer](parameters, lr=recipe.learning_rate, fused=True)
    half = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(recipe.precision)

    def loop() -> tuple[int, float]:
        module.to(device).train()
        network = module.network
        count, start = 0, time.perf_counter()
        for pixels, allowed, known in batches:
            with torch.autocast(device.type, half) if half else nullcontext():
                features = network.backbone(pixels).float()
                logits = network._read_blocks(features)[1] if network.blocks else network._read_trunk(features)
                loss = module._weigh(module._count(logits, allowed, known, None))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            count += len(pixels)
        if cuda:
            torch.cuda.synchronize()
        spent = time.perf_counter() - start
        return count, spent

    return loop


def make_noise(recipe: Recipe, count: int, folder: Path) -> Packed:
    """So many pictures of noise on disk for training and a few for validation, each label on one in twenty."""
    random = np.random.default_rng(0)
    total = count + 8
    shape = (total, recipe.height, recipe.width, 3)
    with (folder / "pictures.u8").open("wb") as file:
        for _ in range(total):
            file.write(random.integers(0, 256, shape[1:], np.uint8).tobytes())
    labels = {group: [str(number) for number in range(LABELS)] for group in recipe.heads}
    exclusive = {group for group, head in recipe.heads.items() if head.exclusive}
    truth = {group: random.random((total, LABELS)) < 0.05 for group in labels}
    for group in exclusive:
        truth[group] = np.eye(LABELS, dtype=bool)[random.integers(0, LABELS, total)]
    return Packed(
        np.memmap(folder / "pictures.u8", np.uint8, "r", shape=shape),
        None,
        truth,
        {group: np.ones((total, LABELS), bool) for group in labels if group not in exclusive},
        labels,
        np.array(["noise"] * total),
        np.array([str(number) for number in range(total)]),
        np.array(["train"] * count + ["validation"] * 8),
    )


if __name__ == "__main__":
    main()
