"""What goes wrong while people work: files go, disks fill, sidecars rot, windows meet."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from desk import Visitor, recording
from mira.errors import UsageError
from mira_plugins.studio import server
from mira_plugins.studio.library import Library
from mira_plugins.studio.places import cache_folder, edits_folder
from mira_plugins.studio.studio import Studio


@pytest.fixture
def heard(visitor: Visitor, song: str) -> dict[str, Any]:
    """What the page would send to save the recording's notes."""
    visitor.listen(song, tasks=["xhum"])
    result = visitor.ask(f"/api/tracks/{song}/results/xhum")[1]["result"]
    return {"content": visitor.ask(f"/api/tracks/{song}")[1]["content"], "result": result, "settings": {}}


def test_a_recording_that_is_gone_is_one_line(
    visitor: Visitor, song: str, studio: Studio, heard: Any
) -> None:
    os.unlink(studio.library.track(song).path)
    for path in ("", "/audio", "/peaks", "/results/xhum"):
        status, said, _ = visitor.ask(f"/api/tracks/{song}{path}")
        assert status == 422 and said["error"].startswith("song.wav: the file is gone")
    assert visitor.ask(f"/api/tracks/{song}/edits/xhum", "PUT", heard)[0] == 422
    assert [track["id"] for track in visitor.ask("/api/tracks")[1]] == [song]


def test_a_recording_that_changed_while_open_is_told_from_the_old_one(
    visitor: Visitor, song: str, studio: Studio, heard: Any
) -> None:
    recording(Path(studio.library.track(song).path), seconds=6)
    assert visitor.ask(f"/api/tracks/{song}")[1]["content"] != heard["content"]
    assert visitor.ask(f"/api/tracks/{song}/results/xhum")[1]["result"] is None
    status, said, _ = visitor.ask(f"/api/tracks/{song}/edits/xhum", "PUT", heard)
    assert status == 409 and "has changed" in said["error"]
    assert visitor.listen(song, tasks=["xhum"])["state"] == "done"
    assert len(visitor.ask(f"/api/tracks/{song}/results/xhum")[1]["result"]["start_s"]) == 6


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b"\xff\xfe", b'{"kind": "notes"}', b'{"kind": "chords"}']
)
def test_a_corrupt_sidecar_is_kept_aside_and_said_so(
    visitor: Visitor, song: str, studio: Studio, heard: Any, damage: bytes
) -> None:
    assert visitor.ask(f"/api/tracks/{song}/edits/xhum", "PUT", heard)[0] == 200
    [sidecar] = studio.edits.folder.iterdir()
    sidecar.write_bytes(damage)
    answer = visitor.ask(f"/api/tracks/{song}/results/xhum")[1]
    assert answer["edit"] is None and answer["result"]["pitch"] == [60] * 4
    [aside] = studio.edits.folder.iterdir()
    assert "damaged" in answer["note"] and str(aside) in answer["note"] and aside.read_bytes() == damage
    assert visitor.ask(f"/api/tracks/{song}/results/xhum")[1]["note"] == ""
    assert visitor.ask(f"/api/tracks/{song}/edits/xhum", "PUT", heard)[0] == 200


