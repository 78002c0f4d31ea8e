"""Label lists in a fixed order: what class number a text has never depends on the data at hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

import numpy as np
from mira.errors import DataError
from numpy.typing import NDArray

PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")

NO_CHORD = "N:-"

CHORDS = (*(f"{root}:maj" for root in PITCH_CLASSES), *(f"{root}:min" for root in PITCH_CLASSES), NO_CHORD)
"""The 25 chords by quality, then root from C upwards, so that a transposition is an addition modulo 12."""

GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
"""The genres of GTZAN."""

_TAGS = """
ambient, beat, beats, cello, choir, choral, classic, classical, country, dance, drums, electronic, fast,
female, female vocal, female voice, flute, guitar, harp, harpsichord, indian, loud, male, male vocal,
male voice, man, metal, new age, no vocal, no vocals, no voice, opera, piano, pop, quiet, rock, singing,
sitar, slow, soft, solo, strings, synth, techno, violin, vocal, vocals, voice, weird, woman
"""

MTT_TAGS = tuple(" ".join(_TAGS.split()).split(", "))
"""The 50 most used tags of MagnaTagATune."""


def label_index(label: object, labels: Sequence[str]) -> int:
    """Class number of a label.

    Raises
    ------
    DataError
        If the list does not hold it; the text names the nearest one that it does.
    """
    try:
        return labels.index(str(label))
    except ValueError:
        near = get_close_matches(str(label), labels, n=1)
        hint = f"; the nearest is '{near[0]}'" if near else ""
        raise DataError(f"label '{label}' is not among the {len(labels)} known ones{hint}") from None


def multi_hot(values: Iterable[object], labels: Sequence[str]) -> NDArray[np.float32]:
    """Shape (label,): 1 for each label that is among ``values``.

    Raises
    ------
    DataError
        If a value is not in the list.
    """
    target = np.zeros(len(labels), dtype=np.float32)
    for value in values:
        target[label_index(value, labels)] = 1
    return target


def untrained_labels(labels: Sequence[str], trained: Iterable[object]) -> list[str]:
    """Labels of the fixed list that no training item carries; scores on them say nothing about learning."""
    seen = {str(value) for value in trained}
    return [label for label in labels if label not in seen]


def transpose_chords(targets: NDArray[np.int64], semitones: int) -> NDArray[np.int64]:
    """Move class numbers of ``CHORDS`` by semitones; no-chord and ignored frames stay."""
    moved = targets // 12 * 12 + (targets + semitones) % 12
    return np.where((targets >= 0) & (targets < 24), moved, targets)
