"""Genre, voice and instruments, with probabilities: ``mira tag``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from mira.hooks import hookimpl
from mira.results import Result, Tags
from mira.task import Activations, Task, setting
from mira.writers import Writer

_FOLDER = Path(__file__).parent


_PATHS = Annotated[list[str], typer.Argument(metavar="PATH", help="Files, folders, patterns or playlists.")]
_FORCE = Annotated[bool, typer.Option("--force", help="Write; without it only say what would be written.")]


@dataclass(frozen=True)
class TagSettings:
    """What a user can say about tags."""

    top: int = setting(0, "Only so many genres, instruments and families; 0 is all", minimum=0, maximum=100)
    threshold: float = setting(0.0, "Only what is at least so probable", minimum=0.0, maximum=1.0)
    timeline: bool = setting(False, "Also second by second, for --json, .json and --plot")
    with_own: tuple[str, ...] = setting((), "Also hear the tags of this file, made by --fit", flag="with")


@dataclass(frozen=True)
class TagActions:
    """What a user can have done with the tags of all recordings."""

    m3u: str | None = setting(None, 'Print a playlist of what a rule wants: "rock & voice > 0.7"')
    write_tags: bool = setting(False, "Show genre and comment for the files' metadata; --force writes them")
    fit: str | None = setting(None, "Learn tags of your own from this .csv file (path,label)")

    def asked(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.m3u or self.write_tags or self.fit)

    def recordings(self, paths: Sequence[str]) -> Sequence[str]:
        """Those of the user, or of the labels."""
        from mira_plugins.tagging.together import recordings

        return recordings(self, paths)

    def finish(self, heard: Sequence[tuple[str, Result]], force: bool, dry_run: bool) -> Iterator[str]:
        """Do it."""
        from mira_plugins.tagging.together import finish

        return finish(self, heard, force, dry_run)


def _decode(activations: Activations, settings: TagSettings) -> Tags:
    """Tags from the network's activations."""
    from mira_plugins.tagging.decode import decode_tags

    return decode_tags(activations, settings)


@hookimpl
def mira_tasks() -> Iterable[Task]:
    return [
        Task(
            name="tagging",
            command="tag",
            summary="Tell genre, voice and instruments of recordings.",
            settings=TagSettings,
            result=Tags,
            decode=_decode,
            suffix=".csv",
            model=_FOLDER / "model.onnx",
            together=TagActions,
        )
    ]


@hookimpl
def mira_writers() -> Iterable[Writer]:
    from mira_plugins.tagging.writers import WRITERS

    return WRITERS


@hookimpl
def mira_recipes() -> Path:
    return _FOLDER / "recipes"


@hookimpl
def mira_commands(app: typer.Typer) -> None:
    """Add ``mira restore-tags``."""
    app.command("restore-tags", help="Put back the metadata that mira tag --write-tags replaced.")(_restore)


def _restore(paths: _PATHS, force: _FORCE = False) -> None:
    from mira_plugins.tagging.restoring import restore

    raise typer.Exit(restore(paths, force=force))
