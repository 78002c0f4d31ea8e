"""What the tests of the engine share: a plugin without a network, recordings, the command as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile

RATE = 8000

PLUGIN = '''
import os, signal
from dataclasses import dataclass

import mira
from mira.hooks import hookimpl

@dataclass(frozen=True)
class Settings:
    threshold: float | None = mira.setting(None, "Loudness that counts as sound.", minimum=0, maximum=1)
    min_duration: float = mira.setting(0.0, "Shortest note.", unit="s", minimum=0)
    octave: int = mira.setting(5, "Octave of the notes.", short="x")
    shape: str = mira.setting("flat", "Shape.", choices=("flat", "round"))
    loud: bool = mira.setting(True, "Write loud notes.")

def activate(blocks, sample_rate):
    """One frame for each 1000 samples: their loudest."""
    import numpy as np
    frames, rest, n = [], np.zeros(0, np.float32), 0
    for block in blocks:
        n += len(block)
        rest = np.concatenate([rest, block])
        while len(rest) >= 1000:
            frames.append(np.abs(rest[:1000]).max())
            rest = rest[1000:]
    loudest = max(frames, default=0)
    if abs(loudest - 0.75) < 0.01:  # the recording that kills
        os.kill(os.getpid(), signal.SIGKILL)
    if abs(loudest - 0.65) < 0.01:  # the one that finds a bug
        raise ValueError("cannot count\\nto three")
    if abs(loudest - 0.85) < 0.01:  # the one that needs all memory
        raise MemoryError
    if abs(loudest - 0.95) < 0.01:  # the one that takes for ever
        open(os.environ["FAKE_GATE"]).read()
    arrays = {"loudness": np.array(frames, np.float32)}
    return mira.Activations(arrays, sample_rate, 1000, n / sample_rate, {"threshold": 0.1})

def decode(activations, settings):
    import numpy as np
    on = activations.arrays["loudness"] > settings.threshold
    on = np.concatenate([[False], on, [False]]).astype(int)
    start, end = np.flatnonzero(np.diff(on) == 1), np.flatnonzero(np.diff(on) == -1)
    start, end = start * activations.hop_s, end * activations.hop_s
    keep = end - start >= settings.min_duration
    start, end = start[keep], end[keep]
    ones = np.ones(len(start), int)
    velocity = ones * (100 if settings.loud else 50)
    return mira.Notes(activations.duration_s, start, end, ones * 12 * settings.octave, velocity, ones * 0.5)

@dataclass(frozen=True)
class NoSettings:
    pass

def decode_tags(activations, settings):
    mean = float(activations.needed["fake"].arrays["loudness"].mean())
    return mira.Tags(activations.duration_s, {"loud": mean}, 0.0, {})

def broken(activations, settings):
    raise KeyError("nothing")

@hookimpl
def mira_tasks():
    notes = dict(settings=Settings, result=mira.Notes, activate=activate, sample_rate=8000)
    yield mira.Task("fake", "hear", "Hear sound.", decode=decode, suffix=".mid", **notes,
                    files={"csv": "Write a table too."})
    yield mira.Task("broken", "break", "Fail.", decode=broken, suffix=".mid", **notes)
    yield mira.Task("mood", "feel", "Feel.", NoSettings, mira.Tags, decode_tags, ".json",
                    activate=activate, sample_rate=8000, needs=("fake",))

@hookimpl
def mira_commands(app):
    @app.command("sing")
    def sing() -> None:
        """Sing."""
        print("la")
'''


def install_plugin(folder: Path, source: str = PLUGIN, name: str = "fake_plugin") -> None:
    """Put a plugin into a folder as an installed distribution, which Python finds by ``PYTHONPATH``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(source)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[mira]\n{name} = {name}\n")


def recording(path: Path | bytes, *, level: float = 0.5, notes: int = 2, seed: int = 0) -> Path | bytes:
    """Write a recording of noise bursts, half a second each with half a second between."""
    generator = np.random.default_rng(seed)
    burst = generator.uniform(-1, 1, RATE // 2) * 0.3
    burst[:: RATE // 16] = level
    samples = np.tile(np.concatenate([burst, np.zeros(RATE // 2)]), notes).astype(np.float32)
    with open(path, "wb") as stream:
        soundfile.write(stream, samples, RATE, format="WAV", subtype="FLOAT")
    return path


def environment(folder: Path) -> dict[str, str]:
    """The environment of a process that sees the plugin in ``folder``; its cache is there too."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MIRA_")}
    return kept | {
        "PYTHONPATH": str(folder),
        "MIRA_STORE": str(folder / "store.sqlite"),
        "OMP_NUM_THREADS": "1",
    }


def start(folder: Path, args: Iterable[str | Path | bytes], **options: object) -> subprocess.Popen[bytes]:
    """Start ``mira`` as a process of its own."""
    settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment(folder)} | options
    return subprocess.Popen([sys.executable, "-m", "mira", *args], **settings)  # type: ignore[call-overload]


def mira(
    folder: Path, *args: str | Path | bytes, stdin: bytes = b"", **options: object
) -> subprocess.CompletedProcess[str]:
    """Run ``mira`` to its end; fail on a traceback, or on talk that is not one line each."""
    process = start(folder, args, stdin=subprocess.PIPE, **options)
    out, err = process.communicate(stdin, timeout=300)
    talk = err.decode("utf-8", "replace") if err else ""
    assert "Traceback" not in talk or "--debug" in args, talk
    return subprocess.CompletedProcess(
        args, process.returncode, (out or b"").decode("utf-8", "replace"), talk
    )
