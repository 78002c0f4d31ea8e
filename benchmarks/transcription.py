"""Claim: mira's notes are nearer to the truth than those of basic-pitch 0.4.0, averaged over families.

FOLDER holds recordings and, for each, the true notes as ``STEM.csv`` (a header line, then onset and end in
seconds, and a MIDI pitch). A ``family`` for each ``stem`` may be named in ``index.csv``; else there is one.
Scores are those of mir_eval: notes by onset (50 ms, 50 cents), by onset and end (also 20 % of the length or
50 ms), and the accuracy of frames of 10 ms. They are averaged over a family's recordings, then over families.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import mir_eval
import numpy as np
import pretty_midi
from measure import BASIC_PITCH, HARMONICA, MIRA, environment, music, verdict
from mira_train.metrics import Interval, bootstrap
from numpy.typing import NDArray

MEASURES = ("onset F", "on+off F", "frame acc.")
FRAME_S = 0.01
HARMONICA_RUN = (
    "import torch; torch.backends.mkldnn.enabled = False;"  # its LSTM fails on torch 2.13 with oneDNN
    "from harmonica.cli import transcribe; transcribe()"
)

Notes = NDArray[np.float64]
"""Shape (note, 3): onset and end in seconds, MIDI pitch."""

Scores = dict[str, NDArray[np.float64]]
Transcribe = Callable[[list[Path], Path], None]


def main() -> int:
    """Transcribe, score and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument(
        "--harmonica", metavar="SIZE", nargs="*", default=[], help="score harmonica-amt, too: small, medium"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        recordings = [_decoded(path, Path(folder)) for path in music(options.folder)]
        programs: dict[str, Transcribe] = {"mira": _mira, "basic-pitch": _basic_pitch}
        programs |= {f"harmonica {size}": partial(_harmonica, size=size) for size in options.harmonica}
        scores = {}
        for name, transcribe in programs.items():
            out = Path(folder) / name
            out.mkdir()
            started = time.perf_counter()
            transcribe(recordings, out)
            print(f"{name}: {time.perf_counter() - started:.0f} s", flush=True)
            scores[name] = _scores(options.folder, out)
            _show(scores[name])
    ours, theirs = ([s.score for s in _average(scores[name]).values()] for name in ("mira", "basic-pitch"))
    return verdict({f"{m}: {a:.3f}, basic-pitch {b:.3f}": a >= b for m, a, b in zip(MEASURES, ours, theirs)})


def _show(scores: Scores) -> None:
    """Print a line for each family, and the average with its 95 % interval."""
    for family, values in scores.items():
        _line(family, (f"{v:.3f}" for v in np.mean(values, axis=0)))
    _line("average", (f"{s.score:.3f} ({s.low:.3f} to {s.high:.3f})" for s in _average(scores).values()))


def _line(name: str, figures: Iterable[str]) -> None:
    print(f"  {name:12}", *(f"{m} {f}" for m, f in zip(MEASURES, figures)), sep="  ", flush=True)


def _average(scores: Scores) -> dict[str, Interval]:
    """Mean over the families of each measure."""
    weights = np.concatenate([np.full(len(rows), 1 / len(rows)) for rows in scores.values()])
    rows = np.concatenate([*scores.values()])
    return {m: bootstrap(rows[:, i], weights) for i, m in enumerate(MEASURES)}


def _decoded(path: Path, folder: Path) -> Path:
    """Decode to WAV, which all programs read alike."""
    import soundfile
    from mira.audio import open_audio

    copy = folder / f"{path.stem}.wav"
    with open_audio(path, 44100) as audio:
        soundfile.write(copy, np.concatenate(list(audio)), 44100)
    return copy


def _mira(recordings: list[Path], out: Path) -> None:
    subprocess.run([*MIRA, "transcribe", *recordings, "--out-dir", out, "--quiet"], check=True)


def _basic_pitch(recordings: list[Path], out: Path) -> None:
    program = environment("basic-pitch", BASIC_PITCH) / "basic-pitch"
    command = [program, "--model-serialization", "onnx", out, *recordings]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    for path in out.glob("*_basic_pitch.mid"):
        path.rename(out / path.name.replace("_basic_pitch", ""))


def _harmonica(recordings: list[Path], out: Path, size: str) -> None:
    python = environment("harmonica", HARMONICA) / "python"
    for recording in recordings:
        target = out / f"{recording.stem}.mid"
        arguments = [recording, "-o", target, "--model", size]
        subprocess.run([python, "-c", HARMONICA_RUN, *arguments], check=True, stdout=subprocess.DEVNULL)


def _scores(truth: Path, heard: Path) -> Scores:
    """Family -> the scores of its recordings, shape (recording, measure)."""
    families: dict[str, list[list[float]]] = defaultdict(list)
    for stem, family in sorted(_families(truth).items(), key=lambda item: item[1]):
        with open(truth / f"{stem}.csv", newline="") as file:
            rows = [[float(value) for value in row[:3]] for row in list(csv.reader(file))[1:]]
        midi = pretty_midi.PrettyMIDI(str(heard / f"{stem}.mid"))
        found = [
            [n.start, n.end, n.pitch] for part in midi.instruments if not part.is_drum for n in part.notes
        ]
        families[family].append(_score(_notes(rows), _notes(found)))
    return {family: np.array(scores) for family, scores in families.items()}


def _families(folder: Path) -> dict[str, str]:
    if (folder / "index.csv").exists():
        with open(folder / "index.csv", newline="") as file:
            return {row["stem"]: row["family"] for row in csv.DictReader(file)}
    return {path.stem: "all" for path in sorted(folder.glob("*.csv"))}


def _notes(rows: list[list[float]]) -> Notes:
    notes = np.array(sorted(rows), float).reshape(-1, 3)
    return notes[notes[:, 1] > notes[:, 0]]


def _score(true: Notes, heard: Notes) -> list[float]:
    if not len(true) or not len(heard):
        return [0.0, 0.0, 0.0]
    pair = (true[:, :2], _hz(true[:, 2]), heard[:, :2], _hz(heard[:, 2]))
    compare = mir_eval.transcription.precision_recall_f1_overlap
    times = np.arange(0, max(true[:, 1].max(), heard[:, 1].max()), FRAME_S)
    frames = mir_eval.multipitch.metrics(times, _frames(true, times), times, _frames(heard, times))
    return [compare(*pair, offset_ratio=None)[2], compare(*pair)[2], frames[2]]


def _frames(notes: Notes, times: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    sounding = (notes[:, :1] <= times) & (times < notes[:, 1:2])
    return [_hz(np.unique(notes[now, 2])) for now in sounding.T]


def _hz(pitch: NDArray[np.float64]) -> NDArray[np.float64]:
    return 440.0 * 2 ** ((pitch - 69) / 12)


if __name__ == "__main__":
    sys.exit(main())
