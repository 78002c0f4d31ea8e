"""From activations to notes: onset peaks, then the likeliest end of each.

Peaks with a regressed sub-frame position follow Kong et al. 2021; ends weigh the frame and offset outputs.
Plain numpy over arrays of shape (frame, 88).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from mira.results import Notes
from mira.task import Activations
from numpy.typing import NDArray

from mira_plugins.mpe.grid import quantized
from mira_plugins.mpe.pitches import bends

if TYPE_CHECKING:
    from mira_plugins.mpe import TranscribeSettings

LOWEST_PITCH = 21
_KEYS_AT_ONCE = 8
"""Keys do not look at each other, so a few at a time keep an hour's arrays small."""

_RARE = 0.03
"""Probabilities count as no smaller than this, so that one sure frame does not decide."""
_ATTACK = 3
"""Frames before an onset at which its own sound has not begun."""

_CLEAR = 0.3
"""Sum over five frames from which on the offset output says where a note ends."""

Frames = NDArray[np.float32]


@dataclass(frozen=True)
class Thresholds:
    """Tuned on validation material and stored in the model card.

    Parameters
    ----------
    onset
        An onset is a peak over time above this.
    again
        The same for a key that sounds already, where a doubt more often means a repeated note.
    frame
        A frame above this speaks for a note going on, one below it for its end.
    release
        How much the offset output weighs beside the frames in where a note ends.
    sustain
        Frames above this without an onset make a note of their own.
    """

    onset: float = 0.4
    again: float = 0.4
    frame: float = 0.35
    release: float = 6.0
    sustain: float = 0.75

    @classmethod
    def tuned(cls, defaults: Mapping[str, Any]) -> Thresholds:
        """Those of a model card; its other defaults are not thresholds."""
        names = {f.name for f in dataclasses.fields(cls)}
        return cls(**{k: float(v) for k, v in defaults.items() if k in names})

    def moved(self, sensitivity: float) -> Thresholds:
        """Lower for a sensitivity above 0.5, higher below; 0 and 1 come close to the ends of the scale."""
        by = 2 * sensitivity - 1

        def move(value: float) -> float:
            return value * (1 - 0.9 * by) if by > 0 else value - 0.9 * by * (1 - value)

        return Thresholds(
            move(self.onset), move(self.again), move(self.frame), self.release, move(self.sustain)
        )


def decode_notes(activations: Activations, settings: TranscribeSettings) -> Notes:
    """Notes of a recording.

    Parameters
    ----------
    activations
        Outputs ``onset``, ``frame``, ``offset`` (probabilities), ``shift`` (hops), ``velocity`` (0 to 1) and
        ``deviation`` (semitones); tuned thresholds in ``defaults``.
    settings
        What the user asked for.
    """
    thresholds = Thresholds.tuned(activations.defaults).moved(settings.sensitivity)
    parts = [
        _notes(activations, slice(low, low + _KEYS_AT_ONCE), thresholds)
        for low in range(0, activations.arrays["onset"].shape[1], _KEYS_AT_ONCE)
    ]
    start_s, end_s, pitch, loud, strength = (np.concatenate(column) for column in zip(*parts))
    keep = end_s - start_s >= max(settings.min_note, 0.001)
    keep &= (pitch >= settings.lowest) & (pitch <= settings.highest)
    order = np.nonzero(keep)[0][np.lexsort((pitch[keep], start_s[keep]))]
    columns = [c[order] for c in (start_s, end_s, pitch, loud, strength)]
    if settings.monophonic:
        columns = _one_at_a_time(columns)
    start_s, end_s, pitch, loud, strength = columns
    start_s, end_s, pitch = start_s.astype(np.float64), end_s.astype(np.float64), pitch.astype(np.int64)
    notes = Notes(
        activations.duration_s,
        start_s,
        end_s,
        pitch,
        loud.astype(np.int64),
        np.clip(strength, 0, 1).astype(np.float64),
        bends(activations, start_s, end_s, pitch - LOWEST_PITCH),
        settings.bends,
        settings.tempo,
        settings.program,
    )
    return quantized(notes, settings.quantize) if settings.quantize and len(pitch) else notes


def _notes(activations: Activations, keys: slice, thresholds: Thresholds) -> tuple[NDArray[Any], ...]:
    """Start, end, pitch, velocity and strength of the notes of a few keys."""
    onset, frame, offset, shift, velocity = (
        np.asarray(activations.arrays[name][:, keys], np.float32)
        for name in ("onset", "frame", "offset", "shift", "velocity")
    )
    at, key, strength = _onsets(onset, frame, thresholds)
    end = _ends(frame, offset, at, key, thresholds)
    hop = activations.hop_s
    start_s = np.maximum((at + np.clip(shift[at, key], -0.5, 0.5)) * hop, 0.0)
    end_s = np.minimum(end * hop, activations.duration_s)
    again = np.nonzero(key[1:] == key[:-1])[0]
    end_s[again] = np.minimum(end_s[again], start_s[again + 1])
    loud = np.clip(np.rint(velocity[at, key] * 127), 1, 127)
    return start_s, end_s, key + keys.start + LOWEST_PITCH, loud, strength


