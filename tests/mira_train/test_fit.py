"""Training a tiny network for a few epochs: resuming, refusing, several processes."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mira.errors import DataError, ModelError, OutputError, UsageError
from mira_train import runs
from mira_train.data.entries import FILEPATH, Atom, Definition
from mira_train.data.hdf5 import AudioWriter
from mira_train.data.labels import GENRES
from mira_train.data.pyjama import PyjamaWriter
from mira_train.data.splits import Split
from mira_train.fit import Outcome, fit
from mira_train.learner import Learner
from mira_train.plugin import Training, find_training

RATE, PATCH = 8000, 200
RECIPE = f"""
about: tiny
data: {{sets: [], target: genre, patch: {PATCH}, hop: {PATCH}, split: {{by: position, valid: 0.25, test: 0}}}}
frontend: {{type: waveform, sample_rate: {RATE}}}
network:
  input: [1, {PATCH}]
  output: [10]
  blocks:
    - [[Conv1d, {{in_channels: -1, out_channels: 4, kernel_size: 65}}], ReLU, [Dropout, {{p: 0.5}}], MeanPool]
    - [[Linear, {{in_features: -1, out_features: 10}}]]
training:
  {{loss: {{type: cross_entropy}}, learning_rate: 0.01, batch_size: 4, epochs: 3,
    milestones: [1, 2], decay: 0.5}}
