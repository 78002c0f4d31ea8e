"""What chords do next and how long they last, learned from labelled songs, and the best path under both.

Changes are counted by interval, so that one table serves all keys. Durations are a table of hazards: how
likely a chord of a given age ends in the next frame. Both are stored in ``language.json`` beside this module.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mira_plugins.chords.vocabulary import NAMES, NO_CHORD, REDUCTIONS

AGES: Final = 80
"""Frames up to which the hazard depends on the age, 3.7 s; from there on it stays."""
_NONE = len(NAMES)
_FILE = Path(__file__).with_name("language.json")

Floats = NDArray[np.float64]

_LONGEST: Final = np.iinfo(np.uint16).max
"""Frames up to which a chord's length is kept, 51 minutes; a longer one is put together from pieces."""
_TOGETHER: Final = 4096
"""Frames whose chords are counted out at once."""


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The states of a path: each root with each quality, root by root, and last no chord.

    Parameters
    ----------
    qualities
        Those that are told apart.
    members
        Shape (13, quality): 1 where a quality of the network counts as one of these.
    """

    qualities: tuple[str, ...]
    members: Floats

    @classmethod
    def named(cls, name: str) -> Vocabulary:
        """One of :data:`vocabulary.REDUCTIONS`."""
        reduced = [REDUCTIONS[name].get(quality, quality) for quality in NAMES]
        kept = tuple(dict.fromkeys(reduced))
        return cls(kept, np.array([[float(r == k) for k in kept] for r in reduced]))

    @property
    def size(self) -> int:
        """Number of states."""
        return 12 * len(self.qualities) + 1

    def chord(self, state: int) -> tuple[int, str]:
        """Root and quality of a state; :data:`NO_CHORD` and an empty text for no chord."""
        if state == self.size - 1:
            return NO_CHORD, ""
        root, quality = divmod(state, len(self.qualities))
        return root, self.qualities[quality]

    def probabilities(self, root: NDArray[np.floating], quality: NDArray[np.floating]) -> NDArray[np.float32]:
        """From the network's (frame, 13) and (frame, 12, 13) to (frame, state); each frame sums to 1."""
        out = np.empty((len(root), self.size), np.float32)
        members = self.members.astype(np.float32)
        for first in range(0, len(root), _TOGETHER):  # a long recording has no room for tables beside this
            part = slice(first, first + _TOGETHER)
            joint = root[part, :NO_CHORD, None] * (quality[part].astype(np.float32) @ members)
            out[part, :-1] = joint.reshape(len(joint), -1)
        out[:, -1] = root[:, NO_CHORD]
        return out


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """Learned from songs.

    Parameters
    ----------
    changes
        Shape (14, 12, 14): how often a quality (the last: no chord) is followed by one whose root is so many
        semitones higher. No chord has interval 0.
    hazard
        Shape (2, AGES): for no chord and for chords, the share of those that reach an age that end there.
    """

    changes: Floats
    hazard: Floats

    @classmethod
    def learn(cls, songs: Iterable[Sequence[tuple[int, int, int]]]) -> LanguageModel:
        """Count in songs, each a list of (root, quality, frames) without equal neighbours; -1 is unknown."""
        changes = np.zeros((_NONE + 1, 12, _NONE + 1))
        ended, reached = np.zeros((2, AGES)), np.zeros((2, AGES))
        for song in songs:
            for (root, quality, frames), (root2, quality2, _) in pairwise(song):
                sounding = int(root != NO_CHORD)
                reached[sounding, :frames] += 1
                if frames <= AGES:
                    ended[sounding, frames - 1] += 1
                here = _NONE if root == NO_CHORD else quality
                there = _NONE if root2 == NO_CHORD else quality2
                if here >= 0 and there >= 0:
                    interval = 0 if _NONE in (here, there) else (root2 - root) % 12
                    changes[here, interval, there] += 1
        smooth = np.exp(-0.5 * (np.arange(-6, 7) / 2.5) ** 2)
        smoothed = [
            (np.convolve(e, smooth, "same") + 0.02) / (np.convolve(r, smooth, "same") + 1)
            for e, r in zip(ended, reached)
        ]
        hazard = np.clip(smoothed, 1e-4, 0.5)
        hazard[:, -20:] = hazard[:, -20:].mean(axis=1, keepdims=True)
        return cls(changes, hazard)

    def transitions(self, vocabulary: Vocabulary) -> NDArray[np.float32]:
        """Log probabilities of the next state, shape (state, state); no state follows itself."""
        members = np.zeros((_NONE + 1, len(vocabulary.qualities) + 1))
        members[:_NONE, :-1], members[_NONE, -1] = vocabulary.members, 1
        counts = np.einsum("aib,aq,br->qir", self.changes, members, members)
        # Unseen changes get what their target quality gets on average: half a count in all.
        target = counts.sum(axis=(0, 1)) / counts.sum()
        counts = counts + 6.0 * target / 12
        q, size = len(vocabulary.qualities), vocabulary.size
        table = np.zeros((size, size))
        for interval in range(12):
            for root in range(12):
                other = (root + interval) % 12
                table[root * q : (root + 1) * q, other * q : (other + 1) * q] = counts[:q, interval, :q]
        table[:-1, -1] = np.tile(counts[:q, 0, q], 12)
        table[-1, :-1] = np.tile(counts[q, :, :q].sum(axis=0) / 12, 12)
        np.fill_diagonal(table, 0)
        with np.errstate(divide="ignore"):
            return np.log(table / table.sum(axis=1, keepdims=True)).astype(np.float32)

    def durations(self, vocabulary: Vocabulary) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Log probabilities of ending at an age and of living on from it, each (AGES, state)."""
        sounding = np.ones(vocabulary.size, int)
        sounding[-1] = 0
        survived = np.concatenate([np.zeros((2, 1)), np.cumsum(np.log1p(-self.hazard), axis=1)], axis=1)
        ends = survived[:, :-1] + np.log(self.hazard)
        return ends[sounding].T.astype(np.float32), survived[sounding, 1:].T.astype(np.float32)

    def save(self, path: Path = _FILE) -> None:
        """Write as JSON, numbers rounded."""
        text = {"changes": self.changes.round(2).tolist(), "hazard": self.hazard.round(6).tolist()}
        path.write_text(json.dumps(text, separators=(",", ":")) + "\n", encoding="utf-8")


@cache
def shipped_model() -> LanguageModel:
    """The one beside this module."""
    values = json.loads(_FILE.read_text(encoding="utf-8"))
    return LanguageModel(np.array(values["changes"]), np.array(values["hazard"]))


def best_path(
    emission: NDArray[np.float32],
    transitions: NDArray[np.float32],
    ending: NDArray[np.float32],
    living: NDArray[np.float32],
    entering: NDArray[np.float64] | None = None,
    *,
    shortest: int = 1,
) -> list[tuple[int, int]]:
    """The best sequence of (first frame, state) under a semi-Markov model, exactly.

    A state that has lasted ``age`` frames ends with log probability ``ending[age - 1]``; beyond the table it
    ends in each frame as in its last row. (Explicit-duration Viterbi; Rabiner 1989, section IV D.)

    Parameters
    ----------
    emission
        Shape (frame, state).
    transitions
        Shape (state, state), -inf on the diagonal.
    ending, living
        Shape (age, state): log probability that a state ends at an age, and that it outlives it.
    entering
        Shape (frame,): added where a state begins in that frame, but for the first; nothing if not given.
    shortest
        Frames that every state but the last lasts at least; at most the number of ages.
    """
    n, size = emission.shape
    ages = len(ending)
    begins = np.zeros(n) if entering is None else entering
    ends = ending.T.astype(np.float64)
    ends[:, : shortest - 1] = -np.inf
    more = ends[:, -1] - living[-2] if ages > 1 else ends[:, -1]  # log hazard of the last age
    outlives = np.log1p(-np.exp(more))
    # entered[:, k]: score of entering a state in a frame whose number is k modulo ages, less the emissions
    # before it. Tables run backwards and twice, so that a slice has the age of each column.
    entered = np.full((size, ages), -np.inf)
    leaving_at, living_at = (np.tile(table[:, ::-1], 2) for table in (ends, living.T.astype(np.float64)))
    to = np.ascontiguousarray(transitions.T, np.float64)
    old, old_start = np.full(size, -np.inf), np.zeros(size, np.int64)
    score, before = np.full(size, -np.log(size)), np.zeros(size)
    came_from = np.zeros((n + 1, size), np.min_scalar_type(size))
    lasted = np.zeros((n + 1, size), np.uint16)
    states = np.arange(size)
    leave = score
    for t in range(1, n + 1):
        column = (t - 1) % ages
        if t > ages:
            out, kept = entered[:, column] + living[-1], old + outlives
            late = out > kept
            old = np.where(late, out, kept)
            old_start = np.where(late, t - 1 - ages, old_start)
        entered[:, column] = score - before
        before = before + emission[t - 1]
        aged = living_at if t == n else leaving_at
        leaving = entered + aged[:, ages - 1 - column : 2 * ages - 1 - column]
        at = leaving.argmax(axis=1)
        best = leaving[states, at]
        beyond = old + (outlives if t == n else more)
        longer = beyond > best
        lasted[t] = np.minimum(np.where(longer, t - old_start, 1 + (column - at) % ages), _LONGEST)
        leave = np.where(longer, beyond, best) + before
        if t == n:
            break
        candidates = to + leave
        came_from[t] = candidates.argmax(axis=1)
        score = candidates[states, came_from[t]] + begins[t]
    return _trace(int(leave.argmax()), came_from, lasted)


def _trace(state: int, came_from: NDArray[np.integer], lasted: NDArray[np.uint16]) -> list[tuple[int, int]]:
    path, t = [], len(lasted) - 1
    while t > 0:
        here = int(lasted[t, state])
        t -= here
        if here < _LONGEST or t == 0:
            path.append((t, state))
            state = int(came_from[t, state])
    return path[::-1]
