"""The HTTP face of a catalog: every route parses, calls the catalog and gives its answer as JSON.

Nothing that a client names is fetched, and no query picture is written to the disk.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Collection, Iterator
from typing import TYPE_CHECKING, Any

import uvicorn
from fastapi import Depends, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from focusedfashion import settings
from focusedfashion.errors import FashionError
from focusedfashion.server.access import Access, OpenLinks, is_loopback
from focusedfashion.server.changing import make_change_routes
from focusedfashion.server.context import Context
from focusedfashion.server.feedback import Feedback
from focusedfashion.server.figures import Figures
from focusedfashion.server.gate import Gate
from focusedfashion.server.held import HeldPictures
from focusedfashion.server.items import make_item_routes
from focusedfashion.server.keys import Keys
from focusedfashion.server.models import BatchEntry, FeedbackBody, ImageBody, ItemBody, SearchBody, SearchQuery
from focusedfashion.server.pages import add_pages
from focusedfashion.server.problems import Problem, add_handlers, describe_answers, get_request_id, make_problem
from focusedfashion.server.searching import make_search_routes
from focusedfashion.server.state import make_feedback_routes, make_state_routes

if TYPE_CHECKING:
    from focusedfashion.catalog import Catalog

_log = logging.getLogger(__name__)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_HEADERS = {
    # blob: is the query's picture, which the page shows from the browser's own memory.
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # the page and the answers change with the installed version and the catalog
}


def make_app(catalog: Catalog, access: Access | None = None, origins: Collection[str] = ()) -> FastAPI:
    """The web application that searches this catalog. Nothing is opened before the first request needs it.

    `access` says who may do what; without it whoever reaches the app may do everything. Pages of the `origins` (as
    https://shop.example) may ask too.
    """
    feedback = Feedback(catalog.path)

    @contextlib.asynccontextmanager
    async def live(app: FastAPI) -> AsyncIterator[None]:
        yield
        feedback.close()

    app = FastAPI(
        lifespan=live,
        title="FocusedFashion",
        summary="Find clothes by looking at them.",
        description="A query's picture is held in memory while it is searched, and never written to a disk.",
        # FastAPI's own pages load scripts from another host.
        docs_url=None,
        redoc_url=None,
    )
    context = Context(catalog, Gate(os.cpu_count() or 1), HeldPictures(catalog))
    figures = Figures(context)
    app.add_middleware(GZipMiddleware, minimum_size=1_000, compresslevel=4)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(origins),
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "X-Request-Id"],
        expose_headers=["X-Request-Id", "Retry-After", "ETag"],
        max_age=settings.PREFLIGHT_SECONDS,
    )
    if access:
        app.add_middleware(OpenLinks, access=access)
    app.add_middleware(_Guard, figures=figures)
    add_handlers(app)
    app.add_exception_handler(Exception, _answer_crash)
    reading, writing = ([Depends(access.guard(write))] if access else [] for write in (False, True))
    for routes in (make_search_routes(context), make_item_routes(context), make_feedback_routes(context, feedback)):
        app.include_router(routes, dependencies=reading, responses=describe_answers({}, 401, 429))
    app.include_router(make_change_routes(context), dependencies=writing)
    app.include_router(make_state_routes(context, figures, reading))
    add_pages(app)
    app.openapi = lambda: _describe(app)  # type: ignore[method-assign]
    return app


def _describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the models of bodies that are read by hand."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, summary=app.summary, description=app.description, routes=app.routes
        )
        models = (Problem, SearchQuery, SearchBody, ImageBody, ItemBody, BatchEntry, FeedbackBody)
        more = models_json_schema(
            [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
        )
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas |= {name: schema for name, schema in more[1]["$defs"].items() if name not in schemas}
        for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own, which is not how errors look here
            schemas.pop(name, None)
        app.openapi_schema = document
    return app.openapi_schema


def serve(
    catalog: Catalog,
    host: str = "127.0.0.1",
    port: int = settings.PORT,
    *,
    is_open: bool = False,
    origins: Collection[str] = (),
) -> None:
    """Serve the catalog until SIGTERM or Ctrl-C; port 0 takes a free one. Raises FashionError where it cannot start.

    At another address than this machine's own, a link with a key for reading is printed; `is_open` lets everybody
    read instead. Pages of the `origins` (as https://shop.example) may ask too.
    """
    # Asked first: that there is no catalog, or no encoder for it, is better said now than to the first visitor.
    what = f"{catalog.path} ({catalog.info().items:,} items, encoder {catalog.encoder.name})"
    listener = _listen(host, port)
    link = None if is_open or is_loopback(host) else secrets.token_urlsafe(24)
    access = Access(Keys(catalog.path), link=link, is_open=is_open, origins=origins)
    _allow_connections()
    sys.setswitchinterval(settings.SWITCH_SECONDS)
    server = uvicorn.Server(
        uvicorn.Config(
            make_app(catalog, access, origins),
            log_level="warning",
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=settings.SHUTDOWN_SECONDS,
        )
    )
    number = listener.getsockname()[1]
    with _end_on_signals(server):
        print(f"serving {what} at http://{_bracket(host)}:{number} - Ctrl-C ends it", flush=True)
        if link:
            print(f"open http://{_bracket(_find_address(host))}:{number}/?key={link}", flush=True)
            print(
                "who has this link may search until the server ends; `focusedfashion keys` makes lasting ones",
                flush=True,
            )
        server.run(sockets=[listener])


def _bracket(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _find_address(host: str) -> str:
    """The address under which others reach a server that listens to all of them."""
    if host not in ("0.0.0.0", "::"):
        return host
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing: the system only chooses the way
        return str(probe.getsockname()[0])
    return socket.gethostname()


def _allow_connections() -> None:
    """Each connection is a file; a thousand that do nothing must not keep others out."""
    with contextlib.suppress(ImportError, OSError, ValueError):  # Windows has no such limit
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = settings.MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, settings.MAX_OPEN_FILES)
        if soft != resource.RLIM_INFINITY and soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


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
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        # Its connections inherit this. asyncio sets it for sockets of its own only, and without it the two parts of
        # an answer wait for each other for 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FashionError(f"cannot serve at {host}:{port} ({reason}): choose another port with --port") from None


class _Guard:
    """The outermost layer: gives every request its id, and every answer the headers that guard it."""

    def __init__(self, app: ASGIApp, figures: Figures) -> None:
        self.app = app
        self.figures = figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        scope["focusedfashion.request_id"] = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        status, start = 500, time.monotonic()

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers["X-Request-Id"] = scope["focusedfashion.request_id"]
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self.figures.count(scope["method"], route, status, time.monotonic() - start)


def _answer_crash(request: Request, error: Exception) -> Response:
    # Outside of the middleware, so it brings the headers itself; the traceback goes to the server's log only.
    request_id = get_request_id(request)
    _log.error("request %s failed", request_id)
    headers = _HEADERS | {"X-Request-Id": request_id}
    return make_problem(request_id, 500, "the server failed at this request; its log says why", headers=headers)
