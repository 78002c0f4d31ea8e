"""From activations to chords: labels, times, keys, settings."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from mira.errors import UsageError
from mira.task import Activations
from mira_plugins.chords import ChordSettings
from mira_plugins.chords.decode import decode_chords, read_beats, snapped
from mira_plugins.chords.vocabulary import NAMES, NO_CHORD, QUALITIES, parse

HOP, RATE = 2048, 44100


def heard(*chords: tuple[str, int], sure: float = 0.9) -> Activations:
    """Activations of chords (symbol, frames), each frame ``sure`` of it."""
    root, quality, bass, pitch = [], [], [], []
    for text, frames in chords:
        chord = parse(text)
        r = np.full(13, (1 - sure) / 12)
        b = r.copy()
        q = np.full((12, 13), 1 / 13)
        p = np.full(12, 0.05)
        r[chord.root], b[chord.bass] = sure, sure
        if chord.root != NO_CHORD:
            q[chord.root] = (1 - sure) / 12
            q[chord.root, NAMES.index(str(chord.quality))] = sure
            p[[(chord.root + step) % 12 for step in QUALITIES[str(chord.quality)]]] = 0.95
        for rows, row in zip((root, quality, bass, pitch), (r, q, b, p)):
            rows.extend([row] * frames)
    arrays = {
        name: np.array(rows, np.float32)
        for name, rows in zip(("root", "quality", "bass", "pitch"), (root, quality, bass, pitch))
    }
    arrays["change"] = np.full((len(root), 1), 0.01, np.float32)
    for frame in np.cumsum([frames for _, frames in chords])[:-1]:
        arrays["change"][frame] = 0.9
    return Activations(arrays, RATE, HOP, len(root) * HOP / RATE)


PHRASE = (("C:maj", 50), ("A:min7", 50), ("D:min7", 40), ("G:7", 40), ("C:maj", 50))


def test_chords_come_back_with_times_key_and_confidence() -> None:
    chords = decode_chords(heard(*PHRASE), ChordSettings())
    assert chords.label == ("C:maj", "A:min7", "D:min7", "G:7", "C:maj")
    assert chords.key == "C major"
    assert chords.start_s[0] == 0
    assert chords.end_s[-1] == chords.duration_s
    assert np.array_equal(chords.start_s[1:], chords.end_s[:-1])
    assert np.allclose(chords.start_s[1:], (np.cumsum([50, 50, 40, 40]) - 0.5) * HOP / RATE)
    assert np.all((chords.confidence > 0.7) & (chords.confidence <= 1))
    assert chords.alternatives is not None
    assert all(
        len(row) == 3 and label not in dict(row) for label, row in zip(chords.label, chords.alternatives)
    )


def test_one_wrong_frame_is_no_chord_change() -> None:
    chords = decode_chords(heard(("C:maj", 60), ("F#:dim", 1), ("C:maj", 60)), ChordSettings())
    assert chords.label == ("C:maj",)


def test_ten_minutes_of_one_chord_are_one_segment() -> None:
    chords = decode_chords(heard(("A:min7", 600 * RATE // HOP), sure=0.4), ChordSettings())
    assert chords.label == ("A:min7",)


def test_silence_is_no_chord_and_has_no_key() -> None:
    chords = decode_chords(heard(("N", 100)), ChordSettings())
    assert (chords.label, chords.key) == (("N",), "")


def test_a_single_frame_is_one_segment() -> None:
    chords = decode_chords(heard(("E:min", 1)), ChordSettings())
    assert chords.label == ("E:min",)
    assert (chords.start_s[0], chords.end_s[0]) == (0, chords.duration_s)


@pytest.mark.parametrize(
    ("vocab", "label"), [("majmin", "A:min"), ("sevenths", "A:min7"), ("full", "A:hdim7")]
)
def test_smaller_vocabularies_write_the_nearest_chord(vocab: str, label: str) -> None:
    chords = decode_chords(heard(("A:hdim7", 60)), ChordSettings(vocab=vocab))
    assert chords.label == (label,)


def test_inversions_are_written_but_not_as_majmin() -> None:
    played = heard(("C:maj/3", 80))
    assert decode_chords(played, ChordSettings()).label == ("C:maj/3",)
    assert decode_chords(played, ChordSettings(vocab="majmin")).label == ("C:maj",)


def test_flats_in_f_and_sharps_in_b() -> None:
    in_f = decode_chords(heard(("F:maj", 80), ("Bb:maj", 40), ("C:7", 40), ("F:maj", 60)), ChordSettings())
    in_b = decode_chords(heard(("B:maj", 80), ("A#:dim", 40), ("F#:7", 40), ("B:maj", 60)), ChordSettings())
    assert (in_f.key, in_f.label[1]) == ("F major", "Bb:maj")
    assert (in_b.key, in_b.label[1]) == ("B major", "A#:dim")


def test_min_duration_holds_for_all_but_the_last() -> None:
    quick = [("C:maj", 12), ("G:maj", 12)] * 8
    chords = decode_chords(heard(*quick), ChordSettings(min_duration=5.0))
    assert np.all((chords.end_s - chords.start_s)[:-1] >= 5.0 - HOP / RATE)


def test_more_detail_gives_more_changes() -> None:
    quick = heard(*[("C:maj", 4), ("F:maj", 4)] * 20, sure=0.6)
    quick.arrays["change"][:] = 0.1
    few, many = (len(decode_chords(quick, ChordSettings(detail=detail)).label) for detail in (0.0, 1.0))
    assert few < many


def test_a_chord_begins_where_a_change_is_heard() -> None:
    unclear = heard(("C:maj", 40), ("F:maj", 40), sure=0.9)
    for name in ("root", "quality", "bass"):
        unclear.arrays[name][36:44] = unclear.arrays[name][[0, -1]].mean(axis=0)
    for frame in (37, 43):
        unclear.arrays["change"][:] = 0.01
        unclear.arrays["change"][frame] = 0.9
        chords = decode_chords(unclear, ChordSettings())
        assert np.allclose(chords.start_s, [0, (frame - 0.5) * HOP / RATE])


def test_boundaries_move_to_beats(tmp_path: Path) -> None:
    beats = tmp_path / "beats.txt"
    beats.write_text("0.0\n2.5 downbeat\n# a comment\n5.0\n7.5\n")
    chords = decode_chords(
        heard(("C:maj", 55), ("G:maj", 55), ("C:maj", 55)), ChordSettings(beats=str(beats))
    )
    assert chords.start_s.tolist() == [0.0, 2.5, 5.0]


def test_segments_that_vanish_between_beats_are_dropped() -> None:
    chords = decode_chords(heard(("C:maj", 40), ("G:7", 8), ("C:maj", 40)), ChordSettings(detail=0.8))
    assert len(chords.label) == 3
    assert snapped(chords, np.array([2.0])).label == ("C:maj",)


@pytest.mark.parametrize("text", ["", "one two\n", "nan\n", None])
def test_beats_that_cannot_be_read_are_one_clear_line(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "beats.txt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=r"beats\.txt: no beats"):
        read_beats(str(path))


def test_a_temperature_changes_how_sure_chords_are_and_nothing_else() -> None:
    plain, heated = (
        decode_chords(replace(heard(*PHRASE), defaults={"temperature": t}), ChordSettings())
        for t in (1.0, 2.0)
    )
    assert heated.label == plain.label and (heated.confidence < plain.confidence).all()
    assert plain.alternatives is not None and heated.alternatives is not None
    assert [[n for n, _ in row] for row in plain.alternatives] == [
        [n for n, _ in r] for r in heated.alternatives
    ]


def test_each_chord_is_named_in_the_key_around_it() -> None:
    f = (("F:maj", 50), ("Bb:maj", 50), ("C:7", 50), ("F:maj", 50)) * 4
    b = (("B:maj", 50), ("E:maj", 50), ("F#:7", 50), ("A#:dim", 50), ("B:maj", 50)) * 4
    chords = decode_chords(heard(*f, *b), ChordSettings())
    assert chords.keys is not None and (chords.keys[0], chords.keys[-1]) == ("F major", "B major")
    assert {"Bb:maj", "A#:dim"} <= set(chords.label) and "A#:maj" not in chords.label


@pytest.mark.parametrize("shortest_s", [1.0, 2.0])
def test_snapping_to_beats_makes_no_chord_shorter_than_asked_for(tmp_path: Path, shortest_s: float) -> None:
    beats = tmp_path / "beats.txt"
    beats.write_text("\n".join(f"{0.3 + 0.8 * i:.2f}" for i in range(60)))
    frames = int(np.ceil(shortest_s * RATE / HOP)) + 1
    played = heard(*[(text, frames) for text in ("C:maj", "F:maj", "G:7", "A:min") * 5])
    settings = ChordSettings(min_duration=shortest_s, detail=0.9)
    assert len(decode_chords(played, settings).label) == 20
    chords = decode_chords(played, replace(settings, beats=str(beats)))
    lengths = chords.end_s - chords.start_s
    assert len(lengths) > 5 and (lengths[:-1] >= shortest_s).all()
    assert all(one != other for one, other in pairwise(chords.label))


def test_chords_that_snapping_joins_are_as_sure_as_their_parts_on_average() -> None:
    chords = decode_chords(heard(("C:maj", 40), ("G:7", 8), ("C:maj", 80)), ChordSettings(detail=0.8))
    chords = replace(chords, confidence=np.array([0.9, 0.1, 0.6]))
    (sure,) = snapped(chords, np.array([2.0])).confidence
    assert sure == pytest.approx((2 * 0.9 + (chords.duration_s - 2) * 0.6) / chords.duration_s)
