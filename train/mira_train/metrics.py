"""How good: scores per track, then over tracks, with the interval that chance alone would explain.

Scores come from times and labels of whole recordings, never from patches or from targets on the network's
grid. mir_eval and scikit-learn do the counting; ranking is ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import mir_eval
import numpy as np
from mira.errors import DataError
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, recall_score, roc_auc_score

Floats = NDArray[np.float64]
Scores = dict[str, float]


@dataclass(frozen=True)
class Interval:
    """A score and its bootstrap interval.

    Parameters
    ----------
    score, low, high
        The score of all tracks, and the bounds.
    """

    score: float
    low: float
    high: float


def bootstrap(
    values: Floats, weights: Floats | None = None, *, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> Interval:
    """Weighted mean over tracks and its percentile interval (Efron, 1979); tracks are drawn, not frames.

    Parameters
    ----------
    values
        Shape (track,).
    weights
        Shape (track,), for instance durations; equal by default.
    level
        Probability that the interval covers.
    draws, seed
        Number and seed of the resamples.

    Raises
    ------
    DataError
        Without tracks.
    """
    values = np.asarray(values, dtype=np.float64)
    if not len(values):
        raise DataError("no track to score; check the data set and the split")
    weights = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    rows = np.random.default_rng(seed).integers(len(values), size=(draws, len(values)))
    means = (values * weights)[rows].sum(1) / weights[rows].sum(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(np.average(values, weights=weights)), float(low), float(high))


# --- pitches and notes ---


def multipitch(
    reference: tuple[Floats, Sequence[Floats]], estimate: tuple[Floats, Sequence[Floats]]
) -> Scores:
    """Frame-wise pitches of one track, counted over all its frames together (Bay et al., ISMIR 2009).

    Parameters
    ----------
    reference, estimate
        Times in seconds, shape (frame,), and for each an array of Hz, empty where nothing sounds. The
        reference keeps its own times and pitches: it is not put on the estimate's grid.

    Returns
    -------
    dict
        ``precision``, ``recall``, ``accuracy``, ``f1``, ``error``, and the first three behind ``chroma_``;
        all right where both are silent throughout.
    """
    ref_time, ref_hz = reference
    est_time, est_hz = estimate
    if not any(len(f) for f in ref_hz) and not any(len(f) for f in est_hz):
        names = ("precision", "recall", "accuracy", "f1")
        return {**dict.fromkeys(names, 1.0), "error": 0.0, **{f"chroma_{n}": 1.0 for n in names[:3]}}
    raw = mir_eval.multipitch.evaluate(ref_time, list(ref_hz), est_time, list(est_hz))
    precision, recall = raw["Precision"], raw["Recall"]
    return {
        "precision": precision,
        "recall": recall,
        "accuracy": raw["Accuracy"],
        "f1": _f1(precision, recall),
        "error": raw["Total Error"],
        "chroma_precision": raw["Chroma Precision"],
        "chroma_recall": raw["Chroma Recall"],
        "chroma_accuracy": raw["Chroma Accuracy"],
    }


def pitch_peaks(salience: Floats, freqs_hz: Floats, threshold: float) -> list[Floats]:
    """Pitches of each frame: bins that reach the threshold and are higher than both neighbours.

    Parameters
    ----------
    salience
        Shape (bin, frame), 0 to 1.
    freqs_hz
        Shape (bin,).
    threshold
        Tuned on validation data.
    """
    around = np.pad(salience, ((1, 1), (0, 0)), constant_values=-np.inf)
    # of two equal neighbours the lower one counts
    peak = (salience >= threshold) & (salience > around[:-2]) & (salience >= around[2:])
    return [freqs_hz[column] for column in peak.T]


def transcription(
    reference: tuple[Floats, Floats], estimate: tuple[Floats, Floats], *, onset_tolerance_s: float = 0.05
) -> Scores:
    """Notes of one track (Raffel et al., mir_eval, ISMIR 2014).

    Parameters
    ----------
    reference, estimate
        Intervals in seconds, shape (note, 2), and MIDI pitches, shape (note,).
    onset_tolerance_s
        Largest distance of onsets.

    Returns
    -------
    dict
        ``precision``, ``recall``, ``f1`` by onset and pitch, and ``offset_f1`` with offsets as well.
    """
    (ref_times, ref_midi), (est_times, est_midi) = reference, estimate
    if not len(ref_times) or not len(est_times):
        value = float(len(ref_times) == len(est_times))
        return dict.fromkeys(("precision", "recall", "f1", "offset_f1"), value)
    notes = (
        ref_times,
        mir_eval.util.midi_to_hz(np.asarray(ref_midi, float)),
        est_times,
        mir_eval.util.midi_to_hz(np.asarray(est_midi, float)),
    )
    score = mir_eval.transcription.precision_recall_f1_overlap
    precision, recall, f1, _ = score(*notes, onset_tolerance=onset_tolerance_s, offset_ratio=None)
    offset_f1 = score(*notes, onset_tolerance=onset_tolerance_s)[2]
    return {"precision": precision, "recall": recall, "f1": f1, "offset_f1": offset_f1}


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


# --- chords ---

CHORD_SCORES = ("root", "majmin", "thirds", "triads", "sevenths", "mirex", "seg")


def chords(reference: tuple[Floats, Sequence[str]], estimate: tuple[Floats, Sequence[str]]) -> Scores:
    """Share of a track's time whose chord is right in several vocabularies (Pauwels and Peeters, 2013).

    Parameters
    ----------
    reference, estimate
        Intervals in seconds, shape (segment, 2), and labels in Harte syntax.

    Returns
    -------
    dict
        :data:`CHORD_SCORES`; ``seg`` is the agreement of the segmentations.
    """
    raw = mir_eval.chord.evaluate(reference[0], list(reference[1]), estimate[0], list(estimate[1]))
    return {name: float(raw[name]) for name in CHORD_SCORES}


# --- tags ---


def pool(values: Floats, track: Sequence[str]) -> tuple[Floats, list[str]]:
    """Mean of the patches of each track.

    Parameters
    ----------
    values
        Shape (patch, ...).
    track
        Shape (patch,), the track of each.

    Returns
    -------
    tuple
        Shape (track, ...), and the tracks in order.
    """
    names = sorted(set(track))
    rows = np.array(track)
    return np.stack([values[rows == name].mean(0) for name in names]), names


def classes(probability: Floats, truth: NDArray[np.int64], labels: Sequence[str]) -> tuple[Scores, list[str]]:
    """Exclusive classes, one decision a track.

    Parameters
    ----------
    probability
        Shape (track, class).
    truth
        Shape (track,).
    labels
        Names of the classes.

    Returns
    -------
    tuple
        ``recall`` (macro, over the classes that occur) and ``accuracy``; and the classes that do not occur.
    """
    found = probability.argmax(1)
    present = sorted(set(truth.tolist()))
    recall = recall_score(truth, found, labels=present, average="macro", zero_division=0)
    absent = [name for i, name in enumerate(labels) if i not in present]
    return {"recall": float(recall), "accuracy": float((found == truth).mean())}, absent


def tags(probability: Floats, truth: NDArray[np.int64], labels: Sequence[str]) -> tuple[Scores, list[str]]:
    """Independent labels of whole tracks, a mean over the labels that can be scored.

    Parameters
    ----------
    probability, truth
        Shape (track, label); truth is 0 or 1.
    labels
        Names.

    Returns
    -------
    tuple
        ``auc`` and ``map``; and the labels left out, because no track or every track has them.
    """
    scored = (truth.min(0) == 0) & (truth.max(0) == 1)
    if not scored.any():
        raise DataError("no label has both tracks with it and tracks without; take more tracks")
    auc = roc_auc_score(truth[:, scored], probability[:, scored], average="macro")
    mean_ap = average_precision_score(truth[:, scored], probability[:, scored], average="macro")
    left_out = [name for name, kept in zip(labels, scored, strict=True) if not kept]
    return {"auc": float(auc), "map": float(mean_ap)}, left_out


# --- ranking ---


@dataclass(frozen=True, eq=False)
class Ranking:
    """What each query found.

    Parameters
    ----------
    scores
        Name -> shape (query,): ``mr1`` (rank of the first hit), ``mrr``, ``p@1``..., ``map``, ``ndcg``.
    skipped
        Number of queries that have no second performance.
    """

    scores: Mapping[str, Floats]
    skipped: int

    def means(self) -> Scores:
        """Mean over queries of each score."""
        return {name: float(values.mean()) for name, values in self.scores.items()}


def ranking(distance: Floats, work: Sequence[object], depths: Sequence[int] = (1, 5, 10)) -> Ranking:
    """Every performance asks for the others of its work.

    The query is not part of its own list, and a work of one performance does not ask. Average precision
    divides by the number of relevant items. Equal distances keep their order.

    Parameters
    ----------
    distance
        Shape (item, item).
    work
        Shape (item,).
    depths
        Where precision is taken.

    Raises
    ------
    DataError
        If a distance is not a number, or no work has two performances.
    """
    if not np.isfinite(distance).all():
        raise DataError("a distance is not finite; the network that made it has diverged")
    _, number = np.unique(np.array([str(w) for w in work]), return_inverse=True)
    rows = []
    for query in range(len(number)):
        order = np.argsort(distance[query], kind="stable")
        hits = number[order[order != query]] == number[query]
        if hits.any():
            rows.append(_query_scores(hits, depths))
    if not rows:
        raise DataError("no work has two performances, so there is nothing to find")
    return Ranking({name: np.array([row[name] for row in rows]) for name in rows[0]}, len(number) - len(rows))


def _query_scores(hits: NDArray[np.bool_], depths: Sequence[int]) -> Scores:
    """Scores of one list: ``hits`` says which places are relevant."""
    ranks = hits.nonzero()[0] + 1
    gain = 1 / np.log2(ranks + 1)
    best = 1 / np.log2(np.arange(len(ranks)) + 2)
    return {
        "mr1": float(ranks[0]),
        "mrr": float(1 / ranks[0]),
        **{f"p@{k}": float(hits[:k].sum() / k) for k in depths},
        "map": float((np.arange(1, len(ranks) + 1) / ranks).mean()),
        "ndcg": float(gain.sum() / best.sum()),
    }
