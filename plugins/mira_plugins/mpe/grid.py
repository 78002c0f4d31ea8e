"""Notes on the beat: for people who will go on in a sequencer or a score."""

from __future__ import annotations

import dataclasses

import numpy as np
from mira.results import Notes

DIVISION = 4
"""Steps of a beat: sixteenths of a quarter note."""


def quantized(notes: Notes, bpm: float) -> Notes:
    """Move starts and ends to sixteenths of a tempo, which becomes that of the notes.

    The grid is laid where the starts are nearest to it and then moved to 0, so that bars begin on it. A note
    lasts one sixteenth at least; of two of one pitch that fall together the more confident stays.
    """
    step = 60 / bpm / DIVISION
    phase = np.angle(np.exp(2j * np.pi * notes.start_s / step).sum()) / (2 * np.pi) * step
    first = np.maximum(np.rint((notes.start_s - phase) / step), 0).astype(int)
    last = np.maximum(np.rint((notes.end_s - phase) / step).astype(int), first + 1)
    best: dict[tuple[int, int], int] = {}
    for i in np.argsort(notes.confidence, kind="stable"):
        best[int(first[i]), int(notes.pitch[i])] = int(i)
    kept = [best[place] for place in sorted(best)]
    following: dict[int, int] = {}
    for i in reversed(kept):
        pitch = int(notes.pitch[i])
        last[i] = min(last[i], following.get(pitch, last[i]))
        following[pitch] = first[i]
    columns = {name: getattr(notes, name)[kept] for name in ("pitch", "velocity", "confidence")}
    return dataclasses.replace(
        notes,
        duration_s=max(notes.duration_s, float(last[kept].max() * step)),
        start_s=first[kept] * step,
        end_s=last[kept] * step,
        bends=None if notes.bends is None else tuple(notes.bends[i] for i in kept),
        tempo_bpm=bpm,
        **columns,
    )
