from __future__ import annotations

import hashlib
import io
import json
import stat
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import h5py
import numpy as np
import pytest
from mira.errors import DataError, OutputError, UsageError
from mira_train.data import fetch
from mira_train.data.fetch import download, unpack
from mira_train.data.registry import DataFile, DataSet, find_set, get, known_sets

BODY = bytes(range(256)) * 4000


@dataclass
class Server:
    """A server on loopback with the faults that a test asks for."""

    files: dict[str, bytes] = field(default_factory=lambda: {"/file": BODY})
    ranges: bool = True
    tag: str | None = '"v1"'
    drop_after: list[int] = field(default_factory=list)
    promise: int = 0
    statuses: list[int] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    url: str = ""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        faults: Server = self.server.faults  # type: ignore[attr-defined]
        faults.asked.append(dict(self.headers))
        body = faults.files.get(self.path)
        if faults.statuses or body is None:
            self.send_error(faults.statuses.pop(0) if faults.statuses else 404)
            return
        start = 0
        wanted = self.headers.get("Range")
        if wanted and faults.ranges and self.headers.get("If-Range") == faults.tag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if faults.tag:
            self.send_header("ETag", faults.tag)
        self.send_header("Content-Length", str(len(body) - start + faults.promise))
        self.end_headers()
        part = body[start:]
        if faults.drop_after:
            part = part[: faults.drop_after.pop(0)]
        self.wfile.write(part)
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    faults = Server()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.faults = faults  # type: ignore[attr-defined]
        faults.url = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield faults
        http.shutdown()
        thread.join()


def fetched(server: Server, part: Path, **options: object) -> str:
    return download(f"{server.url}/file", part, wait_s=0, **options)  # type: ignore[arg-type]


# --- downloads ---


def test_dropped_connections_are_resumed_where_they_stopped(server: Server, tmp_path: Path) -> None:
    server.drop_after = [1000, 5000, 0, 100_000]
    assert fetched(server, tmp_path / "part") == hashlib.sha256(BODY).hexdigest()
    assert (tmp_path / "part").read_bytes() == BODY
    assert [h.get("Range") for h in server.asked] == [
        None,
        "bytes=1000-",
        "bytes=6000-",
        "bytes=6000-",
        "bytes=106000-",
    ]


def test_a_later_run_goes_on_only_with_the_same_file(server: Server, tmp_path: Path) -> None:
    part = tmp_path / "part"
    for changed in (False, True):
        server.drop_after = [50_000, *[0] * 9]
        with pytest.raises(DataError, match="50000 of 1024000 bytes came"):
            fetched(server, part)
        assert part.stat().st_size == 50_000
        server.drop_after = []
        if changed:
            server.tag, server.files["/file"] = '"v2"', BODY[::-1]
        server.asked.clear()
        fetched(server, part)
        assert server.asked[0]["Range"] == "bytes=50000-"
        assert part.read_bytes() == server.files["/file"]
        part.unlink()


