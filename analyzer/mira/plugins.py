"""Guarded discovery of plugins: one that is broken is reported, and the rest works.

Plugins are the entry points of the group ``mira``. They are found by reading ``entry_points.txt`` of the
installed distributions: with 117 of them that takes 3 ms, where ``importlib.metadata`` takes 30 (20 to import
it), a third of what ``mira --help`` may take. Distributions in zip files, and those that another importer
finds, are not seen.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import io
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from mira.errors import PluginError, UsageError
from mira.hooks import GROUP, Hooks
from mira.results import Result
from mira.task import Task
from mira.writers import Writer

if TYPE_CHECKING:
    import typer

OWN = "mira-audio"
"""The distribution whose plugins come first."""

RESERVED = frozenset({"analyze", "data", "doctor", "evaluate", "export", "models", "plugins", "train"})
"""Commands of mira itself, which no task may take."""

DISABLED = "disabled by MIRA_DISABLE"
"""The error of a plugin that the user has left out."""

SLOW_S = 0.5
"""A plugin that takes longer to load is warned about."""


@dataclass(frozen=True)
class PluginInfo:
    """What ``mira plugins`` shows of one plugin.

    Parameters
    ----------
    name
        Name of its entry point.
    version, origin
        Version and name of the distribution that it comes from.
    module
        What the entry point names: ``package.module`` or ``package.module:object``.
    tasks, commands, writers
        Names of what it adds.
    error
        Why it is not used, or None.
    warnings
        What its author should mend.
    seconds
        How long it took to load.
    """

    name: str
    version: str
    origin: str
    module: str
    tasks: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    writers: tuple[str, ...] = ()
    error: str | None = None
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0


@cache
def load_plugins() -> Plugins:
    """Load all installed plugins, once for the process, but those that ``MIRA_DISABLE=name,name`` names."""
    disabled = os.environ.get("MIRA_DISABLE", "").split(",")
    return Plugins(find_plugins(sys.path), {name.strip() for name in disabled})


class Plugins:
    """A set of plugins, the broken ones included.

    Parameters
    ----------
    found
        The plugins to load, in this order: of two that claim one name, the first has it.
    disabled
        Names of plugins or distributions to leave out.

    Attributes
    ----------
    infos
        One for each plugin.
    tasks
        Name of the task -> the task.
    writers
        Formats that plugins add.
    recipes
        Name of the plugin -> its folder of training recipes.
    """

    def __init__(self, found: Iterable[PluginInfo], disabled: Iterable[str] = ()) -> None:
        self.infos: list[PluginInfo] = []
        self.tasks: dict[str, Task] = {}
        self.writers: list[Writer] = []
        self.recipes: dict[str, Path] = {}
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(Hooks)
        off = set(disabled)
        for info in found:
            if off & {info.name, info.origin}:
                self.infos.append(dataclasses.replace(info, error=DISABLED))
            else:
                self.infos.append(_guarded(self._load, info))

    @property
    def hook(self) -> pluggy.HookRelay:
        """The hooks of the plugins that loaded; calls through it are not guarded."""
        return self._manager.hook

    def task(self, name: str) -> Task:
        """Find a task by its name or its command.

        Raises
        ------
        UsageError
            If there is none; the text names those that there are, and the plugins that failed.
        """
        for task in self.tasks.values():
            if name in (task.name, task.command):
                return task
        failed = [f"{info.name} ({info.error})" for info in self.infos if info.error]
        missing = f"; plugins not loaded: {', '.join(failed)}" if failed else ""
        raise UsageError(f"there is no task '{name}'; known: {', '.join(self.tasks) or 'none'}{missing}")

    def add_commands(self, app: typer.Typer) -> None:
        """Let each plugin add its commands; one that fails, or takes a name, adds none and is reported."""
        for i, info in enumerate(self.infos):
            if not info.error:
                self.infos[i] = _guarded(partial(self._add_commands, app), info)

    def _load(self, info: PluginInfo) -> PluginInfo:
        if self._manager.has_plugin(info.name):
            raise PluginError(f"another plugin is called '{info.name}'")
        plugin = _load_object(info.module)
        self._manager.register(plugin, info.name)
        try:
            self._check_hooks(plugin)
            tasks = _listed(self._call(plugin, "mira_tasks", []), Task, "mira_tasks")
            writers = _listed(self._call(plugin, "mira_writers", []), Writer, "mira_writers")
            recipes = self._call(plugin, "mira_recipes", None)
            for task in tasks:
                _check_task(task)
            self._check_names(tasks)
            for writer in writers:
                _check_writer(writer)
            if not isinstance(recipes, Path | None):
                raise PluginError(f"mira_recipes gave {recipes!r}, which is no Path")
        except BaseException:
            self._manager.unregister(plugin)
            raise
        self.tasks |= {task.name: task for task in tasks}
        self.writers += writers
        if recipes is not None:
            self.recipes[info.name] = recipes
        return dataclasses.replace(
            info,
            tasks=tuple(task.name for task in tasks),
            commands=tuple(task.command for task in tasks),
            writers=tuple(writer.name for writer in writers),
        )

    def _call(self, plugin: object, hook: str, default: Any, **arguments: Any) -> Any:
        """Call one hook of one plugin; ``default`` if it does not implement it."""
        for found in getattr(self._manager.hook, hook).get_hookimpls():
            if found.plugin is plugin:
                return found.function(*(arguments[name] for name in found.argnames))
        return default

    def _check_hooks(self, plugin: object) -> None:
        callers = self._manager.get_hookcallers(plugin) or []
        unknown = [caller.name for caller in callers if not caller.has_spec()]
        if unknown:
            raise PluginError(f"there is no hook '{unknown[0]}'")
        if not callers:
            raise PluginError("it implements no hook; is one marked with @mira.hooks.hookimpl?")

    def _check_names(self, tasks: list[Task]) -> None:
        """Refuse tasks whose name or command is taken; a plugin is in as a whole or out."""
        owners = {
            name: info for info in self.infos if not info.error for name in (*info.tasks, *info.commands)
        }
        claimed: set[str] = set()
        for task in tasks:
            for name in {task.name, task.command}:
                if name in owners:
                    owner = owners[name]
                    raise PluginError(
                        f"'{name}' is taken by plugin '{owner.name}' of {owner.origin}; "
                        f"MIRA_DISABLE={owner.name} frees it"
                    )
                if name in RESERVED or name in claimed:
                    raise PluginError(f"'{name}' is taken by {'mira' if name in RESERVED else 'itself'}")
            claimed |= {task.name, task.command}

    def _add_commands(self, app: typer.Typer, info: PluginInfo) -> PluginInfo:
        before = app.registered_commands[:], app.registered_groups[:]
        taken = _command_names(app)
        try:
            self._call(self._manager.get_plugin(info.name), "mira_commands", None, app=app)
            names = _command_names(app)
            if len(set(names)) < len(names):
                raise PluginError("it adds a command whose name is taken")
        except BaseException:
            app.registered_commands[:], app.registered_groups[:] = before
            raise
        added = [name for name in names if name not in taken]
        return dataclasses.replace(info, commands=(*info.commands, *added))


def find_plugins(path: Iterable[str]) -> list[PluginInfo]:
    """Find the entry points of the group ``mira``, mira's own first, then by distribution and name.

    Parameters
    ----------
    path
        Folders to look in, such as ``sys.path``; of a distribution found twice the first counts.
    """
    found: dict[str, list[PluginInfo]] = {}
    for folder in path:
        for name, text in _entry_points(folder or "."):
            origin, _, version = name.rpartition(".")[0].partition("-")
            origin = re.sub(r"[-_.]+", "-", origin).lower()
            entries = [PluginInfo(name, version, origin, module) for name, module in _entries(text)]
            if entries:
                found.setdefault(origin, entries)
    infos = [info for entries in found.values() for info in entries]
    return sorted(infos, key=lambda info: (info.origin != OWN, info.origin, info.name))


def _entry_points(folder: str) -> Iterator[tuple[str, str]]:
    """Name of each metadata folder that has an ``entry_points.txt``, and the text of that."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    for name in names:
        if name.endswith((".dist-info", ".egg-info")):
            with contextlib.suppress(OSError), open(f"{folder}/{name}/entry_points.txt", "rb") as stream:
                yield name, stream.read().decode(errors="replace")


