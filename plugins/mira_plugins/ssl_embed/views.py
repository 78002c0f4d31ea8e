"""Pairs of views for self-supervised learning on stored log-mels: two stretches of one clip, each changed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mira_train.data.registry import DataSet
from mira_train.patches import Loading
from mira_train.recipe import Recipe
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mira_plugins.tagging.examples import Mixer, Stored, TagData

PAIRS_PER_EPOCH, VALID_PAIRS = 1536, 256
MUSIC_SHARE = 0.7
"""How often a pair is of a GTZAN clip; else it is of stems."""


class MelPairs(Dataset[dict[str, Tensor]]):
    """``x``: (2, 127, column). Two stretches of a clip, or of one mixture of stems; the same for a seed."""

    def __init__(self, clips: Sequence[Stored], columns: int, length: int, seed: int) -> None:
        self.mixer = Mixer(clips, columns, vary=True, strength=1.0)  # else noise and tone tell clips apart
        self.whole = Mixer(clips, 2 * columns, vary=False)
        self.length, self.seed = length, seed

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, draw: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((self.seed, draw))
        music = self.mixer.by_kind.get("genre")
        if music and rng.random() < MUSIC_SHARE:
            clip = music[int(rng.integers(len(music)))]
            views = [self.mixer.genre(clip, rng).level for _ in range(2)]
        else:
            long = self.whole.draw(rng).level
            views = [self.mixer.varied_stretch(long, rng) for _ in range(2)]
        return {"x": torch.from_numpy(np.stack(views))}


class PairData(Loading):
    """The clips and stems of :class:`mira_plugins.tagging.examples.TagData`, with its split, as pairs."""

    def __init__(self, recipe: Recipe, sets: Sequence[str], *, workers: int = 0) -> None:
        super().__init__(recipe, workers)
        self._clips = TagData(recipe, sets, workers=workers)
        self.sets: list[DataSet] = self._clips.sets
        self.split = self._clips.split

    def train_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """:data:`PAIRS_PER_EPOCH` pairs."""
        return self._loader(self._clips.train, PAIRS_PER_EPOCH, even=True)

    def val_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """The same pairs each time."""
        return self._loader(self._clips.valid, VALID_PAIRS, even=False)

    def _loader(self, clips: Sequence[Stored], length: int, *, even: bool) -> DataLoader[dict[str, Tensor]]:
        told = self.recipe.training
        pairs = MelPairs(clips, self.recipe.data.patch, length, told.seed)
        return self.loader(pairs, lambda rng: range(length), batch=max(told.batch_size // 2, 2), even=even)
