"""What a study compares: encoders that are there, and recipes that are trained first."""

from __future__ import annotations

import json
import logging
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focusedfashion.encoders import Encoder, load_encoder
from focusedfashion.errors import FashionError, QueryError, RecipeError
from focusedfashion.images import RGB
from focusedfashion.labels import Labels
from focusedfashion.study.cost import count_graph
from focusedfashion.study.data import read_split
from focusedfashion.study.figures import Cost
from focusedfashion.study.raw import SIDE, RawPixels

logger = logging.getLogger(__name__)

Floats = NDArray[np.float32]

_WORDS = ("name", "text", "correction", "license", "weights", "data", "start", "precision")  # decide no figure
_COVERED = 0.9  # of the labels that rows to learn from have: with fewer, an encoder's head is for other labels


@dataclass(frozen=True, slots=True)
class Subject:
    """One column of the study: an encoder, or the raw pixels where `encoder` is None.

    `places` says where each of the study's labels is in the encoder's scores, all groups side by side, -1 where it is
    not; None where its head is for other labels. `said` is its training.json.
    """

    name: str
    encoder: Encoder | None
    folder: Path | None = None
    said: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, str] = field(default_factory=dict)
    split: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of its input."""
        return (self.encoder.width, self.encoder.height) if self.encoder else (SIDE, SIDE)

    @property
    def dim(self) -> int:
        return self.encoder.dim if self.encoder else RawPixels.dim

    @property
    def fingerprint(self) -> str:
        return self.encoder.fingerprint if self.encoder else "raw"

    def fit(self, picture: RGB) -> RGB:
        """RGB uint8 (h, w, 3) of any size -> as its network takes it."""
        return self.encoder.fit(picture) if self.encoder else RawPixels().fit(picture)

    def run(self, fitted: Sequence[RGB]) -> tuple[Floats, Floats]:
        """Pictures as `fit` gives them -> vectors (n, dim), whose dot product is the score, and all scores (n, ·).

        Each block is weighted as a search without a focus weighs it; a vector has norm 1.
        """
        if self.encoder is None:
            return RawPixels().embed_fitted(fitted), np.zeros((len(fitted), 0), np.float32)
        encoding = self.encoder.encode_fitted(fitted)
        vectors = encoding.embeddings.copy()
        total = sum(self.encoder.weights.values())
        for block, place in self.encoder.blocks.items():
            vectors[:, place] *= np.float32(np.sqrt(self.encoder.weights[block] / total))
        return vectors, np.concatenate([np.zeros((len(fitted), 0), np.float32), *encoding.scores.values()], axis=1)

    def find_places(self, labels: Labels, counts: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Where the study's labels are among the scores; None where the head has too few of those with `counts` > 0."""
        places = np.full(len(labels.names), -1)
        if self.encoder is None:
            return None
        number = {name: place for place, name in enumerate(labels.names)}
        start = 0
        for group, entry in self.encoder.attributes.items():
            column = self.recipe.get(f"heads.{group}.columns", "").strip("[]'\" ")
            for place, label in enumerate(entry.labels):
                for name in (label, f"{group}: {label}", f"{column}: {label}"):
                    if name in number:
                        places[number[name]] = start + place
                        break
            start += len(entry.labels)
        learned = counts > 0
        covered = (places[learned] >= 0).mean() if learned.any() else 0.0
        return places if covered >= _COVERED else None

    def list_thresholds(self) -> NDArray[np.float64]:
        """The thresholds of all groups side by side."""
        groups = self.encoder.attributes.values() if self.encoder else ()
        return np.array([threshold for entry in groups for threshold in entry.thresholds])

    def tell_cost(self, milliseconds: float) -> Cost:
        """What its training said, with the graph's own count where that said nothing."""
        said = self.said
        parameters, macs = said.get("parameters"), said.get("macs")
        if self.folder is not None and (parameters is None or macs is None):
            counted = count_graph(self.folder / "model.onnx")
            parameters = counted[0] if parameters is None else parameters
            macs = counted[1] if macs is None else macs
        return Cost(
            parameters,
            macs,
            milliseconds,
            said.get("epochs"),
            said.get("seconds"),
            said.get("pictures_per_second"),
            str(said.get("device", "")),
        )


