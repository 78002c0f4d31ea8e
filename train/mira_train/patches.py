"""Patches of features with their targets, and the order in which an epoch shows them.

An example is drawn by a number alone: number ``epoch * n + i`` is the ``i``-th example of that epoch, and
whatever is random about it comes from a generator seeded by it. So neither workers, nor processes, nor an
interruption change what a network sees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
from mira.errors import DataError
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from mira_train.data.registry import DataSet, data_folder
from mira_train.data.splits import Split
from mira_train.data.targets import IGNORE
from mira_train.features import Features, features_of
from mira_train.recipe import Recipe
from mira_train.sets import Recording, divide, find_sets, recordings

Batch = dict[str, Tensor]
Order = Callable[[Generator], Sequence[int]]
"""The examples of one epoch in order; random where it likes."""


class Draws(Sampler[int]):
    """Numbers of the examples of an epoch, dealt out to the processes.

    Parameters
    ----------
    order, n
        Order of an epoch, out of ``n`` examples.
    seed
        Of the order.
    rank, world
        This process and how many there are.
    block
        Examples that stay together in one process.
    even
        For training: all processes get equally many, and the rest is left out until the next epoch. Without
        it, for validation, every example comes exactly once, and every epoch is the first one.
    """

    def __init__(
        self, order: Order, n: int, seed: int, rank: int, world: int, *, block: int = 1, even: bool
    ) -> None:
        self._order, self._n, self._seed = order, n, seed
        self._rank, self._world, self._block, self._even = rank, world, block, even
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Go to an epoch; Lightning calls this before each."""
        self._epoch = epoch if self._even else 0

    def __iter__(self) -> Iterator[int]:
        return iter(self._mine())

    def __len__(self) -> int:
        return len(self._mine())

    def _mine(self) -> list[int]:
        order = self._order(np.random.default_rng((self._seed, self._epoch)))
        blocks = [order[i : i + self._block] for i in range(0, len(order), self._block)]
        if self._even:
            blocks = blocks[: len(blocks) // self._world * self._world]
        return [self._epoch * self._n + i for block in blocks[self._rank :: self._world] for i in block]


@dataclass(frozen=True)
class Target:
    """What is to be said of a recording.

    Parameters
    ----------
    make
        ``make(recording, frames, hop_s)``: an array; numbers of classes are int64, anything else float32.
    in_time
        Whether its last axis is the frames, or it belongs to the recording as a whole.
    """

    make: Callable[[Recording, int, float], NDArray[Any]]
    in_time: bool


class Patches(Dataset[Batch]):
    """Patches of recordings: ``x`` (..., frame), ``y``, ``share`` of the frames that are music, ``item``.

    Parameters
    ----------
    items
        The recordings.
    features, target
        What is seen, and what is to be said of it.
    patch, hop
        Frames of a patch, and between patches. ``hop`` 0: one a recording, cut at random, or from the middle
        where ``seed`` is None.
    seed
        Of the cuts.
    """

    KEPT = 32
    """Recordings whose targets are kept in memory."""

    def __init__(
        self,
        items: Sequence[Recording],
        features: Features,
        target: Target,
        patch: int,
        hop: int,
        seed: int | None,
    ) -> None:
        self.items, self._features, self._target = items, features, target
        self._patch, self._seed = patch, seed
        self._frames = [features.frames(item) for item in items]
        self._kept: dict[int, NDArray[Any]] = {}
        starts = [range(0, max(n - patch, 0) + 1, hop) if hop else (None,) for n in self._frames]
        self.places = [(i, start) for i, each in enumerate(starts) for start in each]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, draw: int) -> Batch:
        index, start = self.places[draw % len(self)]
        frames = self._frames[index]
        if start is None:
            start = cut(max(frames - self._patch, 0), self._seed, draw)
        stop = min(start + self._patch, frames)
        x = self._features.read(self.items[index], start, stop)
        y = self._whole(index)
        if self._target.in_time:
            y = padded(y[..., start:stop], self._patch, IGNORE if y.dtype.kind == "i" else 0)
        return {
            "x": torch.from_numpy(np.ascontiguousarray(padded(x, self._patch))),
            "y": torch.from_numpy(np.array(y)),
            "share": torch.tensor((stop - start) / self._patch, dtype=torch.float32),
            "item": torch.tensor(index),
        }

    def _whole(self, index: int) -> NDArray[Any]:
        if index not in self._kept:
            if len(self._kept) >= self.KEPT:
                del self._kept[next(iter(self._kept))]
            made = self._target.make(self.items[index], self._frames[index], self._features.hop_s)
            self._kept[index] = made
        return self._kept[index]


