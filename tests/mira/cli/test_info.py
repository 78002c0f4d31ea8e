"""``mira plugins``, ``mira models`` and ``mira doctor`` as a user sees them."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from fakes import install_plugin, mira
from mira.card import Card, Output, Source, write_card
from onnx import TensorProto, helper

PLUGIN = """
from dataclasses import dataclass
from pathlib import Path
import mira
from mira.hooks import hookimpl

@dataclass(frozen=True)
class Settings:
    level: float = mira.setting(0.5, "Level.")

@hookimpl
def mira_tasks():
    model = Path(__file__).with_name("claps.onnx")
    yield mira.Task("claps", "clap", "Clap.", Settings, mira.Events, print, ".csv", model)
    yield mira.Task("hums", "hum", "Hum.", Settings, mira.Events, print, ".csv", None, print, 8000)
"""

CARD = Card(
    task="claps",
    name="clapnet",
    version="2.1",
    sample_rate=8000,
    hop_length=80,
    receptive_field=(800, 400),
    outputs=(Output("onset", ("frame", "hand"), "probability"),),
    labels={"hand": ["left", "right"]},
    defaults={"level": 0.3},
    data=(Source("Theatre set", "CC-BY-4.0", True), Source("Opera set", "CC-BY-NC-4.0", False)),
    scores={"theatre test": {"f": 0.91}},
    recipe={"name": "claps-small", "sha256": "12ab"},
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    install_plugin(tmp_path, PLUGIN, "claps")
    install_plugin(tmp_path, "raise ImportError('no hands')", "gestures")
    graph = helper.make_graph(
        [helper.make_node("Identity", ["waveform"], ["onset"])],
        "g",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, [1, "n"])],
        [helper.make_tensor_value_info("onset", TensorProto.FLOAT, [1, "n"])],
        doc_string="something to damage",
    )
    onnx.save(helper.make_model(graph), tmp_path / "claps.onnx")
    write_card(tmp_path / "claps.onnx", CARD)
    return tmp_path


def damage(folder: Path) -> None:
    path = folder / "claps.onnx"
    path.write_bytes(path.read_bytes().replace(b"something to damage", b"something of damage"))


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("task", ["whistles", "gestures"])
def test_models_show_of_an_absent_task_is_wrong_use(folder: Path, task: str) -> None:
    done = mira(folder, "models", "show", task)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"no task '{task}'" in done.stderr and "no hands" in done.stderr


def test_models_show_of_a_task_without_a_model_is_wrong_use(folder: Path) -> None:
    done = mira(folder, "models", "show", "hums")
    assert done.returncode == 2 and "has no model file" in done.stderr


def test_models_show_of_a_damaged_model_fails(folder: Path) -> None:
    damage(folder)
    done = mira(folder, "models", "show", "claps")
    assert (done.returncode, done.stdout) == (3, "") and "damaged" in done.stderr


def test_models_show_prints_the_card(folder: Path) -> None:
    done = mira(folder, "models", "show", "clap")
    assert done.returncode == 0 and done.stderr == ""
    for text in (
        "clapnet 2.1",
        "8000 Hz",
        "frame x hand",
        "left right",
        "level = 0.3",
        "theatre test: f 0.91",
    ):
        assert text in done.stdout
    assert "Theatre set (CC-BY-4.0)" in done.stdout and "claps-small" in done.stdout
    assert "commercial use" in done.stdout and "no: Opera set does not allow it" in done.stdout


def test_models_lists_size_and_verdict_and_a_damaged_file_does_not_stop_it(folder: Path) -> None:
    done = mira(folder, "models")
    assert [line.split() for line in done.stdout.splitlines() if line.startswith("claps")] == [
        ["claps", "clapnet", "2.1", "0.0", "MB", "no"]
    ]
    (folder / "claps.onnx").write_bytes(b"")
    done = mira(folder, "models")
    assert done.returncode == 0 and "the file is empty" in done.stdout


def test_models_as_json(folder: Path) -> None:
    listed = lines(mira(folder, "models", "--json").stdout)
    shown = lines(mira(folder, "models", "show", "claps", "--json").stdout)
    [claps] = [each for each in listed if each["task"] == "claps"]
    assert shown == [claps]
    assert claps["card"]["receptive_field"] == [800, 400] and claps["commercial_use"] == "no"


def test_plugins_says_why_one_is_not_used(folder: Path) -> None:
    done = mira(folder, "plugins")
    rows = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert "claps hums" in rows["claps"] and rows["claps"].endswith("ok")
    assert rows["gestures"].endswith("ImportError: no hands")
    infos = {info["name"]: info for info in lines(mira(folder, "plugins", "--json").stdout)}
    assert infos["claps"]["commands"] == ["clap", "hum"] and infos["claps"]["version"] == "1.0"
    assert infos["gestures"]["error"] == "ImportError: no hands"


def test_doctor_says_what_is_there_and_what_to_mend(folder: Path) -> None:
    done = mira(folder, "doctor")
    assert done.returncode == 0 and done.stderr == ""
    for text in ("Python 3", "onnxruntime 1", "libsndfile", "claps: undamaged", "store.sqlite", "no hands"):
        assert text in done.stdout
    damage(folder)
    [found] = lines(mira(folder, "doctor", "--json").stdout)
    assert any("claps" in problem and "damaged" in problem for problem in found["problems"])
    assert any("no hands" in problem for problem in found["problems"])
    assert found["threads"] >= 1 and "CPUExecutionProvider" in found["providers"]
