"""NNLS chroma (Mauch and Dixon, ISMIR 2010)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from mira_train.frontends.spectrum import LowSpectrum

N_NOTES = 84
"""Seven octaves from A0."""
_LOWEST = 20
"""MIDI number of the first bin of the log-frequency spectrum."""
_PER_SEMITONE = 3
_N_BINS = _PER_SEMITONE * (N_NOTES + 1) + 1
"""A third of a semitone each, from a semitone below A0 to a semitone above the highest note."""


class NNLSChroma(nn.Module):
    """Bass and treble chroma from the notes that best explain a spectrum; twelve bins each, from A.

    As Mauch's plug-in makes it with its defaults and a roll-on of 1 % (block 16384, step 2048 at 44.1 kHz):
    magnitudes are summed into thirds of semitones, shifted to the recording's tuning, whitened by the running
    mean and deviation along frequency, and explained by non-negative amounts of 84 notes whose harmonics fall
    by ``decay``. Only the solver differs: projected gradient steps with constant momentum, which can be
    exported, for the active-set method; they end at the same amounts.

    Tuning is a property of the whole recording: who feeds a recording in pieces calls :meth:`log_spectrum` on
    each, :meth:`tuning` once, and :meth:`chroma`.

    Parameters
    ----------
    sample_rate, hop_length, n_fft
        Hz and samples.
    rollon
        Share of a frame's energy, from the bottom, that is taken for rumble and removed.
    decay
        Amplitude of a harmonic relative to the one below it.
    steps
        Iterations of the solver; from 50 on nothing changes in the third decimal.
    """

    kernel: Tensor
    window: Tensor
    notes: Tensor
    gram: Tensor
    fold: Tensor
    channels, n_bins = 1, 24

    def __init__(
        self,
        sample_rate: int = 44100,
        hop_length: int = 2048,
        n_fft: int = 16384,
        rollon: float = 0.01,
        decay: float = 0.7,
        steps: int = 60,
    ) -> None:
        super().__init__()
        self.sample_rate, self.hop_length, self.rollon, self.steps = sample_rate, hop_length, rollon, steps
        self.spectrum = LowSpectrum(n_fft, hop_length)
        taps = np.hamming(6 * _PER_SEMITONE + 1)
        notes = note_spectra(decay)
        gram = notes @ notes.T
        constants = {
            "kernel": log_kernel(sample_rate, n_fft),
            "window": (taps / taps.sum())[None, None],
            "notes": notes,
            "gram": gram,
            "fold": chroma_fold(),
        }
        for name, value in constants.items():
            self.register_buffer(name, torch.from_numpy(value.astype(np.float32)), persistent=False)
        eigenvalues = np.linalg.eigvalsh(gram)
        root = np.sqrt(eigenvalues[0] / eigenvalues[-1])
        self.step_size, self.momentum = float(1 / eigenvalues[-1]), float((1 - root) / (1 + root))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, sample) -> (batch, 1, 24, 1 + sample // hop); frame k is centred on sample k * hop."""
        spectrum = self.log_spectrum(x)
        return self.chroma(spectrum, self.tuning(spectrum)).unsqueeze(1)

    def log_spectrum(self, x: Tensor) -> Tensor:
        """Magnitudes in thirds of semitones: (batch, sample) -> (batch, 256, frame)."""
        magnitude, energy = self.spectrum(x)
        below = F.pad((magnitude**2)[:, 2:].cumsum(1), (0, 0, 0, 2), value=float("inf"))
        rumble = below < self.rollon * energy
        silent = magnitude.amax(1, keepdim=True) < 2.0
        kept = magnitude.masked_fill(rumble | silent, 0.0)
        return self.kernel @ kept[:, : self.kernel.shape[1]]

    def tuning(self, spectrum: Tensor) -> Tensor:
        """Semitones by which A4 is off 440 Hz, -0.5 to 0.5: (batch, 256, frame) -> (batch,)."""
        return semitones_off(self.leaning(spectrum).sum(2))

    def leaning(self, spectrum: Tensor) -> Tensor:
        """Parts of the frames in the tuning, to be added up: (batch, 256, frame) -> (batch, 2, frame)."""
        below_treble = spectrum[:, : 54 * _PER_SEMITONE]
        thirds = below_treble.reshape(spectrum.shape[0], 54, _PER_SEMITONE, -1).sum(1)
        angle = torch.arange(_PER_SEMITONE, device=spectrum.device) * (2 * torch.pi / _PER_SEMITONE)
        return torch.stack([angle.sin(), angle.cos()]) @ thirds

    def chroma(self, spectrum: Tensor, tuning: Tensor) -> Tensor:
        """(batch, 256, frame), (batch,) -> (batch, 24, frame)."""
        return self.fold @ self.explain(self.whiten(shift(spectrum, _PER_SEMITONE * tuning)))

    def whiten(self, spectrum: Tensor) -> Tensor:
        """What stands out of the surrounding octave, in deviations: the same shape."""
        excess = spectrum - self._running_mean(spectrum)
        deviation = self._running_mean(excess**2).sqrt()
        return excess.clamp(min=0) / deviation.clamp(min=1e-10)

    def explain(self, spectrum: Tensor) -> Tensor:
        """Amounts of the 84 notes: (batch, 256, frame) -> (batch, 84, frame), none negative."""
        around = spectrum[:, 2 : 2 + N_NOTES * _PER_SEMITONE]
        present = around.reshape(around.shape[0], N_NOTES, _PER_SEMITONE, -1).amax(2) > 0
        limit = present.to(spectrum.dtype)
        target = self.notes @ spectrum * self.step_size
        pull = self.gram * self.step_size
        amount = ahead = torch.zeros_like(target)
        for _ in range(self.steps):
            before, amount = amount, F.relu(ahead - pull @ ahead + target) * limit
            ahead = amount + self.momentum * (amount - before)
        return amount

    def _running_mean(self, x: Tensor) -> Tensor:
        """Weighted mean along frequency; the edges repeat the outermost whole one."""
        batch, bins, _ = x.shape
        rows = x.transpose(1, 2).reshape(-1, 1, bins)
        half = self.window.shape[-1] // 2
        mean = F.pad(F.conv1d(rows, self.window), (half, half), mode="replicate")
        return mean.reshape(batch, -1, bins).transpose(1, 2)


