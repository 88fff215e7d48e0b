"""A catalog from a feed, kept current: pictures by URL, boxes, what left the source, the report."""

from __future__ import annotations

import json
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest

from conftest import draw_garment, draw_items
from focusedfashion import indexing, settings
from focusedfashion.catalog import Catalog
from focusedfashion.cli import main
from focusedfashion.encoders import Encoder
from focusedfashion.images import open_image, read_file
from focusedfashion.indexing import IndexReport
from focusedfashion.items import Box, Failure, Item
from focusedfashion.sources import read_source
from web import Reply, serve_web


@pytest.fixture
def catalog(tmp_path: Path, tiny_encoder: Encoder) -> Catalog:
    return Catalog(tmp_path / "shop", tiny_encoder)


def index(catalog: Catalog, items: list[Item | Failure], **options: bool) -> IndexReport:
    return replace(catalog.index(items, allow_private=True, **options), seconds=0.0)


def write_feed(path: Path, address: str, names: list[str], price: str = "49.90 EUR") -> Path:
    entries = "".join(
        f"<item><g:id>{name}</g:id><title>Garment {name}</title><g:price>{price}</g:price>"
        f"<g:image_link>{address}/{name}.jpg</g:image_link></item>"
        for name in names
    )
    path.write_text(
        f'<?xml version="1.0"?><rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel>{entries}</channel></rss>'
    )
    return path


def test_a_feed_is_fetched_indexed_and_kept_current(tmp_path: Path, catalog: Catalog) -> None:
    replies = {
        f"/{name}.jpg": Reply(draw_garment(color), etag=f'"{name}"')
        for name, color in (("a", "red"), ("b", "green"), ("c", "blue"))
    }
    replies["/d.jpg"] = Reply(status=404)
    with serve_web(replies) as web:
        feed = write_feed(tmp_path / "feed.xml", web.address, ["a", "b", "c", "d"])
        assert index(catalog, list(read_source(feed))) == IndexReport(added=3, failed=1)
        assert [(entry.item_id, entry.step) for entry in catalog.failures()] == [("d", "fetch")]
        assert "404" in catalog.failures()[0].reason
        assert catalog.item("a").price == 49.9 and catalog.item("a").image == f"{web.address}/a.jpg"
        assert [label.label for label in catalog.item("b").attributes["color"]] == ["green"]

        # Unchanged: the server says so, and sends nothing. A new price touches no picture.
        report = index(catalog, list(read_source(feed)))
        assert report == IndexReport(unchanged=3, failed=1)
        write_feed(feed, web.address, ["a", "b", "c", "d"], price="39.90 EUR")
        before = catalog.thumbnail("a")
        assert index(catalog, list(read_source(feed))) == IndexReport(updated=3, failed=1)
        assert catalog.item("a").price == 39.9 and catalog.thumbnail("a") == before
        asked = [asked.headers.get("if-none-match") for asked in web.asked if asked.path == "/a.jpg"]
        assert asked == [None, '"a"', '"a"']

    # Mended, and by `--retry-failed` only that one is asked for.
    replies["/d.jpg"] = Reply(draw_garment("white"))
    with serve_web(replies) as web:
        feed = write_feed(tmp_path / "feed.xml", web.address, ["a", "b", "c", "d"])
        assert index(catalog, list(read_source(feed)), retry_failed=True) == IndexReport(added=1)
        assert (web.count("/a.jpg"), web.count("/d.jpg")) == (0, 1)
    assert catalog.failures() == []


def test_a_picture_that_changed_under_its_url_is_encoded_anew(catalog: Catalog) -> None:
    item = Item("a", picture="")
    for color in ("red", "blue"):
        with serve_web({"/a.jpg": Reply(draw_garment(color), headers={"ETag": f'"{color}"'})}) as web:
            index(catalog, [replace(item, picture=f"{web.address}/a.jpg")])
        assert [label.label for label in catalog.item("a").attributes["color"]] == [color]


