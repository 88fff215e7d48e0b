"""Evaluation: every figure against a naive loop over the saved vectors, and each stated rule."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import COLORS, draw_garment, draw_items
from focusedfashion import settings
from focusedfashion.catalog import Catalog
from focusedfashion.changes import CHANGES
from focusedfashion.cli import main
from focusedfashion.encoders import Encoder
from focusedfashion.errors import CatalogMissing, QueryError
from focusedfashion.evaluation import Evaluation, Scores, evaluate
from focusedfashion.items import Box, Failure, Item
from focusedfashion.ranking import order_products, rank_products, score_items
from web import Reply, serve_web

KINDS = ("shirt", "dress", "trousers")


def draw_labelled(count: int, prefix: str, seed: int) -> list[Item]:
    """Garments with color, kind and tags; some lack a label, three by three some are one product."""
    random = np.random.default_rng(seed)
    items = []
    for n in range(count):
        color, kind, stripes = list(COLORS)[random.integers(4)], int(random.integers(3)), int(random.integers(5))
        columns: dict[str, Any] = {"color": color, "kind": KINDS[kind], "tags": [color, f"{stripes} stripes"]}
        if random.random() < 0.2:
            del columns["kind"]
        product = f"product-{n // 3}" if n % 2 else ""
        picture = draw_garment(color, kind, stripes, (40 + n % 9, 60))
        items.append(Item(f"{prefix}-{n:03}", product_id=product, columns=columns, picture=picture))
    return items


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Encoder) -> Catalog:
    catalog = Catalog(tmp_path_factory.mktemp("evaluation") / "shop", tiny_encoder)
    catalog.index(draw_labelled(90, "item", 1))
    return catalog


@pytest.fixture(scope="module")
def queries() -> list[Item]:
    """New photos, one of a product that nobody has labelled, one that is in the catalog."""
    items = draw_labelled(40, "query", 2)
    items[3] = replace(items[3], columns={"color": "plaid"})
    items[5] = replace(items[5], picture=draw_labelled(90, "item", 1)[7].picture)
    items[6] = replace(items[6], item_id="item-010")
    return items


@pytest.fixture(scope="module")
def found(gallery: Catalog, queries: list[Item]) -> Evaluation:
    return evaluate(gallery, queries, ["color", "kind", "tags"], (1, 3, 7), slice_by="color")


def make_catalog(folder: Path, encoder: Encoder, items: Iterable[Item]) -> Catalog:
    catalog = Catalog(folder / "shop", encoder)
    catalog.index(items)
    return catalog


def rank(arrays: Any, query: int, allowed: Sequence[int]) -> list[int]:
    """The gallery's rows that show the products, best first, by the stated rules, in plain Python."""
    scores = {
        row: round(float(np.float32((arrays["query_vectors"][query] * arrays["weights"]) @ vector)), 6)
        for row, vector in enumerate(arrays["gallery_vectors"])
        if row in allowed
    }
    best: dict[str, int] = {}
    for row in sorted(scores, key=lambda row: (-scores[row], arrays["gallery_ids"][row])):
        best.setdefault(arrays["gallery_products"][row], row)
    first = {
        product: min(arrays["gallery_ids"][arrays["gallery_products"] == product])
        for product in set(arrays["gallery_products"].tolist())
    }
    return sorted(best.values(), key=lambda row: (-scores[row], first[arrays["gallery_products"][row]]))


