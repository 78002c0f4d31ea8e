"""Small sets that mira makes itself, so that a newcomer sees a whole training without any data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from mira.errors import DataError
from mira.session import Session
from numpy.random import Generator
from numpy.typing import NDArray

from mira_train.data.entries import FILEPATH, Atom, Definition
from mira_train.data.hdf5 import AudioReader, FeatureReader, FeatureWriter
from mira_train.data.labels import PITCH_CLASSES
from mira_train.data.pyjama import PyjamaWriter
from mira_train.feature_model import FeatureModel
from mira_train.sets import find_sets
from mira_train.synth.output import LabelledClip, write_set
from mira_train.synth.score import Part, without_overlaps
from mira_train.synth.soundfont import SoundFont
from mira_train.synth.tones import render_tones

RECIPE = "demo"
"""Name of the recipe that a demo trains."""
SOUNDFONTS = ("/usr/share/sounds/sf2", "/usr/share/sounds/sf3", "/usr/share/soundfonts")
"""Where systems keep SoundFonts."""
_STYLES: Mapping[str, tuple[tuple[int, ...], float, int]] = {
    "classical": ((48, 0), 0.9, 64),
    "country": ((25, 105), 0.35, 60),
    "jazz": ((66, 4), 0.5, 57),
    "metal": ((30, 29), 0.15, 43),
    "reggae": ((17, 16), 0.7, 69),
}
"""Programs, seconds a note, and lowest pitch that stand for a genre in a demo."""


@dataclass(frozen=True)
class Demo:
    """What a task's training shows without data.

    Parameters
    ----------
    make
        Makes the data set in a folder and returns its .pyjama file.
    """

    make: Callable[[Path], Path]


def note_set(folder: Path, clips: int = 20, seed: int = 0) -> Path:
    """Clips of 6 s: two voices of random notes."""
    return _written(folder / "demo-notes.pyjama", _note_clips(clips, np.random.default_rng(seed)))


def chord_set(folder: Path, clips: int = 20, seed: int = 0) -> Path:
    """Clips of 12 s: random major and minor chords with a bass."""
    return _written(folder / "demo-chords.pyjama", _chord_clips(clips, np.random.default_rng(seed)))


def genre_set(folder: Path, clips: int = 40, seed: int = 0) -> Path:
    """Clips of 6 s, each in one of five styles that are easy to tell apart."""
    return _written(folder / "demo-genres.pyjama", _genre_clips(clips, np.random.default_rng(seed)))


def cover_set(folder: Path, works: int = 12, seed: int = 0) -> Path:
    """Three performances each of some progressions of pitch classes, as stored features."""
    rng = np.random.default_rng(seed)
    path = folder / "demo-covers.pyjama"
    folder.mkdir(parents=True, exist_ok=True)
    names = {FILEPATH: Definition("global", constraint="filepath"), "work-id": Definition("global")}
    with (
        FeatureWriter(folder / "demo-covers_feat.hdf5", force=True) as features,
        PyjamaWriter(path, names, force=True) as entries,
    ):
        for work in range(works):
            chords = rng.random((16, 12), dtype=np.float32) ** 3
            for performance in range(3):
                key = f"{work}-{performance}.wav"
                features.add(key, _performed(chords, rng))
                entries.write({FILEPATH: [Atom(key)], "work-id": [Atom(f"work {work}")]})
    return path


def renderer(sample_rate: int) -> tuple[Callable[[Part, float, int], NDArray[np.float32]], str]:
    """What plays here, ``play(part, seconds, program)``, and its name: a SoundFont, else added partials."""
    fonts = [p for folder in SOUNDFONTS for p in sorted(Path(folder).glob("*.sf[23]"))]
    if fonts:
        try:
            font = SoundFont(fonts[0], sample_rate)
        except DataError:  # FluidSynth is not installed; the demo does without
            pass
        else:
            return lambda part, length_s, program: font.render(part, length_s, program=program), fonts[0].stem
    return lambda part, length_s, program: render_tones(part, length_s, sample_rate), "added partials"


def _written(path: Path, clips: Iterator[LabelledClip]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_set(path, clips, force=True)
    return path


def _note_clips(count: int, rng: Generator) -> Iterator[LabelledClip]:
    rate, length_s = 16000, 6.0
    play, name = renderer(rate)
    for i in range(count):
        low, high = (_voice(rng, length_s, *around) for around in ((40, 60), (60, 84)))
        program = int(rng.choice([0, 4, 11, 24, 46]))
        audio = play(low, length_s, program) + play(high, length_s, program)
        notes = [
            (float(s), float(e), float(p), int(v))
            for part in (low, high)
            for s, e, p, v in zip(part.start_s, part.end_s, part.pitch, part.velocity)
        ]
        about = {"work": [f"demo {i}"], "instrument": [f"{name} {program}"]}
        yield LabelledClip(f"{i:03}.wav", _even(audio), rate, sorted(notes), about=about)


def _voice(rng: Generator, length_s: float, lowest: int, highest: int) -> Part:
    starts = np.cumsum(rng.choice([0.25, 0.5, 0.75], 40))
    starts = starts[starts < length_s - 0.3]
    ends = np.minimum(starts + rng.uniform(0.2, 0.7, len(starts)), length_s)
    pitch = rng.integers(lowest, highest, len(starts))
    return without_overlaps(Part(starts, ends, pitch, rng.integers(50, 120, len(starts))))


def _chord_clips(count: int, rng: Generator) -> Iterator[LabelledClip]:
    rate, length_s = 22050, 12.0
    play, name = renderer(rate)
    for i in range(count):
        edges = np.append(np.arange(0, length_s, 1.5), length_s)
        notes: list[tuple[float, float, float, int]] = []
        chords = []
        for start, end in zip(edges[:-1].tolist(), edges[1:].tolist()):
            root, minor = int(rng.integers(12)), bool(rng.random() < 0.5)
            tones = [36 + root] + [48 + (root + step) % 12 for step in (0, 3 if minor else 4, 7)]
            notes += [(start, end - 0.05, float(t), int(rng.integers(60, 100))) for t in tones]
            chords.append((start, end, f"{PITCH_CLASSES[root]}:{'min' if minor else 'maj'}"))
        columns = [np.array(c) for c in zip(*notes)]
        part = Part(columns[0], columns[1], columns[2].astype(int), columns[3])
        about = {"work": [f"demo {i}"], "instrument": [name]}
        audio = play(part, length_s, int(rng.choice([0, 4, 24])))
        yield LabelledClip(f"{i:03}.wav", _even(audio), rate, notes, chords, about)


def _genre_clips(count: int, rng: Generator) -> Iterator[LabelledClip]:
    rate, length_s = 22050, 6.0
    play, name = renderer(rate)
    for i in range(count):
        genre = list(_STYLES)[i % len(_STYLES)]
        programs, each_s, lowest = _STYLES[genre]
        starts = np.arange(0, length_s - each_s, each_s) + rng.uniform(0, 0.05)
        pitch = rng.integers(lowest, lowest + 14, len(starts))
        part = Part(starts, starts + 0.9 * each_s, pitch, rng.integers(60, 110, len(starts)))
        audio = play(part, length_s, int(rng.choice(programs)))
        about = {"work": [f"demo {i}"], "instrument": [name], "genre": [genre]}
        yield LabelledClip(f"{i:03}.wav", _even(audio), rate, about=about)


def _performed(chords: NDArray[np.float32], rng: Generator) -> NDArray[np.float32]:
    """Pitch classes (12, frame) of a progression in another key and tempo, over noise."""
    frames = np.repeat(np.arange(len(chords)), int(rng.integers(12, 18)))
    played = np.roll(chords[frames].T, int(rng.integers(12)), 0)
    return (played + 0.2 * rng.random(played.shape)).astype(np.float32)


def _even(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    return audio * np.float32(0.5 / (np.abs(audio).max() + 1e-9))


def listen(model: Path, pyjama: Path) -> str:
    """What a model file makes of the first recording of a set, in words."""
    samples = find_sets([str(pyjama)])[0].path(".hdf5")
    if samples.stem.endswith("_feat"):
        with FeatureReader(samples) as features:
            key = features.keys()[0]
            embedding = FeatureModel(model)(features.read(key))
        return f"{key}: {embedding.size} numbers from {embedding.min():.2f} to {embedding.max():.2f}"
    session = Session(model, threads=1)
    with AudioReader(samples) as reader:
        key = reader.keys()[0]
        audio = at_rate(reader.read(key), reader.sample_rate(key), session.card.sample_rate)
    heard = session.run([audio]).arrays.items()
    shown = (f"{name} has {v.shape[0]} frames of {v.shape[1]}, at most {v.max():.2f}" for name, v in heard)
    return f"{key}: " + "; ".join(shown)


def at_rate(samples: NDArray[np.float32], rate: int, wanted: int) -> NDArray[np.float32]:
    """Resample a clip."""
    return samples if rate == wanted else np.asarray(soxr.resample(samples, rate, wanted), np.float32)
