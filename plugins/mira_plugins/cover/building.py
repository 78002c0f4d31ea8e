"""Recordings into an index: which are new, changed or moved, and what came of them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from mira import batch
from mira.errors import DataError, MiraError
from mira.inputs import Input, expand
from mira.store import digest_of

from mira_plugins.cover import CoverPrint
from mira_plugins.cover.catalogue import Entry
from mira_plugins.cover.fingerprint import pack
from mira_plugins.cover.index import Index, guarded

TASK = "cover"

Say = Callable[[str], None]


@dataclass
class Tally:
    """How a build went.

    Parameters
    ----------
    added, moved, kept
        Tracks that were analysed, found under another name, or there already.
    failures
        A line for each recording that could not be taken.
    """

    added: int = 0
    moved: int = 0
    kept: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _File:
    """A recording on the disk."""

    path: str
    content: str
    size: int
    mtime_ns: int


def take_in(
    index: Index,
    paths: Sequence[str],
    *,
    workers: batch.Workers | None = None,
    threads: int | None = None,
    done: Callable[[str], None] = lambda path: None,
    warn: Say = lambda text: None,
) -> Tally:
    """Put recordings into an index; those that it has already cost a look at their date and size.

    A track counts as done when it is committed; a build that is killed goes on from there.

    Parameters
    ----------
    index
        The index, to which nobody else writes.
    paths
        Files, folders, patterns, playlists.
    workers
        Processes that analyse; this one if None.
    threads
        Of each of them.
    done
        Called with each path when it is committed.
    warn
        Told what is odd about a recording.
    """
    tally = Tally()
    waiting: dict[str, _File] = {}

    def jobs() -> Iterator[batch.Job]:
        for file in _fresh(index, expand(paths), tally):
            waiting[file.path] = file
            yield batch.Job(file.path, (TASK,), threads=threads)

    with guarded(index.folder):
        index.reach()
        index.catalogue.add_roots(os.path.abspath(p) for p in paths)
        for outcome in batch.run(jobs(), workers):
            file = waiting.pop(outcome.job.path)
            for warning in outcome.warnings:
                warn(_naming(file.path, warning))
            (heard,) = outcome.heard
            if not isinstance(heard.result, CoverPrint):
                tally.failures.append(_naming(file.path, heard.error))
                continue
            index.catalogue.put(
                Entry(
                    file.path,
                    file.content,
                    file.size,
                    file.mtime_ns,
                    heard.result.duration_s,
                    pack(heard.result),
                )
            )
            tally.added += 1
            done(file.path)
        index.sync()
    return tally


def missing(index: Index) -> list[str]:
    """Paths of tracks whose files are gone."""
    return [path for path in index.catalogue.paths() if not os.path.exists(path)]


def remove(index: Index, paths: Sequence[str]) -> int:
    """Take the tracks of files, and of all files in folders, out of an index; returns how many.

    Raises
    ------
    DataError
        If a path is not in it.
    """
    with guarded(index.folder):
        known = index.catalogue.paths()
        chosen: set[int] = set()
        for path in map(os.path.abspath, paths):
            inside = {i for p, i in known.items() if p == path or p.startswith(path + os.sep)}
            if not inside:
                raise DataError(f"{path}: not in the index; mira cover-index info --tracks lists what is")
            chosen |= inside
        index.catalogue.remove(chosen)
        index.sync()
    return len(chosen)


def merge(index: Index, other: Index) -> int:
    """Copy the tracks of another index that this one has not; returns how many."""
    with guarded(index.folder):
        known = index.catalogue.paths()
        new = [i for path, i in other.catalogue.paths().items() if path not in known]
        for entry in other.catalogue.entries(new):
            index.catalogue.put(entry)
        index.catalogue.add_roots(other.catalogue.roots())
        index.sync()
    return len(new)


def _fresh(index: Index, inputs: Sequence[Input], tally: Tally) -> Iterator[_File]:
    """Files that must be analysed; those known under another path are entered here."""
    for item in inputs:
        path = os.path.abspath(item.path)
        if item.error:
            tally.failures.append(_naming(item.path, item.error))
            continue
        try:
            status = os.stat(path)
            known = _entry_at(index, path)
            if known and (known.size, known.mtime_ns) == (status.st_size, status.st_mtime_ns):
                tally.kept += 1
                continue
            file = _File(path, digest_of(path), status.st_size, status.st_mtime_ns)
        except OSError as error:
            tally.failures.append(_naming(item.path, f"cannot read it: {(error.strerror or '').lower()}"))
            continue
        if not _found_again(index, file, known, tally):
            yield file


def _found_again(index: Index, file: _File, known: Entry | None, tally: Tally) -> bool:
    """Enter a file whose content is known: touched, moved, or a copy."""
    same = known if known and known.content == file.content else _entry_holding(index, file.content)
    if same is None:
        return False
    entry = dataclasses.replace(same, path=file.path, size=file.size, mtime_ns=file.mtime_ns)
    if same.path != file.path and not os.path.exists(same.path):
        index.catalogue.remove([same.id])
    index.catalogue.put(entry)
    tally.moved += 1
    return True


def _entry_at(index: Index, path: str) -> Entry | None:
    """The sound entry of a path; a damaged one is as good as none."""
    try:
        return index.catalogue.at(path)
    except DataError:
        return None


def _entry_holding(index: Index, content: str) -> Entry | None:
    try:
        return index.catalogue.holding(content)
    except DataError:
        return None


def analyse(path: str, threads: int | None = None) -> CoverPrint:
    """The print of one recording.

    Raises
    ------
    MiraError
        If it cannot be read.
    """
    (heard,) = batch.listen(batch.Job(path, (TASK,), threads=threads)).heard
    if not isinstance(heard.result, CoverPrint):
        raise MiraError(_naming(path, heard.error))
    return heard.result


def _naming(path: str, message: str) -> str:
    return message if path in message else f"{path}: {message}"
