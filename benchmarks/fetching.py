"""Pictures by URL: our downloads against a plain concurrent one of the same files, side by side.

    python benchmarks/fetching.py [--pictures 10000] [--faulty 0.05] [--latency 0.02] [--rounds 5]

A server in a process of its own has small pictures, and among them, under other paths, a share of faulty answers of
every kind that tests/web.py knows (404, 429 and 503, slow, stalled, cut off, mislabelled, too large, loops, ...). In
each round, one after the other:

    plain    ThreadPoolExecutor and urllib3.PoolManager, as many connections as we use at one host, the good files
    good     Fetcher.fetch_ahead, the same files
    mixed    Fetcher.fetch_ahead, the same files with the faulty ones among them; the clock stops when 99 % of the good
             pictures are here, and when the last is. It goes on for what is stalled; that time is not counted.

A picture that is good in the end may make us wait (429 with a Retry-After of a second; one in 27 of the faulty ones
takes 1.5 seconds, in the plain download too): the last one cannot be here before that. What is too large exceeds a
limit that is set to 1 MB here. Prints medians over the rounds, and the median of each round's ratio to plain.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import urllib3

from focusedfashion import settings
from focusedfashion.fetch import Answer, Fetcher

SERVER = Path(__file__).parents[1] / "tests" / "web.py"
sys.path.insert(0, str(SERVER.parent))

import web  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--faulty", type=float, default=0.05, help="share of faulty answers in the mix")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds that the server takes for each answer")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    settings.MAX_PICTURE_BYTES = web.LIMIT
    kinds = ",".join(web.LATE_GOOD + web.BAD + web.STALLED)
    server = subprocess.Popen(
        [sys.executable, str(SERVER), str(options.pictures), str(options.faulty), kinds, str(options.latency), "12000"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        said = json.loads(server.stdout.readline())
        measure(said["address"], said["good"], said["bad"], options.rounds)
    finally:
        server.kill()


def measure(address: str, good: list[str], bad: dict[str, str], rounds: int) -> None:
    mixed = sorted([*good, *bad], key=lambda path: int(path[1:-4]))
    print(f"{len(good):,} good pictures, {len(bad):,} that must fail; {name_machine()}")
    rates: dict[str, list[float]] = {"plain": [], "good": [], "mixed, 99 %": [], "mixed, all": []}
    for turn in range(rounds + 1):
        clean = [f"{address}/clean{path}" for path in good]
        seconds = {"plain": [download_plainly(clean)] * 2, "good": download(clean, len(good))}
        seconds["mixed"] = download([f"{address}/faulty-{turn}{path}" for path in mixed], len(good))
        if turn:  # the first warms up
            rates["plain"].append(len(good) / seconds["plain"][1])
            rates["good"].append(len(good) / seconds["good"][1])
            rates["mixed, 99 %"].append(0.99 * len(good) / seconds["mixed"][0])
            rates["mixed, all"].append(len(good) / seconds["mixed"][1])
    print(f"{'':12} pictures/s   ratio")
    for name, values in rates.items():
        ratio = statistics.median(value / base for value, base in zip(values, rates["plain"], strict=True))
        print(f"{name:12} {statistics.median(values):10.0f}   {ratio:5.2f}")


def download_plainly(urls: list[str]) -> float:
    """Seconds that a plain concurrent download takes."""
    start = time.perf_counter()
    connections = settings.HOST_CONNECTIONS
    with urllib3.PoolManager(maxsize=connections) as manager, ThreadPoolExecutor(connections) as pool:
        for response in pool.map(lambda url: manager.request("GET", url), urls):
            assert response.status == 200 and response.data
    return time.perf_counter() - start


def download(urls: list[str], good: int) -> list[float]:
    """Seconds until 99 % of the good pictures are here, and until all are."""
    start = time.perf_counter()
    arrived: list[float] = []
    with Fetcher(allow_private=True) as fetcher:
        results = fetcher.fetch_ahead(urls, lambda url: (url, ""))
        for _, answer in results:
            if isinstance(answer, Answer):
                arrived.append(time.perf_counter() - start)
                if len(arrived) == good:
                    break
        results.close()
    assert len(arrived) == good, f"{good - len(arrived)} good pictures did not arrive"
    return [arrived[int(0.99 * good) - 1], arrived[-1]]


def name_machine() -> str:
    """The CPU's model and its cores, as far as the system says."""
    model = ""
    if (path := Path("/proc/cpuinfo")).exists():
        models = [line.partition(":")[2].strip() for line in path.read_text().splitlines() if "model name" in line]
        model = models[0] if models else ""
    return f"{os.cpu_count()} cores, {model or 'unknown CPU'}, Python {sys.version.split()[0]}"


if __name__ == "__main__":
    main()
