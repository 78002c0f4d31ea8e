"""What a ``.pyjama`` file says about one recording: definitions, atoms, and how their JSON form is read.

A missing annotation is spelled in four ways: no key, null, an empty list, one atom with an empty value. Here
all are the same: ``entry[name]`` is empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

EXTENTS = ("global", "marker", "segment", "breakpoint", "breakpoint_time", "breakpoint_value")
CONTENTS = ("text", "numeric")
CONSTRAINTS = ("free", "filepath", "value_in_dictionary")
FILEPATH = "filepath"


@dataclass(frozen=True)
class Definition:
    """What one name of a data set means.

    Parameters
    ----------
    extent
        One of ``EXTENTS``: what in time the annotation belongs to.
    content
        ``text`` or ``numeric``.
    constraint
        ``free``, ``filepath`` or ``value_in_dictionary``.
    dictionary
        The allowed texts, or (lowest, highest) for numbers.
    rows
        Names of the dimensions of a breakpoint matrix.
    rows_first
        Whether rows of a stored matrix are dimensions (True, ``row_name``) or times (False, ``column_name``
        of files before October 2024); None where the file does not say.
    generator
        Name, version and date of the program that made the annotation.
    is_table, is_editable, is_filter
        Hints for graphical programs.
    """

    extent: str
    content: str = "text"
    constraint: str = "free"
    dictionary: tuple[Any, ...] = ()
    rows: tuple[str, ...] = ()
    rows_first: bool | None = None
    generator: Mapping[str, str] = field(default_factory=dict)
    is_table: bool = True
    is_editable: bool = True
    is_filter: bool = True

    def to_json(self) -> dict[str, Any]:
        """The definition as version 1.41 stores it."""
        out: dict[str, Any] = {
            "type_content": self.content,
            "type_extent": self.extent,
            "type_constraint": self.constraint,
            "dictionary": list(self.dictionary),
        }
        if self.extent.startswith("breakpoint"):
            out["row_name"] = list(self.rows)
        if self.generator:
            out["generator"] = dict(self.generator)
        return out | {"is_table": self.is_table, "is_editable": self.is_editable, "is_filter": self.is_filter}


@dataclass(frozen=True, eq=False)
class Atom:
    """One annotation.

    Parameters
    ----------
    value
        A text, a number or a list of them; for the breakpoint extents an array of shape (dimension, time),
        float64 with NaN where the file has null, or of texts.
    time
        Seconds; for a breakpoint an array of shape (time,).
    duration
        Seconds.
    confidence, start_freq, end_freq
        As the file gives them.
    comment
        Free text.
    """

    value: Any
    time: float | NDArray[np.float64] | None = None
    duration: float | None = None
    confidence: Any = None
    start_freq: Any = None
    end_freq: Any = None
    comment: str = ""

    @property
    def times(self) -> NDArray[np.float64]:
        """Seconds, shape (time,); of a marker or segment its one time, of a global annotation none."""
        return np.empty(0) if self.time is None else np.atleast_1d(np.asarray(self.time, dtype=np.float64))

    @property
    def end_s(self) -> float:
        """Second at which a segment ends; of a marker its time, of a curve its last one."""
        # Rounded, because the sum of start and duration is rarely the end that was meant.
        return round(float(self.times.max(initial=0.0)) + (self.duration or 0.0), 9)

    def to_json(self) -> dict[str, Any]:
        """The atom as version 1.41 stores it: arrays as nested lists, also those of one element."""
        fields = ("value", "time", "duration", "confidence", "start_freq", "end_freq", "comment")
        plain = {name: _plain(getattr(self, name)) for name in fields}
        return {name: value for name, value in plain.items() if value is not None and value != ""}


@dataclass(frozen=True)
class Annotation:
    """What one file says under one name.

    Parameters
    ----------
    definition
        Extent, content and rows, as far as the file shows them.
    atoms
        The annotations.
    """

    definition: Definition
    atoms: list[Atom] = field(default_factory=list)


@dataclass(frozen=True)
class Entry:
    """All annotations of one recording.

    Parameters
    ----------
    index
        Position in the file, from 0.
    annotations
        Name -> atoms; names without any atom are left out.
    """

    index: int
    annotations: Mapping[str, tuple[Atom, ...]]

    def __getitem__(self, name: str) -> tuple[Atom, ...]:
        return self.annotations.get(name, ())

    @property
    def filepath(self) -> str:
        """Key of the recording in the .hdf5 file; empty where the entry has none."""
        atoms = self[FILEPATH]
        return str(atoms[0].value) if atoms else ""


@dataclass(frozen=True)
class Problem:
    """Something in a file that is not as the format says.

    Parameters
    ----------
    field
        Where in the entry, for instance ``chord[3].duration``.
    text
        What is wrong.
    fatal
        Whether the value cannot be used; a value outside of its dictionary, for one, can.
    """

    field: str
    text: str
    fatal: bool = True


class _Bad(ValueError):
    """A value that cannot be used; ``field`` says which part of its atom."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


