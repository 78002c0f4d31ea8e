"""Tables and label files: CSV, lab, Audacity."""

from __future__ import annotations

import csv
import io

import mir_eval
import numpy as np
import pytest
from mira.results import Segments
from mira.writers.text import note_name


def lines(data: bytes) -> list[str]:
    text = data.decode("utf-8")
    assert not text or text.endswith("\n")
    return text.splitlines()


def table(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8"), newline="")))


@pytest.fixture
def hostile() -> Segments:
    """Return segments whose labels hold what could break a line."""
    labels = ("a\tb\nc\r\nd", 'say "no", please', " \u2028 é ", "\udcff")
    edges = np.arange(5.0)
    return Segments(4.0, edges[:-1], edges[1:], labels, np.ones(4))


@pytest.mark.parametrize(
    ("pitch", "name"), [(60, "C4"), (69, "A4"), (21, "A0"), (108, "C8"), (0, "C-1"), (61, "C#4")]
)
def test_pitches_have_the_names_of_the_piano(pitch, name):
    assert note_name(pitch) == name


def test_csv_of_notes(results, render):
    assert lines(render(results["notes"], "csv")) == [
        "start_s,end_s,pitch,note,velocity,confidence",
        "0.000000,0.500000,60,C4,64,0.750000",
        "0.250000,1.000000,61,C#4,127,0.750000",
        "9.000000,10.000000,21,A0,1,0.750000",
    ]


def test_csv_of_pitches_is_read_by_mir_eval(results, render):
    text = io.StringIO(render(results["multif0"], "csv").decode())
    times, values = mir_eval.io.load_ragged_time_series(text, delimiter=",")
    assert times.tolist() == [0.0, 0.01, 0.02]
    assert [v.tolist() for v in values] == [[220.0, 440.5], [], [55.0]]


def test_csv_of_segments_keeps_any_label(hostile, render):
    rows = table(render(hostile, "csv"))
    assert rows[0] == ["start_s", "end_s", "label", "confidence"]
    assert [row[2] for row in rows[1:]] == [*hostile.label[:3], "\\udcff"]


def test_csv_of_tags_and_embeddings(results, render):
    assert table(render(results["tags"], "csv")) == [
        ["group", "tag", "probability"],
        ["genre", "rock", "0.500000"],
        ["genre", "jazz, modern", "0.250000"],
        ["instrument", "piano", "0.125000"],
        ["voice", "voice", "0.900000"],
    ]
    assert lines(render(results["embedding"], "csv")) == [
        "time_s,d0,d1",
        ",0.600000,0.800000",
        "0.000000,1.000000,0.000000",
        "5.000000,0.000000,1.000000",
    ]


def test_csv_of_events_and_curves(results, render):
    assert lines(render(results["events"], "csv")) == ["time_s,label", "0.500000,1", "1.000000,2"]
    assert lines(render(results["curve"], "csv"))[:2] == ["time_s,value (bpm)", "0.000000,100.000000"]


def test_lab_is_read_by_mir_eval(results, render):
    chords = results["chords"]
    intervals, labels = mir_eval.io.load_labeled_intervals(io.StringIO(render(chords, "lab").decode()))
    assert np.array_equal(intervals, np.stack([chords.start_s, chords.end_s], axis=1))
    assert tuple(labels) == chords.label


@pytest.mark.parametrize("name", ["lab", "audacity"])
def test_labels_stay_in_their_column_and_line(hostile, render, name):
    rows = [line.split("\t") for line in render(hostile, name).decode().split("\n")[:-1]]
    assert [row[2] for row in rows] == ["a b c d", 'say "no", please', "é", "\\udcff"]


def test_audacity_shows_notes_by_name_and_events_as_points(results, render):
    assert lines(render(results["notes"], "audacity"))[1] == "0.250000\t1.000000\tC#4"
    assert lines(render(results["events"], "audacity"))[0] == "0.500000\t0.500000\t1"
    assert lines(render(results["segments"], "audacity"))[1] == "2.000000\t4.500000\tverse one"
