"""How chords are scored from audio: the measures of MIREX, a recording at a time."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from mira.analysis import Model
from mira.card import Card
from mira.errors import DataError
from mira.inputs import AUDIO_SUFFIXES
from mira.results import Chords
from mira.task import Activations
from mira.writers.text import printable
from mira_train.evaluate import Track
from mira_train.metrics import Scores

from mira_plugins.chords.agreement import compare
from mira_plugins.chords.targets import Segment, frame_targets, segments


def tracks(names: Sequence[str]) -> list[Track]:
    """Recordings of folders that have a .lab file beside them; ``index.csv`` may give their ``kind``.

    Raises
    ------
    DataError
        If a folder has none, a recording is missing, or a line cannot be read.
    """
    return [track for name in names for track in _tracks(Path(name))]


def _tracks(folder: Path) -> Iterator[Track]:
    labs = sorted(folder.glob("*.lab"))
    if not labs:
        raise DataError(f"{printable(folder)}: no .lab files in it; put one beside each recording")
    kinds: dict[str, str] = {}
    if (folder / "index.csv").is_file():
        with open(folder / "index.csv", newline="", encoding="utf-8-sig") as file:
            kinds = {row.get("stem", ""): row.get("kind", "") for row in csv.DictReader(file)}
    for lab in labs:
        audio = [lab.with_suffix(s) for s in AUDIO_SUFFIXES if lab.with_suffix(s).is_file()]
        if not audio:
            raise DataError(f"{printable(lab)}: no recording of that name beside it")
        yield Track(lab.stem, kinds.get(lab.stem) or folder.name, audio[0], read_lab(lab))


def read_lab(path: Path) -> list[Segment]:
    """Segments of a label file: start, end and chord symbol on each line.

    Raises
    ------
    DataError
        If a line is none of these; the text names it.
    """
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        parts = line.split(None, 2)
        try:
            start_s, end_s, label = float(parts[0]), float(parts[1]), parts[2].strip()
            rows += segments([(start_s, end_s, label)])
        except (IndexError, ValueError, DataError) as error:
            raise DataError(f"{printable(path)}: line {number}: not start, end, chord: {error}") from None
    if not rows:
        raise DataError(f"{printable(path)}: holds no chord")
    return rows


def score(track: Track, model: Model, activations: Activations) -> Scores:
    """Share of the time that is right in one recording; 1 where nothing counts."""
    found = model.decode(activations)
    assert isinstance(found, Chords)
    counted = compare(track.truth, found)
    return {name: right / seconds if seconds else 1.0 for name, (right, seconds) in counted.items()}


def draw(heard: Iterator[tuple[Track, Activations]], card: Card, folder: Path) -> None:
    """Draw the roots' probabilities against the truth of each recording."""
    from mira_train import plots

    for track, activations in heard:
        shown = np.asarray(activations.arrays["root"], float)[:, :12]
        truth = frame_targets(track.truth, np.arange(len(shown), dtype=float) * activations.hop_s)[:, 0]
        wanted = truth[:, None] == np.arange(12)
        plots.activations(folder / f"{track.name}.png", shown, wanted, activations.hop_s, 60)
