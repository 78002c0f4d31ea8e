"""One running studio: the library, what was heard, and the jobs that are still to be done."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mira
from mira.results import Embedding
from mira.task import Task

from mira_plugins.studio.covers import Covers
from mira_plugins.studio.edits import Edits
from mira_plugins.studio.exports import formats
from mira_plugins.studio.jobs import Job, Jobs
from mira_plugins.studio.library import Library, Track
from mira_plugins.studio.listening import Listening, duration_of, settings_of
from mira_plugins.studio.pictures import Pictures
from mira_plugins.studio.worker import Worker

SAMPLE = Path(mira.__file__).parent / "sample" / "canon.ogg"
"""The bundled piece."""


class Studio:
    """Everything behind the page.

    Parameters
    ----------
    cache
        Folder of what can be made again, of uploads and of the list of recordings.
    edits
        Folder of the sidecars.
    threads
        Threads of the models.
    """

    def __init__(self, cache: Path, edits: Path, threads: int | None = None) -> None:
        self.cache = cache
        self.library = Library(cache)
        self.listening = Listening(cache)
        self.pictures = Pictures(cache, self.listening.tasks)
        self.edits = Edits(edits)
        self.covers = Covers()
        self._worker = Worker(cache, threads)
        self.jobs = Jobs(self._do)

    @property
    def usual_tasks(self) -> list[str]:
        """What is listened for unless the page says otherwise: all that says something to the eye."""
        return [name for name, task in self.listening.tasks.items() if not issubclass(task.result, Embedding)]

    def described(self) -> dict[str, Any]:
        """What the page must know before anything else."""
        return {
            "version": mira.__version__,
            "note": self.library.note,
            "covers": self.covers.available,
            "tasks": [self._task(task) for task in self.listening.tasks.values()],
            "usual": self.usual_tasks,
        }

    def _task(self, task: Task) -> dict[str, Any]:
        return {
            "name": task.name,
            "command": task.command,
            "summary": task.summary,
            "kind": task.result.kind,
            "settings": settings_of(task),
            "formats": formats(task),
        }

    def listen(
        self, track: Track, tasks: Sequence[str], *, again: bool = False, first: bool = False
    ) -> Job | None:
        """Queue what is not known yet of a recording; None if all is known.

        Parameters
        ----------
        again
            Listen even where the store has the result: its activations are wanted.
        first
            Before all others.
        """
        content = self.listening.content(track)
        missing = [name for name in tasks if again or self.listening.result(track, name) is None]
        if not missing and self.pictures.find(content) is not None:
            return None
        return self.jobs.add(track.id, track.name, tuple(missing), first=first)

    def about_track(self, track: Track) -> dict[str, Any]:
        """What the page needs to show a recording, its results apart."""
        content = self.listening.content(track)
        picture = self.pictures.find(content)
        return {
            "id": track.id,
            "name": track.name,
            "content": content,
            "duration_s": duration_of(track.path),
            "picture": picture.described() if picture else None,
        }

    def result(self, track: Track, task: Task) -> dict[str, Any]:
        """Result and edit of a task; either may be None."""
        content = self.listening.content(track)
        edit = self.edits.load(content, task)
        return {
            "result": self.listening.result(track, task.name),
            "edit": edit.record,
            "revision": edit.revision,
            "note": edit.note,
        }

    def close(self) -> None:
        """Stop listening."""
        self._worker.stop()

    def _do(self, job: Job) -> list[str]:
        try:
            return self._worker.listen(self.library.track(job.track), job.tasks, job.advance)
        finally:
            if not any(other.state == "waiting" for other in self.jobs.shown()):
                self._worker.stop()  # its memory is better used by others until there is more to do
