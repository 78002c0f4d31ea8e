"""Short-time spectra as matrix products, so that both exporters and every runtime can run them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

_FACTOR, _BLOCK = 4, 64
"""Samples of which :class:`LowSpectrum` keeps one, and how many it makes at once."""


class Spectrum(nn.Module):
    """Magnitudes of the windowed Fourier transform, in two steps of small matrix products.

    Cooley and Tukey, Mathematics of Computation, 1965.

    Parameters
    ----------
    n_fft
        Window length in samples, a power of two.
    hop_length
        Samples between frames.
    """

    window: Tensor
    first: Tensor
    twiddle: Tensor
    second: Tensor

    def __init__(self, n_fft: int, hop_length: int) -> None:
        super().__init__()
        if n_fft & (n_fft - 1):
            raise ValueError(f"n_fft must be a power of two, not {n_fft}")
        self.n_fft, self.hop_length = n_fft, hop_length
        rows = 2 ** (n_fft.bit_length() // 2)
        columns = n_fft // rows
        self.rows, self.columns = rows, columns
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
        # sample n = columns * n1 + n2, bin k = k1 + rows * k2; the upper half of k2 mirrors the lower
        first = np.outer(np.arange(rows), np.arange(rows)) / rows
        twiddle = np.outer(np.arange(rows), np.arange(columns)) / n_fft
        second = np.outer(np.arange(columns), np.arange(columns // 2)) / columns
        self.register_buffer("window", torch.from_numpy(window.astype(np.float32)), persistent=False)
        for name, turns in (("first", first), ("twiddle", twiddle), ("second", second)):
            self.register_buffer(name, _circle(turns), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, sample) -> (batch, n_fft / 2, 1 + sample // hop); frame k is centred on sample k * hop."""
        frames = frame(x, self.n_fft, self.hop_length) * self.window
        frames = frames.reshape(x.shape[0], -1, self.rows, self.columns)
        real, imag = self.first[0] @ frames, self.first[1] @ frames
        cos, sin = self.twiddle.unbind(0)
        real, imag = real * cos - imag * sin, real * sin + imag * cos
        cos, sin = self.second.unbind(0)
        real, imag = real @ cos - imag @ sin, real @ sin + imag @ cos
        magnitude = torch.sqrt(real * real + imag * imag)
        return magnitude.permute(0, 3, 2, 1).reshape(x.shape[0], self.n_fft // 2, -1)


class LowSpectrum(nn.Module):
    """The lowest bins of :class:`Spectrum` at an eighth of its cost, and the energy of all bins.

    A low-pass filter lets every fourth sample stand for all; its fall is undone bin by bin. The energy above
    comes from the samples themselves (Parseval). Up to 0.09 of the sample rate the magnitudes are those of
    :class:`Spectrum` to 1e-4 of the largest, at the ends of a recording to 1e-2.

    Parameters
    ----------
    n_fft, hop_length
        As for :class:`Spectrum`; the hop must be a multiple of 4.
    """

    lowpass: Tensor
    scale: Tensor
    weights: Tensor

    def __init__(self, n_fft: int, hop_length: int, taps: int = 81) -> None:
        super().__init__()
        self.n_fft, self.hop_length, self._taps = n_fft, hop_length, taps
        self.decimated = Spectrum(n_fft // _FACTOR, hop_length // _FACTOR)
        place = np.arange(taps) - taps // 2
        lowpass = np.sinc(place / _FACTOR) / _FACTOR * np.kaiser(taps, 8.0)
        bins = np.arange(n_fft // _FACTOR // 2)
        response = np.cos(2 * np.pi * np.outer(bins, place) / n_fft) @ lowpass
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
        # the low-pass as a matrix: 512 samples give the 64 around their middle
        at = 4 * _BLOCK + _FACTOR * (np.arange(_BLOCK) - _BLOCK // 2)
        tap = np.arange(8 * _BLOCK)[:, None] - at + taps // 2
        constants = {
            "lowpass": np.where((tap >= 0) & (tap < taps), lowpass[np.clip(tap, 0, taps - 1)], 0.0),
            "scale": (_FACTOR / response)[None, :, None],
            "weights": (window**2).reshape(-1, hop_length),
        }
        for name, value in constants.items():
            self.register_buffer(name, torch.from_numpy(value.astype(np.float32)), persistent=False)

    @property
    def reach(self) -> int:
        """Samples to either side that a frame depends on."""
        return self.n_fft // 2 + self._taps // 2

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, sample) -> magnitudes (batch, n_fft / 8, frame), energies (batch, 1, frame)."""
        x = x[:, : x.shape[-1] // _FACTOR * _FACTOR]
        blocks = frame(F.pad(x, (0, _FACTOR * _BLOCK)), 8 * _BLOCK, _FACTOR * _BLOCK) @ self.lowpass
        low = blocks.flatten(1)[:, _BLOCK // 2 :][:, : x.shape[-1] // _FACTOR]
        magnitude = self.decimated(low) * self.scale
        return magnitude, self._energy(x)

    def _energy(self, x: Tensor) -> Tensor:
        """Sum of squared magnitudes of the bins below half the sample rate."""
        per_frame = self.n_fft // self.hop_length
        squares = F.pad(x, (self.n_fft // 2, self.n_fft // 2)) ** 2
        count = x.shape[-1] // self.hop_length + 1
        blocks = squares[:, : (count + per_frame - 1) * self.hop_length]
        parts = blocks.reshape(x.shape[0], -1, self.hop_length) @ self.weights.T
        shifted = [parts[:, i : i + count, i] for i in range(per_frame)]
        return torch.stack(shifted).sum(0)[:, None] * (self.n_fft / 2)


def frame(x: Tensor, length: int, hop_length: int) -> Tensor:
    """(batch, sample) -> (batch, frame, length): frame k is centred on sample k * hop, zeros outside."""
    count = (x.shape[-1] + length // 2 * 2 - length) // hop_length + 1
    per_frame = -(-length // hop_length)
    x = F.pad(x, (length // 2, length // 2 + per_frame * hop_length - length))
    blocks = x[:, : (count + per_frame - 1) * hop_length].reshape(x.shape[0], -1, hop_length)
    frames = torch.cat([blocks[:, i : i + count] for i in range(per_frame)], -1)
    return frames if length % hop_length == 0 else frames[..., :length]


def _circle(turns: NDArray[np.float64]) -> Tensor:
    """Cosine and negative sine of whole turns, stacked."""
    angle = -2 * np.pi * turns
    return torch.from_numpy(np.stack([np.cos(angle), np.sin(angle)]).astype(np.float32))


class LogMel(nn.Module):
    """Log-mel spectrogram: ``ln(1 + 10000 power)`` in Slaney's mel bands (Auditory Toolbox, 1998).

    Parameters
    ----------
    sample_rate
        In Hz.
    hop_length, n_fft
        In samples.
    n_mels
        Number of bands from 0 Hz to half the sample rate.
    """

    mel: Tensor
    channels = 1

    def __init__(
        self, sample_rate: int = 22050, hop_length: int = 1024, n_fft: int = 2048, n_mels: int = 128
    ) -> None:
        super().__init__()
        self.sample_rate, self.hop_length, self.n_bins = sample_rate, hop_length, n_mels
        self.spectrum = Spectrum(n_fft, hop_length)
        mel = torch.from_numpy(mel_bands(sample_rate, n_fft, n_mels).astype(np.float32))
        self.register_buffer("mel", mel, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, sample) -> (batch, 1, n_mels, 1 + sample // hop)."""
        power = self.spectrum(x) ** 2
        return torch.log1p(10000.0 * (self.mel @ power)).unsqueeze(1)


def mel_bands(sample_rate: int, n_fft: int, n_mels: int) -> NDArray[np.float64]:
    """Triangles of equal area, (n_mels, n_fft / 2): linear to 1 kHz, logarithmic above."""
    step, knee, ratio = 200 / 3, 15.0, np.log(6.4) / 27
    highest = knee + np.log(sample_rate / 2 / 1000) / ratio
    mels = np.linspace(0, highest, n_mels + 2)
    edges = np.where(mels < knee, mels * step, 1000 * np.exp(ratio * (mels - knee)))
    hz = np.arange(n_fft // 2) * sample_rate / n_fft
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangle = np.minimum((hz - low) / (centre - low), (high - hz) / (high - centre))
    return np.maximum(0, triangle) * 2 / (high - low)
