"""How long a shopper waits: from choosing a photo of 12 megapixels to the first result, on a phone's network.

    python benchmarks/first_result.py CATALOG [--rounds 5]

Debian's chromium opens the page at a phone's size over a simulated 4G network (165 ms, 8.1 Mbit/s down, 1.35 up), and
is given a drawn photo of 4000x3000 px. Counted is from the file's choice until a match with its score stands on the
page; pictures of the matches may come later. Prints each round, and what the page weighs.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import subprocess
import sys

import numpy as np
from machine import describe_machine, median
from PIL import Image
from playwright.sync_api import Page, sync_playwright

FOUR_G = {"latency": 165, "downloadThroughput": 1_012_500, "uploadThroughput": 168_750}  # ms, bytes a second

WATCH = """() => {
    document.querySelector("#file").addEventListener("change", () => (window.begun = performance.now()), true);
    const look = () => {
        if (document.querySelector("[data-state=done] .match:not(.blank) .score")) window.found ||= performance.now();
        requestAnimationFrame(look);
    };
    look();
}"""
WAIT = """new Promise((resolve) => {
    const look = () => (window.found ? resolve(window.found - window.begun) : requestAnimationFrame(look));
    look();
})"""
WEIGH = """performance.getEntriesByType("resource").concat(performance.getEntriesByType("navigation"))
    .filter(({ name }) => !/\\.(png|svg)$|\\/v1\\//.test(name))
    .map(({ decodedBodySize, transferSize }) => [decodedBodySize, transferSize])"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalog")
    parser.add_argument("--rounds", type=int, default=5, help="each in a fresh window (default: %(default)s)")
    args = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("chromium is missing: apt-get install chromium")
    photo = {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": draw_photo()}
    print(describe_machine())
    command = [sys.executable, "-m", "focusedfashion", "serve", args.catalog, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server, sync_playwright() as playwright:
        try:
            assert server.stdout is not None
            said = server.stdout.readline()
            address = re.search(r"http://\S+", said)
            assert address is not None
            print(said.partition(" at ")[0])
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            waits, weight = [], (0, 0)
            for _ in range(args.rounds):
                page = browser.new_page(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
                wait, weight = measure(page, address[0], photo)
                waits.append(wait)
                page.close()
            browser.close()
        finally:
            server.kill()
    print("first result after " + ", ".join(f"{wait:.0f}" for wait in waits) + f" ms; median {median(waits):.0f} ms")
    print(f"the page without pictures: {weight[0] / 1000:.1f} kB, {weight[1] / 1000:.1f} kB over the wire")


def measure(page: Page, address: str, photo: dict[str, object]) -> tuple[float, tuple[int, int]]:
    """Milliseconds from the choice to the first result; the page's bytes, unpacked and over the wire."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", {"offline": False, **FOUR_G})
    page.goto(address)
    page.wait_for_selector("#count:not(:empty)", state="attached")
    weight = page.evaluate(WEIGH)
    page.evaluate(WATCH)
    page.set_input_files("#file", photo)
    page.wait_for_selector("[data-state=done] .match:not(.blank) .score")
    return page.evaluate(WAIT), tuple(map(sum, zip(*weight, strict=True)))


def draw_photo() -> bytes:
    noise = np.random.default_rng(7).integers(0, 40, (3_000, 4_000, 1), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(np.full((3_000, 4_000, 3), (180, 30, 40), np.uint8) + noise).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
