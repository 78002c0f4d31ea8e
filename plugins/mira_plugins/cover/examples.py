"""Training examples of the cover network: versions of works as pitch classes.

Most are made straight from notes, which takes a thousandth of the time of rendering and listening; what chord
networks hear beside the notes (harmonics, blur, noise, silence) is imitated. Renderings that were listened to
(:mod:`mira_plugins.cover.rendering`) and stored chroma of real songs go among them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import torch
from mira.errors import DataError
from mira_train.data.registry import DataSet
from mira_train.data.splits import Split
from mira_train.patches import Loading
from mira_train.recipe import Recipe
from mira_train.synth.corpus import Library, Piece
from mira_train.synth.score import Part
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mira_plugins.chords.billboard import FOLDS, dequantised, is_billboard, read_folds
from mira_plugins.cover.alignment import stretched
from mira_plugins.cover.fingerprint import POOLED, SHORTEST, pitch_classes, unit
from mira_plugins.cover.network import Bank
from mira_plugins.cover.versions import CORPORA, Version, held_out, version, works

Floats = NDArray[np.float32]
FRAME_S: Final = POOLED * 2048 / 44100
WORKS: Final = 500
"""Works to learn from at most."""
VALID_WORKS: Final = 80
_LEAST: Final = 0.6
"""Share of a patch that an example fills at least."""
_LEAK: Final = ((7, 0.25), (4, 0.12), (10, 0.06))
"""Semitones above a note where its harmonics fall, and the most that is heard of them."""
SHARES: Final = {"notes": 0.6, "renderings": 0.3, "songs": 0.1}
"""How often each kind of work is drawn."""


class Work(Protocol):
    """Something that can be had in several versions; ``weight`` says how often within its kind."""

    @property
    def weight(self) -> float: ...

    @property
    def kind(self) -> str: ...

    def view(self, number: int, length_s: float, rng: Generator) -> Floats:
        """Pitch classes of one version, shape (frame, 12)."""
        ...


class Scored:
    """A work known from its notes."""

    kind = "notes"

    def __init__(self, library: Library, pieces: Sequence[Piece]) -> None:
        self._library, self._pieces = library, pieces
        corpus = pieces[0].corpus
        self.weight = CORPORA.get(corpus, 1.0) / len(library.pieces[corpus]) * (3 if len(pieces) > 1 else 1)
        self._parts: dict[str, list[Part]] = {}

    def view(self, number: int, length_s: float, rng: Generator) -> Floats:
        """A version of one of its files."""
        piece = self._pieces[number % len(self._pieces)]
        if piece.file not in self._parts:
            self._parts[piece.file] = self._library.read(piece)
        place = 0.0 if len(self._pieces) > 1 else float(rng.uniform(0, 0.2))
        made = version(self._parts[piece.file], piece.corpus, place, length_s, rng)
        return heard(made, length_s, rng)


@dataclass(frozen=True)
class Heard:
    """A work of which chroma is there: of several renderings, or of one real recording."""

    chroma: tuple[NDArray[np.uint8] | NDArray[np.float16], ...]
    kind: str
    weight: float = 1.0

    def view(self, number: int, length_s: float, rng: Generator) -> Floats:
        """One of them, moved in key and tempo and cut anew."""
        stored = self.chroma[number % len(self.chroma)]
        chroma = dequantised(stored.T, rng) if stored.dtype == np.uint8 else stored.astype(np.float32)
        frames = stretched(pitch_classes(chroma), float(np.exp(rng.uniform(-0.2, 0.2))))
        slack = max(len(frames) - round(length_s / FRAME_S), 0)
        first = int(rng.integers(min(slack, 20) + 1))
        frames = frames[first : first + round(length_s / FRAME_S)]
        return spoiled(np.roll(frames, int(rng.integers(12)), axis=1), rng)


def heard(made: Version, length_s: float, rng: Generator) -> Floats:
    """Pitch classes of a version as the chord network would hear them."""
    frames = np.zeros((round(length_s / FRAME_S), 12))
    treble = rng.normal(0, 4)
    for part in made.parts:
        if not len(part):
            continue
        held = float(np.exp(rng.uniform(-1, 2.5)))  # seconds until a note has faded
        loud = (part.velocity / 90) * float(np.exp(rng.normal(0, 0.4)))
        loud = loud * np.sin(np.pi * np.clip((part.pitch + treble - 20.5) / 84, 0.05, 0.95)) ** 2
        _add(frames, part, loud, held)
    blurred = np.pad(frames, ((1, 1), (0, 0)))
    share = float(rng.uniform(0, 0.2))
    frames = (1 - 2 * share) * frames + share * (blurred[:-2] + blurred[2:])
    frames = frames + sum(rng.uniform(0, most) * np.roll(frames, step, axis=1) for step, most in _LEAK)
    return spoiled(unit(np.sqrt(frames).astype(np.float32)), rng)


def _add(frames: NDArray[np.float64], part: Part, loud: NDArray[np.float64], held: float) -> None:
    """Lay notes onto the frames, fading."""
    first = (part.start_s / FRAME_S).astype(int)
    last = np.minimum((part.end_s / FRAME_S).astype(int), len(frames) - 1)
    for step in range(int((last - first).max(initial=0)) + 1):
        at = first + step
        inside = (at <= last) & (at >= 0)
        covered = np.minimum(part.end_s, (at + 1) * FRAME_S) - np.maximum(part.start_s, at * FRAME_S)
        weight = loud * covered * np.exp(-step * FRAME_S / held)
        np.add.at(frames, (at[inside], part.pitch[inside] % 12), np.maximum(weight[inside], 0))


def spoiled(frames: Floats, rng: Generator) -> Floats:
    """Noise, a floor, uneven pitch classes, and now and then a gap."""
    floor = rng.uniform(0, 0.08)
    noise = rng.normal(0, rng.uniform(0, 0.1), frames.shape)
    colour = np.exp(rng.normal(0, 0.1, 12))
    out = np.maximum(frames * colour + floor + noise, 0)
    if rng.random() < 0.2:
        start = int(rng.integers(len(out)))
        out[start : start + int(rng.integers(1, 6))] = floor
    return unit(out.astype(np.float32))


class Versions(Dataset[dict[str, Tensor]]):
    """Item ``group * w + v`` is version ``v`` of work ``w``, as the bank of kernels hears it; made once.

    Parameters
    ----------
    found
        Name -> work.
    group
        Versions of each.
    frames
        Of the longest example.
    seed
        Of the versions.
    bank
        From pitch classes to features.
    """

    def __init__(self, found: Mapping[str, Work], group: int, frames: int, seed: int, bank: Bank) -> None:
        self.works, self.group, self.frames, self.seed = list(found.values()), group, frames, seed
        self._bank, self._kept = bank, dict[int, Tensor]()

    def __len__(self) -> int:
        return self.group * len(self.works)

    def __getitem__(self, draw: int) -> dict[str, Tensor]:
        item = draw % len(self)
        if item not in self._kept:
            self._kept[item] = self._make(item)
        return {"x": self._kept[item], "y": torch.tensor(item // self.group), "item": torch.tensor(item)}

    def _make(self, item: int) -> Tensor:
        work, number = divmod(item, self.group)
        rng = np.random.default_rng((self.seed, item))
        frames = round(self.frames * float(rng.uniform(_LEAST, 1)))
        x = self.works[work].view(number, frames * FRAME_S, rng)[:frames]
        x = np.pad(x, ((0, max(SHORTEST - len(x), 0)), (0, 0)))
        with torch.no_grad():
            return self._bank(torch.from_numpy(np.ascontiguousarray(x.T))[None])[0]


class VersionData(Loading):
    """Folders of symbolic music, of stored Billboard chroma, or of renderings that were listened to.

    Parameters
    ----------
    recipe
        Its ``data`` and ``training`` count.
    sets
        The folders.
    workers
        Processes that load; 0: this one.
    """

    def __init__(self, recipe: Recipe, sets: Sequence[str], *, workers: int = 0) -> None:
        super().__init__(recipe, workers)
        read = [(Path(name), *_read(Path(name))) for name in sets]
        self.sets = [DataSet(path.name, (), terms=terms, folder=path) for path, _, terms in read]
        self.works: dict[str, Work] = {}
        for path, found, _ in read:
            self.works |= {f"{path.name}/{name}": work for name, work in found.items()}
        # a work may be there as notes and as renderings: they stay on one side
        names, share = sorted(self.works), recipe.data.split.valid
        valid = tuple(name for name in names if held_out(name.partition("/")[2], share))
        self.split = Split(tuple(name for name in names if name not in {*valid}), valid, ())

    def train_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """All works, each with two of its ``group`` versions side by side."""
        data = self.versions("train", WORKS)
        group, count = self.recipe.data.group, len(data.works)

        def order(rng: Generator) -> Sequence[int]:
            return [
                int(group * work + number)
                for work in rng.permutation(count)
                for number in rng.choice(group, 2, replace=False)
            ]

        return self.loader(data, order, even=True, block=2)

    def val_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """All versions."""
        data = self.versions("valid", VALID_WORKS)
        return self.loader(data, lambda rng: range(len(data)), even=False)

    def versions(self, part: str, count: int) -> Versions:
        """Works of a part, drawn by :data:`SHARES`; the same for the same seed."""
        names = getattr(self.split, part)
        if len(names) < 2:
            raise DataError(f"split: its part '{part}' has fewer than two works; add some")
        told = self.recipe
        chances = _chances({name: self.works[name] for name in names})
        rng = np.random.default_rng(told.training.seed)
        some = rng.choice(len(names), min(count, len(names)), replace=False, p=chances)
        chosen = {names[i]: self.works[names[i]] for i in sorted(some)}
        bank = Bank(int(told.network.options["each"]))
        return Versions(chosen, told.data.group, told.data.patch, told.training.seed, bank)


def _read(folder: Path) -> tuple[Mapping[str, Work], str]:
    """Works of a folder, and what its owners allow."""
    if is_billboard(folder):
        songs = read_folds(folder, FOLDS)
        return {f"billboard {s.name}": Heard((s.chroma,), "songs") for s in songs}, "CC0 1.0"
    if (folder / "index.csv").is_file():
        library = Library(folder)
        terms = "; ".join(dict.fromkeys(library.licences.values()))
        return {name: Scored(library, pieces) for name, pieces in works(library).items()}, terms
    rendered: dict[str, list[NDArray[np.float16]]] = {}
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as archive:
            rendered.setdefault(str(archive["work"]), []).append(archive["chroma"])
    if not rendered:
        raise DataError(f"{folder}: neither symbolic music, stored Billboard chroma nor renderings (.npz)")
    return {
        name: Heard(tuple(c), "renderings") for name, c in rendered.items() if len(c) > 1
    }, "as the symbolic music"


def _chances(found: Mapping[str, Work]) -> NDArray[np.float64]:
    """Probability of each work: its kind by :data:`SHARES`, within it by weight."""
    kinds = np.array([work.kind for work in found.values()])
    weights = np.array([work.weight for work in found.values()])
    for kind, share in SHARES.items():
        weights[kinds == kind] *= share / max(weights[kinds == kind].sum(), 1e-12)
    return weights / weights.sum()
