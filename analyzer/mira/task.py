"""What a plugin declares: a task, its settings, and the activations that its decoder gets."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mira.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mira.results import Result


@dataclass(frozen=True)
class Activations:
    """What a model says about a recording, frame by frame.

    Parameters
    ----------
    arrays
        Name of the output -> array of shape (frame, ...), float32, or float16 for a long recording. Frame
        ``i`` is centred on ``i * hop_length / sample_rate`` seconds.
    sample_rate, hop_length
        The model's rate in Hz and its hop in samples.
    duration_s
        Length of the recording in seconds.
    defaults
        The model card's calibration and default settings; the latter fill settings left at ``None``.
    needed
        Activations of the tasks named in ``Task.needs``.
    """

    arrays: Mapping[str, NDArray[np.float32]]
    sample_rate: int
    hop_length: int
    duration_s: float
    defaults: Mapping[str, Any] = field(default_factory=dict)
    needed: Mapping[str, Activations] = field(default_factory=dict)

    @property
    def hop_s(self) -> float:
        """Seconds from one frame to the next."""
        return self.hop_length / self.sample_rate


class Together(Protocol):
    """Flags of a task about all recordings of a run: a dataclass whose fields :func:`setting` makes."""

    def asked(self) -> bool:
        """Whether any of its flags was given; if not, nothing else here is called."""
        ...

    def recordings(self, paths: Sequence[str]) -> Sequence[str]:
        """The recordings to listen to, given those that the user named."""
        ...

    def finish(self, heard: Sequence[tuple[str, Result]], force: bool, dry_run: bool) -> Iterable[str]:
        """Do it, once all have been heard; yields the lines to print.

        Raises
        ------
        MiraError
            If it cannot be done.
        """
        ...


@dataclass(frozen=True)
class Task:
    """One thing that mira can hear.

    ``model`` or ``activate`` is given; with both, the plugin runs its model itself, on what it ``needs``.
    ``decode`` gets the activations and an instance of ``settings``, and returns an instance of ``result``.

    Parameters
    ----------
    name
        The task's name, for instance ``mpe``; unique among all plugins.
    command
        The verb on the command line, for instance ``transcribe``.
    summary
        One line for ``--help``.
    settings
        A frozen dataclass whose fields are made by :func:`setting`. From it come the flags, the keyword
        arguments of :func:`mira.analyze`, the recorded settings and the docs.
    result
        The result class (see :mod:`mira.results`).
    decode
        ``decode(activations, settings) -> result``; numpy only.
    suffix
        The format written when none is asked for, as a suffix: ``.mid``.
    model
        Path of the .onnx file: waveform (1, n) in, activations out, its card inside.
    activate
        For tasks without a network: ``activate(blocks, sample_rate) -> Activations``, where ``blocks`` yields
        float32 mono arrays at ``sample_rate``.
    sample_rate
        The rate in Hz that ``activate`` wants; a model says so itself in its card.
    needs
        Names of tasks whose activations this one reads from ``Activations.needed``.
    files
        Format -> one line of help, for formats that get a flag of their own: ``{"f0": ...}`` makes
        ``--f0 FILE``.
    together
        Class of flags about all recordings at once; see :class:`Together`.
    """

    name: str
    command: str
    summary: str
    settings: type
    result: type[Result]
    decode: Callable[[Activations, Any], Result]
    suffix: str
    model: Path | None = None
    activate: Callable[[Iterable[NDArray[np.float32]], int], Activations] | None = None
    sample_rate: int | None = None
    needs: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    together: type[Together] | None = None


def setting(
    default: Any,
    help: str,
    *,
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    short: str = "",
    flag: str = "",
) -> Any:
    """Declare one field of a settings dataclass.

    Parameters
    ----------
    default
        Value when the user says nothing. ``None`` means: as tuned, from the model's card.
    help
        One line; it becomes the flag's help and the docs' text.
    unit
        ``s``, ``Hz``, ``semitones``...; shown in the help.
    minimum, maximum, choices
        What is allowed; :func:`make_settings` checks it.
    short
        One-letter flag, such as ``-m``.
    flag
        The long flag, where it is not the field's name.
    """
    metadata = {
        "help": f"{help} [{unit}]" if unit else help,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "short": short,
        "flag": flag,
    }
    return field(default=default, metadata=metadata)


def make_settings(task: Task, values: Mapping[str, Any]) -> Any:
    """Build and check an instance of ``task.settings``.

    Raises
    ------
    UsageError
        For an unknown name or a value out of bounds; the text names the setting and what is allowed.
    """
    fields = {f.name: f for f in dataclasses.fields(task.settings)}
    for name, value in values.items():
        if name not in fields:
            raise UsageError(f"{task.name} has no setting '{name}'; it has: {', '.join(fields) or 'none'}")
        _check(task, fields[name], value)
    return task.settings(**values)


def _check(task: Task, spec: dataclasses.Field[Any], value: Any) -> None:
    low, high = spec.metadata["minimum"], spec.metadata["maximum"]
    choices = spec.metadata["choices"]
    if value is None:
        return
    if choices and value not in choices:
        raise UsageError(f"{task.name}: {spec.name} is '{value}', but must be one of {', '.join(choices)}")
    if low is not None and not value >= low:
        raise UsageError(f"{task.name}: {spec.name} is {value}, but must be at least {low}")
    if high is not None and not value <= high:
        raise UsageError(f"{task.name}: {spec.name} is {value}, but must be at most {high}")


def tuned(settings: Any, defaults: Mapping[str, Any]) -> Any:
    """Fill settings left at ``None`` from the model card's tuned defaults."""
    known = {f.name for f in dataclasses.fields(settings)}
    filled = {k: v for k, v in defaults.items() if k in known and getattr(settings, k) is None}
    return dataclasses.replace(settings, **filled)
