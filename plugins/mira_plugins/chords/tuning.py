"""The language model counted in the training songs, and its weights chosen on the validation songs.

``python -m mira_plugins.chords.tuning RUN BILLBOARD [CLIPS]`` writes ``language.json`` and prints the best
weights, which are then the defaults of :class:`mira_plugins.chords.decode.Weights`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from mira.results import Chords
from mira.task import Activations
from mira_train.data.splits import Split
from mira_train.runs import SPLIT, Run, load_weights
from numpy.typing import NDArray
from torch import nn

from mira_plugins.chords import ChordSettings
from mira_plugins.chords.agreement import calibration_error, compare, summary, sureness
from mira_plugins.chords.billboard import HOP_S, dequantised
from mira_plugins.chords.decode import Weights, decode_chords
from mira_plugins.chords.examples import ChordData, LabelledChroma
from mira_plugins.chords.language import LanguageModel
from mira_plugins.chords.network import ChordNet
from mira_plugins.chords.targets import Segment, segments
from mira_plugins.chords.training import lightning_module
from mira_plugins.chords.vocabulary import NAMES, NO_CHORD, harte, spelling

GRID = {
    "frame": (0.2, 0.28, 0.4, 0.55, 0.75, 1.0),
    "change": (-1.0, 1.0, 3.0, 5.0, 7.0, 9.0, 11.0),
    "edge": (0.0, 0.5, 1.0, 1.5, 2.0, 3.0),
    "repeat": (0.0, 0.5, 1.0, 2.0),
    "votes": (0.0, 0.1, 0.2, 0.3),
    "inversion": (0.0, 0.3, 0.7, 1.2, 2.0),
}
"""Values tried for each weight, one weight at a time."""
TEMPERATURES = (0.7, 0.85, 1.0, 1.2, 1.4, 1.7, 2.0, 2.5)
GOALS = ("majmin", "sevenths", "seg")
_PER_SOURCE = 16
"""Songs of one source that are heard at most."""
_SHARPS = spelling(7, False)


@dataclass(frozen=True)
class Heard:
    """One validation song: what the network gave, and the truth."""

    source: str
    activations: Activations
    chords: Sequence[Segment]


def runs(targets: NDArray[np.int16], columns: int = 2) -> list[tuple[int, ...]]:
    """Frame-wise targets as (root, quality, ..., frames) without equal neighbours."""
    kept = targets[:, :columns]
    edges = np.flatnonzero(np.any(np.diff(kept, axis=0, prepend=-2) != 0, axis=1))
    lengths = np.diff(np.append(edges, len(kept)))
    return [(*kept[e].tolist(), int(n)) for e, n in zip(edges, lengths)]


def labelled(targets: NDArray[np.int16]) -> list[Segment]:
    """Frame-wise targets as segments; unknown qualities are X."""
    rows, frame = [], 0
    for root, quality, bass, frames in runs(targets, 3):
        edges = frame - 0.5 if frame else 0.0, frame + frames - 0.5
        if root == NO_CHORD:
            text = "N"
        else:
            text = "X" if min(root, quality) < 0 else harte(root, NAMES[quality], bass, _SHARPS)
        rows.append((edges[0] * HOP_S, edges[1] * HOP_S, text))
        frame += frames
    return segments(rows)


def heard(net: nn.Module, song: LabelledChroma) -> Heard:
    """Let a network hear a song."""
    chroma = song.chroma
    values = dequantised(chroma) if chroma.dtype == np.uint8 else chroma.astype(np.float32)
    with torch.no_grad():
        root, quality, bass, pitch, change = net(torch.from_numpy(np.ascontiguousarray(values.T))[None])
    likely = {"root": root.softmax(-1), "quality": quality.softmax(-1), "bass": bass.softmax(-1)}
    likely |= {"pitch": pitch.sigmoid(), "change": change.sigmoid()}
    arrays = {name: tensor[0].numpy() for name, tensor in likely.items()}
    activations = Activations(arrays, 44100, 2048, len(song.targets) * HOP_S)
    return Heard(song.source, activations, labelled(song.targets))


def tune(songs: Sequence[Heard], model: LanguageModel, start: Weights | None = None) -> tuple[Weights, float]:
    """Coordinate search for the highest mean of :data:`GOALS`, averaged over sources.

    Returns
    -------
    Weights, float
        The best ones and what they reach.
    """
    best = start or Weights()
    top = reached(songs, model, best)
    for name, values in GRID.items():
        for value in values:
            candidate = replace(best, **{name: value})
            found = reached(songs, model, candidate)
            if found > top:
                best, top = candidate, found
    return best, top


def reached(songs: Sequence[Heard], model: LanguageModel, weights: Weights) -> float:
    """Mean of :data:`GOALS` over sources."""
    means = []
    for source in sorted({song.source for song in songs}):
        rows = []
        for song in songs:
            if song.source == source:
                rows.append(compare(song.chords, _decoded(song, model, weights)))
        scores = summary(rows, draws=1)
        means.append(np.nanmean([scores[name]["score"] for name in GOALS]))
    return float(np.mean(means))


def calibrate(songs: Sequence[Heard], model: LanguageModel, weights: Weights) -> tuple[Weights, float, float]:
    """Choose the temperature whose confidences err least (Brier score).

    Returns
    -------
    Weights, float, float
        The weights with it, and the calibration error without and with it.
    """
    tried: dict[float, tuple[float, float]] = {}
    for temperature in TEMPERATURES:
        weights = replace(weights, temperature=temperature)
        rows = np.concatenate([sureness(s.chords, _decoded(s, model, weights)) for s in songs])
        sure, right, seconds = rows.T
        brier = float((seconds * (sure - right) ** 2).sum() / seconds.sum())
        tried[temperature] = brier, calibration_error(rows)
    best = min(tried, key=tried.__getitem__)
    return replace(weights, temperature=best), tried[1.0][1], tried[best][1]


def _decoded(song: Heard, model: LanguageModel, weights: Weights) -> Chords:
    return decode_chords(replace(song.activations, defaults=vars(weights)), ChordSettings(), model)


def main() -> None:
    """Count the language model in a run's training songs and tune its weights on the others."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("data", nargs="+", help="the folders that the run learned from")
    told = parser.parse_args()
    run = Run.open(told.run)
    net = lightning_module(run.recipe).net.eval()
    load_weights(told.run, net, run.recipe)
    assert isinstance(net, ChordNet)
    split = Split.load(told.run / SPLIT)
    songs = ChordData(run.recipe, told.data).songs
    train, valid = set(split.train), set(split.valid)
    model = LanguageModel.learn(
        [runs(s.targets) for s in songs if s.name in train and s.source == "billboard"]  # type: ignore[misc]
    )
    model.save()
    chosen = [s for s in songs if s.name in valid and s.source != "none"]
    sources = {s.source for s in chosen}
    chosen = [s for source in sources for s in [s for s in chosen if s.source == source][:_PER_SOURCE]]
    listened = [heard(net, s) for s in chosen]
    weights, top = tune(listened, model)
    weights, before, after = calibrate(listened, model, weights)
    print(f"{weights}: {top:.4f}; calibration error {before:.3f}, with the temperature {after:.3f}")


if __name__ == "__main__":
    main()
