"""The vectors of a study, kept in its folder: encoded once, for a second run and for anyone who recomputes a figure.

vectors/rows.csv         row, item_id, part: what row of the arrays is what; test rows come first. A
                         picture that did not open has the part "unopened" and zeros
vectors/labels.npz       names, columns, truth (rows, labels), known (rows, label columns)
vectors/NAME.npy         float32 (rows, dim), norm 1: the dot product of two is their score
vectors/NAME.scores.npz  scores float32 (test rows, labels) in 0..1 and thresholds (labels,), of an encoder that has a
                         head for these labels; a score is -1 where the row says nothing in the label's column
vectors/NAME.raw.npy     float32 (test rows, ·), all that the encoder's heads say of them
"""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focusedfashion.labels import Labels
from focusedfashion.study.data import Rows, open_pictures
from focusedfashion.study.scores import UNKNOWN
from focusedfashion.study.subjects import Floats, Subject

logger = logging.getLogger(__name__)

_BATCH = 8  # pictures of one run of a network
_TELL_SECONDS = 20.0


def encode_rows(source: str, rows: Rows, subjects: Sequence[Subject], folder: Path) -> NDArray[np.bool_]:
    """Writes the vectors of each subject that are not there yet; says which rows' pictures could be opened, bool (n,).

    Every picture is opened once for all encoders. Scores are written whole, as the network gives them: see
    `take_scores`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stamp = _stamp(source, rows)
    missing = [subject for subject in subjects if not _is_there(subject, folder, stamp)]
    if not missing:
        there: NDArray[np.bool_] = np.load(folder / "opened.npy")
        return there
    opened = np.zeros(len(rows.items), bool)
    arrays = {subject.name: _make_arrays(subject, rows, folder) for subject in missing}
    started = told = time.monotonic()
    done = 0
    for chunk in open_pictures(source, {item.item_id: row for row, item in enumerate(rows.items)}):
        usable = [(row, picture) for row, picture in chunk if picture is not None]
        done += len(chunk)
        for subject in missing:
            vectors, scores = arrays[subject.name]
            for start in range(0, len(usable), _BATCH):
                some = usable[start : start + _BATCH]
                found = subject.run([subject.fit(picture) for _, picture in some])
                for place, (row, _) in enumerate(some):
                    vectors[row] = found[0][place]
                    if row < len(scores):
                        scores[row] = found[1][place]
        opened[[row for row, _ in usable]] = True
        if time.monotonic() - told > _TELL_SECONDS:
            told = time.monotonic()
            left = (told - started) / done * (len(rows.items) - done)
            logger.info("%s of %s pictures encoded, about %.0f s left", f"{done:,}", f"{len(rows.items):,}", left)
    np.save(folder / "opened.npy", opened)
    for subject in missing:
        for array, name in zip(arrays[subject.name], _name_files(subject), strict=True):
            array.flush()
            Path(folder, name + ".part").replace(folder / name)
        (folder / f"{subject.name}.json").write_text(json.dumps([stamp, subject.fingerprint]), encoding="utf-8")
    return opened


def load_vectors(subject: Subject, folder: Path) -> Floats:
    """float32 (rows, dim), as a memory map."""
    vectors: Floats = np.load(folder / _name_files(subject)[0], mmap_mode="r")
    return vectors


def take_scores(subject: Subject, folder: Path, places: NDArray[np.int64], known: NDArray[np.bool_]) -> Floats:
    """The study's labels among the scores of the test rows -> float32 (n, labels), which is kept in the folder too.

    `places` are the labels' own; `known` bool (n, labels) says whether a row says anything about a label.
    """
    raw = np.load(folder / _name_files(subject)[1], mmap_mode="r")
    scores = np.where(places >= 0, raw[:, np.maximum(places, 0)], 0.0)
    taken: Floats = np.where(known, scores, UNKNOWN).astype(np.float32)
    np.savez_compressed(
        folder / f"{subject.name}.scores.npz", scores=taken, thresholds=take_thresholds(subject, places)
    )
    return taken


def take_thresholds(subject: Subject, places: NDArray[np.int64]) -> NDArray[np.float64]:
    """The thresholds of the study's labels, (labels,); 1 where the head does not know a label."""
    thresholds: NDArray[np.float64] = np.where(places >= 0, subject.list_thresholds()[np.maximum(places, 0)], 1.0)
    return thresholds


def write_truth(rows: Rows, opened: NDArray[np.bool_], labels: Labels, folder: Path) -> None:
    """Writes which row is what, and its labels."""
    parts = np.where(opened, rows.parts, "unopened")
    with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["row", "item_id", "part"])
        writer.writerows((n, item.item_id, parts[n]) for n, item in enumerate(rows.items))
    np.savez_compressed(
        folder / "labels.npz",
        names=np.array(labels.names),
        columns=np.array(labels.columns),
        truth=labels.truth,
        known=labels.known,
    )


def _make_arrays(subject: Subject, rows: Rows, folder: Path) -> tuple[Any, Any]:
    groups = subject.encoder.attributes.values() if subject.encoder else ()
    shapes = (len(rows.items), subject.dim), (rows.tests, sum(len(entry.labels) for entry in groups))
    (folder / f"{subject.name}.json").unlink(missing_ok=True)  # what it speaks of is about to be written over
    vectors, scores = (
        np.lib.format.open_memmap(folder / (name + ".part"), "w+", np.float32, shape)
        for name, shape in zip(_name_files(subject), shapes, strict=True)
    )
    return vectors, scores


def _name_files(subject: Subject) -> tuple[str, str]:
    return f"{subject.name}.npy", f"{subject.name}.raw.npy"


def _is_there(subject: Subject, folder: Path, stamp: str) -> bool:
    try:
        said = json.loads((folder / f"{subject.name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    whole = all((folder / name).is_file() for name in (*_name_files(subject), "opened.npy"))
    return whole and said == [stamp, subject.fingerprint]


def _stamp(source: str, rows: Rows) -> str:
    digest = hashlib.sha256(source.encode())
    for item, part in zip(rows.items, rows.parts, strict=True):
        digest.update(f"{item.item_id}\0{part}\0".encode("utf-8", "replace"))
    return digest.hexdigest()[:16]
