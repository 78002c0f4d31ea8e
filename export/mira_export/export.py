"""Torch to ONNX, with proof that both give the same before anything is written."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from mira.card import Card, write_card
from mira.errors import ModelError
from numpy.random import Generator
from torch import Tensor, nn

OPSET = 17
"""Pinned; the exporter that takes it is right for recurrent layers at every length, unlike the newer one."""


def export_onnx(
    network: nn.Module,
    path: Path,
    card: Card,
    *,
    lengths: Sequence[int],
    batches: Sequence[int] = (1, 2),
    tolerance: float = 1e-4,
) -> float:
    """Write a network (waveform in, the card's outputs out) as a model file with its card.

    Parameters
    ----------
    network
        ``(batch, sample) -> tuple of (batch, frame, ...)`` in the order of ``card.outputs``.
    lengths, batches
        Input sizes in samples, and batch sizes, at which parity with torch is proved.
    tolerance
        Largest absolute difference allowed.

    Returns
    -------
    float
        The largest difference found.

    Raises
    ------
    ModelError
        If the graph differs from torch; then nothing is written.
    """
    network = network.eval()
    names = [output.name for output in card.outputs]
    axes = {"waveform": {0: "batch", 1: "sample"}, **{n: {0: "batch", 1: "frame"} for n in names}}
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "draft.onnx"
        torch.onnx.export(
            network,
            (_noise(rng, 2, lengths[0]),),
            str(draft),
            dynamo=False,
            opset_version=OPSET,
            input_names=["waveform"],
            output_names=names,
            dynamic_axes=axes,
        )
        worst = max(_difference(network, draft, _noise(rng, b, n)) for n in lengths for b in batches)
        if not worst <= tolerance:
            raise ModelError(f"{path.name}: ONNX and torch differ by {worst:.2g}, allowed is {tolerance:.2g}")
        write_card(draft, card)
        path.write_bytes(draft.read_bytes())
    return worst


def _noise(rng: Generator, batch: int, n: int) -> Tensor:
    return torch.from_numpy(0.1 * rng.standard_normal((batch, n)).astype(np.float32))


def _difference(network: nn.Module, draft: Path, waveform: Tensor) -> float:
    session = onnxruntime.InferenceSession(str(draft), providers=["CPUExecutionProvider"])
    ours = session.run(None, {"waveform": waveform.numpy()})
    with torch.no_grad():
        theirs = network(waveform)
    return max(float(np.abs(a - b.numpy()).max()) for a, b in zip(ours, theirs, strict=True))
