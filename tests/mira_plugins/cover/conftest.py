"""Fixtures of the tests of covers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from covermusic import entry, music, tones
from mira_plugins.cover.index import Index


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """An index of eight tracks; the second is the first, 3 semitones higher and 20 frames later."""
    folder = tmp_path / "index"
    with Index(folder, create="faiss") as index:
        for i in range(8):
            frames = music(i)
            if i == 1:
                frames = np.roll(np.concatenate([music(99, 20), music(0)[:90]]), 3, axis=1)
            index.catalogue.put(entry(f"/music/{i}.wav", frames))
        index.sync()
    return folder


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    """A folder with three short recordings."""
    for i in range(3):
        tones(tmp_path / "songs" / f"{i}.wav", i)
    return tmp_path / "songs"
