"""Numbers and names in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from focusedfashion.report.figures import LabelCount

NAMED = 4  # labels or ids in a sentence


def say(number: int, noun: str, one: str = "", many: str = "") -> str:
    """'1 label', '1,200 labels'; with the verb's two forms, '1 label is', '1,200 labels are'."""
    return f"{number:,} {noun}{'' if number == 1 else 's'} {pick(number, one, many)}".rstrip()


def pick(number: int, one: str, many: str) -> str:
    return one if number == 1 else many


def list_counts(labels: Sequence[LabelCount]) -> str:
    """The first labels, each with its items in brackets."""
    text = ", ".join(f"'{label.label}' ({label.items:,})" for label in labels[:NAMED])
    return text + (", …" if len(labels) > NAMED else "")


def such_as(examples: Sequence[str] | Sequence[LabelCount]) -> str:
    """The first names in brackets, after a space; nothing if there are none."""
    names = [repr(entry.label if isinstance(entry, LabelCount) else entry) for entry in examples[:NAMED]]
    return f" ({', '.join(names)}{', …' if len(examples) > NAMED else ''})" if names else ""
