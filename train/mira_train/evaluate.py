"""Scores of a model file: from audio through onnxruntime to results, recording by recording.

A plugin's module ``evaluation.py`` says what its task's recordings with known answers are, how they are
scored, and what can be drawn (:class:`EvaluationModule`). Where what one recording scores depends on all the
others, as in a search, it has ``rows(heard, model)`` instead of ``score``; ``together(heard, model)`` adds
scores that only all of them have. Its module ``book_evaluation.py`` scores the models
of the book's rows, some of whose scores belong to a set as a whole (:class:`BookEvaluation`).
"""

from __future__ import annotations

import csv
import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from mira.analysis import Model, load_model
from mira.card import read_card, write_card
from mira.errors import DataError, OutputError, UsageError
from mira.plugins import load_plugins
from mira.results import Result
from mira.task import Activations, Task
from mira.writers.text import printable
from numpy.typing import NDArray

from mira_train.data.atomic import replacing
from mira_train.data.hdf5 import AudioReader
from mira_train.data.splits import Split
from mira_train.demo import RECIPE
from mira_train.metrics import Interval, Scores, bootstrap
from mira_train.plugin import find_training
from mira_train.runs import SPLIT
from mira_train.sets import Recording, find_sets, recordings


@dataclass(frozen=True, eq=False)
class Track:
    """A recording with a known answer.

    Parameters
    ----------
    name, family
        Its name, and what it is averaged with: families weigh the same.
    audio
        A file, or a function that gives samples and their rate.
    truth
        What the task's ``evaluation.py`` compares with.
    """

    name: str
    family: str
    audio: Path | Callable[[], tuple[NDArray[np.float32], int]]
    truth: Any

    @property
    def place(self) -> str:
        """Its name among all sets, as splits store it."""
        return f"{self.family}/{self.name}"

    def heard_by(self, model: Model) -> Activations:
        """Let a model listen."""
        return (
            model.activations_of(self.audio)
            if isinstance(self.audio, Path)
            else model.activations(*self.audio())
        )


def samples_of(item: Recording) -> Callable[[], tuple[NDArray[np.float32], int]]:
    """A function that reads the samples of a recording of a set, for :class:`Track`."""

    def read() -> tuple[NDArray[np.float32], int]:
        with AudioReader(item.samples) as reader:
            return reader.read(item.key), reader.sample_rate(item.key)

    return read


class EvaluationModule(Protocol):
    """The functions of a plugin's ``evaluation.py``."""

    def tracks(self, names: Sequence[str]) -> Sequence[Track]:
        """Recordings of data sets and folders."""
        ...

    def score(self, track: Track, model: Model, activations: Activations) -> Scores:
        """Scores of one recording."""
        ...

    def draw(self, heard: Iterator[tuple[Track, Activations]], model: Path, folder: Path) -> None:
        """Draw pictures of a model file, and of what it heard, into a folder."""
        ...


class BookEvaluation(Protocol):
    """The function of a plugin's ``book_evaluation.py``."""

    def scored(
        self, items: Sequence[Recording], model: Path, plots: Path | None
    ) -> tuple[Sequence[Row], Scores]:
        """Scores of each recording, and of all of them together; pictures if there is a folder for them."""
        ...


@dataclass(frozen=True)
class Row:
    """Scores of one recording."""

    name: str
    family: str
    scores: Scores


