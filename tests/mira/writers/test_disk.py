from __future__ import annotations

import errno
import os
import threading

import pytest
from mira.errors import OutputError
from mira.results import Events, Result
from mira.writers import Writer, check_target, disk, find_writer, write_file
from mira.writers.text import printable

LAB = b"0.500000\t0.500000\t1\n1.000000\t1.000000\t2\n"


@pytest.fixture
def put(results, about):
    """Return a writer of two events as Audacity labels."""

    def _put(path, **options):
        write_file(results["events"], path, about, find_writer(Events, format="audacity"), **options)

    return _put


@pytest.fixture(params=["nameless", "named"])
def both_ways(request, monkeypatch):
    """Run a test with nameless temporary files and with named ones."""
    if request.param == "named":
        monkeypatch.setattr(disk, "_open_nameless", lambda folder: None)
    elif disk._open_nameless(os.path.realpath(os.curdir)) is None:
        pytest.fail("this system has no nameless files; the test would show nothing")
    return request.param


def failing(stage: str, code: int, monkeypatch) -> None:
    def fail(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(disk.os, stage, fail)


def test_an_existing_file_is_refused_and_untouched(tmp_path, put, both_ways):
    path = tmp_path / "a.txt"
    path.write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"a\.txt: exists already; use --force to overwrite"):
        put(path)
    assert path.read_bytes() == b"mine"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_force_replaces_the_file(tmp_path, put, both_ways):
    path = tmp_path / "a.txt"
    path.write_bytes(b"mine, and much longer than what comes" * 9)
    put(path, force=True)
    assert path.read_bytes() == LAB
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_file_that_appears_during_the_work_is_not_overwritten(tmp_path, about, results, both_ways):
    path = tmp_path / "a.txt"

    def slow(result, stream, about):
        path.write_bytes(b"from another program")

    with pytest.raises(OutputError, match="exists already"):
        write_file(results["events"], path, about, Writer("slow", (".txt",), (Result,), slow))
    assert path.read_bytes() == b"from another program"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_without_hard_links_an_appearing_file_is_not_overwritten_either(tmp_path, put, monkeypatch):
    monkeypatch.setattr(disk, "_open_nameless", lambda folder: None)
    failing("link", errno.EPERM, monkeypatch)
    put(tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_bytes() == LAB
    monkeypatch.setattr(disk, "check_target", lambda *args, **kwargs: None)
    with pytest.raises(OutputError, match="exists already"):
        put(tmp_path / "a.txt")
    assert os.listdir(tmp_path) == ["a.txt"]


def test_of_many_writers_at_once_one_wins(tmp_path, put, both_ways):
    outcomes = []

    def attempt():
        try:
            put(tmp_path / "a.txt")
            outcomes.append("written")
        except OutputError:
            outcomes.append("refused")

    threads = [threading.Thread(target=attempt) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused"] * 15 + ["written"]
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("stage", ["write", "fsync", "link"])
def test_a_failing_disk_leaves_nothing(tmp_path, put, both_ways, stage, monkeypatch):
    failing(stage, errno.ENOSPC, monkeypatch)
    with pytest.raises(OutputError, match=r"a\.txt: cannot write: the disk is full"):
        put(tmp_path / "a.txt")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("stage", ["write", "fsync", "replace"])
def test_a_failing_disk_leaves_the_old_file(tmp_path, put, both_ways, stage, monkeypatch):
    (tmp_path / "a.txt").write_bytes(b"mine")
    failing(stage, errno.EDQUOT, monkeypatch)
    with pytest.raises(OutputError, match="quota"):
        put(tmp_path / "a.txt", force=True)
    assert os.listdir(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_bytes() == b"mine"


def test_an_interrupt_leaves_nothing(tmp_path, put, both_ways, monkeypatch):
    def interrupt(fd):
        raise KeyboardInterrupt

    monkeypatch.setattr(disk.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        put(tmp_path / "a.txt")
    assert os.listdir(tmp_path) == []


def test_a_failing_writer_leaves_nothing(tmp_path, about, results):
    def fail(result, stream, about):
        stream.write(b"half")
        raise OutputError("no such thing")

    with pytest.raises(OutputError, match=r"a\.txt: no such thing"):
        write_file(results["events"], tmp_path / "a.txt", about, Writer("x", (".txt",), (Result,), fail))
    assert os.listdir(tmp_path) == []


def test_short_writes_are_continued(tmp_path, put, monkeypatch):
    write = os.write
    monkeypatch.setattr(disk.os, "write", lambda fd, data: write(fd, data[:3]))
    put(tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_bytes() == LAB


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("none/a.txt", "folder does not exist"),
        ("file/a.txt", "part of the path is a file"),
        ("folder", "is a folder"),
        ("x" * 256, "name is too long"),
        ("loop/a.txt", "run in a circle"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path, put, name, says):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    for attempt in (lambda: check_target(tmp_path / name, True), lambda: put(tmp_path / name, force=True)):
        with pytest.raises(OutputError, match=says) as caught:
            attempt()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "says"),
    [(errno.EROFS, "read-only"), (errno.EACCES, "no permission"), (errno.EIO, "cannot write: ")],
)
def test_a_folder_that_takes_no_files_is_an_output_error(tmp_path, put, monkeypatch, code, says):
    def fail(*args, **kwargs):
        raise OSError(code, "")

    monkeypatch.setattr(disk, "_open_nameless", lambda folder: None)
    monkeypatch.setattr("builtins.open", fail)
    with pytest.raises(OutputError, match=says):
        put(tmp_path / "a.txt")


def test_a_folder_without_permission_is_refused_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(disk.os, "access", lambda path, mode: False)
    with pytest.raises(OutputError, match="no permission"):
        check_target(tmp_path / "a.txt")


def test_missing_folders_are_made_only_when_asked_for(tmp_path, put):
    path = tmp_path / "a" / "b" / "c.txt"
    check_target(path, parents=True)
    assert os.listdir(tmp_path) == []
    put(path, parents=True)
    assert path.read_bytes() == LAB


def test_a_file_in_the_way_of_a_missing_folder_is_named_before_the_work(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(OutputError, match="part of the path is a file"):
        check_target(tmp_path / "a" / "b" / "c.txt", parents=True)


@pytest.mark.parametrize(
    "name", [b"x" * 251 + b".txt", b"bad\xff.txt", "späße ♫.txt".encode(), b"two\nlines.txt"]
)
def test_odd_names_are_written(tmp_path, put, both_ways, name):
    path = os.fsdecode(os.path.join(os.fsencode(tmp_path), name))
    put(path)
    assert os.listdir(os.fsencode(tmp_path)) == [name]
    with pytest.raises(OutputError) as caught:
        put(path)
    assert str(caught.value).isprintable()


def test_printable_shows_bytes_and_control_characters_as_escapes():
    assert printable(os.fsdecode(b"a\xff/b\n\x1b\xc3\xa4")) == r"a\xff/b\n\x1bä"


def test_a_link_is_followed_and_stays(tmp_path, put, both_ways):
    (tmp_path / "there").mkdir()
    target = tmp_path / "there" / "real.txt"
    target.write_bytes(b"old")
    (tmp_path / "a.txt").symlink_to(target)
    with pytest.raises(OutputError, match="exists already"):
        put(tmp_path / "a.txt")
    put(tmp_path / "a.txt", force=True)
    assert (tmp_path / "a.txt").is_symlink()
    assert target.read_bytes() == LAB


def test_a_dangling_link_gets_its_target(tmp_path, put):
    (tmp_path / "a.txt").symlink_to(tmp_path / "real.txt")
    put(tmp_path / "a.txt")
    assert (tmp_path / "a.txt").is_symlink()
    assert (tmp_path / "real.txt").read_bytes() == LAB


def test_permissions_are_those_of_the_umask(tmp_path, put, both_ways):
    before = os.umask(0o027)
    try:
        put(tmp_path / "a.txt")
    finally:
        os.umask(before)
    assert os.stat(tmp_path / "a.txt").st_mode & 0o777 == 0o640


def test_a_full_device_is_an_output_error(put):
    with pytest.raises(OutputError, match="/dev/full: cannot write: the disk is full"):
        put("/dev/full")


def test_the_null_device_takes_everything(put):
    put("/dev/null")
    assert not os.path.isfile("/dev/null")


def test_a_pipe_is_written_to_and_stays(tmp_path, put):
    pipe = tmp_path / "pipe.txt"
    os.mkfifo(pipe)
    got = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    put(pipe)
    reader.join()
    assert got == [LAB]
    assert pipe.is_fifo()


def test_an_open_file_of_the_process_is_added_to(tmp_path, put):
    with open(tmp_path / "log", "wb") as stream:
        stream.write(b"before\n")
        stream.flush()
        put(f"/dev/fd/{stream.fileno()}")
    assert (tmp_path / "log").read_bytes() == b"before\n" + LAB


def test_a_dash_is_standard_output(put, capfdbinary):
    check_target("-")
    put("-")
    assert capfdbinary.readouterr().out == LAB


def test_nothing_is_in_the_folder_before_the_whole_file_is(tmp_path, put, monkeypatch):
    seen = []
    give_name = disk._name

    def spy(fd, target):
        seen.append(os.listdir(tmp_path))
        give_name(fd, target)

    monkeypatch.setattr(disk, "_name", spy)
    put(tmp_path / "a.txt")
    assert seen == [[]]
