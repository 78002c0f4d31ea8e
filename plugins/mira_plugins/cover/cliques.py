"""Groups of versions: the connected parts of the graph of sure matches; and all vectors as one file."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from mira.errors import UsageError
from mira.writers.disk import check_target, write_bytes

from mira_plugins.cover.index import Index, guarded
from mira_plugins.cover.search import pairs


@dataclass(frozen=True)
class Member:
    """A track of a group and its surest link to another of it."""

    path: str
    probability: float


def groups(index: Index, threshold: float) -> list[list[Member]]:
    """Tracks that are versions of one another, the largest groups first.

    Parameters
    ----------
    index
        Whose tracks.
    threshold
        Least probability of a link.
    """
    with guarded(index.folder):
        paths = {number: path for path, number in index.catalogue.paths().items()}
        parent = {number: number for number in paths}
        surest: dict[int, float] = defaultdict(float)
        for one, other, chance in pairs(index, list(paths), threshold):
            parent[_top(parent, one)] = _top(parent, other)
            for number in (one, other):
                surest[number] = max(surest[number], chance)
    found: dict[int, list[Member]] = defaultdict(list)
    for number in surest:
        found[_top(parent, number)].append(Member(paths[number], surest[number]))
    return sorted(
        (sorted(g, key=lambda m: m.path) for g in found.values()), key=lambda g: (-len(g), g[0].path)
    )


def _top(parent: dict[int, int], number: int) -> int:
    while parent[number] != number:
        parent[number] = number = parent[parent[number]]
    return number


def draw(found: Sequence[Sequence[Member]], path: str, *, force: bool) -> None:
    """Draw each group as a ring of its tracks.

    Raises
    ------
    UsageError
        If matplotlib is not installed.
    OutputError
        If the picture exists or cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError("--plot needs matplotlib: pip install 'mira-audio[plot]'") from None
    check_target(path, force)
    columns = max(int(np.ceil(np.sqrt(len(found)))), 1)
    rows = max(-(-len(found) // columns), 1)
    figure = Figure(figsize=(3.2 * columns, 2.6 * rows))
    for place, group in enumerate(found):
        axes = figure.add_subplot(rows, columns, place + 1)
        angle = 2 * np.pi * np.arange(len(group)) / len(group)
        x, y = np.cos(angle), np.sin(angle)
        for i in range(len(group)):
            axes.plot([x[i - 1], x[i]], [y[i - 1], y[i]], color="0.8", zorder=1)
        axes.scatter(x, y, c=[m.probability for m in group], vmin=0, vmax=1, zorder=2)
        for member, left, top in zip(group, x, y):
            axes.annotate(
                member.path.rsplit("/", 1)[-1][:24], (left, top), fontsize=6, ha="center", va="bottom"
            )
        axes.set_xlim(-2, 2)
        axes.set_ylim(-1.5, 1.6)
        axes.axis("off")
    stream = io.BytesIO()
    figure.savefig(stream, dpi=150, format=path.rpartition(".")[2])
    write_bytes(stream.getvalue(), path, force=force)


def export(index: Index, path: str) -> int:
    """Write vectors, paths, contents and lengths of all tracks as .npz; returns how many."""
    with guarded(index.folder):
        tracks = list(index.prints(index.catalogue.ids()))
        stream = io.BytesIO()
        np.savez(
            stream,
            vectors=np.array([t[3].vector for t in tracks]).reshape(-1, index.manifest.dimension),
            paths=np.array([t[1] for t in tracks], dtype=np.str_),
            contents=np.array([t[2] for t in tracks], dtype=np.str_),
            duration_s=np.array([t[3].duration_s for t in tracks]),
        )
    write_bytes(stream.getvalue(), path, force=True)
    return len(tracks)
