"""Files too large to hold in memory reach the disk whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mira.errors import OutputError
from mira.writers.disk import check_target
from mira.writers.text import printable


@contextmanager
def replacing(path: Path, *, force: bool = False) -> Iterator[Path]:
    """Yield a temporary file beside ``path``; it gets that name when the block ends without an error.

    Parameters
    ----------
    path
        The file to be. Missing folders are created.
    force
        Replace an existing file.

    Raises
    ------
    OutputError
        If the file exists (and not ``force``) or cannot be written; what was at ``path`` is then as before.
    """
    check_target(path, force, parents=True)
    temporary = path.with_name(f".mira-{os.urandom(8).hex()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def cannot_write(path: Path, error: Exception) -> OutputError:
    """Say in one line why a file could not be written."""
    reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
    first_line = reason.splitlines()[0] if reason else type(error).__name__
    return OutputError(f"{printable(path)}: cannot write: {first_line}; make room or choose another place")
