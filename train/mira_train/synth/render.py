"""A data set of random scenes, the same for the same seed whatever the number of processes."""

from __future__ import annotations

import csv
import hashlib
import json
import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from mira import __version__
from mira.errors import DataError, OutputError, UsageError
from mira.writers.text import printable
from numpy.typing import NDArray

from mira_train.data.atomic import replacing
from mira_train.synth.augment import load_rooms, spoil
from mira_train.synth.codecs import CODECS, compressed
from mira_train.synth.corpus import Library, scenes
from mira_train.synth.output import MANIFEST, LabelledClip, write_set
from mira_train.synth.sampler import load_instruments
from mira_train.synth.scene import Band
from mira_train.synth.soundfont import SoundFont

CLIP_S = 20.0


@dataclass(frozen=True)
class Material:
    """What scenes are made of.

    Parameters
    ----------
    midi
        See :class:`mira_train.synth.corpus.Library`.
    soundfonts
        .sf2 or .sf3 files.
    notes, rooms
        Folders of single notes and of impulse responses with an ``index.csv``; or None.
    sample_rate
        Rate in Hz of what is rendered.
    codecs
        Whether some clips go through a lossy codec.
    """

    midi: Path
    soundfonts: tuple[Path, ...]
    notes: Path | None = None
    rooms: Path | None = None
    sample_rate: int = 16000
    codecs: bool = False


@dataclass(frozen=True)
class Made:
    """What came of it.

    Parameters
    ----------
    clips, seconds
        How many, and how long they sound.
    speed
        Seconds of sound for each second of a core's work.
    """

    clips: int
    seconds: float
    speed: float


class Studio:
    """Everything loaded; renders clips by number.

    Parameters
    ----------
    material
        What to load.
    seed
        Of all clips.
    clip_s
        Length of a clip in seconds.

    Raises
    ------
    DataError
        If something is missing, or FluidSynth is not installed.
    """

    def __init__(self, material: Material, seed: int, clip_s: float = CLIP_S) -> None:
        for path in (material.midi, *material.soundfonts, material.notes, material.rooms):
            if path is not None and not path.exists():
                raise DataError(f"{printable(path)}: no such file or folder")
        self.library = Library(material.midi)
        rate = material.sample_rate
        instruments = load_instruments(material.notes, rate) if material.notes else {}
        self._band = Band([SoundFont(f, rate) for f in material.soundfonts], instruments)
        self._rooms = load_rooms(material.rooms, rate) if material.rooms else []
        self._seed, self._clip_s, self._rate, self._codecs = seed, clip_s, rate, material.codecs

    def clip(self, number: int) -> LabelledClip:
        """Render one clip; it depends on the seed and its number alone."""
        rng = np.random.default_rng((self._seed, number))
        for instrument in self._band.instruments.values():
            instrument.forget()
        scene = next(scenes(self.library, self._band, self._clip_s, rng))
        audio: NDArray[np.float32] = scene.audio
        if self._rooms:
            audio = spoil(audio, self._rate, self._rooms, [], rng)
        codec = ""
        if self._codecs:
            audio, codec = compressed(audio, self._rate, rng)
        columns = (scene.start_s, scene.end_s, scene.pitch, scene.velocity)
        notes = [(float(s), float(e), float(p), int(v)) for s, e, p, v in zip(*columns)]
        about = {
            "work": [f"{scene.about['corpus']}: {scene.about['work']}"],
            "instrument": scene.about["instruments"].split(", "),
            "codec": [codec] if codec else [],
        }
        return LabelledClip(f"{number:06}.wav", audio, self._rate, notes, about=about)


