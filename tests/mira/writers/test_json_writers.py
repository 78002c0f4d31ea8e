"""Our own JSON, and JAMS."""

from __future__ import annotations

import dataclasses
import io
import json
import os
from pathlib import Path

import jams
import numpy as np
import pytest
from mira.errors import OutputError
from mira.results import SCHEMA, Events, Notes, Result
from mira.writers import About
from mira.writers.json import dumps, record

# How the jams package calls jsonschema.
pytestmark = pytest.mark.filterwarnings("ignore:Passing a schema:DeprecationWarning")

KINDS = ("notes", "multif0", "segments", "chords", "events", "curve", "tags", "embedding")


def same(a: object, b: object) -> bool:
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return np.allclose(a, b, atol=1e-6) if hasattr(a, "dtype") else a == b


@pytest.mark.parametrize("kind", KINDS)
def test_json_gives_the_result_back(kind, results, render):
    values = json.loads(render(results[kind], "json"))
    back = Result.from_dict(values)
    for field in dataclasses.fields(results[kind]):
        assert same(getattr(results[kind], field.name), getattr(back, field.name)), field.name


def test_the_record_says_where_the_result_comes_from(results, about):
    values = record(results["events"], about)
    assert list(values)[:5] == ["schema", "path", "task", "model", "settings"]
    assert list(values)[-1] == "error"
    assert values["schema"] == SCHEMA
    assert values["model"] == {"name": "small", "version": "1.2"}
    assert values["settings"] == {"onset": 0.5, "minimum_s": None}
    assert values["error"] is None
    assert values["time_s"] == [0.5, 1.0]


def test_a_failure_is_a_record_without_a_result(about):
    values = record(None, about, "song.wav: empty file")
    assert values["error"] == "song.wav: empty file"
    assert set(values) == {"schema", "path", "task", "model", "settings", "error"}


def test_a_line_is_one_line_of_ascii_whatever_the_path(results):
    path = os.fsdecode("späße\n♫/bad\xff.wav".encode("latin-1", "ignore") + b"\xff")
    line = dumps(record(results["tags"], About(path, "tagging")))
    assert line.isascii()
    assert "\n" not in line
    assert json.loads(line)["path"] == path


def test_numbers_that_json_cannot_say_are_refused(results):
    with pytest.raises(OutputError, match="not finite"):
        dumps(record(results["tags"], About("a", "b", settings={"threshold": float("nan")})))
    with pytest.raises(OutputError, match="not finite"):
        record(Events(np.inf, np.empty(0), ()), About("a", "b"))


def test_settings_that_are_paths_are_written_as_text(results):
    line = dumps(record(results["tags"], About("a", "b", settings={"index": Path("x") / "y"})))
    assert json.loads(line)["settings"] == {"index": os.path.join("x", "y")}


@pytest.mark.parametrize("kind", KINDS)
def test_the_schema_page_names_every_field(kind, results, about):
    page = (Path(__file__).parents[3] / "docs" / "json.md").read_text()
    section = page.split(f"## `{kind}`")[1].split("\n## ")[0]
    common = {*record(None, about), "kind", "duration_s"}
    for field in set(record(results[kind], about)) - common:
        assert f"`{field}`" in section
    for field in common:
        assert f"`{field}`" in page


@pytest.mark.parametrize("which", ["results", "empty_results"])
@pytest.mark.parametrize("kind", KINDS)
def test_jams_is_valid(kind, which, request, render):
    result = request.getfixturevalue(which)[kind]
    document = jams.load(io.StringIO(render(result, "jams").decode()), strict=True)
    assert document.validate(strict=True)
    assert document.file_metadata.duration == result.duration_s
    assert document.sandbox.path == "music/song.wav"


def annotation(data: bytes, namespace: str, index: int = 0) -> jams.Annotation:
    return jams.load(io.StringIO(data.decode())).search(namespace=f"^{namespace}$")[index]


def test_jams_notes_have_pitch_time_confidence_and_velocity(results, render):
    found = annotation(render(results["notes"], "jams"), "note_midi")
    first = found.data[0]
    assert (first.time, first.duration, first.value, first.confidence) == (0.0, 0.5, 60.0, 0.75)
    assert found.sandbox.velocity == [64, 127, 1]
    assert "small 1.2" in found.annotation_metadata.annotation_tools


def test_jams_chords_bring_their_key(results, render):
    data = render(results["chords"], "jams")
    assert [o.value for o in annotation(data, "chord").data] == ["N", "C:maj", "A:min7/b3"]
    assert [o.value for o in annotation(data, "key_mode").data] == ["Bb:major"]


def test_jams_keeps_every_pitch_of_a_frame(results, render):
    found = annotation(render(results["multif0"], "jams"), "pitch_contour").data
    assert [(o.time, o.value["index"], o.value["frequency"]) for o in found] == [
        (0.0, 0, 220.0),
        (0.0, 1, 440.5),
        (0.02, 0, 55.0),
    ]


def test_jams_events_are_beats_where_labels_are_numbers(results, render):
    assert [o.value for o in annotation(render(results["events"], "jams"), "beat").data] == [1, 2]
    named = Events(3.0, np.array([1.0]), ("drop",))
    assert [o.value for o in annotation(render(named, "jams"), "tag_open").data] == ["drop"]


def test_bends_are_in_the_json_of_notes(make_notes, about):
    notes = make_notes((0.0, 1.0, 60, 64), bends=(np.array([[0.0, 0.25], [0.5, -0.1]]),))
    assert record(notes, about)["bends"] == [[[0.0, 0.25], [0.5, -0.1]]]
    assert "bends" not in record(Notes(**{**vars(notes), "bends": None}), about)
