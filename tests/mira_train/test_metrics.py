from __future__ import annotations

import numpy as np
import pytest
from mira.errors import DataError
from mira_train.metrics import (
    bootstrap,
    chords,
    classes,
    multipitch,
    pitch_peaks,
    pool,
    ranking,
    tags,
    transcription,
)

TIMES = np.arange(10) * 0.01
SILENT = [np.array([])] * 10


def test_mistake_58_a_silent_track_found_silent_is_right() -> None:
    scores = multipitch((TIMES, SILENT), (TIMES, SILENT))
    assert scores["precision"] == scores["recall"] == scores["accuracy"] == 1
    assert scores["error"] == 0


def test_mistake_58_frames_of_a_track_are_pooled() -> None:
    # 9 frames with the right pitch, one with it and three wrong ones: 10 of 13 estimates are right
    truth = [np.array([440.0])] * 10
    found = [*truth[:9], np.array([440.0, 1000.0, 1500.0, 2000.0])]
    scores = multipitch((TIMES, truth), (TIMES, found))
    assert scores["precision"] == pytest.approx(10 / 13)
    assert scores["recall"] == 1


def test_mistake_59_a_tuning_error_is_seen_because_the_reference_keeps_its_pitch() -> None:
    truth = [np.array([440.0])] * 10
    off = [np.array([440.0 * 2 ** (0.6 / 12)])] * 10
    assert multipitch((TIMES, truth), (TIMES, off))["recall"] == 0


def test_mistake_60_neighbour_bins_above_the_threshold_are_one_pitch() -> None:
    salience = np.array([[0.1], [0.7], [0.9], [0.8], [0.2], [0.6]])
    freqs = np.array([100.0, 101, 102, 103, 104, 105])
    assert [f.tolist() for f in pitch_peaks(salience, freqs, 0.5)] == [[102.0, 105.0]]


def test_mistake_61_the_threshold_is_the_callers() -> None:
    salience = np.array([[0.0], [0.4], [0.0]])
    freqs = np.array([1.0, 2.0, 3.0])
    assert pitch_peaks(salience, freqs, 0.3)[0].tolist() == [2.0]
    assert pitch_peaks(salience, freqs, 0.5)[0].tolist() == []


def test_a_plateau_is_one_peak() -> None:
    salience = np.array([[0.9], [0.9], [0.1]])
    assert len(pitch_peaks(salience, np.array([1.0, 2.0, 3.0]), 0.5)[0]) == 1


def notes(*rows: tuple[float, float, int]) -> tuple[np.ndarray, np.ndarray]:
    array = np.array(rows, dtype=float).reshape(-1, 3)
    return array[:, :2], array[:, 2]


def test_a_late_offset_costs_only_the_offset_score() -> None:
    scores = transcription(notes((0, 1, 60)), notes((0.02, 2.5, 60)))
    assert scores["f1"] == 1
    assert scores["offset_f1"] == 0


def test_tracks_without_notes_are_scored() -> None:
    assert transcription(notes(), notes())["f1"] == 1
    assert transcription(notes(), notes((0, 1, 60)))["f1"] == 0


def test_mistake_71_chords_are_scored_by_time_in_several_vocabularies() -> None:
    truth = (np.array([[0.0, 3.0], [3.0, 4.0]]), ["C:maj7", "A:min"])
    found = (np.array([[0.0, 4.0]]), ["C:maj"])
    scores = chords(truth, found)
    assert scores["root"] == pytest.approx(0.75)
    assert scores["majmin"] == pytest.approx(0.75)
    assert scores["sevenths"] == pytest.approx(0.0)


def test_mistake_62_patches_of_a_track_are_averaged_first() -> None:
    values, names = pool(np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]]), ["b", "a", "b"])
    assert names == ["a", "b"]
    assert values.tolist() == [[1.0, 0.0], [0.25, 0.75]]


def test_mistake_63_classes_that_do_not_occur_are_named() -> None:
    scores, absent = classes(np.eye(3)[[0, 0, 1]], np.array([0, 1, 1]), ["rock", "jazz", "folk"])
    assert scores["recall"] == pytest.approx(0.75)
    assert absent == ["folk"]


