from __future__ import annotations

import io
import subprocess
import sys
import warnings
from xml.etree import ElementTree

import matplotlib
import matplotlib.image
import numpy as np
import pytest
from mira.errors import OutputError
from mira.results import Notes
from mira.writers import About, find_writer, plot


def drawn(result, path: str = "song.wav", name: str = "png") -> bytes:
    stream = io.BytesIO()
    find_writer(type(result), format=name).write(
        result, stream, About(path, "mpe", {"name": "m", "version": "1"})
    )
    return stream.getvalue()


def pixels(data: bytes) -> np.ndarray:
    return matplotlib.image.imread(io.BytesIO(data), format="png")[..., :3]


def many(count: int, duration_s: float) -> Notes:
    rng = np.random.default_rng(1)
    start = np.sort(rng.uniform(0, duration_s - 1, count))
    pitch, velocity = rng.integers(36, 96, count), rng.integers(1, 128, count)
    return Notes(duration_s, start, start + 0.3, pitch, velocity, np.ones(count))


def test_without_matplotlib_the_command_that_installs_it_is_given(results, render, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(OutputError, match=r'pip install "mira-audio\[plot\]"'):
        render(results["notes"], "png")


@pytest.mark.parametrize(("name", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_pictures_are_of_the_format_asked_for(results, render, name, magic):
    data = render(results["notes"], name)
    assert data.startswith(magic)
    if name == "svg":
        ElementTree.fromstring(data)


def test_notes_are_drawn_where_they_sound_and_louder_ones_darker(make_notes):
    image = pixels(drawn(make_notes((0.0, 1.0, 60, 20), (9.0, 10.0, 84, 127), duration_s=10.0)))
    height, width = image.shape[:2]
    staff = image[int(0.2 * height) : int(0.85 * height)]
    bluish = staff[..., 2] - staff[..., 0] > 0.1
    rows, columns = np.nonzero(bluish)
    left, right = columns < width // 2, columns >= width // 2
    assert left.sum() > 100 and right.sum() > 100
    assert rows[left].mean() > rows[right].mean(), "the higher note is higher"
    colour = staff[bluish]
    assert colour[left].mean() > colour[right].mean() + 0.2, "the louder note is darker"
    assert columns[left].max() < 0.2 * width
    assert columns[right].min() > 0.85 * width


def test_ten_thousand_notes_get_rows_and_a_bounded_picture():
    image = pixels(drawn(many(10_000, 1800.0)))
    height, width = image.shape[:2]
    assert width == plot.WIDTH_IN * plot.DPI
    assert height < 12 * 5 * plot.DPI


@pytest.mark.parametrize(
    ("time_s", "text"),
    [(0, "0:00"), (0.5, "0:00.5"), (59.99, "1:00"), (61, "1:01"), (3599, "59:59"), (3661, "1:01:01")],
)
def test_times_are_shown_as_clocks(time_s, text):
    assert plot._clock(time_s) == text


def test_axes_name_octaves_and_clocks(make_notes):
    # Text as text, so that it can be read back.
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        data = drawn(
            make_notes((0.0, 1.0, 36, 20), (60.0, 61.0, 60, 127), duration_s=62.0), name="svg"
        ).decode()
    for text in ("C2", "C3", "C4", "0:00", "1:00", "2 notes", "song.wav"):
        assert f">{text}" in data


@pytest.mark.parametrize(
    "path", ["a $x_1$ ^ \\frac.wav", "曲 ♫ 🎹.wav", "bad\udcff\nline.wav", "x" * 250 + ".wav", ""]
)
def test_any_name_can_stand_above_the_picture_without_a_warning(make_notes, path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert drawn(make_notes((0.0, 1.0, 60, 64)), path)


@pytest.mark.parametrize("kind", ["multif0", "chords", "curve"])
def test_other_results_are_drawn(kind, results):
    image = pixels(drawn(results[kind]))
    assert image.std() > 0.02


def test_drawing_leaves_matplotlib_as_it_was():
    code = (
        "import sys, io, numpy as np, matplotlib\n"
        "from mira.results import Curve; from mira.writers import About, find_writer, plot\n"
        "before = {key: matplotlib.rcParams[key] for key in plot.STYLE}\n"
        "curve = Curve(1.0, np.array([0.0, 1.0]), np.array([1.0, 2.0]))\n"
        "find_writer(Curve, format='png').write(curve, io.BytesIO(), About('a', 'b'))\n"
        "after = {key: matplotlib.rcParams[key] for key in plot.STYLE}\n"
        "print('matplotlib.pyplot' in sys.modules, before == after)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False True\n"
