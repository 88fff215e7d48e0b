"""A saved encoder: `encoder.json` (what it is) and `model.onnx` (what it computes).

The graph takes `pictures`, uint8 (n, height, width, 3), and holds the normalization itself, so nothing outside it can
normalize differently. It gives `embedding`, float32 (n, dim), each block of L2 norm 1, and one output per attribute
group, float32 (n, labels), probabilities. Where `encoder.json` has `text`, `text.onnx` and `tokenizer.json` give texts
an embedding in the same space (see `text.py`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focusedfashion import settings
from focusedfashion.encoders.graph import Graph
from focusedfashion.encoders.text import TextSide
from focusedfashion.errors import EncoderError, QueryError
from focusedfashion.images import FILTERS, RGB, RULES, Decoded, Picture, open_image, resize_image
from focusedfashion.items import Label

FORMAT = 1  # of encoder.json; a reader refuses a higher one

_BUILTIN = Path(__file__).parent / "builtin"
_HUBS = ("hf:", "timm:")


@dataclass(frozen=True, slots=True)
class AttributeGroup:
    """The labels of one group; a label is reported when its probability reaches its threshold.

    An exclusive group is a softmax (its probabilities sum to 1), another one has a sigmoid per label.
    """

    labels: tuple[str, ...]
    thresholds: tuple[float, ...]
    exclusive: bool

    def choose(self, scores: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Probabilities, float32 (n, labels) -> how many pass, int64 (n,); which, row by row, best first; their scores.

        The second and third have sum(first) entries; a score has 4 digits.
        """
        passing = scores >= np.asarray(self.thresholds, np.float32)
        rows, places = np.nonzero(passing)
        found = scores[rows, places]
        best_first = np.lexsort((-found, rows))  # stable: of two equal ones the first stays first
        rounded: NDArray[np.float64] = found[best_first].astype(np.float64).round(4)
        return passing.sum(axis=1), places[best_first], rounded


@dataclass(frozen=True, slots=True)
class Encoding:
    """What the network says of n pictures: `embeddings` float32 (n, dim); per group, `scores` float32 (n, labels)."""

    embeddings: NDArray[np.float32]
    scores: Mapping[str, NDArray[np.float32]]


