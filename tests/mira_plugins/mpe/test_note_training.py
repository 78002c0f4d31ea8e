"""Targets and examples of NoteNet."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mira.errors import DataError
from mira_plugins.mpe.examples import LabelledAudio, NoteExamples, Spoiling
from mira_plugins.mpe.network import NoteNet
from mira_plugins.mpe.targets import note_targets
from mira_plugins.mpe.training import note_loss
from mira_train.plugin import find_training


def one(start: float, end: float, pitch: float = 60, velocity: float = 80) -> dict[str, np.ndarray]:
    columns = [np.array([x]) for x in (start, end, pitch, velocity)]
    return note_targets(*columns, n_frames=20, hop_s=0.032)


def test_an_onset_peaks_at_its_frame_and_tells_the_rest() -> None:
    made = one(5.25 * 0.032, 10 * 0.032)
    assert made["onset"][:, 39].argmax() == 5
    assert made["shift"][5, 39] == pytest.approx(0.25)
    assert made["frame"][:, 39].nonzero()[0].tolist() == [6, 7, 8, 9]
    assert made["velocity"][5, 39] == pytest.approx(80 / 127)


def test_a_note_shorter_than_a_hop_still_sounds() -> None:
    assert one(0.1, 0.101)["frame"].sum() == 1


def test_pitches_outside_of_the_piano_are_left_out() -> None:
    assert not one(0.1, 0.3, pitch=110)["frame"].any() and not one(0.1, 0.3, pitch=20)["frame"].any()


def test_an_unknown_velocity_is_no_target() -> None:
    assert np.isnan(one(0.1, 0.3, velocity=0)["velocity"]).all()


def examples(spoiling: Spoiling) -> NoteExamples:
    noise = (3000 * np.random.default_rng(0).standard_normal(16000 * 4)).astype(np.int16)
    clip = LabelledAudio(noise, np.array([[0.5, 2.0], [1.0, 3.0], [60, 64], [80, 0]]), "a")
    return NoteExamples(
        [clip], {"a": 1.0}, sample_rate=16000, n_frames=32, spoiling=spoiling, length=4, seed=1
    )


def test_an_example_depends_on_its_number_alone() -> None:
    told = Spoiling(0.6, 3, 12, 0.5, True)
    first, again, other = examples(told)[3], examples(told)[3], examples(told)[4]
    assert all(torch.equal(first[k].nan_to_num(), again[k].nan_to_num()) for k in first)
    assert not torch.equal(first["audio"], other["audio"])


def test_untimed_recordings_train_frames_alone() -> None:
    outputs = tuple(torch.zeros(1, 32, 88, requires_grad=True) for _ in NoteNet.outputs)
    batch = {k: v[None] for k, v in examples(Spoiling())[0].items()}
    note_loss(outputs, {**batch, "timed": torch.zeros(1)})[0].backward()
    used = {name: bool(o.grad.any()) for name, o in zip(NoteNet.outputs, outputs)}
    assert used == {"onset": False, "frame": True, "offset": False, "shift": False, "velocity": False}


def test_an_unknown_change_of_examples_is_named() -> None:
    recipe = find_training("mpe").recipe("notenet", ["data.augment=[{type: moove}]"])
    with pytest.raises(DataError, match="did you mean 'move'"):
        Spoiling.of(recipe)
