"""From a score to a labelled recording: who plays what, how, and in which mix.

A scene is drawn at random from a generator, so the same seed gives the same audio.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mira_train.synth.sampler import Instrument
from mira_train.synth.score import Part, loosen, stretch, transpose, without_overlaps
from mira_train.synth.soundfont import SoundFont, random_vibrato

PROGRAMS: Mapping[str, tuple[int, ...]] = {
    "piano": (0, 0, 1, 2, 3),
    "keys": (4, 5, 6, 7),
    "mallets": (8, 9, 11, 12, 13),
    "organ": (16, 17, 18, 19, 20, 21),
    "guitar": (24, 25, 26, 27, 24, 25),
    "overdriven": (29, 30),
    "bass": (32, 33, 34, 35),
    "strings": (40, 41, 42, 48, 49, 40, 42),
    "plucked": (45, 46, 105, 106),
    "voice": (52, 53, 54, 85, 52, 53),
    "brass": (56, 57, 58, 60, 61, 56),
    "reed": (64, 65, 66, 67, 68, 69, 70, 71, 71, 22),
    "pipe": (72, 73, 74, 75, 79, 73, 22),
}
"""General MIDI programs by family; more frequent ones are repeated."""

RANGES: Mapping[str, tuple[int, int]] = {
    "piano": (21, 108),
    "keys": (33, 96),
    "mallets": (53, 101),
    "organ": (33, 96),
    "guitar": (38, 86),
    "overdriven": (38, 86),
    "bass": (26, 60),
    "strings": (34, 98),
    "plucked": (28, 98),
    "voice": (40, 84),
    "brass": (34, 84),
    "reed": (36, 90),
    "pipe": (55, 100),
}
"""Lowest and highest MIDI pitch that a family is given."""

EXPRESSIVE = frozenset({"strings", "voice", "brass", "reed", "pipe"})
SAMPLED: Mapping[str, str] = {"winds": "reed", "drums": "drums", "percussion": "drums"}
"""Families of single-note sources under another name here."""


@dataclass(frozen=True)
class Clip:
    """A labelled piece of audio.

    Parameters
    ----------
    audio
        Shape (sample,), mono.
    sample_rate
        Hz.
    start_s, end_s, pitch, velocity
        Shape (note,) each; pitch is a MIDI number, fractional where it was measured; velocity 0 where
        unknown.
    about
        What was played by whom, for the manifest.
    """

    audio: NDArray[np.float32]
    sample_rate: int
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    pitch: NDArray[np.float64]
    velocity: NDArray[np.int64]
    about: Mapping[str, str]


@dataclass(frozen=True)
class Band:
    """Everything that can play.

    Parameters
    ----------
    soundfonts
        Loaded SoundFonts.
    instruments
        Single-note instruments by source name.
    sampled
        Share of parts played by single notes where a source fits.
    """

    soundfonts: Sequence[SoundFont]
    instruments: Mapping[str, Instrument]
    sampled: float = 0.5

    def sources(self, family: str) -> list[Instrument]:
        """Single-note instruments of a family."""
        return [i for i in self.instruments.values() if SAMPLED.get(i.family, i.family) == family]


def perform(
    parts: Sequence[Part],
    families: Sequence[str],
    length_s: float,
    band: Band,
    rng: Generator,
    *,
    score: bool,
) -> Clip:
    """Play each part by an instrument of its family and mix.

    Parameters
    ----------
    families
        One family a part, or ``""`` to leave the part out.
    score
        Whether the timing is a score's, so that it needs a player's freedom.
    """
    rate = band.soundfonts[0].sample_rate
    mix = np.zeros(round(length_s * rate), np.float32)
    heard: list[Part] = []
    names = []
    tuning = float(rng.normal(0, 12))
    for part, family in zip(parts, families, strict=True):
        if not family or not len(part):
            continue
        part = _prepared(part, family, rng, score)
        audio, label, name = _play(part, family, length_s, band, rng, tuning)
        gain = 10 ** (rng.uniform(-9, 3) / 20) if len(parts) > 1 else 1.0
        level = float(np.sqrt(np.mean(audio**2))) + 1e-6
        mix += audio * np.float32(gain * 0.1 / level)
        heard.append(label)
        names.append(name)
    return _clip(mix, rate, heard, names)


def _prepared(part: Part, family: str, rng: Generator, score: bool) -> Part:
    """Moved by octaves into the family's range, and played by a human."""
    low, high = RANGES[family]
    pitch = part.pitch.copy()
    middle = np.median(pitch)
    while middle < low + 6:
        pitch, middle = pitch + 12, middle + 12
    while middle > high - 6:
        pitch, middle = pitch - 12, middle - 12
    part = replace(part, pitch=pitch).take((pitch >= low) & (pitch <= high))
    if score and len(part):
        legato = rng.uniform(0.6, 1.0)
        part = loosen(
            part, rng, timing_s=rng.uniform(0, 0.015), velocity=rng.uniform(3, 14), articulation=legato
        )
    return without_overlaps(part)


