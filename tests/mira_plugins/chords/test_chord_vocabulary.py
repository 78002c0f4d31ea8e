"""Chord symbols: what is read, what is refused, how it is spelt."""

from __future__ import annotations

import mir_eval
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mira.errors import DataError
from mira_plugins.chords.vocabulary import (
    NAMES,
    NO_CHORD,
    QUALITIES,
    REDUCTIONS,
    harte,
    key_name,
    parse,
    spelling,
)


@pytest.mark.parametrize("text", ["", "H:maj", "C:blue", "c:maj", "C:maj7/", "C/x", "N:maj", "C:(", "C maj"])
def test_what_is_no_chord_symbol_is_refused_by_name(text: str) -> None:
    with pytest.raises(DataError, match="chord"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "root", "quality", "bass"),
    [
        ("C", 0, "maj", 0),
        ("Bb:min7/b3", 10, "min7", 1),
        ("F#:7/3", 6, "7", 10),
        ("G:13", 7, "7", 7),
        ("D:maj(9)", 2, "maj", 2),
        ("D:sus4(b7)", 2, "sus4", 2),
        ("A:minmaj7", 9, "min", 9),
        ("E:(1,b3,b5)", 4, "dim", 4),
        ("C:maj6(9)/5", 0, "maj6", 7),
        ("B#:maj", 0, "maj", 0),
        ("Cb:min", 11, "min", 11),
    ],
)
def test_symbols_are_reduced_to_the_largest_quality_they_hold(
    text: str, root: int, quality: str, bass: int
) -> None:
    chord = parse(text)
    assert (chord.root, chord.quality, chord.bass) == (root, quality, bass)


@pytest.mark.parametrize("text", ["C:5", "C:1", "G:7(*5,b5)"])
def test_chords_outside_the_vocabulary_keep_their_root(text: str) -> None:
    chord = parse(text)
    assert chord.quality is None
    assert chord.root is not None


def test_no_chord_and_unknown_chord_differ() -> None:
    assert (parse("N").root, parse("X").root) == (NO_CHORD, None)


@given(st.integers(0, 11), st.sampled_from(NAMES), st.integers(0, 3), st.integers(0, 11), st.booleans())
def test_every_written_symbol_is_read_back_and_means_the_same_to_mir_eval(
    root: int, quality: str, inversion: int, tonic: int, minor: bool
) -> None:
    steps = QUALITIES[quality]
    bass = (root + steps[inversion % len(steps)]) % 12
    text = harte(root, quality, bass, spelling(tonic, minor))
    chord = parse(text)
    assert (chord.root, chord.quality, chord.bass) == (root, quality, bass)
    theirs, bitmap, interval = mir_eval.chord.encode(text)
    assert (theirs, interval) == (root, (bass - root) % 12)
    assert {i for i in range(12) if bitmap[i]} == set(steps)


@pytest.mark.parametrize(
    ("tonic", "minor", "pitch_class", "name"),
    [
        (5, False, 10, "Bb"),
        (11, False, 10, "A#"),
        (9, True, 8, "G#"),
        (0, True, 3, "Eb"),
        (1, False, 6, "Gb"),
        (4, False, 3, "D#"),
    ],
)
def test_names_follow_the_key(tonic: int, minor: bool, pitch_class: int, name: str) -> None:
    assert spelling(tonic, minor)[pitch_class] == name


def test_keys_are_named_as_players_do() -> None:
    assert [key_name(10, False), key_name(6, True), key_name(1, False)] == [
        "Bb major",
        "F# minor",
        "Db major",
    ]


def test_reductions_stay_inside_their_vocabulary() -> None:
    kept = {name: {REDUCTIONS[name].get(q, q) for q in NAMES} for name in REDUCTIONS}
    assert kept["majmin"] == {"maj", "min"}
    assert kept["sevenths"] == {"maj", "min", "7", "maj7", "min7"}
    assert kept["full"] == set(NAMES)
