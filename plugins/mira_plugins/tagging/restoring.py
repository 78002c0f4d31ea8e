"""``mira restore-tags``: genre and comment as they were before ``mira tag --write-tags``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mira.cli.console import Stdout, printable, say
from mira.errors import Exit, OutputError
from mira.inputs import expand

from mira_plugins.tagging import metadata
from mira_plugins.tagging.metadata import Change

Kept = Mapping[str, Sequence[Change]]


def restore(paths: Sequence[str], *, force: bool) -> Exit:
    """Print what would be put back into these recordings, and with ``force`` do it.

    Returns
    -------
    ``OK``, or ``FAILED`` if some could not be opened or written; the others are done all the same.

    Raises
    ------
    UsageError
        If mutagen is missing.
    """
    metadata.check_installed()
    kept, changes, failed = read_kept(metadata.backups()), [], []
    for item in expand(paths):
        try:
            change = back(item.path, kept.get(os.path.abspath(item.path), ()))
        except OutputError as error:
            failed.append(str(error))
            continue
        if change is not None:
            changes.append(change)
    out = Stdout()
    for change in changes:
        out.write(f"{printable(change.describe())}\n".encode())
    if not changes:
        say("none of these recordings holds what --write-tags wrote")
    elif force:
        failed += metadata.write(changes, metadata.backup_path())
    else:
        out.write(b"nothing has been written; --force writes it\n")
    for line in failed:
        say(line)
    return Exit.FAILED if failed else Exit.OK


def read_kept(folder: Path) -> Kept:
    """Path -> what was written into that file, the latest first."""
    kept: dict[str, list[Change]] = {}
    for path in sorted(folder.glob("*.jsonl"), reverse=True):
        for change in _changes(path):
            kept.setdefault(change.path, []).append(change)
    return kept


def _changes(backup: Path) -> Iterator[Change]:
    for line in backup.read_text(encoding="utf-8").splitlines():
        try:
            yield Change(**json.loads(line))
        except ValueError:  # cut off by a crash, before the file itself was touched
            say(f"{backup}: a line is incomplete; left out")


def back(path: str, written: Sequence[Change]) -> Change | None:
    """The change that undoes what was written, or None where nothing is left of it.

    Steps from the latest writing to the first, as long as a field holds what that writing put there: a value
    that somebody changed since stays.

    Raises
    ------
    OutputError
        If the file's metadata cannot be opened.
    """
    if not written:
        return None
    found = metadata.changed(path, {field: [] for field in metadata.FIELDS})
    now = found.old
    values = dict(now)
    for change in written:
        for field, new in change.new.items():
            if values[field] == new:
                values[field] = change.old[field]
    restored = {field: value for field, value in values.items() if value != now[field]}
    return Change(found.path, {field: now[field] for field in restored}, restored) if restored else None