def _play(
    part: Part, family: str, length_s: float, band: Band, rng: Generator, tuning: float
) -> tuple[NDArray[np.float32], Part, str]:
    sources = band.sources(family)
    if sources and rng.random() < band.sampled:
        source = sources[int(rng.integers(len(sources)))]
        low, high = source.range
        if len(part) and np.mean((part.pitch >= low) & (part.pitch <= high)) > 0.85:
            audio, label = source.render(part, length_s, rng, detune_cents=float(rng.normal(0, 4)))
            return audio, label, source.name
    font = band.soundfonts[int(rng.integers(len(band.soundfonts)))]
    program = int(rng.choice(PROGRAMS[family]))
    expressive = family in EXPRESSIVE and rng.random() < 0.6
    audio = font.render(
        part,
        length_s,
        program=program,
        detune_cents=tuning + float(rng.normal(0, 4)),
        vibrato=random_vibrato(rng) if expressive else None,
        scoop_cents=float(rng.uniform(-90, 20)) if expressive and rng.random() < 0.4 else 0.0,
    )
    return audio, font.heard(part, program), f"{font.path.stem}:{program}"


def add_drums(clip: Clip, band: Band, rng: Generator) -> Clip:
    """Lay a simple drum pattern of single hits under a clip; drums are never labels."""
    kits = band.sources("drums")
    audio = clip.audio.copy()
    beat_s = 60 / rng.uniform(70, 170)
    level = float(np.sqrt(np.mean(audio**2))) * 10 ** (rng.uniform(-8, 6) / 20)
    for _ in range(int(rng.integers(2, 5))):
        hit = kits[int(rng.integers(len(kits)))].hit(rng)
        every = beat_s * float(rng.choice([0.5, 1, 2, 4]))
        for time in np.arange(rng.random() * every, len(audio) / clip.sample_rate, every):
            at = round((time + rng.normal(0, 0.004)) * clip.sample_rate)
            if 0 <= at < len(audio):
                piece = hit[: len(audio) - at]
                audio[at : at + len(piece)] += piece * np.float32(level * 3 * rng.uniform(0.5, 1))
    return replace(clip, audio=audio, about={**clip.about, "drums": "yes"})


def vary(parts: list[Part], rng: Generator, *, score: bool) -> list[Part]:
    """Another key and tempo."""
    factor = float(np.exp(rng.uniform(-0.3, 0.3))) if score else float(np.exp(rng.uniform(-0.12, 0.12)))
    return transpose(stretch(parts, factor), int(rng.integers(-5, 7)))


def _clip(mix: NDArray[np.float32], rate: int, heard: list[Part], names: list[str]) -> Clip:
    peak = float(np.abs(mix).max()) + 1e-9
    if heard:
        whole = Part(
            np.concatenate([p.start_s for p in heard]),
            np.concatenate([p.end_s for p in heard]),
            np.concatenate([p.pitch for p in heard]),
            np.concatenate([p.velocity for p in heard]),
        )
        whole = without_overlaps(_without_unisons(whole.take(np.argsort(whole.start_s, kind="stable"))))
    else:
        whole = Part(np.zeros(0), np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64))
    about = {"instruments": ", ".join(names)}
    return Clip(
        mix * np.float32(0.7 / peak),
        rate,
        whole.start_s,
        whole.end_s,
        whole.pitch.astype(float),
        whole.velocity,
        about,
    )


def _without_unisons(part: Part) -> Part:
    """Two instruments on one pitch within 40 ms are one note, as long as the longer."""
    keep = np.ones(len(part), bool)
    end_s = part.end_s.copy()
    last: dict[int, int] = {}
    for i in range(len(part)):
        pitch = int(part.pitch[i])
        j = last.get(pitch)
        if j is not None and part.start_s[i] - part.start_s[j] < 0.04:
            keep[i] = False
            end_s[j] = max(end_s[j], end_s[i])
        else:
            last[pitch] = i
    return replace(part, end_s=end_s).take(keep)
