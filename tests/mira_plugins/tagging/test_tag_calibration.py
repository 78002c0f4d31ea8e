"""Calibration of tags: lines through logits, and how much the voice's answers count."""

from __future__ import annotations

import numpy as np
import pytest
from mira_plugins.tagging.calibration import SUNG, error, genre_factor, line, loss, weights


def test_answers_count_the_same_but_for_the_voice() -> None:
    truth = np.array([1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert weights("instruments", truth) == pytest.approx(np.full(6, 1 / 6))
    sung = weights("voice", truth)
    assert sung.sum() == pytest.approx(1) and sung[truth > 0].sum() == pytest.approx(SUNG)


def test_a_line_finds_back_what_was_moved() -> None:
    rng = np.random.default_rng(0)
    logit = rng.normal(0, 3, 4_000)
    truth = (rng.random(len(logit)) < 1 / (1 + np.exp(-logit))).astype(float)
    weight = weights("instruments", truth)
    factor, summand = line((logit - 1) / 2, truth, weight)
    assert factor == pytest.approx(2, rel=0.15) and summand == pytest.approx(1, abs=0.3)
    moved = factor * (logit - 1) / 2 + summand
    assert loss(moved, truth, weight) < loss((logit - 1) / 2, truth, weight)


def test_probabilities_that_are_right_as_often_as_they_say_have_no_error() -> None:
    weight = np.full(10, 0.1)
    half = np.full(10, 0.5)
    assert error(half, np.array([1.0, 0.0] * 5), weight) == pytest.approx(0)
    assert error(half, np.ones(10), weight) == pytest.approx(0.5)


def test_overconfident_genres_are_made_flatter() -> None:
    logits = np.array([[4.0, 0.0], [4.0, 0.0], [0.0, 4.0], [0.0, 4.0]])
    assert genre_factor(logits, np.array([0, 1, 1, 0])) < 0.5 < genre_factor(logits, np.array([0, 0, 1, 1]))
