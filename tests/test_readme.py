"""The README's two commands, as far as can be said without installing; ``.ci/run`` runs them as printed."""

from __future__ import annotations

import csv
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import mira
import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SAMPLE = Path(mira.__file__).parent / "sample"


def command(marker: str) -> str:
    """The one line in the block after a marker."""
    found = re.findall(rf"<!-- {marker} -->\n```sh\n(.*)\n```\n", README)
    assert len(found) == 1, f"README.md must have one block after <!-- {marker} -->"
    return found[0]


@pytest.mark.parametrize("marker", ["ci-main-job", "ci-tests"])
def test_the_commands_are_one_line_that_a_shell_accepts(marker: str) -> None:
    assert subprocess.run(["bash", "-n", "-c", command(marker)], check=False).returncode == 0


def test_the_main_job_names_the_bundled_piece_and_writes_midi() -> None:
    job = shlex.split(command("ci-main-job").rpartition("&&")[2])
    assert job == ["mira", "transcribe", "analyzer/mira/sample/canon.ogg", "-o", "canon.mid"]
    assert (ROOT / job[2]).is_file()


def test_the_tests_command_asks_for_extras_that_exist_and_ends_with_pytest() -> None:
    printed = command("ci-tests")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = re.search(r"'\.\[([\w,]+)\]'", printed)
    assert asked and set(asked[1].split(",")) == set(project["optional-dependencies"])
    assert printed.endswith("&& python -m pytest")


def test_ci_runs_the_commands_of_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert "readme_command ci-main-job" in script and "readme_command ci-tests" in script


def test_the_bundled_piece_comes_out_as_that_music() -> None:
    from mir_eval.transcription import precision_recall_f1_overlap

    with open(SAMPLE / "canon.csv", newline="") as file:
        rows = [[float(value) for value in list(row.values())[:3]] for row in csv.DictReader(file)]
    true = np.array(rows)
    heard = mira.analyze(SAMPLE / "canon.ogg", "mpe")
    assert isinstance(heard, mira.Notes)
    _, _, f, _ = precision_recall_f1_overlap(
        true[:, :2],
        _hz(true[:, 2]),
        np.stack([heard.start_s, heard.end_s], axis=1),
        _hz(heard.pitch),
        offset_ratio=None,
    )
    assert f > 0.6


def _hz(pitch: np.ndarray) -> np.ndarray:
    return 440.0 * 2 ** ((pitch - 69) / 12)
