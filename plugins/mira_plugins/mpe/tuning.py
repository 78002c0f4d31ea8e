"""Thresholds of the decoder, chosen on validation recordings by the scores that matter."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from mira.results import Notes
from mira.task import Activations
from mira_train.evaluate import Track
from mira_train.metrics import transcription
from numpy.typing import NDArray

from mira_plugins.mpe import TranscribeSettings
from mira_plugins.mpe.decode import Thresholds, decode_notes

GRID = {
    "onset": (0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8),
    "again": (0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7),
    "frame": (0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55),
    "release": (0.0, 1.0, 2.0, 4.0, 6.0, 9.0, 12.0),
    "sustain": (0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
}
"""Values tried for each threshold, one threshold at a time."""
_STEP_S = 0.01

Heard = Sequence[tuple[Track, Activations]]


def tune(heard: Heard, *, rounds: int = 2) -> dict[str, Any]:
    """Coordinate search for the highest mean of onset F, onset-and-offset F and frame accuracy.

    Parameters
    ----------
    heard
        Recordings whose truth is notes (start_s, end_s, MIDI pitch in rows), and what the network said.

    Returns
    -------
    dict
        The model card's defaults: the best thresholds.
    """
    noted = [(track, activations) for track, activations in heard if not isinstance(track.truth, tuple)]
    best = Thresholds()
    top = _mean_score(noted, best)
    for name, values in [*GRID.items()] * rounds:
        for value in values:
            candidate = replace(best, **{name: value})
            reached = _mean_score(noted, candidate)
            if reached > top:
                best, top = candidate, reached
    return vars(best)


def _mean_score(heard: Heard, thresholds: Thresholds) -> float:
    """Mean of the three measures, averaged over recordings, then over families."""
    families = defaultdict(list)
    for track, activations in heard:
        notes = decode_notes(replace(activations, defaults=vars(thresholds)), TranscribeSettings())
        families[track.family].append(_score(notes, track.truth))
    return float(np.mean([np.mean(values) for values in families.values()]))


def _score(notes: Notes, truth: NDArray[np.float64]) -> float:
    ours = np.stack([notes.start_s, notes.end_s], 1), notes.pitch.astype(float)
    counted = transcription((truth[:2].T, truth[2]), ours)
    frames = int(notes.duration_s / _STEP_S) + 1
    found = _roll(notes.start_s, notes.end_s, ours[1], frames)
    true = _roll(truth[0], truth[1], truth[2], frames)
    accuracy = (found & true).sum() / max((found | true).sum(), 1)
    return float(np.mean([counted["f1"], counted["offset_f1"], accuracy]))


def _roll(
    start_s: NDArray[np.float64], end_s: NDArray[np.float64], pitch: NDArray[np.float64], frames: int
) -> NDArray[np.bool_]:
    """Which pitches sound on a grid of 10 ms, shape (frame, 128); much faster than lists of Hz."""
    roll = np.zeros((frames, 128), bool)
    first, last = np.ceil(start_s / _STEP_S).astype(int), np.ceil(end_s / _STEP_S).astype(int)
    for start, stop, key in zip(first, last, np.rint(pitch).astype(int), strict=True):
        roll[start:stop, key] = True
    return roll
