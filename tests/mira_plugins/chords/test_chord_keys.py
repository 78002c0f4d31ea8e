"""The key over time."""

from __future__ import annotations

import numpy as np
from mira_plugins.chords.keys import keys_over_time, main_key
from numpy.typing import NDArray

HOP_S = 0.1
PROGRESSION = ((0, 4, 7), (5, 9, 0), (7, 11, 2), (0, 4, 7))


def activations(tonic: int, seconds: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """I IV V I, two seconds each, over and over."""
    frames = round(seconds / HOP_S)
    pitch, root = np.full((frames, 12), 0.05, np.float32), np.full((frames, 13), 0.02, np.float32)
    for i in range(frames):
        tones = [(tone + tonic) % 12 for tone in PROGRESSION[int(i * HOP_S // 2) % 4]]
        pitch[i, tones], root[i, tones[0]] = 0.9, 0.8
    return pitch, root


def test_a_song_in_one_key_keeps_it() -> None:
    assert set(keys_over_time(*activations(3, 60), HOP_S)) == {(3, False)}


def test_a_change_of_key_is_found_within_a_few_seconds() -> None:
    pitch, root = (np.concatenate(pair) for pair in zip(activations(0, 60), activations(2, 40)))
    keys = keys_over_time(pitch, root, HOP_S)
    assert set(keys) == {(0, False), (2, False)} and main_key(keys) == (0, False)
    assert abs(keys.index((2, False)) - 60) <= 6


def test_a_short_step_aside_is_no_change_of_key() -> None:
    parts = [activations(0, 40), activations(7, 6), activations(0, 40)]
    pitch, root = (np.concatenate(columns) for columns in zip(*parts))
    assert set(keys_over_time(pitch, root, HOP_S)) == {(0, False)}


def test_a_single_frame_has_a_key() -> None:
    pitch, root = activations(0, 1)
    assert len(keys_over_time(pitch[:1], root[:1], HOP_S)) == 1
