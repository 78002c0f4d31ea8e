"""Fixtures of the command's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes import install_plugin


@pytest.fixture(scope="session")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the fake plugin, for PYTHONPATH."""
    folder = tmp_path_factory.mktemp("plugins")
    install_plugin(folder)
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with the fake plugin and a store of its own."""
    folder = tmp_path / "home"
    install_plugin(folder)
    return folder
