"""How much the server takes on at once: so many requests work, some wait, one more is sent away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import ParamSpec, TypeVar

from fastapi import HTTPException
from starlette.concurrency import run_in_threadpool

from focusedfashion import settings

P = ParamSpec("P")
T = TypeVar("T")


class Gate:
    """Lets as many requests work as there are cores, and lets some wait; one more is told so at once."""

    def __init__(self, cores: int) -> None:
        self._cores = asyncio.Semaphore(cores)
        self._most = cores + settings.MAX_WAITING
        self.inside = 0  # requests that work or wait
        self.held = 0  # bytes of bodies that have come and are not yet answered

    async def work(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The function's result, in its turn. Raises HTTPException 503 where too many wait already."""
        if self.inside >= self._most:
            raise _busy()
        self.inside += 1
        try:
            # Decoding, encoding and the table block; in a thread they leave the event loop free.
            async with self._cores:
                return await run_in_threadpool(function, *args, **kwargs)
        finally:
            self.inside -= 1

    def check(self) -> None:
        """Raises HTTPException 503 where too many wait already: asked before a body is read."""
        if self.inside >= self._most:
            raise _busy()

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[Callable[[int], None]]:
        """Counts what comes in: the function takes the size of each piece, and raises HTTPException 503 where all
        bodies together would fill the memory."""
        size = 0

        def add(count: int) -> None:
            nonlocal size
            if self.held + count > settings.MAX_BODIES_BYTES:
                raise _busy()
            size += count
            self.held += count

        self.check()
        try:
            yield add
        finally:
            self.held -= size


def _busy() -> HTTPException:
    return HTTPException(503, "too many requests wait here: try again in a moment", {"Retry-After": "1"})
