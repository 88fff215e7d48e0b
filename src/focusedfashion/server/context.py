"""What the routes of one app share."""

from __future__ import annotations

from dataclasses import dataclass

from focusedfashion.catalog import Catalog
from focusedfashion.server.gate import Gate
from focusedfashion.server.held import HeldPictures


@dataclass(frozen=True, slots=True)
class Context:
    """The catalog, and what a server keeps beside it while it runs."""

    catalog: Catalog
    gate: Gate
    held: HeldPictures
