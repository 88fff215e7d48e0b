"""A clustering as one HTML page that needs nothing else: how well it agrees with labels, and the clusters' pictures."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable

from focusedfashion import settings
from focusedfashion.report.charts import format_share
from focusedfashion.report.markup import Html, element, join
from focusedfashion.report.page import draw_document, write_page
from focusedfashion.report.parts import draw_section, draw_table, draw_troubles
from focusedfashion.report.words import say
from focusedfashion.study.clusters import Agreement, Cluster, Clustering

_STRIP = 14  # medoids under the title
_HEADING = 0.5  # of a cluster's pictures: a label that so many have
_LIFT = 2.0  # and at least so many times more often than all pictures, stands over the cluster
_NAMES = 3  # such labels that do


def write_clusters(clustering: Clustering, path: str | os.PathLike[str]) -> None:
    """Writes the page; the file is whole or, if that fails, as it was before. Raises OSError."""
    write_page(draw_clusters(clustering), path)


def draw_clusters(clustering: Clustering) -> str:
    """The page's HTML."""
    main = join(
        _draw_title(clustering),
        bool(clustering.labelled) and _draw_agreement(clustering),
        draw_section(
            "clusters",
            "Clusters",
            "The ensemble's, largest first. Of each: the picture in the middle, then others, evenly from the nearest "
            "to the farthest; its most frequent labels, with their share of its labelled pictures.",
            [_draw_cluster(clustering, number, cluster) for number, cluster in enumerate(clustering.clusters, 1)],
        ),
        bool(clustering.failures)
        and draw_section(
            "failures",
            "Failures",
            f"{say(clustering.failed, 'row')} that could not be used, by reason.",
            draw_troubles(None, clustering.failures),
        ),
    )
    return draw_document(clustering.name, "Clusters", clustering.made, main, _draw_method(clustering))


def describe_result(clustering: Clustering, column: str) -> str:
    """In a sentence: how the ensemble's NMI in a column stands to that of the encoders by themselves."""
    nmi = {method.kind: method.agreement[column].nmi for method in clustering.methods}
    alone = {m.name: m.agreement[column].nmi for m in clustering.methods if m.kind == "encoder"}
    best = max(alone, key=lambda name: alone[name])
    text = f"{column}: NMI {nmi['ensemble']:.3f} by the ensemble, {alone[best]:.3f} by "
    if len(alone) == 1:
        return f"{text}k-means alone, {nmi['chance']:.3f} by chance."
    mean = sum(alone.values()) / len(alone)
    return f"{text}the best encoder alone ({best}), {mean:.3f} by one on the average, {nmi['chance']:.3f} by chance."


def _draw_title(clustering: Clustering) -> Html:
    names = ", ".join(encoder.name for encoder in clustering.encoders)
    verdict = (
        f"{say(len(clustering.item_ids), 'picture')} in {say(len(clustering.clusters), 'cluster')}, "
        f"by what {say(len(clustering.encoders), 'encoder', 'sees', 'see')} in them: {names}."
    )
    if clustering.left_out:
        verdict += f" An even sample: {clustering.left_out:,} more were left out."
    strip = [_draw_shot(clustering, cluster.shown[0]) for cluster in clustering.clusters[:_STRIP]]
    return element(
        "section",
        element("h1", element("bdi", clustering.name)),
        element("p", verdict, class_="verdict"),
        element("div", strip, class_="strip"),
        class_="title",
    )


def _draw_agreement(clustering: Clustering) -> Html:
    readings: tuple[tuple[str, Callable[[Agreement], float]], ...] = (
        ("Normalized mutual information", lambda agreement: agreement.nmi),
        ("Purity", lambda agreement: agreement.purity),
    )
    return draw_section(
        "agreement",
        "Agreement",
        "How well clusters, made from the pictures alone, agree with labels: 0 is not at all, 1 fully; a column's "
        "highest is in italics. An encoder that has learned these labels is ahead of one that has not.",
        element("p", _sum_up(clustering)),
        [
            join(element("h3", name), draw_table(("clusters by", *clustering.labelled), _list_rows(clustering, read)))
            for name, read in readings
        ],
    )


