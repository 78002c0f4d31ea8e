"""A studio in this process, on a port of its own, with the plugin of ``humming.py`` and no other."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest
import uvicorn
from desk import Visitor, announce, recording
from mira import analysis, plugins
from mira.plugins import find_plugins
from mira_plugins.studio import listening
from mira_plugins.studio.app import build
from mira_plugins.studio.places import cache_folder, edits_folder
from mira_plugins.studio.studio import Studio

TOKEN = "a-secret-of-thirty-two-letters-at-least"


def _forget() -> None:
    plugins.load_plugins.cache_clear()
    analysis.shared_model.cache_clear()
    listening._made_of.cache_clear()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for store, cache and edits; only the humming plugin is there."""
    import sys

    others = {info.name for info in find_plugins(sys.path)}
    announce(tmp_path / "site", "humming", "humming")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("MIRA_STORE", str(tmp_path / "home" / "store.sqlite"))
    monkeypatch.setenv("HUM_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("MIRA_DISABLE", ",".join(others))
    _forget()
    yield tmp_path / "home"
    _forget()


@pytest.fixture
def runs(home: Path) -> Callable[[], int]:
    """How often the "network" has run so far."""
    return lambda: len((home.parent / "runs").read_text().splitlines())


@pytest.fixture
def studio(home: Path) -> Iterator[Studio]:
    """A studio without a server."""
    studio = Studio(cache_folder(), edits_folder(), threads=1)
    yield studio
    studio.close()


@pytest.fixture
def visitor(studio: Studio) -> Iterator[Visitor]:
    """The studio's own page, as it were."""
    bound = socket.create_server(("127.0.0.1", 0))
    port = bound.getsockname()[1]
    config = uvicorn.Config(build(studio, TOKEN, port), log_level="error", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    yield Visitor(port, TOKEN)
    server.should_exit = True
    thread.join(timeout=20)


@pytest.fixture
def song(studio: Studio, tmp_path: Path) -> str:
    """A recording in the library, not yet listened to."""
    return studio.library.add(recording(tmp_path / "music" / "song.wav")).id
