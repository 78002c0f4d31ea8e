"""The whole plugin contract on one screen.

A plugin is a module named by an entry point of the group ``mira``. It implements any of these hooks with
``@mira.hooks.hookimpl``. Importing it must be cheap: no onnxruntime, numpy, matplotlib or torch at the top.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import typer

    from mira.task import Task
    from mira.writers import Writer

GROUP = "mira"
hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


class Hooks:
    """Hooks that a plugin may implement."""

    @hookspec
    def mira_tasks(self) -> Iterable[Task]:  # type: ignore[empty-body]
        """The tasks that this plugin can do; each becomes a command."""

    @hookspec
    def mira_commands(self, app: typer.Typer) -> None:
        """Add further commands to the command line."""

    @hookspec
    def mira_writers(self) -> Iterable[Writer]:  # type: ignore[empty-body]
        """Output formats, each by its suffixes and the result types it can write."""

    @hookspec
    def mira_recipes(self) -> Path:  # type: ignore[empty-body]
        """The folder of training recipes; ``training.py`` beside it trains them."""
