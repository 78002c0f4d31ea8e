"""The commands of docs/training.md, run from top to bottom on small sets of the same form."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from minisets import make_miniset
from mira.__main__ import main
from mira.card import read_card
from mira_train.demo import SOUNDFONTS
from test_synth import midi

PAGE = Path(__file__).parent.parent.parent / "docs" / "training.md"
FONTS = [p for folder in SOUNDFONTS for p in sorted(Path(folder).glob("*.sf2"))]
SMALLER = ("training.epochs=1", "data.patch=24", "data.hop=24", "network.input=[1, 72, 24]",
           "network.output=[25, 24]")  # fmt: skip


def commands() -> list[str]:
    """All lines of the page's blocks of commands."""
    text = PAGE.read_text(encoding="utf-8")
    return [line for block in re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
            for line in block.splitlines()]  # fmt: skip


def shortened(line: str) -> list[str]:
    """Arguments of a command, with less to do."""
    words = shlex.split(line)[1:]
    if words[0] == "train":
        return [*words, *(word for value in SMALLER for word in ("--set", value))]
    if words[:2] == ["data", "synth"]:
        return [*words[: words.index("--hours")], "--hours", "0.006"]
    return words


@pytest.mark.slow
def test_the_way_of_the_page_leads_to_a_scored_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert FONTS, "this test needs a SoundFont: apt install fluid-soundfont-gm"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIRA_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("mira_train.fit.usable_cores", lambda: 1)  # no processes that load
    make_miniset("rwc-pop_chord", tmp_path / "data")
    Path("scores").mkdir()
    midi(Path("scores/scale.mid"), list(range(60, 80)) * 10)
    Path("FluidR3_GM.sf2").symlink_to(FONTS[0])
    lines = commands()
    assert {shlex.split(line)[1] for line in lines} == {"data", "train", "export", "evaluate"}
    for line in lines:
        if "--demo" not in line:  # tests/mira_train/test_demo.py runs those of all tasks
            assert main(shortened(line)) == 0, f"{line}: {capsys.readouterr().err}"
    assert {"root", "wcsr_majmin"} <= read_card(Path("runs/chords/model.onnx")).scores["rwc-pop_chord"].keys()
    assert Path("scores.csv").read_text().startswith("recording,family,root")
    assert Path("rendered/rendered.pyjama").exists() and Path("rendered/manifest.json").exists()
