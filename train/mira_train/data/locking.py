"""One process at a time in a folder; a process that dies gives the folder free."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from mira_train.data.atomic import cannot_write

NAME = ".mira-lock"
_PAUSE_S = 0.1


@contextmanager
def alone_in(folder: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Wait until no other process is in such a block for this folder.

    Parameters
    ----------
    folder
        It is made if it is missing, and keeps a small file.
    on_wait
        Called once if another one is there.

    Raises
    ------
    OutputError
        If the folder cannot be written to.
    """
    path = folder / NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
    except OSError as error:
        raise cannot_write(path, error) from error
    with file:  # closing it, or the process's end, lets go
        told = False
        while not _taken(file):
            if not told:
                on_wait()
                told = True
            time.sleep(_PAUSE_S)
        yield


if sys.platform == "win32":
    import msvcrt

    def _taken(file: IO[bytes]) -> bool:
        try:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _taken(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
