"""Model files that read stored features instead of a waveform; only the book's cover rows have such."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
from mira.card import read_card
from mira.errors import DataError
from mira.writers.text import printable
from numpy.typing import NDArray

INPUT = "features"


class FeatureModel:
    """A model file whose input is (batch, row, frame) of stored features.

    Parameters
    ----------
    path
        The file.
    least
        Frames below which zeros are added.

    Attributes
    ----------
    card
        Its card.
    """

    def __init__(self, path: Path, least: int = 1) -> None:
        self.path, self.card, self._least = path, read_card(path), least
        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        given = [(node.name, node.shape[1]) for node in self._session.get_inputs()]
        if [name for name, _ in given] != [INPUT]:
            raise DataError(f"{printable(path)}: reads no stored features; evaluate it on audio")
        self._rows = given[0][1]

    def __call__(self, feature: NDArray[np.float32]) -> NDArray[np.float32]:
        """First output for one recording, its feature of shape (row, frame).

        Raises
        ------
        DataError
            If it has another number of rows.
        """
        if feature.shape[0] != self._rows:
            raise DataError(
                f"{printable(self.path)}: reads {self._rows} rows, but the set has {feature.shape[0]}"
            )
        missing = max(self._least * self.card.hop_length - feature.shape[1], 0)
        padded = np.pad(feature, ((0, 0), (0, missing)))
        return self._session.run(None, {INPUT: padded[None]})[0][0]
