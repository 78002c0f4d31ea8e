"""Training examples for transcription: random crops of labelled clips, moved, mixed and spoiled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from mira_train.synth.augment import resampled, spoil
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from mira_plugins.mpe.training import note_targets


@dataclass(frozen=True)
class LabelledAudio:
    """One recording with its notes.

    Parameters
    ----------
    audio
        Shape (sample,), int16.
    notes
        Shape (4, note): start_s, end_s, pitch, velocity (0 where unknown).
    group
        Corpus; groups are drawn by weight, clips within one evenly by duration.
    timed
        Whether starts and ends are true note boundaries; else only the frames count.
    """

    audio: NDArray[np.int16]
    notes: NDArray[np.float64]
    group: str
    timed: bool = True


class NoteExamples(Dataset):
    """Crops drawn at random, the same for the same seed and index.

    Parameters
    ----------
    clips
        What to draw from.
    weights
        Group -> how often it is drawn.
    sample_rate, hop_length, n_frames
        Of the network; a crop has ``n_frames`` hops.
    rooms, noises
        For :func:`mira_train.synth.augment.spoil`.
    length, seed
        Number of examples, and where they start.
    """

    def __init__(
        self,
        clips: Sequence[LabelledAudio],
        weights: dict[str, float],
        *,
        sample_rate: int,
        hop_length: int,
        n_frames: int,
        rooms: Sequence[NDArray[np.float32]],
        noises: Sequence[NDArray[np.float32]],
        length: int,
        seed: int,
        mix: float = 0.25,
    ) -> None:
        self.clips = clips
        seconds = np.array([len(c.audio) for c in clips], float)
        groups = np.array([c.group for c in clips])
        p = np.zeros(len(clips))
        for group, weight in weights.items():
            inside = groups == group
            if inside.any():
                p[inside] = weight * seconds[inside] / seconds[inside].sum()
        self.p = p / p.sum()
        self.rate, self.hop, self.n_frames = sample_rate, hop_length, n_frames
        self.rooms, self.noises, self.length, self.seed, self.mix = rooms, noises, length, seed, mix

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((self.seed, index))
        audio, notes, timed = self._crop(rng)
        if rng.random() < self.mix:
            other, more, also = self._crop(rng)
            audio = audio + other * np.float32(10 ** (rng.uniform(-8, 4) / 20))
            notes, timed = _merged(notes, more), timed and also
        audio = spoil(audio, self.rate, self.rooms, self.noises, rng)
        start, end, pitch, velocity = notes
        targets = note_targets(start, end, pitch, velocity, self.n_frames, self.hop / self.rate)
        return {
            "audio": torch.from_numpy(audio),
            "timed": torch.tensor(float(timed)),
            **{k: torch.from_numpy(v) for k, v in targets.items()},
        }

    def _crop(self, rng: Generator) -> tuple[NDArray[np.float32], NDArray[np.float64], bool]:
        """A stretch of a random clip, moved by up to three semitones and a random detuning."""
        clip = self.clips[int(rng.choice(len(self.clips), p=self.p))]
        shift = int(rng.integers(-3, 4)) if rng.random() < 0.6 else 0
        cents = float(np.clip(rng.normal(0, 12), -35, 35))
        ratio = 2 ** ((shift + cents / 100) / 12)
        n = self.n_frames * self.hop
        need = round(n * ratio) + 64
        first = int(rng.integers(-self.rate // 2, max(len(clip.audio) - need, 0) + self.rate // 2))
        piece = clip.audio[max(first, 0) : max(first + need, 0)].astype(np.float32) / 32768
        piece = np.pad(piece, (max(-first, 0), 0))
        audio = resampled(piece, ratio)[:n]
        audio = np.pad(audio, (0, n - len(audio)))
        peak = float(np.abs(audio).max())
        if peak > 0:
            audio = audio * np.float32(0.5 / peak)
        notes = clip.notes.copy()
        notes[:2] = (notes[:2] - first / self.rate) / ratio
        notes[2] += shift
        return audio, notes[:, (notes[1] > 0) & (notes[0] < n / self.rate)], clip.timed


def _merged(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    notes = np.concatenate([one, other], axis=1)
    return notes[:, np.argsort(notes[0], kind="stable")]
