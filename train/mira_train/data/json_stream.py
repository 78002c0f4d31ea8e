"""Reading a JSON document piece by piece, so that a long array never lies in memory as a whole.

The standard library's decoder does the work: it decodes one value at a time from a window on the file, which
grows only while a value is not complete. It also takes the ``NaN`` that Python's own writer puts into files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from mira.errors import DataError
from mira.writers.text import printable

CHUNK = 1 << 18
_SPACE = " \t\n\r"
_CUT = "the file ends here, in the middle of the document; it is not complete"
_LONGEST_TOKEN = 16
"""No number, literal or escape that the window cuts makes the decoder stop further than this from its end."""


class JsonStream:
    """A cursor in a JSON document.

    Parameters
    ----------
    stream
        The text; it is read forwards only.
    path
        The file's name for error messages.

    Raises
    ------
    DataError
        By every method, where the text is not JSON; the message gives the position.
    """

    def __init__(self, stream: TextIO, path: Path) -> None:
        self._stream = stream
        self._path = path
        self._decoder = json.JSONDecoder()
        self._window = ""
        self._at = 0
        self._dropped = 0
        self._ended = False

    def peek(self) -> str:
        """The next character that is not space; empty at the end of the document."""
        while True:
            while self._at < len(self._window) and self._window[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._window):
                return self._window[self._at]
            if not self._fill(CHUNK):
                return ""

    def members(self) -> Iterator[str]:
        """Yield the keys of the object at the cursor; the caller reads each value before the next key."""
        for _ in self._elements("{", "}"):
            if self.peek() != '"':
                raise self._error("a key in double quotes is missing")
            key = self.value()
            self._expect(":")
            yield key

    def items(self) -> Iterator[None]:
        """Yield once for each element of the array at the cursor; the caller reads it before the next."""
        return self._elements("[", "]")

    def value(self) -> Any:
        """Read one whole value."""
        if not self.peek():
            raise self._error(_CUT)
        size = CHUNK
        while True:
            try:
                value, end = self._decoder.raw_decode(self._window, self._at)
            except json.JSONDecodeError as error:
                cut = error.pos > len(self._window) - _LONGEST_TOKEN or error.msg.startswith("Unterminated")
                if not (cut and self._fill(size)):
                    raise self._decode_error(error) from error
            except RecursionError:
                raise self._error("the lists are nested too deeply") from None
            else:
                # A number that touches the end of the window may go on behind it.
                if end < len(self._window) or not self._fill(size):
                    self._at = end
                    return value
            size *= 2

    def skip(self) -> None:
        """Pass over one value; a long array is passed element by element."""
        if self.peek() == "[":
            for _ in self.items():
                self.value()
        else:
            self.value()

    def finish(self) -> None:
        """Check that the document ends at the cursor."""
        if self.peek():
            raise self._error("there is something behind the end of the document")

    def _elements(self, first: str, last: str) -> Iterator[None]:
        self._expect(first)
        if self.peek() == last:
            self._at += 1
            return
        while True:
            yield
            if self.peek() == last:
                self._at += 1
                return
            self._expect(",")

    def _expect(self, char: str) -> None:
        found = self.peek()
        if not found:
            raise self._error(_CUT)
        if found != char:
            raise self._error(f"'{char}' is missing")
        self._at += 1

    def _fill(self, size: int) -> bool:
        """Read on; False at the end of the file."""
        if self._ended:
            return False
        try:
            more = self._stream.read(size)
        except UnicodeDecodeError as error:
            raise DataError(f"{printable(self._path)}: not UTF-8 text; save it as UTF-8") from error
        except OSError as error:
            raise DataError(f"{printable(self._path)}: cannot read: {error.strerror}") from error
        if not more:
            self._ended = True
            return False
        self._dropped += self._at
        self._window = self._window[self._at :] + more
        self._at = 0
        return True

    def _error(self, text: str, at: int | None = None) -> DataError:
        position = self._dropped + (self._at if at is None else at)
        return DataError(f"{printable(self._path)}: not valid JSON at character {position}: {text}")

    def _decode_error(self, error: json.JSONDecodeError) -> DataError:
        if self._ended and error.pos > len(self._window) - _LONGEST_TOKEN:
            return self._error(_CUT)
        return self._error(error.msg, error.pos)
