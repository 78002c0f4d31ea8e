"""Genre and comment in the files' own metadata, by mutagen (extra ``[tags]``); the audio is not touched."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mira.errors import MiraError, OutputError, UsageError
from mira.results import Tags
from mira.writers.text import printable

INSTALL = "--write-tags needs mutagen: pip install 'mira-audio[tags]'"
FIELDS = ("genre", "comment")
_FRAMES = {"genre": "TCON", "comment": "COMM::eng"}
"""Keys in ID3; the comment is the English one without a description."""
SURE = 0.5
"""Probability from which on a tag is written."""


@dataclass(frozen=True)
class Change:
    """What is written into one file: field -> values, before and after."""

    path: str
    old: Mapping[str, list[str]]
    new: Mapping[str, list[str]]

    def describe(self) -> str:
        """One line."""
        parts = [f"{f} {_said(self.old.get(f, []))} -> {_said(v)}" for f, v in self.new.items()]
        return f"{self.path}: {'; '.join(parts)}"


def wanted(tags: Tags) -> dict[str, list[str]]:
    """Fields to write: the likeliest genre, and everything that is probable as a comment."""
    fields = {}
    genre = max(tags.genre, key=tags.genre.__getitem__, default="")
    if genre and tags.genre[genre] >= SURE:
        fields["genre"] = [genre.capitalize()]
    heard = {**tags.genre, "voice": tags.voice, **tags.instruments, **(tags.own or {})}
    said = [f"{name} {p:.2f}" for name, p in sorted(heard.items(), key=lambda x: -x[1]) if p >= SURE]
    if said:
        fields["comment"] = [f"mira: {', '.join(said)}"]
    return fields


def check_installed() -> None:
    """Raise the :class:`UsageError` that says what to install."""
    from importlib.util import find_spec

    if find_spec("mutagen") is None:
        raise UsageError(INSTALL)


def plan(path: str, tags: Tags) -> Change:
    """What would be written into a file.

    Raises
    ------
    OutputError
        If the file has no metadata that can be written.
    """
    return changed(path, wanted(tags))


def changed(path: str, new: Mapping[str, list[str]]) -> Change:
    """The change that gives a file these values; no values take a field away. Raises as :func:`plan`."""
    opened = _open(path)
    return Change(os.path.abspath(path), {field: opened.get(field) for field in new}, new)


def write(changes: Sequence[Change], backup: Path) -> list[str]:
    """Write changes; the old values go to ``backup`` (JSON Lines) first. Returns what failed, a line each."""
    failed = []
    backup.parent.mkdir(parents=True, exist_ok=True)
    with backup.open("x", encoding="utf-8") as kept:
        for change in changes:
            kept.write(json.dumps(asdict(change)) + "\n")
            kept.flush()
            os.fsync(kept.fileno())
            try:
                _write_one(change)
            except MiraError as error:
                failed.append(str(error))
    return failed


def backups() -> Path:
    """Folder of the old values, a file each time; the names sort by time."""
    from platformdirs import user_data_path

    return user_data_path("mira") / "old-tags"


def backup_path() -> Path:
    """Where old values are kept this time."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    return backups() / f"{stamp}.jsonl"


def _write_one(change: Change) -> None:
    opened = _open(change.path)
    for field, values in change.new.items():
        opened.set(field, values)
    opened.save()


class _File:
    """The metadata of one file, whatever its format calls the fields."""

    def __init__(self, path: str, file: Any) -> None:
        self.path, self._file = path, file
        if file.tags is None:
            file.add_tags()
        self._frames = hasattr(file.tags, "getall")

    def get(self, field: str) -> list[str]:
        """Values of a field."""
        if self._frames:
            return [str(text) for frame in self._file.tags.getall(_FRAMES[field]) for text in frame.text]
        return [str(value) for value in self._file.tags.get(self._key(field), [])]

    def set(self, field: str, values: list[str]) -> None:
        """Replace a field, or take it away; comments in other languages or of other kinds stay."""
        tags = self._file.tags
        if not self._frames:
            key = self._key(field)
            if values:
                tags[key] = values
            elif key in tags:
                del tags[key]
            return
        from mutagen.id3 import COMM, TCON

        tags.delall(_FRAMES[field])
        if values:
            tags.add(
                TCON(encoding=3, text=values)
                if field == "genre"
                else COMM(encoding=3, lang="eng", desc="", text=values)
            )

    def save(self) -> None:
        """Write the file's metadata."""
        from mutagen import MutagenError

        try:
            self._file.save()
        except (MutagenError, OSError) as error:
            raise OutputError(
                f"{printable(self.path)}: its metadata cannot be written: {_why(error)}"
            ) from error

    def _key(self, field: str) -> str:
        from mutagen.mp4 import MP4Tags

        if isinstance(self._file.tags, MP4Tags):
            return {"genre": "\xa9gen", "comment": "\xa9cmt"}[field]
        return field


def _open(path: str) -> _File:
    check_installed()
    import mutagen

    try:
        file = mutagen.File(path)  # type: ignore[attr-defined]
        if file is None:
            raise OutputError(f"{printable(path)}: this kind of file has no metadata that can be written")
        if not os.access(path, os.W_OK):
            raise OutputError(f"{printable(path)}: its metadata cannot be written: the file is read-only")
        return _File(path, file)
    except (mutagen.MutagenError, OSError, NotImplementedError) as error:
        raise OutputError(f"{printable(path)}: its metadata cannot be read: {_why(error)}") from error


def _why(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _said(values: Sequence[str]) -> str:
    return f"'{', '.join(values)}'" if values else "(none)"
