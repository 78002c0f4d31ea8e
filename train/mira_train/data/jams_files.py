"""JAMS files (Humphrey et al., ISMIR 2014) as annotations, and the other way.

What JAMS has no place for (the name, the extent, the rows of a curve) goes into the sandbox, so that a file
written here is read back as it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mira.errors import DataError
from mira.writers.text import printable

from mira_train.data.entries import Annotation, Atom, Definition, is_number

_NAMES = {
    "chord_harte": "chord",
    "note_midi": "pitchmidi",
    "pitch_midi": "pitchmidi",
    "pitch_contour": "f0",
}


def read_jams(path: Path) -> dict[str, Annotation]:
    """Read a JAMS file.

    Raises
    ------
    DataError
        If it is none.
    """
    out: dict[str, Annotation] = {}
    try:
        for raw in json.loads(path.read_text(encoding="utf-8-sig"))["annotations"]:
            name, annotation = _from_jams(raw)
            # A second annotator of the same thing gets a name of his own.
            twin = sum(known.partition("-")[0] == name for known in out)
            out[f"{name}-{twin + 1}" if twin else name] = annotation
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{printable(path)}: cannot read: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{printable(path)}: not a JAMS file: {type(error).__name__}: {error}") from error
    return out


def _from_jams(raw: Mapping[str, Any]) -> tuple[str, Annotation]:
    space, data, own = str(raw["namespace"]), raw["data"], raw.get("sandbox") or {}
    if isinstance(data, dict):  # the dense form: one list for each field
        data = [dict(zip(data, values)) for values in zip(*data.values())]
    name = own.get("name") or _NAMES.get(space) or ("tag" if space.startswith("tag") else space)
    if space == "pitch_contour":
        return name, _contour(data)
    if own.get("extent") == "breakpoint":
        rows = tuple(own["rows"])
        definition = Definition("breakpoint", "numeric", rows=rows, rows_first=True)
        times = np.array([item["time"] for item in data], dtype=np.float64)
        matrix = np.array([item["value"] for item in data], dtype=np.float64).reshape(len(data), -1).T
        return name, Annotation(definition, [Atom(matrix, times)] if len(data) else [])
    usual = {"beat": "marker", "onset": "marker"}.get(space, "segment")
    extent = own.get("extent") or ("global" if space.startswith("tag") else usual)
    atoms = [
        Atom(
            own.get("no_chord", "N") if space == "chord" and item["value"] == "N" else item["value"],
            None if extent == "global" else float(item["time"]),
            float(item["duration"]) if extent == "segment" else None,
            item.get("confidence"),
        )
        for item in data
    ]
    numeric = all(is_number(atom.value) for atom in atoms)
    return name, Annotation(Definition(extent, "numeric" if numeric and atoms else "text"), atoms)


def _contour(data: Sequence[Mapping[str, Any]]) -> Annotation:
    """A pitch contour as MIDI numbers, a row for each of its indices; NaN where it is not voiced."""
    rows = sorted({item["value"]["index"] for item in data})
    times = sorted({float(item["time"]) for item in data})
    curve = np.full((len(rows), len(times)), np.nan)
    for item in data:
        value = item["value"]
        if value["voiced"] and value["frequency"] > 0:
            place = rows.index(value["index"]), int(np.searchsorted(times, item["time"]))
            curve[place] = 69 + 12 * np.log2(value["frequency"] / 440)
    definition = Definition("breakpoint", "numeric", rows=tuple(f"row_{r}" for r in rows), rows_first=True)
    return Annotation(definition, [Atom(curve, np.array(times))] if times else [])


def to_jams(name: str, definition: Definition, atoms: Sequence[Atom]) -> dict[str, Any]:
    """A JAMS document with one annotation; the last part of ``name`` is what it is called."""
    short = name.rpartition(".")[2]
    own: dict[str, Any] = {"name": short, "extent": definition.extent}
    if definition.extent == "breakpoint":
        own["rows"] = list(definition.rows) or [f"row_{i + 1}" for i in range(len(atoms[0].value))]
        data = [
            _observation(float(t), 0.0, [None if v != v else v for v in column.tolist()], None)
            for atom in atoms
            for t, column in zip(atom.times, atom.value.T)
        ]
        space = "blob" if any(None in item["value"] for item in data) else "vector"
    else:
        data = [_observation(a.time, a.duration or 0.0, a.value, a.confidence) for a in atoms]
        space = _namespace(short, definition, atoms)
    if space == "chord":
        own["no_chord"] = next((a.value for a in atoms if a.value.startswith("N")), "N")
        data = [item | {"value": "N"} if item["value"] == own["no_chord"] else item for item in data]
    end = max((item["time"] + item["duration"] for item in data), default=0.0)
    annotation = {"namespace": space, "data": data, "sandbox": own, "annotation_metadata": {}, "time": 0}
    return {
        "annotations": [annotation | {"duration": end}],
        "file_metadata": {"duration": end, "jams_version": "0.3.4"},
        "sandbox": {},
    }


def _namespace(name: str, definition: Definition, atoms: Sequence[Atom]) -> str:
    if any(isinstance(atom.value, list) for atom in atoms):
        return "blob"
    if definition.content == "numeric":
        return "beat" if definition.extent == "marker" else "note_midi"
    return "chord" if name == "chord" else "segment_open"


def _observation(time: Any, duration: float, value: Any, confidence: Any) -> dict[str, Any]:
    return {"time": time, "duration": duration, "value": value, "confidence": confidence}
