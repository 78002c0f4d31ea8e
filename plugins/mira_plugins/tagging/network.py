"""The tagging network: the embedding's encoder, a layer of tags a second, and their pooling over time."""

from __future__ import annotations

from dataclasses import dataclass, field
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
from mira_plugins.tagging.vocabulary import N_GENRES, TAGS


@dataclass(frozen=True)
class TagNetConfig:
    """Sizes of :class:`TagNet`.

    Parameters
    ----------
    encoder
        Of the encoder.
    dropout
        Before the tags.
    frozen
        Whether the encoder stays as it is, so that only the tags are learned: a linear probe.
    experts
        Networks of the same size that learn the genres alone and are asked beside the first.
    """

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    dropout: float = 0.4
    frozen: bool = False
    experts: int = 3


class Expert(nn.Module):
    """Relative levels (batch, 127, column) -> logits of the genres (batch, genre, step)."""

    def __init__(self, config: TagNetConfig) -> None:
        super().__init__()
        self.encoder = Encoder(config.encoder)
        self.dropout = nn.Dropout(config.dropout)
        self.genres = nn.Conv1d(config.encoder.dimension, N_GENRES, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.genres(self.dropout(self.encoder(x)))


class TagNet(nn.Module):
    """Decibels (batch, 127, column) -> logits (batch, tag, step), vectors (batch, dimension, step)."""

    def __init__(self, config: TagNetConfig | None = None) -> None:
        super().__init__()
        config = config or TagNetConfig()
        self.config = config
        self.encoder = Encoder(config.encoder).requires_grad_(not config.frozen)
        self.dropout = nn.Dropout(config.dropout)
        self.tags = nn.Conv1d(config.encoder.dimension, len(TAGS), 1)
        self.alpha = nn.Parameter(torch.ones(len(TAGS) - N_GENRES))
        self.experts = nn.ModuleList(Expert(config) for _ in range(config.experts))

    def train(self, mode: bool = True) -> TagNet:
        """Let all train; a frozen encoder, with its norms and dropout, stays as it is."""
        super().train(mode)
        if self.config.frozen:
            self.encoder.eval()
        return self

    def forward(self, level: Tensor) -> tuple[Tensor, Tensor]:
        logits, vectors, opinions = self.opinions(level)
        genres, others = logits.split([N_GENRES, len(TAGS) - N_GENRES], dim=1)
        return torch.cat([torch.stack([genres, *opinions]).mean(0), others], dim=1), vectors

    def opinions(self, level: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Logits and vectors as :meth:`forward`, but without the experts; and each expert's of the genres."""
        x = relative(level)
        vectors = self.encoder(x)
        return self.tags(self.dropout(vectors)), vectors, [expert(x) for expert in self.experts]

    def pooled(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (batch, tag, step) -> genres' logits and the other tags' probabilities of the whole.

        Genres average; the others are weighted by AutoPool, a softmax over time of ``alpha`` times the
        probability (McFee, Salamon and Bello, IEEE/ACM TASLP 2018).
        """
        genres, others = logits.split([N_GENRES, len(TAGS) - N_GENRES], dim=1)
        chances = others.sigmoid()
        weights = (self.alpha[:, None] * chances).softmax(-1)
        return genres.mean(-1), (weights * chances).sum(-1)


def tag_net(**sizes: Any) -> TagNet:
    """Make a recipe's network: sizes of :class:`EncoderConfig`, ``before_tags``, ``frozen``, ``experts``."""
    dropout, frozen = float(sizes.pop("before_tags", 0.4)), bool(sizes.pop("frozen", False))
    experts = int(sizes.pop("experts", 3))
    told: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in sizes.items()}
    return TagNet(TagNetConfig(EncoderConfig(**told), dropout, frozen, experts))


class Shipped(nn.Module):
    """From the waveform to logits, vectors and loudness a second, as exported."""

    hop_length, sample_rate = HOP, SAMPLE_RATE

    def __init__(self, net: TagNet) -> None:
        super().__init__()
        self.front, self.net = LogMel(), net

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        level = self.front(waveform)
        logits, vectors = self.net(level)
        return logits.transpose(1, 2), vectors.transpose(1, 2), loudness(level).unsqueeze(-1)
