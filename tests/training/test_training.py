"""Training end to end on drawn samples: a small network, seconds on two cores, nothing from a hub."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

import focusedfashion as ff  # noqa: E402
from focusedfashion.cli import main  # noqa: E402
from focusedfashion.sources.samples import draw_garment, list_garments  # noqa: E402
from focusedfashion.training.backbone import load_backbone  # noqa: E402
from focusedfashion.training.data import Packed, pack  # noqa: E402
from focusedfashion.training.export import fit_thresholds  # noqa: E402
from focusedfashion.training.losses import count_allowed  # noqa: E402
from focusedfashion.training.network import Network  # noqa: E402
from focusedfashion.training.recipe import load_recipe  # noqa: E402
from focusedfashion.training.run import train  # noqa: E402

RECIPE = """
name = "small"
seed = 3
width = 48
height = 64
backbone = "test_efficientnet"
freeze = ["conv_stem"]
epochs = 12
batch = 32
learning_rate = 1e-2
weight_decay = 0.01
precision = "32-true"
validation = 0.2

[blocks]
shape = { size = 16 }
color = { size = 8, weight = 2.0 }

[heads]
category = { reads = "shape" }
cut = { reads = "shape", report = false }
color = { reads = "color" }
pattern = { reads = "trunk" }

[[data]]
name = "samples"
files = "samples:120"
vocabulary = "samples"
group_by = "group"
"""


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A recipe and a file of starting weights."""
    import timm
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("start")
    (folder / "small.toml").write_text(RECIPE)
    torch.manual_seed(0)
    state = timm.create_model("test_efficientnet", pretrained=False, num_classes=0).state_dict()
    weights = {key: value for key, value in state.items() if "num_batches_tracked" not in key}  # as many files have it
    save_file(weights, folder / "start.safetensors")
    return folder / "small.toml", folder / "start.safetensors"


