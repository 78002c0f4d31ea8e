"""What a song plays again says again what it is: evidence averaged over repeated stretches.

A verse whose second bar is unclear the first time is heard a second and third time. So each stretch of
:data:`WINDOW_S` is compared with every later one, and where two resemble each other better than at any
neighbouring lag, each counts for the other. (Mauch, Noland and Dixon, "Using musical structure to enhance
automatic chord transcription", ISMIR 2009; there sections are found first, here every stretch finds its own.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

CELL: Final = 4
"""Frames that are compared as one, 0.19 s."""
WINDOW_S: Final = 10.0
"""Length of the stretches that must resemble each other."""
NEAREST_S: Final = 4.0
"""The shortest lag: what is nearer is the same chord going on."""
FARTHEST_S: Final = 400.0
"""The longest lag, so that time and memory grow with the length and not with its square."""
ALIKE: Final = 0.7
"""Likeness, 0 to 1, under which a stretch is no repeat."""
SHARPNESS: Final = 20.0
"""How fast the weight of a repeat falls as the likeness does."""
_TOGETHER: Final = 16
"""States averaged at once."""

Floats = NDArray[np.float32]


def averaged(chances: Floats, root: Floats, hop_s: float, weight: float) -> tuple[Floats, Floats]:
    """Average each frame's probabilities with those of its repeats.

    Parameters
    ----------
    chances
        Shape (frame, state), each frame adding up to 1; overwritten, to save room.
    root
        Shape (frame, 13), by which stretches are compared.
    hop_s
        Seconds from one frame to the next.
    weight
        Of an exact repeat; the frame itself counts 1.

    Returns
    -------
    ndarray, ndarray
        ``chances`` averaged; and for each frame, how many frames it stands for, 1 where nothing is repeated.
    """
    cells = len(root) // CELL
    weights = np.ones(cells, np.float32)
    found = []
    for at, lag, likeness in repeats(root, hop_s):
        share = (weight * np.exp(SHARPNESS * (likeness - 1))).astype(np.float32)
        found.append((at.astype(np.int32), lag, share))
        weights[at] += share
        weights[at + lag] += share
    for first in range(0, chances.shape[1] if found else 0, _TOGETHER):
        inside = chances[: cells * CELL, first : first + _TOGETHER]
        heard = inside.reshape(cells, CELL, -1)
        total = heard.copy()
        for at, lag, share in found:
            total[at] += share[:, None, None] * heard[at + lag]
            total[at + lag] += share[:, None, None] * heard[at]
        inside[:] = (total / weights[:, None, None]).reshape(inside.shape)
    stands_for = np.ones(len(chances), np.float32)
    stands_for[: cells * CELL] = np.repeat(weights, CELL)
    return chances, stands_for


def repeats(root: Floats, hop_s: float) -> Iterator[tuple[NDArray[np.int64], int, Floats]]:
    """Pairs of like stretches, lag by lag.

    Yields
    ------
    ndarray, int, ndarray
        Cells, the lag in cells at which each comes again, and the likeness of the stretches around the two.
    """
    cells = len(root) // CELL
    felt = np.sqrt(root[: cells * CELL].reshape(cells, CELL, root.shape[1]).mean(axis=1))
    cell_s = CELL * hop_s
    reach = round(WINDOW_S / 2 / cell_s)
    first, last = round(NEAREST_S / cell_s), min(round(FARTHEST_S / cell_s), cells - 2 * reach - 1)
    before, here = (_likeness(felt, lag, reach) for lag in (first - 1, first))
    for lag in range(first, last + 1):
        after = _likeness(felt, lag + 1, reach)
        best = (here >= before) & (here > after) & (here > ALIKE)
        if best.any():
            at = np.flatnonzero(best)
            yield at, lag, here[at]
        before, here = here, after


def _likeness(felt: Floats, lag: int, reach: int) -> Floats:
    """For each cell: mean over the cells around it of the overlap with what comes ``lag`` cells later.

    The overlap of two distributions is the sum of the roots of their products, 1 where they are the same
    (Bhattacharyya). Where the recording ends before, more than any, so that nothing beside it is a maximum.
    """
    out = np.full(len(felt), 2.0, np.float32)
    compared = len(felt) - lag
    if compared > 0:
        same = np.einsum("ij,ij->i", felt[:compared], felt[lag:])
        sums = np.append(0.0, np.cumsum(same, dtype=np.float64))
        at = np.arange(compared)
        low, high = np.maximum(at - reach, 0), np.minimum(at + reach + 1, compared)
        out[:compared] = (sums[high] - sums[low]) / (high - low)
    return out
