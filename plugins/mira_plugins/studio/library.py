"""The recordings that the page may know, by names of our own: no path ever comes from the page."""

from __future__ import annotations

import hashlib
import os
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mira.errors import MiraError, UsageError
from mira.inputs import AUDIO_SUFFIXES, STDIN, Input, expand
from mira.store import WAIT_S
from mira.writers.text import printable

UPLOAD_BYTES = 1 << 30
UPLOADS = 500
"""Uploads that are kept, each of at most ``UPLOAD_BYTES``."""

_TABLE = "CREATE TABLE IF NOT EXISTS tracks (id TEXT PRIMARY KEY, path BLOB NOT NULL, added REAL NOT NULL)"


class Unknown(MiraError):
    """There is no such recording in the library."""


class TooMuch(MiraError):
    """An upload is over a limit."""


@dataclass(frozen=True)
class Track:
    """A recording of the library.

    Parameters
    ----------
    id
        What the page calls it: 16 hex digits of the SHA-256 of its path.
    path
        Where it is, absolute.
    """

    id: str
    path: str

    @property
    def name(self) -> str:
        """Name of the file, fit to be shown."""
        return printable(os.path.basename(self.path))


class Library:
    """A list of recordings in an SQLite file, which several studios may use at once.

    Parameters
    ----------
    folder
        Holds the list, and uploads in a folder of their own.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "library.sqlite"
        self.uploads = folder / "uploads"
        self.uploads.mkdir(parents=True, exist_ok=True)
        self.note = ""
        try:
            with self._open() as db:
                db.execute("SELECT id, path, added FROM tracks LIMIT 1")
        except sqlite3.DatabaseError as error:
            aside = self._file.with_name(self._file.name + ".damaged")
            os.replace(self._file, aside)
            self.note = f"the list of recordings was damaged ({error}); it is kept as {aside.name}"

    def tracks(self) -> list[Track]:
        """All recordings, the newest first."""
        with self._open() as db:
            rows = db.execute("SELECT id, path FROM tracks ORDER BY added DESC, path").fetchall()
        return [Track(name, os.fsdecode(path)) for name, path in rows]

    def track(self, name: str) -> Track:
        """Find a recording by what the page calls it.

        Raises
        ------
        Unknown
            If there is none of that name.
        """
        with self._open() as db:
            row = db.execute("SELECT path FROM tracks WHERE id = ?", (name,)).fetchone()
        if row is None:
            raise Unknown("this recording is not in the library")
        return Track(name, os.fsdecode(row[0]))

    def add(self, path: str | os.PathLike[str]) -> Track:
        """Put a recording into the list; one that is there stays where it is."""
        place = os.path.abspath(path)
        raw = os.fsencode(place)
        track = Track(hashlib.sha256(raw).hexdigest()[:16], place)
        with self._open() as db:
            db.execute("INSERT OR IGNORE INTO tracks VALUES (?, ?, ?)", (track.id, raw, time.time()))
        return track

    def add_all(self, paths: Iterable[str]) -> tuple[list[Track], list[Input]]:
        """Add what the command line names; returns the recordings, and the inputs that are none."""
        items = expand(path for path in paths if path != STDIN)
        good = [item for item in items if not item.error and os.path.isfile(item.path)]
        return [self.add(item.path) for item in good], [item for item in items if item not in good]

    def remove(self, track: Track) -> None:
        """Take a recording off the list; the file stays, unless it is our copy of an upload."""
        with self._open() as db:
            db.execute("DELETE FROM tracks WHERE id = ?", (track.id,))
        path = Path(track.path)
        if path.parent.parent == self.uploads:
            path.unlink(missing_ok=True)
            path.parent.rmdir()

    async def upload(self, name: str, chunks: AsyncIterator[bytes]) -> Track:
        """Keep a file that the page sends, under its own name in a folder named after what it holds.

        Raises
        ------
        UsageError
            If the name is not one of a recording.
        TooMuch
            If the file is too large, or there are too many.
        """
        name = file_name(name)
        if sum(1 for entry in self.uploads.iterdir() if entry.is_dir()) >= UPLOADS:
            raise TooMuch(f"there are {UPLOADS} uploads already; take some out of the library")
        temporary = self.uploads / f".{secrets.token_hex(8)}"
        digest, size = hashlib.sha256(), 0
        try:
            with open(temporary, "xb") as stream:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > UPLOAD_BYTES:
                        raise TooMuch(
                            f"{name}: larger than {UPLOAD_BYTES >> 20} MB; open it by: mira studio PATH"
                        )
                    digest.update(chunk)
                    stream.write(chunk)
            if not size:
                raise UsageError(f"{name}: the file is empty")
            folder = self.uploads / digest.hexdigest()[:32]
            folder.mkdir(exist_ok=True)
            os.replace(temporary, folder / name)
        finally:
            temporary.unlink(missing_ok=True)
        return self.add(folder / name)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._file, timeout=WAIT_S, isolation_level=None)
        try:
            connection.execute(_TABLE)
            yield connection
        finally:
            connection.close()


def file_name(given: str) -> str:
    """Make a plain file name of what a page calls a file.

    Raises
    ------
    UsageError
        If its suffix is not one of a recording.
    """
    last = given.replace("\\", "/").rpartition("/")[2]
    name = "".join(c for c in last if c.isprintable() and c not in '<>:"|?*').strip(". ")
    stem, suffix = os.path.splitext(name)
    if suffix.lower() not in AUDIO_SUFFIXES or not stem:
        raise UsageError(f"{printable(last)[:80]}: not a recording that mira knows by its suffix")
    return stem.encode()[:120].decode(errors="ignore") + suffix