def _onsets(
    onset: Frames, frame: Frames, thresholds: Thresholds
) -> tuple[NDArray[np.int64], NDArray[np.int64], Frames]:
    """Frame, key and strength of every note's beginning."""
    padded = np.pad(onset, ((1, 1), (0, 0)))
    sounds = np.pad(frame, ((_ATTACK, 0), (0, 0)))[: len(frame)] > thresholds.frame
    enough = onset > np.where(sounds, np.float32(thresholds.again), np.float32(thresholds.onset))
    peak = enough & (onset >= padded[:-2]) & (onset > padded[2:])
    at, key = np.nonzero(peak)
    strength = onset[at, key]
    late = _without_onset(frame, peak, thresholds)
    at, key = np.concatenate([at, late[0]]), np.concatenate([key, late[1]])
    strength = np.concatenate([strength, 0.5 * frame[late]])
    order = np.lexsort((at, key))
    return at[order], key[order], strength[order]


def _without_onset(
    frame: Frames, peak: NDArray[np.bool_], thresholds: Thresholds
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the frame output rises above ``sustain`` in a stretch of sound that holds no onset."""
    sounding = np.pad(frame > thresholds.frame, ((1, 1), (0, 0)))
    begins = np.nonzero((sounding[1:-1] & ~sounding[:-2]).T)
    ends = np.nonzero((sounding[1:-1] & ~sounding[2:]).T)
    key, first, last = begins[0], begins[1], ends[1]
    attacks = np.concatenate([np.zeros((1, frame.shape[1])), np.cumsum(peak, axis=0)])
    held = attacks[np.minimum(last + 1, len(frame)), key] - attacks[np.maximum(first - 2, 0), key]
    strong = np.array(
        [frame[a : b + 1, k].max() if n == 0 else 0.0 for a, b, k, n in zip(first, last, key, held)],
        np.float32,
    )
    chosen = strong > thresholds.sustain
    return first[chosen], key[chosen]


def _ends(
    frame: Frames, offset: Frames, at: NDArray[np.int64], key: NDArray[np.int64], thresholds: Thresholds
) -> NDArray[np.float64]:
    """Where each note ends, in hops: the likeliest place before the next onset of its key.

    The likelihood of an end multiplies the odds that every frame before it sounds with a power of the offset
    output beside it. Where that output is clear, its centroid is the end; else the last frame's edge.
    """
    last = len(frame) - 1
    odds = np.log(_odds(frame) / _odds(np.float32(thresholds.frame)))
    padded = np.pad(offset, ((2, 2), (0, 0)))
    released = np.max([padded[1:-3], padded[2:-2], padded[3:-1]], axis=0)
    likely = np.cumsum(odds, axis=0, dtype=np.float64) - odds
    likely += thresholds.release * np.log(np.maximum(released, _RARE))
    # The frames of the attack may still be below the threshold: look from the second frame after the onset.
    first = np.minimum(at + 2, last)
    until = np.append(np.where(key[1:] == key[:-1], at[1:], last), last)[: len(at)]
    columns = np.ascontiguousarray(likely.T)
    spans = zip(key, first, np.maximum(until, first) + 1)
    end = first + np.array([columns[k, a:b].argmax() for k, a, b in spans], np.int64)
    around = np.arange(-2, 3)[:, None]
    near = padded[end + 2 + around, key]
    mass = near.sum(axis=0)
    centre = (near * around).sum(axis=0) / np.maximum(mass, _CLEAR)
    return end.astype(np.float64) + np.where(mass > _CLEAR, centre, -0.5)


def _odds(probability: Frames | np.float32) -> Frames | np.float32:
    sure = np.clip(probability, _RARE, 1 - _RARE)
    return sure / (1 - sure)


def _one_at_a_time(columns: list[NDArray]) -> list[NDArray]:
    """Cut a note at the next onset; of two that begin within 50 ms the more confident stays."""
    start_s, end_s, _, _, strength = columns
    kept: list[int] = []
    for i in range(len(start_s)):
        if kept and start_s[i] - start_s[kept[-1]] < 0.05:
            if strength[i] > strength[kept[-1]]:
                kept[-1] = i
        else:
            kept.append(i)
    chosen = np.array(kept, np.int64)
    start_s, end_s = start_s[chosen], end_s[chosen]
    if len(chosen):
        end_s = np.minimum(end_s, np.append(start_s[1:], np.inf))
    return [start_s, end_s, *(c[chosen] for c in columns[2:])]
