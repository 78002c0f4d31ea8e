"""``mira restore-tags``: what ``--write-tags`` replaced comes back, what somebody changed since stays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from mira import plugins
from mira.__main__ import main
from mira.results import Tags
from mira_plugins.tagging import metadata

JAZZ = Tags(1.0, {"jazz": 0.8}, 0.9, {})
ROCK = Tags(1.0, {"rock": 0.9}, 0.0, {})
Restore = Callable[..., tuple[int, str, str]]


@pytest.fixture
def restore(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Restore]:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["restore-tags", str(tmp_path / "music"), *arguments])
        out, err = capfd.readouterr()
        return int(code), out, err

    plugins.load_plugins.cache_clear()
    yield run


@pytest.fixture(params=["flac", "mp3", "ogg", "wav"])
def song(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "music" / f"song.{request.param}"
    path.parent.mkdir()
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * 440 * np.arange(22050) / 22050), 22050)
    return path


def write(path: Path, tags: Tags) -> None:
    assert metadata.write([metadata.plan(str(path), tags)], metadata.backup_path()) == []


def fields(path: Path) -> dict[str, list[str]]:
    return dict(metadata.changed(str(path), {"genre": [], "comment": []}).old)


def give(path: Path, **values: list[str]) -> None:
    metadata.write([metadata.changed(str(path), values)], path.parents[1] / f"{len(values)}.given")


def test_values_of_before_all_writings_come_back(song: Path, restore: Restore) -> None:
    give(song, genre=["Bebop"])
    write(song, JAZZ)
    write(song, ROCK)
    code, out, _ = restore("--force")
    assert code == 0 and "genre 'Rock' -> 'Bebop'" in out and "-> (none)" in out
    assert fields(song) == {"genre": ["Bebop"], "comment": []}
    code, out, err = restore("--force")
    assert (code, out) == (0, "") and "none of these recordings" in err


def test_nothing_is_written_without_force(song: Path, restore: Restore) -> None:
    write(song, JAZZ)
    before = song.read_bytes()
    code, out, _ = restore()
    assert code == 0 and "genre 'Jazz' -> (none)" in out and "--force writes it" in out
    assert song.read_bytes() == before


def test_what_somebody_changed_since_stays(song: Path, restore: Restore) -> None:
    write(song, JAZZ)
    give(song, genre=["Swing"])
    restore("--force")
    assert fields(song) == {"genre": ["Swing"], "comment": []}


def test_audio_stays_the_same(song: Path, restore: Restore) -> None:
    before = soundfile.read(song)[0].tobytes()
    write(song, JAZZ)
    restore("--force")
    assert soundfile.read(song)[0].tobytes() == before


def test_a_broken_file_is_a_line_and_the_others_come_back(song: Path, restore: Restore) -> None:
    bad = song.with_name("bad.flac")
    soundfile.write(bad, np.zeros(22050), 22050)
    for path in (song, bad):
        write(path, JAZZ)
    bad.write_bytes(b"no audio any more")
    code, _, err = restore("--force")
    assert code == 3 and "bad.flac" in err and "Traceback" not in err
    assert fields(song) == {"genre": [], "comment": []}


def test_a_backup_cut_off_by_a_crash_is_used_as_far_as_it_goes(song: Path, restore: Restore) -> None:
    write(song, JAZZ)
    [backup] = metadata.backups().glob("*.jsonl")
    backup.write_text(backup.read_text() + '{"path": "/mus')
    code, _, err = restore("--force")
    assert code == 0 and "incomplete" in err and fields(song)["genre"] == []
