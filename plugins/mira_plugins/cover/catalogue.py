"""The tracks of an index: an SQLite file, the one truth about what is in it.

Each track is committed by itself, with a checksum over all that is known of it. Whatever else lies in an
index is made from here and can be made again.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mira.errors import DataError
from mira.writers.text import printable

FILE: Final = "tracks.sqlite"
WAIT_S: Final = 30.0
"""How long one process waits while another commits."""

_TABLES = """
CREATE TABLE IF NOT EXISTS tracks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, path BLOB NOT NULL UNIQUE, content TEXT NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, duration_s REAL NOT NULL, print BLOB NOT NULL,
    checksum TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS tracks_content ON tracks (content);
CREATE TABLE IF NOT EXISTS roots (path BLOB PRIMARY KEY);
CREATE TABLE IF NOT EXISTS stored (last INTEGER NOT NULL);
"""
_COLUMNS = "id, path, content, size, mtime_ns, duration_s, print, checksum"
_MANY = 500


@dataclass(frozen=True)
class Entry:
    """One recording of an index.

    Parameters
    ----------
    path
        Absolute.
    content
        SHA-256 of its bytes.
    size, mtime_ns
        Of the file, to tell quickly that it has not changed.
    duration_s
        Its length.
    print
        See :func:`mira_plugins.cover.fingerprint.pack`.
    id
        Number in the index; numbers are never used again.
    """

    path: str
    content: str
    size: int
    mtime_ns: int
    duration_s: float
    print: bytes
    id: int = 0

    @property
    def checksum(self) -> str:
        """Holds for this print under this path and content only."""
        told = f"{self.content} {self.size} {self.mtime_ns} {self.duration_s!r} {len(self.print)} "
        return hashlib.sha256(told.encode() + os.fsencode(self.path) + self.print).hexdigest()


class Catalogue:
    """The tracks of the index in ``folder``; several processes may read while one writes.

    Raises
    ------
    DataError
        Later, from any method, if an entry is damaged; the text says what to do.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._db = sqlite3.connect(self.path, timeout=WAIT_S, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_TABLES)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def put(self, entry: Entry) -> None:
        """Add an entry, or replace that of its path; when this returns it outlives the process."""
        row = (
            os.fsencode(entry.path), entry.content, entry.size, entry.mtime_ns, entry.duration_s, entry.print,
            entry.checksum,
        )  # fmt: skip
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.execute("DELETE FROM tracks WHERE path = ?", row[:1])
            self._db.execute(
                "INSERT INTO tracks (path, content, size, mtime_ns, duration_s, print, checksum)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def remove(self, ids: Iterable[int]) -> None:
        """Take entries out."""
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("DELETE FROM tracks WHERE id = ?", [(i,) for i in ids])
        self._db.execute("COMMIT")

    def count(self) -> int:
        """How many tracks there are."""
        return int(self._db.execute("SELECT count(*) FROM tracks").fetchone()[0])

    def seconds(self) -> float:
        """How long they last together."""
        return float(self._db.execute("SELECT total(duration_s) FROM tracks").fetchone()[0])

    def ids(self, after: int = -1) -> list[int]:
        """Numbers above ``after`` of all tracks."""
        rows = self._db.execute("SELECT id FROM tracks WHERE id > ? ORDER BY id", (after,))
        return [row[0] for row in rows]

    def paths(self) -> dict[str, int]:
        """Path -> number of all tracks, by path."""
        rows = self._db.execute("SELECT path, id FROM tracks ORDER BY path")
        return {os.fsdecode(path): number for path, number in rows}

    def entries(self, ids: Iterable[int]) -> Iterator[Entry]:
        """The entries of these numbers that are still there."""
        wanted = list(ids)
        for start in range(0, len(wanted), _MANY):
            part = wanted[start : start + _MANY]
            marks = ",".join("?" * len(part))
            rows = self._db.execute(f"SELECT {_COLUMNS} FROM tracks WHERE id IN ({marks})", part).fetchall()
            yield from (self._checked(row) for row in rows)

    def at(self, path: str) -> Entry | None:
        """The entry of a path."""
        return self._one("path = ?", os.fsencode(path))

    def holding(self, content: str) -> Entry | None:
        """An entry of this content."""
        return self._one("content = ?", content)

    def damaged(self) -> list[str]:
        """What is wrong with the file and its entries, a line each; empty if nothing is."""
        found = [
            f"{printable(str(self.path))}: {row[0]}" for row in self._db.execute("PRAGMA integrity_check")
        ]
        found = [line for line in found if not line.endswith(": ok")]
        for number in self.ids():
            try:
                list(self.entries([number]))
            except DataError as error:
                found.append(str(error))
        return found

    def digest(self) -> str:
        """SHA-256 of the file, once all that was committed has been moved into it."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        with open(self.path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    def roots(self) -> list[str]:
        """Files and folders that it was built from."""
        return [os.fsdecode(row[0]) for row in self._db.execute("SELECT path FROM roots ORDER BY path")]

    def add_roots(self, paths: Iterable[str]) -> None:
        """Remember what it is built from."""
        rows = [(os.fsencode(path),) for path in paths]
        self._db.executemany("INSERT OR IGNORE INTO roots VALUES (?)", rows)

    def stored(self) -> int:
        """The store of vectors has all tracks up to this number."""
        return int(self._db.execute("SELECT coalesce(max(last), -1) FROM stored").fetchone()[0])

    def set_stored(self, last: int) -> None:
        """Remember it."""
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("DELETE FROM stored")
        self._db.execute("INSERT INTO stored VALUES (?)", (last,))
        self._db.execute("COMMIT")

    def _one(self, where: str, value: bytes | str) -> Entry | None:
        row = self._db.execute(f"SELECT {_COLUMNS} FROM tracks WHERE {where} LIMIT 1", (value,)).fetchone()
        return self._checked(row) if row else None

    def _checked(self, row: tuple[Any, ...]) -> Entry:
        number, path, content, size, mtime_ns, duration_s, packed, checksum = row
        try:
            entry = Entry(os.fsdecode(path), content, size, mtime_ns, duration_s, packed, number)
        except (TypeError, ValueError, AttributeError):
            entry = None
        if entry is None or entry.checksum != checksum:
            raise DataError(
                f"{printable(str(self.path))}: track {number} is damaged; build again from the same folders, "
                "which mends it"
            )
        return entry
