"""Which result goes where: ``-o``, ``--out-dir``, ``--format``, ``--plot``, or standard output."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mira.errors import UsageError
from mira.inputs import STDIN, Input
from mira.writers import Writer, find_writer

if TYPE_CHECKING:
    from mira.cli.options import Options
    from mira.task import Task

STDOUT = "-"

_TEXT = (".csv", ".json", ".lab", ".txt")
"""Suffixes of formats that a terminal can show."""


@dataclass(frozen=True)
class Target:
    """One file to write, or ``-`` for standard output, and its format."""

    path: str
    writer: Writer


@dataclass
class Outputs:
    """Where the results of a run go.

    Parameters
    ----------
    out_dir
        Folder for the files of ``writers``; empty if there is none.
    writers
        Task name -> formats to write into ``out_dir``.
    named
        Task name -> targets that the user named; they belong to the one input there is.
    """

    out_dir: str = ""
    writers: dict[str, list[Writer]] = field(default_factory=dict)
    named: dict[str, list[Target]] = field(default_factory=dict)

    def targets(self, item: Input, task: str) -> list[Target]:
        """List the targets of one task's result of one recording."""
        stem = os.path.splitext(item.relative)[0]
        middle = f".{task}" if len(self.writers) > 1 else ""
        mirrored = [
            Target(os.path.join(self.out_dir, f"{stem}{middle}{w.suffixes[0]}"), w)
            for w in self.writers.get(task, ())
        ]
        return [*self.named.get(task, ()), *mirrored]

    def check_collisions(self, items: Iterable[Input], tasks: Iterable[str]) -> None:
        """Find out before any work that no two results go to one file.

        Raises
        ------
        UsageError
            If two do; the text names the two recordings.
        """
        takers: dict[str, str] = {}
        names = list(tasks)
        for item in items:
            if item.error:
                continue
            for target in (t for name in names for t in self.targets(item, name) if t.path != STDOUT):
                place = os.path.abspath(target.path)
                if place in takers:
                    raise UsageError(
                        f"{takers[place]} and {item.path} would both be written to {target.path}; "
                        "rename one or give each its own --out-dir"
                    )
                takers[place] = item.path


def choose(
    options: Options,
    tasks: Sequence[Task],
    items: Sequence[Input],
    writers: Sequence[Writer],
    files: Mapping[str, str],
    *,
    silent: bool = False,
) -> Outputs:
    """Turn the output flags into targets; ``files`` are those of a task's own flags, format -> path.

    ``silent``: nothing is printed where no flag asks for it.

    Raises
    ------
    UsageError
        If flags cannot be combined, or a format cannot hold any task's result.
    """
    listed = silent or (not options.format and all(_printed(t, None, writers).listing for t in tasks))
    _check_flags(options, len(items), list(files), listed)
    out_dir = options.out_dir or ""
    outputs = Outputs(out_dir)
    if options.out_dir is not None:
        outputs.out_dir = options.out_dir or os.curdir
        outputs.writers = _formats(tasks, options.format, writers)
    one_format = options.format[0] if options.format and not options.out_dir else None
    for path in options.output:
        _give(outputs.named, _target(path, one_format, tasks, writers))
    if options.plot:
        _give(outputs.named, _target(options.plot, None, tasks, writers))
    for name, path in files.items():
        _give(outputs.named, _target(path, name, tasks, writers))
    if not (outputs.named or outputs.writers or options.json or silent):
        for task in tasks:
            _give(outputs.named, (task, Target(STDOUT, _printed(task, one_format, writers))))
    return outputs


def _check_flags(options: Options, count: int, files: Sequence[str], listed: bool) -> None:
    if count > 1 and (options.output or options.plot or files):
        flag = "-o" if options.output else "--plot" if options.plot else f"--{files[0]}"
        raise UsageError(f"{flag} takes one recording, but there are {count}; use --out-dir DIR")
    if count > 1 and options.out_dir is None and not (options.json or listed):
        raise UsageError(f"{count} recordings need a place for their results: --out-dir DIR, or --json")
    if len(options.format) > 1 and options.out_dir is None:
        raise UsageError("several --format need --out-dir; or name each file with its own -o")
    if options.json and (STDOUT in options.output):
        raise UsageError("-o - and --json both print on stdout; leave one out")
    if options.resume and options.out_dir is None and not options.output:
        raise UsageError("--resume needs files to look at; use --out-dir DIR")


def _give(named: dict[str, list[Target]], given: tuple[Task, Target]) -> None:
    named.setdefault(given[0].name, []).append(given[1])


def _formats(
    tasks: Sequence[Task], formats: Sequence[str], writers: Sequence[Writer]
) -> dict[str, list[Writer]]:
    """List for each task those of the formats that can hold its result; its usual one if none is named."""
    if not formats:
        return {t.name: [find_writer(t.result, suffix=t.suffix, writers=writers)] for t in tasks}
    able: dict[str, list[Writer]] = {t.name: [] for t in tasks}
    for name in formats:
        for task in _takers(tasks, name, "", writers):
            able[task.name].append(find_writer(task.result, format=name, writers=writers))
    for task in tasks:
        if not able[task.name]:
            find_writer(task.result, format=formats[0], writers=writers)
    return able


def _target(
    path: str, format: str | None, tasks: Sequence[Task], writers: Sequence[Writer]
) -> tuple[Task, Target]:
    if path == STDOUT and len(tasks) == 1:
        return tasks[0], Target(path, _printed(tasks[0], format, writers))
    takers = _takers(tasks, format, path, writers)
    if len(takers) > 1:
        names = " and ".join(t.name for t in takers)
        raise UsageError(f"-o {path}: {names} could both be written there; use --out-dir DIR")
    return takers[0], Target(path, find_writer(takers[0].result, suffix=path, format=format, writers=writers))


def _takers(tasks: Sequence[Task], format: str | None, path: str, writers: Sequence[Writer]) -> list[Task]:
    """List the tasks whose results the format can hold; if there are none, say what there is instead."""
    takers = []
    for task in tasks:
        try:
            find_writer(task.result, suffix=path, format=format, writers=writers)
        except UsageError:
            if task is tasks[-1] and not takers:
                raise
        else:
            takers.append(task)
    return takers


def _printed(task: Task, format: str | None, writers: Sequence[Writer]) -> Writer:
    """Choose the format for stdout: the one named, a listing, the task's usual one if text, CSV, or JSON."""
    if format is not None:
        return find_writer(task.result, format=format, writers=writers)
    for writer in writers:
        if writer.listing and issubclass(task.result, writer.results):
            return writer
    for suffix in (task.suffix, ".csv"):
        able = [w for w in writers if issubclass(task.result, w.results) and suffix in w.suffixes]
        if suffix in _TEXT and able:
            return able[0]
    return find_writer(task.result, suffix=".json", writers=writers)


def describe(item: Input, targets: Mapping[str, Sequence[Target]]) -> str:
    """Say in one line what would be written for a recording."""
    places = [t.path if t.path != STDOUT else "stdout" for each in targets.values() for t in each]
    name = "stdin" if item.path == STDIN else item.path
    return f"{name} -> {', '.join(places) or 'stdout'}"
