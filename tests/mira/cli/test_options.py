"""A settings dataclass becomes flags; their values arrive with their types."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Annotated, Any

import mira
import pytest
import typer
from mira.cli.options import Options, QuickCommand, parameters


@dataclasses.dataclass(frozen=True)
class Settings:
    threshold: float | None = mira.setting(None, "Threshold", unit="dB")
    min_duration: float = mira.setting(0.25, "Shortest")
    bins: int = mira.setting(3, "Bins", short="b")
    mode: str = mira.setting("fast", "Mode", choices=("fast", "exact"))
    bends: bool = mira.setting(False, "Bends")


@pytest.fixture
def call() -> Any:
    """Arguments -> what the command got, or the exit code of a refusal."""
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
    got: dict[str, Any] = {}
    argument = inspect.Parameter(
        "paths", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Annotated[list[str], typer.Argument()]
    )
    signature = [argument, *parameters(Options), *parameters(Settings, switches=True)]

    def command(**values: Any) -> None:
        got.update(values)

    command.__signature__ = inspect.Signature(signature)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in signature}
    app.command(cls=QuickCommand)(command)

    def run(*args: str) -> Any:
        got.clear()
        try:
            app(args, standalone_mode=False)
        except Exception as error:
            return error.exit_code  # type: ignore[attr-defined]
        return dict(got)

    return run


def test_defaults_are_those_of_the_dataclass(call: Any) -> None:
    got = call("x.wav")
    assert {f.name: got[f.name] for f in dataclasses.fields(Settings)} == dataclasses.asdict(Settings())
    options = {f.name: got[f.name] for f in dataclasses.fields(Options)}
    assert options == dataclasses.asdict(Options()) | {"output": [], "format": []}
    assert got["paths"] == ["x.wav"]


def test_values_get_their_types(call: Any) -> None:
    got = call(
        "a", "--threshold", "-3", "-b", "7", "b", "--bends", "-o", "x", "--output=y", "--mode", "exact", "-j2"
    )
    assert got["paths"] == ["a", "b"]
    assert (got["threshold"], got["bins"], got["bends"], got["mode"]) == (-3.0, 7, True, "exact")
    assert (got["output"], got["jobs"]) == (["x", "y"], 2)
    assert isinstance(got["threshold"], float)
    assert call("a", "--no-bends")["bends"] is False
    assert call("--", "-odd.wav")["paths"] == ["-odd.wav"]
    assert call("-")["paths"] == ["-"]


@pytest.mark.parametrize(
    "args", [(), ("a", "--nothing"), ("a", "--bins", "x"), ("a", "--min-duration"), ("a", "--bends=maybe")]
)
def test_wrong_use_is_refused_by_typer(call: Any, args: tuple[str, ...]) -> None:
    assert call(*args) == 2


def test_help_shows_units_choices_and_defaults(call: Any, capsys: pytest.CaptureFixture[str]) -> None:
    call("--help")
    text = " ".join(capsys.readouterr().out.split())
    for part in (
        "Threshold [dB]",
        "as tuned",
        "fast|exact",
        "--bends / --no-bends",
        "default: 0.25",
        "-b, --bins",
    ):
        assert part in text
    assert "--no-force" not in text


def test_plain_use_does_not_load_pydantic() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from mira.__main__ import main; code = main(['transcribe', 'none.wav', '-o', 'x.mid'])\n"
        "heavy = {'pydantic', 'rich', 'sqlite3', 'asyncio', 'multiprocessing', 'concurrent', 'scipy'}\n"
        "print(code, sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout == "3 []\n"
