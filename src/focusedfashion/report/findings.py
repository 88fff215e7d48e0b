"""What harms training or search, said in a sentence each, with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from focusedfashion import settings
from focusedfashion.report.figures import Finding, Group, Level, Report
from focusedfashion.report.label_findings import find_in_labels
from focusedfashion.report.words import NAMED, pick, say, such_as

_ORDER: dict[Level, int] = {"harm": 0, "look": 1, "note": 2}


def list_findings(report: Report) -> tuple[Finding, ...]:
    """All that a person should know, the most harmful first."""
    found = [
        *_find_in_rows(report),
        *_find_in_splits(report),
        *_find_in_copies(report),
        *find_in_labels(report),
        *_find_in_pictures(report),
        *_find_in_catalog(report),
    ]
    return tuple(sorted(found, key=lambda finding: _ORDER[finding.level]))


def _find_in_rows(report: Report) -> Iterator[Finding]:
    pictures = report.pictures
    items = report.items
    if not items:
        yield Finding("harm", "failures", "There is not a single item here.", "See what the rows failed at.", 0)
    if report.failed:
        first = report.failures[0]
        yield Finding(
            "harm" if report.failed > items / 100 else "look",
            "failures",
            f"{say(report.failed, 'row')} could not be used, most often because: {first.reason}",
            "Mend them at the source; they are left out of everything below.",
            report.failed,
        )
    if missing := pictures.missing.count:
        yield Finding(
            "harm",
            "pictures",
            f"{say(missing, 'item')} of {items:,} {pick(missing, 'names', 'name')} a picture that is not there"
            f"{such_as(pictures.missing.examples)}.",
            "Bring the files back or remove the rows.",
            missing,
        )
    if broken := sum(trouble.count for trouble in pictures.broken):
        first = pictures.broken[0]
        yield Finding(
            "harm",
            "pictures",
            f"{say(broken, 'picture')} of {pictures.looked:,} cannot be opened, most often because: "
            f"{first.reason}{such_as(first.examples)}.",
            "Replace or remove them: a training that meets one stops, and a catalog leaves it out.",
            broken,
        )
    if pictures.none:
        yield Finding(
            "harm",
            "pictures",
            f"{say(pictures.none, 'item')} of {items:,} {pick(pictures.none, 'has', 'have')} no picture at all.",
            "Add pictures or leave these items out: they can neither be learned from nor found.",
            pictures.none,
        )
    if report.double_ids:
        yield Finding(
            "harm",
            "columns",
            f"{say(report.double_ids, 'item', 'bears', 'bear')} an id that an earlier one has.",
            "Make ids unique: a catalog keeps the first item of each and reports the others.",
            report.double_ids,
        )


def _find_in_splits(report: Report) -> Iterator[Finding]:
    splits = [split.name for split in report.splits]
    copies = report.pictures.copies
    if copies.straddling:
        yield Finding(
            "harm",
            "copies",
            f"{say(copies.straddling, 'group')} of copies, {copies.straddling_pictures:,} pictures, "
            f"{pick(copies.straddling, 'lies', 'lie')} in more than one split: figures measured there are too good.",
            "Put all copies of a picture into one split, or remove them from all but one.",
            copies.straddling,
        )
    if report.pictures.shared_straddling:
        yield Finding(
            "harm",
            "copies",
            f"{say(report.pictures.shared_straddling, 'picture', 'is', 'are')} named by items of two splits.",
            "Keep each picture in one split.",
            report.pictures.shared_straddling,
        )
    if report.straddling_products:
        yield Finding(
            "harm",
            "splits",
            f"{say(report.straddling_products, 'product', 'has', 'have')} items "
            "in more than one split: a network recognizes them instead of what they are.",
            "Split by product.",
            report.straddling_products,
        )
    for split in report.splits:
        if 0 == split.labelled < split.items and report.groups:
            yield Finding(
                "note",
                "splits",
                f"The split '{split.name}' has no labels at all ({say(split.items, 'item')}).",
                "It can be searched, not be measured.",
                split.items,
            )
    for name in splits:
        yield from _find_gaps(report.groups, name, splits)


def _find_gaps(groups: Sequence[Group], split: str, splits: Sequence[str]) -> Iterator[Finding]:
    """What one split lacks, in all groups."""
    gaps = [(group, gap) for group in groups for gap in group.gaps if gap.split == split and gap.missing]
    count = sum(gap.missing for _, gap in gaps)
    if not count:
        return
    columns = ", ".join(f"`{group.name}`" for group, _ in gaps[:NAMED])
    text = f"{say(count, 'label')} of {columns} never {pick(count, 'occurs', 'occur')} in '{split}', though elsewhere"
    text += f"{such_as([label for _, gap in gaps for label in gap.missing_labels])}."
    training = [other for other in splits if other.lower().startswith("train")]
    if split in training or not training:
        level: Level = "harm" if split in training else "look"
        advice = "Move some of their items there, or drop these labels: what is not trained on cannot be told."
    else:
        level, advice = "look", "Move some of their items there: how well they are told cannot be measured so."
    yield Finding(level, "splits", text, advice, count)


def _find_in_copies(report: Report) -> Iterator[Finding]:
    copies = report.pictures.copies
    if copies.disagreeing_exact:
        columns = ", ".join(f"`{name}` in {count:,}" for name, count in list(copies.disagreeing_columns.items())[:3])
        share = copies.disagreeing_exact / copies.exact_groups
        yield Finding(
            "harm",
            "copies",
            f"{say(copies.disagreeing_exact, 'group')} of identical pictures "
            f"{pick(copies.disagreeing_exact, 'has', 'have')} labels that contradict each other: {columns} "
            f"({share:.0%} of all such groups).",
            "Decide for one label per group; until then no network can be right on all of them.",
            copies.disagreeing_exact,
        )
    if report.pictures.shared_disagreeing:
        yield Finding(
            "harm",
            "copies",
            f"{say(report.pictures.shared_disagreeing, 'picture', 'is', 'are')} "
            "named by several items whose labels differ.",
            "Join these items, or give each its box in the picture.",
            report.pictures.shared_disagreeing,
        )
    near = copies.disagreeing - copies.disagreeing_exact
    if near > 0:
        yield Finding(
            "look",
            "copies",
            f"{say(near, 'group')} of near copies {pick(near, 'has', 'have')} labels that differ.",
            "Look at them below: a label is wrong, or it says what the picture is too small to show.",
            near,
        )
    if copies.surplus:
        yield Finding(
            "look",
            "copies",
            f"{say(copies.surplus, 'picture')} of {report.pictures.opened:,} {pick(copies.surplus, 'is', 'are')} "
            f"byte for byte {pick(copies.surplus, 'a copy', 'copies')} of another "
            f"({say(copies.exact_groups, 'group')}).",
            "Keep one of each, or give copies one product id so that a search shows them once.",
            copies.surplus,
        )
    if copies.near_groups:
        yield Finding(
            "look",
            "copies",
            f"{say(copies.near_pictures, 'picture', 'is', 'are')} near copies of each "
            f"other, in {say(copies.near_groups, 'group')}: saved again, resized, or hardly to be told apart.",
            "Keep each group in one split, and count it once when you measure.",
            copies.near_groups,
        )
    if report.pictures.shared:
        yield Finding(
            "look",
            "copies",
            f"{say(report.pictures.shared, 'picture', 'is', 'are')} named by several "
            "items that are neither one product nor boxes of one picture.",
            "Give them one product id, or remove all but one.",
            report.pictures.shared,
        )


def _find_in_pictures(report: Report) -> Iterator[Finding]:
    pictures = report.pictures
    opened = pictures.opened
    if pictures.plain:
        yield Finding(
            "look",
            "pictures",
            f"{say(pictures.plain, 'picture', 'is', 'are')} of one even color: nothing is on "
            f"{pick(pictures.plain, 'it', 'them')}.",
            "Remove them; often they stand for a picture that was lost.",
            pictures.plain,
        )
    if pictures.small:
        yield Finding(
            "look",
            "pictures",
            f"{say(pictures.small, 'picture')} of {opened:,} {pick(pictures.small, 'is', 'are')} smaller than "
            f"{settings.SMALL_SIDE} px on the shorter side: prints, buttons and knits are lost.",
            "Get larger ones; enlarging these brings nothing back.",
            pictures.small,
        )
    if pictures.extreme:
        yield Finding(
            "look",
            "pictures",
            f"{say(pictures.extreme, 'picture', 'is', 'are')} more than three times as long "
            "as wide, or as wide as long.",
            "Crop them to the garment: made to fit, only a stripe of them is left.",
            pictures.extreme,
        )
    if pictures.misnamed:
        yield Finding(
            "note",
            "pictures",
            f"{say(pictures.misnamed, 'file', 'is', 'are')} of another format than the ending says.",
            "Nothing for us, we look inside; other programs may stumble.",
            pictures.misnamed,
        )
    if unlisted := pictures.unlisted.count:
        yield Finding(
            "look",
            "pictures",
            f"{say(unlisted, 'picture', 'lies', 'lie')} beside the others, but no item names "
            f"{pick(unlisted, 'it', 'them')}{such_as(pictures.unlisted.examples)}.",
            "Add rows for them, or remove them.",
            unlisted,
        )
    if pictures.urls:
        yield Finding(
            "note",
            "pictures",
            f"{say(pictures.urls, 'item', 'has', 'have')} a picture by URL; a report fetches none.",
            "Index the source into a catalog, which fetches them, and report on that.",
            pictures.urls,
        )
    if pictures.sampled:
        yield Finding(
            "note",
            "pictures",
            f"Only a sample of {pictures.looked:,} pictures was opened; copies, sizes and colors speak for these, and "
            "a sample finds fewer of the copies than its share."
            if pictures.looked
            else "No picture was opened: copies, sizes, colors and broken files are not known.",
            "Ask for more (--pictures).",
            pictures.looked,
        )


def _find_in_catalog(report: Report) -> Iterator[Finding]:
    for prices in report.prices:
        money = f" in {prices.currency}" if prices.currency else ""
        if prices.odd:
            yield Finding(
                "look",
                "prices",
                f"{say(prices.odd, 'price')}{money} {pick(prices.odd, 'is', 'are')} zero, negative or a hundred "
                f"times off the median of {prices.median:,.2f}.",
                "Correct them: a filter by price shows them first, or never.",
                prices.odd,
            )
        if not prices.currency and len(report.prices) > 1:
            yield Finding(
                "look",
                "prices",
                f"{say(prices.items, 'price', 'has', 'have')} no currency, though others have.",
                "Add it: numbers of two currencies cannot be compared.",
                prices.items,
            )
    named = [prices.currency for prices in report.prices if prices.currency]
    if len(named) > 1:
        yield Finding(
            "note",
            "prices",
            f"Prices are in {len(named)} currencies: {', '.join(named[:NAMED])}.",
            "Filter by currency too whenever you filter by price.",
            len(named),
        )
    for column in report.columns:
        if column.name in ("title", "price") and column.use == "fact" and 0 < column.filled < 0.95 * report.items:
            lacking = report.items - column.filled
            yield Finding(
                "note",
                "columns",
                f"{say(lacking, 'item', 'has', 'have')} no {column.name}.",
                "Fill it where people search or filter by it.",
                lacking,
            )
    for group in report.predicted:
        lacking = report.items - group.items
        if lacking > 0.2 * report.items:
            yield Finding(
                "note",
                "predicted",
                f"The encoder is not sure enough of any label of '{group.group}' for {say(lacking, 'item')} of "
                f"{report.items:,}.",
                "Expected for photos unlike its training; do not filter by this group.",
                lacking,
            )
