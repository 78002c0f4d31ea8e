"""The cover network: from pitch classes to a vector that does not know the key.

In the spirit of MOVE (Yesiler, Serrà, Gómez, ICASSP 2020): the twelve rows are repeated to 23, a kernel twelve
high fits at twelve heights, one a transposition, and a maximum over them forgets the key. Different from there:
half of the channels keep the transpositions apart until they have been pooled over time, so that a recording
is moved as a whole and not anew in every frame; dilations see 27 s; the pooling knows which frames are padding.
"""

from __future__ import annotations

from typing import Final

import torch
from mira_train.bricks.pooling import AutoPoolWeightSplit
from torch import Tensor, nn
from torch.nn import functional as F

DILATIONS: Final = (1, 2, 4)


class CoverNet(nn.Module):
    """Pitch classes (batch, 12, frame) -> vectors of length 1 (batch, dimension).

    Parameters
    ----------
    channels
        Of all layers.
    dimension
        Of the vector.
    pooling
        ``auto`` (learned weights over time) or ``mean``.
    """

    def __init__(self, channels: int = 32, dimension: int = 128, pooling: str = "auto") -> None:
        super().__init__()
        self.dimension = dimension
        self.first = nn.Conv2d(1, channels, (12, 8), padding=(0, 4))
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(1 + len(DILATIONS)))
        self.layers = nn.ModuleList(
            nn.Conv2d(channels, channels, (1, 5), padding=(0, 2 * d), dilation=(1, d)) for d in DILATIONS
        )
        self.spread = nn.Conv2d(channels, 4 * channels, 1)
        self.pool = AutoPoolWeightSplit()
        self.pool.alpha.requires_grad_(pooling == "auto")  # which stays 0 else: the plain mean
        self.last = nn.Linear(2 * channels, dimension, bias=False)
        self.norm = nn.BatchNorm1d(dimension, affine=False)

    def forward(self, x: Tensor, share: Tensor | None = None) -> Tensor:
        """See the class; ``share`` of the frames of each item are music, the others padding."""
        rows = torch.cat([x, x[:, :11]], 1)[:, None]
        h = F.relu(self.norms[0](self.first(rows)))
        h = F.max_pool2d(h, (1, 2))
        for layer, norm in zip(self.layers, list(self.norms)[1:]):
            h = h + F.relu(norm(layer(h)))
        h = self.spread(h)
        a, b, c, d = h.chunk(4, 1)  # values of two kinds, and their weights
        soon = self.pool(torch.cat([a, c], 1).amax(2), share)
        late = self.pool(torch.cat([b, d], 1), share).amax(2)
        return F.normalize(self.norm(self.last(torch.cat([soon, late], 1))), dim=1)


def cover_net(channels: int = 32, dimension: int = 128, pooling: str = "auto") -> CoverNet:
    """The network of a recipe."""
    return CoverNet(channels, dimension, pooling)
