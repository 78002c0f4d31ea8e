"""Jobs in this process and in others: a bad one takes no other with it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
from fakes import install_plugin, recording
from mira import analysis, batch, plugins
from mira.batch import Job, Outcome, Processes, run


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The fake plugin, for this process and those that it starts."""
    folder = tmp_path / "plugins"
    install_plugin(folder)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    plugins.load_plugins.cache_clear()
    analysis.shared_model.cache_clear()
    yield tmp_path
    plugins.load_plugins.cache_clear()
    analysis.shared_model.cache_clear()


def _jobs(folder: Path, levels: list[float], task: str = "fake") -> list[Job]:
    paths = [recording(folder / f"{i}.wav", level=level, seed=i) for i, level in enumerate(levels)]
    return [Job(str(path), (task,)) for path in paths]


def _errors(outcomes: list[Outcome]) -> dict[str, str]:
    return {Path(o.job.path).stem: o.heard[0].error for o in outcomes}


def test_serial_run_keeps_the_order_and_goes_on_after_failures(fake: Path) -> None:
    jobs = [Job("none.wav", ("fake",)), *_jobs(fake, [0.5, 0.65, 0.85, 0.5])]
    outcomes = list(run(jobs))
    assert [o.job for o in outcomes] == jobs
    errors = _errors(outcomes)
    assert errors["0"] == errors["3"] == ""
    assert "none.wav: no such file" in errors["none"]
    assert "cannot count to three" in errors["1"]
    assert "not enough memory" in errors["2"]


def test_outcome_says_where_the_result_comes_from(fake: Path) -> None:
    [job] = _jobs(fake, [0.5])
    [outcome] = run([Job(job.path, ("fake",), {"fake": {"octave": 3}})])
    [heard] = outcome.heard
    assert heard.result is not None
    assert heard.about is not None
    assert list(heard.result.pitch) == [36, 36]  # type: ignore[attr-defined]
    assert heard.about.settings["octave"] == 3
    assert heard.about.settings["threshold"] == 0.1


def test_broken_decoder_fails_its_own_task_only(fake: Path) -> None:
    [job] = _jobs(fake, [0.5])
    [outcome] = run([Job(job.path, ("broken", "fake"))])
    broken, good = outcome.heard
    assert "decoding failed: KeyError" in broken.error
    assert "KeyError" in broken.traceback
    assert not broken.bug
    assert good.result is not None


def test_jobs_are_read_as_workers_come_free() -> None:
    read: list[int] = []

    class Threads:
        window = 2

        def start(self) -> Executor:
            return ThreadPoolExecutor(1)

        def stop(self, executor: Executor, *, now: bool) -> None:
            executor.shutdown(cancel_futures=now)

    def jobs() -> Iterator[Job]:
        for i in range(50):
            read.append(i)
            yield Job(f"none{i}.wav", ())

    outcomes = run(jobs(), Threads())
    next(outcomes)
    assert len(read) <= 4
    assert len(list(outcomes)) == 49


class _Deadly:
    """Workers that die of one job, and with them all that are under way."""

    window = 4

    def __init__(self, deadly: str) -> None:
        self.deadly = deadly
        self.started = 0

    def start(self) -> Executor:
        self.started += 1
        return _DeadlyExecutor(self.deadly)

    def stop(self, executor: Executor, *, now: bool) -> None:
        pass


class _DeadlyExecutor(Executor):
    def __init__(self, deadly: str) -> None:
        self.deadly = deadly
        self.waiting: list[tuple[Future[Outcome], Job]] = []
        self.dead = False

    def submit(self, fn, /, job):  # type: ignore[no-untyped-def, override]
        future: Future[Outcome] = Future()
        self.dead = self.dead or job.path == self.deadly
        if self.dead:
            future.set_exception(BrokenProcessPool("died"))
        else:
            future.set_result(Outcome(job, (batch.Heard("fake"),)))
        return future


def test_death_of_workers_is_charged_to_the_job_that_killed_them() -> None:
    workers = _Deadly("5.wav")
    outcomes = list(run([Job(f"{i}.wav", ("fake",)) for i in range(12)], workers))
    errors = _errors(outcomes)
    assert sorted(errors, key=int) == [str(i) for i in range(12)]
    assert [name for name, error in errors.items() if error] == ["5"]
    assert "died" in errors["5"]
    assert len(outcomes) == 12


@pytest.mark.slow
def test_worker_process_that_dies_fails_its_own_file_only(fake: Path) -> None:
    jobs = _jobs(fake, [0.5, 0.5, 0.75, 0.5, 0.65, 0.5, 0.5])
    errors = _errors(list(run(jobs, Processes(2))))
    assert sorted(name for name, error in errors.items() if error) == ["2", "4"]
    assert "died" in errors["2"]


@pytest.mark.slow
def test_leaving_the_run_early_ends_the_processes(fake: Path) -> None:
    from multiprocessing import active_children

    outcomes = run(_jobs(fake, [0.5] * 6), Processes(2))
    next(outcomes)
    assert active_children()
    outcomes.close()  # type: ignore[attr-defined]
    assert not active_children()


def test_cluster_without_dask_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from mira.errors import UsageError

    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"mira-audio\[cluster\]"):
        batch.Cluster("tcp://127.0.0.1:1")
