"""The sections of the page, each from the figures that it shows; None where there is nothing to show."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from focusedfashion import settings
from focusedfashion.report.charts import draw_bars, draw_cloud, draw_histogram, draw_matrix, format_share
from focusedfashion.report.figures import Bin, Copies, Gap, Group, Hierarchy, Pair, Prices, Report, Shot, Tag
from focusedfashion.report.markup import Html, element, join
from focusedfashion.report.parts import (
    draw_chips,
    draw_rows,
    draw_section,
    draw_shots,
    draw_table,
    draw_troubles,
)
from focusedfashion.report.words import say

_TIMES = "\u00d7"
_BARS = 12  # labels of a group that are shown before the others are unfolded
_FOLDED = 200  # bars that can be unfolded
_HISTOGRAM = 24  # columns
_REASONS = 30  # of failures

_GROUNDS = {
    "white": "on white",
    "light": "on light grey",
    "dark": "on black or dark grey",
    "colored": "on one color",
    "busy": "on a ground of many colors",
}
_USES = {"label": "labels", "split": "split", "fact": "", "": ""}


def draw_labels(report: Report) -> Html | None:
    if not report.groups:
        return None
    per_item = report.labels_per_item
    title = "Items by their number of labels"
    histogram = draw_histogram(_name_counts(per_item.histogram), title)
    return draw_section(
        "labels",
        "Labels",
        f"{report.labelled:,} of {say(report.items, 'item')} have one or more. An item has {per_item.mean:.2f} "
        f"on the average, from {per_item.least:,} to {per_item.most:,}.",
        len(per_item.histogram) > 1 and element("figure", element("figcaption", title), histogram, class_="half"),
        [_draw_group(group, report.items) for group in report.groups],
    )


def _draw_group(group: Group, items: int) -> Html:
    longest = group.labels[0].items
    words = [
        say(group.distinct, "label"),
        f"on {group.items:,} items" if group.items < items else "on every item",
        f"as varied as {group.effective:.1f} even ones",
        f"{say(group.half, 'label')} {'holds' if group.half == 1 else 'hold'} half of the uses",
    ]
    if group.distinct >= 10:
        words.append(f"the most frequent tenth holds {group.head:.0%}")
    rest, beyond = group.labels[_BARS:_FOLDED], group.distinct - _FOLDED
    bars = element(
        "div",
        draw_bars(group.labels[:_BARS], group.items, longest),
        rest
        and element(
            "details",
            element("summary", f"{group.distinct - _BARS:,} more"),
            draw_bars(rest, group.items, longest),
            beyond > 0 and element("p", f"and {beyond:,} rarer ones", class_="soft"),
        ),
    )
    cloud = element("figure", draw_cloud(group.labels, f"The labels of {group.name} as a cloud of words"))
    return element(
        "article",
        element("h3", element("bdi", group.name)),
        element("p", " · ".join(words), class_="soft"),
        element("div", bars, group.distinct > 2 and cloud, class_="pair"),
        class_="group",
    )


def draw_splits(report: Report) -> Html | None:
    if not report.splits:
        return None
    rows = [
        element(
            "tr",
            element("th", element("bdi", split.name), scope="row"),
            element("td", f"{split.items:,}"),
            element("td", format_share(split.items, report.items)),
            element("td", f"{split.labelled:,}"),
        )
        for split in report.splits
    ]
    without = report.items - sum(split.items for split in report.splits)
    gaps = [(group, gap) for group in report.groups for gap in group.gaps]
    all_have_all = len(report.splits) > 1 and report.groups and not gaps
    return draw_section(
        "splits",
        "Splits",
        "How the data is parted, and which labels a part lacks or has alone.",
        draw_table(("split", "items", "share", "labelled"), rows),
        without > 0 and element("p", f"{say(without, 'item')} in no split.", class_="soft"),
        [_draw_gap(group, gap, len(report.groups) > 1) for group, gap in gaps],
        all_have_all and element("p", "Every label occurs in every split that has labels."),
    )


def _draw_gap(group: Group, gap: Gap, several: bool) -> Html:
    of = f" of {group.name}" if several else ""
    parts: list[object] = []
    if gap.missing:
        parts += [
            element("h4", f"{say(gap.missing, 'label')}{of} missing from '{gap.split}'"),
            draw_chips(gap.missing_labels, gap.missing),
        ]
    if gap.only:
        parts += [
            element("h4", f"{say(gap.only, 'label')}{of} in '{gap.split}' alone"),
            draw_chips(gap.only_labels, gap.only),
        ]
    return element("article", parts)


def draw_together(report: Report) -> Html | None:
    together = report.together
    if not (together.frequent or together.avoided or together.hierarchies):
        return None
    several = len(report.groups) > 1
    trees = [_draw_hierarchy(tree) for tree in together.hierarchies]
    matrix = element(
        "figure",
        draw_matrix(together),
        element("figcaption", "The stronger a cell, the more of the row's items have the column's label too."),
    )
    return draw_section(
        "together",
        "Together",
        f"Which labels an item has at once. {_TIMES}2 is twice as often as chance would have it.",
        element(
            "div",
            element(
                "div",
                matrix,
                trees and [element("h3", "One follows from the other"), element("ul", trees, class_="plain")],
            ),
            element(
                "div",
                _draw_pairs("Most often together", together.frequent, lambda pair: f"{pair.items:,}", several),
                _draw_pairs("More often than by chance", together.attracted, _format_lift, several),
                _draw_pairs("Less often than by chance", together.avoided, _format_lift, several),
            ),
            class_="pair",
        ),
    )


def _draw_hierarchy(tree: Hierarchy) -> Html:
    odd = [
        element(
            "li",
            f"{say(example.items, 'item')}: '{example.narrow}' is '{example.broad}', usually '{example.usual}'",
            class_="soft",
        )
        for example in tree.examples
    ]
    return element(
        "li",
        element("bdi", tree.narrow),
        " decides ",
        element("bdi", tree.broad),
        f" ({tree.items - tree.exceptions:,} of {tree.items:,})",
        odd and element("ul", odd),
    )


def _draw_pairs(title: str, pairs: Sequence[Pair], tell: Callable[[Pair], str], several: bool) -> Html | None:
    if not pairs:
        return None
    rows = draw_rows(
        (join(_name_tag(pair.first, several), " + ", _name_tag(pair.second, several)), tell(pair)) for pair in pairs
    )
    return join(element("h3", title), rows)


def _name_tag(tag: Tag, several: bool) -> Html:
    """The label; one that says nothing alone, as True, with its group before it."""
    if several and re.fullmatch(r"[\d.]+|true|false|yes|no|[yn]", tag.label, re.IGNORECASE):
        return element("bdi", f"{tag.group}: {tag.label}")
    return element("bdi", tag.label, title=tag.group if several else None)


def _format_lift(pair: Pair) -> str:
    if not pair.items:
        return f"0 (by chance {pair.expected:,.0f})"
    return f"{_TIMES}{pair.lift:.{0 if pair.lift >= 10 else 1 if pair.lift >= 0.95 else 2}f}"


def draw_pictures(report: Report) -> Html | None:
    if not report.items:
        return None
    pictures = report.pictures
    width, height = pictures.median_size
    sides = draw_histogram([(_name_side(part), part.count) for part in pictures.sides], "Pictures by shorter side")
    aspects = draw_histogram(list(pictures.aspects.items()), "Pictures by width to height")
    histograms = element(
        "div",
        element(
            "figure",
            element("figcaption", f"Shorter side in px; the median picture has {width} {_TIMES} {height}"),
            sides,
        ),
        element("figure", element("figcaption", "Width to height"), aspects),
        class_="pair",
    )
    kinds = ", ".join(f"{name} {count:,}" for name, count in pictures.formats.items())
    misnamed = f"; {pictures.misnamed:,} with the ending of another type" if pictures.misnamed else ""
    lost = ([pictures.missing] if pictures.missing.count else []) + list(pictures.broken)
    beside = [pictures.unlisted] if pictures.unlisted.count else []
    return draw_section(
        "pictures",
        "Pictures",
        _tell_where(report),
        pictures.opened > 0 and histograms,
        kinds and element("p", f"File types: {kinds}{misnamed}."),
        draw_troubles("Missing and broken", lost),
        draw_troubles("Beside the others", beside),
        pictures.plain_shots
        and [element("h3", f"Of one even color: {pictures.plain:,}"), draw_shots(report, pictures.plain_shots)],
        pictures.smallest
        and [
            element("h3", "The smallest"),
            draw_shots(report, pictures.smallest, lambda shot: f"{shot.width} {_TIMES} {shot.height}"),
        ],
    )


def _tell_where(report: Report) -> str:
    pictures = report.pictures
    places = [
        (pictures.files, "in files"),
        (pictures.embedded, "in the catalog" if pictures.thumbnails else "in the source itself"),
        (pictures.urls, "by URL, not fetched"),
        (pictures.none, "items without any"),
    ]
    text = ", ".join(f"{count:,} {where}" for count, where in places if count) + "."
    if pictures.looked:
        sample = "A sample of " if pictures.sampled else ""
        text += f" {sample}{pictures.looked:,} looked into, {pictures.opened:,} opened."
    if pictures.thumbnails:
        text += f" A catalog keeps at most {settings.THUMBNAIL_SIDE} px of a picture: larger ones count as that."
    return text


def draw_copies(report: Report) -> Html | None:
    copies = report.pictures.copies
    if not (copies.exact_groups or copies.near_groups):
        return None
    return draw_section(
        "copies",
        "Copies",
        f"{say(copies.exact_groups, 'group')} of exact copies ({copies.exact_pictures:,} pictures), "
        f"{say(copies.near_groups, 'group')} with near ones ({copies.near_pictures:,}).",
        _draw_groups(report, "In more than one split", copies.across, copies.straddling),
        _draw_groups(report, "With labels that differ", copies.contrary, copies.disagreeing),
        _draw_groups(report, "Exact copies", copies.exact, copies.exact_groups, folded=bool(copies.contrary)),
        _draw_groups(report, "Near copies", copies.near, copies.near_groups, folded=bool(copies.contrary)),
    )


def _draw_groups(report: Report, title: str, groups: Sequence[Copies], count: int, folded: bool = False) -> Html | None:
    if not groups:
        return None
    rows = [
        element(
            "li",
            draw_shots(report, group.shots, _make_teller(group, len(report.splits) > 1)),
            element("p", _tell_group(group), class_="soft"),
        )
        for group in groups
    ]
    body = join(
        element("ul", rows, class_="copies", role="list"),
        count > len(groups) and element("p", f"{len(groups)} of {count:,} groups.", class_="soft"),
    )
    title = f"{title}: {count:,}"
    if folded:
        return element("details", element("summary", title), body)
    return element("div", element("h3", title), body)


def _tell_group(group: Copies) -> str:
    more = group.pictures - len(group.shots)
    words = [f"and {more:,} more"] if more else []
    words.append("identical" if group.exact else "nearly the same")
    if group.disagree:
        words.append(f"{', '.join(group.disagree)} {'differs' if len(group.disagree) == 1 else 'differ'}")
    return " · ".join(words)


def _make_teller(group: Copies, splits: bool) -> Callable[[Shot], str]:
    """What tells the pictures of a group apart: their splits, and labels that not all of them have."""
    common = {
        name: frozenset.intersection(*(frozenset(shot.labels.get(name, ())) for shot in group.shots))
        for name in group.disagree
    }

    def tell(shot: Shot) -> str:
        words = [", ".join(shot.splits)] if splits and shot.splits else []
        for name, shared in common.items():
            own = [label for label in shot.labels.get(name, ()) if label not in shared]
            words.append(", ".join(own) or ("none" if not shared else "no more"))
        return " · ".join(words)

    return tell


def draw_colors(report: Report) -> Html | None:
    pictures = report.pictures
    if not pictures.colors:
        return None
    whole = sum(pictures.grounds.values())
    grounds = ", ".join(f"{format_share(count, whole)} {_GROUNDS[name]}" for name, count in pictures.grounds.items())
    palette = [
        element("span", style=f"background:{color.hex};flex-grow:{color.share:.4f}", title=color.name)
        for color in pictures.colors
    ]
    swatches = [
        element(
            "li",
            element("i", style=f"background:{color.hex}"),
            element("span", color.name),
            element("span", format_share(color.share, 1), class_="soft"),
        )
        for color in pictures.colors
    ]
    return draw_section(
        "colors",
        "Colors",
        "Of the garments, by area: without the ground where it is even, else of the picture's middle.",
        element("div", palette, class_="palette", aria_hidden="true"),
        element("ul", swatches, class_="swatches", role="list"),
        element("p", f"The pictures: {grounds}.", class_="soft"),
    )


def draw_predicted(report: Report) -> Html | None:
    if not report.predicted:
        return None
    groups = [
        element(
            "article",
            element("h3", element("bdi", group.group)),
            element(
                "p",
                f"{say(group.distinct, 'label')} on {format_share(group.items, report.items)} of the items, "
                f"mean score {group.score:.2f}",
                class_="soft",
            ),
            draw_bars(group.labels[:_BARS], report.items, group.labels[0].items),
            class_="group",
        )
        for group in report.predicted
    ]
    intro = "What the catalog's encoder sees, where it is sure enough."
    return draw_section("predicted", "Predicted", intro, element("div", groups, class_="columns"))


def draw_prices(report: Report) -> Html | None:
    if not report.prices:
        return None
    parts = [_draw_currency(prices) for prices in report.prices]
    return draw_section("prices", "Prices", "In each currency.", element("div", parts, class_="columns"))


def _draw_currency(prices: Prices) -> Html:
    bars = [(_format_price(part.low), part.count) for part in prices.histogram]
    return element(
        "article",
        element("h3", prices.currency or "No currency"),
        element(
            "p",
            f"{say(prices.items, 'price')} from {prices.least:,.2f} to {prices.most:,.2f}; half of them lie "
            f"between {prices.quarter:,.2f} and {prices.three_quarters:,.2f}, around {prices.median:,.2f}",
            class_="soft",
        ),
        bars and draw_histogram(bars, f"Prices in {prices.currency or 'no currency'}, each column from its number on"),
        class_="group",
    )


def draw_columns(report: Report) -> Html | None:
    if not report.columns:
        return None
    rows = [
        element(
            "tr",
            element("th", element("bdi", column.name), scope="row"),
            element("td", _draw_filled(column.filled, report.items)),
            element(
                "td", f"{column.distinct:,}" if column.distinct is not None else "many" if column.use != "fact" else ""
            ),
            element("td", element("bdi", column.example), class_="example"),
            element("td", _USES[column.use]),
        )
        for column in report.columns
    ]
    return draw_section(
        "columns",
        "Columns",
        "How full they are, and which were taken for labels.",
        draw_table(("column", "filled", "different", "as in", "taken as"), rows),
    )


def _draw_filled(filled: int, items: int) -> Html:
    bar = element("span", class_="bar", style=f"--share:{filled / max(1, items):.4f}")
    return element("div", bar, element("span", format_share(filled, items)), class_="filled")


def draw_failures(report: Report) -> Html | None:
    if not report.failures:
        return None
    intro = f"{say(report.failed, 'row')} that could not be used, by reason."
    return draw_section("failures", "Failures", intro, draw_troubles(None, report.failures[:_REASONS]))


def _name_counts(histogram: Mapping[int, int]) -> list[tuple[str, int]]:
    """Numbers of labels as columns; a long tail becomes one."""
    least, most = min(histogram), max(histogram)
    end = min(most, least + _HISTOGRAM - 1)
    bars = [(f"{value}", histogram.get(value, 0)) for value in range(least, end + 1)]
    if most > end:
        bars[-1] = (f"{end}+", sum(count for value, count in histogram.items() if value >= end))
    return bars


def _name_side(part: Bin) -> str:
    return f"{part.low:.0f}+" if part.high > 4_096 else f"{part.low:.0f}-{part.high - 1:.0f}"


def _format_price(price: float) -> str:
    return f"{price:,.0f}" if price >= 10 else f"{price:.2f}"