class Encoder:
    """Pictures -> embeddings and attributes; texts -> embeddings, where `has_text`.

    Made by `load_encoder`; safe to use from several threads.
    """

    def __init__(self, folder: Path, name: str) -> None:
        spec = _read_spec(folder)
        self.name = name
        self.folder = folder
        self.spec: Mapping[str, Any] = spec
        try:
            self.blocks: dict[str, slice] = {}
            self.weights: dict[str, float] = {}  # of the blocks, where a query names no focus
            start = 0
            for block, entry in spec["blocks"].items():
                self.blocks[block] = slice(start, start + int(entry["size"]))
                self.weights[block] = float(entry["weight"])
                start += int(entry["size"])
            self.dim = start
            self.attributes = {
                group: AttributeGroup(tuple(e["labels"]), tuple(e["thresholds"]), bool(e["exclusive"]))
                for group, e in spec["attributes"].items()
            }
            self.width, self.height = int(spec["input"]["width"]), int(spec["input"]["height"])
            self.resize = str(spec["input"]["resize"])
            self.resize_to = int(spec["input"].get("resize_to", 0))  # px, of the rules that cut
            self.filter = str(spec["input"].get("filter", "bicubic"))  # of images.FILTERS; "fit" has its own
            self._text = TextSide(folder, spec["text"], self.dim) if spec.get("text") else None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise EncoderError(f"{folder / 'encoder.json'} lacks or garbles {error}; train or copy it again") from None
        for group, entry in self.attributes.items():
            if len(entry.labels) != len(entry.thresholds):
                where = folder / "encoder.json"
                raise EncoderError(
                    f"{where}: {group} has {len(entry.labels)} labels, {len(entry.thresholds)} thresholds"
                )
        if self.resize not in RULES:
            raise EncoderError(
                f"{folder / 'encoder.json'} asks for the resize rule {self.resize!r}; "
                f"known are {', '.join(RULES)}: update focusedfashion"
            )
        if self.filter not in FILTERS:
            known = ", ".join(FILTERS)
            raise EncoderError(f"{folder / 'encoder.json'} asks for the filter {self.filter!r}; known are {known}")
        if self.resize not in ("fit", "squash") and self.resize_to < max(self.width, self.height):
            raise EncoderError(f"{folder / 'encoder.json'}: resize_to is smaller than the part to be cut out")
        model = folder / "model.onnx"
        self.fingerprint = _fingerprint(model, spec)
        widths = {"embedding": self.dim} | {group: len(entry.labels) for group, entry in self.attributes.items()}
        self._graph = Graph(model, "pictures", (self.height, self.width, 3), widths)

    def __repr__(self) -> str:
        return f"Encoder({self.name!r}, dim={self.dim}, fingerprint={self.fingerprint!r})"

    @property
    def has_text(self) -> bool:
        """Whether `embed_texts` gives embeddings in the space of the pictures."""
        return self._text is not None

    def encode(self, pictures: Sequence[Picture]) -> Encoding:
        """Anything that `images.open_image` opens -> Encoding. Raises PictureError for the first that does not open."""
        return self.encode_fitted([self.fit(open_image(picture)) for picture in pictures])

    def embed(self, pictures: Sequence[Picture]) -> NDArray[np.float32]:
        """Pictures -> float32 (n, dim); each block of L2 norm 1. Raises PictureError."""
        return self.encode(pictures).embeddings

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts -> float32 (n, dim), in the space of the pictures; each block of L2 norm 1.

        The cosine of a text and a picture orders pictures; it is lower than between two pictures that are alike. What
        is longer than the encoder reads is cut. Raises QueryError for an empty text, EncoderError where there is no
        text side, MissingExtra.
        """
        # A lone text is a sequence too, of letters.
        wanted = [texts] if isinstance(texts, str) else texts
        if self._text is None:
            raise EncoderError(
                f"the encoder {self.name!r} has no text side: search by a picture, or index with one that has, such as "
                "hf:Marqo/marqo-fashionSigLIP"
            )
        if not all(text.strip() for text in wanted):
            raise QueryError("an empty text finds nothing: name what is looked for")
        return np.concatenate([np.zeros((0, self.dim), np.float32), *self._text.embed(wanted)])

    def tag(self, pictures: Sequence[Picture]) -> list[dict[str, tuple[Label, ...]]]:
        """Pictures -> for each, group -> labels that passed their thresholds, best first. Raises PictureError."""
        return self.list_labels(self.encode(pictures))

    def encode_pixels(self, pictures: Sequence[RGB]) -> Encoding:
        """Opened pictures, each RGB uint8 (h, w, 3) of any size -> Encoding."""
        return self._run(
            np.stack([self.fit(picture) for picture in pictures[start : start + settings.ENCODE_BATCH]])
            for start in range(0, len(pictures), settings.ENCODE_BATCH)
        )

    def fit(self, picture: RGB | Decoded) -> RGB:
        """A picture of any size, as an array or as `images.decode_image` gives it -> uint8 (height, width, 3)."""
        return resize_image(picture, self.width, self.height, self.resize, self.resize_to, self.filter)

    def encode_fitted(self, pictures: Sequence[RGB]) -> Encoding:
        """Pictures as `fit` gives them, each uint8 (height, width, 3) -> Encoding."""
        return self._run(
            np.stack(pictures[start : start + settings.ENCODE_BATCH])
            for start in range(0, len(pictures), settings.ENCODE_BATCH)
        )

    def _run(self, batches: Iterable[NDArray[np.uint8]]) -> Encoding:
        """Fitted pictures, a few at a time, each uint8 (n, height, width, 3) -> Encoding of all."""
        parts = [self._graph.run(batch) for batch in batches]
        if not parts:  # nothing to compute is no reason to load the network
            empty = {group: np.zeros((0, len(e.labels)), np.float32) for group, e in self.attributes.items()}
            return Encoding(np.zeros((0, self.dim), np.float32), empty)
        outputs = [np.concatenate(column) for column in zip(*parts, strict=True)]
        return Encoding(outputs[0], dict(zip(self.attributes, outputs[1:], strict=True)))

    def list_labels(self, encoding: Encoding) -> list[dict[str, tuple[Label, ...]]]:
        """Probabilities -> for each picture, group -> the labels that passed their thresholds, best first."""
        groups = {group: self._list_labels(entry, encoding.scores[group]) for group, entry in self.attributes.items()}
        return [{group: found[row] for group, found in groups.items()} for row in range(len(encoding.embeddings))]

    @staticmethod
    def _list_labels(group: AttributeGroup, scores: NDArray[np.float32]) -> list[tuple[Label, ...]]:
        counts, places, passing = group.choose(scores)
        labels = [Label(group.labels[place], float(score)) for place, score in zip(places, passing, strict=True)]
        ends = np.cumsum(counts)
        return [tuple(labels[end - count : end]) for count, end in zip(counts, ends, strict=True)]


def load_encoder(name: str | Path = "builtin") -> Encoder:
    """The encoder of this name: `builtin`, the path of a saved encoder's folder, or one of a hub (see `hub`).

    Raises EncoderError; MissingExtra where one of a hub is to be converted.
    """
    if name == "builtin":
        return Encoder(_BUILTIN, "builtin")
    if isinstance(name, str) and name.startswith(_HUBS):
        from focusedfashion.encoders.hub import find_hub_encoder

        return Encoder(*find_hub_encoder(name))
    folder = Path(name)
    if not folder.is_dir():
        raise EncoderError(f"no encoder {str(name)!r}: give 'builtin' or the folder of a saved encoder")
    return Encoder(folder, str(folder.resolve()))


def _read_spec(folder: Path) -> Mapping[str, Any]:
    path = folder / "encoder.json"
    try:
        spec = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EncoderError(f"{folder} is no saved encoder: it has no encoder.json") from None
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path} cannot be read ({error})") from None
    if not isinstance(spec, dict) or not isinstance(spec.get("format"), int):
        raise EncoderError(f"{path} is no encoder description: it has no format number")
    if spec["format"] > FORMAT:
        raise EncoderError(
            f"{path} has format {spec['format']}, this version reads up to {FORMAT}: update focusedfashion"
        )
    return spec


def _fingerprint(model: Path, spec: Mapping[str, Any]) -> str:
    """16 hexadecimal digits of SHA-256 over all that decides the output: graph, preprocessing, blocks, labels."""
    decisive = {
        "blocks": {block: entry["size"] for block, entry in spec["blocks"].items()},
        "input": spec["input"],
        "labels": {group: entry["labels"] for group, entry in spec["attributes"].items()},
    }
    try:
        digest = hashlib.sha256(model.read_bytes())
    except OSError as error:
        raise EncoderError(f"{model} cannot be read ({error.strerror})") from None
    digest.update(json.dumps(decisive, sort_keys=True).encode())
    return digest.hexdigest()[:16]
