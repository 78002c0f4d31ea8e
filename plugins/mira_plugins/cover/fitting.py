"""The linear layer of the cover network in closed form, which takes a minute where training takes an hour.

Principal directions of the bank's features over versions of works, each scaled down by how much versions of
one work differ in it (within-class covariance normalisation, Hatch, Kajarekar and Stolcke, Interspeech 2006;
here the diagonal alone). ``python -m mira_plugins.cover.fitting RUN FOLDER...`` writes the folder of a run,
which ``mira export cover RUN`` makes a model file of.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

import numpy as np
import torch
from mira_train import runs
from mira_train.plugin import find_training
from mira_train.sets import sources
from numpy.typing import NDArray

from mira_plugins.cover.examples import VersionData, Versions
from mira_plugins.cover.network import CoverNet, cover_net

_SHRINK: Final = 0.5
"""Share of the mean difference that is added to each direction's own."""


def main() -> None:
    """Fit the layer on versions of works."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--works", type=int, default=300)
    told = parser.parse_args()
    recipe = find_training("cover").recipe("covernet")
    data = VersionData(recipe, told.data)
    features, work = features_of(data.versions("train", told.works), 2)
    sets = [source for dataset in data.sets for source in sources(dataset)]
    runs.begin(told.run, "cover", recipe, sets, force=True)
    data.split.save(told.run / runs.SPLIT)
    runs.save_weights(told.run / runs.WEIGHTS, fitted(features, work), runs.stamp("cover", recipe, sets))


def features_of(versions: Versions, each: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Features of the first versions of each work, shape (item, feature), and the work of each."""
    rows = [w * versions.group + v for w in range(len(versions.works)) for v in range(each)]
    items = [versions[row] for row in rows]
    return np.stack([i["x"].numpy() for i in items]).astype(float), np.array([int(i["y"]) for i in items])


def fitted(features: NDArray[np.float64], work: NDArray[np.int64]) -> CoverNet:
    """The network with its linear layer in place."""
    net = cover_net()
    length = features / np.linalg.norm(features, axis=1, keepdims=True)
    _, _, directions = np.linalg.svd(length, full_matrices=False)
    directions = directions[: net.head.out_features]
    placed = length @ directions.T
    means = np.stack([placed[work == w].mean(0) for w in np.unique(work)])
    within = (placed - means[np.searchsorted(np.unique(work), work)]).var(0)
    scale = 1 / np.sqrt(within + _SHRINK * within.mean())
    with torch.no_grad():
        net.head.weight[: len(directions)] = torch.from_numpy(
            (scale[:, None] * directions).astype(np.float32)
        )
    return net.eval()


if __name__ == "__main__":
    main()
