"""Bricks that move axes about, normalise across them, or remember a tensor for later."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Permute(nn.Module):
    """Reorder the axes, batch included."""

    def __init__(self, dims: tuple[int, ...]) -> None:
        super().__init__()
        self.dims = tuple(dims)

    def forward(self, x: Tensor) -> Tensor:
        """Axis ``dims[i]`` becomes axis ``i``."""
        return x.permute(self.dims)


class Squeeze(nn.Module):
    """Drop one axis of length 1."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """(..., 1, ...) -> (..., ...)."""
        return x.squeeze(self.dim)


class Unsqueeze(nn.Module):
    """Insert an axis of length 1."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """(..., ...) -> (..., 1, ...)."""
        return x.unsqueeze(self.dim)


class Abs(nn.Module):
    """Absolute value."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return x.abs()


class L2Normalize(nn.Module):
    """Scale each vector along axis 1 to length 1."""

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channel, ...) -> the same shape."""
        return F.normalize(x, dim=1)


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each position: unlike one over frames it fits any length."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, ...) -> the same shape."""
        return self.norm(x.movedim(1, -1)).movedim(-1, 1)


class BatchNorm1dT(nn.BatchNorm1d):
    """Batch norm of the channels of (batch, frame, channel)."""

    def forward(self, input: Tensor) -> Tensor:
        """(batch, frame, channel) -> the same shape."""
        return super().forward(input.transpose(1, 2)).transpose(1, 2)


class StoreAs(nn.Module):
    """Remember the running tensor under a name."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, x: Tensor, stored: dict[str, Tensor]) -> Tensor:
        """Any shape, unchanged."""
        stored[self.name] = x
        return x


class CatWith(nn.Module):
    """Join the running tensor and a remembered one on the channels, cut to the remembered one's size."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, x: Tensor, stored: dict[str, Tensor]) -> Tensor:
        """(batch, a, ...) and (batch, b, ...) -> (batch, a + b, ...)."""
        skip = stored[self.name]
        for axis in range(2, x.dim()):
            x = x.narrow(axis, 0, skip.shape[axis])
        return torch.cat([x, skip], 1)
