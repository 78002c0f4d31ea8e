from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mira.errors import DataError, OutputError
from mira_train.data.entries import Atom, Definition, parse_entry
from mira_train.data.pyjama import PyjamaReader, PyjamaWriter, find_problems

FILEPATH = {"type_extent": "global", "type_content": "text", "type_constraint": "filepath"}
CHORD = {"type_extent": "segment", "type_content": "text"}
CURVE = {"type_extent": "breakpoint", "type_content": "numeric"}


def save(path: Path, entries: object, version: object = 1.41, **definitions: object) -> Path:
    collection = {"descriptiondefinition": {"filepath": FILEPATH, **definitions}, "entry": entries}
    path.write_text(json.dumps({"schemaversion": version, "collection": collection}), encoding="utf-8")
    return path


def matrix(value: object, time: object, **definition: object) -> np.ndarray:
    """What a reader makes of a breakpoint."""
    raw = {"f0": [{"value": value, "time": time}]}
    rows_first = {"row_name": True, "column_name": False}.get(next(iter(definition), ""))
    names = next(iter(definition.values()), ())
    known = {"f0": Definition("breakpoint", "numeric", rows=tuple(names), rows_first=rows_first)}  # type: ignore
    entry, problems = parse_entry(raw, 0, known)
    assert not problems, problems
    return entry["f0"][0].value


