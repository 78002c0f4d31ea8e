from __future__ import annotations

import numpy as np
import pytest
from mira.errors import DataError
from mira_train.data.entries import Definition, parse_entry
from mira_train.data.labels import (
    CHORDS,
    GENRES,
    MTT_TAGS,
    NO_CHORD,
    label_index,
    multi_hot,
    transpose_chords,
)
from mira_train.data.targets import (
    IGNORE,
    OUTSIDE,
    PitchGrid,
    f0_targets,
    note_targets,
    segment_targets,
    soften,
)

GRID = PitchGrid()
HOP = 512 / 22050


def test_mistake_13_unvoiced_f0_is_not_a_note() -> None:
    time = np.arange(4) * HOP
    target = f0_targets(time, np.array([[60.0, 0.0, np.nan, -1.0]]), 4, HOP, GRID)
    assert target.sum(axis=0).tolist() == [1, 0, 0, 0]


def test_mistake_14_nothing_before_the_first_and_after_the_last_value() -> None:
    time = np.arange(10, 20) * HOP
    target = f0_targets(time, np.full((1, 10), 60.0), 40, HOP, GRID)
    assert np.flatnonzero(target.any(axis=0)).tolist() == list(range(10, 20))


def test_mistake_14_a_gap_in_the_times_stays_empty() -> None:
    time = np.concatenate([np.arange(5), np.arange(15, 20)]) * HOP
    target = f0_targets(time, np.full((1, 10), 60.0), 20, HOP, GRID)
    assert not target[:, 5:15].any()


@pytest.mark.parametrize("annotation_hop", [0.01, HOP, 0.05])
def test_mistake_14_no_frame_within_is_lost_at_any_annotation_hop(annotation_hop: float) -> None:
    time = np.arange(0, 2, annotation_hop)
    target = f0_targets(time, np.full((1, len(time)), 60.0), 80, HOP, GRID)
    assert target[:, :80].any(axis=0).all()


def test_mistake_15_pitches_outside_of_the_grid_are_dropped() -> None:
    assert GRID.bins([21, 22, 23, 96, 97, 108]).tolist() == [OUTSIDE] * 6
    assert GRID.bins([24, 95]).tolist() == [0, 355]
    target = note_targets([0, 0], [1, 1], [21, 108], 50, HOP, GRID)
    assert not target.frame.any() and not target.onset.any() and not target.offset.any()
    piano = PitchGrid(lowest_hz=27.5, bins_per_octave=12, n_bins=88)
    assert piano.bins(np.arange(21, 109)).tolist() == list(range(88))


@pytest.mark.parametrize("length", [0.0, 0.001, 0.01, 0.02])
@pytest.mark.parametrize("start", np.linspace(0, HOP, 7).tolist())
def test_mistake_16_a_short_note_has_one_frame_at_least(length: float, start: float) -> None:
    target = note_targets([1 + start], [1 + start + length], [60], 100, HOP, GRID)
    assert 1 <= target.frame.sum() <= 2
    assert target.onset.sum() == target.offset.sum() == 1


def test_mistake_17_repeated_notes_stay_apart() -> None:
    target = note_targets([0, 10 * HOP], [10 * HOP, 20 * HOP], [60, 60], 30, HOP, GRID)
    row = GRID.bins(60)
    assert target.frame[row].sum() == 20
    assert np.flatnonzero(target.onset[row]).tolist() == [0, 10]
    assert np.flatnonzero(target.offset[row]).tolist() == [9, 19]


def test_notes_are_cut_at_the_end_and_those_behind_it_left_out() -> None:
    target = note_targets([0, 100 * HOP], [1e9, 101 * HOP], [60, 62], 10, HOP, GRID)
    assert target.frame.sum() == 10
    assert not target.frame[GRID.bins(62)].any()


