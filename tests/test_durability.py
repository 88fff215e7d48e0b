"""What a catalog promises when something ends at the wrong moment: nothing lost, nothing doubled, one line said.

Killing at random moments is in `torture.py`; `make torture` does it a thousand times.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pytest

import torture
from conftest import draw_garment, draw_items
from focusedfashion import cli, indexing, settings
from focusedfashion.catalog import Catalog
from focusedfashion.encoders import Encoder
from focusedfashion.indexing import IndexReport, index_items
from focusedfashion.items import Item
from focusedfashion.store import Store

TESTS = str(Path(__file__).parent)
SMALL_STEPS = f"""
import sys
sys.path.insert(0, {TESTS!r})
from focusedfashion import cli, settings
settings.COMMIT_ROWS, settings.BATCH_ROWS, settings.CHECK_ROWS = 16, 4, 4
cli._PROGRESS_SECONDS = 0.0
"""
MAIN = "sys.exit(cli.main(sys.argv[1:]))"

# Takes root's right to pass over permissions from the next program: its owner may then what the mode says.
BIND = """
import ctypes, os, sys
for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    if ctypes.CDLL(None).prctl(24, capability, 0, 0, 0):  # PR_CAPBSET_DROP
        sys.exit("this right cannot be taken")
os.execv(sys.argv[1], sys.argv[1:])
"""


def start(*argv: object, program: str = MAIN, bound: bool = False) -> subprocess.Popen[str]:
    """The command line in a process of its own, in small steps and with a line of progress after each.

    `bound` by permissions, even if it is root's.
    """
    pipe = subprocess.PIPE
    words = [sys.executable, "-c", SMALL_STEPS + program, *map(str, argv)]
    if bound and os.geteuid() == 0:
        words = [sys.executable, "-c", BIND, *words]
    return subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def run(*argv: object, program: str = MAIN, bound: bool = False) -> tuple[int, str, str]:
    """(exit code, stdout, stderr without the progress)"""
    with start(*argv, program=program, bound=bound) as process:
        out, err = process.communicate(timeout=120)
    lines = [line for line in err.splitlines() if " done, " not in line]
    return process.returncode, out, "\n".join(lines)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return tmp_path / "shop"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 400 photos, many of them the same."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(400):
        (folder / f"{number:03}.jpg").write_bytes(torture.draw_pool()[number % 40])
    return folder


def count_rows(shop: Path) -> int:
    """How many rows there are; each item has one."""
    table = lance.dataset(f"{shop}/items.lance").to_table(columns=["item_id"])
    assert len(set(table.column(0).to_pylist())) == len(table)
    return len(table)


# Killed


def test_killed_at_random_moments(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"python tests/torture.py --kills 12 --seed {seed}")  # shown where it fails
    count = torture.torture(tmp_path, kills=12, seed=seed, most=5)
    assert count.kills == 12 and count.steps and count.rows
    print(count.describe())


def test_files_of_a_killed_writer_are_deleted(shop: Path, tiny_encoder: Encoder) -> None:
    store = Store(str(shop))
    index_items(draw_items(3), tiny_encoder, store)
    stray, lock = shop / "items.lance" / "data" / f"{'01' * 25}.lance", shop / "writer.lock"
    assert lock.read_text() == ""

    def leave(text: str) -> None:
        stray.write_bytes(b"half a file")
        lock.write_text(text)
        index_items(draw_items(4), tiny_encoder, store)
        assert lock.read_text() == ""

    leave("")  # the last writer came to its end: what is this file?
    assert stray.exists()
    leave("process 1 on another-machine since 2026-05-01\n")  # which may be writing it, where locks do not hold
    assert stray.exists()
    leave(f"process 1 on {os.uname().nodename} since 2026-05-01\n")
    assert not stray.exists()
    assert count_rows(shop) == 4


def test_slow_pictures_are_committed_too(shop: Path, tiny_encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill costs some seconds of work, however few pictures that are."""
    monkeypatch.setattr(settings, "COMMIT_SECONDS", 0.1)
    store, seen = Store(str(shop)), 0

    def wait_for_the_first() -> Iterator[Item]:
        nonlocal seen
        for item in draw_items(900):
            yield item
            seen = seen or store.measure()["items"]
            if seen:
                return
            time.sleep(0.001)

    index_items(wait_for_the_first(), tiny_encoder, store)
    assert 0 < seen < settings.COMMIT_ROWS


