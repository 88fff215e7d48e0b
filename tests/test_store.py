from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from conftest import draw_items
from focusedfashion import settings
from focusedfashion.encoders import Encoder, load_encoder
from focusedfashion.errors import CatalogError, CatalogMissing, EncoderMismatch, ItemNotFound, QueryError
from focusedfashion.indexing import IndexReport, index_items
from focusedfashion.items import Failure, Item
from focusedfashion.rows import Columns, make_schema, read_items
from focusedfashion.store import Store, Writer


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "shop"))


def fill(store: Store, encoder: Encoder, items: list[Item]) -> IndexReport:
    return index_items(items, encoder, store)


def give(item: Item, **columns: Any) -> Item:
    return replace(item, columns=columns)


# Opening


def test_missing_catalog_is_an_error_and_stays_missing(store: Store) -> None:
    reads = (
        store.read_identity,
        store.measure,
        store.list_failures,
        store.list_states,
        lambda: store.read_row("a"),
        lambda: store.read_thumbnail("a"),
        lambda: store.read_filter("price < 1"),
        lambda: store.nearest(np.zeros(35, np.float32), 1),
        lambda: store.write().__enter__(),
    )
    for read in reads:
        with pytest.raises(CatalogMissing, match=r"focusedfashion index .*shop SOURCE"):
            read()
    assert not Path(store.path).exists()


def test_folder_without_catalog(store: Store) -> None:
    Path(store.path).mkdir()
    with pytest.raises(CatalogMissing, match=r"no catalog at .*shop: make one"):
        store.read_identity()
    assert not list(Path(store.path).iterdir())


def test_catalog_that_is_a_file(store: Store, tiny_encoder: Encoder) -> None:
    Path(store.path).write_text("a list of clothes")
    with pytest.raises(CatalogError, match="is a file, not a catalog"):
        store.read_identity()
    with pytest.raises(CatalogError, match="is a file, not a catalog"):
        fill(store, tiny_encoder, draw_items(1))


def test_folder_of_other_things_is_left_alone(store: Store, tiny_encoder: Encoder) -> None:
    Path(store.path).mkdir()
    Path(store.path, "photo.jpg").write_bytes(b"")
    with pytest.raises(CatalogError, match="a folder of other things"):
        fill(store, tiny_encoder, draw_items(1))
    assert [entry.name for entry in Path(store.path).iterdir()] == ["photo.jpg"]


def test_newer_format(store: Store) -> None:
    said = {"format": 2, "encoder": "builtin", "fingerprint": "00", "blocks": {}}
    schema = pa.schema([pa.field("item_id", pa.string())], metadata={"focusedfashion": json.dumps(said)})
    lance.write_dataset(schema.empty_table(), f"{store.path}/items.lance")
    with pytest.raises(CatalogError, match="catalog format 2, this version reads up to 1: update focusedfashion"):
        store.read_identity()


def test_lance_table_of_someone_else(store: Store) -> None:
    lance.write_dataset(pa.table({"item_id": ["a"]}), f"{store.path}/items.lance")
    with pytest.raises(CatalogError, match="is a Lance table but no catalog"):
        store.read_identity()


def test_damaged_catalog_is_one_line(store: Store, tiny_encoder: Encoder) -> None:
    fill(store, tiny_encoder, draw_items(2))
    for manifest in Path(store.path, "items.lance", "_versions").iterdir():
        manifest.write_bytes(b"nonsense")
    with pytest.raises(CatalogError, match="shop cannot be opened") as caught:
        store.read_identity()
    assert "\n" not in str(caught.value)


def test_identity_is_kept_through_every_kind_of_write(store: Store, tiny_encoder: Encoder) -> None:
    items = draw_items(3)
    fill(store, tiny_encoder, items)
    fill(store, tiny_encoder, [give(items[0], size=1), *draw_items(1, "more")])
    fill(store, tiny_encoder, [give(items[0], size=1.5)])
    with store.write() as writer:
        writer.remove(["item-001"])
    identity = store.read_identity()
    assert (identity.encoder, identity.fingerprint) == (tiny_encoder.name, tiny_encoder.fingerprint)


def test_another_encoder(store: Store, tiny_encoder: Encoder, other_encoder: Encoder) -> None:
    fill(store, tiny_encoder, draw_items(1))
    told = (
        f"was indexed with encoder .*tiny' .{tiny_encoder.fingerprint[:4]}….*other' .{other_encoder.fingerprint[:4]}…"
    )
    with pytest.raises(EncoderMismatch, match=told), store.write(other_encoder):
        pass


