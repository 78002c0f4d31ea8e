"""A file seen through a list of pieces, so that decoders see only the bytes that are theirs."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import BinaryIO


class Segments:
    """A seekable binary file made of stretches of another one and of bytes of our own.

    The C libraries call ``read`` back, and their bindings swallow what it raises. So it is kept, and
    :meth:`check` raises it once the library has returned.

    Parameters
    ----------
    file
        The file behind.
    pieces
        Either bytes, or (start, length) in ``file``.
    """

    def __init__(self, file: BinaryIO, pieces: list[bytes | tuple[int, int]]) -> None:
        self._file = file
        self._pieces = pieces
        lengths = (len(p) if isinstance(p, bytes) else p[1] for p in pieces)
        self._starts = list(accumulate(lengths, initial=0))
        self._at = 0
        self._error: BaseException | None = None

    @property
    def size(self) -> int:
        """Bytes in all pieces together."""
        return self._starts[-1]

    def read(self, count: int = -1) -> bytes:
        """Read up to ``count`` bytes; after an error nothing more comes."""
        try:
            return self._read(self.size - self._at if count < 0 else count)
        except BaseException as error:
            self._error = error
            return b""

    def _read(self, count: int) -> bytes:
        out = []
        while count > 0 and self._at < self.size and self._error is None:
            i = bisect_right(self._starts, self._at) - 1
            piece, skip = self._pieces[i], self._at - self._starts[i]
            want = min(count, self._starts[i + 1] - self._at)
            if isinstance(piece, bytes):
                part = piece[skip : skip + want]
            else:
                self._file.seek(piece[0] + skip)
                part = self._file.read(want)
            if not part:
                break
            out.append(part)
            self._at += len(part)
            count -= len(part)
        return b"".join(out)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move as :meth:`io.IOBase.seek` does; never to before the start."""
        self._at = max(0, offset + (0, self._at, self.size)[whence])
        return self._at

    def tell(self) -> int:
        """Where the next read starts."""
        return self._at

    def check(self) -> None:
        """Raise what a read raised inside a C library."""
        if self._error is not None:
            raise self._error