def _sum_up(clustering: Clustering) -> str:
    if len(clustering.labelled) == 1 or len(clustering.encoders) == 1:
        return " ".join(describe_result(clustering, column) for column in clustering.labelled)
    best = mean = 0
    for column in clustering.labelled:
        alone = [method.agreement[column].nmi for method in clustering.methods if method.kind == "encoder"]
        ensemble = next(m.agreement[column].nmi for m in clustering.methods if m.kind == "ensemble")
        best += ensemble >= max(alone)
        mean += ensemble >= sum(alone) / len(alone)
    columns = say(len(clustering.labelled), "column")
    return (
        f"By NMI the ensemble is as good as the encoders alone are on the average, or better, in {mean} of {columns}, "
        f"and as good as the best of them, or better, in {best}. Which one is the best only labels can tell."
    )


def _list_rows(clustering: Clustering, read: Callable[[Agreement], float]) -> list[Html]:
    highest = {
        column: max(round(read(method.agreement[column]), 3) for method in clustering.methods)
        for column in clustering.labelled
    }
    rows = []
    for method in clustering.methods:
        values = [(round(read(method.agreement[column]), 3), highest[column]) for column in clustering.labelled]
        cells = [
            element("td", element("em", f"{value:.3f}") if value == most else f"{value:.3f}", class_="number")
            for value, most in values
        ]
        rows.append(element("tr", element("th", element("bdi", method.name), scope="row"), cells))
    return rows


def _draw_cluster(clustering: Clustering, number: int, cluster: Cluster) -> Html:
    # A label that most of the catalog has would stand over every cluster.
    typical = [
        share
        for shares in cluster.labels.values()
        for share in shares
        if share.share >= _HEADING and share.lift >= _LIFT
    ]
    typical = sorted(typical, key=lambda share: (-share.lift, share.label))[:_NAMES]
    name = " · ".join(dict.fromkeys(share.label for share in typical)) or ("mixed" if cluster.labels else "")
    labels = [
        element(
            "li",
            element("span", column, class_="soft"),
            [
                [", " if place else " ", element("bdi", s.label), f" {format_share(s.share, 1)}"]
                for place, s in enumerate(found)
            ],
        )
        for column, found in cluster.labels.items()
    ]
    together = format_share(cluster.together, 1)
    facts = f"{say(cluster.pictures, 'picture')} · two fall together in {together} of the partitions"
    return element(
        "article",
        element("h3", f"{number} ", element("bdi", name)),
        element("p", facts, class_="soft"),
        element("div", [_draw_shot(clustering, picture) for picture in cluster.shown], class_="shots"),
        bool(labels) and element("ul", labels, class_="chips", role="list"),
        class_="group",
    )


def _draw_shot(clustering: Clustering, picture: int) -> Html:
    data = base64.b64encode(clustering.thumbnails[picture]).decode()
    name = clustering.item_ids[picture]
    image = element("img", src=f"data:image/jpeg;base64,{data}", alt=name, title=name, loading="lazy")
    return element("figure", element("div", image, class_="tile"), class_="shot")


def _draw_method(clustering: Clustering) -> Html:
    runs = settings.CLUSTER_RUNS
    lines = [
        "Several encoders are used together because without labels it cannot be known which one suits the pictures "
        "(Guérin and Boots 2018). Their network, trained end to end, is not built here: the encoders are joined by an "
        "ensemble of partitions.",
        f"Each encoder's features, reduced to {settings.CLUSTER_NUMBERS} main components and equal variance, are "
        f"clustered {runs} times by k-means, into once to twice as many clusters. The ensemble joins these partitions "
        "by how often two pictures fall together: the spectral cut of the graph between pictures and clusters (Fern "
        "and Brodley 2004).",
        "'Joined' does the same with one encoder's partitions; 'side by side' is k-means on all features at once; 'by "
        "chance' deals the pictures of the ensemble's clusters anew.",
        "NMI: mutual information over the mean of both entropies; a picture with several labels counts as a part of "
        "each. Purity: the share of pictures that have their cluster's most frequent label. Both grow with the number "
        "of clusters. Pictures without a label of the column do not count.",
        "Labelled pictures: " + ", ".join(f"{column} {count:,}" for column, count in clustering.labelled.items()) + ".",
        "Encoders: "
        + ", ".join(f"{each.name} ({each.fingerprint}, {each.dim:,} numbers)" for each in clustering.encoders)
        + f"; seed {clustering.seed}.",
    ]
    if not clustering.labelled:
        lines = [line for line in lines if not line.startswith(("NMI", "Labelled"))]
    return join(
        element("h2", "How this was made"),
        element("ul", [element("li", line) for line in lines]),
        element("p", "Made by FocusedFashion. This page holds all that it shows and asks nothing of the network."),
    )
