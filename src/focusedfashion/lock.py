"""The writer's turn: of all the processes that want to change a catalog one may; the others wait and say for whom.

In a folder the turn is the lock of a file, which the system lets go of when its holder dies. An object store has no
locks. There the turn is a lease in a small table, `writer.lance`, of which only the configuration is used: Lance
commits a change of it only where nobody has changed it since it was read, so of two who take the lease one fails. Its
holder renews it; one that was not renewed for settings.LEASE_SECONDS is anybody's. Everybody measures that on a clock
of his own, so no two clocks need to agree.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import filelock
import lance
import pyarrow as pa

from focusedfashion import settings
from focusedfashion.errors import CatalogError
from focusedfashion.trouble import LANCE_ERRORS, explain_trouble

_LEASE = "writer"  # the key in the lease's configuration
_BEATS = 5  # renewals while a lease lasts: so many can be lost to a bad line
_POLL_SECONDS = 1.0  # between two looks at the lease of another

_log = logging.getLogger(__name__)


class Turn:
    """What the writer holds while it writes. `interrupted` where the writer before it did not come to its end."""

    interrupted = False

    def check(self) -> None:
        """Raises CatalogError where the turn was lost to another."""


@contextmanager
def lock_file(place: Path, path: str) -> Iterator[Turn]:
    """The turn in a folder; `path` is how messages call the catalog. Raises CatalogError where nothing can be written.

    The file names its holder for those who wait, and is empty when the holder came to its end.
    """
    lock = filelock.FileLock(place)
    turn = Turn()
    try:
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            _log.warning("%s is being written by %s; waiting for it", path, _read_holder(place))
            lock.acquire()
    except OSError as error:
        raise explain_trouble(path, str(error.strerror or error), "written") from None
    try:
        with suppress(OSError):  # who holds it is a courtesy, which Windows does not grant, nor a full disk
            host = f" on {socket.gethostname()} "
            # A network's file system may keep no locks: what another machine has begun is left alone.
            turn.interrupted = host in place.read_text(encoding="utf-8")
            place.write_text(f"{_describe_self()}\n", encoding="utf-8")
        yield turn
        with suppress(OSError):
            os.truncate(place, 0)
    finally:
        lock.release()


def _read_holder(place: Path) -> str:
    for _ in range(10):  # the holder writes its name a moment after it has the lock
        with suppress(OSError):
            if said := place.read_text(encoding="utf-8").strip():
                return said
        time.sleep(0.05)
    return "another process"


def _describe_self() -> str:
    return f"process {os.getpid()} on {socket.gethostname()} since {datetime.now(UTC).isoformat(timespec='seconds')}"


class Lease(Turn):
    """The turn on an object store, as a context manager; `uri` is the lease's table, `path` the catalog's."""

    def __init__(self, uri: str, path: str) -> None:
        self._uri = uri
        self._path = path
        self._who = _describe_self()
        self._token = uuid.uuid4().hex  # two leases of one process are two
        self._beat = 0
        self._renewed = 0.0  # time.monotonic() of the last renewal
        self._taken_by = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="focusedfashion-lease", daemon=True)

    def __enter__(self) -> Lease:
        with self._explained():
            self._table = self._open()
            self._take()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        with suppress(*LANCE_ERRORS, CatalogError):  # a lease that cannot be given back ends by itself
            self.check()
            if self._write(""):
                # Each renewal made a version; those that nobody can be looking at any more go.
                self._table.cleanup_old_versions(older_than=timedelta(minutes=settings.KEEP_VERSIONS))

    def check(self) -> None:
        if self._taken_by:
            raise CatalogError(
                f"{self._path} is being written by {self._taken_by}, which took over after this process had been "
                "silent: give the command again; what was finished is kept"
            )
        if time.monotonic() - self._renewed > settings.LEASE_SECONDS:
            raise CatalogError(
                f"{self._path} has not answered for {settings.LEASE_SECONDS:.0f} seconds: check the network and give "
                "the command again; what was finished is kept"
            )

    def _open(self) -> Any:
        """The lease's table, which is made if need be."""
        nothing = pa.schema([pa.field("nothing", pa.bool_())]).empty_table()
        with suppress(*LANCE_ERRORS):  # it is there, or another has just made it
            lance.write_dataset(nothing, self._uri, storage_options=settings.CONTACT)
        return lance.dataset(self._uri, storage_options=settings.CONTACT)

    def _take(self) -> None:
        told = ""
        seen = (-1, 0.0)  # the version that was found last, and when it was first found
        while True:
            now = time.monotonic()
            self._table.checkout_latest()
            holder = self._read()
            if self._table.version != seen[0]:
                seen = (self._table.version, now)
            if holder.get("token") == self._token:
                return
            if not holder or now - seen[1] > settings.LEASE_SECONDS:
                self.interrupted, self._renewed = bool(holder), now
                self._write(self._describe())
                continue  # and see whose it is
            if told != holder["token"]:
                told = holder["token"]
                _log.warning("%s is being written by %s; waiting for it", self._path, holder["who"])
            time.sleep(min(_POLL_SECONDS, settings.LEASE_SECONDS / _BEATS))

    def _renew(self) -> None:
        while not self._ended.wait(settings.LEASE_SECONDS / _BEATS):
            self._beat += 1
            now = time.monotonic()
            with suppress(*LANCE_ERRORS):  # `check` tells when the last success is too long ago
                if self._write(self._describe()):
                    self._renewed = now
                elif (holder := self._read()).get("token") != self._token:  # else an earlier renewal came late
                    self._taken_by = holder.get("who", "another process")
                    return

    def _describe(self) -> str:
        return json.dumps({"who": self._who, "token": self._token, "beat": self._beat})

    def _read(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._table.config().get(_LEASE) or "{}")
        return found

    def _write(self, said: str) -> bool:
        """Whether the lease says so now; False where it has changed since it was read, and is read again."""
        before = self._table.version
        try:
            self._table.update_config({_LEASE: said})
        except LANCE_ERRORS:
            self._table.checkout_latest()
            if self._table.version == before:
                raise
            return bool(self._table.config().get(_LEASE) == said)  # it may have got there, and the answer was lost
        return True

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except LANCE_ERRORS as error:
            raise explain_trouble(self._path, str(error), "written") from error
