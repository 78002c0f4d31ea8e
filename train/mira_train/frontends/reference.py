"""The same features as nnAudio computes them (Cheuk et al., IEEE Access 2020), to compare with ours."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mira_train.frontends.cqt import C1_HZ


class NNAudioCQT(nn.Module):
    """Constant-Q magnitudes by one full-rate convolution, scaled as librosa's.

    Parameters
    ----------
    sample_rate, hop_length, fmin_hz, bins_per_octave, octaves
        As for :class:`mira_train.frontends.cqt.CQT`.
    """

    channels = 1

    def __init__(
        self,
        sample_rate: int = 22050,
        hop_length: int = 512,
        fmin_hz: float = C1_HZ,
        bins_per_octave: int = 60,
        octaves: int = 6,
    ) -> None:
        from nnAudio.features import CQT1992v2

        super().__init__()
        self.sample_rate, self.hop_length, self.n_bins = sample_rate, hop_length, bins_per_octave * octaves
        self.transform = CQT1992v2(
            sample_rate,
            hop_length,
            fmin_hz,
            n_bins=self.n_bins,
            bins_per_octave=bins_per_octave,
            pad_mode="constant",
            verbose=False,
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, sample) -> (batch, 1, bin, 1 + sample // hop)."""
        return self.transform(x, normalization_type="librosa").unsqueeze(1)


class NNAudioLogMel(nn.Module):
    """Log-mel spectrogram: ``ln(1 + 10000 power)``.

    Parameters
    ----------
    sample_rate, hop_length, n_fft, n_mels
        As for :class:`mira_train.frontends.spectrum.LogMel`.
    """

    channels = 1

    def __init__(
        self, sample_rate: int = 22050, hop_length: int = 1024, n_fft: int = 2048, n_mels: int = 128
    ) -> None:
        from nnAudio.features import MelSpectrogram

        super().__init__()
        self.sample_rate, self.hop_length, self.n_bins = sample_rate, hop_length, n_mels
        self.transform = MelSpectrogram(
            sample_rate, n_fft, n_mels=n_mels, hop_length=hop_length, pad_mode="constant", verbose=False
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, sample) -> (batch, 1, n_mels, 1 + sample // hop)."""
        return torch.log1p(10000.0 * self.transform(x)).unsqueeze(1)
