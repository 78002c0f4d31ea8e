"""Annotations as people keep them beside their recordings: csv, lab, mid and jams files.

csv
    A header line, then one annotation a line. With columns for start and end (or duration) and a value they
    are segments, with a time and a value markers; otherwise every further column is a row of a curve.
lab
    ``start end label`` a line: segments; ``time label``: markers.
mid
    Notes: segments whose value is the MIDI pitch. Drums are left out.
jams
    Each annotation under the name that its namespace suggests.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import mido
import numpy as np
from mira.errors import DataError
from mira.results import Notes
from mira.writers import About
from mira.writers.midi import write as write_midi
from mira.writers.text import one_line, printable

from mira_train.data.entries import Annotation, Atom, Definition, is_number
from mira_train.data.jams_files import read_jams, to_jams

SUFFIXES = (".csv", ".lab", ".mid", ".midi", ".jams")

_START = ("time", "time_s", "start", "start_s", "onset", "onset_s")
_END = ("end", "end_s", "offset", "offset_s")
_DURATION = ("duration", "duration_s")
_VALUE = ("value", "label", "pitch", "midi", "midi_pitch")
_EXTRA = ("confidence", "start_freq", "end_freq", "comment")
_DRUMS = 9


def read_annotations(path: Path, name: str = "") -> dict[str, Annotation]:
    """Read an annotation file.

    Parameters
    ----------
    path
        A file with one of ``SUFFIXES``.
    name
        What to call the annotation; empty for the usual name of its kind.

    Raises
    ------
    DataError
        If the file is not as it should be; the text names the line.
    """
    suffix = path.suffix.lower()
    if suffix == ".jams":
        return read_jams(path)
    if suffix in (".mid", ".midi"):
        return {name or "pitchmidi": _read_midi(path)}
    annotation = _read_lab(path) if suffix == ".lab" else _read_csv(path)
    return {name or _usual_name(annotation.definition): annotation}


def write_annotation(path: Path, definition: Definition, atoms: Sequence[Atom], kind: str) -> Path:
    """Write the annotations of one name in a format, or as csv where that format cannot hold them.

    Parameters
    ----------
    path
        The file without its suffix.
    definition, atoms
        What to write.
    kind
        ``csv``, ``lab``, ``mid`` or ``jams``.

    Returns
    -------
    The file.
    """
    fields = {key for key in _EXTRA for atom in atoms if getattr(atom, key) not in (None, "")}
    plain_segments = definition.extent == "segment" and not fields
    if kind == "lab" and plain_segments and all(_is_lab_label(atom.value) for atom in atoms):
        return _write(path, ".lab", "".join(f"{a.time!r}\t{a.end_s!r}\t{a.value}\n" for a in atoms))
    if kind == "mid" and plain_segments and all(_is_midi_note(atom) for atom in atoms):
        return _write_midi(path.with_name(path.name + ".mid"), atoms)
    if kind == "jams" and not fields - {"confidence"}:
        return _write(path, ".jams", json.dumps(to_jams(path.name, definition, atoms), indent=1))
    target = path.with_name(path.name + ".csv")
    with target.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(_csv_rows(target, definition, atoms))
    return target


def parse_values(texts: Sequence[str]) -> tuple[str, list[Any]]:
    """``numeric`` and the numbers if all texts are finite numbers, else ``text`` and the texts.

    A text that begins with ``[`` is a list in JSON.
    """
    try:
        numbers = [_number(text) for text in texts]
        return "numeric", numbers
    except ValueError:
        return "text", [_listed(text) for text in texts]


def read_table(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Columns of a csv file, and its rows with their line numbers.

    Raises
    ------
    DataError
        If the file has no header or a line with another number of columns.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = [column.strip() for column in next(reader, [])]
            rows = []
            for cells in reader:
                if len(cells) not in (0, len(header)):
                    raise _wrong(
                        path, reader.line_num, f"{len(cells)} columns, but the header has {len(header)}"
                    )
                if cells:
                    rows.append((reader.line_num, dict(zip(header, cells))))
    except UnicodeDecodeError as error:
        raise DataError(f"{printable(path)}: not UTF-8 text; save it as UTF-8") from error
    except csv.Error as error:
        raise DataError(f"{printable(path)}: not valid csv: {error}") from error
    except OSError as error:
        raise DataError(f"{printable(path)}: cannot read: {error.strerror}") from error
    if not header or len(set(header)) != len(header):
        raise _wrong(path, 1, "needs a header line with a different name for each column")
    return header, rows


# --- csv and lab ---


def _read_csv(path: Path) -> Annotation:
    header, rows = read_table(path)
    start, end, duration, value = (_column(header, names) for names in (_START, _END, _DURATION, _VALUE))
    if not start:
        raise _wrong(path, 1, f"no column with the time; call it one of {', '.join(_START)}")
    if not value:
        if end or duration:
            raise _wrong(path, 1, f"no column with the value; call it one of {', '.join(_VALUE)}")
        return _curve(path, start, [column for column in header if column != start], rows)
    content, values = parse_values([row[value] for _, row in rows])
    atoms = []
    for (line, row), item in zip(rows, values):
        if item == "":
            raise _wrong(path, line, f"{value}: is empty")
        time = _seconds(path, line, start, row)
        length = _seconds(path, line, duration, row) if duration else None
        if end:
            length = round(_seconds(path, line, end, row) - time, 9)
        if length is not None and length < 0:
            raise _wrong(path, line, "ends before it starts")
        extra = {key: _listed_number(row[key]) for key in _EXTRA if row.get(key)}
        atoms.append(Atom(item, time, length, **extra))
    return Annotation(Definition("segment" if end or duration else "marker", content), atoms)


def _curve(path: Path, start: str, columns: list[str], rows: list[tuple[int, dict[str, str]]]) -> Annotation:
    if not columns:
        raise _wrong(path, 1, "only times; a curve needs a column for each of its rows")
    definition = Definition("breakpoint", "numeric", rows=tuple(columns), rows_first=True)
    if not rows:
        return Annotation(definition)
    times = np.array([_seconds(path, line, start, row) for line, row in rows])
    values = [
        [_seconds(path, line, column, row) if row[column] else np.nan for line, row in rows]
        for column in columns
    ]
    return Annotation(definition, [Atom(np.array(values), times)])


def _read_lab(path: Path) -> Annotation:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{printable(path)}: cannot read as UTF-8 text: {error}") from error
    rows = [(i, line.split(maxsplit=2)) for i, line in enumerate(lines, 1) if line.strip()]
    rows = [(i, cells) for i, cells in rows if not cells[0].startswith("#")]
    widths = {len(cells) for _, cells in rows}
    if widths - {2, 3} or len(widths) > 1:
        line = next(i for i, cells in rows if len(cells) not in (2, 3) or len(cells) != len(rows[0][1]))
        raise _wrong(path, line, "must be 'start end label' on all lines, or 'time label' on all")
    content, values = parse_values([cells[-1] for _, cells in rows])
    atoms = []
    for (line, cells), value in zip(rows, values):
        row: dict[str, str] = dict(zip(("start", "end"), cells))
        time = _seconds(path, line, "start", row)
        length = round(_seconds(path, line, "end", row) - time, 9) if len(cells) == 3 else None
        if length is not None and length < 0:
            raise _wrong(path, line, "ends before it starts")
        atoms.append(Atom(value, time, length))
    return Annotation(Definition("marker" if widths == {2} else "segment", content), atoms)


def _csv_rows(path: Path, definition: Definition, atoms: Sequence[Atom]) -> Iterable[Sequence[Any]]:
    if definition.extent == "breakpoint":
        if len(atoms) > 1:
            raise DataError(f"{printable(path)}: {len(atoms)} curves do not fit into one csv file")
        curve = atoms[0]
        names = definition.rows or [f"row_{i + 1}" for i in range(len(curve.value))]
        yield ["time", *names]
        for time, column in zip(curve.times, curve.value.T):
            yield [repr(float(time)), *("" if value != value else value for value in column.tolist())]
        return
    fields = ["time", *(["duration"] if definition.extent == "segment" else []), "value"]
    fields += [key for key in _EXTRA if any(getattr(atom, key) not in (None, "") for atom in atoms)]
    yield fields
    for atom in atoms:
        yield [_cell(getattr(atom, key)) for key in fields]


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list) else "" if value is None else value


# --- mid ---


def _read_midi(path: Path) -> Annotation:
    atoms: list[Atom] = []
    sounding: dict[tuple[int, int], list[float]] = {}
    now = 0.0
    try:
        for message in mido.MidiFile(path):
            now += message.time
            if message.type not in ("note_on", "note_off") or message.channel == _DRUMS:
                continue
            started = sounding.setdefault((message.channel, message.note), [])
            if message.type == "note_on" and message.velocity:
                started.append(now)
            elif started:
                start = started.pop(0)
                atoms.append(Atom(message.note, round(start, 6), round(now - start, 6)))
    except (OSError, EOFError, ValueError, KeyError, IndexError, TypeError) as error:
        raise DataError(f"{printable(path)}: not a MIDI file that can be read: {error}") from error
    for (_, pitch), starts in sounding.items():
        atoms += [Atom(pitch, round(start, 6), round(now - start, 6)) for start in starts]
    atoms.sort(key=lambda atom: (atom.time, atom.value))
    return Annotation(Definition("segment", "numeric"), atoms)


def _write_midi(path: Path, atoms: Sequence[Atom]) -> Path:
    start = np.array([atom.time for atom in atoms], dtype=np.float64)
    order = np.lexsort(([atom.value for atom in atoms], start))
    end = np.array([atom.end_s for atom in atoms], dtype=np.float64)
    pitch = np.array([atom.value for atom in atoms], dtype=np.int64)
    notes = Notes(
        duration_s=float(end.max(initial=0)),
        start_s=start[order],
        end_s=end[order],
        pitch=pitch[order],
        velocity=np.full(len(atoms), 100),
        confidence=np.ones(len(atoms)),
    )
    with path.open("wb") as stream:
        write_midi(notes, stream, About(path=str(path), task=""))
    return path


# --- small things ---


def _usual_name(definition: Definition) -> str:
    if definition.extent == "breakpoint":
        return "f0" if len(definition.rows) == 1 else "f0multi"
    if definition.extent == "marker":
        return "beat"
    return "pitchmidi" if definition.content == "numeric" else "chord"


def _column(header: Sequence[str], names: Sequence[str]) -> str:
    return next((column for column in header if column.lower() in names), "")


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        number = float(text)
    if not np.isfinite(number):
        raise ValueError(text)
    return number


def _listed(text: str) -> Any:
    if text.startswith("["):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _listed_number(text: str) -> Any:
    return parse_values([text])[1][0]


def _seconds(path: Path, line: int, column: str, row: Mapping[str, str]) -> float:
    try:
        return float(_number(row[column]))
    except ValueError:
        raise _wrong(path, line, f"{column}: '{row[column]}' is not a number") from None


def _is_lab_label(value: Any) -> bool:
    return isinstance(value, str) and one_line(value) == value


def _is_midi_note(atom: Atom) -> bool:
    whole = is_number(atom.value) and atom.value == int(atom.value) and 0 <= atom.value <= 127
    return whole and bool(atom.duration)


def _write(path: Path, suffix: str, text: str) -> Path:
    target = path.with_name(path.name + suffix)
    target.write_text(text, encoding="utf-8")
    return target


def _wrong(path: Path, line: int, text: str) -> DataError:
    return DataError(f"{printable(path)}: line {line}: {text}")
