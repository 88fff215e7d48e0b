"""What freezing the first stages of the backbone saves: training steps on random pictures, side by side.

    python benchmarks/freezing.py

Prints pictures a second (medians of three rounds, the variants taking turns) and the ratio to nothing frozen.
"""

import os
import statistics
import time

import torch

from focusedfashion.training.network import Network
from focusedfashion.training.recipe import find_recipe, load_recipe

VARIANTS = {"nothing": [], "stem, stages 0-1": ["conv_stem", "bn1", "blocks.0", "blocks.1"]}
BATCH, STEPS = 96, 5


def main() -> None:
    import timm

    recipe = load_recipe(find_recipe("builtin"))
    labels = {group: ["one", "other"] for group in recipe.heads}
    steps = {}
    for name, frozen in VARIANTS.items():
        backbone = timm.create_model(recipe.backbone, pretrained=False, num_classes=0)
        for part in frozen:
            backbone.get_submodule(part).requires_grad_(False)
        config = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
        network = Network(recipe, labels, backbone, config)
        if not frozen:
            network.requires_grad_(True)
            network._frozen.clear()
        steps[name] = network.train()
    pictures = torch.rand(BATCH, 3, recipe.height, recipe.width).mul(255).to(memory_format=torch.channels_last)
    rates: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(4):  # the first round warms up
        for name, network in steps.items():
            start = time.perf_counter()
            for _ in range(STEPS):
                with torch.autocast("cpu", torch.bfloat16):
                    _, logits = network.forward_float(pictures)
                    sum(values.float().pow(2).mean() for values in logits.values()).backward()
            rates[name].append(BATCH * STEPS / (time.perf_counter() - start))
    base = statistics.median(rates["nothing"][1:])
    print(f"{torch.get_num_threads()} threads of {os.cpu_count()}, bfloat16, {recipe.width} x {recipe.height} px")
    for name, values in rates.items():
        rate = statistics.median(values[1:])
        print(f"{name:20} {rate:6.0f} pictures a second   {rate / base:.2f}")


if __name__ == "__main__":
    main()
