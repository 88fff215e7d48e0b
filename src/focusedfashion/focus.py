"""The words of a focus, which the command line and HTTP share."""

from __future__ import annotations

from focusedfashion.errors import QueryError


def parse_focus(text: str) -> dict[str, float]:
    """`color=2,shape=1` -> {"color": 2.0, "shape": 1.0}. Raises QueryError.

    Only the words are read here: which blocks there are, and which weights make sense, the search says.
    """
    focus: dict[str, float] = {}
    for part in text.split(","):
        block, sign, weight = (piece.strip() for piece in part.partition("="))
        if not block or not sign:
            raise QueryError(f"the focus {text!r} is not written like color=2,shape=1")
        if block in focus:
            raise QueryError(f"the focus {text!r} names {block} twice")
        try:
            focus[block] = float(weight)
        except ValueError:
            raise QueryError(f"the focus {text!r} gives {block} the weight {weight!r}; it takes a number") from None
    return focus
