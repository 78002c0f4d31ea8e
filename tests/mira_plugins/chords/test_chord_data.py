"""What ChordNet learns from: stored chroma, labels read in time, targets, derived chords."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest
from mira.errors import DataError
from mira_plugins.chords.billboard import HOP_S, LAG_S, StoredSong, dequantised, read_folds, upright
from mira_plugins.chords.derivation import chords_of_notes
from mira_plugins.chords.examples import ChordExamples, LabelledChroma, from_billboard, from_rendered
from mira_plugins.chords.targets import IGNORED, cut, frame_targets, segments, transposed
from mira_plugins.chords.tuning import runs
from mira_plugins.chords.vocabulary import NAMES, NO_CHORD


def write_billboard(folder: Path, songs: dict[str, int], frames: int = 60) -> None:
    """Songs (id -> fold) of one C major chord from 1 s on."""
    rng = np.random.default_rng(0)
    for fold in set(songs.values()):
        arrays = {i: rng.integers(0, 9, (24, frames)).astype(np.uint8) for i, f in songs.items() if f == fold}
        np.savez_compressed(folder / f"chroma_{fold}.npz", **arrays)  # type: ignore[arg-type]
    with gzip.open(folder / "labels.csv.gz", "wt") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "start", "end", "label"])
        for name in songs:
            rows.writerows([(name, 0.0, 1.0, "N"), (name, 1.0, 100.0, "C:maj")])
    with open(folder / "songs.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "file", "artist_key", "fold"])
        rows.writerows([(name, f"chroma_{fold}.npz", f"artist {name}", fold) for name, fold in songs.items()])


def test_frames_belong_to_the_segment_that_has_begun_and_not_ended() -> None:
    """The book's reference gave frames outside all segments, and the first one, to a chord (A#)."""
    targets = frame_targets(
        segments([(0.0, 1.0, "A:min"), (1.0, 2.0, "X"), (3.0, 4.0, "G:7/3")]), np.arange(5.0)
    )
    assert targets[0].tolist() == [9, NAMES.index("min"), 9, 1 << 9 | 1 << 0 | 1 << 4]
    assert targets[1].tolist() == [IGNORED] * 4
    assert targets[2].tolist() == [NO_CHORD, IGNORED, NO_CHORD, 0]
    assert targets[3, :3].tolist() == [7, NAMES.index("7"), 11]
    assert targets[4, 0] == NO_CHORD


def test_transposition_is_around_the_circle() -> None:
    (moved,) = (transposed(s, 3, 2.0) for s in segments([(1.0, 2.0, "Bb:min/b3")]))
    assert (moved.start_s, moved.end_s) == (2.0, 4.0)
    assert (moved.chord.root, moved.chord.bass, moved.chord.tones) == (1, 4, {1, 4, 8})


def test_a_cut_keeps_what_sounds_in_it() -> None:
    kept = cut(segments([(0, 2, "C"), (2, 4, "F"), (4, 6, "G")]), 1.0, 2.5)
    assert [(s.start_s, s.end_s, s.chord.root) for s in kept] == [(0.0, 1.0, 0), (1.0, 2.5, 5)]


def test_runs_have_no_equal_neighbours() -> None:
    targets = frame_targets(segments([(0, 2, "C"), (2, 3, "C"), (3, 5, "G")]), np.arange(5.0))
    assert runs(targets) == [(0, 0, 3), (7, 0, 2)]


def test_stored_values_come_back_inside_their_interval() -> None:
    true = np.random.default_rng(0).uniform(0, 4, (24, 50))
    stored = np.maximum(0, np.ceil((true - 0.02) / 0.08)).astype(np.uint8)
    middle = dequantised(stored)
    assert np.abs(middle - true).max() <= 0.0401
    anywhere = dequantised(stored, np.random.default_rng(1))
    again = np.maximum(0, np.ceil((anywhere.astype(float) - 0.02) / 0.08 - 1e-4))
    assert np.array_equal(again, stored)


