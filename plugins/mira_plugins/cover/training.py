"""How the cover network is trained: triplets of performances of works."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mira_train.data.splits import Split
from mira_train.demo import Demo, cover_set
from mira_train.learner import Learner, trained_network
from mira_train.losses import LOSSES
from mira_train.metrics import ranking
from mira_train.mining import distances
from mira_train.patches import Batch, DataModule, Target
from mira_train.recipe import Recipe
from mira_train.sets import Recording, divide
from mira_train.shipment import Shipment, shipment
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader

DEFAULT = "book-cover1000-crema-move-corrected"
DEMO = Demo(cover_set)


class Performances(DataModule):
    """Batches that hold several performances of each work; the target is the number of the work."""

    def __init__(self, recipe: Recipe, sets: Sequence[str], *, workers: int = 0) -> None:
        super().__init__(recipe, sets, Target(self._number, in_time=False), workers=workers)
        self._numbers = {work: i for i, work in enumerate(sorted({self._work(r) for r in self.recordings}))}

    def _work(self, recording: Recording) -> str:
        return f"{recording.dataset.name}/{recording.entry[self.recipe.data.target][0].value}"

    def _number(self, recording: Recording, frames: int, hop_s: float) -> NDArray[Any]:
        return np.array(self._numbers[self._work(recording)])

    def _divide(self) -> Split:
        return divide(self.recordings, self.recipe.data.split, self._work)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Works in random order, each with ``group`` of its performances."""
        data = self.patches("train")
        works: dict[str, list[int]] = defaultdict(list)
        for i, item in enumerate(data.items):
            works[self._work(item)].append(i)
        order = partial(draw_works, list(works.values()), self.recipe.data.group)
        return self.loader(data, order, even=True, block=self.recipe.data.group)


def draw_works(works: Sequence[Sequence[int]], group: int, rng: Generator) -> list[int]:
    """Order of an epoch: a work of many performances comes up to four times, one of a single never.

    Works of 2 to 5 performances come once, of 6 to 9 twice, of 10 to 13 three times. Where a work has fewer
    than ``group`` performances some come twice; the mining never pairs a performance with itself.
    """
    turns = [members for members in works if len(members) > 1 for _ in range(min((len(members) + 2) // 4, 4))]
    order: list[int] = []
    for turn in rng.permutation(len(turns)):
        members = rng.permutation(turns[turn])
        order += np.resize(members, group).tolist()
    return order


class CoverLearner(Learner):
    """A triplet loss; validation looks at all performances at once, so nothing in it is left to chance."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe, trained_network(recipe))
        self._seen: list[tuple[Tensor, Tensor]] = []

    def training_step(self, batch: Mapping[str, Tensor], index: int) -> Tensor:
        """Loss of a batch."""
        embedding = self(batch["x"], batch["share"])
        loss = self.loss(embedding, batch["y"], performance=batch["item"])
        self.log_training(loss, len(embedding))
        return loss

    def validation_step(self, batch: Mapping[str, Tensor], index: int) -> None:
        """Gather embeddings."""
        self._seen.append((self(batch["x"], batch["share"]).float().cpu(), batch["y"].cpu()))

    def on_validation_epoch_end(self) -> None:
        """Log the loss of fixed triplets, and how well performances find each other."""
        seen = [pair for mine in self.everyone(self._seen) for pair in mine]
        self._seen = []
        embedding, work = torch.cat([e for e, _ in seen]), torch.cat([w for _, w in seen])
        told = self.recipe.training.loss
        fixed = torch.Generator().manual_seed(self.recipe.training.seed)
        loss = LOSSES["triplet"](embedding, work, generator=fixed, **told.options)
        found = ranking(distances(embedding).double().numpy(), work.tolist()).means()
        self.log_dict({"valid_loss": float(loss), **{f"valid_{k}": found[k] for k in ("map", "mr1", "p@1")}})


def data_module(recipe: Recipe, sets: Sequence[str], *, workers: int = 0) -> DataModule:
    """Performances by works."""
    return Performances(recipe, sets, workers=workers)


def lightning_module(recipe: Recipe, encoder: Path | None = None) -> Learner:
    """Triplets."""
    return CoverLearner(recipe)


def shipped(recipe: Recipe, net: nn.Module) -> Shipment:
    """From stored pitch classes (batch, 12, frame) to an embedding."""
    return shipment(recipe, net)