def compute(arrays: Any, column: int, k: int) -> dict[str, list[float]]:
    """A column's figures for each query that counts, in plain Python, and the ids of those that are unmatched."""
    asked, has = arrays[f"query_labels_{column}"], arrays[f"gallery_labels_{column}"]
    figures: dict[str, list[float]] = {"recall": [], "precision": [], "map": [], "unmatched": [], "chance": []}
    for query in range(len(asked)):
        if not asked[query].any():
            continue
        allowed = [
            row
            for row in range(len(has))
            if has[row].any()
            and arrays["gallery_ids"][row] != arrays["query_ids"][query]
            and arrays["gallery_hashes"][row] != arrays["query_hashes"][query]
            and arrays["gallery_products"][row] != arrays["query_products"][query]
        ]
        right = [row for row in allowed if (has[row] & asked[query]).any()]
        total = len({arrays["gallery_products"][row] for row in right})
        if not total:
            figures["unmatched"].append(query)
            continue
        hits = [row in right for row in rank(arrays, query, allowed)[:k]]
        figures["recall"].append(float(any(hits)))
        figures["precision"].append(sum(hits) / k)
        shares = [sum(hits[: place + 1]) / (place + 1) for place in range(len(hits)) if hits[place]]
        figures["map"].append(sum(shares) / min(k, total))
        figures["chance"].append(total / len({arrays["gallery_products"][row] for row in allowed}))
    return figures


@pytest.mark.parametrize("k", [1, 3, 7])
def test_label_figures_are_those_of_a_naive_loop(found: Evaluation, tmp_path: Path, k: int) -> None:
    found.save_vectors(tmp_path / "vectors")
    with np.load(tmp_path / "vectors") as saved:
        arrays = dict(saved)
    assert arrays["columns"].tolist() == ["color", "kind", "tags"]
    for number, column in enumerate(arrays["columns"].tolist()):
        expected = compute(arrays, number, k)
        scores = found.whole.columns[column]
        assert scores.queries == len(expected["recall"])
        assert scores.unmatched == len(expected["unmatched"])
        assert scores.chance == pytest.approx(np.mean(expected["chance"]))
        for measure in ("recall", "precision", "map"):
            figure = scores.figures[f"{measure}@{k}"]
            assert figure.value == pytest.approx(np.mean(expected[measure])), (column, measure)
            assert figure.low <= figure.value <= figure.high
    assert found.whole.columns["color"].unmatched == 1  # plaid


@pytest.mark.parametrize("k", [1, 3, 7])
def test_same_item_is_that_of_a_naive_loop(found: Evaluation, k: int) -> None:
    arrays, hits = found.arrays, []
    for query, product in enumerate(arrays["query_products"].tolist()):
        allowed = [
            row
            for row in range(len(arrays["gallery_ids"]))
            if arrays["gallery_ids"][row] != arrays["query_ids"][query]
            and arrays["gallery_hashes"][row] != arrays["query_hashes"][query]
        ]
        products = arrays["gallery_products"]
        if product in products[allowed].tolist():
            hits.append(product in [products[row] for row in rank(arrays, query, allowed)[:k]])
    assert found.whole.same_item is not None and len(hits) >= 10
    assert found.whole.same_item.queries == len(hits)
    assert found.whole.same_item.figures[f"recall@{k}"].value == pytest.approx(np.mean(hits))


def test_slices_are_the_same_figures_over_fewer_queries(
    found: Evaluation, gallery: Catalog, queries: list[Item]
) -> None:
    counts = {color: sum(item.columns["color"] == color for item in queries) for color in (*COLORS, "plaid")}
    large = {color for color, count in counts.items() if count >= settings.RARE_LABEL}
    assert large and set(found.slices) == large and found.small_slices == len(counts) - len(large)
    for color in large:
        alone = evaluate(gallery, [item for item in queries if item.columns["color"] == color], ["kind"], (1, 3, 7))
        assert found.slices[color].columns["kind"] == alone.whole.columns["kind"]


def test_what_fits_in_memory_does_not_show(
    found: Evaluation, gallery: Catalog, queries: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "EMBEDDED_ROWS", 7)
    monkeypatch.setattr(settings, "EVALUATION_SCORES", 3 * 90)
    again = evaluate(gallery, queries, ["color", "kind", "tags"], (1, 3, 7), slice_by="color")
    assert again.to_dict() == found.to_dict()
    np.testing.assert_array_equal(again.arrays["gallery_vectors"], found.arrays["gallery_vectors"])


