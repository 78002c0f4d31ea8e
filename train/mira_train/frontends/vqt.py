"""Variable-Q transform as a cascade of convolutions, exportable to ONNX with a dynamic time axis.

The signal is decimated by four again and again; each octave is one strided convolution with complex Hann
kernels at the lowest rate that still carries it. So the lowest octaves cost as little as the highest
(Schörkhuber & Klapuri 2010; here in the time domain, with the bandwidth offset ``gamma_hz`` of Schörkhuber et
al. 2014).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

_DECIMATION = 4
_PASSED = 0.44
"""Highest frequency that decimation leaves as it is, as a share of the new sample rate."""
_BLOCK = 32
"""Output samples of the decimator computed by one column of its convolution."""


class Decimate(nn.Module):
    """Low-pass and keep every fourth sample; output ``m`` lies at input sample ``4 m``.

    The filter (Kaiser window, 70 dB) passes up to 0.44 and stops from 0.56 of the new sample rate. It is laid
    out as a convolution with 32 output channels, which runs as a matrix product.
    """

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        half = 76
        n = np.arange(-half, half + 1)
        taps = np.sinc(n / _DECIMATION) / _DECIMATION * np.kaiser(2 * half + 1, 6.76)
        taps /= taps.sum()
        width = _DECIMATION * (_BLOCK - 1) + len(taps)
        bank = np.zeros((_BLOCK, 1, width), np.float32)
        for i in range(_BLOCK):
            bank[i, 0, _DECIMATION * i : _DECIMATION * i + len(taps)] = taps
        self.half = half
        self.register_buffer("kernel", torch.from_numpy(bank), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 1, n) -> (batch, 1, 32 (n // 128)): whole blocks only."""
        right = self.kernel.shape[-1] - _DECIMATION * _BLOCK - self.half
        blocks = F.conv1d(F.pad(x, (self.half, right)), self.kernel, stride=_DECIMATION * _BLOCK)
        return blocks.transpose(1, 2).reshape(x.shape[0], 1, -1)


class VQT(nn.Module):
    """Magnitudes of a variable-Q transform; a sine of amplitude 1 gives 1 at its bin.

    Parameters
    ----------
    sample_rate, hop_length
        Hz and samples; the more often ``hop_length`` divides by four, the cheaper are low octaves.
    fmin_hz
        Centre of the lowest bin.
    bins_per_octave, octaves
        Resolution and range.
    filter_scale
        Window lengths relative to the full Q of ``bins_per_octave``.
    gamma_hz
        Added to every bin's frequency when its window length is chosen: ``Q sr / (f + gamma)``; 0 is
        constant Q.
    """

    def __init__(
        self,
        sample_rate: int,
        hop_length: int,
        fmin_hz: float,
        bins_per_octave: int = 36,
        octaves: int = 8,
        filter_scale: float = 1.0,
        gamma_hz: float = 0.0,
    ) -> None:
        super().__init__()
        self.sample_rate, self.hop_length = sample_rate, hop_length
        self.n_bins = bins_per_octave * octaves
        self.freqs_hz = fmin_hz * 2 ** (np.arange(self.n_bins) / bins_per_octave)
        quality = filter_scale / (2 ** (1 / bins_per_octave) - 1)
        self.window_s = quality / (self.freqs_hz + gamma_hz)
        self.decimate = Decimate()
        self.decimated: list[int] = []
        """How often the signal is decimated for each octave, from the lowest."""
        for octave in range(octaves):
            chosen = slice(octave * bins_per_octave, (octave + 1) * bins_per_octave)
            times = _decimations(sample_rate, hop_length, self.freqs_hz[chosen].max())
            kernel = _kernels(self.freqs_hz[chosen], self.window_s[chosen], sample_rate / _DECIMATION**times)
            self.register_buffer(f"kernel{octave}", torch.from_numpy(kernel), persistent=False)
            self.decimated.append(times)

    @property
    def reach(self) -> int:
        """Samples on either side of a frame's centre that its values depend on (rounded up)."""
        decimators = sum(80 * _DECIMATION**i for i in range(max(self.decimated)))
        return math.ceil(self.window_s.max() * self.sample_rate / 2) + decimators

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n) -> (batch, n_bins, n // hop); frame k is centred on sample k * hop."""
        frames = x.shape[-1] // self.hop_length
        # Room for the last frames of every octave: decimators drop what does not fill a block.
        signals = [F.pad(x.unsqueeze(1), (0, _BLOCK * _DECIMATION ** (max(self.decimated) + 1)))]
        for _ in range(max(self.decimated)):
            signals.append(self.decimate(signals[-1]))
        parts = []
        for octave, times in enumerate(self.decimated):
            kernel = getattr(self, f"kernel{octave}")
            half = kernel.shape[-1] // 2
            padded = F.pad(signals[times], (half, half))
            out = F.conv1d(padded, kernel, stride=self.hop_length // _DECIMATION**times)[..., :frames]
            real, imag = out.chunk(2, dim=1)
            parts.append(torch.sqrt(real * real + imag * imag + 1e-16))
        return torch.cat(parts, dim=1)


def _decimations(sample_rate: int, hop_length: int, highest_hz: float) -> int:
    """How often a signal can be decimated: the hop stays whole, and the highest bin is passed."""
    times = 1
    while hop_length % (step := _DECIMATION**times) == 0 and highest_hz <= _PASSED * sample_rate / step:
        times += 1
    return times - 1


def _kernels(
    freqs_hz: NDArray[np.float64], window_s: NDArray[np.float64], rate: float
) -> NDArray[np.float32]:
    """Complex Hann kernels as (2 * bin, 1, length): cosines first, then sines; odd length, centred."""
    half = math.ceil(window_s.max() * rate / 2)
    t = np.arange(-half, half + 1) / rate
    rows = []
    for f, width in zip(freqs_hz, window_s, strict=True):
        window = np.where(np.abs(t) < width / 2, 0.5 + 0.5 * np.cos(2 * np.pi * t / width), 0.0)
        rows.append(2 * window / window.sum() * np.exp(-2j * np.pi * f * t))
    bank = np.array(rows)
    return np.concatenate([np.real(bank), np.imag(bank)])[:, None, :].astype(np.float32)
