"""Training on any source with label columns: its split, its labels, its log, and what goes wrong."""

from __future__ import annotations

import csv
import errno
import io
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

import focusedfashion as ff  # noqa: E402
from conftest import draw_garment  # noqa: E402
from focusedfashion.cli import main  # noqa: E402
from focusedfashion.training.data import Packed  # noqa: E402
from focusedfashion.training.features import list_layers, save_features  # noqa: E402
from focusedfashion.training.labelled import pack_source  # noqa: E402
from focusedfashion.training.recipe import load_recipe  # noqa: E402
from focusedfashion.training.run import train  # noqa: E402

RECIPE = """
name = "tiny"
seed = 1
width = 16
height = 20
resize = "squash"
layers = [{ conv = 8 }, { linear = 12 }]
dropout = 0.1
features = "linear1"
epochs = 6
batch = 16
drop_last = false
optimizer = "adam"
learning_rate = 1e-2
schedule = "constant"
validation = 0.2
test = 0.2

[heads]
labels = { exclusive = false }
"""
COLORS = ("red", "green", "blue", "white")
KINDS = ("shirt", "dress", "trousers")


def write_source(folder: Path, columns: dict[str, list[str]] | None = None, copies: int = 0) -> Path:
    """72 drawn garments as a table with the columns `color` and `tags`; `copies` more are copies of the first ones."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(72 + copies):
        drawn = number % 72
        color, kind, stripes = COLORS[drawn % 4], drawn // 4 % 3, drawn // 12
        (folder / f"{number}.jpg").write_bytes(draw_garment(color, kind, stripes))
        tags = [KINDS[kind], *(["striped"] if stripes else [])]
        rows.append({"image": f"{number}.jpg", "color": color, "tags": "|".join(tags)})
    for name, values in (columns or {}).items():
        for row, value in zip(rows, values, strict=True):
            row[name] = value
    with (folder / "items.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder / "items.csv"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("source"))


@pytest.fixture
def recipe_path(tmp_path: Path) -> Path:
    (tmp_path / "tiny.toml").write_text(RECIPE)
    return tmp_path / "tiny.toml"


@pytest.fixture(scope="module")
def trained(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    (folder / "tiny.toml").write_text(RECIPE.replace("epochs = 6", "epochs = 25"))
    return train(folder / "tiny.toml", folder / "tiny", source, labels=["color", "tags"])


def pack_tiny(source: Path, tmp_path: Path, columns: tuple[str, ...] = ("color",), **changes: object) -> Packed:
    (tmp_path / "tiny.toml").write_text(RECIPE)
    recipe = replace(load_recipe(tmp_path / "tiny.toml"), **changes)
    return pack_source(recipe, str(source), columns, tmp_path / "packs")


def test_encoder_has_one_block_and_thresholds_for_all_labels(trained: Path) -> None:
    encoder = ff.load_encoder(trained)
    assert encoder.blocks == {"all": slice(0, 12)}
    group = encoder.attributes["labels"]
    assert not group.exclusive
    assert group.labels == tuple(
        sorted([*(f"color: {c}" for c in COLORS), *(f"tags: {k}" for k in (*KINDS, "striped"))])
    )
    embeddings = encoder.embed([draw_garment("red"), draw_garment("blue", 1)])
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-5)
    labels = {label.label for label in encoder.tag([draw_garment("red", 1, 0)])[0]["labels"]}
    assert "color: red" in labels and "color: blue" not in labels


def test_report_says_what_the_run_was(trained: Path) -> None:
    report = json.loads((trained / "training.json").read_text())
    assert report["recipe"] == "tiny"
    assert report["epochs"] == len(report["curves"]) == 25
    assert report["trained"] and report["weights"] == "none (random)"
    assert report["curves"][-1]["loss"] < report["curves"][0]["loss"]
    assert set(report["curves"][0]) == {"epoch", "loss", "validation_loss", "validation_f1"}
    assert report["parameters"] == sum(v.size for v in _load_weights(trained).values())
    assert sum(report["rows"].values()) == 72
    with (trained / "split.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {part: sum(row["split"] == part for row in rows) for part in report["rows"]} == report["rows"]
    assert {row["item_id"] for row in rows} == {f"{number}.jpg" for number in range(72)}
    assert list((trained / "log").glob("**/metrics.csv")) and list((trained / "log").glob("**/events.*"))


def _load_weights(folder: Path) -> dict[str, np.ndarray]:
    """The parameters, without what batch norm counts and how pixels are normalized."""
    from safetensors.numpy import load_file

    state = load_file(folder / "weights.safetensors")
    return {k: v for k, v in state.items() if not k.endswith(("running_mean", "running_var", "tracked", "mean", "std"))}


def test_all_label_columns_are_found_where_none_is_named(source: Path, tmp_path: Path) -> None:
    packed = pack_tiny(source, tmp_path, ())
    assert packed.labels["labels"][0] == "color: blue"
    assert len(packed.labels["labels"]) == 8


def test_copies_stand_on_one_side_whatever_the_size(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source", copies=30)
    small, large = (pack_tiny(source, tmp_path, width=side, height=side) for side in (16, 32))
    np.testing.assert_array_equal(small.split, large.split)
    part = dict(zip(small.item_ids.tolist(), small.split.tolist(), strict=True))
    assert all(part[f"{number}.jpg"] == part[f"{number + 72}.jpg"] for number in range(30))
    assert set(part.values()) == {"train", "validation", "test"}


def test_own_split_decides_and_validation_is_cut_out_of_train(tmp_path: Path) -> None:
    own = ["train"] * 50 + ["test"] * 15 + ["gallery"] * 7
    packed = pack_tiny(write_source(tmp_path / "source", {"split": own}), tmp_path)
    part = dict(zip(packed.item_ids.tolist(), packed.split.tolist(), strict=True))
    assert all(part[f"{number}.jpg"] == "test" for number in range(50, 65))
    assert all(part[f"{number}.jpg"] == "" for number in range(65, 72))
    assert 2 <= (packed.split == "validation").sum() < 25


def test_rows_without_a_value_are_not_known(tmp_path: Path) -> None:
    size = ["S", "L", ""] * 24
    packed = pack_tiny(write_source(tmp_path / "source", {"size": size}), tmp_path, ("color", "size"))
    names = packed.labels["labels"]
    known, truth = packed.known["labels"], packed.allowed["labels"]
    rows = {item_id: row for row, item_id in enumerate(packed.item_ids)}
    assert not known[rows["2.jpg"], names.index("size: S")]
    assert known[rows["2.jpg"], names.index("color: blue")]
    assert truth[rows["0.jpg"], names.index("size: S")]


def test_exclusive_heads_take_the_labels_in_their_order(source: Path, tmp_path: Path) -> None:
    text = RECIPE.replace("labels = { exclusive = false }", 'a = { columns = ["x"] }\nb = { columns = ["y"] }')
    (tmp_path / "two.toml").write_text(text)
    recipe = load_recipe(tmp_path / "two.toml")
    packed = pack_source(recipe, str(source), ["color", "tags"], tmp_path / "packs")
    assert packed.labels["a"] == sorted(COLORS)
    assert "striped" in packed.labels["b"]
    with pytest.raises(ff.RecipeError, match="has the heads a, b: give --label once for each"):
        pack_source(recipe, str(source), ["color"], tmp_path / "packs")
    with pytest.raises(ff.QueryError, match="no column 'x'"):
        pack_source(recipe, str(source), [], tmp_path / "packs")


def test_opened_pictures_are_shared_by_runs_of_one_size(source: Path, tmp_path: Path) -> None:
    pack_tiny(source, tmp_path)
    pack_tiny(source, tmp_path, ("tags",), seed=9)
    assert len(list((tmp_path / "packs").iterdir())) == 1
    pack_tiny(source, tmp_path, width=24)
    assert len(list((tmp_path / "packs").iterdir())) == 2


def test_labels_that_a_part_lacks_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rare = ["usual"] * 71 + ["once"]
    pack_tiny(write_source(tmp_path / "source", {"rare": rare}), tmp_path, ("rare",))
    assert "1 of 2 labels have no" in caplog.text and "row: once" in caplog.text


@pytest.mark.parametrize(
    ("columns", "label", "message"),
    [
        ({"same": ["x"] * 72}, "same", "column 'same' says 'x' of every item: nothing to learn"),
        ({}, "colour", "no column 'colour' to take labels from; did you mean 'color'?"),
        ({"split": ["test"] * 40 + ["validation"] * 32}, "color", "fewer than two rows fell on the train part"),
    ],
)
def test_nothing_to_learn_is_one_line(
    columns: dict[str, list[str]],
    label: str,
    message: str,
    recipe_path: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = write_source(tmp_path / "source", columns)
    assert main(["train", str(recipe_path), "--data", str(source), "--label", label, "-o", str(tmp_path / "out")]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_no_readable_picture_is_one_line(recipe_path: Path, tmp_path: Path) -> None:
    source = write_source(tmp_path / "source")
    for picture in source.parent.glob("*.jpg"):
        picture.write_bytes(b"no picture")
    with pytest.raises(ff.RecipeError, match=r"none of 72 pictures could be opened .0.jpg: .*not a picture"):
        train(recipe_path, tmp_path / "out", source, labels=["color"])


def test_early_stopping_keeps_the_best_epoch(source: Path, tmp_path: Path) -> None:
    text = RECIPE.replace("learning_rate = 1e-2", "learning_rate = 0.3").replace(
        "epochs = 6", "epochs = 60\npatience = 2"
    )
    (tmp_path / "tiny.toml").write_text(text)
    folder = train(tmp_path / "tiny.toml", tmp_path / "out", source, labels=["color"])
    curves = json.loads((folder / "training.json").read_text())["curves"]
    losses = [epoch["validation_loss"] for epoch in curves]
    assert len(curves) < 60 and min(losses) == losses[-3]
    best = torch.load(tmp_path / "out.run" / "best.ckpt", weights_only=False)
    assert best["epoch"] + 1 == curves[-3]["epoch"]
    saved = _load_weights(folder)["heads.labels.weight"]
    np.testing.assert_array_equal(saved, best["state_dict"]["network.heads.labels.weight"].numpy())


def test_accumulated_batches_make_one_step(source: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(RECIPE.replace("batch = 16", "batch = 8\naccumulate = 4"))
    folder = train(tmp_path / "tiny.toml", tmp_path / "out", source, labels=["color"])
    rows = json.loads((folder / "training.json").read_text())["rows"]["train"]
    steps = torch.load(tmp_path / "out.run" / "last.ckpt", weights_only=False)["global_step"]
    batches = rows // 8 + (rows % 8 > 1)
    assert steps == 6 * math.ceil(batches / 4)


def test_untrained_recipe_is_said_to_be_untrained(source: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(RECIPE.replace("epochs = 6", "epochs = 0").replace("linear1", "logits"))
    folder = train(tmp_path / "tiny.toml", tmp_path / "out", source, labels=["color"])
    report = json.loads((folder / "training.json").read_text())
    assert (report["trained"], report["epochs"], report["curves"]) == (False, 0, [])
    assert ff.load_encoder(folder).dim == 4


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ("device=2", "lightning.Trainer has no argument 'device'; did you mean 'devices'?"),
        ("max_epochs=3", "max_epochs is not for --trainer: set epochs in the recipe"),
        ("accelerator=gpu", "this machine cannot train as accelerator=gpu says"),
        ("devices", "give it as KEY=VALUE"),
    ],
)
def test_wrong_wish_is_one_line(
    wish: str, message: str, source: Path, recipe_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if "gpu" in wish and (torch.cuda.is_available() or torch.backends.mps.is_available()):
        pytest.skip("there is a GPU")
    command = ["train", str(recipe_path), "--data", str(source), "--label", "color", "-o", str(tmp_path / "out")]
    assert main([*command, "--trainer", wish]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("rate", ["1e38", "1e30"])
def test_loss_that_is_no_number_is_advice(rate: str, source: Path, tmp_path: Path) -> None:
    text = RECIPE.replace("learning_rate = 1e-2", f"learning_rate = {rate}").replace('"adam"', '"sgd"')
    (tmp_path / "tiny.toml").write_text(text)
    with pytest.raises(ff.RecipeError, match=r"the loss became (nan|inf) in epoch .*: lower learning_rate"):
        train(tmp_path / "tiny.toml", tmp_path / "out", source, labels=["color"])


def test_out_of_memory_is_advice(
    source: Path, recipe_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_out(*args: object) -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr("focusedfashion.training.network.Network.forward_logits", run_out)
    with pytest.raises(ff.RecipeError, match="out of memory: in the recipe, set batch = 8 and accumulate = 2"):
        train(recipe_path, tmp_path / "out", source, labels=["color"])


def test_full_disk_in_mid_save_loses_nothing(
    source: Path, recipe_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fills while the third checkpoint is written: the second one stays, and the run goes on from it."""
    from lightning.fabric.plugins.io import torch_io

    whole, saves = torch_io._atomic_save, []

    def fill(*args: object) -> None:
        saves.append(args)
        if len(saves) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        whole(*args)

    monkeypatch.setattr(torch_io, "_atomic_save", fill)
    with pytest.raises(ff.RecipeError, match="the disk is full: make room and give the command again"):
        train(recipe_path, tmp_path / "out", source, labels=["color"])
    assert not (tmp_path / "out").exists()
    assert torch.load(tmp_path / "out.run" / "last.ckpt", weights_only=False)["epoch"] == 1
    train(recipe_path, tmp_path / "out", source, labels=["color"])
    train(recipe_path, tmp_path / "whole", source, labels=["color"])
    for name, value in _load_weights(tmp_path / "whole").items():
        np.testing.assert_allclose(_load_weights(tmp_path / "out")[name], value, atol=1e-6)