@pytest.fixture(scope="module")
def trained(start: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(start[0], tmp_path_factory.mktemp("trained") / "small", weights=start[1])


@pytest.fixture(scope="module")
def packed(start: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Packed:
    return pack(load_recipe(start[0]), None, tmp_path_factory.mktemp("packed"))


def test_trained_encoder_searches_and_tags(trained: Path, tmp_path: Path) -> None:
    encoder = ff.load_encoder(trained)
    garments = list_garments(12, seed=9)
    pictures = [draw_garment(garment) for garment in garments]
    embeddings = encoder.embed(pictures)
    assert embeddings.shape == (12, 24)
    assert embeddings.dtype == np.float32
    for block in encoder.blocks.values():
        np.testing.assert_allclose(np.linalg.norm(embeddings[:, block], axis=1), 1, rtol=1e-5)
    assert encoder.weights == {"shape": 1.0, "color": 2.0}
    assert set(encoder.attributes) == {"category", "color", "pattern"}, "an unreported head is not in the graph"
    catalog = ff.Catalog(tmp_path / "shop", encoder=trained)
    catalog.index(ff.Item(item_id=str(i), picture=_encode(p)) for i, p in enumerate(pictures))
    assert catalog.search(pictures[4], k=1)[0].item.item_id == "4"


def test_training_learned_something(trained: Path) -> None:
    """Rows of the validation side: a color of 19 is right far more often than by chance."""
    metrics = json.loads((trained / "encoder.json").read_text())["metrics"]
    assert metrics["color_accuracy"]["value"] > 0.15
    assert "protocol" in metrics


def test_result_holds_log_split_and_recipe(trained: Path) -> None:
    files = {"encoder.json", "model.onnx", "weights.safetensors", "training.json", "recipe.toml", "split.csv", "log"}
    assert {p.name for p in trained.iterdir()} == files
    assert (trained / "recipe.toml").read_text() == RECIPE


def test_onnx_equals_pytorch(trained: Path, start: tuple[Path, Path], packed: Packed) -> None:
    recipe = load_recipe(start[0])
    network = Network(recipe, packed.labels, load_backbone(recipe, start[1]))
    saved = torch.load(trained.with_name("small.run") / "last.ckpt", weights_only=False)["state_dict"]
    network.load_state_dict({name.removeprefix("network."): value for name, value in saved.items()})
    with torch.inference_mode():
        expected = network.eval()(torch.from_numpy(np.array(packed.pictures[:16])))[0].numpy()
    found = ff.load_encoder(trained).encode_pixels(list(packed.pictures[:16])).embeddings
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_batch_does_not_change_an_embedding(trained: Path) -> None:
    encoder = ff.load_encoder(trained)
    pictures = [draw_garment(garment) for garment in list_garments(9, seed=4)]
    np.testing.assert_allclose(encoder.embed(pictures)[8:], encoder.embed(pictures[8:]), atol=1e-5)


def test_killed_run_goes_on_to_the_same_result(trained: Path, start: tuple[Path, Path], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "focusedfashion", "train", str(start[0]), "-o", str(tmp_path / "small")]
    command += ["--weights", str(start[1])]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    checkpoint = tmp_path / "small.run" / "last.ckpt"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert checkpoint.exists()
    assert not (tmp_path / "small").exists(), "a saved encoder is whole or absent"
    assert subprocess.run(command, capture_output=True).returncode == 0
    picture = draw_garment(list_garments(1)[0])
    once, again = (ff.load_encoder(folder).embed([picture]) for folder in (trained, tmp_path / "small"))
    np.testing.assert_allclose(again, once, atol=1e-3)


def test_copies_and_groups_stand_on_one_side(packed: Packed) -> None:
    """Each drawn garment is there as a shop picture and as a photo: both are held out, or neither."""
    sides: dict[str, set[bool]] = {}
    held_out = packed.split == "validation"
    for item_id, held in zip(packed.item_ids, held_out, strict=True):
        sides.setdefault(item_id.partition("-")[0], set()).add(bool(held))
    assert all(len(side) == 1 for side in sides.values())
    assert 0.05 < held_out.mean() < 0.4


def test_split_hangs_on_seed_and_rows_alone(packed: Packed, start: tuple[Path, Path], tmp_path: Path) -> None:
    again = pack(load_recipe(start[0]), None, tmp_path)
    np.testing.assert_array_equal(packed.split, again.split)


def test_loss_is_cross_entropy_where_one_label_is_allowed() -> None:
    logits = torch.randn(6, 4)
    labels = torch.tensor([0, 1, 2, 3, 1, 0])
    allowed = torch.nn.functional.one_hot(labels, 4).bool()
    expected = torch.nn.functional.cross_entropy(logits, labels)
    torch.testing.assert_close(count_allowed(logits, allowed), expected)


def test_rows_without_a_label_do_not_count() -> None:
    logits = torch.randn(3, 4)
    allowed = torch.tensor([[True, False, False, False], [False] * 4, [False] * 4])
    torch.testing.assert_close(count_allowed(logits, allowed), count_allowed(logits[:1], allowed[:1]))
    assert float(count_allowed(logits, torch.zeros(3, 4, dtype=torch.bool))) == 0


def test_several_allowed_labels_share_their_probability() -> None:
    logits = torch.randn(1, 3)
    allowed = torch.tensor([[True, True, False]])
    expected = -logits.softmax(dim=1)[0, :2].sum().log()
    torch.testing.assert_close(count_allowed(logits, allowed), expected)


def test_thresholds_have_the_best_f1() -> None:
    random = np.random.default_rng(0)
    truth = random.random((400, 1)) < 0.3
    scores = np.clip(truth * 0.3 + random.random((400, 1)) * 0.7, 0, 1).astype(np.float32)
    allowed = np.concatenate([truth, ~truth], axis=1)
    known = np.ones_like(allowed)
    threshold = fit_thresholds(np.concatenate([scores, 1 - scores], axis=1), allowed, known)[0]

    def f1(limit: float) -> float:
        taken = scores[:, 0] >= limit
        return 2 * (taken & truth[:, 0]).sum() / (taken.sum() + truth.sum())

    assert f1(threshold) == pytest.approx(max(f1(limit) for limit in np.unique(scores)))


def test_rare_labels_share_a_threshold() -> None:
    """Two labels of three rows each: the best cut for both together; a label that no row has counts as negatives."""
    truth = np.zeros((40, 3), bool)
    truth[:3, 0] = truth[3:6, 1] = True
    scores = np.full((40, 3), 0.05, np.float32)
    scores[:3, 0], scores[3:6, 1], scores[10:12, 2] = 0.3, 0.2, 0.1
    assert fit_thresholds(scores, truth, np.ones_like(truth), pooled=True) == [0.15] * 3
    assert fit_thresholds(scores, truth, np.ones_like(truth)) == [0.5] * 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("epochs = 12", "epoch = 3"), "unknown key 'epoch'; did you mean 'epochs'?"),
        (("epochs = 12", ""), "the key 'epochs' is missing"),
        (("epochs = 12", "epochs = -1"), "epochs must be at least 0"),
        (('precision = "32-true"', 'precision = "fp16"'), "precision must be one of 32-true"),
        (('freeze = ["conv_stem"]', 'freeze = "conv_stem"'), "freeze must be of type list"),
        (("learning_rate = 1e-2", "learning_rate = -1.0"), "learning_rate must be above 0"),
        (("epochs = 12", 'epochs = "many"'), "epochs must be of type int"),
        (('reads = "trunk"', 'reads = "shap"'), "heads.pattern reads 'shap'; there are shape, color, trunk"),
        (('freeze = ["conv_stem"]', 'freeze = ["stem"]'), "test_efficientnet has no layer 'stem'"),
        (('backbone = "test_efficientnet"', 'backbone = "mobilnet"'), "timm has no network 'mobilnet'; did you mean"),
        (('vocabulary = "samples"', 'vocabulary = "sample"'), "no vocabulary 'sample'"),
        (('files = "samples:120"', 'files = "shop/*.parquet"'), "give the directory that holds shop/*.parquet"),
        (("[blocks]", "[blocks"), "cannot be read as TOML"),
    ],
)
def test_wrong_recipe_is_one_line(
    change: tuple[str, str], message: str, start: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wrong.toml").write_text(RECIPE.replace("samples:120", "samples:12").replace(*change))
    if "shop" in change[1]:
        (tmp_path / "wrong.toml").write_text(RECIPE.replace(*change))
    code = main(["train", str(tmp_path / "wrong.toml"), "-o", str(tmp_path / "out"), "--weights", str(start[1])])
    error = capfd.readouterr().err
    assert code == 1
    assert message in error
    assert "Traceback" not in error
    assert not (tmp_path / "out").exists()


def test_missing_recipe_names_those_that_ship(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "nothing", "-o", str(tmp_path / "out")]) == 1
    assert (
        "no recipe 'nothing': give a TOML file, or one that ships: alexnet, bn-inception, builtin"
        in capsys.readouterr().err
    )


def test_run_of_another_recipe_is_refused(start: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "small.run").mkdir()
    (tmp_path / "small.run" / "run.json").write_text('{"recipe": "other", "weights": "other"}')
    with pytest.raises(ff.RecipeError, match="holds a run that differs in its recipe and weights"):
        train(start[0], tmp_path / "small", weights=start[1])


def test_existing_folder_is_not_overwritten(start: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ff.RecipeError, match="exists already"):
        train(start[0], tmp_path, weights=start[1])


def test_weights_of_another_network_are_refused(start: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text(
        RECIPE.replace("test_efficientnet", "test_resnet").replace('"conv_stem"', '"conv1"')
    )
    with pytest.raises(ff.RecipeError, match="does not fit the backbone 'test_resnet'"):
        train(tmp_path / "other.toml", tmp_path / "out", weights=start[1])


def _encode(pixels: np.ndarray) -> bytes:
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
