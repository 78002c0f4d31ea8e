"""MIDI chord tracks and ChordPro text."""

from __future__ import annotations

import io

import numpy as np
import pretty_midi
import pytest
from mira.errors import OutputError
from mira.results import Chords
from mira.writers import About, find_writer
from mira_plugins.chords import mira_writers
from mira_plugins.chords.writers import lead_sheet_symbol

WRITERS = list(mira_writers())


def chords(*labels: str, key: str = "Bb major", each_s: float = 2.0) -> Chords:
    edges = np.arange(len(labels) + 1) * each_s
    return Chords(float(edges[-1]), edges[:-1], edges[1:], labels, np.ones(len(labels)), key=key)


def written(result: Chords, suffix: str, path: str = "folder/song.wav") -> bytes:
    stream = io.BytesIO()
    find_writer(Chords, suffix=suffix, writers=WRITERS).write(result, stream, About(path, "chords"))
    return stream.getvalue()


def test_midi_has_bass_and_tones_and_is_silent_without_a_chord() -> None:
    midi = pretty_midi.PrettyMIDI(io.BytesIO(written(chords("Bb:maj", "N", "G:min7/b3"), "x.mid")))
    (track,) = midi.instruments
    first = [n for n in track.notes if n.start < 1]
    assert sorted(n.pitch % 12 for n in first) == [2, 5, 10, 10]
    assert min(n.pitch for n in first) % 12 == 10
    assert not [n for n in track.notes if 2.1 < n.start < 3.9]
    assert min(n.pitch for n in track.notes if n.start > 3.9) % 12 == 10


def test_midi_of_no_chords_at_all_is_empty_but_valid() -> None:
    midi = pretty_midi.PrettyMIDI(io.BytesIO(written(chords("N"), "x.mid")))
    assert not any(track.notes for track in midi.instruments)


def test_chordpro_has_title_key_and_chords_line_by_line() -> None:
    text = written(chords("Bb:maj", "G:min7", "C:min7", "F:7", "N", "Bb:maj", "Eb:maj7"), "x.cho").decode()
    lines = text.splitlines()
    assert lines[:3] == ["{title: song}", "{key: Bb}", "{comment: 0:00}"]
    assert lines[3] == "[Bb] [Gm7] [Cm7] [F7] [N.C.] [Bb]"
    assert lines[4:] == ["{comment: 0:12}", "[Ebmaj7]"]


def test_minor_keys_and_odd_names_stay_on_one_line() -> None:
    text = written(chords("F#:min", key="F# minor"), "x.chordpro", path="a\nb.wav").decode()
    assert text.splitlines()[1] == "{key: F#m}"


@pytest.mark.parametrize(
    ("label", "symbol"),
    [
        ("Bb:min7/b3", "Bbm7/Db"),
        ("E:maj/3", "E/G#"),
        ("C:min/b3", "Cm/Eb"),
        ("B:hdim7", "Bm7b5"),
        ("F:maj6", "F6"),
        ("X", "N.C."),
    ],
)
def test_symbols_are_those_of_lead_sheets(label: str, symbol: str) -> None:
    assert lead_sheet_symbol(label) == symbol


def test_broken_results_are_not_written() -> None:
    bad = Chords(1.0, np.array([0.5]), np.array([0.2]), ("C:maj",), np.ones(1))
    with pytest.raises(OutputError):
        written(bad, "x.mid")
