"""The terminal: data goes to stdout, everything else to stderr, one clear line each."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mira.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable


def printable(text: str) -> str:
    """Escape what a terminal cannot show or would obey, such as control characters and undecodable bytes."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def say(message: str) -> None:
    """Print one line of talk on stderr."""
    show(f"mira: {printable(message)}\n")


def show(text: str) -> None:
    """Print text on stderr; where nobody can read it any more, that is no failure."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError):
        silence(2)


def silence(descriptor: int) -> None:
    """Point a closed stream at nothing, so that neither later writes nor the interpreter's end complain."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, descriptor)
    os.close(nothing)


class Stdout:
    """Standard output for data. ``open`` turns false once the reader has gone away, as ``| head`` does."""

    def __init__(self) -> None:
        self.open = sys.stdout is not None

    def write(self, data: bytes) -> None:
        """Write and flush, so that each line is out before the next file is begun.

        Raises
        ------
        OutputError
            If the data cannot be written for another reason than a reader that has gone.
        """
        if not self.open:
            return
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.flush()
        except BrokenPipeError:
            self.close()
        except OSError as error:
            self.close()
            raise OutputError(f"standard output: cannot write: {error.strerror}") from error

    def close(self) -> None:
        """Stop writing."""
        self.open = False
        silence(1)


@contextmanager
def progress(total: int, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Show a bar on stderr while many files are worked on; yields the function to call after each file.

    Nothing is shown for one file, with ``quiet``, or where stderr is no terminal.
    """
    if quiet or total < 2 or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        shown = bar.add_task("", total=total)
        yield lambda name: bar.update(shown, advance=1, description=escape(printable(name)))
