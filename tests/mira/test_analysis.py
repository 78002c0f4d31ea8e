"""The ladder of entry points: each rung gives what the one above it uses."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mira
import numpy as np
import pytest
from fakes import RATE, recording
from mira import analysis, plugins
from mira.errors import AudioError, ModelError, OutputError, PluginError, UsageError


@dataclasses.dataclass(frozen=True)
class Settings:
    threshold: float | None = mira.setting(None, "Loudness", minimum=0, maximum=1)


@dataclasses.dataclass(frozen=True)
class OwnSettings:
    bias: float = mira.setting(0.0, "Bias")


def _listen(name: str, calls: list[str]) -> Any:
    def activate(blocks: Any, sample_rate: int) -> mira.Activations:
        calls.append(name)
        heard = np.concatenate(list(blocks))
        frames = len(heard) // 1000
        loudness = np.abs(heard[: frames * 1000].reshape(-1, 1000)).max(1)
        duration_s = len(heard) / sample_rate
        return mira.Activations({"loudness": loudness}, sample_rate, 1000, duration_s, {"threshold": 0.1})

    return activate


def _curve(activations: mira.Activations, values: Any) -> mira.Curve:
    return mira.Curve(activations.duration_s, np.arange(len(values)) * activations.hop_s, values)


def _decode(activations: mira.Activations, settings: Settings) -> mira.Curve:
    return _curve(activations, (activations.arrays["loudness"] > settings.threshold).astype(float))


def _decode_needed(activations: mira.Activations, settings: OwnSettings) -> mira.Curve:
    return _curve(activations, activations.needed["loud"].arrays["loudness"] + settings.bias)


def _raises(*_: Any) -> Any:
    raise ValueError("no idea")


@pytest.fixture
def calls() -> list[str]:
    return []


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch, calls: list[str]) -> Iterator[dict[str, mira.Task]]:
    def task(name: str, settings: type, decode: Any, **more: Any) -> mira.Task:
        given = {"activate": _listen(name, calls), "sample_rate": RATE} | more
        return mira.Task(name, name, name, settings, mira.Curve, decode, ".csv", **given)

    known = {
        "loud": task("loud", Settings, _decode),
        "slow": task("slow", Settings, _decode, sample_rate=RATE // 2),
        "above": task("above", OwnSettings, _decode_needed, needs=("loud",)),
        "nan": task("nan", Settings, lambda a, s: _curve(a, np.full(3, np.nan))),
        "bad": task("bad", Settings, _raises),
        "deaf": task("deaf", Settings, _decode, activate=_raises),
        "egg": task("egg", Settings, _decode, needs=("hen",)),
        "hen": task("hen", Settings, _decode, needs=("egg",)),
    }

    def find(name: str) -> mira.Task:
        if name not in known:
            raise UsageError(f"there is no task '{name}'")
        return known[name]

    monkeypatch.setattr(plugins, "load_plugins", lambda: SimpleNamespace(task=find, writers=[], tasks=known))
    analysis.shared_model.cache_clear()
    yield known
    analysis.shared_model.cache_clear()


@pytest.fixture
def song(tmp_path: Path) -> Path:
    path = tmp_path / "song.wav"
    recording(path)
    return path


@pytest.fixture
def samples(song: Path) -> Any:
    import soundfile

    return soundfile.read(song, dtype="float32")[0]


def test_every_rung_gives_the_same(
    tasks: dict[str, mira.Task], song: Path, samples: Any, tmp_path: Path
) -> None:
    with mira.load_model("loud") as model:
        results = [
            model.decode(model.activations(samples, RATE)),
            model.decode(model.activations_of(song)),
            model.analyze(samples, RATE),
            model.analyze(song),
            model.analyze(str(song)),
            model.write(song, tmp_path / "out.csv"),
            mira.analyze(song, "loud"),
            mira.analyze(samples, "loud", sample_rate=RATE),
            mira.analyze(song, ["loud"])["loud"],
        ]
    dicts = [r.to_dict() for r in results]
    assert dicts[0]["value"][:8] == [1, 1, 1, 1, 0, 0, 0, 0]
    assert all(d == dicts[0] for d in dicts)


def test_file_to_file_writes_by_suffix_and_refuses_to_overwrite(
    tasks: dict[str, mira.Task], song: Path, tmp_path: Path
) -> None:
    model = mira.load_model("loud")
    model.write(song, tmp_path / "out.json")
    assert '"curve"' in (tmp_path / "out.json").read_text()
    with pytest.raises(OutputError, match="exists"):
        model.write(song, tmp_path / "out.json")
    model.write(song, tmp_path / "out.json", force=True, format="csv")
    with pytest.raises(UsageError, match="can be written as"):
        model.write(song, tmp_path / "out.xyz")


def test_settings_are_tuned_checked_and_named(tasks: dict[str, mira.Task], song: Path) -> None:
    loud = mira.analyze(song, "loud", threshold=0.9)
    assert not loud.value.any()  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="at most 1"):
        mira.analyze(song, "loud", threshold=3)
    with pytest.raises(UsageError, match="has no setting 'volume'"):
        mira.analyze(song, "loud", volume=3)
    with pytest.raises(UsageError, match="has no setting 'volume'"):
        mira.load_model("loud").analyze(song, volume=3)


def test_several_tasks_share_one_decoding_and_get_their_own_settings(
    tasks: dict[str, mira.Task], song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mira import audio

    opened: list[int] = []
    true_open = audio.open_audio

    def counting(path: Any, rate: int, **more: Any) -> Any:
        opened.append(rate)
        return true_open(path, rate, **more)

    monkeypatch.setattr(audio, "open_audio", counting)
    both = mira.analyze(song, ["loud", "above"], threshold=0.9, above={"bias": 1.0})
    assert opened == [RATE]
    assert not both["loud"].value.any()  # type: ignore[attr-defined]
    assert both["above"].value.min() == 1  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="none of the tasks loud, above has a setting 'volume'"):
        mira.analyze(song, ["loud", "above"], volume=1)


def test_tasks_at_other_rates_give_what_they_give_alone(tasks: dict[str, mira.Task], song: Path) -> None:
    together = mira.analyze(song, ["slow", "loud"])
    for name in ("slow", "loud"):
        assert together[name].to_dict() == mira.analyze(song, name).to_dict()


def test_needed_task_is_heard_once_and_handed_over(
    tasks: dict[str, mira.Task], song: Path, calls: list[str]
) -> None:
    above = mira.analyze(song, "above", bias=0.5)
    assert sorted(calls) == ["above", "loud"]
    assert above.value[:2] == pytest.approx([1.0, 1.0])  # type: ignore[attr-defined]
    calls.clear()
    mira.analyze(song, ["above", "loud"])
    assert sorted(calls) == ["above", "loud"]


def test_tasks_that_need_each_other_are_refused(tasks: dict[str, mira.Task]) -> None:
    with pytest.raises(PluginError, match="egg -> hen -> egg"):
        mira.load_model("egg")


def test_results_that_are_not_finite_are_refused(tasks: dict[str, mira.Task], song: Path) -> None:
    with pytest.raises(ModelError, match="value of the result has values that are not finite"):
        mira.analyze(song, "nan")


@pytest.mark.parametrize("name", ["bad", "deaf"])
def test_plugin_that_raises_is_named(tasks: dict[str, mira.Task], song: Path, name: str) -> None:
    with pytest.raises(PluginError, match=f"{name}: .* failed: ValueError: no idea"):
        mira.analyze(song, name)
    with pytest.raises(PluginError, match="no idea"):
        mira.analyze(song, ["loud", name])


@pytest.mark.parametrize("names", ["loud", ["loud", "above"]])
def test_file_without_audio_is_an_audio_error(
    tasks: dict[str, mira.Task], tmp_path: Path, names: str | list[str]
) -> None:
    (tmp_path / "text.wav").write_text("hello")
    for path in (tmp_path / "text.wav", tmp_path / "none.wav"):
        with pytest.raises(AudioError):
            mira.analyze(path, names)


def test_array_needs_its_rate_and_samples(tasks: dict[str, mira.Task], samples: Any) -> None:
    with pytest.raises(UsageError, match="sample_rate"):
        mira.analyze(samples, "loud")
    with pytest.raises(AudioError):
        mira.analyze(np.zeros(0, np.float32), "loud", sample_rate=RATE)


def test_unknown_task_is_a_usage_error(tasks: dict[str, mira.Task], song: Path) -> None:
    with pytest.raises(UsageError, match="'nothing'"):
        mira.analyze(song, ["loud", "nothing"])


def test_models_are_loaded_once_for_the_process(tasks: dict[str, mira.Task]) -> None:
    assert analysis.shared_model("loud", None, None) is analysis.shared_model("loud", None, None)
    assert mira.load_model("loud") is not mira.load_model("loud")
