"""Pictures of what models do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from mira.errors import UsageError
from numpy.typing import NDArray

from mira_train.data.atomic import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def activations(
    path: Path, shown: NDArray[np.floating], truth: NDArray[np.bool_], hop_s: float, lowest_pitch: int
) -> None:
    """Draw activations (frame, pitch), and what is true as outlines."""
    with _figure(path, (12, 5)) as axes:
        extent = (0, len(shown) * hop_s, lowest_pitch - 0.5, lowest_pitch + shown.shape[1] - 0.5)
        axes.imshow(shown.T, origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=0, vmax=1)
        if truth.any() and not truth.all():
            x = np.arange(len(truth)) * hop_s
            y = np.arange(truth.shape[1]) + lowest_pitch
            axes.contour(x, y, truth.T.astype(float), [0.5], colors="cyan", linewidths=0.6)
        axes.set(xlabel="time (s)", ylabel="MIDI pitch")


def precision_recall(
    path: Path,
    precision: NDArray[np.floating],
    recall: NDArray[np.floating],
    thresholds: NDArray[np.floating],
) -> None:
    """Draw a point for each threshold."""
    with _figure(path, (5, 5)) as axes:
        axes.plot(recall, precision, marker="o", markersize=3)
        for i in range(0, len(thresholds), 3):
            axes.annotate(f"{thresholds[i]:.2f}", (recall[i], precision[i]))
        axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))


def confusion(path: Path, counts: NDArray[np.floating], labels: Sequence[str]) -> None:
    """Draw how often each true class (row) was taken for each class (column)."""
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    with _figure(path, (7, 6)) as axes:
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(labels)), labels, rotation=90)
        axes.set_yticks(range(len(labels)), labels)
        axes.set(xlabel="found", ylabel="true")


def tagogram(path: Path, probability: NDArray[np.floating], labels: Sequence[str], hop_s: float) -> None:
    """Draw probabilities (patch, label) over time, the likeliest labels alone."""
    best = np.argsort(probability.mean(0))[::-1][:15]
    with _figure(path, (10, 5)) as axes:
        extent = (0, len(probability) * hop_s, len(best) - 0.5, -0.5)
        axes.imshow(probability[:, best].T, aspect="auto", extent=extent, cmap="magma", vmin=0, vmax=1)
        axes.set_yticks(range(len(best)), [labels[i] for i in best])
        axes.set(xlabel="time (s)")


def embedding_map(path: Path, embeddings: NDArray[np.floating], labels: Sequence[str]) -> None:
    """Draw embeddings (item, dimension) in the plane of their largest variance, a colour for each label."""
    centred = embeddings - embeddings.mean(0)
    _, _, axes_of_variance = np.linalg.svd(centred, full_matrices=False)
    x, y = (centred @ axes_of_variance[:2].T).T
    with _figure(path, (8, 7)) as axes:
        for i, label in enumerate(sorted(set(labels))):
            chosen = np.array(labels) == label
            axes.scatter(
                x[chosen], y[chosen], s=12, color=f"C{i % 10}", marker="osD^v"[i // 10 % 5], label=label
            )
        axes.legend(fontsize="small", ncols=2)
        axes.set(xticks=[], yticks=[])


def reliability(path: Path, chances: NDArray[np.floating], right: NDArray[np.bool_], bins: int = 10) -> None:
    """Draw how often what was given a probability is true, against that probability, with counts."""
    which = np.minimum((chances * bins).astype(int), bins - 1)
    there = [b for b in range(bins) if (which == b).any()]
    with _figure(path, (6, 6)) as axes:
        axes.plot([0, 1], [0, 1], color="0.7", linestyle="--")
        x, y = ([values[which == b].mean() for b in there] for values in (chances, right))
        axes.plot(x, y, marker="o")
        for b, left, height in zip(there, x, y):
            count = f"{(which == b).sum():,}"
            axes.annotate(count, (left, height), xytext=(4, -12), textcoords="offset points", fontsize=8)
        axes.set(xlabel="probability", ylabel="share that is true", xlim=(0, 1), ylim=(0, 1))


def filters(path: Path, taps: NDArray[np.floating], sample_rate: int) -> None:
    """Draw the magnitude responses of learned filters (filter, tap), sorted by where they peak."""
    response = np.abs(np.fft.rfft(taps, 1024, axis=1))
    order = np.argsort(response.argmax(1))
    with _figure(path, (6, 6)) as axes:
        scaled = response[order] / np.maximum(response[order].max(1, keepdims=True), 1e-12)
        axes.imshow(scaled.T, origin="lower", aspect="auto", extent=(0, len(taps), 0, sample_rate / 2))
        axes.set(xlabel="filter", ylabel="frequency (Hz)")


@contextmanager
def _figure(path: Path, size: tuple[float, float]) -> Iterator[Axes]:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise UsageError("pictures need matplotlib: pip install 'mira-audio[plot]'") from error
    figure: Any = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    yield figure.subplots()
    with replacing(path, force=True) as temporary:
        figure.savefig(temporary, format="png", dpi=100)
