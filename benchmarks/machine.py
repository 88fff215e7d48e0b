"""What every benchmark here needs: the machine in words, medians, rounds that take turns, one table."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def describe_machine(packages: Iterable[str] = ("numpy", "pillow", "onnxruntime", "pylance", "pyarrow")) -> str:
    """Two lines: the processor, the cores that this process may use, memory in GB, load; Python and the packages."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    versions = [f"Python {platform.python_version()}", *(f"{name} {_version(name)}" for name in packages)]
    cores = f"{count_cores()} of {os.cpu_count()} cores"
    return f"{_processor()}, {cores}, {_memory_gb():.0f} GB{load}\n{', '.join(versions)}"


def count_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def take_turns(rounds: int, ways: Mapping[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Runs each way once a round, in turns, so that what else the machine does hits all alike; -> seconds of each.

    Every other round goes through them backwards. Warm them up first: every round counts.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        for name in list(ways) if number % 2 == 0 else list(reversed(ways)):
            start = time.perf_counter()
            ways[name]()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def median(values: Sequence[float]) -> float:
    """The middle value, so that one disturbed round does not count."""
    return statistics.median(values)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0..1) of the values do not pass: the nearest rank, no interpolation."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table in Markdown: the first column to the left, the others to the right; floats with three digits or so."""
    cells = [list(header), *([_show(cell) for cell in row] for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(header))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    for row in [cells[0], rule, *cells[1:]]:
        others = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        print(f"| {' | '.join([row[0].ljust(widths[0]), *others])} |", flush=True)


def _show(cell: object) -> str:
    if not isinstance(cell, float):
        return f"{cell:,}" if isinstance(cell, int) else "-" if cell is None else str(cell)
    return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.1f}" if abs(cell) >= 10 else f"{cell:.3g}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    named = {line.split(":")[0].strip(): line.split(":")[-1].strip() for line in lines if ":" in line}
    model = named.get("model name", platform.machine())
    return f"{model} (family {named['cpu family']}, model {named['model']})" if "cpu family" in named else model


def _memory_gb() -> float:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (AttributeError, ValueError, OSError):
        return float("nan")
