"""Pitches in Hz from notes and their curves."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from mira.results import Notes
from mira.writers import About, find_writer
from mira_plugins.mpe import mira_writers
from mira_plugins.mpe.pitches import sounding_pitches


def notes(*rows: tuple[float, float, int], **more: Any) -> Notes:
    start_s, end_s, pitch = (np.array(column) for column in zip(*rows))
    ones = np.ones(len(rows))
    return Notes(2.0, start_s, end_s, pitch, (64 * ones).astype(int), ones, **more)


def test_what_sounds_is_in_hz_every_10_ms_lowest_first() -> None:
    heard = sounding_pitches(notes((0.5, 1.0, 69), (0.8, 1.5, 57)))
    assert len(heard.time_s) == 201 and heard.time_s[50] == pytest.approx(0.5)
    assert [h.tolist() for h in (heard.freq_hz[49], heard.freq_hz[50])] == [[], [440.0]]
    assert heard.freq_hz[90].tolist() == pytest.approx([220.0, 440.0])
    assert heard.freq_hz[100].tolist() == pytest.approx([220.0])


def test_the_curve_of_a_note_moves_its_pitch() -> None:
    curve = np.array([[0.0, 0.0], [0.2, 0.5]])
    heard = sounding_pitches(notes((0.5, 1.0, 69), bends=(curve,)))
    assert heard.freq_hz[60].tolist() == [440.0]
    assert heard.freq_hz[75].tolist() == pytest.approx([440.0 * 2 ** (0.5 / 12)])


def test_a_note_beyond_the_end_and_no_note_at_all_are_no_trouble() -> None:
    assert sounding_pitches(notes((1.9, 2.4, 69))).freq_hz[200].tolist() == [440.0]
    none = Notes(1.0, *(np.zeros(0) for _ in range(5)))
    assert all(not len(hz) for hz in sounding_pitches(none).freq_hz)


def test_they_are_written_as_the_table_that_evaluators_read() -> None:
    writer = find_writer(Notes, suffix="song.f0.csv", writers=mira_writers())
    stream = io.BytesIO()
    writer.write(notes((0.5, 1.0, 69)), stream, About("song.wav", "mpe"))
    lines = stream.getvalue().decode().splitlines()
    assert lines[50] == "0.500000,440.000000" and lines[0] == "0.000000"
