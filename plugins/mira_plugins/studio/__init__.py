"""The window: see, hear and correct what mira heard. ``mira studio``; a plugin of commands only."""

from __future__ import annotations

from typing import Annotated

import typer
from mira.errors import UsageError
from mira.hooks import hookimpl

INSTALL = "pip install 'mira-audio[studio]'"

_PATHS = Annotated[
    list[str] | None, typer.Argument(metavar="PATH", help="Files, folders, patterns or playlists to open.")
]
_PORT = Annotated[
    int, typer.Option("--port", help="Port to listen at; a free one if 0.", min=0, max=65535, metavar="N")
]
_NO_OPEN = Annotated[bool, typer.Option("--no-open", help="Only print the link; open no browser.")]
_WINDOW = Annotated[bool, typer.Option("--window", help="Open a window of its own; needs pywebview.")]
_THREADS = Annotated[
    int | None,
    typer.Option("--threads", help="Threads of the models; all cores if left out.", min=1, metavar="N"),
]


@hookimpl
def mira_commands(app: typer.Typer) -> None:
    """Add ``mira studio``."""
    app.command("studio", help="See, hear and correct what mira hears, in the browser.")(_studio)


def _studio(
    paths: _PATHS = None,
    port: _PORT = 0,
    no_open: _NO_OPEN = False,
    window: _WINDOW = False,
    threads: _THREADS = None,
) -> None:
    try:
        from mira_plugins.studio.server import serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn", "anyio"):
            raise
        raise UsageError(f"mira studio needs {error.name}: {INSTALL}") from None
    serve(paths or [], port=port, open_browser=not (no_open or window), window=window, threads=threads)
