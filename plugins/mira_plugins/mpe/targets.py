"""From notes in seconds to what NoteNet is to say, frame by frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mira_plugins.mpe.network import LOWEST_PITCH, N_PITCHES

_SPREAD = 1.5
"""Half width in hops of the triangle around an onset or offset."""


def note_targets(
    start_s: NDArray[np.float64],
    end_s: NDArray[np.float64],
    pitch: NDArray[np.float64],
    velocity: NDArray[np.float64],
    n_frames: int,
    hop_s: float,
) -> dict[str, NDArray[np.float32]]:
    """Frame-wise targets of shape (frame, 88) from notes in seconds.

    ``onset`` and ``offset`` are triangles of 1.5 hops around the true time, so that a peak can be placed
    between frames; ``shift`` is the distance to the onset in hops, NaN away from it; ``velocity`` is 0 to 1,
    NaN where unknown. A note shorter than a hop still sounds in one frame.
    """
    shape = (n_frames, N_PITCHES)
    onset, frame, offset = (np.zeros(shape, np.float32) for _ in range(3))
    shift, loud = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
    keys = np.rint(pitch).astype(int) - LOWEST_PITCH
    for s, e, key, v in zip(start_s / hop_s, end_s / hop_s, keys, velocity, strict=True):
        if not 0 <= key < N_PITCHES:
            continue
        first = int(np.ceil(s))
        frame[max(first, 0) : max(int(np.ceil(e)), first + 1), key] = 1
        for target, centre in ((onset, s), (offset, e)):
            low, high = max(int(np.ceil(centre - _SPREAD)), 0), min(int(centre + _SPREAD) + 1, n_frames)
            near = np.arange(low, high)
            value = 1 - np.abs(near - centre) / _SPREAD
            if target is onset:
                better = near[(value > onset[near, key]) & (np.abs(near - centre) <= 1)]
                shift[better, key] = centre - better
                if v > 0:
                    loud[better, key] = v / 127
            target[near, key] = np.maximum(target[near, key], value)
    return {"onset": onset, "frame": frame, "offset": offset, "shift": shift, "velocity": loud}
