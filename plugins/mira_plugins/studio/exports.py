"""What is on screen, as a file; one that was edited says so where its format can, and in its name."""

from __future__ import annotations

import io
import os
from importlib.util import find_spec

from mira.plugins import load_plugins
from mira.results import Result
from mira.task import Task
from mira.writers import About, Writer, builtin_writers, find_writer

from mira_plugins.studio.edits import edited

MARK = "edited by hand in mira studio"


def formats(task: Task) -> list[dict[str, str]]:
    """Formats that a task's results can be written in here, by name and suffix; its own comes first."""
    able: dict[str, Writer] = {}
    for writer in _writers():
        if issubclass(task.result, writer.results) and all(map(find_spec, writer.needs)):
            able.setdefault(writer.name, writer)
    usual_first = sorted(able.values(), key=lambda writer: task.suffix not in writer.suffixes)
    return [{"name": writer.name, "suffix": writer.suffixes[0]} for writer in usual_first]


def export(result: Result, about: About, format: str, *, by_hand: bool) -> tuple[str, bytes]:
    """Name and bytes of a file.

    Raises
    ------
    UsageError
        If there is no such format for this result.
    OutputError
        If the format cannot hold it.
    """
    writer = find_writer(type(result), format=format, writers=_writers())
    stream = io.BytesIO()
    writer.write(result, stream, edited(about) if by_hand else about)
    stem = os.path.splitext(os.path.basename(about.path))[0]
    name = f"{stem}{' (edited)' if by_hand else ''}{writer.suffixes[0]}"
    return name, _marked(stream.getvalue(), writer.suffixes[0]) if by_hand else stream.getvalue()


def _marked(data: bytes, suffix: str) -> bytes:
    """Say that it was edited, in formats that have a place for it but do not write settings."""
    if suffix == ".mid":
        import mido

        file = mido.MidiFile(file=io.BytesIO(data))
        file.tracks[0].insert(1, mido.MetaMessage("text", text=MARK))
        stream = io.BytesIO()
        file.save(file=stream)
        return stream.getvalue()
    if suffix == ".cho":
        title, _, rest = data.partition(b"\n")
        return b"%s\n{comment: %s}\n%s" % (title, MARK.encode(), rest)
    return data


def _writers() -> tuple[Writer, ...]:
    return (*load_plugins().writers, *builtin_writers())
