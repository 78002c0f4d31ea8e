"""Listens in a process of its own, which gives its memory back and takes nobody with it if it dies."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING

from mira.batch import error_of
from mira.errors import AudioError

from mira_plugins.studio.jobs import Cancelled

if TYPE_CHECKING:
    from mira_plugins.studio.library import Track
    from mira_plugins.studio.listening import Listening, Report
    from mira_plugins.studio.pictures import Pictures

PATIENCE_S = 0.2
"""How often whoever waits is asked whether it still wants to."""


class Worker:
    """One process, started when there is something to do.

    Parameters
    ----------
    cache
        Folder of activations and pictures.
    threads
        Threads of the models.
    """

    def __init__(self, cache: Path, threads: int | None) -> None:
        self._cache = cache
        self._threads = threads
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    def listen(self, track: Track, tasks: Sequence[str], report: Report) -> list[str]:
        """Have the picture and the results of some tasks made.

        Parameters
        ----------
        report
            Takes the share that is done, now and then; if it raises, the work is stopped at once.

        Returns
        -------
        One line for each task that failed.

        Raises
        ------
        AudioError
            If the recording cannot be read, or the process died of it.
        """
        pipe = self._pipe or self._start()
        done = 0.0
        try:
            pipe.send((track, list(tasks)))
            while True:
                if pipe.poll(PATIENCE_S):
                    message = pipe.recv()
                    if isinstance(message, list):
                        return message
                    if isinstance(message, str):
                        raise AudioError(message)
                    done = message
                report(done)
        except (EOFError, OSError):
            self.stop()
            reason = "the process that listened to it died, killed or out of memory"
            raise AudioError(f"{track.name}: {reason}") from None
        except Cancelled:
            self.stop()
            raise

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        if self._process is not None and self._pipe is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
        self._process = self._pipe = None

    def _start(self) -> Connection:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_work, args=(other, self._cache, self._threads), daemon=True)
        self._process.start()
        other.close()
        return self._pipe


def _work(pipe: Connection, cache: Path, threads: int | None) -> None:
    """What the process does until nobody is at the other end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from mira_plugins.studio.listening import Listening
    from mira_plugins.studio.pictures import Pictures

    listening = Listening(cache, threads)
    pictures = Pictures(cache, listening.tasks)
    with suppress(EOFError, BrokenPipeError):
        while True:
            track, tasks = pipe.recv()
            try:
                pipe.send(_listen(track, tasks, listening, pictures, pipe.send))
            except BrokenPipeError:
                raise
            except Exception as problem:  # of whatever kind, it is this recording's alone; it is handed over
                pipe.send(error_of("", problem).error)


def _listen(
    track: Track, tasks: list[str], listening: Listening, pictures: Pictures, report: Report
) -> list[str]:
    """Make the picture first: there is something to look at while the models listen."""
    content = listening.content(track)
    share = 0.0
    if pictures.find(content) is None:
        share = 0.3 if tasks else 1.0
        pictures.make(content, track, lambda part: report(share * part))
        report(share)
    return listening.listen(track, tasks, lambda part: report(share + (1 - share) * part)) if tasks else []
