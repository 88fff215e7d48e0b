"""What visitors did with matches: appended to a table beside the catalog, in the background."""

from __future__ import annotations

import logging
import queue
import threading
from datetime import UTC, datetime

import pyarrow as pa

from focusedfashion import settings
from focusedfashion.errors import FashionError
from focusedfashion.rows import clean_text
from focusedfashion.store import Store

TABLE = "feedback"

_SCHEMA = pa.schema(
    [
        pa.field("request_id", pa.string()),
        pa.field("item_id", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("added_at", pa.timestamp("us", tz="UTC")),
    ]
)
_log = logging.getLogger(__name__)


class Feedback:
    """Takes entries at once and writes them together, a few seconds later. What cannot be written is dropped."""

    def __init__(self, path: str) -> None:
        self._store = Store(path)
        self._entries: queue.Queue[dict[str, object]] = queue.Queue(settings.MAX_FEEDBACK)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def add(self, request_id: str, item_id: str, kind: str) -> bool:
        """Takes an entry; False where so many wait that it was dropped."""
        entry = {"request_id": clean_text(request_id), "item_id": clean_text(item_id), "kind": kind}
        try:
            self._entries.put_nowait(entry | {"added_at": datetime.now(UTC)})
        except queue.Full:
            return False
        with self._lock:
            if self._thread is None and not self._ended.is_set():
                self._thread = threading.Thread(target=self._run, name="focusedfashion-feedback", daemon=True)
                self._thread.start()
        return True

    def close(self) -> None:
        """Writes what is left."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(settings.SHUTDOWN_SECONDS)

    def _run(self) -> None:
        while True:
            is_last = self._ended.wait(settings.FEEDBACK_SECONDS)
            self._write()
            if is_last:
                return

    def _write(self) -> None:
        rows = []
        while not self._entries.empty():
            rows.append(self._entries.get_nowait())
        if not rows:
            return
        try:
            self._store.append(TABLE, pa.Table.from_pylist(rows, _SCHEMA))
        except FashionError as error:  # a full disk is no reason to keep them until the memory is full too
            _log.warning("%s entries of feedback were lost: %s", len(rows), error)
