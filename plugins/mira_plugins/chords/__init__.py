"""Chords and the key: ``mira chords``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mira.hooks import hookimpl
from mira.results import Chords
from mira.task import Activations, Task, setting

if TYPE_CHECKING:
    from mira.writers import Writer

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class ChordSettings:
    """What a user can say about chords."""

    vocab: str = setting(
        "full",
        "Chords told apart: majmin (major, minor), sevenths (also 7, maj7, min7), full (13 qualities)",
        choices=("majmin", "sevenths", "full"),
    )
    min_duration: float = setting(
        0.0, "No chord but the last is shorter", unit="s", minimum=0.0, maximum=10.0
    )
    detail: float = setting(0.5, "How readily the chord changes; 0.5 is as tuned", minimum=0.0, maximum=1.0)
    beats: str = setting("", "Text file with beat times in seconds, to which changes are moved")


def _decode(activations: Activations, settings: ChordSettings) -> Chords:
    """Chords from the network's activations."""
    from mira_plugins.chords.decode import decode_chords

    return decode_chords(activations, settings)


@hookimpl
def mira_tasks() -> Iterable[Task]:
    return [
        Task(
            name="chords",
            command="chords",
            summary="Write down the chords of a recording and its key.",
            settings=ChordSettings,
            result=Chords,
            decode=_decode,
            suffix=".lab",
            model=_FOLDER / "model.onnx",
        )
    ]


@hookimpl
def mira_writers() -> Iterable[Writer]:
    from mira_plugins.chords.writers import CHORDPRO, MIDI

    return [MIDI, CHORDPRO]


@hookimpl
def mira_recipes() -> Path:
    return _FOLDER / "recipes"
