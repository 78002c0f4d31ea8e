"""Model files that are damaged, newer or gone: one clear line, exit 3, nothing written."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from fakes import RATE, install_plugin
from mira.card import Card, Output, read_card, write_card
from onnx import TensorProto, helper, numpy_helper

Command = Callable[..., tuple[int, str, str]]

PLUGIN = """
from dataclasses import dataclass
from pathlib import Path
import mira
from mira.hooks import hookimpl

@dataclass(frozen=True)
class Settings:
    gain: float | None = mira.setting(None, "Gain.")

def decode(activations, settings):
    import numpy as np
    loudness = activations.arrays["loudness"][:, 0] * settings.gain
    return mira.Curve(activations.duration_s, np.arange(len(loudness)) * activations.hop_s, loudness)

@hookimpl
def mira_tasks():
    model = Path(__file__).with_name("model.onnx")
    return [mira.Task("meter", "meter", "Measure.", Settings, mira.Curve, decode, ".csv", model=model)]
"""


@pytest.fixture
def model(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The model of a plugin: the mean of each 64 samples."""
    install_plugin(home, PLUGIN, "meter_plugin")
    path = home / "model.onnx"
    kernel = numpy_helper.from_array(np.full((1, 1, 64), 1 / 64, np.float32), "kernel")
    nodes = [
        helper.make_node("Unsqueeze", ["waveform", "one"], ["x"]),
        helper.make_node("Conv", ["x", "kernel"], ["y"], strides=[64]),
        helper.make_node("Transpose", ["y"], ["loudness"], perm=[0, 2, 1]),
    ]
    graph = helper.make_graph(
        nodes,
        "meter",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, [1, "n"])],
        [helper.make_tensor_value_info("loudness", TensorProto.FLOAT, [1, "frames", 1])],
        [kernel, numpy_helper.from_array(np.array([1]), "one")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    outputs = (Output("loudness", ("frame", "one")),)
    write_card(path, Card("meter", "meter", "1.5", RATE, 64, (64, 64), outputs, defaults={"gain": 2.0}))
    monkeypatch.delitem(__import__("sys").modules, "meter_plugin", raising=False)
    return path


def test_model_runs_and_its_card_tunes_and_signs_the_result(
    command: Command, music: Path, model: Path
) -> None:
    code, out, err = command("meter", "music/a.wav", "--json")
    row = json.loads(out)
    assert (code, err) == (0, "")
    assert row["model"] == {"name": "meter", "version": "1.5"}
    assert row["settings"] == {"gain": 2.0}
    assert len(row["value"]) == RATE // 64 + 1


def test_damaged_newer_or_missing_model_is_one_line(command: Command, music: Path, model: Path) -> None:
    good = model.read_bytes()
    flipped = bytearray(good)
    flipped[40] ^= 1
    newer = good.replace(b'"format":1', b'"format":9')
    assert newer != good
    for data, told in (
        (flipped, "damaged"),
        (good[:200], ""),
        (b"text", ""),
        (b"", "empty"),
        (newer, "pip install"),
    ):
        model.write_bytes(data)
        code, _, err = command("meter", "music", "--out-dir", "out", "-q")
        lines = err.splitlines()
        assert code == 3
        assert len(lines) == 1, lines
        assert "model.onnx" in lines[0]
        assert told in lines[0]
        assert not Path("out").exists()
    model.unlink()
    code, out, err = command("meter", "music/a.wav", "--json")
    assert code == 3
    assert "model.onnx" in json.loads(out)["error"]


def test_resume_notices_another_model_and_other_tuning(command: Command, music: Path, model: Path) -> None:
    command("meter", "music", "--out-dir", "out")
    assert "4 skipped" in command("meter", "music", "--out-dir", "out", "--resume")[2]
    write_card(model, dataclasses.replace(read_card(model), defaults={"gain": 3.0}))
    from mira import analysis

    analysis.shared_model.cache_clear()
    assert "4 done" in command("meter", "music", "--out-dir", "out", "--resume")[2]
