"""A local web server that behaves as badly as it is told to: real sockets, one thread, any number of connections.

    with serve_web({"/a.jpg": Reply(b"..."), "/busy": [Reply(status=503), Reply(b"...")]}) as web:
        fetcher.fetch(f"{web.address}/a.jpg")
        assert web.count("/a.jpg") == 1

`python tests/web.py COUNT SHARE KIND,KIND LATENCY SIZE` is a process that serves the pictures of `make_pictures` until
its input ends: /clean/... those that must arrive, and /faulty-1/..., /faulty-2/... all of them, anew each time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import ssl
import struct
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from http import HTTPStatus


@dataclass(frozen=True)
class Asked:
    """A request as it came: the path with its query, and the headers by lower-case name."""

    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Reply:
    """What a path answers. Content-Length is the body's, unless the headers give one or `chunked` replaces it."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    wait: float = 0.0  # seconds before anything is sent
    drip: float = 0.0  # seconds between any two bytes, the head's too
    pace: float = 0.0  # seconds after each 512 KB of the body
    cut: int | None = None  # bytes of the body after which the connection is closed
    stall: int | None = None  # bytes of the body after which nothing more comes; -1: not even a head
    chunked: bool = False
    open_ended: bool = False  # neither a length nor chunks: the body ends with the connection
    raw: bytes | None = None  # exactly this is sent instead of all that, and the connection closed (unless `forever`)
    etag: str = ""  # a request that has it is answered 304
    forever: bool = False  # the body again and again, in chunks, or bare after `raw`


Turns = Reply | Sequence[Reply]  # one, or one after the other (the last stays)
Replies = Turns | Callable[[Asked], Turns]


NOT_FOUND = Reply(b"there is no such page", 404, {"Content-Type": "text/plain"})


class Web:
    """A running server; what it counts may be read from any thread."""

    def __init__(self, replies: Mapping[str, Replies] | Callable[[Asked], Turns]) -> None:
        self.replies = replies
        self.address = ""
        self.port = 0
        self.asked: list[Asked] = []
        self.connections = 0  # accepted, altogether
        self.under_way = 0  # requests
        self.most_under_way = 0
        self._turns: dict[str, int] = {}
        self._end = asyncio.Event()

    def count(self, path: str) -> int:
        """How often a path was asked for."""
        return self._turns.get(path, 0)

    def choose(self, asked: Asked) -> Reply:
        """The reply of a path whose turn it is; 404 for what there is not."""
        turn = self._turns.get(asked.path, 0)
        self._turns[asked.path] = turn + 1
        found = self.replies if callable(self.replies) else self.replies.get(asked.path, NOT_FOUND)
        if callable(found):
            found = found(asked)
        return found if isinstance(found, Reply) else found[min(turn, len(found) - 1)]

    async def run(self, tls: ssl.SSLContext | None, ready: Callable[[], object]) -> None:
        """Serves until `_end`, then drops whatever is open."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            try:
                while await self._answer(reader, writer):
                    pass
            except (OSError, EOFError, asyncio.CancelledError, asyncio.LimitOverrunError):
                pass
            finally:
                writer.close()
                if self._end.is_set():  # nobody is left to take what has not been sent
                    writer.transport.abort()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls, backlog=512)
        self.port = server.sockets[0].getsockname()[1]
        self.address = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        ready()
        await self._end.wait()
        server.close()
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.sleep(0)  # connections that have just come begin, so that their end closes them
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0.01)  # for the transports to close

    def stop(self) -> None:
        """From the loop's own thread."""
        self._end.set()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; whether the connection goes on."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in head[1:] if line)
        asked = Asked(head[0].split(" ")[1], {name.strip().lower(): value.strip() for name, _, value in pairs})
        self.asked.append(asked)
        async with self._counted():
            reply = self.choose(asked)
            if reply.wait:
                await _pause(reader, reply.wait)
            return await _send(reader, writer, reply, asked)

    @asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            yield
        finally:
            self.under_way -= 1


