"""Claim: transcribing an hour of music takes at most 400 MB of memory, and three hours hardly more."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from measure import MIRA, music, run, verdict, write_clip

HOURS = (0.1, 1, 3)
CEILING_MIB = 400e6 / 2**20


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audio", type=Path, help="folder of recordings; the bundled piece if left out")
    recordings = music(parser.parse_args().audio)
    peaks: dict[float, float] = {}
    for hours in HOURS:
        with tempfile.TemporaryDirectory() as folder:
            clip = write_clip(Path(folder) / "clip.wav", 3600 * hours, recordings, rate=22050)
            cost = run([*MIRA, "transcribe", clip, "-o", Path(folder) / "clip.mid"])
        peaks[hours] = cost.peak_mib
        print(f"{hours:g} h: {cost.peak_mib:.0f} MiB, {cost.wall_s:.0f} s", flush=True)
    return verdict({f"1 h: {peaks[1]:.0f} MiB, at most {CEILING_MIB:.0f} (400 MB)": peaks[1] <= CEILING_MIB})


if __name__ == "__main__":
    sys.exit(main())
