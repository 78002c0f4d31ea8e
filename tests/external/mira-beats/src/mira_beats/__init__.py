"""A mira plugin: ``mira beats`` finds the beats of a recording."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, cast

from mira.hooks import hookimpl
from mira.results import Events, Result
from mira.task import Activations, Task, setting
from mira.writers import About, Writer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Settings:
    """What a user can say about beats."""

    min_bpm: float = setting(55.0, "Slowest tempo to think of", unit="bpm", minimum=20, maximum=400)
    max_bpm: float = setting(215.0, "Fastest tempo to think of", unit="bpm", minimum=20, maximum=400)
    tightness: float = setting(100.0, "How hard the beats hold on to the tempo", minimum=1, maximum=10000)


def activate(blocks: Iterable[NDArray[np.float32]], sample_rate: int) -> Activations:
    """Onset strength, a value each 10 ms."""
    from mira_beats.tracking import onset_strength

    return onset_strength(blocks, sample_rate)


def decode(activations: Activations, settings: Settings) -> Events:
    """Beats from onset strength."""
    from mira_beats.tracking import track

    return track(activations, settings)


def write(result: Result, stream: BinaryIO, about: About) -> None:
    """One line a beat: seconds, a tab, the label."""
    events = cast(Events, result)
    for time_s, label in zip(events.time_s, events.label):
        stream.write(f"{time_s:.3f}\t{label}\n".encode())


@hookimpl
def mira_tasks() -> Iterable[Task]:
    yield Task(
        name="beats",
        command="beats",
        summary="Find the beats of a recording with a steady tempo.",
        settings=Settings,
        result=Events,
        decode=decode,
        suffix=".beats.txt",
        activate=activate,
        sample_rate=16000,
    )


@hookimpl
def mira_writers() -> Iterable[Writer]:
    yield Writer("beats", (".beats.txt",), (Events,), write)
