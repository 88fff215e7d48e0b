"""The text side of a saved encoder: `text.onnx` and `tokenizer.json`."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focusedfashion import settings
from focusedfashion.encoders.graph import Graph
from focusedfashion.errors import EncoderError, MissingExtra


class TextSide:
    """Texts -> embeddings in the space of the pictures; safe to use from several threads.

    `tokenizer.json` is a file of the library `tokenizers` that pads and truncates by itself to `length` ids. The graph
    takes `tokens`, int64 (n, length), and gives `embedding`, float32 (n, dim), each block of L2 norm 1.
    """

    def __init__(self, folder: Path, spec: Mapping[str, Any], dim: int) -> None:
        """`spec` is the entry `text` of encoder.json; raises KeyError, TypeError, ValueError where it is none."""
        self._length = int(spec["length"])
        self._lower = bool(spec.get("lower", False))
        self._path = folder / "tokenizer.json"
        self._graph = Graph(folder / "text.onnx", "tokens", (self._length,), {"embedding": dim})
        self._tokenizer: Any = None
        self._lock = threading.Lock()

    def embed(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """Texts -> batches of float32 (n, dim). Raises EncoderError, MissingExtra."""
        tokens = self._tokenize(texts)
        return [
            self._graph.run(tokens[start : start + settings.ENCODE_BATCH])[0]
            for start in range(0, len(tokens), settings.ENCODE_BATCH)
        ]

    def _tokenize(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Texts -> int64 (n, length)."""
        # Half a surrogate pair, which JSON may hold and a Python string too, is no text for the tokenizer.
        clean = [text.encode("utf-8", "replace").decode() for text in texts]
        encoded = self._get_tokenizer().encode_batch([text.lower() for text in clean] if self._lower else clean)
        rows = [entry.ids for entry in encoded]
        if any(len(row) != self._length for row in rows):
            found = next(len(row) for row in rows if len(row) != self._length)
            raise EncoderError(
                f"{self._path} makes {found} tokens of a text, encoder.json says {self._length}: copy both again"
            )
        return np.array(rows, np.int64)

    def _get_tokenizer(self) -> Any:
        with self._lock:
            if self._tokenizer is None:
                try:
                    from tokenizers import Tokenizer
                except ImportError:
                    raise MissingExtra("searching by words", "hub") from None
                try:
                    self._tokenizer = Tokenizer.from_file(str(self._path))
                except Exception as error:  # it raises nothing narrower
                    raise EncoderError(f"{self._path} cannot be read ({error})") from None
            return self._tokenizer