def cut(room: int, seed: int | None, draw: int) -> int:
    """Where to cut, from 0 to ``room``: at random by the draw, or in the middle without a seed."""
    return room // 2 if seed is None else int(np.random.default_rng((seed, draw)).integers(room + 1))


def padded(array: NDArray[Any], frames: int, fill: float = 0) -> NDArray[Any]:
    """Lengthen the last axis to ``frames``."""
    missing = max(frames - array.shape[-1], 0)
    return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, missing)], constant_values=fill)


class Loading(lightning.LightningDataModule):
    """What loads examples for a recipe; derived classes find them and split them.

    Parameters
    ----------
    recipe
        Its ``data`` and ``training`` count.
    workers
        Processes that load; 0: this one.
    """

    def __init__(self, recipe: Recipe, workers: int) -> None:
        super().__init__()
        self.recipe, self.workers = recipe, workers

    def loader(
        self, data: Dataset[Batch], order: Order, *, even: bool, block: int = 1, batch: int = 0
    ) -> DataLoader[Batch]:
        """Batches of ``batch`` draws (the recipe's batch size if 0) in an order that depends on seed and
        epoch alone; see :class:`Draws`.
        """
        seed, trainer = self.recipe.training.seed, self.trainer
        rank, world = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        batch = batch or self.recipe.training.batch_size
        n = len(data)  # type: ignore[arg-type]
        draws = Draws(order, n, seed, rank, world, block=block, even=even)
        return DataLoader(
            data,
            batch,
            sampler=draws,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            generator=torch.Generator().manual_seed(
                seed
            ),  # else it would draw from the one that dropout uses
            worker_init_fn=_one_thread,
            drop_last=even and len(draws) > batch,
        )


class DataModule(Loading):
    """Recordings of some sets, split as the recipe says, as batches of patches.

    Parameters
    ----------
    recipe
        Its ``data`` and ``training`` count.
    sets
        As for :func:`mira_train.sets.find_sets`.
    target
        What is to be said of a recording.
    workers
        Processes that load; 0: this one.
    """

    def __init__(self, recipe: Recipe, sets: Sequence[str], target: Target, *, workers: int = 0) -> None:
        super().__init__(recipe, workers)
        self.target = target
        self.sets: list[DataSet] = find_sets(sets)
        self.recordings = self._find()
        self.split = self._divide()
        self.features = features_of(recipe, data_folder() / "features")

    def _find(self) -> list[Recording]:
        return recordings(self.sets, self.recipe.data.target)

    def _divide(self) -> Split:
        return divide(self.recordings, self.recipe.data.split)

    def prepare_data(self) -> None:
        """Compute what is not in the cache, in one process."""
        for item in self.recordings:
            self.features.read(item, 0, 1)

    def part(self, name: str) -> list[Recording]:
        """Recordings of ``train``, ``valid`` or ``test``."""
        names = set(getattr(self.split, name))
        return [item for item in self.recordings if item.name in names]

    def patches(self, part: str) -> Patches:
        """Patches of a part."""
        data = self.recipe.data
        seed = self.recipe.training.seed if part == "train" else None
        made = Patches(self.part(part), self.features, self.target, data.patch, data.hop, seed)
        if not len(made):
            raise DataError(f"split: nothing is in its part '{part}'; add recordings")
        return made

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches in random order."""
        data = self.patches("train")
        return self.loader(data, lambda rng: rng.permutation(len(data)).tolist(), even=True)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Batches in the order of the files, each example once."""
        data = self.patches("valid")
        return self.loader(data, lambda rng: range(len(data)), even=False)


def _one_thread(worker: int) -> None:
    torch.set_num_threads(1)
