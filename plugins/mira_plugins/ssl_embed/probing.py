"""What the embedding of a run knows of genres it never saw named, and where its vectors lie.

``python -m mira_plugins.ssl_embed.probing RUN GTZAN`` prints the accuracy of a linear probe and of the near
neighbours, learned from ids 10-79 and asked on 80-99, and writes mean and spread of the vectors of ids 10-79
into the card of ``RUN/model.onnx``: the decoder takes them off each vector.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mira.card import read_card, write_card
from mira_train.runs import Run, load_weights
from numpy.typing import NDArray

from mira_plugins.ssl_embed.encoder import Encoder, relative
from mira_plugins.ssl_embed.evaluation import NEIGHBOURS, probe
from mira_plugins.ssl_embed.network import EmbedNet
from mira_plugins.ssl_embed.training import lightning_module
from mira_plugins.tagging.examples import Stored, read_gtzan, validates

Floats = NDArray[np.float64]


@torch.no_grad()
def steps_of(encoder: Encoder, clips: Sequence[Stored]) -> Floats:
    """Vectors (clip, second, dimension) of stored log-mels, as they are."""
    levels = (clip.zero_db + clip.step_db * clip.level.astype(np.float32) for clip in clips)
    heard = [encoder(relative(torch.from_numpy(level[None])))[0].T.numpy() for level in levels]
    return np.stack(heard).astype(float)


def accuracies(
    known: Floats, labels: NDArray[np.str_], asked: Floats, truth: NDArray[np.str_]
) -> tuple[float, float]:
    """Share that a linear probe, and that the nearest known clips, name rightly."""
    linear = float(np.mean(probe().fit(known, labels).predict(asked) == truth))
    nearest = np.argsort(asked @ known.T, axis=1)[:, ::-1][:, :NEIGHBOURS]
    votes = [max(row, key=row.count) for row in labels[nearest].tolist()]
    return linear, float(np.mean(np.array(votes) == truth))


def main() -> None:
    """Probe a run's encoder and write where its vectors lie into its model's card."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("gtzan", type=Path)
    told = parser.parse_args()
    run = Run.open(told.run)
    net = lightning_module(run.recipe).net.eval()
    load_weights(told.run, net, run.recipe)
    assert isinstance(net, EmbedNet)
    clips = read_gtzan(told.gtzan)
    held = np.array([validates(clip) for clip in clips])
    labels = np.array([next(iter(clip.tags)) for clip in clips])
    steps = steps_of(net.encoder, clips)
    centre, spread = steps[~held].mean((0, 1)), steps[~held].mean(1).std(0) + 1e-3
    vectors = ((steps - centre) / spread).mean(1)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    linear, nearest = accuracies(vectors[~held], labels[~held], vectors[held], labels[held])
    print(f"linear probe {linear:.3f}, {NEIGHBOURS} nearest {nearest:.3f}, on {held.sum()} clips")
    model = told.run / "model.onnx"
    if model.is_file():
        where = {
            "centre": [round(v, 5) for v in centre.tolist()],
            "spread": [round(v, 5) for v in spread.tolist()],
        }
        card = read_card(model)
        scores = {
            **card.scores,
            "gtzan ids 80-99": {"probe": round(linear, 4), "neighbours": round(nearest, 4)},
        }
        write_card(model, dataclasses.replace(card, calibration=where, scores=scores))


if __name__ == "__main__":
    main()
