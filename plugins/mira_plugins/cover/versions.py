"""Versions of a work made from its notes: other key, tempo, metre, line-up, harmony, structure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from mira_train.synth.corpus import BACKING, KEYBOARD, LINEUPS, PERFORMED, SOLO, Library, Piece
from mira_train.synth.score import Part, excerpt, stretch, transpose
from numpy.random import Generator
from numpy.typing import NDArray

POP909_LEFT_OUT = ("003", "017", "042", "088", "123", "201", "305", "444", "611", "777")
"""Songs of POP909 that the development set holds. Its other works are not in the corpora at all."""
CORPORA: Mapping[str, float] = {
    "pop909_versions": 3, "pop909_chords": 3, "nottingham": 2, "openscore_lieder": 2, "bach_chorales": 2,
    "airdsairs": 1, "oneills1850": 1, "ryansmammoth": 1, "asap_piano": 2, "supra_rolls": 1.5,
    "kern_piano": 1.5, "batik_mozart": 0.5, "openscore_quartets": 1, "bach_violin_scores": 1.5,
    "children_songs": 0.3,
}  # fmt: skip
"""How often a work is drawn from each corpus."""
BARE = frozenset({"airdsairs", "oneills1850", "ryansmammoth", "nottingham", "children_songs"})
"""Tunes, which collections note in values twice as long or half as long."""
_TRIADS = np.array([[0, 4, 7], [2, 5, 9], [4, 7, 11], [5, 9, 0], [7, 11, 2], [9, 0, 4]])


@dataclass(frozen=True)
class Version:
    """What is to be played: parts, and a family of instruments for each.

    Parameters
    ----------
    score
        Whether the timing is a score's.
    """

    parts: tuple[Part, ...]
    families: tuple[str, ...]
    score: bool


def works(library: Library) -> dict[str, list[Piece]]:
    """Work -> its files, those of the development set left out."""
    found: dict[str, list[Piece]] = {}
    for piece in (p for pieces in library.pieces.values() for p in pieces):
        if piece.corpus.startswith("pop909") and piece.file[:3] in POP909_LEFT_OUT:
            continue
        found.setdefault(piece.work, []).append(piece)
    return found


def held_out(work: str, share: float = 0.1) -> bool:
    """Whether a work is of the share that nothing is trained on: by a hash, so everywhere the same."""
    return hashlib.sha256(work.encode()).digest()[0] < 256 * share


def draw_work(found: Mapping[str, Sequence[Piece]], rng: Generator) -> str:
    """A work, its corpus drawn by :data:`CORPORA`; one with several files three times as often."""
    names = sorted(found)
    corpora = [found[name][0].corpus for name in names]
    sizes = {c: corpora.count(c) for c in set(corpora)}
    p = np.array([CORPORA.get(c, 1) / sizes[c] for c in corpora])
    p *= [3.0 if len(found[name]) > 1 else 1.0 for name in names]
    return names[int(rng.choice(len(names), p=p / p.sum()))]


def version(
    parts: Sequence[Part], corpus: str, place: float, length_s: float, rng: Generator, *, plain: bool = False
) -> Version:
    """One version of a stretch of a piece.

    Parameters
    ----------
    parts
        The piece.
    corpus
        Where it is from, which says who plays it.
    place
        Where the stretch begins, as a share of the piece.
    length_s
        Of the version.
    plain
        Whether it stays as it is but for the instruments.
    """
    score = corpus not in PERFORMED
    pitched = [p for p in parts if len(p) and not p.is_drum]
    last = max((float(p.end_s.max()) for p in pitched), default=0.0)
    factor = 1.0 if plain else _tempo(corpus, rng)
    begin = max(place * max(last - length_s / factor, 0.0) + (0 if plain else rng.uniform(-4, 4)), 0.0)
    pitched = excerpt(pitched, begin, length_s / factor)
    if not plain:
        pitched = _structured(pitched, length_s / factor, rng)
        pitched = transpose(stretch(pitched, factor), int(rng.integers(-6, 6)))
        pitched = _rubato(pitched, length_s, rng) if score else pitched
    chosen, families = _arranged(pitched, corpus, rng, plain)
    return Version(tuple(chosen), tuple(families), score)


def melody(parts: Sequence[Part]) -> Part:
    """The first part where there are several; else the highest notes of all."""
    if len(parts) > 1:
        return parts[0]
    part, keep = parts[0], np.ones(len(parts[0]), bool)
    for i in range(len(part)):
        sounding = (part.start_s <= part.start_s[i] + 0.03) & (part.end_s > part.start_s[i] + 0.05)
        keep[i] = part.pitch[i] >= part.pitch[sounding].max(initial=0)
    return part.take(keep)


def bass(parts: Sequence[Part]) -> Part:
    """The lowest note of every half second."""
    every = [
        np.concatenate([getattr(p, f) for p in parts]) for f in ("start_s", "end_s", "pitch", "velocity")
    ]
    slots = np.floor(every[0] / 0.5).astype(int)
    rows = [int(np.flatnonzero(slots == s)[np.argmin(every[2][slots == s])]) for s in np.unique(slots)]
    start_s, end_s, pitch, velocity = (column[rows] for column in every)
    return Part(start_s, end_s, pitch, velocity, name="bass")


def harmonised(tune: Part, rng: Generator) -> Part:
    """Chords under a tune: every second or so a triad of the tune's scale that holds its longest tone."""
    seconds = np.bincount(tune.pitch % 12, tune.end_s - tune.start_s, 12)
    scale = [0, 2, 4, 5, 7, 9, 11]
    tonic = int(np.argmax([seconds[(np.array(scale) + t) % 12].sum() for t in range(12)]))
    every = float(rng.uniform(0.8, 2.2))
    notes: list[tuple[float, float, int]] = []
    for start in np.arange(0.0, float(tune.end_s.max()), every):
        overlap = np.minimum(tune.end_s, start + every) - np.maximum(tune.start_s, start)
        if overlap.max() <= 0:
            continue
        tone = int(tune.pitch[np.argmax(overlap)] - tonic) % 12
        fitting = [t for t in _TRIADS if tone in t] or [_TRIADS[0]]
        chord = fitting[int(rng.integers(len(fitting)))]
        notes += [(start, start + every, 48 + int(t + tonic) % 12) for t in chord]
    rows = np.array(notes).reshape(-1, 3)
    loud = np.full(len(rows), 70)
    return Part(rows[:, 0], rows[:, 1], rows[:, 2].astype(np.int64), loud, name="chords")


