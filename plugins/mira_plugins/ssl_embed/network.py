"""The self-supervised network: encoder, and a projector that only the loss sees."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mira_plugins.ssl_embed.encoder import (
    HOP,
    SAMPLE_RATE,
    Encoder,
    EncoderConfig,
    LogMel,
    loudness,
    relative,
)


class EmbedNet(nn.Module):
    """Decibels (batch, 127, column) -> projections (batch, projected).

    Parameters
    ----------
    config
        Of the encoder.
    projected
        Dimension of what the loss compares.
    """

    def __init__(self, config: EncoderConfig | None = None, projected: int = 128) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        d = self.encoder.config.dimension
        self.projector = nn.Sequential(
            nn.Linear(d, 2 * d, bias=False), nn.BatchNorm1d(2 * d), nn.ReLU(), nn.Linear(2 * d, projected)
        )

    def forward(self, level: Tensor) -> Tensor:
        return self.projector(self.encoder(relative(level)).mean(-1))


def embed_net(**sizes: Any) -> EmbedNet:
    """Make the network of a recipe; ``sizes`` are the fields of the encoder's config, and ``projected``."""
    projected = int(sizes.pop("projected", 128))
    told: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in sizes.items()}
    return EmbedNet(EncoderConfig(**told), projected)


class Shipped(nn.Module):
    """From the waveform to vectors and loudness a second, as exported."""

    hop_length, sample_rate = HOP, SAMPLE_RATE

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.front, self.encoder = LogMel(), encoder

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        level = self.front(waveform)
        return self.encoder(relative(level)).transpose(1, 2), loudness(level).unsqueeze(-1)


def variance_invariance_covariance(
    first: Tensor,
    second: Tensor,
    *,
    variance: float = 25.0,
    invariance: float = 25.0,
    covariance: float = 1.0,
) -> Tensor:
    """VICReg (Bardes, Ponce and LeCun, ICLR 2022): views agree, dimensions vary and do not covary.

    Parameters
    ----------
    first, second
        Shape (item, dimension): two views of each item.
    variance, invariance, covariance
        Weights of the three terms.
    """
    loss = invariance * nn.functional.mse_loss(first, second)
    for views in (first, second):
        centred = views - views.mean(0)
        spread = torch.sqrt(centred.square().mean(0) + 1e-4)
        loss = loss + variance * torch.relu(1 - spread).mean() / 2
        shared = centred.T @ centred / max(len(views) - 1, 1)
        off = shared.square().sum() - shared.diagonal().square().sum()
        loss = loss + covariance * off / views.shape[1]
    return loss
