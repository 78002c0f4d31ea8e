"""Notes of any instrument (multi-pitch estimation): ``mira transcribe``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from mira.hooks import hookimpl
from mira.results import Notes, Result
from mira.task import Activations, Task, setting
from mira.writers import About, Writer

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class TranscribeSettings:
    """What a user can say about a transcription."""

    sensitivity: float = setting(
        0.5, "How readily faint notes are written down; 0.5 is as tuned", minimum=0.0, maximum=1.0
    )
    min_note: float = setting(0.05, "Drop shorter notes", unit="s", minimum=0.0, maximum=10.0)
    lowest: int = setting(21, "Lowest MIDI pitch to write", minimum=0, maximum=127)
    highest: int = setting(108, "Highest MIDI pitch to write", minimum=0, maximum=127)
    monophonic: bool = setting(False, "One note at a time, as for a voice or a flute")
    bends: bool = setting(False, "Write pitch bends into MIDI files: vibrato, glides, tuning")
    quantize: float = setting(
        0.0, "Move notes to sixteenths at this tempo; 0 moves none", unit="bpm", minimum=0.0, maximum=960.0
    )
    tempo: float = setting(
        120.0, "Tempo in the MIDI header; it moves no note", unit="bpm", minimum=4.0, maximum=960.0
    )
    program: int = setting(0, "General MIDI program of the MIDI track", minimum=0, maximum=127)


def _decode(activations: Activations, settings: TranscribeSettings) -> Notes:
    """Notes from the network's activations."""
    from mira_plugins.mpe.decode import decode_notes

    return decode_notes(activations, settings)


@hookimpl
def mira_tasks() -> Iterable[Task]:
    return [
        Task(
            name="mpe",
            command="transcribe",
            summary="Write down the notes of a recording, of any instrument.",
            settings=TranscribeSettings,
            result=Notes,
            decode=_decode,
            suffix=".mid",
            model=_FOLDER / "model.onnx",
            files={"f0": "Write the pitches that sound, in Hz, every 10 ms, into this .csv file."},
        )
    ]


def _write_f0(result: Result, stream: BinaryIO, about: About) -> None:
    from mira.writers import csv

    from mira_plugins.mpe.pitches import sounding_pitches

    csv.write(sounding_pitches(cast(Notes, result)), stream, about)


@hookimpl
def mira_writers() -> Iterable[Writer]:
    return [Writer("f0", (".f0.csv",), (Notes,), _write_f0)]


@hookimpl
def mira_recipes() -> Path:
    return _FOLDER / "recipes"
