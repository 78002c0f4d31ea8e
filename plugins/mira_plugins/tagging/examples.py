"""What the tagging network learns from: GTZAN's log-mels, and stems mixed anew for every example.

Powers of stems are added, so a mixture costs nothing and each one is heard once. Every example says which of
its tags are known; the loss leaves out the rest.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from mira.errors import DataError
from mira_train.data.registry import DataSet
from mira_train.data.splits import Split
from mira_train.patches import Loading
from mira_train.recipe import Recipe
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mira_plugins.ssl_embed.encoder import COLUMNS
from mira_plugins.tagging.stems import LOWEST_DB, STEP_DB
from mira_plugins.tagging.vocabulary import (
    INDEX,
    MUSIC,
    N_GENRES,
    TAGS,
    VOICE,
    families_of,
)

T = TypeVar("T")
Levels = NDArray[np.float32]

EXAMPLES_PER_EPOCH = 2048
SHARES: Mapping[str, float] = {"genre": 0.6, "instrument": 0.2, "voice": 0.15, "nothing": 0.05}
"""How often each kind of example is drawn."""
GENTLE = 0.3
"""How strongly GTZAN's clips are changed, against stems: their tone and noise are real and tell of genres."""
VALID_IDS = range(80, 100)
"""Blocks of GTZAN's ids, which run in artist order."""
_VALID_SHARE = 5
"""One group of stems in so many validates."""
_PROBABLE: Mapping[str, tuple[float, tuple[str, ...]]] = {
    "drums": (0.95, ("disco", "hiphop", "metal", "pop", "reggae", "rock")),
    "bass": (0.9, ("disco", "metal", "reggae", "rock")),
    "guitar": (0.95, ("metal", "rock", "country")),
}
"""What clips of a genre hold as a rule: instrument -> (probability, genres). Classical ones have no drums."""


@dataclass(frozen=True)
class Stored:
    """A clip or stem.

    Parameters
    ----------
    name, kind, group
        What it is called; ``genre``, ``instrument``, ``voice``, ``accompaniment`` or ``nothing``; what must
        stay on one side of a split.
    level
        Shape (127, column), uint8.
    zero_db, step_db
        ``level`` in decibels is ``zero_db + step_db * level``.
    tags
        What is in it.
    """

    name: str
    kind: str
    group: str
    level: NDArray[np.uint8]
    zero_db: float
    step_db: float
    tags: frozenset[str] = field(default_factory=frozenset)

    def cut(self, columns: int, rng: Generator, speed: float = 1.0) -> Levels:
        """A random stretch in decibels, ``speed`` times as fast; shorter ones repeat."""
        wanted = round(columns * speed)
        have = self.level.shape[1]
        first = int(rng.integers(max(have - wanted, 0) + 1))
        places = (first + np.arange(columns) * speed).astype(int) % have
        dither = rng.random((len(self.level), columns), dtype=np.float32) - np.float32(0.5)
        level = self.zero_db + self.step_db * (self.level[:, places] + dither)
        return level.astype(np.float32)


