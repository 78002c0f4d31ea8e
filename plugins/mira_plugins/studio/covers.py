"""Covers and similar recordings, found by ``mira cover-index query`` where that plugin is installed."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mira.errors import MiraError
from mira.plugins import load_plugins

if TYPE_CHECKING:
    from mira_plugins.studio.library import Track


class Covers:
    """Asks the command, in a process of its own: an index with its vectors is large and seldom wanted."""

    @cached_property
    def available(self) -> bool:
        """Whether there is such a command."""
        return any("cover-index" in info.commands for info in load_plugins().infos if not info.error)

    def query(self, track: Track) -> list[dict[str, Any]]:
        """Matches of a recording, best first: path, score, probability, transposition, and spans.

        A span is start and end in this recording, then start and end in the other, in seconds.

        Raises
        ------
        MiraError
            If the command fails; the text is what it says.
        """
        command = [sys.executable, "-m", "mira", "cover-index", "query", track.path, "--json"]
        done = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
            raise MiraError(said[-1].removeprefix("mira: "))
        try:
            return [_plain(match) for match in json.loads(done.stdout.splitlines()[0])["matches"]]
        except (ValueError, KeyError, IndexError, TypeError):
            raise MiraError("mira cover-index query --json gave no matches that can be read") from None


def _plain(match: dict[str, Any]) -> dict[str, Any]:
    spans = [[float(s) for s in (*span["query"], *span["match"])] for span in match["spans"]]
    return {key: match[key] for key in ("path", "score", "probability", "transposition")} | {"spans": spans}
