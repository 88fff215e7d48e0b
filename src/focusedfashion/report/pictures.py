"""Figures of the pictures that were opened: sizes, formats, colors, copies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from focusedfashion import settings
from focusedfashion.images import RGB
from focusedfashion.report.colors import find_colors
from focusedfashion.report.copies import find_exact, find_near, is_plain
from focusedfashion.report.figures import Bin, Copies, CopyFigures, PictureFigures, Shot, Trouble
from focusedfashion.report.labels import LabelTable
from focusedfashion.report.looks import MINI, Look, View, is_misnamed
from focusedfashion.report.tally import EMBEDDED, FILE, NONE, URL, Reasons, Tally

Ints = NDArray[np.int64]

# Width over height: the usual ones of shops and phones, by their upper ends.
_ASPECTS = (
    ("<1:2", 0.5),
    ("9:16", 0.6),
    ("2:3", 0.71),
    ("3:4", 0.78),
    ("4:5", 0.9),
    ("1:1", 1.1),
    ("5:4", 1.29),
    ("4:3", 1.42),
    ("3:2", 1.67),
    ("16:9", 2.0),
    (">2:1", np.inf),
)
_EXTREME = 3.0  # the longer side over the shorter, from where fitting a picture leaves a stripe of it
_SHOTS = 6  # pictures of a group that are shown
_SOME = 14  # pictures that show what this is about


@dataclass(frozen=True, slots=True)
class Opened:
    """The pictures that could be opened, in the source's order, and what their items say."""

    looks: Sequence[Look]
    views: Sequence[View]
    minis: RGB
    rows: Sequence[Ints]  # the items of each picture
    splits: Sequence[str]
    split_of: Ints
    table: LabelTable

    def splits_of(self, picture: int) -> frozenset[str]:
        return frozenset(self.splits[place] for place in self.split_of[self.rows[picture]] if place >= 0)

    def labels_of(self, picture: int) -> dict[str, frozenset[str]]:
        """By group, of all items that share the picture."""
        found: dict[str, frozenset[str]] = {}
        for row in self.rows[picture]:
            for group, labels in self.table.labels_of(int(row)).items():
                found[group] = found.get(group, frozenset()) | labels
        return found

    def shoot(self, picture: int, labels: Iterable[str] = ()) -> Shot:
        look, view = self.looks[picture], self.views[picture]
        told = self.labels_of(picture) if labels else {}
        shown = {group: tuple(sorted(told.get(group, ()))) for group in labels}
        splits = tuple(sorted(self.splits_of(picture)))
        return Shot(picture, look.item_id, look.title, view.width, view.height, splits, shown)


def describe_pictures(
    tally: Tally,
    table: LabelTable,
    splits: tuple[list[str], Ints],
    looks: Sequence[Look],
    *,
    sampled: bool,
    thumbnails: bool,
    missing: Reasons,
    unlisted: Trouble,
) -> tuple[PictureFigures, dict[int, bytes]]:
    """-> the figures, and the thumbnails of the pictures that they show."""
    places, keys = np.asarray(tally.places), np.asarray(tally.picture_keys)
    broken = Reasons()
    for look in looks:
        if isinstance(look.view, str):
            broken.add(look.view, look.item_id)
    opened = _gather(looks, keys, places, splits, table)
    views, minis = opened.views, opened.minis
    sizes = np.array([(view.width, view.height) for view in views], np.int64).reshape(-1, 2)
    shorter, longer = sizes.min(axis=1, initial=10**9), sizes.max(axis=1, initial=0)
    plain = is_plain(minis)
    limit = settings.REPORT_GROUPS
    smallest = [int(place) for place in np.argsort(sizes.prod(axis=1), kind="stable")[:limit]]
    good = np.flatnonzero(~plain)
    some = good[np.unique(np.linspace(0, len(good) - 1, _SOME).astype(np.int64))] if len(good) else good
    grounds, colors = find_colors(minis[~plain])
    shared, straddling, disagreeing = _count_shared(tally, table, splits[1])
    figures = PictureFigures(
        files=int((places == FILE).sum()),
        urls=int((places == URL).sum()),
        embedded=int((places == EMBEDDED).sum()),
        none=int((places == NONE).sum()),
        distinct=sum(len(np.unique(keys[places == place])) for place in (FILE, URL, EMBEDDED)),
        looked=len(looks),
        opened=len(views),
        sampled=sampled,
        thumbnails=thumbnails,
        missing=Trouble(
            "; ".join(trouble.reason for trouble in missing.list()[:3]),
            missing.total(),
            tuple(example for trouble in missing.list() for example in trouble.examples)[:8],
        ),
        broken=broken.list(),
        unlisted=unlisted,
        shared=shared,
        shared_straddling=straddling,
        shared_disagreeing=disagreeing,
        formats=dict(Counter(view.format for view in views).most_common()),
        misnamed=sum(is_misnamed(look) for look in looks),
        sides=_make_side_bins(shorter),
        median_size=(int(np.median(sizes[:, 0])), int(np.median(sizes[:, 1]))) if len(sizes) else (0, 0),
        small=int((shorter < settings.SMALL_SIDE).sum()),
        smallest=tuple(opened.shoot(place) for place in smallest),
        aspects=_count_aspects(sizes),
        extreme=int((longer > _EXTREME * shorter).sum()),
        plain=int(plain.sum()),
        plain_shots=tuple(opened.shoot(int(place)) for place in np.flatnonzero(plain)[:limit]),
        some=tuple(opened.shoot(int(place)) for place in some),
        grounds=grounds,
        colors=colors,
        copies=_describe_copies(opened),
    )
    return figures, {picture: views[picture].thumbnail for picture in sorted(_list_shown(figures))}


