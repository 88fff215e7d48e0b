"""Reports: what is in a source or a catalog, and what harms training or search, as figures and as one page."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from focusedfashion import settings
from focusedfashion.columns import clean_text
from focusedfashion.items import Failure, Item
from focusedfashion.report.figures import Finding, Report, Split, Trouble
from focusedfashion.report.findings import list_findings
from focusedfashion.report.labels import count_labels, count_per_item, find_together, make_table
from focusedfashion.report.looks import Looker
from focusedfashion.report.page import write_report
from focusedfashion.report.pictures import Ints, describe_pictures, may_leak
from focusedfashion.report.tally import EMBEDDED, FILE, Tally

__all__ = ["Finding", "Progress", "Report", "make_report", "write_report"]

_SECONDS = 0.2  # between two calls of on_progress


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a report is: items read, pictures opened, seconds so far."""

    items: int
    pictures: int
    seconds: float


def make_report(
    entries: Iterable[Item | Failure],
    name: str,
    *,
    labels: Sequence[str] = (),
    pictures: int = settings.REPORT_PICTURES,
    thumbnails: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Reads a source's items, or a catalog's, once, and opens their pictures -> the report.

    `labels` names the columns that hold labels; left out, they are found by the rule of `columns.py`. At most
    `pictures` pictures are opened, an even sample of them if there are more; 0 opens none. Pictures by URL are counted,
    never fetched. `thumbnails` says that the pictures are those of a catalog, which are reduced. Nothing of the source
    is kept but counts and the opened pictures' thumbnails: a million items with five labels each take about 200 MB.
    Raises QueryError for a label column that is not there, and what the source raises.
    """
    start, told = time.monotonic(), 0.0
    tally = Tally(labels)

    def tell(opened: int = 0, last: bool = False) -> None:
        nonlocal told
        now = time.monotonic()
        if on_progress is not None and (last or now - told >= _SECONDS):
            told = now
            on_progress(Progress(tally.items, opened, round(now - start, 3)))

    with Looker(pictures, tell) as looker:
        for number, entry in enumerate(entries):
            if isinstance(entry, Failure):
                tally.fail(entry)
                continue
            tally.add(entry)
            if pictures:
                looker.take(tally.items - 1, entry)
            if number % 1_000 == 0:
                tell(looker.done)
        columns = tally.settle()
        looks = looker.finish()
        files = np.asarray(tally.picture_keys)[np.asarray(tally.places) == FILE]
        unlisted = looker.find_unlisted(files) if pictures and not thumbnails else Trouble("", 0, ())
        tell(looker.done, last=True)
    splits, split_of = tally.splits()
    table = make_table(columns, tally.items)
    figures, shown = describe_pictures(
        tally,
        table,
        (splits, split_of),
        looks,
        sampled=looker.sampled or (not pictures and _has_any(tally)),
        thumbnails=thumbnails,
        missing=looker.missing,
        unlisted=unlisted,
    )
    labelled = np.diff(table.starts) > 0
    report = Report(
        name=clean_text(name, 200),
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        items=tally.items,
        products=len(np.unique(np.asarray(tally.product_keys))),
        labelled=int(labelled.sum()),
        double_ids=tally.items - len(np.unique(np.asarray(tally.item_keys))),
        straddling_products=_count_straddling(tally, splits, split_of),
        findings=(),
        splits=tuple(
            Split(split, int((split_of == place).sum()), int(labelled[split_of == place].sum()))
            for place, split in enumerate(splits)
        ),
        groups=count_labels(table, splits, split_of),
        labels_per_item=count_per_item(table),
        together=find_together(table),
        pictures=figures,
        columns=tally.list_columns(columns),
        prices=tally.list_prices(),
        predicted=tally.list_predicted(),
        failed=tally.failures.total(),
        failures=tally.failures.list(),
        thumbnails=shown,
    )
    return replace(report, findings=list_findings(report))


def _has_any(tally: Tally) -> bool:
    return bool(np.isin(np.asarray(tally.places), (FILE, EMBEDDED)).any())


def _count_straddling(tally: Tally, splits: Sequence[str], split_of: Ints) -> int:
    """Products of several items that lie in a split for training and in another."""
    products = np.asarray(tally.product_keys)
    own = products != np.asarray(tally.item_keys)
    _, number = np.unique(products[own], return_inverse=True)
    inside = np.unique(np.stack([number, split_of[own]], axis=1)[split_of[own] >= 0], axis=0)
    found: dict[int, list[str]] = {}
    doubled = np.flatnonzero(np.bincount(inside[:, 0], minlength=1) > 1)
    for product, place in inside[np.isin(inside[:, 0], doubled)]:
        found.setdefault(int(product), []).append(splits[place])
    return sum(may_leak(names, splits) for names in found.values())