@pytest.mark.parametrize(("ranges", "tag"), [(False, '"v1"'), (True, None), (True, 'W/"weak"')])
def test_without_ranges_or_proof_the_download_starts_again(
    server: Server, tmp_path: Path, ranges: bool, tag: str | None
) -> None:
    server.ranges, server.tag, server.drop_after = ranges, tag, [1000]
    fetched(server, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == BODY


def test_server_that_promises_more_than_it_has_is_given_up(server: Server, tmp_path: Path) -> None:
    server.promise = 10
    with pytest.raises(DataError, match=r"1024000 of 1024010 bytes came.*attempts"):
        fetched(server, tmp_path / "part")
    assert 5 <= len(server.asked) <= 7


def test_server_that_sends_less_than_the_file_is_found_by_the_hash(server: Server, tmp_path: Path) -> None:
    server.promise = -10
    with pytest.raises(DataError, match=r"SHA-256 is .* deleted"):
        fetched(server, tmp_path / "part", sha256=hashlib.sha256(BODY).hexdigest())
    assert list(tmp_path.iterdir()) == []


def test_wrong_bytes_and_wrong_sizes_are_refused(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="SHA-256"):
        fetched(server, tmp_path / "part", sha256="0" * 64)
    with pytest.raises(DataError, match="1024000 bytes, expected 7"):
        fetched(server, tmp_path / "part", size=7)
    assert not (tmp_path / "part").exists()


def test_busy_server_is_asked_again_and_a_missing_file_is_not(server: Server, tmp_path: Path) -> None:
    server.statuses = [503, 500, 429]
    fetched(server, tmp_path / "part")
    server.asked.clear()
    with pytest.raises(DataError, match="404"):
        download(f"{server.url}/none", tmp_path / "none", wait_s=0)
    assert len(server.asked) == 1


def test_no_server_and_other_schemes_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no connection"):
        download("http://127.0.0.1:9/file", tmp_path / "part", wait_s=0, attempts=2)
    with pytest.raises(DataError, match="not an http"):
        download("file:///etc/hostname", tmp_path / "part")


def test_too_little_room_is_said_before_the_download(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("usage", (), {"free": 1000})
    monkeypatch.setattr(fetch.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(OutputError, match="only 0 MiB are free"):
        fetched(server, tmp_path / "part")


# --- archives ---


def zip_of(path: Path, *members: tuple[str, bytes], mode: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = mode << 16
            archive.writestr(info, data)
    return path


@pytest.mark.parametrize(
    "name", ["../evil", "/evil", "a/../../evil", "a\\..\\evil", "c:evil", "./evil", "a//evil"]
)
def test_path_outside_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    archive = zip_of(tmp_path / "a.zip", ("good", b"x"), (name, b"x"))
    with pytest.raises(DataError, match="not inside its folder"):
        unpack(archive, inside)
    assert list(inside.iterdir()) == [] and sorted(p.name for p in tmp_path.iterdir()) == ["a.zip", "inside"]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_are_refused(tmp_path: Path, kind: int) -> None:
    archive = zip_of(tmp_path / "a.zip", ("x", b"/etc/passwd"), mode=kind | 0o777)
    with pytest.raises(DataError, match="link or a device"):
        unpack(archive, tmp_path)
    assert list(tmp_path.iterdir()) == [archive]


def test_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", ("x", bytes(30 << 20)))
    with pytest.raises(DataError, match="too much for its size"):
        unpack(archive, tmp_path)
    assert list(tmp_path.iterdir()) == [archive]


def test_damaged_zip_leaves_nothing(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", ("x/y", BODY), ("z", BODY))
    data = bytearray(archive.read_bytes())
    data[60] ^= 0xFF
    for broken in (bytes(data), bytes(data[:-30]), b"<html>", b""):
        archive.write_bytes(broken)
        with pytest.raises(DataError, match=r"a\.zip: not a whole zip file"):
            unpack(archive, tmp_path)
        assert list(tmp_path.iterdir()) == [archive]


def test_good_zip_is_unpacked_with_its_folders(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", ("x/y", BODY), ("z", b"z"))
    assert sorted(p.relative_to(tmp_path).as_posix() for p in unpack(archive, tmp_path)) == ["x/y", "z"]
    assert (tmp_path / "x/y").read_bytes() == BODY


# --- the registry ---


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MIRA_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("MIRA_DATA_URL", raising=False)
    return tmp_path / "data"


def small_set() -> tuple[bytes, bytes]:
    """A .pyjama file and a zipped .hdf5 file."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["001"] = np.zeros(100, np.float32)
        file["001"].attrs["sr_hz"] = 22050
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("rwc-pop_chord_audio.hdf5", stream.getvalue())
    collection = {"descriptiondefinition": {"filepath": {"type_extent": "global"}}, "entry": []}
    return json.dumps({"schemaversion": 1.31, "collection": collection}).encode(), archive.getvalue()


def serve_chords(server: Server) -> None:
    annotations, audio = small_set()
    server.files = {"/d/rwc-pop_chord.pyjama": annotations, "/d/rwc-pop_chord_audio.hdf5.zip": audio}


def test_the_seven_sets_have_the_books_files() -> None:
    names = {file.name for dataset in known_sets().values() for file in dataset.files}
    assert len(names) == 14
    assert {"maps_audio.hdf5.zip", "datacos-benchmark_feat.hdf5.zip", "rwc-pop_chord.pyjama"} <= names


def test_unknown_set_names_the_nearest(data: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'gtzan-genre'"):
        find_set("gtzan-genres")


def test_without_an_address_the_error_says_what_to_set(data: Path) -> None:
    with pytest.raises(DataError, match=r"bach10.pyjama by --base-url or MIRA_DATA_URL"):
        get(find_set("bach10"))
    with pytest.raises(DataError, match="run: mira data get bach10"):
        find_set("bach10").path(".hdf5")


def test_get_unpacks_pins_and_is_done_the_second_time(server: Server, data: Path) -> None:
    serve_chords(server)
    said: list[str] = []
    dataset = find_set("rwc-pop_chord")
    assert not dataset.is_here
    get(dataset, base_url=f"{server.url}/d/", say=said.append, wait_s=0)
    assert dataset.is_here and dataset.path(".hdf5").parent == data / "rwc-pop_chord"
    assert sorted(p.name for p in dataset.place.iterdir() if not p.name.startswith(".")) == [
        "rwc-pop_chord.pyjama",
        "rwc-pop_chord_audio.hdf5",
    ]
    lock = json.loads((data / "registry-lock.json").read_text())
    expected = hashlib.sha256(server.files["/d/rwc-pop_chord.pyjama"]).hexdigest()
    assert lock["rwc-pop_chord/rwc-pop_chord.pyjama"]["sha256"] == expected
    assert any("trusted as the first one" in line for line in said)
    assert any("book says 1.8G" in line for line in said)
    server.asked.clear()
    get(dataset)
    assert server.asked == []


def test_two_at_once_get_each_file_once(server: Server, data: Path) -> None:
    """The second waits while the first is in the middle of a file, then finds all of them there."""
    serve_chords(server)
    dataset = find_set("rwc-pop_chord")
    under_way, go_on = threading.Event(), threading.Event()

    def hold(done: int, total: int | None) -> None:
        under_way.set()
        assert go_on.wait(20)

    def waiting(line: str) -> None:
        if line.startswith("waiting for another mira"):
            go_on.set()

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(get, dataset, base_url=f"{server.url}/d/", on_progress=hold, wait_s=0)
        assert under_way.wait(20)
        second = pool.submit(get, dataset, base_url=f"{server.url}/d/", say=waiting, wait_s=0)
        assert first.result(30) == second.result(30) == dataset.place
    assert len(server.asked) == 2 and dataset.is_here


def test_file_that_differs_from_the_pinned_one_is_refused(server: Server, data: Path) -> None:
    serve_chords(server)
    dataset = find_set("rwc-pop_chord")
    get(dataset, base_url=f"{server.url}/d", wait_s=0)
    dataset.path(".pyjama").unlink()
    server.files["/d/rwc-pop_chord.pyjama"] += b" "
    with pytest.raises(DataError, match="SHA-256"):
        get(dataset, base_url=f"{server.url}/d", wait_s=0)
    assert not dataset.is_here


@pytest.mark.parametrize("name", ["rwc-pop_chord.pyjama", "rwc-pop_chord_audio.hdf5.zip"])
def test_web_page_instead_of_a_file_is_neither_kept_nor_pinned(server: Server, data: Path, name: str) -> None:
    serve_chords(server)
    server.files[f"/d/{name}"] = b"<html>Please log in</html>"
    dataset = find_set("rwc-pop_chord")
    with pytest.raises(DataError):
        get(dataset, base_url=f"{server.url}/d", wait_s=0)
    assert not (dataset.place / name.removesuffix(".zip")).exists()
    assert not list(dataset.place.glob("*.part*"))
    lock = data / "registry-lock.json"
    assert not lock.exists() or f"rwc-pop_chord/{name}" not in json.loads(lock.read_text())


def test_own_set_by_path_and_from_the_folder(data: Path, tmp_path: Path) -> None:
    text = """
        [mine]
        task = "chords"
        folder = "."
        files = [{ name = "m.pyjama" }]
        group = { field = "artist" }
    """
    (tmp_path / "mine.toml").write_text(text)
    (tmp_path / "m.pyjama").write_bytes(small_set()[0])
    dataset = find_set(str(tmp_path / "mine.toml"))
    assert dataset.path(".pyjama") == tmp_path / "m.pyjama" and dataset.group.field == "artist"
    assert get(dataset) == tmp_path
    (data / "sets").mkdir(parents=True)
    (data / "sets" / "mine.toml").write_text(text)
    assert find_set("mine").task == "chords"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[x", "not valid TOML"),
        ("[x]", "needs files"),
        ('[x]\nfiles = [{ nmae = "a" }]', "unknown key 'nmae'; did you mean 'name'"),
        ('[x]\nfiles = [{ name = "../a" }]', "not a plain file name"),
        ('[x]\nfiles = [{ name = "a", printed_size = "big" }]', "printed_size"),
        ('["../x"]\nfiles = []', "name must be plain"),
        ("[x]\nfiles = []\ngroups = 1", "did you mean 'group'"),
        ("[x]\nfiles = []\n[y]\nfiles = []", "describes 2 sets"),
    ],
)
def test_wrong_toml_names_file_and_place(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "s.toml").write_text(text)
    with pytest.raises(DataError, match=said) as error:
        find_set(str(tmp_path / "s.toml"))
    assert "s.toml" in str(error.value)


def test_exact_size_of_an_own_set_is_demanded(server: Server, data: Path) -> None:
    dataset = DataSet("own", (DataFile("file", bytes=5),), base_url=server.url)
    with pytest.raises(DataError, match="expected 5"):
        get(dataset, wait_s=0)
