"""The transcription network: variable-Q front end, harmonic convolutions, dilated heads over time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from mira_train.frontends.vqt import VQT
from torch import Tensor, nn
from torch.nn import functional as F

N_PITCHES = 88
LOWEST_PITCH = 21
_MODEL_PITCHES = 96
_BINS = 3
"""Bins a semitone; the middle one is the tempered pitch."""
_SUBFRAMES = 2


@dataclass(frozen=True)
class NoteNetConfig:
    """Sizes of :class:`NoteNet`.

    Parameters
    ----------
    sample_rate, hop_length
        Hz and samples.
    stem, width
        Channels at three bins and at one bin a semitone.
    layers
        Harmonic layers, each followed by a residual block.
    neck
        Channels that a harmonic layer shifts.
    shifts
        Semitones by which a harmonic layer looks up and down.
    dilations
        Of the head's convolutions over time.
    """

    sample_rate: int = 16000
    hop_length: int = 512
    stem: int = 8
    width: int = 24
    layers: int = 3
    neck: int = 8
    shifts: tuple[int, ...] = (12, 19, 24, 28, 31, 36, -12, -19, -24, -31)
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16)


class FrontEnd(nn.Module):
    """Waveform (batch, n) -> (batch, 3, 288, frame): long windows, and short windows twice a hop.

    Magnitudes are divided by the mean level of the surrounding two seconds, so that a quiet recording looks
    like a loud one, and compressed by ``log(1 + 30 x)``.
    """

    channels = 1 + _SUBFRAMES

    def __init__(self, sample_rate: int, hop_length: int) -> None:
        super().__init__()
        fmin = 27.5 * 2 ** (-1 / (12 * _BINS))
        bins = 12 * _BINS
        self.long = VQT(sample_rate, hop_length, fmin, bins, gamma_hz=58.0)
        self.short = VQT(sample_rate, hop_length // _SUBFRAMES, fmin, bins, filter_scale=0.3, gamma_hz=75.0)
        self.level_frames = 32

    def forward(self, waveform: Tensor) -> Tensor:
        long = self.long(waveform).unsqueeze(1)
        short = self.short(waveform)
        batch, bins, _ = short.shape
        short = short.reshape(batch, bins, -1, _SUBFRAMES).permute(0, 3, 1, 2)
        mean = long.mean(dim=2)
        level = F.avg_pool1d(
            mean, 2 * self.level_frames + 1, 1, self.level_frames, count_include_pad=False
        ).unsqueeze(2)
        return torch.log1p(30.0 * torch.cat([long, short], dim=1) / (level + 2e-5))


class ConvNorm(nn.Sequential):
    """Convolution without bias, batch norm and, unless told not to, ReLU."""

    def __init__(self, c_in: int, c_out: int, kernel: tuple[int, int], relu: bool = True, dilation: int = 1):
        pad = (kernel[0] // 2, kernel[1] // 2 * dilation)
        layers = [
            nn.Conv2d(c_in, c_out, kernel, padding=pad, dilation=(1, dilation), bias=False),
            nn.BatchNorm2d(c_out),
        ]
        super().__init__(*layers, *([nn.ReLU()] if relu else []))


class Residual(nn.Module):
    """Two convolutions around which the input is added."""

    def __init__(self, channels: int, kernel: tuple[int, int]) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ConvNorm(channels, channels, kernel), ConvNorm(channels, channels, kernel, relu=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.body(x))


class Harmonic(nn.Module):
    """Adds a 1x1 convolution over copies of a few channels, shifted along pitch to where partials lie.

    All copies are one gather of rows: cheaper than slices that are joined.
    """

    rows: Tensor

    def __init__(self, channels: int, neck: int, shifts: tuple[int, ...]) -> None:
        super().__init__()
        self.low, self.high = -min(shifts), max(shifts)
        rows = self.low + torch.tensor(shifts)[:, None] + torch.arange(_MODEL_PITCHES)
        self.register_buffer("rows", rows.flatten(), persistent=False)
        self.reduce = ConvNorm(channels, neck, (1, 1))
        self.mix = ConvNorm(neck * len(shifts), channels, (1, 1), relu=False)

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(self.reduce(x), (0, 0, self.low, self.high))
        copies = padded.index_select(2, self.rows)
        return F.relu(x + self.mix(copies.reshape(x.shape[0], -1, _MODEL_PITCHES, x.shape[3])))


class NoteNet(nn.Module):
    """Waveform (batch, n) -> onset, frame, offset, shift, velocity, each (batch, frame, 88); the first three
    logits.

    ``shift`` is the distance of a note's onset from the frame's centre in hops, -0.5 to 0.5; ``velocity`` is
    0 to 1. Harmonic layers follow Ou et al. 2026 (arXiv 2609.04640); batch norm and dilated heads instead of
    instance norm and LSTM make the result independent of the chunk and the network cheap.
    """

    outputs = ("onset", "frame", "offset", "shift", "velocity")

    def __init__(self, config: NoteNetConfig | None = None) -> None:
        super().__init__()
        config = config or NoteNetConfig()
        self.config = config
        self.front = FrontEnd(config.sample_rate, config.hop_length)
        self.stem = nn.Sequential(
            ConvNorm(self.front.channels, config.stem, (5, 5)),
            Residual(config.stem, (5, 3)),
            nn.Conv2d(config.stem, config.width, (5, 1), stride=(_BINS, 1), padding=(1, 0), bias=False),
            nn.BatchNorm2d(config.width),
            nn.ReLU(),
        )
        body: list[nn.Module] = []
        for _ in range(config.layers):
            body += [Harmonic(config.width, config.neck, config.shifts), Residual(config.width, (3, 3))]
        self.body = nn.Sequential(*body)
        self.head = nn.ModuleList(
            [ConvNorm(config.width, config.width, (1, 3), dilation=d, relu=False) for d in config.dilations]
        )
        self.out = nn.Conv2d(config.width, len(self.outputs), (1, 1))

    def forward(self, waveform: Tensor) -> tuple[Tensor, ...]:
        return self.activations(self.front(waveform))

    def activations(self, features: Tensor) -> tuple[Tensor, ...]:
        """From the front end's (batch, 3, 288, frame)."""
        x = self.body(self.stem(features))[:, :, :N_PITCHES]
        for layer in self.head:
            x = F.relu(x + layer(x))
        return tuple(self.out(x).transpose(2, 3).unbind(dim=1))

    @property
    def reach(self) -> int:
        """Samples on either side that a frame depends on."""
        frames = 2 + 2 + 2 * self.config.layers + sum(self.config.dilations)
        return self.front.long.reach + (frames + self.front.level_frames) * self.config.hop_length


