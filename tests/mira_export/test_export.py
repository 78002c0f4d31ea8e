"""Torch to ONNX: nothing is written that differs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from mira.card import Card, Output, read_card
from mira.errors import ModelError, OutputError
from mira_export.export import allows_commerce, export, export_onnx
from mira_train import runs
from mira_train.plugin import find_training
from torch import Tensor, nn

SIZES = "network.options={stem: 4, width: 8, layers: 1, neck: 2, dilations: [1]}"


class Frames(nn.Module):
    """Mean of each hop of 4 samples."""

    def forward(self, waveform: Tensor) -> tuple[Tensor]:
        return (waveform.reshape(waveform.shape[0], -1, 4).mean(-1, keepdim=True),)


class Frozen(nn.Module):
    """As above, but the trace freezes its length, as exporters do with some layers."""

    def forward(self, waveform: Tensor) -> tuple[Tensor]:
        frames = int(waveform.shape[1]) // 4
        return (waveform[:, : 4 * frames].reshape(waveform.shape[0], -1, 4).mean(-1, keepdim=True),)


class Wrong(nn.Module):
    """Gives other numbers when traced."""

    def forward(self, waveform: Tensor) -> tuple[Tensor]:
        y = waveform.reshape(waveform.shape[0], -1, 4).mean(-1, keepdim=True)
        return (y + 1 if torch.onnx.is_in_onnx_export() else y,)


def card() -> Card:
    return Card("toy", "toy", "1", 8000, 4, (0, 0), (Output("level", ("frame", "value")),))


def test_a_graph_that_differs_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="ONNX and torch differ by 1"):
        export_onnx(Wrong(), tmp_path / "a.onnx", card(), lengths=[40, 80, 120])
    assert not list(tmp_path.iterdir())


def test_the_file_is_one_and_takes_any_length_and_batch(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    assert export_onnx(Frames(), path, card(), lengths=[40, 80, 120]) < 1e-6
    assert [p.name for p in tmp_path.iterdir()] == ["a.onnx"]
    graph = onnx.load(path)
    assert [i.name for i in graph.graph.input] == ["waveform"]
    assert [o.name for o in graph.graph.output] == ["level"]
    assert graph.opset_import[0].version == 17
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    [out] = session.run(None, {"waveform": np.ones((3, 400), np.float32)})
    assert out.shape == (3, 100, 1)


def test_a_graph_of_frozen_length_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="ONNX and torch differ by inf"):
        export_onnx(Frozen(), tmp_path / "a.onnx", card(), lengths=[40, 80, 120])


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    training = find_training("mpe")
    recipe = training.recipe("notenet", [SIZES])
    path = tmp_path / "w.safetensors"
    runs.save_weights(path, training.module.lightning_module(recipe).net, runs.stamp("mpe", recipe))
    return path


def test_weights_outside_a_run_need_their_recipe(weights: Path) -> None:
    with pytest.raises(ModelError, match="--recipe"):
        export("mpe", weights)


def test_weights_of_another_recipe_are_refused(weights: Path) -> None:
    with pytest.raises(ModelError, match="another form of the recipe 'notenet'"):
        export("mpe", weights, recipe="notenet")


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        export("mpe", tmp_path / "none.ckpt", recipe="notenet", overrides=[SIZES])


def test_damaged_weights_are_named(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ModelError, match="not a safetensors file"):
        export("mpe", tmp_path / "w.safetensors", recipe="notenet", overrides=[SIZES])


@pytest.mark.slow
def test_weights_become_a_model_with_its_card(weights: Path, tmp_path: Path) -> None:
    path, difference = export("mpe", weights, tmp_path / "m.onnx", recipe="notenet", overrides=[SIZES])
    assert difference < 1e-4
    made = read_card(path)
    assert made.task == "mpe" and [o.name for o in made.outputs][:2] == ["onset", "frame"]
    assert made.recipe["name"] == "notenet"
    with pytest.raises(OutputError, match="--force"):
        export("mpe", weights, tmp_path / "m.onnx", recipe="notenet", overrides=[SIZES])


@pytest.mark.parametrize(
    ("terms", "allowed"),
    [
        ("MIT", True),
        ("CC BY 4.0; public domain (1690)", True),
        ("CC BY-NC-SA 4.0", False),
        ("CC0; research use only", False),
        ("", False),
        ("all rights reserved", False),
    ],
)
def test_only_known_free_licences_count_as_commercial(terms: str, allowed: bool) -> None:
    assert allows_commerce(terms) is allowed
