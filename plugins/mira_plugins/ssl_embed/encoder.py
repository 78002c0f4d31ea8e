"""From the waveform to one vector a second: a log-mel spectrogram that knows loud from faint, and a CNN."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from mira_train.frontends.spectrum import Spectrum, mel_bands
from torch import Tensor, nn
from torch.nn import functional as F

SAMPLE_RATE = 22050
N_FFT, FRAME_HOP = 2048, 914
"""Of the Fourier transform, in samples; two frames make a column."""
N_BANDS = 127
COLUMN_HOP = 2 * FRAME_HOP
COLUMNS = 12
"""Columns in a step; the encoder gives a vector a step."""
HOP = COLUMNS * COLUMN_HOP
_SILENT_POWER = 1e-10
FAINT_DB = -20.0
"""A sine of -60 dB below full scale. Nothing fainter is ever raised to the level of music."""
RANGE_DB = 60.0
_POOLS = ((2, 2), (2, 2), (2, 3), None, None)
"""Bands and columns that become one after each convolution; the first convolution also halves the bands."""
AROUND = 24
"""Columns to either side (2 s) over which the loudest band is looked for."""


class LogMel(nn.Module):
    """Waveform (batch, n) -> decibels (batch, 127, n / 1828): power in Slaney's bands, full scale 1.

    The form in which ``gtzan/`` is stored: 128 bands over 2048 samples of which the highest is left out, two
    frames averaged. Column ``j`` is centred on sample ``(j - 5.75) * 1828``, so that the 12 columns of a step
    lie around the step's place.
    """

    mel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.spectrum = Spectrum(N_FFT, FRAME_HOP)
        mel = torch.from_numpy(mel_bands(SAMPLE_RATE, N_FFT, N_BANDS + 1)[:-1].astype("float32"))
        self.register_buffer("mel", mel, persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        before = COLUMNS // 2 * COLUMN_HOP
        power = self.spectrum(F.pad(waveform, (before, 0)))[..., : -COLUMNS - 1] ** 2
        level = (self.mel @ power).clamp(min=_SILENT_POWER).log10() * 10
        batch, bands, _ = level.shape
        return level.reshape(batch, bands, -1, 2).mean(-1)


def relative(level: Tensor) -> Tensor:
    """Decibels (batch, band, column) -> 0 (60 dB below the loudest band within 2 s, or fainter) to 1.

    Where the loudest is below :data:`FAINT_DB`, that is what counts as loud: silence stays silent.
    """
    peak = level.amax(1, keepdim=True)
    loudest = F.max_pool1d(peak, 2 * AROUND + 1, 1, AROUND).clamp(min=FAINT_DB)
    return F.relu(1 + (level - loudest) / RANGE_DB)


def loudness(level: Tensor) -> Tensor:
    """Decibels of the loudest band in each step: (batch, band, column) -> (batch, step)."""
    return level.amax(1).unflatten(1, (-1, COLUMNS)).amax(2)


@dataclass(frozen=True)
class EncoderConfig:
    """Sizes of :class:`Encoder`.

    Parameters
    ----------
    widths
        Channels of the five convolutions.
    dimension
        Of the vectors.
    dropout
        On the vectors, and between the convolutions over time.
    """

    widths: tuple[int, ...] = (16, 32, 64, 96, 128)
    dimension: int = 160
    dropout: float = 0.2


class Encoder(nn.Module):
    """Relative levels (batch, 127, column) -> (batch, dimension, column / 12)."""

    def __init__(self, config: EncoderConfig | None = None) -> None:
        super().__init__()
        config = config or EncoderConfig()
        self.config = config
        blocks: list[nn.Module] = []
        before = 1
        for width, kernel, stride, pool in zip(config.widths, (5, 3, 3, 3, 3), (2, 1, 1, 1, 1), _POOLS):
            conv = nn.Conv2d(before, width, kernel, (stride, 1), kernel // 2, bias=False)
            blocks += [conv, nn.BatchNorm2d(width), nn.ReLU(), *([nn.MaxPool2d(pool)] if pool else [])]
            before = width
        self.blocks = nn.Sequential(*blocks).to(memory_format=torch.channels_last)  # faster on a CPU
        d = config.dimension
        self.across = nn.Sequential(nn.Conv2d(before, d, (8, 1), bias=False), nn.BatchNorm2d(d), nn.ReLU())
        self.in_time = nn.ModuleList(_InTime(d, config.dropout) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        y = self.across(self.blocks(x[:, None])).squeeze(2)
        for block in self.in_time:
            y = block(y)
        return y

    @property
    def reach(self) -> int:
        """Samples to either side that a vector depends on."""
        convolved = 2 + 2 + 4 + 12 + 12 + 12 * len(self.in_time)
        columns = AROUND + convolved + COLUMNS
        return columns * COLUMN_HOP + N_FFT


class _InTime(nn.Module):
    """Three steps together; the input is added."""

    def __init__(self, dimension: int, dropout: float) -> None:
        super().__init__()
        self.conv = nn.Conv1d(dimension, dimension, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm1d(dimension)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.norm(self.conv(self.dropout(x))))
