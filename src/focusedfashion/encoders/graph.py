"""One graph of a saved encoder, in ONNX."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from focusedfashion.errors import EncoderError


class Graph:
    """A graph of one input, loaded when it is first needed; safe to use from several threads.

    `source` is the input's name and `shape` that of one of its entries, (n, *shape) of n; `widths` maps each output
    to its own, (n, width).
    """

    def __init__(self, path: Path, source: str, shape: tuple[int, ...], widths: Mapping[str, int]) -> None:
        self._path = path
        self._source = source
        self._shape = shape
        self._widths = widths
        self._session: Any = None
        self._lock = threading.Lock()

    def run(self, batch: NDArray[Any]) -> list[NDArray[Any]]:
        """(n, *shape) -> each output, (n, width). Raises EncoderError where the file is not this graph."""
        outputs: list[NDArray[Any]] = self._get_session().run(list(self._widths), {self._source: batch})
        return outputs

    def _get_session(self) -> Any:
        with self._lock:
            if self._session is None:
                import onnxruntime

                options = onnxruntime.SessionOptions()
                # One thread per run: several runs side by side beat one run on several threads (DESIGN.md).
                options.intra_op_num_threads = options.inter_op_num_threads = 1
                options.log_severity_level = 3
                try:
                    session = onnxruntime.InferenceSession(self._path, options, ["CPUExecutionProvider"])
                except Exception as error:  # its exception classes are private
                    raise EncoderError(f"{self._path} cannot be run ({error})") from None
                self._check(session)
                self._session = session
            return self._session

    def _check(self, session: Any) -> None:
        """The graph must be the one that encoder.json speaks of."""
        inputs = {entry.name: tuple(entry.shape[1:]) for entry in session.get_inputs()}
        found = {output.name: output.shape[-1] for output in session.get_outputs()}
        if inputs != {self._source: self._shape} or any(found.get(name) != w for name, w in self._widths.items()):
            raise EncoderError(f"{self._path} is not the graph of its encoder.json: copy or train both again")
