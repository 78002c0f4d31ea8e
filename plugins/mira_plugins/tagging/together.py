"""What ``mira tag`` does with all recordings at once: playlists, metadata, a user's own tags."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from mira.errors import OutputError, UsageError
from mira.writers import check_target, write_bytes
from mira.writers.text import printable

if TYPE_CHECKING:
    from mira.results import Result, Tags

    from mira_plugins.tagging import TagActions

    Heard = Sequence[tuple[str, Tags]]


def recordings(actions: TagActions, paths: Sequence[str]) -> list[str]:
    """The recordings that the user named, and those of the labels file.

    Raises
    ------
    UsageError
        If the rule cannot be read, before anything is listened to.
    DataError
        If the labels file cannot be used.
    """
    from mira_plugins.tagging import metadata
    from mira_plugins.tagging.own import read_labels
    from mira_plugins.tagging.rules import parse

    if actions.fit and (actions.m3u or actions.write_tags or paths):
        raise UsageError(
            "--fit listens to the recordings of its file; leave out other paths, --m3u, --write-tags"
        )
    if actions.write_tags:
        metadata.check_installed()
    if actions.m3u:
        parse(actions.m3u)
    return [*read_labels(Path(actions.fit))] if actions.fit else list(paths)


def finish(
    actions: TagActions, heard: Sequence[tuple[str, Result]], force: bool, dry_run: bool
) -> Iterator[str]:
    """Do all that was asked for."""
    known = cast("Heard", heard)
    if actions.fit:
        yield _fit(Path(actions.fit), known, force, dry_run)
    if actions.m3u:
        yield from playlist(actions.m3u, known)
    if actions.write_tags:
        yield from _write_tags(known, force and not dry_run)


def chances(tags: Tags) -> dict[str, float]:
    """Every tag of a recording and its probability."""
    groups = (tags.genre, tags.instruments, tags.families or {}, tags.own or {}, {"voice": tags.voice})
    return {name: chance for group in groups for name, chance in group.items()}


def playlist(rule: str, heard: Heard) -> Iterator[str]:
    """Lines of an extended M3U of the recordings that the rule wants, in the order of hearing."""
    from mira_plugins.tagging.rules import parse
    from mira_plugins.tagging.vocabulary import FAMILIES, GENRES, INSTRUMENTS, VOICE

    own = {name for _, tags in heard for name in tags.own or {}}
    fits = parse(rule, {*GENRES, *INSTRUMENTS, *FAMILIES, VOICE, *own})
    yield "#EXTM3U"
    for path, tags in heard:
        if fits(chances(tags)):
            yield f"#EXTINF:{round(tags.duration_s)},{Path(path).stem}"
            yield os.path.abspath(path)


def _fit(labels: Path, heard: Heard, force: bool, dry_run: bool) -> str:
    import numpy as np

    from mira_plugins.tagging.own import learn, model_id, read_labels

    wanted: Mapping[str, set[str]] = read_labels(labels)
    vectors = {path: np.asarray(tags.vector, float) for path, tags in heard if tags.vector is not None}
    if not vectors:
        raise OutputError(f"{printable(str(labels))}: none of its recordings could be heard")
    own = learn(vectors, wanted, model_id())
    target = labels.with_suffix(".tags.json")
    check_target(target, force)
    if not dry_run:
        write_bytes(own.to_json().encode(), target, force=force)
    return f"{target}: {', '.join(own.lines)} from {len(vectors)} recordings; use it by --with {target}"


def _write_tags(heard: Heard, really: bool) -> Iterator[str]:
    from mira_plugins.tagging import metadata

    changes, failed = [], []
    for path, tags in heard:
        try:
            changes.append(metadata.plan(path, tags))
        except OutputError as error:
            failed.append(str(error))
    changes = [change for change in changes if change.new]
    yield from (change.describe() for change in changes)
    if really and changes:
        backup = metadata.backup_path()
        failed += metadata.write(changes, backup)
        yield f"old values are kept in {backup}"
    elif changes:
        yield "nothing has been written; --force writes it"
    if failed:
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise OutputError(f"{failed[0]}{more}")
