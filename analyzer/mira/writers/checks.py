"""The last look at a result before it is written: what no format could hold is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mira.errors import OutputError
from mira.results import Notes, Result, Segments

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_COLUMNS = ("end_s", "pitch", "velocity", "confidence", "label", "freq_hz", "value", "sequence", "bends")
"""Fields that have one entry for each entry of ``start_s`` or ``time_s``."""


def check_result(result: Result) -> None:
    """Refuse a result that no format can hold.

    Raises
    ------
    OutputError
        If columns differ in length, a number is not finite, something ends before it starts (for notes: ends
        where it starts), or a note's pitch, velocity or program is not one of MIDI's.
    """
    _check_lengths(result)
    for name, numbers in _numbers(result):
        if not _finite(numbers):
            raise OutputError(f"{name} of the {result.kind} is not finite everywhere; nothing written")
    if isinstance(result, Segments):
        backwards = (result.start_s < 0) | (result.end_s < result.start_s)
        _refuse(backwards, result.start_s, "a segment starts before 0 s or ends before it starts")
    if isinstance(result, Notes):
        backwards = (result.start_s < 0) | (result.end_s <= result.start_s)
        _refuse(backwards, result.start_s, "a note starts before 0 s or ends before it has begun")
        _check_midi_numbers(result)


def _check_lengths(result: Result) -> None:
    times = getattr(result, "start_s", getattr(result, "time_s", None))
    for name in _COLUMNS:
        column = getattr(result, name, None)
        if column is not None and times is not None and len(column) != len(times):
            raise OutputError(
                f"{name} of the {result.kind} has {len(column)} values, not {len(times)}; nothing written"
            )


def _numbers(result: Result) -> Iterator[tuple[str, Any]]:
    """Yield (field, number or array) of everything numeric in a result."""
    for field in dataclasses.fields(result):
        value = getattr(result, field.name)
        if isinstance(value, Mapping):
            yield field.name, list(value.values())
        elif isinstance(value, tuple) and all(hasattr(part, "dtype") for part in value):
            yield from ((field.name, part) for part in value)
        elif isinstance(value, (int, float)) or hasattr(value, "dtype"):
            yield field.name, value


def _finite(numbers: Any) -> bool:
    import numpy as np

    return bool(np.all(np.isfinite(numbers)))


def _check_midi_numbers(notes: Notes) -> None:
    _refuse((notes.pitch < 0) | (notes.pitch > 127), notes.start_s, "a note's pitch is not 0 to 127")
    _refuse((notes.velocity < 1) | (notes.velocity > 127), notes.start_s, "a note's velocity is not 1 to 127")
    if not 0 <= notes.program <= 127:
        raise OutputError(f"the program is {notes.program}, but must be 0 to 127; nothing written")


def _refuse(wrong: NDArray[np.bool_], start_s: NDArray[np.float64], what: str) -> None:
    if wrong.any():
        raise OutputError(f"{what}, at {start_s[wrong.argmax()]:.3f} s; nothing written")
