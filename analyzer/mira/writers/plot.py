"""Pictures: the piano roll of notes, the stripe of segments, the line of a curve; PNG, SVG or PDF.

Long recordings are broken into rows as music on paper is, so that thousands of notes stay apart. Drawn by
matplotlib (extra ``[plot]``) without its global state: nothing here touches ``pyplot``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Any, BinaryIO

from mira.errors import OutputError
from mira.results import Curve, MultiF0, Notes, Result, Segments
from mira.writers import About, Writer
from mira.writers.checks import check_result
from mira.writers.text import note_name, one_line, printable

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.collections import PolyCollection
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

ROW_S, MOST_ROWS = 30.0, 12
"""Seconds in a row of the picture; longer recordings get longer rows rather than more than twelve."""

WIDTH_IN, DPI = 12.0, 150
TOP_IN, GAP_IN, BOTTOM_IN = 0.75, 0.4, 0.45
LEFT, ROW_WIDTH = 0.055, 0.925
"""Where a row begins and how wide a full one is, in parts of the picture's width."""

TICKS_S = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600)
BLACK_KEYS = frozenset((1, 3, 6, 8, 10))
INK, PAPER, SHADE, LINE, MUTED = "#1d2733", "#ffffff", "#eef1f5", "#d5dbe3", "#66727f"
SOFT_TO_LOUD = ("#cfe8f3", "#6fb1d8", "#2563ae", "#0b1f5c")
NO_LABEL = frozenset(("N", "X", ""))
"""Labels that say that nothing is there; drawn grey."""

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "text.color": INK,
    "text.parse_math": False,
    "svg.hashsalt": "mira",
}

Draw = Callable[["Axes", float, float], None]
"""Draws what lies between two times on axes."""


def write(result: Result, stream: BinaryIO, about: About, *, format: str) -> None:
    """Draw a result.

    Raises
    ------
    OutputError
        If matplotlib is not installed.
    """
    check_result(result)
    try:
        import matplotlib
    except ImportError as error:
        raise OutputError(
            'pictures need matplotlib; install it by: pip install "mira-audio[plot]"'
        ) from error
    import warnings

    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(format)
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a title in a script that the font lacks
        figure = _draw(result, about)
        figure.savefig(stream, format=format, dpi=DPI, metadata=metadata)


def _draw(result: Result, about: About) -> Figure:
    match result:
        case Notes():
            draw, row_in, summary = _piano_roll(result)
        case MultiF0():
            draw, row_in, summary = _pitches(result)
        case Segments():
            draw, row_in, summary = _stripe(result)
        case Curve():
            draw, row_in, summary = _line(result)
        case _:
            raise NotImplementedError(result.kind)
    figure, rows = _rows(float(result.duration_s), row_in)
    for axes, start_s, end_s in rows:
        draw(axes, start_s, end_s)
    _title(figure, about, summary)
    if isinstance(result, Notes):
        _velocity_key(figure)
    return figure


