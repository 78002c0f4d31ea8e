"""A user's own tags: a line through the embedding for each, learned from a few examples, kept as JSON."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mira.errors import DataError, UsageError
from mira.writers.text import printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMAT = "mira-own-tags"
_STRENGTH = 0.02
"""Weight of the squares of the line's slope, against the mean loss of an example."""
_STEPS = 50
COLUMNS = ("path", "label")


@dataclass(frozen=True)
class OwnTags:
    """What a file of own tags holds.

    Parameters
    ----------
    model
        SHA-256 of the tagging model's graph that the vectors came from.
    lines
        Tag -> (slope for each dimension, offset).
    """

    model: str
    lines: Mapping[str, tuple[tuple[float, ...], float]]

    def hear(self, vector: NDArray[np.float64]) -> dict[str, float]:
        """Probability of each tag for a recording's vector."""
        return {
            name: 1 / (1 + math.exp(-max(min(float(vector @ slope) + offset, 60.0), -60.0)))
            for name, (slope, offset) in self.lines.items()
        }

    def to_json(self) -> str:
        """Text of the file."""
        lines = {n: {"slope": list(slope), "offset": offset} for n, (slope, offset) in self.lines.items()}
        return (
            json.dumps({"format": FORMAT, "version": 1, "model": self.model, "tags": lines}, indent=1) + "\n"
        )


def read_labels(path: Path) -> dict[str, set[str]]:
    """Recording -> its labels, of a CSV file with the columns path and label; paths are beside the file.

    A recording with an empty label is an example of none.

    Raises
    ------
    DataError
        If the file cannot be read, lacks a column, or names a recording that is not there.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{printable(path)}: cannot be read as CSV: {error}") from None
    if missing:
        raise DataError(f"{printable(path)}: has no column '{missing[0]}'; its first line must be path,label")
    found: dict[str, set[str]] = {}
    for number, row in enumerate(rows, 2):
        place = os.path.join(path.parent, row["path"] or "")
        if not row["path"] or not os.path.isfile(place):
            raise DataError(f"{printable(path)}: line {number}: no recording {printable(place)}")
        found.setdefault(place, set()).update({(row["label"] or "").strip()} - {""})
    return found


def learn(vectors: Mapping[str, NDArray[np.float64]], labels: Mapping[str, set[str]], model: str) -> OwnTags:
    """Learn each label from the recordings that have it against those that have not.

    Logistic regression with a penalty on the slope, by Newton's method; both sides weigh the same.

    Raises
    ------
    DataError
        If there is no label, or one that every recording has.
    """
    import numpy as np

    names = sorted(set().union(*labels.values()))
    if not names:
        raise DataError("no label in the file; write at least two, or one and recordings without it")
    places = list(vectors)
    x = np.stack([vectors[place] for place in places])
    lines = {}
    for name in names:
        has = np.array([name in labels[place] for place in places])
        if has.all():
            raise DataError(f"every recording is labelled '{name}'; add some that are not")
        slope, offset = _line(x, has)
        lines[name] = (tuple(round(float(v), 6) for v in slope), round(float(offset), 6))
    return OwnTags(model, lines)


def _line(x: NDArray[np.float64], has: NDArray[np.bool_]) -> tuple[NDArray[np.float64], float]:
    import numpy as np

    rows = np.concatenate([x, np.ones((len(x), 1))], 1)
    weight = np.where(has, 0.5 / has.sum(), 0.5 / (~has).sum())
    penalty = np.diag([_STRENGTH] * x.shape[1] + [1e-6])
    line = np.zeros(rows.shape[1])
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-rows @ line))
        slope = rows.T @ (weight * (chance - has)) + penalty @ line
        curve = (rows * (weight * chance * (1 - chance))[:, None]).T @ rows + penalty
        step = np.linalg.solve(curve, slope)
        line -= step
        if np.abs(step).max() < 1e-8:
            break
    return line[:-1], float(line[-1])


@lru_cache(maxsize=8)
def read_own(path: str) -> OwnTags:
    """Read a file that ``mira tag --fit`` wrote.

    Raises
    ------
    DataError
        If it is none, or made with another tagging model.
    """
    try:
        told: Any = json.loads(Path(path).read_text(encoding="utf-8"))
        if told["format"] != FORMAT:
            raise ValueError(f"its format is {told['format']!r}")
        lines = {
            str(name): (tuple(float(v) for v in line["slope"]), float(line["offset"]))
            for name, line in told["tags"].items()
        }
        own = OwnTags(str(told["model"]), lines)
    except OSError as error:
        raise UsageError(f"{printable(path)}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{printable(path)}: no file of own tags ({error}); make one by mira tag --fit"
        ) from None
    if own.model != model_id():
        raise DataError(f"{printable(path)}: made for another tagging model; fit it again by mira tag --fit")
    return own


@lru_cache(maxsize=1)
def model_id() -> str:
    """SHA-256 of the installed tagging model's graph."""
    from mira.card import read_card
    from mira.plugins import load_plugins

    model = load_plugins().task("tagging").model
    assert model is not None
    return read_card(model).graph_sha256
