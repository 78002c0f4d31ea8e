"""Scores on stored features: for sets whose audio nobody may have. An installed mira is enough for it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from mira.errors import UsageError
from mira.plugins import load_plugins

Scores = Mapping[str, Mapping[str, float]]
"""Measure -> ``score`` and its 95 % interval, ``low`` to ``high``."""


def evaluate_stored(task: str, folder: Path, fold: int, model: Path | None = None) -> Scores:
    """Score a model on stored features, by ``evaluate_features`` of the module ``stored.py`` of its plugin.

    Parameters
    ----------
    task
        Name of the task.
    folder, fold
        The features, and which part of them.
    model
        A model file; the installed one if not given.

    Raises
    ------
    UsageError
        If the task has no such features.
    DataError, ModelError
        If features or model cannot be used.
    """
    found = load_plugins().task(task)
    name = f"{found.decode.__module__}.stored"
    try:
        module = import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise UsageError(f"{task} cannot be scored on stored features; leave out --features") from None
    return module.evaluate_features(model or found.model, folder, fold)


def table(scores: Scores) -> str:
    """Text for people: a line for each measure."""
    return "\n".join(f"{n:10} {v['score']:.3f}  [{v['low']:.3f}, {v['high']:.3f}]" for n, v in scores.items())
