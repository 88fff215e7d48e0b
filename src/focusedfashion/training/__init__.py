"""Recipe -> encoder folder, on PyTorch and Lightning (extra `train`)."""

from importlib.util import find_spec
from typing import Any

from focusedfashion.errors import MissingExtra

if any(
    find_spec(package) is None
    for package in ("lightning", "onnxscript", "safetensors", "scipy", "tensorboard", "timm", "torch", "torchvision")
):
    raise MissingExtra("training", "train")

import torch


def _declare_operators() -> None:
    """Lets torchvision load beside a CPU build of torch.

    The torchvision of the package registry is built for CUDA; beside a CPU build of torch its compiled operators are
    not there, and its import fails although nothing here uses them (timm and torchmetrics import it). Declaring the
    two that it asks for by name is enough.
    """
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        globals()["_operators"] = library  # the declarations live as long as this object


_declare_operators()
