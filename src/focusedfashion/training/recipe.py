"""A recipe: everything that decides how an encoder is trained, read from a TOML file."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from focusedfashion.errors import RecipeError

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")  # Lightning's names
RESIZES = ("fit", "squash", "crop")  # images.resize_image
POOLS = ("avg", "flatten")
OPTIMIZERS = ("adamw", "adam", "sgd")
SCHEDULES = ("one-cycle", "constant", "cosine")
LOSSES = ("plain", "focal", "asymmetric", "logit-adjustment")
WEIGHTS = ("none", "positive", "effective")
SAMPLINGS = ("uniform", "balanced")
LOGITS = "logits"  # a layer of every network with heads: what they give, side by side
TRUNK = "trunk"  # what a head reads that reads no block


@dataclass(frozen=True, slots=True)
class DataSet:
    """One source of labelled pictures.

    `files` is a pattern below the directory given to `train --data`, or `samples:N` for N drawn garments (each as a
    shop picture and as a photo). Rows that share `group_by` within a `family` stay on one side of the split.
    """

    name: str
    files: str
    vocabulary: str
    family: str = ""
    group_by: str = "item_id"
    aspect: float = 0.0  # width / height to restore where a set was squashed to a square; 0 leaves it
    repeat: int = 1  # how often an epoch shows each training row
    origin: str = ""
    license: str = ""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a network of the recipe's own: a convolution or a linear layer of so many outputs.

    A convolution has padding 1 and is followed by ReLU, batch norm and 2x2 max pooling, a linear layer by ReLU and
    batch norm.
    """

    conv: int = 0
    linear: int = 0
    kernel: int = 3
    stride: int = 1


@dataclass(frozen=True, slots=True)
class Head:
    """One attribute group: reads a block (or the `trunk`); an unreported one only shapes its block.

    An exclusive one is a softmax over its labels, another one has a sigmoid per label. `columns` are those of the
    source that its labels come from, where the recipe has no [[data]]; empty: all that `train --label` names.
    """

    reads: str = TRUNK
    weight: float = 1.0  # of its loss
    report: bool = True
    hue: bool = False  # says something about the hue: a recolored picture does not count for it
    exclusive: bool = True
    columns: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Block:
    """One block of the embedding and its weight in the score where a query names no focus."""

    size: int
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Start:
    """What belongs to the weights file given to `train --weights`; a hub brings its own."""

    options: Mapping[str, Any] = field(default_factory=dict)  # for timm.create_model, as pad_type
    mean: list[float] = field(default_factory=list)  # of RGB in 0..1; empty: what timm says of the backbone
    std: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Random changes of training pictures, none unless named; shares are probabilities per picture."""

    flip: float = 0.0
    flip_vertical: float = 0.0
    scale: float = 1.0  # zoomed by a factor in 1/scale..scale
    rotation: float = 0.0  # degrees, either way
    shift: float = 0.0  # of the side, either way
    light: float = 0.0  # brightness and contrast, either way
    saturation: float = 0.0  # either way
    cast: float = 0.0  # of each color channel, either way
    blur: float = 0.0  # share of pictures
    background: float = 0.0  # share of the pictures with a known white ground that get another one
    recolor: float = 0.0  # share of pictures whose hue is turned; their color label then does not count

    @property
    def moves(self) -> bool:
        """Whether pixels change their places."""
        return self.scale > 1 or any((self.flip, self.flip_vertical, self.rotation, self.shift))

    @property
    def colors(self) -> bool:
        """Whether pixels change their values otherwise, so that they may leave 0..255."""
        return any((self.light, self.saturation, self.cast, self.blur, self.background, self.recolor))


@dataclass(frozen=True, slots=True)
class Imbalance:
    """What is done for rare labels: see `losses.py` for each choice and its paper, `data.py` for the sampling."""

    loss: str = "plain"
    weights: str = "none"
    sampling: str = "uniform"
    gamma: float = 2.0  # of the focal loss
    gamma_negative: float = 4.0  # of the asymmetric loss; its positives have none
    margin: float = 0.05  # of the asymmetric loss: negatives below this probability do not count
    tau: float = 1.0  # of logit adjustment
    beta: float = 0.9999  # of the effective number


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """See `training/recipes/builtin.toml` and the guide for every key explained."""

    name: str
    seed: int
    width: int
    height: int
    resize: str = "fit"
    resize_to: int = 0  # px of both sides before `crop` cuts the middle out
    backbone: str = ""  # of timm, or torchvision:NAME; else `layers`
    layers: list[Layer] = field(default_factory=list)
    pool: str = "avg"
    dropout: float = 0.2  # before the heads and blocks
    freeze: list[str] = field(default_factory=list)  # parts of the backbone, or "all"
    features: str = TRUNK  # the layer whose output is the embedding, where there are no blocks
    epochs: int
    batch: int
    accumulate: int = 1  # batches of one step of the optimizer
    drop_last: bool = True  # an epoch leaves out the rows that do not fill a batch
    optimizer: str = "adamw"
    learning_rate: float = 0.0
    momentum: float = 0.9  # of sgd
    weight_decay: float = 0.0
    schedule: str = "one-cycle"
    patience: int = 0  # epochs without a lower validation loss, after which training stops; 0: never
    precision: str = "32-true"
    validation: float
    test: float = 0.0
    blocks: Mapping[str, Block] = field(default_factory=dict)
    heads: Mapping[str, Head]
    data: list[DataSet] = field(default_factory=list)
    start: Start = field(default_factory=Start)
    augmentation: Augmentation = field(default_factory=Augmentation)
    imbalance: Imbalance = field(default_factory=Imbalance)
    correction: str = ""  # how it differs from what was published, where that cannot run
    license: str = ""
    weights: str = ""  # where the starting weights come from, in words, for the card
    text: str = ""  # the file as it was read: two recipes are the same where their texts are


_TABLES = {"start": Start, "augmentation": Augmentation, "imbalance": Imbalance}
_NAMED_TABLES = {"blocks": Block, "heads": Head}
_LISTS = {"data": DataSet, "layers": Layer}


def list_recipes() -> list[str]:
    """The names of the recipes that ship."""
    return sorted(path.stem for path in (Path(__file__).parent / "recipes").glob("*.toml"))


def find_recipe(name: str) -> Path:
    """The path of a recipe: a file's own, or that of a recipe that ships (`builtin`). Raises RecipeError."""
    shipped = Path(__file__).parent / "recipes" / f"{name}.toml"
    if Path(name).is_file():
        return Path(name)
    if name in list_recipes():
        return shipped
    known = list_recipes()
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise RecipeError(f"no recipe {name!r}: {hint}give a TOML file, or one that ships: {', '.join(known)}")


