"""Where the hub has ONNX files they are taken, without torch; and how networks come from the hub."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import graphs
import networks
import numpy as np
import onnx
import pytest
from hub_server import COMMIT, Hub, serve_hub
from networks import cache, draw, own_cache, torch  # noqa: F401
from tokenizers import Tokenizer

import focusedfashion as ff

pytestmark = pytest.mark.filterwarnings("default")  # the libraries warn of each other

PACKAGES = ("torch", "transformers", "open_clip", "timm", "torchvision")
PICTURES = [draw((50, 40)), draw((31, 70), 1)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Any]]:
    """Networks that have ONNX files, and no weights beside them."""
    place = tmp_path_factory.mktemp("graphs")
    made: dict[str, tuple[Path, Any]] = {}
    for name, make, add in (
        ("clip", networks.make_clip, graphs.add_both),
        ("siglip", lambda folder: networks.make_siglip(folder, gemma=False), graphs.add_towers),
        ("dinov2", networks.make_dinov2, graphs.add_tower),
    ):
        folder = place / name
        network = make(folder)
        add(folder, network)
        (folder / "model.safetensors").unlink()
        made[name] = (folder, network)
    # As FashionSigLIP: open_clip's configuration beside transformers', weights beside the graphs.
    folder = place / "fashion"
    shutil.copytree(made["siglip"][0], folder, ignore=shutil.ignore_patterns("onnx", "preprocessor_config.json"))
    graphs.add_towers(folder, made["siglip"][1], beside=True)
    prepared = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash"}
    config = {"model_cfg": {"vision_cfg": {"image_size": networks.SIDE}}, "preprocess_cfg": prepared}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    (folder / "onnx" / "vision_model_quantized.onnx").write_bytes(b"never asked for")
    (folder / "pytorch_model.bin").write_bytes(b"never asked for")
    made["fashion"] = (folder, made["siglip"][1])
    return made


@pytest.fixture
def hub(folders: dict[str, tuple[Path, Any]]) -> Iterator[Hub]:
    with serve_hub() as served:
        served.repositories = {"org/fashion": folders["fashion"][0], "org/dinov2": folders["dinov2"][0]}
        yield served


@pytest.fixture
def run(tmp_path: Path, hub: Hub) -> Callable[..., list[str]]:
    """Runs Python as a user would, with caches of its own; the lines that it prints."""

    def start(script: str, **environment: str) -> list[str]:
        caches = {"FOCUSEDFASHION_CACHE": str(tmp_path / "ours"), "HF_HOME": str(tmp_path / "theirs")}
        caches |= {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_TELEMETRY": "1"}
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | caches | environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return start


LOAD = """
import sys
import focusedfashion as ff
for name in sys.argv[1:] or {names!r}:
    try:
        encoder = ff.load_encoder(name)
        encoder.embed([{picture!r}])
        print(encoder.name, encoder.fingerprint, encoder.spec["license"])
    except ff.FashionError as error:
        print(type(error).__name__, error)
print([name for name in {packages!r} if name in sys.modules])
"""


def write_script(*names: str, packages: tuple[str, ...] = PACKAGES) -> str:
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(PICTURES[0]).save(buffer, "PNG")
    return LOAD.format(names=names, picture=buffer.getvalue(), packages=packages)


def prepare(name: str, folder: Path, pictures: list[Any]) -> Any:
    """The encoder's own fitting (test_networks.py compares it), normalized by hand: float32 (n, 3, height, width)."""
    encoder = ff.load_encoder(f"hf:{folder}")
    mean, std = (torch.tensor(encoder.spec["input"][key]).view(3, 1, 1) for key in ("mean", "std"))
    fitted = np.stack([encoder.fit(picture) for picture in pictures])
    return encoder, (torch.from_numpy(fitted).permute(0, 3, 1, 2) / 255 - mean) / std


@pytest.mark.parametrize("name", ["clip", "siglip", "dinov2", "fashion"])
def test_a_graph_of_the_hub_sees_as_the_original(name: str, folders: dict[str, tuple[Path, Any]]) -> None:
    folder, network = folders[name]
    encoder, planes = prepare(name, folder, PICTURES)
    with torch.inference_mode():
        if name == "dinov2":
            expected = networks.find_norm(network(planes).last_hidden_state[:, 0])
        else:
            expected = networks.find_norm(network.get_image_features(pixel_values=planes))
    np.testing.assert_allclose(encoder.embed(PICTURES), expected, atol=1e-4)


@pytest.mark.parametrize("name", ["clip", "siglip", "fashion"])
def test_a_graph_of_the_hub_reads_as_the_original(name: str, folders: dict[str, tuple[Path, Any]]) -> None:
    folder, network = folders[name]
    encoder = ff.load_encoder(f"hf:{folder}")
    assert encoder.spec["text"] == {"length": networks.TOKENS, "lower": name != "clip"}
    texts = ["a red dress", "boots"]
    tokens = [entry.ids for entry in Tokenizer.from_file(str(encoder.folder / "tokenizer.json")).encode_batch(texts)]
    with torch.inference_mode():
        expected = networks.find_norm(network.get_text_features(input_ids=torch.tensor(tokens)))
    np.testing.assert_allclose(encoder.embed_texts(texts), expected, atol=1e-4)


