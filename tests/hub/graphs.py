"""A network's own ONNX files, as the hub has them: exported from the tiny networks, in the layouts of real ones."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import onnx
from networks import SIDE, TOKENS, torch


class Both(torch.nn.Module):  # type: ignore[misc]
    """All in one graph, as FashionCLIP's."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: Any, pixel_values: Any, attention_mask: Any) -> Any:
        found = self.network(input_ids=input_ids, pixel_values=pixel_values, attention_mask=attention_mask)
        return found.logits_per_image, found.logits_per_text, found.text_embeds, found.image_embeds


class Tower(torch.nn.Module):  # type: ignore[misc]
    """One side, as FashionSigLIP's and DINOv2's."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, entry: Any) -> Any:
        found = self.network(entry)
        return found.last_hidden_state, found.pooler_output


def save_graph(
    module: Any, example: tuple[Any, ...], inputs: list[str], outputs: list[str], file: Path, beside: bool = False
) -> Path:
    """Exports to ONNX by the older exporter, as the hub's; `beside` puts the weights into a file of their own."""
    file.parent.mkdir(exist_ok=True)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        axes = {name: {0: f"{name}_batch"} for name in inputs}
        torch.onnx.export(
            module.eval(), example, str(file), input_names=inputs, output_names=outputs, dynamic_axes=axes, dynamo=False
        )
    if beside:
        options = {"save_as_external_data": True, "size_threshold": 0, "convert_attribute": False}
        onnx.save(onnx.load(file), file, location=f"{file.name}_data", **options)
    return file


def add_both(folder: Path, network: Any) -> None:
    example = (torch.zeros(2, TOKENS, dtype=torch.int64), torch.zeros(2, 3, SIDE, SIDE))
    example += (torch.ones(2, TOKENS, dtype=torch.int64),)
    outputs = ["logits_per_image", "logits_per_text", "text_embeds", "image_embeds"]
    save_graph(
        Both(network), example, ["input_ids", "pixel_values", "attention_mask"], outputs, folder / "onnx/model.onnx"
    )


def add_towers(folder: Path, network: Any, beside: bool = False) -> None:
    pictures, texts = torch.zeros(2, 3, SIDE, SIDE), torch.zeros(2, TOKENS, dtype=torch.int64)
    outputs = ["last_hidden_state", "pooler_output"]
    file = folder / "onnx/vision_model.onnx"
    save_graph(Tower(network.vision_model), (pictures,), ["pixel_values"], outputs, file, beside)
    file = folder / "onnx/text_model.onnx"
    save_graph(Tower(network.text_model), (texts,), ["input_ids"], outputs, file, beside)


def add_tower(folder: Path, network: Any) -> None:
    """With the last layer's output only, as the first ones of DINOv2."""
    pictures = torch.zeros(2, 3, 28, 28)
    file = folder / "onnx/model.onnx"
    save_graph(Tower(network), (pictures,), ["pixel_values"], ["last_hidden_state", "pooler_output"], file)
    model = onnx.load(file)
    del model.graph.output[1]
    onnx.save(model, file)
