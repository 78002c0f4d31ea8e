"""How results reach the disk: whole or not at all, and over an existing file only when told so.

The bytes go to a nameless file in the target's folder (to one with a random name where the system knows no
nameless files), are flushed to the disk, and only then get the target's name. A program that is killed at any
moment leaves the old file or the new one. A symbolic link as a target is followed: the file that it points to
is replaced, the link stays. Devices and pipes are written to directly.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from mira.errors import OutputError
from mira.writers.text import printable

if TYPE_CHECKING:
    from mira.results import Result
    from mira.writers import About, Writer

Path = str | os.PathLike[str]

STDOUT = "-"
"""The path that means standard output."""

_REASONS = {
    errno.EACCES: "no permission to write there; choose another place",
    errno.EPERM: "no permission to write there; choose another place",
    errno.EROFS: "the disk is read-only; choose another place",
    errno.ENOSPC: "the disk is full; make room or choose another place",
    errno.EDQUOT: "the disk quota is used up; make room or choose another place",
    errno.ENOENT: "the folder does not exist; create it first",
    errno.ENOTDIR: "part of the path is a file, not a folder; choose another place",
    errno.EISDIR: "it is a folder; name a file in it",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    errno.ELOOP: "its symbolic links run in a circle; choose another place",
    errno.EPIPE: "its reader has gone away",
}


def check_target(path: Path, force: bool = False, *, parents: bool = False) -> None:
    """Find out before any work whether a file may be written.

    Parameters
    ----------
    path
        The file, or ``-`` for standard output.
    force
        Whether an existing file may be replaced.
    parents
        Whether missing folders will be created.

    Raises
    ------
    OutputError
        If the file exists (and not ``force``), is a folder, or its folder is missing or not writable.
    """
    if path == STDOUT or _is_special(path):
        return
    try:
        target = os.path.realpath(path)
        if _exists(target):
            if os.path.isdir(target):
                raise IsADirectoryError(errno.EISDIR, "")
            if not force:
                raise _exists_already(path)
        folder = os.path.dirname(target)
        while parents and not os.path.lexists(folder):
            folder = os.path.dirname(folder)
        if not stat.S_ISDIR(os.stat(folder).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, "")
        if not os.access(folder, os.W_OK | os.X_OK):
            read_only = hasattr(os, "statvfs") and os.statvfs(folder).f_flag & os.ST_RDONLY
            raise OSError(errno.EROFS if read_only else errno.EACCES, "")
    except OSError as error:
        raise _cannot_write(path, error) from error


def write_file(
    result: Result, path: Path, about: About, writer: Writer, *, force: bool = False, parents: bool = False
) -> None:
    """Write a result to a file, whole or not at all.

    Parameters
    ----------
    result, about, writer
        What to write, where it comes from, and in which format.
    path
        The file, or ``-`` for standard output.
    force
        Replace an existing file.
    parents
        Create missing folders.

    Raises
    ------
    OutputError
        If the result cannot be written; what was at ``path`` is then as it was before.
    BrokenPipeError
        If the reader of standard output has gone away.
    """
    check_target(path, force, parents=parents)
    write_bytes(_render(result, path, about, writer), path, force=force, parents=parents)


def write_bytes(data: bytes, path: Path, *, force: bool = False, parents: bool = False) -> None:
    """Write bytes as :func:`write_file` writes a result."""
    check_target(path, force, parents=parents)
    if path == STDOUT:
        _write_stdout(data)
        return
    try:
        if _is_special(path):
            _write_special(data, path)
            return
        target = os.path.realpath(path)
        if parents:
            os.makedirs(os.path.dirname(target), exist_ok=True)
        _write_atomically(data, target, force)
    except FileExistsError as error:
        raise _exists_already(path) from error
    except OSError as error:
        raise _cannot_write(path, error) from error


def _render(result: Result, path: Path, about: About, writer: Writer) -> bytes:
    stream = io.BytesIO()
    try:
        writer.write(result, stream, about)
    except OutputError as error:
        raise OutputError(f"{_shown(path)}: {error}") from error
    return stream.getvalue()


def _exists(path: str) -> bool:
    """Like ``os.path.exists``, but a name that is too long or a circle of links raises."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _is_special(path: Path) -> bool:
    """Whether a path is a device, a pipe, or one of the process's open files (which may be a plain file)."""
    if os.path.abspath(path).startswith(("/dev/fd/", "/dev/std", "/proc/self/fd/")):
        return True
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _write_stdout(data: bytes) -> None:
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _cannot_write(STDOUT, error) from error


def _write_special(data: bytes, path: Path) -> None:
    # Appending, so that an open file behind /dev/stdout keeps what is in it.
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        _write_all(fd, data)
    finally:
        os.close(fd)


def _write_atomically(data: bytes, target: str, force: bool) -> None:
    folder = os.path.dirname(target)
    temporary = os.path.join(folder, f".mira-{os.urandom(8).hex()}.tmp")
    nameless = _open_nameless(folder)
    first_name = temporary if nameless is None or force else target
    try:
        if nameless is None:
            with open(temporary, "xb") as stream:
                _fill(stream.fileno(), data)
        else:
            with open(nameless, "wb") as stream:
                _fill(nameless, data)
                _name(nameless, first_name)
        if force:
            os.replace(temporary, target)
        elif first_name == temporary:
            _link(temporary, target)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
    _sync_folder(folder)


def _open_nameless(folder: str) -> int | None:
    """Open a file without a name, which is gone when closed unless it got one; None where there are none."""
    if not hasattr(os, "O_TMPFILE") or not os.path.isdir("/proc/self/fd"):
        return None
    try:
        return os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o666)
    except OSError:  # whatever it was, opening a file with a name says it better
        return None


def _name(fd: int, target: str) -> None:
    """Give an open nameless file its name, which must not exist."""
    # With a directory descriptor Python calls linkat, which follows /proc's link to the nameless file.
    folder = os.open(os.path.dirname(target), os.O_RDONLY)
    try:
        os.link(f"/proc/self/fd/{fd}", target, src_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)


def _link(source: str, target: str) -> None:
    """Give a file the further name ``target``, which must not exist."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        # A file system without hard links (FAT): claim the name, then put the file in its place.
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        os.replace(source, target)


def _fill(fd: int, data: bytes) -> None:
    _write_all(fd, data)
    os.fsync(fd)


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _sync_folder(folder: str) -> None:
    """Make a new name last through a power cut, where the system can."""
    if os.name != "posix":
        return
    # The file is in its place by now; file systems that cannot flush a folder say so by an error.
    with suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _exists_already(path: Path) -> OutputError:
    return OutputError(f"{_shown(path)}: exists already; use --force to overwrite")


def _cannot_write(path: Path, error: OSError) -> OutputError:
    reason = _REASONS.get(error.errno or 0) or os.strerror(error.errno or errno.EIO).lower()
    return OutputError(f"{_shown(path)}: cannot write: {reason}")


def _shown(path: Path) -> str:
    return "standard output" if path == STDOUT else printable(path)
