"""Where two recordings are the same music: local alignment of their pitch classes, in any key and tempo.

Cross recurrence and Qmax after Serrà, Serra and Andrzejak (New Journal of Physics 11, 2009), for many
candidates at once: a cell depends on the two rows above it alone, so each step is one operation on a row
of all candidates, and needs neither a compiler nor a loop over pairs. Different from there: several
transpositions and tempo ratios are tried and the best counts, and the score is divided by the root of the
shorter length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

STACK: Final = 9
"""Frames that are compared together."""
NEAREST: Final = 0.095
"""Two stretches recur if each is among this share of the other's nearest."""
GAP: Final = 0.5
"""What a frame without a counterpart costs; one with it gains 1."""
TRANSPOSITIONS: Final = 2
"""How many of the best fitting transpositions are tried."""
RATIOS: Final = (1.0, 0.8, 1.25)
"""Tempo ratios tried beyond what the alignment itself allows."""
_CELLS = 1 << 22
"""Cells that are worked on at once."""
_WORTH = 1.02
"""By how much another transposition or ratio must be better."""
_SHORTEST = 8.0
_SPANS = 3


@dataclass(frozen=True)
class Match:
    """How a candidate fits a query.

    Parameters
    ----------
    score
        Length of the common path over the root of the shorter length, in frames.
    transposition
        Semitones from the candidate up to the query, -5 to 6.
    ratio
        By how much the query was stretched before it was compared.
    """

    score: float
    transposition: int
    ratio: float


@dataclass(frozen=True)
class Path:
    """A stretch of the query and the stretch of the candidate that it is, in frames, ends included."""

    query: tuple[float, float]
    candidate: tuple[int, int]


def align(query: Floats, candidates: Sequence[Floats]) -> list[Match]:
    """Score a query against candidates.

    Parameters
    ----------
    query, candidates
        Pitch classes of shape (frame, 12), rows of length 1 or 0.

    Returns
    -------
    list
        One for each candidate, in their order.
    """
    best = [Match(0.0, 0, 1.0)] * len(candidates)
    order = np.argsort([len(c) for c in candidates], kind="stable")
    start = 0
    while start < len(order):
        longest = len(query) * max(RATIOS)
        count = 1
        while (
            start + count < len(order)
            and (count + 1) * len(candidates[order[start + count]]) * longest <= _CELLS
        ):
            count += 1
        chosen = order[start : start + count]
        for place, match in zip(chosen, _align_some(query, [candidates[i] for i in chosen])):
            best[place] = match
        start += count
    return best


def _align_some(query: Floats, candidates: Sequence[Floats]) -> list[Match]:
    stacks = [stacked(c) for c in candidates]
    lengths = np.array([len(s) for s in stacks])
    padded = np.zeros((len(stacks), lengths.max(), stacks[0].shape[1]), np.float32)
    for row, stack in zip(padded, stacks):
        row[: len(stack)] = stack
    likely = likely_transpositions(query, candidates)
    score = np.zeros(len(stacks), np.float32)
    found = [(0, 1.0)] * len(stacks)
    for ratio in RATIOS:
        ours = stretched(query, ratio)
        for step in range(12):
            fitting = np.flatnonzero((likely == step).any(0))
            if not len(fitting):
                continue
            recurrence = recurrences(stacked(np.roll(ours, -step, axis=1)), padded[fitting], lengths[fitting])
            shorter = np.minimum(lengths[fitting], recurrence.shape[1])
            reached = longest_paths(recurrence) / np.sqrt(shorter)
            for place, value in zip(fitting, reached):
                if value > score[place] * _WORTH:
                    score[place], found[place] = value, (step, ratio)
    return [Match(float(s), (t + 5) % 12 - 5, r) for s, (t, r) in zip(score, found)]


def likely_transpositions(query: Floats, candidates: Sequence[Floats]) -> NDArray[np.int64]:
    """Steps by which the query's mean lies above each candidate's, best first; shape (rank, candidate)."""
    means = np.stack([c.mean(0) for c in candidates])
    fits = np.stack([np.roll(query.mean(0), -step) @ means.T for step in range(12)])
    return np.argsort(-fits, axis=0, kind="stable")[:TRANSPOSITIONS]


def stacked(frames: Floats) -> Floats:
    """Each frame with those that follow it, shape (frame, 12 * STACK)."""
    if len(frames) < STACK:
        frames = np.pad(frames, ((0, STACK - len(frames)), (0, 0)))
    count = len(frames) - STACK + 1
    return np.concatenate([frames[i : i + count] for i in range(STACK)], axis=1)


