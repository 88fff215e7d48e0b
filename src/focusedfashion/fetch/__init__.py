"""URL -> bytes, politely: limits on time, size and numbers, retries, validators, and no address that is not public.

No proxy of the environment is used. A proxy looks names up by itself, so nothing here could say whether an address is
one of the own network, and a URL in a feed could reach into it.
"""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, TypeVar

from focusedfashion import settings
from focusedfashion.errors import FetchError
from focusedfashion.fetch.ahead import Ahead, give_up
from focusedfashion.fetch.exchange import Answer, Request, exchange
from focusedfashion.fetch.hosts import Hosts, plan_retry
from focusedfashion.fetch.places import parse_url
from focusedfashion.fetch.trouble import Trouble
from focusedfashion.fetch.wire import Attempt, Pools, Watch

__all__ = ["Answer", "Fetcher"]

T = TypeVar("T")


class Fetcher:
    """Fetches URLs; remembers for as long as it lives which hosts are in trouble, and keeps connections open.

    Thread-safe. `allow_private` lets it connect to this machine and to private networks. Use it in a `with`, or call
    `close` to give the connections back.
    """

    def __init__(self, *, allow_private: bool = False) -> None:
        self._allow_private = allow_private
        self._pools = Pools()
        self._hosts = Hosts()
        self._watch = Watch()

    def __enter__(self) -> Fetcher:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes idle connections."""
        self._pools.close()

    def fetch(self, url: str, *, validator: str = "", most: int = settings.MAX_PICTURE_BYTES, kind: str = "") -> Answer:
        """One URL, tried again where that makes sense, in the caller's thread.

        `validator` is that of an earlier answer: if it still holds, `data` is None. `most` is the limit in bytes, also
        of what gzip unpacks to. `kind` "image" refuses pages and other text. Raises FetchError in one line.
        """
        return self._try_often(Request(parse_url(url), validator, most, kind), self._read)

    def fetch_ahead(
        self, entries: Iterable[T], ask: Callable[[T], tuple[str, str] | None]
    ) -> Generator[tuple[T, Answer | FetchError | None]]:
        """The pictures of a source, many at once: each entry with its answer or error, in the order they get ready.

        `ask` gives an entry's URL and validator, or None for one that needs no fetching and comes back with None at
        once. `entries` is read in the caller's thread, as far ahead as the settings say, and may be without end.
        Closing the iterator, or Ctrl-C in it, cuts off what is under way. An exception of `entries` or `ask` goes
        through.
        """
        return Ahead[T](self._read, self._hosts, self._watch, self._allow_private).run(entries, ask)

    def download(self, url: str, path: Path, *, most: int) -> Answer:
        """One URL into a file, which is whole or as it was before; `data` of the answer is None.

        For feeds of gigabytes: memory does not grow with them, and time may, at a rate that is still worth waiting
        for. Raises FetchError in one line.
        """
        part = path.with_name(f"{path.name}.part")
        try:
            with part.open("wb") as file:
                answer = self._try_often(Request(parse_url(url), most=most), lambda *one: self._write(file, *one))
            part.replace(path)
        except OSError as error:
            raise FetchError(f"{path}: cannot be written ({error.strerror or error})") from None
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
        return answer

    def _try_often(self, request: Request, once: Callable[[Request, Attempt], Answer]) -> Answer:
        host = self._hosts.get(request.place.site)
        while True:
            time.sleep(max(0.0, host.wait(time.monotonic())))
            host.begin(time.monotonic())
            attempt = Attempt(self._allow_private, request.most)
            self._watch.add(attempt)
            try:
                return once(request, attempt)
            except Trouble as trouble:
                request.tries += 1
                wait = plan_retry(trouble, request.tries)
                if wait is None:
                    raise give_up(request, trouble) from None
            finally:
                self._watch.remove(attempt)
            time.sleep(wait)

    def _read(self, request: Request, attempt: Attempt) -> Answer:
        buffer = io.BytesIO()
        answer = exchange(request, attempt, self._pools, self._hosts, buffer.write)
        if answer.data is None:
            return answer
        return Answer(buffer.getvalue(), answer.validator, answer.url, answer.type, answer.charset)

    def _write(self, file: BinaryIO, request: Request, attempt: Attempt) -> Answer:
        def take(piece: bytes) -> None:
            try:
                file.write(piece)
            except OSError as error:  # not to be taken for one of the connection
                raise FetchError(f"{file.name}: cannot be written ({error.strerror or error})") from None
            attempt.deadline += len(piece) / settings.DOWNLOAD_RATE

        file.seek(0)
        file.truncate()
        return replace(exchange(request, attempt, self._pools, self._hosts, take), data=None)
