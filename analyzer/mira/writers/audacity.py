"""Label tracks of Audacity (File > Import > Labels): start, end and text, tab-separated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from mira.results import Events, Notes, Result, Segments
from mira.writers import About, Writer
from mira.writers.checks import check_result
from mira.writers.text import note_name, one_line


def write(result: Result, stream: BinaryIO, about: About) -> None:
    """Write notes and segments as regions, events as points; notes carry their names."""
    check_result(result)
    for start, end, label in _labels(result):
        line = f"{start:.6f}\t{end:.6f}\t{one_line(label)}\n"
        stream.write(line.encode("utf-8", "backslashreplace"))


def _labels(result: Result) -> Iterator[tuple[float, float, str]]:
    match result:
        case Notes():
            names = [note_name(int(pitch)) for pitch in result.pitch]
            yield from zip(result.start_s, result.end_s, names)
        case Segments():
            yield from zip(result.start_s, result.end_s, result.label)
        case Events():
            yield from zip(result.time_s, result.time_s, result.label)


WRITER = Writer("audacity", (".txt",), (Notes, Segments, Events), write)
