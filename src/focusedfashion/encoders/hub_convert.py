"""A repository of a hub -> the folder of a saved encoder, by the layout that it is in."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from focusedfashion import settings
from focusedfashion.encoders import hub_graphs
from focusedfashion.encoders.encoder import FORMAT
from focusedfashion.encoders.hub_input import Input, read_open_clip, read_processor, read_timm
from focusedfashion.encoders.hub_repo import Repo, open_repo
from focusedfashion.encoders.hub_text import SETTINGS, TOKENIZER, Text, read_settings, read_siglip, write_tokenizer
from focusedfashion.errors import EncoderError

HF, TIMM = "hf", "timm"

_PHRASES = ("a red dress", "blue jeans, worn out", "Ein gestreiftes Hemd!", "shoes " * 60)
_READ = (
    "read are CLIP, SigLIP (2 too, of a fixed size), DINOv2 and DINOv3 of transformers, or as ONNX files, "
    "networks of open_clip, and networks of timm"
)

logger = logging.getLogger(__name__)


def convert_encoder(repo: Repo, hub: str, folder: Path) -> None:
    """Writes `encoder.json`, `model.onnx` and, with a text side, `text.onnx` and `tokenizer.json`.

    Raises EncoderError; MissingExtra where what it needs is not installed.
    """
    config, clip = repo.read_json("config.json"), repo.read_json("open_clip_config.json")
    kind = str(config.get("model_type", ""))
    text = None
    if hub == TIMM or ("architecture" in config and not kind and not clip):
        dim, look = _convert_timm(repo, config, folder)
    else:
        found = _try_graphs(repo, kind, config, clip, folder)
        if found is None and clip:
            found = _convert_open_clip(repo, clip, folder)
        dim, look, text = found or _convert_transformers(repo, kind, config, folder)
    spec = {
        "format": FORMAT,
        "name": repo.name,
        "blocks": {"all": {"size": dim, "weight": 1.0}},
        "input": look.describe(),
        "attributes": {},
        "license": repo.license or "see the network's own page",
        "weights": f"{repo.name} at {repo.commit}",
        "data": [],
        "metrics": {},
    }
    if text:
        spec["text"] = text.describe()
    (folder / "encoder.json").write_text(json.dumps(spec, indent=1) + "\n", encoding="utf-8")


def _convert_timm(repo: Repo, config: Mapping[str, Any], folder: Path) -> tuple[int, Input]:
    from focusedfashion.encoders import hub_networks

    if "architecture" not in config:
        raise EncoderError(f"{repo.name} is no network of timm: its config.json names no architecture")
    look = read_timm(config, repo.name)
    if not hub_networks.find_weights(repo, "timm"):
        raise _lack_weights(repo)
    return hub_networks.write_pictures(hub_networks.load_timm(repo), look, folder, repo.name), look


def _try_graphs(
    repo: Repo, kind: str, config: Mapping[str, Any], clip: Mapping[str, Any], folder: Path
) -> tuple[int, Input, Text | None] | None:
    """By the repository's own graphs, if it has some; of those that cannot be used, by its weights, if it has these."""
    from focusedfashion.encoders import hub_networks

    graphs = hub_graphs.find_graphs(repo, kind)
    if graphs is None:
        return None
    try:
        return _convert_graphs(repo, graphs, config, clip, folder)
    except EncoderError as error:
        if not hub_networks.find_weights(repo, "open_clip" if clip else "transformers"):
            raise
        logger.warning("%s: its weights are taken instead", error)
        return None


def _convert_graphs(
    repo: Repo, graphs: hub_graphs.Graphs, config: Mapping[str, Any], clip: Mapping[str, Any], folder: Path
) -> tuple[int, Input, Text | None]:
    look = read_open_clip(clip, repo.name) if clip else _read_processor(repo)
    dim = hub_graphs.write_pictures(repo, graphs, look, folder)
    text = None
    if graphs.text and TOKENIZER in repo.files:
        text = _read_text(repo, graphs.kind, config)
        _write_tokenizer(repo, repo, text, folder)
        hub_graphs.write_text(repo, graphs, text.length, dim, folder)
    elif graphs.text:
        _say_textless(repo)
    return dim, look, text


