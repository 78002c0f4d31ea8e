"""Discovery: a broken plugin is reported and isolated, and everything else works."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
import typer
from mira.errors import UsageError
from mira.plugins import PluginInfo, Plugins, find_plugins, load_plugins

GOOD = """
import dataclasses
from pathlib import Path
from mira.hooks import hookimpl
from mira.results import Events
from mira.task import Task, setting
from mira.writers import Writer

@dataclasses.dataclass(frozen=True)
class Settings:
    level: float = setting(0.5, "How loud", minimum=0, maximum=1)

def make(**change):
    values = dict(
        name="claps", command="clap", summary="Find claps.", settings=Settings, result=Events,
        decode=lambda activations, settings: None, suffix=".csv",
        activate=lambda blocks, sample_rate: None, sample_rate=8000,
    )
    return Task(**(values | change))

@hookimpl
def mira_tasks():
    return [make()]
"""

names = count()
"""Modules of plugins need names of their own, because Python keeps what it has imported."""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., PluginInfo]:
    """Write a module and the metadata of a distribution that offers it as a plugin."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(source: str, name: str = "claps", origin: str = "mira-claps") -> PluginInfo:
        module = f"plugin_under_test_{next(names)}"
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(source))
        metadata = tmp_path / f"{origin.replace('-', '_')}-1.5.dist-info"
        metadata.mkdir()
        (metadata / "entry_points.txt").write_text(
            f"[console_scripts]\nx = y:z\n\n[mira]\n# ours\n{name} = {module}\n"
        )
        return PluginInfo(name, "1.5", origin, module)

    return install


Install = Callable[..., PluginInfo]

BROKEN = {
    "raises at import": ("raise ValueError('no\\nluck')", "ValueError: no luck"),
    "ends the program": ("import sys; sys.exit('bye')", "SystemExit: bye"),
    "lacks a module": ("import no_such_module_anywhere", "No module named 'no_such_module_anywhere'"),
    "bad syntax": ("def", "SyntaxError"),
    "no hook": ("x = 1", "implements no hook"),
    "hook raises": (GOOD + "    1 / 0\n@hookimpl\ndef mira_recipes(): return 1 / 0", "ZeroDivisionError"),
    "unknown hook": (GOOD + "@hookimpl\ndef mira_task(): return []", "no hook 'mira_task'"),
    "wrong arguments": (GOOD + "@hookimpl\ndef mira_writers(what): return []", "PluginValidationError"),
    "no iterable": (GOOD.replace("return [make()]", "return 5"), "gave 5, not an iterable of Task"),
    "None": (GOOD.replace("return [make()]", "pass"), "gave None, not an iterable of Task"),
    "no Task": (GOOD.replace("return [make()]", "return ['x']"), "'x', which is no Task"),
    "raises late": (GOOD.replace("return [make()]", "yield make(); raise KeyError('k')"), "KeyError"),
    "lacks a field": (GOOD.replace("return [make()]", "return [Task(name='x')]"), "missing 6 required"),
    "bad writer": (
        GOOD + "@hookimpl\ndef mira_writers(): return [Writer('a', '.a', (Events,), print)]",
        "suffixes",
    ),
    "bad recipes": (GOOD + "@hookimpl\ndef mira_recipes(): return 'recipes'", "is no Path"),
}

WRONG_FIELDS = {
    "name='Two words'": "lower-case",
    "command=None": "lower-case",
    "summary=''": "summary",
    "settings=dict": "settings",
    "settings=dataclasses.make_dataclass('S', ['x'])": "settings",
    "settings=Settings()": "settings",
    "result=dict": "result",
    "decode=None": "decode",
    "suffix='csv'": "suffix",
    "activate=None": "model or activate",
    "sample_rate=None": "sample_rate",
    "model='m.onnx', activate=None": "Path",
    "needs='chords'": "needs",
    "name='train'": "taken by mira",
}
BROKEN |= {
    f"task with {change}": (GOOD.replace("make()]", f"make({change})]"), says)
    for change, says in WRONG_FIELDS.items()
}


