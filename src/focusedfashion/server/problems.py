"""What goes wrong over HTTP: every error is one document of RFC 9457 (application/problem+json).

The names are those of the package's own errors, which the command line prints too: `type` is
"urn:focusedfashion:item-not-found" for ItemNotFound, `title` its first words, `detail` the line that a person reads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException as StarletteHTTPException

from focusedfashion.errors import CatalogMissing, FashionError, ItemNotFound, MissingExtra, PictureError, QueryError

MEDIA_TYPE = "application/problem+json"

_STATUS: tuple[tuple[type[FashionError], int], ...] = (  # the first that fits; any other FashionError is a 500
    (ItemNotFound, 404),
    (CatalogMissing, 404),
    (QueryError, 400),
    (PictureError, 400),
    (MissingExtra, 415),  # a kind of picture, or words, whose reader is not installed here
)


class Problem(BaseModel):
    """What every error looks like."""

    type: str = Field(description="Which kind of error: urn:focusedfashion:… or about:blank.")
    title: str = Field(description="The kind in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="One line: what was wrong, and what to do.")
    request_id: str = Field(description="As in the header X-Request-Id; the server's log has it too.")


def add_handlers(app: FastAPI) -> None:
    """Every error of the app becomes a problem document."""
    app.add_exception_handler(FashionError, _answer_fashion_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(StarletteHTTPException, _answer_http)


def make_problem(
    request_id: str,
    status: int,
    detail: str,
    *,
    kind: type[FashionError] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """A problem as a response."""
    name, title = "about:blank", HTTPStatus(status).phrase
    if kind is not None:
        name, title = _name_kind(kind), (kind.__doc__ or title).splitlines()[0].rstrip(".")
    body = {
        "type": name,
        "title": title,
        "status": status,
        "detail": " ".join(detail.split()),
        "request_id": request_id,
    }
    return Response(json.dumps(body), status, headers, media_type=MEDIA_TYPE)


def describe_answers(answers: Mapping[int, dict[str, Any]], *problems: int) -> dict[int | str, dict[str, Any]]:
    """For the OpenAPI document: a route's answers, and the statuses of its problems."""
    described: dict[int | str, dict[str, Any]] = dict(answers.items())
    for status in problems:
        content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        described[status] = {"description": _MEANINGS[status], "content": content}
    return described


_MEANINGS = {
    400: "The picture or an option cannot be used.",
    401: "A key is needed, or this one is not known.",
    403: "This key may only read.",
    404: "No such item, picture or catalog.",
    408: "The body took too long.",
    413: "The body is too large.",
    415: "A kind of body or picture that is not read here.",
    422: "A field is missing or of the wrong kind.",
    429: "Too many requests with this key; Retry-After says when to come again.",
    503: "Too many requests wait; Retry-After says when to come again.",
}


def get_request_id(request: Request) -> str:
    """The request's id, which the outermost layer of the app has given it."""
    return str(request.scope.get("focusedfashion.request_id", ""))


def _answer_fashion_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, FashionError)
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    return make_problem(get_request_id(request), status, str(error), kind=type(error))


def _answer_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path", "header"))
    detail = f"{place}: {first['msg']}" if place else str(first["msg"])
    return make_problem(get_request_id(request), 422, detail)


def _answer_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    if error.status_code in (204, 304):
        return Response(status_code=error.status_code, headers=dict(error.headers or {}))
    return make_problem(get_request_id(request), error.status_code, error.detail, headers=dict(error.headers or {}))


def _name_kind(kind: type[FashionError]) -> str:
    return "urn:focusedfashion:" + re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower()
