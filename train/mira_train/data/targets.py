"""Annotations become targets, frame by frame. Frame ``i`` is centred on ``i * hop_s`` seconds.

What is not annotated stays empty: rests, the time before the first and after the last value, pitches outside
of the grid. What is annotated is never lost: a note shorter than a frame still gets one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from mira.errors import DataError
from numpy.typing import ArrayLike, NDArray

from mira_train.data.labels import label_index

IGNORE = -100
"""Class of frames that a loss leaves out."""

OUTSIDE = -1


@dataclass(frozen=True)
class PitchGrid:
    """Bins in equal steps of log frequency; the defaults are the grid of the book's transcription models.

    Parameters
    ----------
    lowest_hz
        Centre of bin 0.
    bins_per_octave, n_bins
        Resolution and size.
    """

    lowest_hz: float = 32.7
    bins_per_octave: int = 60
    n_bins: int = 360

    def bins(self, midi_pitch: ArrayLike) -> NDArray[np.int64]:
        """Nearest bin in cents of each MIDI pitch.

        ``OUTSIDE`` where a pitch is not positive (0 means unvoiced), not a number, or further than half a bin
        from every bin.
        """
        midi = np.asarray(midi_pitch, dtype=np.float64)
        lowest_midi = 69 + 12 * np.log2(self.lowest_hz / 440)
        with np.errstate(invalid="ignore"):
            position = np.floor((midi - lowest_midi) * self.bins_per_octave / 12 + 0.5)
            inside = (midi > 0) & (position >= 0) & (position < self.n_bins)
        return np.where(inside, np.nan_to_num(position), OUTSIDE).astype(np.int64)


@dataclass(frozen=True, eq=False)
class NoteTargets:
    """Targets of a note transcription, each of shape (bin, frame), 0 or 1.

    Parameters
    ----------
    frame
        Where a note sounds.
    onset, offset
        Its first and its last frame, so that repeated notes stay apart.
    """

    frame: NDArray[np.float32]
    onset: NDArray[np.float32]
    offset: NDArray[np.float32]


def f0_targets(
    time_s: NDArray[np.float64], midi_pitch: NDArray[np.float64], n_frames: int, hop_s: float, grid: PitchGrid
) -> NDArray[np.float32]:
    """Targets of pitch curves, shape (bin, frame).

    Parameters
    ----------
    time_s
        Shape (time,), ascending.
    midi_pitch
        Shape (voice, time); 0, negative or NaN where a voice rests.
    n_frames, hop_s
        Number of frames and seconds between them.
    grid
        Pitch of each bin.

    Notes
    -----
    A frame takes the annotation nearest in time, if that is at most half a hop away: half of the frames' hop
    or of the annotation's, whichever is longer.
    """
    target = np.zeros((grid.n_bins, n_frames), dtype=np.float32)
    if not len(time_s) or not n_frames:
        return target
    frame_s = np.arange(n_frames) * hop_s
    nearest = _nearest(time_s, frame_s)
    reach = max(hop_s, float(np.median(np.diff(time_s))) if len(time_s) > 1 else 0.0) / 2
    covered = np.abs(time_s[nearest] - frame_s) <= reach * (1 + 1e-6)
    frames = np.flatnonzero(covered)
    for bins in grid.bins(midi_pitch[:, nearest[frames]]):
        inside = bins != OUTSIDE
        target[bins[inside], frames[inside]] = 1
    return target


def note_targets(
    start_s: ArrayLike, end_s: ArrayLike, midi_pitch: ArrayLike, n_frames: int, hop_s: float, grid: PitchGrid
) -> NoteTargets:
    """Targets of notes; each note has one frame at least.

    Parameters
    ----------
    start_s, end_s, midi_pitch
        Shape (note,): seconds and MIDI pitch. Notes outside of the grid, and those that begin after the last
        frame, are left out.
    n_frames, hop_s
        Number of frames and seconds between them.
    grid
        Pitch of each bin.
    """
    bins = grid.bins(midi_pitch)
    first = np.floor(np.asarray(start_s, dtype=np.float64) / hop_s + 0.5).astype(np.int64)
    end = np.floor(np.asarray(end_s, dtype=np.float64) / hop_s + 0.5).astype(np.int64)
    end = np.minimum(np.maximum(end, first + 1), n_frames)
    frame, onset, offset = np.zeros((3, grid.n_bins, n_frames), dtype=np.float32)
    for k in np.flatnonzero((bins != OUTSIDE) & (first >= 0) & (first < n_frames)):
        frame[bins[k], first[k] : end[k]] = 1
        onset[bins[k], first[k]] = 1
        offset[bins[k], end[k] - 1] = 1
    return NoteTargets(frame, onset, offset)


def segment_targets(
    start_s: ArrayLike,
    end_s: ArrayLike,
    label: Sequence[object],
    n_frames: int,
    hop_s: float,
    labels: Sequence[str],
    uncovered: str | int = IGNORE,
) -> NDArray[np.int64]:
    """Class of each frame, shape (frame,): that of the segment with ``start <= time < end``.

    Parameters
    ----------
    start_s, end_s, label
        The segments; where two overlap the later one counts.
    n_frames, hop_s
        Number of frames and seconds between them.
    labels
        All labels in their fixed order.
    uncovered
        Label, or class number, of frames without a segment.

    Raises
    ------
    DataError
        If a label is not in the list.
    """
    fill = uncovered if isinstance(uncovered, int) else label_index(uncovered, labels)
    target = np.full(n_frames, fill, dtype=np.int64)
    frame_s = np.arange(n_frames) * hop_s
    first, end = np.searchsorted(frame_s, start_s), np.searchsorted(frame_s, end_s)
    for k, text in enumerate(label):
        try:
            target[first[k] : end[k]] = label_index(text, labels)
        except DataError as error:
            raise DataError(f"segment {k} at {np.asarray(start_s)[k]:.2f} s: {error}") from None
    return target


def soften(target: NDArray[np.float32], sigma_bins: float = 1.0) -> NDArray[np.float32]:
    """Blur targets of shape (bin, frame) along the bins with a Gaussian whose top stays 1.

    Bittner, McFee, Salamon, Li and Bello (ISMIR 2017) train on such targets; here neighbours that overlap
    take the larger value, not the sum.
    """
    soft = target.copy()
    for step in range(1, int(np.ceil(3 * sigma_bins)) + 1):
        weight = np.float32(np.exp(-0.5 * (step / sigma_bins) ** 2))
        np.maximum(soft[step:], weight * target[:-step], out=soft[step:])
        np.maximum(soft[:-step], weight * target[step:], out=soft[:-step])
    return soft


def _nearest(grid: NDArray[np.floating], wanted: NDArray[np.floating]) -> NDArray[np.int64]:
    """Index of the element of an ascending ``grid`` that is nearest to each wanted value."""
    right = np.clip(np.searchsorted(grid, wanted), 1, max(1, len(grid) - 1))
    right = np.minimum(right, len(grid) - 1)
    left = np.maximum(right - 1, 0)
    return np.where(wanted - grid[left] <= grid[right] - wanted, left, right)
