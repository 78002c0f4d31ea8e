"""What is still to be listened to: one recording at a time, the one that somebody looks at first."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Condition, Thread

from mira.batch import error_of
from mira.errors import AudioError


class Cancelled(AudioError):
    """Raised in the middle of listening once nobody wants it any more."""


@dataclass
class Job:
    """Listening to one recording.

    Parameters
    ----------
    id
        Number of the job.
    track
        What the recording is called.
    name
        Name of its file.
    tasks
        What to listen for.
    state
        ``waiting``, ``running``, ``done``, ``failed`` or ``cancelled``.
    progress
        0 to 1.
    error
        One line for each thing that went wrong.
    """

    id: int
    track: str
    name: str
    tasks: tuple[str, ...]
    state: str = "waiting"
    progress: float = 0.0
    error: str = ""
    unwanted: bool = field(default=False, repr=False)

    def advance(self, progress: float) -> None:
        """Say how far it is.

        Raises
        ------
        Cancelled
            If it is not wanted any more.
        """
        if self.unwanted:
            raise Cancelled("cancelled")
        self.progress = min(max(progress, 0.0), 1.0)


class Jobs:
    """A queue with one worker; models use all cores by themselves.

    Parameters
    ----------
    do
        Does a job: it calls :meth:`Job.advance` now and then, and returns one line for each failure.
    """

    KEPT = 20
    """Finished jobs that are still shown."""

    def __init__(self, do: Callable[[Job], list[str]]) -> None:
        self._do = do
        self._numbers = itertools.count(1)
        self._jobs: list[Job] = []
        self._change = Condition()
        self.version = 0
        Thread(target=self._work, name="studio-jobs", daemon=True).start()

    def add(self, track: str, name: str, tasks: tuple[str, ...], *, first: bool = False) -> Job:
        """Queue a job; one that waits for or does the same is returned instead."""
        with self._change:
            for job in self._jobs:
                if (
                    job.track == track
                    and job.state in ("waiting", "running")
                    and set(tasks) <= set(job.tasks)
                ):
                    if first and job.state == "waiting":
                        self._jobs.remove(job)
                        self._jobs.insert(0, job)
                    return job
            job = Job(next(self._numbers), track, name, tasks)
            self._jobs.insert(0 if first else len(self._jobs), job)
            self._changed()
            return job

    def cancel(self, number: int) -> None:
        """Take a job off the queue, or stop it soon."""
        with self._change:
            for job in self._jobs:
                if job.id == number:
                    job.unwanted = True
                    if job.state == "waiting":
                        job.state = "cancelled"
            self._changed()

    def cancel_track(self, track: str) -> None:
        """Cancel all jobs of a recording."""
        for job in self.shown():
            if job.track == track:
                self.cancel(job.id)

    def shown(self) -> list[Job]:
        """All jobs that wait or run, and the last of those that are over."""
        with self._change:
            return list(self._jobs)

    def touch(self) -> None:
        """Tell whoever watches ``version`` that something changed."""
        with self._change:
            self._changed()

    def _changed(self) -> None:
        self.version += 1
        over = [job for job in self._jobs if job.state not in ("waiting", "running")]
        for job in over[: max(len(over) - self.KEPT, 0)]:
            self._jobs.remove(job)
        self._change.notify_all()

    def _next(self) -> Job:
        with self._change:
            while True:
                for job in self._jobs:
                    if job.state == "waiting":
                        job.state = "running"
                        self._changed()
                        return job
                self._change.wait()

    def _work(self) -> None:
        while True:
            job = self._next()
            try:
                failures = self._do(job)
                state, error = ("failed" if failures else "done"), "; ".join(failures)
            except Cancelled:
                state, error = "cancelled", ""
            except Exception as problem:  # of whatever kind, it is this job's alone; it is shown
                state, error = "failed", error_of("", problem).error
            with self._change:
                job.state, job.error, job.progress = state, error, 1.0
                self._changed()
