"""Edited results, kept in sidecars: the JSON that mira writes, with ``edited`` among its settings.

The result itself is never touched. A sidecar belongs to what a recording holds, so it follows a file that is
renamed or moved, and lies with the user's data, not in a cache.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from mira.errors import DataError, MiraError, OutputError
from mira.results import Result
from mira.task import Task
from mira.writers import About, Writer, write_file
from mira.writers.checks import check_result
from mira.writers.json import dumps, record


class Conflict(MiraError):
    """Somebody else has saved an edit of the same result in the meantime."""


@dataclass(frozen=True)
class Edit:
    """An edited result.

    Parameters
    ----------
    record
        Its JSON form; None if there is none.
    revision
        Hash of the sidecar; empty if there is none.
    note
        One line if a damaged sidecar was found and put aside.
    """

    record: dict[str, Any] | None = None
    revision: str = ""
    note: str = ""


class Edits:
    """Sidecars in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, content: str, task: Task) -> Edit:
        """Read the edit of a recording with this content; a damaged one is put aside and said so."""
        place = self._place(content, task)
        try:
            data = place.read_bytes()
        except FileNotFoundError:
            return Edit()
        except OSError as error:
            return Edit(note=f"the edit in {place} cannot be read: {error.strerror}")
        try:
            values = json.loads(data)
            result_of(values, task)
            return Edit(values, _revision(data))
        except (ValueError, MiraError) as error:
            aside = place.with_name(f"{place.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
            with suppress(OSError):  # then it stays where it is, and saving says what is wrong
                place.rename(aside)
            reason = " ".join(str(error).split())
            return Edit(note=f"the saved edit was damaged ({reason}); it is kept as {aside}")

    def save(self, content: str, task: Task, result: Result, about: About, revision: str) -> str:
        """Write an edit, whole or not at all; returns its revision.

        Parameters
        ----------
        revision
            That of the edit which this one replaces.

        Raises
        ------
        Conflict
            If the sidecar has another revision.
        OutputError
            If it cannot be written: the disk is full, for one.
        """
        place = self._place(content, task)
        self._check(place, revision)
        write_file(result, place, edited(about), _SIDECAR, force=True, parents=True)
        return _revision(place.read_bytes())

    def discard(self, content: str, task: Task, revision: str) -> None:
        """Delete an edit; what mira heard counts again."""
        place = self._place(content, task)
        self._check(place, revision)
        place.unlink(missing_ok=True)

    def _check(self, place: Path, revision: str) -> None:
        try:
            present = _revision(place.read_bytes())
        except OSError:
            present = ""
        if present != revision:
            raise Conflict(
                "another window has edited this in the meantime; reload to see it, or save over it"
            )

    def _place(self, content: str, task: Task) -> Path:
        return self.folder / f"{content[:32]}.{task.name}.json"


def edited(about: About) -> About:
    """Mark a result as edited, for every format that writes settings."""
    return About(about.path, about.task, about.model, {**about.settings, "edited": True})


def result_of(values: Any, task: Task) -> Result:
    """Take a result from its JSON form, and look at it closely: it comes from a page or a file.

    Raises
    ------
    DataError
        If it is no result of this task.
    """
    if not isinstance(values, Mapping) or values.get("kind") != task.result.kind:
        raise DataError(f"this is no result of the task {task.name}")
    result = Result.from_dict(values)
    try:
        check_result(result)
        wrong = [
            spec.name for spec in dataclasses.fields(result) if not _fits(spec, getattr(result, spec.name))
        ]
    except (OutputError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise DataError(f"this is no result of the task {task.name}: {error}") from None
    if wrong:
        raise DataError(f"this is no result of the task {task.name}: {wrong[0]} is not what it should be")
    return result


_SIMPLE: dict[str, Any] = {"float": (int, float), "int": int, "bool": bool, "str": str}


def _fits(spec: dataclasses.Field[Any], value: Any) -> bool:
    """Whether a field holds what its annotation says, as far as other checks leave that open."""
    if spec.name == "label":
        return isinstance(value, tuple) and all(isinstance(label, str) for label in value)
    if spec.name == "bends":
        return value is None or all(curve.ndim == 2 and curve.shape[1] == 2 for curve in value)
    if str(spec.type).startswith("NDArray"):
        return value.ndim >= 1
    return isinstance(value, _SIMPLE.get(str(spec.type), object))


def _write(result: Result, stream: BinaryIO, about: About) -> None:
    stream.write(dumps(record(result, about)).encode("ascii"))


_SIDECAR = Writer("sidecar", (".json",), (Result,), _write)


def _revision(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
