"""From audio through a model file to scores."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from mira.card import Card, read_card
from mira.errors import DataError, UsageError
from mira.task import Activations
from mira_export.export import export_onnx
from mira_plugins.mpe.evaluation import tracks
from mira_plugins.mpe.tuning import tune as tune_mpe
from mira_train.evaluate import Report, Row, evaluate, tune, write_csv, write_scores
from mira_train.labelled import labelled_files, read_notes
from mira_train.plugin import find_training


def recording(folder: Path, name: str, notes: list[tuple[float, float, float]]) -> None:
    folder.mkdir(exist_ok=True, parents=True)
    time = np.arange(16000 * 2) / 16000
    audio = np.zeros(len(time))
    for start, end, pitch in notes:
        audio += (
            0.2 * np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * time) * ((time >= start) & (time < end))
        )
    soundfile.write(folder / f"{name}.wav", audio, 16000)
    rows = "".join(f"{s},{e},{p},\n" for s, e, p in notes)
    (folder / f"{name}.csv").write_text(f"onset_s,offset_s,pitch,velocity\n{rows}")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A NoteNet with random weights."""
    training = find_training("mpe")
    sizes = "network.options={stem: 4, width: 8, layers: 1, neck: 2, dilations: [1]}"
    recipe = training.recipe("notenet", [sizes])
    ship = training.module.shipped(recipe, training.module.lightning_module(recipe).net)
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    card = Card("mpe", "toy", "1", 16000, 512, (ship.reach, ship.reach), ship.outputs, defaults=ship.defaults)
    export_onnx(ship.graph, path, card, lengths=[512 * 20, 512 * 30])
    return path


def test_a_csv_without_pitches_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("onset_s,offset_s\n0,1\n")
    with pytest.raises(DataError, match="no column 'pitch'"):
        read_notes(tmp_path / "a.csv")


def test_a_line_that_is_no_note_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("onset_s,offset_s,pitch\n0,1,60\nx,1,60\n")
    with pytest.raises(DataError, match="line 3"):
        read_notes(tmp_path / "a.csv")


def test_labels_without_their_recording_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("onset_s,offset_s,pitch\n0,1,60\n")
    with pytest.raises(DataError, match="no recording of that name"):
        labelled_files(tmp_path)


def test_an_index_says_which_recordings_count_and_groups_them(tmp_path: Path) -> None:
    for name in ("a", "b"):
        recording(tmp_path, name, [(0.5, 1.0, 60)])
    (tmp_path / "index.csv").write_text("stem,family\nb,voice\n")
    assert [(f.name, f.family) for f in labelled_files(tmp_path)] == [("b", "voice")]
    (tmp_path / "index.csv").write_text("stem,family\nb,voice\nc,voice\n")
    with pytest.raises(DataError, match="'c' has no csv"):
        labelled_files(tmp_path)


def test_a_pitch_curve_says_what_sounds_but_not_when_notes_begin(tmp_path: Path) -> None:
    recording(tmp_path, "a", [(0.5, 1.0, 60)])
    (tmp_path / "a.csv").write_text("time_s,freq_hz\n0.1,0\n0.2,440\n0.3,442\n0.4,0\n0.5,220\n")
    [file] = labelled_files(tmp_path)
    assert not file.timed
    assert file.notes.T.tolist() == [pytest.approx([0.15, 0.35, 69, 0]), pytest.approx([0.45, 0.55, 57, 0])]


@pytest.mark.parametrize(
    ("lines", "told"),
    [("0.1,440\nx,440\n", "line 3"), ("0.2,440\n0.1,440\n", "rise"), ("0.1,-1\n0.2,1\n", "0 or")],
)
def test_a_curve_that_is_none_is_refused(tmp_path: Path, lines: str, told: str) -> None:
    recording(tmp_path, "a", [(0.5, 1.0, 60)])
    (tmp_path / "a.csv").write_text("time_s,freq_hz\n" + lines)
    with pytest.raises(DataError, match=told):
        labelled_files(tmp_path)