def test_from_the_hub_without_torch(hub: Hub, run: Callable[..., list[str]], folders: Any) -> None:
    encoder = ff.load_encoder(f"hf:{folders['fashion'][0]}")
    first = run(write_script("hf:org/fashion"))
    assert first == [f"hf:org/fashion {encoder.fingerprint} mit", "[]"]
    files = {path.split(COMMIT + "/")[-1] for path in hub.asked if "/resolve/" in path}
    assert "onnx/vision_model.onnx_data" in files and "onnx/text_model.onnx" in files
    assert not files & {"onnx/vision_model_quantized.onnx", "pytorch_model.bin"}
    # From then on it needs no hub, and none of what it was converted with.
    hub.asked.clear()
    packages = (*PACKAGES, "onnx", "huggingface_hub", "tokenizers", "filelock")
    hub.status = 500
    assert run(write_script("hf:org/fashion", packages=packages)) == [first[0], "[]"]
    assert not hub.asked


def test_a_revision(hub: Hub, run: Callable[..., list[str]], tmp_path: Path) -> None:
    lines = run(write_script("hf:org/dinov2@v1", f"hf:org/dinov2@{COMMIT}", "hf:org/dinov2", "hf:org/dinov2@v2"))
    assert [line.split(" ")[0] for line in lines[:3]] == [
        "hf:org/dinov2@v1",
        f"hf:org/dinov2@{COMMIT}",
        "hf:org/dinov2",
    ]
    assert len({line.split(" ")[1] for line in lines[:3]}) == 1
    assert lines[3].startswith("EncoderError hf:org/dinov2@v2: its repository at http://127.0.0.1")
    assert lines[3].endswith("has no such revision")
    shelf = tmp_path / "ours" / "encoders" / "hf" / "org%2Fdinov2"
    assert [path.name for path in shelf.iterdir() if path.is_dir()] == [COMMIT]  # all of them share one


def test_what_a_hub_may_answer(hub: Hub, run: Callable[..., list[str]], folders: Any, tmp_path: Path) -> None:
    hub.repositories["org/gated"] = folders["dinov2"][0]
    hub.gated.add("org/gated")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "README.md").write_text("nothing")
    hub.repositories["org/empty"] = tmp_path / "empty"
    gated, unknown, empty, _ = run(write_script("hf:org/gated", "hf:org/gone", "hf:org/empty"))
    assert (
        gated
        == f"EncoderError hf:org/gated is gated: agree to its terms at {hub.url}/org/gated, then log in (hf auth login)"
    )
    assert unknown.startswith(
        f"EncoderError {hub.url} has no repository for hf:org/gone, or it is private: check the name"
    )
    assert unknown.endswith("a local folder is written hf:./org/gone")
    assert empty.startswith("EncoderError hf:org/empty is no network that is known: read are CLIP")
    hub.status = 418
    assert (
        run(write_script("hf:org/dinov2"))[0]
        == f"EncoderError hf:org/dinov2: {hub.url} answers with status 418; try again later"
    )
    offline = run(write_script("hf:org/dinov2"), HF_HUB_OFFLINE="1")[0]
    assert offline.startswith("EncoderError hf:org/dinov2 was not converted yet and HF_HUB_OFFLINE is set")
    silent = run(write_script("hf:org/dinov2"), HF_ENDPOINT="http://127.0.0.1:9")[0]
    assert silent.startswith("EncoderError hf:org/dinov2 cannot be fetched from http://127.0.0.1:9 (")
    assert silent.endswith("check the connection, or give a folder that holds its files")
    assert not [path for path in (tmp_path / "ours").rglob("*") if path.is_file() and path.name != "lock"]


def test_offline_the_hubs_own_cache_is_taken(hub: Hub, run: Callable[..., list[str]], tmp_path: Path) -> None:
    first = run(
        "import huggingface_hub; huggingface_hub.snapshot_download('org/dinov2')\n" + write_script("hf:org/dinov2")
    )
    shutil.rmtree(tmp_path / "ours")
    hub.asked.clear()
    again = run(write_script("hf:org/dinov2"), HF_HUB_OFFLINE="1")
    assert again[0].split(" ")[:2] == first[0].split(" ")[:2] and not hub.asked


