"""How the book's tagging rows are trained: a genre, or any number of tags, for a whole recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mira.errors import DataError
from mira_train.data.labels import GENRES, MTT_TAGS, label_index, multi_hot
from mira_train.learner import Supervised
from mira_train.metrics import classes, tags
from mira_train.patches import DataModule, Target
from mira_train.recipe import Recipe
from mira_train.sets import Recording
from mira_train.shipment import Shipment, shipment
from numpy.typing import NDArray
from torch import nn


def labels_of(recipe: Recipe) -> tuple[str, ...]:
    """The fixed list of labels that the recipe's network knows."""
    return MTT_TAGS if recipe.training.loss.type == "bce" else GENRES


def data_module(recipe: Recipe, sets: Sequence[str], *, workers: int = 0) -> DataModule:
    """Patches with the labels of their recordings."""
    return DataModule(recipe, sets, label_target(recipe), workers=workers)


def label_target(recipe: Recipe) -> Target:
    """One class where the loss is the cross entropy, else a 0 or 1 for each label."""
    labels, name = labels_of(recipe), recipe.data.target

    def target(recording: Recording, frames: int, hop_s: float) -> NDArray[Any]:
        values = [atom.value for atom in recording.entry[name]]
        try:
            if recipe.training.loss.type == "bce":
                return multi_hot(values, labels)
            return np.array(label_index(values[0], labels))
        except DataError as error:
            raise DataError(f"{recording.name}: {name}: {error}") from error

    return Target(target, in_time=False)


def lightning_module(recipe: Recipe) -> Supervised:
    """Scores are of whole recordings: the mean of their patches."""
    return Supervised(recipe, measure_of(recipe))


def measure_of(recipe: Recipe) -> Any:
    """Mean average precision and area under the curve of tags; recall and accuracy of a genre."""
    labels = labels_of(recipe)

    def measure(outputs: NDArray[np.float32], targets: NDArray[Any]) -> Mapping[str, float]:
        chances = outputs.astype(float)
        if recipe.training.loss.type == "bce":
            return tags(chances, targets.astype(np.int64), labels)[0]
        return classes(chances, targets, labels)[0]

    return measure


def shipped(recipe: Recipe, net: nn.Module) -> Shipment:
    """Probabilities of the labels."""
    return shipment(recipe, net, labels_of(recipe))
