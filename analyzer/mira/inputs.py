"""What the user names becomes a list of recordings: files, folders, globs, playlists and standard input.

Nothing here fails: a place that cannot be read becomes an input with the reason in it, so that it takes down
no other input.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePath

# fmt: off
AUDIO_SUFFIXES = frozenset((
    ".aac", ".aif", ".aifc", ".aiff", ".au", ".avi", ".caf", ".flac", ".m4a", ".m4b", ".mka", ".mkv",
    ".mov", ".mp2", ".mp3", ".mp4", ".mpga", ".oga", ".ogg", ".opus", ".rf64", ".w64", ".wav", ".wave",
    ".webm", ".wma",
))
# fmt: on
"""Suffixes, in any case, that make a file of a folder a recording. A file named by the user needs none."""

PLAYLIST_SUFFIXES = frozenset((".m3u", ".m3u8"))

STDIN = "-"


@dataclass(frozen=True)
class Input:
    """One recording to listen to.

    Parameters
    ----------
    path
        Where it is, as the user named it; ``-`` is standard input.
    relative
        Where its results lie in an output folder, before the suffix is changed.
    error
        Why there is nothing to listen to; empty for a recording.
    """

    path: str
    relative: str
    error: str = ""


def expand(paths: Iterable[str]) -> list[Input]:
    """List the recordings that ``paths`` name, each once, in the order of naming; folders are sorted.

    Folders are searched with their sub-folders, following links but entering no folder twice; hidden entries
    are left out. Patterns (``*``, ``?``, ``[...]``, ``**``) count where no file has that very name.
    """
    found: dict[str, Input] = {}
    for path in paths:
        for item in _expand(path):
            found.setdefault(item.path if item.path == STDIN else os.path.abspath(item.path), item)
    return list(found.values())


def _expand(path: str) -> Iterator[Input]:
    if path == STDIN:
        yield Input(STDIN, "stdin")
    elif os.path.isdir(path):
        yield from _folder(path)
    elif PurePath(path).suffix.lower() in PLAYLIST_SUFFIXES:
        yield from _playlist(path)
    elif any(c in path for c in "*?[") and not os.path.lexists(path):
        yield from _pattern(path)
    else:
        yield _file(path)


def _file(path: str) -> Input:
    return Input(path, os.path.basename(path))


def _pattern(pattern: str) -> Iterator[Input]:
    from glob import iglob

    matches = sorted(iglob(pattern, recursive=True))
    if not matches:
        yield Input(pattern, pattern, "no file matches this pattern; check it, or quote it for the shell")
    for match in matches:
        if os.path.isdir(match):
            if "**" not in pattern:
                yield from _folder(match)
        elif "**" not in pattern or _is_audio(match):
            yield _file(match)


def _playlist(path: str) -> Iterator[Input]:
    try:
        with open(os.fsencode(path), "rb") as stream:
            data = stream.read()
    except OSError as error:
        yield Input(path, path, f"cannot read the playlist: {error.strerror}")
        return
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    lines = [line.strip() for line in text.splitlines()]
    entries = [line for line in lines if line and not line.startswith("#")]
    if not entries:
        yield Input(path, path, "the playlist names no file")
    for entry in entries:
        yield _file(os.path.join(os.path.dirname(path), entry))


def _folder(root: str) -> Iterator[Input]:
    empty = True
    for item in _walk(root, "", set()):
        empty = False
        yield item
    if empty:
        yield Input(root, root, "no audio file in this folder; name its files to take them all the same")


def _walk(root: str, inside: str, entered: set[tuple[int, int]]) -> Iterator[Input]:
    here = os.path.join(root, inside) if inside else root
    try:
        status = os.stat(here)
        names = sorted(os.listdir(here))
    except OSError as error:
        yield Input(here, inside or here, f"cannot read the folder: {error.strerror}")
        return
    if (status.st_dev, status.st_ino) in entered:
        return
    entered.add((status.st_dev, status.st_ino))
    for name in names:
        path, relative = os.path.join(here, name), os.path.join(inside, name)
        if name.startswith("."):
            continue
        if os.path.isdir(path):
            yield from _walk(root, relative, entered)
        elif _is_audio(name) and (os.path.isfile(path) or os.path.islink(path)):
            yield Input(path, relative)


def _is_audio(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in AUDIO_SUFFIXES
