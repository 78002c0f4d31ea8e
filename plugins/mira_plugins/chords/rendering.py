"""Songs with known chords, played by the workshop's band, and sounds without chords."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from mira_train.synth.augment import Audio, spoil
from mira_train.synth.corpus import BACKING, SOLO, Library, Piece, Weights
from mira_train.synth.scene import Band, Clip, add_drums, perform
from mira_train.synth.score import Part, excerpt, read_midi, stretch, transpose
from numpy.random import Generator

from mira_plugins.chords.derivation import chords_of_notes
from mira_plugins.chords.targets import Segment, cut, transposed
from mira_plugins.chords.vocabulary import NO_CHORD, SILENCE, parse

SCORES: Mapping[str, float] = {
    "asap_piano": 5, "batik_mozart": 2, "kern_piano": 3, "bach_chorales": 2, "openscore_lieder": 2,
    "nottingham": 1,
}  # fmt: skip
"""Corpora without chord labels and how often each is drawn; their chords are derived from the notes."""

PERFORMED = frozenset({"asap_piano", "batik_mozart"})
_PADS: Weights = {"strings": 2, "organ": 1, "voice": 1, "keys": 1}
_PIANO: Weights = {"piano": 1}


@dataclass(frozen=True)
class Song:
    """Parts and their chords, in seconds.

    Parameters
    ----------
    name
        For the split: nothing of one name may be in training and validation.
    backing
        For each part whether it accompanies.
    beat_s
        Length of a beat.
    """

    name: str
    parts: tuple[Part, ...]
    backing: tuple[bool, ...]
    chords: tuple[Segment, ...]
    beat_s: float = 0.5


def pop909(folder: Path) -> list[Any]:
    """Songs of POP909 as functions that read them: ``chords.csv.gz``, ``midi.zip``, ``songs.csv``."""
    chords: dict[str, list[Segment]] = {}
    with gzip.open(folder / "chords.csv.gz", "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            segment = Segment(float(row["start"]), float(row["end"]), parse(row["label"]))
            chords.setdefault(row["id"], []).append(segment)
    with open(folder / "songs.csv", newline="", encoding="utf-8") as file:
        tempo = {row["id"]: float(row["tempo"]) for row in csv.DictReader(file)}
    archive = zipfile.ZipFile(folder / "midi.zip")

    def read(name: str) -> Song:
        parts = tuple(read_midi(io.BytesIO(archive.read(f"{name}.mid"))))
        backing = tuple(p.name.upper().startswith("PIANO") for p in parts)
        return Song(f"pop909:{name}", parts, backing, tuple(chords[name]), 60 / tempo[name])

    return [lambda rng, name=name: read(name) for name in sorted(chords)]


def lead_sheets(path: Path) -> list[Any]:
    """Melodies with chord symbols (one JSON object a line) as functions that arrange them."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        sheets = [json.loads(line) for line in file]
    return [lambda rng, sheet=sheet: arrange(sheet, rng) for sheet in sheets]


def arrange(sheet: Mapping[str, Any], rng: Generator) -> Song:
    """Accompany a lead sheet at random: held, block or broken chords or afterbeats; sometimes swung."""
    beat_s = 60 / (sheet["tempo"] * rng.uniform(0.7, 1.3))
    swing = rng.uniform(0.5, 0.67) if rng.random() < 0.4 else 0.5
    warp = _swung(swing, beat_s)
    chords = [Segment(warp(s), warp(s + d), parse(label)) for s, d, label in sheet["chords"]]
    melody = np.array(sheet["melody"], float).reshape(-1, 3)
    notes = [(warp(s), warp(s + d), int(p), 90) for s, d, p in melody]
    style = str(rng.choice(["block", "broken", "stride", "held"]))
    beats = 3 if sheet["time_signature"].startswith("3") else 4
    comping, bass = [], []
    for start, length, label in sheet["chords"]:
        chord = parse(label)
        if chord.root is None or chord.root == NO_CHORD:
            continue
        tones = sorted(50 + (t - 50) % 12 for t in chord.tones)
        played = _figure(style, tones, length, beats, rng)
        comping += [(warp(start + a), warp(start + b), p, 64) for a, b, p in played]
        low = 33 + (int(chord.bass or 0) - 33) % 12
        bass += [
            (warp(start + a), warp(start + b), p, 78) for a, b, p in _bass_figure(style, low, length, beats)
        ]
    parts = [_part(notes, "melody"), _part(comping, "chords"), _part(bass, "bass")]
    return Song(f"lead:{sheet['work']}", tuple(parts), (False, True, True), tuple(chords), beat_s)


