"""Claim: ``mira --help`` takes at most twice as long as ``python -c "import typer, pluggy"``."""

from __future__ import annotations

import argparse
import sys

from measure import MIRA, alternating, verdict


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=20)
    repeats = parser.parse_args().repeats
    imports = (sys.executable, "-c", "import typer, pluggy")
    alternating(1, [*MIRA, "--help"], imports)  # so that byte code is there
    ours, theirs = alternating(repeats, [*MIRA, "--help"], imports)
    for name, cost in (("mira --help", ours), ("import typer, pluggy", theirs)):
        print(f"{name:22} {1000 * cost.wall_s:6.0f} ms wall {1000 * cost.cpu_s:6.0f} ms cpu")
    ratio = ours.cpu_s / theirs.cpu_s
    return verdict({f"mira --help costs {ratio:.2f} times the imports, at most 2": ratio <= 2})


if __name__ == "__main__":
    sys.exit(main())
