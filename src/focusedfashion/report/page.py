"""A report as one HTML page that needs nothing else: no script, no file beside it, no request."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from importlib import resources
from pathlib import Path

from focusedfashion import settings
from focusedfashion.report.figures import Level, Report
from focusedfashion.report.markup import Html, element, join
from focusedfashion.report.parts import draw_section, draw_shot
from focusedfashion.report.sections import (
    draw_colors,
    draw_columns,
    draw_copies,
    draw_failures,
    draw_labels,
    draw_pictures,
    draw_predicted,
    draw_prices,
    draw_splits,
    draw_together,
)
from focusedfashion.report.words import say

_SECTIONS = {
    "labels": draw_labels,
    "splits": draw_splits,
    "together": draw_together,
    "pictures": draw_pictures,
    "copies": draw_copies,
    "colors": draw_colors,
    "predicted": draw_predicted,
    "prices": draw_prices,
    "columns": draw_columns,
    "failures": draw_failures,
}
_LEVELS: dict[Level, str] = {
    "harm": "Harms training or search",
    "look": "Worth a look",
    "note": "Good to know",
}

# Scripts and requests are forbidden to the page itself, whatever a title may hold.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def write_report(report: Report, path: str | os.PathLike[str]) -> None:
    """Writes the page; the file is whole or, if that fails, as it was before. Raises OSError."""
    write_page(draw_page(report), path)


def write_page(page: str, path: str | os.PathLike[str]) -> None:
    """Writes a page's HTML; the file is whole or, if that fails, as it was before. Raises OSError."""
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(page, encoding="utf-8", newline="\n")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def draw_page(report: Report) -> str:
    """The page's HTML."""
    sections = {name: section for name, draw in _SECTIONS.items() if (section := draw(report))}
    main = join(_draw_title(report), _draw_findings(report, sections), list(sections.values()))
    return draw_document(report.name, "Report", report.made, main, _draw_method())


def draw_document(name: str, kind: str, made: str, main: Html, foot: Html, more: str = "") -> str:
    """A whole HTML document in the look of the report: its masthead with the kind of page and the time `made` (ISO).

    It holds its own style, and `more` of it (CSS), and allows itself neither scripts nor requests.
    """
    style = resources.files("focusedfashion.report").joinpath("page.css").read_text(encoding="utf-8")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{name} · FocusedFashion {kind.lower()}"),
        Html(f"<style>{style}{more}</style>"),
    )
    day = datetime.fromisoformat(made)
    masthead = element(
        "p",
        element("span", "FocusedFashion", class_="wordmark"),
        element("span", kind),
        element("time", f"{day.day} {day:%B %Y}", datetime=made),
    )
    body = element(
        "body",
        element("header", masthead, class_="masthead"),
        element("main", main),
        element("footer", foot, class_="foot"),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _draw_title(report: Report) -> Html:
    pictures = report.pictures
    labels = sum(group.distinct for group in report.groups)
    facts = [
        ("items", report.items, True),
        ("products", report.products, report.products != report.items),
        ("pictures", pictures.distinct, pictures.distinct != report.items),
        ("labels", labels, labels > 0),
        ("groups of labels", len(report.groups), len(report.groups) > 1),
        ("splits", len(report.splits), bool(report.splits)),
        ("rows that failed", report.failed, report.failed > 0),
    ]
    figures = [
        element("div", element("dt", name), element("dd", f"{count:,}"))
        for name, count, worthwhile in facts
        if worthwhile
    ]
    harms, looks = (sum(finding.level == level for finding in report.findings) for level in ("harm", "look"))
    verdict = f"{say(harms, 'thing')} {'harms' if harms == 1 else 'harm'} training or search"
    if not harms:
        verdict = "Nothing was found that harms training or search"
    if looks:
        more = " more" if harms else ""
        verdict += f"; {say(looks, 'thing')}{more} {'is' if looks == 1 else 'are'} worth a look"
    return element(
        "section",
        element("h1", element("bdi", report.name)),
        element("p", f"{verdict}.", class_="verdict"),
        pictures.some and element("div", [draw_shot(report, shot) for shot in pictures.some], class_="strip"),
        element("dl", figures, class_="facts"),
        class_="title",
    )


def _draw_findings(report: Report, sections: Mapping[str, Html]) -> Html:
    parts: list[Html] = []
    for level, name in _LEVELS.items():
        found = [
            element(
                "li",
                element("p", _mark_names(finding.text)),
                element(
                    "p",
                    _mark_names(finding.advice),
                    finding.place in sections
                    and [" ", element("a", finding.place.capitalize(), href=f"#{finding.place}")],
                    class_="advice",
                ),
                class_=level,
            )
            for finding in report.findings
            if finding.level == level
        ]
        if found:
            parts.append(element("h3", name, class_=f"level {level}"))
            parts.append(element("ol", found, class_="findings", role="list"))
    if not parts:
        parts = [element("p", "Nothing that one would have to know.")]
    return draw_section("findings", "Findings", "What was found, and what to do about it.", *parts)


def _mark_names(text: str) -> Html:
    """Text with the parts in backticks, names of columns, set off."""
    return join([element("code", part) if place % 2 else part for place, part in enumerate(text.split("`"))])


def _draw_method() -> Html:
    lines = [
        "Labels are columns whose values repeat: text, true or false, lists; whole numbers only if they are few. Ids, "
        "free text, times and amounts are none.",
        "Even labels: exp of the entropy, the Hill number of order 1 (Hill 1973).",
        "Chance is the product of two labels' shares of the labelled items. Pairs are in the order of their ratio to "
        "it, two standard errors nearer to 1. A column decides another if it takes away nine tenths of the errors of a "
        "guess (Goodman and Kruskal's lambda, 1954); pairs of such columns are left out.",
        "Exact copies are the same byte for byte. Near copies have DCT hashes (Zauner 2010) that differ in at most "
        f"{settings.HASH_BITS} of 64 bits, found by multi-index hashing (Norouzi, Punjani, Fleet 2012), the same "
        "colors part by part and the same detail: a photo saved again, resized, lightened or cut a little. One that is "
        "cut more, turned or mirrored is not found.",
        "Colors are clusters in CIE Lab; every picture counts the same.",
    ]
    return join(
        element("h2", "How this was made"),
        element("ul", [element("li", line) for line in lines]),
        element("p", "Made by FocusedFashion. This page holds all that it shows and asks nothing of the network."),
    )
