"""Which triplets of a batch to learn from."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from mira.errors import UsageError
from torch import Tensor

Strategy = Literal["random", "semi-hard", "hard"]


def distances(embedding: Tensor) -> Tensor:
    """Squared Euclidean distance of all pairs, divided by the dimension; float32.

    Parameters
    ----------
    embedding
        Shape (item, dimension).

    Returns
    -------
    Tensor
        Shape (item, item), at least 1e-12.
    """
    e = embedding.float()
    with torch.autocast(e.device.type, enabled=False):
        square = (e * e).sum(1)
        raw = square[:, None] + square[None, :] - 2 * e @ e.T
    return raw.clamp(min=1e-12) / e.shape[1]


def mine(
    distance: Tensor,
    work: Tensor,
    performance: Tensor | None,
    strategy: Strategy,
    margin: float,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Choose at most one triplet an anchor.

    A positive is another performance of the anchor's work, a negative any item of another work. ``random``
    draws both. ``hard`` takes the farthest positive and the nearest negative (Hermans et al., 2017).
    ``semi-hard`` draws a positive and then a negative that is farther than it by less than the margin
    (Schroff et al., 2015). An anchor without a candidate is left out.

    Parameters
    ----------
    distance
        Shape (item, item), finite.
    work, performance
        Shape (item,), integers; without ``performance`` every item is one of its own.
    strategy, margin
        See above.
    generator
        For the random choices.

    Returns
    -------
    tuple of Tensor
        Anchors, positives, negatives: indices, of one shape (triplet,).
    """
    if strategy not in get_args(Strategy):
        raise UsageError(f"mining is '{strategy}', but must be one of {', '.join(get_args(Strategy))}")
    positives, negatives = _candidates(work, performance)
    distance = distance.detach()
    if strategy == "hard":
        positive = distance.masked_fill(~positives, float("-inf")).argmax(1)
        negative = distance.masked_fill(~negatives, float("inf")).argmin(1)
    else:
        positive = _draw(positives, generator)
        if strategy == "semi-hard":
            reach = distance.gather(1, positive[:, None])
            negatives = negatives & (distance > reach) & (distance < reach + margin)
        negative = _draw(negatives, generator)
    anchor = (positives.any(1) & negatives.any(1)).nonzero()[:, 0]
    return anchor, positive[anchor], negative[anchor]


def _candidates(work: Tensor, performance: Tensor | None) -> tuple[Tensor, Tensor]:
    """Masks (item, item) of allowed positives and negatives."""
    same = work[:, None] == work[None, :]
    own = torch.arange(len(work), device=work.device) if performance is None else performance
    return same & (own[:, None] != own[None, :]), ~same


def _draw(mask: Tensor, generator: torch.Generator | None) -> Tensor:
    """A random true column of each row; any where a row has none."""
    luck = torch.rand(mask.shape, generator=generator).to(mask.device)
    return luck.masked_fill(~mask, -1.0).argmax(1)
