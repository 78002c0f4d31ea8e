"""Training examples for NoteNet: random crops of labelled recordings, moved, mixed and spoiled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soxr
import torch
from mira.audio import open_audio
from mira.errors import DataError
from mira.inputs import AUDIO_SUFFIXES
from mira.writers.text import printable
from mira_train.data.hdf5 import AudioReader
from mira_train.data.registry import DataSet
from mira_train.data.splits import Split, split_groups
from mira_train.document import nearest
from mira_train.labelled import labelled_files, terms_of
from mira_train.patches import Loading
from mira_train.recipe import Recipe
from mira_train.sets import Recording, divide, find_sets, recordings
from mira_train.synth.augment import load_rooms, resampled, spoil
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mira_plugins.mpe.targets import note_targets

HOP_LENGTH = 512
VALID_PER_EPOCH = 256
"""Crops that are validated at most."""


class Samples(Protocol):
    """Samples by slices: int16, or float32 from -1 to 1."""

    def __len__(self) -> int: ...

    def __getitem__(self, place: slice, /) -> NDArray[Any]: ...


@dataclass(frozen=True, eq=False)
class LabelledAudio:
    """One recording with its notes.

    Parameters
    ----------
    audio
        Shape (sample,).
    notes
        Shape (4, note): start_s, end_s, pitch, velocity (0 where unknown).
    group
        Corpus; groups are drawn by weight, clips within one evenly by duration.
    timed
        Whether starts and ends are true note boundaries; else only the frames count.
    """

    audio: Samples
    notes: NDArray[np.float64]
    group: str
    timed: bool = True


@dataclass(frozen=True)
class Stored:
    """Samples that stay in a .hdf5 file until they are asked for."""

    path: Path
    key: str
    length: int

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, place: slice) -> NDArray[np.float32]:
        with AudioReader(self.path) as reader:
            return reader.read(self.key, place.start, place.stop)


@dataclass(frozen=True)
class Spoiling:
    """How examples are changed.

    Parameters
    ----------
    moved, semitones, cents
        Share of crops that are played faster or slower, by up to so many semitones; the standard deviation
        of the detuning of all.
    mixed
        Share to which a second crop is added.
    spoiled
        Whether rooms, tone, noise and level change.
    rooms, noises
        Folders of impulse responses, and of recordings without notes, for that.
    """

    moved: float = 0.0
    semitones: int = 0
    cents: float = 0.0
    mixed: float = 0.0
    spoiled: bool = False
    rooms: Path | None = None
    noises: Path | None = None

    @classmethod
    def of(cls, recipe: Recipe) -> Spoiling:
        """What ``data.augment`` of a recipe says."""
        made: dict[str, Any] = {}
        for step in recipe.data.augment:
            match step.type:
                case "move":
                    told = {"p": 0.6, "semitones": 3, "cents": 12.0, **step.options}
                    made |= {"moved": told["p"], "semitones": told["semitones"], "cents": told["cents"]}
                case "mix":
                    made["mixed"] = step.options.get("p", 0.25)
                case "spoil":
                    made["spoiled"] = True
                    made |= {k: Path(step.options[k]) for k in ("rooms", "noises") if k in step.options}
                case other:
                    hint = nearest(other, ("move", "mix", "spoil"))
                    raise DataError(f"data.augment: nothing is called '{other}'{hint}")
        return cls(**made)


class NoteExamples(Dataset[dict[str, Tensor]]):
    """Crops drawn at random, the same for the same seed and number.

    Parameters
    ----------
    clips
        What to draw from.
    weights
        Group -> how often it is drawn.
    sample_rate, n_frames
        Of the network; a crop has ``n_frames`` hops.
    spoiling
        How they are changed.
    length, seed
        Number of examples an epoch, and where they start.
    rooms, noises
        For :func:`mira_train.synth.augment.spoil`.
    """

    def __init__(
        self,
        clips: Sequence[LabelledAudio],
        weights: Mapping[str, float],
        *,
        sample_rate: int,
        n_frames: int,
        spoiling: Spoiling,
        length: int,
        seed: int,
        rooms: Sequence[NDArray[np.float32]] = (),
        noises: Sequence[NDArray[np.float32]] = (),
    ) -> None:
        self.clips = clips
        seconds = np.array([len(c.audio) for c in clips], float)
        groups = np.array([c.group for c in clips])
        p = np.zeros(len(clips))
        for group, weight in weights.items():
            inside = groups == group
            if inside.any():
                p[inside] = weight * seconds[inside] / seconds[inside].sum()
        self.p = p / p.sum()
        self.rate, self.n_frames, self.spoiling = sample_rate, n_frames, spoiling
        self.rooms, self.noises, self.length, self.seed = rooms, noises, length, seed

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, draw: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((self.seed, draw))
        audio, notes, timed = self._crop(rng)
        if rng.random() < self.spoiling.mixed:
            other, more, also = self._crop(rng)
            audio = (audio + other * np.float32(10 ** (rng.uniform(-8, 4) / 20))).astype(np.float32)
            notes, timed = _merged(notes, more), timed and also
        if self.spoiling.spoiled:
            audio = spoil(audio, self.rate, self.rooms, self.noises, rng)
        start_s, end_s, pitch, velocity = notes
        targets = note_targets(start_s, end_s, pitch, velocity, self.n_frames, HOP_LENGTH / self.rate)
        return {
            "audio": torch.from_numpy(audio),
            "timed": torch.tensor(float(timed)),
            **{k: torch.from_numpy(v) for k, v in targets.items()},
        }

    def _crop(self, rng: Generator) -> tuple[NDArray[np.float32], NDArray[np.float64], bool]:
        """A stretch of a random clip, moved and detuned."""
        clip, told = self.clips[int(rng.choice(len(self.clips), p=self.p))], self.spoiling
        shift = int(rng.integers(-told.semitones, told.semitones + 1)) if rng.random() < told.moved else 0
        cents = float(np.clip(rng.normal(0, told.cents), -35, 35))
        ratio = 2 ** ((shift + cents / 100) / 12)
        n = self.n_frames * HOP_LENGTH
        need = round(n * ratio) + 64
        first = int(rng.integers(-self.rate // 2, max(len(clip.audio) - need, 0) + self.rate // 2))
        piece = _as_float(clip.audio[max(first, 0) : max(first + need, 0)])
        piece = np.pad(piece, (max(-first, 0), 0))
        audio = resampled(piece, ratio)[:n] if ratio != 1 else piece[:n]
        audio = np.pad(audio, (0, n - len(audio)))
        peak = float(np.abs(audio).max())
        if peak > 0:
            audio = audio * np.float32(0.5 / peak)
        notes = clip.notes.copy()
        notes[:2] = (notes[:2] - first / self.rate) / ratio
        notes[2] += shift
        return audio, notes[:, (notes[1] > 0) & (notes[0] < n / self.rate)], clip.timed


def _as_float(piece: NDArray[Any]) -> NDArray[np.float32]:
    return (piece / np.float32(32768) if piece.dtype == np.int16 else piece).astype(np.float32)


def _merged(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    notes = np.concatenate([one, other], axis=1)
    return notes[:, np.argsort(notes[0], kind="stable")]


class NoteData(Loading):
    """Labelled recordings as random crops; sets, and families within them, are drawn by the square root of
    their hours.

    Parameters
    ----------
    recipe
        Its ``data``, ``frontend.sample_rate`` and ``training`` count.
    sets
        Data sets (:func:`mira_train.sets.find_sets`), or folders of recordings with a csv beside each
        (:func:`mira_train.labelled.labelled_files`).
    workers
        Processes that load; 0: this one.
    """

    def __init__(self, recipe: Recipe, sets: Sequence[str], *, workers: int = 0) -> None:
        super().__init__(recipe, workers)
        self.rate = int(recipe.frontend.options["sample_rate"])
        self.n_frames = recipe.data.patch // HOP_LENGTH
        plain = [s for s in sets if Path(s).is_dir() and not any(Path(s).glob("*.pyjama"))]
        self.sets: list[DataSet] = find_sets([s for s in sets if s not in plain])
        self._stored = recordings(self.sets, recipe.data.target) if self.sets else []
        self._files = {f"{Path(s).name}/{f.name}": f for s in plain for f in labelled_files(Path(s))}
        self.split = self._divide()
        told = Spoiling.of(recipe)
        folders = [Path(s) for s in plain] + [f for f in (told.rooms, told.noises) if f is not None]
        self.sets += [DataSet(f.name, (), terms=terms_of(f), folder=f) for f in folders]

    def _divide(self) -> Split:
        told = self.recipe.data.split
        parts = []
        if self._stored:
            parts.append(divide(self._stored, told))
        if self._files:
            groups = {name: name for name in self._files}
            parts.append(split_groups(groups, valid=told.valid, test=told.test))
        names = ("train", "valid", "test", "dropped")
        return Split(**{n: tuple(k for part in parts for k in getattr(part, n)) for n in names})

    def train_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """As many crops an epoch as the recordings are long."""
        return self._loader("train", Spoiling.of(self.recipe), even=True)

    def val_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """The same crops each time, as they are."""
        return self._loader("valid", Spoiling(), even=False)

    def _loader(self, part: str, spoiling: Spoiling, *, even: bool) -> DataLoader[dict[str, Tensor]]:
        clips = self._clips(part)
        seconds: dict[str, float] = {}
        for clip in clips:
            seconds[clip.group] = seconds.get(clip.group, 0.0) + len(clip.audio) / self.rate
        crops = int(sum(seconds.values()) * self.rate / (self.n_frames * HOP_LENGTH)) + 1
        told = self.recipe.training
        examples = NoteExamples(
            clips,
            {group: s**0.5 for group, s in seconds.items()},
            sample_rate=self.rate,
            n_frames=self.n_frames,
            spoiling=spoiling,
            length=crops if even else min(crops, VALID_PER_EPOCH),
            seed=told.seed,
            rooms=load_rooms(spoiling.rooms, self.rate) if spoiling.rooms else (),
            noises=_load_noises(spoiling.noises, self.rate) if spoiling.noises else (),
        )
        return self.loader(examples, lambda rng: range(len(examples)), even=even)

    def _clips(self, part: str) -> list[LabelledAudio]:
        names = set(getattr(self.split, part))
        clips = [self._of_set(r) for r in self._stored if r.name in names]
        for name, file in self._files.items():
            if name in names:
                group = f"{name.split('/')[0]}/{file.family}"
                clips.append(LabelledAudio(_read(file.audio, self.rate), file.notes, group, file.timed))
        if not clips:
            raise DataError(f"split: nothing is in its part '{part}'; add recordings")
        return clips

    def _of_set(self, recording: Recording) -> LabelledAudio:
        with AudioReader(recording.samples) as reader:
            rate = reader.sample_rate(recording.key)
            audio: Samples = Stored(recording.samples, recording.key, reader.length(recording.key))
            if rate != self.rate:
                whole = soxr.resample(reader.read(recording.key), rate, self.rate)
                audio = np.round(np.clip(whole, -1, 1) * 32767).astype(np.int16)
        return LabelledAudio(audio, notes_of(recording, self.recipe.data.target), recording.dataset.name)


def notes_of(recording: Recording, name: str) -> NDArray[np.float64]:
    """Notes as :class:`LabelledAudio` holds them; velocities are those of the segments named ``velocity``."""
    atoms, loud = recording.entry[name], recording.entry["velocity"]
    velocity = [float(a.value) for a in loud] if len(loud) == len(atoms) else [0.0] * len(atoms)
    rows = [[float(a.times[0]), a.end_s, float(a.value), v] for a, v in zip(atoms, velocity, strict=True)]
    return np.array(rows, dtype=np.float64).reshape(-1, 4).T


def _load_noises(folder: Path, rate: int) -> list[NDArray[np.float32]]:
    """Recordings of a folder and of those below it."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix in AUDIO_SUFFIXES)
    if not paths:
        raise DataError(f"{printable(folder)}: holds no recordings of noise")
    return [_as_float(_read(path, rate)) for path in paths]


def _read(path: Path, rate: int) -> NDArray[np.int16]:
    with open_audio(path, rate) as audio:
        parts = [np.round(np.clip(block, -1, 1) * 32767).astype(np.int16) for block in audio]
    return np.concatenate(parts)
