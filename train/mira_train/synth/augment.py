"""What happens to music between the instrument and the file: rooms, tone, noise, level, codecs' bandwidth."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.random import Generator
from numpy.typing import NDArray

Audio = NDArray[np.float32]


def load_rooms(folder: Path, sample_rate: int) -> list[Audio]:
    """Impulse responses of a folder with ``index.csv`` (name), scaled to a direct sound of about 1."""
    rooms = []
    with open(folder / "index.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            raw, rate = soundfile.read(folder / row["name"], dtype="float32")
            response = np.asarray(soxr.resample(raw, rate, sample_rate), np.float32)
            rooms.append(response / np.abs(response).max())
    return rooms


def spoil(
    audio: Audio, sample_rate: int, rooms: Sequence[Audio], noises: Sequence[Audio], rng: Generator
) -> Audio:
    """A random chain: room, tone curve, band limits, noise, level, clipping. Times do not move.

    Parameters
    ----------
    audio
        Shape (sample,), peak around 1 or lower.
    rooms
        Impulse responses whose direct sound comes within 2 ms.
    noises
        Background recordings at the same rate.
    """
    if rooms and rng.random() < 0.5:
        audio = _in_room(audio, rooms[int(rng.integers(len(rooms)))], rng)
    if rng.random() < 0.7:
        audio = _coloured(audio, sample_rate, rng)
    peak = float(np.abs(audio).max())
    if peak > 0:
        audio = (audio / np.float32(peak)).astype(np.float32)
    if rng.random() < 0.5:
        noise = _noise(len(audio), noises, rng) * np.float32(10 ** (rng.uniform(-65, -20) / 20))
        audio = (audio + noise).astype(np.float32)
    if rng.random() < 0.06:
        audio = np.clip(audio * np.float32(10 ** (rng.uniform(0, 9) / 20)), -1, 1).astype(np.float32)
    level_db = rng.uniform(-12, 0) if rng.random() < 0.7 else rng.uniform(-45, -12)
    return (audio * np.float32(10 ** (level_db / 20))).astype(np.float32)


def resampled(audio: Audio, ratio: float) -> Audio:
    """Played ``ratio`` times faster: higher and shorter."""
    return np.asarray(soxr.resample(audio, ratio, 1.0, quality="MQ"), np.float32)


def _in_room(audio: Audio, response: Audio, rng: Generator) -> Audio:
    response = response[: int(len(response) * rng.uniform(0.3, 1))]
    n = len(audio) + len(response) - 1
    size = 1 << (n - 1).bit_length()
    wet = np.fft.irfft(np.fft.rfft(audio, size) * np.fft.rfft(response, size), size)[: len(audio)]
    scale = np.sqrt(np.mean(audio**2) / (np.mean(wet**2) + 1e-12))
    return (audio + np.float32(rng.uniform(0.1, 1.2) * scale) * wet.astype(np.float32)).astype(np.float32)


def _coloured(audio: Audio, sample_rate: int, rng: Generator) -> Audio:
    """A smooth random curve of up to 9 dB over frequency; sometimes the band of a phone or an old record."""
    spectrum = np.fft.rfft(audio)
    freqs = np.fft.rfftfreq(len(audio), 1 / sample_rate)
    octaves = np.log2(np.maximum(freqs, 20) / 20)
    knots = np.arange(0, 11, 1.5)
    gain_db = np.interp(octaves, knots, rng.normal(0, 4, len(knots)))
    if rng.random() < 0.15:
        gain_db -= 40 * np.clip(np.log2(np.maximum(freqs, 20) / rng.uniform(2500, 7000)), 0, 2)
    if rng.random() < 0.15:
        gain_db -= 18 * np.clip(np.log2(rng.uniform(60, 300) / np.maximum(freqs, 20)), 0, 2)
    return np.fft.irfft(spectrum * 10 ** (gain_db / 20), len(audio)).astype(np.float32)


def _noise(n: int, noises: Sequence[Audio], rng: Generator) -> Audio:
    """Unit-peak background: recorded, or coloured between white and brown."""
    if noises and rng.random() < 0.4:
        chosen = noises[int(rng.integers(len(noises)))]
        start = int(rng.integers(max(len(chosen) - n, 0) + 1))
        noise = np.resize(chosen[start : start + n], n)
    else:
        spectrum = np.fft.rfft(rng.standard_normal(n))
        slope = np.arange(len(spectrum), dtype=float)
        slope[0] = 1
        noise = np.fft.irfft(spectrum / slope ** rng.uniform(0, 1), n)
    return (noise / (np.abs(noise).max() + 1e-9)).astype(np.float32)
