from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import typer
from mira.errors import DataError, Exit, MiraError, UsageError
from mira_train.commands import INSTALL, mira_commands
from typer.testing import CliRunner


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    app.command("other")(lambda: None)
    mira_commands(app)
    return app


@pytest.fixture
def dataset(tmp_path: Path, app: typer.Typer) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    soundfile.write(folder / "a.wav", np.zeros(2205, np.float32), 22050)
    (folder / "a.lab").write_text("0 0.1 N:-\n")
    run(app, "convert", folder, tmp_path / "set")
    return tmp_path / "set.pyjama"


def run(app: typer.Typer, *args: object) -> str:
    result = CliRunner().invoke(app, ["data", *map(str, args)])
    if isinstance(result.exception, MiraError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_check_prints_its_findings_and_fails_with_3(app: typer.Typer, dataset: Path) -> None:
    run(app, "check", dataset)
    dataset.write_text(dataset.read_text().replace('"duration": 0.1', '"duration": -1'))
    result = CliRunner().invoke(app, ["data", "check", str(dataset)])
    assert result.stdout == f"{dataset}: entry 0 (a.wav): chord[0].duration: -1 is negative\n"
    assert isinstance(result.exception, DataError) and result.exception.exit_code == Exit.FAILED
    assert "1 problem found" in str(result.exception)


def test_info_is_json_or_text(app: typer.Typer, dataset: Path) -> None:
    assert json.loads(run(app, "info", dataset, "--json"))["names"]["chord"]["annotations"] == 1
    assert "  chord:" in run(app, "info", dataset).splitlines()


def test_list_names_the_sets(app: typer.Typer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRA_DATA", str(tmp_path))
    lines = [json.loads(line) for line in run(app, "list", "--json").splitlines()]
    assert {"bach10", "maps", "cover1000", "datacos-benchmark", "gtzan-genre", "mtt", "rwc-pop_chord"} == {
        line["name"] for line in lines
    }
    assert "2.3G" in run(app, "list")


def test_get_without_an_address_fails(
    app: typer.Typer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRA_DATA", str(tmp_path))
    monkeypatch.delenv("MIRA_DATA_URL", raising=False)
    with pytest.raises(DataError, match="--base-url"):
        run(app, "get", "maps")


def test_wrong_use_is_a_usage_error(app: typer.Typer, dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="csv, lab, mid, jams"):
        run(app, "convert", dataset, tmp_path / "out", "--format", "xml")
    with pytest.raises(DataError, match="neither a folder nor"):
        run(app, "convert", tmp_path / "none", tmp_path / "out")


def test_missing_extra_is_one_line_with_the_install_command(dataset: Path) -> None:
    code = f"""
import sys, typer
sys.modules["h5py"] = None
from mira.errors import UsageError
from mira_train.commands import mira_commands
mira_commands(app := typer.Typer())
try:
    app(["data", "info", {str(dataset)!r}], standalone_mode=False)
except UsageError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"this command needs the workshop (h5py is missing): {INSTALL}\n"


def test_importing_the_commands_loads_nothing_heavy() -> None:
    heavy = "{'numpy', 'h5py', 'torch', 'yaml'}"
    code = f"import sys, mira_train.commands; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