def _entries(text: str) -> Iterator[tuple[str, str]]:
    """Name and object of each entry of our group in the text of an ``entry_points.txt``."""
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line.strip("[] ")
        elif section == GROUP and "=" in line and not line.startswith(("#", ";")):
            name, _, module = line.partition("=")
            yield name.strip(), module.partition("[")[0].strip()


def _guarded(step: Callable[[PluginInfo], PluginInfo], info: PluginInfo) -> PluginInfo:
    """Run foreign code: whatever it raises, prints or wastes ends up in the info and nowhere else."""
    start = time.perf_counter()
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            info = step(info)
    except (Exception, SystemExit) as error:
        info = dataclasses.replace(info, error=_reason(error))
    seconds = time.perf_counter() - start
    warnings = []
    if printed.getvalue():
        warnings.append(f"prints to standard output: {printed.getvalue().splitlines()[0]!r}")
    if seconds > SLOW_S:
        warnings.append(f"takes {seconds:.1f} s to load")
    return dataclasses.replace(
        info, warnings=(*info.warnings, *warnings), seconds=info.seconds + round(seconds, 4)
    )


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, PluginError) else f"{type(error).__name__}: {text}"


def _load_object(spec: str) -> object:
    module, _, attributes = spec.partition(":")
    found: object = importlib.import_module(module)
    for attribute in filter(None, attributes.split(".")):
        found = getattr(found, attribute)
    return found


