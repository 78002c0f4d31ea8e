"""Our constant-Q transform against librosa's: speed on one thread in one process, and agreement.

    python benchmarks/cqt.py [--audio FOLDER] [--seconds 60]

Needs the extra ``[train]`` to export the graphs. librosa goes into an environment of its own, which runs both
transforms in turns, in one process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

SAMPLE_RATE, HOP, OCTAVES = 22050, 512, 6
TRANSFORMS = {"chords": (32.7, 12), "notes": (32.7, 60), "harmonic 5": (5 * 32.7, 60)}
"""Lowest frequency and bins an octave, as the book's rows use them."""
REPEATS = 15
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


def main() -> int:
    """Export, time in the peer's environment, print a line a transform; 1 if a claim does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audio", type=Path, help="folder of recordings")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--compare", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.compare:  # in the peer's environment, where mira is not
        return compare(arguments.compare)
    import measure

    python = measure.environment("librosa", (("librosa", "onnxruntime"),)) / "python"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measure.write_clip(
            folder / "clip.wav", arguments.seconds, measure.music(arguments.audio), SAMPLE_RATE
        )
        for transform, (fmin_hz, bins) in TRANSFORMS.items():
            export(folder / f"{transform}.onnx", fmin_hz, bins)
        command = [python, __file__, "--compare", folder]
        done = subprocess.run(command, check=True, env={**os.environ, **ONE_THREAD}, stdout=subprocess.PIPE)
    found = json.loads(done.stdout)
    for transform, figures in found.items():
        print(f"{transform:12}", ", ".join(f"{name} {value}" for name, value in figures.items()))
    return measure.verdict({
        "at least 4 times as fast as librosa": min(found[t]["ratio"] for t in ("chords", "notes")) >= 4,
        "differs from librosa by at most 3 %": max(f["relative_error"] for f in found.values()) <= 0.03,
    })  # fmt: skip


def export(path: Path, fmin_hz: float, bins_per_octave: int) -> None:
    """Write our transform as a graph."""
    import warnings

    import torch
    from mira_train.frontends import CQT

    module = CQT(SAMPLE_RATE, HOP, fmin_hz, bins_per_octave, OCTAVES).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (torch.zeros(1, 3 * SAMPLE_RATE),), str(path), dynamo=False, opset_version=17,
            input_names=["audio"], output_names=["cqt"], dynamic_axes={"audio": {1: "sample"}},
        )  # fmt: skip


def compare(folder: Path) -> int:
    """Time both on the same audio, in turns; print the medians and how far they are apart, as JSON."""
    import statistics
    import time

    import librosa
    import numpy as np
    import onnxruntime
    import soundfile

    audio, _ = soundfile.read(folder / "clip.wav", dtype="float32")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    found = {}
    for transform, (fmin_hz, bins) in TRANSFORMS.items():
        session = onnxruntime.InferenceSession(
            folder / f"{transform}.onnx", options, providers=["CPUExecutionProvider"]
        )
        shape = {"fmin": fmin_hz, "n_bins": bins * OCTAVES, "bins_per_octave": bins}

        def ours(session: onnxruntime.InferenceSession = session) -> np.ndarray:
            return session.run(None, {"audio": audio[None]})[0][0, 0]

        def theirs(shape: dict[str, float] = shape) -> np.ndarray:
            return np.abs(librosa.cqt(audio, sr=SAMPLE_RATE, hop_length=HOP, **shape))

        a, b = ours(), theirs()
        frames = min(a.shape[1], b.shape[1])
        a, b = a[:, :frames], b[:, :frames]
        took = {ours: [], theirs: []}
        for _ in range(REPEATS):
            for function, times in took.items():
                start = time.process_time()
                function()
                times.append(time.process_time() - start)
        mine, peer = (statistics.median(times) for times in took.values())
        found[transform] = {
            "ours_ms": round(1e3 * mine, 1),
            "librosa_ms": round(1e3 * peer, 1),
            "ratio": round(peer / mine, 1),
            "relative_error": round(float(np.linalg.norm(a - b) / np.linalg.norm(b)), 4),
            "correlation": round(float(np.corrcoef(a.ravel(), b.ravel())[0, 1]), 5),
        }
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
