"""Constant-Q transform, its harmonic stack, and chroma, on the cascade of :mod:`mira_train.frontends.vqt`."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mira_train.frontends.vqt import VQT

C1_HZ = 32.7
"""The book's lowest bin."""


class HCQT(nn.Module):
    """Constant-Q magnitudes at harmonics of one pitch grid (Bittner et al., ISMIR 2017), scaled as librosa's.

    Parameters
    ----------
    sample_rate, hop_length
        Hz and samples.
    fmin_hz
        Lowest bin of the channel of harmonic 1.
    bins_per_octave, octaves
        Resolution and range.
    harmonics
        One channel each; its lowest bin is ``harmonic * fmin_hz``.
    log
        ``log(1 + 10 x)`` instead of the bare magnitudes.
    """

    scale: Tensor

    def __init__(
        self,
        sample_rate: int = 22050,
        hop_length: int = 512,
        fmin_hz: float = C1_HZ,
        bins_per_octave: int = 60,
        octaves: int = 6,
        harmonics: tuple[float, ...] = (0.5, 1, 2, 3, 4, 5),
        log: bool = False,
    ) -> None:
        super().__init__()
        self.sample_rate, self.hop_length, self.log = sample_rate, hop_length, log
        self.channels, self.n_bins = len(harmonics), bins_per_octave * octaves
        self.transforms = nn.ModuleList(
            VQT(sample_rate, hop_length, h * fmin_hz, bins_per_octave, octaves) for h in harmonics
        )
        # a sine of amplitude 1 gives 1 there and half the root of the window's length in librosa
        scale = [np.sqrt(t.window_s * sample_rate) / 2 for t in self.transforms]
        self.register_buffer(
            "scale", torch.tensor(np.array(scale)[None, :, :, None]).float(), persistent=False
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, sample) -> (batch, harmonic, bin, 1 + sample // hop); frame k is centred on k * hop."""
        x = F.pad(x, (0, self.hop_length))
        y = torch.stack([t(x) for t in self.transforms], 1) * self.scale
        return torch.log1p(10.0 * y) if self.log else y


class CQT(HCQT):
    """One channel of constant-Q magnitudes; arguments as for :class:`HCQT`."""

    def __init__(
        self,
        sample_rate: int = 22050,
        hop_length: int = 512,
        fmin_hz: float = C1_HZ,
        bins_per_octave: int = 60,
        octaves: int = 6,
        log: bool = False,
    ) -> None:
        super().__init__(sample_rate, hop_length, fmin_hz, bins_per_octave, octaves, (1.0,), log)


class Chroma(nn.Module):
    """Energy of the twelve pitch classes from C, each frame divided by its largest (Fujishima, ICMC 1999).

    Three constant-Q bins a semitone, the outer two at half weight, over all octaves.

    Parameters
    ----------
    sample_rate, hop_length
        Hz and samples.
    octaves
        From C1.
    """

    fold: Tensor
    channels, n_bins = 1, 12

    def __init__(self, sample_rate: int = 22050, hop_length: int = 512, octaves: int = 6) -> None:
        super().__init__()
        self.sample_rate, self.hop_length = sample_rate, hop_length
        self.cqt = CQT(sample_rate, hop_length, C1_HZ, 36, octaves)
        bins = np.arange(36 * octaves)
        fold = np.zeros((12, len(bins)), np.float32)
        for offset, weight in ((-1, 0.5), (0, 1.0), (1, 0.5)):
            fold[((bins + offset) // 3) % 12, bins] += weight * ((bins + offset) % 3 == 0)
        self.register_buffer("fold", torch.from_numpy(fold), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, sample) -> (batch, 1, 12, 1 + sample // hop)."""
        energy = self.fold @ self.cqt(x) ** 2
        return energy / energy.amax(2, keepdim=True).clamp(min=1e-8)