def _rows(duration_s: float, row_in: float) -> tuple[Figure, list[tuple[Axes, float, float]]]:
    """Make the figure and the axes of each row, with the times between which it lies."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    duration_s = max(duration_s, 1.0)
    row_s = max(duration_s / MOST_ROWS, ROW_S)
    row_s = duration_s if duration_s < 1.2 * row_s else row_s
    tick_s = next((t for t in TICKS_S if row_s / t <= 15), row_s / 10)
    row_s = ceil(row_s / tick_s) * tick_s if duration_s > row_s else duration_s
    n_rows = ceil(duration_s / row_s)
    height_in = TOP_IN + n_rows * row_in + (n_rows - 1) * GAP_IN + BOTTOM_IN
    figure = Figure(figsize=(WIDTH_IN, height_in), facecolor=PAPER)
    FigureCanvasAgg(figure)
    rows = []
    for row in range(n_rows):
        start_s, end_s = row * row_s, min((row + 1) * row_s, duration_s)
        bottom = height_in - TOP_IN - (row + 1) * row_in - row * GAP_IN
        width = ROW_WIDTH * (end_s - start_s) / row_s
        axes = figure.add_axes((LEFT, bottom / height_in, width, row_in / height_in))
        axes.set_xlim(start_s, end_s)
        axes.xaxis.set_major_locator(MultipleLocator(tick_s))
        axes.xaxis.set_major_formatter(FuncFormatter(_clock))
        axes.tick_params(length=3)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        rows.append((axes, start_s, end_s))
    return figure, rows


def _piano_roll(notes: Notes) -> tuple[Draw, float, str]:
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("velocity", SOFT_TO_LOUD)(notes.velocity / 127.0)
    low, high = _pitch_range(notes.pitch)

    def draw(axes: Axes, start_s: float, end_s: float) -> None:
        _keyboard(axes, low, high)
        here = (notes.end_s > start_s) & (notes.start_s < end_s)
        axes.add_collection(
            _boxes(notes.start_s[here], notes.end_s[here], notes.pitch[here], 0.84, colours[here])
        )

    return draw, _row_height(low, high), _count(len(notes.pitch), "note")


def _pitches(result: MultiF0) -> tuple[Draw, float, str]:
    import numpy as np

    times = np.repeat(result.time_s, [len(f) for f in result.freq_hz])
    freq_hz = np.concatenate([*result.freq_hz, np.empty(0)])
    pitch = 69 + 12 * np.log2(freq_hz / 440)
    low, high = _pitch_range(pitch)

    def draw(axes: Axes, start_s: float, end_s: float) -> None:
        _keyboard(axes, low, high)
        here = (times >= start_s) & (times < end_s)
        axes.plot(times[here], pitch[here], ".", color=SOFT_TO_LOUD[2], markersize=2)

    return draw, _row_height(low, high), _count(len(result.time_s), "frame")


def _stripe(segments: Segments) -> tuple[Draw, float, str]:
    import numpy as np
    from matplotlib.colors import hsv_to_rgb, to_rgba

    # Labels of one root (chords) or of one kind share a hue; hues are spread by the golden ratio.
    kinds = list(dict.fromkeys(_root(label) for label in segments.label if label not in NO_LABEL))
    hue = {kind: (0.58 + 0.618034 * i) % 1 for i, kind in enumerate(kinds)}
    fills = [
        SHADE if label in NO_LABEL else tuple(hsv_to_rgb((hue[_root(label)], 0.28, 0.95)))
        for label in segments.label
    ]
    colours = np.array([to_rgba(fill) for fill in fills]).reshape(-1, 4)

    def draw(axes: Axes, start_s: float, end_s: float) -> None:
        axes.set_ylim(0, 1)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        here = np.flatnonzero((segments.end_s > start_s) & (segments.start_s < end_s))
        starts, ends = segments.start_s[here], segments.end_s[here]
        axes.add_collection(_boxes(starts, ends, np.full(len(here), 0.5), 0.9, colours[here], PAPER))
        for index, left, right in zip(here, np.maximum(starts, start_s), np.minimum(ends, end_s)):
            _fit_text(axes, left, right, one_line(segments.label[index]))

    return draw, 0.75, _count(len(segments.label), "segment")


def _line(curve: Curve) -> tuple[Draw, float, str]:
    import numpy as np

    low, high = (float(curve.value.min()), float(curve.value.max())) if len(curve.value) else (0.0, 1.0)
    margin = 0.06 * (high - low) or 1.0

    def draw(axes: Axes, start_s: float, end_s: float) -> None:
        first, last = np.searchsorted(curve.time_s, (start_s, end_s))
        here = slice(max(first - 1, 0), last + 1)
        axes.plot(curve.time_s[here], curve.value[here], color=SOFT_TO_LOUD[2], linewidth=1.2)
        axes.set_ylim(low - margin, high + margin)
        axes.grid(color=LINE, linewidth=0.5)
        axes.set_ylabel(curve.unit)
        axes.set_xlim(start_s, end_s)

    return draw, 2.0, _count(len(curve.value), "value")


def _boxes(
    start_s: NDArray[np.float64],
    end_s: NDArray[np.float64],
    centre: NDArray[np.float64] | NDArray[np.int64],
    height: float,
    colours: NDArray[np.float64],
    edge: str = INK,
) -> PolyCollection:
    """Return rectangles as one artist, which is fast for thousands."""
    import numpy as np
    from matplotlib.collections import PolyCollection

    bottom, top = centre - height / 2, centre + height / 2
    corners = [(start_s, bottom), (start_s, top), (end_s, top), (end_s, bottom)]
    boxes = np.stack([np.stack(corner, axis=-1) for corner in corners], axis=1)
    return PolyCollection(list(boxes), facecolors=list(colours), edgecolors=edge, linewidths=0.3)


def _keyboard(axes: Axes, low: int, high: int) -> None:
    """Shade the rows of black keys, rule between octaves, and name each C."""
    axes.set_ylim(low - 0.5, high + 0.5)
    for pitch in range(low, high + 1):
        if pitch % 12 in BLACK_KEYS:
            axes.axhspan(pitch - 0.5, pitch + 0.5, color=SHADE, linewidth=0, zorder=0)
        if pitch % 12 == 0:
            axes.axhline(pitch - 0.5, color=LINE, linewidth=0.6, zorder=0.5)
    octaves = [pitch for pitch in range(low, high + 1) if pitch % 12 == 0]
    axes.set_yticks(octaves, [note_name(pitch) for pitch in octaves])
    axes.grid(axis="x", color=LINE, linewidth=0.4, zorder=0.5)
    axes.set_axisbelow(True)


def _pitch_range(pitch: NDArray[np.float64] | NDArray[np.int64]) -> tuple[int, int]:
    """Lowest and highest key to show: two more than are played, and two octaves at least."""
    low, high = (int(pitch.min()) - 2, ceil(float(pitch.max())) + 2) if len(pitch) else (48, 72)
    missing = max(24 - (high - low), 0)
    return low - missing // 2, high + missing - missing // 2


def _row_height(low: int, high: int) -> float:
    return min(max((high - low) * 0.055, 1.6), 4.0)


def _fit_text(axes: Axes, left: float, right: float, text: str) -> None:
    """Write a label into its box where there is room for it, upright if need be."""
    low, high = axes.get_xlim()
    width_in = (right - left) / (high - low) * axes.get_position().width * WIDTH_IN
    if width_in > 0.085 * len(text) + 0.04:
        turn = 0
    elif width_in > 0.15 and len(text) <= 8:
        turn = 90
    else:
        return
    middle = (left + right) / 2
    axes.text(middle, 0.5, text, ha="center", va="center", rotation=turn, fontsize=8.5, clip_on=True)


def _title(figure: Figure, about: About, summary: str) -> None:
    height_in = figure.get_figheight()
    model = " ".join(about.model.get(key, "") for key in ("name", "version")).strip()
    name = printable(os.path.basename(about.path))
    name = name if len(name) <= 90 else name[:60] + " … " + name[-27:]
    details = " · ".join(part for part in (summary, about.task, model) if part)
    figure.text(LEFT, 1 - 0.30 / height_in, name, fontsize=12, fontweight="bold", va="center")
    figure.text(LEFT, 1 - 0.53 / height_in, details, fontsize=8.5, color=MUTED, va="center")


def _velocity_key(figure: Figure) -> None:
    """Say in the corner which colour is soft and which is loud."""
    from matplotlib.colors import LinearSegmentedColormap

    height_in = figure.get_figheight()
    axes = figure.add_axes((0.865, 1 - 0.56 / height_in, 0.08, 0.08 / height_in))
    colours = LinearSegmentedColormap.from_list("velocity", SOFT_TO_LOUD)
    axes.imshow([list(range(1, 128))], aspect="auto", cmap=colours)
    axes.set_axis_off()
    for x, text, side in ((-0.06, "soft", "right"), (1.06, "loud", "left")):
        axes.text(x, 0.5, text, transform=axes.transAxes, ha=side, va="center", fontsize=8, color=MUTED)


def _root(label: str) -> str:
    return label.split(":")[0].split("/")[0]


def _count(n: int, thing: str) -> str:
    return f"{n:,} {thing}{'' if n == 1 else 's'}"


def _clock(time_s: float, _position: int | None = None) -> str:
    """Minutes and seconds, with hours and tenths only where there are some."""
    tenths = round(abs(time_s) * 10)
    minutes, rest = divmod(tenths, 600)
    seconds = f"{rest // 10:02d}" + (f".{rest % 10}" if rest % 10 else "")
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds}" if hours else f"{minutes}:{seconds}"


WRITERS = tuple(
    Writer(format, (f".{format}",), (Notes, MultiF0, Segments, Curve), partial(write, format=format))
    for format in ("png", "svg", "pdf")
)
