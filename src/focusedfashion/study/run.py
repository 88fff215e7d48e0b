"""A study from end to end: train what is not trained, encode, measure, and write page, JSON and Markdown."""

from __future__ import annotations

import io
import json
import logging
import os
import platform
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from focusedfashion import settings
from focusedfashion.columns import clean_text
from focusedfashion.errors import QueryError
from focusedfashion.images import RGB
from focusedfashion.items import Item
from focusedfashion.labels import Labels, find_label_columns, read_labels
from focusedfashion.metrics import bootstrap_means
from focusedfashion.sources import read_source
from focusedfashion.study.cost import measure_times
from focusedfashion.study.data import Rows, drop_rows, is_about, open_picture, open_pictures, part_rows, read_rows
from focusedfashion.study.effects import compare_settings, compare_with_best
from focusedfashion.study.engines import compare_engines
from focusedfashion.study.figures import (
    Answer,
    EncoderFigures,
    LabelRow,
    Recommendation,
    Retrieval,
    Study,
)
from focusedfashion.study.markdown import write_markdown
from focusedfashion.study.neighbors import find_nearest, score_neighbors, vote
from focusedfashion.study.page import write_study_page
from focusedfashion.study.scores import (
    ROUNDS,
    UNKNOWN,
    Predicted,
    Samples,
    estimate_means,
    find_rare,
    score_always,
    score_prediction,
)
from focusedfashion.study.subjects import Floats, Subject, prepare_subjects
from focusedfashion.study.vectors import encode_rows, load_vectors, take_scores, take_thresholds, write_truth

logger = logging.getLogger(__name__)

MEASURES = ("macro-F1", "rare macro-F1", "label overlap")


def compare(
    names: Sequence[str],
    source: str,
    folder: str | os.PathLike[str],
    *,
    labels: Sequence[str] = (),
    queries: str | None = None,
    k: int = settings.DEFAULT_K,
    gallery: int | None = None,
    weights: Sequence[str] = (),
    trainer: Mapping[str, Any] | None = None,
) -> Study:
    """Trains the recipes that are not trained yet, measures all encoders on the same test rows, and writes the study.

    `names` are encoders (`builtin`, folders) and recipes, which are trained into `folder`/encoders. `labels` names the
    label columns; left out, they are found by the rule of `columns.py`. `queries` is a folder or source of photos to
    show the recommendations for; left out, some test rows are. `gallery` limits the rows that are searched. What was
    trained or encoded by an earlier call on the same rows is taken as it is, so a call that was killed goes on.

    In `folder`: study.html, study.json, study.md, encoders/, vectors/ (see `study.vectors`), packs/ (opened pictures of
    the training; may be deleted). Raises SourceError, QueryError; RecipeError where nothing could be compared.
    """
    begun = time.monotonic()
    folder = Path(folder)
    if not 1 <= k <= settings.MAX_K:
        raise QueryError(f"k must be a whole number from 1 to {settings.MAX_K}, not {k!r}")
    items, failed_rows = read_rows(source)
    columns = list(dict.fromkeys(labels)) or find_label_columns(items)
    if not columns:
        raise QueryError(f"{source} has no column whose values repeat: name one that holds labels with --label")
    read_labels(items, columns)  # a column that is not there must not show only when all is trained
    photos = _read_photos(queries) if queries else []
    folder.mkdir(parents=True, exist_ok=True)
    _check_same_study(folder, {"data": source, "labels": columns})
    subjects, failed = prepare_subjects(names, source, columns, folder, weights, trainer)
    if not subjects:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
        raise QueryError(f"nothing could be compared: {reasons}")
    subjects = [*subjects, Subject("raw pixels", None)]
    rows = part_rows(items, source, [subject.split for subject in subjects if subject.split], gallery)
    logger.info("encoding %s test rows and %s others", f"{rows.tests:,}", f"{len(rows.items) - rows.tests:,}")
    opened = encode_rows(source, rows, subjects, folder / "vectors")
    truth = read_labels(rows.items, columns)
    write_truth(rows, opened, truth, folder / "vectors")
    study = _Measured(source, rows, opened, truth, columns, subjects, folder / "vectors", k)
    encoders, samples = study.measure_all()
    logger.info("comparing the engines")
    chosen = _choose_for_engines(encoders)
    vectors, asked = study.sample_vectors(chosen)
    recommendations, thumbnails = study.recommend(photos)
    left_out = dict(study.rows.left_out)
    if failed_rows:
        left_out["that could not be read"] = failed_rows
    result = Study(
        name=clean_text(Path(source.rstrip("/")).stem or source, 200),
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        device=f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        k=k,
        columns=tuple(columns),
        rows={part: int((study.rows.parts == part).sum()) for part in ("train", "validation", "test")},
        gallery=len(study.rows.items) - study.rows.tests,
        left_out=left_out,
        labels=study.labels,
        always=score_always(study.truth.truth, study.known[study.asked], study.rare),
        encoders=tuple(encoders),
        failed=failed,
        differences=tuple(compare_with_best(samples, MEASURES)),
        settings=tuple(compare_settings(samples, {entry.name: entry.recipe for entry in encoders}, MEASURES)),
        engines=tuple(compare_engines(vectors, asked, k)),
        engine_encoder=chosen,
        engine_rows=len(vectors),
        engine_queries=len(asked),
        recommendations=recommendations,
        seconds=round(time.monotonic() - begun, 1),
        thumbnails=thumbnails,
    )
    write_study(result, folder)
    return result


