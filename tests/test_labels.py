"""Label columns: what is read of them, and which columns are some."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from focusedfashion import settings
from focusedfashion.errors import QueryError
from focusedfashion.items import Item
from focusedfashion.labels import find_label_columns, read_labels, read_values


def make_items(*rows: Mapping[str, Any]) -> list[Item]:
    return [Item(f"item-{number}", columns=columns) for number, columns in enumerate(rows)]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("dress", ("dress",)),
        (["dress", "belt", "dress"], ("dress", "belt")),
        ('["dress", "belt"]', ("dress", "belt")),
        (True, ("True",)),
        (2012, ("2012",)),
        (2012.0, ("2012",)),  # a missing cell made a float of it
        (None, ()),
        ("", ()),
        ([], ()),
        (float("nan"), ()),
    ],
)
def test_values_of_one_item(cell: object, expected: tuple[str, ...]) -> None:
    assert read_values(make_items({"kind": cell})[0], "kind") == expected


def test_an_item_that_lacks_the_column_says_nothing() -> None:
    item = Item("a", brand="Acme")
    assert read_values(item, "kind") == ()
    assert read_values(item, "brand") == ("Acme",)


def test_one_column_gives_its_values_as_labels() -> None:
    items = make_items({"kind": "skirt"}, {"kind": ["dress", "belt"]}, {}, {"kind": ["skirt"]})
    labels = read_labels(items, ["kind"])
    assert labels.names == ("belt", "dress", "skirt")
    assert labels.columns == ("kind",) * 3
    assert labels.truth.astype(int).tolist() == [[0, 0, 1], [1, 1, 0], [0, 0, 0], [0, 0, 1]]
    assert labels.known.tolist() == [[True], [True], [False], [True]]


def test_several_columns_give_one_flat_list() -> None:
    items = make_items({"kind": "dress", "color": "red"}, {"color": "blue"}, {"kind": "skirt", "kids": False})
    labels = read_labels(items, ["kind", "color", "kids", "kind"])
    assert labels.names == ("color: blue", "color: red", "kids: False", "kind: dress", "kind: skirt")
    assert labels.columns == ("color", "color", "kids", "kind", "kind")
    assert labels.truth.astype(int).tolist() == [[0, 1, 0, 1, 0], [1, 0, 0, 0, 0], [0, 0, 1, 0, 1]]
    # In the order in which the columns were asked for.
    assert labels.known.tolist() == [[True, True, False], [False, True, False], [True, False, True]]


def test_labels_do_not_depend_on_the_order_of_the_items() -> None:
    items = make_items(*({"kind": f"kind {n % 4}", "year": 2010 + n % 3} for n in range(40)))
    order = np.random.default_rng(0).permutation(40)
    labels, mixed = read_labels(items, ["kind", "year"]), read_labels([items[row] for row in order], ["kind", "year"])
    assert labels.names == mixed.names
    np.testing.assert_array_equal(labels.truth[order], mixed.truth)


def test_text_that_holds_lists_is_taken_apart() -> None:
    items = make_items(*({"tags": text} for text in ["red|dress", "blue|dress", "red|skirt", "dress", "skirt|blue"]))
    assert read_labels(items, ["tags"]).names == ("blue", "dress", "red", "skirt")


def test_label_columns_are_those_whose_values_repeat() -> None:
    items = make_items(
        *(
            {
                "sku": f"SKU {n}",
                "kind": ["dress", "skirt"][n % 2],
                "stock": n * 7,
                "size": [36, 38, 40][n % 3],
                "split": ["train", "test"][n % 2],
                "price text": f"{n}.99 euros",
            }
            for n in range(60)
        )
    )
    assert find_label_columns(items) == ["kind", "size"]
    assert find_label_columns([]) == []


def test_an_unknown_column_is_an_error_with_the_nearest_name() -> None:
    items = make_items({"category": "dress", "color": "red"})
    with pytest.raises(QueryError, match="no column 'categroy' to take labels from; did you mean 'category'"):
        read_labels(items, ["categroy"])
    with pytest.raises(QueryError, match="no column 'xyz' to take labels from; there are: category, color"):
        read_labels(items, ["xyz"])
    with pytest.raises(QueryError, match="no label column is given"):
        read_labels(items, [])


def test_a_column_that_holds_no_labels_is_an_error() -> None:
    many = make_items(*({"sku": f"SKU {n}"} for n in range(settings.MAX_LABELS + 1)))
    with pytest.raises(QueryError, match="column 'sku' has more than 5,000 different values"):
        read_labels(many, ["sku"])
    with pytest.raises(QueryError, match="column 'box' holds nothing that could be a label"):
        read_labels(make_items({"box": {"left": 1}}, {"box": {"left": 2}}), ["box"])
