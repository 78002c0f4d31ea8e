"""Downloads that survive dropped connections, and archives that cannot write outside of their folder."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import shutil
import stat
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from mira import __version__
from mira.errors import DataError
from mira.writers.text import printable

from mira_train.data.atomic import cannot_write

_CHUNK = 1 << 18
_TIMEOUT_S = 30
_TRY_AGAIN = {408, 429, 500, 502, 503, 504}

BOMB_RATIO = 200
"""An archive that grows by more than this, to more than ``BOMB_FLOOR`` bytes, is no data set."""
BOMB_FLOOR = 10 << 20


class _Interrupted(Exception):
    """Something that another attempt may mend."""


def download(
    url: str,
    part: Path,
    *,
    size: int | None = None,
    sha256: str | None = None,
    attempts: int = 5,
    wait_s: float = 1.0,
    on_progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> str:
    """Download to ``part``, going on where an earlier attempt or an earlier run stopped.

    What is there already is kept only if the server confirms, by ``If-Range``, that the file is still the
    same; otherwise the download starts again.

    Parameters
    ----------
    url
        An http or https address.
    part
        The file to fill; ``part`` with ``.json`` appended remembers which version of which file it is.
    size, sha256
        What the file must have, where that is known.
    attempts
        How many times in a row nothing may be gained before giving up.
    wait_s
        Pause before the second attempt; doubled for each further one.
    on_progress
        Called with the bytes there and the bytes in all.

    Returns
    -------
    The SHA-256 of the file.

    Raises
    ------
    DataError
        If the server does not deliver, or delivers another file than expected (which is then deleted).
    OutputError
        If the file cannot be written; what is there is kept for the next run.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise DataError(f"{url}: not an http or https address")
    transfer = _Transfer(url, part, size, on_progress)
    most, failures = 0, 0
    while True:
        try:
            transfer.attempt()
            break
        except _Interrupted as reason:
            have = _size(part)
            failures = 1 if have > most else failures + 1
            most = max(most, have)
            if failures >= attempts:
                raise DataError(
                    f"{url}: {reason} ({attempts} attempts); what is there is kept, try again later"
                ) from None
            time.sleep(wait_s * 2 ** (failures - 1))
    found = file_sha256(part)
    if sha256 is not None and found != sha256.lower():
        transfer.discard()
        raise DataError(f"{url}: SHA-256 is {found}, expected {sha256}; the file was deleted, get it again")
    transfer.state.unlink(missing_ok=True)
    return found