def test_a_model_is_scored_recording_by_recording(model: Path, tmp_path: Path) -> None:
    recording(tmp_path / "set", "a", [(0.5, 1.0, 60), (1.0, 1.5, 64)])
    recording(tmp_path / "set", "b", [])
    report = evaluate("mpe", [str(tmp_path / "set")], model, plots=tmp_path / "plots")
    assert [row.name for row in report.rows] == ["a", "b"]
    assert {"onset_f1", "offset_f1", "frame_accuracy"} <= set(report.average())
    assert json.loads(json.dumps(report.to_dict()))["recordings"][0]["name"] == "a"
    assert {p.name for p in (tmp_path / "plots").iterdir()} == {"a.png", "b.png", "precision-recall.png"}


def test_families_weigh_the_same() -> None:
    rows = [Row("a", "x", {"f": 1.0}), Row("b", "x", {"f": 1.0}), Row("c", "y", {"f": 0.0})]
    report = Report("mpe", {}, ("d",), tuple(rows))
    assert report.average()["f"].score == 0.5
    assert report.families() == {"x": {"f": 1.0}, "y": {"f": 0.0}}
    assert "0.500" in report.table()


def test_scores_go_to_the_csv_and_onto_the_card(model: Path, tmp_path: Path) -> None:
    report = Report("mpe", {}, ("sets/dev",), (Row("a", "x", {"f": 0.25}),))
    write_csv(report, tmp_path / "a.csv")
    with open(tmp_path / "a.csv", newline="") as file:
        assert list(csv.reader(file)) == [["recording", "family", "f"], ["a", "x", "0.2500"]]
    write_scores(report, model)
    assert read_card(model).scores == {"dev": {"f": 0.25}}


def test_a_task_without_evaluation_says_so(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mira_train.evaluate._beside", lambda training, name: None)
    with pytest.raises(UsageError, match="no evaluation"):
        evaluate("mpe", ["x"], model)


@pytest.mark.parametrize(("found", "expected"), [((60.0,), 1.0), ((61.0,), 0.0)])
def test_transcription_scores_follow_the_notes(found: tuple[float, ...], expected: float) -> None:
    from mira_plugins.mpe.evaluation import sounding
    from mira_train.metrics import multipitch

    truth = sounding(np.array([[0.5], [1.0], [60.0]]), 2.0)
    ours = sounding(np.array([[0.5], [1.0], list(found)]), 2.0)
    assert multipitch(truth, ours)["accuracy"] == expected


def test_tuning_finds_the_thresholds_that_score_best_and_stamps_them(model: Path, tmp_path: Path) -> None:
    """A network that puts onsets at 0.3 and rests at 0.1 needs a threshold between the two."""
    recording(tmp_path / "set", "a", [(0.5, 1.0, 60)])
    track = tracks([str(tmp_path / "set")])[0]
    onset, frame = np.full((63, 88), 0.1, np.float32), np.full((63, 88), 0.05, np.float32)
    onset[16, 39], frame[16:31, 39] = 0.3, 0.7
    flat = np.zeros_like(onset)
    arrays = {"onset": onset, "frame": frame, "velocity": flat + 0.5}
    arrays |= dict.fromkeys(("offset", "shift", "deviation"), flat)
    assert 0.1 < tune_mpe([(track, Activations(arrays, 16000, 512, 2.0))])["onset"] < 0.3
    mine = tmp_path / "mine.onnx"
    mine.write_bytes(model.read_bytes())
    found = tune("mpe", [str(tmp_path / "set")], mine)
    assert read_card(mine).defaults == found


def test_a_task_without_anything_to_tune_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mira_train.evaluate._beside", lambda training, name: None)
    with pytest.raises(UsageError, match="nothing to tune"):
        tune("mpe", [str(tmp_path)], tmp_path / "m.onnx")
