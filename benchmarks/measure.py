"""What the benchmarks share: processes timed as a whole, peers in environments of their own, recordings."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import mira
import numpy as np
import soundfile

MIRA = (sys.executable, "-m", "mira")

BASIC_PITCH = (
    ("setuptools<81", "basic-pitch==0.4.0", "--no-deps"),
    (
        "numpy<2",
        "onnxruntime",
        "librosa<0.11",
        "mir_eval",
        "pretty_midi",
        "resampy<0.4.3",
        "scikit-learn",
        "scipy",
        "typing_extensions",
    ),
)
"""What pip installs, step by step: basic-pitch without TensorFlow, which its onnx model does not need."""

CHORDINO = (
    ("numpy<2", "setuptools<60", "wheel", "cython<3"),
    ("--no-build-isolation", "vamp", "chord-extractor==0.1.3"),
)

HARMONICA = (
    ("torch==2.13.0", "nnaudio", "omegaconf", "symusic", "loguru", "scipy", "soundfile", "typer"),
    # told without its dependencies, or else pip ignores what Python those require, too
    ("harmonica-amt==0.3.0", "--ignore-requires-python", "--no-deps"),
)


@dataclass(frozen=True)
class Cost:
    """What a process took, children that it waited for included.

    Parameters
    ----------
    wall_s, cpu_s
        Seconds by the clock, and of all cores.
    peak_mib
        Largest resident memory.
    """

    wall_s: float
    cpu_s: float
    peak_mib: float


def run(command: Sequence[str | Path]) -> Cost:
    """Run a command once, its output thrown away.

    Raises
    ------
    SystemExit
        If it fails.
    """
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"failed with {process.returncode}: {' '.join(map(str, command))}")
    return Cost(wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def median(costs: Iterable[Cost]) -> Cost:
    """Median of each figure."""
    columns = zip(*((c.wall_s, c.cpu_s, c.peak_mib) for c in costs))
    return Cost(*(statistics.median(column) for column in columns))


def alternating(repeats: int, *commands: Sequence[str | Path]) -> list[Cost]:
    """Run commands in turn, so that what else the machine does strikes all of them; the medians."""
    rounds = [[run(command) for command in commands] for _ in range(repeats)]
    return [median(costs) for costs in zip(*rounds)]


def environment(name: str, steps: Sequence[Sequence[str]], python: str = sys.executable) -> Path:
    """Make a virtual environment of a Python with a peer in it, once; return its folder of programs.

    It lies in ``MIRA_BENCH``, or in ``~/.cache/mira-benchmarks``.
    """
    root = Path(os.environ.get("MIRA_BENCH", Path.home() / ".cache" / "mira-benchmarks")) / name
    if not (root / "complete").exists():
        print(f"installing {name} into {root}", file=sys.stderr)
        subprocess.run([python, "-m", "venv", "--clear", root], check=True)
        for packages in steps:
            subprocess.run([root / "bin" / "python", "-m", "pip", "-q", "install", *packages], check=True)
        (root / "complete").touch()
    return root / "bin"


def music(folder: Path | None) -> list[Path]:
    """Recordings to measure with: those of a folder, or the bundled one."""
    if folder is None:
        return [Path(mira.__file__).parent / "sample" / "canon.ogg"]
    suffixes = {".flac", ".mp3", ".ogg", ".opus", ".wav"}
    found = sorted(path for path in folder.iterdir() if path.suffix in suffixes)
    return found or sys.exit(f"{folder}: no recordings in it")


def write_clip(path: Path, seconds: float, recordings: Sequence[Path], rate: int = 44100) -> Path:
    """Join recordings, over and over, to a mono WAV file of so many seconds."""
    from mira.audio import open_audio

    left = round(seconds * rate)
    with soundfile.SoundFile(path, "w", rate, 1, "PCM_16") as clip:
        while left:
            for recording in recordings:
                for block in open_audio(recording, rate):
                    clip.write(np.clip(block[:left], -1, 1))
                    left -= len(block[:left])
                if not left:
                    break
    return path


def show(name: str, cost: Cost) -> None:
    """Print a line of figures."""
    print(f"{name:20} {cost.wall_s:7.2f} s wall {cost.cpu_s:7.2f} s cpu {cost.peak_mib:6.0f} MiB", flush=True)


def verdict(claims: dict[str, bool]) -> int:
    """Print whether each claim holds; the exit code is 1 if one does not."""
    for claim, holds in claims.items():
        print(f"{'holds' if holds else 'FAILS'}: {claim}")
    return int(not all(claims.values()))
