"""Claims: the chords of a 60 s clip at least 4 times faster than Chordino; an hour with at most 400 MB.

Chordino comes with chord-extractor 0.1.3, which needs Python 3.10.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from measure import CHORDINO, MIRA, alternating, environment, music, run, show, verdict, write_clip

WANTED = 4.0
EXTRACT = (
    "import sys; from chord_extractor.extractors import Chordino; print(Chordino().extract(sys.argv[1]))"
)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audio", type=Path, help="folder of recordings; the bundled piece if left out")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--python", default=shutil.which("python3.10"), help="a Python 3.10, for Chordino")
    options = parser.parse_args()
    if options.python is None:
        sys.exit("Chordino needs Python 3.10; name one: --python PATH")
    recordings = music(options.audio)
    chordino = environment("chordino", CHORDINO, python=options.python) / "python"
    with tempfile.TemporaryDirectory() as folder:
        clip = write_clip(Path(folder) / "60.wav", 60, recordings)
        ours, theirs = alternating(options.repeats, _mira(clip), [chordino, "-c", EXTRACT, str(clip)])
        show("60 s, mira", ours)
        show("60 s, Chordino", theirs)
        hour = run(_mira(write_clip(Path(folder) / "hour.wav", 3600, recordings)))
    show("1 h, mira", hour)
    ratio = theirs.wall_s / ours.wall_s
    return verdict(
        {
            f"60 s: {ratio:.1f} times faster, at least {WANTED:g}": ratio >= WANTED,
            f"1 h: {hour.peak_mib:.0f} MiB, at most 381 (400 MB)": hour.peak_mib <= 400e6 / 2**20,
        }
    )


def _mira(clip: Path) -> list[str]:
    return [*MIRA, "chords", str(clip), "-o", str(clip.with_suffix(".lab")), "--force"]


if __name__ == "__main__":
    sys.exit(main())