def load_recipe(path: Path) -> Recipe:
    """A TOML file -> Recipe. Raises RecipeError, with the nearest spelling for an unknown key."""
    try:
        text = path.read_text(encoding="utf-8")
        raw = tomllib.loads(text)
    except FileNotFoundError:
        raise RecipeError(f"no recipe at {path}") from None
    except (OSError, ValueError) as error:
        raise RecipeError(f"{path} cannot be read as TOML ({error})") from None
    for key, kind in _NAMED_TABLES.items():
        entries = raw.get(key, {})
        if not isinstance(entries, dict):
            raise RecipeError(f"{path}: {key} must be tables [{key}.NAME], not {entries!r}")
        raw[key] = {name: _build(kind, entry, f"{path}: {key}.{name}") for name, entry in entries.items()}
    for key, kind in _LISTS.items():
        found = raw.get(key, [])
        raw[key] = [_build(kind, entry, f"{path}: {key}") for entry in (found if isinstance(found, list) else [found])]
    for key, kind in _TABLES.items():
        raw[key] = _build(kind, raw.get(key, {}), f"{path}: {key}")
    recipe: Recipe = _build(Recipe, raw | {"text": text}, str(path))
    _check(recipe, path)
    return recipe


def suggest(name: str, known: Iterable[str]) -> str:
    """What to say of a name that is not among the known: the nearest spelling, else all of them."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known[:40])}"


def _build(kind: Any, entry: Any, where: str) -> Any:
    """A TOML table -> a dataclass, every key known, every needed one there, every value of its type."""
    if not isinstance(entry, dict):
        raise RecipeError(f"{where}: must be a table, not {entry!r}")
    known = {f.name: f for f in fields(kind)}
    for key in entry:
        if key not in known:
            raise RecipeError(f"{where}: unknown key {key!r}; {suggest(key, known)}")
    for name, f in known.items():
        if name not in entry and f.default is MISSING and f.default_factory is MISSING:
            raise RecipeError(f"{where}: the key {name!r} is missing")
    hints = get_type_hints(kind)
    values = {}
    for key, value in entry.items():
        expected = hints[key]
        if expected is float and type(value) is int:
            value = float(value)
        kind_of = get_origin(expected) or expected
        if kind_of in (int, float, str, bool, list) and type(value) is not kind_of:
            raise RecipeError(f"{where}: {key} must be of type {kind_of.__name__}, not {value!r}")
        if kind_of is list and get_args(expected)[0] in (str, float):
            allowed = (str,) if get_args(expected)[0] is str else (int, float)
            if any(type(part) not in allowed for part in value):
                raise RecipeError(f"{where}: {key} must be a list of type {get_args(expected)[0].__name__}")
        values[key] = value
    return kind(**values)


def _check(recipe: Recipe, path: Path) -> None:
    """Raises RecipeError for values that no training can have."""
    if not recipe.heads:
        raise RecipeError(f"{path}: needs at least one table [heads.NAME]")
    for name, head in recipe.heads.items():
        if not name.isidentifier():
            raise RecipeError(f"{path}: heads.{name}: a head's name is one word of letters, digits and _")
        if head.reads != TRUNK and head.reads not in recipe.blocks:
            known = ", ".join([*recipe.blocks, TRUNK])
            raise RecipeError(f"{path}: heads.{name} reads {head.reads!r}; there are {known}")
        if head.exclusive and recipe.imbalance.loss == "asymmetric":
            raise RecipeError(f"{path}: heads.{name} is exclusive; the asymmetric loss is for exclusive = false")
        if recipe.data and not head.exclusive:
            raise RecipeError(f"{path}: heads.{name}: exclusive = false is for recipes without [[data]]")
    if bool(recipe.backbone) == bool(recipe.layers):
        raise RecipeError(f"{path}: needs either backbone or layers")
    for layer in recipe.layers:
        if bool(layer.conv) == bool(layer.linear):
            raise RecipeError(f"{path}: layers: each is either conv = N or linear = N")
    if any(layer.conv for layer in recipe.layers[_count_convolutions(recipe.layers) :]):
        raise RecipeError(f"{path}: layers: convolutions come before linear layers")
    if len({data.name for data in recipe.data}) < len(recipe.data):
        raise RecipeError(f"{path}: two [[data]] tables have the same name")
    changes, imbalance = recipe.augmentation, recipe.imbalance
    choices: dict[str, tuple[str, tuple[str, ...]]] = {
        "precision": (recipe.precision, PRECISIONS),
        "resize": (recipe.resize, RESIZES),
        "pool": (recipe.pool, POOLS),
        "optimizer": (recipe.optimizer, OPTIMIZERS),
        "schedule": (recipe.schedule, SCHEDULES),
        "imbalance.loss": (imbalance.loss, LOSSES),
        "imbalance.weights": (imbalance.weights, WEIGHTS),
        "imbalance.sampling": (imbalance.sampling, SAMPLINGS),
    }
    for name, (value, known_values) in choices.items():
        if value not in known_values:
            near = difflib.get_close_matches(value, known_values, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise RecipeError(f"{path}: {name} must be one of {', '.join(known_values)}, not {value!r}{hint}")
    fits = recipe.resize != "crop" or recipe.resize_to >= max(recipe.width, recipe.height)
    shares = {name: getattr(changes, name) for name in ("flip", "flip_vertical", "blur", "background", "recolor")}
    counts = {name: getattr(recipe, name) for name in ("width", "height", "batch", "accumulate")}
    counts |= {f"blocks.{name}.size": block.size for name, block in recipe.blocks.items()}
    counts |= {f"data {data.name}.repeat": data.repeat for data in recipe.data}
    for layer in recipe.layers:
        counts |= {"layers: conv or linear": layer.conv + layer.linear, "layers: kernel": layer.kernel}
        counts |= {"layers: stride": layer.stride}
    for name, holds, words in (
        *((name, value >= 1, "at least 1") for name, value in counts.items()),
        *((f"augmentation.{name}", 0 <= value <= 1, "from 0 to 1") for name, value in shares.items()),
        ("augmentation.scale", changes.scale >= 1, "at least 1"),
        ("learning_rate", recipe.learning_rate > 0 or not recipe.epochs, "above 0"),
        ("epochs", recipe.epochs >= 0, "at least 0"),
        ("patience", recipe.patience >= 0, "at least 0"),
        ("dropout", 0 <= recipe.dropout < 1, "from 0 to below 1"),
        ("validation", 0 < recipe.validation < 1, "between 0 and 1"),
        ("test", 0 <= recipe.test < 1 - recipe.validation, "at least 0, and below 1 with validation"),
        ("resize_to", fits, "no less than width and height where resize is crop"),
        ("imbalance.beta", 0 <= imbalance.beta < 1, "from 0 to below 1"),
        ("seed", recipe.seed >= 0, "at least 0"),
    ):
        if not holds:
            raise RecipeError(f"{path}: {name} must be {words}")


def _count_convolutions(layers: list[Layer]) -> int:
    """How many layers at the beginning are convolutions."""
    return next((place for place, layer in enumerate(layers) if layer.linear), len(layers))
