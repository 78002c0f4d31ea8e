from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mira.errors import DataError
from mira_train.data.entries import Atom, Entry
from mira_train.data.labels import untrained_labels
from mira_train.data.registry import find_set
from mira_train.data.splits import Grouping, Split, split_groups


def entry(**values: str) -> Entry:
    return Entry(0, {name.replace("_", "-"): (Atom(value),) for name, value in values.items()})


def parts(split: Split) -> tuple[tuple[str, ...], ...]:
    return split.train, split.valid, split.test


def test_missing_group_says_which_entry_and_field() -> None:
    with pytest.raises(DataError, match=r"entry 0 \(a.wav\): artist: missing"):
        Grouping("artist").of(entry(filepath="a.wav"))
    with pytest.raises(DataError, match=r"filepath: 'a.wav' does not match"):
        Grouping("filepath", r"^(\d+)").of(entry(filepath="a.wav"))


def test_too_few_groups_are_refused() -> None:
    with pytest.raises(DataError, match="only 2 groups"):
        split_groups({"a": "x", "b": "x", "c": "y"})
    with pytest.raises(DataError, match="leave no group"):
        split_groups({"a": "x", "b": "y", "c": "z"}, valid=0.7)


def test_mistake_1_there_is_a_test_part() -> None:
    split = split_groups({str(i): str(i) for i in range(100)})
    assert [len(part) for part in parts(split)] == [80, 10, 10]
    assert all(parts(split_groups({"a": "x", "b": "y", "c": "z"})))


@settings(deadline=None)  # a busy machine is not a failure
@given(st.lists(st.integers(0, 30), min_size=5, max_size=200))
def test_mistake_2_no_artist_is_on_two_sides(artists: list[int]) -> None:
    if len(set(artists)) < 3:
        return
    groups = {f"{i:03}": str(artist) for i, artist in enumerate(artists)}
    split = split_groups(groups)
    sides = [{groups[key] for key in part} for part in parts(split)]
    assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
    assert sum(map(len, parts(split))) == len(groups)


def test_mistake_3_gtzan_neighbours_stay_together_and_every_genre_is_everywhere() -> None:
    gtzan = find_set("gtzan-genre")
    genres = ("blues", "rock", "hiphop")
    keys = [f"{genre}+++{genre}.{i:05}.wav" for genre in genres for i in range(100)]
    groups = {key: gtzan.group.of(entry(filepath=key)) for key in keys}
    assert groups["blues+++blues.00010.wav"] == groups["blues+++blues.00019.wav"] == "blues.0001"
    assert groups["blues+++blues.00020.wav"] != groups["blues+++blues.00019.wav"]
    split = split_groups(groups, strata={key: key.partition("+++")[0] for key in keys})
    for part, size in zip(parts(split), (80, 10, 10)):
        for genre in genres:
            assert sum(key.startswith(genre) for key in part) == size
    assert gtzan.group.of(entry(filepath="blues.00000.wav")) == "blues.0000"


def test_mistake_4_maps_pianos_are_held_out_and_shared_pieces_dropped() -> None:
    maps = find_set("maps")
    assert maps.apart
    pianos = ("AkPnBcht", "AkPnCGdD", "ENSTDkCl", "ENSTDkAm", "StbgTGd2")
    keys = [f"MAPS_MUS-p_{(i + j) % 7}_{piano}.wav" for i, piano in enumerate(pianos) for j in range(3)]
    groups = {key: maps.group.of(entry(filepath=key)) for key in keys}
    pieces = {key: maps.apart.of(entry(filepath=key)) for key in keys}
    assert groups[keys[0]] == "AkPnBcht" and pieces[keys[0]] == "p_0"
    split = split_groups(groups, apart=pieces)
    for labels in (groups, pieces):
        sides = [{labels[key] for key in part} for part in parts(split)]
        assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
    assert sorted([*split.dropped, *split.train, *split.valid, *split.test]) == sorted(keys)


def test_mistake_5_no_recording_may_be_in_two_parts() -> None:
    with pytest.raises(DataError, match="'b' is in two parts"):
        Split(("a", "b"), ("b",), ())


def test_mistake_6_split_hangs_neither_on_the_process_nor_on_the_order() -> None:
    code = (
        "from mira_train.data.splits import split_groups as s;"
        "print(s({k: k[:4] for k in {f'W_{i:04}_{j}' for i in range(300) for j in range(2)}}))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_mistake_6_the_split_is_stored_and_checked_against_the_data(tmp_path: Path) -> None:
    split = split_groups({f"é{i}": str(i) for i in range(20)})
    split.save(tmp_path / "split.json")
    assert Split.load(tmp_path / "split.json") == split
    split.check(f"é{i}" for i in range(30))
    with pytest.raises(DataError, match="1 of its recordings are not in the data, first 'é7'"):
        split.check(f"é{i}" for i in range(20) if i != 7)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"mira_split": 9}', '{"mira_split": 1, "trian": []}'])
def test_broken_split_file_is_one_clear_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(DataError, match=r"split\.json: not a split"):
        Split.load(tmp_path / "split.json")
    with pytest.raises(DataError, match="cannot read"):
        Split.load(tmp_path / "none.json")


def test_mistake_7_labels_that_were_never_trained_are_known() -> None:
    assert untrained_labels(("a", "b", "c"), ["a", "c", "c"]) == ["b"]


def test_salt_gives_another_split() -> None:
    groups = {str(i): str(i) for i in range(50)}
    assert split_groups(groups) == split_groups(groups)
    assert split_groups(groups) != split_groups(groups, salt="2")
