from __future__ import annotations

import io
from itertools import pairwise

import mido
import numpy as np
import pretty_midi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mira.errors import OutputError
from mira.results import Notes
from mira.writers import About
from mira.writers import midi as writer

ABOUT = About("song.wav", "mpe")


def written(notes: Notes) -> bytes:
    stream = io.BytesIO()
    writer.write(notes, stream, ABOUT)
    return stream.getvalue()


def read(notes: Notes) -> pretty_midi.PrettyMIDI:
    return pretty_midi.PrettyMIDI(io.BytesIO(written(notes)))


def sounding(data: pretty_midi.PrettyMIDI) -> list[tuple[int, int, float, float]]:
    found = [(n.pitch, n.velocity, n.start, n.end) for i in data.instruments for n in i.notes]
    return sorted(found, key=lambda n: (n[0], n[2]))


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ((np.nan, 1.0, 60, 64), "start_s"),
        ((0.0, np.inf, 60, 64), "end_s"),
        ((1.0, 1.0, 60, 64), "at 1.000 s"),
        ((2.0, 1.0, 60, 64), "at 2.000 s"),
        ((-0.1, 1.0, 60, 64), "before 0 s"),
        ((0.0, 1.0, 128, 64), "pitch"),
        ((0.0, 1.0, -1, 64), "pitch"),
        ((0.0, 1.0, 60, 0), "velocity"),
        ((0.0, 1.0, 60, 128), "velocity"),
    ],
)
def test_notes_that_are_none_are_refused(make_notes, row, says):
    with pytest.raises(OutputError, match=says):
        written(make_notes((0.0, 0.5, 50, 64), row))


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"tempo_bpm": 0.0}, "tempo"),
        ({"tempo_bpm": 3.9}, "tempo"),
        ({"tempo_bpm": 1001.0}, "tempo"),
        ({"tempo_bpm": np.nan}, "tempo_bpm"),
        ({"program": 128}, "program"),
        ({"bends": ()}, "bends"),
        ({"bends": (np.array([[0.0, np.nan]]),)}, "bends"),
        ({"bends": (np.array([[0.0, 49.0]]),)}, "49.0 semitones"),
        ({"duration_s": np.nan}, "duration_s"),
    ],
)
def test_what_midi_cannot_say_is_refused(make_notes, more, says):
    with pytest.raises(OutputError, match=says):
        written(make_notes((0.0, 1.0, 60, 64), **more))


def test_columns_of_different_lengths_are_refused(make_notes):
    notes = make_notes((0.0, 1.0, 60, 64))
    with pytest.raises(OutputError, match="velocity"):
        written(Notes(1.0, notes.start_s, notes.end_s, notes.pitch, np.array([1, 2]), notes.confidence))


def test_no_notes_make_a_valid_file_as_long_as_the_recording(make_notes):
    data = mido.MidiFile(file=io.BytesIO(written(make_notes(duration_s=7.0))))
    assert data.length == pytest.approx(7.0, abs=0.001)
    assert not [m for m in data.tracks[0] if m.type == "note_on"]


@st.composite
def valid_notes(draw: st.DrawFn) -> Notes:
    """Notes as a task returns them: no two of one pitch overlap, none shorter than 2 ms."""
    rows = []
    for pitch in draw(st.sets(st.integers(0, 127), max_size=12)):
        now = 0.0
        for gap, length, velocity in draw(
            st.lists(
                st.tuples(st.floats(0, 40) | st.just(0.0), st.floats(0.002, 30), st.integers(1, 127)),
                max_size=8,
            )
        ):
            rows.append((now + gap, now + gap + length, pitch, velocity))
            now += gap + length
    rows.sort(key=lambda row: (row[0], row[2]))
    start, end, pitch, velocity = np.array(rows, float).reshape(-1, 4).T
    bpm = draw(st.floats(4, 1000))
    return Notes(
        600.0,
        start,
        end,
        pitch.astype(int),
        velocity.astype(int),
        np.ones(len(rows)),
        tempo_bpm=bpm,
        program=5,
    )


@settings(max_examples=150, deadline=None)
@given(valid_notes())
def test_notes_come_back_with_times_within_a_millisecond(notes):
    data = read(notes)
    order = np.lexsort((notes.start_s, notes.pitch))
    found = sounding(data)
    assert [n[:2] for n in found] == list(zip(notes.pitch[order], notes.velocity[order]))
    times = np.array([n[2:] for n in found]).reshape(-1, 2)
    assert np.abs(times[:, 0] - notes.start_s[order]).max(initial=0) < 0.001
    assert np.abs(times[:, 1] - notes.end_s[order]).max(initial=0) < 0.001
    if len(found):
        assert [i.program for i in data.instruments] == [5]
        assert data.get_tempo_changes()[1][0] == pytest.approx(notes.tempo_bpm, rel=1e-4)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.floats(1e-5, 1), st.integers(60, 62), st.integers(1, 127)),
        min_size=1,
        max_size=30,
    )
)
def test_any_notes_make_a_file_where_no_pitch_overlaps_itself(rows):
    start, length, pitch, velocity = np.array(rows, float).T
    notes = Notes(2.0, start, start + length, pitch.astype(int), velocity.astype(int), np.ones(len(rows)))
    found = sounding(read(notes))
    assert len(found) == len(rows)
    for (pitch_a, _, start_a, end_a), (pitch_b, _, start_b, _) in pairwise(found):
        assert end_a > start_a
        assert pitch_a != pitch_b or end_a <= start_b + 1e-9


