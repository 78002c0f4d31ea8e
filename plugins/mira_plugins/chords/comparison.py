"""The tables of the README: trained networks side by side, and language models for one of them.

``python -m mira_plugins.chords.comparison BILLBOARD RUN...`` prints a row for each run, and
``--languages`` rows for the language models on the first one. Fold 4 is not touched.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from mira.task import Activations
from mira_train.data.splits import Split
from mira_train.runs import SPLIT, Run, load_weights
from torch import Tensor, nn

from mira_plugins.chords import ChordSettings
from mira_plugins.chords.agreement import compare, summary
from mira_plugins.chords.billboard import FOLDS, read_folds
from mira_plugins.chords.decode import Weights, decode_chords
from mira_plugins.chords.examples import from_billboard
from mira_plugins.chords.language import AGES, LanguageModel, Vocabulary, shipped_model
from mira_plugins.chords.training import lightning_module
from mira_plugins.chords.tuning import Heard, heard

MEASURES = ("majmin", "sevenths", "seg")
_PENALTIES = (2.0, 0.0, -2.0, -4.0, -6.0)
"""Tried for the language model that has one penalty and nothing else."""


class InPieces(nn.Module):
    """A network that hears a song in pieces as long as those it learned from, of each the middle half."""

    def __init__(self, net: nn.Module, frames: int) -> None:
        super().__init__()
        self.net, self.frames = net, frames

    def forward(self, chroma: Tensor) -> tuple[Tensor, ...]:
        step, margin = self.frames // 2, self.frames // 4
        parts = []
        for start in range(0, chroma.shape[1], step):
            first = max(start - margin, 0)
            outputs = self.net(chroma[:, first : start + step + margin])
            parts.append([each[:, start - first : start - first + step] for each in outputs])
        return tuple(torch.cat(pieces, dim=1) for pieces in zip(*parts))


def validation(run: Run, data: Path) -> tuple[int, list[Heard]]:
    """Parameters of a run's network, and what it hears in the validation songs of Billboard."""
    net = lightning_module(run.recipe).net.eval()
    load_weights(run.folder, net, run.recipe)
    names = set(Split.load(run.folder / SPLIT).valid)
    songs = [song for song in from_billboard(read_folds(data, FOLDS)) if song.name in names]
    pieces = InPieces(net, run.recipe.data.patch)
    return sum(p.numel() for p in net.parameters()), [heard(pieces, song) for song in songs]


def row(name: str, songs: Sequence[Heard], model: LanguageModel, weights: Weights) -> str:
    """Scores with their intervals, as a line of a table."""
    counted = []
    for song in songs:
        activations: Activations = replace(song.activations, defaults=vars(weights))
        counted.append(compare(song.chords, decode_chords(activations, ChordSettings(), model)))
    found = summary(counted)
    cells = [
        f"{100 * found[m]['score']:.1f} [{100 * found[m]['low']:.1f}, {100 * found[m]['high']:.1f}]"
        for m in MEASURES
    ]
    return f"| {name} | {' | '.join(cells)} |"


def languages() -> Iterator[tuple[str, LanguageModel, Weights]]:
    """What may stand between the frames and the chords, from nothing to what is shipped."""
    learned, once = shipped_model(), Weights(repeat=0.0, edge=0.0, change=2.0)
    any_change = np.ones_like(learned.changes)
    any_time = np.full((2, AGES), 0.5)
    plain = LanguageModel(any_change, any_time)
    states = Vocabulary.named("full").size - 1
    # Staying and changing are as likely as each other, whatever the next chord: each frame for itself.
    yield "none", plain, replace(once, frame=1.0, change=float(np.log(states)))
    for penalty in _PENALTIES:
        yield f"one penalty, {penalty:g}", plain, replace(once, change=penalty)
    yield "learned changes", LanguageModel(learned.changes, any_time), once
    yield "learned durations", LanguageModel(any_change, learned.hazard), once
    yield "both", learned, once
    yield "both, and changes heard", learned, Weights(repeat=0.0)
    yield "both, changes heard, repeats", learned, Weights()


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("data", type=Path, help="folder in the form of the Billboard set")
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--languages", action="store_true", help="compare language models on the first run")
    told = parser.parse_args()
    runs = [Run.open(folder) for folder in told.runs]
    print(f"| | {' | '.join(MEASURES)} |\n|{'---|' * (len(MEASURES) + 1)}", flush=True)
    if told.languages:
        _, songs = validation(runs[0], told.data)
        for name, model, weights in languages():
            print(row(name, songs, model, weights), flush=True)
        return
    for run in runs:
        parameters, songs = validation(run, told.data)
        print(row(f"{run.folder.name}, {parameters:,}", songs, shipped_model(), Weights()), flush=True)


if __name__ == "__main__":
    main()
