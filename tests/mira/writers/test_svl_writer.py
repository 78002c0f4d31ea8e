from __future__ import annotations

import io
from xml.etree import ElementTree

import numpy as np
import pytest
from mira.results import Events
from mira.writers import About, find_writer


def layer(data: bytes) -> tuple[ElementTree.Element, dict[str, str], list[dict[str, str]]]:
    root = ElementTree.fromstring(data)
    return root, root.find("display/layer").attrib, [p.attrib for p in root.findall("data/dataset/point")]


@pytest.mark.parametrize(
    ("kind", "type_"),
    [
        ("notes", "notes"),
        ("segments", "regions"),
        ("chords", "regions"),
        ("events", "timeinstants"),
        ("curve", "timevalues"),
    ],
)
def test_each_kind_becomes_its_layer_and_refers_to_its_data(kind, type_, results, render):
    root, shown, points = layer(render(results[kind], "svl"))
    model, dataset = root.find("data/model").attrib, root.find("data/dataset").attrib
    assert shown["type"] == type_
    assert shown["model"] == model["id"] != model["dataset"] == dataset["id"]
    assert model["dimensions"] == dataset["dimensions"]
    assert (model["sampleRate"], model["end"]) == ("44100", "441000")
    assert len(points) == {"notes": 3, "events": 2, "curve": 2}.get(kind, 3)


def test_notes_have_frames_pitch_level_and_name(results, render):
    _, _, points = layer(render(results["notes"], "svl"))
    assert points[1] == {
        "frame": "11025",
        "duration": "33075",
        "value": "61",
        "level": "1.000",
        "label": "C#4",
    }


def test_equal_segments_have_equal_values(results, render):
    _, _, points = layer(render(results["segments"], "svl"))
    assert [(p["value"], p["label"]) for p in points] == [("0", "intro"), ("1", "verse one"), ("0", "intro")]


def test_any_text_is_escaped():
    label = "<a & \"b\" 'c'>\n\x00\x1b\udcff\ufffe é ♫"
    events = Events(1.0, np.array([0.5]), (label,))
    stream = io.BytesIO()
    find_writer(Events, format="svl").write(events, stream, About("a", '<&">'))
    _, shown, points = layer(stream.getvalue())
    assert points[0]["label"] == "<a & \"b\" 'c'>\n\ufffd\ufffd\ufffd\ufffd é ♫"
    assert shown["name"] == '<&">'