def test_ranking_is_that_of_the_search(gallery: Catalog, found: Evaluation, queries: list[Item]) -> None:
    for query, item in enumerate(queries[:10]):
        assert isinstance(item.picture, bytes)
        everything = range(len(found.arrays["gallery_ids"]))
        shown = found.arrays["gallery_ids"][rank(found.arrays, query, everything)[:7]].tolist()
        assert shown == [match.item.item_id for match in gallery.search(item.picture, 7)]


def test_equal_scores_are_ordered_by_the_products_first_id() -> None:
    order, starts = order_products(["d", "b", "c", "a"], ["one", "one", "two", "three"])
    assert [["d", "b", "c", "a"][row] for row in order] == ["a", "b", "d", "c"]
    assert starts.tolist() == [0, 1, 3]
    scores = np.array([[0.5, 0.5, 0.5, 0.5], [0.1, 0.2, 0.9, 0.9], [0.5, -np.inf, -np.inf, 0.4]], np.float32)
    products, rows = rank_products(scores, starts, 4)
    assert products.tolist() == [[0, 1, 2, -1], [1, 2, 0, -1], [0, 2, -1, -1]]
    assert rows.tolist() == [[0, 1, 3, -1], [2, 3, 0, -1], [0, 3, -1, -1]]


def test_many_equal_scores_keep_their_order() -> None:
    scores = np.full((1, 500), 0.5, np.float32)
    scores[0, 400:] = 0.6
    products, _ = rank_products(scores, np.arange(500), 250)
    assert products[0].tolist() == [*range(400, 500), *range(150)]


def test_sums_that_differ_in_their_last_digits_tie() -> None:
    query, gallery = np.array([[1, 1]], np.float32), np.array([[0.3, 0.3], [0.3, 0.3 + 1e-7]], np.float32)
    assert gallery[0, 1] < gallery[1, 1]
    scores = score_items(query, gallery)
    assert scores[0, 0] == scores[0, 1]


def test_a_catalog_of_copies_answers_by_id(tmp_path: Path, tiny_encoder: Encoder) -> None:
    """All pictures are one: what comes first is the first id, whatever the order of the rows."""
    names = ["d", "b", "a", "c"]
    items = [Item(name, columns={"kind": "x" if name == "b" else "y"}, picture=draw_garment()) for name in names]
    catalog = make_catalog(tmp_path, tiny_encoder, items)
    other = Item("query", columns={"kind": "x"}, picture=draw_garment(size=(49, 64)))
    figures = evaluate(catalog, [other], ["kind"], (1, 2)).whole.columns["kind"].figures
    assert (figures["recall@1"].value, figures["recall@2"].value) == (0, 1)


def test_the_query_itself_is_left_out_by_id_and_by_picture(tmp_path: Path, tiny_encoder: Encoder) -> None:
    catalog = make_catalog(
        tmp_path,
        tiny_encoder,
        [
            Item("same id", columns={"kind": "x"}, picture=draw_garment("red", size=(47, 64))),
            Item("same picture", columns={"kind": "x"}, picture=draw_garment("red")),
            Item("other", columns={"kind": "y"}, picture=draw_garment("blue")),
            Item("another", columns={"kind": "x"}, picture=draw_garment("green", 2, 4)),
        ],
    )
    asked = Item("same id", columns={"kind": "y"}, picture=draw_garment("red"))
    assert evaluate(catalog, [asked], ["kind"], (1, 2)).whole.columns["kind"].chance == 0.5
    # By another id and other bytes nothing is left out.
    apart = replace(asked, item_id="new", product_id="", picture=draw_garment("red", size=(48, 65)))
    assert evaluate(catalog, [apart], ["kind"], (1, 2)).whole.columns["kind"].chance == 0.25


