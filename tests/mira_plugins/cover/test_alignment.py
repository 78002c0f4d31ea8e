"""Alignment on sequences whose common stretches are known."""

from __future__ import annotations

import numpy as np
import pytest
from covermusic import music
from mira_plugins.cover.alignment import STACK, align, longest_paths, paths, recurrences, stacked, stretched


def other(seed: int) -> list[np.ndarray]:
    return [music(seed + i) for i in range(6)]


@pytest.mark.parametrize("steps", range(12))
def test_a_version_in_any_key_is_found_with_its_transposition(steps: int) -> None:
    query = music(1)
    matches = align(np.roll(query, steps, axis=1), [query, *other(50)])
    assert matches[0].score > 1.5 * max(m.score for m in matches[1:])
    assert matches[0].transposition % 12 == steps
    assert -5 <= matches[0].transposition <= 6


def test_the_score_does_not_depend_on_the_key_or_on_the_other_candidates() -> None:
    query, candidates = music(1), [music(2, 90), music(1)[10:80], music(3, 200)]
    together = [m.score for m in align(query, candidates)]
    alone = [align(query, [c])[0].score for c in candidates]
    moved = [m.score for m in align(np.roll(query, 5, axis=1), candidates)]
    np.testing.assert_allclose(together, alone, rtol=1e-4)
    np.testing.assert_allclose(together, moved, atol=0.3)


def test_a_common_stretch_is_found_where_it_is() -> None:
    common = music(1, 150)
    query = np.concatenate([music(2, 30), common, music(3, 20)])
    candidate = np.concatenate([music(4, 10), common, music(5, 50)])
    (match,) = align(query, [candidate])
    first = paths(query, candidate, match)[0]
    np.testing.assert_allclose(first.query, (30, 179), atol=8)
    np.testing.assert_allclose(first.candidate, (10, 159), atol=8)


def test_two_stretches_in_another_order_are_both_found() -> None:
    one, two = music(1, 50), music(2, 50)
    query, candidate = np.concatenate([one, two]), np.concatenate([two, one])
    (match,) = align(query, [candidate])
    found = sorted(paths(query, candidate, match), key=lambda p: p.query[0])
    assert len(found) >= 2
    np.testing.assert_allclose(found[0].query[0], 0, atol=4)
    np.testing.assert_allclose(found[0].candidate[0], 50, atol=6)


@pytest.mark.parametrize("ratio", [0.8, 1.25])
def test_another_tempo_is_bridged(ratio: float) -> None:
    query = music(1)
    matches = align(stretched(query, ratio), [query, *other(50)])
    assert matches[0].score > 1.5 * max(m.score for m in matches[1:])


def test_longest_path_on_a_recurrence_made_by_hand() -> None:
    """Six steps on the diagonal, one frame of the candidate skipped: 6 cells, nothing lost by the jump."""
    recurrence = np.zeros((1, 8, 10), bool)
    for row, column in ((1, 1), (2, 2), (3, 3), (4, 5), (5, 6), (6, 7)):
        recurrence[0, row, column] = True
    assert longest_paths(recurrence)[0] == 6


def test_a_gap_costs_half() -> None:
    recurrence = np.zeros((1, 7, 7), bool)
    recurrence[0, np.arange(7), np.arange(7)] = True
    recurrence[0, 3, 3] = False
    assert longest_paths(recurrence)[0] == 5.5


def test_padding_never_recurs() -> None:
    query, candidates = stacked(music(1, 40)), np.stack([stacked(music(2, 60)), stacked(music(3, 60))])
    near = recurrences(query, candidates, np.array([20, 52]))
    assert not near[0, :, 20:].any() and near[1, :, 20:].any()


@pytest.mark.parametrize("frames", [1, 2, STACK, STACK + 1])
def test_the_shortest_recordings_are_aligned_too(frames: int) -> None:
    short = music(1, frames)
    (match,) = align(short, [music(2)])
    assert np.isfinite(match.score)
    assert align(music(2), [short])[0].score >= 0
    assert len(paths(short, music(2), match)) <= 1


def test_silence_matches_nothing_much() -> None:
    silence = np.zeros((100, 12), np.float32)
    assert np.isfinite(align(silence, [music(1), silence])[0].score)
    assert align(music(1), []) == []
