"""How cover networks are trained: CoverNet on made versions, the book's rows on performances of works."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
from mira.card import Output
from mira_train.data.splits import Split
from mira_train.demo import Demo, cover_set
from mira_train.learner import AveragedLearner, Learner, trained_network
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

from mira_plugins.cover.examples import VersionData
from mira_plugins.cover.fingerprint import SHORTEST
from mira_plugins.cover.network import CoverNet

DEFAULT = "covernet"
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


class Validation:
    """Looks at all performances at once, so nothing in it is left to chance."""

    def __init__(self) -> None:
        self._seen: list[tuple[Tensor, Tensor]] = []

    def see(self, embedding: Tensor, work: Tensor) -> None:
        """Gather a batch."""
        self._seen.append((embedding.float().cpu(), work.cpu()))

    def measure(self, learner: Learner) -> None:
        """Log the loss of fixed triplets, and how well performances find each other."""
        seen = [pair for mine in learner.everyone(self._seen) for pair in mine]
        self._seen = []
        embedding, work = torch.cat([e for e, _ in seen]), torch.cat([w for _, w in seen])
        told = learner.recipe.training
        options = dict(told.loss.options) if told.loss.type == "triplet" else {}
        fixed = torch.Generator().manual_seed(told.seed)
        loss = LOSSES["triplet"](embedding, work, generator=fixed, **options)
        found = ranking(distances(embedding).double().numpy(), work.tolist()).means()
        scores = {f"valid_{k}": found[k] for k in ("map", "mr1", "p@1")}
        learner.log_dict({"valid_loss": float(loss), **scores})


class CoverLearner(Learner):
    """The book's rows: a triplet loss."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe, trained_network(recipe))
        self._validation = Validation()

    def training_step(self, batch: Mapping[str, Tensor], index: int) -> Tensor:
        """Loss of a batch."""
        embedding = self(batch["x"], batch["share"])
        loss = self.loss(embedding, batch["y"], performance=batch["item"])
        self.log_training(loss, len(embedding))
        return loss

    def validation_step(self, batch: Mapping[str, Tensor], index: int) -> None:
        """Gather embeddings."""
        self._validation.see(self(batch["x"], batch["share"]), batch["y"])

    def on_validation_epoch_end(self) -> None:
        """Log loss and ranking."""
        self._validation.measure(self)


class VersionLearner(AveragedLearner):
    """CoverNet's linear layer, under a one-cycle schedule; the average of its weights is what is kept.

    The loss is ``nt_xent`` over pairs of versions, or ``triplet``.
    """

    rising = 0.1

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe, trained_network(recipe))
        self._validation = Validation()

    def forward(self, x: Tensor, share: Tensor | None = None) -> Tensor:
        """Features of the bank -> vectors of length 1."""
        return self.net.project(x)

    def training_step(self, batch: Mapping[str, Tensor], index: int) -> Tensor:
        """Loss of a batch."""
        embedding = self(batch["x"])
        if self.recipe.training.loss.type == "nt_xent":
            loss = self.loss(embedding[0::2], embedding[1::2])
        else:
            # distances are divided by the dimension, which suits vectors of that length
            scaled = embedding * embedding.shape[1] ** 0.5
            loss = self.loss(scaled, batch["y"], performance=batch["item"])
        self.log_training(loss, len(embedding))
        return loss

    def validation_step(self, batch: Mapping[str, Tensor], index: int) -> None:
        """Gather embeddings."""
        self._validation.see(self(batch["x"]), batch["y"])

    def on_validation_epoch_end(self) -> None:
        """Log loss and ranking."""
        self._validation.measure(self)


class Shipped(nn.Module):
    """CoverNet with its output as a tuple."""

    def __init__(self, net: CoverNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, features: Tensor) -> tuple[Tensor]:
        """(batch, 12, frame) -> (batch, dimension)."""
        return (self.net(features),)


def data_module(recipe: Recipe, sets: Sequence[str], *, workers: int = 0) -> lightning.LightningDataModule:
    """Made versions for CoverNet; performances by works for the book's rows."""
    kind = VersionData if recipe.network.code else Performances
    return kind(recipe, sets, workers=workers)


def lightning_module(recipe: Recipe, encoder: Path | None = None) -> Learner:
    """CoverNet, or the book's triplets."""
    return VersionLearner(recipe) if recipe.network.code else CoverLearner(recipe)


def shipped(recipe: Recipe, net: nn.Module) -> Shipment:
    """From pitch classes (batch, 12, frame) to a vector."""
    if not isinstance(net, CoverNet):
        return shipment(recipe, net)
    vector = Output(recipe.export.outputs[0], ("dimension",))
    return Shipment(Shipped(net).eval(), 1, 1, (vector,), (SHORTEST, 130, 517), input="features", rows=12)
