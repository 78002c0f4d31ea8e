"""How the book's tagging rows are scored: one decision a recording, the mean of its patches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from mira.analysis import Model
from mira.card import read_card
from mira.task import Activations
from mira_train import plots
from mira_train.data.labels import label_index, multi_hot
from mira_train.evaluate import Track, samples_of
from mira_train.metrics import Scores
from mira_train.sets import find_sets, recordings
from numpy.typing import NDArray

_LONG = 64
"""Taps from which on a convolution of the waveform counts as a filter bank."""


def tracks(names: Sequence[str]) -> list[Track]:
    """Recordings of data sets with ``genre`` or ``tag``; the truth is the list of their values."""
    found = []
    for item in recordings(find_sets(names)):
        values = [str(atom.value) for name in ("genre", "tag") for atom in item.entry[name]]
        found.append(Track(item.key, item.dataset.name, samples_of(item), values))
    return found


def score(track: Track, model: Model, activations: Activations) -> Scores:
    """``accuracy`` of a genre; ``precision`` at as many tags as are true."""
    probability, labels = _mean(activations, model.task.model)
    if "genre" in activations.arrays:
        return {"accuracy": float(labels[int(probability.argmax())] == track.truth[0])}
    truth = multi_hot(track.truth, labels)
    best = np.argsort(probability)[::-1][: int(truth.sum())]
    return {"precision": float(truth[best].mean())}


def draw(heard: Iterator[tuple[Track, Activations]], model: Path, folder: Path) -> None:
    """Draw what each patch says, the confusion of genres, and the filters that were learned."""
    counts: NDArray[np.float64] | None = None
    for track, activations in heard:
        probability, labels = _mean(activations, model)
        [shown] = activations.arrays.values()
        name = track.name.replace("/", "+++")
        plots.tagogram(folder / f"{name}.png", np.asarray(shown, float), labels, activations.hop_s)
        if "genre" in activations.arrays:
            counts = np.zeros((len(labels), len(labels))) if counts is None else counts
            counts[label_index(track.truth[0], labels), int(probability.argmax())] += 1
    if counts is not None:
        plots.confusion(folder / "confusion.png", counts, read_card(model).labels["genre"])
    for tensor in onnx.load(model).graph.initializer:
        if len(tensor.dims) == 3 and tensor.dims[1] == 1 and tensor.dims[2] >= _LONG:
            taps = onnx.numpy_helper.to_array(tensor)[:, 0]
            plots.filters(folder / "filters.png", taps, read_card(model).sample_rate)


def _mean(activations: Activations, model: Path | None) -> tuple[NDArray[np.float64], list[str]]:
    """Probability of each label over all patches, and the labels."""
    assert model is not None
    [(name, values)] = activations.arrays.items()
    return np.asarray(values, float).mean(0), read_card(model).labels[name]
