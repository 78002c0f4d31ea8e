"""Our constant-Q transform against librosa's: speed on one thread in one process, and agreement.

    python benchmarks/cqt.py [--seconds 60] [--peer FOLDER]

Needs the extra ``[train]`` to export the graph. librosa goes into a virtual environment of its own
(``--peer``, made if it is missing), and that environment times both, in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

SAMPLE_RATE, HOP, FMIN_HZ, OCTAVES = 22050, 512, 32.7, 6
RESOLUTIONS = (12, 60)
REPEATS = 3

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


def main() -> None:
    """Export, time in the peer's environment, print one line a resolution."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--peer", type=Path, default=Path(tempfile.gettempdir()) / "mira-bench-librosa")
    parser.add_argument("--compare", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.compare:
        compare(arguments.compare, arguments.seconds)
        return
    python = peer_python(arguments.peer)
    with tempfile.TemporaryDirectory() as folder:
        for bins in RESOLUTIONS:
            export(Path(folder) / f"cqt{bins}.onnx", bins)
        command = [python, __file__, "--compare", folder, "--seconds", str(arguments.seconds)]
        subprocess.run(command, check=True, env={**os.environ, **ONE_THREAD})


def peer_python(folder: Path) -> str:
    """Python of an environment with librosa and onnxruntime."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "librosa", "onnxruntime"], check=True)
    return str(python)


def export(path: Path, bins_per_octave: int) -> None:
    """Write our transform as a graph."""
    import torch
    from mira_train.frontends import CQT

    module = CQT(SAMPLE_RATE, HOP, FMIN_HZ, bins_per_octave, OCTAVES).eval()
    axes = {"audio": {1: "sample"}}
    torch.onnx.export(
        module, (torch.zeros(1, 3 * SAMPLE_RATE),), str(path), dynamo=False, opset_version=17,
        input_names=["audio"], output_names=["cqt"], dynamic_axes=axes,
    )  # fmt: skip


def compare(folder: Path, seconds: float) -> None:
    """Time both on the same audio, in turns, best of several."""
    import time

    import librosa
    import numpy as np
    import onnxruntime

    audio = music(int(seconds * SAMPLE_RATE))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    for bins in RESOLUTIONS:
        session = onnxruntime.InferenceSession(
            str(folder / f"cqt{bins}.onnx"), options, ["CPUExecutionProvider"]
        )
        shape = {"n_bins": bins * OCTAVES, "bins_per_octave": bins}

        def ours(session: onnxruntime.InferenceSession = session) -> np.ndarray:
            return session.run(None, {"audio": audio[None]})[0][0, 0]

        def theirs(shape: dict[str, int] = shape) -> np.ndarray:
            return np.abs(librosa.cqt(audio, sr=SAMPLE_RATE, hop_length=HOP, fmin=FMIN_HZ, **shape))

        a, b = ours(), theirs()
        took = {ours: [], theirs: []}
        for _ in range(REPEATS):
            for function, times in took.items():
                start = time.process_time()
                function()
                times.append(time.process_time() - start)
        mine, peer = (min(times) for times in took.values())
        print(json.dumps({
            "bins_per_octave": bins, "ours_s": round(mine, 3), "librosa_s": round(peer, 3),
            "ratio": round(peer / mine, 2),
            "relative_error": round(float(np.linalg.norm(a - b) / np.linalg.norm(b)), 4),
            "correlation": round(float(np.corrcoef(a.ravel(), b.ravel())[0, 1]), 5),
        }), flush=True)  # fmt: skip


def music(n: int) -> np.ndarray:  # noqa: F821
    """Random notes with harmonics over quiet noise."""
    import numpy as np

    rng = np.random.default_rng(0)
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    audio = 1e-3 * rng.standard_normal(n)
    for start in range(0, n - SAMPLE_RATE, SAMPLE_RATE // 4):
        hz = 440 * 2 ** ((rng.integers(36, 84) - 69) / 12)
        note = sum(0.6**h * np.sin(2 * np.pi * (h + 1) * hz * time) for h in range(6) if (h + 1) * hz < 9000)
        audio[start : start + SAMPLE_RATE] += 0.1 * note * np.exp(-3 * time)
    return audio.astype(np.float32)


if __name__ == "__main__":
    sys.exit(main())
