"""Recordings with a csv of notes, or of a pitch curve, beside each: the simplest form of a user's own set."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mira.errors import DataError
from mira.inputs import AUDIO_SUFFIXES
from mira.writers.text import printable
from numpy.typing import NDArray

COLUMNS = ("onset_s", "offset_s", "pitch")
CURVE = ("time_s", "freq_hz")
INDEX = "index.csv"


@dataclass(frozen=True, eq=False)
class LabelledFile:
    """A recording and its notes.

    Parameters
    ----------
    audio
        The recording.
    notes
        Shape (4, note): onset and end in seconds, MIDI pitch (fractional where it was measured), velocity (0
        where unknown); sorted by onset.
    family
        What it is scored together with, from ``index.csv``.
    timed
        Whether the notes begin and end where it says; those of a pitch curve do not.
    """

    audio: Path
    notes: NDArray[np.float64]
    family: str = "all"
    timed: bool = True

    @property
    def name(self) -> str:
        """File name without its suffix."""
        return self.audio.stem


def labelled_files(folder: Path) -> list[LabelledFile]:
    """Recordings of a folder and of those below it, each with its notes in a csv of the same name.

    The csv has the columns ``onset_s``, ``offset_s``, ``pitch`` and perhaps ``velocity``; or ``time_s`` and
    ``freq_hz`` (0 where nothing sounds) at even steps, as pitch trackers write for one voice. An
    ``index.csv`` with a column ``stem`` or ``file`` says which recordings count; its column ``family`` groups
    them.

    Raises
    ------
    DataError
        If there is none, a file of the index is missing, or a csv cannot be read; the text names the line.
    """
    listed = _index(folder / INDEX) if (folder / INDEX).is_file() else None
    found = []
    for path in sorted(p for p in folder.rglob("*.csv") if p.name != INDEX):
        name = path.relative_to(folder).with_suffix("").as_posix()
        audio = _recording_of(path)
        if listed is not None and name not in listed:
            continue
        if audio is None:
            raise DataError(f"{printable(path)}: no recording of that name beside it; put one there")
        family = listed.pop(name) if listed is not None else "all"
        curve = _is_curve(path)
        notes = read_curve(path) if curve else read_notes(path)
        found.append(LabelledFile(audio, notes, family, timed=not curve))
    if listed:
        raise DataError(f"{printable(folder / INDEX)}: '{next(iter(listed))}' has no csv; mend the index")
    if not found:
        raise DataError(f"{printable(folder)}: no recording with a csv of its notes beside it")
    return found


def terms_of(folder: Path) -> str:
    """All that the column ``licence`` of the folder's ``index.csv`` says; empty if there is none."""
    if not (folder / INDEX).is_file():
        return ""
    with open(folder / INDEX, newline="", encoding="utf-8-sig") as file:
        return "; ".join(dict.fromkeys(row.get("licence") or "not stated" for row in csv.DictReader(file)))


def read_notes(path: Path) -> NDArray[np.float64]:
    """Notes of one csv; see :class:`LabelledFile`."""
    rows = []
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = [c for c in COLUMNS if c not in (reader.fieldnames or ())]
        if missing:
            raise DataError(
                f"{printable(path)}: line 1: no column '{missing[0]}'; it needs {', '.join(COLUMNS)}"
            )
        for row in reader:
            try:
                values = [float(row[c]) for c in COLUMNS] + [float(row.get("velocity") or 0)]
            except (TypeError, ValueError):
                values = [np.nan]
            if not np.isfinite(values).all():
                found = ", ".join(map(str, row.values()))
                raise DataError(f"{printable(path)}: line {reader.line_num}: not a note: {found}")
            if values[1] > max(values[0], 0.0):
                rows.append(values)
    notes = np.array(sorted(rows), dtype=np.float64).reshape(-1, 4).T
    notes[:1] = np.maximum(notes[:1], 0.0)
    return notes


def read_curve(path: Path) -> NDArray[np.float64]:
    """A pitch curve as stretches of one key, in the form of notes; see :class:`LabelledFile`."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        try:
            rows = [(float(row["time_s"]), float(row["freq_hz"])) for row in reader]
        except (TypeError, ValueError) as error:
            raise DataError(
                f"{printable(path)}: line {reader.line_num}: not a time and a frequency"
            ) from error
    times, hz = np.array(rows, dtype=np.float64).reshape(-1, 2).T
    if len(times) < 2 or not (np.diff(times) > 0).all() or not (np.isfinite(hz) & (hz >= 0)).all():
        raise DataError(f"{printable(path)}: times must rise, and frequencies be 0 or more")
    step = float(np.median(np.diff(times)))
    key = np.where(hz > 0, np.rint(69 + 12 * np.log2(np.maximum(hz, 1e-6) / 440)), 0)
    edges = np.flatnonzero(np.diff(key, prepend=np.nan, append=np.nan))
    start_s, end_s = times[edges[:-1]] - step / 2, times[edges[1:] - 1] + step / 2
    notes = np.stack([np.maximum(start_s, 0), end_s, key[edges[:-1]], np.zeros(len(edges) - 1)])
    return notes[:, notes[2] > 0]


def _is_curve(path: Path) -> bool:
    with open(path, newline="", encoding="utf-8-sig") as file:
        return set(CURVE) <= set(next(csv.reader(file), ()))


def _recording_of(path: Path) -> Path | None:
    suffixes = [s for s in AUDIO_SUFFIXES if path.with_suffix(s).is_file()]
    return path.with_suffix(suffixes[0]) if suffixes else None


def _index(path: Path) -> dict[str, str]:
    """Recording without its suffix -> family."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        column = next((c for c in ("stem", "file") if c in (reader.fieldnames or ())), "")
        if not column:
            raise DataError(f"{printable(path)}: line 1: no column 'stem' or 'file'")
        names = ((row[column], row.get("family") or "all") for row in reader)
        if column == "stem":
            return dict(names)
        return {Path(name).with_suffix("").as_posix(): family for name, family in names}
