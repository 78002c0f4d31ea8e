"""The workshop's commands. Importing this module is cheap: what a command needs it imports when it runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from mira.cli.console import say
from mira.errors import DataError, OutputError, UsageError
from mira.hooks import hookimpl
from mira.writers.text import printable

if TYPE_CHECKING:
    from mira_train.data.registry import DataSet

INSTALL = "pip install 'mira-audio[train]'"

_JSON = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
_FORCE = Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")]
_FILE = Annotated[Path, typer.Argument(metavar="FILE", help="A .pyjama or .hdf5 file.")]


@hookimpl
def mira_commands(app: typer.Typer) -> None:
    """Add ``mira data``, ``train``, ``evaluate`` and ``export``."""
    from mira_train import train_commands

    data = typer.Typer(help="Data sets: list, get, check and convert them.", no_args_is_help=True)
    data.command("list", help="List the data sets that mira knows.")(_list)
    data.command("get", help="Download a data set.")(_get)
    data.command("info", help="Say what is in a .pyjama or .hdf5 file.")(_info)
    data.command("check", help="Say what is wrong with a .pyjama or .hdf5 file.")(_check)
    data.command("convert", help="Make a data set of a folder, or a folder of a data set.")(_convert)
    train_commands.register(app, data)
    app.add_typer(data, name="data")


class Workshop:
    """A ``with`` block in which a missing part of the extra ``[train]`` becomes one clear line."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("mira"):
            raise UsageError(
                f"this command needs the workshop ({error.name} is missing): {INSTALL}"
            ) from error


def _list(as_json: _JSON = False) -> None:
    with Workshop():
        from mira_train.data.registry import data_folder, known_sets
    sets = known_sets().values()
    if as_json:
        for dataset in sets:
            _print_json(_described(dataset))
        return
    width = max(len(dataset.name) for dataset in sets)
    for dataset in sets:
        sizes = " + ".join(file.printed_size or "?" for file in dataset.files)
        state = "here" if dataset.is_here else sizes
        print(f"{dataset.name:{width}}  {dataset.task:8} {state:13} {dataset.summary} ({dataset.terms})")
    say(f"data sets lie in {data_folder()}; another place by MIRA_DATA")


def _described(dataset: DataSet) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "task": dataset.task,
        "summary": dataset.summary,
        "terms": dataset.terms,
        "files": {file.name: file.printed_size for file in dataset.files},
        "folder": str(dataset.place),
        "here": dataset.is_here,
    }


def _get(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A data set, or a .toml file that describes one.")
    ],
    base_url: Annotated[
        str, typer.Option(metavar="URL", help="Folder on a server with the files; else MIRA_DATA_URL.")
    ] = "",
) -> None:
    with Workshop():
        from mira_train.data.registry import find_set, get
    dataset = find_set(name)
    place = get(dataset, base_url=base_url, say=say, on_progress=_progress())
    print(printable(place))


def _progress() -> Callable[[int, int | None], None]:
    """Show on a terminal how much of a file is there, once for each hundredth."""
    shown = -1

    def show(done: int, total: int | None) -> None:
        nonlocal shown
        hundredth = 100 * done // total if total else done >> 20
        if sys.stderr.isatty() and hundredth != shown:
            shown = hundredth
            end = "\n" if done == total else ""
            print(f"\r{done >> 20} MiB" + (f" of {total >> 20}" if total else ""), end=end, file=sys.stderr)

    return show


def _info(file: _FILE, as_json: _JSON = False) -> None:
    with Workshop():
        from mira_train.data.inspection import info
    found = info(file)
    if as_json:
        _print_json(found)
    else:
        _print_tree(found)


def _check(
    file: _FILE,
    hdf5: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The .hdf5 file with the keys of a .pyjama file.")
    ] = None,
    key: Annotated[str, typer.Option(metavar="NAME", help="The annotation that is the key.")] = "filepath",
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Stop after so many lines.")] = 100,
) -> None:
    with Workshop():
        from mira_train.data.inspection import check
    lines = check(file, hdf5, key, limit)
    for line in lines:
        print(line)
    if lines:
        more = "at least " if len(lines) == limit else ""
        raise DataError(f"{printable(file)}: {more}{len(lines)} problem{'s' if len(lines) > 1 else ''} found")
    say(f"{file}: nothing wrong found")


def _convert(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="A folder, or a .pyjama file.")],
    dest: Annotated[Path, typer.Argument(metavar="DEST", help="A .pyjama file, or a folder.")],
    audio: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The audio file; else SRC_audio.hdf5.")
    ] = None,
    format: Annotated[
        str, typer.Option(metavar="NAME", help="Annotations in a folder: csv, lab, mid or jams.")
    ] = "csv",
    sample_rate: Annotated[int, typer.Option(metavar="HZ", min=1, help="Rate of the .hdf5 file.")] = 22050,
    force: _FORCE = False,
) -> None:
    with Workshop():
        from mira_train.data.convert import KINDS, folder_to_set, set_to_folder
    if format not in KINDS:
        raise UsageError(f"--format is '{format}', but must be one of {', '.join(KINDS)}")
    if source.is_dir():
        counts = folder_to_set(source, dest, sample_rate=sample_rate, force=force, say=say)
    elif source.suffix == ".pyjama":
        if force:
            raise OutputError("--force is for files; mira does not overwrite folders, choose a new one")
        counts = set_to_folder(source, dest, audio=audio, kind=format)
    else:
        raise DataError(f"{printable(source)}: neither a folder nor a .pyjama file")
    parts = ", ".join(f"{count} {name}" for name, count in counts.annotations.items())
    say(f"{counts.recordings} recordings, {counts.seconds / 3600:.2f} hours: {parts}")


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False))


def _print_tree(values: dict[str, Any], depth: int = 0) -> None:
    for name, value in values.items():
        if isinstance(value, dict):
            print(f"{'  ' * depth}{printable(name)}:")
            _print_tree(value, depth + 1)
        else:
            print(f"{'  ' * depth}{printable(name)}: {printable(str(value))}")