def test_an_overlapped_note_is_cut_where_the_next_begins(make_notes):
    found = sounding(read(make_notes((0.0, 1.0, 60, 10), (0.5, 2.0, 60, 20))))
    assert [n[1] for n in found] == [10, 20]
    assert [n[2:] for n in found] == [
        pytest.approx((0.0, 0.5), abs=0.001),
        pytest.approx((0.5, 2.0), abs=0.001),
    ]


def test_a_note_shorter_than_a_tick_stays(make_notes):
    (note,) = sounding(read(make_notes((1.0, 1.0001, 60, 64))))
    assert 0 < note[3] - note[2] < 0.002


def test_repeated_notes_stop_before_they_start_again(make_notes):
    data = mido.MidiFile(file=io.BytesIO(written(make_notes((0.0, 0.5, 60, 10), (0.5, 1.0, 60, 20)))))
    kinds = [m.type for m in data.tracks[0] if m.type.startswith("note_")]
    assert kinds == ["note_on", "note_off", "note_on", "note_off"]


def test_the_track_is_named_and_bytes_do_not_change(make_notes):
    notes = make_notes((0.0, 0.5, 60, 10))
    assert mido.MidiFile(file=io.BytesIO(written(notes))).tracks[0].name == "mira"
    assert written(notes) == written(notes)


def test_three_hours_can_be_read_by_pretty_midi(make_notes):
    (note,) = sounding(read(make_notes((10_799.0, 10_800.0, 60, 64), duration_s=10_800.0)))
    assert note[2] == pytest.approx(10_799.0, abs=0.001)


def bend(*points: tuple[float, float]) -> np.ndarray:
    return np.array(points, float).reshape(-1, 2)


def channels(notes: Notes) -> list[int]:
    data = mido.MidiFile(file=io.BytesIO(written(notes)))
    return [m.channel for m in data.tracks[0] if m.type == "note_on"]


def test_a_melody_with_bends_stays_on_one_channel(make_notes):
    bends = (bend((0.0, 0.0), (0.25, 0.5)), bend())
    assert channels(make_notes((0.0, 0.5, 60, 64), (0.5, 1.0, 62, 64), bends=bends)) == [0, 0]


def test_simultaneous_bent_notes_have_channels_of_their_own_and_never_the_drums(make_notes):
    rows = [(0.0, 1.0, 40 + i, 64) for i in range(15)]
    used = channels(make_notes(*rows, bends=tuple(bend((0.0, 0.1 * i)) for i in range(15))))
    assert sorted(used) == [c for c in range(16) if c != 9]


def test_more_than_fifteen_bent_notes_at_once_are_all_written(make_notes):
    rows = [(0.0, 1.0, 40 + i, 64) for i in range(20)]
    assert len(sounding(read(make_notes(*rows, bends=tuple(bend() for _ in rows))))) == 20


@pytest.mark.parametrize(
    ("semitones", "bend_range"), [(0.5, 2), (-2.0, 2), (2.5, 12), (-12.0, 12), (13.0, 48)]
)
def test_bends_have_their_size_at_their_time(make_notes, semitones, bend_range):
    notes = make_notes((1.0, 2.0, 60, 64), bends=(bend((0.0, 0.0), (0.5, semitones)),))
    (instrument,) = read(notes).instruments
    assert [c.value for c in instrument.control_changes if c.number == 6] == [bend_range]
    first, second = instrument.pitch_bends
    assert (first.pitch, first.time) == (0, pytest.approx(1.0, abs=0.001))
    assert second.time == pytest.approx(1.5, abs=0.001)
    assert second.pitch / 8192 * bend_range == pytest.approx(semitones, abs=bend_range / 8000)


def test_the_wheel_is_set_before_the_note_starts_and_back_for_the_next(make_notes):
    notes = make_notes((0.0, 1.0, 60, 64), (1.0, 2.0, 62, 64), bends=(bend((0.0, 1.0)), bend()))
    data = mido.MidiFile(file=io.BytesIO(written(notes)))
    kinds = [
        (m.type, getattr(m, "pitch", None)) for m in data.tracks[0] if m.type in ("pitchwheel", "note_on")
    ]
    assert kinds == [("pitchwheel", 4096), ("note_on", None), ("pitchwheel", 0), ("note_on", None)]