def note_net(**sizes: Any) -> NoteNet:
    """Make the network of a recipe; ``sizes`` are the fields of :class:`NoteNetConfig`."""
    told: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in sizes.items()}
    return NoteNet(NoteNetConfig(**told))


class Deviation(nn.Module):
    """Where between the keys a sound lies: features (batch, 3, 288, frame) -> semitones (batch, frame, 88).

    The long windows' magnitudes at a pitch and its first partials are added up; of the three bins of a key
    the strongest is taken, and the peak of the parabola through it and its neighbours, in decibels. Values
    are -0.5 to 0.5; where a key does not sound they mean nothing.
    """

    partials = (1, 2, 3, 4)

    def forward(self, features: Tensor) -> Tensor:
        heard = torch.exp(features[:, 0]) - 1.0
        offsets = [round(12 * _BINS * math.log2(h)) for h in self.partials]
        rows = 1 + _BINS * N_PITCHES
        heard = F.pad(heard, (0, 0, 1, max(offsets) + rows - heard.shape[1]))
        level = torch.log(sum(heard[:, at : at + rows + 1] for at in offsets) + 1e-6)
        # row j of ``level`` is bin j - 1; the tempered pitch of key k is bin 3 k + 1
        bins = [level[:, j : j + _BINS * N_PITCHES : _BINS] for j in range(_BINS + 2)]
        best, place = bins[1], torch.zeros_like(bins[1])
        for j in range(1, _BINS + 1):
            left, here, right = bins[j - 1], bins[j], bins[j + 1]
            bend = (left - 2 * here + right).clamp(max=-1e-3)
            peak = j - 2 + (0.5 * (left - right) / bend).clamp(-0.5, 0.5)
            place = peak if j == 1 else torch.where(here > best, peak, place)
            best = torch.maximum(best, here)
        return (place / _BINS).transpose(1, 2)


class Shipped(nn.Module):
    """A :class:`NoteNet` as it is exported: probabilities instead of logits, and :class:`Deviation`."""

    def __init__(self, net: NoteNet) -> None:
        super().__init__()
        self.net, self.deviation = net, Deviation()

    def forward(self, waveform: Tensor) -> tuple[Tensor, ...]:
        features = self.net.front(waveform)
        onset, frame, offset, shift, velocity = self.net.activations(features)
        likely = (torch.sigmoid(logits) for logits in (onset, frame, offset))
        return *likely, shift, velocity, self.deviation(features)
