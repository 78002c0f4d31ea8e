"""``mira train TASK --demo``: a whole training without any data."""

from __future__ import annotations

from pathlib import Path

import mira_plugins
import pytest
from mira.__main__ import main
from mira_train.plugin import find_training

PLUGINS = Path(mira_plugins.__file__).parent
LESS = {"chords": ("--set", "data.hop=128")}
TASKS = sorted(path.parent.name for path in PLUGINS.glob("*/training.py"))


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_a_demo_whose_loss_falls(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MIRA_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("mira_train.demo.SOUNDFONTS", ())
    monkeypatch.setattr("mira_train.fit.usable_cores", lambda: 1)  # no processes that load
    command = ["train", task, "--demo", "--out", str(tmp_path / "out"), "--set", "training.epochs=2"]
    assert main([*command, *LESS.get(task, ())]) == 0
    told = capsys.readouterr()
    assert told.out.strip() == str(tmp_path / "out" / "run")
    [losses] = [line for line in told.err.splitlines() if "after the first epoch" in line]
    first, last = (float(words.split()[0]) for words in losses.split("loss ")[1].split("epoch, "))
    assert last < first
    assert "exported" in told.err and "at most" in told.err
    assert (tmp_path / "out" / "run" / "model.onnx").stat().st_size > 0


def test_a_demo_takes_no_data_of_yours(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "tagging", "--demo", "--data", "gtzan-genre"]) == 2
    assert "--demo brings its own recipe and data" in capsys.readouterr().err


def test_the_recipe_of_a_demo_is_no_row_of_the_book() -> None:
    for task in TASKS:
        assert not find_training(task).recipe("demo").data.sets