def prepare_subjects(
    names: Sequence[str],
    source: str,
    labels: Sequence[str],
    folder: Path,
    weights: Sequence[str] = (),
    trainer: Mapping[str, Any] | None = None,
) -> tuple[list[Subject], dict[str, str]]:
    """Encoders and recipes by name -> what is compared, and name -> reason of what could not be trained or loaded.

    `builtin` and a folder with an encoder.json are encoders; anything else is a recipe, which is trained into
    `folder`/encoders/NAME unless it lies there. `weights` are files to start from, "none", or RECIPE=FILE for one
    recipe. Raises QueryError where two have one name, or the names are of nothing at all.
    """
    wanted: dict[str, str | Path] = {}
    for name in dict.fromkeys(names):
        place = _find(name)
        own = place.stem if isinstance(place, Path) and place.suffix == ".toml" else Path(name).name
        if own in wanted or own == RawPixels.name:
            raise QueryError(f"two of the encoders and recipes are called {own!r}: rename one")
        wanted[own] = place
    unknown = [entry.partition("=")[0] for entry in weights if "=" in entry and entry.partition("=")[0] not in wanted]
    if unknown:
        raise QueryError(f"weights for {unknown[0]!r}, which is none of {', '.join(wanted)}")
    subjects, failed = [], {}
    for own, place in wanted.items():
        try:
            if isinstance(place, Path) and place.suffix == ".toml":
                trained = _train(own, place, source, labels, folder, weights, trainer)
                subjects.append(load_subject(own, trained))
            else:
                subjects.append(load_subject(own, place))
        except FashionError as error:
            failed[own] = str(error)
        except Exception as error:  # one that breaks must not end the others' night
            logger.debug("%s failed", own, exc_info=True)
            failed[own] = " ".join(f"{type(error).__name__}: {error}".split())[:500]
        if own in failed:
            logger.warning("%s failed: %s", own, failed[own])
    return subjects, failed


def load_subject(name: str, place: str | Path) -> Subject:
    """A saved encoder with what its folder says of its training, run once. Raises EncoderError, RecipeError."""
    encoder = load_encoder(place)
    folder = Path(str(resources.files("focusedfashion.encoders") / "builtin")) if place == "builtin" else Path(place)
    said = _read_json(folder / "training.json")
    recipe, split = _read_recipe(folder / "recipe.toml"), read_split(folder / "split.csv")
    subject = Subject(name, encoder, folder, said, recipe, split)
    subject.run(
        [np.zeros((encoder.height, encoder.width, 3), np.uint8)]
    )  # a broken graph shows here, not in the middle
    return subject


def _find(name: str) -> str | Path:
    """`builtin`, an encoder's folder, or a recipe's path."""
    if name == "builtin" or Path(name, "encoder.json").is_file():
        return name if name == "builtin" else Path(name)
    if Path(name).is_dir():
        raise QueryError(f"{name} is a folder without an encoder.json: give a saved encoder, or a recipe")
    if name.startswith(("timm:", "torchvision:", "hf:")):
        hint = f"focusedfashion features {name} --layer LAYER -o DIR"
        raise QueryError(f"{name} is a network of a hub: make an encoder of one of its layers first, by `{hint}`")
    from focusedfashion.training.recipe import find_recipe

    return find_recipe(name)


def _train(
    name: str,
    recipe: Path,
    source: str,
    labels: Sequence[str],
    folder: Path,
    weights: Sequence[str],
    trainer: Mapping[str, Any] | None,
) -> Path:
    """The folder of the trained recipe, which is trained only if it is not there."""
    place = folder / "encoders" / name
    if (place / "encoder.json").is_file():
        if (place / "recipe.toml").read_text(encoding="utf-8") != recipe.read_text(encoding="utf-8"):
            raise RecipeError(f"{place} was trained by another recipe of this name: remove it, or name another output")
        return place
    from focusedfashion.training.run import train

    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # its tips and lists of devices
    place.parent.mkdir(parents=True, exist_ok=True)
    logger.info("%s: training", name)
    start = _choose_weights(name, weights, "layers" in _read_recipe(recipe))
    return train(
        recipe, place, source, start, labels=tuple(labels), trainer=dict(trainer or {}), packs=folder / "packs"
    )


def _choose_weights(name: str, weights: Sequence[str], own_layers: bool) -> str | None:
    """What a recipe starts from; a file for all recipes is not for those of layers of their own."""
    given = dict(entry.split("=", 1) for entry in weights if "=" in entry)
    common = [entry for entry in weights if "=" not in entry]
    return given.get(name) or (common[-1] if common and not own_layers else None)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise RecipeError(f"{path} cannot be read ({error})") from None
    return said if isinstance(said, dict) else {}


def _read_recipe(path: Path) -> dict[str, str]:
    """A recipe's keys, those of tables with dots, and their values as text; nothing where there is no such file."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    flat: dict[str, str] = {}

    def add(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, entry in value.items():
                add(f"{prefix}.{key}" if prefix else key, entry)
        else:
            flat[prefix] = str(value)

    add("", {key: value for key, value in raw.items() if key not in _WORDS})
    return flat
