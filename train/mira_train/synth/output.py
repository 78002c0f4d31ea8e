"""Labelled clips become a data set: ``NAME.pyjama`` and ``NAME_audio.hdf5``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mira_train.data.convert import audio_file_of
from mira_train.data.entries import FILEPATH, Atom, Definition
from mira_train.data.hdf5 import AudioWriter
from mira_train.data.pyjama import PyjamaWriter

MANIFEST = "manifest.json"
"""Lists, beside a rendered set, its sources and their licences."""
DEFINITIONS: Mapping[str, Definition] = {
    FILEPATH: Definition("global", constraint="filepath"),
    "work": Definition("global"),
    "instrument": Definition("global"),
    "pitchmidi": Definition("segment", content="numeric"),
    "velocity": Definition("segment", content="numeric"),
    "chord": Definition("segment"),
    "genre": Definition("global"),
    "codec": Definition("global"),
}
"""What rendered sets say of a clip; ``velocity`` has a segment for each of ``pitchmidi``, 0 where unknown."""


@dataclass(frozen=True, eq=False)
class LabelledClip:
    """One recording of the set to be.

    Parameters
    ----------
    key
        Its name.
    audio, sample_rate
        Shape (sample,), and Hz.
    notes
        Rows of onset and end in seconds, MIDI pitch, velocity.
    chords
        Rows of start and end in seconds, label.
    about
        Values of ``work``, ``instrument``, ``genre``, ``codec``.
    """

    key: str
    audio: NDArray[np.float32]
    sample_rate: int
    notes: Sequence[tuple[float, float, float, int]] = ()
    chords: Sequence[tuple[float, float, str]] = ()
    about: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def annotations(self) -> dict[str, list[Atom]]:
        """As the .pyjama file holds them."""
        out: dict[str, list[Atom]] = {FILEPATH: [Atom(self.key)]}
        out |= {name: [Atom(value) for value in values] for name, values in self.about.items()}
        out["pitchmidi"] = [_segment(start, end, pitch) for start, end, pitch, _ in self.notes]
        out["velocity"] = [_segment(start, end, velocity) for start, end, _, velocity in self.notes]
        out["chord"] = [_segment(start, end, label) for start, end, label in self.chords]
        return {name: atoms for name, atoms in out.items() if atoms}


def write_set(path: Path, clips: Iterable[LabelledClip], *, force: bool = False) -> int:
    """Write clips as they come; the files appear when all are there.

    Parameters
    ----------
    path
        The .pyjama file; its audio file lies beside it.
    clips
        In the order in which they are to be stored.
    force
        Replace existing files.

    Returns
    -------
    int
        How many there were.
    """
    count = 0
    with (
        AudioWriter(audio_file_of(path), force=force) as audio,
        PyjamaWriter(path, DEFINITIONS, force=force) as entries,
    ):
        for clip in clips:
            audio.add(clip.key, clip.sample_rate, [clip.audio])
            entries.write(clip.annotations())
            count += 1
    return count


def _segment(start_s: float, end_s: float, value: Any) -> Atom:
    return Atom(value, round(float(start_s), 6), round(float(end_s) - float(start_s), 6))
