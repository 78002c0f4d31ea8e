"""A small chord network with random weights, and its model file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mira.card import Card, Output
from mira_export.export import export_onnx
from mira_plugins.chords.network import ChordNet, ChordNetConfig, Shipped

RATE, HOP = 44100, 2048
SMALL = ChordNetConfig(width=4, dilations=(1, 2), tuning_s=0.5)


@pytest.fixture(scope="module")
def net() -> ChordNet:
    torch.manual_seed(0)
    net = ChordNet(SMALL)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)  # type: ignore[union-attr]
    return net.eval()


@pytest.fixture(scope="module")
def model(net: ChordNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    shipped = Shipped(net)
    outputs = tuple(Output(name, axes) for name, axes in Shipped.axes.items())
    card = Card("chords", "small", "1", RATE, HOP, (shipped.reach, shipped.reach), outputs)
    worst = export_onnx(shipped, path, card, lengths=[HOP * n for n in (10, 23, 31)])
    assert worst < 1e-4
    return path
