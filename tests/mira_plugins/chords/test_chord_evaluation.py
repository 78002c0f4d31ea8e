"""Scores of chords: what counts, and what is pooled."""

from __future__ import annotations

from itertools import pairwise

import mir_eval
import numpy as np
import pytest
from mira.results import Chords
from mira_plugins.chords.agreement import compare, summary
from mira_plugins.chords.stored import later
from mira_plugins.chords.targets import segments


def found(*rows: tuple[float, float, str]) -> Chords:
    start, end, label = zip(*rows)
    return Chords(end[-1], np.array(start), np.array(end), label, np.ones(len(rows)))


def test_recall_is_the_share_of_the_time_that_counts() -> None:
    truth = segments([(0, 4, "C:maj"), (4, 6, "X"), (6, 10, "G:7")])
    counted = compare(truth, found((0, 5, "C:maj"), (5, 10, "G:maj")))
    assert counted["majmin"] == pytest.approx((8.0, 8.0))
    assert counted["sevenths"] == pytest.approx((4.0, 8.0))


def test_chords_that_end_early_or_late_are_fitted_to_the_labels() -> None:
    counted = compare(segments([(0, 10, "C:maj")]), found((0, 5, "C:maj")))
    assert counted["majmin"] == pytest.approx((5.0, 10.0))
    counted = compare(segments([(0, 10, "C:maj")]), found((0, 15, "C:maj")))
    assert counted["majmin"] == pytest.approx((10.0, 10.0))


def test_the_lag_moves_boundaries_and_not_the_beginning() -> None:
    moved = later(found((0, 1, "C:maj"), (1, 2, "G:maj")), 0.5)
    assert moved.start_s.tolist() == [0, 1.5]
    assert moved.end_s.tolist() == [1.5, 2.5]


@pytest.mark.parametrize("seed", range(5))
def test_measures_are_those_of_mir_eval(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = [
        "N",
        "X",
        "C:maj",
        "C:7",
        "C:maj/3",
        "A:min7",
        "G:9",
        "G:7/b7",
        "D:sus4(b7)",
        "E:5",
        "F:maj6(9)/2",
    ]

    def rows() -> list[tuple[float, float, str]]:
        edges = np.sort(rng.uniform(0, 30, 14))
        edges[0], edges[-1] = 0, 30
        return [(float(s), float(e), str(rng.choice(labels))) for s, e in pairwise(edges)]

    truth, ours = rows(), rows()
    counted = compare(segments(truth), found(*ours))
    pairs = [(np.array([r[:2] for r in side]), [r[2] for r in side]) for side in (truth, ours)]
    theirs = mir_eval.chord.evaluate(*pairs[0], *pairs[1])
    for name, (right, seconds) in counted.items():
        assert right / max(seconds, 1e-9) == pytest.approx(theirs[name], abs=1e-9)


def test_long_songs_weigh_more() -> None:
    long = compare(segments([(0, 30, "C:maj")]), found((0, 30, "C:maj")))
    short = compare(segments([(0, 10, "C:maj")]), found((0, 10, "A:min")))
    scores = summary([long, short])["majmin"]
    assert scores["score"] == pytest.approx(0.75)
    assert scores["low"] == 0.0
    assert scores["high"] == 1.0
