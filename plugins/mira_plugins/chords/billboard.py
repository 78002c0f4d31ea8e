"""Stored chroma with chord labels, in the form of the Billboard set (Burgoyne, Wild, Fujinaga, ISMIR 2011).

``chroma_*.npz`` holds q = max(0, ceil((x - 0.02) / 0.08)) as uint8 of shape (24, frame): 12 bass and 12
treble bins from A, 2048 samples apart at 44.1 kHz. Labels are in ``labels.csv.gz``, names in ``songs.csv``.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from mira.errors import DataError
from numpy.random import Generator
from numpy.typing import NDArray

from mira_plugins.chords.targets import Segment, segments

HOP_S: Final = 2048 / 44100
LAG_S: Final = 0.085
"""Frame k holds what a front end that centres its frames finds at ``k * HOP_S + LAG_S``."""
FOLDS: Final = (0, 1, 2, 3)
"""Folds to train on; fold 4 is for tests alone."""
_STEP, _OFFSET = 0.08, 0.02

SEMITONES_SHARP: Final[Mapping[str, int]] = dict.fromkeys(
    ("0289", "0426", "0448", "0560", "0618", "0691", "1087"), 1
)
"""Songs about a quarter tone off pitch, whose chroma the plug-in put a semitone above the labels."""
UNFIT: Final = frozenset({"0304", "0590", "0634", "0887", "1109", "1276"})
"""Songs whose labels hardly fit the chroma: rap and funk on one chord."""


@dataclass(frozen=True)
class StoredSong:
    """One song.

    Parameters
    ----------
    name
        Its id.
    group
        Its artist.
    chroma
        Shape (24, frame), uint8 as stored.
    chords
        Contiguous from 0.0.
    """

    name: str
    group: str
    chroma: NDArray[np.uint8]
    chords: tuple[Segment, ...]


def is_billboard(folder: Path) -> bool:
    """Whether a folder is in this form."""
    return (folder / "songs.csv").is_file() and (folder / "labels.csv.gz").is_file()


def read_folds(folder: Path, folds: tuple[int, ...]) -> list[StoredSong]:
    """Songs of the given folds in the order of ``songs.csv``.

    Raises
    ------
    DataError
        If a file is missing or not in this form.
    """
    try:
        labels = _labels(folder / "labels.csv.gz")
        with open(folder / "songs.csv", newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if int(row["fold"]) in folds]
        archives = {name: np.load(folder / name) for name in sorted({row["file"] for row in rows})}
        songs = [
            StoredSong(
                row["id"],
                row["artist_key"],
                archives[row["file"]][row["id"]],
                tuple(segments(labels[row["id"]])),
            )
            for row in rows
        ]
    except FileNotFoundError as error:
        raise DataError(
            f"{error.filename}: missing; stored chroma needs chroma_*.npz, labels.csv.gz, songs.csv"
        ) from None
    except (KeyError, ValueError, OSError) as error:
        raise DataError(f"{folder}: not in the form of stored Billboard chroma: {error}") from None
    if not songs:
        raise DataError(f"{folder}: no songs in fold {', '.join(map(str, folds))}")
    return songs


def _labels(path: Path) -> dict[str, list[tuple[float, float, str]]]:
    out: dict[str, list[tuple[float, float, str]]] = {}
    with gzip.open(path, "rt", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            out.setdefault(row["id"], []).append((float(row["start"]), float(row["end"]), row["label"]))
    return out


def dequantised(stored: NDArray[Any], rng: Generator | None = None) -> NDArray[np.float32]:
    """Chroma as the plug-in gave it: the middle of each interval, or a random place in it."""
    q = stored.astype(np.float32)
    within = 0.0 if rng is None else rng.uniform(-0.5, 0.5, stored.shape).astype(np.float32)
    low = 0.0 if rng is None else rng.uniform(0, _OFFSET, stored.shape).astype(np.float32)
    return np.where(q > 0, _STEP * (q + within) - _OFFSET, low).astype(np.float32)


def upright(song: StoredSong) -> NDArray[np.uint8]:
    """The song's chroma in the key of its labels."""
    steps = SEMITONES_SHARP.get(song.name, 0)
    return np.roll(song.chroma.reshape(2, 12, -1), -steps, axis=1).reshape(song.chroma.shape)
