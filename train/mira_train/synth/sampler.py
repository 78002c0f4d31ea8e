"""Parts played with real single notes: the nearest recorded pitch, resampled, with a release."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.random import Generator
from numpy.typing import NDArray

from mira_train.synth.score import Part

_MAX_SHIFT = 4
"""Semitones that a sample may be moved."""
_KEPT = 64
"""Recorded notes of an instrument that stay in memory."""


@dataclass(frozen=True)
class Sample:
    """One recorded note.

    Parameters
    ----------
    path
        Audio file.
    pitch
        Measured MIDI pitch, fractional.
    onset_s
        Where the sound begins in the file.
    layer
        Velocity layer, 0 softest.
    """

    path: Path
    pitch: float
    onset_s: float
    layer: int


class Instrument:
    """All notes of one source; audio is loaded on first use.

    Parameters
    ----------
    name, family
        As in the index.
    samples
        Recorded notes, or drum hits (pitch NaN).
    sample_rate
        Rate in Hz of what is rendered.
    """

    def __init__(self, name: str, family: str, samples: list[Sample], sample_rate: int) -> None:
        self.name, self.family, self.samples, self.sample_rate = name, family, samples, sample_rate
        self._pitches = np.array([s.pitch for s in samples])
        self._audio: dict[tuple[int, int], NDArray[np.float32]] = {}
        self._raw: dict[int, tuple[NDArray[np.float32], int]] = {}

    @property
    def range(self) -> tuple[int, int]:
        """Lowest and highest MIDI pitch that can be played."""
        return round(self._pitches.min()) - _MAX_SHIFT + 1, round(self._pitches.max()) + _MAX_SHIFT - 1

    def render(
        self,
        part: Part,
        length_s: float,
        rng: Generator,
        *,
        detune_cents: float = 0.0,
        release_s: float = 0.12,
    ) -> tuple[NDArray[np.float32], Part]:
        """Mono audio, and the part as it sounds: notes out of range dropped, ends where a sample runs out."""
        audio = np.zeros(round(length_s * self.sample_rate), np.float32)
        end_s = part.end_s.copy()
        played = np.zeros(len(part), bool)
        for i in range(len(part)):
            note = self._note(int(part.pitch[i]), int(part.velocity[i]), rng, detune_cents)
            if note is None:
                continue
            at = round(part.start_s[i] * self.sample_rate)
            hold = round((part.end_s[i] - part.start_s[i]) * self.sample_rate)
            shaped = _released(note, hold, round(release_s * self.sample_rate))[: max(len(audio) - at, 0)]
            audio[at : at + len(shaped)] += shaped * (part.velocity[i] / 100) ** 1.5
            end_s[i] = min(end_s[i], part.start_s[i] + len(note) / self.sample_rate)
            played[i] = True
        return audio, replace(part, end_s=end_s).take(played)

    def _note(
        self, pitch: int, velocity: int, rng: Generator, detune_cents: float
    ) -> NDArray[np.float32] | None:
        distance = np.abs(self._pitches - pitch)
        if distance.min() > _MAX_SHIFT:
            return None
        near = np.nonzero(distance <= max(distance.min() + 0.4, 1.0))[0]
        layers = sorted({self.samples[i].layer for i in near})
        layer = layers[min(int(velocity / 128 * len(layers)), len(layers) - 1)]
        index = int(rng.choice([i for i in near if self.samples[i].layer == layer]))
        return self._shifted(index, pitch, detune_cents)

    def _shifted(self, index: int, pitch: int, detune_cents: float) -> NDArray[np.float32]:
        """A sample from its onset on, moved to a pitch by resampling."""
        key = (index, pitch)
        if key not in self._audio:
            sample = self.samples[index]
            raw, rate = self._recorded(index)
            raw = raw[max(round((sample.onset_s - 0.002) * rate), 0) :]
            ratio = 2 ** ((pitch - sample.pitch + detune_cents / 100) / 12)
            self._audio[key] = np.asarray(soxr.resample(raw, rate * ratio, self.sample_rate), np.float32)
        return self._audio[key]

    def hit(self, rng: Generator) -> NDArray[np.float32]:
        """Any one sample as it is (drums)."""
        index = int(rng.integers(len(self.samples)))
        key = (index, -1)
        if key not in self._audio:
            self._audio[key] = np.asarray(soxr.resample(*self._recorded(index), self.sample_rate), np.float32)
        return self._audio[key]

    def forget(self) -> None:
        """Drop the notes made so far, so that what comes next depends on nothing that was played before."""
        self._audio.clear()

    def _recorded(self, index: int) -> tuple[NDArray[np.float32], int]:
        """A sample as it was recorded, and its rate; the last ones used stay in memory."""
        if index not in self._raw:
            if len(self._raw) >= _KEPT:
                del self._raw[next(iter(self._raw))]
            raw, rate = soundfile.read(self.samples[index].path, dtype="float32", always_2d=True)
            self._raw[index] = raw.mean(axis=1), rate
        return self._raw[index]


def _released(note: NDArray[np.float32], hold: int, release: int) -> NDArray[np.float32]:
    shaped = note[: hold + release].copy()
    tail = len(shaped) - hold
    if tail > 0:
        shaped[hold:] *= np.exp(-5 * np.arange(tail, dtype=np.float32) / release)
    return shaped


def _loudness(layer: str) -> float:
    """Order of velocity layers: ``pp`` ... ``fff`` or fractions such as ``2/5 close``."""
    word = layer.split(" ")[0]
    if "/" in word:
        part, whole = word.split("/")
        return float(part) / float(whole)
    dynamics = ("ppp", "pp", "p", "mp", "mf", "f", "ff", "fff")
    return dynamics.index(word) / 7 if word in dynamics else 0.5


def load_instruments(folder: Path, sample_rate: int) -> dict[str, Instrument]:
    """Instruments of a folder of single notes with an ``index.csv`` (path, source, family, ...)."""
    rows = defaultdict(list)
    with open(folder / "index.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            rows[row["source"], row["family"]].append(row)
    out = {}
    for (source, family), group in rows.items():
        names = sorted({r["velocity_layer"] for r in group}, key=_loudness)
        layers = {name: i for i, name in enumerate(names)}
        samples = [
            Sample(
                folder / r["path"],
                float(r["midi_pitch"]) + float(r["tuning_cents"] or 0) / 100
                if r["midi_pitch"]
                else float("nan"),
                float(r["onset_s"] or 0),
                layers[r["velocity_layer"]],
            )
            for r in group
        ]
        out[source] = Instrument(source, family, samples, sample_rate)
    return out
