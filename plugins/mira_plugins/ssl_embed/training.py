"""How the embedding is trained, by two views of each recording that attract each other; and its probe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
from mira.card import Output
from mira.errors import DataError
from mira_train.augment import Chain
from mira_train.demo import Demo, genre_set
from mira_train.features import Features
from mira_train.learner import AveragedLearner, Learner, Supervised, trained_network
from mira_train.network import Network
from mira_train.patches import Batch, DataModule, Target, padded
from mira_train.recipe import Recipe, build_frontend, build_network, load
from mira_train.runs import load_weights
from mira_train.sets import Recording, recordings
from mira_train.shipment import Shipment, shipment
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from mira_plugins.ssl_embed.encoder import HOP, SAMPLE_RATE
from mira_plugins.ssl_embed.network import EmbedNet, variance_invariance_covariance
from mira_plugins.ssl_embed.network import Shipped as ShippedEncoder
from mira_plugins.ssl_embed.views import PairData
from mira_plugins.tagging.book import label_target, labels_of, measure_of

_RECIPES = Path(__file__).parent / "recipes"

DEFAULT = "melpairs"
DEMO = Demo(genre_set)


class Views(Dataset[Batch]):
    """Two crops of each recording, each changed at random: ``x`` (2, 1, sample).

    Parameters
    ----------
    items, features
        The recordings, and their samples.
    recipe
        Its patch, augmentations and seed count.
    """

    def __init__(self, items: Sequence[Recording], features: Features, recipe: Recipe) -> None:
        self.items, self._features = items, features
        self._patch, self._seed = recipe.data.patch, recipe.training.seed
        self._rate = int(build_frontend(recipe).sample_rate)
        self._chain = Chain(recipe.data.augment)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, draw: int) -> Batch:
        index = draw % len(self)
        rng = torch.Generator().manual_seed((self._seed << 32) + draw)
        return {"x": torch.stack([self._view(index, rng) for _ in range(2)])}

    def _view(self, index: int, rng: torch.Generator) -> Tensor:
        item = self.items[index]
        room = max(self._features.frames(item) - self._patch, 0)
        start = int(torch.randint(room + 1, (), generator=rng))
        samples = padded(self._features.read(item, start, start + self._patch), self._patch)
        return self._chain(torch.from_numpy(samples), self._rate, rng)


class Pairs(DataModule):
    """Recordings without labels, as pairs of views; a batch of the recipe counts views."""

    def __init__(self, recipe: Recipe, sets: Sequence[str], *, workers: int = 0) -> None:
        super().__init__(recipe, sets, Target(_nothing, in_time=False), workers=workers)

    def _find(self) -> list[Recording]:
        return recordings(self.sets)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Pairs in random order."""
        data = Views(self.part("train"), self.features, self.recipe)
        if len(data) < 2:
            raise DataError("split: contrastive learning needs two recordings to train on; add some")
        return self.loader(
            data, lambda rng: rng.permutation(len(data)).tolist(), even=True, batch=self._pairs
        )

    def val_dataloader(self) -> DataLoader[Batch]:
        """The same pairs each time."""
        data = Views(self.part("valid"), self.features, self.recipe)
        return self.loader(data, lambda rng: range(len(data)), even=False, batch=self._pairs)

    @property
    def _pairs(self) -> int:
        return max(self.recipe.training.batch_size // 2, 2)


def _nothing(recording: Recording, frames: int, hop_s: float) -> NDArray[Any]:
    return np.zeros(0, np.float32)


class Contrastive(Learner):
    """Each view must find its other half among all views of the batch."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe, trained_network(recipe))

    def training_step(self, batch: Mapping[str, Tensor], index: int) -> Tensor:
        """Loss of a batch."""
        loss = self._loss_of(batch["x"])
        self.log_training(loss, len(batch["x"]))
        return loss

    def validation_step(self, batch: Mapping[str, Tensor], index: int) -> None:
        """Gather losses."""
        self.keep_validation(self._loss_of(batch["x"]), len(batch["x"]))

    def on_validation_epoch_end(self) -> None:
        """Log the mean over all pairs."""
        self.log_validation()

    def _loss_of(self, pairs: Tensor) -> Tensor:
        views = self(pairs.flatten(0, 1)).unflatten(0, (-1, 2))
        return self.loss(views[:, 0], views[:, 1])


class Probe(nn.Module):
    """A small network on what a frozen one stores.

    Parameters
    ----------
    encoder, at
        The frozen network, and the name of its tensor.
    head
        What learns.
    """

    def __init__(self, encoder: Network, at: str, head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.head, self._at = encoder.requires_grad_(False).eval(), head, at

    def train(self, mode: bool = True) -> Probe:
        """Let the head train; the encoder, with its norms and dropout, stays as it is."""
        super().train(mode)
        self.encoder.eval()
        return self

    def forward(self, waveform: Tensor) -> Tensor:
        """(batch, 1, sample) -> logits."""
        return self.head(self.encoder.until(self._at, waveform))


class AveragedContrastive(AveragedLearner):
    """The same for the shipped encoder, whose loss and schedule are its own."""

    rising = 0.1

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe, trained_network(recipe))
        if recipe.data.target_form == "vicreg":
            self.loss = variance_invariance_covariance

    def training_step(self, batch: Mapping[str, Tensor], index: int) -> Tensor:
        """Loss of a batch."""
        loss = self._loss_of(batch["x"])
        self.log_training(loss, len(batch["x"]))
        return loss

    def validation_step(self, batch: Mapping[str, Tensor], index: int) -> None:
        """Gather losses."""
        self.keep_validation(self._loss_of(batch["x"]), len(batch["x"]))

    def on_validation_epoch_end(self) -> None:
        """Log the mean over all pairs."""
        self.log_validation()

    def _loss_of(self, pairs: Tensor) -> Tensor:
        views = self.net(pairs.flatten(0, 1)).unflatten(0, (-1, 2))
        return self.loss(views[:, 0], views[:, 1])


def data_module(recipe: Recipe, sets: Sequence[str], *, workers: int = 0) -> lightning.LightningDataModule:
    """Pairs of views, or clips with their tags for the probe."""
    if recipe.network.code:
        return PairData(recipe, sets, workers=workers)
    if recipe.network.encoder is None:
        return Pairs(recipe, sets, workers=workers)
    return DataModule(recipe, sets, label_target(recipe), workers=workers)


def lightning_module(recipe: Recipe, encoder: Path | None = None) -> Learner:
    """Contrastive learning, or the probe of an encoder that has been trained."""
    if recipe.network.code:
        return AveragedContrastive(recipe)
    told = recipe.network.encoder
    if told is None:
        return Contrastive(recipe)
    below = load(_RECIPES / f"{told.recipe}.yaml")
    network = build_network(below)
    assert isinstance(network, Network)
    if encoder is not None:
        load_weights(encoder, network, below.name)
    return Supervised(recipe, measure_of(recipe), net=Probe(network, told.at, build_network(recipe)))


def shipped(recipe: Recipe, net: nn.Module) -> Shipment:
    """The embedding, without the projection that only the loss sees; or the probe's tags."""
    if isinstance(net, EmbedNet):
        return Shipment(
            ShippedEncoder(net.encoder).eval(),
            SAMPLE_RATE,
            HOP,
            (Output("embedding", ("frame", "dimension")), Output("loudness", ("frame", "decibel"), "dB")),
            tuple(HOP * steps for steps in (5, 12, 31)),
            net.encoder.reach,
        )
    if recipe.network.encoder is None:
        return shipment(recipe, net, at="embedding")
    return shipment(recipe, net, labels_of(recipe))
