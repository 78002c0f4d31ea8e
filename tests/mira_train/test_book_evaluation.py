"""Models of the book's rows, scored through their exported files on small sets of the book's form."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from minisets import make_miniset
from mira.errors import DataError
from mira.task import Activations
from mira_export.export import card_of, export_shipment
from mira_plugins.chords import book_evaluation as chord_scores
from mira_plugins.cover import book_evaluation as cover_scores
from mira_plugins.ssl_embed import book_evaluation as probe
from mira_plugins.tagging import book_evaluation as tag_scores
from mira_train.data.labels import CHORDS
from mira_train.data.splits import Split
from mira_train.evaluate import evaluate
from mira_train.plugin import find_training
from mira_train.sets import find_sets, recordings


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sets")


@pytest.fixture
def sets(data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MIRA_DATA", str(data))
    for name in ("cover1000", "gtzan-genre", "rwc-pop_chord"):
        make_miniset(name, data)
    return data


def exported(task: str, name: str, folder: Path, *overrides: str) -> Path:
    """A recipe's network with the weights that it begins with, as a model file."""
    training = find_training(task)
    recipe = training.recipe(name, overrides)
    ship = training.module.shipped(recipe, training.module.lightning_module(recipe).net)
    folder.mkdir()
    export_shipment(ship, folder / "model.onnx", card_of(ship, task, recipe, None, "1"), recipe)
    return folder / "model.onnx"


COVER = ("cover", "book-cover1000-crema-move-corrected")
SMALL = ("network.input=[1, 23, 210]", "data.patch=210")


def test_covers_are_ranked_over_the_whole_set(sets: Path, tmp_path: Path) -> None:
    report = evaluate(
        "cover", ["cover1000"], exported(*COVER, tmp_path / "run", *SMALL), plots=tmp_path / "p"
    )
    assert report.together == {"queries": 27.0, "skipped": 1.0}
    assert len(report.rows) == 27 and "9-0" not in {row.name for row in report.rows}
    average = report.average()
    assert {"mr1", "mrr", "p@1", "p@5", "p@10", "map", "ndcg"} == set(average)
    assert average["p@5"].score <= 2 / 5  # no more than two others
    assert (tmp_path / "p" / "embeddings.png").exists()


def test_a_model_that_knows_the_works_finds_them(sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Performances of the small set differ by a constant, which a step from frame to frame takes away."""
    monkeypatch.setattr(cover_scores, "FeatureModel", lambda *_: lambda x: x[:, 1] - x[:, 0])
    rows, _ = cover_scores.scored(recordings(find_sets(["cover1000"])), Path("none"))
    assert all(row.scores["map"] == row.scores["mr1"] == 1 for row in rows)


def test_what_a_model_learned_from_is_left_out(sets: Path, tmp_path: Path) -> None:
    model = exported(*COVER, tmp_path / "run", *SMALL)
    names = [item.name for item in recordings(find_sets(["cover1000"]))]
    Split(tuple(names[:21]), (names[21],), tuple(names[22:])).save(model.parent / "split.json")
    told: list[str] = []
    report = evaluate("cover", ["cover1000"], model, say=told.append)
    assert report.together["queries"] == 5
    assert told == ["scored on 6 of 28 recordings: the others belong to the model's training"]
    Split(tuple(names), (), ()).save(model.parent / "split.json")
    with pytest.raises(DataError, match="learned from all"):
        evaluate("cover", ["cover1000"], model)


def test_a_model_that_listens_is_not_given_features(sets: Path, tmp_path: Path) -> None:
    model = exported("tagging", "book-gtzan-lms-conv2d-corrected", tmp_path / "run")
    with pytest.raises(DataError, match="reads no stored features"):
        evaluate("cover", ["cover1000"], model)


def test_genres_are_scored_by_recording_and_by_class(sets: Path, tmp_path: Path) -> None:
    model = exported("tagging", "book-gtzan-waveform-conv1d-corrected", tmp_path / "run", "data.hop=22050")
    report = evaluate("tagging", ["gtzan-genre"], model)
    assert len(report.rows) == 30 and set(report.average()) == {"accuracy"}
    assert report.together["accuracy"] == pytest.approx(report.average()["accuracy"].score)
    assert report.together["labels"] == 10 and 0 <= report.together["recall"] <= 1
    tag_scores.scored(recordings(find_sets(["gtzan-genre"]))[::15], model, tmp_path)
    drawn = {path.name for path in tmp_path.iterdir()}
    assert {"confusion.png", "filters.png", "blues+++blues.00000.wav.png"} <= drawn


def test_chords_are_scored_through_the_model_file(sets: Path, tmp_path: Path) -> None:
    model = exported("chords", "book-rwc-pop-cqt-corrected", tmp_path / "run")
    report = evaluate("chords", ["rwc-pop_chord"], model, plots=tmp_path / "plots")
    assert len(report.rows) == 6 and {"root", "majmin", "seg"} <= set(report.average())
    assert {"macro_recall", "wcsr_majmin"} <= set(report.together)
    assert "macro_recall: " in report.table()
    assert (tmp_path / "plots" / "confusion.png").exists()


@pytest.mark.parametrize("wrong", [0.0, 0.5])
def test_chord_scores_follow_the_chords(sets: Path, monkeypatch: pytest.MonkeyPatch, wrong: float) -> None:
    """A model that is right in every frame but the first share of them."""
    items = recordings(find_sets(["rwc-pop_chord"]))
    known = {len(items): iter(items)}

    def listen(samples: np.ndarray, rate: int) -> Activations:
        item = next(known[len(items)])
        classes = chord_scores.chord_frames(item, "chord", 201, 0.01)
        classes = np.where(classes < 0, CHORDS.index("N:-"), classes)
        first = round(wrong * 201)
        classes[:first] = (classes[:first] + 1) % 12  # another root, major
        return Activations({"chord": np.eye(25)[classes]}, 100, 1, 2.0, {})

    monkeypatch.setattr(chord_scores, "listener_of", lambda *_: SimpleNamespace(activations=listen))
    rows, together = chord_scores.scored(items, Path("none"))
    assert len(rows) == 6
    assert together["wcsr_majmin"] == pytest.approx(1 - wrong, abs=0.02)
    assert (together["macro_recall"] == pytest.approx(1, abs=0.01)) == (not wrong)


def test_an_embedding_is_scored_by_a_probe(
    sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = "demo"
    model = exported("ssl_embed", recipe, tmp_path / "run")
    report = evaluate("ssl_embed", ["gtzan-genre"], model, plots=tmp_path / "plots")
    assert {"probe_auc", "probe_map", "labels"} == set(report.together)
    assert report.together["probe_auc"] > 0.6  # every genre of the small set is one pitch
    assert 0 < len(report.rows) < 30
    assert (tmp_path / "plots" / "embeddings.png").exists()


def test_a_probe_needs_labels(sets: Path, tmp_path: Path) -> None:
    model = exported("ssl_embed", "demo", tmp_path / "run")
    with pytest.raises(DataError, match="needs"):
        probe.scored(recordings(find_sets(["rwc-pop_chord"])), model)
