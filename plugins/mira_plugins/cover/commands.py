"""``mira cover-index``: the commands, and nothing that is heavy."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from mira.cli.console import Stdout, printable, progress, say
from mira.errors import Exit, UsageError

if TYPE_CHECKING:
    from mira import batch

    from mira_plugins.cover.asking import Answer
    from mira_plugins.cover.building import Tally
    from mira_plugins.cover.index import Index
    from mira_plugins.cover.search import Found

_Paths = Annotated[list[str], typer.Argument(metavar="PATH", help="Files, folders, patterns, playlists.")]
_Some = Annotated[
    list[str] | None, typer.Argument(metavar="PATH", help="Files, folders, patterns, playlists.")
]
_Where = Annotated[
    str | None,
    typer.Option("--index", help="Folder of the index; the user's own if left out.", metavar="DIR"),
]
_Jobs = Annotated[
    int, typer.Option("--jobs", "-j", help="Processes that work side by side.", metavar="N", min=1)
]
_Threads = Annotated[
    int | None,
    typer.Option("--threads", help="Threads of each process; all cores if left out.", metavar="N", min=1),
]
_Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary; errors only.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
_Store = Annotated[
    str,
    typer.Option(
        "--store", help="Of a new index: faiss, qdrant, or the address of a Qdrant server.", metavar="NAME"
    ),
]
_Top = Annotated[int, typer.Option("--top", help="Matches of each query.", metavar="K", min=1)]
_Threshold = Annotated[
    float, typer.Option("--threshold", help="Leave out matches less probable than this.", min=0, max=1)
]
_All = Annotated[bool, typer.Option("--all", help="Ask for every track of the index.")]
_Missing = Annotated[bool, typer.Option("--missing", help="Remove all tracks whose files are gone.")]
_Tracks = Annotated[bool, typer.Option("--tracks", help="List the tracks.")]
_Others = Annotated[list[str], typer.Argument(metavar="DIR", help="Indexes whose tracks are to be copied.")]
_Target = Annotated[str, typer.Option("--output", "-o", help="The .npz file to write.", metavar="FILE")]
_Force = Annotated[bool, typer.Option("--force", help="Overwrite a file that exists.")]
_Sure = Annotated[
    float, typer.Option("--threshold", help="Versions are at least this probable.", min=0, max=1)
]
_Plot = Annotated[
    str | None, typer.Option("--plot", help="Draw the groups into this picture.", metavar="FILE")
]


def make_app() -> typer.Typer:
    """The group of commands."""
    app = typer.Typer(
        help="Find the versions of a song in a collection.", no_args_is_help=True, rich_markup_mode=None
    )
    for command in (build, add, update, remove, query, groups, info, verify, merge, export):
        app.command(command.__name__)(command)
    return app


def build(
    paths: _Paths,
    index: _Where = None,
    jobs: _Jobs = 1,
    threads: _Threads = None,
    store: _Store = "faiss",
    quiet: _Quiet = False,
) -> None:
    """Make an index of recordings, or go on with one; what is done is kept."""
    if store not in ("faiss", "qdrant") and not store.startswith(("http://", "https://")):
        raise UsageError(f"--store is '{store}', but must be faiss, qdrant or the address of a server")
    _take_in(paths, index, jobs, threads, quiet, create=store)


def add(
    paths: _Paths, index: _Where = None, jobs: _Jobs = 1, threads: _Threads = None, quiet: _Quiet = False
) -> None:
    """Add recordings to an index."""
    _take_in(paths, index, jobs, threads, quiet)


def update(
    paths: _Some = None,
    index: _Where = None,
    jobs: _Jobs = 1,
    threads: _Threads = None,
    quiet: _Quiet = False,
) -> None:
    """Look for new, changed and moved recordings where the index was built from."""
    _take_in(paths or [], index, jobs, threads, quiet, again=True)


def remove(
    paths: _Some = None, index: _Where = None, missing: _Missing = False, quiet: _Quiet = False
) -> None:
    """Take recordings out of an index; their files stay."""
    from mira_plugins.cover import building

    if not paths and not missing:
        raise UsageError("name what to remove, or say --missing")
    with _writing(index) as opened:
        named = [*(paths or []), *(building.missing(opened) if missing else [])]
        gone = building.remove(opened, named)
    if not quiet:
        say(f"removed {_many(gone, 'track')}")


def query(
    paths: _Some = None,
    index: _Where = None,
    all_: _All = False,
    top: _Top = 10,
    threshold: _Threshold = 0.0,
    threads: _Threads = None,
    json: _Json = False,
    quiet: _Quiet = False,
) -> None:
    """Find the versions of recordings; those that the index has are not analysed again."""
    if bool(paths) == all_:
        raise UsageError("name recordings to ask for, or say --all")
    from mira_plugins.cover import asking

    stdout, failures = Stdout(), []
    with _open(index) as opened:
        asked = asking.tracks(opened) if all_ else asking.recordings(opened, paths or [], threads)
        total = opened.catalogue.count() if all_ else len(paths or [])
        with progress(total, quiet or not all_) as advance:
            for answer in asking.answers(opened, asked, top=top, threshold=threshold):
                if answer.error:
                    failures.append(answer.error)
                elif stdout.open:
                    stdout.write((_record(answer) if json else _table(answer)).encode())
                advance(answer.path)
    _finish(failures)


def groups(
    index: _Where = None,
    threshold: _Sure = 0.9,
    json: _Json = False,
    plot: _Plot = None,
    force: _Force = False,
) -> None:
    """List the tracks that are versions of one another."""
    from mira_plugins.cover import cliques

    with _open(index) as opened:
        found = cliques.groups(opened, threshold)
        if plot:
            cliques.draw(found, plot, force=force)
    for number, group in enumerate(found, 1):
        if json:
            members = [{"path": t.path, "probability": round(t.probability, 4)} for t in group]
            _print_json({"group": number, "tracks": members})
        else:
            _print("".join(f"{number:<6}{t.probability:.2f}  {printable(t.path)}\n" for t in group))
    if not found:
        say(f"no two tracks are versions of one work with a probability of {threshold:g}")


def info(index: _Where = None, tracks: _Tracks = False, json: _Json = False) -> None:
    """Say what an index holds and how it searches."""
    from mira_plugins.cover.index import guarded

    with _open(index) as opened, guarded(opened.folder):
        about: dict[str, Any] = {
            "index": str(opened.folder),
            "tracks": opened.catalogue.count(),
            "hours": round(opened.catalogue.seconds() / 3600, 2),
            "model": opened.manifest.model,
            "search": opened.store.describe(),
            "built from": opened.catalogue.roots(),
            "megabytes": round(
                sum(f.stat().st_size for f in opened.folder.rglob("*") if f.is_file()) / 1e6, 1
            ),
        }
        if tracks:
            about["paths"] = list(opened.catalogue.paths())
    if json:
        _print_json(about)
        return
    paths = about.pop("paths", [])
    about["built from"] = ", ".join(about["built from"])
    _print("".join(f"{name:<12}{printable(str(value))}\n" for name, value in about.items()))
    _print("".join(printable(path) + "\n" for path in paths))


def verify(index: _Where = None) -> None:
    """Check every byte of an index that matters."""
    from mira_plugins.cover.index import guarded

    with _open(index) as opened, guarded(opened.folder):
        found = opened.damaged()
        count = opened.catalogue.count()
    _finish(found)
    say(f"{_many(count, 'track')}, all sound")


def merge(others: _Others, index: _Where = None, quiet: _Quiet = False) -> None:
    """Copy the tracks of other indexes into one; made when missing."""
    from mira_plugins.cover import building
    from mira_plugins.cover.index import Index

    with _writing(index, create="faiss") as opened:
        for folder in others:
            with Index(Path(folder)) as other:
                count = building.merge(opened, other)
            if not quiet:
                say(f"{folder}: {_many(count, 'track')} copied")


def export(output: _Target, index: _Where = None, force: _Force = False) -> None:
    """Write vectors, paths, contents and lengths of all tracks into one .npz file."""
    from mira.writers.disk import check_target

    from mira_plugins.cover import cliques

    if not output.endswith(".npz"):
        raise UsageError(f"{output}: must end in .npz")
    check_target(output, force)
    with _open(index) as opened:
        count = cliques.export(opened, output)
    say(f"wrote {output}: {_many(count, 'track')}")


def _take_in(
    paths: Sequence[str],
    where: str | None,
    jobs: int,
    threads: int | None,
    quiet: bool,
    *,
    create: str = "",
    again: bool = False,
) -> None:
    """Do what build, add and update have in common."""
    from mira.batch import Processes

    from mira_plugins.cover import building

    with _writing(where, create=create) as opened:
        paths = list(paths) or opened.catalogue.roots()
        lost = building.missing(opened) if again else []
        workers: batch.Workers | None = Processes(jobs) if jobs > 1 else None
        share = threads or (max(1, (os.cpu_count() or 1) // jobs) if jobs > 1 else None)
        done = (lambda path: None) if quiet else (lambda path: say(f"done {path}"))
        tally = building.take_in(opened, paths, workers=workers, threads=share, done=done, warn=say)
        lost = [path for path in lost if path in opened.catalogue.paths()]
        if not quiet:
            _summary(opened, tally)
    if lost:
        tally.failures.append(
            f"{_many(len(lost), 'file')} gone, such as {lost[0]}; mira cover-index remove --missing takes "
            "such tracks out"
        )
    _finish(tally.failures)


def _summary(index: Index, tally: Tally) -> None:
    say(
        f"{index.folder}: {tally.added} analysed, {tally.moved} moved or copied, {tally.kept} there already, "
        f"{len(tally.failures)} failed; {_many(index.catalogue.count(), 'track')}, {index.store.describe()}"
    )


def _finish(failures: Iterable[str]) -> None:
    """List what failed; the exit code says that something did."""
    lines = list(failures)
    for line in lines:
        say(line)
    if lines:
        raise typer.Exit(Exit.FAILED)


@contextmanager
def _writing(where: str | None, *, create: str = "") -> Iterator[Index]:
    """The index, with the right to write to it; sealed if all goes well."""
    from mira_plugins.cover.index import Index, default_folder, read_manifest, writing

    folder = Path(where) if where else default_folder()
    if not create:
        read_manifest(folder)
    with writing(folder), Index(folder, create=create) as opened:
        opened.unseal()
        yield opened
        opened.seal()


def _open(where: str | None) -> Index:
    from mira_plugins.cover.index import Index, default_folder

    return Index(Path(where) if where else default_folder())


def _record(answer: Answer) -> str:
    from mira.writers.json import dumps

    return dumps({"query": answer.path, "matches": [m.to_dict() for m in answer.matches]}) + "\n"


def _table(answer: Answer) -> str:
    lines = [printable(answer.path)]
    lines += [_line(match) for match in answer.matches] or ["  no match"]
    return "\n".join(lines) + "\n"


def _line(match: Found) -> str:
    text = f"  {match.probability:4.0%}  {printable(match.path)}"
    if match.transposition:
        text += f"  {match.transposition:+d} semitone{'s' if abs(match.transposition) > 1 else ''}"
    for span in match.spans[:1]:
        here, there = ("-".join(_clock(s) for s in pair) for pair in (span.query_s, span.match_s))
        pace = f", {abs(span.faster):.0f} % {'faster' if span.faster > 0 else 'slower'}"
        text += f"  {here} here is {there} there{pace if abs(span.faster) >= 1 else ''}"
    return text


def _many(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _print_json(value: dict[str, Any]) -> None:
    from mira.writers.json import dumps

    _print(dumps(value) + "\n")


def _print(text: str) -> None:
    Stdout().write(text.encode())
