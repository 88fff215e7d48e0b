"""What is said of labels: missing, misspelled, empty, rare, uneven, contradictory ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from focusedfashion import settings
from focusedfashion.report.figures import Finding, Group, Report
from focusedfashion.report.words import NAMED, list_counts, pick, say, such_as


def find_in_labels(report: Report) -> Iterator[Finding]:
    """Findings in the labels of all groups, and in which of them come together."""
    if report.items and not report.groups:
        yield Finding(
            "note",
            "labels",
            "No column holds labels: none has values that repeat, or all are ids, texts and amounts.",
            "Name the columns that do, if there are any (--label).",
            0,
        )
    unlabelled = sum(split.items - split.labelled for split in report.splits if split.labelled) + (
        0 if report.splits else report.items - report.labelled
    )
    if report.groups and unlabelled:
        yield Finding(
            "look",
            "labels",
            f"{say(unlabelled, 'item')} of {report.items:,} {pick(unlabelled, 'has', 'have')} no label in any group.",
            "Label them, or leave them out of training.",
            unlabelled,
        )
    yield from _find_poor_labels(report.groups)
    yield from _find_uneven(report.groups)
    if pairs := report.together.inseparable:
        named = "; ".join(f"'{pair.first.label}' and '{pair.second.label}' ({pair.items:,})" for pair in pairs[:NAMED])
        yield Finding(
            "look",
            "together",
            f"{say(len(pairs), 'pair')} of labels nearly always {pick(len(pairs), 'comes', 'come')} together, so a "
            f"network cannot learn what tells them apart: {named}.",
            "Join them into one label, or collect items that have only one of them.",
            len(pairs),
        )
    broken = sorted(report.together.hierarchies, key=lambda tree: -tree.exceptions)
    count = sum(tree.exceptions for tree in broken)
    if count:
        tree, example = broken[0], broken[0].examples[0]
        yield Finding(
            "look",
            "together",
            f"{say(count, 'contradiction')} between columns of which one follows from the other: where "
            f"`{tree.narrow}` is '{example.narrow}', `{tree.broad}` is '{example.usual}', but "
            f"{say(example.items, 'item', 'says', 'say')} '{example.broad}'.",
            "Look at these items: one of the two labels is wrong.",
            count,
        )


def _find_poor_labels(groups: Sequence[Group]) -> Iterator[Finding]:
    """Labels in several spellings, labels that name nothing, labels that are rare."""
    for group in groups:
        if group.spellings:
            count = len(group.spellings)
            yield Finding(
                "harm",
                "labels",
                f"{say(count, 'label')} of `{group.name}` {pick(count, 'is', 'are')} spelled in several ways, as "
                f"{' and '.join(map(repr, group.spellings[0][:3]))}.",
                "Settle for one spelling: each way counts as a label of its own.",
                count,
            )
    vague = [(group, sum(label.items for label in group.vague)) for group in groups if group.vague]
    if vague:
        count = sum(items for _, items in vague)
        named = "; ".join(f"{list_counts(group.vague)} in `{group.name}`" for group, _ in vague[:NAMED])
        yield Finding(
            "look",
            "labels",
            f"{say(count, 'item', 'has', 'have')} a label that names nothing: {named}.",
            "Treat these items as unlabelled in that group: nothing to see makes them alike.",
            count,
        )
    rare = sorted((group for group in groups if group.rare), key=lambda group: -group.rare)
    if rare:
        count, labels = sum(group.rare for group in rare), sum(group.distinct for group in groups)
        named = ", ".join(f"{group.rare:,} of `{group.name}`" for group in rare[:NAMED])
        rarest = [label for label in rare[0].labels if label.items < settings.RARE_LABEL]
        yield Finding(
            "look",
            "labels",
            f"{count:,} of {say(labels, 'label')} {pick(count, 'has', 'have')} fewer than {settings.RARE_LABEL} "
            f"items: {named}{such_as(rarest)}.",
            "Collect more, join them with a broader label, or leave them out: their figures are chance.",
            count,
        )


def _find_uneven(groups: Sequence[Group]) -> Iterator[Finding]:
    uneven = [group for group in groups if group.distinct >= 3 and group.effective < 0.5 * group.distinct]
    if uneven:
        uneven.sort(key=lambda group: group.effective / group.distinct)
        named = "; ".join(
            f"the {group.distinct:,} labels of `{group.name}` are as varied as {group.effective:.1f} even ones would "
            f"be ('{group.labels[0].label}' alone has {group.labels[0].items / group.uses:.0%})"
            for group in uneven[:3]
        )
        yield Finding(
            "look",
            "labels",
            f"{len(uneven):,} of {say(len(groups), 'group')} of labels {pick(len(uneven), 'is', 'are')} uneven: "
            f"{named}{f'; and {len(uneven) - 3} more' if len(uneven) > 3 else ''}.",
            "Weigh or draw the rare ones more often, and measure per label, not only over all.",
            len(uneven),
        )
    for group in groups:
        if group.distinct == 2 and not group.several and group.head > 0.9:
            first, second = group.labels
            yield Finding(
                "look",
                "labels",
                f"`{group.name}` is '{first.label}' for {group.head:.0%} of the items: who always says so is nearly "
                "always right.",
                f"Measure how many of the {second.items:,} '{second.label}' are found, not the share of right answers.",
                second.items,
            )
