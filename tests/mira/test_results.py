"""Results: the JSON form and back, empty ones included, for every kind."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mira.errors import DataError, PluginError
from mira.results import (
    KINDS,
    Chords,
    Curve,
    Embedding,
    Events,
    MultiF0,
    Notes,
    Result,
    Segments,
    Tags,
)

FLOATS = np.array([0.25, 1.5])
INTS = np.array([60, 64])
NONE = np.array([], np.float64)
NO_INTS = np.array([], np.int64)

RESULTS = [
    Notes(2.0, FLOATS, FLOATS + 1, INTS, INTS, FLOATS / 2, bends=(np.array([[0.0, 0.1], [0.2, -0.3]]), NONE)),
    Notes(0.0, NONE, NONE, NO_INTS, NO_INTS, NONE),
    MultiF0(1.0, FLOATS, (np.array([440.0, 660.0]), NONE)),
    MultiF0(0.0, NONE, ()),
    Segments(1.0, FLOATS, FLOATS + 1, ("verse", "chorus"), FLOATS),
    Segments(0.0, NONE, NONE, (), NONE),
    Chords(1.0, FLOATS, FLOATS, ("C", "A:min"), FLOATS, "C major", ((("C", 0.9), ("F", 0.1)), ())),
    Chords(0.0, NONE, NONE, (), NONE),
    Events(1.0, FLOATS, ("1", "2")),
    Events(0.0, NONE, ()),
    Curve(1.0, FLOATS, FLOATS, "bpm"),
    Tags(1.0, {"jazz": 0.5}, 0.25, {}),
    Embedding(1.0, np.ones(3, np.float32), FLOATS, np.ones((2, 3), np.float32)),
]


def equal(a: Any, b: Any) -> bool:
    """Whether two values are of the same type, shape, number type and content."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b))
    return a == b


@pytest.mark.parametrize(
    "values", [{}, {"kind": "smell"}, {"kind": "events"}, {"kind": "curve", "time_s": ["x"]}]
)
def test_what_is_no_result_is_a_data_error(values: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        Result.from_dict(values)


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: f"{result.kind}-{result.duration_s:g}s")
def test_every_kind_comes_back_from_json_with_the_same_types(result: Result) -> None:
    back = Result.from_dict(json.loads(json.dumps(result.to_dict(), allow_nan=False)))
    assert type(back) is type(result)
    for name, value in vars(result).items():
        assert equal(getattr(back, name), value), name


def test_every_kind_is_tried_here() -> None:
    own = {kind for kind, cls in KINDS.items() if cls.__module__ == "mira.results"}
    assert {result.kind for result in RESULTS} == own


def test_unknown_keys_are_ignored() -> None:
    values = RESULTS[0].to_dict() | {"from a later version": 1}
    assert Result.from_dict(values).to_dict() == RESULTS[0].to_dict()


@given(st.lists(st.floats(0, 1e5), max_size=20))
def test_times_come_back_to_a_microsecond(times: list[float]) -> None:
    back = Result.from_dict(
        json.loads(json.dumps(Events(1.0, np.array(times), ("",) * len(times)).to_dict()))
    )
    assert isinstance(back, Events)
    np.testing.assert_allclose(back.time_s, times, atol=5.1e-7)


def test_a_class_without_a_kind_of_its_own_takes_no_name() -> None:
    class Beats(Events):
        pass

    assert Beats.kind == "events" and KINDS["events"] is Events


def test_a_taken_kind_is_refused() -> None:
    with pytest.raises(PluginError, match=r"'events'.*taken by mira.results"):

        class Beats(Result):
            kind: ClassVar[str] = "events"