class _Transfer:
    """One file on its way; each attempt goes on where the last one stopped."""

    def __init__(
        self, url: str, part: Path, size: int | None, on_progress: Callable[[int, int | None], None]
    ) -> None:
        self.url, self.part, self.size, self.on_progress = url, part, size, on_progress
        self.state = part.with_name(part.name + ".json")

    def discard(self) -> None:
        """Forget what is there."""
        self.part.unlink(missing_ok=True)
        self.state.unlink(missing_ok=True)

    def attempt(self) -> None:
        """Fetch what is missing."""
        known = self._known()
        have = _size(self.part) if known.get("validator") else 0
        if have and have == known.get("total"):
            return
        headers = {"User-Agent": f"mira/{__version__}", "Accept-Encoding": "identity"}
        if have:
            headers |= {"Range": f"bytes={have}-", "If-Range": known["validator"]}
        request = urllib.request.Request(self.url, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
                self._receive(answer, have, known)
        except urllib.error.HTTPError as error:
            self._refused(error)
        except urllib.error.URLError as error:
            raise _Interrupted(f"no connection: {error.reason}") from error
        except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
            raise _Interrupted(f"the connection broke: {error or type(error).__name__}") from error

    def _refused(self, error: urllib.error.HTTPError) -> None:
        if error.code == 416:
            self.discard()
            raise _Interrupted("the server could not go on where the last attempt stopped") from error
        if error.code in _TRY_AGAIN:
            raise _Interrupted(f"the server answers {error.code} {error.reason}") from error
        raise DataError(
            f"{self.url}: the server answers {error.code} {error.reason}; check the base address"
        ) from error

    def _receive(self, answer: Any, have: int, known: dict[str, Any]) -> None:
        if urlsplit(self.url).scheme == "https" and urlsplit(answer.url).scheme != "https":
            raise DataError(f"{self.url}: the server leads to an address without encryption; not followed")
        total = _length(answer.headers.get("Content-Length"))
        if answer.status == 206:
            start, total = _range(answer.headers.get("Content-Range"))
            if start != have or total != known.get("total"):
                self.discard()
                raise _Interrupted("the server sent another part than was asked for")
        else:
            have = 0
        if self.size is not None and total is not None and total != self.size:
            raise DataError(f"{self.url}: {total} bytes, expected {self.size}; the server has another file")
        with self._open(have) as stream:
            if not have:
                self._remember(answer.headers, total)
            have = self._copy(answer, stream, have, total)
        expected = self.size if total is None else total
        if expected is not None and have != expected:
            raise _Interrupted(f"{have} of {expected} bytes came, then the server stopped")

    def _open(self, have: int) -> Any:
        try:
            self.part.parent.mkdir(parents=True, exist_ok=True)
            return self.part.open("ab" if have else "wb")
        except OSError as error:
            raise cannot_write(self.part, error) from error

    def _copy(self, answer: Any, stream: Any, have: int, total: int | None) -> int:
        if total is not None:
            _check_room(self.part, total - have)
        while chunk := answer.read(_CHUNK):
            try:
                stream.write(chunk)
                stream.flush()
            except OSError as error:
                raise cannot_write(self.part, error) from error
            have += len(chunk)
            self.on_progress(have, total)
        return have

    def _known(self) -> dict[str, Any]:
        try:
            known = json.loads(self.state.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) and known.get("url") == self.url else {}

    def _remember(self, headers: Any, total: int | None) -> None:
        """Note what proves, next time, that the file is still the same: a strong tag, or a date."""
        tag = headers.get("ETag", "")
        validator = tag if tag.startswith('"') else headers.get("Last-Modified")
        text = json.dumps({"url": self.url, "validator": validator, "total": total})
        try:
            self.state.write_text(text, encoding="utf-8")
        except OSError as error:
            raise cannot_write(self.state, error) from error


def unpack(archive: Path, folder: Path) -> list[Path]:
    """Unpack a zip file; nothing outside of ``folder`` is touched, and nothing is left if it fails.

    Returns
    -------
    The files.

    Raises
    ------
    DataError
        If the archive is damaged, holds anything but plain files and folders, names a path outside of the
        folder, or grows so much that it must be meant to fill the disk.
    OutputError
        If a file cannot be written.
    """
    where = printable(archive)
    temporary = folder / f".mira-{os.urandom(8).hex()}.tmp"
    try:
        with zipfile.ZipFile(archive) as source:
            members = [_checked(where, member) for member in source.infolist() if not member.is_dir()]
            if len({path for path, _ in members}) != len(members):
                raise DataError(f"{where}: names a file twice; not unpacked")
            total = sum(member.file_size for _, member in members)
            if total > BOMB_FLOOR and total > BOMB_RATIO * archive.stat().st_size:
                raise DataError(f"{where}: would grow to {total} bytes, too much for its size; not unpacked")
            _check_room(folder / archive.name, total)
            for path, member in members:
                _extract(source, member, temporary / path)
        return [_move(temporary / path, folder / path) for path, _ in members]
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise DataError(f"{where}: not a whole zip file ({error}); download it again") from error
    except OSError as error:
        raise cannot_write(folder, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _checked(where: str, member: zipfile.ZipInfo) -> tuple[PurePosixPath, zipfile.ZipInfo]:
    name = member.orig_filename
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\\" in part or "\0" in part or part[1:2] == ":" for part in parts):
        raise DataError(f"{where}: names '{printable(name)}', which is not inside its folder; not unpacked")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise DataError(f"{where}: '{printable(name)}' is a link or a device; not unpacked")
    if member.flag_bits & 1:
        raise DataError(f"{where}: '{printable(name)}' is encrypted; not unpacked")
    return PurePosixPath(name), member


def _extract(source: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with source.open(member) as packed, path.open("xb") as stream:
        shutil.copyfileobj(packed, stream, _CHUNK)
        stream.flush()
        os.fsync(stream.fileno())


def _move(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    return source.replace(target)


def _check_room(path: Path, needed: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise cannot_write(
            path, RuntimeError(f"needs {needed >> 20} MiB, but only {free >> 20} MiB are free")
        )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _length(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None


def _range(text: str | None) -> tuple[int | None, int | None]:
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", text or "")
    return (int(match[1]), int(match[2])) if match else (None, None)
