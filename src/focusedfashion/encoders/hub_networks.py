"""Networks of transformers, open_clip and timm -> ONNX, where a hub offers none itself (extra `hub-torch`)."""

from __future__ import annotations

import difflib
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focusedfashion import settings
from focusedfashion.encoders.hub_graphs import name_ends, run_graph, save_graph
from focusedfashion.encoders.hub_input import Input
from focusedfashion.encoders.hub_repo import Repo
from focusedfashion.errors import EncoderError, MissingExtra

# Of transformers, by `model_type` of config.json: those with a text side, those without
CLIPS = ("clip", "siglip")
LOOKS = ("dinov2", "dinov2_with_registers", "dinov3_vit", "dinov3_convnext")

_COMPARED = 4  # pictures, and texts, on which ONNX Runtime and PyTorch are compared

_SAID = 300  # characters of a library's error; some list every part of a network

# What a layout's weights lie in, the best first
_WEIGHTS = {
    "transformers": ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"),
    "open_clip": ("open_clip_model.safetensors", "open_clip_pytorch_model.bin"),
    "timm": ("model.safetensors", "pytorch_model.bin"),
}


@dataclass(frozen=True, slots=True)
class Network:
    """A torch module whose `see` and `read` (None without a text side) give what is compared, not yet of norm 1.

    `see` takes float32 (n, 3, height, width), normalized; `read` int64 (n, length).
    """

    module: Any
    see: Callable[[Any], Any]
    read: Callable[[Any], Any] | None


def find_weights(repo: Repo, layout: str) -> list[str]:
    """The files of the weights in this layout; none where there are none."""
    found = next((file for file in _WEIGHTS[layout] if file in repo.files), None)
    if found is None:
        return []
    if found.endswith(".index.json"):
        parts = repo.read_json(found).get("weight_map", {})
        return [found, *sorted(set(map(str, parts.values())))]
    return [found]


def load_transformers(repo: Repo, kind: str) -> Network:
    """A network of transformers; no code of the repository runs. Raises EncoderError, MissingExtra."""
    torch = _import("torch", repo.name)
    transformers = _import("transformers", repo.name)
    folder = repo.fetch(["config.json", *find_weights(repo, "transformers")])
    with _loading(repo.name):
        transformers.utils.logging.disable_progress_bar()
        network, said = transformers.AutoModel.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            dtype=torch.float32,
        )
        # A network without some of its weights would see by chance.
        missing = sorted(key for key in said["missing_keys"] if "position_ids" not in key)
        if missing or said["mismatched_keys"]:
            missing = missing or [str(entry) for entry in said["mismatched_keys"]]
            raise EncoderError(f"{repo.name}: its weights lack {len(missing)} parts of the network, as {missing[0]}")
    if kind in CLIPS:
        return Network(
            network.eval(),
            lambda planes: _pool(network.get_image_features(pixel_values=planes)),
            lambda tokens: _pool(network.get_text_features(input_ids=tokens)),
        )
    return Network(network.eval(), lambda planes: _pool(network(pixel_values=planes)), None)


def load_open_clip(repo: Repo) -> Network:
    """A network of open_clip. Raises EncoderError, MissingExtra."""
    open_clip = _import("open_clip", repo.name)
    folder = repo.fetch(["open_clip_config.json", *find_weights(repo, "open_clip")])
    with _loading(repo.name):
        network = open_clip.create_model(f"local-dir:{folder}", precision="fp32", device="cpu")
    return Network(network.eval(), network.encode_image, network.encode_text)


def make_open_clip_tokenizer(repo: Repo) -> str:
    """CLIP's own tokenizer, which open_clip has in the package, in the format of tokenizer.json."""
    open_clip, transformers = _import("open_clip", repo.name), _import("transformers", repo.name)
    simple = open_clip.SimpleTokenizer()
    ends = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
    vocabulary = {
        {"<start_of_text>": ends["bos_token"], "<end_of_text>": ends["eos_token"]}.get(word, word): number
        for word, number in simple.encoder.items()
    }
    made = transformers.CLIPTokenizer(vocab=vocabulary, merges=list(simple.bpe_ranks), **ends)
    return str(made.backend_tokenizer.to_str())


def load_timm(repo: Repo) -> Network:
    """A network of timm without its classifier. Raises EncoderError, MissingExtra."""
    timm = _import("timm", repo.name)
    folder = repo.fetch(["config.json", *find_weights(repo, "timm")])
    with _loading(repo.name):
        # With its own classifier, all weights must be there; without, timm takes those that it finds.
        config = repo.read_json("config.json")
        classes = config.get("num_classes", config.get("pretrained_cfg", {}).get("num_classes", 0))
        network = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=classes)
        network.reset_classifier(0)
    return Network(network.eval(), network, None)


