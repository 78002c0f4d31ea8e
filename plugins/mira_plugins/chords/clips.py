"""Chroma of rendered songs and of labelled recordings, as files of clips to train on.

``python -m mira_plugins.chords.clips --help`` makes them, :mod:`mira_plugins.chords.examples` reads them. A
file holds ``SOURCE:GROUP|NUMBER/c`` (chroma, float16, (frame, 24)) and ``.../t`` (targets, (frame, 4)).
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from mira.audio import open_audio
from mira_train.frontends.nnls import NNLSChroma
from mira_train.labelled import read_notes
from mira_train.synth.augment import Audio, load_rooms, resampled
from mira_train.synth.corpus import Library
from mira_train.synth.sampler import load_instruments
from mira_train.synth.scene import Band
from mira_train.synth.soundfont import SoundFont
from numpy.random import Generator
from numpy.typing import NDArray

from mira_plugins.chords import rendering
from mira_plugins.chords.derivation import chords_of_notes
from mira_plugins.chords.targets import Segment, frame_targets

RATE = 44100
TERMS = (
    "POP909, OpenEWLD: MIT; scores, performances: CC BY-NC-SA, CC0, GPL (Nottingham); "
    "recordings (MAPS, Bach10): CC BY-NC-SA, research use"
)
"""What the owners of the material allow; written beside the clips as ``terms.txt``."""
SHARES: Mapping[str, float] = {"pop": 0.38, "lead": 0.28, "score": 0.26, "none": 0.08}
"""How often each kind of clip is drawn."""
_LENGTH_S = 40.0
_PER_FILE = 25
_TONAL = ("piano", "guitar")
"""Families played by recorded notes; drums are besides."""


@dataclass(frozen=True)
class Labelled:
    """Audio at 44.1 kHz and its chords."""

    key: str
    audio: Audio
    chords: Sequence[Segment]


@dataclass(frozen=True)
class Material:
    """All that clips are made from; folders as :mod:`mira_plugins.chords.rendering` reads them.

    Parameters
    ----------
    band, rooms
        Who plays, and where.
    pop, lead
        Songs to be read.
    scores
        Endless pieces with derived chords.
    noises
        Files of speech and noise.
    """

    band: Band
    rooms: list[Audio]
    pop: Sequence[Callable[[Generator], rendering.Song]]
    lead: Sequence[Callable[[Generator], rendering.Song]]
    scores: Iterator[rendering.Song]
    noises: Sequence[Path]


def rendered(material: Material, rng: Generator) -> Iterator[Labelled]:
    """Endless clips, half of them detuned by up to 45 cents."""
    kinds, shares = list(SHARES), list(SHARES.values())
    while True:
        kind = kinds[int(rng.choice(len(kinds), p=shares))]
        if kind == "none":
            noise = material.noises[int(rng.integers(len(material.noises)))]
            clip, chords = rendering.without_chords(material.band, [_read(noise)], 15.0, rng)
            name = ""
        else:
            song = _draw(material, kind, rng)
            clip, chords = rendering.play(song, material.band, _LENGTH_S, rng)
            name = song.name
        audio = rendering.spoilt(clip, material.rooms, rng)
        if rng.random() < 0.5:
            ratio = float(2 ** (np.clip(rng.normal(0, 20), -45, 45) / 1200))
            audio = resampled(audio, ratio)
            chords = [Segment(s.start_s / ratio, s.end_s / ratio, s.chord) for s in chords]
        yield Labelled(f"{kind}:{name}", audio, chords)


def recorded(folder: Path, families: Sequence[str] = ("piano", "bands")) -> Iterator[Labelled]:
    """Recordings of a folder with notes beside them; the chords are derived from the notes."""
    with open(folder / "index.csv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["family"] in families]
    for row in rows:
        path = folder / row["file"]
        start_s, end_s, pitch, _ = read_notes(path.with_suffix(".csv"))
        chords = chords_of_notes(start_s, end_s, np.rint(pitch).astype(np.int64))
        yield Labelled(f"real:{path.stem}", _read(path), chords)


def write(path: Path, clips: Sequence[Labelled], front: NNLSChroma) -> None:
    """Write one file of clips."""
    arrays: dict[str, NDArray] = {}
    for number, clip in enumerate(clips):
        audio = torch.from_numpy(clip.audio[: len(clip.audio) // front.hop_length * front.hop_length])
        with torch.no_grad():
            chroma = front(audio[None])[0, 0].T.numpy()
        times_s = np.arange(len(chroma)) * front.hop_length / RATE
        arrays[f"{clip.key}|{number}/c"] = chroma.astype(np.float16)
        arrays[f"{clip.key}|{number}/t"] = frame_targets(clip.chords, times_s)
    np.savez(path, allow_pickle=False, **arrays)


def _draw(material: Material, kind: str, rng: Generator) -> rendering.Song:
    if kind == "score":
        return next(material.scores)
    songs = material.pop if kind == "pop" else material.lead
    return songs[int(rng.integers(len(songs)))](rng)


def _read(path: Path) -> Audio:
    with open_audio(path, RATE) as audio:
        return np.concatenate(list(audio))


def _material(data: Path, soundfonts: Sequence[Path], rng: Generator) -> Material:
    instruments = load_instruments(data / "notes", RATE)
    playing = {k: i for k, i in instruments.items() if i.family in ("drums", "percussion", *_TONAL)}
    return Material(
        Band([SoundFont(path, RATE) for path in soundfonts], playing, sampled=0.35),
        load_rooms(data / "rooms", RATE),
        rendering.pop909(data / "pop909_chords"),
        rendering.lead_sheets(data / "openewld_leadsheets" / "leadsheets.jsonl.gz"),
        rendering.scores(Library(data / "symbolic"), rng),
        sorted((data / "voice" / "negatives").rglob("*.opus")),
    )


def main() -> None:
    """Write files of rendered clips, or of recordings, into a folder."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("data", type=Path, help="folder with notes, rooms, symbolic, pop909_chords, ...")
    parser.add_argument("out", type=Path)
    parser.add_argument("--soundfont", type=Path, action="append", default=[])
    parser.add_argument("--files", type=int, default=10, help=f"files of {_PER_FILE} clips")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--recordings", action="store_true", help="the recordings instead")
    told = parser.parse_args()
    told.out.mkdir(parents=True, exist_ok=True)
    (told.out / "terms.txt").write_text(f"{TERMS}\n", encoding="utf-8")
    torch.set_num_threads(1)
    front = NNLSChroma().eval()
    if told.recordings:
        write(told.out / "recorded.npz", list(recorded(told.data / "recordings")), front)
        return
    rng = np.random.default_rng(told.seed)
    material = _material(told.data, told.soundfont, rng)
    clips = rendered(material, rng)
    for number in range(told.files):
        write(told.out / f"rendered-{told.seed}-{number:03}.npz", list(islice(clips, _PER_FILE)), front)
        for instrument in material.band.instruments.values():
            instrument.forget()


if __name__ == "__main__":
    main()
