"""What encoders take: milliseconds per picture in turns with each other, parameters and multiply-adds of the graph."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

ROUNDS = 50  # in which each encoder has its turn
_WARM = 3


def measure_times(runs: Sequence[Callable[[], object]], rounds: int = ROUNDS) -> list[float]:
    """The median time of each function in milliseconds; all have their turn before one has its next.

    What else the machine does hits all alike, and who comes after whom is drawn anew for each round.
    """
    times: list[list[float]] = [[] for _ in runs]
    random = np.random.default_rng(0)
    for number in range(-_WARM, rounds):
        for place in random.permutation(len(runs)):
            start = time.perf_counter()
            runs[place]()
            if number >= 0:
                times[place].append(time.perf_counter() - start)
    return [round(float(np.median(spent)) * 1e3, 4) for spent in times]


def count_graph(model: Path) -> tuple[int | None, int | None]:
    """A graph's file -> parameters, multiply-adds of one picture; None, None without the package onnx.

    Parameters are the numbers in its weights (those folded into others at export are not there any more); multiply-adds
    are those of convolutions and matrix products, as usual.
    """
    if find_spec("onnx") is None:
        return None, None
    onnx: Any = import_module("onnx")
    graph = onnx.shape_inference.infer_shapes(onnx.load(str(model))).graph
    weights = {entry.name: list(entry.dims) for entry in graph.initializer}
    shapes = {
        value.name: [axis.dim_value or 1 for axis in value.type.tensor_type.shape.dim]  # a batch of one
        for value in (*graph.value_info, *graph.output, *graph.input)
    } | weights
    floats = {entry.name for entry in graph.initializer if entry.data_type in (1, 10, 11, 16)}
    parameters = sum(math.prod(weights[name]) for name in floats)
    macs = 0
    for node in graph.node:
        output = shapes.get(node.output[0], [])
        if node.op_type == "Conv" and node.input[1] in shapes:
            macs += math.prod(output) * math.prod(shapes[node.input[1]][1:])
        elif node.op_type in ("MatMul", "Gemm") and node.input[0] in shapes:
            transposed = any(entry.name == "transA" and entry.i for entry in node.attribute)
            macs += math.prod(output) * shapes[node.input[0]][0 if transposed else -1]
    return parameters, macs
