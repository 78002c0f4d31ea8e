"""The linear layer of the cover network in closed form, which takes minutes where training takes hours.

Linear discriminants of the bank's features over versions of works (Fisher, 1936; Rao, 1948): the directions
in which works differ most for how much the versions of one work do.
``python -m mira_plugins.cover.fitting RUN FOLDER...`` writes the folder of a run, which
``mira export cover RUN`` makes a model file of.
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

_SHRINK: Final = 0.3
"""Share of the mean variance within works that is added in every direction, as there are few versions."""


def main() -> None:
    """Fit the layer on versions of works."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--works", type=int, default=2000)
    told = parser.parse_args()
    recipe = find_training("cover").recipe("covernet")
    data = VersionData(recipe, told.data)
    features, work = features_of(data.versions("train", told.works))
    sets = [source for dataset in data.sets for source in sources(dataset)]
    runs.begin(told.run, "cover", recipe, sets, force=True)
    data.split.save(told.run / runs.SPLIT)
    net = fitted(features, work, cover_net())
    runs.save_weights(told.run / runs.WEIGHTS, net, runs.stamp("cover", recipe, sets))


def features_of(versions: Versions) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Features of all versions, shape (item, feature), and the work of each."""
    items = [versions[row] for row in range(len(versions))]
    return np.stack([i["x"].numpy() for i in items]).astype(float), np.array([int(i["y"]) for i in items])


def fitted(features: NDArray[np.float64], work: NDArray[np.int64], net: CoverNet) -> CoverNet:
    """The network with its linear layer in place.

    Parameters
    ----------
    features
        Shape (item, feature).
    work
        Shape (item,); each work has several items.
    net
        The network; changed.
    """
    mean, scale = features.mean(0), features.std(0) + 1e-4
    placed = (features - mean) / scale
    _, number = np.unique(work, return_inverse=True)
    counts = np.bincount(number)
    means = np.stack([np.bincount(number, column) for column in placed.T], axis=1) / counts[:, None]
    apart = placed - means[number]
    within = apart.T @ apart / (len(placed) - len(counts))
    within += _SHRINK * np.trace(within) / len(within) * np.eye(len(within))
    whiten = np.linalg.inv(np.linalg.cholesky(within))
    _, directions = np.linalg.eigh(whiten @ (placed.T @ placed / len(placed)) @ whiten.T)
    weight = directions[:, ::-1][:, : net.head.out_features].T @ whiten / scale
    with torch.no_grad():
        net.head.weight.copy_(torch.from_numpy(weight))
        net.head.bias.copy_(torch.from_numpy(-weight @ mean))
    return net.eval()


if __name__ == "__main__":
    main()
