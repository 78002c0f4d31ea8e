"""The key of a recording, and where it changes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mira_plugins.chords.vocabulary import NO_CHORD

STEP_S = 1.0
"""Time over which sounds are added up before keys are compared."""
_CHANGE = 10.0
"""Fit that a change of key costs: a neighbouring key must fit better for some twenty seconds."""

# Shares of the pitch classes from the tonic on (Albrecht and Shanahan, Music Perception 2013).
_MAJOR = (0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081)
_MINOR = (0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052)

Key = tuple[int, bool]
"""Tonic, and whether it is minor."""


def keys_over_time(pitch: NDArray[np.float32], root: NDArray[np.float32], hop_s: float) -> list[Key]:
    """Key of each second, by the profiles that fit what sounds best with few changes.

    Parameters
    ----------
    pitch, root
        Probabilities of shape (frame, 12) and (frame, 13). Roots count twice, silence not at all.
    hop_s
        Seconds from one frame to the next.
    """
    frames = max(round(STEP_S / hop_s), 1)
    first = np.arange(0, len(pitch), frames)
    sounding = np.empty((len(first), 12))
    for i, at in enumerate(first):
        roots = np.asarray(root[at : at + frames], np.float64)
        tones = np.asarray(pitch[at : at + frames], np.float64)
        sounding[i] = ((1 - roots[:, NO_CHORD:]) * (tones + roots[:, :NO_CHORD])).sum(axis=0) / frames
    fits = sounding @ _profiles().T
    return [(int(k % 12), bool(k >= 12)) for k in _best_path(fits)]


def main_key(keys: list[Key]) -> Key:
    """The one that holds longest."""
    return max(dict.fromkeys(keys), key=keys.count)


def _profiles() -> NDArray[np.float64]:
    """Shape (24, 12): major keys from C, then minor ones; each with mean 0 and deviation 1."""
    shares = [np.roll(profile, tonic) for profile in (_MAJOR, _MINOR) for tonic in range(12)]
    profiles = np.array(shares)
    return (profiles - profiles.mean(axis=1, keepdims=True)) / profiles.std(axis=1, keepdims=True)


def _best_path(fits: NDArray[np.float64]) -> NDArray[np.int64]:
    """States with the highest sum of fits less the cost of changes (Viterbi)."""
    came = np.empty(fits.shape, np.int64)
    stay = np.arange(fits.shape[1])
    total = np.zeros(fits.shape[1])
    for i, row in enumerate(fits):
        other = int(total.argmax())
        changed = total[other] - _CHANGE > total
        came[i] = np.where(changed, other, stay)
        total = np.where(changed, total[other] - _CHANGE, total) + row
    path = np.empty(len(fits), np.int64)
    state = int(total.argmax())
    for i in range(len(fits) - 1, -1, -1):
        path[i] = state
        state = int(came[i, state])
    return path
