"""HTML and SVG from Python: every text is escaped, because titles and labels are strangers' words."""

from __future__ import annotations

from html import escape
from typing import Any

_VOID = frozenset({"meta", "link", "img", "br", "rect", "line", "circle"})


class Html(str):
    """Markup that is safe as it stands. Only `element` and `join` make it from what is not."""

    __slots__ = ()


def element(tag: str, *children: Any, **attributes: Any) -> Html:
    """An element; children that are not Html are text. `class_` is class, `_` in other names is `-`.

    None and False leave a child or an attribute out.

    >>> element("p", "a < b", element("br"), class_="note")
    '<p class="note">a &lt; b<br></p>'
    """
    written = [tag]
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        # SVG's names have capitals: viewBox stays, font_size becomes font-size.
        name = name.rstrip("_").replace("_", "-")
        written.append(name if value is True else f'{name}="{escape(_to_text(value))}"')
    start = f"<{' '.join(written)}>"
    if tag in _VOID:
        return Html(start[:-1] + "/>" if tag in ("rect", "line", "circle") else start)
    return Html(f"{start}{join(*children)}</{tag}>")


def join(*children: Any) -> Html:
    """Children one after the other; lists and tuples of them are taken apart."""
    parts: list[str] = []
    for child in children:
        if isinstance(child, Html):
            parts.append(child)
        elif isinstance(child, (list, tuple)):
            parts.append(join(*child))
        elif child is not None and child is not False:
            parts.append(escape(_to_text(child)))
    return Html("".join(parts))


def _to_text(value: Any) -> str:
    """A number in few digits, or text without lone surrogates, which no file can hold."""
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return str(value).encode("utf-8", "replace").decode()
