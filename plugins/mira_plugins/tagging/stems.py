"""Material for the instrument, voice and music tags: log-mels of single parts, to be mixed while training.

``python -m mira_plugins.tagging.stems OUT --midi DIR --notes DIR --voice DIR --recordings DIR --rooms DIR
--soundfont FILE`` writes one .npz a kind. Each stem is ``KIND:GROUP|NUMBER|TAG,TAG``: decibels (127, column)
in steps of half a decibel above :data:`LOWEST_DB`. Stems of a group are never on both sides of a split.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from mira_train.synth.augment import Audio, load_rooms, spoil
from mira_train.synth.corpus import Library
from mira_train.synth.output import MANIFEST
from mira_train.synth.render import Material, manifest
from mira_train.synth.sampler import Instrument, load_instruments
from mira_train.synth.score import Part, excerpt, without_overlaps
from mira_train.synth.soundfont import SoundFont, random_vibrato
from numpy.random import Generator
from numpy.typing import NDArray

from mira_plugins.ssl_embed.encoder import HOP, SAMPLE_RATE, LogMel

LOWEST_DB, STEP_DB = -80.0, 0.5
LENGTH_S = 12.0


@dataclass(frozen=True)
class Player:
    """How an instrument is had.

    Parameters
    ----------
    low, high
        Range in MIDI pitches.
    programs
        General MIDI programs, from 0.
    notes
        Sources of single notes (see ``notes/index.csv``).
    chords
        Whether it plays several notes at once.
    tags
        What it counts as, where that is more or other than its own name.
    """

    low: int
    high: int
    programs: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    chords: bool = False
    tags: tuple[str, ...] = ()


PLAYERS: Mapping[str, Player] = {
    "accordion": Player(48, 88, (21, 23), chords=True),
    "banjo": Player(48, 79, (105,), chords=True),
    "bass": Player(26, 55, (33, 34, 35, 36, 37, 38, 39), ("swagbass", "growlybass")),
    "plucked bass": Player(28, 55, (32,), tags=("bass", "double bass")),
    "bassoon": Player(34, 72, (70,), ("vsco2_bassoon",)),
    "cello": Player(36, 76, (42,), ("freesound_cello",)),
    "clarinet": Player(50, 90, (71,), ("vsco2_clarinet",)),
    "double bass": Player(28, 60, (43,), ("vsco2_contrabass",)),
    "electric piano": Player(36, 90, (4, 5), ("jrhodes3d",), chords=True),
    "english horn": Player(52, 81, (69,)),
    "flute": Player(60, 96, (73, 73, 72), ("vsco2_flute",)),
    "french horn": Player(34, 77, (60,), ("vsco2_french_horn",)),
    "acoustic guitar": Player(
        40, 84, (24, 25), ("freesound_guitar_nylon", "iowa_guitar_acoustic", "martin_hd28_guitar"),
        chords=True, tags=("guitar",),
    ),
    "electric guitar": Player(
        40, 86, (26, 27, 28, 29, 30), ("shinyguitar_acoustic", "shinyguitar_electric"), chords=True,
        tags=("guitar",),
    ),
    "harmonica": Player(60, 96, (22,)),
    "harp": Player(31, 98, (46,), ("vsco2_harp",), chords=True),
    "harpsichord": Player(36, 88, (6, 7), chords=True),
    "mallets": Player(55, 100, (8, 9, 11, 12, 13), ("vsco2_xylophone",), chords=True),
    "oboe": Player(58, 91, (68,)),
    "organ": Player(36, 96, (16, 17, 18, 19), ("vsco2_organ", "freesound_harmonium"), chords=True),
    "piano": Player(
        24, 105, (0, 1, 2, 3),
        ("headroom_c3_piano", "salamander_c5_piano", "splendid_piano", "vsco2_piano"), chords=True,
    ),
    "saxophone": Player(
        37, 88, (64, 65, 66, 67), ("bearsax", "mtg_alto_sax", "mtg_soprano_sax", "mtg_baritone_sax")
    ),
    "synthesizer": Player(36, 90, tuple(range(80, 96)), chords=True),
    "trombone": Player(36, 72, (57,), ("vsco2_trombone",)),
    "trumpet": Player(54, 86, (56, 56, 59), ("vsco2_trumpet",)),
    "tuba": Player(28, 58, (58,), ("vsco2_tuba", "wartuba")),
    "viola": Player(48, 84, (41,)),
    "violin": Player(55, 98, (40, 40, 44), ("vsco2_violin",)),
    "string section": Player(
        36, 91, (48, 49), ("vs_pizzicato_section",), chords=True,
        tags=("violin", "viola", "cello", "double bass"),
    ),
}  # fmt: skip
"""Who plays; drums aside, which have no pitch."""

_SAMPLED = 0.6
"""Share of stems played by recorded notes, where there are some."""
_KITS = (0, 8, 16, 24, 25, 32, 40)
_HITS = (35, 36, 38, 40, 37, 42, 44, 46, 49, 51, 45, 47, 50)
_MELODIES = (
    "nottingham",
    "airdsairs",
    "oneills1850",
    "bach_violin_scores",
    "bach_chorales",
    "openscore_lieder",
)
_TEXTURES = ("asap_piano", "kern_piano", "pop909_chords", "bach_chorales", "openscore_lieder")


class Studio:
    """Everything that plays, and the rooms it plays in."""

    def __init__(
        self, midi: Path, notes: Path, rooms: Path, soundfonts: Sequence[Path], rng: Generator
    ) -> None:
        self.library = Library(midi)
        self.fonts = [SoundFont(path, SAMPLE_RATE) for path in soundfonts]
        self.sources = load_instruments(notes, SAMPLE_RATE)
        self.rooms = load_rooms(rooms, SAMPLE_RATE)
        self.rng = rng

    def stems(self, each: int) -> Iterator[tuple[str, Audio]]:
        """``each`` stems of every player, and twice as many of drums: names and samples."""
        number = 0
        for name, player in PLAYERS.items():
            tags = ",".join(player.tags or (name,))
            for _ in range(each):
                sampled = bool(player.notes) and self.rng.random() < _SAMPLED
                audio, group = self._notes(player) if sampled else self._program(player)
                yield f"instrument:{group}|{number}|{tags}", self._spoilt(audio)
                number += 1
        for k in range(2 * each):
            audio, group = self._drum_machine() if k % 2 else self._drum_kit()
            yield f"instrument:{group}|{number}|drums", self._spoilt(audio)
            number += 1

    def _program(self, player: Player) -> tuple[Audio, str]:
        font = self.fonts[int(self.rng.integers(len(self.fonts)))]
        program = int(self.rng.choice(player.programs))
        part = self._part(player)
        sings = not player.chords and self.rng.random() < 0.5
        audio = font.render(
            part,
            LENGTH_S,
            program=program,
            detune_cents=float(self.rng.normal(0, 12)),
            vibrato=random_vibrato(self.rng) if sings else None,
        )
        return audio, f"{font.path.stem} {program}"

    def _notes(self, player: Player) -> tuple[Audio, str]:
        source: Instrument = self.sources[str(self.rng.choice(player.notes))]
        source.forget()
        low, high = source.range
        part = self._part(replace(player, low=max(low, player.low), high=min(high, player.high)))
        audio, _ = source.render(part, LENGTH_S, self.rng, detune_cents=float(self.rng.normal(0, 12)))
        return audio, source.name

    def _part(self, player: Player) -> Part:
        """Something for this player: a scale-less row of single notes, a melody, or a texture of chords."""
        if self.rng.random() < 0.5:
            return self._single_notes(player)
        corpora = [c for c in (_TEXTURES if player.chords else _MELODIES) if c in self.library.pieces]
        while True:
            pieces = self.library.pieces[str(self.rng.choice(corpora))]
            parts = [
                p for p in self.library.read(pieces[int(self.rng.integers(len(pieces)))]) if not p.is_drum
            ]
            if not parts:
                continue
            part = parts[int(self.rng.integers(len(parts)))]
            first = self.rng.uniform(0, max(float(part.start_s[-1]) - LENGTH_S, 0))
            inside = excerpt([part], float(first), LENGTH_S)
            if inside and len(inside[0]) >= 6:
                return _in_range(inside[0], player, self.rng)

    def _single_notes(self, player: Player) -> Part:
        """Notes one after the other, with rests, as samples are recorded."""
        every = float(np.exp(self.rng.uniform(np.log(0.3), np.log(3))))
        starts = np.arange(self.rng.uniform(0, every), LENGTH_S - 0.2, every)
        pitch = self.rng.integers(player.low, player.high + 1, len(starts))
        length = every * self.rng.uniform(0.3, 1.0, len(starts))
        velocity = self.rng.integers(30, 120, len(starts))
        return Part(starts, np.minimum(starts + length, LENGTH_S), pitch, velocity)

    def _drum_kit(self) -> tuple[Audio, str]:
        font = self.fonts[int(self.rng.integers(len(self.fonts)))]
        kit = int(self.rng.choice(_KITS))
        notes = sorted(self._beats(_HITS))
        starts = np.array([t for t, _ in notes])
        pitch = np.array([p for _, p in notes])
        part = Part(starts, starts + 0.1, pitch, self.rng.integers(50, 125, len(notes)), is_drum=True)
        return font.render(part, LENGTH_S, program=kit), f"{font.path.stem} kit"

    def _drum_machine(self) -> tuple[Audio, str]:
        source = self.sources[
            str(self.rng.choice([n for n, s in self.sources.items() if s.family == "drums"]))
        ]
        hits = [source.hit(self.rng) for _ in range(5)]
        audio = np.zeros(round(LENGTH_S * SAMPLE_RATE), np.float32)
        for time, hit in self._beats(range(len(hits))):
            at = round(time * SAMPLE_RATE)
            sound = hits[hit][: len(audio) - at]
            audio[at : at + len(sound)] += sound * np.float32(self.rng.uniform(0.4, 1))
        return audio, source.name

    def _beats(self, choice: Sequence[int]) -> list[tuple[float, int]]:
        """A few voices, each in a rhythm of its own."""
        beat_s = 60 / self.rng.uniform(60, 180)
        out = []
        for _ in range(int(self.rng.integers(1, 5))):
            hit = int(choice[int(self.rng.integers(len(choice)))])
            every = beat_s * float(self.rng.choice([0.25, 0.5, 1, 2, 4]))
            times = np.arange(self.rng.random() * every, LENGTH_S - 0.1, every)
            out += [(float(t), hit) for t in times[self.rng.random(len(times)) < 0.9]]
        return out or [(0.0, int(choice[0]))]

    def _spoilt(self, audio: Audio) -> Audio:
        return spoil(audio, SAMPLE_RATE, self.rooms, [], self.rng)


def _in_range(part: Part, player: Player, rng: Generator) -> Part:
    """Moved as a whole to where the player is at home; what is still outside is moved by octaves."""
    home = rng.uniform(player.low + 5, player.high - 5)
    pitch = part.pitch + round(home - float(np.median(part.pitch)))
    while (pitch < player.low).any():
        pitch = np.where(pitch < player.low, pitch + 12, pitch)
    pitch = np.where(pitch > player.high, pitch - 12 * np.ceil((pitch - player.high) / 12), pitch).astype(
        np.int64
    )
    return without_overlaps(replace(part, pitch=pitch))


def sung(folder: Path) -> Iterator[tuple[str, Audio]]:
    """MIR-1K apart: ``voice:SINGER`` and ``accompaniment:SINGER``; and what is no music, ``nothing:FILE``."""
    for row in _rows(folder / "index.csv"):
        for kind, column in (("voice", "voice"), ("accompaniment", "acc")):
            tags = "voice" if kind == "voice" else ""
            yield f"{kind}:{row['singer']}|{row['clip']}|{tags}", _read(folder / row[column])
    for row in _rows(folder / "negatives" / "index.csv"):
        yield f"nothing:{row['path']}|{row['kind']}|", _read(folder / "negatives" / row["path"])


RECORDED: Mapping[str, tuple[str, ...]] = {
    "piano": ("piano",),
    "voice": ("voice",),
    "harmonica": ("harmonica",),
    "clarinet": ("clarinet",),
    "tenor saxophone": ("saxophone",),
    "bassoon": ("bassoon",),
}
"""Word in a recording's instrument -> its tags. Violins are left out: their players are in tests."""


