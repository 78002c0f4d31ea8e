"""The book's data sets in their own formats, but tiny: what a recipe needs to build, train, export."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from mira_train.data.entries import FILEPATH, Atom, Definition
from mira_train.data.hdf5 import AudioWriter, FeatureWriter
from mira_train.data.labels import CHORDS, GENRES, MTT_TAGS
from mira_train.data.pyjama import PyjamaWriter

RATE = 22050
FILE = Definition("global", constraint="filepath")
TEXT = Definition("global")
NUMBER = Definition("global", content="numeric")

Entry = tuple[dict[str, list[Atom]], np.ndarray]


def tone(pitch: float, seconds: float) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return (0.3 * np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * time)).astype(np.float32)


def bach10() -> Iterator[Entry]:
    for i in range(4):
        pitch = 60 + 2 * i
        time = np.arange(0, 0.5, 0.01)
        curve = np.stack([np.full(len(time), pitch + 0.1), np.where(time < 0.2, 0, pitch + 7)])
        mix = tone(pitch, 0.5) + tone(pitch + 7, 0.5)
        yield {FILEPATH: [Atom(f"{i:02}-Chorale-violin.wav")], "f0multi": []}, tone(pitch, 0.5)
        yield {FILEPATH: [Atom(f"{i:02}-Chorale.wav")], "f0multi": [Atom(curve, time)]}, mix


def maps() -> Iterator[Entry]:
    for i in range(4):
        notes = [Atom(60 + i, 0.1, 0.2), Atom(64 + i, 0.3, 0.005)]
        yield {FILEPATH: [Atom(f"MAPS_MUS-piece{i}_Piano{i}.wav")], "pitchmidi": notes}, tone(60 + i, 0.5)


def gtzan() -> Iterator[Entry]:
    for i, genre in enumerate(GENRES):
        for clip in (0, 10, 20):
            key = f"{genre}+++{genre}.{clip:05}.wav"
            yield {FILEPATH: [Atom(key)], "genre": [Atom(genre)]}, tone(45 + 3 * i, 2.0)


def mtt() -> Iterator[Entry]:
    for i in range(8):
        tags = sorted({MTT_TAGS[i % 5], MTT_TAGS[7 + i % 3]})
        about = {"artist": [Atom(f"artist {i // 2}")], "tag": [Atom(tag) for tag in tags]}
        yield {FILEPATH: [Atom(f"{i % 4}+++clip{i}.wav")], **about}, tone(45 + 3 * i, 2.8)


def rwc() -> Iterator[Entry]:
    for i in range(6):
        chords = [Atom(CHORDS[i], 0.0, 0.7), Atom("N:-", 0.7, 0.5), Atom(CHORDS[12 + i], 1.2, 0.8)]
        yield {FILEPATH: [Atom(f"{i + 1:03}")], "chord": chords}, tone(48 + i, 2.0)


def covers(prefix: str, frames: int) -> Iterator[Entry]:
    rng = np.random.default_rng(0)
    for work in range(10):
        melody = rng.random((12, frames), dtype=np.float32)
        for performance in range(1 if work == 9 else 3):
            n = 10 * work + performance
            names = {"performance-id": [Atom(f"P_{n}" if prefix else n)], "work-id": [Atom(f"W_{work}")]}
            yield {FILEPATH: [Atom(f"{n}.mp3")], **names}, melody + 0.1 * performance


SETS: dict[str, tuple[Callable[[], Iterator[Entry]], dict[str, Definition]]] = {
    "bach10": (bach10, {"f0multi": Definition("breakpoint", "numeric", rows=("v1", "v2"))}),
    "maps": (maps, {"pitchmidi": Definition("segment", "numeric")}),
    "gtzan-genre": (gtzan, {"genre": TEXT}),
    "mtt": (mtt, {"artist": TEXT, "tag": TEXT}),
    "rwc-pop_chord": (rwc, {"chord": Definition("segment")}),
    "cover1000": (lambda: covers("", 230), {"performance-id": NUMBER, "work-id": TEXT}),
    "datacos-benchmark": (lambda: covers("P_", 1840), {"performance-id": TEXT, "work-id": TEXT}),
}


def make_miniset(name: str, data_folder: Path) -> None:
    """Write a set where the registry looks for it."""
    make, definitions = SETS[name]
    folder = data_folder / name
    if folder.exists():
        return
    folder.mkdir(parents=True)
    stored = "performance-id" in definitions
    writer = FeatureWriter if stored else AudioWriter
    with (
        PyjamaWriter(folder / f"{name}.pyjama", {FILEPATH: FILE, **definitions}) as entries,
        writer(folder / f"{name}_{'feat' if stored else 'audio'}.hdf5") as samples,
    ):
        for annotations, array in make():
            entries.write(annotations)
            if isinstance(samples, FeatureWriter):
                samples.add(str(annotations["performance-id"][0].value), array)
            else:
                samples.add(str(annotations[FILEPATH][0].value), RATE, [array])
