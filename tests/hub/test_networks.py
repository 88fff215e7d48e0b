"""Networks of transformers, open_clip and timm become encoders that see and read as the originals do."""

from __future__ import annotations

import json
import os
import re
import shutil
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networks
import numpy as np
import pytest
from networks import SIZES, TEXTS, cache, draw, find_norm, open_clip, own_cache, timm, torch, transformers  # noqa: F401
from PIL import Image

import focusedfashion as ff
from focusedfashion.cli import main
from focusedfashion.encoders.hub_input import read_open_clip, read_processor, read_timm

pytestmark = pytest.mark.filterwarnings("default")  # the libraries warn of each other


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Any]]:
    """A network's folder and the network by name, made when it is asked for first."""
    place, made = tmp_path_factory.mktemp("networks"), dict[str, tuple[Path, Any]]()
    siglip = networks.make_tokenizer(["</s>"], begins=False)
    makers: dict[str, Callable[[Path], Any]] = {
        "clip": networks.make_clip,
        "siglip": lambda folder: networks.make_siglip(folder, gemma=False),
        "siglip2": lambda folder: networks.make_siglip(folder, gemma=True),
        "dinov2": networks.make_dinov2,
        "dinov3": networks.make_dinov3,
        "fashion-siglip": lambda folder: networks.make_open_clip(folder, "squash", siglip),
        "open-clip": lambda folder: networks.make_open_clip(folder, "shortest", None),
        "timm": lambda folder: networks.make_timm(folder, crop_pct=0.875, interpolation="bicubic"),
        "timm-squash": lambda folder: networks.make_timm(folder, crop_pct=0.9, crop_mode="squash"),
    }

    def find(name: str) -> tuple[Path, Any]:
        if name not in made:
            made[name] = (place / name, makers[name](place / name))
        return made[name]

    return find


def find_hub(name: str) -> str:
    return "timm" if name.startswith("timm") else "hf"


def prepare(name: str, folder: Path) -> Callable[[Image.Image], Any]:
    """The original's own preprocessing: a picture -> float32 (3, height, width)."""
    if find_hub(name) == "timm":
        network = timm.create_model(f"local-dir:{folder}", pretrained=True)
        return timm.data.create_transform(**timm.data.resolve_model_data_config(network))  # type: ignore[no-any-return]
    if (folder / "open_clip_config.json").exists():
        return open_clip.create_model_and_transforms(f"local-dir:{folder}")[2]  # type: ignore[no-any-return]
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    return lambda image: processor(image, return_tensors="pt")["pixel_values"][0]


def see(name: str, network: Any, planes: Any) -> np.ndarray[Any, Any]:
    """The original's embedding of pictures as `prepare` gives them, of norm 1."""
    with torch.inference_mode():
        if find_hub(name) == "timm":
            return find_norm(network.forward_head(network.forward_features(planes), pre_logits=True))
        if hasattr(network, "encode_image"):
            return find_norm(network.encode_image(planes))
        if hasattr(network, "get_image_features"):
            return find_norm(network.get_image_features(pixel_values=planes))
        return find_norm(network(pixel_values=planes).last_hidden_state[:, 0])


ALL = ("clip", "siglip", "siglip2", "dinov2", "dinov3", "fashion-siglip", "open-clip", "timm", "timm-squash")