async def _pause(reader: asyncio.StreamReader, seconds: float) -> None:
    """Does nothing for a while; EOFError when the client hangs up meanwhile."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(reader.read(1), seconds)
        raise EOFError


async def _send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, reply: Reply, asked: Asked) -> bool:
    if reply.raw is not None:
        writer.write(reply.raw)
        while reply.forever:
            writer.write(reply.body)
            await writer.drain()
        await writer.drain()
        return False
    if reply.stall == -1:
        await reader.read()  # until the client has had enough
        return False
    unchanged = bool(reply.etag) and asked.headers.get("if-none-match") == reply.etag
    head, body = _make_head(reply, unchanged), b"" if unchanged else reply.body
    if reply.forever:
        writer.write(head)
        while True:
            writer.write(b"%x\r\n%b\r\n" % (len(body), body))
            await writer.drain()
    if reply.chunked and not unchanged:
        half = len(body) // 2 or 1
        pieces = [piece for piece in (body[:half], body[half:]) if piece]
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    if reply.drip:
        for byte in head + body:
            writer.write(bytes([byte]))
            await _pause(reader, reply.drip)
        return True
    if reply.pace:
        writer.write(head)
        for start in range(0, len(body), 2**19):
            writer.write(body[start : start + 2**19])
            await writer.drain()
            await _pause(reader, reply.pace)
        return True
    end = reply.cut if reply.cut is not None else reply.stall
    writer.write(head + body[:end])
    await writer.drain()
    if reply.stall is not None:
        await reader.read()
        return False
    return reply.cut is None and not reply.open_ended


def _make_head(reply: Reply, unchanged: bool) -> bytes:
    status = 304 if unchanged else reply.status
    phrase = next((known.phrase for known in HTTPStatus if known == status), "Odd")
    headers = {"ETag": reply.etag} if reply.etag else {}
    if reply.chunked or reply.forever:
        headers["Transfer-Encoding"] = "chunked"
    elif not reply.open_ended and not unchanged:
        headers["Content-Length"] = str(len(reply.body))
    headers |= reply.headers
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


@contextmanager
def serve_web(
    replies: Mapping[str, Replies] | Callable[[Asked], Turns] | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[Web]:
    """A server at a free port of 127.0.0.1; `replies` may be changed while it runs."""
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    made: list[Web] = []

    async def run() -> None:
        web = Web({} if replies is None else replies)
        made.append(web)
        await web.run(tls, ready.set)

    def run_loop() -> None:
        loop.set_exception_handler(lambda loop, context: None)  # a TLS client that hangs up is what is tested
        loop.run_until_complete(run())
        loop.close()

    thread = threading.Thread(target=run_loop, name="web", daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield made[0]
    finally:
        loop.call_soon_threadsafe(made[0].stop)
        thread.join(10)


# Pictures, good and faulty

JPEG = {"Content-Type": "image/jpeg"}

# How a picture comes in the end, mixed in among those that just come.
LATE_GOOD = ("busy", "unavailable", "cut once", "slow", "octet-stream", "text/plain", "moved", "chunked", "open-ended")
BAD = (
    "missing", "gone", "forbidden", "always unavailable", "always cut", "broken chunks", "page", "page as picture",
    "empty", "too large", "undeclared", "endless", "loop", "no HTTP", "bomb",
)  # fmt: skip
STALLED = ("stalled", "stalled within", "dripping")
LIMIT = 2**20  # bytes; what the pictures that are too large exceed


def draw_bytes(number: int, size: int) -> bytes:
    """Something that begins like a JPEG, with its number in it: fetching does not decode."""
    return b"\xff\xd8\xff\xe0" + struct.pack(">I", number) + random.Random(number).randbytes(size)


def make_pictures(
    count: int,
    *,
    faulty: float = 0.0,
    kinds: Sequence[str] = (),
    size: int = 12_000,
    retry_after: float = 1,
    latency: float = 0,
) -> tuple[dict[str, Replies], dict[str, bytes], dict[str, str]]:
    """`count` pictures, of which a share is faulty in turn by each of the kinds: (replies, path -> the picture that
    must arrive, path -> kind of those that must not)."""
    chance = random.Random(0)
    replies: dict[str, Replies] = {}
    good: dict[str, bytes] = {}
    bad: dict[str, str] = {}
    turn = 0
    for number in range(count):
        path, body = f"/{number}.jpg", draw_bytes(number, size // 2 + number % size)
        kind = ""
        if kinds and chance.random() < faulty:
            kind, turn = kinds[turn % len(kinds)], turn + 1
        made = _make_reply(path, kind, body, retry_after)
        if kind == "moved":
            replies[f"/moved{path}"] = Reply(body, headers=JPEG)
        turns = [made] if isinstance(made, Reply) else made
        replies[path] = [replace(reply, wait=reply.wait or latency) for reply in turns]
        if kind in BAD or kind in STALLED:
            bad[path] = kind
        else:
            good[path] = body
    return replies, good, bad


def _make_reply(path: str, kind: str, body: bytes, retry_after: float) -> Turns:
    fine = Reply(body, headers=JPEG)
    page = b"<!DOCTYPE html><html><body>Sorry, our shop is closed.</body></html>"
    match kind:
        case "busy":
            return [Reply(b"slow down", 429, {"Retry-After": f"{retry_after:g}"}), fine]
        case "unavailable":
            return [Reply(page, 503, {"Content-Type": "text/html"}), fine]
        case "cut once":
            return [Reply(body, headers=JPEG, cut=len(body) // 2), fine]
        case "slow":
            return Reply(body, headers=JPEG, wait=1.5)
        case "octet-stream" | "text/plain":
            return Reply(body, headers={"Content-Type": kind if "/" in kind else f"application/{kind}"})
        case "moved":
            return Reply(b"", 302, {"Location": f"/moved{path}"})
        case "chunked":
            return Reply(body, headers=JPEG, chunked=True)
        case "open-ended":
            return Reply(body, headers=JPEG, open_ended=True)
        case "missing" | "gone" | "forbidden":
            return Reply(page, {"missing": 404, "gone": 410, "forbidden": 403}[kind], {"Content-Type": "text/html"})
        case "always unavailable":
            return Reply(b"", 503, {"Retry-After": f"{retry_after:g}"})
        case "always cut":
            return Reply(body, headers=JPEG, cut=100)
        case "broken chunks":
            return Reply(
                raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n\xff\xd8\xff\xe0\x00\r\nzz\r\n"
            )
        case "page":
            return Reply(page, headers={"Content-Type": "text/html; charset=utf-8"})
        case "page as picture":
            return Reply(page, headers=JPEG)
        case "empty":
            return Reply(b"", headers=JPEG)
        case "too large":
            return Reply(body, headers={**JPEG, "Content-Length": str(10 * LIMIT)}, stall=len(body))
        case "undeclared":
            return Reply(body + bytes(2 * LIMIT), headers=JPEG, chunked=True)
        case "endless":
            return Reply(body, headers=JPEG, forever=True)
        case "loop":
            return Reply(b"", 301, {"Location": path})
        case "no HTTP":
            return Reply(raw=b"220 mail.example ESMTP\r\n")
        case "bomb":
            return Reply(_make_bomb(), headers={**JPEG, "Content-Encoding": "gzip"})
        case "stalled":
            return Reply(body, stall=-1)
        case "stalled within":
            return Reply(body, headers=JPEG, stall=len(body) // 2)
        case "dripping":
            return Reply(body, headers=JPEG, drip=0.1)
    return fine


def _make_bomb() -> bytes:
    """gzip of a picture's first bytes and 50 MB of nothing, in 50 KB."""
    import gzip

    return gzip.compress(b"\xff\xd8\xff\xe0" + bytes(50 * 2**20), 1)


def http_date(seconds_from_now: float) -> str:
    """A date as Retry-After gives it."""
    import time

    return formatdate(time.time() + seconds_from_now, usegmt=True)


def main() -> None:
    """A process of its own: prints one line of JSON, the address and the paths, good and bad, and serves."""
    count, share, kinds, latency, size = sys.argv[1:]
    replies, good, bad = make_pictures(
        int(count), faulty=float(share), kinds=kinds.split(","), latency=float(latency), size=int(size)
    )

    def choose(asked: Asked) -> Turns:
        prefix, _, name = asked.path[1:].partition("/")
        found = replies.get(asked.path if prefix == "moved" else f"/{name}", NOT_FOUND)
        assert not callable(found)
        if prefix == "clean":
            turns = [found] if isinstance(found, Reply) else found
            return Reply(good[f"/{name}"], headers=JPEG, wait=turns[-1].wait)
        return found

    with serve_web(choose) as web:
        print(json.dumps({"address": web.address, "good": list(good), "bad": bad}), flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            sys.stdin.read()


if __name__ == "__main__":
    main()
