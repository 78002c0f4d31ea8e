"""Networks that ChordNet is compared with: other bodies, one softmax for all chords, less of the chroma.

None is shipped. The README says how each does on the same small budget; the recipes ``rival-*.yaml`` train
them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mira_plugins.chords.network import N_QUALITIES, ChordNet, chord_net

_SIZES: Final = (13, 12 * N_QUALITIES, 13, 12, 1)
"""Logits of root, quality, bass, pitch and change."""


class Rival(nn.Module):
    """Chroma (batch, frame, 24) -> the logits of :class:`ChordNet`, by layers that must learn each key alone.

    Parameters
    ----------
    body
        One of :data:`BODIES`.
    width
        Channels.
    dropout
        On the features before and after the body.
    """

    keyless = False
    parts = ChordNet.parts

    def __init__(self, body: str, width: int = 64, dropout: float = 0.25) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv1d(24, width, 5, padding=2), nn.BatchNorm1d(width), nn.ReLU(),
            nn.Conv1d(width, width, 5, padding=2), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout1d(dropout),
        )  # fmt: skip
        self.body = BODIES[body](width)
        self.heads = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, sum(_SIZES)))

    def forward(self, chroma: Tensor) -> tuple[Tensor, ...]:
        x = self.stem(torch.log1p(chroma).transpose(1, 2))
        root, quality, *others = self.heads(self.body(x.transpose(1, 2))).split(_SIZES, -1)
        return root, quality.unflatten(-1, (12, N_QUALITIES)), *others


class Recurrent(nn.Module):
    """An LSTM or GRU in both directions; (batch, frame, width) -> the same, as all bodies do."""

    def __init__(self, layer: type[nn.LSTM | nn.GRU], width: int) -> None:
        super().__init__()
        self.layer = layer(width, width // 2, num_layers=2, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0]


class Dilated(nn.Module):
    """Convolutions over time alone, as far as ChordNet's. (Bai, Kolter and Koltun, arXiv 1803.01271.)"""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv1d(width, width, 5, padding=2 * d, dilation=d), nn.BatchNorm1d(width))
            for d in (1, 2, 4, 8, 16, 32, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2)
        for layer in self.layers:
            x = F.relu(x + layer(x))
        return x.transpose(1, 2)


class Attention(nn.Module):
    """Every frame looks at every other, by heads. (Vaswani et al., NeurIPS 2017.)"""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.asked = nn.Linear(width, 3 * width)
        self.told = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.asked(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        likeness = (query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5).softmax(-1)
        return self.told((likeness @ value).transpose(1, 2).flatten(2))


class Transformer(nn.Module):
    """Three layers of attention and of a network for each frame; sines and cosines say which frame it is."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attention = nn.ModuleList(Attention(width) for _ in range(3))
        self.frame = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
            for _ in range(3)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(6))

    def forward(self, x: Tensor) -> Tensor:
        x = x + _waves(x.shape[1], x.shape[2]).to(x)
        for i, (attention, frame) in enumerate(zip(self.attention, self.frame)):
            x = x + attention(self.norms[2 * i](x))
            x = x + frame(self.norms[2 * i + 1](x))
        return x


def _waves(frames: int, width: int) -> Tensor:
    """Shape (frame, width): sines and cosines of periods from 6 to 60,000 frames."""
    turns = torch.arange(frames)[:, None] / 10000 ** (torch.arange(0, width, 2) / width)
    return torch.stack([turns.sin(), turns.cos()], dim=-1).flatten(1)


BODIES: Final[Mapping[str, Any]] = {
    "lstm": lambda width: Recurrent(nn.LSTM, width),
    "gru": lambda width: Recurrent(nn.GRU, width),
    "tcn": Dilated,
    "transformer": Transformer,
}


class OneSoftmax(ChordNet):
    """ChordNet with one softmax over all chords, and nothing else to learn.

    A softmax over root and quality together is one over roots, whose logits are the log-sums of their
    qualities', and one over the qualities of each root: so its loss is the sum of both.
    """

    parts: Mapping[str, float] = {**ChordNet.parts, "quality": 1.0, "bass": 0.0, "pitch": 0.0}

    def forward(self, chroma: Tensor) -> tuple[Tensor, ...]:
        root, quality, *others = super().forward(chroma)
        return torch.cat([quality.logsumexp(-1), root[..., 12:]], dim=-1), quality, *others


class TrebleAlone(ChordNet):
    """ChordNet without the bass half of the chroma."""

    def forward(self, chroma: Tensor) -> tuple[Tensor, ...]:
        return super().forward(F.pad(chroma[..., 12:], (12, 0)))


class OneChroma(ChordNet):
    """ChordNet on one chroma: bass and treble added up."""

    def forward(self, chroma: Tensor) -> tuple[Tensor, ...]:
        return super().forward(F.pad(chroma[..., :12] + chroma[..., 12:], (12, 0)))


_VARIANTS: Final[Mapping[str, type[ChordNet]]] = {
    "one-softmax": OneSoftmax,
    "treble": TrebleAlone,
    "one-chroma": OneChroma,
}


def variant(name: str, **sizes: Any) -> ChordNet:
    """Make a variant of ChordNet of those sizes."""
    return _VARIANTS[name](chord_net(**sizes).config)
