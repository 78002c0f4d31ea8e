"""How the book's cover rows are scored: each performance asks for the others of its work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mira.errors import DataError
from mira_train import plots as pictures
from mira_train.data.hdf5 import FeatureReader
from mira_train.evaluate import Row
from mira_train.feature_model import FeatureModel
from mira_train.metrics import Scores, ranking
from mira_train.mining import distances
from mira_train.sets import Recording

LEAST = 196
"""Frames that the book's kernels need."""
_SHOWN = 20
"""Works in the picture."""


def scored(items: Sequence[Recording], model: Path, plots: Path | None = None) -> tuple[list[Row], Scores]:
    """Ranking scores of each query, over whole songs; a work without a second performance does not ask.

    Raises
    ------
    DataError
        If a recording belongs to no work, or no work has two performances.
    """
    listen, embeddings, works = FeatureModel(model, LEAST), [], []
    for item in items:
        if not item.entry["work-id"]:
            raise DataError(f"{item.name}: has no annotation 'work-id', so nobody knows its versions")
        works.append(f"{item.dataset.name}/{item.entry['work-id'][0].value}")
        with FeatureReader(item.samples) as reader:
            embeddings.append(listen(reader.read(item.key)))
    vectors = np.stack(embeddings)
    found = ranking(distances(torch.from_numpy(vectors)).double().numpy(), works)
    asked = [item for item, work in zip(items, works) if works.count(work) > 1]
    rows = [
        Row(item.key, item.dataset.name, {name: float(values[i]) for name, values in found.scores.items()})
        for i, item in enumerate(asked)
    ]
    if plots is not None:
        shown = sorted({w for w in works if works.count(w) > 1})[:_SHOWN]
        chosen = [i for i, work in enumerate(works) if work in shown]
        labels = [works[i].partition("/")[2] for i in chosen]
        pictures.embedding_map(plots / "embeddings.png", vectors[chosen], labels)
    return rows, {"queries": float(len(rows)), "skipped": float(found.skipped)}