def stretched(frames: Floats, ratio: float) -> Floats:
    """The same music in ``ratio`` times as many frames."""
    if ratio == 1 or len(frames) < 2:
        return frames
    count = max(round(len(frames) * ratio), 2)
    place = np.linspace(0, len(frames) - 1, count)
    below = np.minimum(place.astype(int), len(frames) - 2)
    share = (place - below)[:, None].astype(np.float32)
    return (frames[below] * (1 - share) + frames[below + 1] * share).astype(np.float32)


def recurrences(query: Floats, candidates: Floats, lengths: NDArray[np.int64]) -> Bools:
    """Which stretches are near each other, both ways.

    Parameters
    ----------
    query
        Shape (frame, feature).
    candidates, lengths
        Shape (candidate, frame, feature), padded, and how many frames of each count.

    Returns
    -------
    array
        Shape (candidate, frame of the query, frame of the candidate).
    """
    size = candidates.shape[1]
    distance = -2 * (query @ candidates.reshape(-1, query.shape[1]).T).reshape(len(query), -1, size)
    distance = distance.transpose(1, 0, 2) + (query**2).sum(1)[:, None] + (candidates**2).sum(2)[:, None]
    padding = np.arange(size) >= lengths[:, None]
    distance[np.broadcast_to(padding[:, None], distance.shape)] = np.inf
    mine = max(int(NEAREST * len(query)), 1) - 1
    theirs = np.maximum((NEAREST * lengths).astype(int), 1) - 1
    ranked = np.partition(distance, np.unique(theirs), axis=2)
    row_limit = ranked[np.arange(len(lengths)), :, theirs]
    column_limit = np.partition(distance, mine, axis=1)[:, mine]
    near = (distance <= row_limit[:, :, None]) & (distance <= column_limit[:, None])
    return near & ~padding[:, None]


def longest_paths(recurrence: Bools) -> Floats:
    """Qmax of each candidate, shape (candidate,)."""
    count, _, size = recurrence.shape
    above = np.zeros((count, size + 2), np.float32)
    before = np.zeros_like(above)
    best = np.zeros(count, np.float32)
    for i in range(recurrence.shape[1]):
        reached = np.maximum(np.maximum(above[:, 1:-1], before[:, 1:-1]), above[:, :-2])
        row = np.where(recurrence[:, i], reached + 1, np.maximum(reached - GAP, 0))
        above, before = before, above
        above[:, 2:] = row
        np.maximum(best, row.max(axis=1), out=best)
    return best


def paths(query: Floats, candidate: Floats, match: Match) -> list[Path]:
    """The stretches that a match consists of, longest first; three at most, none below a third of it."""
    ours = stacked(np.roll(stretched(query, match.ratio), -match.transposition, axis=1))
    theirs = stacked(candidate)
    recurrence = recurrences(ours, theirs[None], np.array([len(theirs)]))[0]
    found: list[Path] = []
    least = _SHORTEST
    while len(found) < _SPANS:
        rows, columns, length = _best_path(recurrence)
        if length < least:
            break
        least = max(least, length / 3)
        last = STACK - 1
        span = (rows[0] / match.ratio, (rows[1] + last) / match.ratio)
        found.append(Path(span, (columns[0], columns[1] + last)))
        recurrence[rows[0] : rows[1] + 1] = False
    return found


def _best_path(recurrence: Bools) -> tuple[tuple[int, int], tuple[int, int], float]:
    """First and last row and column of the longest path, and its length; where it begins is carried along."""
    rows, size = recurrence.shape
    value = np.zeros((rows + 2, size + 2), np.float32)
    begin = np.zeros((rows + 2, size + 2, 2), np.int32)
    columns = np.arange(size)
    for i in range(rows):
        choices = np.stack([value[i + 1, 1:-1], value[i, 1:-1], value[i + 1, :-2]])
        origins = np.stack([begin[i + 1, 1:-1], begin[i, 1:-1], begin[i + 1, :-2]])
        pick = choices.argmax(0)
        reached, origin = choices[pick, columns], origins[pick, columns]
        row = np.where(recurrence[i], reached + 1, np.maximum(reached - GAP, 0))
        fresh = np.stack([np.full(size, i), columns], axis=1)
        value[i + 2, 2:] = row
        begin[i + 2, 2:] = np.where((reached > 0)[:, None], origin, fresh)
    end = np.unravel_index(int(value[2:, 2:].argmax()), (rows, size))
    first = begin[2:, 2:][end]
    length = float(value[2:, 2:][end])
    return (int(first[0]), int(end[0])), (int(first[1]), int(end[1])), length
