"""Documents as responses."""

from __future__ import annotations

import json
import math
from typing import Any
from urllib.parse import quote

from fastapi import Response

from focusedfashion.items import Match


def answer(document: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """The document as JSON. A source's columns hold anything: what JSON has no word for becomes text, NaN null."""
    text = json.dumps(_replace_nan(document), default=str, allow_nan=False)
    return Response(text, status, headers, media_type="application/json")


def show_match(match: Match) -> dict[str, Any]:
    """A match as over HTTP: with the address of its thumbnail."""
    return match.to_dict() | {"thumbnail": f"/v1/items/{quote(match.item.item_id, safe='')}/thumbnail"}


def _replace_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _replace_nan(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_replace_nan(inner) for inner in value]
    return value