# The source's own columns


def test_columns_of_every_kind_come_back(store: Store, tiny_encoder: Encoder) -> None:
    noon = datetime(2026, 5, 1, 12, tzinfo=UTC)
    given = {
        "base Colour": "navy",
        "Size": 38,
        "weight": 1.5,
        "sale": True,
        "seen": noon,
        "day": date(2026, 5, 1),
        "tags": ["a", "b"],
        "sizes": (1, 2),
        "nested": {"a": [1]},
        "numpy": np.float32(0.5),
        "größe": "M",
    }
    fill(store, tiny_encoder, [give(draw_items(1)[0], **given)])
    columns = read_items(store.read_row("item-000"))[0].columns
    assert columns == {**given, "sizes": [1, 2], "nested": '{"a": [1]}'}
    assert list(columns) == list(given)


def test_values_that_are_none(store: Store, tiny_encoder: Encoder) -> None:
    given = {"empty": None, "nan": float("nan"), "list": [], "bytes": b"x", "text": ""}
    item = replace(give(draw_items(1)[0], **given), price=float("nan"), title=None)
    fill(store, tiny_encoder, [item])
    found = read_items(store.read_row("item-000"))[0]
    assert (found.columns, found.price, found.title) == ({"text": ""}, None, None)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("embedding", "source_embedding"),
        ("Title", "source_Title"),
        ("_rowid", "source__rowid"),
        ("a.b", "a_b"),
        ("tick`ed", "tick_ed"),
        ("two\nlines", "two_lines"),
        ("*", "source__"),
        (" ", "source_"),
        ("it's", "it's"),
    ],
)
def test_column_names_that_a_table_cannot_have(store: Store, tiny_encoder: Encoder, given: str, kept: str) -> None:
    fill(store, tiny_encoder, [give(draw_items(1)[0], **{given: "value"})])
    assert read_items(store.read_row("item-000"))[0].columns == {kept: "value"}
    store.read_filter(f"`{kept}` = 'value'")
    assert len(store.nearest(np.ones(35, np.float32), 5, f"`{kept}` = 'value'")) == 1


def test_new_columns_are_added_and_names_do_not_tell_case(store: Store, tiny_encoder: Encoder) -> None:
    one, two = draw_items(2)
    fill(store, tiny_encoder, [give(one, Size="M")])
    fill(store, tiny_encoder, [give(two, SIZE="L", fabric="wool")])
    assert read_items(store.read_row(one.item_id))[0].columns == {"Size": "M"}
    assert read_items(store.read_row(two.item_id))[0].columns == {"Size": "L", "fabric": "wool"}
    assert len(store.nearest(np.ones(35, np.float32), 5, "size = 'L' AND fabric IS NOT NULL")) == 1


def test_columns_that_differ_only_in_case_are_both_kept(store: Store, tiny_encoder: Encoder) -> None:
    one, two = draw_items(2)
    given = {"Size": "XL", "size": 42, "a.b": "x", "a_b": 1}
    report = fill(store, tiny_encoder, [give(one, **given), give(two, **given)])
    assert (report.added, report.failed) == (2, 0)
    for item in (one, two):
        assert read_items(store.read_row(item.item_id))[0].columns == {
            "Size": "XL",
            "size_2": 42,
            "a_b": "x",
            "a_b_2": 1,
        }


@pytest.mark.parametrize("given", [{"title": 5}, {"price": "9.5"}, {"brand": b"Acme"}])
def test_wrong_type_of_a_field_is_a_ledger_entry(store: Store, tiny_encoder: Encoder, given: dict[str, Any]) -> None:
    one, two = draw_items(2)
    report = fill(store, tiny_encoder, [replace(one, **given), two])
    assert (report.added, report.failed) == (1, 1)
    assert repr(next(iter(given.values()))) in store.list_failures()[0].reason


def test_type_conflict_is_a_ledger_entry(store: Store, tiny_encoder: Encoder) -> None:
    one, two, three = draw_items(3)
    report = fill(
        store, tiny_encoder, [give(one, size=38), give(two, size="M", other=1), give(three, size=39, other="x")]
    )
    assert (report.added, report.failed) == (2, 1)
    (failure,) = store.list_failures()
    assert (failure.item_id, failure.step) == (two.item_id, "store")
    assert failure.reason == "column 'size' holds whole numbers (int64), this row has 'M' (string)"
    with pytest.raises(ItemNotFound):
        store.read_row(two.item_id)


