"""The ``mira`` command: what plugins declare, as Typer commands."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mira import __version__
from mira.cli.console import say
from mira.cli.options import Options, QuickCommand, file_parameters, parameters
from mira.errors import PluginError
from mira.plugins import load_plugins

if TYPE_CHECKING:
    from mira.plugins import Plugins
    from mira.task import Task, Together

HELP = "Listens to music files and writes down what it hears."
ANALYZE = "Do several tasks at once."

_ARGUMENT = typer.Argument(metavar="PATH", help="Files, folders, patterns, playlists, or - for stdin.")
_TASKS = typer.Option("--tasks", metavar="TASK,TASK", help="What to listen for, separated by commas.")


def build(*, debug: bool = False) -> typer.Typer:
    """Build the whole command line.

    Parameters
    ----------
    debug
        Whether errors of the program show where they come from.
    """
    app = _empty()
    app.callback(no_args_is_help=True)(_globals)
    plugins = load_plugins()
    for task in plugins.tasks.values():
        try:
            _add(app, task.command, task.summary, _task_command(task, debug))
        except PluginError as error:
            say(str(error))
    _add(app, "analyze", ANALYZE, _analyze_command(plugins, debug))
    from mira.cli import info

    info.register(app)
    _add_foreign(app, plugins)
    return app


def overview() -> typer.Typer:
    """Build the command line for the list of commands alone; working out their flags would take time."""
    app = _empty()
    app.callback(no_args_is_help=True)(_globals)
    plugins = load_plugins()
    for name, summary in [(t.command, t.summary) for t in plugins.tasks.values()] + [("analyze", ANALYZE)]:
        _add(app, name, summary, _no_flags)
    from mira.cli import info

    info.register(app)
    _add_foreign(app, plugins)
    for command in app.registered_commands:
        command.help = command.help or getattr(command.callback, "__doc__", None)
        command.callback = _no_flags
    return app


def _no_flags() -> None:
    """Stand for a command whose flags do not matter."""


def build_one(command: str, *, debug: bool = False) -> typer.Typer | None:
    """Build the command of one task alone, without what the others need; None if no task has it."""
    app = _empty()
    for task in load_plugins().tasks.values():
        if task.command == command:
            _add(app, command, task.summary, _task_command(task, debug))
            return app
    return None


def _empty() -> typer.Typer:
    return typer.Typer(
        name="mira", help=HELP, rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False
    )


def excuse(command: str) -> str:
    """Say which plugins failed to load, for somebody who asks for a command that is not there."""
    failed = [f"{info.name} of {info.origin} ({info.error})" for info in load_plugins().infos if info.error]
    return f"no plugin brings '{command}'; not loaded: {', '.join(failed)}" if command and failed else ""


def _globals(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")] = False,
) -> None:
    """Declare the flags that stand before the command, for the help; ``main`` acts upon them."""


def _add(app: typer.Typer, name: str, summary: str, command: Callable[..., None]) -> None:
    app.command(name, help=summary, cls=QuickCommand)(command)


def _add_foreign(app: typer.Typer, plugins: Plugins) -> None:
    """Let plugins add their commands; one that fails is reported and the rest works."""
    well = [info.name for info in plugins.infos if not info.error]
    plugins.add_commands(app)
    for info in plugins.infos:
        if info.error and info.name in well:
            say(f"plugin {info.name} of {info.origin}: its commands are left out: {info.error}")


def _task_command(task: Task, debug: bool) -> Callable[..., None]:
    settings = parameters(task.settings, switches=True)
    files = file_parameters(task.files)
    together = parameters(task.together) if task.together is not None else []
    taken = {p.name for p in _common()} & {p.name for p in (*settings, *files, *together)}
    if taken:
        raise PluginError(f"{task.name}: its settings use names of common flags: {', '.join(sorted(taken))}")

    def command(paths: list[str] | None, **values: Any) -> None:
        own = {p.name: values.pop(p.name) for p in settings}
        named = {name: values.pop(name) for name in task.files}
        flags = {p.name: values.pop(p.name) for p in together}
        all_at_once = task.together(**flags) if task.together is not None else None
        given = {k: v for k, v in named.items() if v}
        _run([task], paths or [], values, {task.name: own}, debug, given, all_at_once)

    return _signed(command, [_paths(optional=bool(together)), *_common(), *files, *together, *settings])


def _analyze_command(plugins: Plugins, debug: bool) -> Callable[..., None]:
    def command(paths: list[str], tasks: str, **values: Any) -> None:
        asked = [plugins.task(name.strip()) for name in tasks.split(",")]
        _run(list({task.name: task for task in asked}.values()), paths, values, {}, debug)

    wanted = inspect.Parameter("tasks", inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[str, _TASKS])
    return _signed(command, [_paths(), wanted, *_common()])


def _run(
    tasks: list[Task],
    paths: list[str],
    values: dict[str, Any],
    settings: dict[str, dict[str, Any]],
    debug: bool,
    files: Mapping[str, str] = MappingProxyType({}),
    together: Together | None = None,
) -> None:
    from mira.cli.run import run
    from mira.writers import builtin_writers

    many = {f.name for f in dataclasses.fields(Options) if isinstance(f.default, tuple)}
    given: dict[str, Any] = {name: tuple(v) if name in many else v for name, v in values.items()}
    options = Options(**given)
    writers = [*load_plugins().writers, *builtin_writers()]
    code = run(tasks, paths, options, settings, writers, files=files, together=together, debug=debug)
    raise typer.Exit(code)


def _paths(*, optional: bool = False) -> inspect.Parameter:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    if optional:
        return inspect.Parameter(
            "paths", kind, default=None, annotation=Annotated[list[str] | None, _ARGUMENT]
        )
    return inspect.Parameter("paths", kind, annotation=Annotated[list[str], _ARGUMENT])


@cache
def _common() -> tuple[inspect.Parameter, ...]:
    return tuple(parameters(Options))


def _signed(command: Callable[..., None], wanted: list[inspect.Parameter]) -> Callable[..., None]:
    """Give a function the signature that Typer reads."""
    command.__signature__ = inspect.Signature(wanted)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in wanted}
    return command


def version() -> str:
    """Return what ``mira --version`` prints."""
    return f"mira {__version__}"
