"""``mira embed`` and ``mira similar`` with the shipped model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from mira import analysis, plugins
from mira.__main__ import main
from mira.testing import check_plugin

RATE = 22050
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIRA_STORE", str(tmp_path / "store.sqlite"))
    time = np.arange(4 * RATE) / RATE
    (tmp_path / "music").mkdir()
    for i in range(2):
        low = sum(np.sin(2 * np.pi * (70 + i) * k * time) / k for k in range(1, 6))
        soundfile.write(tmp_path / "music" / f"low{i}.wav", 0.3 * low, RATE)
        clicks = (np.random.default_rng(i).random(4 * RATE) < 0.001).astype(float)
        soundfile.write(tmp_path / "music" / f"clicks{i}.wav", clicks, RATE)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main([*arguments, "--threads", "1"])
        out, err = capfd.readouterr()
        return int(code), out, err

    plugins.load_plugins.cache_clear()
    analysis.shared_model.cache_clear()
    yield run
    analysis.shared_model.cache_clear()


def test_the_plugin_keeps_its_contract() -> None:
    assert check_plugin("mira_plugins.ssl_embed") == []


def test_all_vectors_go_into_one_file(command: Command) -> None:
    code, out, _ = command("embed", "music", "--into", "all.npz")
    assert code == 0 and "4 vectors" in out
    with np.load("all.npz", allow_pickle=False) as archive:
        assert np.linalg.norm(archive["vector"], axis=1) == pytest.approx(np.ones(4), abs=1e-5)
    assert command("embed", "music", "--into", "all.npz")[0] == 3


def test_one_recording_goes_into_a_file_of_its_own(command: Command) -> None:
    assert command("embed", "music/low0.wav", "-o", "low.npz")[0] == 0
    with np.load("low.npz") as archive:
        assert archive["sequence"].shape == (len(archive["time_s"]), len(archive["vector"]))


def test_what_sounds_alike_comes_first(command: Command) -> None:
    code, out, _ = command("similar", "music/low0.wav", "--in", "music")
    assert code == 0 and len(out.splitlines()) == 3
    assert out.splitlines()[0].endswith("low1.wav")
    code, out, _ = command("similar", "music/low0.wav", "--in", "music", "--count", "1", "--json")
    assert json.loads(out)["path"] == "music/low1.wav"


def test_a_broken_recording_is_a_line_and_the_others_are_compared(command: Command) -> None:
    Path("music/broken.wav").write_bytes(b"no audio")
    code, out, err = command("similar", "music/low0.wav", "--in", "music")
    assert code == 3 and len(out.splitlines()) == 3 and "broken.wav" in err and "Traceback" not in err


def test_a_missing_track_or_an_empty_folder_is_refused(command: Command) -> None:
    code, out, err = command("similar", "none.wav", "--in", "music")
    assert (code, out) == (3, "") and "none.wav" in err
    Path("empty").mkdir()
    code, out, err = command("similar", "music/low0.wav", "--in", "empty")
    assert (code, out) == (3, "") and "nothing there to compare with" in err
