"""The list of commands is built without their flags, and says the same."""

from __future__ import annotations

import pytest
from mira.cli.app import build, overview


def test_overview_lists_what_the_whole_command_line_has(capsys: pytest.CaptureFixture[str]) -> None:
    pages = []
    for app in (overview(), build()):
        app(["--help"], prog_name="mira", standalone_mode=False)
        pages.append(capsys.readouterr().out)
    assert pages[0] == pages[1] and "transcribe" in pages[0]
