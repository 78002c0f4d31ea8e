"""How the book's chord row is scored: by the time that is right, and by class over all frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mira.task import Activations
from mira_train import plots as pictures
from mira_train.data.labels import CHORDS, NO_CHORD
from mira_train.evaluate import Row, listener_of, samples_of
from mira_train.metrics import CHORD_SCORES, Scores, chords
from mira_train.sets import Recording
from numpy.typing import NDArray

from mira_plugins.chords.book import chord_frames

_TIMED = tuple(name for name in CHORD_SCORES if name != "seg")


def scored(items: Sequence[Recording], model: Path, plots: Path | None = None) -> tuple[list[Row], Scores]:
    """MIREX's measures of each recording; together the same over all the time (``wcsr_...``), and the recall.

    ``macro_recall`` is the mean over the classes that occur, ``classes`` says how many do.
    """
    listener, rows, seconds = listener_of("chords", model), [], []
    counts = np.zeros((len(CHORDS), len(CHORDS)))
    for item in items:
        if not item.entry["chord"]:
            continue
        heard = listener.activations(*samples_of(item)())
        classes = np.asarray(heard.arrays["chord"]).argmax(1)
        truth = chord_frames(item, "chord", len(classes), heard.hop_s)
        np.add.at(counts, (truth[truth >= 0], classes[truth >= 0]), 1)
        reference = _annotated(item)
        rows.append(Row(item.key, item.dataset.name, chords(reference, _segments(classes, heard))))
        seconds.append(float(np.ptp(reference[0])))
    if plots is not None:
        pictures.confusion(plots / "confusion.png", counts, CHORDS)
    there = counts.sum(1) > 0
    recall = float((counts.diagonal()[there] / counts[there].sum(1)).mean())
    share = {f"wcsr_{n}": float(np.average([r.scores[n] for r in rows], weights=seconds)) for n in _TIMED}
    return rows, {"macro_recall": recall, "classes": float(there.sum()), **share}


def _annotated(item: Recording) -> tuple[NDArray[np.float64], list[str]]:
    """Intervals and labels in Harte's syntax."""
    atoms = item.entry["chord"]
    times = np.array([(float(atom.times[0]), atom.end_s) for atom in atoms])
    return times, [_harte(str(atom.value)) for atom in atoms]


def _segments(classes: NDArray[np.int64], heard: Activations) -> tuple[NDArray[np.float64], list[str]]:
    """Runs of one class; a frame stands for the time nearest to it."""
    starts = np.flatnonzero(np.diff(classes, prepend=-1))
    edges = np.append(np.maximum((starts - 0.5) * heard.hop_s, 0), heard.duration_s)
    return np.stack([edges[:-1], edges[1:]], 1), [_harte(CHORDS[c]) for c in classes[starts]]


def _harte(label: str) -> str:
    return "N" if label == NO_CHORD else label
