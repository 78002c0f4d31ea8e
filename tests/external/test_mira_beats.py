"""A plugin from outside: its wheel is built, installed into an environment of its own, and used as it is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

SOURCE = Path(__file__).parent / "mira-beats"
RATE = 22050
CLICKS = np.arange(0.5, 12, 60 / 100)
"""100 beats a minute."""

pytestmark = pytest.mark.slow


def run(command: Sequence[str | Path], **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MIRA_", "PYTHONPATH"))}
    return subprocess.run(command, env=kept | environment, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has the plugin, and sees what is installed here."""
    folder = tmp_path_factory.mktemp("beats")
    shutil.copytree(SOURCE, folder / "source")
    pip = [sys.executable, "-m", "pip"]
    built = run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder, folder / "source"]
    )
    assert built.returncode == 0, built.stderr
    [wheel] = folder.glob("mira_beats-*.whl")
    made = run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"])
    assert made.returncode == 0, made.stderr
    python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    put = run([*pip, "--python", python, "install", "--no-deps", "--no-index", wheel])
    assert put.returncode == 0, put.stderr
    asked = run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"])
    here = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (Path(asked.stdout.strip()) / "outer.pth").write_text(
        "".join(f"import site; site.addsitedir({path!r})\n" for path in sorted(here))
    )
    return python


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clicks over soft noise."""
    rng = np.random.default_rng(0)
    audio = 0.003 * rng.standard_normal(13 * RATE)
    click = rng.standard_normal(RATE // 20) * np.exp(-np.arange(RATE // 20) / (RATE / 100))
    for time_s in CLICKS:
        start = round(time_s * RATE)
        audio[start : start + len(click)] += 0.3 * click
    path = tmp_path_factory.mktemp("song") / "click.wav"
    soundfile.write(path, audio, RATE)
    return path


def beats_of(text: str) -> np.ndarray:
    return np.array([float(line.split("\t")[0]) for line in text.splitlines()])


def test_it_cannot_be_used_before_it_is_installed(song: Path) -> None:
    done = run([sys.executable, "-m", "mira", "beats", song])
    assert done.returncode == 2


def test_check_plugin_finds_nothing_wrong(python: Path) -> None:
    done = run([python, "-c", "from mira.testing import check_plugin; print(check_plugin('beats'))"])
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_mira_lists_it_with_its_origin(python: Path) -> None:
    done = run([python, "-m", "mira", "plugins", "--json"])
    infos = {info["name"]: info for info in map(json.loads, done.stdout.splitlines())}
    assert infos["beats"]["origin"] == "mira-beats" and infos["beats"]["version"] == "0.3.0"
    assert infos["beats"]["tasks"] == infos["beats"]["commands"] == infos["beats"]["writers"] == ["beats"]
    assert infos["beats"]["error"] is None and infos["beats"]["warnings"] == []


def test_its_command_finds_the_beats_and_writes_its_own_format(
    python: Path, song: Path, tmp_path: Path
) -> None:
    out = tmp_path / "click.beats.txt"
    done = run([python, "-m", "mira", "beats", song, "-o", out])
    assert done.returncode == 0, done.stderr
    found = beats_of(out.read_text())
    assert len(found) == len(CLICKS)
    assert np.abs(found - CLICKS).max() < 0.03


def test_its_settings_are_flags(python: Path, song: Path, tmp_path: Path) -> None:
    out = tmp_path / "click.beats.txt"
    done = run([python, "-m", "mira", "beats", song, "-o", out, "--min-bpm", "40", "--max-bpm", "60"])
    assert done.returncode == 0, done.stderr
    assert np.median(np.diff(beats_of(out.read_text()))) == pytest.approx(1.2, abs=0.02)
    wrong = run([python, "-m", "mira", "beats", song, "--min-bpm", "1"])
    assert wrong.returncode == 2 and "min_bpm" in wrong.stderr.replace("-", "_")


def test_it_can_be_disabled(python: Path, song: Path) -> None:
    done = run([python, "-m", "mira", "beats", song], MIRA_DISABLE="beats")
    assert done.returncode == 2 and "disabled by MIRA_DISABLE" in done.stderr
