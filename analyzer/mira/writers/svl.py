"""Layers of Sonic Visualiser (File > Import Annotation Layer): notes, regions, instants, values over time.

Sonic Visualiser counts in frames of a sample rate that the layer states; 44,100 Hz is stated here whatever
the recording has, and Sonic Visualiser converts.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import BinaryIO

from mira.results import Curve, Events, Notes, Result, Segments
from mira.writers import About, Writer
from mira.writers.checks import check_result
from mira.writers.text import note_name

SAMPLE_RATE = 44_100

Attributes = dict[str, str | int | float]


def write(result: Result, stream: BinaryIO, about: About) -> None:
    """Write a result as one layer in Sonic Visualiser's XML."""
    check_result(result)
    layer, model, points = _layer(result)
    name = about.task or result.kind
    frames = {"sampleRate": SAMPLE_RATE, "start": 0, "end": _frame(result.duration_s)}
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        "<!DOCTYPE sonic-visualiser>",
        "<sv>",
        "  <data>",
        _tag(
            "model",
            {"id": 1, "name": name, **frames, "type": "sparse", "resolution": 1, "dataset": 0, **model},
        ),
        _tag("dataset", {"id": 0, "dimensions": model["dimensions"]}, close=False),
        *(_tag("point", point) for point in points),
        "    </dataset>",
        "  </data>",
        "  <display>",
        _tag("layer", {"id": 2, "type": layer, "name": name, "model": 1}),
        "  </display>",
        "</sv>",
        "",
    ]
    stream.write("\n".join(lines).encode("utf-8"))


def _layer(result: Result) -> tuple[str, Attributes, Iterable[Attributes]]:
    """Type of the layer, attributes of its model, and its points."""
    match result:
        case Notes():
            model: Attributes = {
                "dimensions": 3,
                "subtype": "note",
                "units": "MIDI Pitch",
                "valueQuantization": 1,
            }
            return "notes", model, _notes(result)
        case Segments():
            return "regions", {"dimensions": 3, "subtype": "region", "valueQuantization": 0}, _regions(result)
        case Events():
            instants = ({"frame": _frame(t), "label": label} for t, label in zip(result.time_s, result.label))
            return "timeinstants", {"dimensions": 1}, instants
        case Curve():
            values = zip(result.time_s, result.value)
            points = ({"frame": _frame(t), "value": f"{v:.6g}", "label": ""} for t, v in values)
            return "timevalues", {"dimensions": 2, "units": result.unit}, points
    raise NotImplementedError(result.kind)


def _notes(notes: Notes) -> Iterable[Attributes]:
    for start, end, pitch, velocity in zip(notes.start_s, notes.end_s, notes.pitch, notes.velocity):
        label = note_name(int(pitch))
        yield {**_span(start, end), "value": int(pitch), "level": f"{velocity / 127:.3f}", "label": label}


def _regions(segments: Segments) -> Iterable[Attributes]:
    """Equal labels get equal values, numbered as they come, so that they share a height and a colour."""
    heights: dict[str, int] = {}
    for start, end, label in zip(segments.start_s, segments.end_s, segments.label):
        yield {**_span(start, end), "value": heights.setdefault(label, len(heights)), "label": label}


def _span(start_s: float, end_s: float) -> Attributes:
    start = _frame(start_s)
    return {"frame": start, "duration": max(_frame(end_s) - start, 1)}


def _frame(time_s: float) -> int:
    return round(float(time_s) * SAMPLE_RATE)


def _tag(name: str, attributes: Attributes, *, close: bool = True) -> str:
    texts = " ".join(f'{key}="{_escaped(str(value))}"' for key, value in attributes.items())
    return f"    <{name} {texts}{'/' if close else ''}>"


def _escaped(text: str) -> str:
    """Escape for an attribute; what XML 1.0 cannot hold (control characters, lone surrogates) is replaced."""
    legal = re.sub(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)
    return html.escape(legal).translate({9: "&#9;", 10: "&#10;", 13: "&#13;"})


WRITER = Writer("svl", (".svl",), (Notes, Segments, Events, Curve), write)
