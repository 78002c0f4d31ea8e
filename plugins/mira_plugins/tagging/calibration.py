"""Probabilities that mean something: factors and summands of the logits, fitted on the held-out examples.

``python -m mira_plugins.tagging.calibration RUN DATA...`` writes them into the card of ``RUN/model.onnx`` and
prints the loss and the calibration error of each group of tags before and after. (Temperature: Guo et al.,
ICML 2017; a line: Platt, 1999.)
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from mira.card import read_card, write_card
from mira_train.runs import Run, load_weights
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from mira_plugins.tagging.decode import PARTS
from mira_plugins.tagging.examples import HeldOut, Mixer, TagData
from mira_plugins.tagging.network import TagNet
from mira_plugins.tagging.training import lightning_module
from mira_plugins.tagging.vocabulary import INDEX, N_GENRES, VOICE

FACTORS = np.exp(np.linspace(np.log(0.25), np.log(4), 41))
OFFSETS = np.linspace(-3, 3, 61)
_MIXTURES = 450
SUNG = 1 / 3
"""Share of recordings in which somebody sings, as the voice's probability has it; a sixth of the mixtures."""

Array = NDArray[np.float64]


@torch.no_grad()
def heard(net: TagNet, data: TagData) -> Iterator[tuple[Array, Array, Array, Array]]:
    """Genres' logits, other tags' logits, targets and known of the held-out examples, in batches."""
    examples = HeldOut(Mixer(data.valid, data.WHOLE, vary=False), _MIXTURES, seed=7)
    for batch in DataLoader(examples, 16):
        genres, others = net.pooled(net(batch["level"])[0])
        parts = (genres, torch.logit(others, 1e-6), batch["target"], batch["known"])
        yield tuple(part.numpy().astype(float) for part in parts)  # type: ignore[misc]


def genre_factor(logits: Array, truth: NDArray[np.int64]) -> float:
    """Factor of the logits (clip, genre) at which the true genres are likeliest."""
    factors: list[float] = FACTORS.tolist()
    return min(factors, key=lambda f: genre_loss(f * logits, truth))


def genre_loss(logits: Array, truth: NDArray[np.int64]) -> float:
    """Mean negative logarithm of the true genres' probabilities."""
    raised = logits - logits.max(1, keepdims=True)
    likely = raised - np.log(np.exp(raised).sum(1, keepdims=True))
    return float(-likely[np.arange(len(truth)), truth].mean())


def line(logit: Array, truth: Array, weight: Array) -> tuple[float, float]:
    """Factor and summand of some tags' logits at which what is true is likeliest."""
    return min(
        ((float(f), float(o)) for f in FACTORS for o in OFFSETS),
        key=lambda x: loss(x[0] * logit + x[1], truth, weight),
    )


def loss(logit: Array, truth: Array, weight: Array) -> float:
    """Mean binary cross entropy; the weights have the sum 1."""
    return float(weight @ (np.logaddexp(0, logit) - truth * logit))


def error(chance: Array, right: Array, weight: Array, bins: int = 10) -> float:
    """Expected calibration error: distance of probability and share that is right, over bins."""
    which = np.minimum((chance * bins).astype(int), bins - 1)
    apart = weight * (chance - right)
    return float(sum(abs(apart[which == b].sum()) for b in range(bins)))


def weights(part: str, truth: Array) -> Array:
    """How much each answer counts: the same, but for the voice, whose share becomes :data:`SUNG`."""
    share = truth.mean() if part == VOICE else SUNG
    weight = np.where(truth > 0.5, SUNG / max(share, 1e-9), (1 - SUNG) / max(1 - share, 1e-9))
    return weight / weight.sum()


def main() -> None:
    """Fit the calibration of a run and write it into its model's card."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("data", nargs="+", help="the folders that the run learned from")
    told = parser.parse_args()
    run = Run.open(told.run)
    net = lightning_module(run.recipe).net.eval()
    load_weights(told.run, net, run.recipe)
    assert isinstance(net, TagNet)
    genres, others, target, known = (
        np.concatenate(parts) for parts in zip(*heard(net, TagData(run.recipe, told.data)), strict=True)
    )
    named = known[:, 0] > 0
    truth = target[named, :N_GENRES].argmax(1)
    factor = genre_factor(genres[named], truth)
    print(f"genre: factor {factor:.3f}, loss {genre_loss(genres[named], truth):.3f}", end=" -> ")
    print(f"{genre_loss(factor * genres[named], truth):.3f}")
    scale, offset = {}, {}
    for part, tags in PARTS.items():
        columns = [INDEX[tag] for tag in tags]
        sure = (known[:, columns] > 0) & np.isin(target[:, columns], (0.0, 1.0))
        logit, true = others[:, [c - N_GENRES for c in columns]][sure], target[:, columns][sure]
        weight = weights(part, true)
        scale[part], offset[part] = (round(v, 4) for v in line(logit, true, weight))
        moved = scale[part] * logit + offset[part]
        before, after = (error(1 / (1 + np.exp(-x)), true, weight) for x in (logit, moved))
        print(f"{part}: {scale[part]:.3f} x + {offset[part]:.3f}, ", end="")
        print(f"loss {loss(logit, true, weight):.3f}", end=" -> ")
        print(f"{loss(moved, true, weight):.3f}, calibration error {before:.3f} -> {after:.3f}")
    model = told.run / "model.onnx"
    card = read_card(model)
    fitted = {"alpha": net.alpha.tolist(), "genre": round(factor, 4), "scale": scale, "offset": offset}
    write_card(model, dataclasses.replace(card, defaults={}, calibration=fitted))


if __name__ == "__main__":
    main()
