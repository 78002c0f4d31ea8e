"""Notes on sixteenths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mira.results import Notes
from mira_plugins.mpe.grid import quantized


def notes(rows: list[tuple[float, float, int, float]], duration_s: float = 60.0) -> Notes:
    start_s, end_s, pitch, confidence = (np.array(column) for column in zip(*sorted(rows)))
    return Notes(duration_s, start_s, end_s, pitch, np.full(len(rows), 64), confidence)


def test_a_player_who_is_a_little_off_is_put_on_the_beat() -> None:
    step = 60 / 100 / 4
    played = [
        (1.03 + k * step + (-1) ** k * 0.02, 1.03 + (k + 1) * step - 0.04, 60 + k, 0.9) for k in range(8)
    ]
    moved = quantized(notes(played), 100.0)
    gaps = np.diff(moved.start_s)
    assert gaps == pytest.approx(np.full(7, step)) and moved.tempo_bpm == 100.0
    assert moved.start_s / step == pytest.approx(np.rint(moved.start_s / step))
    assert moved.end_s - moved.start_s == pytest.approx(np.full(8, step))


def test_of_two_that_fall_together_the_more_confident_stays() -> None:
    moved = quantized(notes([(1.2, 1.25, 60, 0.3), (1.3, 1.8, 60, 0.8), (1.31, 1.5, 64, 0.2)]), 30.0)
    assert moved.pitch.tolist() == [60, 64] and moved.confidence.tolist() == [0.8, 0.2]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 50), st.floats(0.01, 9), st.integers(60, 63), st.floats(0, 1)),
        min_size=1,
        max_size=30,
    ),
    st.floats(4, 960),
)
def test_the_result_is_sorted_and_notes_of_one_pitch_do_not_overlap(
    rows: list[tuple[float, float, int, float]], bpm: float
) -> None:
    moved = quantized(notes([(s, s + d, p, c) for s, d, p, c in rows]), bpm)
    assert (moved.end_s > moved.start_s).all() and moved.duration_s >= moved.end_s.max()
    order = list(zip(moved.start_s, moved.pitch))
    assert order == sorted(order)
    for pitch in set(moved.pitch.tolist()):
        own = moved.pitch == pitch
        assert (moved.end_s[own][:-1] <= moved.start_s[own][1:]).all()
