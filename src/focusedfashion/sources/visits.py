"""What the pages of a shop gave, kept in a file: so that a run that was cut off goes on, and a later one asks less.

One SQLite file: a page's row is whole or absent, whenever the process is killed.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from focusedfashion import settings
from focusedfashion.errors import SourceError
from focusedfashion.items import Failure, Item

_FORMAT = 1  # raised when what is read from a page changes: then all pages are asked for again

_TABLES = """
CREATE TABLE IF NOT EXISTS pages (
    url TEXT PRIMARY KEY, final TEXT NOT NULL, validator TEXT NOT NULL, changed TEXT NOT NULL, asked REAL NOT NULL,
    entries TEXT NOT NULL, links TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (shop TEXT PRIMARY KEY, started REAL NOT NULL, finished INTEGER NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Visit:
    """What a page gave: `final` is its address after redirects, `changed` what the sitemap said of it then.

    `asked` is when the server last sent it or vouched for it, in seconds of the epoch.
    """

    final: str
    validator: str
    changed: str
    asked: float
    entries: list[Item | Failure]
    links: list[str]


class Visits:
    """The pages of one shop that were visited, in the file at `path`, or nowhere if that is None."""

    def __init__(self, path: Path | None, shop: str) -> None:
        self._path = path
        self._shop = shop
        self._file: sqlite3.Connection | None = None
        self.since = time.time()  # what was asked for since then is of this run, which another process may have begun
        if path is None:
            return
        with self._guard():
            self._file = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
            self._file.execute("PRAGMA journal_mode = WAL")
            self._file.execute("PRAGMA synchronous = NORMAL")
            if self._file.execute("PRAGMA user_version").fetchone()[0] != _FORMAT:
                self._file.executescript("DROP TABLE IF EXISTS pages; DROP TABLE IF EXISTS runs;")
                self._file.execute(f"PRAGMA user_version = {_FORMAT}")
            self._file.executescript(_TABLES)
            row = self._file.execute("SELECT started, finished FROM runs WHERE shop = ?", (shop,)).fetchone()
            if row and not row[1] and 0 <= self.since - row[0] < settings.RESUME_SECONDS:
                self.since = row[0]
            self._file.execute("REPLACE INTO runs VALUES (?, ?, 0)", (shop, self.since))

    def get(self, url: str) -> Visit | None:
        if self._file is None:
            return None
        with self._guard():
            row = self._file.execute("SELECT * FROM pages WHERE url = ?", (url,)).fetchone()
        if row is None:
            return None
        _, final, validator, changed, asked, entries, links = row
        return Visit(
            final, validator, changed, asked, [_load(entry) for entry in json.loads(entries)], json.loads(links)
        )

    def put(self, url: str, visit: Visit) -> None:
        if self._file is None:
            return
        entries = json.dumps([asdict(entry) for entry in visit.entries], ensure_ascii=False)
        row = (
            url,
            visit.final,
            visit.validator,
            visit.changed,
            visit.asked,
            entries,
            json.dumps(visit.links),
        )
        with self._guard():
            self._file.execute("REPLACE INTO pages VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def finish(self) -> None:
        """The run is over: the next one asks for all pages again."""
        if self._file is not None:
            with self._guard():
                self._file.execute("UPDATE runs SET finished = 1 WHERE shop = ?", (self._shop,))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise SourceError(f"{self._path}: what was read of the shop cannot be kept there ({error})") from None
        except sqlite3.DatabaseError as error:
            raise SourceError(f"{self._path} does not hold what was read of a shop ({error}); remove it") from None


def _load(entry: dict[str, Any]) -> Item | Failure:
    return Failure(**entry) if "reason" in entry else Item(**entry)
