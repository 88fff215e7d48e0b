"""Kills indexing at random moments, over and over, and checks that nothing is lost, doubled or halved.

    python tests/torture.py --kills 1000

A story is one catalog from nothing to its end: an index of two tables, then of changed ones (other prices, replaced
pictures, new columns, whole numbers that become numbers, rows that left), then `--retry-failed` after broken pictures
were mended, then `remove`. Each step is a process that runs the command line and is killed (kill -9) at a random
moment, several times, before it is let come to its end; then the catalog is compared with what its sources say. All
the while another process searches it and checks each answer.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import lance
import numpy as np

from conftest import COLORS, draw_garment, save_encoder
from focusedfashion.encoders import Encoder, load_encoder
from focusedfashion.errors import PictureError
from focusedfashion.images import open_image, read_bytes
from focusedfashion.items import Failure, Item
from focusedfashion.rows import read_items
from focusedfashion.sources import read_source
from focusedfashion.store import Store

ROWS = 96
BROKEN = (b"junk", b"", draw_garment()[:300])

# Small steps, so that a run of half a second has many commits, joins its pieces, makes its indexes and cleans up.
_SETTINGS = """
import sys
sys.path.insert(0, {tests!r})
from focusedfashion import settings
settings.COMMIT_ROWS, settings.BATCH_ROWS, settings.CHECK_ROWS = 8, 4, 8
settings.MAX_FRAGMENTS, settings.FRAGMENT_ROWS = 4, 32
settings.INDEX_ROWS, settings.VECTOR_ROWS, settings.TAIL_ROWS = 24, 48, 16
settings.KEEP_VERSIONS = 5 / 60
"""

# Everything is imported before the starting signal: what is killed is the work and not the imports.
_WRITER = (
    _SETTINGS
    + """
import json, onnxruntime, focusedfashion.cli, focusedfashion.indexing, focusedfashion.catalog
print("ready", flush=True)
argv = sys.stdin.readline()
if argv:
    sys.exit(focusedfashion.cli.main(json.loads(argv)))
"""
)

_READER = (
    _SETTINGS
    + """
