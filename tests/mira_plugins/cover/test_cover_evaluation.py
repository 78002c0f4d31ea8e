"""How the search for covers is scored."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from covermusic import music, tones
from mira.card import read_card, write_card
from mira.errors import DataError, ModelError
from mira_plugins.cover import MODEL, tuning
from mira_plugins.cover.evaluation import matrices
from mira_plugins.cover.search import fit
from mira_train.evaluate import evaluate


def test_each_query_has_scores_and_their_mean_an_interval(tmp_path: Path) -> None:
    for i in range(3):
        tones(tmp_path / f"{i}.wav", i)
    shutil.copy(tmp_path / "0.wav", tmp_path / "version.wav")
    rows = "0.wav,one\n1.wav,two\n2.wav,three\nversion.wav,one\n"
    (tmp_path / "index.csv").write_text(f"path,work\n{rows}")
    report = evaluate("cover", [str(tmp_path)])
    assert [row.name for row in report.rows] == ["0.wav", "version.wav"]
    average = report.average()
    assert {"map", "mrr", "mr1", "p@1", "p@10", "ndcg", "vector_map"} <= set(average)
    assert average["map"].low == average["map"].score == average["map"].high == 1.0
    assert "95 %" in report.table() and "1.000 to 1.000" in report.table()


@pytest.mark.parametrize(("text", "says"), [("path\na.wav\n", "line 1: it needs"), (None, "no index.csv")])
def test_a_folder_that_cannot_be_scored_is_one_clear_line(
    tmp_path: Path, text: str | None, says: str
) -> None:
    if text is not None:
        (tmp_path / "index.csv").write_text(text)
    with pytest.raises(DataError, match=says):
        evaluate("cover", [str(tmp_path)])


def test_the_calibration_tells_versions_from_other_music(tmp_path: Path) -> None:
    for i in range(6):
        frames = music(i // 2)
        chroma = np.repeat(np.roll(frames**2, 3, axis=1), 10, axis=0)
        np.savez(tmp_path / f"{i}.npz", work=f"work {i // 2}", chroma=np.tile(chroma, 2).astype(np.float16))
    works, prints = tuning.read(tmp_path, MODEL)
    np.testing.assert_allclose(prints[0].frames, music(0), atol=0.01)
    found = tuning.calibration(works, prints)
    aligned, alike = matrices(prints)
    odds = found["slope"] * (aligned + found["similarity"] * alike) + found["offset"]
    same = np.equal.outer(works, works)
    assert odds[same].min() > 0 > odds[~same].max()


def test_a_model_without_calibration_is_one_clear_line(tmp_path: Path) -> None:
    shutil.copy(MODEL, tmp_path / "new.onnx")
    card = read_card(MODEL)
    write_card(tmp_path / "new.onnx", dataclasses.replace(card, calibration={}))
    with pytest.raises(ModelError, match="not calibrated yet"):
        fit(np.zeros(1), np.zeros(1), tmp_path / "new.onnx")
