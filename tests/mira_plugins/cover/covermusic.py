"""What the tests of covers share: random music as pitch classes, tracks of it, the command as a process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile
from mira_plugins.cover import CoverPrint
from mira_plugins.cover.catalogue import Entry
from mira_plugins.cover.fingerprint import POOLED, pack, print_of_frames, unit
from numpy.typing import NDArray

FRAME_S = POOLED * 2048 / 44100


def music(seed: int, frames: int = 120) -> NDArray[np.float32]:
    """Chords of C major that change at random every few frames, with a tune above; shape (frame, 12)."""
    rng = np.random.default_rng(seed)
    scale = np.array([0, 2, 4, 5, 7, 9, 11])
    rows: list[NDArray[np.float64]] = []
    while len(rows) < frames:
        chord = scale[(int(rng.integers(7)) + np.array([0, 2, 4])) % 7]
        for _ in range(int(rng.integers(2, 6))):
            row = rng.uniform(0, 0.15, 12)
            row[chord] += 0.7
            row[rng.choice(scale)] += 0.8
            rows.append(row)
    return unit(np.array(rows[:frames], np.float32))


def print_of(frames: NDArray[np.float32]) -> CoverPrint:
    """A print of pitch classes, with the vectors of the shipped network."""
    return print_of_frames(frames, FRAME_S, len(frames) * FRAME_S)


def entry(path: str, frames: NDArray[np.float32]) -> Entry:
    """A track of an index."""
    found = print_of(frames)
    return Entry(os.path.abspath(path), f"content of {path}", 1, 1, found.duration_s, pack(found))


def tones(path: Path, seed: int, seconds: float = 3.0) -> Path:
    """A recording of chords of pure tones."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * 8000)) / 8000
    sound = sum(np.sin(2 * np.pi * 220 * 2 ** (int(rng.integers(12)) / 12) * time) for _ in range(3))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, (0.2 * np.asarray(sound)).astype(np.float32), 8000)
    return path


def nobody() -> str:
    """An address at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


def start(*args: str | Path, **options: object) -> subprocess.Popen[str]:
    """Start ``mira cover-index`` as a process."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MIRA_")} | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "mira", "cover-index", *map(str, args)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": kept}
    return subprocess.Popen(command, **(streams | options))  # type: ignore[call-overload]


def run(*args: str | Path) -> tuple[int, str, str]:
    """Run it to its end: exit code, stdout, stderr, which is one line each and no traceback."""
    process = start(*args)
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err, err
    return process.returncode, out, err