def test_labels_are_read_later_than_the_stamps_of_the_frames() -> None:
    song = StoredSong("1", "a", np.zeros((24, 60), np.uint8), tuple(segments([(0, 1, "N"), (1, 100, "C")])))
    (made,) = from_billboard([song])
    first = int(np.argmax(made.targets[:, 0] == 0))
    assert (first - 1) * HOP_S + LAG_S < 1.0 <= first * HOP_S + LAG_S


def test_frames_after_the_last_label_and_unfit_songs_are_left_out() -> None:
    chords = tuple(segments([(0, 1, "C")]))
    short = StoredSong("1", "a", np.zeros((24, 60), np.uint8), chords)
    (made,) = from_billboard([short, StoredSong("0304", "b", np.zeros((24, 60), np.uint8), chords)])
    assert len(made.targets) == made.chroma.shape[1] < 1.0 / HOP_S


def test_songs_a_semitone_off_are_rolled_back() -> None:
    chroma = np.zeros((24, 1), np.uint8)
    chroma[[4, 16]] = 7
    song = StoredSong("0289", "a", chroma, ())
    assert np.flatnonzero(upright(song)[:, 0]).tolist() == [3, 15]


def test_only_the_folds_asked_for_are_read(tmp_path: Path) -> None:
    write_billboard(tmp_path, {"0001": 0, "0002": 1, "0003": 4})
    assert [song.name for song in read_folds(tmp_path, (0, 1))] == ["0001", "0002"]


def test_a_folder_of_another_form_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="stored chroma needs"):
        read_folds(tmp_path, (0,))
    write_billboard(tmp_path, {"0001": 0})
    with pytest.raises(DataError, match="no songs in fold 3"):
        read_folds(tmp_path, (3,))


def test_examples_are_the_same_for_the_same_number_and_ignore_what_is_missing() -> None:
    chroma = np.random.default_rng(0).integers(0, 9, (24, 30)).astype(np.uint8)
    targets = np.zeros((30, 4), np.int16)
    song = LabelledChroma(chroma, targets, "billboard", "1", "a")
    one, two = (ChordExamples([song], n_frames=50, length=4, seed=3) for _ in range(2))
    assert np.array_equal(one[2]["chroma"], two[2]["chroma"])
    assert not np.array_equal(one[2]["chroma"], one[1]["chroma"])
    assert one[0]["chroma"].shape == (50, 24)
    assert (one[0]["root"][:24] == 0).all() and (one[0]["root"][37:] == IGNORED).all()


def test_rendered_clips_are_read_with_their_source_and_group(tmp_path: Path) -> None:
    arrays = {"pop:a song|0/c": np.ones((5, 24), np.float16), "pop:a song|0/t": np.zeros((5, 4), np.int16)}
    np.savez(tmp_path / "clips.npz", **arrays)  # type: ignore[arg-type]
    (clip,) = from_rendered([tmp_path / "clips.npz"])
    assert (clip.source, clip.group, clip.chroma.shape) == ("pop", "a song", (24, 5))


def test_broken_chords_are_heard_as_one() -> None:
    pitches = [48, 55, 64, 55, 48, 55, 64, 55, 47, 55, 62, 55, 53, 55, 62, 55]
    start = np.arange(16) * 0.25
    found = chords_of_notes(start, start + 0.25, np.array(pitches))
    assert (found[0].chord.root, found[0].chord.quality) == (0, "maj")
    assert {s.chord.root for s in found} == {0, 7}
    assert abs(found[0].end_s - 2.0) <= 0.3
    assert [s.chord.bass for s in found][:2] == [0, 11]


def test_the_bass_of_a_derived_chord_is_what_sounds_lowest() -> None:
    (found,) = chords_of_notes(np.zeros(4), np.full(4, 2.0), np.array([52, 60, 67, 72]))
    assert (found.chord.root, found.chord.quality, found.chord.bass) == (0, "maj", 4)


def test_clusters_are_unknown_and_rests_are_no_chord() -> None:
    start = np.concatenate([np.zeros(6), [6.0, 6.0, 6.0]])
    found = chords_of_notes(start, start + 2.0, np.array([60, 61, 62, 63, 64, 65, 60, 64, 67]))
    assert found[0].chord.root is None
    assert found[-1].chord.quality == "maj"
