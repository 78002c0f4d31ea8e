"""How the search for covers is scored: every recording asks for the others of its work."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mira.analysis import Model
from mira.errors import DataError
from mira.task import Activations
from mira.writers.text import printable
from mira_train.evaluate import Row, Track
from mira_train.metrics import ranking

from mira_plugins.cover import CoverPrint
from mira_plugins.cover.alignment import align
from mira_plugins.cover.fingerprint import Floats, print_of
from mira_plugins.cover.search import Scores, fit, similarity


def tracks(names: Sequence[str]) -> list[Track]:
    """Recordings of folders with an ``index.csv`` (columns ``path`` and ``work``); the truth is the work."""
    found = []
    for folder in map(Path, names):
        if not (folder / "index.csv").is_file():
            raise DataError(f"{printable(str(folder))}: no index.csv with the columns path and work in it")
        with open(folder / "index.csv", newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        if not rows or not {"path", "work"} <= set(rows[0]):
            raise DataError(
                f"{printable(str(folder / 'index.csv'))}: line 1: it needs the columns path and work"
            )
        found += [Track(row["path"], "all", folder / row["path"], row["work"]) for row in rows]
    return found


def rows(heard: Sequence[tuple[Track, Activations]], model: Model) -> list[Row]:
    """Scores of each recording that has a second version.

    ``map``, ``mrr``, ``mr1``, ``p@1``, ``p@5``, ``p@10``, ``ndcg`` of the whole search, and ``vector_map`` of
    the vectors alone.
    """
    assert model.task.model is not None
    prints = [print_of(activations, model.task.model) for _, activations in heard]
    works = [track.truth for track, _ in heard]
    aligned, alike = matrices(prints)
    best = fit(aligned, alike, model.task.model)
    scores = {**ranking(-best, works).scores, "vector_map": ranking(-alike, works).scores["map"]}
    asked = [track for track, _ in heard if works.count(track.truth) > 1]
    return [
        Row(track.name, track.family, {name: float(values[i]) for name, values in scores.items()})
        for i, track in enumerate(asked)
    ]


def matrices(prints: Sequence[CoverPrint]) -> tuple[Scores, Scores]:
    """How all pairs align and how alike their vectors are, shape (query, track)."""
    alike = np.array([[similarity(one, other) for other in prints] for one in prints])
    return alignments([p.frames for p in prints]), alike


def alignments(frames: Sequence[Floats]) -> Scores:
    """How all pairs align, shape (query, track)."""
    return np.array([[match.score for match in align(one, frames)] for one in frames])
