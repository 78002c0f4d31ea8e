"""A trained network as it is shipped: front end before it, activation behind it, and what its card says."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from mira.card import Output
from torch import Tensor, nn

from mira_train.learner import ACTIVATIONS, Heard
from mira_train.network import Network
from mira_train.recipe import Recipe, build_frontend

_FACTORS = (1.0, 1.35, 1.8)
"""Lengths at which export is proved, in patches."""
_FAINT = 1e-6
"""Share of the largest influence below which a sample counts as out of reach."""


@dataclass(frozen=True)
class Shipment:
    """What is exported.

    Parameters
    ----------
    graph
        ``(batch, sample)``, or ``(batch, row, frame)`` with ``rows``, -> tuple of the outputs.
    sample_rate, hop_length
        Hz and samples; for stored features 1 Hz and frames.
    outputs
        Names, axes and units, in order.
    lengths
        Input lengths at which the exported graph must equal torch; one alone if it fits no other.
    reach
        Samples on either side that a frame depends on.
    labels
        Output -> its labels.
    defaults
        Tuned settings.
    input, rows
        Name of the input; rows of stored features, 0 for a waveform.
    """

    graph: nn.Module
    sample_rate: int
    hop_length: int
    outputs: tuple[Output, ...]
    lengths: tuple[int, ...]
    reach: int = 0
    labels: Mapping[str, list[str]] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    input: str = "waveform"
    rows: int = 0


class Graph(nn.Module):
    """Front end, network, activation; frames become the first axis after the batch.

    A network with one answer a patch hears a recording patch by patch: each patch is a frame of the output.
    One that reads stored features gives one answer for all of them.

    Parameters
    ----------
    front, net
        What makes features, and what is made of them.
    activation
        ``none``, ``sigmoid`` or ``softmax``.
    in_time
        Whether the output has a value a frame. There are then as many frames as whole hops in the input.
    window
        Samples of a patch, for a network with one answer a patch of audio.
    at
        Name of a stored tensor that is the output, instead of the network's end.
    """

    def __init__(
        self, front: nn.Module, net: nn.Module, activation: str, in_time: bool, window: int, at: str = ""
    ) -> None:
        super().__init__()
        self.front, self.net = front, net
        self._activation, self._in_time, self._window, self._at = activation, in_time, window, at

    def forward(self, waveform: Tensor) -> tuple[Tensor]:
        """See :class:`Shipment`."""
        x = self.front(waveform.reshape(-1, self._window) if self._window else waveform)
        if self._in_time and x.dim() == 4:
            x = x[..., :-1]
        y = self.net.until(self._at, x) if self._at and isinstance(self.net, Network) else self.net(x)
        y = ACTIVATIONS[self._activation](y)
        if self._in_time:
            y = y.movedim(-1, 1)
            y = y.squeeze(2) if y.dim() == 4 else y
        if self._window:
            y = y.reshape(waveform.shape[0], -1, y.shape[1])
        return (y,)


def shipment(recipe: Recipe, net: nn.Module, labels: Sequence[str] = (), at: str = "") -> Shipment:
    """Put a recipe's network into the form in which it is shipped.

    Parameters
    ----------
    recipe
        What made it.
    net
        As :func:`mira_train.learner.trained_network` builds it.
    labels
        Of the output's last axis.
    at
        See :class:`Graph`.
    """
    spec, name = recipe.network, recipe.export.outputs[0]
    front, net = (net.front, net.net) if isinstance(net, Heard) else (build_frontend(recipe), net)
    stored = not hasattr(front, "sample_rate")
    in_time = len(spec.output) > 1 and spec.output[-1] == spec.input[-1]
    window = 0 if stored or in_time else _samples(front, recipe.data.patch)
    graph = Graph(front, net, recipe.export.activation, in_time, window, at).eval()
    hop = window or int(front.hop_length)
    if window:
        lengths = [window, 2 * window, 3 * window]
    else:
        lengths = [hop * frames for frames in _frames(net, (*spec.input[:-1], recipe.data.patch))]
    axis = "class" if labels else "dimension"
    unit = "" if recipe.export.activation == "none" else "probability"
    return Shipment(
        graph,
        int(getattr(front, "sample_rate", 1)),
        hop,
        (Output(name, (axis,) if stored else ("frame", axis), unit),),
        tuple(lengths),
        _reach(graph, 2 * lengths[-1] if len(lengths) > 1 else lengths[0], hop) if in_time else 0,
        {name: list(labels)} if labels else {},
        input="features" if stored else "waveform",
        rows=12 if stored else 0,
    )


def _frames(net: nn.Module, input_shape: tuple[int, ...]) -> list[int]:
    """Patch lengths that the network takes: three, or the recipe's alone where its layers fix it."""
    frames = [math.ceil(input_shape[-1] * f) for f in _FACTORS]
    try:
        for n in frames[1:]:
            _on_meta(net)(torch.empty(1, *input_shape[:-1], n, device="meta"))
    except RuntimeError:  # what a layer of fixed size raises
        return frames[:1]
    return frames


def _on_meta(net: nn.Module) -> nn.Module:
    return copy.deepcopy(net).to("meta").eval()


def _samples(front: nn.Module, frames: int) -> int:
    """Samples of which a front end makes so many frames."""
    return (frames - 1 if front.n_bins else frames) * int(front.hop_length)


def _reach(graph: nn.Module, length: int, hop: int) -> int:
    """How far the middle frame listens, measured by the gradient of its outputs."""
    waveform = torch.randn(1, length, generator=torch.Generator().manual_seed(0)).requires_grad_()
    (output,) = graph(waveform)
    middle = output.shape[1] // 2
    output[:, middle].square().sum().backward()
    assert waveform.grad is not None
    influence = waveform.grad[0].abs()
    near = torch.nonzero(influence > _FAINT * influence.max())[:, 0]
    if not len(near):
        return 0
    centre = middle * hop
    return int(max(centre - near[0], near[-1] - centre))
