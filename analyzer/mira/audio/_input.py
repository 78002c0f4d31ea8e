"""Opening what the user names: files of any name, stdin, named pipes; and refusing all else."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Callable
from typing import BinaryIO, cast

from mira.audio._decoder import Unreadable

PIPE_PATIENCE_S = 10.0
"""How long a named pipe may stay silent before it is given up."""
_COPY_BYTES = 1 << 20

Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]


def shown(path: Path) -> str:
    r"""Name of a file as it can always be printed on one line: bytes that are not UTF-8 become ``\xff``."""
    name = os.fsencode(path)
    if name == b"-":
        return "stdin"
    text = name.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def open_input(path: Path) -> BinaryIO:
    """Open a file for random access; stdin and named pipes are first copied to a temporary file.

    Copying lets every decoder seek, and costs disk instead of memory.

    Raises
    ------
    Unreadable
        Not a file that can hold audio, or empty.
    OSError
        Missing or not readable.
    """
    name = os.fsencode(path)
    if not name:
        raise Unreadable("is not the name of a file")
    file = _stdin_file() if name == b"-" else _named_file(name)
    if file.seek(0, os.SEEK_END) == 0:
        file.close()
        raise Unreadable("holds no audio: it is empty")
    file.seek(0)
    return file


def stdin_bytes() -> BinaryIO:
    """Bytes of standard input, as they come."""
    if sys.stdin is None:
        raise Unreadable("is closed: pipe audio into mira, or name a file")
    if sys.stdin.isatty():
        raise Unreadable("is a terminal: pipe audio into mira, or name a file")
    return cast(BinaryIO, sys.stdin.buffer)


def _stdin_file() -> BinaryIO:
    source = stdin_bytes()
    return _spool(lambda: source.read(_COPY_BYTES))


def _named_file(name: bytes) -> BinaryIO:
    mode = os.stat(name).st_mode
    if stat.S_ISDIR(mode):
        raise Unreadable("is a folder, not a file")
    if stat.S_ISFIFO(mode):
        return _pipe_file(name)
    if not stat.S_ISREG(mode):
        raise Unreadable("is a device or a socket: give a file, or pipe audio into mira with '-'")
    # Unbuffered: the libraries read large blocks, and some take the bare descriptor.
    return cast(BinaryIO, open(name, "rb", buffering=0))


def _pipe_file(name: bytes) -> BinaryIO:
    """Copy a named pipe; opened without waiting for a writer, so that a forgotten one cannot hang mira."""
    import select

    with open(os.open(name, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as pipe:

        def read() -> bytes:
            if not select.select([pipe], [], [], PIPE_PATIENCE_S)[0]:
                raise Unreadable(f"is a named pipe into which nothing was written for {PIPE_PATIENCE_S:g} s")
            return pipe.read(_COPY_BYTES) or b""

        return _spool(read)


def _spool(read: Callable[[], bytes]) -> BinaryIO:
    import tempfile

    file = cast(io.FileIO, tempfile.TemporaryFile(buffering=0))  # noqa: SIM115 - the caller closes it
    try:
        while block := read():
            view = memoryview(block)
            while view:
                view = view[file.write(view) :]
    except BaseException:
        file.close()
        raise
    return cast(BinaryIO, file)