from torture import watch
watch(sys.argv[1], sys.argv[2])
"""
)


class Wrong(AssertionError):
    """The catalog is not what it must be."""


@dataclass
class Count:
    """What a run of the torture has seen."""

    kills: int = 0
    finished: int = 0  # runs that came to their end before they could be killed
    steps: int = 0  # checked against their source
    rows: int = 0
    searches: int = 0
    slowest: float = 0.0

    def describe(self) -> str:
        return (
            f"{self.kills} kills, {self.finished} runs ended before theirs, {self.steps} steps compared with their "
            f"source ({self.rows} rows), {self.searches} searches meanwhile (slowest {self.slowest * 1000:.0f} ms)"
        )


class Story:
    """One catalog and its sources, drawn by `seed`."""

    def __init__(self, folder: Path, seed: int, encoder_folder: Path) -> None:
        self.random = random.Random(seed)
        self.shop = folder / "shop"
        self.sources = [folder / "first.jsonl", folder / "second.jsonl"]
        self.pictures = folder / "pictures"
        self.pictures.mkdir(parents=True)
        self.encoder_folder = encoder_folder
        self.encoder = load_encoder(encoder_folder)
        self.pool = draw_pool()
        self.items: dict[str, Item] = {}  # as the catalog must have them; the picture is bytes
        self.ledger: dict[str, Failure] = {}

    def steps(self) -> Iterator[tuple[str, list[str], Callable[[], None]]]:
        """(name, arguments of the command line, what it must do to `items` and `ledger`), the files being in place."""
        index = ["index", str(self.shop), *map(str, self.sources), "--encoder", str(self.encoder_folder)]
        for phase in range(3):
            self._write_sources(phase)
            yield f"index {phase}", index, self._expect_index
        for item_id in [name for name, failure in self.ledger.items() if failure.step == "picture"]:
            (self.pictures / f"{item_id}.jpg").write_bytes(self.random.choice(self.pool))
        yield "retry", [*index, "--retry-failed"], lambda: self._expect_index(retry=True)
        gone = self.random.sample(sorted({*self.items, *self.ledger}), 20)
        yield "remove", ["remove", str(self.shop), *gone], lambda: self._expect_removal(gone)

    def _write_sources(self, phase: int) -> None:
        draw = self.random
        names = [f"item-{n:03}" for n in range(ROWS) if draw.random() < 0.85]
        draw.shuffle(names)
        rows: list[dict[str, Any] | str] = []
        for name in names:
            # In later steps most pictures are as they were: only the price changes, or nothing at all.
            path = self.pictures / f"{name}.jpg"
            if not path.exists() or draw.random() < 0.25:
                path.unlink(missing_ok=True)
                if draw.random() < 0.95:  # else there is no file
                    # The pool is smaller than the catalog: pictures come again under other ids.
                    path.write_bytes(draw.choice(self.pool) if draw.random() < 0.93 else draw.choice(BROKEN))
            price = draw.randrange(100) if phase == 0 or draw.random() < 0.5 else 50
            row: dict[str, Any] = {"id": name, "image": f"pictures/{name}.jpg", "price": price, "stock": price * 2}
            # What a reader can check: the title says the rest of the row.
            row["title"] = f"{name} of {phase} at {price}"
            if phase < 2:
                row["size"] = draw.randrange(30, 50)
            elif draw.random() < 0.05:
                row["size"] = "M"  # text in a column of whole numbers: these rows get into the ledger
            row[f"new {phase}"] = f"since {phase}"
            rows.append(row)
        # Double ids, with another picture and price. Not of broken pictures: the ledger has one entry an item.
        for name in draw.sample([name for name in names if is_good(self.pictures / f"{name}.jpg")], 6):
            first = next(place for place, row in enumerate(rows) if isinstance(row, dict) and row["id"] == name)
            double = {"id": name, "image": f"pictures/{draw.choice(names)}.jpg", "price": 999, "title": "a double"}
            rows.insert(draw.randrange(first + 1, len(rows) + 1), double)
        rows.insert(draw.randrange(len(rows)), '{"id": "torn')
        cut = len(rows) // 2
        for path, part, half in ((self.sources[0], rows[:cut], 0), (self.sources[1], rows[cut:], 0.5)):
            for row in part:
                if isinstance(row, dict):
                    # One column turns from whole numbers into numbers in the middle of a run, one between two runs.
                    row["rating"] = draw.randrange(5) + half
                    row["weight"] = draw.randrange(9) + (0.5 if phase else 0)
            path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in part))

    def _expect_index(self, retry: bool = False) -> None:
        """The rules of the guide, written down a second time and without any of the code that is tested."""
        asked, failed, done, seen = set(self.ledger), {}, set(), set()
        types = {name: type(value) for item in self.items.values() for name, value in item.columns.items()}
        for entry in chain(*(read_source(path) for path in self.sources)):
            if retry and entry.item_id not in asked:
                continue
            if isinstance(entry, Failure):
                failed[entry.item_id] = entry
                continue
            name = entry.item_id
            if name in seen:
                failed[name] = Failure(name, "read", f"double id {name!r}: the first row with it counts")
                continue
            seen.add(name)
            columns = {column: value for column, value in entry.columns.items() if value is not None}
            if (size := columns.get("size")) is not None and types.setdefault("size", type(size)) is not type(size):
                reason = f"column 'size' holds whole numbers (int64), this row has {size!r} (string)"
                failed[name] = Failure(name, "store", reason)
                continue
            try:
                picture = read_bytes(entry.picture)
                open_image(picture)
            except PictureError as error:
                failed[name] = Failure(name, "picture", str(error))
                continue
            self.items[name] = replace(entry, columns=columns, picture=picture)
            done.add(name)
        self.ledger = {name: entry for name, entry in self.ledger.items() if name not in done} | failed

    def _expect_removal(self, gone: list[str]) -> None:
        for name in gone:
            self.items.pop(name, None)
            self.ledger.pop(name, None)

    def check(self) -> int:
        """Compares the catalog with what it must be, row by row; how many rows there are."""
        store = Store(str(self.shop))
        table = lance.dataset(str(self.shop / "items.lance")).to_table()
        ids = table.column("item_id").to_pylist()
        expect(len(ids) == len(set(ids)), "double ids", sorted(name for name in ids if ids.count(name) > 1))
        expect(set(ids) == set(self.items), "ids", set(ids) - set(self.items), "missing", set(self.items) - set(ids))
        found = {item.item_id: item for item in read_items(table)}
        contents = dict(zip(ids, table.column("content_hash").to_pylist(), strict=True))
        embeddings = dict(zip(ids, np.array(table.column("embedding").to_pylist(), np.float32), strict=True))
        expected = embed_all(self.encoder, {item.picture for item in self.items.values()})
        for name, item in self.items.items():
            is_right = replace(found[name], attributes={}) == replace(item, picture=None)
            expect(is_right, "row", found[name], replace(item, picture=None))
            expect(contents[name] == digest(item.picture), "content hash", name)
            expect(np.allclose(embeddings[name], expected[digest(item.picture)], atol=1e-5), "embedding", name)
            open_image(store.read_thumbnail(name))
        failures = store.list_failures()
        expect(len({entry.item_id for entry in failures}) == len(failures), "double ledger entries", failures)
        ledger = {entry.item_id: replace(entry, tries=1) for entry in failures}
        wanted = {name: replace(entry, tries=1) for name, entry in self.ledger.items()}
        expect(
            ledger == wanted,
            "ledger",
            set(ledger.values()) - set(wanted.values()),
            "missing",
            set(wanted.values()) - set(ledger.values()),
        )
        expect(all(entry.tries >= 1 for entry in failures), "tries", failures)
        expect(not any(name.startswith("_") for name in table.column_names), "columns", table.column_names)
        return len(ids)


def torture(
    folder: Path, kills: int, seed: int, tell: Callable[[Count], None] = lambda count: None, most: int = 12
) -> Count:
    """Stories until there are `kills` kills, at most `most` of them in one step. Raises Wrong."""
    count, chance = Count(), random.Random(seed)
    encoder_folder = save_encoder(folder / "tiny", bias=0.1)
    expected = embed_all(load_encoder(encoder_folder), set(draw_pool()))
    np.savez(folder / "expected.npz", **expected)
    takes = {"index": 1.0, "remove": 0.2}  # seconds of a run, roughly: most moments of killing lie within
    story_number = 0
    with contextlib.ExitStack() as stack:
        spare = stack.enter_context(Spare())
        while count.kills < kills:
            place = folder / f"story-{story_number}"
            story = Story(place, seed * 10_007 + story_number, encoder_folder)
            story_number += 1
            with Reader(story.shop, folder / "expected.npz") as reader:
                for name, argv, expect_step in story.steps():
                    there = set(story.items) if name != "remove" else set()
                    for _ in range(min(chance.randint(2, most), kills - count.kills)):
                        moment = chance.uniform(0, 0.7 * takes[argv[0]])
                        if spare.run(argv, moment) is None:
                            count.kills += 1
                        else:
                            count.finished += 1
                        now = list_ids(story.shop)
                        # What one reader saw, the next one sees, whoever was killed in between.
                        expect(name == "remove" or there <= now, f"{name}: vanished", there - now)
                        there = now
                        tell(count)
                    start = time.monotonic()
                    code = spare.run(argv, None)
                    takes[argv[0]] = (takes[argv[0]] + max(0.1, time.monotonic() - start)) / 2
                    # 1 where a run that was killed had removed them all.
                    expect(code == 0 or argv[0] == "remove", f"{name}: exit {code}", spare.said)
                    expect_step()
                    count.rows += story.check()
                    count.steps += 1
                    check_leftovers(story.shop)
            count.searches += reader.searches
            count.slowest = max(count.slowest, reader.slowest)
            shutil.rmtree(place)
    return count


class Spare:
    """A writer's process, with the next one getting ready meanwhile."""

    def __init__(self) -> None:
        self._next = self._start()
        self.said = ""

    def __enter__(self) -> Spare:
        return self

    def __exit__(self, *_: object) -> None:
        with self._next as process:
            process.kill()

    @staticmethod
    def _start() -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        program = _WRITER.format(tests=str(Path(__file__).parent))
        return subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def run(self, argv: list[str], moment: float | None) -> int | None:
        """Runs a command and kills it after `moment` seconds; its exit code, None if it was killed."""
        process, self._next = self._next, self._start()
        with process:
            assert process.stdin is not None and process.stdout is not None
            line = process.stdout.readline()
            assert line == "ready\n", process.communicate()[1]
            process.stdin.write(json.dumps(argv) + "\n")
            process.stdin.flush()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(120 if moment is None else moment)
            process.kill()
            out, err = process.communicate()
        self.said = f"{out}{err}".strip()
        # A run that was killed has nothing to complain about; one that came to its end before is as good as any.
        expect(not err or moment is None, "a killed run complained", err)
        return None if process.returncode == -signal.SIGKILL else process.returncode


