"""How sure a match is, fitted on renderings of works that nothing was trained on.

``python -m mira_plugins.cover.tuning RENDERINGS model.onnx`` writes into the model's card ``similarity``
(what the vectors weigh beside the alignment), ``slope`` and ``offset`` (from a score to the log odds).
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from mira.card import read_card, write_card
from mira_train.metrics import ranking
from numpy.typing import NDArray

from mira_plugins.cover import CoverPrint
from mira_plugins.cover.evaluation import matrices
from mira_plugins.cover.examples import FRAME_S
from mira_plugins.cover.fingerprint import pitch_classes, print_of_frames

WEIGHTS: Final = (0.0, 1.0, 2.0, 4.0, 8.0, 12.0, 16.0, 24.0)
"""Weights of the vectors that are tried."""
_PRIOR = 1e-3
"""Share of versions among the tracks of a collection that an answer is made for."""


def read(folder: Path, model: Path) -> tuple[list[str], list[CoverPrint]]:
    """Works and prints of renderings."""
    works, prints = [], []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as archive:
            frames = pitch_classes(archive["chroma"].astype(np.float32))
            works.append(str(archive["work"]))
            prints.append(print_of_frames(frames, FRAME_S, len(frames) * FRAME_S, model))
    return works, prints


def calibration(works: Sequence[str], prints: Sequence[CoverPrint]) -> Mapping[str, float]:
    """A weight by mean average precision, and a logistic curve over the scores of all pairs.

    The least weight counts that is within one standard error of the best (Breiman et al., 1984): the vectors
    have learned from versions made like these renderings, so these flatter them, while nothing in the
    alignment is learned. Versions are far more frequent among the renderings than in a collection, so pairs
    are weighted as if one in a thousand were of one work.
    """
    aligned, alike = matrices(prints)
    found = {w: ranking(-(aligned + w * alike), works).scores["map"] for w in WEIGHTS}
    fits = {w: float(scores.mean()) for w, scores in found.items()}
    best = max(fits, key=fits.__getitem__)
    least = fits[best] - found[best].std() / len(found[best]) ** 0.5
    weight = min(w for w in WEIGHTS if fits[w] >= least)
    names = np.array(works)
    same = names[:, None] == names[None]
    pairs = ~np.eye(len(names), dtype=bool)
    slope, offset = logistic((aligned + weight * alike)[pairs], same[pairs])
    alone = ranking(-alike, works).means()["map"]
    print({w: round(v, 4) for w, v in fits.items()}, "vectors alone", round(alone, 4))
    return {"similarity": weight, "slope": slope, "offset": offset}


def logistic(scores: NDArray[np.float64], same: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and offset of the log odds over the score, by Newton's method with the weights of the prior."""
    weight = np.where(same, _PRIOR / same.mean(), (1 - _PRIOR) / (1 - same.mean()))
    x = np.stack([scores, np.ones_like(scores)], axis=1)
    theta = np.zeros(2)
    for _ in range(60):
        chance = 1 / (1 + np.exp(-np.clip(x @ theta, -30, 30)))
        slope = x.T @ (weight * (same - chance))
        bend = (x * (weight * chance * (1 - chance))[:, None]).T @ x + 1e-9 * np.eye(2)
        step = np.linalg.solve(bend, slope)
        theta += step * min(1.0, 5 / max(float(np.abs(step).max()), 1e-12))
    return round(float(theta[0]), 4), round(float(theta[1]), 4)


def main() -> None:
    """Fit, and write into the card."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("renderings", type=Path)
    parser.add_argument("model", type=Path)
    told = parser.parse_args()
    found = calibration(*read(told.renderings, told.model))
    card = read_card(told.model)
    write_card(told.model, dataclasses.replace(card, calibration=found))
    print(found)


if __name__ == "__main__":
    main()
