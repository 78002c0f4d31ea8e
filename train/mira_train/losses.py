"""What networks are trained to make small; each works on logits and in float32, whatever the precision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from mira_train.data.targets import IGNORE
from mira_train.mining import Strategy, distances, mine


def bce(logits: Tensor, target: Tensor, *, positive_weight: float = 1.0) -> Tensor:
    """Binary cross entropy of independent labels, the sigmoid included.

    Parameters
    ----------
    logits, target
        One shape; targets 0 to 1.
    positive_weight
        How much more a present label counts than an absent one.
    """
    weight = torch.tensor(positive_weight, device=logits.device)
    return F.binary_cross_entropy_with_logits(logits.float(), target.float(), pos_weight=weight)


def cross_entropy(logits: Tensor, target: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """Cross entropy of exclusive classes, the softmax included; frames of class ``IGNORE`` do not count.

    Parameters
    ----------
    logits
        Shape (batch, class) or (batch, class, frame).
    target
        Shape (batch,) or (batch, frame), integers.
    label_smoothing
        Part of the probability that all classes share.
    """
    total = F.cross_entropy(
        logits.float(), target, ignore_index=IGNORE, reduction="sum", label_smoothing=label_smoothing
    )
    return total / (target != IGNORE).sum().clamp(min=1)


def triplet(
    embedding: Tensor,
    work: Tensor,
    *,
    performance: Tensor | None = None,
    margin: float = 1.0,
    mining: Strategy = "semi-hard",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Triplet loss over a batch (Schroff et al., CVPR 2015), a mean over the triplets that still hurt.

    Parameters
    ----------
    embedding
        Shape (item, dimension).
    work, performance
        Shape (item,), integers. Items of one performance are never a pair. Without ``performance`` every item
        is one of its own.
    margin
        By how much a negative must be farther than the positive.
    mining
        How triplets are chosen.
    generator
        For the random choices.
    """
    distance = distances(embedding)
    anchor, positive, negative = mine(distance, work, performance, mining, margin, generator)
    hurt = F.relu(distance[anchor, positive] - distance[anchor, negative] + margin)
    return hurt.sum() / (hurt > 0).sum().clamp(min=1)


def nt_xent(first: Tensor, second: Tensor, *, temperature: float = 0.5) -> Tensor:
    """Normalised temperature-scaled cross entropy (Chen et al., SimCLR, ICML 2020).

    Parameters
    ----------
    first, second
        Shape (item, dimension): two views of each item.
    temperature
        Divides the cosine similarity.
    """
    views = F.normalize(torch.cat([first, second]).float(), dim=1)
    count = len(first)
    with torch.autocast(views.device.type, enabled=False):
        similarity = views @ views.T / temperature
    itself = torch.eye(2 * count, dtype=torch.bool, device=views.device)
    # cross entropy subtracts the row's maximum before exponentials, so small temperatures stay finite
    target = torch.arange(2 * count, device=views.device).roll(count)
    return F.cross_entropy(similarity.masked_fill(itself, float("-inf")), target)


LOSSES: Final[Mapping[str, Callable[..., Tensor]]] = {
    "bce": bce,
    "cross_entropy": cross_entropy,
    "triplet": triplet,
    "nt_xent": nt_xent,
}
"""Losses by the names that recipes use; keyword-only arguments are their options."""
