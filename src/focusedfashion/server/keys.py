"""Keys that let others in: a table beside the catalog, in which each key stands as its hash.

A key is 192 random bits, so a plain SHA-256 of it gives nothing away, and nobody has to wait for a slow one.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa

from focusedfashion import settings
from focusedfashion.errors import QueryError
from focusedfashion.store import Store

_TABLE = "keys"
_SCHEMA = pa.schema(
    [
        pa.field("name", pa.string()),
        pa.field("hash", pa.string()),
        pa.field("write", pa.bool_()),
        pa.field("added_at", pa.timestamp("us", tz="UTC")),
    ]
)


@dataclass(frozen=True, slots=True)
class Key:
    """A key that was given to somebody: `write` lets it change the catalog too."""

    name: str
    write: bool
    added_at: datetime


class Keys:
    """The keys of a catalog. Safe for several threads and processes."""

    def __init__(self, path: str) -> None:
        self._store = Store(path)
        self._known: dict[str, Key] = {}
        self._read_at = -settings.KEY_SECONDS
        self._lock = threading.Lock()

    def add(self, name: str, write: bool = False) -> str:
        """Makes a key -> the key itself, which nobody can read again. Raises QueryError, CatalogError."""
        if not name.isprintable() or not 1 <= len(name) <= settings.MAX_KEY_NAME or name != name.strip():
            raise QueryError(f"a key's name is 1 to {settings.MAX_KEY_NAME} printable characters, not {name!r}")
        if any(key.name == name for key in self.list()):
            raise QueryError(f"there is a key {name!r} already: remove it first, or take another name")
        token = f"ff_{secrets.token_urlsafe(24)}"
        row = {"name": name, "hash": hash_token(token), "write": write, "added_at": datetime.now(UTC)}
        self._store.append(_TABLE, pa.Table.from_pylist([row], _SCHEMA))
        return token

    def remove(self, name: str) -> None:
        """Takes a key back; servers notice within settings.KEY_SECONDS. Raises QueryError where there is none."""
        names = [key.name for key in self.list()]
        if name not in names:
            raise QueryError(f"no key {name!r}: there are {', '.join(names) or 'none'}")
        self._store.delete(_TABLE, "name", [name])

    def list(self) -> list[Key]:
        """All keys by their names. Raises CatalogMissing, CatalogError."""
        self._store.read_identity()
        return sorted(self._read().values(), key=lambda key: key.name)

    def find(self, token: str) -> Key | None:
        """The key, as of the last settings.KEY_SECONDS."""
        with self._lock:
            if self.is_stale():
                self._known = self._read()
                self._read_at = time.monotonic()
            return self._known.get(hash_token(token))

    def is_stale(self) -> bool:
        """Whether `find` will read the table, which takes some milliseconds."""
        return time.monotonic() - self._read_at >= settings.KEY_SECONDS

    def _read(self) -> dict[str, Key]:
        table = self._store.read_table(_TABLE)
        rows = table.to_pylist() if table is not None else []
        return {row["hash"]: Key(row["name"], row["write"], row["added_at"]) for row in rows}


def hash_token(token: str) -> str:
    """SHA-256, 64 hexadecimal digits."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
