"""Claims: 60 s tagged at least 12 times faster than by musicnn 0.1.0; a folder at 100 times real time a core.

musicnn wants TensorFlow 1.15 and so Python 3.7: name one with ``--python37``, or a whole environment that has
musicnn with ``--musicnn``. Without either only the folder is measured.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import MIRA, Cost, alternating, music, run, verdict, write_clip

FASTER, REAL_TIME = 12.0, 100.0
FILES, FILE_S = 20, 60
MUSICNN = (
    ("pip<24", "setuptools<60", "wheel"),
    ("numpy<1.17", "protobuf<3.21", "tensorflow==1.15.5", "librosa<0.8", "numba==0.48", "llvmlite<0.32"),
    ("musicnn==0.1.0",),
)
"""What pip installs, step by step."""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audio", type=Path, help="folder of recordings; the bundled piece if left out")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--python37", type=Path, help="Python 3.7 to install musicnn for")
    parser.add_argument("--musicnn", type=Path, help="environment that has musicnn")
    options = parser.parse_args()
    recordings = music(options.audio)
    claims: dict[str, bool] = {}
    with tempfile.TemporaryDirectory() as place:
        peer = options.musicnn or (_install(options.python37) if options.python37 else None)
        clip = write_clip(Path(place) / "clip.wav", FILE_S, recordings)
        if peer is not None:
            ours, theirs = alternating(options.repeats, _mira([clip]), _musicnn(peer, clip))
            _show("60 s, mira", ours)
            _show("60 s, musicnn", theirs)
            ratio = theirs.wall_s / ours.wall_s
            claims[f"60 s: {ratio:.1f} times faster than musicnn, at least {FASTER:g}"] = ratio >= FASTER
        folder = Path(place) / "folder"
        folder.mkdir()
        for i in range(FILES):
            (folder / f"{i:02}.wav").symlink_to(clip)
        cost = run(_mira([folder]))
    speed = FILES * FILE_S / cost.cpu_s
    _show(f"{FILES} x {FILE_S} s, mira", cost)
    claims[f"folder: {speed:.0f} times real time a core, at least {REAL_TIME:g}"] = speed >= REAL_TIME
    return verdict(claims)


def _mira(paths: list[Path]) -> list[str]:
    return [*MIRA, "tag", *map(str, paths), "--json", "--threads", "1"]


def _musicnn(environment: Path, clip: Path) -> list[str]:
    program = "import sys; from musicnn.tagger import top_tags; top_tags(sys.argv[1], model='MSD_musicnn')"
    return [str(environment / "bin" / "python"), "-c", program, str(clip)]


def _show(name: str, cost: Cost) -> None:
    print(f"{name:20} {cost.wall_s:7.2f} s wall {cost.cpu_s:7.2f} s cpu {cost.peak_mib:6.0f} MiB", flush=True)


def _install(python: Path) -> Path:
    """An environment of its own for musicnn, made once."""
    root = Path.home() / ".cache" / "mira-benchmarks" / "musicnn"
    if not (root / "complete").exists():
        subprocess.run([python, "-m", "venv", "--clear", root], check=True)
        for packages in MUSICNN:
            subprocess.run([root / "bin" / "python", "-m", "pip", "-q", "install", *packages], check=True)
        (root / "complete").touch()
    return root


if __name__ == "__main__":
    sys.exit(main())