def read_gtzan(folder: Path) -> list[Stored]:
    """Clips of ``gtzan_mel_train.h5``; those that repeat others are left out."""
    import h5py

    with open(folder / "index.csv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if not row["repeats_of"]]
    with h5py.File(folder / "gtzan_mel_train.h5") as file:
        level, loudest = np.asarray(file["mel"]), np.asarray(file["max_db"])
    return [
        Stored(
            row["name"], "genre", row["name"], level[int(row["row"])],
            float(loudest[int(row["row"])]), -2.0, frozenset([row["genre"]]),
        )
        for row in rows
    ]  # fmt: skip


def read_stems(path: Path) -> list[Stored]:
    """Stems of an .npz file that :mod:`mira_plugins.tagging.stems` wrote."""
    out = []
    with np.load(path) as archive:
        for key in archive.files:
            head, _, tags = key.rsplit("|", 2)
            kind, _, group = head.partition(":")
            known = frozenset(tags.split(",")) - {""}
            name = f"{path.parent.name}/{key}"
            out.append(Stored(name, kind, group, archive[key], LOWEST_DB, STEP_DB, known))
    return out


def validates(stored: Stored) -> bool:
    """Whether a clip or stem is held out: by id block for GTZAN, else by singer, recording or program.

    Recorded notes are never held out: most instruments have a single source of them.
    """
    if stored.kind == "genre":
        return int(stored.name.rpartition(".")[2]) in VALID_IDS
    if stored.kind == "instrument" and " " not in stored.group:
        return False
    from zlib import crc32

    return crc32(stored.group.encode()) % _VALID_SHARE == 0


@dataclass(frozen=True)
class Example:
    """Decibels (127, column), and for each tag its probability and whether it is known."""

    level: Levels
    target: NDArray[np.float32]
    known: NDArray[np.float32]

    def batch(self) -> dict[str, Tensor]:
        """As tensors."""
        return {name: torch.from_numpy(value) for name, value in vars(self).items()}


class Mixer:
    """Makes examples of the clips and stems of one side of the split.

    Parameters
    ----------
    clips
        What there is.
    columns
        Of an example.
    vary
        Whether to change every example at random.
    strength
        How strongly GTZAN's clips are changed; stems are by 1.
    """

    def __init__(
        self, clips: Sequence[Stored], columns: int, *, vary: bool, strength: float = GENTLE
    ) -> None:
        self.columns, self.vary, self.strength = columns, vary, strength
        self.by_kind: dict[str, list[Stored]] = {}
        for clip in clips:
            self.by_kind.setdefault(clip.kind, []).append(clip)
        by_tag: dict[str, list[Stored]] = {}
        for clip in self.by_kind.get("instrument", ()):
            by_tag.setdefault(",".join(sorted(clip.tags)), []).append(clip)
        self._players = list(by_tag.values())

    def draw(self, rng: Generator) -> Example:
        """An example of a random kind."""
        kinds = [k for k in SHARES if k in self.by_kind]
        p = np.array([SHARES[k] for k in kinds])
        return getattr(self, f"_{kinds[int(rng.choice(len(kinds), p=p / p.sum()))]}")(rng)

    def genre(self, clip: Stored, rng: Generator) -> Example:
        """A stretch of a GTZAN clip."""
        target, known = np.zeros(len(TAGS), np.float32), np.zeros(len(TAGS), np.float32)
        [name] = clip.tags
        known[:N_GENRES], target[INDEX[name]] = 1, 1
        known[INDEX[MUSIC]] = target[INDEX[MUSIC]] = 1
        for tag, (chance, genres) in _PROBABLE.items():
            if name in genres:
                known[INDEX[tag]], target[INDEX[tag]] = 1, chance
        if name == "classical":
            known[INDEX["drums"]] = 1
        cut = clip.cut(self.columns, rng, self._speed(rng))
        return self._finished(cut, target, known, rng, self.strength)

    def _genre(self, rng: Generator) -> Example:
        first = self.genre(_any(self.by_kind["genre"], rng), rng)
        if rng.random() < 0.5:
            return first
        second = self.genre(_any(self.by_kind["genre"], rng), rng)
        share = float(rng.beta(0.4, 0.4))
        level, target = (
            (share * one + (1 - share) * other).astype(np.float32)
            for one, other in ((first.level, second.level), (first.target, second.target))
        )
        return Example(level, target, first.known * second.known)

    def _instrument(self, rng: Generator) -> Example:
        """One to four players, as loud as each other give or take 12 dB."""
        count = int(rng.choice([1, 2, 3, 4], p=[0.6, 0.2, 0.1, 0.1]))
        parts = [_any(_any(self._players, rng), rng) for _ in range(count)]
        return self._played(parts, rng)

    def _played(self, parts: Sequence[Stored], rng: Generator) -> Example:
        level = _mixed([p.cut(self.columns, rng, self._speed(rng)) for p in parts], rng)
        target, known = _instruments(frozenset().union(*[p.tags for p in parts]))
        return self._finished(level, target, known, rng)

    def _voice(self, rng: Generator) -> Example:
        """Singing over its accompaniment, over anything or alone; or the accompaniment without it."""
        sings = rng.random() < 0.5
        below = rng.random()
        if below < 0.6:
            parts = [_any(self.by_kind["accompaniment"], rng)]
        elif below < 0.8 or sings:
            parts = [_any(_any(self._players, rng), rng) for _ in range(int(rng.integers(1, 4)))]
        else:
            parts = [_any(self.by_kind["accompaniment"], rng), _any(_any(self._players, rng), rng)]
        if sings and below > 0.9:
            parts = [_any(self.by_kind["genre"], rng)]
        if sings and rng.random() < 0.15:
            parts = []
        cuts = [p.cut(self.columns, rng, self._speed(rng)) for p in parts]
        if sings:
            singer = _any(self.by_kind["voice"], rng)
            cuts.append(singer.cut(self.columns, rng, self._speed(rng)))
        target, known = np.zeros(len(TAGS), np.float32), np.zeros(len(TAGS), np.float32)
        if not parts or all(p.kind == "instrument" for p in parts):
            target, known = _instruments(frozenset().union(*[p.tags for p in parts]))
        known[INDEX[VOICE]], target[INDEX[VOICE]] = 1, float(sings)
        known[INDEX[MUSIC]] = target[INDEX[MUSIC]] = 1
        return self._finished(_mixed(cuts, rng), target, known, rng)

    def _nothing(self, rng: Generator) -> Example:
        """Speech, noise, animals, silence: no tag at all."""
        cut = _any(self.by_kind["nothing"], rng).cut(self.columns, rng, self._speed(rng))
        known = np.ones(len(TAGS), np.float32)
        known[:N_GENRES] = 0
        return self._finished(cut, np.zeros(len(TAGS), np.float32), known, rng)

    def varied_stretch(self, level: Levels, rng: Generator) -> Levels:
        """A random stretch of decibels, changed as another recording of the same would be."""
        first = int(rng.integers(max(level.shape[1] - self.columns, 0) + 1))
        return _varied(level[:, first : first + self.columns], rng)

    def _speed(self, rng: Generator) -> float:
        return float(np.exp(rng.uniform(-0.15, 0.15))) if self.vary else 1.0

    def _finished(
        self,
        level: Levels,
        target: NDArray[np.float32],
        known: NDArray[np.float32],
        rng: Generator,
        strength: float = 1.0,
    ) -> Example:
        level = _varied(level, rng, strength) if self.vary else level.astype(np.float32)
        return Example(level, target, known)


def _instruments(tags: frozenset[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Target and known tags of rendered music: everything but its genre; nobody sings."""
    target, known = np.zeros(len(TAGS), np.float32), np.ones(len(TAGS), np.float32)
    known[:N_GENRES] = 0
    for name in (*tags, *families_of(tags), MUSIC):
        target[INDEX[name]] = 1
    return target, known


def _mixed(levels: Sequence[Levels], rng: Generator) -> Levels:
    """Powers added, after every part was brought to the same loudness give or take 6 dB."""
    total = np.zeros(levels[0].shape, np.float32)
    for level in levels:
        power = 10 ** (level / 10)
        total += power * np.float32(10 ** rng.uniform(-0.6, 0.6) / (power.mean() + 1e-9))
    return np.float32(10) * np.log10(total + np.float32(1e-9)) + np.float32(15)


def _varied(level: Levels, rng: Generator, strength: float = 1.0) -> Levels:
    """Another tone curve, level, tuning, recorder and reverberation; some bands and moments left out."""
    bands, columns = level.shape
    knots = np.linspace(0, bands - 1, 8)
    curve = np.interp(np.arange(bands), knots, rng.normal(0, 4 * strength, 8))
    noise = rng.normal(0, rng.uniform(0, 1.5 * strength), level.shape)
    level = level + curve[:, None] + rng.uniform(-25, 5) + noise
    if rng.random() < 0.5:
        level = np.roll(level, int(rng.integers(-2, 3)), 0)
    if rng.random() < 0.3 * strength:
        level[int(rng.integers(50, bands)) :] -= rng.uniform(10, 60)
    if rng.random() < 0.3 * strength:
        floor = level.max() - rng.uniform(20, 60)
        level = np.maximum(level, floor + rng.normal(0, 1.5, level.shape))
    for _ in range(int(rng.integers(0, 3))):
        first, width = int(rng.integers(bands)), int(rng.integers(1, 16))
        level[first : first + width] = -100
    if rng.random() < 0.3:
        first, width = int(rng.integers(columns)), int(rng.integers(1, 24))
        level[:, first : first + width] = -100
    if rng.random() < 0.3 * strength:  # a short recording
        length = int(rng.integers(columns // 4, columns))
        first = int(rng.integers(columns - length + 1))
        level[:, :first] = level[:, first + length :] = -100
    return level.astype(np.float32)


def _any(things: Sequence[T], rng: Generator) -> T:
    return things[int(rng.integers(len(things)))]


class TagExamples(Dataset[dict[str, Tensor]]):
    """Random examples; the same for the same seed and number."""

    def __init__(self, mixer: Mixer, length: int, seed: int) -> None:
        self.mixer, self.length, self.seed = mixer, length, seed

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, draw: int) -> dict[str, Tensor]:
        return self.mixer.draw(np.random.default_rng((self.seed, draw))).batch()


class HeldOut(Dataset[dict[str, Tensor]]):
    """Every genre clip that is held out, whole and as it is, and a fixed number of held-out mixtures."""

    def __init__(self, mixer: Mixer, mixtures: int, seed: int) -> None:
        self.mixer, self.seed = mixer, seed
        self.clips = mixer.by_kind.get("genre", [])
        self.kinds = [k for k in ("instrument", "voice", "nothing") if k in mixer.by_kind]
        self.mixtures = mixtures if self.kinds else 0

    def __len__(self) -> int:
        return len(self.clips) + self.mixtures

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((self.seed, index))
        if index < len(self.clips):
            return self.mixer.genre(self.clips[index], rng).batch()
        return getattr(self.mixer, f"_{self.kinds[index % len(self.kinds)]}")(rng).batch()


class TagData(Loading):
    """Folders: ``gtzan_mel_train.h5`` with its index, or stems (.npz).

    Parameters
    ----------
    recipe
        Its ``data`` and ``training`` count.
    sets
        The folders.
    workers
        Processes that load; 0: this one.
    """

    WHOLE = 20 * COLUMNS
    """Columns of a validation example."""

    def __init__(self, recipe: Recipe, sets: Sequence[str], *, workers: int = 0) -> None:
        super().__init__(recipe, workers)
        self.sets = [DataSet(Path(n).name, (), terms=_terms(Path(n)), folder=Path(n)) for n in sets]
        clips = [clip for name in sets for clip in _read(Path(name))]
        self.train, self.valid = ([c for c in clips if validates(c) is held] for held in (False, True))
        if not self.train or not self.valid:
            raise DataError("split: one of its parts is empty; add clips")
        self.split = Split(tuple(c.name for c in self.train), tuple(c.name for c in self.valid), ())

    def train_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """:data:`EXAMPLES_PER_EPOCH` examples."""
        mixer = Mixer(self.train, self.recipe.data.patch, vary=True)
        examples = TagExamples(mixer, EXAMPLES_PER_EPOCH, self.recipe.training.seed)
        return self.loader(examples, lambda rng: range(len(examples)), even=True)

    def val_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """The same examples each time."""
        mixer = Mixer(self.valid, self.WHOLE, vary=False)
        examples = HeldOut(mixer, 150, self.recipe.training.seed)
        return self.loader(examples, lambda rng: range(len(examples)), batch=16, even=False)


def _terms(folder: Path) -> str:
    """What the owners allow: what ``terms.txt`` says."""
    path = folder / "terms.txt"
    if path.is_file():
        return path.read_text(encoding="utf-8").strip()
    return "research only" if (folder / "gtzan_mel_train.h5").is_file() else ""


def _read(folder: Path) -> list[Stored]:
    if (folder / "gtzan_mel_train.h5").is_file():
        return read_gtzan(folder)
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise DataError(f"{folder}: neither gtzan_mel_train.h5 nor stems (.npz)")
    return [clip for path in paths for clip in read_stems(path)]
