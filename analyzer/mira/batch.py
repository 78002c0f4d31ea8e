"""Many recordings: jobs, the workers that do them, and what comes back.

A job and its outcome are plain values, so that any ``concurrent.futures`` executor can carry them: a pool of
processes on this machine or dask's on many. Workers read files and compute; they write nothing.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from mira.errors import MiraError, PluginError, UsageError

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future
    from multiprocessing.process import BaseProcess

    from mira.results import Result
    from mira.writers import About


@dataclass(frozen=True)
class Job:
    """One recording and what to listen for.

    Parameters
    ----------
    path
        The recording; workers of a cluster need it absolute.
    tasks
        Names of the tasks.
    settings
        Task name -> settings.
    threads, provider
        As for :func:`mira.load_model`.
    raw_rate
        Rate of raw samples on standard input.
    """

    path: str
    tasks: tuple[str, ...]
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    threads: int | None = None
    provider: str | None = None
    raw_rate: int | None = None


@dataclass(frozen=True)
class Heard:
    """What one task made of one recording: a result and where it comes from, or an error.

    ``traceback`` is set where code is to blame, ``bug`` where it is mira's own.
    """

    task: str
    result: Result | None = None
    about: About | None = None
    error: str = ""
    traceback: str = ""
    bug: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of a job: one :class:`Heard` for each of its tasks, and warnings about the recording."""

    job: Job
    heard: tuple[Heard, ...]
    warnings: tuple[str, ...] = ()


def listen(job: Job) -> Outcome:
    """Do a job in this process. It never raises: one bad file must not take others with it."""
    from mira import analysis

    try:
        models = {name: analysis.shared_model(name, job.threads, job.provider) for name in job.tasks}
        heard, warnings = analysis.listen(analysis.opener(job.path, raw_rate=job.raw_rate), models)
    except Exception as error:  # of whatever kind, it is this job's alone; it is recorded
        return failed(job, error)
    done = tuple(_decode(job, models[name], heard[name]) for name in job.tasks)
    return Outcome(job, done, tuple(warnings))


def _decode(job: Job, model: Any, activations: Any) -> Heard:
    name = model.task.name
    settings = job.settings.get(name, {})
    try:
        if isinstance(activations, Exception):
            raise activations
        result = model.decode(activations, **settings)
        return Heard(name, result, model.about(job.path, activations, settings))
    except Exception as error:  # as in listen
        return error_of(name, error)


def failed(job: Job, error: Exception) -> Outcome:
    """Say that a job came to nothing."""
    return Outcome(job, tuple(error_of(name, error) for name in job.tasks))


def error_of(task: str, error: Exception) -> Heard:
    """Say why a task came to nothing."""
    if isinstance(error, MemoryError):
        return Heard(task, error="not enough memory; close other programs or use fewer --jobs")
    text = " ".join(str(error).split())
    if isinstance(error, MiraError) and not isinstance(error, PluginError):
        return Heard(task, error=text)
    from traceback import format_exception

    trace = "".join(format_exception(error))
    if isinstance(error, PluginError):
        return Heard(task, error=text, traceback=trace)
    return Heard(task, error=f"internal error: {type(error).__name__}: {text}", traceback=trace, bug=True)


class Workers(Protocol):
    """Where jobs are done."""

    window: int
    """How many jobs are handed out at once."""

    def start(self) -> Executor:
        """Start them."""
        ...

    def stop(self, executor: Executor, *, now: bool) -> None:
        """Let them end; ``now``: whatever they are doing."""
        ...


def run(jobs: Iterable[Job], workers: Workers | None = None) -> Generator[Outcome, None, None]:
    """Do jobs and yield their outcomes, each as soon as it is there; without ``workers`` in this process.

    ``jobs`` is read as workers come free. A worker that dies takes down only the job that killed it: the jobs
    that were under way are then done again, one at a time, which shows which one it was.
    """
    if workers is None:
        yield from map(listen, jobs)
        return
    queue = _Queue(workers)
    try:
        yield from queue.run(iter(jobs))
    except BaseException:
        queue.stop(now=True)
        raise
    queue.stop(now=False)