def _tempo(corpus: str, rng: Generator) -> float:
    factor = float(np.exp(rng.uniform(-0.25, 0.25)))
    if corpus in BARE and rng.random() < 0.25:
        factor *= float(rng.choice([0.5, 2.0]))
    return factor


def _structured(parts: list[Part], length_s: float, rng: Generator) -> list[Part]:
    """Now and then a section is left out or comes twice."""
    if not parts or rng.random() < 0.65:
        return parts
    cut, section = float(rng.uniform(0.2, 0.7)) * length_s, float(rng.uniform(6, 16))
    twice = rng.random() < 0.5
    first, rest = excerpt(parts, 0.0, cut), excerpt(parts, cut + (-section if twice else section), length_s)
    return first + [replace(p, start_s=p.start_s + cut, end_s=p.end_s + cut) for p in rest]


def _rubato(parts: list[Part], length_s: float, rng: Generator) -> list[Part]:
    """A tempo that wanders by some percent."""
    grid = np.linspace(0, max(length_s * 2.5, 1.0), 40)
    pace = np.exp(np.convolve(rng.normal(0, 0.1 * rng.random(), 44), np.ones(5) / 5, "valid"))
    warped = np.concatenate([[0], np.cumsum(np.diff(grid) * pace[1:])])

    def moved(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.interp(seconds, grid, warped)

    return [replace(p, start_s=moved(p.start_s), end_s=moved(p.end_s)) for p in parts]


def _arranged(parts: list[Part], corpus: str, rng: Generator, plain: bool) -> tuple[list[Part], list[str]]:
    if not parts:
        return [], []
    lineup, luck = LINEUPS.get(corpus, "song"), rng.random()
    if plain or luck < 0.45:
        backing, lead = (KEYBOARD, KEYBOARD) if lineup == "keyboard" else (BACKING, SOLO)
        return parts, [_draw(lead if i == 0 else backing, rng) for i in range(len(parts))]
    tune = melody(parts)
    if luck < 0.6 or not len(tune):
        return [tune], [_draw(SOLO, rng)]
    if luck < 0.75:
        return [tune, bass(parts)], [_draw(SOLO, rng), "bass"]
    if luck < 0.9:
        return [tune, harmonised(tune, rng)], [_draw(SOLO, rng), _draw(BACKING, rng)]
    family = _draw(SOLO if rng.random() < 0.5 else KEYBOARD, rng)
    return parts, [family] * len(parts)


def _draw(weights: Mapping[str, float], rng: Generator) -> str:
    names = list(weights)
    p = np.array([weights[n] for n in names])
    return names[int(rng.choice(len(names), p=p / p.sum()))]
