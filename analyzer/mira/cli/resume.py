"""``--resume``: which outputs are there already and still hold."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mira.errors import MiraError
from mira.store import Store, default_path, digest_of, result_key
from mira.task import make_settings, tuned

if TYPE_CHECKING:
    from mira.cli.outputs import Target
    from mira.results import Result
    from mira.task import Task
    from mira.writers import About


class Ledger:
    """What a run knows about its outputs, kept in the result store.

    An output holds if it was made from the recording's present bytes, by the present models and settings, and
    nobody has changed it since. One that exists unknown to the store, because the program was killed between
    writing and noting it, is adopted if it is what would be written now.

    Parameters
    ----------
    tasks, settings
        Task name -> task, and -> settings given by the user.
    warn
        Takes the one line that says why the store cannot be used.
    """

    def __init__(
        self,
        tasks: Mapping[str, Task],
        settings: Mapping[str, Mapping[str, Any]],
        warn: Callable[[str], None],
    ) -> None:
        self._store = Store(default_path(), warn)
        self._made_by = {name: made_by(task, settings.get(name, {})) for name, task in tasks.items()}
        self._content: dict[str, str] = {}

    def begin(self, path: str) -> bool:
        """Take down what a recording holds, before it is listened to; False if it is no readable file."""
        content = _digest(path) if os.path.isfile(path) else ""
        if content:
            self._content[path] = content
        return bool(content)

    def holds(self, path: str, task: str, files: Sequence[str]) -> bool:
        """Whether all these outputs of a recording are there and hold."""
        return all(self._store.output(file) == (self._key(path, task), _digest(file)) for file in files)

    def record(self, path: str, task: str) -> dict[str, Any] | None:
        """Return the JSON form of a recording's result, if the store has it."""
        return self._store.get(self._key(path, task))

    def keep(self, path: str, task: str, record: Mapping[str, Any]) -> None:
        """Put a result, in its JSON form, into the store."""
        if path in self._content:
            self._store.put(self._key(path, task), self._content[path], task, record)

    def adopts(self, path: str, target: Target, result: Result, about: About) -> bool:
        """Take an output that exists as done if it is, byte for byte, what would be written."""
        if path not in self._content or not os.path.exists(target.path):
            return False
        stream = io.BytesIO()
        target.writer.write(result, stream, about)
        same = hashlib.sha256(stream.getvalue()).hexdigest() == _digest(target.path)
        if same:
            self.written(path, about.task, target.path)
        return same

    def wrote(self, file: str) -> bool:
        """Whether a file is one that mira wrote and nobody has changed; it may then be replaced."""
        digest = _digest(file)
        return bool(digest) and self._store.output(file)[1] == digest

    def written(self, path: str, task: str, file: str) -> None:
        """Note that an output has been written."""
        if path in self._content:
            self._store.put_output(file, self._key(path, task), _digest(file))

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def _key(self, path: str, task: str) -> str:
        graphs, settings = self._made_by[task]
        return result_key(self._content[path], task, graphs, settings)


def made_by(task: Task, given: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """Hashes of the models behind a task, and all its settings in force."""
    from mira.plugins import load_plugins

    plugins = load_plugins()
    family, queue = [task], list(task.needs)
    while queue:
        needed = plugins.task(queue.pop())
        if needed not in family:
            family.append(needed)
            queue.extend(needed.needs)
    cards = [_card(t) for t in family]
    defaults = cards[0].defaults if cards[0] is not None else {}
    wanted = tuned(make_settings(task, given), defaults)
    return [c.graph_sha256 if c is not None else "" for c in cards], dataclasses.asdict(wanted)


def _card(task: Task) -> Any:
    from mira.card import read_card

    if task.model is None:
        return None
    try:
        return read_card(task.model)
    except MiraError:
        return None  # loading the model says better what is wrong


def _digest(file: str) -> str:
    try:
        return digest_of(file)
    except OSError:
        return ""
