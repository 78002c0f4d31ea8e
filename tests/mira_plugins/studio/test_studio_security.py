"""Who may talk to the studio, and what never happens whoever asks."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import quote

import pytest
from desk import Visitor, recording
from mira_plugins.studio import app, library
from mira_plugins.studio.guard import POLICY
from mira_plugins.studio.library import file_name
from mira_plugins.studio.server import _socket
from mira_plugins.studio.studio import Studio

PATHS = ["/", "/static/main.js", "/api/studio", "/api/tracks", "/api/events", "/nothing"]


def test_it_binds_to_the_loopback_address_alone() -> None:
    with _socket(0, 0) as bound:
        assert bound.getsockname()[0] == "127.0.0.1"
        bound.listen()
        outside = socket.gethostbyname(socket.gethostname())
        if not outside.startswith("127."):
            with pytest.raises(OSError):
                socket.create_connection((outside, bound.getsockname()[1]), timeout=5)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("cookie", [None, "mira-studio-1=x", "=", "mira-studio-{port}=wrong", "\xff\xfe"])
def test_without_the_secret_nothing_is_told(visitor: Visitor, path: str, cookie: str | None) -> None:
    given = cookie and cookie.format(port=visitor.port)
    status, said, _ = visitor.ask(path, Cookie=given)
    assert status == 403 and b"mira studio" in said and b"<" not in said


def test_the_link_carries_the_secret_once_into_a_cookie_that_scripts_cannot_read(visitor: Visitor) -> None:
    status, _, headers = visitor.ask(f"/?token={visitor.token}", Cookie=None, Origin=None)
    assert status == 303 and headers["Location"] == "/"
    kept = headers["Set-Cookie"].lower()
    assert visitor.token in headers["Set-Cookie"] and "httponly" in kept and "samesite=strict" in kept
    assert visitor.ask("/?token=wrong")[0] == 403
    assert visitor.ask(f"/api/studio?token={visitor.token}", Cookie=None)[0] == 403


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.evil.example:{port}", ""],
)
def test_a_name_that_was_bound_to_this_machine_is_refused(visitor: Visitor, host: str) -> None:
    assert visitor.ask("/api/tracks", Host=host.format(port=visitor.port))[0] == 421


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "https://127.0.0.1:{port}", "http://127.0.0.1:1", "http://localhost"],
)
def test_other_sites_may_neither_read_nor_write(visitor: Visitor, origin: str) -> None:
    given = origin.format(port=visitor.port)
    assert visitor.ask("/api/tracks", Origin=given)[0] == 403
    assert visitor.ask("/api/sample", "POST", {}, Origin=given)[0] == 403


def test_writing_needs_an_origin_and_requests_of_other_sites_are_told_by_the_browser(
    visitor: Visitor,
) -> None:
    assert visitor.ask("/api/sample", "POST", {}, Origin=None)[0] == 403
    assert visitor.ask("/api/tracks", Origin=None, Sec_Fetch_Site="cross-site")[0] == 403
    assert visitor.ask("/api/tracks", Origin=None, Sec_Fetch_Site="same-site")[0] == 403
    assert visitor.ask("/api/tracks", Origin=None, Sec_Fetch_Site="same-origin")[0] == 200
    assert visitor.ask("/", Origin=None, Sec_Fetch_Site="cross-site")[0] == 200


@pytest.mark.parametrize("path", [*PATHS[:4], "/nothing"])
def test_every_answer_bears_the_policy(visitor: Visitor, path: str) -> None:
    for cookie in (visitor.headers["Cookie"], None):
        headers = visitor.ask(path, Cookie=cookie)[2]
        assert headers["Content-Security-Policy"] == POLICY
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "no-referrer"
    assert "unsafe" not in POLICY and "*" not in POLICY and "http" not in POLICY


ESCAPES = [
    "../app.py", "..%2fapp.py", "%2e%2e/app.py", "%2e%2e%2fapp.py", "..\\app.py", "..%5capp.py",
    "..%252fapp.py", "/etc/passwd", "%2fetc%2fpasswd", "main.js%00", "main.js/..", "./main.js", ".%2fmain.js",
    "main.js%00.html", "index.html/../../app.py", "%c0%ae%c0%ae/app.py", "file:///etc/passwd", "C:%5cWindows",
    "", "..",
]  # fmt: skip


@pytest.mark.parametrize("escape", ESCAPES)
@pytest.mark.parametrize("below", ["/static/", "/api/tracks/"])
def test_no_path_of_the_page_reaches_a_file(visitor: Visitor, below: str, escape: str) -> None:
    for tail in ("", "/audio", "/peaks", "/results/xhum") if below != "/static/" else ("",):
        status, said, _ = visitor.ask(f"{below}{escape}{tail}")
        assert status in (404, 405) and set(said) == {"error"}


@pytest.mark.parametrize(
    "name", ["0" * 16, "..", quote("/etc/passwd", safe=""), "a%00b", "ZZZZ", "%F0%9F%8E%B5"]
)
def test_a_file_that_is_not_in_the_library_is_refused(visitor: Visitor, song: str, name: str) -> None:
    for tail in ("", "/audio", "/audio?copy", "/peaks", "/tiles/0/0", "/results/xhum", "/covers"):
        assert visitor.ask(f"/api/tracks/{name}{tail}")[0] in (404, 405)
    for tail, method in (
        ("/listen", "POST"),
        ("/decode/xhum", "POST"),
        ("/edits/xhum", "PUT"),
        ("", "DELETE"),
    ):
        assert visitor.ask(f"/api/tracks/{name}{tail}", method, {})[0] in (404, 405)


def test_a_link_put_into_the_page_folder_is_not_followed(
    visitor: Visitor, tmp_path: Path, studio: Studio
) -> None:
    (studio.library.uploads / "link.js").symlink_to("/etc/passwd")
    for path in ("/static/link.js", "/uploads/link.js", "/static/..%2fuploads%2flink.js"):
        assert visitor.ask(path)[0] == 404


def test_no_setting_of_the_page_names_a_file(visitor: Visitor, song: str) -> None:
    visitor.listen(song)
    for settings in (
        {"names": "/etc/passwd"},
        {"names": ""},
        {"octave": "4"},
        {"octave": 1.5},
        {"octave": True},
        [],
    ):
        status, said, _ = visitor.ask(f"/api/tracks/{song}/decode/xhum", "POST", {"settings": settings})
        assert status == 400 and "/etc" not in said["error"]
    controls = {task["name"]: task["settings"] for task in visitor.ask("/api/studio")[1]["tasks"]}
    assert [setting["name"] for setting in controls["xhum"]] == ["threshold", "octave"]


def test_uploads_are_limited_in_size(
    visitor: Visitor, tmp_path: Path, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = recording(tmp_path / "a.wav").read_bytes()
    monkeypatch.setattr(library, "UPLOAD_BYTES", len(data) - 1)
    assert visitor.ask("/api/uploads?name=a.wav", "POST", data)[0] == 413
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data)
    told = visitor.ask(
        "/api/uploads?name=a.wav", "POST", chunked, Transfer_Encoding="chunked", Content_Length=None
    )
    assert told[0] == 413 and list(studio.library.uploads.iterdir()) == []


def test_uploads_are_limited_in_number(
    visitor: Visitor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "UPLOADS", 2)
    for level, expected in ((0.1, 200), (0.2, 200), (0.3, 413)):
        data = recording(tmp_path / "a.wav", level=level).read_bytes()
        assert visitor.ask("/api/uploads?name=a.wav", "POST", data)[0] == expected


@pytest.mark.parametrize(
    "given, kept",
    [
        ("a.wav", "a.wav"),
        ("../../etc/cron.d/a.wav", "a.wav"),
        ("..\\..\\a.wav", "a.wav"),
        ("/abs/a.wav", "a.wav"),
        ("a\x00b.wav", "ab.wav"),
        ("...a.wav", "a.wav"),
        ("C:a.wav", "Ca.wav"),
        ("ü" * 300 + ".wav", "ü" * 60 + ".wav"),
    ],
)
def test_names_of_uploads_become_plain_names(given: str, kept: str) -> None:
    assert file_name(given) == kept


@pytest.mark.parametrize("name", ["a.py", "wav", ".wav", "..", "", "a.wav/", "a.wav\x00.sh", "a.html"])
def test_other_files_are_not_taken(visitor: Visitor, name: str) -> None:
    status, said, _ = visitor.ask(f"/api/uploads?name={quote(name, safe='')}", "POST", b"x" * 100)
    assert status == 400 and said["error"]


def test_results_of_the_page_are_limited_and_looked_at(
    visitor: Visitor, song: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor.listen(song)
    good = visitor.ask(f"/api/tracks/{song}/results/xhum")[1]["result"]
    content = visitor.ask(f"/api/tracks/{song}")[1]["content"]
    for change in (
        {"kind": "chords"}, {"pitch": [200] * 4}, {"pitch": [60]}, {"start_s": ["x"] * 4}, {"velocity": None},
        {"start_s": [-1] * 4}, {"duration_s": "long"}, {"bends": [[[0]]] * 4}, {"start_s": {"a": 1}},
        {"start_s": 1}, {"bent": "yes"},
    ):  # fmt: skip
        body = {"result": good | change, "content": content}
        status, said, _ = visitor.ask(f"/api/tracks/{song}/edits/xhum", "PUT", body)
        assert status == 400 and said["error"], change
    for body in (b"[]", b"{", b"\xff", b"[" * 100000):
        assert visitor.ask(f"/api/tracks/{song}/edits/xhum", "PUT", body)[0] == 400
    monkeypatch.setattr(app, "JSON_BYTES", 100)
    assert visitor.ask(f"/api/tracks/{song}/edits/xhum", "PUT", b" " * 101)[0] == 413