def parse_entry(raw: Any, index: int, definitions: Mapping[str, Definition]) -> tuple[Entry, list[Problem]]:
    """Turn the JSON form of an entry into atoms.

    Returns
    -------
    The entry without what cannot be used, and everything that is wrong.
    """
    if not isinstance(raw, dict):
        return Entry(index, {}), [Problem("entry", f"must be an object, not {short(raw)}")]
    problems: list[Problem] = []
    annotations: dict[str, tuple[Atom, ...]] = {}
    # The shared clock comes first, because other breakpoints of the entry need it.
    names = sorted(raw, key=lambda n: n not in definitions or definitions[n].extent != "breakpoint_time")
    clocks: list[NDArray[np.float64]] = []
    for name in names:
        if name not in definitions:
            problems.append(Problem(name, "is not defined in the head of the file", fatal=False))
        definition = definitions.get(name) or _guess(raw[name])
        atoms = _atoms(name, raw[name], definition, clocks, problems)
        if atoms:
            annotations[name] = atoms
        if definition.extent == "breakpoint_time":
            clocks += [atom.value[0] for atom in atoms]
    return Entry(index, annotations), problems


def _guess(raw: Any) -> Definition:
    """The definition of a name that the file does not define, from what its first atom looks like."""
    first = raw[0] if isinstance(raw, list) and raw and isinstance(raw[0], dict) else {}
    extent = "global"
    if "time" in first:
        is_curve = isinstance(first["time"], list) and len(first["time"]) > 1
        extent = "breakpoint" if is_curve else "segment" if "duration" in first else "marker"
    return Definition(
        extent, "numeric" if extent == "breakpoint" or is_number(first.get("value")) else "text"
    )


def _atoms(
    name: str, raw: Any, definition: Definition, clocks: list[NDArray[np.float64]], problems: list[Problem]
) -> tuple[Atom, ...]:
    if raw is None or raw == "":
        return ()
    if not isinstance(raw, list):
        problems.append(Problem(name, f"must be a list of atoms, also for one, not {short(raw)}"))
        return ()
    atoms = []
    for number, raw_atom in enumerate(raw):
        where = f"{name}[{number}]"
        try:
            fields = _atom_fields(raw_atom)
            if fields is None:
                continue
            atom = _atom(fields, definition, clocks)
        except _Bad as bad:
            problems.append(Problem(f"{where}.{bad.field}" if bad.field else where, str(bad)))
            continue
        atoms.append(atom)
        text = _constraint_broken(atom.value, definition)
        if text:
            problems.append(Problem(f"{where}.value", text, fatal=False))
    return tuple(atoms)


def _atom_fields(raw: Any) -> dict[str, Any] | None:
    """Fields under their folded names; None for an atom that only says that the annotation is missing."""
    if not isinstance(raw, dict):
        raise _Bad("", f"must be an object with a value, not {short(raw)}")
    fields = {fold(key): value for key, value in raw.items()}
    if "value" not in fields:
        raise _Bad("value", "missing")
    value = fields["value"]
    return None if value is None or value == "" or value == [] or value == [[]] else fields


