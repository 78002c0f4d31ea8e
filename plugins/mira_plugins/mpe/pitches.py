"""Pitches finer than keys: the curve of each note, and all that sounds in Hz."""

from __future__ import annotations

import numpy as np
from mira.results import MultiF0, Notes
from mira.task import Activations
from numpy.typing import NDArray

F0_STEP_S = 0.01
_CURVE_STEP = 20
"""Steps a semitone that a pitch curve is rounded to: 5 cents are hardly heard."""

Floats = NDArray[np.float64]


def bends(
    activations: Activations, start_s: Floats, end_s: Floats, key: NDArray[np.int64]
) -> tuple[Floats, ...]:
    """Pitch curve of each note, from the output ``deviation`` at its key.

    Returns
    -------
    For each note (k, 2): seconds from its start, semitones from its pitch; a value holds until the next. The
    first is at 0, and changes below 5 cents are left out.
    """
    deviation, hop_s = activations.arrays["deviation"], activations.hop_s
    first = np.ceil(start_s / hop_s).astype(int)
    last = np.maximum((end_s / hop_s).astype(int), first)
    if not len(key):
        return ()
    # The frames of all notes in one row: a loop over the notes would take longer than all else in decoding.
    count = np.maximum(np.minimum(last + 1, len(deviation)) - first, 1)
    begin = np.cumsum(count) - count
    note = np.repeat(np.arange(len(key)), count)
    frame = first[note] + np.arange(len(note)) - begin[note]
    inside = frame < len(deviation)
    values = np.zeros(len(note))
    heard = np.asarray(deviation[frame[inside], key[note[inside]]], float)
    values[inside] = np.rint(heard * _CURVE_STEP) / _CURVE_STEP
    kept = np.diff(values, prepend=np.inf) != 0
    kept[begin] = True
    times = frame * hop_s - start_s[note]
    times[begin] = 0.0
    curves = np.stack([times[kept], values[kept]], axis=1)
    return tuple(np.split(curves, np.cumsum(np.bincount(note[kept]))[:-1]))


def sounding_pitches(notes: Notes) -> MultiF0:
    """All pitches that sound, on a grid of 10 ms, with the notes' curves."""
    count = int(notes.duration_s / F0_STEP_S + 1e-6) + 1
    times = np.arange(count, dtype=np.float64) * F0_STEP_S
    columns: list[list[float]] = [[] for _ in times]
    curves = notes.bends or tuple(np.zeros((1, 2)) for _ in notes.pitch)
    for start, end, pitch, curve in zip(notes.start_s, notes.end_s, notes.pitch, curves):
        first, stop = np.ceil(np.array([start, end]) / F0_STEP_S - 1e-6).astype(int)
        grid = times[first : min(stop, len(times))]
        place = np.searchsorted(curve[:, 0], grid - start, side="right") - 1
        midi = pitch + curve[np.maximum(place, 0), 1]
        for k, hz in enumerate(440.0 * 2 ** ((midi - 69) / 12), first):
            columns[k].append(float(hz))
    return MultiF0(notes.duration_s, times, tuple(np.sort(np.array(c, float)) for c in columns))