export: {{outputs: [genre], activation: softmax}}
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a recipe, and a set of nine recordings of five patches."""
    monkeypatch.setenv("MIRA_DATA", str(tmp_path / "data"))
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    names = {FILEPATH: Definition("global", constraint="filepath"), "genre": Definition("global")}
    with (
        PyjamaWriter(tmp_path / "set.pyjama", names) as entries,
        AudioWriter(tmp_path / "set_audio.hdf5") as audio,
    ):
        for i in range(9):
            entries.write({FILEPATH: [Atom(f"{i}.wav")], "genre": [Atom(GENRES[i % 3])]})
            noise = np.random.default_rng(i).standard_normal(5 * PATCH).astype(np.float32)
            audio.add(f"{i}.wav", RATE, [noise * 0.1 * (1 + i % 3)])
    return tmp_path


def tagging() -> Training:
    return find_training("tagging")


def train(place: Path, out: str, *overrides: str, data: str = "set", **options: Any) -> Outcome:
    training = tagging()
    recipe = training.recipe(str(place / "tiny.yaml"), overrides)
    sets = [str(place / f"{data}.pyjama")]
    return fit(training, recipe, sets, place / out, accelerator="cpu", workers=0, **options)


def curve(folder: Path) -> list[dict[str, str]]:
    with open(folder / runs.CURVE, newline="") as file:
        return list(csv.DictReader(file))


def test_a_resumed_run_has_the_curve_of_an_uninterrupted_one(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(place, "whole")
    begin = Learner.on_train_epoch_start

    def die(self: Learner) -> None:
        if self.current_epoch == 1:
            raise RuntimeError("power cut")
        begin(self)

    monkeypatch.setattr(Learner, "on_train_epoch_start", die)
    with pytest.raises(RuntimeError, match="power cut"):
        train(place, "cut")
    monkeypatch.setattr(Learner, "on_train_epoch_start", begin)
    assert len(curve(place / "cut")) == 1
    resumed = train(place, "cut", resume=True)
    assert resumed.losses == whole.losses and len(whole.losses) == 3
    assert curve(place / "cut") == curve(place / "whole")
    assert [float(row["learning_rate"]) for row in curve(place / "cut")] == [0.01, 0.005, 0.0025]
    for a, b in zip(
        runs.read_weights(place / "cut" / runs.WEIGHTS)[0].values(),
        runs.read_weights(place / "whole" / runs.WEIGHTS)[0].values(),
    ):
        assert torch.equal(a, b)


def test_a_run_tells_what_it_was_made_from(place: Path) -> None:
    train(place, "run", "training.epochs=1")
    run = runs.Run.open(place / "run")
    assert (run.task, run.recipe.name, run.recipe.training.epochs) == ("tagging", "tiny", 1)
    assert run.about["data"] == [{"name": "set", "terms": ""}]
    assert {"mira", "torch", "python"} <= set(run.about["versions"])
    split = Split.load(place / "run" / runs.SPLIT)
    assert split.valid == ("set/0.wav", "set/4.wav", "set/8.wav") and len(split.train) == 6
    _, told = runs.read_weights(place / "run" / runs.WEIGHTS)
    assert told["recipe_sha256"] == run.recipe.hash


def test_training_goes_on_from_weights_and_remembers_what_they_learnt_from(place: Path) -> None:
    train(place, "first", "training.epochs=1")
    for path in place.glob("set*"):
        path.rename(path.with_name(path.name.replace("set", "other")))
    still = ["training.epochs=1", "training.learning_rate=0"]
    weights = place / "first" / runs.WEIGHTS
    train(place, "second", *still, data="other", weights=weights)
    before, after = (runs.read_weights(place / run / runs.WEIGHTS)[0] for run in ("first", "second"))
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert [s["name"] for s in runs.sets_of(place / "second" / runs.WEIGHTS)] == ["other", "set"]


def test_validation_sees_every_patch_once(place: Path) -> None:
    train(place, "run", "training.epochs=1")
    assert float(curve(place / "run")[0]["valid_examples"]) == 3 * 5


def test_mistake_64_what_validation_measures_is_logged(place: Path) -> None:
    train(place, "run", "training.epochs=1")
    assert {"valid_loss", "valid_accuracy", "valid_recall"} <= curve(place / "run")[0].keys()


def test_the_share_of_waiting_for_data_is_told(place: Path) -> None:
    outcome = train(place, "run", "training.epochs=2")
    assert 0 < outcome.waiting < 1
    assert "train_dataloader_next" in (place / "run" / "fit-profile.txt").read_text()


def test_another_run_is_not_overwritten(place: Path) -> None:
    train(place, "run", "training.epochs=1")
    with pytest.raises(OutputError, match="--resume"):
        train(place, "run", "training.epochs=1")
    train(place, "run", "training.epochs=1", force=True)


def test_a_checkpoint_of_another_recipe_is_refused(place: Path) -> None:
    train(place, "run", "training.epochs=1")
    with pytest.raises(ModelError, match="another form of the recipe 'tiny'"):
        train(place, "run", "training.epochs=1", "training.seed=7", resume=True)


def test_other_data_than_the_run_began_with_are_refused(place: Path) -> None:
    train(place, "run", "training.epochs=1")
    Split(("set/1.wav",), ("set/2.wav",), ()).save(place / "run" / runs.SPLIT)
    with pytest.raises(DataError, match="the data are not those"):
        train(place, "run", "training.epochs=1", resume=True)


def test_a_checkpoint_with_code_in_it_is_not_loaded(place: Path) -> None:
    train(place, "run", "training.epochs=1")
    torch.save({"state_dict": {}, "evil": Path("x")}, place / "run" / runs.LAST)
    with pytest.raises(ModelError, match="not a checkpoint that is safe to load"):
        train(place, "run", "training.epochs=1", resume=True)


def test_a_recipe_without_data_asks_for_them(place: Path) -> None:
    training = tagging()
    with pytest.raises(UsageError, match="--data"):
        fit(training, training.recipe(str(place / "tiny.yaml")), [], place / "run")


def test_a_probe_asks_for_its_encoder(tmp_path: Path) -> None:
    training = find_training("ssl_embed")
    with pytest.raises(UsageError, match="book-mtt-ssl-pretraining'; give its run: --encoder"):
        fit(training, training.recipe("book-mtt-ssl-probe"), [], tmp_path / "run")


def test_an_unknown_recipe_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'book-mtt-lms-conv2d'"):
        tagging().recipe("book-mtt-lms-conv2")


@pytest.mark.slow
def test_two_processes_train_on_one_split_and_score_nothing_twice(place: Path) -> None:
    command = [sys.executable, "-m", "mira", "train", "tagging", "--recipe", str(place / "tiny.yaml"),
               "--data", str(place / "set.pyjama"), "--set", "training.epochs=2", "--out", str(place / "two"),
               "--devices", "2", "--strategy", "ddp"]  # fmt: skip
    environment = {
        **os.environ,
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
        "GLOO_SOCKET_IFNAME": "lo",
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    train(place, "one", "training.epochs=2")
    assert Split.load(place / "two" / runs.SPLIT) == Split.load(place / "one" / runs.SPLIT)
    assert [float(row["valid_examples"]) for row in curve(place / "two")] == [15, 15]
    assert len(curve(place / "two")) == 2
