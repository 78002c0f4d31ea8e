"""How transcriptions are scored: notes against notes, pitches frame by frame, always in seconds and Hz."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from mira.analysis import Model
from mira.results import Notes
from mira.task import Activations
from mira_train.evaluate import Track, samples_of
from mira_train.labelled import labelled_files
from mira_train.metrics import Scores, multipitch, pitch_peaks, transcription
from mira_train.sets import find_sets, recordings
from numpy.typing import NDArray

from mira_plugins.mpe.examples import notes_of

STEP_S = 0.01
"""Grid on which sounding pitches are compared."""
THRESHOLDS = np.linspace(0.05, 0.95, 19)

Floats = NDArray[np.float64]
Pitches = tuple[Floats, list[Floats]]


def tracks(names: Sequence[str]) -> list[Track]:
    """Recordings of sets with ``pitchmidi`` or ``f0multi``, and of folders with a csv beside each."""
    plain = [n for n in names if Path(n).is_dir() and not any(Path(n).glob("*.pyjama"))]
    found = []
    for f in (f for n in plain for f in labelled_files(Path(n))):
        truth = f.notes if f.timed else sounding(f.notes[:3], float(f.notes[1].max(initial=0.0)))
        found.append(Track(f.name, f.family, f.audio, truth))
    for dataset in find_sets([n for n in names if n not in plain]):
        for item in recordings([dataset]):
            if item.entry["pitchmidi"]:
                found.append(Track(item.key, dataset.name, samples_of(item), notes_of(item, "pitchmidi")))
            elif item.entry["f0multi"]:
                atom = item.entry["f0multi"][0]
                truth = (atom.times, [_hz(column[column > 0]) for column in np.asarray(atom.value, float).T])
                found.append(Track(item.key, dataset.name, samples_of(item), truth))
    return found


def score(track: Track, model: Model, activations: Activations) -> Scores:
    """Scores of one recording.

    ``onset_f1`` and ``offset_f1`` count notes (within 50 ms; ends within 50 ms or a fifth), where the truth
    and the model have notes; the others count pitches on a grid of 10 ms.
    """
    scores: Scores = {}
    if "salience" in activations.arrays:
        found = _peaks(activations, 0.5)
    else:
        notes = model.decode(activations)
        assert isinstance(notes, Notes)
        rows = np.stack([notes.start_s, notes.end_s, notes.pitch.astype(float)])
        found = sounding(rows, activations.duration_s)
        if not isinstance(track.truth, tuple):
            ours = np.stack([notes.start_s, notes.end_s], 1), notes.pitch.astype(float)
            counted = transcription((track.truth[:2].T, track.truth[2]), ours)
            scores = {"onset_f1": counted["f1"], "offset_f1": counted["offset_f1"]}
    frames = multipitch(_truth(track, activations.duration_s), found)
    return {**scores, **{f"frame_{n}": frames[n] for n in ("precision", "recall", "accuracy", "error")}}


def sounding(notes: Floats, duration_s: float) -> Pitches:
    """Pitches in Hz at each time of the grid, from rows of start, end and MIDI pitch."""
    times = np.arange(0, duration_s, STEP_S)
    pitches: list[list[float]] = [[] for _ in times]
    first = np.ceil(notes[0] / STEP_S - 1e-6).astype(int)
    last = np.ceil(notes[1] / STEP_S - 1e-6).astype(int)
    for start, stop, hz in zip(first, last, _hz(notes[2])):
        for k in range(start, min(stop, len(times))):
            pitches[k].append(hz)
    return times, [np.unique(np.array(p, float)) for p in pitches]


def draw(heard: Iterator[tuple[Track, Activations]], model: Path, folder: Path) -> None:
    """Draw activations against the truth, and precision over recall of the pitches in all frames."""
    from mira_train import plots

    counts = np.zeros((len(THRESHOLDS), 3))
    for track, activations in heard:
        name = "salience" if "salience" in activations.arrays else "frame"
        shown = np.asarray(activations.arrays[name], float)
        truth = _truth(track, activations.duration_s)
        wanted = _on_grid(truth, len(shown), activations.hop_s)
        if name == "frame":
            plots.activations(
                folder / f"{track.name.replace('/', '+++')}.png", shown, wanted, activations.hop_s, 21
            )
            counts += [_counts(shown > t, wanted) for t in THRESHOLDS]
        else:
            counts += [_counts(_as_keys(_peaks(activations, t)[1]), wanted) for t in THRESHOLDS]
    right, found, there = counts.T
    plots.precision_recall(
        folder / "precision-recall.png", right / np.maximum(found, 1), right / there, THRESHOLDS
    )


def _truth(track: Track, duration_s: float) -> Pitches:
    return track.truth if isinstance(track.truth, tuple) else sounding(track.truth[:3], duration_s)


def _peaks(activations: Activations, threshold: float) -> Pitches:
    """Pitches that a book model's salience peaks at; its bins are 60 an octave from 32.7 Hz."""
    salience = np.asarray(activations.arrays["salience"], float)
    hz = 32.7 * 2 ** (np.arange(salience.shape[1]) / 60)
    times = np.arange(len(salience), dtype=float) * activations.hop_s
    return times, pitch_peaks(salience.T, hz, threshold)


def _on_grid(truth: Pitches, frames: int, hop_s: float) -> NDArray[np.bool_]:
    """Sounding keys of each of the model's frames, shape (frame, 88)."""
    times, pitches = truth
    nearest = np.minimum(np.searchsorted(times, np.arange(frames) * hop_s), len(times) - 1)
    return _as_keys([pitches[i] for i in nearest])


def _as_keys(pitches: Sequence[Floats]) -> NDArray[np.bool_]:
    keys = np.zeros((len(pitches), 88), bool)
    for row, hz in zip(keys, pitches):
        key = np.rint(69 + 12 * np.log2(np.asarray(hz) / 440)).astype(int) - 21
        row[key[(key >= 0) & (key < 88)]] = True
    return keys


def _counts(found: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> list[int]:
    """How many are right, found, there."""
    return [int((found & wanted).sum()), int(found.sum()), int(wanted.sum())]


def _hz(midi: Floats) -> Floats:
    return 440 * 2 ** ((np.asarray(midi, float) - 69) / 12)