def test_every_version_of_a_widening_is_whole(shop: Path, tiny_encoder: Encoder) -> None:
    """Whole numbers become numbers in three commits; whoever reads in between misses nothing."""
    store = Store(str(shop))
    index_items([replace(item, columns={"rating": 4}) for item in draw_items(3)], tiny_encoder, store)
    before = lance.dataset(f"{shop}/items.lance").version
    index_items([replace(item, columns={"rating": 4.5}) for item in draw_items(1, "new")], tiny_encoder, store)
    newest = lance.dataset(f"{shop}/items.lance").version
    assert newest >= before + 4
    for version in range(before, newest + 1):
        ratings = lance.dataset(f"{shop}/items.lance", version=version).to_table(filter="rating > 3").column("rating")
        assert ratings.to_pylist()[:3] == [4, 4, 4]


# Stopped


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_by_a_signal(shop: Path, photos: Path, encoder_folder: Path, number: int, code: int) -> None:
    with start("index", shop, photos, "--encoder", encoder_folder) as process:
        assert process.stderr is not None
        done = 0
        while done < 60:
            done = int(process.stderr.readline().split()[1])
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    *progress, last = err.splitlines()
    assert (process.returncode, out, last) == (code, "", "focusedfashion: stopped; what was finished is kept")
    assert all(" done, 0 failed" in line for line in progress)
    kept = count_rows(shop)
    assert done <= kept < 400  # what progress has told is kept
    assert run("index", shop, photos)[:2] == (0, f"{400 - kept} added, {kept} unchanged\n")
    assert count_rows(shop) == 400


def test_a_second_ctrl_c_ends_at_once(shop: Path, photos: Path, encoder_folder: Path) -> None:
    stuck = "import time; from focusedfashion.store import Writer; Writer.add = lambda *_: time.sleep(600)\n"
    with start("index", shop, photos, "--encoder", encoder_folder, program=stuck + MAIN) as process:
        assert process.stderr is not None
        while "24 done" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):  # it waits for its commit
            process.wait(1)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == -signal.SIGINT


