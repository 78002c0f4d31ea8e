"""Label files of segments: start, end and label, tab-separated, as MIREX and ``mir_eval`` read them."""

from __future__ import annotations

from typing import BinaryIO, cast

from mira.results import Result, Segments
from mira.writers import About, Writer
from mira.writers.checks import check_result
from mira.writers.text import one_line


def write(result: Result, stream: BinaryIO, about: About) -> None:
    """Write one line for each segment, seconds with 6 decimals."""
    segments = cast(Segments, result)
    check_result(segments)
    for start, end, label in zip(segments.start_s, segments.end_s, segments.label):
        line = f"{start:.6f}\t{end:.6f}\t{one_line(label)}\n"
        stream.write(line.encode("utf-8", "backslashreplace"))


WRITER = Writer("lab", (".lab",), (Segments,), write)
