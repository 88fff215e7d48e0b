"""What a study holds: every figure that its page shows and its JSON has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from focusedfashion.metrics import Estimate
from focusedfashion.study.engines import EngineFigures

How = Literal["head", "vote"]


@dataclass(frozen=True, slots=True)
class Averages:
    """F1 over all labels of the study: all cells as one label's, the mean of labels, the mean of the rarest third."""

    micro: Estimate
    macro: Estimate
    rare: Estimate


@dataclass(frozen=True, slots=True)
class CalibrationFigures:
    """`error` is the expected calibration error; the curve has per bin mean probability, share of truths and count."""

    error: float
    confidence: tuple[float, ...]
    accuracy: tuple[float, ...]
    count: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Prediction:
    """How well the study's labels are predicted on the test rows.

    `how`: by the encoder's own head, or by the vote of the nearest gallery rows (a label's score is the share of them
    that have it). `chosen` is at the encoder's own thresholds, which were fitted on its validation rows; a vote has
    none. `gain` is what they add to the macro-F1. `batches` are the micro-averaged F1 of 64 rows each, at 0.5, as the
    predecessor reported. `labels` and `labels_chosen` are the F1 of each label of the study, None of one that neither
    occurs nor is predicted.
    """

    how: How
    half: Averages
    chosen: Averages | None
    gain: Estimate | None
    batches: tuple[float, ...]
    mean_average_precision: Estimate
    top_k_accuracy: Mapping[int, Estimate]
    calibration: CalibrationFigures | None
    labels: tuple[float | None, ...]
    labels_chosen: tuple[float | None, ...] | None

    @property
    def best(self) -> Averages:
        """At chosen thresholds where there are some, else at 0.5."""
        return self.chosen or self.half

    @property
    def best_labels(self) -> tuple[float | None, ...]:
        return self.labels if self.labels_chosen is None else self.labels_chosen


@dataclass(frozen=True, slots=True)
class Retrieval:
    """The k nearest gallery rows of each test row, by one label column: relevant is whoever shares a value in it.

    `overlap` is the mean share of common values (Jaccard index of the two sets), which says more than "shares one"
    where a row has many.
    """

    precision: Estimate
    recall: Estimate
    mean_average_precision: Estimate
    overlap: Estimate


@dataclass(frozen=True, slots=True)
class Cost:
    """What an encoder takes; None is what is not known.

    `macs` are multiply-adds of one picture, `seconds` the training's, `milliseconds` the median time of one picture by
    ONNX Runtime on one thread, in turns with all the others.
    """

    parameters: int | None
    macs: int | None
    milliseconds: float
    epochs: int | None = None
    seconds: float | None = None
    pictures_per_second: float | None = None
    device: str = ""


@dataclass(frozen=True, slots=True)
class EncoderFigures:
    """One column of the study. `trained` is None of what needs no training; `recipe` has the flat keys of its recipe.

    `overlap` is the mean overlap of all labels between a test row and its k nearest, `labels_nearest` per label the
    share of the k nearest that have it, over the test rows that have it. `data` names the data sets that it learned
    from; `split_known`: it came with the list of its rows, so it is certain that no test row is among them.
    """

    name: str
    kind: Literal["recipe", "encoder", "raw pixels"]
    trained: bool | None
    weights: str
    corrections: tuple[str, ...]
    width: int
    height: int
    dim: int
    cost: Cost
    prediction: Prediction
    retrieval: Mapping[str, Retrieval]
    overlap: Estimate
    labels_nearest: tuple[float | None, ...]
    curves: tuple[Mapping[str, float], ...] = ()
    recipe: Mapping[str, str] = field(default_factory=dict)
    data: tuple[str, ...] = ()
    split_known: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """`second` minus `first` in one measure, with the interval of the paired difference.

    `settings` maps the recipe's keys that differ to both values, in this order.
    """

    first: str
    second: str
    measure: str
    value: float
    low: float
    high: float
    settings: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def sure(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class LabelRow:
    """A label of the study: in how many gallery rows and test rows it is; `rare`: of the rarest third."""

    name: str
    column: str
    gallery: int
    test: int
    rare: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """A recommended row: its picture's key, its id, its score and how many labels it shares with the query.

    `shared` is (common labels, labels of either), None where the query's labels are not known.
    """

    picture: int
    item_id: str
    score: float
    shared: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A query photo and what each encoder, by name, recommends for it, best first."""

    picture: int
    item_id: str
    labels: tuple[str, ...]
    answers: Mapping[str, tuple[Answer, ...]]


@dataclass(frozen=True, slots=True)
class Study:
    """Encoders compared on one source, one split and one list of labels.

    `always` is the F1 of who predicts every label for every picture: what there is to gain begins there. `rows` counts
    train, validation and test; `gallery` are the rows that are searched, which may be a sample of train and validation;
    `left_out` maps reasons to counts. `failed` maps what could not be trained or run to its reason. `thumbnails` has
    the small JPEGs that the page shows.
    """

    name: str
    made: str
    device: str
    k: int
    columns: tuple[str, ...]
    rows: Mapping[str, int]
    gallery: int
    left_out: Mapping[str, int]
    labels: tuple[LabelRow, ...]
    always: Averages
    encoders: tuple[EncoderFigures, ...]
    failed: Mapping[str, str]
    differences: tuple[Difference, ...]
    settings: tuple[Difference, ...]
    engines: tuple[EngineFigures, ...]
    engine_encoder: str
    engine_rows: int
    engine_queries: int
    recommendations: tuple[Recommendation, ...]
    seconds: float
    thumbnails: Mapping[int, bytes] = field(repr=False, default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The study as JSON shows it: all but the thumbnails; a figure that is not there is null."""
        document = asdict(self)
        del document["thumbnails"]
        cleaned: dict[str, Any] = _clean(document)
        return cleaned


def _clean(value: Any) -> Any:
    """NaN becomes None, which JSON has; numbers keep six digits."""
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _clean(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(entry) for entry in value]
    return value
