"""The pieces that the sections of the page are made of."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence

from focusedfashion.report.figures import LabelCount, Report, Shot, Trouble
from focusedfashion.report.markup import Html, element, join


def draw_section(name: str, title: str, intro: str, *parts: object) -> Html:
    """A part of the page under its title, with a sentence on what it is about."""
    return element(
        "section",
        element("header", element("h2", title), element("p", intro)),
        element("div", *parts, class_="body"),
        id=name,
    )


def draw_table(heads: Sequence[str], rows: Sequence[Html]) -> Html:
    head = element("tr", [element("th", name, scope="col") for name in heads])
    return element("div", element("table", element("thead", head), element("tbody", rows)), class_="table")


def draw_chips(labels: Sequence[LabelCount], count: int) -> Html:
    """Labels one after the other, of `count` in all."""
    chips = [
        element("li", element("bdi", label.label), " ", element("span", f"{label.items:,}", class_="soft"))
        for label in labels
    ]
    if count > len(labels):
        chips.append(element("li", f"and {count - len(labels):,} more", class_="soft"))
    return element("ul", chips, class_="chips", role="list")


def draw_rows(rows: Iterable[tuple[object, object]]) -> Html:
    """What something is, and how often."""
    items = [element("li", element("span", what), element("span", count)) for what, count in rows]
    return element("ul", items, class_="rows", role="list")


def draw_troubles(title: str | None, troubles: Sequence[Trouble]) -> Html | None:
    if not troubles:
        return None
    rows = draw_rows(
        (
            join(trouble.reason, element("span", ", ".join(trouble.examples), class_="soft examples")),
            f"{trouble.count:,}",
        )
        for trouble in troubles
    )
    return join(title and element("h3", title), rows)


def draw_shots(report: Report, shots: Iterable[Shot], tell: Callable[[Shot], str] | None = None) -> Html:
    """Pictures beside each other, with what `tell` says of each below."""
    return element("div", [draw_shot(report, shot, tell(shot) if tell else "") for shot in shots], class_="shots")


def draw_shot(report: Report, shot: Shot, words: str = "") -> Html:
    data = base64.b64encode(report.thumbnails[shot.picture]).decode()
    image = element(
        "img",
        src=f"data:image/jpeg;base64,{data}",
        alt=shot.title or shot.item_id,
        title=f"{shot.item_id} {shot.title}".strip(),
    )
    caption = element("figcaption", element("bdi", words)) if words else None
    return element("figure", element("div", image, class_="tile"), caption, class_="shot")
