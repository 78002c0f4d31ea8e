"""What ChordNet learns from: random stretches of chroma, Billboard's and that of rendered songs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mira.errors import DataError
from mira_train.data.registry import DataSet
from mira_train.data.splits import Split, split_groups
from mira_train.patches import Loading
from mira_train.recipe import Recipe
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mira_plugins.chords.billboard import (
    FOLDS,
    HOP_S,
    LAG_S,
    UNFIT,
    StoredSong,
    dequantised,
    is_billboard,
    read_folds,
    upright,
)
from mira_plugins.chords.targets import COLUMNS, IGNORED, frame_targets

SHARES: Mapping[str, float] = {
    "billboard": 0.5,
    "pop": 0.17,
    "lead": 0.13,
    "score": 0.1,
    "real": 0.06,
    "none": 0.04,
}
"""How often each source is drawn; those that are not there leave their share to the others."""
_TEMPO = 0.2
"""Stretches are played up to so much faster or slower (logarithm)."""
CROPS_PER_EPOCH, VALID_PER_EPOCH = 2048, 384


@dataclass(frozen=True)
class LabelledChroma:
    """One song.

    Parameters
    ----------
    chroma
        Shape (24, frame): uint8 as Billboard stores it, or float16 from the front end.
    targets
        Shape (frame, 4), see :func:`frame_targets`.
    source, name, group
        Where it comes from, what it is called, and what must stay on one side of a split.
    """

    chroma: NDArray[np.uint8] | NDArray[np.float16]
    targets: NDArray[np.int16]
    source: str
    name: str
    group: str


def from_billboard(songs: Sequence[StoredSong]) -> list[LabelledChroma]:
    """Songs with labels read ``LAG_S`` later; unfit ones left out, frames after the last label too."""
    out = []
    for song in songs:
        if song.name in UNFIT:
            continue
        times_s = np.arange(song.chroma.shape[1]) * HOP_S + LAG_S
        times_s = times_s[times_s < song.chords[-1].end_s]
        targets = frame_targets(song.chords, times_s)
        chroma = upright(song)[:, : len(times_s)]
        out.append(LabelledChroma(chroma, targets[: chroma.shape[1]], "billboard", song.name, song.group))
    return out


def from_rendered(paths: Sequence[Path]) -> list[LabelledChroma]:
    """Clips of the .npz files that :mod:`mira_plugins.chords.rendering` writes.

    ``SOURCE:GROUP|NUMBER/c`` is chroma of shape (frame, 24), ``SOURCE:GROUP|NUMBER/t`` the targets.
    """
    out = []
    for path in paths:
        with np.load(path) as archive:
            for key in archive.files:
                if not key.endswith("/c"):
                    continue
                source, _, group = key.partition("|")[0].partition(":")
                name = f"{path.stem}/{key[:-2]}"
                chroma = np.ascontiguousarray(archive[key].T)
                out.append(LabelledChroma(chroma, archive[key[:-1] + "t"], source, name, group or name))
    return out


class ChordExamples(Dataset[dict[str, Tensor]]):
    """Stretches drawn by :data:`SHARES`, within a source by duration; the same for the same seed and number.

    Parameters
    ----------
    songs
        What to draw from; shorter ones are followed by silence that does not count.
    n_frames
        Of one stretch.
    length, seed
        Number of examples an epoch, and where they start.
    vary
        Whether chroma changes as in another mix.
    """

    def __init__(
        self,
        songs: Sequence[LabelledChroma],
        *,
        n_frames: int,
        length: int,
        seed: int,
        vary: bool = True,
    ) -> None:
        frames = np.array([len(song.targets) for song in songs], float)
        sources = np.array([song.source for song in songs])
        p = np.zeros(len(songs))
        for source, weight in SHARES.items():
            inside = sources == source
            if inside.any():
                p[inside] = weight * frames[inside] / frames[inside].sum()
        self.songs, self.p = songs, p / p.sum()
        self.n_frames, self.length, self.seed, self.vary = n_frames, length, seed, vary

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, draw: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((self.seed, draw))
        song = self.songs[int(rng.choice(len(self.songs), p=self.p))]
        tempo = float(np.exp(rng.uniform(-_TEMPO, _TEMPO))) if self.vary else 1.0
        at = (np.arange(self.n_frames) * tempo).astype(int)
        at += int(rng.integers(max(len(song.targets) - int(at[-1]) - 1, 0) + 1))
        at = at[at < len(song.targets)]
        piece, targets = song.chroma[:, at], song.targets[at]
        chroma = dequantised(piece, rng) if piece.dtype == np.uint8 else piece.astype(np.float32)
        if self.vary:
            chroma = varied(chroma, rng)
        missing = self.n_frames - len(targets)
        chroma = np.pad(chroma.T, ((0, missing), (0, 0)))
        targets = np.pad(targets, ((0, missing), (0, 0)), constant_values=IGNORED).astype(np.int64)
        columns = {name: torch.from_numpy(column.copy()) for name, column in zip(COLUMNS, targets.T)}
        return {"chroma": torch.from_numpy(chroma), **columns}


def varied(chroma: NDArray[np.float32], rng: Generator) -> NDArray[np.float32]:
    """Another mix: bass and treble louder or softer, pitch classes coloured, now and then no bass at all; a
    little out of tune; with sounds that belong to no chord.
    """
    gain = np.exp(rng.normal(0, 0.15, (2, 1, 1))) * np.exp(rng.normal(0, 0.12, (2, 12, 1)))
    if rng.random() < 0.03:
        gain[0] = 0
    mixed = chroma.reshape(2, 12, -1) * gain
    leak = max(float(rng.normal(0, 0.08)), 0.0)
    mixed = (1 - leak) * mixed + leak * np.roll(mixed, int(rng.choice([-1, 1])), axis=1)
    noise = rng.exponential(size=mixed.shape) * mixed.mean() * max(float(rng.normal(0, 0.15)), 0.0)
    return (mixed + noise).reshape(chroma.shape).astype(np.float32)


class ChordData(Loading):
    """Folders of stored chroma: in Billboard's form (fold 4 is never read), or of rendered clips.

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
        self.sets = [
            DataSet(Path(name).name, (), terms=_terms(Path(name)), folder=Path(name)) for name in sets
        ]
        self.songs = [song for name in sets for song in _read(Path(name))]
        told = recipe.data.split
        groups = {song.name: f"{song.source}/{song.group}" for song in self.songs}
        self.split: Split = split_groups(groups, valid=told.valid, test=told.test)

    def train_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """:data:`CROPS_PER_EPOCH` stretches."""
        return self._loader(self.split.train, CROPS_PER_EPOCH, even=True)

    def val_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """The same stretches each time, as they are."""
        return self._loader(self.split.valid, VALID_PER_EPOCH, even=False)

    def _loader(self, names: Sequence[str], length: int, *, even: bool) -> DataLoader[dict[str, Tensor]]:
        chosen = set(names)
        songs = [song for song in self.songs if song.name in chosen]
        if not songs:
            raise DataError("split: one of its parts is empty; add songs")
        told = self.recipe.training
        examples = ChordExamples(
            songs, n_frames=self.recipe.data.patch, length=length, seed=told.seed, vary=even
        )
        return self.loader(examples, lambda rng: range(length), even=even)


def _terms(folder: Path) -> str:
    """What the owners allow: what ``terms.txt`` says, or Billboard's dedication."""
    path = folder / "terms.txt"
    if path.is_file():
        return path.read_text(encoding="utf-8").strip()
    return "CC0 1.0" if is_billboard(folder) else ""


def _read(folder: Path) -> list[LabelledChroma]:
    if is_billboard(folder):
        return from_billboard(read_folds(folder, FOLDS))
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise DataError(f"{folder}: neither stored chroma in Billboard's form nor rendered clips (.npz)")
    return from_rendered(paths)
