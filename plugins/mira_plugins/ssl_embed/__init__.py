"""Vectors that are near where recordings sound alike: ``mira embed`` and ``mira similar``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from mira.hooks import hookimpl
from mira.results import Embedding, Result
from mira.task import Activations, Task, setting

if TYPE_CHECKING:
    from mira.writers import Writer

_FOLDER = Path(__file__).parent

_TRACK = Annotated[str, typer.Argument(metavar="TRACK", help="The recording to compare with.")]
_IN = Annotated[
    list[str],
    typer.Option("--in", metavar="PATH", help="Folders, files or playlists to search; may be repeated."),
]
_COUNT = Annotated[int, typer.Option("--count", "-n", help="So many of the nearest.", min=1, metavar="N")]
_JSON = Annotated[bool, typer.Option("--json", help="Print a JSON object a line.")]
_THREADS = Annotated[
    int | None, typer.Option("--threads", help="Threads; all cores if left out.", min=1, metavar="N")
]


@dataclass(frozen=True)
class EmbedSettings:
    """What a user can say about an embedding."""

    sequence: bool = setting(True, "Also a vector a second, not only one for the recording")


@dataclass(frozen=True)
class EmbedActions:
    """What a user can have done with the vectors of all recordings."""

    into: str | None = setting(None, "Write all vectors into this one file: .npz, .h5 or .parquet")

    def asked(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.into)

    def recordings(self, paths: Sequence[str]) -> Sequence[str]:
        """Those of the user, once the format is known to work."""
        from mira_plugins.ssl_embed.tables import check_format

        check_format(self.into or "")
        return paths

    def finish(self, heard: Sequence[tuple[str, Result]], force: bool, dry_run: bool) -> Iterator[str]:
        """Write the file."""
        from mira_plugins.ssl_embed.tables import write_table

        return write_table(self.into or "", heard, force=force, dry_run=dry_run)


def _decode(activations: Activations, settings: EmbedSettings) -> Embedding:
    """Vectors from the network's activations."""
    from mira_plugins.ssl_embed.decode import decode_embedding

    return decode_embedding(activations, settings)


@hookimpl
def mira_tasks() -> Iterable[Task]:
    return [
        Task(
            name="ssl_embed",
            command="embed",
            summary="Turn recordings into vectors that are near where they sound alike.",
            settings=EmbedSettings,
            result=Embedding,
            decode=_decode,
            suffix=".npz",
            model=_FOLDER / "model.onnx",
            together=EmbedActions,
        )
    ]


@hookimpl
def mira_writers() -> Iterable[Writer]:
    from mira_plugins.ssl_embed.tables import WRITERS

    return WRITERS


@hookimpl
def mira_commands(app: typer.Typer) -> None:
    """Add ``mira similar``."""
    app.command("similar", help="List the recordings that sound most like one.")(_similar)


def _similar(
    track: _TRACK, among: _IN, count: _COUNT = 10, json: _JSON = False, threads: _THREADS = None
) -> None:
    from mira_plugins.ssl_embed.similar import similar

    raise typer.Exit(similar(track, among, count=count, as_json=json, threads=threads))


@hookimpl
def mira_recipes() -> Path:
    return _FOLDER / "recipes"
