"""Faults, through real processes: one clear line, the right exit code, nothing lost."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from pathlib import Path

import pytest
from fakes import environment, mira, recording, start


def _bytes(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, leftovers included."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def _album(folder: Path, count: int) -> Path:
    folder.mkdir()
    for i in range(count):
        recording(folder / f"{i:02}.wav", seed=i, notes=1 + i % 4)
    return folder


def _heed_ctrl_c() -> None:
    """A shell starts what it runs in the background deaf to Ctrl-C, and so would be all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_keeps_what_is_finished(home: Path, tmp_path: Path, jobs: str) -> None:
    album = _album(tmp_path / "album", 2)
    for i in range(2, 9):
        recording(album / f"{i:02}.wav", level=0.95)  # the plugin waits for ever
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    env = environment(home) | {"FAKE_GATE": str(fifo)}
    out = tmp_path / "out"
    process = start(
        home,
        ["hear", album, "--out-dir", out, "--json", "-j", jobs],
        env=env,
        start_new_session=True,
        preexec_fn=_heed_ctrl_c,
    )
    assert process.stdout is not None
    lines = [process.stdout.readline(), process.stdout.readline()]
    with open(fifo, "wb"):  # opens once a worker waits
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert b"interrupted" in err
    assert sorted(_bytes(out)) == ["00.mid", "01.mid"]
    assert all(json.loads(line)["error"] is None for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize(("jobs", "kills"), [("1", 6), ("2", 3)])
def test_killed_at_random_moments_and_resumed_equals_a_clean_run(
    home: Path, tmp_path: Path, jobs: str, kills: int
) -> None:
    album = _album(tmp_path / "album", 30)
    command = ["hear", str(album), "--format", "midi", "--format", "json", "--json", "-j", jobs, "--out-dir"]
    assert mira(home, *command, tmp_path / "clean").returncode == 0
    clean = _bytes(tmp_path / "clean")
    assert len(clean) == 60
    dice = random.Random(int(jobs))
    out = tmp_path / "out"
    for kill in range(kills):
        process = start(home, [*command, out, "--resume"])
        assert process.stdout is not None
        for _ in range(dice.randrange(1, 30 * (kill + 1) // kills)):
            process.stdout.readline()
        process.kill()  # while the next recording is read, heard, written or noted
        process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL
        assert all(clean[name] == data for name, data in _bytes(out).items())
    done = mira(home, *command, out, "--resume")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 30
    assert _bytes(out) == clean


def test_workers_end_with_a_parent_that_is_killed(home: Path, tmp_path: Path) -> None:
    album = tmp_path / "album"
    album.mkdir()
    for i in range(4):
        recording(album / f"{i}.wav", level=0.95)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    env = environment(home) | {"FAKE_GATE": str(fifo)}
    process = start(home, ["hear", album, "--out-dir", tmp_path / "out", "-j", "2"], env=env)
    with open(fifo, "wb"):
        process.kill()
        # The pipes of stdout and stderr close when the last of the workers that hold them is gone.
        process.communicate(timeout=120)


def test_reader_that_goes_away_is_no_error_and_files_are_finished(home: Path, tmp_path: Path) -> None:
    album = _album(tmp_path / "album", 12)
    process = start(home, ["hear", album, "--json", "--out-dir", tmp_path / "out"])
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"{")
    process.stdout.close()
    err = process.stderr.read() if process.stderr else b""
    assert process.wait(120) == 0
    assert b"Traceback" not in err
    assert b"Broken" not in err
    assert len(_bytes(tmp_path / "out")) == 12


def test_reader_that_goes_away_ends_a_run_that_only_prints(home: Path, tmp_path: Path) -> None:
    album = _album(tmp_path / "album", 3)
    read, write = os.pipe()
    os.close(read)
    process = start(home, ["hear", album, "--json"], stdout=write)
    os.close(write)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0
    assert len(err.splitlines()) <= 1


@pytest.mark.parametrize("closed", [1, 2])
def test_closed_stdout_or_stderr_is_survived(home: Path, tmp_path: Path, closed: int) -> None:
    recording(tmp_path / "a.wav")
    done = mira(
        home, "hear", tmp_path / "a.wav", "-o", tmp_path / "a.mid", "-o", tmp_path / "a.csv",
        preexec_fn=lambda: os.close(closed),
    )  # fmt: skip
    assert done.returncode == 0
    assert (tmp_path / "a.mid").read_bytes()[:4] == b"MThd"


@pytest.mark.parametrize(
    "args", [("-o", "/dev/full", "--format", "midi"), ("-o", "/dev/full", "--format", "csv")]
)
def test_disk_full_is_one_line_and_exit_3(home: Path, tmp_path: Path, args: tuple[str, ...]) -> None:
    recording(tmp_path / "a.wav")
    done = mira(home, "hear", tmp_path / "a.wav", *args)
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1
    assert "full" in done.stderr


@pytest.mark.parametrize("args", [(), ("--json",)])
def test_stdout_on_a_full_disk_is_one_line_and_exit_3(
    home: Path, tmp_path: Path, args: tuple[str, ...]
) -> None:
    recording(tmp_path / "a.wav")
    with open("/dev/full", "wb") as full:
        done = mira(home, "hear", tmp_path / "a.wav", *args, stdout=full)
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1


def test_full_file_system_keeps_what_fits_and_leaves_no_half_file(home: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        return  # only root can; /dev/full is tested above
    try:
        album = _album(tmp_path / "album", 16)
        done = mira(home, "hear", album, "--out-dir", disk, "--format", "midi")
        assert done.returncode == 3
        assert "full" in done.stderr
        kept = _bytes(disk)
        assert 0 < len(kept) < 16
        assert mira(home, "hear", album, "--out-dir", tmp_path / "clean").returncode == 0
        clean = _bytes(tmp_path / "clean")
        assert all(clean[name] == data for name, data in kept.items())
    finally:
        subprocess.run(["umount", disk], check=True)


def test_names_of_any_bytes_and_length(home: Path, tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path / "album")
    os.mkdir(folder)
    names = [
        b"bad\xff.wav",
        "spä\u0308ße ♫.wav".encode(),
        b"new\nline\x1b[31m.wav",
        b"x" * 251 + b".wav",
        b" .wav",
    ]
    for name in names:
        recording(folder + b"/" + name)
    done = mira(home, "hear", folder, "--out-dir", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(os.path.basename(os.fsencode(r["path"])) for r in rows) == sorted(names)
    made = sorted(os.listdir(os.fsencode(tmp_path / "out")))
    assert made == sorted(name[:-4] + b".mid" for name in names)
    refused = mira(home, "hear", folder, "--out-dir", tmp_path / "out", "-q")
    assert refused.returncode == 3
    assert len(refused.stderr.splitlines()) == len(names)
    assert "\x1b" not in refused.stderr


def test_links_in_a_circle_are_one_line_for_the_file_and_none_for_the_folder(
    home: Path, tmp_path: Path
) -> None:
    album = _album(tmp_path / "album", 1)
    (album / "again").symlink_to(album)
    (album / "loop.wav").symlink_to("loop.wav")
    done = mira(home, "hear", album, "--out-dir", tmp_path / "out", "-q")
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1
    assert "loop.wav" in done.stderr
    assert list(_bytes(tmp_path / "out")) == ["00.mid"]


def test_recordings_that_are_none_fail_alone(home: Path, tmp_path: Path) -> None:
    album = _album(tmp_path / "album", 2)
    (album / "empty.wav").touch()
    (album / "noise.wav").write_bytes(random.Random(0).randbytes(3000))
    (album / "text.wav").write_text("hello")
    recording(album / "bug.wav", level=0.65)
    recording(album / "memory.wav", level=0.85)
    done = mira(home, "hear", album, tmp_path / "none.wav", "--out-dir", tmp_path / "out", "-q")
    assert done.returncode == 3
    lines = done.stderr.splitlines()
    for name in ("empty", "noise", "text", "bug", "memory", "none"):
        assert len([line for line in lines if f"{name}.wav" in line]) == 1, done.stderr
    assert len(lines) == 6
    assert list(_bytes(tmp_path / "out")) == ["00.mid", "01.mid"]


def test_stdin_is_a_recording(home: Path, tmp_path: Path) -> None:
    recording(tmp_path / "a.wav")
    piped = mira(home, "hear", "-", stdin=(tmp_path / "a.wav").read_bytes())
    named = mira(home, "hear", tmp_path / "a.wav")
    assert (piped.returncode, piped.stdout) == (0, named.stdout)
    nothing = mira(home, "hear", "-")
    assert nothing.returncode == 3
    assert len(nothing.stderr.splitlines()) == 1


def test_two_runs_share_one_store(home: Path, tmp_path: Path) -> None:
    album = _album(tmp_path / "album", 6)
    runs = [start(home, ["hear", album, "--out-dir", tmp_path / name]) for name in "ab"]
    talks = [process.communicate(timeout=120)[1] for process in runs]
    assert [process.returncode for process in runs] == [0, 0]
    assert not any(b"store" in talk for talk in talks)
    assert _bytes(tmp_path / "a") == _bytes(tmp_path / "b")
    done = mira(home, "hear", album, "--out-dir", tmp_path / "a", "--resume")
    assert "6 skipped" in done.stderr
