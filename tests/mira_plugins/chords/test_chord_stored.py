"""Scores on stored chroma: the shipped weights, no audio."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest
from mira.errors import DataError
from mira_plugins.chords.stored import evaluate_features


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """Two songs of fold 4."""
    rng = np.random.default_rng(0)
    arrays = {name: rng.integers(0, 40, (24, 200)).astype(np.uint8) for name in ("0001", "0002")}
    np.savez_compressed(tmp_path / "chroma_4.npz", **arrays)  # type: ignore[arg-type]
    with gzip.open(tmp_path / "labels.csv.gz", "wt") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "start", "end", "label"])
        for name in arrays:
            rows.writerows([(name, 0.0, 4.0, "C:maj"), (name, 4.0, 9.0, "G:7")])
    with open(tmp_path / "songs.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "file", "artist_key", "fold"])
        rows.writerows([(name, "chroma_4.npz", name, 4) for name in arrays])
    return tmp_path


def test_all_measures_come_with_their_interval(model: Path, stored: Path) -> None:
    scores = evaluate_features(model, stored, 4)
    assert set(scores) == {"root", "majmin", "sevenths", "seg"}
    for values in scores.values():
        assert 0 <= values["low"] <= values["score"] <= values["high"] <= 1


def test_a_fold_that_is_not_there_is_one_clear_line(model: Path, stored: Path) -> None:
    with pytest.raises(DataError, match="no songs in fold 2"):
        evaluate_features(model, stored, 2)
