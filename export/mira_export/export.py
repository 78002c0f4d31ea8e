"""Torch to ONNX, with proof that both give the same before anything is written."""

from __future__ import annotations

import itertools
import re
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from mira.card import Card, Output, Source, write_card
from mira.errors import ModelError, OutputError
from mira_train.data.atomic import replacing
from mira_train.plugin import find_training
from mira_train.recipe import Recipe
from mira_train.runs import RUN, Run, load_weights, read_weights
from mira_train.shipment import Shipment
from numpy.random import Generator
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as state
from torch import Tensor, nn

OPSET = 17
"""Pinned; the exporter that takes it is right for recurrent layers at every length, unlike the newer one."""

_FREE = re.compile(r"\b(MIT|CC0|CC[- ]BY|public domain|BSD|Apache|Unlicense|ODbL)\b", re.IGNORECASE)
_BOUND = re.compile(r"\bNC\b|non-?commercial|research|personal|permission", re.IGNORECASE)


def export(
    task: str,
    source: Path,
    target: Path | None = None,
    *,
    recipe: str = "",
    overrides: Sequence[str] = (),
    version: str = "1.0",
    force: bool = False,
) -> tuple[Path, float]:
    """Export a trained network as a model file with its card.

    Parameters
    ----------
    task
        Name of the task.
    source
        Folder of a run, or weights (.safetensors, .ckpt) in one; weights from elsewhere need ``recipe``.
    target
        The .onnx file; ``model.onnx`` in the run if not given.
    recipe, overrides
        What made weights that do not lie in a run.
    version
        Of the model, for its card.
    force
        Replace an existing file.

    Returns
    -------
    tuple
        The file, and the largest difference from torch.

    Raises
    ------
    ModelError
        If the weights are of another recipe, or the graph differs from torch; then nothing is written.
    OutputError
        If the file exists or cannot be written.
    """
    training = find_training(task)
    run = _run_of(source)
    if run is None and not recipe:
        raise ModelError(f"{source}: does not lie in a run; say what made it: --recipe NAME")
    if run is not None and run.task != training.task:
        raise ModelError(f"{run.folder}: is a run of {run.task}; use: mira export {run.task}")
    made = training.recipe(recipe, overrides) if run is None or recipe else run.recipe
    target = target or (run.folder if run else source.parent) / "model.onnx"
    if target.exists() and not force:
        raise OutputError(f"{target}: exists; --force replaces it")
    net = training.module.lightning_module(made).net
    _load(source, net, made, trusted=bool(recipe))
    ship = training.module.shipped(made, net)
    return target, export_shipment(ship, target, card_of(ship, training.task, made, run, version), made)


def _run_of(source: Path) -> Run | None:
    """The run that a folder is, or that weights lie in."""
    folders = [source] if source.is_dir() else [source.parent, source.parent.parent]
    for folder in folders:
        if (folder / RUN).is_file():
            return Run.open(folder)
    return None


def _load(source: Path, net: nn.Module, recipe: Recipe, *, trusted: bool) -> None:
    """Load weights; without a stamp only where the user named the recipe."""
    if trusted and not source.is_dir() and not read_weights(source)[1]:
        state, _ = read_weights(source)
        try:
            net.load_state_dict(state)
        except RuntimeError as error:
            raise ModelError(f"{source}: does not fit '{recipe.name}': {_one_line(error)}") from error
    else:
        load_weights(source, net, recipe)


def card_of(ship: Shipment, task: str, recipe: Recipe, run: Run | None, version: str) -> Card:
    """What a model says about itself: its form from the network, its origin from the run."""
    told: Mapping[str, Any] = run.about if run else {}
    return Card(
        task=task,
        name=recipe.name,
        version=version,
        sample_rate=ship.sample_rate,
        hop_length=ship.hop_length,
        receptive_field=(ship.reach, ship.reach),
        outputs=ship.outputs,
        labels=ship.labels,
        defaults=ship.defaults,
        data=tuple(_source(item) for item in told.get("data", ())),
        recipe={"name": recipe.name, "sha256": recipe.hash},
    )


def _source(told: Mapping[str, Any]) -> Source:
    return Source(told["name"], told["terms"] or "not stated", allows_commerce(told["terms"]))


def allows_commerce(terms: str) -> bool:
    """Whether every one of some licences, separated by semicolons, is known to allow commercial use."""
    return all(_FREE.search(each) and not _BOUND.search(each) for each in terms.split(";"))


