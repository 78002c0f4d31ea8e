"""What each part of the cover search adds, on renderings of works that nothing was trained on.

``python -m mira_plugins.cover.ablation SYMBOLIC RENDERINGS`` prints mean average precision with its 95 %
interval over queries: of the alignment with other features and fewer tries, of one vector a track with other
pooling and other ways to learn its layer, and of the whole. Layers are fitted anew.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import numpy as np
import torch
from mira_train.losses import LOSSES
from mira_train.metrics import bootstrap, ranking
from mira_train.plugin import find_training
from numpy.typing import NDArray

from mira_plugins.cover import MODEL, CoverPrint, alignment
from mira_plugins.cover.evaluation import alignments, matrices
from mira_plugins.cover.examples import VersionData
from mira_plugins.cover.fingerprint import Floats, pitch_classes, unit
from mira_plugins.cover.fitting import features_of, fitted
from mira_plugins.cover.network import Bank, CoverNet, cover_net
from mira_plugins.cover.search import fit
from mira_plugins.cover.tuning import read

STEPS: Final = 400
"""Of learning a layer step by step."""
_WORKS = 64
_RATE = 3e-4
_DROPPED = 0.2
_LEARNT: Final[Sequence[tuple[str, str, Mapping[str, Any]]]] = (
    ("triplets drawn at random", "triplet", {"margin": 0.4, "mining": "random"}),
    ("semi-hard triplets", "triplet", {"margin": 0.4, "mining": "semi-hard"}),
    ("hard triplets", "triplet", {"margin": 0.4, "mining": "hard"}),
    ("nt_xent", "nt_xent", {"temperature": 0.1}),
)
_TRIED: Final[Sequence[tuple[str, Mapping[str, Any]]]] = (
    ("one tempo ratio", {"RATIOS": (1.0,)}),
    ("one transposition", {"TRANSPOSITIONS": 1}),
    ("stacks of one frame", {"STACK": 1}),
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("symbolic")
    parser.add_argument("renderings", type=Path)
    parser.add_argument("--works", type=int, default=2000, help="to learn layers from")
    parser.add_argument("--tracks", type=int, default=120, help="renderings that are searched, by name")
    told = parser.parse_args()
    works, prints = read(told.renderings, MODEL)
    works, prints = works[: told.tracks], prints[: told.tracks]
    chroma = [np.load(path)["chroma"] for path in sorted(told.renderings.glob("*.npz"))[: told.tracks]]
    asked = sum(works.count(work) > 1 for work in works)
    print(f"{asked} queries, {len(works)} tracks, {len({*works})} works\n")
    print("| | MAP |\n| --- | --- |", flush=True)
    search(works, prints, chroma)
    recipe = find_training("cover").recipe("covernet")
    versions = VersionData(recipe, [told.symbolic]).versions("train", told.works)
    layers(works, heard_by_the_bank([p.frames for p in prints]), *features_of(versions))


def show(name: str, alike: NDArray[Any], works: Sequence[str]) -> None:
    """Print a row of the table."""
    score = bootstrap(ranking(-np.asarray(alike, float), works).scores["map"])
    print(f"| {name} | {score.score:.3f} [{score.low:.3f}, {score.high:.3f}] |", flush=True)


def search(works: Sequence[str], prints: Sequence[CoverPrint], chroma: Sequence[NDArray[np.float16]]) -> None:
    """Rows of the shipped search, and of its alignment with other features and fewer tries."""
    aligned, alike = matrices(prints)
    show("shipped: alignment and vectors", fit(aligned, alike), works)
    show("vectors alone", alike, works)
    vectors = np.stack([p.vector for p in prints])
    show("the vector of the whole recording alone", vectors @ vectors.T, works)
    show("alignment alone", aligned, works)
    for name, constants in _TRIED:
        with patch.multiple(alignment, **constants):
            show(f"alignment, {name}", alignments([p.frames for p in prints]), works)
    both = [(c + 0.5 * np.roll(c, 12, axis=1)).astype(np.float32) for c in chroma]
    show("alignment, bass with the treble", alignments([pitch_classes(c) for c in both]), works)
    show("alignment, no square root", alignments([unit(p.frames**2) for p in prints]), works)


def layers(
    works: Sequence[str], asked: NDArray[np.float64], features: NDArray[np.float64], work: NDArray[np.int64]
) -> None:
    """Rows of vectors from layers that are learned in several ways, on features of the bank."""
    net = cover_net()
    channel = np.arange(features.shape[1]) // 7 // (net.bank.features // 7 // 6) % 2
    for name, kept in (("mean and maximum", channel >= 0), ("mean", channel == 0), ("maximum", channel == 1)):
        fitted(features * kept, work, net)
        show(f"one vector, pooled by {name}", alike(net, asked * kept), works)
    fitted(features, work, net)
    for name, loss, options in _LEARNT:
        show(f"one vector, then {name}", alike(learnt(net, features, work, loss, options), asked), works)


def heard_by_the_bank(frames: Sequence[Floats]) -> NDArray[np.float64]:
    """Features of recordings, shape (item, feature)."""
    bank = Bank()
    with torch.no_grad():
        return np.stack(
            [bank(torch.from_numpy(np.ascontiguousarray(f.T))[None])[0].numpy() for f in frames]
        ).astype(float)


def alike(net: CoverNet, features: NDArray[np.float64]) -> NDArray[np.float32]:
    """Cosines of the vectors of all pairs."""
    with torch.no_grad():
        made = net.project(torch.from_numpy(features.astype(np.float32))).numpy()
    return made @ made.T


def learnt(
    start: CoverNet,
    features: NDArray[np.float64],
    work: NDArray[np.int64],
    loss: str,
    options: Mapping[str, Any],
) -> CoverNet:
    """A layer that goes on learning step by step from another, on features of mean 0 and variance 1."""
    rng, net = np.random.default_rng(0), deepcopy(start)
    generator = torch.Generator().manual_seed(0)
    mean, scale = features.mean(0), features.std(0) + 1e-4
    placed = torch.from_numpy(((features - mean) / scale).astype(np.float32))
    centre, spread = (torch.from_numpy(x.astype(np.float32)) for x in (mean, scale))
    with torch.no_grad():
        net.head.bias += net.head.weight @ centre
        net.head.weight *= spread
    rows = [np.flatnonzero(work == w) for w in np.unique(work)]
    optimizer = torch.optim.AdamW(net.head.parameters(), _RATE)
    for _ in range(STEPS):
        chosen = [rng.permutation(rows[w]) for w in rng.permutation(len(rows))[:_WORKS]]
        batch = np.concatenate(chosen if loss == "triplet" else [r[:2] for r in chosen])
        made = net.project(torch.nn.functional.dropout(placed[batch], _DROPPED))
        if loss == "triplet":
            scaled = made * made.shape[1] ** 0.5  # distances are divided by the dimension
            told = LOSSES[loss](scaled, torch.from_numpy(work[batch]), generator=generator, **options)
        else:
            told = LOSSES[loss](made[0::2], made[1::2], **options)
        optimizer.zero_grad()
        told.backward()
        optimizer.step()
    with torch.no_grad():
        net.head.weight /= spread
        net.head.bias -= net.head.weight @ centre
    return net


if __name__ == "__main__":
    main()