def test_mistake_18_uncovered_frames_are_no_chord_or_ignored() -> None:
    args = ([0.0, 5 * HOP], [3 * HOP, 7 * HOP], ["A#:maj", "C:maj"], 9, HOP, CHORDS)
    a_sharp, c, none = (CHORDS.index(label) for label in ("A#:maj", "C:maj", NO_CHORD))
    expected = [a_sharp] * 3 + [none] * 2 + [c] * 2 + [none] * 2
    assert segment_targets(*args, uncovered=NO_CHORD).tolist() == expected
    assert segment_targets(*args).tolist() == [IGNORE if value == none else value for value in expected]


def test_mistake_18_the_first_frame_belongs_to_the_segment_that_starts_at_zero() -> None:
    assert segment_targets([0.0], [1.0], ["C:maj"], 5, HOP, CHORDS)[0] == CHORDS.index("C:maj")


def test_mistake_19_chords_are_in_musical_order_and_transpose_by_addition() -> None:
    assert len(CHORDS) == 25
    assert CHORDS[0] == "C:maj" and CHORDS[12] == "C:min" and CHORDS[24] == NO_CHORD
    start = np.array([CHORDS.index("A:min"), CHORDS.index("B:maj"), 24, IGNORE])
    assert [CHORDS[i] for i in transpose_chords(start, 3)[:3]] == ["C:min", "D:maj", NO_CHORD]
    assert transpose_chords(start, -5)[3] == IGNORE


def test_mistake_20_soft_targets_keep_their_top_and_reach_both_neighbours() -> None:
    hard = f0_targets(np.zeros(1), np.array([[60.0]]), 1, HOP, GRID)
    soft = soften(hard, sigma_bins=1.0)
    row = int(GRID.bins(60))
    np.testing.assert_allclose(soft[row - 2 : row + 3, 0], np.exp([-2, -0.5, 0, -0.5, -2]), rtol=1e-6)
    assert soft.max() == 1 and soften(np.ones((5, 2), np.float32)).max() == 1


def test_mistake_21_the_nearest_bin_is_nearest_in_cents() -> None:
    # Between bins k and k+1 the middle in cents lies below the middle in Hz.
    low, high = 32.7 * 2 ** (np.array([100, 101]) / 60)
    between = (np.sqrt(low * high) + (low + high) / 2) / 2
    assert abs(between - low) < abs(between - high)
    assert GRID.bins(69 + 12 * np.log2(between / 440)) == 101


def test_mistake_22_missing_and_empty_annotations_are_no_class() -> None:
    defined = {"tag": Definition("global")}
    for raw in ({}, {"tag": []}, {"tag": [{"value": ""}]}):
        entry, _ = parse_entry(raw, 0, defined)
        assert not multi_hot([atom.value for atom in entry["tag"]], MTT_TAGS).any()


def test_mistake_22_unknown_label_says_where_and_what_is_near() -> None:
    with pytest.raises(
        DataError, match=r"segment 1 at 1.00 s: label 'Gb:maj' .*25 known ones; the nearest is"
    ):
        segment_targets([0, 1], [1, 2], ["C:maj", "Gb:maj"], 5, HOP, CHORDS)
    with pytest.raises(DataError, match=r"hip-hop.*nearest is 'hiphop'"):
        label_index("hip-hop", GENRES)


def test_empty_annotations_give_empty_targets() -> None:
    assert not f0_targets(np.empty(0), np.empty((1, 0)), 5, HOP, GRID).any()
    assert not note_targets([], [], [], 5, HOP, GRID).frame.any()
    assert segment_targets([], [], [], 3, HOP, CHORDS, NO_CHORD).tolist() == [24] * 3
    assert f0_targets(np.zeros(1), np.zeros((1, 1)), 0, HOP, GRID).shape == (360, 0)


def test_label_lists_are_the_books() -> None:
    assert len(GENRES) == 10 and len(MTT_TAGS) == 50
    assert MTT_TAGS[:5] == ("ambient", "beat", "beats", "cello", "choir")