def scores(library: Library, rng: Generator) -> Iterator[Song]:
    """Pieces without labels, drawn by :data:`SCORES`; the chords come from the notes."""
    corpora = [c for c in SCORES if c in library.pieces]
    p = np.array([SCORES[c] for c in corpora])
    while True:
        pieces = library.pieces[corpora[int(rng.choice(len(corpora), p=p / p.sum()))]]
        yield read_score(library, pieces[int(rng.integers(len(pieces)))])


def read_score(library: Library, piece: Piece) -> Song:
    """One piece with derived chords."""
    parts = tuple(p for p in library.read(piece) if not p.is_drum)
    every = [np.concatenate([getattr(p, f) for p in parts]) for f in ("start_s", "end_s", "pitch")]
    piano = piece.corpus not in ("bach_chorales", "openscore_lieder", "nottingham")
    return Song(piece.work, parts, (piano,) * len(parts), tuple(chords_of_notes(*every)), 0.0)


def play(song: Song, band: Band, length_s: float, rng: Generator) -> tuple[Clip, list[Segment]]:
    """A stretch of a song in another key and tempo by a random line-up, and the chords in it."""
    factor = float(np.exp(rng.uniform(-0.2, 0.2)))
    steps = int(rng.integers(-5, 7))
    parts = transpose(stretch(list(song.parts), factor), steps)
    last = max(float(p.end_s.max()) for p in parts if len(p))
    first = float(rng.uniform(0, max(last - length_s, 0.0)))
    chords = cut([transposed(s, steps, factor) for s in song.chords], first, length_s)
    families, kept = [], []
    for part, backing in zip(parts, song.backing, strict=True):
        inside = excerpt([part], first, length_s)
        if inside:
            kept.append(inside[0])
            families.append(_family(song, inside[0], backing, rng))
    if song.name.startswith("pop909") and chords:
        for extra, family, chance in ((_bass_part, "bass", 0.7), (_pad_part, _draw(_PADS, rng), 0.3)):
            if rng.random() < chance:
                kept.append(extra(chords, song.beat_s * factor, rng))
                families.append(family)
    clip = perform(kept, families, length_s, band, rng, score=song.beat_s > 0)
    drums = 0.6 if song.beat_s > 0 else 0.0
    return (add_drums(clip, band, rng) if rng.random() < drums else clip), chords


def without_chords(
    band: Band, noises: list[Audio], length_s: float, rng: Generator
) -> tuple[Clip, list[Segment]]:
    """Drums alone, noise, speech or silence: no chord throughout."""
    rate = band.soundfonts[0].sample_rate
    n = round(length_s * rate)
    audio = np.zeros(n, np.float32)
    kind = rng.random()
    if kind < 0.5 and noises:
        audio = np.resize(noises[int(rng.integers(len(noises)))], n)
    elif kind < 0.7:
        spectrum = np.fft.rfft(rng.standard_normal(n))
        slope = np.arange(1, len(spectrum) + 1, dtype=float) ** rng.uniform(0, 1)
        audio = np.fft.irfft(spectrum / slope, n).astype(np.float32)
        audio *= np.float32(0.3 / np.abs(audio).max())
    nothing = np.zeros(0)
    clip = Clip(audio, rate, nothing, nothing, nothing, nothing.astype(np.int64), {})
    if kind >= 0.7:
        clip = add_drums(replace(clip, audio=audio + np.float32(0.05)), band, rng)
        clip = replace(clip, audio=clip.audio - np.float32(0.05))
    return clip, [Segment(0.0, length_s, SILENCE)]