@dataclass(frozen=True)
class Report:
    """Scores of a model on some recordings.

    Parameters
    ----------
    task, model, data
        What was scored, on what.
    rows
        One for each recording.
    together
        Scores that only all recordings together have, such as the mean over classes.
    """

    task: str
    model: Mapping[str, str]
    data: tuple[str, ...]
    rows: tuple[Row, ...]
    together: Mapping[str, float] = field(default_factory=dict)

    def average(self) -> dict[str, Interval]:
        """Measure -> mean over families of the means over their recordings, with its 95 % interval."""
        size = Counter(row.family for row in self.rows)
        weights = np.array([1 / size[row.family] for row in self.rows])
        names = self.rows[0].scores
        return {n: bootstrap(np.array([row.scores[n] for row in self.rows]), weights) for n in names}

    def families(self) -> dict[str, dict[str, float]]:
        """Family -> measure -> mean."""
        out = {}
        for family in sorted({row.family for row in self.rows}):
            own = [row.scores for row in self.rows if row.family == family]
            out[family] = {name: float(np.mean([s[name] for s in own])) for name in own[0]}
        return out

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "task": self.task,
            "model": dict(self.model),
            "data": list(self.data),
            "average": {name: dataclasses.asdict(value) for name, value in self.average().items()},
            "together": dict(self.together),
            "families": self.families(),
            "recordings": [dataclasses.asdict(row) for row in self.rows],
        }

    def table(self) -> str:
        """Text for people."""
        average = self.average()
        lines = ["".join(f"{head:>18}" for head in ("", *average))]
        for family, scores in self.families().items():
            lines.append(f"{family:>18}" + "".join(f"{value:18.3f}" for value in scores.values()))
        lines.append(f"{'all':>18}" + "".join(f"{v.score:18.3f}" for v in average.values()))
        spans = (f"{v.low:.3f} to {v.high:.3f}" for v in average.values())
        lines.append(f"{'95 %':>18}" + "".join(f"{span:>18}" for span in spans))
        lines += [f"{name}: {value:.3f}" for name, value in self.together.items()]
        return "\n".join(lines)


