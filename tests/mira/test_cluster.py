"""Work on a dask cluster: a scheduler and two worker processes on loopback, one of which is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes import environment, mira, recording, start

pytest.importorskip("distributed")


@pytest.fixture
def cluster(home: Path, tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Address of a scheduler, and its two workers."""
    env = environment(home) | {"FAKE_GATE": str(tmp_path / "gate")}
    options = {"env": env, "stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL, "cwd": tmp_path}
    scheduler = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0",
         "--no-dashboard", "--no-show"], **options,
    )  # fmt: skip
    processes = [scheduler]
    try:
        assert scheduler.stderr is not None
        address = next(line.split()[-1].decode() for line in scheduler.stderr if b"Scheduler at" in line)
        for _ in range(2):
            worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1",
                      "--no-nanny", "--no-dashboard"]  # fmt: skip
            processes.append(subprocess.Popen(worker, **options))
        for process in processes[1:]:
            assert any(b"Registered to" in line for line in process.stderr)  # type: ignore[union-attr]
        yield address, processes[1:]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@pytest.mark.slow
def test_all_results_come_though_a_worker_is_killed(
    home: Path, tmp_path: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]]
) -> None:
    address, workers = cluster
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    album = tmp_path / "album"
    album.mkdir()
    for i in range(8):  # the first two wait at the gate, one in each worker
        recording(album / f"{i}.wav", seed=i, notes=1 + i % 3, level=0.95 if i < 2 else 0.5)
    process = start(home, ["hear", album, "--out-dir", tmp_path / "out", "--cluster", address])
    with open(gate, "wb"):  # opens once a worker waits there
        gate.unlink()
        gate.touch()  # whoever comes later passes
        workers[0].kill()
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    env = environment(home) | {"FAKE_GATE": str(gate)}
    assert mira(home, "hear", album, "--out-dir", tmp_path / "clean", env=env).returncode == 0
    clean = {p.name: p.read_bytes() for p in (tmp_path / "clean").iterdir()}
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == clean
    assert len(clean) == 8


def test_scheduler_that_does_not_answer_is_exit_2(home: Path, tmp_path: Path) -> None:
    recording(tmp_path / "a.wav")
    done = mira(home, "hear", tmp_path / "a.wav", "--cluster", "tcp://127.0.0.1:1")
    assert done.returncode == 2
    assert "127.0.0.1:1" in done.stderr
    assert len(done.stderr.splitlines()) == 1
