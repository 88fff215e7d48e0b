"""Every data set's labels -> our attribute groups, as `vocabulary.toml` says."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from focusedfashion.errors import RecipeError
from focusedfashion.items import Item


@dataclass(frozen=True, slots=True)
class Mapped:
    """How one column of one data set speaks about one group; `labels` is theirs -> ours (one, or all it may mean)."""

    column: str
    group: str
    match: str  # "label", "words", or "any" (every value is a label of its own)
    labels: Mapping[str, tuple[str, ...]]

    def read(self, value: Any) -> tuple[str, ...]:
        """A cell -> the labels of ours that it may mean; empty where it says nothing that we know."""
        if value is None or value == "":
            return ()
        if self.match == "any":
            return (str(value),)
        if self.match == "label":
            return self.labels.get(str(value), ())
        words = set(re.findall(r"[a-z]+", str(value).lower()))
        found = [ours for theirs, ours in self.labels.items() if words & set(theirs.split())]
        if not found:
            return ()
        # "Printed floral dress": the narrowest reading that all matching words allow, else the first that matched.
        common = [label for label in found[0] if all(label in ours for ours in found)]
        return tuple(common) or min(found, key=len)


class Vocabulary:
    """Reads `vocabulary.toml`; `read_labels` turns an item of a named data set into our labels."""

    def __init__(self) -> None:
        self.text = (resources.files("focusedfashion.training") / "vocabulary.toml").read_text(encoding="utf-8")
        self._sets: dict[str, list[Mapped]] = {
            name: [_read_mapped(column, entry) for column, entry in columns.items()]
            for name, columns in tomllib.loads(self.text).items()
        }

    def list_sets(self) -> list[str]:
        """The names of the data sets that the vocabulary knows."""
        return list(self._sets)

    def list_labels(self, group: str) -> list[str]:
        """All labels of ours in a group, in the file's order; empty for a group whose labels come from the data."""
        mapped = [m for columns in self._sets.values() for m in columns if m.group == group]
        return list(dict.fromkeys(label for m in mapped for ours in m.labels.values() for label in ours))

    def read_labels(self, data_set: str, item: Item) -> dict[str, tuple[str, ...]]:
        """An item -> group -> the labels that it may have (several where theirs is broader than ours)."""
        labels = {m.group: m.read(item.columns.get(m.column)) for m in self._sets[data_set]}
        return {group: ours for group, ours in labels.items() if ours}


def _read_mapped(column: str, entry: Mapping[str, Any]) -> Mapped:
    try:
        labels = {theirs: _as_tuple(ours) for theirs, ours in entry.get("labels", {}).items()}
        return Mapped(column, entry["group"], entry.get("match", "label"), labels)
    except (KeyError, TypeError) as error:
        raise RecipeError(f"vocabulary.toml: the column {column!r} lacks or garbles {error}") from None


def _as_tuple(ours: str | Iterable[str]) -> tuple[str, ...]:
    return (ours,) if isinstance(ours, str) else tuple(ours)