def write_study(study: Study, folder: Path) -> None:
    """Writes study.html, study.json and study.md, each whole or as it was before. Raises OSError."""
    write_study_page(study, folder / "study.html")
    write_markdown(study, folder / "study.md")
    part = folder / f".study.json.{os.getpid()}.part"
    part.write_text(json.dumps(study.to_dict(), indent=1) + "\n", encoding="utf-8")
    part.replace(folder / "study.json")


class _Measured:
    """The measuring of one study: what all encoders are asked alike, worked out once."""

    def __init__(
        self,
        source: str,
        rows: Rows,
        opened: NDArray[np.bool_],
        truth: Labels,
        columns: Sequence[str],
        subjects: Sequence[Subject],
        folder: Path,
        k: int,
    ) -> None:
        self.source, self.subjects, self.folder, self.k = source, subjects, folder, k
        self.opened, self.order = opened, list(columns)
        self.tests = rows.tests  # in the arrays on disk
        self.rows = drop_rows(rows, opened, "whose picture does not open")
        if not opened[: self.tests].any() or not opened[self.tests :].any():
            raise QueryError(f"{source}: no picture of the test rows, or of the others, opens")
        kept = np.flatnonzero(opened)
        self.asked, self.others = kept[kept < self.tests], kept[kept >= self.tests]
        self.truth, self.there = _take(truth, self.asked), _take(truth, self.others)
        # Per label of each test row whether it says anything in the label's column.
        self.known = truth.known[: self.tests][:, [columns.index(column) for column in truth.columns]]
        counts, support = self.there.truth.sum(axis=0), self.truth.truth.sum(axis=0)
        self.counts = counts.astype(np.int64)
        rare = find_rare(self.counts, support.astype(np.int64))
        self.rare = rare
        self.labels = tuple(
            LabelRow(name, truth.columns[place], int(counts[place]), int(support[place]), bool(rare[place]))
            for place, name in enumerate(truth.names)
        )
        self.nearest: dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]] = {}

    def measure_all(self) -> tuple[list[EncoderFigures], dict[str, Samples]]:
        """The figures of each encoder, and bootstrap samples of its main ones by its name."""
        example = self._open_example()
        fitted = [subject.fit(example) for subject in self.subjects]
        times = measure_times(
            [partial(subject.run, [picture]) for subject, picture in zip(self.subjects, fitted, strict=True)]
        )
        encoders, samples = [], {}
        for subject, milliseconds in zip(self.subjects, times, strict=True):
            logger.info("measuring %s", subject.name)
            figures, drawn = self._measure(subject, milliseconds)
            encoders.append(figures)
            samples[subject.name] = drawn
        return encoders, samples

    def sample_vectors(self, name: str) -> tuple[Floats, Floats]:
        """Gallery and query vectors of one encoder for the engines, at most so many: float32 (n, dim), (m, dim)."""
        vectors = load_vectors(next(s for s in self.subjects if s.name == name), self.folder)
        random = np.random.default_rng(0)
        rows = [
            np.sort(random.choice(some, min(most, len(some)), replace=False))
            for some, most in ((self.others, settings.STUDY_ENGINE_ROWS), (self.asked, settings.STUDY_ENGINE_QUERIES))
        ]
        return np.asarray(vectors[rows[0]]), np.asarray(vectors[rows[1]])

    def recommend(self, photos: Sequence[tuple[str, RGB]]) -> tuple[tuple[Recommendation, ...], dict[int, bytes]]:
        """What each encoder recommends for the photos, or for some test rows; and the pictures that this shows."""
        # Per photo its number among the test rows, if it is one, and per encoder the rows and scores of its nearest.
        found: list[tuple[int | None, dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]]]
        if photos:
            found = [(None, {}) for _ in photos]
            for subject in self.subjects:
                vectors = np.concatenate([subject.run([subject.fit(picture)])[0] for _, picture in photos])
                nearest, scores = find_nearest(vectors, self._gallery(subject), self.k)
                for (_, answers), row, score in zip(found, nearest, scores, strict=True):
                    answers[subject.name] = row, score
        else:
            # An even step through the rows: no choice of ours.
            chosen = range(0, len(self.asked), max(1, len(self.asked) // settings.STUDY_QUERIES))[
                : settings.STUDY_QUERIES
            ]
            found = [(n, {name: (rows[n], scores[n]) for name, (rows, scores) in self.nearest.items()}) for n in chosen]
        needed = {int(self.others[row]) for _, answers in found for rows, _ in answers.values() for row in rows}
        needed |= {int(self.asked[query]) for query, _ in found if query is not None}
        ids = self._list_ids()
        thumbnails: dict[int, bytes] = {}
        for chunk in open_pictures(self.source, {ids[row]: row for row in needed}):
            thumbnails |= {row: make_shot(picture) for row, picture in chunk if picture is not None}
        recommendations = []
        for number, (query, answers) in enumerate(found):
            if query is None:
                key, name = -1 - number, photos[number][0]
                thumbnails[key] = make_shot(photos[number][1])
                labels: tuple[str, ...] = ()
            else:
                key = int(self.asked[query])
                name = ids[key]
                labels = tuple(np.array(self.truth.names, object)[self.truth.truth[query]].tolist())
            answered = {
                encoder: tuple(
                    Answer(int(self.others[row]), ids[int(self.others[row])], score, self._share(query, row))
                    for row, score in zip(rows.tolist(), scores.round(4).tolist(), strict=True)
                )
                for encoder, (rows, scores) in answers.items()
            }
            recommendations.append(Recommendation(key, name, labels, answered))
        return tuple(recommendations), thumbnails

    def _measure(self, subject: Subject, milliseconds: float) -> tuple[EncoderFigures, Samples]:
        queries = load_vectors(subject, self.folder)[self.asked]
        nearest, scores = find_nearest(queries, self._gallery(subject), self.k)
        self.nearest[subject.name] = nearest, scores
        columns, overlap, labels_nearest = score_neighbors(nearest, self.truth, self.there, self.order, self.k)
        places = subject.find_places(self.truth, self.counts)
        known = self.known[self.asked]
        if places is None:
            votes = np.where(known, vote(nearest, self.there), np.float32(UNKNOWN))
            predicted = Predicted("vote", votes, None)
        else:
            taken = take_scores(subject, self.folder, places, self.known)[self.asked]
            predicted = Predicted("head", taken, take_thresholds(subject, places))
        prediction, samples = score_prediction(self.truth.truth, predicted, self.rare)
        said = subject.said
        figures = EncoderFigures(
            name=subject.name,
            kind="raw pixels" if subject.encoder is None else "recipe" if subject.recipe else "encoder",
            trained=bool(said["trained"]) if "trained" in said else None,
            weights=str(said.get("weights") or (subject.encoder.spec.get("weights", "") if subject.encoder else "")),
            corrections=tuple(map(str, said.get("corrections", ()))),
            width=subject.size[0],
            height=subject.size[1],
            dim=subject.dim,
            cost=subject.tell_cost(milliseconds),
            prediction=prediction,
            retrieval={column: Retrieval(*estimate_means(values)) for column, values in columns.items()},
            overlap=estimate_means(overlap[:, None])[0],
            labels_nearest=tuple(None if share != share else float(share) for share in labels_nearest),
            curves=tuple(said.get("curves", ())),
            recipe=subject.recipe,
            data=tuple(str(entry.get("name", "")) for entry in subject.encoder.spec.get("data", ()))
            if subject.encoder
            else (),
            split_known=is_about(subject.split, self.rows.items),
        )
        values = samples.values | {"label overlap": bootstrap_means(overlap[:, None], ROUNDS)[:, 0]}
        return figures, Samples(values, samples.means | {"label overlap": figures.overlap.value})

    def _gallery(self, subject: Subject) -> Floats:
        vectors = load_vectors(subject, self.folder)
        # A slice of a memory map is read a piece at a time; a choice of rows would be copied into memory.
        return vectors[self.tests :] if self.opened[self.tests :].all() else vectors[self.others]

    def _list_ids(self) -> dict[int, str]:
        """Number in the arrays on disk -> item id, of the rows that opened."""
        kept = np.flatnonzero(self.opened).tolist()
        return {row: item.item_id for row, item in zip(kept, self.rows.items, strict=True)}

    def _share(self, query: int | None, row: int) -> tuple[int, int] | None:
        if query is None:
            return None
        mine, other = self.truth.truth[query], self.there.truth[row]
        return int((mine & other).sum()), int((mine | other).sum())

    def _open_example(self) -> RGB:
        row = int(self.asked[0])
        for chunk in open_pictures(self.source, {self._list_ids()[row]: row}):
            for _, picture in chunk:
                if picture is not None:
                    return picture
        raise QueryError(f"{self.source} changed while it was measured: a picture that opened is gone")


def make_shot(picture: RGB) -> bytes:
    """RGB uint8 (h, w, 3) -> the small JPEG that the page shows."""
    small = Image.fromarray(picture)
    small.thumbnail((settings.STUDY_THUMBNAIL, settings.STUDY_THUMBNAIL), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=75)
    return buffer.getvalue()


def _read_photos(queries: str) -> list[tuple[str, RGB]]:
    """The first photos of a folder or source that open. Raises QueryError where none does."""
    photos: list[tuple[str, RGB]] = []
    for entry in read_source(queries):
        picture = open_picture(entry) if isinstance(entry, Item) else None
        if picture is not None:
            photos.append((entry.item_id, picture))
            if len(photos) == settings.STUDY_PHOTOS:
                break
    if not photos:
        raise QueryError(f"{queries} has no picture that opens")
    return photos


def _check_same_study(folder: Path, decisive: dict[str, Any]) -> None:
    """A folder holds one study: other data or labels would be measured with networks that never saw them."""
    begun = folder / "begun.json"
    saved = json.loads(begun.read_text(encoding="utf-8")) if begun.is_file() else decisive
    other = " and ".join(name for name, value in decisive.items() if saved.get(name) != value)
    if other:
        raise QueryError(f"{folder} holds a study with other {other}: remove it, or name another folder with -o")
    begun.write_text(json.dumps(decisive), encoding="utf-8")


def _choose_for_engines(encoders: Sequence[EncoderFigures]) -> str:
    """The encoder whose neighbors share most labels: what one would search with."""
    able = [entry for entry in encoders if entry.kind != "raw pixels"] or list(encoders)
    return max(able, key=lambda entry: entry.overlap.value).name


def _take(labels: Labels, rows: NDArray[np.int64]) -> Labels:
    return Labels(labels.names, labels.columns, labels.truth[rows], labels.known[rows])
