"""The recipes that ship, and the networks that they make."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from focusedfashion.errors import RecipeError  # noqa: E402
from focusedfashion.training.backbone import NO_WEIGHTS, load_backbone  # noqa: E402
from focusedfashion.training.network import Network, count_macs  # noqa: E402
from focusedfashion.training.recipe import Imbalance, Layer, Recipe, find_recipe, list_recipes, load_recipe  # noqa: E402

# Name -> side in px, outputs of the layers, rate, dropout, epochs, batch: the predecessor's table.
SMALL = {
    "template": (32, [32, 64, 256], 1e-2, 0.5, 5, 256),
    "jessica-1": (32, [32, 64, 256], 5e-3, 0.1, 5, 256),
    "jessica-3": (50, [35, 70, 256], 5e-5, 0.01, 10, 200),
    "jessica-4": (50, [35, 70, 256], 5e-7, 0.005, 10, 280),
    "jessica-5": (50, [35, 70, 256], 5e-5, 0.01, 25, 200),
    "jessica-6": (50, [35, 70, 256], 5e-5, 0.01, 50, 200),
    "jessica-7": (50, [35, 70, 256], 5e-5, 0.01, 25, 200),
    "mary-1": (100, [32, 64, 1024], 0.1, 0.45, 5, 1024),
    "mary-2": (120, [32, 64, 128, 1024], 1e-2, 0.5, 10, 1024),
}
LARGE = {"mobilenet-frozen", "densenet161-untrained", "resnet50", "alexnet", "bn-inception", "builtin", "builtin-open"}
RARE = {
    "positive": Imbalance(weights="positive"),
    "effective": Imbalance(weights="effective"),
    "focal": Imbalance(loss="focal"),
    "asymmetric": Imbalance(loss="asymmetric"),
    "adjusted": Imbalance(loss="logit-adjustment"),
    "balanced": Imbalance(sampling="balanced"),
}


def make_network(recipe: Recipe, labels: int = 149) -> Network:
    names = [str(number) for number in range(labels)]
    return Network(recipe, dict.fromkeys(recipe.heads, names), load_backbone(recipe, NO_WEIGHTS))


def test_all_recipes_of_the_study_ship() -> None:
    assert set(list_recipes()) == set(SMALL) | LARGE | {"jessica-5-cycle"} | {f"jessica-5-cycle-{way}" for way in RARE}


def test_the_choices_for_rare_labels_differ_in_nothing_else() -> None:
    plain = load_recipe(find_recipe("jessica-5-cycle"))
    for way, imbalance in RARE.items():
        recipe = load_recipe(find_recipe(f"jessica-5-cycle-{way}"))
        assert recipe.imbalance == imbalance
        assert replace(recipe, name=plain.name, text=plain.text, imbalance=plain.imbalance) == plain


@pytest.mark.parametrize("name", SMALL)
def test_small_recipes_are_the_published_ones(name: str) -> None:
    recipe = load_recipe(find_recipe(name))
    outputs = [layer.conv + layer.linear for layer in recipe.layers]
    found = (recipe.width, outputs, recipe.learning_rate, recipe.dropout, recipe.epochs, recipe.batch)
    assert found == SMALL[name]
    assert (recipe.height, recipe.optimizer, recipe.schedule, recipe.resize) == (
        recipe.width,
        "adam",
        "constant",
        "squash",
    )
    assert recipe.augmentation.moves == (name == "jessica-7")
    pixels = torch.randint(0, 256, (2, recipe.height, recipe.width, 3), dtype=torch.uint8)
    embedding, logits = make_network(recipe).eval()(pixels)
    assert embedding.shape == (2, outputs[-1])
    assert logits["labels"].shape == (2, 149)


def test_jessica_5_has_the_published_parameters() -> None:
    network = make_network(load_recipe(find_recipe("jessica-5")))
    assert sum(parameter.numel() for parameter in network.parameters()) == 2_642_851


def test_recipes_of_the_study_share_their_split() -> None:
    recipes = [load_recipe(find_recipe(name)) for name in list_recipes() if not name.startswith("builtin")]
    assert len({(recipe.seed, recipe.validation, recipe.test) for recipe in recipes}) == 1


def test_macs_are_counted_by_hand() -> None:
    """One multiply-add per weight and place: 50 * 50 * 35 * 27, 25 * 25 * 70 * 35 * 9, 10,080 * 256, 256 * 149."""
    recipe = load_recipe(find_recipe("jessica-5"))
    assert count_macs(make_network(recipe), 50, 50) == 2_362_500 + 13_781_250 + 2_580_480 + 38_144


def test_frozen_network_trains_its_linear_layer_alone() -> None:
    recipe = load_recipe(find_recipe("mobilenet-frozen"))
    network = make_network(replace(recipe, width=64, height=64)).train()
    trained = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert trained == {"heads.labels.weight", "heads.labels.bias"}
    assert not any(module.training for module in network.backbone.modules())
    assert network.heads["labels"].in_features == 1280 * 2 * 2, "the whole map, not its mean"


def test_recipe_names_its_correction() -> None:
    assert "GoogLeNet" in load_recipe(find_recipe("bn-inception")).correction


def test_layers_that_do_not_fit_their_input_are_named() -> None:
    recipe = replace(load_recipe(find_recipe("jessica-5")), layers=[Layer(conv=8), Layer(conv=8, kernel=27)])
    with pytest.raises(RecipeError, match=r"conv2 .kernel 27, stride 1. leaves nothing to pool of 25 x 25"):
        make_network(recipe)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ('optimizer = "adam"', 'optimizer = "adma"'),
            "optimizer must be one of adamw, adam, sgd, not 'adma'; did you mean",
        ),
        (('resize = "squash"', 'resize = "crop"'), "resize_to must be no less than width and height"),
        (("conv = 35", "conv = 35, linear = 3"), "each is either conv = N or linear = N"),
        (("conv = 35", "konv = 35"), "layers: unknown key 'konv'; did you mean 'conv'?"),
        (("layers =", 'backbone = "resnet18"\nlayers ='), "needs either backbone or layers"),
        (("{ exclusive = false }", '{ columns = "tags" }'), "columns must be of type list"),
        (("[heads]", '[imbalance]\nloss = "focl"\n[heads]'), "imbalance.loss must be one of plain, focal"),
        (
            ("{ exclusive = false }", '{ }\n[imbalance]\nloss = "asymmetric"'),
            "asymmetric loss is for exclusive = false",
        ),
        (('"linear1"', '"linear9"'), "jessica-5 has no layer 'linear9'; did you mean 'linear1'"),
        (("test = 0.2", "test = 0.95"), "test must be at least 0, and below 1 with validation"),
    ],
)
def test_wrong_recipe_is_one_line(change: tuple[str, str], message: str, tmp_path: Path) -> None:
    text = find_recipe("jessica-5").read_text(encoding="utf-8")
    assert change[0] in text
    (tmp_path / "wrong.toml").write_text(text.replace(*change))
    with pytest.raises(RecipeError) as caught:
        make_network(load_recipe(tmp_path / "wrong.toml"))
    assert message in str(caught.value)


def test_wrong_name_gets_the_nearest_spelling() -> None:
    with pytest.raises(RecipeError, match="did you mean 'jessica-5'"):
        find_recipe("jesica-5")


def test_torchvision_networks_are_found_by_name() -> None:
    recipe = load_recipe(find_recipe("alexnet"))
    assert load_backbone(recipe, NO_WEIGHTS).origin == "none (random)"
    with pytest.raises(RecipeError, match="torchvision has no network 'alexnett'; did you mean 'alexnet'"):
        load_backbone(replace(recipe, backbone="torchvision:alexnett"), NO_WEIGHTS)


def test_hub_that_cannot_be_reached_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr("timm.create_model", refuse)
    recipe = replace(load_recipe(find_recipe("jessica-5")), layers=[], backbone="resnet18")
    with pytest.raises(RecipeError, match=r"cannot be fetched from the hub .no route to host.*--weights none"):
        load_backbone(recipe, None)
