"""Claims: a 1 s clip at least 4 times, a 60 s clip at least 5 times faster than basic-pitch 0.4.0 (onnx).

Time grows in proportion to the length up to an hour, with at most 400 MB of memory.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from measure import BASIC_PITCH, MIRA, Cost, alternating, environment, music, run, show, verdict, write_clip

LENGTHS = {1: 4.0, 60: 5.0, 600: 4.0}
"""Seconds of a clip -> how many times faster mira is to be."""
HOUR = 3600


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audio", type=Path, help="folder of recordings; the bundled piece if left out")
    parser.add_argument("--repeats", type=int, default=3, help="of the clips of 1 s and 60 s")
    options = parser.parse_args()
    recordings = music(options.audio)
    basic_pitch = environment("basic-pitch", BASIC_PITCH) / "basic-pitch"
    claims: dict[str, bool] = {}
    ours: dict[int, Cost] = {}
    with tempfile.TemporaryDirectory() as folder:
        for seconds, wanted in LENGTHS.items():
            clip = write_clip(Path(folder) / f"{seconds}.wav", seconds, recordings)
            repeats = options.repeats if seconds < 600 else 1
            ours[seconds], theirs = alternating(repeats, _mira(clip), _peer(basic_pitch, clip))
            show(f"{seconds} s, mira", ours[seconds])
            show(f"{seconds} s, basic-pitch", theirs)
            ratio = theirs.wall_s / ours[seconds].wall_s
            claims[f"{seconds} s: {ratio:.1f} times faster, at least {wanted:g}"] = ratio >= wanted
        hour = run(_mira(write_clip(Path(folder) / "hour.wav", HOUR, recordings)))
    show("1 h, mira", hour)
    slope = (hour.wall_s - ours[1].wall_s) / (ours[600].wall_s - ours[1].wall_s) / ((HOUR - 1) / 599)
    claims[f"1 h: {slope:.2f} times 6 times 10 min, at most 1.2"] = slope <= 1.2
    claims[f"1 h: {hour.peak_mib:.0f} MiB, at most 381 (400 MB)"] = hour.peak_mib <= 400e6 / 2**20
    return verdict(claims)


def _mira(clip: Path) -> list[str]:
    return [*MIRA, "transcribe", str(clip), "-o", str(clip.with_suffix(".mid")), "--force"]


def _peer(program: Path, clip: Path) -> list[str]:
    """basic-pitch refuses to overwrite, so each run gets a folder of its own."""
    fresh = 'folder=$(mktemp -d -p "$2") && "$0" --model-serialization onnx "$folder" "$1"'
    return ["bash", "-c", fresh, str(program), str(clip), str(clip.parent)]


if __name__ == "__main__":
    sys.exit(main())