def spoilt(clip: Clip, rooms: list[Audio], rng: Generator) -> Audio:
    """The clip as a file has it: room, tone, noise, level."""
    return spoil(clip.audio, clip.sample_rate, rooms, [], rng)


def _family(song: Song, part: Part, backing: bool, rng: Generator) -> str:
    if part.name == "bass":
        return "bass"
    if song.name.startswith("pop909") and not backing and rng.random() < 0.15:
        return ""
    if song.beat_s == 0:
        return _draw(_PIANO if backing and rng.random() < 0.85 else BACKING, rng)
    return _draw(BACKING if backing else SOLO, rng)


def _bass_part(chords: list[Segment], beat_s: float, rng: Generator) -> Part:
    """The chords' basses, repeated on beats or held."""
    every = beat_s * float(rng.choice([0.5, 1, 2, 100]))
    notes = []
    for segment in chords:
        bass = segment.chord.bass
        if bass is None or bass == NO_CHORD:
            continue
        for start in np.arange(segment.start_s, segment.end_s - 0.05, every):
            notes.append((float(start), min(float(start) + every, segment.end_s), 28 + (bass - 28) % 12, 85))
    return _part(notes, "bass")


def _pad_part(chords: list[Segment], beat_s: float, rng: Generator) -> Part:
    """Held chords."""
    notes = [(s.start_s, s.end_s, 55 + (tone - 55) % 12, 60) for s in chords for tone in s.chord.tones]
    return _part(notes, "pad")


def _figure(
    style: str, tones: list[int], length: float, beats: int, rng: Generator
) -> list[tuple[float, float, int]]:
    """(start, end, pitch) in beats of one chord's accompaniment."""
    if style == "held" or length < 1:
        return [(0.0, length, p) for p in tones]
    at = np.arange(0.0, length - 0.01, 0.5 if style == "broken" else 1.0)
    if style == "broken":
        around = tones + tones[-2:0:-1]
        return [(float(t), min(float(t) + 1, length), around[i % len(around)]) for i, t in enumerate(at)]
    hits = at if style == "block" else [t for t in at if (t % beats if beats == 3 else t % 2) >= 1]
    return [(float(t), min(float(t) + 0.8, length), p) for t in hits for p in tones]


def _bass_figure(style: str, low: int, length: float, beats: int) -> list[tuple[float, float, int]]:
    every = {"held": length, "broken": length, "block": 1.0, "stride": 3.0 if beats == 3 else 2.0}[style]
    at = np.arange(0.0, max(length - 0.01, 0.01), max(every, 0.25))
    fifths = style == "stride"
    return [(float(t), min(float(t) + every, length), low + 7 * (i % 2) * fifths) for i, t in enumerate(at)]


def _swung(swing: float, beat_s: float) -> Any:
    """Beats to seconds, with the second half of each beat delayed."""

    def seconds(beats: float) -> float:
        whole, part = divmod(beats, 1.0)
        bent = part * 2 * swing if part < 0.5 else swing + (part - 0.5) * 2 * (1 - swing)
        return float((whole + bent) * beat_s)

    return seconds


def _part(notes: list[tuple[float, float, int, int]], name: str) -> Part:
    rows = np.array(sorted(notes), float).reshape(-1, 4)
    return Part(rows[:, 0], rows[:, 1], rows[:, 2].astype(np.int64), rows[:, 3].astype(np.int64), name=name)


def _draw(weights: Weights, rng: Generator) -> str:
    names = list(weights)
    p = np.array([weights[n] for n in names])
    return names[int(rng.choice(len(names), p=p / p.sum()))]
