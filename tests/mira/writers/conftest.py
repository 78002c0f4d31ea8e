"""Small results of every kind for the tests of the writers."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from mira.results import Chords, Curve, Embedding, Events, MultiF0, Notes, Result, Segments, Tags
from mira.writers import About, find_writer


@pytest.fixture
def about() -> About:
    return About(
        "music/song.wav", "mpe", {"name": "small", "version": "1.2"}, {"onset": 0.5, "minimum_s": None}
    )


@pytest.fixture
def render(about: About) -> Callable[[Result, str], bytes]:
    """Return what a result looks like in a format."""

    def _render(result: Result, name: str) -> bytes:
        stream = io.BytesIO()
        find_writer(type(result), format=name).write(result, stream, about)
        return stream.getvalue()

    return _render


@pytest.fixture
def make_notes() -> Callable[..., Notes]:
    """Return a maker of notes from rows of (start, end, pitch, velocity)."""

    def _make(*rows: tuple[float, float, int, int], duration_s: float = 10.0, **more: object) -> Notes:
        start, end, pitch, velocity = np.array(rows, float).reshape(-1, 4).T
        confidence = np.full(len(rows), 0.75)
        return Notes(duration_s, start, end, pitch.astype(int), velocity.astype(int), confidence, **more)

    return _make


@pytest.fixture
def results(make_notes: Callable[..., Notes]) -> dict[str, Result]:
    """Return one result of each kind."""
    notes = make_notes((0.0, 0.5, 60, 64), (0.25, 1.0, 61, 127), (9.0, 10.0, 21, 1))
    starts, ends = np.array([0.0, 2.0, 4.5]), np.array([2.0, 4.5, 10.0])
    labels = ("N", "C:maj", "A:min7/b3")
    certain = np.array([1.0, 0.5, 0.25])
    return {
        "notes": notes,
        "multif0": MultiF0(
            1.0, np.array([0.0, 0.01, 0.02]), (np.array([220.0, 440.5]), np.empty(0), np.array([55.0]))
        ),
        "segments": Segments(10.0, starts, ends, ("intro", "verse one", "intro"), certain),
        "chords": Chords(10.0, starts, ends, labels, certain, key="Bb major"),
        "events": Events(10.0, np.array([0.5, 1.0]), ("1", "2")),
        "curve": Curve(10.0, np.array([0.0, 5.0]), np.array([100.0, 101.25]), "bpm"),
        "tags": Tags(10.0, {"rock": 0.5, "jazz, modern": 0.25}, 0.9, {"piano": 0.125}),
        "embedding": Embedding(
            10.0,
            np.array([0.6, 0.8], np.float32),
            np.array([0.0, 5.0]),
            np.array([[1.0, 0.0], [0.0, 1.0]], np.float32),
        ),
    }


@pytest.fixture
def empty_results() -> dict[str, Result]:
    """Return one result of each kind with nothing in it."""
    none, no_ints = np.empty(0), np.empty(0, int)
    return {
        "notes": Notes(3.0, none, none, no_ints, no_ints, none),
        "multif0": MultiF0(3.0, none, ()),
        "segments": Segments(3.0, none, none, (), none),
        "chords": Chords(3.0, none, none, (), none),
        "events": Events(3.0, none, ()),
        "curve": Curve(3.0, none, none),
        "tags": Tags(3.0, {}, 0.0, {}),
        "embedding": Embedding(3.0, np.ones(1, np.float32), none, np.empty((0, 1), np.float32)),
    }
