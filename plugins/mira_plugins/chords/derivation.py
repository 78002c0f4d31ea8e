"""Chords of music that has notes but no chord labels: the symbols that explain the sounding notes best."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mira_plugins.chords.targets import Segment
from mira_plugins.chords.vocabulary import QUALITIES, SILENCE, UNKNOWN, Chord

_STEP_S = 0.1
_KNOWN = ("maj", "min", "7", "maj7", "min7", "dim", "dim7", "hdim7")
_CHANGE = 4.0
"""What a change of chord costs, in steps fully explained."""
_COMPLEX = 0.12
"""What a fourth tone costs in each step."""
_ROOT_BASS, _ROOT_PRESENT = 0.25, 0.1
_SILENCE = 1.0
"""What a silent step counts for no chord, and a sounding one against it."""
_SUPPORT = 0.6
"""Share of the note time that a chord must explain; less is written as unknown."""


def chords_of_notes(
    start_s: NDArray[np.float64], end_s: NDArray[np.float64], pitch: NDArray[np.int64]
) -> list[Segment]:
    """Best path over triads and sevenths: tones in the chord count for it, others against it, changes cost.

    Broken chords are understood since evidence adds up along the path; a root in the bass is preferred.
    """
    if not len(start_s):
        return []
    sounding, lowest = _steps(start_s, end_s, np.asarray(pitch, int))
    states = [(root, name) for name in _KNOWN for root in range(12)]
    member = np.zeros((len(states), 12))
    for i, (root, name) in enumerate(states):
        member[i, [(root + s) % 12 for s in QUALITIES[name]]] = 1
    share = sounding / np.maximum(sounding.sum(1, keepdims=True), 1e-9)
    inside = share @ member.T
    score = 2 * inside - 1
    roots = np.array([root for root, _ in states])
    score += _ROOT_BASS * (lowest[:, None] % 12 == roots) + _ROOT_PRESENT * (sounding[:, roots] > 0)
    score -= _COMPLEX * (member.sum(1) - 3)
    silent = sounding.sum(axis=1) == 0
    score[silent] = 0.0
    path = _best_path(np.column_stack([score, np.where(silent, _SILENCE, -_SILENCE)]))
    edges = np.flatnonzero(np.diff(path, prepend=-1, append=-1))
    out = []
    for first, last in pairwise(edges.tolist()):
        chord = SILENCE
        if path[first] < len(states):
            weight = sounding[first:last].sum()
            support = float((sounding[first:last] @ member[path[first]]).sum() / max(weight, 1e-9))
            root, name = states[path[first]]
            chord = _chord(root, name, lowest[first:last], support)
        out.append(Segment(first * _STEP_S, last * _STEP_S, chord))
    return out


def _chord(root: int, name: str, lowest: NDArray[np.int64], support: float) -> Chord:
    if support < _SUPPORT:
        return UNKNOWN
    tones = frozenset((root + s) % 12 for s in QUALITIES[name])
    heard = int(lowest.min()) % 12
    return Chord(root, name, heard if heard in tones else root, tones)


def _steps(
    start_s: NDArray[np.float64], end_s: NDArray[np.float64], pitch: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Note time by pitch class (step, 12), and the lowest pitch of each step, high where nothing sounds."""
    n = int(np.ceil(end_s.max() / _STEP_S))
    sounding, lowest = np.zeros((n, 12)), np.full(n, 1000)
    for s, e, p in zip(start_s / _STEP_S, end_s / _STEP_S, pitch):
        first, last = int(s), max(int(np.ceil(e)), int(s) + 1)
        age = np.arange(last - first)[: n - first]
        sounding[first:last, p % 12] += 0.3 + 0.7 * np.exp(-age / 10)
        lowest[first:last] = np.minimum(lowest[first:last], p)
    return sounding, lowest


def _best_path(score: NDArray[np.float64]) -> NDArray[np.int64]:
    best, back = score[0].copy(), np.zeros(score.shape, np.int64)
    stay = np.arange(score.shape[1])
    for t in range(1, len(score)):
        top = int(best.argmax())
        leave = best[top] - _CHANGE > best
        back[t] = np.where(leave, top, stay)
        best = np.maximum(best, best[top] - _CHANGE) + score[t]
    path = np.empty(len(score), np.int64)
    path[-1] = best.argmax()
    for t in range(len(score) - 1, 0, -1):
        path[t - 1] = back[t, path[t]]
    return path