def recorded(folder: Path) -> Iterator[tuple[str, Audio]]:
    """Recordings of one instrument, in pieces."""
    for number, row in enumerate(_rows(folder / "index.csv")):
        if row["family"] in ("strings", "bands"):
            continue
        tags = next((t for word, t in RECORDED.items() if word in row["instrument"]), None)
        if tags is None:
            continue
        audio = _read(folder / row["file"])
        size = round(LENGTH_S * SAMPLE_RATE)
        for piece in range(max(len(audio) // size, 1)):
            kind = "voice" if tags == ("voice",) else "instrument"
            group = "sight singing" if kind == "voice" else row["instrument"]
            part = audio[piece * size : (piece + 1) * size]
            yield f"{kind}:{group}|{number}.{piece}|{','.join(tags)}", part


def noises(count: int, rng: Generator) -> Iterator[tuple[str, Audio]]:
    """Hiss of all colours, hum, clicks, sweeps, and silence."""
    n = round(LENGTH_S * SAMPLE_RATE)
    time = np.arange(n) / SAMPLE_RATE
    makers: list[Callable[[], NDArray[np.float64]]] = [
        lambda: _hiss(n, rng),
        lambda: _hiss(n, rng) * np.interp(time, np.linspace(0, LENGTH_S, 9), rng.random(9)),
        lambda: np.sum(
            [np.sin(2 * np.pi * k * rng.choice([50, 60]) * time) / k for k in (1, 2, 3, 5)], axis=0
        ),
        lambda: (rng.random(n) < rng.uniform(2, 60) / SAMPLE_RATE) * rng.standard_normal(n),
        lambda: rng.standard_normal(n) * 0.1 + (rng.random(n) < 0.01) * rng.standard_normal(n),
        lambda: rng.standard_normal(n),
        lambda: np.zeros(n),
    ]
    for k in range(count):
        sound = makers[k % len(makers)]()
        sound = sound / (np.abs(sound).max() + 1e-9) * 10 ** (rng.uniform(-60, 0) / 20)
        yield f"nothing:noise {k}|noise|", sound.astype(np.float32)


def _hiss(n: int, rng: Generator) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(rng.standard_normal(n))
    slope = np.maximum(np.arange(len(spectrum), dtype=float), 1) ** rng.uniform(-0.5, 1.2)
    shape = np.exp(
        np.interp(np.arange(len(spectrum)), np.linspace(0, len(spectrum), 12), rng.normal(0, 1, 12))
    )
    return np.fft.irfft(spectrum / slope * shape, n)


def _read(path: Path) -> Audio:
    raw, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return np.asarray(soxr.resample(raw.mean(axis=1), rate, SAMPLE_RATE), np.float32)


def _rows(index: Path) -> list[dict[str, str]]:
    with open(index, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def stored(level: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Decibels in the form in which stems are kept."""
    return np.clip(np.rint((level - LOWEST_DB) / STEP_DB), 0, 255).astype(np.uint8)


def write(path: Path, stems: Iterator[tuple[str, Audio]]) -> int:
    """Write the log-mels of some stems; returns how many."""
    front, kept = LogMel().eval(), {}
    for name, audio in stems:
        padded = np.pad(audio, (0, -len(audio) % HOP))
        with torch.no_grad():
            level = front(torch.from_numpy(padded[None]))[0].numpy()
        kept[name] = stored(level)
    np.savez_compressed(path, **kept)  # type: ignore[arg-type]
    return len(kept)


def sources(voice: Path, recordings: Path) -> list[dict[str, str]]:
    """Recorded material and its licences, for the manifest."""
    found = {("voice", "MIR-1K"): "research use"}
    for kind, index in (
        ("no music", voice / "negatives" / "index.csv"),
        ("recording", recordings / "index.csv"),
    ):
        for row in _rows(index):
            if row.get("family") not in ("strings", "bands"):
                found[kind, row["source"].split(maxsplit=1)[0]] = row["licence"]
    return [{"kind": kind, "name": name, "licence": licence} for (kind, name), licence in found.items()]


def main() -> None:
    """Write all stems."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("out", type=Path)
    for name in ("midi", "notes", "voice", "recordings", "rooms"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--soundfont", type=Path, action="append", required=True)
    parser.add_argument("--each", type=int, default=24, help="stems of each instrument")
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    rng = np.random.default_rng(told.seed)
    told.out.mkdir(parents=True, exist_ok=True)
    print("voice", write(told.out / "voice.npz", sung(told.voice)))
    print("recordings", write(told.out / "recordings.npz", recorded(told.recordings)))
    print("noises", write(told.out / "noises.npz", noises(200, rng)))
    studio = Studio(told.midi, told.notes, told.rooms, told.soundfont, rng)
    count = write(told.out / "instruments.npz", studio.stems(told.each))
    print("instruments", count)
    material = Material(told.midi, tuple(told.soundfont), told.notes, told.rooms)
    about = manifest(material, studio.library, seed=told.seed, seconds=count * LENGTH_S)
    about["sources"] += sources(told.voice, told.recordings)
    (told.out / MANIFEST).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
