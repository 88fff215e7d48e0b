"""Connections that go only to checked addresses, and that another thread can cut off.

A time limit on each read does not end a server that sends a byte now and then, and a limit on a whole body does not
hold for its head. So each try has a deadline, and a watch shuts its socket down when that has passed: whatever reads
there comes back at once. Ctrl-C ends downloads in the same way. (A name that is looked up and a TLS handshake cannot
be cut off; the resolver and the connect timeout end those.)
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from focusedfashion import settings
from focusedfashion.fetch.places import Place, resolve
from focusedfashion.fetch.trouble import Trouble

_HEAD_BYTES = 2**20  # that all heads of one try may have together, besides its body
_POOLS = 32  # sites whose idle connections are kept: 32 times 16 stay below the usual limit of 1,024 open files
_TICK = 0.1  # seconds between two looks of the watch

# The try that this thread is at: urllib3 takes no argument through to its connections.
_here = threading.local()


class Attempt:
    """One try of a URL under way: what it may take, and the socket that it sits on. `with` it around the requests."""

    def __init__(self, allow_private: bool, most: int) -> None:
        self.allow_private = allow_private
        self.started = time.monotonic()
        self.deadline = self.started + settings.FETCH_SECONDS
        self.ended = ""  # why it was cut off
        self.dismissed = False  # it was cut off for no fault of the server
        self.grow: Callable[[int], None] | None = None  # asked before more than the first piece of a body is read
        self._bytes = most + _HEAD_BYTES
        self._socket: _Counting | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Attempt:
        _here.attempt = self
        return self

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._socket = None
        _here.attempt = None

    def hold(self, held: _Counting) -> None:
        """From now on this is the socket of the try."""
        held.left = self._bytes
        with self._lock:
            self._socket = held
            if self.ended:
                _shut(held)

    def dismiss(self, reason: str) -> None:
        """Cuts the try off from another thread, for no fault of the server."""
        self.dismissed = True
        self._end(reason)

    def tick(self, now: float) -> None:
        """Cuts the try off when its time has run out."""
        if now > self.deadline and not self.ended:
            self._end(f"it was not done after {now - self.started:.0f} seconds")

    def check(self, reached: bool = True) -> None:
        """Raises Trouble if the try was cut off."""
        if self.ended:
            raise Trouble(self.ended, again=True, late=True, reached=reached)

    def _end(self, reason: str) -> None:
        with self._lock:
            self.ended = self.ended or reason
            if self._socket is not None:
                _shut(self._socket)


class Watched(Protocol):
    """What the watch looks after."""

    def tick(self, now: float) -> None:
        """Called ten times a second, in the watch's thread."""


class Watch:
    """One thread that ticks while there is something to look after."""

    def __init__(self) -> None:
        self._watched: set[Watched] = set()
        self._changed = threading.Condition()
        self._running = False

    def add(self, watched: Watched) -> None:
        with self._changed:
            self._watched.add(watched)
            if self._running:
                self._changed.notify()
            else:
                self._running = True
                threading.Thread(target=self._run, name="focusedfashion-watch", daemon=True).start()

    def remove(self, watched: Watched) -> None:
        with self._changed:
            self._watched.discard(watched)

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._watched and not self._changed.wait(timeout=1.0):
                    self._running = False  # nothing has come for a while
                    return
                watched = list(self._watched)
            now = time.monotonic()
            for one in watched:
                one.tick(now)
            time.sleep(_TICK)


class _Counting(socket.socket):
    """A socket that ends when more comes in than its try may take: lines without end, trailers, broken chunks."""

    left = 0  # bytes

    def recv_into(self, *arguments: Any) -> int:
        count = super().recv_into(*arguments)
        self.left -= count
        if self.left < 0:
            raise Trouble("the server sends more than it should")
        return count


class _CountingTls(_Counting, ssl.SSLSocket):
    """The same over TLS: counts what has been decrypted."""


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _connect(self._dns_host, self.port)

    def request(self, *arguments: Any, **options: Any) -> None:
        _hold(self.sock)
        super().request(*arguments, **options)


class _TlsConnection(HTTPSConnection):
    # The name is looked up and connected to here, and verified by urllib3 afterwards: a certificate is for the name.
    def _new_conn(self) -> socket.socket:
        return _connect(self._dns_host, self.port)

    def request(self, *arguments: Any, **options: Any) -> None:
        _hold(self.sock)
        super().request(*arguments, **options)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class Pools:
    """The open connections by site, which go only to checked addresses; those of the sites used last are kept.

    They go to no proxy either, which would look names up by itself.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pools: OrderedDict[tuple[str, str, int], HTTPConnectionPool] = OrderedDict()
        self._tls: ssl.SSLContext | None = None  # a tenth of a second to make, for all the certificates

    def get(self, place: Place) -> HTTPConnectionPool:
        """The pool of a URL's site."""
        key = (place.scheme, place.host, place.port)
        with self._lock:
            pool = self._pools.get(key)
            if pool is None:
                pool = self._pools[key] = self._make(place)
                if len(self._pools) > _POOLS:
                    self._pools.popitem(last=False)  # its connections close when nobody uses them any more
            else:
                self._pools.move_to_end(key)
            return pool

    def close(self) -> None:
        """Closes the connections that nobody uses."""
        with self._lock:
            while self._pools:
                self._pools.popitem()[1].close()

    def _make(self, place: Place) -> HTTPConnectionPool:
        timeout = urllib3.Timeout(connect=settings.CONNECT_SECONDS, read=settings.READ_SECONDS)
        size = settings.HOST_CONNECTIONS
        if place.scheme == "http":
            return _Pool(place.host, place.port, timeout=timeout, maxsize=size)
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.sslsocket_class = _CountingTls
        return _TlsPool(place.host, place.port, timeout=timeout, maxsize=size, ssl_context=self._tls)


def _connect(host: str, port: int) -> socket.socket:
    """A socket connected to the first address that answers. What was checked is what is connected to."""
    attempt: Attempt = _here.attempt
    end = time.monotonic() + settings.CONNECT_SECONDS
    addresses = resolve(host, port, attempt.allow_private)
    last: OSError | None = None
    for place, (family, address) in enumerate(addresses):
        left = (end - time.monotonic()) / (len(addresses) - place)  # so that the last one has its turn too
        if left <= 0 or attempt.ended:
            break
        connection = _Counting(family, socket.SOCK_STREAM)
        try:
            attempt.hold(connection)
            connection.settimeout(left)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.connect(address)
            return connection
        except BaseException as error:
            connection.close()
            if not isinstance(error, OSError):
                raise
            last = error
    attempt.check(reached=False)
    late = last is None or isinstance(last, TimeoutError)
    reason = f"no answer within {settings.CONNECT_SECONDS:g} seconds" if late else getattr(last, "strerror", "") or last
    raise Trouble(f"cannot connect to {host}:{port} ({reason})", again=True, late=late, reached=False)


def _hold(held: socket.socket | None) -> None:
    if isinstance(held, _Counting):
        _here.attempt.hold(held)


def _shut(held: socket.socket) -> None:
    # Not SSLSocket's own shutdown, which takes the TLS object away from the thread that reads from it.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(held, socket.SHUT_RDWR)