class _Queue:
    """The jobs that are under way in an executor, which is replaced when it breaks."""

    def __init__(self, workers: Workers) -> None:
        self.workers = workers
        self.executor = workers.start()
        self.running: dict[Future[Outcome], Job] = {}
        self.suspects: deque[Job] = deque()

    def run(self, jobs: Iterator[Job]) -> Iterator[Outcome]:
        from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, wait

        while self._fill(jobs):
            broken = []
            alone = len(self.running) == 1
            for future in wait(self.running, return_when=FIRST_COMPLETED).done:
                job = self.running.pop(future)
                try:
                    outcome = future.result()
                except BrokenExecutor:
                    broken.append(job)
                    continue
                except Exception as error:  # what the executor itself has to say; it is recorded
                    reason = str(error) or type(error).__name__
                    outcome = failed(job, MiraError(f"no worker could do it: {reason}"))
                yield outcome
            if broken:
                yield from self._renew(broken, alone)

    def stop(self, *, now: bool) -> None:
        self.workers.stop(self.executor, now=now)

    def _fill(self, jobs: Iterator[Job]) -> bool:
        """Hand out jobs, suspects one at a time; False when all is done."""
        if self.suspects:
            if not self.running:
                self._submit(self.suspects.popleft())
            return True
        while len(self.running) < self.workers.window and (job := next(jobs, None)) is not None:
            self._submit(job)
        return bool(self.running)

    def _submit(self, job: Job) -> None:
        from concurrent.futures import BrokenExecutor, Future

        try:
            future = self.executor.submit(listen, job)
        except BrokenExecutor as error:
            future = Future()
            future.set_exception(error)
        self.running[future] = job

    def _renew(self, broken: list[Job], alone: bool) -> Iterator[Outcome]:
        """Replace the dead workers; a job that was alone with them is the one that killed them."""
        self.stop(now=True)
        self.executor = self.workers.start()
        if alone:
            death = MiraError("its worker process died, killed or out of memory; try fewer --jobs")
            yield failed(broken[0], death)
        else:
            self.suspects.extend([*broken, *self.running.values()])
            self.running.clear()


class Processes:
    """Worker processes on this machine.

    Parameters
    ----------
    count
        How many; one more job than that is handed out, so that none of them waits.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.window = count + 1
        self._others: set[BaseProcess] = set()

    def start(self) -> Executor:
        """Start them, afresh rather than by forking, which threads of onnxruntime do not survive."""
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        self._others = set(multiprocessing.active_children())
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self.count, mp_context=context, initializer=_begin_worker)

    def stop(self, executor: Executor, *, now: bool) -> None:
        """Let them end."""
        import multiprocessing

        if now:
            for process in set(multiprocessing.active_children()) - self._others:
                process.kill()
        executor.shutdown(wait=True, cancel_futures=now)


def _begin_worker() -> None:
    """Leave Ctrl-C to the parent, and end with it, even if it was killed."""
    import signal
    from multiprocessing import parent_process
    from threading import Thread

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
        os._exit(1)

    Thread(target=follow, daemon=True).start()


class Cluster:
    """Workers of a dask cluster; they must see the recordings under the same paths.

    Parameters
    ----------
    address
        Of the scheduler, such as ``tcp://10.0.0.1:8786``.

    Raises
    ------
    UsageError
        If dask.distributed is not installed, or no scheduler answers.
    """

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise UsageError("--cluster needs dask.distributed: pip install 'mira-audio[cluster]'") from None
        import logging

        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        try:
            self._client = Client(address, timeout=10, set_as_default=False)
        except (OSError, ValueError) as error:
            raise UsageError(f"--cluster {address}: no dask scheduler answers there: {error}") from None
        self.window = 2 * max(1, sum(self._client.nthreads().values()))

    def start(self) -> Executor:
        """Use them."""
        return self._client.get_executor(pure=False)

    def stop(self, executor: Executor, *, now: bool) -> None:
        """Leave them; what they are still to do is cancelled."""
        executor.shutdown(wait=not now)
        self._client.close()