def test_whole_numbers_widen_to_numbers(store: Store, tiny_encoder: Encoder) -> None:
    one, two, three = draw_items(3)
    fill(store, tiny_encoder, [give(one, rating=4)])
    assert fill(store, tiny_encoder, [give(two, rating=4.5), give(three, rating=5)]).failed == 0
    ratings = [read_items(store.read_row(item.item_id))[0].columns["rating"] for item in (one, two, three)]
    assert ratings == [4.0, 4.5, 5.0]
    assert fill(store, tiny_encoder, [give(one, rating=4)]).unchanged == 1


def test_widening_in_one_batch(store: Store, tiny_encoder: Encoder) -> None:
    one, two = draw_items(2)
    fill(store, tiny_encoder, [give(one, rating=4), give(two, rating=4.5)])
    assert read_items(store.read_row(one.item_id))[0].columns["rating"] == 4.0


@pytest.mark.parametrize("swapped", [False, True])
def test_widening_that_was_killed_is_finished(store: Store, tiny_encoder: Encoder, swapped: bool) -> None:
    one, two = draw_items(2)
    fill(store, tiny_encoder, [give(one, rating=4)])
    table = lance.dataset(f"{store.path}/items.lance")
    table.add_columns({"_widened_rating": "CAST(rating AS DOUBLE)"})
    if swapped:
        table.alter_columns(
            {"path": "rating", "name": "_widened_of_rating"}, {"path": "_widened_rating", "name": "rating"}
        )
    assert read_items(store.read_row(one.item_id))[0].columns == {"rating": 4}
    assert "_widened_rating" not in store.nearest(np.ones(35, np.float32), 5).column_names
    fill(store, tiny_encoder, [give(two, rating=4.5)])
    assert read_items(store.read_row(one.item_id))[0].columns == {"rating": 4.0}
    assert not any(name.startswith("_") for name in lance.dataset(f"{store.path}/items.lance").schema.names)


def test_columns_that_differ_in_case_are_one_whenever_they_come(tiny_encoder: Encoder) -> None:
    columns = Columns(make_schema(tiny_encoder))
    assert "size" not in columns.fit_item(Item("a", columns={"size": None})).values
    assert columns.fit_item(Item("b", columns={"Size": "M"})).values["Size"] == "M"
    assert columns.fit_item(Item("c", columns={"size": "L"})).values["Size"] == "L"
    assert list(columns.types) == ["Size"]


def test_columns_learn_nothing_from_a_row_that_does_not_fit(tiny_encoder: Encoder) -> None:
    columns = Columns(make_schema(tiny_encoder))
    columns.fit_item(Item("a", columns={"size": 1}))
    with pytest.raises(CatalogError, match="column 'size'"):
        columns.fit_item(Item("b", columns={"new": 1, "size": "M"}))
    assert columns.types == {"size": pa.int64()}


def test_huge_whole_numbers_are_text(tiny_encoder: Encoder) -> None:
    columns = Columns(make_schema(tiny_encoder))
    assert columns.fit_item(Item("a", columns={"ean": 10**30})).values["ean"] == str(10**30)