def export_shipment(ship: Shipment, path: Path, card: Card, recipe: Recipe) -> float:
    """Write what a task ships; see :func:`export_onnx`."""
    return export_onnx(
        ship.graph,
        path,
        card,
        lengths=ship.lengths,
        rows=ship.rows,
        input_name=ship.input,
        opset=recipe.export.opset,
        tolerance=recipe.export.tolerance,
    )


def export_onnx(
    network: nn.Module,
    path: Path,
    card: Card,
    *,
    lengths: Sequence[int],
    batches: Sequence[int] = (1, 2),
    rows: int = 0,
    input_name: str = "waveform",
    opset: int = OPSET,
    tolerance: float = 1e-4,
) -> float:
    """Write a network as a model file with its card; an existing file is replaced.

    Parameters
    ----------
    network
        ``(batch, sample)``, or ``(batch, row, frame)``, -> tuple of the outputs in the order of
        ``card.outputs``.
    lengths, batches
        Input lengths, and batch sizes, at which parity with torch is proved. With a single length the graph
        takes no other.
    rows
        Rows of the input; 0 for a waveform.
    input_name, opset
        Of the graph.
    tolerance
        Largest absolute difference allowed.

    Returns
    -------
    float
        The largest difference found.

    Raises
    ------
    ModelError
        If the network cannot be exported, or the graph differs from torch; then nothing is written.
    """
    network = network.eval()
    names = [output.name for output in card.outputs]
    rng = np.random.default_rng(0)

    def example(batch: int, length: int) -> Tensor:
        return _noise(rng, (batch, rows, length) if rows else (batch, length))

    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "draft.onnx"
        axes = _axes(card.outputs, input_name, 2 if rows else 1, len(lengths) > 1)
        _export(network, example(2, lengths[0]), draft, input_name, names, axes, opset)
        session = onnxruntime.InferenceSession(str(draft), providers=["CPUExecutionProvider"])
        worst = max(
            _difference(network, session, input_name, example(b, n))
            for n, b in itertools.product(lengths, batches)
        )
        if not worst <= tolerance:
            raise ModelError(f"{path.name}: ONNX and torch differ by {worst:.2g}, allowed is {tolerance:.2g}")
        write_card(draft, card)
        with replacing(path, force=True) as temporary:
            temporary.write_bytes(draft.read_bytes())
    return worst


def _axes(
    outputs: Sequence[Output], input_name: str, time_axis: int, any_length: bool
) -> dict[str, dict[int, str]]:
    """Names of the axes that may have any size."""
    axes = {input_name: {0: "batch"}, **{output.name: {0: "batch"} for output in outputs}}
    if any_length:
        axes[input_name][time_axis] = "sample" if time_axis == 1 else "frame"
        for output in outputs:
            if output.axes[0] == "frame":
                axes[output.name][1] = "frame"
    return axes


def _export(
    network: nn.Module,
    example: Tensor,
    draft: Path,
    input_name: str,
    names: list[str],
    axes: dict[str, dict[int, str]],
    opset: int,
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's advice; parity is proved below
        try:
            torch.onnx.export(
                network,
                (example,),
                str(draft),
                dynamo=False,
                opset_version=opset,
                input_names=[input_name],
                output_names=names,
                dynamic_axes=axes,
            )
        except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
            raise ModelError(f"the network cannot be exported: {_one_line(error)}") from error
    _mend_transposes(draft)


def _mend_transposes(path: Path) -> None:
    """Count axes from the front: the exporter writes ``movedim(-1, 1)`` as the permutation 0, -1, 1."""
    model = onnx.load(path)
    for node in model.graph.node:
        for attribute in node.attribute if node.op_type == "Transpose" else ():
            attribute.ints[:] = [axis % len(attribute.ints) for axis in attribute.ints]
    onnx.save(model, path)


def _noise(rng: Generator, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(0.1 * rng.standard_normal(shape).astype(np.float32))


def _difference(
    network: nn.Module, session: onnxruntime.InferenceSession, input_name: str, example: Tensor
) -> float:
    """Largest difference of any output; infinite where the graph cannot run at this size."""
    try:
        ours: list[NDArray[np.float32]] = session.run(None, {input_name: example.numpy()})
    except (state.Fail, state.InvalidArgument, state.RuntimeException):
        return float("inf")
    with torch.no_grad():
        theirs = [output.numpy() for output in network(example)]
    if any(a.shape != b.shape for a, b in zip(ours, theirs, strict=True)):
        return float("inf")
    return max(float(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
