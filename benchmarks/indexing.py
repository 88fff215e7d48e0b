"""Indexing against the cost of its parts, measured apart on the same cores; memory; checking what has not changed.

    python benchmarks/indexing.py [--photos FOLDER] [--products TABLE_OR_FOLDER...] [--only photos] [--rounds 3]

FOLDER holds pictures; the products are Parquet files (or a folder of them) with small pictures in them. Drawn samples
stand in for what is not given: 4,000 photos of 300 x 400 px in files, 38,000 small ones as bytes.

The floor is what no indexing can pass: the times of reading and decoding, of making thumbnails and of the encoder, each
measured alone over an even sample of the pictures (see --sample) with one process a core, scaled to all pictures and
added up. Each round measures the parts, indexes in a new process, and measures the parts again. Imports and the loading
of the network are not counted on either side. "CPU" compares processor seconds in place of elapsed ones, which other
work on the machine disturbs less. Peak memory is of the indexing process, imports and all.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from machine import count_cores, describe_machine, median, print_table

PARTS = ("read and decode", "thumbnail", "encode")
DRAWN = 400  # different samples; each comes often enough


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", help="a folder of pictures")
    parser.add_argument("--products", nargs="+", help="Parquet files, or a folder of them")
    parser.add_argument("--only", choices=("photos", "products"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sample", type=int, default=1_000, help="pictures that the parts are measured with")
    options = parser.parse_args()

    print(describe_machine(), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for kind, given in (("photos", [options.photos]), ("products", options.products or [None])):
            if options.only not in (None, kind):
                continue
            sources = _list_sources(given) if given[0] else _run(["draw", folder, kind])["sources"]
            rounds = [_measure(sources, folder, options.sample) for _ in range(options.rounds)]
            for part in PARTS:
                cost = median([each["parts"][part] for each in rounds]) / rounds[0]["rows"] * count_cores() * 1e3
                print(f"{kind}: {part} {cost:.2f} ms of a core for each picture", flush=True)
            middle = {key: median([each[key] for each in rounds]) for key in rounds[0] if key != "parts"}
            rows.append(
                [
                    kind,
                    rounds[0]["rows"],
                    middle["floor"],
                    middle["seconds"],
                    f"{middle['of the floor']:.0%}",
                    f"{middle['of its CPU']:.0%}",
                    middle["again"],
                    f"{middle['faster']:.0f} x",
                    middle["megabytes"],
                ]
            )
        header = ("", "rows", "floor s", "indexed s", "of its rate", "CPU", "checked again s", "faster", "peak MB")
        print_table(header, rows)


def _measure(sources: list[str], folder: str, sample: int) -> dict[str, Any]:
    """One round."""
    before = _measure_parts(sources, sample)
    done = _run(["index", folder, *sources])
    after = _measure_parts(sources, sample)
    scale = done["rows"] / before["pictures"]
    parts = {part: (before["seconds"][part] + after["seconds"][part]) / 2 * scale for part in PARTS}
    floor, cpu = sum(parts.values()), (before["cpu"] + after["cpu"]) / 2 * scale
    return {
        **done,
        "parts": parts,
        "floor": floor,
        "of the floor": floor / done["seconds"],
        "of its CPU": cpu / done["cpu"],
        "faster": done["seconds"] / done["again"],
    }


def _measure_parts(sources: list[str], sample: int) -> dict[str, Any]:
    """Each part's seconds over the sample, all cores at work; their processor seconds in all."""
    cores = count_cores()
    with ExitStack() as stack:
        workers = [
            stack.enter_context(_start(["parts", str(sample), str(number), str(cores), *sources]))
            for number in range(cores)
        ]
        pictures = sum(_read(worker) for worker in workers)
        seconds, cpu = {}, 0.0
        for part in PARTS:
            start = time.perf_counter()
            for worker in workers:
                worker.stdin.write("go\n")
                worker.stdin.flush()
            cpu += sum(_read(worker) for worker in workers)
            seconds[part] = time.perf_counter() - start
        for worker in workers:
            worker.stdin.close()
    return {"pictures": pictures, "seconds": seconds, "cpu": cpu}


def _start(arguments: list[str]) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--child", *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _read(worker: subprocess.Popen[str]) -> Any:
    line = worker.stdout.readline()
    if not line:
        sys.exit(1)  # it has said why
    return json.loads(line)


