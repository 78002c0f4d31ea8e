"""From a query to its matches: candidates by vector, then each aligned, then a probability."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from mira.card import read_card
from mira.errors import ModelError
from mira.writers.text import printable
from numpy.typing import NDArray

from mira_plugins.cover import MODEL, CoverPrint
from mira_plugins.cover.alignment import Match, align, paths
from mira_plugins.cover.index import Index

Scores = NDArray[np.float64]

ALIGNED: Final = 200
"""Candidates that are aligned at least."""
_SHOWN: Final = 0.05
"""Matches less probable than this have no stretch in common that is worth naming."""


@dataclass(frozen=True)
class Span:
    """A stretch of the query and the stretch of the match that it is, in seconds.

    ``faster`` is by how much the query is played faster, in percent; negative if slower.
    """

    query_s: tuple[float, float]
    match_s: tuple[float, float]
    faster: float


@dataclass(frozen=True)
class Found:
    """A track that a query matches.

    Parameters
    ----------
    path
        Of the track.
    score
        How well it fits; what matches are sorted by.
    probability
        That both are of one work.
    transposition
        Semitones from the track up to the query.
    spans
        Where they are the same, the longest first.
    """

    path: str
    score: float
    probability: float
    transposition: int
    spans: tuple[Span, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        spans = [
            {"query": list(s.query_s), "match": list(s.match_s), "faster_percent": s.faster}
            for s in self.spans
        ]
        return {
            "path": self.path,
            "score": round(self.score, 4),
            "probability": round(self.probability, 4),
            "transposition": self.transposition,
            "spans": spans,
        }


def query(
    index: Index, asked: CoverPrint, content: str, *, top: int = 10, threshold: float = 0.0
) -> list[Found]:
    """The best matches of a recording, best first.

    Parameters
    ----------
    index
        Where to look.
    asked
        The recording.
    content
        SHA-256 of its bytes; tracks of the same are left out.
    top, threshold
        How many, and how probable they must be.
    """
    ids = index.nearest(asked.vector, max(ALIGNED, top) + 1)
    tracks = [track for track in index.prints(list(dict.fromkeys(ids))) if track[2] != content]
    if not tracks:
        return []
    matches = align(asked.frames, [track[3].frames for track in tracks])
    alike = np.array([similarity(asked, track[3]) for track in tracks])
    scores = fit(np.array([match.score for match in matches]), alike)
    found = []
    for i in np.argsort(-scores, kind="stable")[:top]:
        chance = probability(float(scores[i]))
        if chance < threshold:
            break
        _, path, _, theirs = tracks[i]
        spans = _spans(asked, theirs, matches[i]) if chance >= _SHOWN else ()
        found.append(Found(path, float(scores[i]), chance, matches[i].transposition, spans))
    return found


def pairs(index: Index, ids: Sequence[int], threshold: float) -> Iterator[tuple[int, int, float]]:
    """Pairs of tracks that are of one work with at least this probability, each once."""
    numbers = index.catalogue.paths()
    seen: set[tuple[int, int]] = set()
    for number, _, content, asked in index.prints(list(ids)):
        for match in query(index, asked, content, top=ALIGNED, threshold=threshold):
            other = numbers.get(match.path, number)
            pair = (min(number, other), max(number, other))
            if other != number and pair not in seen:
                seen.add(pair)
                yield *pair, match.probability


def similarity(ours: CoverPrint, theirs: CoverPrint) -> float:
    """Mean of the cosines of the two vectors and of the two stretches that are likest."""
    return float(ours.vector @ theirs.vector + (ours.sequence @ theirs.sequence.T).max()) / 2


def probability(score: float) -> float:
    """That two recordings are of one work; fitted on validation works, in the model's card."""
    told = _calibration(MODEL)
    return float(1 / (1 + np.exp(-np.clip(told["slope"] * score + told["offset"], -30, 30))))


@cache
def _calibration(model: Path) -> dict[str, float]:
    """What the card says of scores.

    Raises
    ------
    ModelError
        If it says nothing.
    """
    told = read_card(model).calibration
    if not told:
        raise ModelError(
            f"{printable(str(model))}: not calibrated yet; python -m mira_plugins.cover.tuning does it"
        )
    return {name: float(value) for name, value in told.items()}


def fit(aligned: Scores, alike: Scores, model: Path = MODEL) -> Scores:
    """How well recordings fit: how they align, and a share of how alike their vectors are."""
    return aligned + _calibration(model)["similarity"] * alike


def _spans(ours: CoverPrint, theirs: CoverPrint, match: Match) -> tuple[Span, ...]:
    return tuple(
        Span(first, second, round(100 * ((second[1] - second[0]) / (first[1] - first[0]) - 1), 1))
        for path in paths(ours.frames, theirs.frames, match)
        for first in [_seconds(path.query, ours)]
        for second in [_seconds(path.candidate, theirs)]
    )


def _seconds(frames: tuple[float, float], of: CoverPrint) -> tuple[float, float]:
    start, end = frames[0] * of.frame_s, min((frames[1] + 1) * of.frame_s, of.duration_s)
    return round(start, 2), round(end, 2)
