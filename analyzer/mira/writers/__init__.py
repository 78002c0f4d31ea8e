"""Output formats: one module each, found by suffix and result type.

A writer is data and one function; writing to disk (atomically, never over an existing file unless told so) is
done once for all of them by :func:`write_file`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from mira.errors import UsageError
from mira.writers.disk import check_target, write_bytes, write_file
from mira.writers.text import printable

if TYPE_CHECKING:
    from mira.results import Result

__all__ = ["About", "Writer", "builtin_writers", "check_target", "find_writer", "write_bytes", "write_file"]


@dataclass(frozen=True)
class About:
    """Where a result comes from; formats that can say so write it down.

    Parameters
    ----------
    path
        The recording, as the user named it.
    task
        Name of the task.
    model
        ``{"name": ..., "version": ...}``.
    settings
        Settings of the task that were in force.
    """

    path: str
    task: str
    model: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Writer:
    """One output format.

    Parameters
    ----------
    name
        What ``--format`` takes, for instance ``midi``.
    suffixes
        What ``-o`` recognises, the usual one first: ``(".mid", ".midi")``.
    results
        Result classes that it can write (subclasses included).
    write
        ``write(result, stream, about)`` to a binary stream.
    needs
        Modules that ``write`` imports; the command line fetches them while the model listens.
    listing
        Whether the results of many recordings may follow one another, as lines on a terminal do.
    """

    name: str
    suffixes: tuple[str, ...]
    results: tuple[type[Result], ...]
    write: Callable[[Result, BinaryIO, About], None]
    needs: tuple[str, ...] = ()
    listing: bool = False


def builtin_writers() -> tuple[Writer, ...]:
    """Return the formats that mira brings itself."""
    from mira.writers import audacity, csv, jams, json, lab, midi, plot, svl

    return (
        midi.WRITER,
        csv.WRITER,
        lab.WRITER,
        json.WRITER,
        jams.WRITER,
        audacity.WRITER,
        svl.WRITER,
        *plot.WRITERS,
    )


def find_writer(
    result_type: type[Result],
    *,
    suffix: str | None = None,
    format: str | None = None,
    writers: Iterable[Writer] | None = None,
) -> Writer:
    """Choose the writer of a result, by the name of the format or else by the suffix of the file.

    Parameters
    ----------
    result_type
        Class of the result to write.
    suffix
        A suffix such as ``.mid`` or a whole file name; the longest suffix that fits wins, so that
        ``.beats.txt`` comes before ``.txt``.
    format
        Name of a format such as ``midi``; goes before the suffix.
    writers
        The formats to choose from; the built-in ones if not given. Of two that fit equally the first wins.

    Raises
    ------
    UsageError
        If there is no such format for this result; the text lists those that there are.
    """
    known = builtin_writers() if writers is None else writers
    able = [w for w in known if issubclass(result_type, w.results)]
    if format is not None:
        fitting = [w for w in able if w.name == format]
        wish = f"as '{format}'"
    else:
        name = (suffix or "").lower()
        ends = [(len(s), w) for w in able for s in w.suffixes if name.endswith(s)]
        longest = max((n for n, _ in ends), default=0)
        fitting = [w for n, w in ends if n == longest]
        wish = f"to '{printable(suffix)}'" if suffix else "without a suffix or --format"
    if not fitting:
        choice = ", ".join(f"{w.name} ({' '.join(w.suffixes)})" for w in able) or "nothing"
        raise UsageError(f"cannot write {result_type.kind} {wish}; they can be written as: {choice}")
    return fitting[0]