def test_the_validator_of_one_url_is_not_sent_to_another(catalog: Catalog) -> None:
    same = {"ETag": '"1"'}
    replies = {"/a.jpg": Reply(draw_garment("red"), headers=same), "/b.jpg": Reply(draw_garment("blue"), headers=same)}
    with serve_web(replies) as web:
        index(catalog, [Item("x", image="a", picture=f"{web.address}/a.jpg")])
        assert index(catalog, [Item("x", image="b", picture=f"{web.address}/b.jpg")]) == IndexReport(updated=1)
    assert [label.label for label in catalog.item("x").attributes["color"]] == ["blue"]


def test_private_addresses_are_refused_unless_allowed(catalog: Catalog) -> None:
    with serve_web({"/a.jpg": Reply(draw_garment())}) as web:
        report = catalog.index([Item("a", picture=f"{web.address}/a.jpg"), *draw_items(1)])
        assert (report.added, report.failed) == (1, 1)
        assert web.count("/a.jpg") == 0


def test_what_left_the_source_goes_with_sync(catalog: Catalog, caplog: pytest.LogCaptureFixture) -> None:
    items = draw_items(6)
    index(catalog, [*items])
    assert index(catalog, [*items[:5]]) == IndexReport(unchanged=5)
    # A row that cannot be read may be of the item that seems gone.
    broken = Failure("line 6", "read", "3 cells where the header has 4")
    assert index(catalog, [*items[:5], broken], sync=True) == IndexReport(unchanged=5, failed=1)
    assert "nothing was removed: 1 items are not in the source" in caplog.text
    # One that is named but cannot be used stays, and so does one that is left out on purpose.
    dead, skipped = replace(items[4], picture=None), Failure("robots", "skip", "left out")
    report = index(catalog, [*items[:4], dead, skipped], sync=True)
    assert report == IndexReport(unchanged=4, failed=2, removed=1)
    assert catalog.info().items == 5
    # So do the entries of what failed once and is not in the source any more.
    assert {failure.item_id for failure in catalog.failures()} == {items[4].item_id, "robots"}
    assert index(catalog, [*items[:5]], sync=True) == IndexReport(unchanged=5)
    assert catalog.failures() == []


def test_sync_keeps_what_a_retry_passes_over(catalog: Catalog) -> None:
    items = draw_items(3)
    index(catalog, [*items[:2], replace(items[2], picture=b"junk")])
    assert index(catalog, [*items], retry_failed=True, sync=True) == IndexReport(added=1)
    assert catalog.info().items == 3


def test_sync_keeps_entries_while_rows_cannot_be_read(catalog: Catalog) -> None:
    items = draw_items(2)
    index(catalog, [items[0], replace(items[1], picture=b"junk")])
    # The row that cannot be read may be the one that failed before.
    index(catalog, [items[0], Failure("line 2", "read", "3 cells where the header has 4")], sync=True)
    assert {failure.item_id for failure in catalog.failures()} == {items[1].item_id, "line 2"}


def test_garments_of_one_picture_are_items_with_boxes(tmp_path: Path, catalog: Catalog) -> None:
    pixels = np.full((80, 120, 3), 225, np.uint8)
    pixels[:, :60], pixels[:, 60:] = (200, 30, 40), (30, 60, 200)
    from PIL import Image

    path = tmp_path / "two.png"
    Image.fromarray(pixels).save(path)
    left, right = Box(0, 0, 60, 80), Box(60, 0, 120, 80)
    items = [Item("two#1", picture=path, box=left), Item("two#2", picture=path, box=right)]
    assert index(catalog, [*items]) == IndexReport(added=2)
    assert catalog.item("two#1").box == left
    assert [catalog.item(f"two#{n}").attributes["color"][0].label for n in (1, 2)] == ["red", "blue"]
    assert open_image(catalog.thumbnail("two#1")).shape == (80, 60, 3)
    assert index(catalog, [*items]) == IndexReport(unchanged=2)
    # Another part is another picture, although the file is the same.
    assert index(catalog, [replace(items[0], box=right)]) == IndexReport(updated=1)
    assert catalog.item("two#1").attributes["color"][0].label == "blue"
    beyond = replace(items[0], item_id="c", box=Box(500, 500, 600, 600))
    assert index(catalog, [beyond]) == IndexReport(failed=1)


