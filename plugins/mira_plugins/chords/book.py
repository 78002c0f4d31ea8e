"""How the book's chord row is trained: a class of 25 for each frame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mira.errors import DataError
from mira_train.data.labels import CHORDS
from mira_train.data.targets import segment_targets
from mira_train.learner import Supervised
from mira_train.patches import DataModule, Target
from mira_train.recipe import Recipe
from mira_train.sets import Recording
from mira_train.shipment import Shipment, shipment
from numpy.typing import NDArray
from torch import nn


def data_module(recipe: Recipe, sets: Sequence[str], *, workers: int = 0) -> DataModule:
    """Patches with a chord for each frame."""

    def target(recording: Recording, frames: int, hop_s: float) -> NDArray[Any]:
        return chord_frames(recording, recipe.data.target, frames, hop_s)

    return DataModule(recipe, sets, Target(target, in_time=True), workers=workers)


def chord_frames(recording: Recording, name: str, frames: int, hop_s: float) -> NDArray[np.int64]:
    """Class of each frame, of the segments annotated under ``name``; frames between them are left out."""
    atoms = recording.entry[name]
    start_s = [float(atom.times[0]) for atom in atoms]
    end_s = [atom.end_s for atom in atoms]
    try:
        return segment_targets(start_s, end_s, [atom.value for atom in atoms], frames, hop_s, CHORDS)
    except DataError as error:
        raise DataError(f"{recording.name}: {name}: {error}") from error


def lightning_module(recipe: Recipe, encoder: Path | None = None) -> Supervised:
    """Cross entropy frame by frame."""
    return Supervised(recipe)


def shipped(recipe: Recipe, net: nn.Module) -> Shipment:
    """Chord probabilities for each frame."""
    return shipment(recipe, net, CHORDS)
