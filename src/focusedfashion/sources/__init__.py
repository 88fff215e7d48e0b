"""Sources: whatever holds items, read as `Item`s one by one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from focusedfashion.errors import SourceError
from focusedfashion.items import Failure, Item
from focusedfashion.sources.folder import read_folder
from focusedfashion.sources.table import TABLE_ENDINGS, read_table

READABLE = f"a folder of pictures or a table ({', '.join(TABLE_ENDINGS)})"


def read_source(location: str | Path, id_column: str | None = None) -> Iterator[Item | Failure]:
    """A folder or a table -> its items in order, and a `Failure` for each row that cannot be used.

    What a source is shows from its ending. `id_column` names the column that holds a table's ids (see `read_table`).
    A source that cannot be read at all raises SourceError here, not at the first item; nothing is kept in memory but
    the row at hand.
    """
    path = Path(location)
    if not os.fspath(location) or not path.exists():
        # One letter before the colon is a Windows drive.
        if kind := re.match(r"[A-Za-z][\w-]+(?=:)", str(location)):
            raise SourceError(
                f"'{kind[0]}:' of '{location}' is no known kind of source; what can be read is {READABLE}"
            )
        raise SourceError(f"'{location}': no such file or folder")
    if path.is_dir():
        if id_column is not None:
            raise SourceError(
                f"{path} is a folder, which has no column '{id_column}': the paths of its pictures are the ids"
            )
        return read_folder(path)
    if path.suffix.lower() not in TABLE_ENDINGS:
        raise SourceError(f"{path}: no source has the ending '{path.suffix}'; what can be read is {READABLE}")
    return read_table(path, id_column)
