"""Query pictures that are held for repeated searches: in memory, for ten minutes, within a budget, never on disk."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from focusedfashion import settings
from focusedfashion.catalog import Catalog
from focusedfashion.errors import ItemNotFound
from focusedfashion.explain import Look

Part = tuple[float, ...] | None


@dataclass(slots=True)
class _Held:
    data: bytes
    since: float
    looks: OrderedDict[tuple[Part, str], Look] = field(default_factory=OrderedDict)


class HeldPictures:
    """Pictures by their ids; safe for several threads. The least lately brought one goes first."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._pictures: OrderedDict[str, _Held] = OrderedDict()
        self._lock = threading.Lock()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._pictures)

    def add(self, data: bytes) -> tuple[str, Look]:
        """Keeps the picture -> (its id, what the encoder sees on it). Raises PictureError."""
        look = self._catalog.look(data)
        held = _Held(data, time.monotonic())
        held.looks[None, self._catalog.encoder.fingerprint] = look
        image_id = secrets.token_urlsafe(16)  # who cannot guess it cannot see what another has searched for
        with self._lock:
            self._pictures[image_id] = held
            self.bytes += len(data)
            self._drop_old()
        return image_id, look

    def look(self, image_id: str, box: Sequence[float] | None = None) -> Look:
        """As `Catalog.look`, by the picture's id, and remembered. Raises ItemNotFound, PictureError, QueryError."""
        with self._lock:
            self._drop_old()
            held = self._pictures.get(image_id)
        if held is None:
            minutes = settings.HELD_SECONDS // 60
            raise ItemNotFound(
                f"no picture {image_id[:40]!r} any more: it is kept for {minutes} minutes; send it again"
            )
        key = (None if box is None else tuple(box), self._catalog.encoder.fingerprint)
        with self._lock:
            look = held.looks.get(key)
        if look is None:
            look = self._catalog.look(held.data, box)
            with self._lock:
                held.looks[key] = look
                if len(held.looks) > settings.HELD_LOOKS:
                    held.looks.popitem(last=False)
        return look

    def _drop_old(self) -> None:
        before = time.monotonic() - settings.HELD_SECONDS
        while self._pictures:
            image_id, oldest = next(iter(self._pictures.items()))
            is_full = self.bytes > settings.HELD_BYTES or len(self._pictures) > settings.HELD_PICTURES
            if oldest.since > before and not is_full:
                return
            del self._pictures[image_id]
            self.bytes -= len(oldest.data)
