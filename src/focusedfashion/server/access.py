"""Who may do what: on this machine everybody everything, from elsewhere by a key, at a pace.

A request is of this machine only where it comes from it, names it (a web page elsewhere can let its own name lead here)
and was not passed on by a proxy, which has visitors of its own.
"""

from __future__ import annotations

import ipaddress
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection
from urllib.parse import urlsplit

from fastapi import HTTPException, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.types import ASGIApp, Receive, Scope, Send

from focusedfashion import settings
from focusedfashion.server.keys import Keys, hash_token

COOKIE = "focusedfashion_key"

_PASSED_ON = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


class Access:
    """The rules of one server. `link` is the token of the link that it prints, which may read, if it prints one.

    With `is_open` everybody may read. `origins` are other sites whose pages may ask.
    """

    def __init__(
        self, keys: Keys, *, link: str | None = None, is_open: bool = False, origins: Collection[str] = ()
    ) -> None:
        self._keys = keys
        self._link = hash_token(link) if link else None
        self._is_open = is_open
        self._origins = frozenset(origins)
        self._pace = Pace(settings.REQUESTS_PER_SECOND, settings.REQUESTS_AT_ONCE)

    def guard(self, write: bool) -> Callable[[Request], Awaitable[None]]:
        """What a route depends on: raises HTTPException 401, 403 or 429."""

        async def check(request: Request) -> None:
            if self._is_local(request):
                return
            who = await self._recognize(request, write)
            if (wait := self._pace.take(who)) > 0:
                seconds = str(int(wait) + 1)
                raise HTTPException(429, f"too many requests: try again in {seconds} s", {"Retry-After": seconds})

        return check

    async def admits(self, token: str) -> bool:
        """Whether the token is the link's, or a key."""
        return await self._find(token) is not None

    async def _recognize(self, request: Request, write: bool) -> str:
        token = _read_token(request)
        if token:
            found = await self._find(token)
            if found is None:
                raise _unknown("this key is not known here, or was taken back")
            name, may_write = found
            if write and not may_write:
                raise HTTPException(403, "this key may only read: ask for one that was made with --write")
            return name
        if self._is_open and not write:
            return f"address {request.client.host if request.client else ''}"
        raise _unknown(
            "a key is needed: send it as `Authorization: Bearer KEY`, or open the link that the server printed"
        )

    async def _find(self, token: str) -> tuple[str, bool] | None:
        """(who it is, whether they may write)."""
        if self._link is not None and secrets.compare_digest(self._link, hash_token(token)):
            return "link", False
        # The table is read in a thread; most often it need not be.
        key = await run_in_threadpool(self._keys.find, token) if self._keys.is_stale() else self._keys.find(token)
        return (f"key {key.name}", key.write) if key else None

    def _is_local(self, request: Request) -> bool:
        if request.client is None or not is_loopback(request.client.host):
            return False
        headers = request.headers
        if any(name in headers for name in _PASSED_ON):
            return False
        host = headers.get("host", "")
        if not is_loopback(urlsplit(f"//{host}").hostname or ""):
            return False
        origin = headers.get("origin")
        return origin is None or urlsplit(origin).netloc == host or origin in self._origins


class OpenLinks:
    """Takes the link that the server prints, `/?key=…`: the key moves into a cookie, and out of the address, which
    people copy. A key that is not known leaves no cookie."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app = app
        self.access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = ""
        if scope["type"] == "http" and scope["path"] == "/" and scope["method"] == "GET":
            key = QueryParams(scope["query_string"]).get("key", "")
        if not key:
            await self.app(scope, receive, send)
            return
        response = Response(status_code=303, headers={"Location": "/", "Cache-Control": "no-store"})
        if await self.access.admits(key):
            is_safe = scope["scheme"] == "https"
            response.set_cookie(COOKIE, key, settings.COOKIE_SECONDS, httponly=True, samesite="strict", secure=is_safe)
        await response(scope, receive, send)


class Pace:
    """A bucket of tokens for each visitor: `burst` requests at once, then `rate` a second."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and when they were counted

    def take(self, who: str) -> float:
        """Takes a token -> 0, or the seconds until there is one again."""
        now = time.monotonic()
        tokens, then = self._buckets.pop(who, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - then) * self._rate)
        wait = 0.0 if tokens >= 1 else (1 - tokens) / self._rate
        self._buckets[who] = (tokens - 1 if tokens >= 1 else tokens, now)
        if len(self._buckets) > settings.MAX_VISITORS:
            self._buckets.popitem(last=False)
        return wait


def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine's own."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _read_token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return request.cookies.get(COOKIE, "")


def _unknown(detail: str) -> HTTPException:
    return HTTPException(401, detail, {"WWW-Authenticate": "Bearer"})
