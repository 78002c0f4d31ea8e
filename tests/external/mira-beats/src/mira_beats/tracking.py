"""Beats by dynamic programming (Ellis 2007): onset strength, tempo, beats."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from mira.errors import UsageError
from mira.results import Events
from mira.task import Activations
from numpy.lib.stride_tricks import sliding_window_view

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mira_beats import Settings

WINDOW = 512
FRAMES_A_SECOND = 100
CENTRE_BPM = 120.0
"""The tempo that listeners prefer, other things being equal."""


def onset_strength(blocks: Iterable[NDArray[np.float32]], sample_rate: int) -> Activations:
    """Log-spectral flux: how much louder the bands get from one frame to the next, summed over bands."""
    hop = sample_rate // FRAMES_A_SECOND
    taper = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    bands = _bands()
    last: NDArray[np.float32] | None = None
    parts: list[NDArray[np.float32]] = []
    duration_s = 0.0
    for frames, heard in _frames(blocks, hop):
        spectrum = np.abs(np.fft.rfft(frames * taper)).astype(np.float32)
        level = np.log1p(100 * spectrum @ bands)
        rise = np.diff(level, axis=0, prepend=level[:1] if last is None else last)
        parts.append(np.maximum(rise, 0).sum(axis=1))
        last = level[-1:]
        duration_s = heard / sample_rate
    strength = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    return Activations({"strength": strength}, sample_rate, hop, duration_s)


def track(activations: Activations, settings: Settings) -> Events:
    """Find the beats.

    Raises
    ------
    UsageError
        If ``min_bpm`` is not below ``max_bpm``.
    """
    if settings.min_bpm >= settings.max_bpm:
        raise UsageError(f"min_bpm is {settings.min_bpm:g}, but must be below max_bpm, {settings.max_bpm:g}")
    rate = 1 / activations.hop_s
    strength = activations.arrays["strength"].astype(np.float64)
    shortest, longest = (round(60 * rate / bpm) for bpm in (settings.max_bpm, settings.min_bpm))
    if len(strength) <= 2 * shortest or strength.std() < 1e-3:
        return Events(activations.duration_s, np.zeros(0), ())
    smooth = np.convolve(strength / strength.std(), np.exp(-0.5 * (np.arange(-4, 5) / 1.5) ** 2), "same")
    beats = _best_path(smooth, _period(smooth, rate, shortest, longest), settings.tightness)
    beats = _trim(beats, smooth)
    return Events(activations.duration_s, beats * activations.hop_s, ("beat",) * len(beats))


def _frames(blocks: Iterable[NDArray[np.float32]], hop: int) -> Iterator[tuple[NDArray[np.float32], int]]:
    """Cut windows centred on multiples of the hop, and count the samples heard so far."""
    rest = np.zeros(WINDOW // 2, np.float32)
    heard = 0
    for block in chain(blocks, [None]):
        heard += 0 if block is None else len(block)
        rest = np.concatenate([rest, np.zeros(WINDOW // 2, np.float32) if block is None else block])
        count = (len(rest) - WINDOW) // hop + 1
        if count > 0:
            yield sliding_window_view(rest, WINDOW)[: count * hop : hop], heard
            rest = rest[count * hop :]


def _bands() -> NDArray[np.float32]:
    """Weights of shape (bin, band): bands a sixth of an octave wide, or one bin where that is wider."""
    edges = np.unique(np.geomspace(2, WINDOW // 2 + 1, 43).astype(int))
    bins = np.arange(WINDOW // 2 + 1)[:, None]
    inside = (bins >= edges[:-1]) & (bins < edges[1:])
    return (inside / inside.sum(axis=0)).astype(np.float32)


def _period(strength: NDArray[np.float64], rate: float, shortest: int, longest: int) -> float:
    """Frames from beat to beat: the best lag of the autocorrelation, weighted towards 120 bpm."""
    centred = strength - strength.mean()
    size = 2 ** int(np.ceil(np.log2(2 * len(centred))))
    correlation = np.fft.irfft(np.abs(np.fft.rfft(centred, size)) ** 2)
    lags = np.arange(shortest, min(longest, len(strength) - 1) + 1)
    weight = np.exp(-0.5 * np.log2(lags / (60 * rate / CENTRE_BPM)) ** 2)
    return float(lags[np.argmax(correlation[lags] * weight)])


def _best_path(strength: NDArray[np.float64], period: float, tightness: float) -> NDArray[np.intp]:
    """Frames that together are strong and evenly spaced.

    The score of a frame is its strength plus the best score half to two periods earlier, less
    ``tightness * log(gap / period) ** 2``.
    """
    gaps = np.arange(round(2 * period), round(period / 2) - 1, -1)
    cost = -tightness * np.log(gaps / period) ** 2
    reach = gaps[0]
    score = np.concatenate([np.zeros(reach), strength])
    before = np.full(len(strength), -1)
    for i in range(len(strength)):
        found = score[i : i + len(gaps)] + cost
        best = int(np.argmax(found))
        score[reach + i] += max(found[best], 0.0)
        if found[best] > 0 and i >= gaps[best]:
            before[i] = i - gaps[best]
    at = len(strength) - int(period) + int(np.argmax(score[-int(period) :]))
    path = []
    while at >= 0:
        path.append(at)
        at = before[at]
    return np.array(path[::-1])


def _trim(beats: NDArray[np.intp], strength: NDArray[np.float64]) -> NDArray[np.intp]:
    """Drop the weak beats before the music begins and after it ends."""
    strong = np.flatnonzero(strength[beats] >= 0.5 * np.sqrt(np.mean(strength[beats] ** 2)))
    return beats[strong[0] : strong[-1] + 1] if len(strong) else beats[:0]