def _atom(fields: dict[str, Any], definition: Definition, clocks: list[NDArray[np.float64]]) -> Atom:
    value, time, duration = fields["value"], fields.get("time"), None
    match definition.extent:
        case "global":
            time = None
        case "marker":
            time = _seconds(time, "time")
        case "segment":
            time = _seconds(time, "time")
            duration = _seconds(fields.get("duration"), "duration")
        case "breakpoint":
            time = _clock(time)
            value = _matrix(value, definition, len(time))
        case "breakpoint_time":
            value, time = _clock(value, "value")[None, :], None
            if clocks:
                raise _Bad("value", "a second breakpoint_time; an entry has one shared clock")
        case _:
            if not clocks:
                raise _Bad("value", "needs a breakpoint_time in the same entry")
            time = clocks[0]
            value = _matrix(value, definition, len(time))
    return Atom(
        value=value,
        time=time,
        duration=duration,
        confidence=fields.get("confidence"),
        start_freq=fields.get("startfreq"),
        end_freq=fields.get("endfreq"),
        comment=str(fields.get("comment") or ""),
    )


def _seconds(value: Any, name: str) -> float:
    """One point or length in time; writers disagree on whether one number is a list."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None:
        raise _Bad(name, "missing; give it in seconds")
    if not is_number(value) or not np.isfinite(value):
        raise _Bad(name, f"must be a number of seconds, not {short(value)}")
    if value < 0:
        raise _Bad(name, f"{value:g} is negative")
    return float(value)


def _clock(value: Any, name: str = "time") -> NDArray[np.float64]:
    """Times of a breakpoint in any nesting; a scalar for one frame."""
    if value is None:
        raise _Bad(name, "missing; give one time for each value")
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise _Bad(name, f"must be a list of seconds, not {short(value)}") from None
    if array.size != max(array.shape, default=1):
        raise _Bad(name, f"must be one list of seconds, not a matrix of {' x '.join(map(str, array.shape))}")
    times = array.ravel()
    if not np.isfinite(times).all() or (times < 0).any():
        raise _Bad(name, "holds a time that is negative or not a number")
    if (np.diff(times) < 0).any():
        raise _Bad(name, f"goes back at position {int(np.argmax(np.diff(times) < 0)) + 1}")
    return times


def _matrix(value: Any, definition: Definition, n_times: int) -> NDArray[Any]:
    """Values of a breakpoint in shape (dimension, time), whichever way the file stores them.

    The names of the dimensions decide; without names, the axis that is as long as the clock is time. Where
    both axes fit, ``row_name`` means that rows are dimensions and ``column_name`` that rows are times.
    """
    try:
        array = np.asarray(value, dtype=np.float64 if definition.content == "numeric" else np.str_)
    except (TypeError, ValueError):
        raise _Bad("value", "must be a matrix of numbers with rows of equal length") from None
    n_rows = len(definition.rows)
    if array.ndim < 2:
        flat = np.atleast_1d(array)
        array = flat[None, :] if len(flat) == n_times and n_rows in (0, 1) else flat[:, None]
    if array.ndim != 2:
        raise _Bad("value", f"must be a matrix, but has {array.ndim} axes")
    first, second = array.shape
    as_rows = second == n_times and n_rows in (0, first)
    as_columns = first == n_times and n_rows in (0, second)
    if as_rows and (not as_columns or definition.rows_first is not False):
        return array
    if as_columns:
        return array.T
    wanted = f"{n_rows} rows by {n_times} times" if n_rows else f"{n_times} times"
    raise _Bad("value", f"is a matrix of {first} x {second}, but names and clock ask for {wanted}")


def _constraint_broken(value: Any, definition: Definition) -> str:
    """What is wrong with the content of a value; empty where nothing is."""
    values = value.ravel().tolist() if isinstance(value, np.ndarray) else _flat(value)
    if definition.content == "numeric":
        for item in values:
            if not is_number(item):
                return f"{short(item)} is not a number"
    if definition.constraint != "value_in_dictionary":
        return ""
    if definition.content == "numeric":
        low, high = definition.dictionary
        outside = [item for item in values if item < low or item > high]
        return f"{outside[0]:g} is not in {low:g} to {high:g}" if outside else ""
    unknown = [item for item in values if item not in definition.dictionary]
    return (
        f"'{unknown[0]}' is not in the dictionary of {len(definition.dictionary)} values" if unknown else ""
    )


def is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _flat(value: Any) -> list[Any]:
    return [item for part in value for item in _flat(part)] if isinstance(value, list) else [value]


def _plain(value: Any) -> Any:
    """Arrays as lists, with null for what is not a number."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and np.isnan(value) else value


def short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def fold(name: str) -> str:
    """``typeExtent`` and ``type_extent`` are one name."""
    return name.replace("_", "").lower()
