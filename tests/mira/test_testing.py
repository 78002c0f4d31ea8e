"""``check_plugin`` finds what an author can do wrong, and nothing in a plugin that is right."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from mira.testing import check_plugin

GOOD = """
from __future__ import annotations
import dataclasses
from pathlib import Path
from mira.hooks import hookimpl
from mira.results import Curve, Events
from mira.task import Activations, Task, setting
from mira.writers import Writer

@dataclasses.dataclass(frozen=True)
class Settings:
    level: float = setting(0.1, "How loud", minimum=0, maximum=1)

def activate(blocks, sample_rate):
    import numpy as np
    audio = np.concatenate([*blocks])
    return Activations({"peak": np.abs(audio[::100])}, sample_rate, 100, len(audio) / sample_rate)

def decode(activations, settings):
    import numpy as np
    time_s = np.flatnonzero(activations.arrays["peak"] > settings.level) * activations.hop_s
    return Events(activations.duration_s, time_s, ("clap",) * len(time_s))

@hookimpl
def mira_tasks():
    return [Task("claps", "clap", "Find claps.", Settings, Events, decode, ".csv", None, activate, 8000)]
"""

names = count()


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def check(source: str) -> list[str]:
        name = f"checked_plugin_{next(names)}"
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))
        return check_plugin(name)

    return check


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


BODY = "    import numpy as np\n    time_s"

FAULTS = {
    "fails at import": ("raise ValueError('no luck')", "no luck"),
    "heavy import": (
        "import numpy\n" + GOOD.replace("from __future__ import annotations", ""),
        "imports numpy",
    ),
    "heavy import in a hook": (
        changed("    return [Task", "    import scipy\n    return [Task"),
        "imports scipy",
    ),
    "prints at import": (GOOD + "print('hello')", "prints to standard output: 'hello'"),
    "prints without Python": (GOOD + "import os; os.write(1, b'low')", "prints to standard output: 'low'"),
    "prints when used": (changed(BODY, "    print('working')\n" + BODY), "on silence: prints to standard"),
    "no hook": ("x = 1", "implements no hook"),
    "commands fail": (GOOD + "@hookimpl\ndef mira_commands(app): app.nonsense()", "nonsense"),
    "no result": (changed("return Events(", "return None and Events("), "NoneType, not Events"),
    "another result": (
        changed("Settings, Events", "Settings, Curve"),
        "on silence: the result is Events, not Curve",
    ),
    "not finite": (changed("* activations.hop_s", "* float('nan')"), "on 5 s of noise"),
    "chance": (changed("* activations.hop_s", "+ np.random.random()"), "another when asked again"),
    "fails on short": (changed(BODY, "    assert activations.duration_s > 1\n" + BODY), "on 10 ms of noise"),
    "no writer": (changed('".csv"', '".claps"'), "claps"),
    "no default": (
        changed('setting(0.1, "How loud"', 'setting(dataclasses.MISSING, "How loud"'),
        "settings must be",
    ),
    "bad default": (changed("setting(0.1", "setting(1.5"), "at most 1"),
    "no help": (changed('"How loud"', '""'), "has no help"),
    "settings not frozen": (changed("dataclass(frozen=True)", "dataclass"), "not a frozen dataclass"),
    "unknown need": (changed("activate, 8000)", "activate, 8000, ('nothing',))"), "no task 'nothing'"),
    "no model": (changed("None, activate, 8000", "Path('gone.onnx')"), "gone.onnx: cannot use this model"),
    "not JSON": (changed('("clap",)', "({1, 2},)"), "does not survive JSON"),
}


@pytest.mark.parametrize(("source", "says"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_named_in_one_line(check: Callable[[str], list[str]], source: str, says: str) -> None:
    problems = check(source)
    assert any(says in problem for problem in problems), problems
    assert not any("\n" in problem for problem in problems)


def test_a_good_plugin_has_no_fault(check: Callable[[str], list[str]]) -> None:
    assert check(GOOD) == []


def test_an_absent_plugin_is_a_fault() -> None:
    assert "no_such_plugin" in check_plugin("no_such_plugin")[0]
