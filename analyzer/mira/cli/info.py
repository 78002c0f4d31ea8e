"""``mira plugins``, ``mira models`` and ``mira doctor``: what is here, what is broken, what is missing."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mira import __version__
from mira.cli.console import printable
from mira.errors import MiraError, UsageError
from mira.plugins import DISABLED, OWN, PluginInfo, load_plugins

if TYPE_CHECKING:
    from mira.card import Card
    from mira.task import Task

PURPOSES = {
    "av": "m4a, aac, wma and video",
    "plot": "pictures of results",
    "eval": "scores of models",
    "cluster": "work on several machines",
    "studio": "the window, mira studio",
    "train": "training",
}
"""What each extra is for."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("plugins", help="List plugins: what each adds, and why one is not used.")(_plugins)
    models = typer.Typer(rich_markup_mode=None)
    models.callback(invoke_without_command=True)(_models)
    models.command("show", help="Print the card of a task's model: scores, training data, licences.")(_show)
    app.add_typer(models, name="models", help="List models, or show the card of one.")
    app.command("doctor", help="Say what is here, what is broken, and what to install.")(_doctor)


def _plugins(json: Json = False) -> None:
    infos = load_plugins().infos
    if json:
        _print_json(dataclasses.asdict(info) for info in infos)
        return
    rows = [("NAME", "VERSION", "FROM", "TASKS", "STATE")]
    rows += [(i.name, i.version, i.origin, " ".join(i.tasks) or "-", _state(i)) for i in infos]
    _print_table(rows)


def _models(context: typer.Context, json: Json = False) -> None:
    if context.invoked_subcommand:
        return
    tasks = [task for task in load_plugins().tasks.values() if task.model]
    if json:
        _print_json(map(_model, tasks))
        return
    rows = [("TASK", "MODEL", "VERSION", "SIZE", "COMMERCIAL USE")]
    for found in map(_model, tasks):
        card = found["card"]
        rows.append(
            (
                found["task"],
                card["name"],
                card["version"],
                _megabytes(found["bytes"]),
                found["commercial_use"],
            )
            if card
            else (found["task"], "-", "-", _megabytes(found["bytes"]), found["error"])
        )
    _print_table(rows)


def _show(
    task: Annotated[str, typer.Argument(metavar="TASK", help="Name or command of a task.")],
    json: Json = False,
) -> None:
    from mira.card import load_bytes

    asked = load_plugins().task(task)
    if asked.model is None:
        raise UsageError(f"task '{asked.name}' has no model file; it is computed by its plugin")
    card, data = load_bytes(asked.model)
    if json:
        _print_json([_model(asked)])
        return
    rate, hop = card.sample_rate, card.hop_length
    left, right = (samples / rate for samples in card.receptive_field)
    rows = [
        ("task", card.task),
        ("model", f"{card.name} {card.version}, made by mira {card.mira}"),
        ("file", f"{asked.model} ({_megabytes(len(data))}, undamaged)"),
        ("sha256 of graph", card.graph_sha256),
        ("listens at", f"{rate} Hz, a frame each {1000 * hop / rate:.1f} ms ({hop} samples)"),
        ("a frame depends on", f"{left:.2f} s before and {right:.2f} s after it"),
        *_listed("output", (f"{o.name} ({' x '.join(o.axes)}) {o.unit}".rstrip() for o in card.outputs)),
        *_listed("labels", (f"{name}: {' '.join(map(str, labels))}" for name, labels in card.labels.items())),
        *_listed("tuned settings", (f"{name} = {value}" for name, value in card.defaults.items())),
        *_listed("calibration", (f"{name} = {value}" for name, value in card.calibration.items())),
        *_listed("score", map(_score, card.scores.items())),
        *_listed("recipe", (f"{name} {value}" for name, value in card.recipe.items())),
        *_listed("trained on", (f"{s.name} ({s.licence})" for s in card.data)),
        ("commercial use", _verdict(card)),
    ]
    _print_table(rows)


def _doctor(json: Json = False) -> None:
    found = _examine()
    if json:
        _print_json([found])
        return
    libraries = ", ".join(f"{name} {version}" for name, version in found["libraries"].items() if version)
    decoders = ", ".join(f"{name} {version}" for name, version in found["decoders"].items() if version)
    rows = [
        ("mira", f"{found['mira']} on Python {found['python']}, {found['platform']}"),
        ("libraries", libraries),
        ("decoders", decoders or "none"),
        *_listed(
            "plugin", (f"{i['name']} of {i['origin']} {i['version']}: {i['state']}" for i in found["plugins"])
        ),
        *_listed("model", (f"{m['task']}: {m['state']}" for m in found["models"])),
        ("threads", str(found["threads"])),
        ("providers", ", ".join(found["providers"]) or "none"),
        ("results kept in", found["store"]),
        *_listed("extra", (f"{name}: {state}" for name, state in found["extras"].items())),
        *(_listed("to mend", found["problems"]) if found["problems"] else [("to mend", "nothing")]),
    ]
    _print_table(rows)


