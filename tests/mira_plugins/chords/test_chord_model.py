"""The shipped model: what it hears in sounds that the test makes itself, through the whole of mira."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import mira
import mira_plugins.chords
import numpy as np
import pytest
from mira.results import Chords
from mira.session import Session

RATE = 44100
TIME = np.arange(8 * RATE) / RATE


def tones(*pitches: float) -> np.ndarray:
    hz = [440 * 2 ** ((pitch - 69) / 12) for pitch in pitches]
    return (0.1 * sum(np.sin(2 * np.pi * f * k * TIME) / k for f in hz for k in range(1, 7))).astype(
        np.float32
    )


def drums() -> np.ndarray:
    """Noise that dies away, high and low in turn."""
    rng = np.random.default_rng(0)
    since = TIME % 0.25
    noise = rng.standard_normal(len(TIME)) * np.exp(-since * 40)
    low = np.convolve(noise, np.ones(200) / 200, "same") * 10
    return (0.2 * np.where(TIME % 0.5 < 0.25, low, noise)).astype(np.float32)


def speech() -> np.ndarray:
    """Syllables: a buzz whose pitch glides, through two resonances, with hisses and pauses between them."""
    rng, pieces = np.random.default_rng(2), []
    while sum(map(len, pieces)) < len(TIME):
        n = int(rng.uniform(0.12, 0.3) * RATE)
        pitch = np.geomspace(*rng.uniform(90, 150, 2), n)
        harmonics = np.arange(1, 30)[:, None]
        low, high = rng.uniform(300, 800), rng.uniform(900, 2400)
        loud = sum(np.exp(-(((harmonics * pitch - f) / (f / 5)) ** 2)) for f in (low, high))
        buzz = loud * np.sin(harmonics * 2 * np.pi * np.cumsum(pitch) / RATE)
        hiss = rng.normal(0, 0.1, int(rng.uniform(0.03, 0.1) * RATE))
        pieces += [buzz.sum(axis=0) * np.hanning(n), hiss, np.zeros(int(rng.uniform(0, 0.2) * RATE))]
    audio = np.concatenate(pieces)[: len(TIME)]
    return (0.2 * audio / np.abs(audio).max()).astype(np.float32)


def chords_of(audio: np.ndarray) -> Chords:
    result = mira.analyze(audio, "chords", sample_rate=RATE)
    assert isinstance(result, Chords)
    return result


SOUNDS: Mapping[str, np.ndarray] = {
    "silence": np.zeros(8 * RATE, np.float32),
    "noise": (0.1 * np.random.default_rng(1).standard_normal(8 * RATE)).astype(np.float32),
    "drums": drums(),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_sounds_without_pitch_are_no_chord(name: str) -> None:
    found = chords_of(SOUNDS[name])
    assert found.label == ("N",)
    assert found.key == ""


@pytest.mark.parametrize(
    ("pitches", "label"),
    [((36, 48, 60, 64, 67), "C:maj"), ((45, 57, 60, 64), "A:min"), ((43, 55, 59, 62, 65), "G:7")],
)
def test_held_chords_are_named(pitches: tuple[int, ...], label: str) -> None:
    assert chords_of(tones(*pitches)).label == (label,)


def test_speech_is_mostly_no_chord() -> None:
    found = chords_of(speech())
    silent = np.array([label == "N" for label in found.label])
    assert (found.end_s - found.start_s)[silent].sum() > 0.8 * found.duration_s


def test_a_quarter_tone_sharp_is_the_chord_or_its_neighbour() -> None:
    (label,) = chords_of(tones(36.5, 48.5, 60.5, 64.5, 67.5)).label
    assert label in ("C:maj", "Db:maj", "C#:maj")


def test_a_tenth_of_a_second_is_heard() -> None:
    found = chords_of(tones(36, 48, 60, 64, 67)[: RATE // 10])
    assert len(found.label) == 1
    assert found.end_s[-1] == pytest.approx(0.1)


def test_a_change_is_found_where_it_is() -> None:
    found = chords_of(np.concatenate([tones(36, 48, 60, 64, 67), tones(41, 53, 57, 60, 65)]))
    assert found.label == ("C:maj", "F:maj")
    assert found.start_s[1] == pytest.approx(8.0, abs=0.1)


def test_one_chord_for_minutes_stays_one() -> None:
    long = np.tile(tones(36, 48, 60, 64, 67), 15)
    assert chords_of(long).label == ("C:maj",)


def test_a_single_held_note_is_never_more_than_one_chord() -> None:
    assert len(chords_of(tones(57)).label) == 1


def test_the_activations_do_not_depend_on_where_the_recording_was_cut() -> None:
    song = np.concatenate([tones(36, 48, 60, 64, 67), tones(41, 53, 57, 60, 65), tones(43, 55, 59, 62, 65)])
    model = Path(mira_plugins.chords.__file__).parent / "model.onnx"
    session = Session(model, threads=1)
    whole = session.run([song]).arrays
    session.chunk_s = 4.0
    pieces = session.run([song]).arrays
    assert all(np.allclose(whole[name], pieces[name], atol=1e-4) for name in whole)