def test_another_view_of_the_product_answers_for_same_item_only(tmp_path: Path, tiny_encoder: Encoder) -> None:
    views = [
        Item("front", product_id="p", columns={"kind": "x"}, picture=draw_garment("red")),
        Item("back", product_id="p", columns={"kind": "x"}, picture=draw_garment("red", 0, 1)),
        Item("other", columns={"kind": "y"}, picture=draw_garment("blue", 2, 4)),
        Item("kin", columns={"kind": "x"}, picture=draw_garment("green", 1, 2)),
    ]
    catalog = make_catalog(tmp_path, tiny_encoder, views)
    asked = Item("photo", product_id="p", columns={"kind": "x"}, picture=draw_garment("red", size=(50, 64)))
    whole = evaluate(catalog, [asked], ["kind"], (1, 2)).whole
    assert whole.same_item is not None and whole.same_item.figures["recall@1"].value == 1
    assert whole.columns["kind"].chance == 0.5  # of "other" and "kin"
    alone = replace(asked, product_id="")
    assert evaluate(catalog, [alone], ["kind"], (1,)).whole.same_item is None


def test_queries_that_do_not_open_are_counted(gallery: Catalog, queries: list[Item], tmp_path: Path) -> None:
    broken: list[Item | Failure] = [
        replace(queries[0], picture=b"junk"),
        replace(queries[1], picture=tmp_path / "missing.jpg"),
        replace(queries[2], picture=None),
        Failure("row 7", "read", "no picture"),
    ]
    found = evaluate(gallery, [*broken, *queries[3:]], ["color"])
    assert found.whole.queries == len(queries) - 3
    assert {(failure.item_id, failure.step) for failure in found.failures} == {
        ("query-000", "picture"),
        ("query-001", "picture"),
        ("query-002", "picture"),
        ("row 7", "read"),
    }
    assert found.to_dict()["failed"] == 4
    with pytest.raises(QueryError, match="no query can be used: of 4 that failed the first says: "):
        evaluate(gallery, broken, ["color"])


def test_queries_by_url_are_fetched(gallery: Catalog, queries: list[Item]) -> None:
    picture = queries[0].picture
    assert isinstance(picture, bytes)
    with serve_web({"/a.jpg": Reply(picture, headers={"Content-Type": "image/jpeg"})}) as web:
        asked = [replace(queries[0], picture=f"{web.address}/a.jpg"), replace(queries[1], picture=f"{web.address}/b")]
        found = evaluate(gallery, asked, ["color"], allow_private=True)
    assert found.whole.queries == 1 and [failure.step for failure in found.failures] == ["fetch"]
    assert found.whole == evaluate(gallery, queries[:1], ["color"]).whole


def test_a_box_is_looked_at_alone(tmp_path: Path, tiny_encoder: Encoder) -> None:
    wide = Item("wide", columns={"kind": "x"}, picture=draw_garment("red", size=(96, 64)), box=Box(0, 0, 48, 64))
    right = replace(wide, item_id="right", product_id="", columns={"kind": "y"}, box=Box(48, 0, 96, 64))
    catalog = make_catalog(tmp_path, tiny_encoder, [wide, right])
    asked = replace(wide, item_id="query", product_id="", columns={"kind": "y"})
    # The same part is the query itself, the other part of the same file is not.
    assert evaluate(catalog, [asked], ["kind"], (1,)).whole.columns["kind"].chance == 1


def test_without_queries_the_catalogs_own_items_ask(gallery: Catalog) -> None:
    found = evaluate(gallery, labels=["color"], ks=(1, 5))
    assert found.whole.queries == 90 and set(found.whole.changes) == set(CHANGES)
    expected = compute(found.arrays, 0, 5)
    assert found.whole.columns["color"].figures["map@5"].value == pytest.approx(np.mean(expected["map"]))
    arrays = found.arrays
    itself = (arrays["query_vectors"] * arrays["weights"] * arrays["query_vectors"]).sum(axis=1)
    np.testing.assert_allclose(itself, 1, atol=1e-6)
    product_of = dict(zip(arrays["gallery_ids"].tolist(), arrays["gallery_products"].tolist(), strict=True))
    for number, name in enumerate(CHANGES):
        hits: dict[int, list[bool]] = {1: [], 5: []}
        changed = dict(arrays) | {"query_vectors": arrays["changed_vectors"][:, number]}
        for query, item_id in enumerate(arrays["query_ids"].tolist()):
            if np.isnan(changed["query_vectors"][query]).any():
                continue
            own = arrays["query_vectors"][query] * arrays["weights"]
            wanted = {product_of[item_id]}
            wanted |= {
                arrays["gallery_products"][row] for row in np.flatnonzero(arrays["gallery_vectors"] @ own > 1 - 1e-6)
            }
            ranked = rank(changed, query, range(90))
            for k in hits:
                hits[k].append(any(arrays["gallery_products"][row] in wanted for row in ranked[:k]))
        scores = found.whole.changes[name]
        assert scores.queries == len(hits[1])
        for k, each in hits.items():
            assert scores.figures[f"recall@{k}"].value == pytest.approx(np.mean(each)), name