def test_a_full_disk_is_one_clear_line_and_the_old_edit_stays(
    visitor: Visitor, song: str, studio: Studio, heard: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = visitor.ask(f"/api/tracks/{song}/edits/xhum", "PUT", heard)[1]["revision"]
    full = os.open("/dev/full", os.O_WRONLY)
    write = os.write
    try:
        with monkeypatch.context() as patch:
            patch.setattr(
                os, "write", lambda fd, data: write(full, data) if len(data) > 100 else write(fd, data)
            )
            status, said, _ = visitor.ask(
                f"/api/tracks/{song}/edits/xhum", "PUT", heard | {"revision": revision}
            )
    finally:
        os.close(full)
    assert status == 507 and "the disk is full" in said["error"]
    assert visitor.ask(f"/api/tracks/{song}/results/xhum")[1]["revision"] == revision
    assert len(list(studio.edits.folder.iterdir())) == 1


def test_of_two_windows_the_second_to_save_is_told(visitor: Visitor, song: str, heard: Any) -> None:
    save = f"/api/tracks/{song}/edits/xhum"
    assert visitor.ask(save, "PUT", heard)[0] == 200
    status, said, _ = visitor.ask(save, "PUT", heard)
    assert status == 409 and "another window" in said["error"]
    assert visitor.ask(f"{save}?revision=old", "DELETE")[0] == 409


def test_a_page_that_goes_away_leaves_the_job_to_be_done(
    visitor: Visitor, song: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    monkeypatch.setenv("HUM_GATE", str(gate))
    job = visitor.ask(f"/api/tracks/{song}/listen", "POST", {"tasks": ["xhum"]})[1]["job"]
    next(visitor.events())  # and the connection is dropped
    gate.open("w").close()
    assert visitor.done(job)["state"] == "done"


def test_a_recording_that_kills_the_listener_takes_nobody_with_it(
    visitor: Visitor, song: str, studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadly = studio.library.add(recording(tmp_path / "deadly.wav", level=0.85)).id
    done = visitor.listen(deadly, tasks=["xhum"])
    assert done["state"] == "failed" and "deadly.wav: the process that listened to it died" in done["error"]
    assert visitor.listen(song, tasks=["xhum"])["state"] == "done"


def test_an_upload_that_breaks_off_leaves_nothing(visitor: Visitor, studio: Studio, tmp_path: Path) -> None:
    import socket

    head = "\r\n".join(f"{name}: {value}" for name, value in visitor.headers.items())
    with socket.create_connection(("127.0.0.1", visitor.port)) as half:
        request = f"POST /api/uploads?name=a.wav HTTP/1.1\r\n{head}\r\nContent-Length: 1000\r\n\r\nRIFF"
        half.sendall(request.encode())
        while not any(studio.library.uploads.iterdir()):
            assert visitor.ask("/api/tracks")[0] == 200
    while any(studio.library.uploads.iterdir()):
        assert visitor.ask("/api/tracks")[0] == 200
    assert visitor.ask("/api/tracks")[1] == []


def test_two_studios_share_a_store_and_a_library(visitor: Visitor, song: str, studio: Studio) -> None:
    other = Studio(cache_folder(), edits_folder(), threads=1)
    assert [track.id for track in other.library.tracks()] == [song]
    visitor.listen(song, tasks=["xhum"])
    track = other.library.track(song)
    assert other.listen(track, ["xhum"]) is None
    assert other.listening.result(track, "xhum") == studio.listening.result(track, "xhum")


def test_a_damaged_list_of_recordings_is_kept_aside(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "studio"
    Library(folder).add(recording(tmp_path / "a.wav"))
    (folder / "library.sqlite").write_bytes(b"this is no database" * 1000)
    again = Library(folder)
    assert again.tracks() == [] and "damaged" in again.note
    assert (folder / "library.sqlite.damaged").exists()
    with pytest.raises(sqlite3.DatabaseError):
        sqlite3.connect(folder / "library.sqlite.damaged").execute("SELECT * FROM tracks")


def test_a_damaged_picture_is_made_again(visitor: Visitor, song: str, studio: Studio) -> None:
    visitor.listen(song, tasks=["xhum"])
    [picture] = (studio.cache / "pictures").iterdir()
    picture.write_bytes(picture.read_bytes()[:-20])
    assert visitor.ask(f"/api/tracks/{song}/peaks")[0] == 404
    assert visitor.listen(song, tasks=["xhum"])["state"] == "done"
    assert visitor.ask(f"/api/tracks/{song}/peaks")[0] == 200


def test_a_port_that_is_taken_is_said_so(home: Path) -> None:
    with server._socket(0, 0) as bound:
        bound.listen()
        port = bound.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} cannot be used"):
            server._socket(port, 0)
        with server._socket(0, port) as other:
            assert other.getsockname()[1] != port


def test_nothing_to_open_and_no_window_are_wrong_use(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match="nothing to open"):
        server.serve(["/nowhere.wav"], port=0, open_browser=False, window=False, threads=1)
    assert "no such file" in capfd.readouterr().err
    monkeypatch.setattr(server, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="pip install pywebview"):
        server.serve([], port=0, open_browser=False, window=True, threads=1)


def test_without_the_extra_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import builtins
    import sys

    from mira_plugins.studio import _studio

    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "uvicorn":
            raise ModuleNotFoundError("No module named 'uvicorn'", name="uvicorn")
        return real(name, *rest)

    monkeypatch.delitem(sys.modules, "mira_plugins.studio.server")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match="needs uvicorn: pip install 'mira-audio"):
        _studio([], no_open=True)


def test_an_edit_follows_a_recording_that_is_moved(
    visitor: Visitor, song: str, studio: Studio, heard: Any, tmp_path: Path
) -> None:
    assert visitor.ask(f"/api/tracks/{song}/edits/xhum", "PUT", heard)[0] == 200
    moved = studio.library.add(shutil.copy(studio.library.track(song).path, tmp_path / "other.wav"))
    assert visitor.ask(f"/api/tracks/{moved.id}/results/xhum")[1]["edit"] is not None
