"""How the embedding is scored from audio: what a linear probe and near neighbours know of the genre."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from mira.analysis import Model
from mira.errors import DataError
from mira.results import Embedding
from mira.task import Activations
from mira_train import plots as pictures
from mira_train.evaluate import Track, listener_of
from mira_train.metrics import Scores
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from mira_plugins.tagging import evaluation as tagging

NEIGHBOURS, FOLDS = 5, 5

Floats = NDArray[np.float64]


def tracks(names: Sequence[str]) -> list[Track]:
    """Recordings of folders whose ``index.csv`` has ``path`` and ``genre``.

    Raises
    ------
    DataError
        If there is no genre in them.
    """
    found = [track for track in tagging.tracks(names) if track.truth.genre is not None]
    if not found:
        raise DataError(f"{', '.join(names)}: no recording has a genre, which a probe of the embedding needs")
    return found


def score(track: Track, model: Model, activations: Activations) -> Scores:
    """Nothing: one vector alone cannot be right or wrong."""
    return {}


def together(heard: Sequence[tuple[Track, Activations]], model: Model) -> Scores:
    """Accuracy of genres by a linear probe in five folds, and by the nearest of the other recordings."""
    vectors = np.stack([vector_of(model, activations) for _, activations in heard])
    truth = np.array([track.truth.genre for track, _ in heard])
    scores = {"neighbours": float(np.mean(neighbours(vectors, truth) == truth))}
    if np.unique(truth, return_counts=True)[1].min() >= FOLDS:
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
        found = cross_val_predict(probe(), vectors, truth, cv=folds)
        scores["probe"] = float(np.mean(found == truth))
    return scores


def draw(heard: Iterator[tuple[Track, Activations]], model: Path, folder: Path) -> None:
    """Draw the vectors in the plane of their largest variance, a colour for each genre."""
    listener = listener_of("ssl_embed", model)
    pairs = [(vector_of(listener, activations), track.truth.genre) for track, activations in heard]
    vectors, genres = zip(*pairs, strict=True)
    pictures.embedding_map(folder / "embeddings.png", np.stack(vectors), genres)


def probe() -> LogisticRegression:
    """The linear probe."""
    return LogisticRegression(C=10.0, max_iter=500)


def neighbours(vectors: Floats, labels: NDArray[np.str_]) -> NDArray[np.str_]:
    """The commonest label of the five nearest others of each vector; of the nearest, where they tie."""
    likeness = vectors @ vectors.T
    np.fill_diagonal(likeness, -np.inf)
    found = []
    for row in likeness:
        near = labels[np.argsort(row)[::-1][:NEIGHBOURS]].tolist()
        found.append(max(near, key=near.count))
    return np.array(found)


def vector_of(model: Model, activations: Activations) -> Floats:
    """Vector of a recording, of length 1."""
    heard = model.decode(activations, sequence=False)
    assert isinstance(heard, Embedding)
    return np.asarray(heard.vector, float)
