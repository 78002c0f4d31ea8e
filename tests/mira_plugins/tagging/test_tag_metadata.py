"""Genre and comment in files: what is written, that audio stays as it is, and files that refuse."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from mira.errors import OutputError, UsageError
from mira.results import Tags
from mira_plugins.tagging import metadata

TAGS = Tags(1.0, {"jazz": 0.8, "rock": 0.1}, 0.9, {"piano": 0.7, "tuba": 0.2})


@pytest.fixture(params=["flac", "mp3", "ogg", "wav"])
def song(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"song.{request.param}"
    sound = 0.3 * np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)
    soundfile.write(path, sound, 22050)
    return path


def audio_of(path: Path) -> str:
    samples, _ = soundfile.read(path, dtype="int16")
    return hashlib.sha256(samples.tobytes()).hexdigest()


def test_genre_and_comment_are_written_and_audio_stays_the_same(song: Path, tmp_path: Path) -> None:
    before = audio_of(song)
    change = metadata.plan(str(song), TAGS)
    assert metadata.write([change], tmp_path / "kept" / "old.jsonl") == []
    assert audio_of(song) == before
    again = metadata.plan(str(song), TAGS)
    assert again.old == {"genre": ["Jazz"], "comment": ["mira: voice 0.90, jazz 0.80, piano 0.70"]}


def test_planning_changes_nothing(song: Path) -> None:
    before = song.read_bytes()
    metadata.plan(str(song), TAGS)
    assert song.read_bytes() == before


def test_old_values_are_kept(song: Path, tmp_path: Path) -> None:
    metadata.write([metadata.plan(str(song), TAGS)], tmp_path / "first.jsonl")
    metadata.write([metadata.plan(str(song), Tags(1.0, {"rock": 0.9}, 0.0, {}))], tmp_path / "second.jsonl")
    kept = json.loads((tmp_path / "second.jsonl").read_text())
    assert kept["old"]["genre"] == ["Jazz"]
    assert kept["new"]["genre"] == ["Rock"]


def test_nothing_probable_is_nothing_to_write() -> None:
    assert metadata.wanted(Tags(1.0, {"jazz": 0.3}, 0.1, {"piano": 0.2})) == {}


def test_a_file_that_is_no_audio_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.mp3"
    path.write_bytes(b"no audio at all")
    with pytest.raises(OutputError, match=r"broken\.mp3.*metadata"):
        metadata.plan(str(path), TAGS)


def test_a_file_that_went_away_is_one_line_and_the_others_are_written(song: Path, tmp_path: Path) -> None:
    gone = metadata.plan(str(song), TAGS)
    gone = metadata.Change(str(tmp_path / "gone.flac"), gone.old, gone.new)
    failed = metadata.write([gone, metadata.plan(str(song), TAGS)], tmp_path / "old.jsonl")
    assert len(failed) == 1
    assert "gone.flac" in failed[0]
    assert metadata.plan(str(song), TAGS).old["genre"] == ["Jazz"]


def test_without_mutagen_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"mira-audio\[tags\]"):
        metadata.check_installed()
