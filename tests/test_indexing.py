from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pyarrow as pa
import pytest

from conftest import draw_garment, draw_items
from focusedfashion import images, indexing, settings
from focusedfashion.encoders import Encoder
from focusedfashion.errors import CatalogError, MissingExtra, SourceError
from focusedfashion.images import name_thumbnail_type, open_image
from focusedfashion.indexing import IndexReport, encode_batch, index_items
from focusedfashion.items import Failure, Item
from focusedfashion.rows import Columns, State, make_schema, read_items
from focusedfashion.sources import read_source
from focusedfashion.store import Store, Writer

Index = Callable[..., IndexReport]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "shop"))


@pytest.fixture
def index(store: Store, tiny_encoder: Encoder) -> Index:
    def run(items: list[Item | Failure], **options: object) -> IndexReport:
        return replace(index_items(items, tiny_encoder, store, **options), seconds=0.0)

    return run


def read_item(store: Store, item_id: str) -> Item:
    return read_items(store.read_row(item_id))[0]


def test_items_come_back_as_they_went_in(store: Store, index: Index) -> None:
    picture = draw_garment("blue")
    item = Item(
        "a", "a.jpg", "p", "Shirt", "Acme", "https://acme.example/a", 9.5, "EUR", {"fit": "slim"}, picture=picture
    )
    assert index([item]) == IndexReport(added=1)
    found = read_item(store, "a")
    assert replace(found, attributes={}) == replace(item, picture=None)
    assert [label.label for label in found.attributes["color"]] == ["blue"]


def test_embeddings_are_the_encoders(store: Store, index: Index, tiny_encoder: Encoder) -> None:
    items = draw_items(20)
    index(items)
    for item in (items[0], items[13], items[19]):
        stored = store.read_row(item.item_id).column("embedding")[0].as_py()
        expected = tiny_encoder.embed([item.picture])[0]
        np.testing.assert_allclose(stored, expected, atol=1e-6)


def test_thumbnail_is_small_and_jpeg(store: Store, index: Index) -> None:
    index([Item("a", picture=draw_garment(size=(900, 1200)))])
    thumbnail = store.read_thumbnail("a")
    assert name_thumbnail_type(thumbnail) == "image/jpeg"
    assert max(open_image(thumbnail).shape) == settings.THUMBNAIL_SIDE


def test_the_middle_is_a_plain_function(tiny_encoder: Encoder) -> None:
    columns = Columns(make_schema(tiny_encoder))
    items = [*draw_items(2), Item("broken", picture=b"junk")]
    rows = [columns.fit_item(item) for item in items]
    known = {"item-001": State("another picture", "another row")}
    batch = encode_batch(rows, columns.types, tiny_encoder, known)
    assert batch.added is not None and batch.updated is not None
    assert batch.added.column("item_id").to_pylist() == ["item-000"]
    assert batch.updated.column("item_id").to_pylist() == ["item-001"]
    assert (batch.corrected, batch.unchanged, batch.stamps) == (None, (), {})
    assert [failure.item_id for failure in batch.failures] == ["broken"]
    assert batch.added.column("embedding").type == pa.list_(pa.float32(), 35)


