"""What a task command does: inputs become jobs, outcomes become files, lines and an exit code."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from functools import cached_property
from importlib import import_module
from threading import Thread
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mira import batch
from mira.cli.console import Stdout, printable, progress, say, show
from mira.cli.outputs import STDOUT, Outputs, Target, choose, describe
from mira.errors import Exit, MiraError, ModelError, OutputError, PluginError, UsageError
from mira.inputs import STDIN, Input, expand
from mira.task import make_settings
from mira.writers import About, check_target, write_file

if TYPE_CHECKING:
    from pathlib import Path

    from mira.cli.options import Options
    from mira.cli.resume import Ledger
    from mira.results import Result
    from mira.task import Task, Together
    from mira.writers import Writer


def run(
    tasks: Sequence[Task],
    paths: Sequence[str],
    options: Options,
    settings: Mapping[str, Mapping[str, Any]],
    writers: Sequence[Writer],
    *,
    files: Mapping[str, str] = MappingProxyType({}),
    together: Together | None = None,
    debug: bool = False,
) -> Exit:
    """Listen to all recordings for all tasks and put the results where ``options`` and ``files`` say.

    ``together`` is told what the one task heard in all of them.

    Returns
    -------
    ``OK``, ``FAILED`` if an input failed, or ``BUG`` if the program is to blame.

    Raises
    ------
    UsageError
        If something is asked for that cannot be; nothing has been done then.
    """
    for task in tasks:
        make_settings(task, settings.get(task.name, {}))
    together = together if together is not None and together.asked() else None
    items = expand(together.recordings(paths) if together is not None else paths)
    if not items:
        raise UsageError("name the recordings: files, folders, patterns, playlists, or - for stdin")
    outputs = choose(options, tasks, items, writers, files, silent=together is not None)
    outputs.check_collisions(items, [t.name for t in tasks])
    _check_workers(options, items)
    this = _Run(tasks, items, options, settings, outputs, debug, together)
    try:
        if options.dry_run and together is None:
            this.pretend()
        else:
            this.work()
    finally:
        this.finish()
    return this.exit_code


def _check_workers(options: Options, items: Sequence[Input]) -> None:
    piped = any(i.path == STDIN for i in items)
    if piped and (options.jobs > 1 or options.cluster):
        raise UsageError("standard input (-) is for one process only; leave out --jobs and --cluster")
    if options.raw_rate and not piped:
        raise UsageError("--raw-rate is for standard input; give - as the recording")
    if options.jobs < 1 or (options.raw_rate or 1) < 1:
        raise UsageError("--jobs and --raw-rate must be at least 1")
    if options.cluster and options.jobs > 1:
        raise UsageError("use either --jobs or --cluster")


def _identity(model: Path | None) -> dict[str, str]:
    from mira.card import read_card

    try:
        card = read_card(model) if model is not None else None
    except MiraError:
        card = None
    return {"name": card.name, "version": card.version} if card is not None else {}


class _Run:
    """One run of a command: what it is to do, and how it went so far."""

    def __init__(
        self,
        tasks: Sequence[Task],
        items: Sequence[Input],
        options: Options,
        settings: Mapping[str, Mapping[str, Any]],
        outputs: Outputs,
        debug: bool,
        together: Together | None = None,
    ) -> None:
        self.together = together
        self.heard: list[tuple[str, Result]] = []
        self.tasks = {task.name: task for task in tasks}
        self.items = items
        self.options = options
        self.settings = settings
        self.outputs = outputs
        self.debug = debug
        self.stdout = Stdout()
        self.threads = options.threads
        if options.threads is None and options.jobs > 1:
            self.threads = max(1, (os.cpu_count() or 1) // options.jobs)
        self.exit_code = Exit.OK
        self.broken = False
        self.failures: list[str] = []
        self.written: list[str] = []
        self.done = self.skipped = 0
        self.ledger: Ledger | None = None
        self._of_job: dict[str, Input] = {}
        self._advance = lambda _: None

    # What is to be done.

    def pretend(self) -> None:
        """Say what would be written."""
        for item in self.items:
            targets = {name: self.outputs.targets(item, name) for name in self.tasks}
            if self._refused(item, targets):
                continue
            self.stdout.write(printable(describe(item, targets)).encode() + b"\n")

    def work(self) -> None:
        """Do it."""
        self._fetch_ahead()
        self._load_models()
        if not self.tasks:
            return
        if self.options.out_dir is not None or self.options.resume:
            from mira.cli.resume import Ledger

            self.ledger = Ledger(self.tasks, self.settings, say)
        with (
            progress(len(self.items), self.options.quiet) as self._advance,
            closing(batch.run(self._jobs(), self._workers())) as outcomes,
        ):
            for outcome in outcomes:
                self._take(outcome)
                if not self.stdout.open and not self._writes_files:
                    break
        if self.together is not None:
            self._finish_together(self.together)

    def _finish_together(self, together: Together) -> None:
        """Do with all results what the user asked for; a failure is one more line."""
        try:
            for line in together.finish(self.heard, self.options.force, self.options.dry_run):
                self.stdout.write(printable(line).encode() + b"\n")
        except MiraError as error:
            self.failures.append(str(error))
            self.exit_code = error.exit_code if self.exit_code is Exit.OK else self.exit_code

    def _fetch_ahead(self) -> None:
        """Import what the writers need beside the model's work, which leaves Python free."""
        targets = [
            t for item in self.items[:1] for name in self.tasks for t in self.outputs.targets(item, name)
        ]
        needs = sorted({module for target in targets for module in target.writer.needs})

        def fetch() -> None:
            with suppress(ImportError):  # the writer will say what to install
                for module in needs:
                    import_module(module)

        if needs:
            Thread(target=fetch, daemon=True).start()

    def _load_models(self) -> None:
        """Load the models before the work, so that a broken one is one line, not one for each recording."""
        from mira.analysis import shared_model
        from mira.card import load_bytes

        here = self._workers_count < 2 and not self.options.cluster
        for name, task in list(self.tasks.items()):
            try:
                if here:
                    shared_model(name, self.threads, self.options.provider)
                elif task.model is not None:
                    load_bytes(task.model)
            except (ModelError, PluginError) as error:
                self.failures.append(str(error))
                for item in self.items:
                    self._record_failure(item, batch.error_of(name, error))
                del self.tasks[name]
                self.broken = True

    @property
    def _workers_count(self) -> int:
        return min(self.options.jobs, len(self.items))

    def _workers(self) -> batch.Workers | None:
        if self.options.cluster:
            return batch.Cluster(self.options.cluster)
        return batch.Processes(self._workers_count) if self._workers_count > 1 else None

    def _jobs(self) -> Iterator[batch.Job]:
        for item in self.items:
            tasks = self._pending(item)
            if not tasks:
                self._advance(item.path)
                continue
            path = os.path.abspath(item.path) if self.options.cluster else item.path
            self._of_job[path] = item
            options = self.options
            yield batch.Job(path, tasks, self.settings, self.threads, options.provider, options.raw_rate)

    def _pending(self, item: Input) -> tuple[str, ...]:
        """Name the tasks that are still to be done for a recording; none if it cannot be."""
        targets = {name: self.outputs.targets(item, name) for name in self.tasks}
        if self._refused(item, targets):
            return ()
        if self.ledger is None or not self.ledger.begin(item.path):
            return tuple(self.tasks)
        done = {n for n in self.tasks if self.options.resume and self._resumed(item, n, targets[n])}
        self.skipped += len(done) == len(self.tasks)
        return tuple(name for name in self.tasks if name not in done)

    def _refused(self, item: Input, targets: Mapping[str, Sequence[Target]]) -> bool:
        """Report what makes a recording hopeless before any work on it."""
        error = item.error
        try:
            for target in (t for each in targets.values() for t in each):
                again = self.options.force or self.options.resume
                check_target(target.path, again, parents=self.options.out_dir is not None)
        except OutputError as refusal:
            error = error or str(refusal)
        for name in self.tasks if error else ():
            self._fail(item, batch.Heard(name, error=error))
        return bool(error)

    def _resumed(self, item: Input, task: str, targets: Sequence[Target]) -> bool:
        """Whether a task's files are all there and hold; the line for ``--json`` is then the store's."""
        assert self.ledger is not None
        files = [t.path for t in targets if t.path != STDOUT]
        if len(files) < len(targets) or not files or not self.ledger.holds(item.path, task, files):
            return False
        if self.options.json:
            record = self.ledger.record(item.path, task)
            if record is None:
                return False
            self._print(record | {"path": item.path})
        return True

    # What came of it.

    def _take(self, outcome: batch.Outcome) -> None:
        item = self._of_job.pop(outcome.job.path)
        for warning in outcome.warnings:
            say(_naming(item.path, warning))
        whole = True
        for heard in outcome.heard:
            whole &= self._deliver(item, heard)
        self.done += whole and not self.broken
        self._advance(item.path)

    def _deliver(self, item: Input, heard: batch.Heard) -> bool:
        if heard.result is None or heard.about is None:
            self._fail(item, heard)
            return False
        try:
            self._write_all(item, heard.task, heard.result, dataclasses.replace(heard.about, path=item.path))
        except Exception as error:  # one file must not stop the others; it is recorded
            self._fail(item, batch.error_of(heard.task, error))
            return False
        return True

    def _write_all(self, item: Input, task: str, result: Result, about: About) -> None:
        values: dict[str, Any] = {}
        if self.options.json or self.ledger is not None:
            from mira.writers.json import record

            values = record(result, about)
        if self.ledger is not None:
            self.ledger.keep(item.path, task, values)
        for target in self.outputs.targets(item, task):
            self._write(item, target, result, about)
        if self.options.json:
            self._print(values)
        if self.together is not None:
            self.heard.append((item.path, result))

    def _write(self, item: Input, target: Target, result: Result, about: About) -> None:
        if target.path == STDOUT and not self.stdout.open:
            return
        force, ledger = self.options.force, self.ledger
        if ledger is not None and self.options.resume and not force:
            if ledger.adopts(item.path, target, result, about):
                return
            force = ledger.wrote(target.path)
        parents = self.options.out_dir is not None
        try:
            write_file(result, target.path, about, target.writer, force=force, parents=parents)
        except BrokenPipeError:
            self.stdout.close()
            return
        if target.path != STDOUT:
            self.written.append(target.path)
            if ledger is not None:
                ledger.written(item.path, about.task, target.path)

    @property
    def _writes_files(self) -> bool:
        named = (t.path for each in self.outputs.named.values() for t in each)
        return bool(self.outputs.writers) or any(path != STDOUT for path in named)

    def _fail(self, item: Input, heard: batch.Heard) -> None:
        several = f" ({heard.task})" if len(self.tasks) > 1 else ""
        line = _naming(item.path, heard.error) + several
        if heard.traceback and self.debug:
            show(heard.traceback)
        elif heard.traceback:
            line += "; run again with --debug for a traceback"
        self.failures.append(line)
        self._record_failure(item, heard)

    def _record_failure(self, item: Input, heard: batch.Heard) -> None:
        self.exit_code = Exit.BUG if heard.bug or self.exit_code is Exit.BUG else Exit.FAILED
        if self.options.json:
            from mira.writers.json import record

            given = self.settings.get(heard.task, {})
            about = About(item.path, heard.task, self._identities[heard.task], given)
            self._print(record(None, about, heard.error))

    @cached_property
    def _identities(self) -> dict[str, dict[str, str]]:
        """Task -> name and version of its model, as far as they can be read."""
        return {name: _identity(task.model) for name, task in self.tasks.items()}

    def _print(self, values: Mapping[str, Any]) -> None:
        from mira.writers.json import dumps

        self.stdout.write(dumps(values).encode("ascii") + b"\n")

    def finish(self) -> None:
        """List the failures and say how much was done, also after Ctrl-C."""
        if self.ledger is not None:
            self.ledger.close()
        for line in self.failures:
            say(line)
        if self.options.quiet or self.options.dry_run:
            return
        total = len(self.items)
        if total > 1:
            left = total - self.done - self.skipped
            say(f"{total} recordings: {self.done} done, {self.skipped} skipped, {left} failed or not done")
        elif self.written:
            say(f"wrote {', '.join(self.written)}")


def _naming(path: str, message: str) -> str:
    """Put the recording's name before a message that does not name it."""
    name = "standard input" if path == STDIN else path
    return message if printable(name) in printable(message) else f"{name}: {message}"