def test_a_box_that_changes_is_seen_although_the_file_is_known(
    tmp_path: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "SETTLED_SECONDS", 0)
    path = tmp_path / "two.jpg"
    path.write_bytes(draw_garment(size=(120, 80)))
    left, right = Box(0, 0, 60, 80), Box(60, 0, 120, 80)
    reads: list[Path] = []
    monkeypatch.setattr(indexing, "read_file", lambda path: reads.append(path) or read_file(path))
    for box in (left, right, None, left):
        item = Item("two", picture=path, box=box)
        assert sum(astuple(index(catalog, [item]))[:2]) == 1  # added or updated
        assert catalog.item("two").box == box
        assert index(catalog, [item]) == IndexReport(unchanged=1)
    assert len(reads) == 4


def test_a_box_that_changes_is_seen_although_the_server_says_that_nothing_has(catalog: Catalog) -> None:
    left, right = Box(0, 0, 60, 80), Box(60, 0, 120, 80)
    with serve_web({"/a.jpg": Reply(draw_garment(size=(120, 80)), etag='"1"')}) as web:
        for box in (left, right, None):
            item = Item("a", picture=f"{web.address}/a.jpg", box=box)
            assert sum(astuple(index(catalog, [item]))[:2]) == 1
            assert catalog.item("a").box == box
            assert index(catalog, [item]) == IndexReport(unchanged=1)


def test_text_and_lists_of_text_share_a_column(catalog: Catalog) -> None:
    one, two = draw_items(2)
    index(catalog, [replace(one, columns={"color": "red", "size": ["S", "M"]})])
    index(catalog, [replace(two, columns={"color": ["red", "blue"], "size": "M"})])
    assert catalog.item(two.item_id).columns == {"color": "red, blue", "size": ["M"]}
    assert not catalog.failures()


def test_a_feed_by_its_url(tmp_path: Path) -> None:
    with serve_web({"/a.jpg": Reply(draw_garment())}) as pictures:
        feed = write_feed(tmp_path / "feed.xml", pictures.address, ["a"]).read_bytes()
        with serve_web({"/feed": Reply(feed)}) as web:
            (item,) = read_source(f"google:{web.address}/feed", allow_private=True)
            assert isinstance(item, Item) and item.picture == f"{pictures.address}/a.jpg"


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("feed.xml", "<rss><channel></channel></rss>", "google"),
        ("feed.txt.csv", "id,title,image_link\n1,a,https://a.example/1.jpg\n", "google"),
        ("products.csv", "Handle,Title,Image Src,Option1 Name\na,A,https://a.example/1.jpg,Size\n", "shopify"),
        ("products.json", '{"products": []}', "shopify"),
        ("train.json", '{"images": [{"image_id": 1, "url": "https://a.example/1.jpg"}]}', "imaterialist"),
        ("shop.csv", "id,image,title\n1,a.jpg,A\n", ""),
        ("page.html", "<html></html>", "page"),
    ],
)
def test_files_of_an_unmistakable_form_need_no_kind(tmp_path: Path, name: str, text: str, kind: str) -> None:
    from focusedfashion.sources import _recognize

    path = tmp_path / name
    path.write_text(text)
    assert _recognize(path) == kind


def test_the_items_of_a_catalog_come_with_their_thumbnails(catalog: Catalog) -> None:
    index(catalog, [*draw_items(5)])
    items = {item.item_id: item for item in catalog.items()}
    assert sorted(items) == [item.item_id for item in draw_items(5)]
    assert items["item-003"].picture == catalog.thumbnail("item-003")
    assert items["item-003"].columns["stock"] == 3


def test_the_report_of_a_catalog_and_of_a_source(
    tmp_path: Path, catalog: Catalog, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    index(catalog, [*draw_items(6), Failure("bad", "read", "no")])
    assert main(["report", catalog.path]) == 0
    page = Path("report.html").read_text()
    assert "garment" in page and "https://" not in page.replace("http://www.w3.org", "")
    assert "6 items" in capsys.readouterr().out
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(draw_garment())
    assert main(["report", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["items"] == 1
    assert main(["report", str(tmp_path / "nowhere")]) == 1