def test_an_evaluation_is_the_same_again(gallery: Catalog) -> None:
    one, other = (evaluate(gallery, sample=20, seed=3) for _ in range(2))
    assert one.to_dict() == other.to_dict()
    np.testing.assert_array_equal(one.arrays["changed_vectors"], other.arrays["changed_vectors"])
    assert evaluate(gallery, sample=20, seed=4).arrays["query_ids"].tolist() != one.arrays["query_ids"].tolist()


def test_a_copy_of_the_item_is_found_instead_of_it(tmp_path: Path, tiny_encoder: Encoder) -> None:
    """Two listings of one picture: either one will do. Another picture will not."""
    picture = draw_garment("red")
    items = [Item("b", picture=picture), Item("a", picture=picture), Item("c", picture=draw_garment("blue", 1, 3))]
    figures = evaluate(make_catalog(tmp_path, tiny_encoder, items), ks=(1,)).whole.changes["none"]
    assert (figures.queries, figures.figures["recall@1"].value) == (3, 1)


def test_labels_are_found_where_both_sides_have_them(gallery: Catalog, queries: list[Item]) -> None:
    asked = [
        replace(item, columns={**item.columns, "size": "XL", "kind": f"other {n % 3}"})
        for n, item in enumerate(queries)
    ]
    # No size in the catalog, and its kinds are others.
    assert set(evaluate(gallery, asked).whole.columns) == {"color", "tags"}
    with pytest.raises(QueryError, match=r"column 'kind': the queries \(other 0, other 1, other 2\) and the catalog "):
        evaluate(gallery, asked, ["kind"])


def test_text_and_lists_are_one_vocabulary(gallery: Catalog, queries: list[Item]) -> None:
    """The queries' table has `red|2 stripes` where the catalog has a list."""
    as_text = [replace(item, columns={"tags": "|".join(item.columns.get("tags", ()))}) for item in queries]
    as_lists = evaluate(gallery, queries, ["tags"]).whole
    assert evaluate(gallery, as_text, ["tags"]).whole.columns == as_lists.columns