def test_a_second_run_decodes_nothing(store: Store, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    items = draw_items(10)
    index(items)
    before = read_item(store, "item-004")
    embedding = store.read_row("item-004").column("embedding")[0].as_py()

    def refuse(*picture: object) -> None:
        raise AssertionError("an unchanged picture was decoded")

    monkeypatch.setattr(indexing, "decode_image", refuse)
    assert index(items) == IndexReport(unchanged=10)
    cheaper = [replace(item, price=0.5, columns={"stock": 0}) if item.item_id == "item-004" else item for item in items]
    assert index(cheaper) == IndexReport(updated=1, unchanged=9)
    after = read_item(store, "item-004")
    assert after == replace(before, price=0.5, columns={"stock": 0})
    assert store.read_row("item-004").column("embedding")[0].as_py() == embedding
    assert store.read_thumbnail("item-004")


def test_a_new_picture_is_encoded_and_keeps_the_first_time(store: Store, index: Index) -> None:
    index(draw_items(3))
    before = store.read_row("item-000").to_pylist()[0]
    assert index([replace(draw_items(1)[0], picture=draw_garment("green"))]) == IndexReport(updated=1)
    after = store.read_row("item-000").to_pylist()[0]
    assert after["embedding"] != before["embedding"]
    assert after["attributes"]["color"]["labels"] == ["green"]
    assert after["added_at"] == before["added_at"]
    assert after["updated_at"] > before["updated_at"]


# Files that have not changed


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were read; a file counts as settled from the start."""
    names: list[str] = []
    read = indexing.read_file

    def tell(path: Path) -> tuple[bytes, str | None]:
        names.append(path.name)
        return read(path)

    monkeypatch.setattr(indexing, "read_file", tell)
    monkeypatch.setattr(settings, "SETTLED_SECONDS", 0)
    return names


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for color in ("red", "green", "blue"):
        (folder / f"{color}.jpg").write_bytes(draw_garment(color))
    return folder


def label(store: Store, item_id: str) -> str:
    return read_item(store, item_id).attributes["color"][0].label


def test_an_unchanged_file_is_not_read(index: Index, photos: Path, reads: list[str]) -> None:
    assert index(list(read_source(photos))) == IndexReport(added=3)
    assert sorted(reads) == ["blue.jpg", "green.jpg", "red.jpg"]
    reads.clear()
    for _ in range(2):
        assert index(list(read_source(photos))) == IndexReport(unchanged=3)
    assert reads == []


def test_another_price_or_title_touches_no_picture(
    store: Store, index: Index, photos: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [item for item in read_source(photos) if isinstance(item, Item)]
    index(items)
    before = store.read_row("red.jpg").column("embedding")[0].as_py()
    reads.clear()
    monkeypatch.setattr(indexing, "decode_image", None)
    for price in (9.5, 7.5):  # the second shows that the first has kept the stamp
        cheaper = [replace(item, price=price, title="On sale") for item in items]
        assert index(cheaper) == IndexReport(updated=3)
        assert (read_item(store, "red.jpg").price, read_item(store, "red.jpg").title) == (price, "On sale")
        assert index(cheaper) == IndexReport(unchanged=3)
    assert reads == []
    assert store.read_row("red.jpg").column("embedding")[0].as_py() == before
    assert store.read_thumbnail("red.jpg")


@pytest.mark.skipif(os.name == "nt", reason="Windows does not keep the time of a change of status")
@pytest.mark.parametrize("way", ["write", "rename"])
def test_a_replaced_picture_is_encoded_again(
    store: Store, index: Index, photos: Path, reads: list[str], way: str
) -> None:
    # Of the same size, and with the same time: what `cp -p` or an unpacked archive leaves.
    size = (photos / "green.jpg").stat().st_size
    (photos / "red.jpg").write_bytes(draw_garment("red").ljust(size + 100, b"\0"))
    index(list(read_source(photos)))
    status = (photos / "red.jpg").stat()
    reads.clear()
    other = photos / "red.jpg" if way == "write" else photos.parent / "other.jpg"
    other.write_bytes(draw_garment("green").ljust(size + 100, b"\0"))
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(photos / "red.jpg")
    assert (photos / "red.jpg").stat().st_size == status.st_size
    assert index(list(read_source(photos))) == IndexReport(updated=1, unchanged=2)
    assert (reads, label(store, "red.jpg")) == (["red.jpg"], "green")


def test_a_file_that_was_only_touched_is_read_once_and_not_decoded(
    index: Index, photos: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    index(list(read_source(photos)))
    reads.clear()
    os.utime(photos / "red.jpg", (1_000_000_000, 1_000_000_000))
    monkeypatch.setattr(indexing, "decode_image", None)
    for _ in range(2):
        assert index(list(read_source(photos))) == IndexReport(unchanged=3)
        assert reads == ["red.jpg"]


def test_a_file_that_is_still_fresh_is_read_again(
    index: Index, photos: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "SETTLED_SECONDS", 600)
    index(list(read_source(photos)))
    monkeypatch.setattr(indexing, "decode_image", None)
    now = time.time_ns()
    for seconds, count in ((0, 3), (601, 3), (601, 0)):
        reads.clear()
        monkeypatch.setattr(images.time, "time_ns", lambda: now + seconds * 10**9)  # noqa: B023  called in this round
        assert index(list(read_source(photos))) == IndexReport(unchanged=3)
        assert len(reads) == count


def test_a_renamed_file_is_a_new_item(store: Store, index: Index, photos: Path, reads: list[str]) -> None:
    index(list(read_source(photos)))
    (photos / "red.jpg").rename(photos / "rouge.jpg")
    assert index(list(read_source(photos))) == IndexReport(added=1, unchanged=2)
    assert [label(store, name) for name in ("red.jpg", "rouge.jpg")] == ["red", "red"]


def test_a_removed_picture_stays_until_it_is_removed_here(
    store: Store, index: Index, photos: Path, reads: list[str]
) -> None:
    named = list(read_source(photos))
    index(named)
    (photos / "red.jpg").unlink()
    assert index(list(read_source(photos))) == IndexReport(unchanged=2)  # the source names it no longer
    assert store.list_failures() == []
    assert index(named) == IndexReport(unchanged=2, failed=1)  # a table would still name it
    assert [(entry.item_id, entry.step) for entry in store.list_failures()] == [("red.jpg", "picture")]
    assert store.list_failures()[0].reason.endswith("no such file")
    assert label(store, "red.jpg") == "red"


def test_a_catalog_from_before_the_stamps(
    store: Store, index: Index, photos: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    index(list(read_source(photos)))
    lance.dataset(str(Path(store.path, "items.lance"))).drop_columns(["picture_stamp"])
    reads.clear()
    monkeypatch.setattr(indexing, "decode_image", None)
    for count in (3, 0):
        assert index(list(read_source(photos))) == IndexReport(unchanged=3)
        assert len(reads) == count
        reads.clear()


def test_many_new_stamps_are_committed_together(
    store: Store, index: Index, tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("COMMIT_ROWS", 4), ("STAMPS_PER_ROW", 2), ("CHECK_ROWS", 4)):
        monkeypatch.setattr(settings, name, value)
    items = [replace(item, picture=tmp_path / item.item_id) for item in draw_items(20)]
    for item in draw_items(20):
        (tmp_path / item.item_id).write_bytes(item.picture)
    index(items)
    for item in items:
        os.utime(item.picture, (1_000_000_000, 1_000_000_000))
    updates: list[int] = []
    update = Writer.update
    monkeypatch.setattr(Writer, "update", lambda self, rows: updates.append(len(rows)) or update(self, rows))
    assert index(items) == IndexReport(unchanged=20)
    assert sum(updates) == 20 and min(updates[:-1]) >= 8


@pytest.mark.parametrize(
    "change",
    [
        {"title": "b"},
        {"brand": "b"},
        {"url": "b"},
        {"image": "b"},
        {"currency": "b"},
        {"product_id": "b"},
        {"price": 1.01},
        {"columns": {"x": 1, "y": "c"}},
        {"columns": {"x": 1.0, "y": "b"}},
        {"columns": {"x": 1}},
        {"columns": {"x": 1, "z": "b"}},
        {"columns": {"x": 1, "y": "b", "z": []}},
        {"columns": {"x": 1, "y": ["b"]}},
    ],
)
def test_whatever_changes_but_the_picture_gives_another_row_hash(change: dict[str, Any], tiny_encoder: Encoder) -> None:
    def hash_row(item: Item) -> str:
        return Columns(make_schema(tiny_encoder)).fit_item(item).row_hash

    item = Item("a", title="a", price=1.0, columns={"x": 1, "y": "b"}, picture=b"a")
    assert hash_row(replace(item, picture=b"b")) == hash_row(item)
    assert hash_row(replace(item, columns={"y": "b", "x": 1})) == hash_row(item)
    assert hash_row(replace(item, **change)) != hash_row(item)


def test_broken_pictures_are_counted_and_told(store: Store, index: Index, tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "empty.jpg").write_bytes(b"")
    sources = {
        "none": None,
        "missing": tmp_path / "missing.jpg",
        "folder": tmp_path / "folder.jpg",
        "empty": tmp_path / "empty.jpg",
        "junk": b"junk",
        "cut": draw_garment()[:300],
    }
    items = [Item(name, picture=picture) for name, picture in sources.items()]
    assert index([*items, *draw_items(2)]) == IndexReport(added=2, failed=6)
    failures = {failure.item_id: failure for failure in store.list_failures()}
    assert set(failures) == set(sources)
    assert {failure.step for failure in failures.values()} == {"picture"}
    assert failures["none"].reason == "the source gives no picture for it"
    assert failures["missing"].reason.endswith("missing.jpg: no such file")
    assert all("\n" not in failure.reason for failure in failures.values())


def test_a_missing_extra_is_the_items_failure(store: Store, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*picture: object) -> None:
        raise MissingExtra("a HEIC picture", "heic")

    monkeypatch.setattr(indexing, "decode_image", refuse)
    assert index(draw_items(1)) == IndexReport(failed=1)
    assert "pip install -e '.[heic]'" in store.list_failures()[0].reason


def test_the_ledger_counts_tries_and_forgets_what_succeeds(store: Store, index: Index) -> None:
    good, bad = draw_items(1)[0], Item("bad", picture=b"junk")
    for tries in (1, 2, 3):
        index([good, bad, Failure("line 7", "read", "no id")])
        assert [(entry.item_id, entry.tries) for entry in store.list_failures()] == [("bad", tries), ("line 7", tries)]
    assert index([replace(bad, picture=good.picture)]) == IndexReport(added=1)
    assert store.list_failures() == [Failure("line 7", "read", "no id", 3)]


def test_a_broken_new_picture_keeps_the_old_row(store: Store, index: Index) -> None:
    (item,) = draw_items(1)
    index([item])
    assert index([replace(item, picture=b"junk", price=77.0)]) == IndexReport(failed=1)
    assert read_item(store, item.item_id).price == item.price
    assert store.list_failures()[0].item_id == item.item_id
    assert index([item]) == IndexReport(unchanged=1)
    assert store.list_failures() == []


def test_retry_takes_only_what_failed(store: Store, index: Index) -> None:
    items = draw_items(4)
    index([replace(items[0], picture=b"junk"), items[1], Failure("x", "read", "no")])
    assert index([*items, Failure("y", "read", "no")], retry_failed=True) == IndexReport(added=1)
    assert sorted(store.list_states()) == ["item-000", "item-001"]
    assert [failure.item_id for failure in store.list_failures()] == ["x"]


def test_of_a_double_id_the_first_row_wins(store: Store, index: Index) -> None:
    first, second = draw_items(2)
    rows = [first, replace(second, item_id=first.item_id), replace(second, item_id=first.item_id), second]
    for tries in (1, 2):
        report = index(rows)
        assert (report.added + report.unchanged, report.failed) == (2, 2)
        assert read_item(store, first.item_id).title == first.title
        (failure,) = store.list_failures()
        assert (failure.item_id, failure.step, failure.tries) == (first.item_id, "read", tries)
        assert failure.reason == "double id 'item-000': the first row with it counts"


def test_ids_that_are_not_utf8(store: Store, index: Index) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    assert index([replace(draw_items(1)[0], item_id=name, image=name, title=name)]).added == 1
    assert read_item(store, "caf?.jpg").title == "caf?.jpg"


def test_nothing_makes_no_catalog(store: Store, index: Index) -> None:
    assert index([]) == IndexReport()
    assert not Path(store.path).exists()


def test_nothing_but_failures_still_reports(store: Store, index: Index) -> None:
    assert index([Item("a", picture=b"junk")]) == IndexReport(failed=1)
    assert (store.measure()["items"], store.measure()["failed"]) == (0, 1)


def test_progress_after_each_batch(index: Index) -> None:
    seen: list[IndexReport] = []
    index(draw_items(20), on_progress=seen.append)
    assert [report.added for report in seen] == [8, 16, 20]


def test_commits_are_bounded_and_in_order(store: Store, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "COMMIT_ROWS", 16)
    index([*draw_items(48), Item("a", picture=b"junk")])
    ids = store.nearest(np.ones(35, np.float32), 100).column("item_id").to_pylist()
    assert len(ids) == len(set(ids)) == 48


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SourceError("the feed broke off"), ValueError("a bug")])
def test_what_is_finished_is_kept(
    store: Store, index: Index, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Semaphore(0)
    encode = encode_batch

    def tell_and_encode(*args: Any) -> indexing.Batch:
        begun.release()
        return encode(*args)

    def break_off() -> Iterator[Item | Failure]:
        yield from draw_items(20)
        yield Failure("line 21", "read", "no id")
        for _ in range(2):  # both whole batches are in a worker's hands
            assert begun.acquire(timeout=60)
        raise error

    monkeypatch.setattr(indexing, "_count_cores", lambda: 2)
    monkeypatch.setattr(indexing, "encode_batch", tell_and_encode)

    with pytest.raises(type(error)):
        index(break_off())
    assert store.measure()["items"] == 16  # two batches; the last four were not one yet
    assert [failure.item_id for failure in store.list_failures()] == ["line 21"]
    assert index(draw_items(20)) == IndexReport(added=4, unchanged=16)


def test_all_cores_work_at_once(store: Store, tiny_encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "_count_cores", lambda: 2)
    meeting = threading.Barrier(2, timeout=60)
    encode = encode_batch

    def meet(*args: object) -> object:
        meeting.wait()  # passes only when two batches are in work
        return encode(*args)

    monkeypatch.setattr(indexing, "encode_batch", meet)
    assert index_items(draw_items(32), tiny_encoder, store).added == 32


def test_large_pictures_come_in_small_batches(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    items = draw_items(6)
    monkeypatch.setattr(settings, "BATCH_BYTES", len(items[0].picture) + len(items[1].picture) - 100)
    seen: list[IndexReport] = []
    index(items, on_progress=seen.append)
    assert [report.added for report in seen] == [2, 4, 6]


def test_batches_grow_but_not_where_they_would_take_long(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "_count_cores", lambda: 1)
    largest = {}
    for seconds in (60.0, 0.0):
        monkeypatch.setattr(settings, "BATCH_SECONDS", seconds)
        seen = [0]
        index(draw_items(400, f"within-{seconds}"), on_progress=lambda report: seen.append(report.added))  # noqa: B023
        largest[seconds] = max(np.diff(seen))
    assert largest[0.0] == settings.ENCODE_BATCH
    assert largest[60.0] > 2 * settings.ENCODE_BATCH


def test_known_rows_come_in_large_batches(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    index(draw_items(40))
    monkeypatch.setattr(settings, "CHECK_ROWS", 32)
    seen: list[IndexReport] = []
    assert index(draw_items(48), on_progress=seen.append) == IndexReport(added=8, unchanged=40)
    # 32 known ones; 8 known ones, which fill a quarter, and six new ones of at most 8.
    assert [(report.unchanged, report.added) for report in seen] == [(32, 0), (40, 6), (40, 8)]


def test_workers_go_on_while_a_commit_is_under_way(store: Store, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "COMMIT_ROWS", 16)
    further = threading.Event()
    add, sizes = Writer.add, []

    def wait_and_add(writer: Writer, rows: pa.Table) -> None:
        assert further.wait(60)  # three batches more come while this one waits
        sizes.append(len(rows))
        add(writer, rows)

    monkeypatch.setattr(Writer, "add", wait_and_add)
    assert index(draw_items(64), on_progress=lambda report: report.added >= 40 and further.set()).added == 64
    assert store.measure()["items"] == sum(sizes) == 64


def test_a_slow_run_commits_from_time_to_time(store: Store, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    add = Writer.add
    monkeypatch.setattr(Writer, "add", lambda writer, rows: sizes.append(len(rows)) or add(writer, rows))
    index(draw_items(24))
    assert sizes == [24]
    monkeypatch.setattr(settings, "COMMIT_SECONDS", 0.0)
    index(draw_items(24, "other"))
    assert sum(sizes) == 48 and len(sizes) > 2


def test_a_commit_that_fails_is_told(store: Store, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "COMMIT_ROWS", 16)

    def refuse(writer: Writer, rows: pa.Table) -> None:
        raise CatalogError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "add", refuse)
        for count in (8, 24, 200):  # the last commit, one before, one of many
            with pytest.raises(CatalogError, match="the disk is full"):
                index(draw_items(count))
    assert store.measure()["items"] == 0
    assert index(draw_items(24)) == IndexReport(added=24)


def test_pictures_in_memory_are_bounded(store: Store, tiny_encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "_count_cores", lambda: 2)
    read = done = lead = 0

    def count() -> Iterator[Item]:
        nonlocal read, lead
        for item in draw_items(160):
            read += 1
            lead = max(lead, read - done)
            yield item

    def finish(report: IndexReport) -> None:
        nonlocal done
        done = report.added

    index_items(count(), tiny_encoder, store, on_progress=finish)
    largest = 160 // 16  # of the batches, which grow with the rows read
    assert lead <= (3 * 2 + 1) * largest


KILLED = """
import sys, time
sys.path.insert(0, {tests!r})
from conftest import draw_items
from focusedfashion import settings
from focusedfashion.encoders import load_encoder
from focusedfashion.indexing import index_items
from focusedfashion.items import Failure
from focusedfashion.store import Store

settings.COMMIT_ROWS = 16

def items():
    for number, item in enumerate(draw_items(240)):
        if number == 120:
            time.sleep(60)  # it is killed before
        yield item
        if number % 20 == 0:
            yield Failure(f"line {{number}}", "read", "no id")

def tell(report):
    print(report.added, flush=True)

index_items(items(), load_encoder({encoder!r}), Store({path!r}), on_progress=tell)
"""


def test_kill_9_leaves_whole_commits(store: Store, index: Index, encoder_folder: Path) -> None:
    script = KILLED.format(tests=str(Path(__file__).parent), encoder=str(encoder_folder), path=store.path)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 100:  # more than may wait for a commit that is under way
                process.send_signal(signal.SIGKILL)
                break
    kept = store.measure()["items"]
    assert 16 <= kept <= 120
    hashes = store.list_states()
    assert len(hashes) == kept
    report = index(draw_items(240))
    assert report == IndexReport(added=240 - kept, unchanged=kept)
    assert store.measure()["items"] == len(store.list_states()) == 240


def test_kill_9_while_the_catalog_is_made(store: Store, index: Index) -> None:
    # What the first write leaves behind when it dies before its commit.
    leftover = Path(store.path, "items.lance", "data")
    leftover.mkdir(parents=True)
    (leftover / "half.lance").write_bytes(json.dumps({}).encode())
    assert index(draw_items(3)) == IndexReport(added=3)
