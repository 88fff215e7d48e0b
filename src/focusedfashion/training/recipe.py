"""A recipe: everything that decides how an encoder is trained, read from a TOML file."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, get_origin, get_type_hints

from focusedfashion.errors import RecipeError

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")  # Lightning's names


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
class Head:
    """One attribute group: reads a block (or the `trunk`); an unreported one only shapes its block."""

    reads: str
    weight: float = 1.0  # of its loss
    report: bool = True
    hue: bool = False  # says something about the hue: a recolored picture does not count for it


@dataclass(frozen=True, slots=True)
class Block:
    """One block of the embedding and its weight in the score where a query names no focus."""

    size: int
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Start:
    """What belongs to the weights file given to `train --weights`; timm's hub brings its own."""

    options: Mapping[str, Any] = field(default_factory=dict)  # for timm.create_model, as pad_type
    mean: list[float] = field(default_factory=list)  # of RGB in 0..1; empty: what timm says of the backbone
    std: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Random changes of training pictures; shares are probabilities per picture."""

    flip: float = 0.5
    scale: float = 1.25  # zoomed by a factor in 1/scale..scale
    rotation: float = 12.0  # degrees, either way
    shift: float = 0.08  # of the side, either way
    light: float = 0.2  # brightness and contrast, either way
    cast: float = 0.06  # of each color channel, either way
    blur: float = 0.15  # share of pictures
    background: float = 0.35  # share of the pictures with a known white ground that get another one
    recolor: float = 0.2  # share of pictures whose hue is turned; their color label then does not count


@dataclass(frozen=True, slots=True)
class Recipe:
    """See `training/recipes/builtin.toml` for one with every key explained."""

    name: str
    seed: int
    width: int
    height: int
    backbone: str
    freeze: list[str]
    epochs: int
    batch: int
    learning_rate: float
    weight_decay: float
    precision: str
    validation: float
    blocks: Mapping[str, Block]
    heads: Mapping[str, Head]
    data: list[DataSet]
    start: Start = field(default_factory=Start)
    augmentation: Augmentation = field(default_factory=Augmentation)
    license: str = ""
    weights: str = ""  # where the starting weights come from, in words, for the card
    text: str = ""  # the file as it was read: two recipes are the same where their texts are


def find_recipe(name: str) -> Path:
    """The path of a recipe: a file's own, or that of a recipe that ships (`builtin`). Raises RecipeError."""
    shipped = Path(__file__).parent / "recipes"
    if Path(name).is_file():
        return Path(name)
    if (shipped / f"{name}.toml").is_file():
        return shipped / f"{name}.toml"
    known = ", ".join(sorted(path.stem for path in shipped.glob("*.toml")))
    raise RecipeError(f"no recipe {name!r}: give a TOML file, or one that ships: {known}")


def load_recipe(path: Path) -> Recipe:
    """A TOML file -> Recipe. Raises RecipeError, with the nearest spelling for an unknown key."""
    try:
        text = path.read_text(encoding="utf-8")
        raw = tomllib.loads(text)
    except FileNotFoundError:
        raise RecipeError(f"no recipe at {path}") from None
    except (OSError, ValueError) as error:
        raise RecipeError(f"{path} cannot be read as TOML ({error})") from None
    for key, kind in (("blocks", Block), ("heads", Head)):
        raw[key] = {name: _build(kind, entry, f"{path}: {key}.{name}") for name, entry in _table(raw, key, path)}
    sets = raw.get("data", [])
    raw["data"] = [_build(DataSet, entry, f"{path}: data") for entry in (sets if isinstance(sets, list) else [sets])]
    raw["start"] = _build(Start, raw.get("start", {}), f"{path}: start")
    raw["augmentation"] = _build(Augmentation, raw.get("augmentation", {}), f"{path}: augmentation")
    recipe: Recipe = _build(Recipe, raw | {"text": text}, str(path))
    _check(recipe, path)
    return recipe


def _table(raw: Mapping[str, Any], key: str, path: Path) -> list[tuple[str, Any]]:
    table = raw.get(key)
    if not isinstance(table, dict) or not table:
        raise RecipeError(f"{path}: needs at least one table [{key}.NAME]")
    return list(table.items())


def _build(kind: Any, entry: Any, where: str) -> Any:
    """A TOML table -> a dataclass, every key known, every needed one there, every value of its type."""
    if not isinstance(entry, dict):
        raise RecipeError(f"{where}: must be a table, not {entry!r}")
    known = {f.name: f for f in fields(kind)}
    for key in entry:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise RecipeError(f"{where}: unknown key {key!r}; {hint}")
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
        values[key] = value
    return kind(**values)


def _check(recipe: Recipe, path: Path) -> None:
    for name, head in recipe.heads.items():
        if head.reads != "trunk" and head.reads not in recipe.blocks:
            known = ", ".join(recipe.blocks)
            raise RecipeError(f"{path}: heads.{name} reads {head.reads!r}; there are {known} and trunk")
    if not recipe.data:
        raise RecipeError(f"{path}: needs at least one table [[data]]")
    if len({data.name for data in recipe.data}) < len(recipe.data):
        raise RecipeError(f"{path}: two [[data]] tables have the same name")
    changes = recipe.augmentation
    shares = {name: getattr(changes, name) for name in ("flip", "blur", "background", "recolor")}
    counts = {name: getattr(recipe, name) for name in ("width", "height", "epochs", "batch")}
    counts |= {f"blocks.{name}.size": block.size for name, block in recipe.blocks.items()}
    counts |= {f"data {data.name}.repeat": data.repeat for data in recipe.data}
    for name, holds, words in (
        *((name, value >= 1, "at least 1") for name, value in counts.items()),
        *((f"augmentation.{name}", 0 <= value <= 1, "from 0 to 1") for name, value in shares.items()),
        ("augmentation.scale", changes.scale >= 1, "at least 1"),
        ("learning_rate", recipe.learning_rate > 0, "above 0"),
        ("validation", 0 < recipe.validation < 1, "between 0 and 1"),
        ("seed", recipe.seed >= 0, "at least 0"),
        ("precision", recipe.precision in PRECISIONS, f"one of {', '.join(PRECISIONS)}"),
    ):
        if not holds:
            raise RecipeError(f"{path}: {name} must be {words}")
