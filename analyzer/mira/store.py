"""Results kept between runs: an SQLite file that several processes may use at once.

A result is found by what it was made of: the recording's bytes, the task, the model's graph, the settings and
mira's version; clocks and file times play no part. The store only saves work. Where it cannot be read or
written, mira says so once and goes on without it; a damaged file is moved aside.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mira import __version__

if TYPE_CHECKING:
    import sqlite3

T = TypeVar("T")

LAYOUT = 1
"""Version of the tables; part of the file's name, so that two versions of mira never meet in one file."""

WAIT_S = 30.0
"""How long one process waits while another writes."""

_TABLES = """
CREATE TABLE IF NOT EXISTS results
    (key TEXT PRIMARY KEY, content TEXT, task TEXT, payload BLOB, checksum TEXT);
CREATE INDEX IF NOT EXISTS results_content ON results (content);
CREATE TABLE IF NOT EXISTS outputs (path BLOB PRIMARY KEY, key TEXT, digest TEXT);
"""


def default_path() -> Path:
    """The store's place: ``MIRA_STORE``, or a file in the user's cache folder."""
    if named := os.environ.get("MIRA_STORE"):
        return Path(named)
    from platformdirs import user_cache_path

    return user_cache_path("mira") / f"results-{LAYOUT}.sqlite"


def digest_of(path: str) -> str:
    """SHA-256 of a file's bytes, in hex.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    with open(os.fsencode(path), "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def result_key(content: str, task: str, graphs: Sequence[str], settings: Mapping[str, Any]) -> str:
    """Key of a result.

    Parameters
    ----------
    content
        SHA-256 of the recording's bytes.
    task
        Name of the task.
    graphs
        SHA-256 of the graphs of the task's model and of the models it needs.
    settings
        All settings in force.
    """
    made_of = [content, task, list(graphs), dict(settings), __version__]
    return hashlib.sha256(json.dumps(made_of, sort_keys=True, default=str).encode()).hexdigest()


class Store:
    """The result store.

    Parameters
    ----------
    path
        The SQLite file; made when missing.
    warn
        Called with one line, at most once, when the store cannot be used.
    """

    def __init__(self, path: Path, warn: Callable[[str], None]) -> None:
        self.path = path
        self._warn = warn
        self._connection: sqlite3.Connection | None = None
        self._usable = True

    def get(self, key: str) -> dict[str, Any] | None:
        """Return the result kept under ``key`` in its JSON form, or None."""
        row = self._row("SELECT payload, checksum FROM results WHERE key = ?", key)
        if not row or not isinstance(row[0], bytes) or _checksum(key, row[0]) != row[1]:
            return None
        return json.loads(zlib.decompress(row[0]))

    def put(self, key: str, content: str, task: str, result: Mapping[str, Any]) -> None:
        """Keep a result, given in its JSON form."""
        payload = zlib.compress(json.dumps(result).encode())
        row = (key, content, task, payload, _checksum(key, payload))
        self._try(lambda db: db.execute("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?)", row))

    def put_output(self, path: str, key: str, digest: str) -> None:
        """Remember that the file ``path`` with the SHA-256 ``digest`` was written from the result ``key``."""
        row = (_absolute(path), key, digest)
        self._try(lambda db: db.execute("INSERT OR REPLACE INTO outputs VALUES (?, ?, ?)", row))

    def output(self, path: str) -> tuple[str, str]:
        """Return (key of the result, SHA-256 of the file) of an output; empty texts where none is known."""
        row = self._row("SELECT key, digest FROM outputs WHERE path = ?", _absolute(path))
        return (str(row[0]), str(row[1])) if row else ("", "")

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _row(self, query: str, key: str | bytes) -> tuple[Any, ...] | None:
        return self._try(lambda db: db.execute(query, (key,)).fetchone())

    def _try(self, action: Callable[[sqlite3.Connection], T]) -> T | None:
        """Run ``action``; whatever goes wrong with the file ends the use of the store, not the work."""
        if not self._usable:
            return None
        import sqlite3

        try:
            if self._connection is None:
                self._connection = self._open()
            return action(self._connection)
        except sqlite3.OperationalError as error:
            self._give_up(f"cannot use the result store: {error}; going on without it")
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # its messages may quote damaged bytes
            self.close()
            self._give_up(f"the result store is damaged ({error}); {self._move_aside()}")
        except OSError as error:
            self._give_up(f"cannot use the result store: {error.strerror}; going on without it")
        return None

    def _open(self) -> sqlite3.Connection:
        import sqlite3

        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=WAIT_S, isolation_level=None)
        deadline = time.monotonic() + WAIT_S
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError as error:  # SQLite itself does not wait while the mode changes
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(_TABLES)
        return connection

    def _give_up(self, reason: str) -> None:
        self._usable = False
        self._warn(f"{self.path}: {reason}")

    def _move_aside(self) -> str:
        aside = self.path.with_name(self.path.name + ".damaged")
        try:
            os.replace(self.path, aside)
            for journal in ("-wal", "-shm"):
                Path(f"{self.path}{journal}").unlink(missing_ok=True)
        except OSError as error:
            return f"it cannot be moved aside: {error.strerror}"
        return f"moved to {aside.name}, the next run starts a new one"


def _checksum(key: str, payload: bytes) -> str:
    """Checksum that holds for this payload under this key only."""
    return hashlib.sha256(key.encode() + payload).hexdigest()


def _absolute(path: str) -> bytes:
    return os.fsencode(os.path.abspath(path))
