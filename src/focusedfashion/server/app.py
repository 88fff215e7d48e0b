"""The HTTP face of a catalog: every route parses, calls one method of the catalog and gives its answer as JSON.

Every error has one shape, {"detail": "one line"}. Nothing that a client names is fetched, and no query is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import json
import math
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar
from urllib.parse import quote

import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Query, Request, Response
from fastapi import Path as PathField
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from focusedfashion import settings
from focusedfashion.errors import (
    CatalogMissing,
    FashionError,
    ItemNotFound,
    MissingExtra,
    PictureError,
    QueryError,
)
from focusedfashion.focus import parse_focus
from focusedfashion.images import name_thumbnail_type
from focusedfashion.items import Item, Label, Match, Matches
from focusedfashion.server.upload import read_upload

if TYPE_CHECKING:
    from focusedfashion.catalog import Catalog

P = ParamSpec("P")
T = TypeVar("T")

ItemId = Annotated[str, PathField(description="The item's id, percent-encoded: slashes as %2F.")]

_PAGE = Path(__file__).parent / "page"

_STATUS: tuple[tuple[type[FashionError], int], ...] = (  # the first that fits; any other FashionError is a 500
    (ItemNotFound, 404),
    (CatalogMissing, 404),
    (QueryError, 400),
    (PictureError, 400),
    (MissingExtra, 415),  # a kind of picture whose reader is not installed here
)

_HEADERS = {
    # blob: is the query's picture, which the page shows from the browser's own memory.
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # the page and the answers change with the installed version and the catalog
}


class SearchOptions(BaseModel):
    """What a search can be told besides its picture."""

    model_config = ConfigDict(extra="forbid")  # a misspelled filter must not pass for none

    k: int = Field(settings.DEFAULT_K, description="How many products to give at most.")
    where: str | None = Field(None, description="A filter over the catalog's columns, in SQL: `price < 50`.")
    focus: str | None = Field(None, description="Weights of blocks, others keep theirs: `color=2,shape=1,pattern=0`.")

    def to_arguments(self) -> tuple[int, str | None, dict[str, float] | None]:
        """(k, where, focus) as `Catalog.search` takes them; an empty field of a form counts as not given."""
        return self.k, self.where or None, parse_focus(self.focus) if self.focus else None


class Problem(BaseModel):
    """What every error looks like."""

    detail: str = Field(description="One line: what was wrong, and what to do.")


def make_app(catalog: Catalog) -> FastAPI:
    """The web application that searches this catalog. Nothing is opened before the first request needs it."""
    app = FastAPI(
        title="FocusedFashion",
        summary="Find clothes by looking at them.",
        description="No key, no state. A query's picture is held in memory while it is searched, and never kept.",
        # FastAPI's own pages load scripts from another host.
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(_AddHeaders)
    app.add_exception_handler(FashionError, _answer_fashion_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(Exception, _answer_crash)
    app.include_router(_make_api(catalog))

    @app.get("/healthz", summary="Is the server up?")
    async def healthz() -> Response:
        return _answer({"status": "ok"})

    for path, name in (("/", "index.html"), ("/docs", "docs.html")):
        app.add_api_route(path, _send_page(name), include_in_schema=False)
    app.mount("/page", StaticFiles(directory=_PAGE))
    return app


def serve(catalog: Catalog, host: str = "127.0.0.1", port: int = settings.PORT) -> None:
    """Serve the catalog until SIGTERM or Ctrl-C; port 0 takes a free one. Raises FashionError where it cannot start."""
    # Asked first: that there is no catalog, or no encoder for it, is better said now than to the first visitor.
    what = f"{catalog.path} ({catalog.info().items:,} items, encoder {catalog.encoder.name})"
    listener = _listen(host, port)
    server = uvicorn.Server(
        uvicorn.Config(
            make_app(catalog),
            log_level="warning",
            ws="none",
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=settings.SHUTDOWN_SECONDS,
        )
    )
    address = f"[{host}]" if ":" in host else host
    with _end_on_signals(server):
        print(f"serving {what} at http://{address}:{listener.getsockname()[1]} - Ctrl-C ends it", flush=True)
        server.run(sockets=[listener])


@contextlib.contextmanager
def _end_on_signals(server: uvicorn.Server) -> Iterator[None]:
    """SIGTERM and Ctrl-C are a normal end, also before uvicorn listens to them and when it raises them once more."""
    if threading.current_thread() is not threading.main_thread():  # where Python lets nobody have signals
        yield
        return

    def end(number: int, frame: object) -> None:
        server.should_exit = True  # a flag and no exception, which could be lost in a callback

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FashionError(f"cannot serve at {host}:{port} ({reason}): choose another port with --port") from None


def _make_api(catalog: Catalog) -> APIRouter:
    gate = _Gate(os.cpu_count() or 1)
    api = APIRouter(
        prefix="/v1",
        dependencies=[Depends(gate.enter)],
        responses={
            status: {"model": Problem, "description": description}
            for status, description in {
                400: "The picture or an option cannot be used.",
                404: "No such item, or no catalog.",
                422: "A field is missing or of the wrong kind.",
                503: "Too many requests wait; try again.",
            }.items()
        },
    )

    @api.post(
        "/search",
        summary="The closest products to a picture",
        openapi_extra={"requestBody": _UPLOAD},
        responses={
            200: {"content": {"application/json": {"example": _EXAMPLE}}},
            413: {"model": Problem, "description": f"More than {settings.MAX_BODY_BYTES // 2**20} MB."},
        },
    )
    async def search(request: Request, options: Annotated[SearchOptions, Query()]) -> Response:
        image, fields = await read_upload(request)
        try:
            given = {name: text for name, text in fields.items() if text}
            options = SearchOptions.model_validate(options.model_dump() | given)
        except ValidationError as error:
            raise RequestValidationError(error.errors()) from None
        return _answer_matches(await gate.work(catalog.search, image, *options.to_arguments()))

    # An item's id may hold slashes; the suffixes come first, or `/v1/items/{item_id}` would take them for a part of it.
    @api.get("/items/{item_id:path}/thumbnail", summary="An item's thumbnail, JPEG", response_class=_JPEG)
    async def thumbnail(item_id: ItemId, if_none_match: Annotated[str, Header()] = "") -> Response:
        picture = await gate.work(catalog.thumbnail, item_id)
        tag = f'"{hashlib.sha256(picture).hexdigest()[:16]}"'
        headers = {"ETag": tag, "Cache-Control": f"max-age={settings.THUMBNAIL_SECONDS}"}
        if tag in if_none_match:
            return Response(status_code=304, headers=headers)
        return Response(picture, headers=headers, media_type=name_thumbnail_type(picture))

    @api.get(
        "/items/{item_id:path}/similar",
        summary="The closest products to an item, never the item itself",
        responses={200: {"content": {"application/json": {"example": _EXAMPLE}}}},
    )
    async def similar(item_id: ItemId, options: Annotated[SearchOptions, Query()]) -> Response:
        return _answer_matches(await gate.work(catalog.similar, item_id, *options.to_arguments()))

    @api.get(
        "/items/{item_id:path}",
        summary="One item",
        responses={200: {"content": {"application/json": {"example": _EXAMPLE["matches"][0]["item"]}}}},
    )
    async def item(item_id: ItemId) -> Response:
        return _answer((await gate.work(catalog.item, item_id)).to_dict())

    @api.get("/info", summary="What the catalog holds")
    async def info() -> Response:
        return _answer(dataclasses.asdict(await gate.work(catalog.info)))

    return api


class _Gate:
    """Lets as many requests work as there are cores, and lets some wait; one more is told so at once."""

    def __init__(self, cores: int) -> None:
        self._cores = asyncio.Semaphore(cores)
        self._room = cores + settings.MAX_WAITING

    async def enter(self) -> AsyncIterator[None]:
        # Before the body is read: what waits must not fill the memory either.
        if not self._room:
            raise HTTPException(503, "too many requests wait here: try again in a moment", {"Retry-After": "1"})
        self._room -= 1
        try:
            yield
        finally:
            self._room += 1

    async def work(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        # Decoding, encoding and the table block; in a thread they leave the event loop free.
        async with self._cores:
            return await run_in_threadpool(function, *args, **kwargs)


class _JPEG(Response):
    media_type = "image/jpeg"


class _AddHeaders:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers)


def _send_page(name: str) -> Callable[[], FileResponse]:
    return lambda: FileResponse(_PAGE / name)


def _answer(document: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    # A source's columns hold anything: what JSON has no word for becomes text, and NaN becomes null.
    text = json.dumps(_replace_nan(document), default=str, allow_nan=False)
    return Response(text, status, headers, media_type="application/json")


def _replace_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _replace_nan(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_replace_nan(inner) for inner in value]
    return value


def _answer_matches(matches: Matches) -> Response:
    return _answer({"matches": [_show_match(match) for match in matches]})


def _show_match(match: Match) -> dict[str, Any]:
    return match.to_dict() | {"thumbnail": f"/v1/items/{quote(match.item.item_id, safe='')}/thumbnail"}


def _answer_fashion_error(request: Request, error: Exception) -> Response:
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    return _answer({"detail": str(error)}, status)


def _answer_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return _answer({"detail": f"{first['loc'][-1]}: {first['msg']}"}, 422)


def _answer_crash(request: Request, error: Exception) -> Response:
    # Outside of the middleware, so it brings the headers itself; the traceback goes to the server's log only.
    return _answer({"detail": "the server failed at this request; its log says why"}, 500, _HEADERS)


_UPLOAD = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["image"],
                "properties": {
                    "image": {"type": "string", "format": "binary", "description": "The picture's file."},
                    **SearchOptions.model_json_schema()["properties"],
                },
            }
        }
    },
}

_EXAMPLE: dict[str, Any] = {
    "matches": [
        _show_match(
            Match(
                1,
                0.91,
                {"shape": 0.95, "color": 0.9, "pattern": 0.88},
                Item(
                    "dresses/17.jpg",
                    image="dresses/17.jpg",
                    title="Red midi dress",
                    price=49.9,
                    currency="EUR",
                    columns={"season": "summer"},
                    attributes={"category": [Label("dress", 0.97)]},
                ),
            )
        )
    ]
}
