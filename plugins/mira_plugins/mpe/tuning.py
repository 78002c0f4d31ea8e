"""Thresholds chosen on validation recordings, by the scores that matter."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import mir_eval
import numpy as np
from mira.results import Notes
from mira.task import Activations
from numpy.typing import NDArray

from mira_plugins.mpe import TranscribeSettings
from mira_plugins.mpe.decode import Thresholds, decode_notes

GRID = {
    "onset": (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6),
    "frame": (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5),
    "offset": (0.2, 0.3, 0.4, 0.5, 0.7, 1.0),
    "sustain": (0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
}
"""Values tried for each threshold, one threshold at a time."""


@dataclass(frozen=True)
class Heard:
    """One validation recording.

    Parameters
    ----------
    activations
        What the network gave.
    notes
        Shape (3 or more, note): start_s, end_s, MIDI pitch.
    family
        Families weigh the same.
    """

    activations: Activations
    notes: NDArray[np.float64]
    family: str


def tune(
    heard: Sequence[Heard], start: Thresholds | None = None, rounds: int = 2
) -> tuple[Thresholds, float]:
    """Coordinate search for the highest mean of onset F, onset-and-offset F and frame accuracy.

    Returns
    -------
    Thresholds, float
        The best ones and their score, averaged over files, then families.
    """
    best = start or Thresholds()
    top = score(heard, best)
    for _ in range(rounds):
        for name, values in GRID.items():
            for value in values:
                candidate = replace(best, **{name: value})
                reached = score(heard, candidate)
                if reached > top:
                    best, top = candidate, reached
    return best, top


def score(heard: Sequence[Heard], thresholds: Thresholds) -> float:
    """Mean of the three measures, averaged over files, then over families."""
    families = defaultdict(list)
    for one in heard:
        marked = replace(one.activations, defaults=vars(thresholds))
        notes = decode_notes(marked, TranscribeSettings())
        families[one.family].append(np.mean(measures(notes, one.notes)))
    return float(np.mean([np.mean(values) for values in families.values()]))


def measures(notes: Notes, truth: NDArray[np.float64]) -> tuple[float, float, float]:
    """Onset F (50 ms), onset-and-offset F (20 % or 50 ms) and frame accuracy (10 ms grid) against the truth."""
    if not len(notes.pitch) or not truth.shape[1]:
        return 0.0, 0.0, 0.0
    ours = np.stack([notes.start_s, notes.end_s], 1), 440 * 2 ** ((notes.pitch - 69) / 12)
    true = truth[:2].T, 440 * 2 ** ((truth[2] - 69) / 12)
    onset = mir_eval.transcription.precision_recall_f1_overlap(*true, *ours, offset_ratio=None)[2]
    both = mir_eval.transcription.precision_recall_f1_overlap(*true, *ours)[2]
    return onset, both, _frame_accuracy(notes, truth)


def _frame_accuracy(notes: Notes, truth: NDArray[np.float64]) -> float:
    n = int(notes.duration_s / 0.01) + 1
    ours = _roll(notes.start_s, notes.end_s, notes.pitch.astype(float), n)
    true = _roll(truth[0], truth[1], truth[2], n)
    both = (ours & true).sum()
    return float(both / max((ours | true).sum(), 1))


def _roll(
    start_s: NDArray[np.float64], end_s: NDArray[np.float64], pitch: NDArray[np.float64], n: int
) -> NDArray[np.bool_]:
    roll = np.zeros((n, 128), bool)
    for s, e, p in zip(start_s, end_s, np.rint(pitch).astype(int), strict=True):
        roll[int(np.ceil(s / 0.01)) : int(np.ceil(e / 0.01)), p] = True
    return roll