class Reader:
    """A process that searches a catalog all the time, and fails at the first answer that cannot be right."""

    def __init__(self, shop: Path, expected: Path) -> None:
        program = _READER.format(tests=str(Path(__file__).parent))
        self._process = subprocess.Popen(
            [sys.executable, "-c", program, str(shop), str(expected)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.searches = 0
        self.slowest = 0.0

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        with self._process as process:
            if kind is not None:
                process.kill()
                return
            out, err = process.communicate("stop\n", timeout=60)
        expect(process.returncode == 0, "the reader", f"{out}{err}")
        self.searches, self.slowest = json.loads(out)


def watch(shop: str, expected: str) -> None:
    """The reader's work, until its stdin has a line: searches, and checks what every answer must hold."""
    import select

    from focusedfashion.catalog import Catalog
    from focusedfashion.errors import CatalogMissing, ItemNotFound, QueryError

    vectors = dict(np.load(expected).items())
    chance, catalog = random.Random(0), Catalog(shop)
    phases: dict[str, int] = {}  # item -> the phase of its row, which may never go back
    searches, slowest = 0, 0.0
    while not select.select([sys.stdin], [], [], 0.02)[0]:
        start = time.monotonic()
        try:
            where = chance.choice([None, None, "price < 60", "stock > 20", "rating > 1", "`new 0` = 'since 0'"])
            try:
                matches = catalog.search(chance.choice(draw_pool()), k=10, where=where)
            except QueryError as error:  # before the first row the column is not there
                expect("no column" in str(error) and not phases, "a filter failed", error)
                continue
            for match in matches:
                check_row(match.item)
            expect(where is not None or matches or not phases, "nothing found")
            if matches:
                near = chance.choice(list(matches)).item.item_id
                with contextlib.suppress(ItemNotFound):  # it may have been removed since
                    check_row(catalog.item(near))
                    expect(all(match.item.item_id != near for match in catalog.similar(near, k=3)), "similar to itself")
                    open_image(catalog.thumbnail(near))
            if searches % 5 == 0:
                check_whole(catalog, vectors, phases)
            searches += 1
        except CatalogMissing:
            expect(not phases, "the catalog is gone")
        slowest = max(slowest, time.monotonic() - start)
    expect(phases, "nothing was ever seen")
    print(json.dumps([searches, slowest]))


def check_row(item: Item) -> None:
    """A row is of one write: its title says the rest."""
    name, phase, price = item.title.replace(" of ", " at ").split(" at ")
    expect(name == item.item_id and float(price) == item.price == item.columns["stock"] / 2, "half a row", item)
    expect(item.columns.get(f"new {phase}") == f"since {phase}", "half a row", item)
    expect("rating" in item.columns and "weight" in item.columns, "half a row", item)


def check_whole(catalog: Any, vectors: dict[str, Any], phases: dict[str, int]) -> None:
    """One version of the whole table: every id once, every embedding of its picture, nothing older than before."""
    with contextlib.suppress(FileNotFoundError):
        catalog.failures()
    table = lance.dataset(f"{catalog.path}/items.lance").to_table(
        columns=["item_id", "title", "content_hash", "embedding"]
    )
    ids = table.column("item_id").to_pylist()
    expect(len(ids) == len(set(ids)), "double ids", sorted(name for name in ids if ids.count(name) > 1))
    for row in table.to_pylist():
        expect(np.allclose(row["embedding"], vectors[row["content_hash"]], atol=1e-5), "embedding", row["item_id"])
        phase = int(row["title"].split(" of ")[1].split(" at ")[0])
        expect(phase >= phases.get(row["item_id"], 0), "went back", row)
        phases[row["item_id"]] = phase


def check_leftovers(shop: Path) -> None:
    """Nothing of the killed runs is left on the disk: files of no version."""
    for name in ("items", "failures"):
        if (shop / f"{name}.lance").exists():
            table = lance.dataset(str(shop / f"{name}.lance"))
            left = table.explain_cleanup_old_versions(timedelta(days=9_999), delete_unverified=True, include_files=True)
            expect(not left.stats.data_files_removed, "left by a killed run", left)


def list_ids(shop: Path) -> set[str]:
    if not (shop / "items.lance" / "_versions").exists():
        return set()
    try:
        return set(lance.dataset(str(shop / "items.lance")).to_table(columns=["item_id"]).column(0).to_pylist())
    except ValueError as error:  # killed before the first commit
        expect("was not found" in str(error), "cannot be opened", error)
        return set()


def is_good(path: Path) -> bool:
    return path.exists() and path.read_bytes() not in BROKEN


def draw_pool() -> list[bytes]:
    """Forty pictures."""
    return _POOL


_POOL = [draw_garment(list(COLORS)[n % 4], n // 4 % 3, n // 12) for n in range(40)]


def digest(picture: bytes) -> str:
    return hashlib.blake2b(picture, digest_size=16).hexdigest()


def embed_all(encoder: Encoder, pictures: set[bytes]) -> dict[str, Any]:
    ordered = sorted(pictures)
    return dict(zip(map(digest, ordered), encoder.embed(ordered), strict=True)) if ordered else {}


def expect(condition: object, what: str, *details: object) -> None:
    if not condition:
        raise Wrong(f"{what}: " + " | ".join(str(detail)[:2000] for detail in details))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    start = last = time.monotonic()

    def tell(count: Count) -> None:
        nonlocal last
        if time.monotonic() - last >= 10:
            last = time.monotonic()
            print(f"{last - start:5.0f} s: {count.describe()}", flush=True)

    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        count = torture(Path(folder), args.kills, args.seed, tell)
    took = time.monotonic() - start
    print(f"{took:5.0f} s: {count.describe()}; {took / count.kills:.2f} s a kill; nothing lost, nothing doubled")


if __name__ == "__main__":
    main()