def test_out_of_memory(
    shop: Path,
    photos: Path,
    encoder_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As far as Python hears of it; where the system kills the process, that is a kill as any other."""
    encode = indexing.encode_batch

    def fill_up(rows: Any, *others: Any) -> indexing.Batch:
        if any(row.item.item_id == "100.jpg" for row in rows):
            raise MemoryError
        return encode(rows, *others)

    monkeypatch.setattr(indexing, "encode_batch", fill_up)
    assert cli.main(["index", str(shop), str(photos), "--encoder", str(encoder_folder)]) == 1
    told = capsys.readouterr().err
    assert told.startswith("focusedfashion: error: out of memory; what was finished is kept") and told.count("\n") == 1
    assert 50 < count_rows(shop) < 400
    monkeypatch.undo()
    assert cli.main(["index", str(shop), str(photos)]) == 0
    assert count_rows(shop) == 400


# No room


def check_no_room(shop: Path, photos: Path, code: int, err: str) -> None:
    """One line, a catalog that is as it was at its last commit, and nothing left of what did not fit."""
    assert code == 1
    assert re.fullmatch(
        r"focusedfashion: error: \S+ cannot be written \([^()]+\): make room and give the command again; "
        r"what was finished is kept",
        err,
    )
    kept = count_rows(shop)
    code, out, err = run("search", shop, photos / "000.jpg", "-k", 3, "--json")
    assert (code, err, len(json.loads(out)["matches"])) == (0, "", min(3, kept))


def test_a_limit_on_the_size_of_files(shop: Path, photos: Path, encoder_folder: Path) -> None:
    """What anyone can try of a full disk: a file that does not get as large as it must."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (25_000, 25_000))\n"
    code, _, err = run("index", shop, photos, "--encoder", encoder_folder, program=limit + MAIN)
    check_no_room(shop, photos, code, err)
    kept = count_rows(shop)
    assert run("index", shop, photos)[0] == 0
    assert kept < count_rows(shop) == 400


def test_a_full_disk(tmp_path: Path, photos: Path, encoder_folder: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("only root may mount a small disk: a full disk is NOT tested here, only a limit on files' sizes")
    try:
        shop, few = disk / "shop", tmp_path / "few"
        few.mkdir()
        for name in ("000.jpg", "001.jpg", "002.jpg"):
            shutil.copy(photos / name, few)
        assert cli.main(["index", str(shop), str(few), "--encoder", str(encoder_folder)]) == 0
        ballast = disk / "ballast"
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize
        ballast.write_bytes(bytes(free - 100_000))
        code, _, err = run("index", shop, photos)
        check_no_room(shop, photos, code, err)
        ballast.write_bytes(bytes(free - 100_000))  # not a byte is left, not even for a new lock
        with contextlib.suppress(OSError), ballast.open("ab") as file:
            while file.write(bytes(4096)):
                file.flush()
        code, _, err = run("index", shop, photos)
        check_no_room(shop, photos, code, err)
        ballast.unlink()
        assert run("index", shop, photos)[0] == 0
        assert count_rows(shop) == 400
    finally:
        subprocess.run(["umount", str(disk)], check=True)


# No right to write


@pytest.fixture
def locked_shop(shop: Path, tiny_encoder: Encoder) -> Iterator[Path]:
    """A catalog of twenty items that nobody may write to."""
    index_items(draw_items(20), tiny_encoder, Store(str(shop)))
    for path in [*shop.rglob("*"), shop]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    err = run(program=f"open({str(shop / 'probe')!r}, 'w')", bound=True)[2]
    if "PermissionError" not in err:
        pytest.skip(f"permissions bind nobody here: a read-only catalog is NOT tested ({err[-100:]})")
    yield shop
    for path in [shop, *shop.rglob("*")]:
        path.chmod(0o755)


def test_a_read_only_catalog(locked_shop: Path, photos: Path) -> None:
    told = f"focusedfashion: error: {locked_shop} cannot be written (Permission denied): get the right to write there"
    assert run("index", locked_shop, photos, bound=True) == (1, "", told)
    assert run("remove", locked_shop, "item-000", bound=True) == (1, "", told)
    code, out, err = run("search", locked_shop, photos / "000.jpg", "--where", "price < 15", "--json", bound=True)
    assert (code, len(json.loads(out)["matches"]), err) == (0, 5, "")
    assert run("info", locked_shop, bound=True)[0] == 0
    with start("serve", locked_shop, "--port", 0, bound=True) as process:
        assert process.stdout is not None
        address = re.search(r"http://\S+", process.stdout.readline())
        assert address, process.communicate()[1]
        with urllib.request.urlopen(f"{address[0]}/v1/items/item-000/similar?k=3", timeout=30) as answer:
            assert len(json.load(answer)["matches"]) == 3
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    new = locked_shop / "inside"
    code, out, err = run("index", new, photos, bound=True)
    assert (code, out) == (1, "") and err.endswith(f"{new} cannot be made (Permission denied): give another folder")


# Two at once


HOLD = """
from conftest import draw_items
from focusedfashion.encoders import load_encoder
from focusedfashion.indexing import index_items
from focusedfashion.store import Store

def items(name):
    for number, item in enumerate(draw_items(60, name)):
        if number == 40:
            print("half", flush=True)
            sys.stdin.readline()
        yield item

path, encoder, *names = sys.argv[1:]
for name in names:
    index_items(items(name), load_encoder(encoder), Store(path))
"""


def wait_for(condition: Callable[[], object], seconds: float = 30) -> float:
    """The seconds until the condition held."""
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < seconds, "it never came"
        time.sleep(0.02)
    return time.monotonic() - begin


def test_a_second_writer_waits_for_the_first(shop: Path, photos: Path, encoder_folder: Path) -> None:
    with start(shop, encoder_folder, "old", program=HOLD) as first:
        assert first.stdin and first.stdout and first.stdout.readline() == "half\n"
        with start("index", shop, photos, "--encoder", encoder_folder) as second:
            assert second.stderr is not None
            line = second.stderr.readline()
            assert re.search(rf"shop is being written by process {first.pid} on \S+ since 20\S+; waiting for it", line)
            before = count_rows(shop)
            time.sleep(0.3)
            assert second.poll() is None and before == count_rows(shop) < 40
            first.stdin.close()
            assert first.wait(60) == 0
            out, err = second.communicate(timeout=60)
        assert (second.returncode, out) == (0, "400 added\n"), err
    assert count_rows(shop) == 460


def test_a_killed_writer_does_not_keep_others_waiting(shop: Path, photos: Path, encoder_folder: Path) -> None:
    with start(shop, encoder_folder, "old", program=HOLD) as first:
        assert first.stdout and first.stdout.readline() == "half\n"
        with start("index", shop, photos, "--encoder", encoder_folder) as second:
            assert second.stderr is not None and "waiting for it" in second.stderr.readline()
            first.kill()
            out, err = second.communicate(timeout=60)
        assert (second.returncode, out) == (0, "400 added\n"), err
    assert 400 < count_rows(shop) < 440


READ = """
from focusedfashion.catalog import Catalog
catalog = Catalog(sys.argv[1])
picture = open(sys.argv[2], "rb").read()
for _ in sys.stdin:
    print(catalog.info().items, len(catalog.search(picture, k=1000)), flush=True)
"""


def test_readers_elsewhere_see_the_newest_version(shop: Path, photos: Path, tiny_encoder: Encoder) -> None:
    store = Store(str(shop))
    index_items(draw_items(4), tiny_encoder, store)
    with start(shop, photos / "000.jpg", program=READ) as reader:
        assert reader.stdin and reader.stdout

        def ask() -> str:
            assert reader.stdin and reader.stdout
            reader.stdin.write("\n")
            reader.stdin.flush()
            return reader.stdout.readline()

        assert ask() == "4 2\n"  # items, products
        index_items(draw_items(30), tiny_encoder, store)
        assert wait_for(lambda: ask() == "30 15\n") < 5
        with store.write() as writer:
            writer.remove([item.item_id for item in draw_items(10)])
        assert wait_for(lambda: ask() == "20 10\n") < 5
        reader.stdin.close()


def test_cleaning_leaves_what_is_being_read(shop: Path, tiny_encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader in the middle of an answer goes on with its version while others replace and clean it."""
    monkeypatch.setattr(settings, "KEEP_VERSIONS", 3 / 60)
    store, items = Store(str(shop)), draw_items(30)
    index_items(items, tiny_encoder, store)
    reader = lance.dataset(f"{shop}/items.lance")
    batches = reader.to_batches(batch_size=5)
    rows = len(next(batches))
    replaced = time.monotonic()
    for price in (1.0, 2.0, 3.0):  # every row anew
        index_items([replace(item, price=price) for item in items], tiny_encoder, store)
        reader.to_table()
        time.sleep(0.6)  # versions that are made within a second of each other are kept together
    rows += sum(len(batch) for batch in batches)
    assert time.monotonic() - replaced < 3, "this machine is too slow to tell"
    assert rows == 30
    time.sleep(3)
    index_items([replace(item, price=4.0) for item in items], tiny_encoder, store)
    with pytest.raises((OSError, ValueError), match=r"(?i)not found"):
        lance.dataset(f"{shop}/items.lance", version=reader.version).to_table()
    assert len(store.nearest(np.ones(35, np.float32), 30)) == 30


# What a change of a source does


def test_pictures_removed_replaced_and_renamed(shop: Path, tmp_path: Path, encoder_folder: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, color in (("a", "red"), ("b", "green"), ("c", "blue")):
        (folder / f"{name}.jpg").write_bytes(draw_garment(color))
    catalog = Catalog(shop, encoder_folder)

    def index(path: Path) -> dict[str, int]:
        import focusedfashion as ff

        report = catalog.index(ff.read_source(path))
        return {name: count for name, count in vars_of(report).items() if count}

    assert index(folder) == {"added": 3}
    # Replaced under its name: the same item, looked at anew.
    (folder / "a.jpg").write_bytes(draw_garment("white", 1))
    assert index(folder) == {"updated": 1, "unchanged": 2}
    assert [label.label for label in catalog.item("a.jpg").attributes["color"]] == ["white"]
    # Renamed: in a folder the path is the id, so it is a new item; the old one stays until it is removed.
    (folder / "b.jpg").rename(folder / "d.jpg")
    assert index(folder) == {"added": 1, "unchanged": 2}
    assert catalog.item("b.jpg") and catalog.item("d.jpg")
    # Deleted: as the other rows that left a source.
    (folder / "c.jpg").unlink()
    assert index(folder) == {"unchanged": 2}
    assert catalog.remove(["b.jpg", "c.jpg"]) == 2 and catalog.info().items == 2

    # In a table the id is the row's own: a renamed picture is the same picture, a deleted one is a failure, and the
    # item stays as it was.
    table = tmp_path / "feed.csv"
    table.write_text("id,image\none,pictures/a.jpg\ntwo,pictures/d.jpg\n")
    assert index(table) == {"added": 2}
    (folder / "a.jpg").rename(folder / "e.jpg")
    (folder / "d.jpg").unlink()
    table.write_text("id,image\none,pictures/e.jpg\ntwo,pictures/d.jpg\n")
    assert index(table) == {"updated": 1, "failed": 1}
    assert catalog.item("one").image == "pictures/e.jpg" and catalog.item("two").image == "pictures/d.jpg"
    assert [(entry.item_id, entry.step) for entry in catalog.failures()] == [("two", "picture")]


def vars_of(report: IndexReport) -> dict[str, int]:
    return {name: getattr(report, name) for name in ("added", "updated", "unchanged", "failed")}
