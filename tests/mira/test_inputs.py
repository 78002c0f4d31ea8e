"""Files, folders, patterns, playlists and stdin become inputs; what is wrong with one stays with it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from mira.inputs import Input, expand


@pytest.fixture
def music(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("b.wav", "a.FLAC", "sub/c.mp3", "sub/deep/d.ogg", "notes.txt", ".hidden.wav", ".git/e.wav"):
        path = tmp_path / "music" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "music"


def _relatives(*paths: str) -> list[str]:
    return [item.relative for item in expand(paths)]


def test_folder_is_searched_sorted_mirrored_and_without_hidden_entries(music: Path) -> None:
    assert _relatives("music") == ["a.FLAC", "b.wav", "sub/c.mp3", "sub/deep/d.ogg"]
    assert expand(["music"])[0].path == os.path.join("music", "a.FLAC")


def test_file_needs_no_suffix_and_lies_directly_in_the_output_folder(music: Path) -> None:
    assert expand(["music/sub/c.mp3", "music/notes.txt"]) == [
        Input("music/sub/c.mp3", "c.mp3"),
        Input("music/notes.txt", "notes.txt"),
    ]


def test_missing_file_is_an_input_so_that_it_fails_alone(music: Path) -> None:
    assert expand(["none.wav"]) == [Input("none.wav", "none.wav")]


def test_each_recording_counts_once_however_it_is_named(music: Path) -> None:
    found = expand(["music/b.wav", "./music/b.wav", str(music / "b.wav"), "music", "-", "-"])
    assert [item.relative for item in found] == ["b.wav", "a.FLAC", "sub/c.mp3", "sub/deep/d.ogg", "stdin"]


def test_pattern_finds_files_and_folders(music: Path) -> None:
    assert _relatives("music/*.wav") == ["b.wav"]
    assert _relatives("music/**/*.mp3") == ["c.mp3"]
    assert _relatives("mus*") == ["a.FLAC", "b.wav", "sub/c.mp3", "sub/deep/d.ogg"]


def test_pattern_without_a_match_says_so(music: Path) -> None:
    [item] = expand(["music/*.opus"])
    assert "no file matches" in item.error


def test_file_whose_name_looks_like_a_pattern_is_taken_as_it_is(music: Path) -> None:
    (music / "take [1].wav").touch()
    assert _relatives("music/take [1].wav") == ["take [1].wav"]


def test_folder_without_audio_says_so(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").touch()
    [item] = expand([str(tmp_path)])
    assert "no audio file" in item.error


def test_links_that_run_in_a_circle_end(music: Path) -> None:
    (music / "sub" / "again").symlink_to(music)
    (music / "self.wav").symlink_to("self.wav")
    assert _relatives("music") == ["a.FLAC", "b.wav", "self.wav", "sub/c.mp3", "sub/deep/d.ogg"]


def test_pipes_in_a_folder_are_left_out_but_broken_links_are_not(music: Path) -> None:
    os.mkfifo(music / "pipe.wav")
    (music / "broken.wav").symlink_to("nowhere.wav")
    assert _relatives("music")[:3] == ["a.FLAC", "b.wav", "broken.wav"]


def test_playlist_entries_are_relative_to_it(music: Path) -> None:
    (music / "list.m3u8").write_text("\ufeff#EXTM3U\n#EXTINF:3,x\nb.wav\n\n sub/c.mp3 \nnone.wav\n")
    found = expand(["music/list.m3u8"])
    assert [i.path for i in found] == ["music/b.wav", "music/sub/c.mp3", "music/none.wav"]
    assert [i.relative for i in found] == ["b.wav", "c.mp3", "none.wav"]


def test_playlist_that_is_no_utf8_is_read_as_latin_1(music: Path) -> None:
    (music / "list.m3u").write_bytes("früh.wav\r\n".encode("latin-1"))
    assert _relatives("music/list.m3u") == ["früh.wav"]


@pytest.mark.parametrize("text", [None, "# nothing\n"])
def test_playlist_that_is_missing_or_empty_says_so(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "list.m3u"
    if text is not None:
        path.write_text(text)
    [item] = expand([str(path)])
    assert "playlist" in item.error


def test_name_that_is_no_utf8_survives(tmp_path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav"))).touch()
    [item] = expand([str(tmp_path)])
    assert os.fsencode(item.relative) == b"\xff.wav"
