"""The server under load, against what its work costs in-process on the same cores: pictures in, five items out.

    python benchmarks/serving.py CATALOG PHOTOS [--seconds 6] [--clients 1,8,64]

The load comes from wrk (Debian's package `wrk`), which sends the photos of a folder in turn, scaled as the page does
it, and waits a second after a 503, as it is told. It shares the cores with the server, so the time that it takes of
them, which the system counts, is taken off: `of in-process` is the server's pace through what `Catalog.search` does on
the cores' remaining time. On a machine that others use too, `cpu` says more: the processor time of a search in-process
through that of an answer.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from itertools import cycle
from pathlib import Path

from machine import describe_machine
from PIL import Image

from focusedfashion.catalog import Catalog

SIDE = 800  # px

SCRIPT = """
local bodies, place, pause = {}, 0, 0
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init(args)
  ok, busy, other = 0, 0, 0
  for _, path in ipairs(args) do
    local file = io.open(path, "rb")
    table.insert(bodies, file:read("*a"))
    file:close()
  end
  math.randomseed(os.time())
  place = math.random(#bodies)
end
function delay() local wait = pause; pause = 0; return wait end
function request()
  place = place % #bodies + 1
  return wrk.format("POST", "/v1/search", {["Content-Type"] = "multipart/form-data; boundary=b"}, bodies[place])
end
function response(status, headers)
  if status == 200 then ok = ok + 1
  elseif status == 503 and headers["retry-after"] then busy = busy + 1; pause = 1000
  else other = other + 1 end
end
function done(summary, latency)
  local counts = {ok = 0, busy = 0, other = 0}
  for _, thread in ipairs(threads) do
    for name in pairs(counts) do counts[name] = counts[name] + thread:get(name) end
  end
  local errors = summary.errors
  print(string.format(
    'RESULT {"ok": %d, "busy": %d, "other": %d, "broken": %d, "seconds": %f, "p50": %f, "p99": %f}',
    counts.ok, counts.busy, counts.other, errors.connect + errors.read + errors.write + errors.timeout,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalog")
    parser.add_argument("photos", type=Path)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each measurement (default: %(default)s)")
    parser.add_argument("--clients", default="1,8,64")
    args = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing: apt-get install wrk")
    paths = sorted(path for path in args.photos.iterdir() if path.suffix.lower() in (".jpg", ".jpeg"))[:200]
    photos = [scale(path) for path in paths]
    catalog = Catalog(args.catalog)
    cores = len(os.sched_getaffinity(0))
    print(describe_machine())
    size = sum(map(len, photos)) / len(photos) / 1024
    print(f"{catalog.info().items:,} items; {len(photos)} photos of {size:.0f} KB; {cores} cores")
    (one, one_cpu), (all_, all_cpu) = (
        measure_in_process(catalog, photos, threads, args.seconds) for threads in (1, cores)
    )
    print(f"in-process: {one:.1f} a second by one thread ({one_cpu * 1000:.1f} ms of processor time each)")
    print(f"            {all_:.1f} by {cores} ({all_cpu * 1000:.1f} ms)")
    print("clients  answers/s  of in-process   cpu  p50 ms  p99 ms  503s  other errors  generator's cores  server MB")
    with tempfile.TemporaryDirectory() as folder:
        bodies = write_bodies(Path(folder), photos)
        for clients in map(int, args.clients.split(",")):
            found, share, memory, cpu = measure_served(args.catalog, Path(folder), bodies, clients, args.seconds)
            pace = found["ok"] / found["seconds"]
            # One client keeps one thread busy at most.
            usual, usual_cpu = (one, one_cpu) if clients == 1 else (all_ * (cores - share) / cores, all_cpu)
            share_cpu = usual_cpu * found["ok"] / cpu
            errors = found["other"] + found["broken"]
            print(
                f"{clients:7} {pace:10.1f} {pace / usual:13.0%} {share_cpu:5.0%} {found['p50']:7.0f} "
                f"{found['p99']:7.0f} {found['busy']:5.0f} {errors:13.0f} {share:18.2f} {memory:10.0f}"
            )


def scale(path: Path) -> bytes:
    """The photo as the page sends it: a JPEG whose longer side has 800 px."""
    with Image.open(path) as image:
        factor = SIDE / max(image.size)
        image = image.convert("RGB").resize((round(image.width * factor), round(image.height * factor)))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def measure_in_process(catalog: Catalog, photos: list[bytes], threads: int, seconds: float) -> tuple[float, float]:
    """So many threads' searches a second, and the processor time of one in seconds."""
    done = [0] * threads
    for photo in photos[:8]:
        catalog.search(photo, 5)
    start, cpu = time.perf_counter(), time.process_time()

    def work(place: int) -> None:
        for photo in cycle(photos[place::threads]):
            catalog.search(photo, 5)
            done[place] += 1
            if time.perf_counter() - start >= seconds:
                return

    workers = [threading.Thread(target=work, args=(place,)) for place in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(done) / (time.perf_counter() - start), (time.process_time() - cpu) / sum(done)


def write_bodies(folder: Path, photos: list[bytes]) -> list[str]:
    """The photos as multipart bodies, and the script that sends them -> their paths."""
    (folder / "load.lua").write_text(SCRIPT)
    paths = []
    for place, photo in enumerate(photos):
        head = b'--b\r\nContent-Disposition: form-data; name="image"; filename="photo.jpg"\r\n\r\n'
        path = folder / f"{place}.body"
        path.write_bytes(head + photo + b"\r\n--b--\r\n")
        paths.append(str(path))
    return paths


def measure_served(
    catalog: str, folder: Path, bodies: list[str], clients: int, seconds: float
) -> tuple[dict[str, float], float, float, float]:
    """A fresh server under load -> (what wrk counted, the cores that wrk took, the server's peak memory in MB, the
    seconds of processor time that the server took)."""
    command = [sys.executable, "-m", "focusedfashion", "serve", catalog, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            address = re.search(r"http://\S+", server.stdout.readline())
            assert address is not None
            load = ["wrk", "-t1", f"-c{clients}", "--timeout", "30s", "-s", str(folder / "load.lua"), address[0]]
            subprocess.run([*load, "-d1", "--", *bodies], check=True, capture_output=True)  # warm
            time.sleep(2)  # until what it left is answered
            spent = read_cpu(server.pid)
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            printed = subprocess.run(
                [*load, f"-d{seconds:.0f}", "--", *bodies], check=True, capture_output=True, text=True
            ).stdout
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent = read_cpu(server.pid) - spent
            status = Path(f"/proc/{server.pid}/status").read_text()
        finally:
            server.terminate()
    found: dict[str, float] = json.loads(printed.partition("RESULT ")[2].splitlines()[0])
    share = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / found["seconds"]
    peak = re.search(r"VmHWM:\s+(\d+)", status)
    return found, share, int(peak[1]) / 1024 if peak else 0.0, spent


def read_cpu(process: int) -> float:
    """Seconds of processor time of a process so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
