"""FocusedFashion finds clothes by looking at them: a catalog goes in, a photo comes in, the closest items come out.

    import focusedfashion as ff
    catalog = ff.Catalog("shop")
    catalog.index(ff.read_source("photos"))
    matches = catalog.search("query.jpg", k=5, focus={"color": 2})

Every name is loaded when it is first used, so importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from focusedfashion.catalog import Catalog, CatalogInfo
    from focusedfashion.encoders import Encoder, Encoding, load_encoder
    from focusedfashion.errors import (
        CatalogError,
        CatalogMissing,
        EncoderError,
        EncoderMismatch,
        FashionError,
        FetchError,
        ItemNotFound,
        MissingExtra,
        PictureError,
        QueryError,
        RecipeError,
        SourceError,
    )
    from focusedfashion.evaluation import Evaluation, evaluate
    from focusedfashion.indexing import IndexReport
    from focusedfashion.items import Box, Failure, Item, Label, Match, Matches
    from focusedfashion.report import Report, make_report, write_report
    from focusedfashion.sources import read_source

__version__ = "0.1.0"

_HOMES = {
    "catalog": ("Catalog", "CatalogInfo"),
    "encoders": ("Encoder", "Encoding", "load_encoder"),
    "errors": (
        "CatalogError",
        "CatalogMissing",
        "EncoderError",
        "EncoderMismatch",
        "FashionError",
        "FetchError",
        "ItemNotFound",
        "MissingExtra",
        "PictureError",
        "QueryError",
        "RecipeError",
        "SourceError",
    ),
    "evaluation": ("Evaluation", "evaluate"),
    "indexing": ("IndexReport",),
    "items": ("Box", "Failure", "Item", "Label", "Match", "Matches"),
    "report": ("Report", "make_report", "write_report"),
    "sources": ("read_source",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Box",
    "Catalog",
    "CatalogError",
    "CatalogInfo",
    "CatalogMissing",
    "Encoder",
    "EncoderError",
    "EncoderMismatch",
    "Encoding",
    "Evaluation",
    "Failure",
    "FashionError",
    "FetchError",
    "IndexReport",
    "Item",
    "ItemNotFound",
    "Label",
    "Match",
    "Matches",
    "MissingExtra",
    "PictureError",
    "QueryError",
    "RecipeError",
    "Report",
    "SourceError",
    "__version__",
    "evaluate",
    "load_encoder",
    "make_report",
    "read_source",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
