"""How the search for covers is scored."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from covermusic import tones
from mira.errors import DataError
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
