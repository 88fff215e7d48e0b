"""Makes docs/result-page.webp: the served page with the demo's catalog and one of its photos, in a real browser.

    python docs/picture.py

Needs Playwright for Python and Debian's chromium (extra `dev`).
"""

import io
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

PHOTO = "beige-checked-dress.jpg"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "focusedfashion", "demo", "-o", folder, "--port", "0"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        address = next(line.split(" at ")[1].split()[0] for line in server.stdout if line.startswith("serving"))
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
                page = browser.new_page(viewport={"width": 1280, "height": 660}, reduced_motion="reduce")
                page.goto(address)
                page.set_input_files("input[type=file]", Path(folder, "photos", PHOTO))
                page.get_by_role("button", name="More like this").nth(4).wait_for()
                page.wait_for_load_state("networkidle")
                picture = page.screenshot()
                browser.close()
        finally:
            server.terminate()
            server.wait()
    target = Path(__file__).with_name("result-page.webp")
    Image.open(io.BytesIO(picture)).convert("RGB").save(target, quality=85, method=6)
    print(f"{target.name}: {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
