"""JSON: one object for each recording and task, as ``docs/json.md`` describes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, BinaryIO

from mira.errors import OutputError
from mira.results import SCHEMA, Result
from mira.writers import About, Writer
from mira.writers.checks import check_result


def record(result: Result | None, about: About, error: str | None = None) -> dict[str, Any]:
    """Return the JSON form of a result, or of the failure to get one.

    Raises
    ------
    OutputError
        If the result holds what JSON cannot.
    """
    if result is not None:
        check_result(result)
    return {
        "schema": SCHEMA,
        "path": about.path,
        "task": about.task,
        "model": dict(about.model),
        "settings": dict(about.settings),
        **(result.to_dict() if result is not None else {}),
        "error": error,
    }


def dumps(values: Mapping[str, Any], *, indent: int | None = None) -> str:
    """Return JSON text: on one line, or indented; ASCII, so that it survives any path and any terminal.

    Raises
    ------
    OutputError
        If a number is not finite, which JSON cannot say.
    """
    try:
        return json.dumps(values, allow_nan=False, indent=indent, default=str)
    except ValueError as error:
        raise OutputError(f"a number of the result is not finite, which JSON cannot say: {error}") from error


def write(result: Result, stream: BinaryIO, about: About) -> None:
    """Write :func:`record` with one line end after it."""
    text = dumps(record(result, about), indent=_INDENT)
    stream.write(text.encode("ascii") + b"\n")


_INDENT = 1
"""Blanks a level in files; arrays of thousands of numbers stand one to a line."""

WRITER = Writer("json", (".json",), (Result,), write)
