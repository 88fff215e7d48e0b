"""What a report holds: every figure that its page shows and `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Level = Literal["harm", "look", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence on what was found, one on what to do.

    `level` is "harm" (training or search suffers), "look" (it may) or "note" (good to know); `place` is the part of
    the page that shows it; `count` is how many it is about.
    """

    level: Level
    place: str
    text: str
    advice: str
    count: int


@dataclass(frozen=True, slots=True)
class Split:
    """One part of a data set (train, test, …); `labelled` of its items have a label."""

    name: str
    items: int
    labelled: int


@dataclass(frozen=True, slots=True)
class LabelCount:
    """A label and the items that have it, in all and per split (in the order of `Report.splits`)."""

    label: str
    items: int
    splits: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Gap:
    """How many labels of a group a split lacks although another has them (`missing`), or alone has (`only`).

    The lists hold the first of them, the most frequent first.
    """

    split: str
    missing: int
    missing_labels: tuple[LabelCount, ...]
    only: int
    only_labels: tuple[LabelCount, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """The labels of one column, the most frequent first.

    `several`: an item can have several of them. `distinct` labels were found, of which `labels` has the first
    REPORT_LISTED. `effective` is how many equally frequent labels would be as varied (exp of the entropy). `half`
    labels hold half of all uses; `head` is the share of the most frequent tenth of the labels. `rare` labels have
    fewer than RARE_LABEL items. `vague` ones name nothing ("other"); `spellings` are sets of labels that differ only
    in case or marks.
    """

    name: str
    several: bool
    items: int
    uses: int
    distinct: int
    effective: float
    half: int
    head: float
    rare: int
    labels: tuple[LabelCount, ...]
    vague: tuple[LabelCount, ...]
    spellings: tuple[tuple[str, ...], ...]
    gaps: tuple[Gap, ...]


@dataclass(frozen=True, slots=True)
class LabelsPerItem:
    """How many labels the items have; `histogram` maps a number of labels to its items."""

    mean: float
    most: int
    least: int
    histogram: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Tag:
    """A label and the group that it is from."""

    group: str
    label: str


@dataclass(frozen=True, slots=True)
class Pair:
    """Two labels: the items that have both, those that chance alone would give, and their ratio."""

    first: Tag
    second: Tag
    items: int
    expected: float
    lift: float


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Items of the narrow label that have `broad` although nearly all others have `usual`."""

    narrow: str
    broad: str
    usual: str
    items: int


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """Each label of `narrow` has its label of `broad`, but for `exceptions` of `items`; examples are the commonest."""

    narrow: str
    broad: str
    items: int
    exceptions: int
    examples: tuple[Contradiction, ...]


@dataclass(frozen=True, slots=True)
class Together:
    """Which labels come together: the most frequent pairs, those more and less frequent than chance, inseparable ones.

    `counts[i][j]` is how many items have both `labels[i]` and `labels[j]` (its diagonal: how many have the label).
    """

    labels: tuple[Tag, ...]
    counts: tuple[tuple[int, ...], ...]
    frequent: tuple[Pair, ...]
    attracted: tuple[Pair, ...]
    avoided: tuple[Pair, ...]
    inseparable: tuple[Pair, ...]
    hierarchies: tuple[Hierarchy, ...]


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture that the page shows: `picture` is its key in `Report.thumbnails`."""

    picture: int
    item_id: str
    title: str = ""
    width: int = 0
    height: int = 0
    splits: tuple[str, ...] = ()
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Copies:
    """A group of pictures that are one: `exact` ones byte for byte. `disagree` names the columns whose labels differ.

    `pictures` counts all of the group, `shots` has the first few.
    """

    exact: bool
    pictures: int
    shots: tuple[Shot, ...]
    splits: tuple[str, ...] = ()
    disagree: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CopyFigures:
    """Copies among the pictures that were opened. Groups of exact copies, then groups that hold near ones too.

    `surplus` pictures are exact copies of an earlier one. `straddling` groups lie in a split for training and in
    another; `disagreeing` groups have different labels in one column at least, `disagreeing_exact` of them exact
    copies, by column in `disagreeing_columns` (exact ones only).
    """

    exact_groups: int
    exact_pictures: int
    surplus: int
    near_groups: int
    near_pictures: int
    straddling: int
    straddling_pictures: int
    disagreeing: int
    disagreeing_exact: int
    disagreeing_columns: Mapping[str, int]
    exact: tuple[Copies, ...]
    near: tuple[Copies, ...]
    across: tuple[Copies, ...]
    contrary: tuple[Copies, ...]


@dataclass(frozen=True, slots=True)
class Bin:
    """A bar of a histogram: values from `low` up to, not including, `high`."""

    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """A reason and how many it befell, with the ids of the first few."""

    reason: str
    count: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Swatch:
    """A color of the garments: its name, #rrggbb, CIE Lab, and the share of the garments' area."""

    name: str
    hex: str
    lab: tuple[float, float, float]
    share: float


@dataclass(frozen=True, slots=True)
class PictureFigures:
    """The items' pictures. Sizes are of whole upright pictures, in pixels, of the `opened` ones.

    `files`, `urls`, `embedded` and `none` count items by where their picture is; `distinct` pictures they have. Of
    these `looked` were looked into, all or a sample (`sampled`), `opened` could be. `thumbnails`: a catalog keeps
    pictures of at most THUMBNAIL_SIDE, so larger ones count as that size.
    """

    files: int
    urls: int
    embedded: int
    none: int
    distinct: int
    looked: int
    opened: int
    sampled: bool
    thumbnails: bool
    missing: Trouble
    broken: tuple[Trouble, ...]
    unlisted: Trouble
    shared: int
    shared_straddling: int
    shared_disagreeing: int
    formats: Mapping[str, int]
    misnamed: int
    sides: tuple[Bin, ...]
    median_size: tuple[int, int]
    small: int
    smallest: tuple[Shot, ...]
    aspects: Mapping[str, int]
    extreme: int
    plain: int
    plain_shots: tuple[Shot, ...]
    some: tuple[Shot, ...]
    grounds: Mapping[str, int]
    colors: tuple[Swatch, ...]
    copies: CopyFigures


@dataclass(frozen=True, slots=True)
class Column:
    """How full a column is; `distinct` is None past REPORT_VALUES; `use` is "label", "split", "fact" or ""."""

    name: str
    filled: int
    distinct: int | None
    example: str
    use: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices in one currency ("" where none is given); `odd` ones are zero, negative or 100 times the median."""

    currency: str
    items: int
    least: float
    quarter: float
    median: float
    three_quarters: float
    most: float
    odd: int
    histogram: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class Predicted:
    """The labels that the encoder gave in one attribute group; `items` got at least one; `score` is the mean."""

    group: str
    items: int
    score: float
    distinct: int
    labels: tuple[LabelCount, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """Everything about one source or catalog; `findings` come first, the most harmful first.

    `labelled` items have a label in at least one group. `thumbnails` has the small JPEGs that the page shows.
    """

    name: str
    made: str
    items: int
    products: int
    labelled: int
    double_ids: int
    straddling_products: int
    findings: tuple[Finding, ...]
    splits: tuple[Split, ...]
    groups: tuple[Group, ...]
    labels_per_item: LabelsPerItem
    together: Together
    pictures: PictureFigures
    columns: tuple[Column, ...]
    prices: tuple[Prices, ...]
    predicted: tuple[Predicted, ...]
    failed: int
    failures: tuple[Trouble, ...]
    thumbnails: Mapping[int, bytes] = field(repr=False, default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON shows it: all but the thumbnails."""
        document = asdict(self)
        del document["thumbnails"]
        return document
