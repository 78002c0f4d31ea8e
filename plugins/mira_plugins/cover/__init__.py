"""Versions of a song in a collection: ``mira cover-index``; and what they are compared by: ``mira cover``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mira.hooks import hookimpl
from mira.results import Embedding
from mira.task import Activations, Task

if TYPE_CHECKING:
    import numpy as np
    import typer
    from numpy.typing import NDArray

_FOLDER = Path(__file__).parent
MODEL = _FOLDER / "model.onnx"


@dataclass(frozen=True, eq=False)
class CoverPrint(Embedding):
    """What a recording is compared by; ``vector`` is for all of it, ``sequence`` for stretches of it.

    Parameters
    ----------
    frames
        Shape (frame, 12), pitch classes from C, rows of length 1, or 0 where nothing sounds.
    frame_s
        Seconds from one frame to the next.
    """

    kind: ClassVar[str] = "cover"
    frames: NDArray[np.float32]
    frame_s: float


@dataclass(frozen=True)
class CoverSettings:
    """There is nothing to set."""


def _measure(blocks: Iterable[NDArray[np.float32]], sample_rate: int) -> Activations:
    """Only the length counts here: what there is to hear comes from the chords' activations."""
    samples = sum(len(block) for block in blocks)
    return Activations({}, sample_rate, sample_rate, samples / sample_rate)


def _decode(activations: Activations, settings: CoverSettings) -> CoverPrint:
    from mira_plugins.cover.fingerprint import print_of

    return print_of(activations)


@hookimpl
def mira_tasks() -> Iterable[Task]:
    return [
        Task(
            name="cover",
            command="cover",
            summary="Write down what a recording is compared by, to find its versions.",
            settings=CoverSettings,
            result=CoverPrint,
            decode=_decode,
            suffix=".json",
            model=MODEL,
            activate=_measure,
            sample_rate=44100,
            needs=("chords",),
        )
    ]


@hookimpl
def mira_commands(app: typer.Typer) -> None:
    """Add ``mira cover-index``."""
    from mira_plugins.cover.commands import make_app

    app.add_typer(make_app(), name="cover-index")


@hookimpl
def mira_recipes() -> Path:
    return _FOLDER / "recipes"
