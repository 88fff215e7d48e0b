from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

import focusedfashion as ff
from conftest import draw_garment, draw_items
from focusedfashion import settings
from focusedfashion.encoders import encoder as encoder_module
from focusedfashion.images import open_image


@pytest.fixture
def catalog(tmp_path: Path, tiny_encoder: ff.Encoder) -> ff.Catalog:
    return ff.Catalog(tmp_path / "shop", encoder=tiny_encoder)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: ff.Encoder) -> ff.Catalog:
    """Twenty-four items of twelve products, to read only."""
    catalog = ff.Catalog(tmp_path_factory.mktemp("catalog") / "shop", encoder=tiny_encoder)
    catalog.index([*draw_items(24), ff.Failure("line 9", "read", "no id")])
    return catalog


def test_making_the_object_touches_nothing(tmp_path: Path) -> None:
    catalog = ff.Catalog(str(tmp_path / "shop"), encoder="no such encoder")
    assert catalog.path == str(tmp_path / "shop")
    assert not list(tmp_path.iterdir())


def test_every_read_of_a_missing_catalog(catalog: ff.Catalog) -> None:
    reads = (
        lambda: catalog.search(draw_garment()),
        lambda: catalog.search_text("red"),
        lambda: catalog.similar("a"),
        lambda: catalog.item("a"),
        lambda: catalog.thumbnail("a"),
        lambda: catalog.remove(["a"]),
        catalog.info,
        catalog.failures,
    )
    for read in reads:
        with pytest.raises(ff.CatalogMissing, match=r"no catalog at .*shop: make one with `focusedfashion index"):
            read()
    assert not Path(catalog.path).exists()


def test_info(shop: ff.Catalog, tiny_encoder: ff.Encoder) -> None:
    info = shop.info()
    assert (info.items, info.products, info.failed) == (24, 12, 1)
    assert (info.encoder, info.fingerprint) == (tiny_encoder.name, tiny_encoder.fingerprint)
    age = datetime.now().astimezone() - datetime.fromisoformat(info.indexed)
    assert info.indexed.endswith("+00:00") and 0 <= age.total_seconds() < 60
    on_disk = sum(path.stat().st_size for path in Path(shop.path, "items.lance", "data").iterdir())
    assert 0 < info.bytes <= on_disk


def test_search_finds_the_picture_itself(shop: ff.Catalog, tmp_path: Path) -> None:
    picture = draw_items(24)[13].picture
    assert isinstance(picture, bytes)
    (tmp_path / "query.jpg").write_bytes(picture)
    for query in (picture, tmp_path / "query.jpg", str(tmp_path / "query.jpg"), open_image(picture)):
        matches = shop.search(query, k=3)
        assert len(matches) == 3
        assert matches[0].item == shop.item("item-013")
        assert matches[0].score == pytest.approx(1)
        assert [match.rank for match in matches] == [1, 2, 3]


def test_focus_and_filter(shop: ff.Catalog) -> None:
    picture = draw_garment("green", kind=0)
    by_color = shop.search(picture, focus={"shape": 0, "pattern": 0}, k=2)
    assert all(match.item.attributes["color"][0].label == "green" for match in by_color)
    cheap = shop.search(picture, where="price < 4", k=24)
    assert sorted(match.item.product_id for match in cheap) == ["item-product-0", "item-product-1"]
    assert list(shop.search(picture, where="  ")) == list(shop.search(picture))


def test_search_by_words(shop: ff.Catalog, tiny_encoder: ff.Encoder, text_encoder: ff.Encoder) -> None:
    worded = ff.Catalog(shop.path, encoder=text_encoder)  # the same pictures' embeddings: the catalog needs no other
    for color in ("red", "green", "blue"):
        matches = worded.search_text(f"{color} trousers", k=2, focus={"pattern": 0})
        assert [match.item.attributes["color"][0].label for match in matches] == [color, color]
        first = int(matches[0].item.item_id.removeprefix("item-"))
        assert first // 4 % 3 == 2  # of draw_items' kinds, trousers
        cosines = worded.search(draw_garment(color), k=1)[0].blocks
        assert set(matches[0].blocks) == set(cosines) and matches[0].blocks["pattern"] < 1
    cheap = worded.search_text("red", where="price < 4", k=24)
    assert sorted(match.item.product_id for match in cheap) == ["item-product-0", "item-product-1"]
    rest = worded.search_text("red", k=3, start=2, sort="score", collapse=False, thumbnails=True)
    assert [match.rank for match in rest] == [3, 4, 5] and rest.more
    assert list(worded.search_text("red", k=5, collapse=False))[2:] == [
        replace(match, item=replace(match.item, picture=None)) for match in rest
    ]
    whys = worded.explain("red", rest)
    assert [(why.shared, why.different, why.colors) for why in whys] == [((), (), None)] * 3


def test_texts_that_find_nothing(shop: ff.Catalog, text_encoder: ff.Encoder) -> None:
    with pytest.raises(ff.EncoderError, match=r"the encoder '.*tiny' has no text side: search by a picture"):
        shop.search_text("red")
    worded = ff.Catalog(shop.path, encoder=text_encoder)
    assert len(worded.search_text("r" * settings.MAX_TEXT)) == settings.DEFAULT_K
    for text, told in (
        ("", "an empty text"),
        (" ", "an empty text"),
        ("r" * (settings.MAX_TEXT + 1), "has 1,001 characters: say it in 1,000 at most"),
        (None, "made of words, not None"),
    ):
        with pytest.raises(ff.QueryError, match=told):
            worded.search_text(text)  # type: ignore[arg-type]
    with pytest.raises(ff.QueryError, match="k must be"):
        worded.search_text("red", k=0)


