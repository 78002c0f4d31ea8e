"""What an index is asked for, and its answers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mira.errors import MiraError
from mira.inputs import expand
from mira.store import digest_of

from mira_plugins.cover import CoverPrint
from mira_plugins.cover.building import analyse
from mira_plugins.cover.fingerprint import unpack
from mira_plugins.cover.index import Index, guarded
from mira_plugins.cover.search import Found, query


@dataclass(frozen=True)
class Asked:
    """A recording to find versions of; ``error`` says why there is none."""

    path: str
    content: str = ""
    heard: CoverPrint | None = None
    error: str = ""


@dataclass(frozen=True)
class Answer:
    """What was found for a recording, or why nothing could be."""

    path: str
    matches: Sequence[Found] = ()
    error: str = ""


def tracks(index: Index) -> Iterator[Asked]:
    """Every track of an index, by path."""
    for number in index.catalogue.paths().values():
        for _, path, content, heard in index.prints([number]):
            yield Asked(path, content, heard)


def recordings(index: Index, paths: Sequence[str], threads: int | None = None) -> Iterator[Asked]:
    """Recordings by their names; one whose content the index has is not analysed."""
    for item in expand(paths):
        if item.error:
            yield Asked(item.path, error=f"{item.path}: {item.error}")
            continue
        try:
            content = digest_of(item.path)
            entry = index.catalogue.holding(content)
            heard = unpack(entry.print, entry.duration_s) if entry else analyse(item.path, threads)
            yield Asked(item.path, content, heard)
        except OSError as error:
            # a file that is gone may still be known by its name
            entry = index.catalogue.at(os.path.abspath(item.path))
            if entry is None:
                yield Asked(item.path, error=f"{item.path}: cannot read it: {(error.strerror or '').lower()}")
            else:
                yield Asked(item.path, entry.content, unpack(entry.print, entry.duration_s))
        except MiraError as error:
            yield Asked(item.path, error=str(error))


def answers(index: Index, asked: Iterable[Asked], *, top: int, threshold: float) -> Iterator[Answer]:
    """An answer for each recording.

    Raises
    ------
    DataError
        If the index is damaged.
    """
    with guarded(index.folder):
        for one in asked:
            if one.heard is None:
                yield Answer(one.path, error=one.error)
            else:
                yield Answer(one.path, query(index, one.heard, one.content, top=top, threshold=threshold))