def evaluate(
    task: str,
    data: Sequence[str],
    model: Path | None = None,
    *,
    plots: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Report:
    """Score a model.

    Parameters
    ----------
    task
        Name of the task.
    data
        Data sets, or folders of recordings with their answers.
    model
        A model file; the installed one if not given.
    plots
        Folder for pictures.
    say
        Told one line now and then.

    Raises
    ------
    UsageError
        If the task cannot be scored this way.
    DataError
        If recordings or answers cannot be read.
    ModelError
        If the model cannot be used.
    """
    training = find_training(task)
    if plots is not None:
        plots.mkdir(parents=True, exist_ok=True)
    path = _task(training.task, model).model
    book = _book(training.module, path)
    if book is not None and path is not None:
        return _report_of_book(book, training.task, path, data, plots, say)
    module = _evaluation(training.module, training.task)
    listener = listener_of(training.task, model)
    tracks = module.tracks(data)
    if not tracks or path is None:
        raise DataError(f"{', '.join(data)}: nothing to score")
    kept = _unseen([track.place for track in tracks], path, say)
    tracks = [track for track in tracks if track.place in kept]
    rows: list[Row] = []
    kept_heard, together, ranked = [], getattr(module, "together", None), getattr(module, "rows", None)
    for i, track in enumerate(tracks):
        activations = track.heard_by(listener)
        if ranked is None:
            rows.append(Row(track.name, track.family, module.score(track, listener, activations)))
        if together is not None or ranked is not None:
            kept_heard.append((track, activations))
        if (i + 1) % 20 == 0:
            say(f"{i + 1} of {len(tracks)} recordings")
    if plots is not None:
        module.draw(((t, t.heard_by(listener)) for t in tracks), path, plots)
    if ranked is not None:
        rows = ranked(kept_heard, listener)
    joint = together(kept_heard, listener) if together is not None else {}
    return Report(training.task, listener.identity, tuple(data), tuple(rows), joint)


def _report_of_book(
    book: BookEvaluation,
    task: str,
    model: Path,
    data: Sequence[str],
    plots: Path | None,
    say: Callable[[str], None],
) -> Report:
    items = recordings(find_sets(data))
    kept = _unseen([item.name for item in items], model, say)
    rows, together = book.scored([item for item in items if item.name in kept], model, plots)
    card = read_card(model)
    identity = {"name": card.name, "version": card.version}
    return Report(task, identity, tuple(data), tuple(rows), together)


def listener_of(task: str, model: Path | None) -> Model:
    """A model ready to listen; one that no plugin declares can listen all the same, if not decode."""
    found = _task(task, model)
    return Model(found, needs={name: load_model(name) for name in found.needs})


def _book(training: object, model: Path | None) -> BookEvaluation | None:
    """What scores this model as a row of the book; None if it is none, or is scored as others are."""
    if model is None or not read_card(model).name.startswith(("book-", RECIPE)):
        return None
    return cast("BookEvaluation | None", _beside(training, "book_evaluation"))


def _unseen(names: Sequence[str], model: Path, say: Callable[[str], None]) -> set[str]:
    """Of some recordings those that the model's run held out, or did not know."""
    if not (model.parent / SPLIT).is_file():
        return set(names)
    split = Split.load(model.parent / SPLIT)
    part = split.test or split.valid
    learned = {*split.train, *split.valid, *split.test, *split.dropped} - set(part)
    kept = set(names) - learned
    if not kept:
        raise DataError(f"{printable(model)}: learned from all of these recordings; score it on others")
    if len(kept) < len(names):
        say(f"scored on {len(kept)} of {len(names)} recordings: the others belong to the model's training")
    return kept


def tune(task: str, data: Sequence[str], model: Path) -> dict[str, Any]:
    """Choose the decoder's settings on validation recordings and write them into the model's card.

    Parameters
    ----------
    task
        Name of the task; its plugin's module ``tuning.py`` has ``tune(heard) -> defaults``.
    data
        As for :func:`evaluate`; never what the scores are reported on.
    model
        A model file.

    Returns
    -------
    dict
        The settings.

    Raises
    ------
    UsageError
        If the task has nothing to tune.
    DataError, ModelError
        As :func:`evaluate`.
    """
    training = find_training(task)
    tuning = _beside(training.module, "tuning")
    if tuning is None:
        raise UsageError(f"{training.task}: has nothing to tune")
    listener = listener_of(training.task, model)
    tracks = _evaluation(training.module, training.task).tracks(data)
    if not tracks:
        raise DataError(f"{', '.join(data)}: nothing to tune on")
    defaults = tuning.tune([(track, track.heard_by(listener)) for track in tracks])
    card = read_card(model)
    write_card(model, dataclasses.replace(card, defaults={**card.defaults, **defaults}))
    return defaults


def _task(name: str, model: Path | None) -> Task:
    """The task with another model."""
    declared = load_plugins().tasks
    if model is None or name in declared:
        task = load_plugins().task(name)
        return dataclasses.replace(task, model=model) if model else task
    return Task(name, name, "", object, Result, _undeclared, "", model)


def _undeclared(activations: Activations, settings: Any) -> Result:
    raise UsageError("no plugin declares this task, so there is nothing that decodes it")


def _evaluation(training: object, task: str) -> EvaluationModule:
    module = _beside(training, "evaluation")
    if not hasattr(module, "tracks"):
        raise UsageError(f"{task}: brings no evaluation from audio yet")
    return cast(EvaluationModule, module)


def _beside(training: object, name: str) -> Any:
    """The module of this name beside a plugin's ``training.py``; None if there is none."""
    full = training.__name__.removesuffix("training") + name  # type: ignore[attr-defined]
    try:
        return import_module(full)
    except ModuleNotFoundError as error:
        if error.name != full:
            raise
        return None


def write_csv(report: Report, path: Path, *, force: bool = False) -> None:
    """Write a line for each recording."""
    if path.exists() and not force:
        raise OutputError(f"{printable(path)}: exists; --force replaces it")
    names = list(report.rows[0].scores)
    with replacing(path, force=True) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["recording", "family", *names])
        for row in report.rows:
            writer.writerow([row.name, row.family, *(f"{row.scores[n]:.4f}" for n in names)])


def write_scores(report: Report, model: Path) -> None:
    """Put the averages into the model's card, under the name of the data."""
    card = read_card(model)
    name = " + ".join(Path(d).name for d in report.data)
    averages = {measure: value.score for measure, value in report.average().items()}
    scores = {measure: round(value, 4) for measure, value in {**averages, **report.together}.items()}
    write_card(model, dataclasses.replace(card, scores={**card.scores, name: scores}))
