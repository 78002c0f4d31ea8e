"""A user's own tags: learning from a few examples, and files that cannot be used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mira.errors import DataError, UsageError
from mira_plugins.tagging import own


def vectors(*kinds: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    centre = {"calm": np.eye(8)[0], "wild": np.eye(8)[1]}
    made = {f"{i}.wav": centre[kind] + 0.2 * rng.standard_normal(8) for i, kind in enumerate(kinds)}
    return {name: vector / np.linalg.norm(vector) for name, vector in made.items()}


def test_a_dozen_examples_are_told_apart() -> None:
    kinds = ["calm", "wild"] * 6
    seen = vectors(*kinds)
    learned = own.learn(seen, {name: {kind} for name, kind in zip(seen, kinds)}, "model")
    heard = learned.hear(np.eye(8)[0])
    assert heard["calm"] > 0.7 > 0.3 > heard["wild"]


def test_one_label_and_recordings_without_it_are_enough() -> None:
    seen = vectors("calm", "wild", "calm", "wild")
    learned = own.learn(seen, {n: {"calm"} if i % 2 == 0 else set() for i, n in enumerate(seen)}, "model")
    assert set(learned.lines) == {"calm"}


def test_one_class_only_is_refused() -> None:
    seen = vectors("calm", "calm")
    with pytest.raises(DataError, match="every recording is labelled 'calm'"):
        own.learn(seen, {name: {"calm"} for name in seen}, "model")


def test_no_label_at_all_is_refused() -> None:
    seen = vectors("calm", "calm")
    with pytest.raises(DataError, match="no label"):
        own.learn(seen, {name: set() for name in seen}, "model")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("path,label\nnowhere.wav,calm\n", "line 2: no recording .*nowhere.wav"),
        ("file,label\n", "no column 'path'"),
        ("", "no column 'path'"),
    ],
)
def test_a_labels_file_that_cannot_be_used_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "my-labels.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=complaint):
        own.read_labels(path)


def test_labels_are_beside_their_file_and_may_be_several(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    path = tmp_path / "my-labels.csv"
    path.write_text("path,label\na.wav,calm\na.wav,slow\n")
    assert own.read_labels(path) == {str(tmp_path / "a.wav"): {"calm", "slow"}}


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", '{"format": "mira-own-tags", "tags": 3}', '{"format": "x"}']
)
def test_a_file_that_holds_no_tags_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "my.tags.json"
    path.write_text(text)
    with pytest.raises(DataError, match="no file of own tags"):
        own.read_own(str(path))


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        own.read_own(str(tmp_path / "none.json"))


def test_a_file_of_another_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "model_id", lambda: "this one")
    path = tmp_path / "my.tags.json"
    path.write_text(own.OwnTags("another one", {"calm": ((0.0,), 0.0)}).to_json())
    with pytest.raises(DataError, match="another tagging model; fit it again"):
        own.read_own(str(path))


def test_what_was_written_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "model_id", lambda: "m")
    path = tmp_path / "my.tags.json"
    made = own.OwnTags("m", {"calm": ((0.5, -0.25), 0.125)})
    path.write_text(made.to_json())
    assert own.read_own(str(path)) == made