@pytest.mark.parametrize("name", ALL)
def test_it_sees_as_the_original(name: str, folders: Callable[[str], tuple[Path, Any]]) -> None:
    folder, network = folders(name)
    encoder = ff.load_encoder(f"{find_hub(name)}:{folder}")
    assert encoder.blocks == {"all": slice(0, encoder.dim)} and not encoder.attributes
    reference = prepare(name, folder)
    pictures = [draw(size, seed) for seed, size in enumerate(SIZES)]
    planes = torch.stack([reference(Image.fromarray(picture)) for picture in pictures])
    mean, std = (np.array(encoder.spec["input"][key]) for key in ("mean", "std"))
    pixels = (planes.permute(0, 2, 3, 1).numpy() * std + mean) * 255
    for size, picture, expected in zip(SIZES, pictures, pixels, strict=True):
        difference = np.abs(encoder.fit(picture).astype(float) - expected)
        if max(size) < 1280:  # larger ones are reduced first, by a whole factor, as they are decoded
            assert difference.max() <= 3 and difference.mean() < 0.6, f"{size}: {difference.max()}"
    expected = see(name, network, planes)
    cosines = (encoder.embed(pictures) * expected).sum(axis=1)
    assert cosines[:-1].min() > 0.999 and cosines[-1] > 0.995  # of a large picture, reduced first
    # and of the same pixels the graph makes the same, down to what float32 can say
    fitted = np.stack([encoder.fit(picture) for picture in pictures])
    same = (torch.from_numpy(fitted).permute(0, 3, 1, 2) / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(
        std
    ).view(3, 1, 1)
    np.testing.assert_allclose(
        encoder.encode_fitted(list(fitted)).embeddings, see(name, network, same.float()), atol=1e-4
    )


def canonicalize(text: str) -> str:
    """As SigLIP's authors do it."""
    return re.sub(r"\s+", " ", text.lower().translate(str.maketrans("", "", string.punctuation))).strip()


@pytest.mark.parametrize("name", ["clip", "siglip", "siglip2", "fashion-siglip", "open-clip"])
def test_it_reads_as_the_original(name: str, folders: Callable[[str], tuple[Path, Any]]) -> None:
    folder, network = folders(name)
    encoder = ff.load_encoder(f"hf:{folder}")
    with torch.inference_mode():
        if hasattr(network, "encode_text"):
            tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(list(TEXTS))
            expected = find_norm(network.encode_text(tokens))
        else:
            clean = {"clip": str, "siglip": canonicalize, "siglip2": str.lower}[name]
            tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
            options = {"padding": "max_length", "max_length": networks.TOKENS, "truncation": True}
            entries = tokenizer([clean(text) for text in TEXTS], return_tensors="pt", **options)
            kept = ("input_ids", "attention_mask") if name == "clip" else ("input_ids",)
            expected = find_norm(network.get_text_features(**{key: entries[key] for key in kept}))
    texts = tuple(text.replace("_", "") for text in TEXTS) if name == "siglip" else TEXTS  # see Text.canonical
    said = [place for place, text in enumerate(texts) if text.strip()]  # an empty one is an error
    np.testing.assert_allclose(encoder.embed_texts([texts[place] for place in said]), expected[said], atol=1e-4)
    assert len(np.unique(expected.round(4), axis=0)) == len(TEXTS)  # else there was nothing to tell


@pytest.mark.parametrize("name", ["dinov2", "timm"])
def test_a_network_without_texts_has_no_text_side(name: str, folders: Callable[[str], tuple[Path, Any]]) -> None:
    encoder = ff.load_encoder(f"{find_hub(name)}:{folders(name)[0]}")
    assert "text" not in encoder.spec
    assert sorted(path.name for path in encoder.folder.iterdir()) == ["encoder.json", "model.onnx"]


def test_the_fingerprint_is_of_the_weights(
    folders: Callable[[str], tuple[Path, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = folders("dinov2")
    first = ff.load_encoder(f"hf:{folder}")
    monkeypatch.setenv("FOCUSEDFASHION_CACHE", str(tmp_path / "fresh"))
    again = ff.load_encoder(f"hf:{folder}")
    assert again.folder != first.folder and again.fingerprint == first.fingerprint
    networks.make_dinov2(tmp_path / "other", seed=1)
    assert ff.load_encoder(f"hf:{tmp_path / 'other'}").fingerprint != first.fingerprint
    assert not list(tmp_path.rglob("*.part"))
    text = first.folder.joinpath("model.onnx").read_bytes()
    assert str(Path(ff.__file__).parent).encode() not in text and b"site-packages" not in text


def test_a_folder_that_was_changed_is_converted_again(
    folders: Callable[[str], tuple[Path, Any]], tmp_path: Path
) -> None:
    folder = tmp_path / "changed"
    shutil.copytree(folders("timm")[0], folder)
    before = ff.load_encoder(f"timm:{folder}")
    config = json.loads((folder / "config.json").read_text())
    networks.change(folder / "config.json", pretrained_cfg=config["pretrained_cfg"] | {"mean": [0.1, 0.2, 0.3]})
    assert ff.load_encoder(f"timm:{folder}").fingerprint != before.fingerprint


def test_a_catalog_finds_it_again(
    folders: Callable[[str], tuple[Path, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, _ = folders("dinov3")
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for seed in range(6):
        Image.fromarray(draw((60, 80), seed)).save(pictures / f"{seed}.png")
    monkeypatch.chdir(folder.parent)
    assert main(["index", str(tmp_path / "shop"), str(pictures), "--encoder", f"hf:./{folder.name}"]) == 0
    assert "6 added" in capsys.readouterr().out
    monkeypatch.chdir(tmp_path)  # the name that was given is no path from here
    catalog = ff.Catalog(tmp_path / "shop")
    assert catalog.info().encoder == f"hf:{folder}"
    matches = catalog.search(pictures / "3.png", k=2)
    assert matches[0].item.item_id == "3.png" and matches[0].score == pytest.approx(1, abs=1e-4)
    assert matches[1].score < 0.9999 and matches[0].blocks.keys() == {"all"}
    assert catalog.search(pictures / "3.png", k=2, focus={"all": 2})[0].item.item_id == "3.png"
    with pytest.raises(ff.QueryError, match=r"no block 'color'.*all"):
        catalog.search(pictures / "3.png", focus={"color": 2})
    with pytest.raises(ff.EncoderMismatch):
        ff.Catalog(tmp_path / "shop", encoder="builtin").search(pictures / "3.png")


def test_a_catalog_is_searched_by_words(folders: Callable[[str], tuple[Path, Any]], tmp_path: Path) -> None:
    catalog = ff.Catalog(tmp_path / "shop", encoder=f"hf:{folders('clip')[0]}")
    for seed in range(6):
        Image.fromarray(draw((60, 80), seed)).save(tmp_path / f"{seed}.png")
    pictures = sorted(tmp_path.glob("*.png"))
    assert catalog.index([ff.Item(path.stem, picture=path) for path in pictures]).added == 6
    scores = catalog.encoder.embed(pictures) @ catalog.encoder.embed_texts(["red dress"])[0]
    matches = catalog.search_text("red dress", k=3)
    assert [match.item.item_id for match in matches] == [str(place) for place in np.argsort(-scores)[:3]]
    assert [match.score for match in matches] == pytest.approx(np.sort(scores)[:-4:-1], abs=1e-4)


def test_weights_in_a_pickle(folders: Callable[[str], tuple[Path, Any]], tmp_path: Path) -> None:
    from safetensors.torch import load_file

    source, _ = folders("clip")
    numbers = tmp_path / "numbers"
    shutil.copytree(source, numbers)
    torch.save(load_file(numbers / "model.safetensors"), numbers / "pytorch_model.bin")
    (numbers / "model.safetensors").unlink()
    picture = [draw((50, 40))]
    expected = ff.load_encoder(f"hf:{source}").embed(picture)
    np.testing.assert_allclose(ff.load_encoder(f"hf:{numbers}").embed(picture), expected, atol=1e-5)

    class Command:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, (f"touch {tmp_path}/ran",)

    for name, file in (
        ("clip", "pytorch_model.bin"),
        ("timm", "pytorch_model.bin"),
        ("open-clip", "open_clip_pytorch_model.bin"),
    ):
        evil = tmp_path / f"evil-{name}"
        shutil.copytree(folders(name)[0], evil)
        for weights in evil.glob("*.safetensors"):
            weights.unlink()
        torch.save({"weight": Command()}, evil / file)
        with pytest.raises(ff.EncoderError, match="its weights cannot be read"):
            ff.load_encoder(f"{find_hub(name)}:{evil}")
    assert not (tmp_path / "ran").exists()


def test_weights_in_several_files_and_code_that_is_not_run(
    folders: Callable[[str], tuple[Path, Any]], tmp_path: Path
) -> None:
    source, network = folders("dinov2")
    folder = tmp_path / "parts"
    network.save_pretrained(folder, max_shard_size="20KB")
    assert len(list(folder.glob("*.safetensors"))) > 1
    shutil.copy(source / "preprocessor_config.json", folder)
    (folder / "theirs.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Theirs: pass\n")
    networks.change(folder / "config.json", auto_map={"AutoModel": "theirs.Theirs", "AutoConfig": "theirs.Theirs"})
    picture = [draw((50, 40))]
    expected = ff.load_encoder(f"hf:{source}").embed(picture)
    np.testing.assert_allclose(ff.load_encoder(f"hf:{folder}").embed(picture), expected, atol=1e-5)
    assert not (tmp_path / "ran").exists()


def test_weights_that_lack_a_part(folders: Callable[[str], tuple[Path, Any]], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    for name, file in (
        ("dinov2", "model.safetensors"),
        ("timm", "model.safetensors"),
        ("open-clip", "open_clip_model.safetensors"),
    ):
        folder = tmp_path / name
        shutil.copytree(folders(name)[0], folder)
        state = load_file(folder / file)
        del state[sorted(state)[0]]
        save_file(state, folder / file, metadata={"format": "pt"})
        with pytest.raises(ff.EncoderError, match="weights"):
            ff.load_encoder(f"{find_hub(name)}:{folder}")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), "has no weights that are read"),
        (lambda folder: (folder / "preprocessor_config.json").unlink(), "has no preprocessor_config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "its config.json cannot be read"),
        (lambda folder: (folder / "config.json").write_text("{}"), "is no network that is known: read are CLIP"),
        (
            lambda folder: networks.change(folder / "config.json", model_type="bert"),
            "is a 'bert' network: read are CLIP",
        ),
        (
            lambda folder: networks.change(folder / "config.json", model_type="siglip2"),
            "NaFlex.*take one of a fixed size",
        ),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "its tokenizer.json cannot be read"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"junk"), "its weights cannot be read"),
    ],
)
def test_a_folder_that_is_none(
    spoil: Callable[[Path], None],
    told: str,
    folders: Callable[[str], tuple[Path, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FOCUSEDFASHION_CACHE", str(tmp_path / "fresh"))
    folder = tmp_path / "spoiled"
    shutil.copytree(folders("clip")[0], folder)
    spoil(folder)
    with pytest.raises(ff.EncoderError, match=told) as caught:
        ff.load_encoder(f"hf:{folder}")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 700
    assert not [path for path in (tmp_path / "fresh").rglob("*") if path.is_file() and path.name != "lock"]


def test_without_its_tokenizer_it_only_looks(
    folders: Callable[[str], tuple[Path, Any]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "textless"
    shutil.copytree(folders("clip")[0], folder)
    (folder / "tokenizer.json").unlink()
    encoder = ff.load_encoder(f"hf:{folder}")
    assert "text" not in encoder.spec and "without its text side" in caplog.text


def test_an_exported_graph_that_computes_something_else_is_refused(
    folders: Callable[[str], tuple[Path, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from focusedfashion.encoders import hub_networks

    monkeypatch.setenv("FOCUSEDFASHION_CACHE", str(tmp_path / "fresh"))
    right = hub_networks.run_graph
    monkeypatch.setattr(hub_networks, "run_graph", lambda *args: right(*args) + 0.002)
    with pytest.raises(ff.EncoderError, match=r"differs from PyTorch by 2\.0e-03, more than 1e-03"):
        ff.load_encoder(f"hf:{folders('clip')[0]}")
    assert not list((tmp_path / "fresh").rglob("encoder.json"))


def test_names_of_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    from focusedfashion.encoders.hub_networks import name_timm_repository

    assert name_timm_repository("resnet50", "timm:resnet50").startswith("timm/resnet50.")
    with pytest.raises(ff.EncoderError, match="timm has no network 'resnet5'; did you mean 'resnet50"):
        ff.load_encoder("timm:resnet5")


CLIP = {"do_center_crop": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        # FashionCLIP's, of the first version of transformers
        (CLIP | {"size": 224, "crop_size": 224, "resample": 3}, (224, "shortest", 224, "bicubic")),
        (
            CLIP | {"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}},
            (224, "shortest", 256, "bicubic"),
        ),
        (
            {"size": {"height": 384, "width": 384}, "resample": 2, "do_center_crop": None},
            (384, "squash", 0, "bilinear"),
        ),
        ({"size": 224, "resample": 1}, (224, "squash", 0, "lanczos")),
    ],
)
def test_configurations_of_transformers(config: dict[str, Any], expected: tuple[Any, ...]) -> None:
    found = read_processor(config, "x")
    assert (found.width, found.resize, found.resize_to, found.filter) == expected


@pytest.mark.parametrize(
    ("reader", "config", "told"),
    [
        (read_processor, {"size": {"longest_edge": 224}}, "asks for the size"),
        (read_processor, {"size": {"shortest_edge": 224}, "do_center_crop": False}, "asks for the size"),
        (read_processor, CLIP | {"size": 200, "crop_size": 224}, "cuts 224 x 224 out of 200 px, with a margin"),
        (read_processor, {"size": 224, "resample": 4}, "an interpolation that is not read"),
        (read_processor, {"size": 224, "rescale_factor": 1.0}, "only 1/255 is read"),
        (read_processor, {"size": 224, "do_resize": False}, "as large as they are"),
        (read_processor, {"size": 224, "image_mean": [0.5]}, "not three numbers"),
        (read_processor, {"size": 224, "image_std": [0.5, 0, 0.5]}, "a deviation of 0"),
        (read_open_clip, {"preprocess_cfg": {"size": 224, "resize_mode": "longest"}}, "resize mode 'longest'"),
        (read_open_clip, {"preprocess_cfg": {"size": [336, 224]}}, "only squares"),
        (read_timm, {"pretrained_cfg": {"crop_mode": "border"}}, "crop mode 'border'"),
        (read_timm, {"pretrained_cfg": {"input_size": [1, 28, 28]}}, "of 1 channels"),
        (read_timm, {"pretrained_cfg": {"input_size": [3, 28, 32]}}, "only squares"),
    ],
)
def test_configurations_that_are_not_read(reader: Callable[..., Any], config: dict[str, Any], told: str) -> None:
    with pytest.raises(ff.EncoderError, match=told):
        reader(config, "x")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("hf:", "names no encoder of a hub: write hf:ORG/NAME"),
        ("hf:fashion-clip", "names no encoder of a hub: write hf:ORG/NAME"),
        ("hf:a/b/c", "names no encoder of a hub"),
        ("hf:org/../name", "names no encoder of a hub"),
        ("hf:org/name@", "names no encoder of a hub"),
        ("timm:", "names no encoder of a hub"),
        ("hf:./nowhere", "there is no folder nowhere"),
    ],
)
def test_names_that_are_none(name: str, told: str) -> None:
    with pytest.raises(ff.EncoderError, match=told):
        ff.load_encoder(name)
