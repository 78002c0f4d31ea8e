"""Scores on stored chroma: the shipped graph, cut at its chroma, hears songs whose audio nobody may have.

Needs no more than an installed mira: no onnx, no mir_eval.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Final

import numpy as np
from mira.card import load_bytes
from mira.results import Chords
from mira.task import Activations
from numpy.typing import NDArray

from mira_plugins.chords import ChordSettings
from mira_plugins.chords.agreement import compare, summary
from mira_plugins.chords.billboard import HOP_S, LAG_S, StoredSong, dequantised, read_folds
from mira_plugins.chords.decode import decode_chords
from mira_plugins.chords.graph import cut_graph

CUT: Final = "chroma"
"""The tensor of the graph that stored features stand for."""


class CutModel:
    """A shipped chord model from its chroma on.

    Parameters
    ----------
    path
        The .onnx file.

    Raises
    ------
    ModelError
        If it has no output ``chroma``.
    """

    def __init__(self, path: Path) -> None:
        import onnxruntime

        self.card, graph = load_bytes(path)
        self.names = [output.name for output in self.card.outputs if output.name != CUT]
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        self._session = onnxruntime.InferenceSession(
            cut_graph(graph, CUT, self.names), options, providers=["CPUExecutionProvider"]
        )

    def run(self, chroma: NDArray[np.float32]) -> Activations:
        """Activations from chroma of shape (24, frame)."""
        outputs = self._session.run(self.names, {CUT: np.ascontiguousarray(chroma.T[None])})
        arrays = {name: values[0] for name, values in zip(self.names, outputs)}
        seconds = chroma.shape[1] * HOP_S
        return Activations(arrays, self.card.sample_rate, self.card.hop_length, seconds, self.card.defaults)


def evaluate_features(model: Path, folder: Path, fold: int) -> dict[str, dict[str, float]]:
    """Scores of a model on one fold of stored chroma.

    Returns
    -------
    dict
        Measure -> ``score``, ``low``, ``high``; see :mod:`mira_plugins.chords.agreement`.
    """
    heard = CutModel(model)
    return summary(compare(song.chords, chords_of(heard, song)) for song in read_folds(folder, (fold,)))


def chords_of(model: CutModel, song: StoredSong) -> Chords:
    """Chords of a stored song on the clock of its labels: its frames' stamps run early by :data:`LAG_S`."""
    return later(decode_chords(model.run(dequantised(song.chroma)), ChordSettings()), LAG_S)


def later(chords: Chords, by_s: float) -> Chords:
    """Move every boundary but the first."""
    start_s = np.append(0.0, chords.start_s[1:] + by_s)
    return dataclasses.replace(chords, start_s=start_s, end_s=chords.end_s + by_s)
