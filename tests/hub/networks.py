"""Networks of every kind that a hub has, tiny and of random weights, in folders as the hub's libraries write them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

torch = pytest.importorskip("torch", reason="encoders of hubs NOT TESTED: they need the extra 'hub-torch'")

from focusedfashion.encoders.hub_networks import declare_operators  # noqa: E402
from focusedfashion.images import RGB  # noqa: E402

declare_operators()

transformers = pytest.importorskip("transformers", reason="encoders of hubs NOT TESTED: transformers is missing")
open_clip = pytest.importorskip("open_clip", reason="encoders of hubs NOT TESTED: open_clip is missing")
timm = pytest.importorskip("timm", reason="encoders of hubs NOT TESTED: timm is missing")

SIDE = 32  # px
TOKENS = 16
TEXTS = ("a red dress", "Blue   Jeans, worn-out!", "the snake_case shirt", "", "shoes and boots " * 20)
# width x height: as the input, wide, tall, odd, smaller than the input, thin, and larger than what is decoded
SIZES = (
    (32, 32),
    (90, 40),
    (40, 91),
    (97, 61),
    (61, 99),
    (9, 7),
    (3, 5),
    (300, 20),
    (20, 301),
    (640, 481),
    (1400, 901),
)

_LAYERS = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4}
_LOOK = _LAYERS | {"image_size": SIDE, "patch_size": 8}


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of converted encoders that all tests of a module share."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of the tests' own, and nothing from the real hub."""
    monkeypatch.setenv("FOCUSEDFASHION_CACHE", str(cache))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def draw(size: tuple[int, int], seed: int = 0) -> RGB:
    """A picture of soft patches, RGB uint8 (height, width, 3): other filters and other cuts give other pixels."""
    small = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize(size, Image.Resampling.BILINEAR))


def make_tokenizer(ends: Sequence[str], begins: bool) -> Tokenizer:
    """A byte pair encoding of a few words; the last of `ends` ends each text, the first begins it where `begins`."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    alphabet = [chr(code) for code in range(33, 127)]
    words = ["a red dress blue jeans worn out the snake case shirt shoes and boots"] * 3
    trainer = trainers.BpeTrainer(
        vocab_size=200, special_tokens=["<unk>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(words, trainer)
    tokenizer.add_special_tokens(list(ends))  # the last one has the highest number, which CLIP looks for
    numbers = [(token, tokenizer.token_to_id(token)) for token in ends]
    whole = f"{ends[0]} $A {ends[-1]}" if begins else f"$A {ends[-1]}"
    tokenizer.post_processor = processors.TemplateProcessing(single=whole, special_tokens=numbers)
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path, **options: Any) -> None:
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **options).save_pretrained(folder)


def make_clip(folder: Path, seed: int = 0) -> Any:
    """CLIP as FashionCLIP has it: the shorter side is resized, the middle cut out."""
    torch.manual_seed(seed)
    tokenizer = make_tokenizer(["<|startoftext|>", "<|endoftext|>"], begins=True)
    end = tokenizer.token_to_id("<|endoftext|>")
    text = _LAYERS | {"vocab_size": end + 1, "max_position_embeddings": TOKENS, "eos_token_id": end}
    text |= {"bos_token_id": end - 1, "pad_token_id": end}
    config = transformers.CLIPConfig(text_config=text, vision_config=_LOOK, projection_dim=24)
    network = transformers.CLIPModel(config).eval()
    network.save_pretrained(folder)
    processor = transformers.CLIPImageProcessor(size={"shortest_edge": 36}, crop_size={"height": SIDE, "width": SIDE})
    processor.save_pretrained(folder)
    save_tokenizer(tokenizer, folder, pad_token="<|endoftext|>", eos_token="<|endoftext|>")
    return network


def make_siglip(folder: Path, gemma: bool, seed: int = 0) -> Any:
    """SigLIP, whose tokenizer is that of the first version, or Gemma's of the second."""
    torch.manual_seed(seed)
    tokenizer = make_tokenizer(["<pad>", "<eos>"] if gemma else ["</s>"], begins=False)
    text = _LAYERS | {"vocab_size": tokenizer.get_vocab_size(), "max_position_embeddings": TOKENS}
    text |= {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    network = transformers.SiglipModel(transformers.SiglipConfig(text_config=text, vision_config=_LOOK)).eval()
    network.save_pretrained(folder)
    transformers.SiglipImageProcessor(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    save_tokenizer(tokenizer, folder, pad_token="<pad>" if gemma else "</s>")
    change(folder / "tokenizer_config.json", tokenizer_class="GemmaTokenizer" if gemma else "SiglipTokenizer")
    return network


def make_dinov2(folder: Path, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    config = transformers.Dinov2Config(hidden_size=32, num_hidden_layers=1, num_attention_heads=4, image_size=28)
    network = transformers.Dinov2Model(config).eval()
    network.save_pretrained(folder)
    processor = transformers.BitImageProcessor(size={"shortest_edge": 33}, crop_size={"height": 28, "width": 28})
    processor.save_pretrained(folder)
    return network


def make_dinov3(folder: Path) -> Any:
    torch.manual_seed(0)
    network = transformers.DINOv3ViTModel(transformers.DINOv3ViTConfig(**_LOOK)).eval()
    network.save_pretrained(folder)
    transformers.DINOv3ViTImageProcessor(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    return network


def make_open_clip(folder: Path, mode: str, tokenizer: Tokenizer | None, seed: int = 0) -> Any:
    """A network of open_clip: in the mode `squash` as FashionSigLIP has it, in `shortest` as CLIP."""
    torch.manual_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    text: dict[str, Any] = {"context_length": TOKENS, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    if tokenizer is not None:
        text |= {"vocab_size": tokenizer.get_vocab_size(), "hf_tokenizer_name": "somebody/else", "pool_type": "last"}
        text |= {"tokenizer_kwargs": {"clean": "canonicalize"}, "no_causal_mask": True}
        save_tokenizer(tokenizer, folder, pad_token="</s>")
    look = {"image_size": SIDE, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8}
    if tokenizer is not None:
        look = {"image_size": SIDE, "timm_model_name": "test_vit", "timm_model_pretrained": False}
        look |= {"timm_pool": "token", "timm_proj": "linear"}
    config = {"embed_dim": 24, "vision_cfg": look, "text_cfg": text} | ({"custom_text": True} if tokenizer else {})
    prepared = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": mode}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": prepared}))
    kind = open_clip.CustomTextCLIP if tokenizer else open_clip.CLIP
    network = kind(**{key: value for key, value in config.items() if key != "custom_text"}).eval()
    from safetensors.torch import save_file

    state = {key: value.contiguous() for key, value in network.state_dict().items()}
    save_file(state, folder / "open_clip_model.safetensors")
    return network


def make_timm(folder: Path, **changes: Any) -> Any:
    torch.manual_seed(0)
    network = timm.create_model("test_efficientnet", pretrained=False, num_classes=10).eval()
    network.pretrained_cfg.update({"input_size": (3, SIDE, SIDE), "test_input_size": None} | changes)
    from timm.models import save_for_hf

    save_for_hf(network, folder, model_config={"num_classes": 10}, safe_serialization=True)
    return network


def change(file: Path, **values: Any) -> None:
    """Other values in a file of JSON."""
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def find_norm(values: Any) -> np.ndarray[Any, Any]:
    """Rows of norm 1 of what a network gives, float32 (n, dim)."""
    values = getattr(values, "pooler_output", values)
    return np.asarray(torch.nn.functional.normalize(values, dim=1).detach().numpy())
