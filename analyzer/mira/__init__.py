"""mira listens to music files and writes down what it hears.

``analyze`` and ``load_model`` are the two ways in from Python; ``mira --help`` is the way in from a shell.
Names are imported on first use, so that ``import mira`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mira.analysis import Model, analyze, load_model
    from mira.errors import MiraError
    from mira.results import Chords, Curve, Embedding, Events, MultiF0, Notes, Result, Segments, Tags
    from mira.task import Activations, Task, setting
    from mira.writers import Writer

_HOME = {
    "Model": "mira.analysis",
    "analyze": "mira.analysis",
    "load_model": "mira.analysis",
    "MiraError": "mira.errors",
    "Chords": "mira.results",
    "Curve": "mira.results",
    "Embedding": "mira.results",
    "Events": "mira.results",
    "MultiF0": "mira.results",
    "Notes": "mira.results",
    "Result": "mira.results",
    "Segments": "mira.results",
    "Tags": "mira.results",
    "Activations": "mira.task",
    "Task": "mira.task",
    "setting": "mira.task",
    "Writer": "mira.writers",
}

__all__ = [
    "Activations",
    "Chords",
    "Curve",
    "Embedding",
    "Events",
    "MiraError",
    "Model",
    "MultiF0",
    "Notes",
    "Result",
    "Segments",
    "Tags",
    "Task",
    "Writer",
    "__version__",
    "analyze",
    "load_model",
    "setting",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'mira' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
