"""Output formats: one module each, found by suffix and result type.

A writer is data and one function; writing to disk (atomically, never over an existing file unless told so) is
done here once for all of them by :func:`write_file`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from mira.results import Result


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
    """

    name: str
    suffixes: tuple[str, ...]
    results: tuple[type[Result], ...]
    write: Callable[[Result, BinaryIO, About], None]
