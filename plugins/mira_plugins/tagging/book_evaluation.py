"""How the book's tagging rows are scored: one decision a recording, the mean of its patches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from mira.card import read_card
from mira_train import plots as pictures
from mira_train.data.labels import label_index, multi_hot
from mira_train.evaluate import Row, listener_of, samples_of
from mira_train.metrics import Scores, classes, tags
from mira_train.sets import Recording
from numpy.typing import NDArray

_LONG = 64
"""Taps from which on a convolution of the waveform counts as a filter bank."""

Floats = NDArray[np.float64]


def scored(
    items: Sequence[Recording], model: Path, plots: Path | None = None, task: str = "tagging"
) -> tuple[list[Row], Scores]:
    """Scores of models whose output is called ``genre`` or ``tag``, as the annotation that it learned from.

    ``accuracy`` of a genre, ``precision`` at as many tags as are true; together the macro recall, or the mean
    average precision and the area under the curve over the tags that can be scored.
    """
    card, listener = read_card(model), listener_of(task, model)
    name = card.outputs[0].name
    labels = card.labels[name]
    rows, chances, truths = [], [], []
    for item in items:
        values = [str(atom.value) for atom in item.entry[name]]
        if not values:
            continue
        heard = listener.activations(*samples_of(item)())
        patches = np.asarray(heard.arrays[name], float)
        chances.append(patches.mean(0))
        truths.append(label_index(values[0], labels) if name == "genre" else multi_hot(values, labels))
        rows.append(Row(item.key, item.dataset.name, _one(chances[-1], truths[-1])))
        if plots is not None:
            picture = plots / f"{item.key.replace('/', '+++')}.png"
            pictures.tagogram(picture, patches, labels, heard.hop_s)
    chance, truth = np.stack(chances), np.array(truths, np.int64)
    count = classes if name == "genre" else tags
    together, absent = count(chance, truth, labels)
    if plots is not None:
        _draw(chance, truth, labels, model, plots)
    return rows, {**together, "labels": float(len(labels) - len(absent))}


def _one(chance: Floats, truth: int | NDArray[np.float32]) -> Scores:
    if isinstance(truth, int):
        return {"accuracy": float(chance.argmax() == truth)}
    return {"precision": precision(chance, truth)}


def precision(chance: Floats, truth: NDArray[Any]) -> float:
    """Of as many labels as are true, the likeliest: the share that is."""
    best = np.argsort(chance)[::-1][: int(truth.sum())]
    return float(truth[best].mean())


def _draw(chance: Floats, truth: NDArray[np.int64], labels: Sequence[str], model: Path, folder: Path) -> None:
    """Draw the confusion of classes, and the filters that were learned on the waveform."""
    if truth.ndim == 1:
        counts = np.zeros((len(labels), len(labels)))
        np.add.at(counts, (truth, chance.argmax(1)), 1)
        pictures.confusion(folder / "confusion.png", counts, labels)
    for tensor in onnx.load(model).graph.initializer:
        if len(tensor.dims) == 3 and tensor.dims[1] == 1 and tensor.dims[2] >= _LONG:
            taps = onnx.numpy_helper.to_array(tensor)[:, 0]
            pictures.filters(folder / "filters.png", taps, read_card(model).sample_rate)
