"""What the page can ask for, and what it gets."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import mido
import numpy as np
import pytest
from desk import Visitor, recording
from mira.__main__ import main
from mira_plugins.studio.app import STATIC
from mira_plugins.studio.places import Seat, keep_seat, last_seat, trim_cache
from mira_plugins.studio.studio import Studio

Answer = dict[str, Any]
Runs = Callable[[], int]


def _result(visitor: Visitor, song: str, task: str = "xhum") -> Answer:
    return visitor.ask(f"/api/tracks/{song}/results/{task}")[1]


def _decode(visitor: Visitor, song: str, **settings: Any) -> Answer:
    return visitor.ask(f"/api/tracks/{song}/decode/xhum", "POST", {"settings": settings})[1]


def test_a_recording_is_listened_to_and_its_results_are_there(visitor: Visitor, song: str) -> None:
    assert _result(visitor, song) == {"result": None, "edit": None, "revision": "", "note": ""}
    done = visitor.listen(song)
    assert (done["state"], done["error"], done["progress"]) == ("done", "", 1.0)
    result = _result(visitor, song)["result"]
    assert result["start_s"] == [0.0, 1.0, 2.0, 3.0] and result["pitch"] == [60] * 4
    kinds = {
        _result(visitor, song, task)["result"]["kind"] for task in ("xparts", "xpoints", "xlevel", "xmoods")
    }
    assert kinds == {"segments", "events", "curve", "tags"}
    assert _result(visitor, song, "xspace")["result"] is None, (
        "a matrix says little; it is not asked for by itself"
    )


def test_sliders_decode_without_running_the_network(visitor: Visitor, song: str, runs: Runs) -> None:
    visitor.listen(song, tasks=["xhum"])
    before = runs()
    assert _decode(visitor, song, octave=6)["result"]["pitch"] == [72] * 4
    assert _decode(visitor, song, threshold=0.9)["result"]["pitch"] == []
    assert runs() == before


def test_activations_outlast_the_studio(visitor: Visitor, song: str, studio: Studio, runs: Runs) -> None:
    visitor.listen(song, tasks=["xhum"])
    before = runs()
    studio.listening._memory.clear()
    assert _decode(visitor, song, octave=6)["result"]["pitch"] == [72] * 4
    kept = next((studio.cache / "activations").glob("*.npz"))
    assert np.load(kept)["a:loud"].dtype == np.float16
    kept.write_bytes(b"damaged")
    studio.listening._memory.clear()
    assert _decode(visitor, song, octave=6) == {"result": None} and runs() == before


def test_what_the_command_line_did_is_there(
    visitor: Visitor, song: str, studio: Studio, tmp_path: Path, runs: Runs
) -> None:
    path = studio.library.track(song).path
    assert main(["xhum", path, "--out-dir", str(tmp_path / "out"), "--quiet"]) == 0
    before = runs()
    assert visitor.listen(song, tasks=["xhum"])["state"] == "done"
    assert _result(visitor, song)["result"]["pitch"] == [60] * 4 and runs() == before
    assert _decode(visitor, song, octave=6) == {"result": None}, "the command line keeps no activations"
    visitor.listen(song, tasks=["xhum"], again=True)
    assert _decode(visitor, song, octave=6)["result"]["pitch"] == [72] * 4 and runs() == before + 1


def test_a_second_wish_for_the_same_is_the_same_job(
    visitor: Visitor, song: str, studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    monkeypatch.setenv("HUM_GATE", str(gate))
    first, second = (
        visitor.ask(f"/api/tracks/{song}/listen", "POST", {"tasks": ["xhum"]})[1]["job"] for _ in range(2)
    )
    assert first == second
    gate.open("w").close()
    assert visitor.done(first)["state"] == "done"


def test_a_job_is_cancelled_in_the_middle(
    visitor: Visitor, studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    song = studio.library.add(recording(tmp_path / "long.wav", seconds=30)).id
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    monkeypatch.setenv("HUM_GATE", str(gate))
    job = visitor.ask(f"/api/tracks/{song}/listen", "POST", {"tasks": ["xhum"]})[1]["job"]
    for jobs in visitor.events():
        if any(each["id"] == job and each["progress"] > 0.3 for each in jobs):
            break
    assert visitor.ask(f"/api/jobs/{job}", "DELETE")[0] == 200
    gate.open("w").close()
    assert visitor.done(job)["state"] == "cancelled"
    assert _result(visitor, song)["result"] is None
    monkeypatch.delenv("HUM_GATE")
    assert visitor.listen(song, tasks=["xhum"])["state"] == "done", "and it can be asked for again"


def test_a_task_that_fails_is_named_and_takes_no_other_with_it(
    visitor: Visitor, studio: Studio, tmp_path: Path
) -> None:
    song = studio.library.add(recording(tmp_path / "bad.wav", level=0.65)).id
    done = visitor.listen(song, tasks=["xhum"])
    assert done["state"] == "failed" and "cannot count to three" in done["error"]
    assert visitor.ask(f"/api/tracks/{song}")[1]["picture"]["peak_s"] == 256 / 16000


def test_no_audio_is_one_line(visitor: Visitor, studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no music")
    song = studio.library.add(tmp_path / "text.wav").id
    done = visitor.listen(song)
    assert done["state"] == "failed" and "text.wav" in done["error"] and "\n" not in done["error"]


def test_edits_are_kept_beside_the_result_and_never_over_it(
    visitor: Visitor, song: str, studio: Studio
) -> None:
    visitor.listen(song, tasks=["xhum"])
    content, heard = visitor.ask(f"/api/tracks/{song}")[1]["content"], _result(visitor, song)["result"]
    body = {"content": content, "result": heard | {"pitch": [61, 60, 60, 60]}, "settings": {"octave": 5}}
    status, saved, _ = visitor.ask(f"/api/tracks/{song}/edits/xhum", "PUT", body)
    assert status == 200
    again = _result(visitor, song)
    assert again["result"] == heard and again["revision"] == saved["revision"]
    assert again["edit"]["pitch"] == [61, 60, 60, 60]
    assert again["edit"]["settings"] == {"threshold": 0.1, "octave": 5, "names": "", "edited": True}
    sidecar = json.loads(next(studio.edits.folder.iterdir()).read_text())
    assert sidecar == again["edit"] and sidecar["task"] == "xhum"
    assert visitor.ask(f"/api/tracks/{song}/edits/xhum?revision={saved['revision']}", "DELETE")[0] == 200
    assert _result(visitor, song)["edit"] is None


EXPORTS = {
    "midi": lambda data: "edited by hand" in str(mido.MidiFile(file=data).tracks[0]),
    "json": lambda data: json.load(data)["settings"]["edited"] is True,
    "jams": lambda data: json.load(data)["sandbox"]["settings"]["edited"] is True,
    "csv": lambda data: data.read().count(b"\n") == 5,
    "audacity": lambda data: data.read().count(b"\n") == 4,
}  # fmt: skip


@pytest.mark.parametrize("format", EXPORTS)
def test_exports_give_what_is_on_screen_and_say_that_it_was_edited(
    visitor: Visitor, song: str, format: str
) -> None:
    visitor.listen(song, tasks=["xhum"])
    heard = _result(visitor, song)["result"]
    body = {"format": format, "result": heard, "settings": {"octave": 5}, "edited": True}
    status, data, headers = visitor.ask(f"/api/tracks/{song}/export/xhum", "POST", body)
    assert status == 200 and EXPORTS[format](io.BytesIO(data if isinstance(data, bytes) else b""))
    assert "song (edited)." in unquote(headers["Content-Disposition"])
    status, data, headers = visitor.ask(f"/api/tracks/{song}/export/xhum", "POST", body | {"edited": False})
    assert status == 200 and b"edited" not in data and "song." in unquote(headers["Content-Disposition"])


def test_chords_are_exported_as_lab(visitor: Visitor, song: str) -> None:
    visitor.listen(song, tasks=["xchords"])
    body = {"format": "lab", "result": _result(visitor, song, "xchords")["result"], "edited": True}
    data = visitor.ask(f"/api/tracks/{song}/export/xchords", "POST", body)[1]
    assert data == b"0.000000\t2.000000\tD:maj\n2.000000\t4.000000\tB:min7/b3\n"


def test_a_format_that_does_not_exist_is_refused(visitor: Visitor, song: str) -> None:
    visitor.listen(song, tasks=["xhum"])
    body = {"format": "../../x", "result": _result(visitor, song)["result"]}
    assert visitor.ask(f"/api/tracks/{song}/export/xhum", "POST", body)[0] == 400


def test_sound_is_sent_in_parts_and_copied_where_the_browser_cannot_play_it(
    visitor: Visitor, song: str, studio: Studio, tmp_path: Path
) -> None:
    status, part, headers = visitor.ask(f"/api/tracks/{song}/audio", Range="bytes=0-3")
    assert (status, part, headers["Content-Type"]) == (206, b"RIFF", "audio/wav")
    other = studio.library.add(recording(tmp_path / "song.aiff")).id
    status, data, headers = visitor.ask(f"/api/tracks/{other}/audio")
    assert (status, data[:4], headers["Content-Type"]) == (200, b"RIFF", "audio/wav")
    assert len(data) == 44 + 2 * 4 * 44100


def test_an_upload_is_kept_under_its_name_and_goes_with_its_entry(
    visitor: Visitor, studio: Studio, tmp_path: Path
) -> None:
    data = recording(tmp_path / "a.wav").read_bytes()
    name = quote("<b>Lied</b> ü.wav")
    first = visitor.ask(f"/api/uploads?name={name}", "POST", data)[1]
    assert first["name"] == "b ü.wav"
    assert visitor.ask(f"/api/uploads?name={name}", "POST", data)[1] == first
    path = Path(studio.library.track(first["id"]).path)
    assert path.read_bytes() == data and path.is_relative_to(studio.library.uploads)
    assert visitor.ask(f"/api/tracks/{first['id']}", "DELETE")[0] == 200
    assert not path.exists() and visitor.ask("/api/tracks")[1] == []


def test_removing_an_entry_leaves_the_recording(visitor: Visitor, song: str, studio: Studio) -> None:
    path = Path(studio.library.track(song).path)
    assert visitor.ask(f"/api/tracks/{song}", "DELETE")[0] == 200
    assert path.exists() and visitor.ask("/api/tracks")[1] == []


def test_the_bundled_piece_is_one_request_away(visitor: Visitor) -> None:
    track = visitor.ask("/api/sample", "POST", {})[1]
    assert track["name"] == "canon.ogg"
    assert visitor.listen(track["id"], tasks=["xhum"])["state"] == "done"


def test_the_secret_and_the_port_outlast_a_studio(home: Path) -> None:
    first = last_seat()
    assert len(first.token) > 40 and first.port == 0 and last_seat().token != first.token
    keep_seat(Seat(first.token, 4321))
    assert last_seat() == Seat(first.token, 4321)
    kept = home / "studio" / "seat.json"
    assert kept.stat().st_mode & 0o077 == 0
    for damage in ("{", '{"token": "short", "port": 1}', '{"token": 1}'):
        kept.write_text(damage)
        assert last_seat().port == 0


def test_the_cache_is_cut_down_from_the_oldest(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    files = [tmp_path / "pictures" / f"{i}.npy" for i in range(3)]
    for i, file in enumerate(files):
        file.write_bytes(b"x" * 10)
        os.utime(file, (i, i))
    trim_cache(tmp_path, 25)
    assert [file.exists() for file in files] == [False, True, True]


def test_the_page_names_all_its_modules_in_advance() -> None:
    page = (STATIC / "index.html").read_text()
    modules = {path.name for path in STATIC.glob("*.js")}
    assert modules == set(re.findall(r"/static/(\w+\.js)", page))