def _examine() -> dict[str, Any]:
    """Collect what ``mira doctor`` says; nothing that is broken stops it."""
    import platform

    from mira.audio import decoders
    from mira.session import usable_cores
    from mira.store import default_path

    problems: list[str] = []
    libraries, extras = _requirements()
    problems += [
        f"{name} is missing: pip install {name}" for name, version in libraries.items() if not version
    ]
    plugins = load_plugins()
    states = [{**dataclasses.asdict(info), "state": _state(info)} for info in plugins.infos]
    problems += [
        f"plugin {info.name} of {info.origin}: {info.error}"
        for info in plugins.infos
        if info.error and info.error != DISABLED
    ]
    models = [{"task": t.name, "state": _model_state(t)} for t in plugins.tasks.values() if t.model]
    problems += [f"model of {m['task']}: {m['state']}" for m in models if m["state"] != "undamaged"]
    return {
        "mira": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "libraries": libraries,
        "decoders": _attempt(decoders, {}, problems),
        "plugins": states,
        "models": models,
        "threads": usable_cores(),
        "providers": _attempt(_providers, [], problems),
        "store": os.fspath(default_path()),
        "extras": extras,
        "problems": problems,
    }


def _requirements() -> tuple[dict[str, str | None], dict[str, str]]:
    """Find the versions of the libraries that mira requires, and for each extra its state."""
    from importlib.metadata import PackageNotFoundError, requires, version

    def installed(name: str) -> str | None:
        try:
            return version(name)
        except PackageNotFoundError:
            return None

    try:
        required = requires(OWN) or []
    except PackageNotFoundError:
        return {}, {}
    core: dict[str, str | None] = {}
    wanted: dict[str, list[str]] = {}
    for line in required:
        name = re.split(r"[^A-Za-z0-9._-]", line)[0]
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", line)
        if extra is None:
            core[name] = installed(name)
        elif extra[1] != "dev":
            wanted.setdefault(extra[1], []).append(name)
    missing = {extra: [n for n in names if installed(n) is None] for extra, names in wanted.items()}
    return core, {
        extra: f"for {PURPOSES.get(extra, extra)}: "
        + (f"pip install '{OWN}[{extra}]' (lacks {', '.join(names)})" if names else "installed")
        for extra, names in missing.items()
    }


def _providers() -> list[str]:
    import onnxruntime

    return list(onnxruntime.get_available_providers())


def _attempt(ask: Callable[[], Any], otherwise: Any, problems: list[str]) -> Any:
    try:
        return ask()
    except (ImportError, OSError) as error:
        problems.append(f"a library cannot be loaded: {error}")
        return otherwise


def _model(task: Task) -> dict[str, Any]:
    """Collect what ``mira models --json`` says of one model; its card is read, its graph is not."""
    from mira.card import read_card

    path = task.model or Path()
    found: dict[str, Any] = {
        "task": task.name,
        "path": os.fspath(path),
        "bytes": path.stat().st_size if path.exists() else 0,
        "card": None,
        "commercial_use": None,
        "error": None,
    }
    try:
        card = read_card(path)
    except MiraError as error:
        return found | {"error": str(error)}
    return found | {"card": dataclasses.asdict(card), "commercial_use": _verdict(card).partition(":")[0]}


def _model_state(task: Task) -> str:
    from mira.card import load_bytes

    try:
        card, _ = load_bytes(task.model or "")
    except MiraError as error:
        return str(error)
    return "undamaged" if card.task == task.name else f"its card is for task '{card.task}'"


def _verdict(card: Card) -> str:
    """Say in plain words whether the training data allow commercial use."""
    if not card.data:
        return "unknown: the card names no training data"
    against = [source.name for source in card.data if not source.commercial]
    if against:
        return f"no: {', '.join(against)} {'do' if len(against) > 1 else 'does'} not allow it"
    return "yes: all training data allow it"


def _score(scores: tuple[str, Mapping[str, Any]]) -> str:
    name, measures = scores
    return f"{name}: {', '.join(f'{measure} {value}' for measure, value in measures.items())}"


def _state(info: PluginInfo) -> str:
    return "; ".join([info.error or "ok", *info.warnings])


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _listed(title: str, texts: Iterable[str]) -> list[tuple[str, str]]:
    """Rows of which only the first bears the title."""
    return [(title if i == 0 else "", text) for i, text in enumerate(texts)]


def _print_table(rows: Iterable[tuple[str, ...]]) -> None:
    """Print rows in columns; the last one is as wide as it likes."""
    texts = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts)]
    for row in texts:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def _print_json(objects: Iterable[Mapping[str, Any]]) -> None:
    for each in objects:
        sys.stdout.write(json.dumps(each) + "\n")
