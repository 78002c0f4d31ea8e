"""Evidence averaged over what a song plays again."""

from __future__ import annotations

import numpy as np
import pytest
from mira_plugins.chords.language import Vocabulary
from mira_plugins.chords.repeats import CELL, averaged, repeats

HOP_S = 2048 / 44100
VOCABULARY = Vocabulary.named("full")
Arrays = tuple[np.ndarray, np.ndarray]


def song(roots: list[int], frames: int = 44, sure: float = 0.8) -> Arrays:
    """Roots one after another, and major chords on them."""
    root = np.full((len(roots) * frames, 13), (1 - sure) / 12, np.float32)
    root[np.arange(len(root)), np.repeat(roots, frames)] = sure
    quality = np.full((len(root), 12, 13), 0.2 / 12, np.float32)
    quality[:, :, 0] = 0.8
    return root, VOCABULARY.probabilities(root, quality)


VERSE = [0, 9, 5, 7, 2, 11, 4, 6]


def test_an_unclear_bar_becomes_clear_where_it_comes_again() -> None:
    root, chances = song(VERSE * 2)
    unclear = slice(2 * 44 + 4, 3 * 44 - 4)
    root[unclear], chances[unclear] = 1 / 13, 1 / VOCABULARY.size
    told, votes = averaged(chances.copy(), root, HOP_S, 1.0)
    assert (told[unclear].argmax(axis=1) == 5 * 13).all()
    assert np.allclose(told.sum(axis=1), 1, atol=1e-5)
    assert votes.min() >= 1 and votes[unclear].min() > 1


def test_a_song_without_repeats_stays_as_it_is() -> None:
    root, chances = song(list(range(12)))
    told, votes = averaged(chances.copy(), root, HOP_S, 1.0)
    assert np.array_equal(told, chances) and (votes == 1).all()


def test_without_weight_nothing_changes() -> None:
    root, chances = song(VERSE * 3)
    assert np.allclose(averaged(chances.copy(), root, HOP_S, 0.0)[0], chances, atol=1e-6)


def test_a_transposed_verse_is_no_repeat() -> None:
    root, _ = song(VERSE + [(r + 3) % 12 for r in VERSE])
    assert sum(len(at) for at, _, _ in repeats(root, HOP_S)) == 0


def test_repeats_are_found_at_the_length_of_the_verse() -> None:
    root, _ = song(VERSE * 2)
    verse = len(VERSE) * 44 / CELL
    assert {lag for _, lag, _ in repeats(root, HOP_S)} == {verse}


@pytest.mark.parametrize("frames", [1, 3, 4, 90])
def test_short_recordings_stay_as_they_are(frames: int) -> None:
    root, chances = (table[:frames] for table in song(VERSE))
    told, votes = averaged(chances.copy(), root, HOP_S, 1.0)
    assert np.array_equal(told, chances) and (votes == 1).all()
