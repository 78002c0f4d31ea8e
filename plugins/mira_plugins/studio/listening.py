"""Results and activations: from the engine's store and a cache of our own, or else by running the models.

The network runs once for a recording. Its activations are kept as float16 by what the recording holds, the
task and the models; other settings are decoded from them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from mira import analysis
from mira.audio import open_audio, probe
from mira.batch import error_of
from mira.card import read_card
from mira.cli.console import say
from mira.cli.resume import made_by
from mira.errors import AudioError
from mira.plugins import load_plugins
from mira.store import Store, default_path, digest_of, result_key
from mira.task import Activations, Task
from mira.writers import About
from mira.writers.json import record
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mira.audio import Audio
    from mira.results import Result

    from mira_plugins.studio.library import Track

IN_MEMORY = 4
"""Activations that are held ready for sliders."""

Report = Callable[[float], None]
"""Takes the share that is done; may raise to stop the work."""


class Watched:
    """A recording that is being read, which reports what share of it has been."""

    def __init__(self, audio: Audio, duration_s: float, report: Report) -> None:
        self._audio = audio
        self._samples = duration_s * audio.sample_rate
        self._report = report

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *_: object) -> None:
        self._audio.close()

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        heard = 0
        for block in self._audio:
            self._report(min(heard / self._samples, 1.0))
            heard += len(block)
            yield block

    @property
    def warnings(self) -> list[str]:
        """What is wrong with the recording."""
        return self._audio.warnings


class Listening:
    """What was heard in the recordings, by their content.

    Parameters
    ----------
    folder
        Where activations are kept.
    threads
        Threads of the models.
    """

    def __init__(self, folder: Path, threads: int | None = None) -> None:
        self.threads = threads
        self._folder = folder / "activations"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._memory: OrderedDict[str, Activations] = OrderedDict()
        self._digests: dict[str, tuple[tuple[int, int, int], str]] = {}
        self._lock = Lock()

    @property
    def tasks(self) -> Mapping[str, Task]:
        """All tasks that are registered."""
        return load_plugins().tasks

    def content(self, track: Track) -> str:
        """SHA-256 of a recording's bytes, read anew when the file has changed.

        Raises
        ------
        AudioError
            If the file is gone or cannot be read.
        """
        try:
            status = os.stat(track.path)
            seen = (status.st_mtime_ns, status.st_size, status.st_ino)
            known = self._digests.get(track.id)
            if known is None or known[0] != seen:
                known = self._digests[track.id] = (seen, digest_of(track.path))
        except OSError as error:
            raise AudioError(f"{track.name}: the file is gone or cannot be read: {error.strerror}") from error
        return known[1]

    def result(self, track: Track, task: str) -> dict[str, Any] | None:
        """The result at default settings in its JSON form, if the store has it."""
        with closing(Store(default_path(), say)) as store:
            return store.get(self._store_key(self.content(track), task))

    def about(self, track: Track, task: str, settings: Mapping[str, Any]) -> About:
        """Where a result that the page sends comes from."""
        model = self.tasks[task].model
        card = read_card(model) if model else None
        identity = {"name": card.name, "version": card.version} if card else {}
        return About(track.path, task, identity, default_settings(task) | dict(settings))

    def listen(self, track: Track, tasks: list[str], report: Report) -> list[str]:
        """Run the models of some tasks; keep results in the store and activations in the cache.

        Returns
        -------
        One line for each task that failed.
        """
        content = self.content(track)
        models = {name: analysis.shared_model(name, self.threads) for name in tasks}
        passes = len({model.sample_rate for model in models.values()})
        finished = 0

        def open_at(rate: int) -> Audio:
            nonlocal finished
            done, finished = finished, finished + 1
            audio = open_audio(track.path, rate)
            watched = Watched(audio, duration_of(track.path), lambda part: report((done + part) / passes))
            return cast("Audio", watched)

        heard, _ = analysis.listen(open_at, models)
        failures = []
        for name, activations in heard.items():
            try:
                if isinstance(activations, Exception):
                    raise activations
                self._keep(content, name, activations)
                result = models[name].decode(activations)
                about = models[name].about(track.path, activations, {})
                with closing(Store(default_path(), say)) as store:
                    store.put(self._store_key(content, name), content, name, record(result, about))
            except Exception as error:  # one task must not take the others with it; it is shown
                failures.append(f"{name}: {error_of(name, error).error}")
        return failures

    def decode(self, track: Track, task: str, settings: Mapping[str, Any]) -> Result | None:
        """Decode other settings from the activations; None if the network has yet to run."""
        activations = self._activations(self.content(track), task)
        if activations is None:
            return None
        decoder = analysis.Model(dataclasses.replace(self.tasks[task], model=None))  # needs no session
        return decoder.decode(activations, **settings)

    def _keep(self, content: str, task: str, activations: Activations) -> None:
        for name, needed in activations.needed.items():
            self._keep(content, name, needed)
        about = {
            "sample_rate": activations.sample_rate,
            "hop_length": activations.hop_length,
            "duration_s": activations.duration_s,
            "defaults": dict(activations.defaults),
            "needed": list(activations.needed),
        }
        arrays: dict[str, Any] = {f"a:{name}": _half(values) for name, values in activations.arrays.items()}
        place = self._place(content, task)
        temporary = place.with_name(f".{place.name}.{os.getpid()}")
        try:
            with open(temporary, "wb") as stream:
                np.savez(stream, about=np.array(json.dumps(about)), **arrays)
            os.replace(temporary, place)
        finally:
            temporary.unlink(missing_ok=True)

    def _activations(self, content: str, task: str) -> Activations | None:
        place = self._place(content, task)
        with self._lock:
            if place.name in self._memory:
                self._memory.move_to_end(place.name)
                return self._memory[place.name]
        try:
            with np.load(place, allow_pickle=False) as file:
                about = json.loads(str(file["about"]))
                # Decoders want float32; to widen it once costs less than at every move of a slider.
                arrays = {k[2:]: file[k].astype(np.float32) for k in file.files if k.startswith("a:")}
            os.utime(place)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError):  # damaged: as good as not there
            place.unlink(missing_ok=True)
            return None
        needed = {name: self._activations(content, name) for name in about.pop("needed")}
        if None in needed.values():
            return None
        activations = Activations(arrays=arrays, needed=cast("dict[str, Activations]", needed), **about)
        with self._lock:
            self._memory[place.name] = activations
            while len(self._memory) > IN_MEMORY:
                self._memory.popitem(last=False)
        return activations

    def _place(self, content: str, task: str) -> Path:
        graphs, _ = _made_of(task)
        key = hashlib.sha256(json.dumps([content, task, graphs]).encode()).hexdigest()
        return self._folder / f"{key[:32]}.npz"

    def _store_key(self, content: str, task: str) -> str:
        graphs, settings = _made_of(task)
        return result_key(content, task, graphs, settings)


@cache
def _made_of(task: str) -> tuple[list[str], dict[str, Any]]:
    return made_by(load_plugins().task(task), {})


def duration_of(path: str) -> float:
    """Seconds that a header promises, at least one, to measure progress by."""
    try:
        return max(probe(path).duration_s or 1.0, 1.0)
    except AudioError:
        return 1.0


def default_settings(task: str) -> dict[str, Any]:
    """All settings of a task as they are when nobody says anything, the tuned ones filled in."""
    return dict(_made_of(task)[1])


def settings_of(task: Task) -> list[dict[str, Any]]:
    """What the page needs to draw a control for each setting; those that name files have none."""
    defaults = default_settings(task.name)
    found = []
    for spec in dataclasses.fields(task.settings):
        default, choices = defaults[spec.name], spec.metadata["choices"]
        if not choices and not isinstance(default, (bool, int, float)):
            continue
        found.append(
            {
                "name": spec.name,
                "help": spec.metadata["help"],
                "default": default,
                "minimum": spec.metadata["minimum"],
                "maximum": spec.metadata["maximum"],
                "choices": list(choices),
                "whole": isinstance(default, int) and not isinstance(default, bool),
            }
        )
    return found


def _half(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(np.float16) if np.abs(values).max(initial=0) < 6e4 else values