def render(
    out: Path,
    material: Material,
    *,
    hours: float,
    seed: int = 0,
    jobs: int = 1,
    force: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> Made:
    """Make ``OUT/NAME.pyjama``, ``OUT/NAME_audio.hdf5`` and ``OUT/manifest.json``.

    Parameters
    ----------
    out
        Folder; its name is that of the set.
    material
        What to play with.
    hours
        How much; clips are 20 s long.
    seed
        The same gives the same set, whatever ``jobs`` is.
    jobs
        Processes.
    force
        Replace what is there.
    say
        Told one line now and then.

    Raises
    ------
    DataError
        If material is missing or cannot be read, or FluidSynth is not installed.
    OutputError
        If files exist or cannot be written; nothing is left behind then.
    """
    count = round(hours * 3600 / CLIP_S)
    if count < 1:
        raise UsageError(f"--hours {hours:g} is less than one clip of {CLIP_S:g} s")
    target = out / f"{out.name}.pyjama"
    if target.exists() and not force:
        raise OutputError(f"{printable(target)}: exists; --force replaces it")
    studio = Studio(material, seed, CLIP_S)
    began, elsewhere_s = time.process_time(), [0.0]
    with ExitStack() as stack:
        clips: Iterator[LabelledClip] = map(studio.clip, range(count))
        if jobs > 1:
            # a forked process inherits the locks of threads that it has not, and may wait for them for ever
            spawn = multiprocessing.get_context("spawn")
            given = (material, seed, CLIP_S)
            pool = stack.enter_context(ProcessPoolExecutor(jobs, spawn, initializer=_open, initargs=given))
            clips = _counted(pool.map(_clip, range(count), chunksize=4), elsewhere_s)
        write_set(target, _told(clips, count, say), force=force)
    seconds = count * CLIP_S
    told = manifest(material, studio.library, seed=seed, seconds=seconds)
    with replacing(out / MANIFEST, force=True) as temporary:
        temporary.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    work_s = time.process_time() - began + elsewhere_s[0]
    return Made(count, seconds, seconds / max(work_s, 1e-9))


def manifest(material: Material, library: Library, *, seed: int, seconds: float) -> dict[str, Any]:
    """Every source that went in, and its licence."""
    sources = [
        {"kind": "scores", "name": corpus, "pieces": len(pieces), "licence": library.licences.get(corpus, "")}
        for corpus, pieces in library.pieces.items()
    ]
    sources += [{"kind": "soundfont", **_described(path)} for path in material.soundfonts]
    for kind, folder in (("notes", material.notes), ("rooms", material.rooms)):
        sources += [{"kind": kind, **row} for row in _listed(folder)] if folder else []
    about = {"seed": seed, "seconds": seconds, "sample_rate": material.sample_rate}
    codecs = dict.fromkeys(CODECS, f"libsndfile {soundfile.__libsndfile_version__}")
    return {"mira": __version__, **about, "codecs": codecs if material.codecs else {}, "sources": sources}


def _told(clips: Iterator[LabelledClip], count: int, say: Callable[[str], None]) -> Iterator[LabelledClip]:
    for i, clip in enumerate(clips):
        yield clip
        if (i + 1) % 180 == 0:
            say(f"{(i + 1) * CLIP_S / 3600:.0f} of {count * CLIP_S / 3600:.1f} hours")


def _listed(folder: Path) -> list[dict[str, str]]:
    """Sources of an index with their licences, each once."""
    with open(folder / "index.csv", newline="", encoding="utf-8") as file:
        rows = [
            (row.get("source") or row.get("name") or "", row.get("licence") or row.get("license") or "")
            for row in csv.DictReader(file)
        ]
    return [{"name": name, "licence": licence} for name, licence in dict.fromkeys(rows)]


def _described(path: Path) -> dict[str, str]:
    """Name, SHA-256 and copyright line of a SoundFont."""
    data = path.read_bytes()
    at = data.find(b"ICOP", 0, 4096)
    length = int.from_bytes(data[at + 4 : at + 8], "little") if at >= 0 else 0
    text = data[at + 8 : at + 8 + length].split(b"\0")[0].decode("latin-1") if at >= 0 else ""
    return {"name": path.name, "sha256": hashlib.sha256(data).hexdigest(), "licence": text}


_studio: Studio | None = None
"""Of a worker process."""


def _open(material: Material, seed: int, clip_s: float) -> None:
    global _studio
    _studio = Studio(material, seed, clip_s)


def _clip(number: int) -> tuple[LabelledClip, float]:
    """A clip, and the seconds of work that it took."""
    assert _studio is not None
    began = time.process_time()
    return _studio.clip(number), time.process_time() - began


def _counted(clips: Iterator[tuple[LabelledClip, float]], total_s: list[float]) -> Iterator[LabelledClip]:
    for clip, work_s in clips:
        total_s[0] += work_s
        yield clip
