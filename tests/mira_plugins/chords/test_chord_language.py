"""The language model: what it learns, and that the best path is the best."""

from __future__ import annotations

from itertools import groupby, product

import numpy as np
import pytest
from mira_plugins.chords.language import AGES, LanguageModel, Vocabulary, best_path, shipped_model
from mira_plugins.chords.vocabulary import NAMES, NO_CHORD

MAJ, SEVENTH, MIN = NAMES.index("maj"), NAMES.index("7"), NAMES.index("min")


def brute(
    emission: np.ndarray, table: np.ndarray, hazard: np.ndarray, entering: np.ndarray
) -> list[tuple[int, int]]:
    """The best of all paths, by trying them."""
    n, size = emission.shape
    survival = np.log1p(-hazard)

    def value(path: tuple[int, ...]) -> float:
        total = sum(float(emission[t, s]) for t, s in enumerate(path))
        total += sum(float(entering[t]) for t in range(1, n) if path[t] != path[t - 1])
        lengths = [(s, len(list(group))) for s, group in groupby(path)]
        for i, (state, length) in enumerate(lengths):
            ages = [min(age, len(hazard) - 1) for age in range(length)]
            total += sum(survival[age] for age in ages[:-1])
            last = i == len(lengths) - 1
            total += (
                survival[ages[-1]] if last else np.log(hazard[ages[-1]]) + table[state, lengths[i + 1][0]]
            )
        return total

    best = max(product(range(size), repeat=n), key=value)
    return [(t, s) for t, s in enumerate(best) if t == 0 or best[t - 1] != s]


@pytest.mark.parametrize("seed", range(8))
def test_best_path_equals_trying_all_paths(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, size = 7, 3
    hazard = np.array([0.05, 0.2, 0.4, 0.3])
    emission = rng.normal(0, 1.5, (n, size)).astype(np.float32)
    chance = rng.dirichlet(np.ones(size), size)
    np.fill_diagonal(chance, 0)
    with np.errstate(divide="ignore"):
        table = np.log(chance / chance.sum(axis=1, keepdims=True)).astype(np.float32)
    survived = np.concatenate([[0.0], np.cumsum(np.log1p(-hazard))])
    ending = np.repeat((survived[:-1] + np.log(hazard))[:, None], size, axis=1)
    living = np.repeat(survived[1:, None], size, axis=1)
    entering = rng.normal(0, 1, n)
    assert best_path(emission, table, ending, living, entering) == brute(emission, table, hazard, entering)
    nothing = np.zeros(n)
    assert best_path(emission, table, ending, living) == brute(emission, table, hazard, nothing)


def test_no_state_is_shorter_than_asked_for() -> None:
    vocabulary, model = Vocabulary.named("majmin"), shipped_model()
    rng = np.random.default_rng(1)
    emission = np.log(rng.dirichlet(np.full(vocabulary.size, 0.05), 300) + 1e-4).astype(np.float32)
    path = best_path(emission, model.transitions(vocabulary), *model.durations(vocabulary), shortest=30)
    starts = [frame for frame, _ in path]
    assert min(np.diff(starts)) >= 30


def test_a_chord_of_many_pieces_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    vocabulary, model = Vocabulary.named("majmin"), shipped_model()
    emission = np.full((1000, vocabulary.size), -3.0, np.float32)
    emission[:200, 3] = emission[200:700, 5] = emission[700:, -1] = 0
    tables = model.transitions(vocabulary), *model.durations(vocabulary)
    monkeypatch.setattr("mira_plugins.chords.language._LONGEST", 110)
    assert best_path(emission, *tables) == [(0, 3), (200, 5), (700, vocabulary.size - 1)]


@pytest.mark.parametrize("name", ["majmin", "sevenths", "full"])
def test_transitions_are_probabilities_alike_in_all_keys(name: str) -> None:
    vocabulary = Vocabulary.named(name)
    table = np.exp(shipped_model().transitions(vocabulary))
    assert np.allclose(table.sum(axis=1), 1, atol=1e-4)
    assert np.all(np.diag(table) == 0)
    q = len(vocabulary.qualities)
    moved = np.roll(table[:-1, :-1], (q, q), axis=(0, 1))
    assert np.allclose(moved, table[:-1, :-1], atol=1e-6)


def test_learned_changes_are_those_of_the_songs() -> None:
    song = [(0, MAJ, 40), (7, SEVENTH, 20), (0, MAJ, 40), (NO_CHORD, -1, 10)]
    model = LanguageModel.learn([song] * 20)
    table = np.exp(model.transitions(Vocabulary.named("full")))
    q = len(NAMES)
    assert table[7 * q + SEVENTH].argmax() == MAJ
    assert table[2 * q + SEVENTH].argmax() == 7 * q + MAJ
    assert model.changes[MAJ, 7, SEVENTH] == 20


def test_durations_sum_to_one_with_what_outlives_the_table() -> None:
    ending, living = shipped_model().durations(Vocabulary.named("full"))
    assert ending.shape == living.shape == (AGES, 12 * len(NAMES) + 1)
    assert np.allclose(np.exp(ending).sum(axis=0) + np.exp(living[-1]), 1, atol=1e-4)


def test_reduced_probabilities_still_sum_to_one() -> None:
    rng = np.random.default_rng(0)
    root = rng.dirichlet(np.ones(13), 5).astype(np.float32)
    quality = rng.dirichlet(np.ones(13), (5, 12)).astype(np.float32)
    for name in ("majmin", "sevenths", "full"):
        assert np.allclose(Vocabulary.named(name).probabilities(root, quality).sum(axis=1), 1, atol=1e-5)


def test_minor_sevenths_count_as_minor() -> None:
    root = np.zeros((1, 13), np.float32)
    root[0, 9] = 1
    quality = np.zeros((1, 12, 13), np.float32)
    quality[0, 9, NAMES.index("min7")] = 1
    vocabulary = Vocabulary.named("majmin")
    assert vocabulary.chord(int(vocabulary.probabilities(root, quality).argmax())) == (9, "min")
