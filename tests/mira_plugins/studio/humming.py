"""A plugin without a network, a task for each type of result; its labels hold what must stay text."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from json import dumps as _dumps

import mira
import numpy as np
import typer
from mira.hooks import hookimpl

MARKUP = "<img src=x onerror=alert(1)>"
HOP = 400


@dataclass(frozen=True)
class Settings:
    """A threshold, and a file that no page may name."""

    threshold: float = mira.setting(0.1, f"Loudness {MARKUP}", minimum=0, maximum=1)
    octave: int = mira.setting(5, "Octave of the notes", minimum=1, maximum=8)
    names: str = mira.setting("", "A file of names")


@dataclass(frozen=True)
class NoSettings:
    """None."""


def activate(blocks: Iterable[np.ndarray], sample_rate: int) -> mira.Activations:
    """One frame for each 400 samples: their loudest."""
    with open(os.environ.get("HUM_RUNS", os.devnull), "a") as runs:
        runs.write("ran\n")
    samples = []
    for block in blocks:
        samples.append(block)
        if len(samples) == 2 and "HUM_GATE" in os.environ:
            open(os.environ["HUM_GATE"]).close()
    heard = np.concatenate(samples)
    if abs(float(np.abs(heard).max()) - 0.65) < 0.01:  # the recording that finds a bug
        raise ValueError("cannot count to three")
    if abs(float(np.abs(heard).max()) - 0.85) < 0.01:  # the one that kills
        os.kill(os.getpid(), signal.SIGKILL)
    frames = np.abs(heard[: len(heard) // HOP * HOP]).reshape(-1, HOP).max(axis=1)
    return mira.Activations({"loud": frames.astype(np.float32)}, sample_rate, HOP, len(heard) / sample_rate)


def _edges(activations: mira.Activations, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    loud = np.concatenate([[0], activations.arrays["loud"] > threshold, [0]]).astype(int)
    start, end = np.flatnonzero(np.diff(loud) == 1), np.flatnonzero(np.diff(loud) == -1)
    return start * activations.hop_s, end * activations.hop_s


def hum(activations: mira.Activations, settings: Settings) -> mira.Notes:
    """A note where it is loud."""
    start, end = _edges(activations, settings.threshold)
    ones = np.ones(len(start), int)
    return mira.Notes(activations.duration_s, start, end, ones * 12 * settings.octave, ones * 90, ones * 0.75)


def parts(activations: mira.Activations, settings: NoSettings) -> mira.Segments:
    """Two halves."""
    half, end = activations.duration_s / 2, activations.duration_s
    return mira.Segments(
        end, np.array([0.0, half]), np.array([half, end]), (MARKUP, "B"), np.array([0.9, 0.4])
    )


def chords(activations: mira.Activations, settings: NoSettings) -> mira.Chords:
    """Two chords."""
    half, end = activations.duration_s / 2, activations.duration_s
    starts, ends = np.array([0.0, half]), np.array([half, end])
    return mira.Chords(end, starts, ends, ("D:maj", "B:min7/b3"), np.array([0.9, 0.6]), key="D major")


def points(activations: mira.Activations, settings: NoSettings) -> mira.Events:
    """An event each second."""
    times = np.arange(0, activations.duration_s)
    return mira.Events(activations.duration_s, times, tuple(MARKUP for _ in times))


def level(activations: mira.Activations, settings: NoSettings) -> mira.Curve:
    """The loudness itself."""
    loud = activations.arrays["loud"].astype(float)
    return mira.Curve(activations.duration_s, np.arange(len(loud)) * activations.hop_s, loud, "dB")


def moods(activations: mira.Activations, settings: NoSettings) -> mira.Tags:
    """One tag."""
    return mira.Tags(activations.duration_s, {MARKUP: 0.75}, 0.25, {})


def space(activations: mira.Activations, settings: NoSettings) -> mira.Embedding:
    """A matrix."""
    steps = np.arange(4.0)
    return mira.Embedding(activations.duration_s, np.ones(1), steps, np.outer(steps, np.ones(3)))


@hookimpl
def mira_tasks() -> Iterable[mira.Task]:
    """A task for each type of result."""
    for settings, decode, result in (
        (Settings, hum, mira.Notes),
        (NoSettings, parts, mira.Segments),
        (NoSettings, chords, mira.Chords),
        (NoSettings, points, mira.Events),
        (NoSettings, level, mira.Curve),
        (NoSettings, moods, mira.Tags),
        (NoSettings, space, mira.Embedding),
    ):
        yield mira.Task(
            f"x{decode.__name__}",
            f"x{decode.__name__}",
            f"Hum {MARKUP}",
            settings,
            result,
            decode,
            ".mid" if result is mira.Notes else ".json",
            activate=activate,
            sample_rate=8000,
        )


@hookimpl
def mira_commands(app: typer.Typer) -> None:
    """Stand for the cover plugin: everything is like what ``HUM_COVER`` names."""
    index = typer.Typer()
    index.callback()(lambda: None)
    index.command("query")(_query)
    app.add_typer(index, name="cover-index")


def _query(path: str, json: bool = False) -> None:
    if "HUM_COVER" not in os.environ:
        raise mira.MiraError("there is no index yet; make one: mira cover-index build FOLDER")
    places = [([0.0, 10.0], [5.0, 15.0]), ([20.0, 30.0], [1.0, 3.0])]
    spans = [{"query": ours, "match": theirs, "faster_percent": 0.0} for ours, theirs in places]
    near = {
        "path": os.environ["HUM_COVER"],
        "score": 1.5,
        "probability": 0.875,
        "transposition": 2,
        "spans": spans,
    }
    gone = near | {"path": "/gone.wav"}
    print(_dumps({"query": path, "matches": [near, gone]}))
