"""How tagging networks are trained: TagNet on all tags at once, the book's rows on a genre or on tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytorch_lightning as lightning
import torch
from mira.card import Output
from mira_train.demo import Demo, genre_set
from mira_train.learner import AveragedLearner, Learner, trained_network
from mira_train.recipe import Recipe
from mira_train.runs import load_weights
from mira_train.shipment import Shipment
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional as F

from mira_plugins.ssl_embed.encoder import HOP, SAMPLE_RATE
from mira_plugins.ssl_embed.network import EmbedNet
from mira_plugins.tagging import book
from mira_plugins.tagging.examples import TagData
from mira_plugins.tagging.network import Shipped, TagNet
from mira_plugins.tagging.vocabulary import INDEX, MUSIC, N_GENRES, TAGS, VOICE

DEFAULT = "tagnet"
DEMO = Demo(genre_set)

_OTHERS = 10.0
"""Weight of the mean loss of a tag other than genre, against that of the genre."""
_SMOOTHING = 0.05

Batch = Mapping[str, Tensor]


def data_module(recipe: Recipe, sets: Sequence[str], *, workers: int = 0) -> lightning.LightningDataModule:
    """Log-mels for TagNet; patches for the book's rows."""
    if recipe.network.code:
        return TagData(recipe, sets, workers=workers)
    return book.data_module(recipe, sets, workers=workers)


def lightning_module(recipe: Recipe, encoder: Path | None = None) -> Learner:
    """TagNet with its own loss, or a book's row with that of its recipe.

    TagNet can start with the encoder of an embedding: ``encoder`` is a run of ``ssl_embed``.
    """
    if not recipe.network.code:
        return book.lightning_module(recipe)
    learner = TagLearner(recipe)
    if encoder is not None:
        assert isinstance(learner.net, TagNet)
        embedding = EmbedNet(learner.net.encoder.config)
        load_weights(encoder, embedding, None)
        learner.net.encoder.load_state_dict(embedding.encoder.state_dict())
    return learner


def shipped(recipe: Recipe, net: nn.Module) -> Shipment:
    """TagNet's logits, vectors and loudness, or the book's probabilities."""
    if not isinstance(net, TagNet):
        return book.shipped(recipe, net)
    return Shipment(
        Shipped(net).eval(),
        SAMPLE_RATE,
        HOP,
        (
            Output("tags", ("frame", "tag"), "logit"),
            Output("embedding", ("frame", "dimension")),
            Output("loudness", ("frame", "decibel"), "dB"),
        ),
        tuple(HOP * steps for steps in (5, 12, 31)),
        net.encoder.reach,
        labels={"tags": list(TAGS)},
        defaults={"alpha": [round(a, 4) for a in net.alpha.tolist()]},
    )


class TagLearner(AveragedLearner):
    """TagNet under a one-cycle schedule; the average of its weights is what is validated and kept."""

    rising = 0.15

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe, trained_network(recipe))
        self._heard: list[list[NDArray[np.float32]]] = []

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Loss of a batch; every expert learns the genres for itself."""
        logits, _, opinions = self.net.opinions(batch["level"])
        genres, others = self.net.pooled(logits)
        loss = tag_loss(genres, others, batch)
        loss = loss + sum(genre_loss(opinion.mean(-1), batch) for opinion in opinions)
        self.log_training(loss, len(batch["level"]))
        return loss

    def validation_step(self, batch: Batch, index: int) -> None:
        """Gather losses and what was heard."""
        genres, others = self.net.pooled(self.net(batch["level"])[0])
        self.keep_validation(tag_loss(genres, others, batch), len(batch["level"]))
        heard = torch.cat([genres.softmax(-1), others], 1)
        self._heard.append([part.cpu().numpy() for part in (heard, batch["target"], batch["known"])])

    def on_validation_epoch_end(self) -> None:
        """Log the scores of genre, voice, music and instruments, and their mean."""
        self.log_validation()
        heard, target, known = (np.concatenate(parts) for parts in zip(*self._heard, strict=True))
        self._heard = []
        scores = measure(heard, target, known)
        self.log_dict({f"valid_{name}": value for name, value in scores.items()})


def tag_loss(genres: Tensor, others: Tensor, batch: Batch) -> Tensor:
    """Cross entropy of the genre and of every other tag, each over the examples that know it."""
    target, weight = batch["target"][:, N_GENRES:], batch["known"][:, N_GENRES:]
    each = F.binary_cross_entropy(others.clamp(1e-6, 1 - 1e-6), target, reduction="none")
    return genre_loss(genres, batch) + _OTHERS * (each * weight).sum() / weight.sum().clamp(min=1)


def genre_loss(genres: Tensor, batch: Batch) -> Tensor:
    """Cross entropy of the genre, over the examples that know it."""
    known = batch["known"][:, 0]
    wanted = batch["target"][:, :N_GENRES] * (1 - _SMOOTHING) + _SMOOTHING / N_GENRES
    each = -(wanted * genres.log_softmax(-1)).sum(-1)
    return (each * known).sum() / known.sum().clamp(min=1)


def measure(
    heard: NDArray[np.float32], target: NDArray[np.float32], known: NDArray[np.float32]
) -> dict[str, float]:
    """Accuracy of genres; area under the curve of voice, of music, and its mean over the instruments."""
    scores = {}
    named = known[:, 0] > 0
    if named.any():
        right = heard[named, :N_GENRES].argmax(1) == target[named, :N_GENRES].argmax(1)
        scores["genre"] = float(right.mean())
    areas = {name: _area(heard, target, known, INDEX[name]) for name in TAGS[N_GENRES:]}
    scores |= {name: areas.pop(name) for name in (VOICE, MUSIC)}
    scores["instruments"] = float(np.nanmean([*areas.values(), np.nan][:-1] or [np.nan]))
    scores = {name: value for name, value in scores.items() if not np.isnan(value)}
    return scores | {"score": float(np.mean([v for k, v in scores.items() if k != MUSIC]))}


def _area(
    heard: NDArray[np.float32], target: NDArray[np.float32], known: NDArray[np.float32], tag: int
) -> float:
    """Area under the ROC curve of one tag; NaN where one side is missing."""
    sure = (known[:, tag] > 0) & ((target[:, tag] < 0.1) | (target[:, tag] > 0.99))
    truth = target[sure, tag] > 0.5
    return float(roc_auc_score(truth, heard[sure, tag])) if 0 < truth.sum() < len(truth) else float("nan")