def test_more_than_there_are(shop: ff.Catalog) -> None:
    assert len(shop.search(draw_garment(), k=1000)) == 12
    assert len(shop.similar("item-000", k=1000)) == 11


def test_similar_never_gives_the_same_product(shop: ff.Catalog) -> None:
    for k in (1, 5, 50):
        matches = shop.similar("item-006", k=k)
        assert len(matches) == min(k, 11)
        assert "item-product-3" not in {match.item.product_id for match in matches}
    assert {match.item.item_id for match in shop.similar("item-006", 9, where="price < 8")} <= {
        f"item-00{n}" for n in range(6)
    }


def test_similar_runs_no_network(shop: ff.Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_module.Encoder, "_run", None)
    assert shop.similar("item-000")


@pytest.mark.parametrize("item_id", ["nope", "", "' OR 1=1 --", "item-00%"])
def test_unknown_items(shop: ff.Catalog, item_id: str) -> None:
    for read in (shop.item, shop.thumbnail, shop.similar):
        with pytest.raises(ff.ItemNotFound, match="no item"):
            read(item_id)


def test_questions_are_checked_before_the_picture_is_opened(shop: ff.Catalog) -> None:
    with pytest.raises(ff.QueryError, match="k must be"):
        shop.search("missing.jpg", k=0)
    with pytest.raises(ff.QueryError, match="no block 'sleeves'"):
        shop.search("missing.jpg", focus={"sleeves": 1})
    with pytest.raises(ff.QueryError, match="no column 'prise'; did you mean 'price'"):
        shop.search("missing.jpg", where="prise < 3")
    with pytest.raises(ff.PictureError, match=r"missing.jpg: no such file"):
        shop.search("missing.jpg")
    for call in (lambda: shop.similar("item-000", k=0), lambda: shop.similar("item-000", where="(")):
        with pytest.raises(ff.QueryError):
            call()


def test_a_catalog_knows_its_encoder(catalog: ff.Catalog, tiny_encoder: ff.Encoder, other_folder: Path) -> None:
    catalog.index(draw_items(2))
    again = ff.Catalog(catalog.path)
    assert again.search(draw_garment())
    assert again.encoder.fingerprint == tiny_encoder.fingerprint
    wrong = ff.Catalog(catalog.path, encoder=other_folder)
    source = iter(draw_items(4))
    told = r"was indexed with encoder '.*tiny' \(\w{4}…\), not '.*other' \(\w{4}…\)\. Open it with the first, or index"
    for call in (lambda: wrong.search(draw_garment()), lambda: wrong.index(source), lambda: wrong.similar("item-000")):
        with pytest.raises(ff.EncoderMismatch, match=told):
            call()
    assert next(source).item_id == "item-000"  # no work was done before
    assert wrong.item("item-000").title == "garment 0"  # what needs no encoder works with any


def test_an_encoder_that_is_gone(catalog: ff.Catalog, tmp_path: Path, encoder_folder: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(encoder_folder, moved)
    ff.Catalog(catalog.path, encoder=moved).index(draw_items(1))
    shutil.rmtree(moved)
    with pytest.raises(ff.EncoderError, match=r"no encoder '.*moved'"):
        ff.Catalog(catalog.path).search(draw_garment())
    assert catalog.search(draw_garment())  # the same encoder in another place


def test_a_catalog_that_was_made_anew_with_another_encoder(
    catalog: ff.Catalog, tiny_encoder: ff.Encoder, other_encoder: ff.Encoder
) -> None:
    catalog.index(draw_items(1))
    shutil.rmtree(catalog.path)
    ff.Catalog(catalog.path, encoder=other_encoder).index(draw_items(1))
    with pytest.raises(ff.EncoderMismatch):
        catalog.search(draw_garment())


def test_remove_forgets_failures_too(catalog: ff.Catalog) -> None:
    catalog.index([*draw_items(3), ff.Item("bad", picture=b"junk")])
    assert catalog.remove(["item-001", "bad", "nope"]) == 2
    assert catalog.failures() == []
    assert catalog.info().items == 2
    assert catalog.index(draw_items(3)).added == 1


def test_an_open_catalog_sees_what_others_write(catalog: ff.Catalog, tiny_encoder: ff.Encoder) -> None:
    catalog.index(draw_items(2))
    assert len(catalog.search(draw_garment(), k=50)) == 1
    ff.Catalog(catalog.path).index(draw_items(8))
    assert len(catalog.search(draw_garment(), k=50)) == 4


def test_searching_while_indexing(catalog: ff.Catalog) -> None:
    catalog.index(draw_items(4))
    found: list[int] = []
    problems: list[BaseException] = []
    done = threading.Event()

    def search() -> None:
        try:
            while not done.is_set():
                found.append(len(catalog.search(draw_garment(), k=50)))
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()

    def change() -> Iterator[ff.Item]:
        yield from (replace(item, price=1.0) for item in draw_items(40))

    for _ in range(3):
        catalog.index(change())
        catalog.remove([f"item-{n:03}" for n in range(30, 40)])
    done.set()
    for thread in threads:
        thread.join(10)
    assert not problems
    assert found
    assert set(found) <= {2, 15, 20}
