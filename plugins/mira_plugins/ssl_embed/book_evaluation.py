"""How the book's embedding is scored: by what a linear probe on it knows of recordings it has not seen."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mira.card import read_card
from mira.errors import DataError
from mira_train import plots as pictures
from mira_train.evaluate import Row, listener_of, samples_of
from mira_train.metrics import Scores, tags
from mira_train.recipe import SplitRule
from mira_train.sets import Recording, divide
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from mira_plugins.tagging import book_evaluation as tagging

_RULE = SplitRule("group", valid=0.0, test=0.3)
_LABELS = ("tag", "genre")

Floats = NDArray[np.float64]


def scored(items: Sequence[Recording], model: Path, plots: Path | None = None) -> tuple[list[Row], Scores]:
    """A probe's own scores; of an encoder those of a probe that is trained here, on seven tenths of the sets.

    The embedding of a recording is the mean of its patches, at length 1.

    Raises
    ------
    DataError
        If no recording has a label, or none can be probed.
    """
    if "embedding" not in {output.name for output in read_card(model).outputs}:
        return tagging.scored(items, model, plots, task="ssl_embed")
    values = {item.name: [str(a.value) for n in _LABELS for a in item.entry[n]] for item in items}
    items = [item for item in items if values[item.name]]
    if not items:
        raise DataError("no recording has a tag or a genre, which a probe of the embedding needs")
    labels = sorted({value for item in items for value in values[item.name]})
    truth = np.array([[label in values[item.name] for label in labels] for item in items], np.int64)
    vectors = _embeddings(items, model)
    test = np.isin([item.name for item in items], divide(items, _RULE).test)
    chance = _probe(vectors[~test], truth[~test], vectors[test])
    together, absent = tags(chance, truth[test], labels)
    if plots is not None:
        pictures.embedding_map(plots / "embeddings.png", vectors, [values[item.name][0] for item in items])
    held = [item for item, out in zip(items, test) if out]
    rows = [
        Row(item.key, item.dataset.name, {"precision": tagging.precision(row, wanted)})
        for item, row, wanted in zip(held, chance, truth[test])
    ]
    probed = {f"probe_{name}": value for name, value in together.items()}
    return rows, {**probed, "labels": float(len(labels) - len(absent))}


def _embeddings(items: Sequence[Recording], model: Path) -> Floats:
    listener = listener_of("ssl_embed", model)
    heard = (listener.activations(*samples_of(item)()).arrays["embedding"] for item in items)
    vectors = np.stack([np.asarray(patches, float).mean(0) for patches in heard])
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def _probe(known: Floats, truth: NDArray[np.int64], asked: Floats) -> Floats:
    """Chance of each label by a logistic regression; where all or none have the label, its share."""
    chance = np.tile(truth.mean(0), (len(asked), 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for i, column in enumerate(truth.T):
            if 0 < column.sum() < len(column):
                probe = LogisticRegression(C=100.0, max_iter=300).fit(known, column)
                chance[:, i] = probe.predict_proba(asked)[:, 1]
    return chance