@pytest.mark.parametrize(("source", "says"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_reported_and_the_good_one_works(install: Install, source: str, says: str) -> None:
    good = install(GOOD.replace('"claps"', '"good"').replace('"clap"', '"do-good"'), "good", "mira-good")
    plugins = Plugins([install(source), good])
    bad = plugins.infos[0]
    assert bad.error and says in bad.error and "\n" not in bad.error
    assert bad.tasks == () and not plugins.writers and not plugins.recipes
    assert plugins.infos[1].error is None and list(plugins.tasks) == ["good"]
    assert len(plugins.hook.mira_tasks()) == 1


def test_the_first_of_two_that_claim_a_name_has_it(install: Install) -> None:
    first = install(GOOD)
    task = install(GOOD.replace('command="clap"', 'command="other"'), "task", "mira-task")
    command = install(GOOD.replace('name="claps"', 'name="other"'), "command", "mira-command")
    crossed = install(GOOD.replace('name="claps"', 'name="clap"'), "crossed", "mira-crossed")
    plugins = Plugins([first, task, command, crossed])
    assert [info.error is None for info in plugins.infos] == [True, False, False, False]
    assert plugins.infos[1].error == (
        "'claps' is taken by plugin 'claps' of mira-claps; MIRA_DISABLE=claps frees it"
    )
    freed = Plugins([first, task], {"claps"})
    assert freed.task("other") is freed.tasks["claps"]
    assert freed.infos[0].error == "disabled by MIRA_DISABLE"


def test_a_distribution_can_be_disabled(install: Install) -> None:
    assert not Plugins([install(GOOD)], {"mira-claps"}).tasks


def test_two_plugins_of_one_name_do_not_stop_each_other(install: Install) -> None:
    other = GOOD.replace('"claps"', '"b"').replace('"clap"', '"c"')
    plugins = Plugins([install(GOOD), install(other, "claps", "mira-x")])
    assert list(plugins.tasks) == ["claps"] and "called 'claps'" in (plugins.infos[1].error or "")


def test_what_a_plugin_prints_never_reaches_stdout(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    loud = GOOD.replace("    return [make()]", "    print('from the hook')\n    return [make()]")
    plugins = Plugins([install("print('hello')\n" + loud)])
    assert capsys.readouterr().out == ""
    assert plugins.infos[0].warnings == ("prints to standard output: 'hello'",)
    assert "claps" in plugins.tasks


def test_a_slow_plugin_is_warned_about(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mira.plugins.SLOW_S", 0.0)
    info = Plugins([install(GOOD)]).infos[0]
    assert info.error is None and info.seconds > 0 and "to load" in info.warnings[0]


def test_everything_of_a_good_plugin_is_found(install: Install, tmp_path: Path) -> None:
    source = (
        GOOD
        + f"""
@hookimpl
def mira_writers():
    yield Writer("clapping", (".claps",), (Events,), lambda result, stream, about: None)

@hookimpl
def mira_recipes():
    return Path({str(tmp_path)!r})
"""
    )
    plugins = Plugins([install(source)])
    info = plugins.infos[0]
    assert (info.tasks, info.commands, info.writers) == (("claps",), ("clap",), ("clapping",))
    assert plugins.task("clap") is plugins.task("claps") is plugins.tasks["claps"]
    assert [writer.name for writer in plugins.writers] == ["clapping"]
    assert plugins.recipes == {"claps": tmp_path}


def test_an_absent_task_names_the_known_ones_and_what_failed(install: Install) -> None:
    plugins = Plugins([install(GOOD), install("import nothing_here", "beats", "mira-beats")])
    with pytest.raises(
        UsageError, match=r"no task 'beats'; known: claps; .*beats \(.*nothing_here"
    ) as caught:
        plugins.task("beats")
    assert caught.value.exit_code == 2


def commands_of(app: typer.Typer) -> set[str | None]:
    return {command.name for command in app.registered_commands}


def with_commands(body: str) -> str:
    return GOOD + f"\n@hookimpl\ndef mira_commands(app):\n    {body}\n"


def test_commands_are_added_and_those_that_fail_leave_nothing(install: Install) -> None:
    def plugin(name: str, body: str) -> PluginInfo:
        source = with_commands(body).replace('"claps"', f'"{name}"').replace('"clap"', f'"do-{name}"')
        return install(source, name, f"mira-{name}")

    plugins = Plugins(
        [
            plugin("good", "app.command('count')(lambda: None)"),
            plugin("taken", "app.command('fine')(lambda: None); app.command('info')(lambda: None)"),
            plugin("raises", "app.command('half')(lambda: None); 1 / 0"),
            plugin("twice", "[app.command('same')(lambda: None) for _ in 'ab']"),
            plugin("loud", "print('hello')"),
        ]
    )
    app = typer.Typer()
    app.command("info")(lambda: None)
    plugins.add_commands(app)
    good, taken, raises, twice, loud = plugins.infos
    assert commands_of(app) == {"info", "count"}
    assert good.commands == ("do-good", "count") and good.error is None
    assert "taken" in (taken.error or "") and "ZeroDivision" in (raises.error or "") and twice.error
    assert loud.error is None and loud.warnings


def test_plugins_are_found_mira_first_and_each_distribution_once(install: Install, tmp_path: Path) -> None:
    a, own, b = install(GOOD, "a", "abc"), install(GOOD, "mpe", "mira-audio"), install(GOOD, "b", "xyz")
    (tmp_path / "broken-1.dist-info").mkdir()
    (tmp_path / "broken-1.dist-info" / "entry_points.txt").write_bytes(
        b"[mira\xff]\nno equals sign\n[mira]\n\xfe\n"
    )
    folders = [str(tmp_path), str(tmp_path / "missing"), str(tmp_path)]
    assert find_plugins(folders) == [own, a, b]


def test_mira_disable_is_read_from_the_environment(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install(GOOD)
    monkeypatch.setenv("MIRA_DISABLE", "other, claps")
    load_plugins.cache_clear()
    try:
        error = {info.name: info.error for info in load_plugins().infos}["claps"]
    finally:
        load_plugins.cache_clear()
    assert error == "disabled by MIRA_DISABLE"


def test_loading_plugins_loads_nothing_heavy() -> None:
    code = (
        "import sys, mira.plugins; print({'typer', 'importlib.metadata'} & set(sys.modules));"
        "mira.plugins.load_plugins(); print({'numpy', 'onnxruntime', 'torch', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["set()", "set()"]
