"""Comma-separated tables with a header line, for spreadsheets and scripts.

Multiple pitches are the exception: their rows differ in length, so there is no header, but time and then the
frequencies in Hz, as ``mir_eval.io.load_ragged_time_series(path, delimiter=",")`` and MIREX read them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from functools import singledispatch
from numbers import Integral, Real
from typing import Any, BinaryIO

from mira.results import Curve, Embedding, Events, MultiF0, Notes, Result, Segments, Tags
from mira.writers import About, Writer
from mira.writers.checks import check_result
from mira.writers.text import note_name

Row = Iterable[Any]


def write(result: Result, stream: BinaryIO, about: About) -> None:
    """Write a result as a table: UTF-8, seconds and Hz with 6 decimals."""
    check_result(result)
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerows([_cell(value) for value in row] for row in rows(result))
    stream.write(text.getvalue().encode("utf-8", "backslashreplace"))


@singledispatch
def rows(result: Result) -> Iterator[Row]:
    """Yield the rows of a result's table, the header first."""
    raise NotImplementedError(result.kind)


@rows.register
def _(result: Notes) -> Iterator[Row]:
    yield "start_s", "end_s", "pitch", "note", "velocity", "confidence"
    names = [note_name(int(pitch)) for pitch in result.pitch]
    pitches, velocities = result.pitch.astype(int), result.velocity.astype(int)
    yield from zip(result.start_s, result.end_s, pitches, names, velocities, result.confidence)


@rows.register
def _(result: MultiF0) -> Iterator[Row]:
    yield from ((time, *frequencies) for time, frequencies in zip(result.time_s, result.freq_hz))


@rows.register
def _(result: Segments) -> Iterator[Row]:
    yield "start_s", "end_s", "label", "confidence"
    yield from zip(result.start_s, result.end_s, result.label, result.confidence)


@rows.register
def _(result: Events) -> Iterator[Row]:
    yield "time_s", "label"
    yield from zip(result.time_s, result.label)


@rows.register
def _(result: Curve) -> Iterator[Row]:
    yield "time_s", f"value ({result.unit})" if result.unit else "value"
    yield from zip(result.time_s, result.value)


@rows.register
def _(result: Tags) -> Iterator[Row]:
    yield "group", "tag", "probability"
    yield from (("genre", name, p) for name, p in result.genre.items())
    yield from (("instrument", name, p) for name, p in result.instruments.items())
    yield "voice", "voice", result.voice
    yield from (("family", name, p) for name, p in (result.families or {}).items())
    yield from (("own", name, p) for name, p in (result.own or {}).items())


@rows.register
def _(result: Embedding) -> Iterator[Row]:
    """The vector of the whole recording is the row without a time."""
    yield "time_s", *(f"d{i}" for i in range(len(result.vector)))
    yield "", *result.vector
    yield from ((time, *vector) for time, vector in zip(result.time_s, result.sequence))


def _cell(value: Any) -> Any:
    """Numbers with a decimal point get 6 digits after it; everything else stays."""
    return f"{value:.6f}" if isinstance(value, Real) and not isinstance(value, Integral) else value


WRITER = Writer("csv", (".csv",), (Notes, MultiF0, Segments, Events, Curve, Tags, Embedding), write)
