"""The page's own routes: its documents, the service worker and the manifest. Plain files; nothing is built."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI
from starlette.responses import FileResponse, RedirectResponse
from starlette.staticfiles import StaticFiles

_PAGE = Path(__file__).parent / "page"

# A service worker may only act for what lies beside or below its own address: both stand at the root.
_ROUTES = {
    "/": "index.html",
    "/overview": "overview.html",
    "/docs": "docs.html",
    "/sw.js": "sw.js",
    "/manifest.webmanifest": "manifest.webmanifest",
}


def add_pages(app: FastAPI) -> None:
    """Serves the page with this app: the documents at the root, everything else of it below `/page`."""
    for route, name in _ROUTES.items():
        app.add_api_route(route, _send_page(name), include_in_schema=False)
    app.add_api_route("/share", _refuse_share, methods=["POST"], include_in_schema=False)
    app.mount("/page", StaticFiles(directory=_PAGE))


def _send_page(name: str) -> Callable[[], FileResponse]:
    media_type = "application/manifest+json" if name.endswith(".webmanifest") else None
    return lambda: FileResponse(_PAGE / name, media_type=media_type)


def _refuse_share() -> RedirectResponse:
    # Shared pictures are the service worker's; a browser that has lost it gets the page, to choose the picture there.
    return RedirectResponse("/", 303)
