from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from mira.errors import OutputError, UsageError
from mira.results import KINDS, Chords, Curve, Events, MultiF0, Notes, Result, Segments, Tags
from mira.writers import Writer, builtin_writers, find_writer

PAIRS = [
    (kind, writer)
    for kind, cls in KINDS.items()
    for writer in builtin_writers()
    if kind in ("notes", "multif0", "segments", "chords", "events", "curve", "tags", "embedding")
    if issubclass(cls, writer.results)
]


def named(pair: tuple[str, Writer]) -> str:
    return f"{pair[0]}-{pair[1].name}"


@pytest.mark.parametrize(
    ("suffix", "result", "name"),
    [
        (".mid", Notes, "midi"),
        ("out.MIDI", Notes, "midi"),
        ("a.b/out.csv", Notes, "csv"),
        (".f0.csv", MultiF0, "csv"),
        (".lab", Chords, "lab"),
        (".json", Tags, "json"),
        (".jams", Curve, "jams"),
        (".txt", Segments, "audacity"),
        (".svl", Events, "svl"),
        ("out.png", Notes, "png"),
        ("out.pdf", Notes, "pdf"),
    ],
)
def test_the_suffix_picks_the_format(suffix, result, name):
    assert find_writer(result, suffix=suffix).name == name


def test_the_name_of_the_format_goes_before_the_suffix():
    assert find_writer(Notes, suffix="out.csv", format="midi").name == "midi"


def test_the_longest_suffix_wins_and_of_equals_the_first():
    short, long, late = (
        Writer(name, (suffix,), (Events,), lambda *_: None)
        for name, suffix in (("short", ".txt"), ("long", ".beats.txt"), ("late", ".txt"))
    )
    writers = (short, long, late)
    assert find_writer(Events, suffix="a.beats.txt", writers=writers) is long
    assert find_writer(Events, suffix="a.txt", writers=iter(writers)) is short


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"suffix": "out.xyz"}, "to 'out.xyz'"),
        ({"suffix": "out"}, "to 'out'"),
        ({"suffix": ".mid"}, "to '.mid'"),
        ({"format": "midi"}, "as 'midi'"),
        ({"format": "mp3"}, "as 'mp3'"),
        ({}, "--format"),
        ({"suffix": "two\nlines"}, r"two\\nlines"),
    ],
)
def test_what_cannot_be_written_is_refused_with_what_can(options, says):
    with pytest.raises(UsageError, match=says) as caught:
        find_writer(Tags, **options)
    assert "csv (.csv)" in str(caught.value)
    assert "midi (" not in str(caught.value)


def test_nothing_to_choose_from_is_said():
    with pytest.raises(UsageError, match="nothing"):
        find_writer(Notes, format="midi", writers=())


def test_names_and_suffixes_of_the_formats_are_unique():
    writers = builtin_writers()
    names = [w.name for w in writers]
    suffixes = [s for w in writers for s in w.suffixes]
    assert len(set(names)) == len(names)
    assert len(set(suffixes)) == len(suffixes)


@pytest.mark.parametrize("pair", PAIRS, ids=named)
def test_every_format_writes_what_it_says_and_the_same_bytes_again(pair, results, render):
    kind, writer = pair
    assert render(results[kind], writer.name) == render(results[kind], writer.name) != b""


@pytest.mark.parametrize("pair", PAIRS, ids=named)
def test_every_format_takes_an_empty_result(pair, empty_results, render):
    kind, writer = pair
    render(empty_results[kind], writer.name)


@pytest.mark.parametrize("pair", PAIRS, ids=named)
def test_every_format_refuses_numbers_that_are_not_finite(pair, results, render):
    kind, writer = pair
    values = vars(results[kind])
    first = next(name for name in ("start_s", "time_s", "voice") if values.get(name) is not None)
    broken = values[first] * np.nan
    with pytest.raises(OutputError, match=f"{first} .* not finite"):
        render(type(results[kind])(**{**values, first: broken}), writer.name)


def test_columns_of_different_lengths_are_refused(results, render):
    values = vars(results["events"])
    with pytest.raises(OutputError, match="label of the events has 1 values, not 2"):
        render(Events(**{**values, "label": ("1",)}), "csv")


def test_looking_for_a_format_loads_no_heavy_module():
    code = (
        "import sys; from mira.writers import find_writer; from mira.results import Notes; "
        "find_writer(Notes, suffix='a.mid'); "
        "print({'numpy', 'mido', 'matplotlib', 'onnxruntime'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"


def test_a_result_of_a_plugin_can_be_written_as_json():
    class Odd(Result):
        kind = "odd"

    try:
        assert find_writer(Odd, suffix=".json").name == "json"
    finally:
        del KINDS["odd"]
