"""Flags: those of all task commands, and how a dataclass of settings becomes flags.

Both are declared as dataclasses. :func:`parameters` turns their fields into what Typer reads; one class,
:class:`QuickCommand`, takes their values from the command line.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import typer
import typer.core


def _option(default: Any, help: str, metavar: str = "", *, short: str = "") -> Any:
    return dataclasses.field(default=default, metadata={"help": help, "metavar": metavar, "short": short})


@dataclass(frozen=True)
class Options:
    """Flags of every task command."""

    output: tuple[str, ...] = _option(
        (), "Write this file (- is stdout); its suffix picks the format. May be repeated.", "FILE", short="o"
    )
    out_dir: str | None = _option(None, "Write a file for each recording here; folders are mirrored.", "DIR")
    format: tuple[str, ...] = _option(
        (), "Format to write, such as csv or json. May be repeated with --out-dir.", "NAME"
    )
    plot: str | None = _option(None, "Draw the result into this picture.", "FILE")
    force: bool = _option(False, "Overwrite files that exist.")
    resume: bool = _option(False, "Skip recordings whose results are there and still hold.")
    dry_run: bool = _option(False, "Only say what would be written.")
    jobs: int = _option(1, "Processes that work side by side.", "N", short="j")
    threads: int | None = _option(None, "Threads of each process; all cores if left out.", "N")
    provider: str | None = _option(None, "onnxruntime provider, such as cuda; cpu if left out.", "NAME")
    cluster: str | None = _option(None, "Work on the dask cluster whose scheduler is here.", "ADDRESS")
    json: bool = _option(False, "Print a JSON object on stdout for each recording, also for failed ones.")
    quiet: bool = _option(False, "No progress, no summary; errors only.", short="q")
    raw_rate: int | None = _option(None, "Read stdin as raw 16-bit mono samples at this rate.", "HZ")


def parameters(declared: type, *, switches: bool = False) -> list[inspect.Parameter]:
    """Make a Typer option of each field of a settings dataclass.

    Parameters
    ----------
    declared
        A dataclass; its fields have ``help`` and ``short`` (and perhaps ``metavar``, ``choices``) in
        their metadata.
    switches
        Whether true-or-false fields get a ``--no-`` form too.
    """
    types = get_type_hints(declared)
    return [_parameter(spec, types[spec.name], switches) for spec in dataclasses.fields(declared)]


def file_parameters(formats: Mapping[str, str]) -> list[inspect.Parameter]:
    """Make an option of each format that a task writes by a flag of its own; the values are their help."""
    return [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[str | None, typer.Option(f"--{name}", help=help, metavar="FILE")],
        )
        for name, help in formats.items()
    ]


def _parameter(spec: dataclasses.Field[Any], annotation: Any, switches: bool) -> inspect.Parameter:
    kind, many = _plain(annotation)
    flag = "--" + (spec.metadata.get("flag") or spec.name.replace("_", "-"))
    names = [f"{flag}/--no-{flag[2:]}" if kind is bool and switches else flag]
    if spec.metadata["short"]:
        names.append("-" + spec.metadata["short"].lstrip("-"))
    choices = spec.metadata.get("choices") or ()
    option = typer.Option(
        *names,
        help=spec.metadata["help"],
        metavar="|".join(choices) or spec.metadata.get("metavar") or None,
        show_default=_shown(spec) if switches else False,
    )
    default: Any = spec.default
    default = list(default) if many else default
    value = list[str] if many else kind if spec.default is not None else kind | None
    return inspect.Parameter(
        spec.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[value, option]
    )


def _shown(spec: dataclasses.Field[Any]) -> str | bool:
    return "as tuned" if spec.default is None else True


def _plain(annotation: Any) -> tuple[type, bool]:
    """Reduce ``float | None`` to (float, False) and ``tuple[str, ...]`` or ``list[str]`` to (str, True)."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, UnionType):
        annotation = next(a for a in get_args(annotation) if a is not NoneType)
    if get_origin(annotation) in (tuple, list):
        return get_args(annotation)[0], True
    return annotation, False


class QuickCommand(typer.core.TyperCommand):
    """A Typer command that turns texts into numbers itself.

    Typer does that through pydantic, whose import takes longer than analysing a second of audio. Whatever is
    not plainly right is left to Typer, for its messages.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Fill ``ctx.params`` from the command line."""
        values, rest, _ = self.make_parser(ctx).parse_args(args=list(args))
        wanted = {p.name: p for p in self.params if p.name != "help"}
        taken = {name: value for name, value in values.items() if value not in (None, ()) and name in wanted}
        missing = [p for name, p in wanted.items() if p.required and name not in taken]
        if values.get("help") or rest or missing:
            return super().parse_args(ctx, args)
        try:
            given = {name: _value(self._kinds[name], value) for name, value in taken.items()}
        except ValueError:
            return super().parse_args(ctx, args)
        ctx.params.update({name: p.get_default(ctx) for name, p in wanted.items()} | given)
        return ctx.args

    @property
    def _kinds(self) -> Mapping[str, tuple[type, bool]]:
        signature = inspect.signature(inspect.unwrap(self.callback))  # type: ignore[arg-type]
        return {name: _plain(p.annotation) for name, p in signature.parameters.items()}


def _value(kind: tuple[type, bool], text: Any) -> Any:
    convert, many = kind
    if many:
        return [convert(item) for item in text]
    return text if convert is bool else convert(text)
