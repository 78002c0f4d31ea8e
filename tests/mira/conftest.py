"""Fixtures of the engine's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fakes import install_plugin, recording
from mira import analysis, plugins
from mira.__main__ import main


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with the fake plugin and a store of its own, for processes."""
    folder = tmp_path / "home"
    install_plugin(folder)
    return folder


@pytest.fixture
def music(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four recordings in a tree, and the current folder above them."""
    for i, name in enumerate(("a.wav", "b.wav", "sub/c.WAV", "sub/deep/d.wav")):
        path = tmp_path / "music" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        recording(path, seed=i, notes=i + 1)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "music"


@pytest.fixture
def command(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """Run the command in this process: arguments -> exit code, stdout, stderr."""
    monkeypatch.syspath_prepend(home)
    monkeypatch.setenv("PYTHONPATH", str(home))
    monkeypatch.setenv("MIRA_STORE", str(home / "store.sqlite"))

    def run(*args: str | Path) -> tuple[int, str, str]:
        code = main([str(a) for a in args])
        out, err = capfd.readouterr()
        return int(code), out, err

    plugins.load_plugins.cache_clear()
    analysis.shared_model.cache_clear()
    yield run
    plugins.load_plugins.cache_clear()
    analysis.shared_model.cache_clear()
