"""Tags as a line of a table on the terminal, and as a picture."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from mira.results import Result, Tags
from mira.writers import About, Writer
from mira.writers.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME_WIDTH, GENRE_WIDTH = 34, 24
LIKELY = 0.5
"""Instruments from this probability on are in the table."""
_ROWS = 20
_INK, _BAR = "#1d2733", "#2563ae"


def write_line(result: Result, stream: BinaryIO, about: About) -> None:
    """Write name, two genres, voice, and the instruments that are probable, in columns."""
    tags = cast(Tags, result)
    name = printable(os.path.basename(about.path))
    name = name if len(name) <= NAME_WIDTH else name[: NAME_WIDTH - 13] + "…" + name[-12:]
    genre = _best(tags.genre, 2)
    likely = {
        n: p for n, p in {**tags.instruments, **(tags.own or {})}.items() if p >= LIKELY and n != "voice"
    }
    parts = (f"{name:<{NAME_WIDTH}}", f"{genre:<{GENRE_WIDTH}}", f"voice {tags.voice:.2f}", _best(likely, 8))
    stream.write("  ".join(parts).rstrip().encode("utf-8", "replace") + b"\n")


def _best(chances: Mapping[str, float], count: int) -> str:
    ranked = sorted(chances.items(), key=lambda pair: -pair[1])[:count]
    return ", ".join(f"{name} {chance:.2f}" for name, chance in ranked)


def draw(result: Result, stream: BinaryIO, about: About, *, format: str) -> None:
    """Draw the likeliest tags: as a tag-o-gram where there is a timeline, else as bars.

    Raises
    ------
    OutputError
        If matplotlib is not installed.
    """
    from mira.errors import OutputError

    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise OutputError(
            'pictures need matplotlib; install it by: pip install "mira-audio[plot]"'
        ) from error
    tags = cast(Tags, result)
    figure: Any = Figure(figsize=(10, 6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(printable(os.path.basename(about.path)), loc="left", color=_INK, parse_math=False)
    _tagogram(axes, tags) if tags.timeline is not None else _bars(axes, tags)
    figure.savefig(stream, format=format, dpi=120)


def _tagogram(axes: Axes, tags: Tags) -> None:
    import numpy as np

    timeline = np.asarray(tags.timeline)
    best = np.argsort(timeline.max(0))[::-1][:_ROWS]
    extent = (0.0, tags.duration_s, len(best) - 0.5, -0.5)
    picture = axes.imshow(timeline[:, best].T, aspect="auto", extent=extent, cmap="magma", vmin=0, vmax=1)
    axes.set_yticks(range(len(best)), [(tags.tags or ())[i] for i in best])
    axes.set(xlabel="time (s)")
    assert axes.figure is not None
    axes.figure.colorbar(picture, ax=axes, label="probability")


def _bars(axes: Axes, tags: Tags) -> None:
    everything = {**tags.genre, **tags.instruments, "voice": tags.voice, **(tags.own or {})}
    best = sorted(everything.items(), key=lambda pair: -pair[1])[:_ROWS]
    axes.barh([name for name, _ in best], [chance for _, chance in best], color=_BAR)
    axes.invert_yaxis()
    axes.set(xlabel="probability", xlim=(0, 1))


WRITERS = (
    Writer("table", (".tags.txt",), (Tags,), write_line, listing=True),
    *(
        Writer(f, (f".{f}",), (Tags,), partial(draw, format=f), needs=("matplotlib",))
        for f in ("png", "svg", "pdf")
    ),
)
