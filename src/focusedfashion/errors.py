"""Every error that a user can meet. Each message is one line: what was wrong, where, what to do.

FashionError
├── SourceError          a source cannot be read at all (a single bad row is a ledger entry, not an error)
├── FetchError           a URL gives nothing that can be used
├── PictureError         one picture cannot be used
├── EncoderError         an encoder cannot be found, read or run
│   └── EncoderMismatch  the catalog was indexed with another encoder
├── CatalogError         a catalog cannot be opened or written
│   └── CatalogMissing   there is no catalog at this place
├── QueryError           a search was asked for something that makes no sense
│   └── ItemNotFound     no item with this id
├── RecipeError          a training recipe is wrong or cannot run
└── MissingExtra         an optional package is not installed
"""


class FashionError(Exception):
    """The root: `except FashionError` catches everything that this package raises on purpose."""

    def __init__(self, message: str) -> None:
        # Messages of other libraries end up inside ours; a person still gets one line.
        super().__init__(" ".join(message.split()))


class SourceError(FashionError):
    """A source cannot be read at all."""


class FetchError(FashionError):
    """A URL gives nothing that can be used."""


class PictureError(FashionError):
    """One picture cannot be used."""


class EncoderError(FashionError):
    """An encoder cannot be found, read or run."""


class EncoderMismatch(EncoderError):
    """The catalog was indexed with another encoder."""


class CatalogError(FashionError):
    """A catalog cannot be opened or written."""


class CatalogMissing(CatalogError):
    """There is no catalog at this place."""


class QueryError(FashionError):
    """A search was asked for something that makes no sense."""


class ItemNotFound(QueryError):
    """No item with this id."""


class RecipeError(FashionError):
    """A training recipe is wrong or cannot run."""


class MissingExtra(FashionError):
    """An optional package is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs the extra '{extra}': pip install -e '.[{extra}]' where focusedfashion was cloned"
        )
