"""The cover network: from pitch classes to a vector that does not know the key.

In the spirit of MOVE (Yesiler, Serrà, Gómez, ICASSP 2020): the twelve rows are repeated to 23, so that a
kernel twelve high fits at twelve heights, one a transposition. Different from there: the kernels are not
learned but drawn, short progressions of chords and notes (random kernels serve time series well: Dempster
et al., ROCKET, 2020). How strongly each is there, in the mean and at most, is pooled over time for each
transposition apart; of a Fourier transform over the transpositions only the magnitudes are kept, which
forgets the key of the recording as a whole. What is learned is one linear layer.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

LENGTHS: Final = (4, 8, 16)
"""Frames of the kernels, 2 to 7 s."""
_SOUNDS: Final = ((0, 4, 7), (0, 3, 7), (0,), (0,), (0, 7), (0, 4), (0, 3))
_FAINT: Final = 0.1
"""Similarity that counts for nothing."""


class Bank(nn.Module):
    """Pitch classes (batch, 12, frame) -> what occurs in them, in whatever key (batch, feature).

    Parameters
    ----------
    each
        Kernels of each length.
    """

    def __init__(self, each: int = 64) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        for length in LENGTHS:
            kernels = np.stack([_progression(length, rng) for _ in range(each)])
            self.register_buffer(f"kernels_{length}", torch.from_numpy(kernels[:, None]))
        angle = 2 * np.pi * np.outer(np.arange(12), np.arange(7)) / 12
        self.register_buffer("cosine", torch.from_numpy(np.cos(angle).astype(np.float32)))
        self.register_buffer("sine", torch.from_numpy(np.sin(angle).astype(np.float32)))
        self.features = 2 * each * len(LENGTHS) * 7

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        rows = torch.cat([x, x[:, :11]], 1)[:, None]
        pooled = []
        for length in LENGTHS:
            found = F.relu(F.conv2d(rows, getattr(self, f"kernels_{length}")) / length**0.5 - _FAINT)
            pooled += [found.mean(3), found.amax(3)]
        strength = torch.cat(pooled, 1)
        turned = (strength @ self.cosine) ** 2 + (strength @ self.sine) ** 2
        return torch.sqrt(turned + 1e-8).flatten(1)


class CoverNet(nn.Module):
    """Pitch classes (batch, 12, frame) -> vectors of length 1 (batch, dimension)."""

    def __init__(self, each: int, dimension: int) -> None:
        super().__init__()
        self.bank = Bank(each)
        self.head = nn.Linear(self.bank.features, dimension)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return self.project(self.bank(x))

    def project(self, features: Tensor) -> Tensor:
        """(batch, feature) -> (batch, dimension)."""
        return F.normalize(self.head(features), dim=1)


def cover_net(each: int = 64, dimension: int = 256) -> CoverNet:
    """The network of a recipe."""
    return CoverNet(each, dimension)


def _progression(length: int, rng: np.random.Generator) -> np.ndarray:
    """Two to four chords, intervals or notes one after another, shape (12, length), mean 0 and norm 1."""
    kernel = np.zeros((12, length), np.float32)
    cuts = np.sort(rng.choice(np.arange(1, length), min(int(rng.integers(1, 4)), length - 1), replace=False))
    for start, stop in zip([0, *cuts], [*cuts, length]):
        tones = np.array(_SOUNDS[int(rng.integers(len(_SOUNDS)))]) + int(rng.integers(12))
        kernel[tones % 12, start:stop] = 1 / np.sqrt(len(tones))
    kernel -= kernel.mean()
    return kernel / np.linalg.norm(kernel)