# Filters


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Encoder) -> Store:
    """Forty items, to read only."""
    store = Store(str(tmp_path_factory.mktemp("shelf") / "shop"))
    fill(store, tiny_encoder, [give(item, **item.columns, **{"base Colour": "red"}) for item in draw_items(40)])
    return store


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ("price < 3", 3),
        ("PRICE < 3 -- cheap :)", 3),
        ("array_has(attributes.color.labels, 'red')", 10),
        ("array_has_any(attributes.color.labels, ['red', 'blue'])", 20),
        ("`base Colour` = 'red' AND stock BETWEEN 2 AND 4", 3),
        ("title LIKE 'garment 1%'", 11),
        ("title = 'it''s'", 0),
        ("item_id IN ('item-003', 'nope')", 1),
        ("brand IS NULL", 40),
        ("added_at > timestamp '2020-01-01 00:00:00'", 40),
        ("false", 0),
    ],
)
def test_filters_that_work(shelf: Store, where: str, count: int) -> None:
    shelf.read_filter(where)
    assert len(shelf.nearest(np.ones(35, np.float32), 40, where)) == count


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("prise < 3", r"no column 'prise'; did you mean 'price'\? There are item_id, .*attributes.color.labels"),
        ("price < 3 AND base Colour = 'red'", "no column 'base'"),
        ("`base Color` = 'red'", "no column 'base Color'; did you mean 'base Colour'"),
        ("season = summer", "no column 'summer'; text stands in single quotes"),
        ("attributes.colr.labels IS NULL", "no column 'colr'; did you mean 'color'"),
        ("attributes.color.labels = 'red'", r"cannot be compared with a column of type List: write array_has"),
        ("price <", "Expected: an expression"),
        ("price < 'cheap'", '"cheap" cannot be compared with a column of type Float64'),
        ("price", "does not return a boolean"),
        ("foo(price)", "Invalid function 'foo'"),
        ("\"base Colour\" = 'red'", "is text here; write a column name as `base Colour`"),
        ("price < 3) OR (price > 5", "a parenthesis closes that was never opened"),
        ("price < 3)", "a parenthesis closes that was never opened"),
        ("price < 3; DROP TABLE items", r"Expected: \), found: ;"),
        ("price < 3 title = 'x'", r"Expected: \), found: title"),
        ("price < 3 -- :) \n OR prise > 3", "no column 'prise'"),
        ("price < ?", "nothing fills in a placeholder"),
        ("price < $1", "nothing fills in a placeholder"),
        ("(" * 200 + "price < 3" + ")" * 200, "recursion limit"),
        ("price < (SELECT 1)", "not supported"),
    ],
)
def test_filters_that_do_not(shelf: Store, where: str, told: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(QueryError, match=told) as caught:
        shelf.read_filter(where)
    assert str(caught.value).startswith("filter ")
    assert "\n" not in str(caught.value) and ".rs:" not in str(caught.value) and len(str(caught.value)) < 700
    assert not capfd.readouterr().err


def test_filter_that_fails_on_a_row(shelf: Store) -> None:
    shelf.read_filter("stock / 0 > 1")
    with pytest.raises(QueryError, match="filter 'stock / 0 > 1': Divide by zero"):
        shelf.nearest(np.ones(35, np.float32), 3, "stock / 0 > 1")


# Neighbors


def test_nearest_is_exact_and_filters_first(shelf: Store) -> None:
    everything = shelf.nearest(np.ones(35, np.float32), 40)
    embeddings = np.array(everything.column("embedding").to_pylist())
    ids = np.array(everything.column("item_id").to_pylist())
    stock = np.array(everything.column("stock").to_pylist())
    for seed, where, allowed in (
        (0, None, stock >= 0),
        (1, "stock % 3 = 0", stock % 3 == 0),
        (2, "stock > 35", stock > 35),
    ):
        query = np.random.default_rng(seed).normal(size=35).astype(np.float32)
        scores = dict(zip(ids[allowed].tolist(), (embeddings[allowed] @ query).tolist(), strict=True))
        seventh = sorted(scores.values())[-7:][0]  # or the last there is
        found = shelf.nearest(query, 7, where).column("item_id").to_pylist()
        assert {name for name, score in scores.items() if score > seventh + 1e-5} <= set(found)
        assert all(scores[name] > seventh - 1e-5 for name in found)
        assert len(found) >= min(7, len(scores))


def test_nearest_gives_all_ties_of_the_last(store: Store, tiny_encoder: Encoder) -> None:
    alike = [replace(item, picture=draw_items(1)[0].picture) for item in draw_items(30)]
    fill(store, tiny_encoder, alike)
    query = np.ones(35, np.float32)
    assert len(store.nearest(query, 2)) == 30
    assert len(store.nearest(query, 2, "price >= 10")) == 20


Large = tuple[Store, Encoder, NDArray[np.float32]]


@pytest.fixture(scope="module", params=["builtin", "odd"])
def large(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Encoder) -> Large:
    """A catalog with an index of its embeddings and a few rows outside of it, its encoder, the embeddings by number.

    The index packs the bits of 8 dimensions together; the tiny encoder has 35.
    """
    encoder = load_encoder() if request.param == "builtin" else tiny_encoder
    store = Store(str(tmp_path_factory.mktemp("large") / "shop"))
    rows = settings.VECTOR_ROWS * 3
    embeddings = np.random.default_rng(5).normal(size=(rows + 500, encoder.dim)).astype(np.float32)
    for place in encoder.blocks.values():
        embeddings[:, place] /= np.linalg.norm(embeddings[:, place], axis=1, keepdims=True)
    write_rows(store, encoder, embeddings[:rows])
    write_rows(store, encoder, embeddings, rows)
    return store, encoder, embeddings


def write_rows(store: Store, encoder: Encoder, embeddings: NDArray[np.float32], first: int = 0) -> None:
    """Items with these embeddings from number `first` on, as one run of `index`."""
    numbers = range(first, len(embeddings))
    ids = [str(number) for number in numbers]
    table = pa.table({"item_id": ids, "product_id": ids, "stock": pa.array(numbers, pa.int64())})
    flat = pa.array(embeddings[first:].reshape(-1), pa.float32())
    table = table.append_column("embedding", pa.FixedSizeListArray.from_arrays(flat, encoder.dim))
    now = datetime.now(UTC)
    with store.write(encoder) as writer:
        writer.add(table.append_column("updated_at", pa.array([now] * len(table), pa.timestamp("us", "UTC"))))
        writer.finish()


def count_indexed(store: Store) -> int:
    indexes = lance.dataset(f"{store.path}/items.lance").describe_indices()
    return sum(index.num_rows_indexed for index in indexes if index.field_names == ["embedding"])


def test_a_large_catalog_is_searched_through_an_index(large: Large) -> None:
    store, encoder, embeddings = large
    assert count_indexed(store) == settings.VECTOR_ROWS * 3
    random, stock = np.random.default_rng(6), np.arange(len(embeddings))
    for where, allowed in (
        (None, stock >= 0),
        ("stock % 100 = 7", stock % 100 == 7),
        ("stock % 2 = 0", stock % 2 == 0),
        (f"stock >= {settings.VECTOR_ROWS * 3}", stock >= settings.VECTOR_ROWS * 3),
    ):
        right = []
        for block in (slice(None), *encoder.blocks.values()):
            query = np.zeros(encoder.dim, np.float32)
            near = embeddings[random.integers(len(embeddings))] + random.normal(0, 0.05, encoder.dim)
            query[block] = near[block]
            scores = np.where(allowed, embeddings @ query, -np.inf)
            found = [int(name) for name in store.nearest(query, 20, where).column("item_id").to_pylist()]
            assert len(found) >= 20
            right.append(np.mean(np.sort(scores[found])[-20:] >= np.sort(scores)[-20] - 1e-5))
        assert np.mean(right) >= 0.98


def test_a_block_alone_is_looked_for_everywhere(large: Large, monkeypatch: pytest.MonkeyPatch) -> None:
    store, encoder, embeddings = large
    monkeypatch.setattr(settings, "PROBES", 1)  # few partitions are not enough, which a small catalog never shows
    random = np.random.default_rng(8)

    def measure(*blocks: slice) -> float:
        right = []
        for _ in range(8):
            near = embeddings[random.integers(len(embeddings))] + random.normal(0, 0.05, encoder.dim)
            query = np.zeros(encoder.dim, np.float32)
            for block in blocks:
                query[block] = near[block]
            found = [int(name) for name in store.nearest(query, 20).column("item_id").to_pylist()]
            scores = embeddings @ query
            right.append(np.mean(np.sort(scores[found])[-20:] >= np.sort(scores)[-20] - 1e-5))
        return float(np.mean(right))

    places = list(encoder.blocks.values())
    assert measure(*places) < 0.98
    for block in places:
        assert measure(block) >= 0.98


def test_a_filter_that_leaves_few_of_a_large_catalog(large: Large) -> None:
    store, _, embeddings = large
    assert len(store.nearest(embeddings[0], 20, "stock % 5000 = 3")) == 4
    assert len(store.nearest(embeddings[0], 3, "stock % 5000 = 3")) == 3
    assert len(store.nearest(embeddings[0], 20, "stock < 0")) == 0


def test_new_rows_are_found_before_and_after_they_are_indexed(large: Large, monkeypatch: pytest.MonkeyPatch) -> None:
    store, _, embeddings = large
    last = str(len(embeddings) - 1)

    def find_last() -> bool:
        return last in store.nearest(embeddings[-1], 1).column("item_id").to_pylist()

    assert find_last()
    monkeypatch.setattr(settings, "TAIL_ROWS", 100)
    with store.write() as writer:
        writer.finish()
    assert count_indexed(store) == len(embeddings)
    assert find_last()
    with store.write() as writer:
        writer.remove([last])
    assert not find_last()


def test_the_index_is_made_anew_when_the_catalog_has_grown(
    store: Store, tiny_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "VECTOR_ROWS", 400)
    embeddings = np.random.default_rng(7).normal(size=(600, tiny_encoder.dim)).astype(np.float32)
    write_rows(store, tiny_encoder, embeddings[:400])
    write_rows(store, tiny_encoder, embeddings[:450], 400)  # a few rows more stay outside
    assert count_indexed(store) == 400
    write_rows(store, tiny_encoder, embeddings[:500], 450)
    assert count_indexed(store) == 500
    write_rows(store, tiny_encoder, embeddings, 500)  # from here it counts anew
    assert count_indexed(store) == 500
    assert store.nearest(embeddings[599], 1).column("item_id").to_pylist() == ["599"]


# Writing


def test_remove_and_odd_ids(store: Store, tiny_encoder: Encoder) -> None:
    odd = ["it's", 'a"b', "ü/ñ.jpg", "; --", "100%_"]
    items = [replace(item, item_id=name) for item, name in zip(draw_items(5), odd, strict=True)]
    fill(store, tiny_encoder, items)
    for name in odd:
        assert read_items(store.read_row(name))[0].item_id == name
    with store.write() as writer:
        assert writer.remove(["it's", "nope", "it's"]) == 1
        assert writer.remove([]) == 0
    assert store.measure()["items"] == 4
    with pytest.raises(ItemNotFound, match='no item "it\'s"'):
        store.read_row("it's")


def test_ledger_holds_one_entry_an_item(store: Store, tiny_encoder: Encoder) -> None:
    fill(store, tiny_encoder, draw_items(1))
    assert store.list_failures() == []
    with store.write() as writer:
        writer.record([Failure("b", "read", "no"), Failure("a", "picture", "broken")])
        writer.record([Failure("a", "picture", "still broken", 2)])
        assert store.list_failures() == [Failure("a", "picture", "still broken", 2), Failure("b", "read", "no")]
        writer.forget(["a", "nope"])
    assert store.measure()["failed"] == 1


def test_many_commits_are_joined_indexed_and_cleaned(
    store: Store, tiny_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("COMMIT_ROWS", 4), ("ENCODE_BATCH", 4), ("MAX_FRAGMENTS", 4), ("INDEX_ROWS", 20)):
        monkeypatch.setattr(settings, name, value)
    items = draw_items(48)
    fill(store, tiny_encoder, items)
    table = lance.dataset(f"{store.path}/items.lance")
    assert len(table.get_fragments()) <= 5
    assert "ScalarIndexQuery" in table.scanner(filter="item_id = 'item-001'").explain_plan()
    # Everything of the last minutes is kept for those who read it, and reading what was replaced still works.
    assert table.checkout_version(3).count_rows() == 4  # after the empty table and its new columns
    time.sleep(1.2)
    # With the index in place, changed, new and removed rows are still found.
    changed = [replace(item, price=99.0) for item in items[:3]]
    fill(store, tiny_encoder, [*changed, *items[3:], *draw_items(3, "new")])
    with store.write() as writer:
        writer.remove(["item-005"])
    assert read_items(store.read_row("item-001"))[0].price == 99.0
    assert read_items(store.read_row("new-002"))[0].price == 2.0
    with pytest.raises(ItemNotFound):
        store.read_row("item-005")
    assert store.measure()["items"] == 50
    monkeypatch.setattr(settings, "KEEP_VERSIONS", 0)
    fill(store, tiny_encoder, [replace(items[0], price=1.0)])
    with pytest.raises((OSError, ValueError), match="not found"):
        table.checkout_version(3)
    assert store.measure()["items"] == 50


def test_a_second_writer_waits_and_says_for_whom(
    store: Store, tiny_encoder: Encoder, caplog: pytest.LogCaptureFixture
) -> None:
    fill(store, tiny_encoder, draw_items(2))
    done = threading.Event()

    def write() -> None:
        fill(store, tiny_encoder, draw_items(4))
        done.set()

    with caplog.at_level(logging.WARNING, "focusedfashion"):
        with store.write() as writer:
            second = threading.Thread(target=write)
            second.start()
            deadline = time.monotonic() + 60
            while not caplog.messages and time.monotonic() < deadline:
                time.sleep(0.01)
            assert not done.is_set()
            assert writer.remove(["item-000"]) == 1
        second.join(60)
    assert done.is_set()
    assert store.measure()["items"] == 4
    (message,) = caplog.messages
    assert "is being written by process" in message and "since 20" in message


def test_lock_is_let_go_after_an_error(store: Store, tiny_encoder: Encoder) -> None:
    def break_off() -> Iterator[Item]:
        yield draw_items(1)[0]
        raise ValueError("the line went dead")

    with pytest.raises(ValueError, match="line went dead"):
        index_items(break_off(), tiny_encoder, store)
    with store.write() as writer:
        assert isinstance(writer, Writer)
