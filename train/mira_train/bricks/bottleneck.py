"""Bottlenecks between an encoder and a decoder, on the channel axis of (batch, channel, ...).

Each returns the reconstruction in the input's shape and keeps the loss of its last call in ``penalty``, which
:func:`penalty` adds up for a whole network.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Bottleneck(nn.Module):
    """Base of all bottlenecks; ``penalty`` is the loss of the last call, a scalar."""

    penalty: Tensor | float = 0.0


def penalty(network: nn.Module) -> Tensor | float:
    """Sum of the penalties of all bottlenecks in ``network`` at its last call."""
    return sum(m.penalty for m in network.modules() if isinstance(m, Bottleneck))


class _AcrossChannels(nn.Linear):
    """A linear map of axis 1."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.movedim(1, -1)).movedim(-1, 1)


class AutoEncoder(Bottleneck):
    """Down to ``latent`` channels and back."""

    def __init__(self, in_channels: int, latent: int) -> None:
        super().__init__()
        self.encode = _AcrossChannels(in_channels, latent)
        self.decode = _AcrossChannels(latent, in_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, ...) -> the same shape."""
        return self.decode(self.encode(x))


class VAE(Bottleneck):
    """Down to a normal distribution in ``latent`` channels and back (Kingma and Welling, ICLR 2014).

    Draws while training, takes the mean otherwise. The penalty is the divergence from N(0, 1), a mean over
    positions of the sum over channels.
    """

    def __init__(self, in_channels: int, latent: int) -> None:
        super().__init__()
        self.encode = _AcrossChannels(in_channels, 2 * latent)
        self.decode = _AcrossChannels(latent, in_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, ...) -> the same shape."""
        mean, log_variance = self.encode(x).chunk(2, 1)
        self.penalty = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean()
        noise = torch.randn_like(mean) if self.training else torch.zeros_like(mean)
        return self.decode(mean + noise * (0.5 * log_variance).exp())


class VQ(Bottleneck):
    """Each position replaced by the nearest of ``codes`` vectors (van den Oord et al., VQ-VAE, 2017).

    Gradients pass straight through. The penalty draws codes to inputs and, by ``commitment``, inputs to
    codes.
    """

    def __init__(self, in_channels: int, codes: int, commitment: float = 0.25) -> None:
        super().__init__()
        self.commitment = commitment
        self.codebook = nn.Parameter(torch.randn(codes, in_channels) / in_channels**0.5)

    def indices(self, x: Tensor) -> Tensor:
        """(batch, in_channels, ...) -> index of the nearest code, (batch, ...)."""
        # |x - c|^2 without |x|^2, which is the same for all codes
        distance = (self.codebook**2).sum(1) - 2 * x.movedim(1, -1) @ self.codebook.T
        return distance.argmin(-1)

    def lookup(self, indices: Tensor) -> Tensor:
        """(batch, ...) -> (batch, in_channels, ...)."""
        return self.codebook[indices].movedim(-1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, ...) -> the same shape."""
        code = self.lookup(self.indices(x))
        self.penalty = F.mse_loss(code, x.detach()) + self.commitment * F.mse_loss(x, code.detach())
        return x + (code - x).detach()


class RVQ(Bottleneck):
    """``stages`` of :class:`VQ`, each quantising what the ones before left over (Zeghidour et al., 2021)."""

    def __init__(self, in_channels: int, codes: int, stages: int, commitment: float = 0.25) -> None:
        super().__init__()
        self.stages = nn.ModuleList(VQ(in_channels, codes, commitment) for _ in range(stages))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, ...) -> the same shape."""
        rest, total = x, torch.zeros_like(x)
        for stage in self.stages:
            part = stage(rest)
            total, rest = total + part, rest - part.detach()
        return total
