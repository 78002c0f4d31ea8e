"""Claim: a query among a million vectors takes at most 10 ms (median), recall@10 is at least 0.95; and more.

Vectors are real ones, exported by ``mira cover-index export``, with noise around them; without ``--vectors``
random directions stand for the real ones. Also shown: time and memory of building, how fast a recording is
analysed (``--audio``), and how many of ``--kills`` killed builds lost what they had reported as done.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import MIRA, music, run, verdict, write_clip
from mira_plugins.cover.index import Index
from mira_plugins.cover.vectors import FaissStore
from numpy.typing import NDArray

NOISE = 0.6
"""Length of the noise against a real vector's."""
QUERIES = 200


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, default=1_000_000)
    parser.add_argument("--vectors", type=Path, help="file of mira cover-index export")
    parser.add_argument("--audio", type=Path, help="folder of recordings; the bundled piece if left out")
    parser.add_argument("--kills", type=int, default=200)
    told = parser.parse_args()
    claims = search(told.tracks, told.vectors)
    recordings = music(told.audio)
    claims |= analysis(recordings)
    if told.kills:
        claims |= kills(told.kills, recordings)
    return verdict(claims)


def search(tracks: int, vectors: Path | None) -> dict[str, bool]:
    """Build an index of synthetic vectors and ask it."""
    rng = np.random.default_rng(0)
    real = np.load(vectors)["vectors"] if vectors else rng.standard_normal((tracks // 10, 128))
    made = around(real.astype(np.float32), tracks, rng)
    queries = around(real.astype(np.float32), QUERIES, rng)
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        store = FaissStore(Path(folder), made.shape[1])
        store.add(np.arange(tracks), made)
        built_s = time.monotonic() - began
        truth = [np.argpartition(-(made @ query), 10)[:10] for query in queries]
        store = FaissStore(Path(folder), made.shape[1])
        times, right = [], 0
        for query, wanted in zip(queries, truth):
            began = time.perf_counter()
            _, ids = store.search(query[None], 10)
            times.append(time.perf_counter() - began)
            right += len(set(ids[0].tolist()) & set(wanted.tolist()))
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{tracks} vectors: {store.describe()}; built in {built_s:.0f} s, peak {peak_mib:.0f} MiB")
    median_ms, recall = 1000 * float(np.median(times)), right / (10 * QUERIES)
    return {
        f"median query {median_ms:.1f} ms, at most 10": median_ms <= 10,
        f"recall@10 {recall:.3f}, at least 0.95": recall >= 0.95,
    }


def around(real: NDArray[np.float32], count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Vectors of length 1 near real ones drawn at random, made in blocks to spare memory."""
    out = np.empty((count, real.shape[1]), np.float32)
    unit = real / np.linalg.norm(real, axis=1, keepdims=True)
    for start in range(0, count, 1 << 16):
        part = unit[rng.integers(len(unit), size=min(1 << 16, count - start))]
        noise = rng.standard_normal(part.shape).astype(np.float32)
        part = part + NOISE * noise / np.linalg.norm(noise, axis=1, keepdims=True)
        out[start : start + len(part)] = part / np.linalg.norm(part, axis=1, keepdims=True)
    return out


def analysis(recordings: list[Path]) -> dict[str, bool]:
    """How many times faster than it plays a recording of ten minutes is analysed, on one thread."""
    with tempfile.TemporaryDirectory() as folder:
        clips = [write_clip(Path(folder) / f"{s}.wav", s, recordings, rate=44100) for s in (10, 610)]
        cost = [run([*MIRA, "cover", c, "-o", f"{c}.json", "--threads", "1"]).wall_s for c in clips]
    speed = 600 / (cost[1] - cost[0])
    return {f"analysed at {speed:.0f} times real time on one thread, at least 50": speed >= 50}


def kills(count: int, recordings: list[Path]) -> dict[str, bool]:
    """Kill builds at random moments; the index is made anew whenever it is complete."""
    rng, lost, done = np.random.default_rng(0), 0, 0
    with tempfile.TemporaryDirectory() as place:
        clips = Path(place) / "clips"
        clips.mkdir()
        for i in range(40):
            write_clip(clips / f"{i:02}.wav", 1 + i / 50, recordings, rate=44100)
        reported: set[str] = set()
        index = Path(place) / "index-0"
        for kill in range(count):
            told = killed_build(clips, index, float(rng.uniform(0.5, 4)))
            reported |= told
            if (index / "manifest.json").exists():
                with Index(index) as opened:
                    there = set(opened.catalogue.paths())
                    lost += bool(reported - there) or bool(opened.catalogue.damaged())
                    done = len(there)
            if done == 40:
                index, reported, done = Path(place) / f"index-{kill + 1}", set(), 0
    return {f"{lost} of {count} killed builds lost something, none may": not lost}


def killed_build(clips: Path, index: Path, after_s: float) -> set[str]:
    """Start a build, kill it, and return what it had reported as done."""
    command = [*MIRA, "cover-index", "build", str(clips), "--index", str(index), "--threads", "1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        _, said = process.communicate(timeout=after_s)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        _, said = process.communicate()
    head = "mira: done "
    return {line.removeprefix(head) for line in said.splitlines() if line.startswith(head)}


if __name__ == "__main__":
    raise SystemExit(main())
