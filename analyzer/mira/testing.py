"""For authors of plugins: one call that tries a plugin as mira will use it.

Put this into a test of the plugin::

    def test_plugin():
        assert check_plugin("my_package.my_plugin") == []
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from mira.analysis import Model, load_model
from mira.card import load_bytes
from mira.errors import MiraError
from mira.plugins import PluginInfo, Plugins, find_plugins
from mira.results import Result
from mira.task import Task, make_settings, tuned
from mira.writers import Writer, builtin_writers, find_writer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HEAVY = ("matplotlib", "numpy", "onnxruntime", "scipy", "torch")
"""Modules that must not be imported before a plugin is used, because ``mira --help`` waits for them."""

_PROBE = """
import json, pkgutil, sys
plugin = pkgutil.resolve_name(sys.argv[1])
for hook in ("mira_tasks", "mira_writers"):
    list(getattr(plugin, hook, list)())
print("\\n" + json.dumps([name for name in sys.argv[2:] if name in sys.modules]))
"""


def check_plugin(plugin: str | ModuleType) -> list[str]:
    """Try a plugin and return what is wrong with it, one line each; an empty list is a good plugin.

    It is imported in a process of its own, its hooks are called, and each of its tasks is run on silence, on
    10 ms and on 5 s of noise: the result must be of the declared class, finite, the same when asked twice and
    after a journey through JSON, and there must be a writer for the declared suffix.

    Parameters
    ----------
    plugin
        A module, the name of one, or the name of an installed plugin.
    """
    info = _find(plugin)
    problems = _import_problems(info.module)
    plugins = Plugins([info])
    if not plugins.infos[0].error:
        import typer

        plugins.add_commands(typer.Typer())
    loaded = plugins.infos[0]
    found = [loaded.error, *loaded.warnings] if loaded.error else loaded.warnings
    problems += [new for new in found if not any(new in known for known in problems)]
    writers = [*plugins.writers, *builtin_writers()]
    for task in plugins.tasks.values():
        problems += [f"task {task.name}: {problem}" for problem in _task_problems(task, writers)]
    return problems


def _find(plugin: str | ModuleType) -> PluginInfo:
    name = plugin if isinstance(plugin, str) else plugin.__name__
    for info in find_plugins(sys.path):
        if name in (info.name, info.module):
            return info
    return PluginInfo(name.rpartition(".")[2], "", "", name)


def _import_problems(module: str) -> list[str]:
    """Import a plugin and list its tasks in a fresh process, where nothing is loaded yet."""
    command = [sys.executable, "-c", _PROBE, module if ":" in module else f"{module}:", *HEAVY]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        return [f"cannot be imported: {last}"]
    printed, _, heavy = done.stdout.strip().rpartition("\n")
    problems = [
        f"imports {name} before it is used; import it inside a function" for name in json.loads(heavy)
    ]
    if printed.strip():
        problems.append(f"prints to standard output: {printed.strip().splitlines()[0]!r}")
    return problems


def _task_problems(task: Task, writers: Sequence[Writer]) -> Iterator[str]:
    yield from _settings_problems(task)
    try:
        find_writer(task.result, suffix=task.suffix, writers=writers)
        if task.model is not None:
            yield from _model_problems(task, task.model)
        model = Model(task, threads=1, needs={name: load_model(name, threads=1) for name in task.needs})
    except MiraError as error:
        yield str(error)
        return
    with model:
        for name, samples in _recordings(model.sample_rate).items():
            for problem in _run_problems(model, samples):
                yield f"on {name}: {problem}"


def _settings_problems(task: Task) -> Iterator[str]:
    if not task.settings.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        yield "its settings are not a frozen dataclass"
    fields = dataclasses.fields(task.settings)
    for field in fields:
        if not field.metadata["help"].strip():
            yield f"setting {field.name} has no help"
    try:
        make_settings(task, {field.name: field.default for field in fields})
    except (MiraError, TypeError) as error:
        yield f"its default settings are refused: {error}"


def _model_problems(task: Task, model: Path) -> Iterator[str]:
    card, _ = load_bytes(model)
    if card.task != task.name:
        yield f"the card of its model is for task '{card.task}'"
    unknown = sorted(set(card.defaults) - {f.name for f in dataclasses.fields(task.settings)})
    if unknown:
        yield f"the card of its model has defaults that are no settings: {', '.join(unknown)}"


def _recordings(sample_rate: int) -> dict[str, NDArray[np.float32]]:
    import numpy as np

    noise = np.random.default_rng(0).normal(0, 0.1, 5 * sample_rate).astype(np.float32)
    silence = np.zeros(2 * sample_rate, np.float32)
    return {"silence": silence, "10 ms of noise": noise[: sample_rate // 100], "5 s of noise": noise}


def _run(model: Model, samples: NDArray[np.float32]) -> Result:
    activations = model.activations(samples, model.sample_rate)
    return model.task.decode(activations, tuned(make_settings(model.task, {}), activations.defaults))


def _run_problems(model: Model, samples: NDArray[np.float32]) -> Iterator[str]:
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            first, second = (_run(model, samples) for _ in range(2))
    except Exception as error:  # foreign code runs here
        yield f"{type(error).__name__}: {' '.join(str(error).split())}"
        return
    if printed.getvalue():
        yield f"prints to standard output: {printed.getvalue().splitlines()[0]!r}"
    if not isinstance(first, model.task.result):
        yield f"the result is {type(first).__name__}, not {model.task.result.__name__}"
        return
    values = first.to_dict()
    if second.to_dict() != values:
        yield "the result is another when asked again"
    try:
        back = Result.from_dict(json.loads(json.dumps(values, allow_nan=False)))
    except (MiraError, TypeError, ValueError) as error:
        yield f"the result does not survive JSON: {error}"
        return
    if type(back) is not type(first) or back.to_dict() != values:
        yield "the result comes back from JSON as another"