def semitones_off(leaning: Tensor) -> Tensor:
    """From sums of :meth:`NNLSChroma.leaning`, shape (batch, 2, ...), to semitones, shape (batch, ...)."""
    sine, cosine = leaning[:, 0], leaning[:, 1]
    # in ONNX this becomes a quotient, which silence must not make 0 / 0
    return torch.atan2(sine, cosine + 1e-12) / (2 * torch.pi)


def shift(spectrum: Tensor, bins: Tensor) -> Tensor:
    """Value at bin k taken from k + ``bins`` by linear interpolation; two bins below, three above become 0.

    Parameters
    ----------
    spectrum
        Shape (batch, bin, frame).
    bins
        Shape (batch,), -2 to 2.
    """
    inner = spectrum.shape[1] - 5
    moved = torch.zeros_like(spectrum[:, :inner])
    for offset in range(-2, 3):
        weight = (1 - (bins - offset).abs()).clamp(min=0)[:, None, None]
        moved = moved + weight * spectrum[:, 2 + offset : 2 + offset + inner]
    return F.pad(moved, (0, 0, 2, 3))


def log_kernel(sample_rate: int, n_fft: int, fine: int = 80) -> NDArray[np.float64]:
    """Share of each Fourier bin in each log-frequency bin, shape (256, Fourier bin).

    Both have the form of a raised cosine, on Hz and on semitones; their product is summed on a grid ``fine``
    times denser than the Fourier bins. Bins above the highest note are left out.
    """
    width = sample_rate / n_fft
    per_octave = 12 * _PER_SEMITONE
    centre = np.log2(440.0) + (_LOWEST - 69) / 12 + np.arange(_N_BINS) / per_octave
    count = int(2 ** (centre[-1] + 1 / per_octave) / width) + 2
    offset = np.arange(-fine, fine) / fine
    share = 0.5 + 0.5 * np.cos(np.pi * offset)
    kernel = np.zeros((_N_BINS, count))
    for i in range(1, count):
        hz = np.maximum((i + offset) * width, 1e-9)
        away = per_octave * (np.log2(hz)[None] - centre[:, None])
        near = np.where(np.abs(away) <= 1, 0.5 + 0.5 * np.cos(np.pi * away), 0.0)
        kernel[:, i] = (near * per_octave / (np.log(2.0) * hz)) @ share
    return kernel


def note_spectra(decay: float, harmonics: int = 20) -> NDArray[np.float64]:
    """Spectra of the 84 notes in thirds of semitones, shape (84, 256)."""
    bins = np.arange(_N_BINS)
    notes = np.zeros((N_NOTES, _N_BINS))
    for harmonic in range(1, harmonics + 1):
        centre = _PER_SEMITONE * (1 + np.arange(N_NOTES) + 12 * np.log2(harmonic))
        away = bins[None] - centre[:, None]
        lobe = 0.5 + 0.5 * np.cos(2 * np.pi * away / _PER_SEMITONE)
        notes += decay ** (harmonic - 1) * np.where(np.abs(away) <= _PER_SEMITONE / 2, lobe, 0.0)
    return notes


def chroma_fold() -> NDArray[np.float64]:
    """Weights of the notes in the bass (rows 0-11) and treble (12-23) chroma, shape (24, 84)."""
    note = np.arange(N_NOTES)
    treble = np.sin(np.pi * (note + 0.5) / N_NOTES) ** 2
    bass_span = N_NOTES / 2.25
    bass = np.where(note + 0.5 < bass_span, np.sin(np.pi * (note + 0.5) / bass_span) ** 2, 0.0)
    fold = np.zeros((24, N_NOTES))
    fold[note % 12, note] = bass
    fold[12 + note % 12, note] = treble
    return fold