def name_timm_repository(network: str, name: str) -> str:
    """The hub's repository of the weights that timm takes for a network of which no weights are named."""
    timm = _import("timm", name)
    if not timm.is_model(network):
        near = difflib.get_close_matches(network, timm.list_models(), n=3)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "timm.list_models() lists them"
        raise EncoderError(f"timm has no network {network!r}; {hint}")
    config = timm.get_pretrained_cfg(network)
    place = getattr(config, "hf_hub_id", None) if config else None
    if not place:
        raise EncoderError(f"timm has no weights of {network!r} on a hub: name another network, or a folder")
    return f"{place}{network}.{config.tag}" if place.endswith("/") else str(place)


def write_pictures(network: Network, look: Input, folder: Path, name: str) -> int:
    """Writes `model.onnx`; the size of the embedding. Raises EncoderError where it does not compute the same."""
    import torch

    class Pictures(torch.nn.Module):
        scale: torch.Tensor
        offset: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.network = network.module
            std, mean = torch.tensor(look.std), torch.tensor(look.mean)
            self.register_buffer("scale", (1 / (255 * std)).view(1, 3, 1, 1))
            self.register_buffer("offset", (-mean / std).view(1, 3, 1, 1))

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            planes = pictures.permute(0, 3, 1, 2).to(torch.float32) * self.scale + self.offset
            return torch.nn.functional.normalize(network.see(planes), dim=1)

    shape = (_COMPARED, look.height, look.width, 3)
    some = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    some[0] = 255  # as a product photo's ground; noise alone would not show a wrong mean
    return _export(Pictures(), "pictures", some, folder / "model.onnx", name)


def write_text(network: Network, tokens: NDArray[np.int64], folder: Path, name: str) -> int:
    """Writes `text.onnx` of a network that reads, compared on these texts, int64 (n, length); the embedding's size.

    Raises EncoderError.
    """
    import torch

    class Texts(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network.module

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.normalize(network.read(tokens), dim=1)  # type: ignore[misc]

    return _export(Texts(), "tokens", tokens, folder / "text.onnx", name)


def _export(module: Any, entry: str, some: NDArray[Any], file: Path, name: str) -> int:
    import torch

    _import("onnxscript", name)
    example = torch.from_numpy(some)
    with torch.inference_mode():
        expected = module.eval()(example).numpy()
    try:
        with _quiet(), torch.no_grad():  # torch's exporter warns of its own internals
            program = torch.onnx.export(
                module,
                (example[:2].clone(),),
                dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # of torch's exporter, many classes
        raise EncoderError(f"{name} cannot be exported to ONNX ({' '.join(str(error).split())[:_SAID]})") from None
    assert program is not None
    save_graph(name_ends(program.model_proto, entry), file, name)
    for rows in (slice(None), slice(0, 1)):
        worst = float(np.abs(run_graph(file, some[rows], name) - expected[rows]).max())
        if not worst <= settings.HUB_TOLERANCE:
            raise EncoderError(
                f"{name}: its graph differs from PyTorch by {worst:.1e}, more than {settings.HUB_TOLERANCE:.0e}: "
                "try other versions of torch and onnxscript"
            )
    return int(expected.shape[1])


def _pool(found: Any) -> Any:
    """The embedding, float (n, dim), of what transformers gives: the class token, or what the network makes of all."""
    return getattr(found, "pooler_output", found)


@contextmanager
def _loading(name: str) -> Iterator[None]:
    """Quiet, and with the libraries' errors in one line that says what to do."""
    try:
        with _quiet():
            yield
    except EncoderError:
        raise
    except Exception as error:  # of three libraries and pickle
        said = " ".join(str(error).split())[:_SAID]
        raise EncoderError(f"{name}: its weights cannot be read ({type(error).__name__}: {said})") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what libraries warn of and log, which a user can do nothing about."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _import(package: str, name: str) -> Any:
    """A package of the extra. Raises MissingExtra."""
    from importlib import import_module

    try:
        if package in ("transformers", "open_clip", "timm"):
            declare_operators()
        return import_module(package)
    except ImportError:
        raise MissingExtra(f"the encoder {name}", "hub-torch") from None


def declare_operators() -> None:
    """Lets torchvision load beside a CPU build of torch.

    The torchvision of the package registry is built for CUDA; beside a CPU build of torch its compiled operators are
    not there, and its import fails although nothing here uses them (timm, transformers and torchmetrics import it).
    Declaring the two that it asks for by name is enough.
    """
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        globals()["_operators"] = library  # the declarations live as long as this object
