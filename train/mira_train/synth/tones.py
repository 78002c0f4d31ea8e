"""Plucked notes by adding up partials, for machines without a SoundFont."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mira_train.synth.score import Part

_RELEASE_S = 0.05


def render_tones(part: Part, length_s: float, sample_rate: int) -> NDArray[np.float32]:
    """Mono audio of a part: each note a handful of decaying partials, the higher ones shorter."""
    audio = np.zeros(round(length_s * sample_rate), np.float32)
    for start, end, pitch, velocity in zip(part.start_s, part.end_s, part.pitch, part.velocity):
        at = round(start * sample_rate)
        tone = _pluck(float(pitch), float(end - start), int(velocity), sample_rate)[: max(len(audio) - at, 0)]
        audio[at : at + len(tone)] += tone
    return audio


def _pluck(pitch: float, held_s: float, velocity: int, sample_rate: int) -> NDArray[np.float32]:
    time = np.arange(round((held_s + _RELEASE_S) * sample_rate)) / sample_rate
    hz = 440 * 2 ** ((pitch - 69) / 12)
    partials = [k for k in range(1, 9) if k * hz < 0.45 * sample_rate]
    tone = np.sum([np.sin(2 * np.pi * k * hz * time) * np.exp(-k * time) / k for k in partials], axis=0)
    attack = np.minimum(time / 0.003, 1)
    release = np.clip((held_s + _RELEASE_S - time) / _RELEASE_S, 0, 1)
    return (0.15 * (velocity / 127) * tone * attack * release).astype(np.float32)