def _run(arguments: list[str]) -> Any:
    with _start(arguments) as worker:
        return _read(worker)


def _list_sources(given: list[str]) -> list[str]:
    """Folders of Parquet files -> the files; everything else as it is."""
    found = [(path, sorted(map(str, Path(path).glob("*.parquet")))) for path in given]
    return [source for path, parts in found for source in parts or [path]]


# What follows runs in processes of their own: this one must stay small, since a process inherits its maker's peak.


def _read_sources(sources: list[str]) -> Iterator[Any]:
    import focusedfashion as ff

    return itertools.chain.from_iterable(map(ff.read_source, sources))


def _draw(folder: str, kind: str) -> None:
    """Writes the drawn samples; prints where they are."""
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    from focusedfashion.sources.samples import read_samples

    items = list(read_samples(DRAWN))
    if kind == "photos":
        target = Path(folder, "photos")
        target.mkdir()
        for number in range(4_000):
            target.joinpath(f"{number:05}.webp").write_bytes(items[number % DRAWN].picture)
    else:
        target = Path(folder, "products.parquet")
        pictures = []
        for item in items:
            buffer = io.BytesIO()
            Image.open(io.BytesIO(item.picture)).resize((60, 80)).save(buffer, "JPEG")
            pictures.append(buffer.getvalue())
        chosen = [(number, number % DRAWN) for number in range(38_000)]
        columns = {name: [items[place].columns[name] for _, place in chosen] for name in items[0].columns}
        columns |= {"id": [str(number) for number, _ in chosen], "title": [items[place].title for _, place in chosen]}
        pq.write_table(pa.table(columns | {"image": [pictures[place] for _, place in chosen]}), target)
    print(json.dumps({"sources": [str(target)]}))


def _index(folder: str, sources: list[str]) -> None:
    """Indexes the sources into a new catalog and once again; prints the figures."""
    import resource

    import focusedfashion as ff

    with tempfile.TemporaryDirectory(dir=folder) as place:
        catalog = ff.Catalog(place)
        warm = next(item for item in _read_sources(sources) if getattr(item, "picture", None))
        catalog.encoder.embed([warm.picture])
        start, cpu = time.perf_counter(), time.process_time()
        report = catalog.index(_read_sources(sources))
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.perf_counter()
        again = catalog.index(_read_sources(sources))
        figures = {
            "rows": report.added,
            "seconds": seconds,
            "cpu": cpu,
            "megabytes": round(peak / (1e6 if sys.platform == "darwin" else 1e3)),
            "again": time.perf_counter() - start,
        }
        if report.added != again.unchanged:
            sys.exit(f"{report}, then {again}")
        print(json.dumps(figures))


def _time_parts(sample: int, number: int, count: int, sources: list[str]) -> None:
    """The parts over every count-th of the sampled pictures, each when told to; prints how many, then CPU seconds."""
    from focusedfashion.encoders import load_encoder
    from focusedfashion.images import decode_image, make_thumbnail, read_file

    items = [item for item in _read_sources(sources) if getattr(item, "picture", None) is not None]
    pictures = [item.picture for item in items[:: max(1, len(items) // sample)]][number::count]
    del items
    encoder = load_encoder()
    encoder.embed(pictures[:1])
    decoded: list[Any] = []

    def read_and_decode() -> None:
        for picture in pictures:
            decoded.append(decode_image(picture if isinstance(picture, bytes) else read_file(picture)[0]))

    def shrink() -> None:
        for picture in decoded:
            make_thumbnail(picture)

    def encode() -> None:
        encoder.encode_fitted([encoder.fit(picture) for picture in decoded])

    steps: dict[str, Callable[[], None]] = dict(zip(PARTS, (read_and_decode, shrink, encode), strict=True))
    print(len(pictures), flush=True)
    for part in PARTS:
        sys.stdin.readline()
        start = time.process_time()
        steps[part]()
        print(time.process_time() - start, flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        verb, *rest = sys.argv[2:]
        if verb == "draw":
            _draw(*rest)
        elif verb == "index":
            _index(rest[0], rest[1:])
        else:
            _time_parts(int(rest[0]), int(rest[1]), int(rest[2]), rest[3:])
    else:
        main()
