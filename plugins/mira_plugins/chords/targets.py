"""Chord segments as frame-wise targets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mira_plugins.chords.vocabulary import NAMES, NO_CHORD, SILENCE, Chord, parse

IGNORED = -1
COLUMNS = ("root", "quality", "bass", "tones")


@dataclass(frozen=True)
class Segment:
    """A chord from ``start_s`` to ``end_s``; ``text`` is the symbol as written, where there was one."""

    start_s: float
    end_s: float
    chord: Chord
    text: str = ""


def segments(rows: Iterable[tuple[float, float, str]]) -> list[Segment]:
    """From rows of start, end and label."""
    return [Segment(start, end, parse(label), label) for start, end, label in rows]


def transposed(segment: Segment, steps: int, factor: float = 1.0) -> Segment:
    """Moved by semitones, and ``factor`` times slower."""
    chord = segment.chord
    if chord.root is not None and chord.root != NO_CHORD:
        chord = replace(
            chord,
            root=(chord.root + steps) % 12,
            bass=None if chord.bass is None else (chord.bass + steps) % 12,
            tones=frozenset((tone + steps) % 12 for tone in chord.tones),
        )
    return Segment(segment.start_s * factor, segment.end_s * factor, chord)


def cut(chords: Sequence[Segment], first_s: float, length_s: float) -> list[Segment]:
    """What lies in a stretch of time, moved to its start."""
    moved = [Segment(s.start_s - first_s, s.end_s - first_s, s.chord) for s in chords]
    inside = [s for s in moved if s.end_s > 0 and s.start_s < length_s]
    return [replace(s, start_s=max(s.start_s, 0.0), end_s=min(s.end_s, length_s)) for s in inside]


def frame_targets(chords: Sequence[Segment], times_s: NDArray[np.float64]) -> NDArray[np.int16]:
    """Targets of shape (frame, 4): root, quality, bass, and the tones as bits (bit 0 is C).

    A frame belongs to the segment with ``start_s <= time < end_s``; before, between and after segments there
    is no chord. Root and bass are 0 to 11 or 12 for no chord; what is unknown is -1.
    """
    silent = _columns(SILENCE)
    out = np.tile(np.array(silent, np.int16), (len(times_s), 1))
    for segment in chords:
        first, last = np.searchsorted(times_s, [segment.start_s, segment.end_s])
        out[first:last] = _columns(segment.chord)
    return out


def _columns(chord: Chord) -> tuple[int, int, int, int]:
    if chord.root is None:
        return IGNORED, IGNORED, IGNORED, IGNORED
    quality = IGNORED if chord.quality is None else NAMES.index(chord.quality)
    bass = IGNORED if chord.bass is None else chord.bass
    return chord.root, quality, bass, sum(1 << tone for tone in chord.tones)
