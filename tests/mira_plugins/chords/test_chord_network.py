"""The network: one behaviour in all keys, a bounded reach, and a graph that can be cut at its chroma."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from mira.card import Card, Output
from mira.errors import ModelError
from mira.session import Session
from mira_export.export import export_onnx
from mira_plugins.chords.network import ChordNet, ChordNetConfig, Edges, FrontEnd, Shipped
from mira_plugins.chords.stored import CutModel
from mira_train.frontends.nnls import NNLSChroma

RATE, HOP = 44100, 2048


def triad(pitches: tuple[int, ...], seconds: float, cents: float = 0.0) -> np.ndarray:
    t = np.arange(round(seconds * RATE)) / RATE
    hz = [440 * 2 ** ((p + cents / 100 - 69) / 12) for p in pitches]
    return (0.1 * sum(0.6**k * np.sin(2 * np.pi * f * (k + 1) * t) for f in hz for k in range(5))).astype(
        np.float32
    )


@torch.no_grad()
def test_a_transposed_song_gives_transposed_activations(net: ChordNet) -> None:
    chroma = torch.rand(1, 40, 24, generator=torch.Generator().manual_seed(1)) * 3
    moved = torch.roll(chroma.reshape(1, 40, 2, 12), 5, 3).reshape(1, 40, 24)
    root, quality, bass, pitch, change = net(chroma)
    root2, quality2, bass2, pitch2, change2 = net(moved)
    for one, two in ((root, root2), (bass, bass2)):
        assert torch.allclose(torch.roll(one[..., :12], 5, -1), two[..., :12], atol=1e-4)
        assert torch.allclose(one[..., 12], two[..., 12], atol=1e-4)
    assert torch.allclose(torch.roll(quality, 5, 2), quality2, atol=1e-4)
    assert torch.allclose(torch.roll(pitch, 5, -1), pitch2, atol=1e-4)
    assert torch.allclose(change, change2, atol=1e-4)


def test_a_step_of_roots_is_where_they_change() -> None:
    likely = torch.zeros(1, 13, 20)
    likely[:, 2, :9], likely[:, 7, 9:] = 1, 1
    step = Edges.step(likely, 4)[0, 0]
    assert step.shape == (20,)
    assert step.argmax() == 9 and step[9] == 1
    assert step[:6].max() < 1e-3 and step[13:].max() < 1e-3


@torch.no_grad()
def test_pitch_classes_count_from_c(net: ChordNet) -> None:
    """The front end begins at A: what only bin 3 (C) changes must change pitch class 0 most."""
    flat = ChordNet(ChordNetConfig(width=4, dilations=())).eval()
    weight = flat.stem[0].conv.weight  # type: ignore[index,union-attr]
    weight.zero_()
    weight[:, 1, 0] = 1.0
    quiet, loud = torch.zeros(1, 1, 24), torch.zeros(1, 1, 24)
    loud[0, 0, 12 + 3] = 2.0
    change = (flat(loud)[3] - flat(quiet)[3]).abs()[0, 0]
    assert change.argmax() == 0
    assert change[1:].max() == 0


@torch.no_grad()
def test_chroma_is_the_plug_ins_where_the_tuning_stays() -> None:
    audio = torch.from_numpy(triad((48, 60, 64, 67), 3.0, cents=20))[None]
    audio = audio[:, : audio.shape[1] // HOP * HOP]
    ours = FrontEnd(8.0)(audio)
    theirs = NNLSChroma()(audio)[:, 0].transpose(1, 2)[:, :-1]
    assert torch.allclose(ours, theirs, atol=1e-3)


@torch.no_grad()
def test_a_frame_depends_on_nothing_beyond_its_reach(net: ChordNet) -> None:
    shipped = Shipped(net)
    frames = 2 * (shipped.reach // HOP + 4)
    audio = 0.1 * torch.randn(1, frames * HOP, generator=torch.Generator().manual_seed(2))
    other = audio.clone()
    middle = frames // 2
    other[:, : middle * HOP - shipped.reach] = 0
    other[:, middle * HOP + shipped.reach + 1 :] = 0
    for one, two in zip(shipped(audio), shipped(other)):
        assert torch.allclose(one[:, middle], two[:, middle], atol=1e-4)


def test_the_session_gives_the_same_however_a_song_is_cut(model: Path) -> None:
    audio = np.concatenate([triad((48, 60, 64, 67), 4.0), triad((45, 57, 60, 64), 4.0)])
    session = Session(model, threads=1)
    session.chunk_s = 100.0
    whole = session.run([audio])
    session.chunk_s = 1.3
    pieces = session.run(np.array_split(audio, 7))
    for name, values in whole.arrays.items():
        assert values.shape == pieces.arrays[name].shape
        assert np.abs(values - pieces.arrays[name]).max() < 1e-3


def test_the_graph_cut_at_its_chroma_goes_on_as_the_whole_one(model: Path) -> None:
    audio = triad((48, 60, 64, 67), 2.0)[None]
    audio = audio[:, : audio.shape[1] // HOP * HOP]
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    whole = dict(zip(names, session.run(None, {"waveform": audio})))
    cut = CutModel(model).run(whole["chroma"][0].T)
    for name, values in cut.arrays.items():
        assert np.allclose(values, whole[name][0], atol=1e-5)


def test_silence_gives_numbers(model: Path) -> None:
    heard = Session(model, threads=1).run([np.zeros(3 * RATE, np.float32)])
    assert all(np.isfinite(values).all() for values in heard.arrays.values())
    assert not heard.arrays["chroma"].any()


def test_a_model_without_chroma_cannot_be_cut(tmp_path: Path) -> None:
    class Plain(torch.nn.Module):
        def forward(self, waveform: torch.Tensor) -> tuple[torch.Tensor]:
            return (waveform.reshape(waveform.shape[0], -1, HOP).mean(2),)

    path = tmp_path / "plain.onnx"
    card = Card("chords", "plain", "1", RATE, HOP, (0, 0), (Output("level", ("frame",)),))
    export_onnx(Plain(), path, card, lengths=[HOP * 3, HOP * 5])
    with pytest.raises(ModelError, match="no output 'chroma'"):
        CutModel(path)


def test_reach_grows_with_the_dilations() -> None:
    assert ChordNet(ChordNetConfig(width=4, dilations=(1, 2, 4))).reach == 14 + 42 + 8