def may_leak(splits: Iterable[str], all_splits: Sequence[str]) -> bool:
    """Whether pictures in all of `splits` make a figure too good: one is for training, another is not.

    Where no split is called train, any two will do; but a query and its gallery are meant to share products.
    """
    found = set(splits)
    training = {split for split in all_splits if split.lower().startswith("train")}
    if training:
        return bool(found & training) and bool(found - training)
    return len(found) > 1 and not {split.lower() for split in found} <= {"query", "gallery"}


def _gather(
    looks: Sequence[Look], keys: Ints, places: NDArray[np.int8], splits: tuple[list[str], Ints], table: LabelTable
) -> Opened:
    kept, views = [], []
    for look in looks:
        if isinstance(look.view, View):
            kept.append(look)
            views.append(look.view)
    minis = np.array([view.mini for view in views], np.uint8).reshape(-1, MINI[1], MINI[0], 3)
    order = np.argsort(keys, kind="stable")
    rows = []
    for look in kept:
        if places[look.row] == EMBEDDED:
            rows.append(np.array([look.row]))
            continue
        first, last = (np.searchsorted(keys, keys[look.row], side, order) for side in ("left", "right"))
        rows.append(order[first:last])
    return Opened(kept, views, minis, rows, splits[0], splits[1], table)


def _describe_copies(opened: Opened) -> CopyFigures:
    exact = find_exact(opened.views)
    near = find_near(opened.views, opened.minis)
    told = {member: opened.labels_of(member) for group in (*exact, *near) for member in group}
    inside = {member for group in near for member in group}
    alone = [group for group in exact if group[0] not in inside]
    groups = [*alone, *near]
    across = [
        group
        for group in groups
        if may_leak(frozenset().union(*(opened.splits_of(member) for member in group)), opened.splits)
    ]
    contrary = {tuple(group): names for group in groups if (names := _find_disagreement(group, told))}
    contrary_exact = [names for group in exact if (names := _find_disagreement(group, told))]
    digests = [view.digest for view in opened.views]

    def show(chosen: Sequence[Sequence[int]], pick: Callable[[Sequence[int]], Sequence[int]]) -> tuple[Copies, ...]:
        # Exact copies first: where they contradict each other there is no doubt.
        ordered = sorted(
            chosen, key=lambda group: (len({digests[member] for member in group}) > 1, -len(group), group[0])
        )
        ordered = ordered[: settings.REPORT_GROUPS]
        return tuple(
            Copies(
                exact=len({digests[member] for member in group}) == 1,
                pictures=len(group),
                shots=tuple(opened.shoot(member, contrary.get(tuple(group), ())) for member in pick(group)[:_SHOTS]),
                splits=tuple(sorted(frozenset().union(*(opened.splits_of(member) for member in group)))),
                disagree=contrary.get(tuple(group), ()),
            )
            for group in ordered
        )

    return CopyFigures(
        exact_groups=len(exact),
        exact_pictures=sum(map(len, exact)),
        surplus=sum(len(group) - 1 for group in exact),
        near_groups=len(near),
        near_pictures=sum(map(len, near)),
        straddling=len(across),
        straddling_pictures=sum(map(len, across)),
        disagreeing=len(contrary),
        disagreeing_exact=len(contrary_exact),
        disagreeing_columns=dict(Counter(name for names in contrary_exact for name in names).most_common()),
        exact=show(alone, lambda group: group),
        # Of the exact copies inside a group of near ones, one shows all.
        near=show(near, lambda group: list({digests[member]: member for member in reversed(group)}.values())[::-1]),
        across=show(across, lambda group: _alternate(group, lambda member: opened.splits_of(member))),
        contrary=show(
            [list(group) for group in contrary],
            lambda group: _alternate(group, lambda member: told[member].get(contrary[tuple(group)][0])),
        ),
    )


