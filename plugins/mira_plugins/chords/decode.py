"""From the network's activations to chord segments and a key; plain numpy."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from mira.errors import UsageError
from mira.results import Chords
from mira.task import Activations
from mira.writers.text import printable
from numpy.typing import NDArray

from mira_plugins.chords.keys import STEP_S, keys_over_time, main_key
from mira_plugins.chords.language import AGES, LanguageModel, Vocabulary, best_path, shipped_model
from mira_plugins.chords.repeats import averaged
from mira_plugins.chords.vocabulary import NO_CHORD, QUALITIES, harte, key_name, spelling

if TYPE_CHECKING:
    from mira_plugins.chords import ChordSettings

_FLOOR = 1e-4
_LIKELY = 0.02
_SURE = 0.0025, 0.95
"""No change is believed to be less or more likely."""
_DETAIL = 8.0
"""Log odds by which all of the scale of ``detail`` moves a change."""
_ALTERNATIVES = 3


@dataclass(frozen=True)
class Weights:
    """Tuned on validation songs and stored in the model card.

    Parameters
    ----------
    frame
        Of a frame's log probabilities against the language model; below 1, since frames are alike.
    change
        Added to the log probability of every change.
    edge
        Of the log odds that the network hears a change in that frame, beside the language model's.
    repeat
        Of what is heard where the song repeats itself exactly, against 1 for what is heard now; see
        :mod:`mira_plugins.chords.repeats`.
    votes
        ``frame`` grows with this power of the number of frames that were averaged: they agree by less chance.
    inversion
        Log odds by which a bass must beat the root's to be written.
    temperature
        Probabilities are raised to one over it and shared out anew, so that they mean how often a chord is
        right.
    """

    frame: float = 0.55
    change: float = 8.0
    edge: float = 1.5
    repeat: float = 1.0
    votes: float = 0.2
    inversion: float = 0.0
    temperature: float = 0.85

    @classmethod
    def tuned(cls, defaults: Mapping[str, Any]) -> Weights:
        """Those of a model card."""
        names = {f.name for f in dataclasses.fields(cls)}
        return cls(**{k: float(v) for k, v in defaults.items() if k in names})


def decode_chords(
    activations: Activations, settings: ChordSettings, model: LanguageModel | None = None
) -> Chords:
    """Chords of a recording.

    Parameters
    ----------
    activations
        Probabilities ``root`` (frame, 13), ``quality`` (frame, 12, 13), ``bass`` (frame, 13) and ``pitch``
        (frame, 12); tuned weights in ``defaults``.
    settings
        What the user asked for.
    model
        The language model; the shipped one if not given.

    Raises
    ------
    UsageError
        If the file of beats cannot be read.
    """
    weights = Weights.tuned(activations.defaults)
    vocabulary = Vocabulary.named(settings.vocab)
    root = np.asarray(activations.arrays["root"], np.float32)
    chances, votes = averaged(
        vocabulary.probabilities(root, activations.arrays["quality"]), root, activations.hop_s, weights.repeat
    )
    trust = weights.frame * votes**weights.votes
    # Chords that are never likely are left out: the path is still the best of all others, and found sooner.
    likely = chances.max(axis=0)
    kept = np.flatnonzero(likely >= min(_LIKELY, float(likely.max())))
    chances = chances.astype(np.float16)  # half the room beside the tables of the path
    emission = chances[:, kept].astype(np.float32)
    np.log(np.maximum(emission, _FLOOR, out=emission), out=emission)
    emission *= trust[:, None]
    entering = _entering(activations.arrays["change"][:, 0], weights, settings.detail)
    shortest = max(int(np.ceil(settings.min_duration / activations.hop_s)), 1)
    path = _path(emission, entering, kept, vocabulary, shortest, model or shipped_model())
    first = np.array([frame for frame, _ in path])
    states = [state for _, state in path]
    means = _calibrated(np.add.reduceat(chances, first, dtype=np.float32), weights.temperature)
    bass = np.log(np.maximum(np.asarray(activations.arrays["bass"], np.float32), _FLOOR))
    basses = np.add.reduceat(bass, first) / np.diff(np.append(first, len(chances)))[:, None]
    edges_s = np.append((first - 0.5) * activations.hop_s, activations.duration_s)
    edges_s[0] = 0.0
    heard = keys_over_time(activations.arrays["pitch"], activations.arrays["root"], activations.hop_s)
    middle_s = (edges_s[:-1] + edges_s[1:]) / 2
    keys = [heard[min(int(second / STEP_S), len(heard) - 1)] for second in middle_s]

    def label(state: int, segment: int) -> str:
        chord = vocabulary.chord(state)
        inverted = settings.vocab != "majmin"
        bass = _bass(*chord, basses[segment], weights.inversion) if inverted else chord[0]
        return harte(*chord, bass, spelling(*keys[segment]))

    labels = [label(state, i) for i, state in enumerate(states)]
    sounds = any(state < vocabulary.size - 1 for state in states)
    chords = Chords(
        activations.duration_s,
        edges_s[:-1],
        edges_s[1:],
        tuple(labels),
        np.clip(means[np.arange(len(states)), states], 0, 1).astype(np.float64),
        key=key_name(*main_key(heard)) if sounds else "",
        alternatives=tuple(
            tuple((label(int(s), i), float(row[s])) for s in _next_best(row, states[i]))
            for i, row in enumerate(means)
        ),
        keys=tuple(key_name(*key) if sounds else "" for key in keys),
    )
    if not settings.beats:
        return chords
    return snapped(chords, read_beats(settings.beats), settings.min_duration)


def _calibrated(sums: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Rows that add up to 1."""
    powers = (sums / sums.sum(axis=1, keepdims=True)) ** np.float32(1 / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


def _entering(change: NDArray[np.floating], weights: Weights, detail: float) -> NDArray[np.float64]:
    """Log odds to be added where a chord begins: what is heard, and what all changes get."""
    likely = np.clip(change.astype(np.float64), *_SURE)
    return weights.edge * np.log(likely / (1 - likely)) + weights.change + _DETAIL * (detail - 0.5)


def _path(
    emission: NDArray[np.float32],
    entering: NDArray[np.float64],
    kept: NDArray[np.int64],
    vocabulary: Vocabulary,
    shortest: int,
    model: LanguageModel,
) -> list[tuple[int, int]]:
    ending, living = (table[:, kept] for table in model.durations(vocabulary))
    if shortest > AGES:
        ending, living = (_extended(table, shortest) for table in (ending, living))
    transitions = model.transitions(vocabulary)[np.ix_(kept, kept)]
    path = best_path(emission, transitions, ending, living, entering, shortest=shortest)
    return [(frame, int(kept[state])) for frame, state in path]


def _extended(table: NDArray[np.float32], ages: int) -> NDArray[np.float32]:
    """Go on falling as at the end."""
    fall = table[-1] - table[-2]
    more = table[-1] + fall * np.arange(1, ages - len(table) + 1)[:, None]
    return np.concatenate([table, more.astype(np.float32)])


def _bass(root: int, quality: str, likely: NDArray[np.float32], margin: float) -> int:
    """The likeliest bass among the chord's tones; the root unless another beats it."""
    if root == NO_CHORD:
        return NO_CHORD
    others = [(root + step) % 12 for step in QUALITIES[quality][1:]]
    best = max(others, key=lambda tone: likely[tone])
    return best if likely[best] - likely[root] > margin else root


def _next_best(row: NDArray[np.float32], chosen: int) -> list[int]:
    order = [int(s) for s in np.argsort(-row)[: _ALTERNATIVES + 1] if s != chosen]
    return order[:_ALTERNATIVES]


def read_beats(path: str) -> NDArray[np.float64]:
    """Beat times in seconds: the first word of each line of a text file.

    Raises
    ------
    UsageError
        If the file cannot be read as such.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
        times = [float(line.split()[0]) for line in lines if line.strip() and not line.startswith("#")]
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{printable(path)}: no beats in it ({error}); give a time in seconds on each line"
        ) from None
    if not times or not np.isfinite(times).all():
        raise UsageError(f"{printable(path)}: no beats in it; give a time in seconds on each line")
    return np.sort(np.array(times))


def snapped(chords: Chords, beats_s: NDArray[np.float64], shortest_s: float = 0.0) -> Chords:
    """Move each boundary to the nearest beat; segments that vanish are dropped, equal neighbours joined.

    Start and end of the recording stay, and so do boundaries further than half a second from any beat.

    Parameters
    ----------
    chords
        Of one recording.
    beats_s
        Beats in seconds, sorted.
    shortest_s
        Segments that become shorter are dropped as well, but for the last.
    """
    edges = chords.start_s[1:]
    place = np.clip(np.searchsorted(beats_s, edges), 1, max(len(beats_s) - 1, 1))
    low, high = beats_s[place - 1], beats_s[np.minimum(place, len(beats_s) - 1)]
    nearest = np.where(edges - low <= high - edges, low, high)
    moved = np.where(np.abs(nearest - edges) <= 0.5, nearest, edges)
    start_s = np.concatenate([chords.start_s[:1], np.clip(moved, 0.0, chords.duration_s)])
    end_s = np.append(start_s[1:], chords.end_s[-1])
    joined = _joined(chords.label, start_s, end_s, shortest_s)
    lengths = end_s - start_s
    first = [members[0] for members in joined]
    longest = [max(members, key=lambda i: lengths[i]) for members in joined]
    starts = start_s[first]
    starts[0] = chords.start_s[0]
    return dataclasses.replace(
        chords,
        start_s=starts,
        end_s=np.append(starts[1:], chords.end_s[-1]),
        label=tuple(chords.label[i] for i in first),
        confidence=np.array([np.average(chords.confidence[m], weights=lengths[m]) for m in joined]),
        alternatives=tuple(chords.alternatives[i] for i in longest) if chords.alternatives else None,
        keys=tuple(chords.keys[i] for i in longest) if chords.keys else None,
    )


def _joined(
    labels: Sequence[str], start_s: NDArray[np.float64], end_s: NDArray[np.float64], shortest_s: float
) -> list[list[int]]:
    """Segments that are kept, equal neighbours together; what is dropped goes to the one before it."""
    kept: list[list[int]] = []
    for i in np.flatnonzero(end_s > start_s).tolist():
        if kept and start_s[i] - (start_s[kept[-1][0]] if len(kept) > 1 else start_s[0]) < shortest_s:
            kept.pop()
        if kept and labels[kept[-1][0]] == labels[i]:
            kept[-1].append(i)
        else:
            kept.append([i])
    return kept