def test_several_at_once_convert_once(hub: Hub, tmp_path: Path) -> None:
    environment = os.environ | {"FOCUSEDFASHION_CACHE": str(tmp_path / "ours"), "HF_HOME": str(tmp_path / "theirs")}
    environment |= {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0"}
    (tmp_path / "ours/encoders/hf/org%2Ffashion/killed.part").mkdir(parents=True)
    command = [sys.executable, "-c", write_script("hf:org/fashion")]
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    printed = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len(set(printed)) == 1 and printed[0].startswith("hf:org/fashion ")
    assert sum("resolve" not in path and "tree" not in path for path in hub.asked) <= 2  # of one process
    assert not list((tmp_path / "ours").rglob("*.part"))


def test_what_is_missing_is_named(run: Callable[..., list[str]], folders: Any, tmp_path: Path) -> None:
    without = "import sys\nfor name in {}: sys.modules[name] = None\n"
    script = write_script("hf:org/dinov2", packages=())
    told = run(without.format(["huggingface_hub"]) + script)[0]
    assert told.startswith("MissingExtra the encoder hf:org/dinov2 needs the extra 'hub': pip install -e '.[hub]'")
    told = run(without.format(["onnx"]) + script)[0]
    assert told.startswith("MissingExtra the encoder hf:org/dinov2 needs the extra 'hub'")
    folder = tmp_path / "network"
    networks.make_dinov3(folder)
    for package in ("torch", "transformers"):
        told = run(without.format([package]) + write_script(f"hf:{folder}", packages=()))[0]
        assert told.startswith(f"MissingExtra the encoder hf:{folder} needs the extra 'hub-torch'"), package


def test_weights_are_taken_where_a_graph_cannot_be(
    folders: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "network"
    network = networks.make_dinov2(folder)
    (folder / "onnx").mkdir()
    shutil.copy(folders["dinov2"][0] / "onnx/model.onnx", folder / "onnx")
    spoil_graph(folder, fix_batch)
    encoder, planes = prepare("dinov2", folder, PICTURES)
    with torch.inference_mode():
        expected = networks.find_norm(network(planes).pooler_output)
    np.testing.assert_allclose(encoder.embed(PICTURES), expected, atol=1e-4)
    assert "not any number of 3 x 28 x 28: its weights are taken instead" in caplog.text


@pytest.mark.skipif(os.geteuid() == 0, reason="a cache that may not be written NOT TESTED as root")
def test_a_cache_that_may_not_be_written(folders: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o500)
    monkeypatch.setenv("FOCUSEDFASHION_CACHE", str(tmp_path / "ours"))
    with pytest.raises(ff.EncoderError, match=r"cannot be written .*FOCUSEDFASHION_CACHE"):
        ff.load_encoder(f"hf:{folders['dinov2'][0]}")


def test_a_cache_that_is_a_file(folders: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FOCUSEDFASHION_CACHE", str(tmp_path / "file"))
    with pytest.raises(ff.EncoderError, match=r"cannot be written .*name a folder .* in FOCUSEDFASHION_CACHE"):
        ff.load_encoder(f"hf:{folders['dinov2'][0]}")


def spoil_graph(folder: Path, spoil: Callable[[Any], object]) -> None:
    file = folder / "onnx" / "model.onnx"
    model = onnx.load(file)
    spoil(model.graph)
    onnx.save(model, file)


def fix_batch(graph: Any) -> None:
    graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


def mix_rows(graph: Any) -> None:
    """Every row gets what the whole batch sums to."""
    graph.output[0].name = "mixed"
    graph.initializer.append(onnx.helper.make_tensor("over", onnx.TensorProto.INT64, [1], [0]))
    graph.node.append(onnx.helper.make_node("ReduceSum", ["last_hidden_state", "over"], ["sum"], keepdims=1))
    graph.node.append(onnx.helper.make_node("Add", ["last_hidden_state", "sum"], ["mixed"]))
    for node in graph.node:
        node.input[:] = ["inner" if name == "last_hidden_state" else name for name in node.input]
        node.output[:] = ["inner" if name == "last_hidden_state" else name for name in node.output]
    graph.node.append(onnx.helper.make_node("Identity", ["mixed"], ["last_hidden_state"]))
    graph.output[0].name = "last_hidden_state"


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda folder: (folder / "onnx/model.onnx").write_bytes(b"junk"), "its onnx/model.onnx cannot be read"),
        (lambda folder: spoil_graph(folder, fix_batch), r"takes pictures \[1, 3, 28, 28\], not any number of 3 x 28"),
        (
            lambda folder: spoil_graph(folder, lambda graph: setattr(graph.output[0], "name", "logits")),
            "computes logits of pixel_values; pooler_output of pixel_values is needed",
        ),
        (lambda folder: spoil_graph(folder, mix_rows), "gives other numbers for a batch than one by one"),
        (
            lambda folder: networks.change(folder / "preprocessor_config.json", crop_size={"height": 30, "width": 30}),
            "not any number of 3 x 30 x 30",
        ),
        (lambda folder: networks.change(folder / "config.json", model_type="bert"), "is a 'bert' network"),
    ],
)
def test_a_graph_that_is_none(
    spoil: Callable[[Path], None], told: str, folders: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOCUSEDFASHION_CACHE", str(tmp_path / "fresh"))
    folder = tmp_path / "spoiled"
    shutil.copytree(folders["dinov2"][0], folder)
    spoil(folder)
    with pytest.raises(ff.EncoderError, match=told) as caught:
        ff.load_encoder(f"hf:{folder}")
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "fresh").rglob("encoder.json")) and not list((tmp_path / "fresh").rglob("*.part"))