def test_mistake_63_tags_that_cannot_be_scored_are_named() -> None:
    truth = np.array([[1, 0, 1], [0, 0, 1], [1, 0, 1]])
    probability = np.array([[0.9, 0.5, 0.1], [0.1, 0.5, 0.1], [0.8, 0.5, 0.1]])
    scores, left_out = tags(probability, truth, ["piano", "cello", "music"])
    assert scores == {"auc": 1.0, "map": 1.0}
    assert left_out == ["cello", "music"]


def test_tags_without_any_scorable_label_are_an_error() -> None:
    with pytest.raises(DataError, match="more tracks"):
        tags(np.ones((2, 1)), np.ones((2, 1), dtype=int), ["music"])


def by_rank(work: list[int], order: list[int]) -> np.ndarray:
    """Distances by which item 0 finds the others in ``order``; the rest far away."""
    distance = np.full((len(work), len(work)), 100.0)
    for rank, item in enumerate(order):
        distance[0, item] = rank
    return distance


def first_query(work: list[int], order: list[int]) -> dict[str, float]:
    return {name: values[0] for name, values in ranking(by_rank(work, order), work).scores.items()}


def test_ranking_scores_of_a_list_checked_by_hand() -> None:
    # relevant at ranks 2 and 4
    scores = first_query([0, 1, 0, 2, 0, 3], [1, 2, 3, 4, 5])
    assert scores["mr1"] == 2
    assert scores["mrr"] == 0.5
    assert scores["p@1"] == 0
    assert scores["p@5"] == pytest.approx(2 / 5)
    assert scores["map"] == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert scores["ndcg"] == pytest.approx((1 / np.log2(3) + 1 / np.log2(5)) / (1 + 1 / np.log2(3)))


def test_mistake_65_mean_average_precision_is_not_precision_at_ten() -> None:
    scores = first_query([0, 0, 1, 2, 3], [1, 2, 3, 4])
    assert scores["map"] == 1
    assert scores["p@10"] == pytest.approx(0.1)


def test_mistake_66_the_query_is_no_hit_of_its_own() -> None:
    work = [0, 0, 1, 1]
    distance = np.array([[0.0, 3, 1, 2], [3, 0, 1, 2], [1, 2, 0, 3], [1, 2, 3, 0]])
    assert ranking(distance, work).means()["mr1"] == 3


def test_mistakes_66_and_68_singles_do_not_ask_but_are_in_the_lists() -> None:
    work = ["a", "a", "b"]
    distance = np.array([[0.0, 2, 1], [2, 0, 1], [1, 1, 0]])
    result = ranking(distance, work)
    assert result.skipped == 1
    assert result.scores["mr1"].tolist() == [2, 2]


def test_mistake_67_average_precision_divides_by_the_number_of_relevant_items() -> None:
    # of three relevant items two are first, the last is at rank 6
    scores = first_query([0, 0, 0, 1, 2, 3, 0], [1, 2, 3, 4, 5, 6])
    assert scores["map"] == pytest.approx((1 + 1 + 3 / 6) / 3)


def test_nothing_to_find_is_an_error() -> None:
    with pytest.raises(DataError, match="two performances"):
        ranking(np.zeros((2, 2)), ["a", "b"])


def test_a_diverged_network_is_an_error_not_a_rank() -> None:
    with pytest.raises(DataError, match="diverged"):
        ranking(np.full((2, 2), np.nan), ["a", "a"])


def test_bootstrap_interval_holds_the_mean_and_narrows_with_more_tracks() -> None:
    rng = np.random.default_rng(1)
    few, many = bootstrap(rng.random(10)), bootstrap(rng.random(1000))
    for interval in (few, many):
        assert interval.low < interval.score < interval.high
    assert many.high - many.low < (few.high - few.low) / 3


def test_bootstrap_weights_tracks_by_duration() -> None:
    assert bootstrap(np.array([0.0, 1.0]), np.array([1.0, 3.0])).score == pytest.approx(0.75)


def test_bootstrap_without_tracks_is_an_error() -> None:
    with pytest.raises(DataError, match="no track"):
        bootstrap(np.array([]))