def _find_disagreement(group: Sequence[int], told: Mapping[int, Mapping[str, frozenset[str]]]) -> tuple[str, ...]:
    """The columns in which two of the group have labels that are not the same."""
    names = dict.fromkeys(name for member in group for name in told[member])
    return tuple(name for name in names if len({told[member][name] for member in group if name in told[member]}) > 1)


def _alternate(group: Sequence[int], kind_of: Callable[[int], object]) -> list[int]:
    """The group with one of each kind first, so that the first few show what differs."""
    first: dict[object, int] = {}
    for member in group:
        first.setdefault(kind_of(member), member)
    return [*first.values(), *(member for member in group if member not in first.values())]


def _count_shared(tally: Tally, table: LabelTable, split_of: Ints) -> tuple[int, int, int]:
    """Pictures that several items name although they have no box and are not of one product.

    -> how many, how many of them in two splits, how many with different labels.
    """
    keys = np.asarray(tally.picture_keys)
    named = np.isin(np.asarray(tally.places), (FILE, URL)) & (np.asarray(tally.boxed) == 0)
    # One number per set of labels, whatever their order.
    marks = np.random.default_rng(0).integers(1, 2**62, len(table.tags))
    signature = np.diff(np.concatenate([[0], np.cumsum(marks[table.ids])])[table.starts])
    rows = np.flatnonzero(named)
    order = rows[np.argsort(keys[rows], kind="stable")]
    _, starts = np.unique(keys[order], return_index=True)

    def differ(values: Ints) -> NDArray[np.bool_]:
        if not len(starts):
            return np.zeros(0, bool)
        found: NDArray[np.bool_] = np.minimum.reduceat(values, starts) != np.maximum.reduceat(values, starts)
        return found

    several = differ(np.asarray(tally.product_keys)[order])
    return (
        int(several.sum()),
        int((several & differ(split_of[order])).sum()),
        int((several & differ(signature[order])).sum()),
    )


def _make_side_bins(sides: Ints) -> tuple[Bin, ...]:
    """Pictures by their shorter side, in steps that people know."""
    edges = [0, 32, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 4096, 10**9]
    if not len(sides):
        return ()
    counts, _ = np.histogram(sides, edges)
    used = np.flatnonzero(counts)
    chosen = range(int(used[0]), int(used[-1]) + 1)
    return tuple(Bin(edges[place], edges[place + 1], int(counts[place])) for place in chosen)


def _count_aspects(sizes: Ints) -> dict[str, int]:
    if not len(sizes):
        return {}
    places = np.searchsorted([end for _, end in _ASPECTS], sizes[:, 0] / sizes[:, 1], side="right")
    counts = np.bincount(places, minlength=len(_ASPECTS))
    return {name: int(count) for (name, _), count in zip(_ASPECTS, counts, strict=True) if count}


def _list_shown(figures: PictureFigures) -> set[int]:
    shots = [*figures.smallest, *figures.plain_shots, *figures.some]
    copies = figures.copies
    for group in (*copies.exact, *copies.near, *copies.across, *copies.contrary):
        shots += group.shots
    return {shot.picture for shot in shots}