def _listed(given: Any, kind: type, hook: str) -> list[Any]:
    if not isinstance(given, Iterable) or isinstance(given, str):
        raise PluginError(f"{hook} gave {given!r}, not an iterable of {kind.__name__}")
    items = list(given)
    for item in items:
        if not isinstance(item, kind):
            raise PluginError(f"{hook} gave {item!r}, which is no {kind.__name__}")
    return items


def _check_task(task: Task) -> None:
    """Refuse a task that the engine could not use."""
    settings = task.settings
    own = isinstance(settings, type) and dataclasses.is_dataclass(settings)
    rules = {
        "name and command must be lower-case words": all(
            isinstance(word, str) and re.fullmatch(r"[a-z][a-z0-9_-]*", word)
            for word in (task.name, task.command)
        ),
        "summary must be one line": isinstance(task.summary, str) and len(task.summary.splitlines()) == 1,
        "settings must be a dataclass of mira.setting fields": own
        and all(_is_setting(f) for f in dataclasses.fields(settings)),
        "result must be a subclass of mira.Result": _is_result(task.result),
        "decode must be callable": callable(task.decode),
        "suffix must be text such as '.mid'": isinstance(task.suffix, str) and task.suffix.startswith("."),
        "model or activate must be given": task.model is not None or task.activate is not None,
        "model must be a Path": task.model is None or isinstance(task.model, Path),
        "activate must be callable and come with a sample_rate": task.activate is None
        or (callable(task.activate) and isinstance(task.sample_rate, int) and task.sample_rate > 0),
        "needs must be a tuple of names": isinstance(task.needs, tuple),
    }
    for rule, kept in rules.items():
        if not kept:
            raise PluginError(f"task '{task.name}': {rule}")


def _check_writer(writer: Writer) -> None:
    suffixes, results = writer.suffixes, writer.results
    rules = {
        "suffixes must be a tuple such as ('.mid',)": isinstance(suffixes, tuple)
        and all(isinstance(s, str) and s.startswith(".") for s in suffixes),
        "results must be a tuple of subclasses of mira.Result": isinstance(results, tuple)
        and all(map(_is_result, results)),
        "write must be callable": callable(writer.write),
    }
    for rule, kept in rules.items():
        if not kept:
            raise PluginError(f"writer '{writer.name}': {rule}")


def _is_setting(spec: dataclasses.Field[Any]) -> bool:
    return {"help", "choices", "minimum"} <= set(spec.metadata) and spec.default is not dataclasses.MISSING


def _is_result(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Result)


def _command_names(app: typer.Typer) -> list[str]:
    """Names of the commands and groups of an app, as Typer will call them."""
    commands = [c.name or (c.callback.__name__ if c.callback else "") for c in app.registered_commands]
    groups = [
        g.name or (g.typer_instance.info.name if g.typer_instance else "") for g in app.registered_groups
    ]
    return [str(name).lower().replace("_", "-") for name in (*commands, *groups)]
