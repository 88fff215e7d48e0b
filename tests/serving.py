"""A catalog of drawn garments and a real server process, for the tests of the server and of its page."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from focusedfashion.catalog import Catalog
from focusedfashion.encoders import Encoder
from focusedfashion.items import Item
from focusedfashion.sources.samples import read_samples

# What a URL, a route or a page could trip over.
ODD_IDS = (
    "dresses/red one.jpg",
    "100%.jpg",
    "50%25 off",
    "robe d'été #3?.jpg",
    "a/similar",
    "b/thumbnail",
    "//shop/../x",
    "外套&=+;",
    '<b>"quoted"</b>',
)
HOSTILE = "<img src=x onerror=alert(1)>"


def make_catalog(folder: Path, encoder: Encoder, count: int = 24) -> tuple[Catalog, list[Item]]:
    """An indexed catalog, and its items with their pictures: the first with odd ids, the next with a hostile title."""
    items = list(read_samples(count))
    for place, item_id in enumerate(ODD_IDS):
        items[place] = dataclasses.replace(items[place], item_id=item_id, product_id=item_id)
    odd = len(ODD_IDS)
    items[odd] = dataclasses.replace(items[odd], title=HOSTILE, brand=HOSTILE, url="javascript:alert(1)")
    items[odd + 1] = dataclasses.replace(items[odd + 1], url="https://shop.example/p/1")
    catalog = Catalog(folder / "shop", encoder)
    report = catalog.index(items)
    assert (report.added, report.failed) == (count, 0)
    return catalog, items


@contextmanager
def start_server(catalog: Catalog) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A process that serves the catalog at a free port: its address, and the process."""
    program = "import sys, focusedfashion as ff; from focusedfashion.server.app import serve; "
    program += "serve(ff.Catalog(sys.argv[1]), port=0)"
    with subprocess.Popen(
        [sys.executable, "-c", program, catalog.path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            address = re.search(r"http://\S+", line)
            assert address, line or process.communicate()[1]
            yield address[0], process
        finally:
            process.kill()
