"""Scores as arrays of notes: read from MIDI with the pedal applied, cut, moved, loosened."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np
import pretty_midi
from numpy.random import Generator
from numpy.typing import NDArray

MAX_PEDAL_S = 8.0
"""A note held by the pedal alone counts as sounding for at most this long."""


@dataclass(frozen=True)
class Part:
    """Notes of one instrument, sorted by onset.

    Parameters
    ----------
    start_s, end_s
        Shape (note,), seconds.
    pitch, velocity
        Shape (note,), MIDI numbers.
    program
        General MIDI program, 0 to 127.
    is_drum
        Whether the pitches are drum names; such notes never become labels.
    name
        Track name.
    """

    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    pitch: NDArray[np.int64]
    velocity: NDArray[np.int64]
    program: int = 0
    is_drum: bool = False
    name: str = ""

    def __len__(self) -> int:
        return len(self.start_s)

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Part:
        """The notes chosen by a mask or by indices."""
        return replace(
            self,
            start_s=self.start_s[chosen],
            end_s=self.end_s[chosen],
            pitch=self.pitch[chosen],
            velocity=self.velocity[chosen],
        )


def read_midi(source: str | BinaryIO) -> list[Part]:
    """Parts of a MIDI file, drums included; sustain pedal (CC64 >= 64) prolongs notes.

    A pedalled note ends at pedal up, at the next note of its pitch, or after ``MAX_PEDAL_S``.
    """
    parts = []
    for track in pretty_midi.PrettyMIDI(source).instruments:
        notes = sorted(track.notes, key=lambda n: (n.start, n.pitch))
        if not notes:
            continue
        part = Part(
            np.array([n.start for n in notes]),
            np.array([n.end for n in notes]),
            np.array([n.pitch for n in notes]),
            np.array([n.velocity for n in notes]),
            track.program,
            track.is_drum,
            track.name,
        )
        pedal = [(c.time, c.value >= 64) for c in track.control_changes if c.number == 64]
        parts.append(_pedalled(part, pedal) if any(down for _, down in pedal) else part)
    return parts


def _pedalled(part: Part, pedal: list[tuple[float, bool]]) -> Part:
    times = np.array([t for t, _ in pedal])
    down = np.array([d for _, d in pedal])
    end_s = part.end_s.copy()
    following: dict[int, float] = {}
    for i in range(len(part) - 1, -1, -1):
        at = np.searchsorted(times, end_s[i], side="right") - 1
        if at >= 0 and down[at]:
            ups = np.nonzero(~down[at:])[0]
            up = times[at + ups[0]] if len(ups) else np.inf
            limit = following.get(int(part.pitch[i]), np.inf)
            end_s[i] = max(end_s[i], min(up, limit, end_s[i] + MAX_PEDAL_S))
        following[int(part.pitch[i])] = part.start_s[i]
    return replace(part, end_s=end_s)


def excerpt(parts: list[Part], start_s: float, length_s: float) -> list[Part]:
    """The notes that begin inside a stretch of time, moved to its start; ends are cut at its end."""
    out = []
    for part in parts:
        inside = (part.start_s >= start_s) & (part.start_s < start_s + length_s - 0.05)
        cut = part.take(inside)
        cut = replace(cut, start_s=cut.start_s - start_s, end_s=np.minimum(cut.end_s - start_s, length_s))
        if len(cut):
            out.append(cut)
    return out


def stretch(parts: list[Part], factor: float) -> list[Part]:
    """Play ``factor`` times slower."""
    return [replace(p, start_s=p.start_s * factor, end_s=p.end_s * factor) for p in parts]


def transpose(parts: list[Part], semitones: int) -> list[Part]:
    """Move every pitched part."""
    return [p if p.is_drum else replace(p, pitch=p.pitch + semitones) for p in parts]


def loosen(part: Part, rng: Generator, *, timing_s: float, velocity: float, articulation: float) -> Part:
    """What a player does to a score: uneven onsets, uneven loudness, notes shorter than written.

    Parameters
    ----------
    timing_s, velocity
        Standard deviations.
    articulation
        Mean share of the written duration that sounds.
    """
    n = len(part)
    moved = np.maximum(part.start_s + rng.normal(0, timing_s, n), 0.0)
    share = np.clip(rng.normal(articulation, 0.08, n), 0.3, 1.0)
    length = np.maximum((part.end_s - part.start_s) * share, 0.06)
    phrase = 10 * np.sin(2 * np.pi * (part.start_s / rng.uniform(3, 9) + rng.random()))
    loud = np.clip(part.velocity + phrase + rng.normal(0, velocity, n), 20, 127).astype(np.int64)
    order = np.argsort(moved, kind="stable")
    return replace(part, start_s=moved, end_s=moved + length, velocity=loud).take(order)


def without_overlaps(part: Part) -> Part:
    """Cut each note at the next onset of its pitch; drop what is shorter than 20 ms then."""
    end_s = part.end_s.copy()
    following: dict[int, float] = {}
    for i in range(len(part) - 1, -1, -1):
        pitch = int(part.pitch[i])
        end_s[i] = min(end_s[i], following.get(pitch, np.inf))
        following[pitch] = part.start_s[i]
    return replace(part, end_s=end_s).take(end_s - part.start_s > 0.02)
