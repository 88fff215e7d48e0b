"""Recipe -> encoder folder, on PyTorch and Lightning (extra `train`)."""

from importlib.util import find_spec

from focusedfashion.errors import MissingExtra

if any(
    find_spec(package) is None
    for package in ("lightning", "onnxscript", "safetensors", "scipy", "tensorboard", "timm", "torch", "torchvision")
):
    raise MissingExtra("training", "train")

from focusedfashion.encoders.hub_networks import declare_operators

declare_operators()