def _convert_open_clip(repo: Repo, clip: Mapping[str, Any], folder: Path) -> tuple[int, Input, Text | None]:
    from focusedfashion.encoders import hub_networks

    look = read_open_clip(clip, repo.name)
    if not hub_networks.find_weights(repo, "open_clip"):
        raise _lack_weights(repo)
    network = hub_networks.load_open_clip(repo)
    dim = hub_networks.write_pictures(network, look, folder, repo.name)
    given = clip.get("model_cfg", {}).get("text_cfg", {})
    options = given.get("tokenizer_kwargs") or {}
    text = Text(
        int(given.get("context_length") or settings.TEXT_LENGTH),
        lower=options.get("clean") in ("canonicalize", "lower"),
        canonical=options.get("clean") == "canonicalize",
    )
    named = str(given.get("hf_tokenizer_name") or "")
    if given.get("tokenizer_mode") or options.get("strip_sep_token"):
        _say_textless(repo)
        return dim, look, None
    if not named and TOKENIZER not in repo.files:
        source = hub_networks.make_open_clip_tokenizer(repo)
        write_tokenizer(source, {}, text, "<|endoftext|>", folder, repo.name)
    else:
        holder = repo
        if TOKENIZER not in repo.files:
            holder = open_repo(named, "main", f"hf:{named}")
        if TOKENIZER not in holder.files:
            _say_textless(repo)
            return dim, look, None
        _write_tokenizer(repo, holder, text, folder)
    _write_text(network, dim, text, folder, repo)
    return dim, look, text


def _convert_transformers(
    repo: Repo, kind: str, config: Mapping[str, Any], folder: Path
) -> tuple[int, Input, Text | None]:
    from focusedfashion.encoders import hub_networks

    if kind == "siglip2":
        raise EncoderError(
            f"{repo.name} is of NaFlex, whose pictures have no fixed size: "
            "take one of a fixed size, such as hf:google/siglip2-base-patch16-224"
        )
    if kind not in (*hub_networks.CLIPS, *hub_networks.LOOKS):
        what = f"a {kind!r} network" if kind else "no network that is known"
        raise EncoderError(f"{repo.name} is {what}: {_READ}")
    look = _read_processor(repo)
    if not hub_networks.find_weights(repo, "transformers"):
        raise _lack_weights(repo)
    network = hub_networks.load_transformers(repo, kind)
    dim = hub_networks.write_pictures(network, look, folder, repo.name)
    if kind not in hub_networks.CLIPS:
        return dim, look, None
    if TOKENIZER not in repo.files:
        _say_textless(repo)
        return dim, look, None
    text = _read_text(repo, kind, config)
    _write_tokenizer(repo, repo, text, folder)
    _write_text(network, dim, text, folder, repo)
    return dim, look, text


def _read_processor(repo: Repo) -> Input:
    """Of the repository's own configuration, in the file of newer or of older versions of transformers."""
    found = repo.read_json("preprocessor_config.json") or repo.read_json("processor_config.json").get("image_processor")
    if not found:
        raise EncoderError(f"{repo.name} has no preprocessor_config.json: how its pictures come in is not known")
    return read_processor(found, repo.name)


def _read_text(repo: Repo, kind: str, config: Mapping[str, Any]) -> Text:
    length = int(config.get("text_config", {}).get("max_position_embeddings") or (64 if kind == "siglip" else 77))
    return read_siglip(read_settings(repo), length) if kind == "siglip" else Text(length, lower=False, canonical=False)


def _write_tokenizer(repo: Repo, holder: Repo, text: Text, folder: Path) -> None:
    files = [file for file in (TOKENIZER, *SETTINGS) if file in holder.files]
    source = (holder.fetch(files) / TOKENIZER).read_text(encoding="utf-8")
    fallback = "</s>" if text.lower else "<|endoftext|>"
    write_tokenizer(source, read_settings(holder), text, fallback, folder, repo.name)


def _write_text(network: Any, dim: int, text: Text, folder: Path, repo: Repo) -> None:
    from tokenizers import Tokenizer

    from focusedfashion.encoders import hub_networks

    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    phrases = [phrase.lower() if text.lower else phrase for phrase in _PHRASES]
    tokens = np.array([entry.ids for entry in tokenizer.encode_batch(phrases)], np.int64)
    found = hub_networks.write_text(network, tokens, folder, repo.name)
    if found != dim:
        raise EncoderError(
            f"{repo.name} gives {found} numbers for a text, {dim} for a picture: they cannot be compared"
        )


def _say_textless(repo: Repo) -> None:
    logger.warning("%s has no tokenizer that can be read: it is converted without its text side", repo.name)


def _lack_weights(repo: Repo) -> EncoderError:
    return EncoderError(f"{repo.name} has no weights that are read (safetensors, or a pickle of nothing but numbers)")
