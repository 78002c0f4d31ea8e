"""Blocks over sequences (batch, frame, channel): recurrent, attention; any number of frames."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class GRU(nn.Module):
    """Gated recurrent units; two directions of half the size each.

    Parameters
    ----------
    input_size
        Channels of the input.
    output_size
        Channels of the output, both directions together.
    layers
        Layers on top of one another.
    bidirectional
        Whether to read backwards too.
    keep
        ``all`` states, or only the ``last``.
    """

    kind: type[nn.GRU] | type[nn.LSTM] = nn.GRU

    def __init__(
        self,
        input_size: int,
        output_size: int,
        layers: int = 1,
        bidirectional: bool = True,
        keep: Literal["all", "last"] = "all",
    ) -> None:
        super().__init__()
        hidden = output_size // (2 if bidirectional else 1)
        self.cell = self.kind(input_size, hidden, layers, batch_first=True, bidirectional=bidirectional)
        self.keep = keep

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frame, input_size) -> (batch, frame, output_size), or (batch, output_size) for the last."""
        frames = x.shape[1]
        if x.is_meta:  # where shapes alone count, torch would still go through all frames one by one
            x = x[:, :1]
        states, last = self.cell(x)
        if self.keep == "all":
            return states.expand(-1, frames, -1) if x.is_meta else states
        final = last[0] if isinstance(last, tuple) else last
        # last layer's state of each direction: the backward one ends at the first frame
        return torch.cat([final[-2], final[-1]], 1) if self.cell.bidirectional else final[-1]


class LSTM(GRU):
    """Long short-term memory; arguments as for :class:`GRU`."""

    kind = nn.LSTM


def rotate(x: Tensor) -> Tensor:
    """Turn pairs of channels by an angle that grows with the frame (Su et al., RoFormer, 2021).

    Parameters
    ----------
    x
        Shape (batch, head, frame, channel), an even number of channels.
    """
    half = x.shape[-1] // 2
    speed = 10000.0 ** (-torch.arange(half, device=x.device, dtype=torch.float32) / half)
    frame = torch.arange(x.shape[-2], device=x.device, dtype=torch.float32)
    angle = frame[:, None] * speed
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


class SelfAttention(nn.Module):
    """Multi-head attention of every frame to every frame, with rotary positions (Vaswani et al., 2017).

    Written by hand: ``nn.TransformerEncoderLayer`` freezes the length when exported.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(width, 3 * width)
        self.join = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frame, width) -> the same shape."""
        batch, frames, width = x.shape
        split = self.project(x).reshape(batch, frames, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(rotate(query), rotate(key), value)
        return self.join(seen.transpose(1, 2).reshape(batch, frames, width))


class _EncoderLayer(nn.Module):
    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = nn.Sequential(nn.LayerNorm(width), SelfAttention(width, heads), nn.Dropout(dropout))
        self.feed = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(x)
        return x + self.feed(x)


class TransformerEncoder(nn.Sequential):
    """Layers of self-attention and feed-forward, each normalised before and added to its input.

    Parameters
    ----------
    width
        Channels of input and output.
    heads
        Attention heads; ``width / heads`` must be even.
    layers
        Layers on top of one another.
    dropout
        After attention and feed-forward.
    """

    def __init__(self, width: int, heads: int, layers: int, dropout: float = 0.0) -> None:
        if width % (2 * heads):
            raise ValueError(f"width {width} does not divide into {heads} heads of an even size")
        super().__init__(*(_EncoderLayer(width, heads, dropout) for _ in range(layers)), nn.LayerNorm(width))
