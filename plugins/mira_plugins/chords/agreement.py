"""How far two sequences of chords agree: MIREX's measures as ``mir_eval`` counts them, in plain numpy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from mira.results import Chords
from numpy.typing import NDArray

from mira_plugins.chords.targets import Segment
from mira_plugins.chords.vocabulary import NO_CHORD, QUALITIES, Chord, parse

MEASURES: Final = ("root", "majmin", "sevenths")
_TRIADS = tuple(frozenset(QUALITIES[name]) for name in ("maj", "min"))
_SEVENTHS = tuple(frozenset(QUALITIES[name]) for name in ("maj", "min", "7", "maj7", "min7"))

Counted = dict[str, tuple[float, float]]
"""Measure -> (seconds right, seconds that count)."""


def compare(truth: Sequence[Segment], found: Chords) -> Counted:
    """Seconds right and seconds that count in one recording.

    ``root``, ``majmin`` and ``sevenths`` are chord symbol recall: what the vocabulary of a measure does not
    cover in the truth does not count. ``seg`` is one minus the larger of over- and under-segmentation, times
    the length.
    """
    first_s, last_s = truth[0].start_s, truth[-1].end_s
    true = [(s.start_s, s.end_s, s.text) for s in truth]
    ours = _fitted(found, first_s, last_s)
    counted = dict.fromkeys(MEASURES, (0.0, 0.0))
    for seconds, one, other in _together(true, ours):
        reference, estimate = parse(one), parse(other)
        for name in MEASURES:
            right = _right(name, reference, estimate)
            if right is not None:
                sums = counted[name]
                counted[name] = (sums[0] + seconds * right, sums[1] + seconds)
    edges = _edges(true), _edges(ours)
    agreement = 1 - max(_cut_up(*edges), _cut_up(*edges[::-1]))
    return {**counted, "seg": (agreement * (last_s - first_s), last_s - first_s)}


def sureness(truth: Sequence[Segment], found: Chords) -> NDArray[np.float64]:
    """How sure each found segment was and how right: rows of confidence, share with the true root and
    quality, and seconds that count.
    """
    rows = []
    for start, end, label, sure in zip(found.start_s, found.end_s, found.label, found.confidence):
        ours = parse(label)
        right = counted = 0.0
        for s in truth:
            seconds = min(end, s.end_s) - max(start, s.start_s)
            true = parse(s.text)
            if seconds <= 0 or true.root is None or (true.root != NO_CHORD and true.quality is None):
                continue
            counted += seconds
            right += seconds * ((true.root, true.quality) == (ours.root, ours.quality))
        if counted:
            rows.append((float(sure), right / counted, counted))
    return np.array(rows).reshape(-1, 3)


def calibration_error(rows: NDArray[np.float64], bins: int = 10) -> float:
    """Mean distance between confidence and share right over bins of confidence, weighted by seconds."""
    sure, right, seconds = rows.T
    place = np.minimum((sure * bins).astype(int), bins - 1)
    gaps = np.bincount(place, seconds * (sure - right), bins)
    return float(np.abs(gaps).sum() / seconds.sum())


def _right(measure: str, truth: Chord, found: Chord) -> bool | None:
    """Whether a chord is right; None where it does not count."""
    if truth.root is None:
        return None
    same = truth.root == found.root
    if measure == "root" or truth.root == NO_CHORD:
        return same
    tones, theirs = _above_root(truth), _above_root(found)
    if measure == "majmin":
        tones, theirs = (frozenset(t for t in each if t < 8) for each in (tones, theirs))
    return same and tones == theirs if tones in (_TRIADS if measure == "majmin" else _SEVENTHS) else None


def _above_root(chord: Chord) -> frozenset[int]:
    if chord.root is None or chord.root == NO_CHORD:
        return frozenset()
    return frozenset((tone - chord.root) % 12 for tone in chord.tones)


Row = tuple[float, float, str]
"""Start, end, label."""


def _fitted(found: Chords, first_s: float, last_s: float) -> list[Row]:
    """Cut to the truth's length; no chord where it is longer."""
    rows = zip(found.start_s.tolist(), found.end_s.tolist(), found.label)
    kept = [(max(s, first_s), min(e, last_s), label) for s, e, label in rows if e > first_s and s < last_s]
    if not kept:
        return [(first_s, last_s, "N")]
    before = [(first_s, kept[0][0], "N")] if kept[0][0] > first_s else []
    after = [(kept[-1][1], last_s, "N")] if kept[-1][1] < last_s else []
    return [*before, *kept, *after]


def _together(one: Sequence[Row], other: Sequence[Row]) -> Iterable[tuple[float, str, str]]:
    """Stretches in which neither changes: seconds and both labels."""
    edges = sorted({t for rows in (one, other) for row in rows for t in row[:2]})
    i = j = 0
    for start, end in pairwise(edges):
        while one[i][1] <= start and i < len(one) - 1:
            i += 1
        while other[j][1] <= start and j < len(other) - 1:
            j += 1
        yield end - start, one[i][2], other[j][2]


def _edges(rows: Sequence[Row]) -> NDArray[np.float64]:
    """Where the chord changes, with start and end."""
    edges, before = [], None
    for start, _, label in rows:
        chord = (parse(label), label.partition(":")[2])
        if chord != before:
            edges.append(start)
        before = chord
    return np.array([*edges, rows[-1][1]])


def _cut_up(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Share of the time outside the longest piece that ``other`` leaves of each segment of ``one``."""
    lost = 0.0
    for start, end in pairwise(one.tolist()):
        inside = other[(other > start) & (other < end)]
        lost += (end - start) - float(np.diff(np.concatenate([[start], inside, [end]])).max())
    return lost / float(one[-1] - one[0])


def summary(songs: Iterable[Counted], draws: int = 2000) -> dict[str, dict[str, float]]:
    """Pool recordings by duration: ``score`` and its 95 % bootstrap interval, ``low`` to ``high``."""
    rows = list(songs)
    pick = np.random.default_rng(0).integers(0, len(rows), (draws, len(rows)))
    out: dict[str, dict[str, float]] = {}
    for name in rows[0]:
        right, counted = np.array([row[name] for row in rows]).T
        drawn = counted[pick].sum(axis=1)
        shares = right[pick].sum(axis=1)[drawn > 0] / drawn[drawn > 0]
        low, high = np.percentile(shares, [2.5, 97.5]) if len(shares) else (np.nan, np.nan)
        score = right.sum() / counted.sum() if counted.sum() else np.nan
        out[name] = {"score": float(score), "low": float(low), "high": float(high)}
    return out