def test_killed_while_it_was_saved_is_saved_without_training_again(
    source: Path, recipe_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = train(recipe_path, tmp_path / "out", source, labels=["color"])
    curves = json.loads((folder / "training.json").read_text())["curves"]
    weights = _load_weights(folder)
    shutil.rmtree(folder)
    monkeypatch.setattr("lightning.Trainer.fit", lambda *args, **options: pytest.fail("it trains again"))
    train(recipe_path, folder, source, labels=["color"])
    assert json.loads((folder / "training.json").read_text())["curves"] == curves
    np.testing.assert_array_equal(_load_weights(folder)["heads.labels.weight"], weights["heads.labels.weight"])


def test_damaged_checkpoint_is_one_line(source: Path, recipe_path: Path, tmp_path: Path) -> None:
    shutil.rmtree(train(recipe_path, tmp_path / "out", source, labels=["color"]))
    (tmp_path / "out.run" / "finished.json").unlink()
    whole = (tmp_path / "out.run" / "last.ckpt").read_bytes()
    (tmp_path / "out.run" / "last.ckpt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ff.RecipeError, match=r"the checkpoint .*last.ckpt is damaged: remove"):
        train(recipe_path, tmp_path / "out", source, labels=["color"])


def test_run_of_other_labels_is_refused(source: Path, recipe_path: Path, tmp_path: Path) -> None:
    shutil.rmtree(train(recipe_path, tmp_path / "out", source, labels=["color"]))
    with pytest.raises(ff.RecipeError, match="holds a run that differs in its labels"):
        train(recipe_path, tmp_path / "out", source, labels=["tags"])


def test_layers_are_listed_and_saved(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layers = {layer.name: layer.shape for layer in list_layers(str(trained))}
    assert layers["conv1"] == (8, 20, 16)
    assert layers["conv1_pool"] == (8, 10, 8)
    assert layers["logits"] == (8,)
    assert main(["features", str(trained), "--layer", "linear1", "-o", str(tmp_path / "same")]) == 0
    pictures = [draw_garment("red"), draw_garment("blue", 1, 2)]
    same = ff.load_encoder(tmp_path / "same").embed(pictures)
    np.testing.assert_allclose(same, ff.load_encoder(trained).embed(pictures), atol=1e-5)
    save_features(str(trained), "conv1_pool", tmp_path / "map")
    assert ff.load_encoder(tmp_path / "map").dim == 8 * 10 * 8
    assert main(["features", str(trained), "--layer", "linear2", "-o", str(tmp_path / "none")]) == 1
    assert "tiny has no layer 'linear2'; did you mean 'linear1'" in capsys.readouterr().err


def test_large_map_is_averaged(tmp_path: Path) -> None:
    layer = save_features("timm:test_resnet", "layer1", tmp_path / "out", "none")
    assert len(layer.shape) == 3 and np.prod(layer.shape) > 4096
    encoder = ff.load_encoder(tmp_path / "out")
    assert encoder.dim == layer.dim == layer.shape[0]
    assert encoder.resize == "crop"
    assert encoder.embed([draw_garment()]).shape == (1, encoder.dim)


def test_encoder_opens_pictures_as_training_did(trained: Path, source: Path, tmp_path: Path) -> None:
    packed = pack_tiny(source, tmp_path)
    encoder = ff.load_encoder(trained)
    row = int(np.flatnonzero(packed.item_ids == "5.jpg")[0])
    fitted = encoder.fit(np.asarray(Image.open(io.BytesIO((source.parent / "5.jpg").read_bytes())).convert("RGB")))
    np.testing.assert_array_equal(fitted, packed.pictures[row])
