"""Front ends whose filters are learned, and the bare waveform."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mira_train.bricks.conv import TCN as TemporalNet
from mira_train.bricks.sinc import SincConv1d


class Waveform(nn.Module):
    """The samples themselves. The one front end without a bin axis: (batch, sample) -> (batch, 1, sample)."""

    channels, n_bins, hop_length = 1, 0, 1

    def __init__(self, sample_rate: int = 22050) -> None:
        super().__init__()
        self.sample_rate = sample_rate

    def forward(self, x: Tensor) -> Tensor:
        """(batch, sample) -> (batch, 1, sample)."""
        return x.unsqueeze(1)


class SincNet(nn.Module):
    """Learned band-pass filters, rectified; see :class:`mira_train.bricks.sinc.SincConv1d`.

    Parameters
    ----------
    sample_rate, hop_length
        Hz and samples.
    filters, kernel_size
        Number of filters and their taps (odd).
    """

    channels = 1

    def __init__(
        self, sample_rate: int = 22050, hop_length: int = 64, filters: int = 80, kernel_size: int = 251
    ) -> None:
        super().__init__()
        self.sample_rate, self.hop_length, self.n_bins = sample_rate, hop_length, filters
        self.bank = SincConv1d(filters, kernel_size, sample_rate, hop_length)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, sample) -> (batch, 1, filter, frame); frame k is centred on sample k * hop."""
        return self.bank(_centred(x, self.bank.kernel_size)).abs().unsqueeze(1)


class LearnedConv1d(nn.Module):
    """A bank of free filters; arguments as for :class:`SincNet`."""

    channels = 1

    def __init__(
        self, sample_rate: int = 22050, hop_length: int = 64, filters: int = 80, kernel_size: int = 251
    ) -> None:
        super().__init__()
        self.sample_rate, self.hop_length, self.n_bins = sample_rate, hop_length, filters
        self.bank = nn.Conv1d(1, filters, kernel_size, hop_length)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, sample) -> (batch, 1, filter, frame); frame k is centred on sample k * hop."""
        return self.bank(_centred(x, self.bank.kernel_size[0])).unsqueeze(1)


class TCN(nn.Module):
    """Causal dilated convolutions over samples, then the mean of ``hop_length`` samples around each frame.

    Parameters
    ----------
    sample_rate, hop_length
        Hz and samples.
    channels_per_level, kernel_size
        See :class:`mira_train.bricks.conv.TCN`. The defaults see 1 + 2 * 4 * 1023 samples, 0.37 s.
    """

    channels = 1

    def __init__(
        self,
        sample_rate: int = 22050,
        hop_length: int = 64,
        channels_per_level: tuple[int, ...] = (4, 4, 8, 8, 16, 16, 32, 32, 32, 32),
        kernel_size: int = 5,
    ) -> None:
        super().__init__()
        self.sample_rate, self.hop_length, self.n_bins = sample_rate, hop_length, channels_per_level[-1]
        self.body = TemporalNet(1, tuple(channels_per_level), kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, sample) -> (batch, 1, channel, frame); frame k is centred on sample k * hop."""
        y = self.body(x.unsqueeze(1))
        half = self.hop_length // 2
        return F.avg_pool1d(F.pad(y, (half, self.hop_length - half)), self.hop_length).unsqueeze(1)


def _centred(x: Tensor, kernel_size: int) -> Tensor:
    """(batch, sample) -> (batch, 1, sample) with zeros around it: a kernel at k * hop is centred there."""
    return F.pad(x.unsqueeze(1), (kernel_size // 2, kernel_size // 2 + 1))


class StackedChroma(nn.Module):
    """Stored chroma twice on top of itself without the last row: 23 rows for 12.

    A kernel 12 rows high then fits at 12 heights, one for each transposition (Yesiler et al., ICASSP 2020).

    Parameters
    ----------
    mean_of
        Stored frames averaged into one; 8 makes frames of 11.6 ms the 93 ms ones that the network expects.
    """

    channels, n_bins = 1, 23

    def __init__(self, mean_of: int = 1) -> None:
        super().__init__()
        self.hop_length = mean_of

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 12, frame) -> (batch, 1, 23, frame // mean_of)."""
        if self.hop_length > 1:
            x = F.avg_pool1d(x, self.hop_length)
        return torch.cat([x, x[:, :11]], 1).unsqueeze(1)
