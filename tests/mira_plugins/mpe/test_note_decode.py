"""From hand-made activations to notes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mira.results import Notes
from mira.task import Activations
from mira_plugins.mpe import TranscribeSettings
from mira_plugins.mpe.decode import Thresholds, decode_notes
from numpy.typing import NDArray

HOP_S = 512 / 16000
C4 = 60 - 21


def silence(frames: int = 100) -> dict[str, NDArray[np.float32]]:
    names = ("onset", "frame", "offset", "shift", "velocity", "deviation")
    return {name: np.zeros((frames, 88), np.float32) for name in names}


def play(
    arrays: dict[str, NDArray[np.float32]], key: int, first: int, last: int, velocity: float = 0.5
) -> None:
    arrays["onset"][first, key] = 0.9
    arrays["frame"][first : last + 1, key] = 0.9
    arrays["velocity"][first, key] = velocity


def decoded(arrays: dict[str, NDArray[np.float32]], **wanted: object) -> Notes:
    frames = len(arrays["onset"])
    heard = Activations(arrays, 16000, 512, (frames - 1) * HOP_S, vars(Thresholds()))
    return decode_notes(heard, TranscribeSettings(**wanted))  # type: ignore[arg-type]


def test_silence_has_no_notes() -> None:
    assert len(decoded(silence()).pitch) == 0 and len(decoded(silence(1)).pitch) == 0


def test_a_note_begins_at_its_peak_and_ends_where_its_frames_do() -> None:
    arrays = silence()
    play(arrays, C4, 20, 39, velocity=0.63)
    notes = decoded(arrays)
    assert notes.pitch.tolist() == [60] and notes.velocity.tolist() == [80]
    assert notes.start_s[0] == pytest.approx(20 * HOP_S) and notes.end_s[0] == pytest.approx(39.5 * HOP_S)


def test_the_onset_is_moved_between_frames() -> None:
    arrays = silence()
    play(arrays, C4, 20, 39)
    arrays["shift"][20, C4] = -0.4
    assert decoded(arrays).start_s[0] == pytest.approx(19.6 * HOP_S)


def test_a_repeated_note_cuts_the_one_before() -> None:
    arrays = silence()
    play(arrays, C4, 20, 60)
    arrays["onset"][40, C4] = 0.8
    notes = decoded(arrays)
    assert notes.pitch.tolist() == [60, 60] and notes.end_s[0] <= notes.start_s[1]


def test_a_key_that_sounds_needs_a_weaker_onset_than_a_silent_one() -> None:
    arrays = silence()
    play(arrays, C4, 20, 60)
    arrays["onset"][40, [C4, C4 + 5]] = 0.45
    heard = Activations(arrays, 16000, 512, 3.2, vars(Thresholds(onset=0.6, again=0.4)))
    assert decode_notes(heard, TranscribeSettings()).pitch.tolist() == [60, 60]


def test_an_offset_ends_a_note_whose_frames_fade() -> None:
    arrays = silence()
    play(arrays, C4, 20, 60)
    arrays["frame"][30:61, C4] = 0.45
    arrays["offset"][45, C4] = 0.6
    arrays["offset"][46, C4] = 0.3
    assert decoded(arrays).end_s[0] == pytest.approx((45 + 1 / 3) * HOP_S)


def test_a_dip_of_the_frames_without_an_offset_does_not_end_a_note() -> None:
    arrays = silence()
    play(arrays, C4, 20, 60)
    arrays["frame"][30:61, C4] = 0.7
    arrays["frame"][40:43, C4] = 0.1
    assert decoded(arrays).end_s[0] == pytest.approx(60.5 * HOP_S)


def test_sound_without_an_attack_is_a_note_only_if_it_is_strong() -> None:
    arrays = silence()
    arrays["frame"][20:40, C4] = 0.9
    arrays["frame"][20:40, C4 + 5] = 0.6
    assert decoded(arrays).pitch.tolist() == [60]


def test_the_range_and_the_shortest_note_are_kept_to() -> None:
    arrays = silence()
    play(arrays, C4, 20, 39)
    play(arrays, C4 + 12, 20, 21)
    play(arrays, C4 - 24, 20, 39)
    assert decoded(arrays, min_note=0.1, lowest=50).pitch.tolist() == [60]


def test_monophonic_keeps_the_more_confident_and_lets_no_two_overlap() -> None:
    arrays = silence()
    play(arrays, C4, 20, 60)
    play(arrays, C4 + 7, 20, 60)
    arrays["onset"][20, C4 + 7] = 0.95
    play(arrays, C4 + 12, 50, 70)
    notes = decoded(arrays, monophonic=True)
    assert notes.pitch.tolist() == [67, 72] and notes.end_s[0] <= notes.start_s[1]


def test_more_sensitivity_never_hears_fewer_onsets() -> None:
    arrays = silence()
    rng = np.random.default_rng(0)
    arrays["onset"][:] = rng.random((100, 88)) ** 3
    arrays["frame"][:] = 0.5
    counts = [len(decoded(arrays, sensitivity=s, min_note=0.0).pitch) for s in (0.0, 0.3, 0.5, 0.7, 1.0)]
    assert counts == sorted(counts) and counts[0] < counts[-1]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["float16", "float32"]))
def test_notes_are_sorted_valid_and_of_one_pitch_never_overlap(seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    arrays = {name: rng.random((60, 88)).astype(kind) for name in silence()}
    arrays["shift"] = (4 * arrays["shift"] - 2).astype(kind)
    notes = decoded(arrays, min_note=0.0)
    assert (notes.end_s > notes.start_s).all() and (np.diff(notes.start_s) >= 0).all()
    assert ((notes.velocity >= 1) & (notes.velocity <= 127)).all()
    for pitch in set(notes.pitch.tolist()):
        own = notes.pitch == pitch
        assert (notes.end_s[own][:-1] <= notes.start_s[own][1:] + 1e-9).all()


def test_a_note_follows_its_pitch_and_small_changes_are_left_out() -> None:
    arrays = silence()
    play(arrays, C4, 20, 39)
    arrays["deviation"][20:30, C4] = 0.21
    arrays["deviation"][30:40, C4] = -0.3
    notes = decoded(arrays)
    assert notes.bends is not None and not notes.bent
    [curve] = notes.bends
    assert curve.tolist() == [[0.0, pytest.approx(0.2)], [pytest.approx(10 * HOP_S), pytest.approx(-0.3)]]
    assert decoded(arrays, bends=True).bent
