"""How tags are scored from audio: genre, voice and instruments of folders with an ``index.csv``."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mira.analysis import Model
from mira.errors import DataError
from mira.results import Tags
from mira.task import Activations
from mira.writers.text import printable
from mira_train import plots as pictures
from mira_train.evaluate import Track, listener_of
from mira_train.metrics import Scores
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from mira_plugins.tagging.decode import Calibration, each_second
from mira_plugins.tagging.vocabulary import GENRES, INDEX, INSTRUMENTS, TAGS, VOICE

SURE = 0.5
_BINS = 10

Chances = NDArray[np.float64]


@dataclass(frozen=True)
class Truth:
    """What is known of a recording; None where the set does not say.

    Parameters
    ----------
    genre
        One of :data:`GENRES`.
    voice
        Whether somebody sings.
    instruments
        Those that play; with ``complete`` false there may be more.
    """

    genre: str | None = None
    voice: bool | None = None
    instruments: frozenset[str] | None = None
    complete: bool = True


def tracks(names: Sequence[str]) -> list[Track]:
    """Recordings of folders whose ``index.csv`` has ``path`` and any of genre, voice, instruments.

    Raises
    ------
    DataError
        If a folder has no index, or the index no such column.
    """
    return [track for name in names for track in _tracks(Path(name))]


def _tracks(folder: Path) -> Iterator[Track]:
    index = folder / "index.csv"
    if not index.is_file():
        raise DataError(f"{printable(folder)}: no index.csv in it (path, and genre, voice or instruments)")
    with open(index, newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"genre", "voice", "instruments"} & rows[0].keys() or "path" not in rows[0]:
        raise DataError(f"{printable(index)}: needs the column path, and genre, voice or instruments")
    for row in rows:
        listed = row.get("instruments")
        truth = Truth(
            row.get("genre") or None,
            row["voice"] == "1" if row.get("voice") else None,
            frozenset(listed.split(";")) if listed else None,
            row.get("complete") != "0",
        )
        yield Track(row["path"], folder.name, folder / row["path"], truth)


def score(track: Track, model: Model, activations: Activations) -> Scores:
    """Share of what is known of one recording that is right: the genre, and voice and instruments at 0.5."""
    tags = _heard(model, activations)
    truth: Truth = track.truth
    right: list[bool] = []
    if truth.genre is not None:
        right.append(max(tags.genre, key=tags.genre.__getitem__) == truth.genre)
    if truth.voice is not None:
        right.append((tags.voice >= SURE) == truth.voice)
    if truth.instruments is not None:
        there = truth.instruments
        known = {*INSTRUMENTS, VOICE} if truth.complete else there
        right += [(tags.instruments.get(n, 0.0) >= SURE) == (n in there) for n in known]
    return {"right": float(np.mean(right)) if right else 1.0}


def together(heard: Sequence[tuple[Track, Activations]], model: Model) -> Scores:
    """Genre accuracy and macro recall, area under the curve of voice and instruments, average precision."""
    chances = np.stack([_chances(_heard(model, a)) for _, a in heard])
    truths: list[Truth] = [track.truth for track, _ in heard]
    scores: Scores = {}
    named = [i for i, t in enumerate(truths) if t.genre is not None]
    if named:
        guess = [GENRES[int(chances[i, : len(GENRES)].argmax())] for i in named]
        true = [str(truths[i].genre) for i in named]
        scores["genre_accuracy"] = float(np.mean([g == t for g, t in zip(guess, true)]))
        recall = [np.mean([g == t for g, t in zip(guess, true) if t == genre]) for genre in sorted(set(true))]
        scores["genre_recall"] = float(np.mean(recall))
    told = [i for i, t in enumerate(truths) if t.voice is not None]
    voice = np.array([truths[i].voice for i in told], bool)
    if 0 < voice.sum() < len(voice):
        scores["voice_auc"] = float(roc_auc_score(voice, chances[told, INDEX[VOICE]]))
    areas, precisions = [], []
    for name in (*INSTRUMENTS, VOICE):
        used = [(i, name in (t.instruments or ())) for i, t in enumerate(truths) if _says(t, name)]
        y = np.array([has for _, has in used], bool)
        if 0 < y.sum() < len(y):
            p = chances[[i for i, _ in used], INDEX[name]]
            areas.append(roc_auc_score(y, p))
            precisions.append(average_precision_score(y, p))
    if areas:
        scores |= {"instrument_auc": float(np.mean(areas)), "instrument_map": float(np.mean(precisions))}
    return scores


def draw(heard: Iterator[tuple[Track, Activations]], model: Path, folder: Path) -> None:
    """Draw a tag-o-gram of each recording, the confusion of genres, and how reliable probabilities are."""
    listener = listener_of("tagging", model)
    sure: list[tuple[float, bool]] = []
    counts = np.zeros((len(GENRES), len(GENRES)))
    for track, activations in heard:
        logits = np.asarray(activations.arrays["tags"], float)
        seconds = each_second(logits, Calibration.of(activations.defaults))
        name = track.name.replace("/", "+++")
        pictures.tagogram(folder / f"{name}.png", seconds, TAGS, activations.hop_s)
        tags = _heard(listener, activations)
        truth: Truth = track.truth
        if truth.genre is not None:
            best = max(tags.genre, key=tags.genre.__getitem__)
            counts[INDEX[truth.genre], INDEX[best]] += 1
            sure.append((tags.genre[best], best == truth.genre))
        if truth.voice is not None:
            sure.append((tags.voice, truth.voice))
        listed = [name for name in (*INSTRUMENTS, VOICE) if _says(truth, name)]
        sure += [(tags.instruments[name], name in (truth.instruments or ())) for name in listed]
    if counts.any():
        pictures.confusion(folder / "confusion.png", counts, GENRES)
    if sure:
        chances, right = np.array(sure, float).T
        pictures.reliability(folder / "reliability.png", chances, right > 0.5, _BINS)


def _says(truth: Truth, name: str) -> bool:
    return truth.instruments is not None and (truth.complete or name in truth.instruments)


def _heard(model: Model, activations: Activations) -> Tags:
    tags = model.decode(activations)
    assert isinstance(tags, Tags)
    return tags


def _chances(tags: Tags) -> Chances:
    """Probability of each tag."""
    named: dict[str, Any] = {**tags.genre, **(tags.families or {}), **tags.instruments, VOICE: tags.voice}
    return np.array([named.get(name, 0.0) for name in TAGS])