def test_a_sample_is_even_and_the_same_again(gallery: Catalog, queries: list[Item]) -> None:
    chosen = evaluate(gallery, iter(queries), ["color"], sample=12).arrays["query_ids"].tolist()
    assert len(chosen) == 12 and chosen == [item.item_id for item in queries if item.item_id in chosen]
    assert evaluate(gallery, reversed(queries), ["color"], sample=12).arrays["query_ids"].tolist() == chosen[::-1]
    assert len(evaluate(gallery, queries, ["color"], sample=1_000).arrays["query_ids"]) == len(queries)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": ["colour"]}, "the catalog: no column 'colour' to take labels from; did you mean 'color'"),
        ({"labels": ["color"], "slice_by": "knd"}, "the queries: no column 'knd' to take labels from; did you mean"),
        ({"labels": ["color"], "ks": ()}, "no k is given"),
        ({"labels": ["color"], "ks": (0,)}, "k must be a whole number from 1"),
        ({"labels": ["color"], "sample": 0}, "the sample must be of one query at least"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    gallery: Catalog, queries: list[Item], arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(QueryError, match=message) as error:
        evaluate(gallery, queries, **arguments)
    assert "\n" not in str(error.value)


def test_nothing_to_measure_is_an_error(gallery: Catalog, tmp_path: Path, tiny_encoder: Encoder) -> None:
    with pytest.raises(QueryError, match="nothing to measure"):
        evaluate(gallery, [Item("new", picture=draw_garment())])
    with pytest.raises(CatalogMissing):
        evaluate(Catalog(tmp_path / "nothing"), [Item("new", picture=draw_garment())])
    catalog = make_catalog(tmp_path, tiny_encoder, draw_items(1))
    catalog.remove(["item-000"])
    with pytest.raises(QueryError, match="is empty: index something into it first"):
        evaluate(catalog)


def test_a_column_with_the_name_of_a_key_stays_apart(tmp_path: Path, tiny_encoder: Encoder) -> None:
    items = [replace(item, columns={"queries": f"{n % 2}"}) for n, item in enumerate(draw_items(6))]
    found = evaluate(make_catalog(tmp_path, tiny_encoder, items), labels=["queries"]).to_dict()
    assert found["queries"] == 6 and found["source_queries"]["queries"] == 6


def test_scores_of_no_query_have_no_figures(gallery: Catalog, queries: list[Item]) -> None:
    found = evaluate(gallery, [queries[0], queries[3]], ["color"], (1,))
    assert found.whole.columns["color"].unmatched == 1
    assert Scores(0, 3, {}).to_dict() == {"queries": 0, "unmatched": 3, "intervals": {}}
    json.dumps(found.to_dict(), allow_nan=False)


# The command line


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, encoder_folder: Path) -> Path:
    """A folder with a catalog and a table of queries."""
    folder = tmp_path_factory.mktemp("evaluate")
    for side, count in (("shop", 40), ("queries", 25)):
        lines = ["id,image,color,kind"]
        for item in draw_labelled(count, side, len(side)):
            assert isinstance(item.picture, bytes)
            (folder / f"{item.item_id}.jpg").write_bytes(item.picture)
            columns = [item.columns.get(name, "") for name in ("color", "kind")]
            lines.append(",".join([item.item_id, f"{item.item_id}.jpg", *columns]))
        (folder / f"{side}.csv").write_text("\n".join(lines))
    table = str(folder / "shop.csv")
    assert main(["index", str(folder / "shop"), table, "--encoder", str(encoder_folder), "--json"]) == 0
    return folder


def test_evaluate_as_json(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    words = ["evaluate", str(shop / "shop"), str(shop / "queries.csv"), "--label", "color", "-k", "1,5", "--json"]
    vectors = shop / "vectors.npz"
    assert main([*words, "--slice", "kind", "--vectors", str(vectors)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["queries"], found["failed"]) == (25, 0)
    assert found["gallery"] == {"items": 40, "products": 40}
    measures = [f"{name}@{k}" for name in ("recall", "precision", "map") for k in (1, 5)]
    assert list(found["color"]) == ["queries", "unmatched", "chance", *measures, "intervals"]
    assert set(found["color"]["intervals"]) == set(measures)
    assert found["slices"]["by"] == "kind" and "changes" not in found
    assert np.load(vectors)["query_vectors"].shape == (25, 35)


def test_evaluate_as_text(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["evaluate", str(shop / "shop"), str(shop / "queries.csv"), "--slice", "color", "-k", "3"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("25 queries, 0 failed; 40 items, 40 products")
    assert "color recall" in out and "kind precision" in out and "@3" in out and "by chance" in out
    assert main(["evaluate", str(shop / "shop"), "--sample", "10"]) == 0
    assert "after perspective recall" in capsys.readouterr().out


def test_evaluate_with_wrong_words(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(shop / "shop"), str(shop / "queries.csv"), "--label", "colr"]) == 1
    assert "did you mean 'color'?" in capsys.readouterr().err
    for words in (["-k", "1,x"], ["-k", "0"], ["--sample", "0"], ["--sample", "many"]):
        with pytest.raises(SystemExit) as stop:
            main(["evaluate", str(shop / "shop"), *words])
        assert stop.value.code == 2
