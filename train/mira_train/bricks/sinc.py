"""Learned band-pass filters (Ravanelli and Bengio, SLT 2018)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MINIMUM_HZ = 50.0


class SincConv1d(nn.Module):
    """A bank of band-pass filters of which only the two corner frequencies are learned.

    Low corner ``50 + |a|``, high corner ``low + 50 + |b|``, at most half the sample rate. ``low`` and
    the widths are mel-spaced at first.

    Parameters
    ----------
    filters
        Number of filters.
    kernel_size
        Taps, an odd number.
    sample_rate
        In Hz.
    stride
        Hop in samples.
    highest_hz
        Upper end of the mel scale at first. None: 100 Hz below half the rate, with which the highest band
        touches half the rate from the start.

    Raises
    ------
    ValueError
        For an even ``kernel_size``, which has no centre.
    """

    time: Tensor
    window: Tensor

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        sample_rate: int,
        stride: int = 1,
        highest_hz: float | None = None,
    ) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"SincConv1d needs an odd kernel_size, not {kernel_size}")
        self.kernel_size, self.sample_rate, self.stride = kernel_size, sample_rate, stride
        top = _hz_to_mel(highest_hz or sample_rate / 2 - 100)
        edges = _mel_to_hz(torch.linspace(_hz_to_mel(30.0), top, filters + 1))
        self.low = nn.Parameter(edges[:-1, None].clone())
        self.band = nn.Parameter(edges.diff()[:, None])
        # buffers, so that they are saved and follow .to()
        half = torch.arange(1, kernel_size // 2 + 1, dtype=torch.float32)
        self.register_buffer("time", half / sample_rate)
        self.register_buffer(
            "window", torch.hamming_window(kernel_size, periodic=False)[kernel_size // 2 + 1 :]
        )

    def corners(self) -> tuple[Tensor, Tensor]:
        """Low and high corner of each filter in Hz, shape (filter, 1) each."""
        low = MINIMUM_HZ + self.low.abs()
        high = (low + MINIMUM_HZ + self.band.abs()).clamp(max=self.sample_rate / 2)
        return low, high

    def kernels(self) -> Tensor:
        """Impulse responses, shape (filter, 1, tap)."""
        low, high = self.corners()
        turn = 2 * torch.pi * self.time
        right = (torch.sin(high * turn) - torch.sin(low * turn)) / (turn / 2) * self.window
        centre = 2 * (high - low)
        whole = torch.cat([right.flip(1), centre, right], 1)
        return (whole / centre)[:, None]

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 1, sample) -> (batch, filter, frame)."""
        return F.conv1d(x, self.kernels(), stride=self.stride)


def _hz_to_mel(hz: float) -> float:
    return 2595 * float(torch.log10(torch.tensor(1 + hz / 700)))


def _mel_to_hz(mel: Tensor) -> Tensor:
    return 700 * (10 ** (mel / 2595) - 1)
