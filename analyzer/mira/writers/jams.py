"""JAMS, the JSON Annotated Music Specification (Humphrey et al., ISMIR 2014), version 0.3.

The JSON is written here: the ``jams`` package would bring pandas and scipy along.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, BinaryIO

from mira import __version__
from mira.results import Chords, Curve, Embedding, Events, MultiF0, Notes, Result, Segments, Tags
from mira.writers import About, Writer
from mira.writers.checks import check_result
from mira.writers.json import dumps

KEY = r"([A-G][b#]?) (major|minor)"

Observation = tuple[float, float, Any, float | None]
"""Time and duration in seconds, value, confidence."""

Annotation = tuple[str, Sequence[Observation], dict[str, Any]]
"""Namespace, observations, sandbox."""


def write(result: Result, stream: BinaryIO, about: About) -> None:
    """Write a result as annotations, with the recording's path in the sandbox."""
    check_result(result)
    document = {
        "annotations": [
            _annotation(result, about, namespace, data, sandbox)
            for namespace, data, sandbox in _annotations(result)
        ],
        "file_metadata": {
            "title": "",
            "artist": "",
            "release": "",
            "duration": round(float(result.duration_s), 6),
            "identifiers": {},
            "jams_version": "0.3.4",
        },
        "sandbox": {"path": about.path, "task": about.task, "settings": dict(about.settings)},
    }
    stream.write(dumps(document, indent=1).encode("ascii") + b"\n")


def _annotation(
    result: Result, about: About, namespace: str, data: Iterable[Observation], sandbox: dict[str, Any]
) -> dict[str, Any]:
    model = " ".join(about.model.get(key, "") for key in ("name", "version")).strip()
    observations = [
        {
            "time": _round(t),
            "duration": _round(d),
            "value": value,
            "confidence": None if c is None else _round(c),
        }
        for t, d, value, c in data
    ]
    return {
        "namespace": namespace,
        "annotation_metadata": {
            "curator": {"name": "", "email": ""},
            "annotator": {},
            "version": __version__,
            "corpus": "",
            "annotation_tools": f"mira {__version__}" + (f", model {model}" if model else ""),
            "annotation_rules": "",
            "validation": "",
            "data_source": "program",
        },
        "data": _columns(observations) if namespace == "pitch_contour" else observations,
        "sandbox": sandbox,
        "time": 0.0,
        "duration": _round(result.duration_s),
    }


def _columns(observations: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Lay observations out as JAMS wants them of its dense namespaces."""
    return {key: [o[key] for o in observations] for key in ("time", "duration", "value", "confidence")}


def _annotations(result: Result) -> Iterator[Annotation]:
    """Yield the annotations that a result becomes."""
    whole = (0.0, float(result.duration_s))
    match result:
        case Notes():
            spans = zip(result.start_s, result.end_s - result.start_s, result.pitch, result.confidence)
            notes = [(t, d, float(pitch), c) for t, d, pitch, c in spans]
            yield "note_midi", notes, {"velocity": [int(v) for v in result.velocity]}
        case MultiF0():
            yield "pitch_contour", _contours(result), {}
        case Segments():
            spans = zip(result.start_s, result.end_s - result.start_s, result.label, result.confidence)
            yield "chord" if isinstance(result, Chords) else "segment_open", list(spans), {}
            if isinstance(result, Chords) and (keys := _keys(result)):
                yield "key_mode", keys, {}
        case Events():
            yield _events(result)
        case Curve():
            values = [(t, 0.0, [_round(v)], None) for t, v in zip(result.time_s, result.value)]
            yield "vector", values, {"unit": result.unit}
        case Tags():
            voice = {"voice": result.voice}
            groups = {"genre": result.genre, "instrument": result.instruments, "voice": voice}
            groups |= {"family": result.families or {}, "own": result.own or {}}
            for group, tags in groups.items():
                yield "tag_open", [(*whole, tag, p) for tag, p in tags.items()], {"group": group}
        case Embedding():
            yield "vector", [(*whole, _rounded(result.vector), None)], {"extent": "recording"}
            steps = [(t, 0.0, _rounded(v), None) for t, v in zip(result.time_s, result.sequence)]
            yield "vector", steps, {"extent": "steps"}


def _keys(result: Chords) -> list[Observation]:
    """Return stretches of one key each."""
    keys = result.keys or (result.key,) * len(result.label)
    stretches = [list(group) for _, group in groupby(range(len(keys)), key=keys.__getitem__)]
    return [
        (result.start_s[s[0]], result.end_s[s[-1]] - result.start_s[s[0]], f"{key[1]}:{key[2]}", None)
        for s in stretches
        if (key := re.fullmatch(KEY, keys[s[0]]))
    ]


def _contours(result: MultiF0) -> list[Observation]:
    """Return one observation for each pitch of each frame; its index is the rank from the lowest."""
    return [
        (time, 0.0, {"index": rank, "frequency": _round(frequency), "voiced": True}, None)
        for time, frequencies in zip(result.time_s, result.freq_hz)
        for rank, frequency in enumerate(frequencies)
    ]


def _events(result: Events) -> Annotation:
    """Return beats where all labels are numbers (positions in the bar), else tags of no duration."""
    if all(label.isdecimal() for label in result.label):
        return "beat", [(t, 0.0, int(label), None) for t, label in zip(result.time_s, result.label)], {}
    return "tag_open", [(t, 0.0, label, None) for t, label in zip(result.time_s, result.label)], {}


def _rounded(values: Iterable[float]) -> list[float]:
    return [_round(v) for v in values]


def _round(value: float) -> float:
    return round(float(value), 6)


WRITER = Writer("jams", (".jams",), (Notes, MultiF0, Segments, Events, Curve, Tags, Embedding), write)