# --- what is wrong is said with file, entry and field ---


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "ends here"),
        ("not json", "missing"),
        ('{"schemaversion": 1.4', "ends here"),
        ('{"schemaversion": 1.4}', "descriptiondefinition is missing"),
        ('{"collection": {"descriptiondefinition": {}, "entry": []}}', "schemaversion is missing"),
        ('{"schemaversion": 7, "collection": {"descriptiondefinition": {}}}', "reads 1.0 to 1.41"),
        ('{"schemaversion": true, "collection": {"descriptiondefinition": {}}}', "not a version"),
        ('{"schemaversion": 1.4, "collection": {"descriptiondefinition": []}}', "must be an object"),
        ('{"schemaversion": 1.4, "collection": {"descriptiondefinition": {"a": {}}}}', "'a': type_extent"),
        ("[" * 100_000, "missing"),
        ('{"schemaversion": ' + "[" * 100_000, "nested too deeply"),
    ],
)
def test_broken_head_is_one_clear_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "set.pyjama"
    path.write_text(text)
    with pytest.raises(DataError, match=said) as error:
        PyjamaReader(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_and_binary_files_are_data_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        PyjamaReader(tmp_path / "none.pyjama")
    (tmp_path / "binary.pyjama").write_bytes(b"\x89HDF\xff\xfe")
    with pytest.raises(DataError, match="UTF-8"):
        PyjamaReader(tmp_path / "binary.pyjama")


def test_error_names_file_entry_and_field(tmp_path: Path) -> None:
    good = {"filepath": [{"value": "a.wav"}]}
    bad = {"filepath": [{"value": "b.wav"}], "chord": [{"value": "N:-", "time": 0.0, "duration": -1.0}]}
    path = save(tmp_path / "set.pyjama", [good, bad], chord=CHORD)
    entries = iter(PyjamaReader(path))
    assert next(entries).filepath == "a.wav"
    with pytest.raises(DataError) as error:
        next(entries)
    assert str(error.value) == f"{path}: entry 1 (b.wav): chord[0].duration: -1 is negative"


def test_file_cut_at_any_character_is_refused(tmp_path: Path) -> None:
    text = save(tmp_path / "set.pyjama", [{"filepath": [{"value": "a.wav"}]}] * 3).read_text()
    for end in range(len(text)):
        (tmp_path / "cut.pyjama").write_text(text[:end])
        with pytest.raises(DataError):
            list(PyjamaReader(tmp_path / "cut.pyjama"))


def test_all_problems_are_listed_up_to_the_limit(tmp_path: Path) -> None:
    entries = [
        {"filepath": [{"value": "a.wav"}], "chord": "N:-"},
        {"filepath": [{"value": "a.wav"}], "chord": [{"value": "A:min", "time": 0}]},
        {"chord": [{"time": 0, "duration": 1}], "unheard": [{"value": 1}]},
        7,
    ]
    path = save(tmp_path / "set.pyjama", entries, chord=CHORD)
    found = find_problems(path)
    text = "\n".join(found)
    for part in (
        "entry 0 (a.wav): chord: must be a list of atoms",
        "entry 1 (a.wav): chord[0].duration: missing",
        "entry 1 (a.wav): filepath: the same as of entry 0",
        "entry 2: chord[0].value: missing",
        "entry 2: unheard: is not defined",
        "entry 2: filepath: missing",
        "entry 3: entry: must be an object",
    ):
        assert part in text
    assert len(find_problems(path, limit=2)) == 2


@pytest.mark.parametrize(
    ("extent", "atom", "said"),
    [
        ("marker", {"value": 1}, "time: missing"),
        ("marker", {"value": 1, "time": "soon"}, "time: must be a number"),
        ("marker", {"value": 1, "time": float("nan")}, "time: must be a number"),
        ("segment", {"value": 1, "duration": 1}, "time: missing"),
        ("segment", {"value": 1, "time": -0.5, "duration": 1}, "time: -0.5 is negative"),
        ("breakpoint", {"value": [1, 2]}, "time: missing"),
        ("breakpoint", {"value": [1, 2], "time": [0, "x"]}, "time: must be a list of seconds"),
        ("breakpoint", {"value": [1, 2], "time": [1, 0]}, "time: goes back at position 1"),
        ("breakpoint", {"value": [[1, 2], [3]], "time": [0, 1]}, "rows of equal length"),
        ("breakpoint", {"value": [[[1]]], "time": [0]}, "has 3 axes"),
        ("breakpoint_value", {"value": [1, 2]}, "needs a breakpoint_time"),
    ],
)
def test_what_an_extent_needs_is_checked(extent: str, atom: dict[str, object], said: str) -> None:
    entry, problems = parse_entry({"x": [atom]}, 0, {"x": Definition(extent, "numeric")})
    assert entry["x"] == ()
    assert [p.fatal for p in problems] == [True]
    assert said in f"{problems[0].field}: {problems[0].text}"


# --- versions and names ---


@pytest.mark.parametrize("version", [1.0, 1, 1.1, 1.2, 1.31, 1.4, 1.41, "1.41", "1.0"])
def test_all_versions_as_number_and_text(tmp_path: Path, version: object) -> None:
    assert PyjamaReader(save(tmp_path / "a.pyjama", [], version)).version == float(version)  # type: ignore


def test_old_camel_case_names(tmp_path: Path) -> None:
    old = {"typeExtent": "breakpoint", "typeContent": "numeric", "columnName": ["a", "b"], "isTable": False}
    path = save(tmp_path / "a.pyjama", [], f0=old, tag={"typeExtent": "global", "typeConstraint": "free"})
    definition = PyjamaReader(path).definitions["f0"]
    assert (definition.extent, definition.rows, definition.rows_first) == ("breakpoint", ("a", "b"), False)
    assert not definition.is_table


def test_definitions_may_come_after_the_entries(tmp_path: Path) -> None:
    collection = {
        "entry": [{"filepath": [{"value": "a.wav"}]}],
        "descriptiondefinition": {"filepath": FILEPATH},
    }
    path = tmp_path / "a.pyjama"
    path.write_text(json.dumps({"collection": collection, "schemaversion": 1.2}))
    assert [entry.filepath for entry in PyjamaReader(path)] == ["a.wav"]


def test_undefined_name_is_read_by_its_look_and_reported(tmp_path: Path) -> None:
    path = save(tmp_path / "a.pyjama", [{"filepath": [{"value": "a"}], "beat": [{"value": 1, "time": 0.5}]}])
    entry = next(iter(PyjamaReader(path)))
    assert entry["beat"][0].time == 0.5
    assert "beat: is not defined" in find_problems(path)[0]


# --- missing annotations, shapes and orientations ---


@pytest.mark.parametrize(
    "raw", [{}, {"tag": []}, {"tag": [{"value": ""}]}, {"tag": None}, {"tag": [{"value": []}]}]
)
def test_missing_annotations_are_all_alike(raw: dict[str, object]) -> None:
    entry, problems = parse_entry(raw, 0, {"tag": Definition("global")})
    assert entry["tag"] == () and "tag" not in entry.annotations
    assert not problems


@pytest.mark.parametrize(
    ("value", "time", "names"),
    [
        ([[1, 2, 3], [4, 5, 6]], [0, 1, 2], {"row_name": "ab"}),
        ([[1, 4], [2, 5], [3, 6]], [0, 1, 2], {"column_name": "ab"}),
        ([[1, 4], [2, 5], [3, 6]], [0, 1, 2], {"row_name": "ab"}),  # the names' number decides
        ([[1, 2, 3], [4, 5, 6]], [0, 1, 2], {"column_name": "ab"}),
        ([[1, 2, 3], [4, 5, 6]], [0, 1, 2], {}),
        ([[1, 4], [2, 5], [3, 6]], [0, 1, 2], {}),  # the axis that is as long as the clock is time
    ],
)
def test_both_orientations(value: object, time: object, names: dict[str, object]) -> None:
    np.testing.assert_array_equal(matrix(value, time, **names), [[1, 2, 3], [4, 5, 6]])


def test_square_matrix_is_read_by_the_kind_of_its_names() -> None:
    square = [[1, 2], [3, 4]]
    np.testing.assert_array_equal(matrix(square, [0, 1], row_name="ab"), [[1, 2], [3, 4]])
    np.testing.assert_array_equal(matrix(square, [0, 1], column_name="ab"), [[1, 3], [2, 4]])


@pytest.mark.parametrize(
    ("value", "time", "rows"),
    [
        ([[1, 2], [3, 4]], [0, 1, 2], ()),
        ([[1, 2, 3]], [0, 1, 2], ("a", "b")),
        ([1, 2], [0, 1], ("a", "b", "c")),
    ],
)
def test_wrong_orientation_is_refused(value: object, time: object, rows: tuple[str, ...]) -> None:
    raw = {"f0": [{"value": value, "time": time}]}
    _, problems = parse_entry(raw, 0, {"f0": Definition("breakpoint", "numeric", rows=rows)})
    assert "is a matrix of" in problems[0].text and problems[0].fatal


@pytest.mark.parametrize(
    ("value", "time"), [([[60.0]], 0.0), (60.0, 0.0), ([60.0], [0.0]), ([[60.0]], [[0.0]])]
)
def test_one_frame_may_be_scalars(value: object, time: object) -> None:
    assert matrix(value, time).shape == (1, 1)


def test_flat_list_is_one_dimension_and_null_is_nan() -> None:
    np.testing.assert_array_equal(matrix([60, None, 62], [0, 1, 2]), [[60, np.nan, 62]])
    np.testing.assert_array_equal(matrix([60, 67], 0.0, row_name="ab"), [[60], [67]])


def test_values_share_the_clock_wherever_it_stands() -> None:
    definitions = {
        "mfcc": Definition("breakpoint_value", "numeric"),
        "clock": Definition("breakpoint_time", "numeric"),
    }
    raw = {"mfcc": [{"value": [[1, 2], [3, 4], [5, 6]]}], "clock": [{"value": [[0.0, 0.5]]}]}
    entry, problems = parse_entry(raw, 0, definitions)
    assert not problems
    assert entry["mfcc"][0].value.shape == (3, 2)
    np.testing.assert_array_equal(entry["mfcc"][0].times, [0, 0.5])
    definitions["second"] = Definition("breakpoint_time", "numeric")
    _, problems = parse_entry(raw | {"second": [{"value": [0.0, 1.0]}]}, 0, definitions)
    assert "one shared clock" in problems[0].text


def test_a_compound_segment_keeps_its_list() -> None:
    raw = {"x": [{"value": ["a", "b"], "time": [1], "duration": 2}]}
    entry, problems = parse_entry(raw, 0, {"x": Definition("segment")})
    assert not problems
    assert (entry["x"][0].value, entry["x"][0].time, entry["x"][0].end_s) == (["a", "b"], 1.0, 3.0)


# --- mistake 83 of the reference ---


def test_mistake_83_two_files_share_nothing(tmp_path: Path) -> None:
    one = PyjamaReader(save(tmp_path / "1.pyjama", [{"filepath": [{"value": "1.wav"}]}], chord=CHORD))
    two = PyjamaReader(save(tmp_path / "2.pyjama", []))
    assert list(two) == [] and "chord" not in two.definitions
    assert [entry.filepath for entry in one] == ["1.wav"] and "chord" in one.definitions


@pytest.mark.parametrize(("value", "wrong"), [(5, False), (0, False), (10, False), (-1, True), (10.5, True)])
def test_mistake_83_numeric_dictionary_is_a_range(value: float, wrong: bool) -> None:
    bounded = Definition("global", "numeric", "value_in_dictionary", (0, 10))
    entry, problems = parse_entry({"x": [{"value": value}]}, 0, {"x": bounded})
    assert bool(problems) is wrong
    assert entry["x"][0].value == value  # what is outside is reported, and yet can be read
    assert not any(problem.fatal for problem in problems)


def test_mistake_83_text_dictionary_names_the_unknown_label() -> None:
    listed = Definition("segment", "text", "value_in_dictionary", ("A:maj", "N:-"))
    raw = {"chord": [{"value": "H:maj", "time": 0, "duration": 1}]}
    _, problems = parse_entry(raw, 0, {"chord": listed})
    assert problems[0].field == "chord[0].value" and "'H:maj'" in problems[0].text


def test_mistake_83_integer_times_are_times() -> None:
    raw = {"n": [{"value": 60, "time": 1, "duration": 2}]}
    entry, problems = parse_entry(raw, 0, {"n": Definition("segment", "numeric")})
    assert not problems and entry["n"][0].time == 1.0


def test_mistake_83_written_file_has_a_number_as_version_utf8_and_whole_lists(tmp_path: Path) -> None:
    path = tmp_path / "a.pyjama"
    curve = Definition("breakpoint", "numeric", rows=("f0",))
    with PyjamaWriter(path, {"filepath": Definition("global"), "f0": curve}) as writer:
        writer.write({"filepath": [Atom("für Elise.wav")], "f0": [Atom(np.array([[60.0]]), np.array([0.0]))]})
    raw = json.loads(path.read_bytes().decode("utf-8"))
    assert raw["schemaversion"] == 1.41
    assert raw["collection"]["entry"][0]["f0"] == [{"value": [[60.0]], "time": [0.0]}]
    assert "für Elise" in path.read_text(encoding="utf-8")


# --- writing ---


def test_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "a.pyjama"
    definitions = {
        "filepath": Definition("global", constraint="filepath"),
        "chord": Definition("segment"),
        "f0": Definition("breakpoint", "numeric", rows=("a", "b"), rows_first=False, generator={"name": "x"}),
    }
    curve = Atom(np.array([[1.0, np.nan], [3.0, 4.0]]), np.array([0.0, 1.0]))
    with PyjamaWriter(path, definitions) as writer:
        writer.write(
            {"filepath": [Atom("a.wav")], "chord": [Atom("N:-", 0.0, 0.5, confidence=0.5)], "f0": [curve]}
        )
        writer.write({"filepath": [Atom("b.wav")]})
    reader = PyjamaReader(path)
    first, second = reader
    assert find_problems(path) == []
    np.testing.assert_array_equal(first["f0"][0].value, curve.value)
    assert (first["chord"][0].value, first["chord"][0].duration, first["chord"][0].confidence) == (
        "N:-",
        0.5,
        0.5,
    )
    assert second["chord"] == () and reader.definitions["f0"].generator == {"name": "x"}


def test_wrong_entry_leaves_no_file(tmp_path: Path) -> None:
    with (
        pytest.raises(DataError, match=r"entry 0 \(a.wav\): chord\[0\].duration: missing"),
        PyjamaWriter(
            tmp_path / "a.pyjama", {"filepath": Definition("global"), "chord": Definition("segment")}
        ) as w,
    ):
        w.write({"filepath": [Atom("a.wav")], "chord": [Atom("N:-", 0.0)]})
    assert list(tmp_path.iterdir()) == []


def test_existing_file_stays_without_force(tmp_path: Path) -> None:
    path = tmp_path / "a.pyjama"
    path.write_text("old")
    with pytest.raises(OutputError, match="exists already"), PyjamaWriter(path, {}):
        pass
    assert path.read_text() == "old"
    with PyjamaWriter(path, {}, force=True):
        pass
    assert list(PyjamaReader(path)) == []


@settings(deadline=None)  # a busy machine is not a failure
@given(
    st.lists(st.floats(0, 1e4), min_size=1, max_size=8),
    st.integers(1, 4),
    st.sampled_from([None, True, False]),
)
def test_any_matrix_is_found_in_either_orientation(
    times: list[float], dims: int, rows_first: bool | None
) -> None:
    times = sorted(times)
    value = np.arange(dims * len(times), dtype=float).reshape(dims, len(times))
    stored = value.T if rows_first is False else value
    rows = tuple("abcd"[:dims]) if rows_first is not None else ()
    raw = {"f0": [{"value": stored.tolist(), "time": times}]}
    entry, problems = parse_entry(
        raw, 0, {"f0": Definition("breakpoint", "numeric", rows=rows, rows_first=rows_first)}
    )
    assert not problems
    np.testing.assert_array_equal(entry["f0"][0].value, value)


def test_memory_does_not_grow_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mira_train.data.json_stream.CHUNK", 1 << 16)
    path = tmp_path / "large.pyjama"
    atoms = [Atom("A:min", float(i), 1.0) for i in range(200)]
    with PyjamaWriter(path, {"filepath": Definition("global"), "chord": Definition("segment")}) as writer:
        for i in range(200):
            writer.write({"filepath": [Atom(f"{i}.wav")], "chord": atoms})
    size = path.stat().st_size
    tracemalloc.start()
    count = sum(len(entry["chord"]) for entry in PyjamaReader(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 40_000 and size > 2e6
    assert peak < size / 3
