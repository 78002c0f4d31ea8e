"""A folder of recordings and annotation files becomes a data set (.pyjama and .hdf5), and the other way.

The folder
    Recordings anywhere below it. Beside ``song.wav`` lie ``song.NAME.csv``, ``song.NAME.lab``,
    ``song.NAME.mid`` or ``song.NAME.jams``; without NAME the usual one of that kind is taken.
    ``annotations.csv`` at the top holds what belongs to whole recordings: a column ``filepath`` and one for
    each annotation; a recording with two tags has two lines. ``definitions.json``, if there, says what the
    names mean, as a .pyjama file does.
The data set
    ``DEST.pyjama`` and ``DEST_audio.hdf5``.

Either way is streamed: one recording's annotations and one block of its audio are in memory at a time.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

import numpy as np
import soundfile
from mira.audio import open_audio
from mira.errors import DataError, OutputError
from mira.inputs import AUDIO_SUFFIXES
from mira.writers.text import printable

from mira_train.data.annotation_files import (
    SUFFIXES,
    parse_values,
    read_annotations,
    read_table,
    write_annotation,
)
from mira_train.data.atomic import cannot_write
from mira_train.data.entries import FILEPATH, Annotation, Atom, Definition, Entry
from mira_train.data.hdf5 import AudioReader, AudioWriter, key_to_path, path_to_key
from mira_train.data.pyjama import PyjamaReader, PyjamaWriter, parse_definition

TABLE = "annotations.csv"
DEFINITIONS = "definitions.json"
KINDS = ("csv", "lab", "mid", "jams")


@dataclass(frozen=True)
class Counts:
    """What a conversion did.

    Parameters
    ----------
    recordings
        How many.
    seconds
        Their length.
    annotations
        Name -> number of annotations.
    """

    recordings: int
    seconds: float
    annotations: Mapping[str, int]


def audio_file_of(pyjama: Path) -> Path:
    """The audio file that belongs to a .pyjama file by its name."""
    return pyjama.with_name(f"{pyjama.stem}_audio.hdf5")


# --- folder -> data set ---


@dataclass
class _Folder:
    """What lies in a folder: annotation files by recording, values of the table, definitions."""

    root: Path
    files: dict[PurePosixPath, list[tuple[Path, str]]]
    table: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    definitions: dict[str, Definition] = field(default_factory=dict)

    def annotations(self, recording: PurePosixPath) -> Iterator[tuple[str, Annotation]]:
        """Everything that the files beside one recording say."""
        for path, name in self.files[recording]:
            yield from read_annotations(path, name).items()


def folder_to_set(
    folder: Path,
    dest: Path,
    *,
    sample_rate: int = 22050,
    force: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> Counts:
    """Make a data set of a folder.

    Parameters
    ----------
    folder
        Recordings and annotation files.
    dest
        The .pyjama file to be, with or without its suffix; the audio file lies beside it.
    sample_rate
        Rate in Hz to which all recordings are brought.
    force
        Replace existing files.
    say
        Told one line for each doubt.

    Raises
    ------
    DataError
        If an annotation file cannot be read, or belongs to no recording.
    AudioError
        If a recording cannot be read.
    OutputError
        If a file cannot be written. In all cases nothing is left behind.
    """
    pyjama = dest if dest.suffix == ".pyjama" else dest.with_name(dest.name + ".pyjama")
    found = _survey(folder)
    counts: dict[str, int] = defaultdict(int)
    seconds = 0.0
    with (
        AudioWriter(audio_file_of(pyjama), force=force) as audio,
        PyjamaWriter(pyjama, found.definitions, force=force) as writer,
    ):
        for recording in found.files:
            key = path_to_key(recording)
            entry = {FILEPATH: [Atom(key)], **_global_atoms(found.table.get(key, {}))}
            for name, annotation in found.annotations(recording):
                definition = found.definitions[name]
                if annotation.definition.extent != definition.extent:
                    raise DataError(
                        f"{printable(folder / recording)}: '{name}' is a {annotation.definition.extent}, "
                        f"elsewhere a {definition.extent}; rename one"
                    )
                entry.setdefault(name, []).extend(_as_declared(annotation.atoms, definition))
            with open_audio(folder / recording, sample_rate) as source:
                seconds += audio.add(key, sample_rate, source) / sample_rate
            for warning in source.warnings:
                say(f"{recording}: {warning}")
            writer.write({name: atoms for name, atoms in entry.items() if atoms})
            for name, atoms in entry.items():
                counts[name] += len(atoms)
    return Counts(len(found.files), seconds, dict(counts))


def _survey(folder: Path) -> _Folder:
    """List a folder and learn from all its annotation files what the names mean."""
    recordings, notes = _walk(folder)
    if not recordings:
        raise DataError(f"{printable(folder)}: holds no recording")
    by_stem: dict[PurePosixPath, PurePosixPath] = {}
    for path in recordings:
        twin = by_stem.setdefault(path.with_suffix(""), path)
        if twin != path and notes:
            raise DataError(
                f"{printable(folder / path)}: has the name of {twin.name}; annotations would be unclear"
            )
    found = _Folder(folder, {path: [] for path in recordings})
    for path in notes:
        bare = path.with_suffix("")
        name = "" if bare in by_stem else bare.suffix[1:]
        owner = by_stem.get(bare) or by_stem.get(bare.with_suffix(""))
        if owner is None:
            raise DataError(f"{printable(folder / path)}: no recording of that name lies beside it")
        found.files[owner].append((folder / path, name))
    _read_table(found, {path_to_key(path) for path in recordings})
    declared = _declared(folder)
    for recording in recordings:
        for name, annotation in found.annotations(recording):
            known = found.definitions.setdefault(name, annotation.definition)
            if "text" == annotation.definition.content != known.content and annotation.atoms:
                found.definitions[name] = replace(known, content="text")
    found.definitions |= {name: d for name, d in declared.items() if name in found.definitions}
    return found


def _walk(folder: Path) -> tuple[list[PurePosixPath], list[PurePosixPath]]:
    """Recordings and annotation files below a folder, sorted; hidden ones are left out."""
    recordings, notes = [], []

    def refuse(error: OSError) -> None:
        raise DataError(f"{printable(folder)}: cannot read: {error.strerror}") from error

    for here, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = PurePath(here).relative_to(folder)
        for name in sorted(names):
            path, suffix = PurePosixPath(*inside.parts, name), PurePath(name).suffix.lower()
            if not name.startswith(".") and str(path) != TABLE:
                if suffix in AUDIO_SUFFIXES:
                    recordings.append(path)
                elif suffix in SUFFIXES:
                    notes.append(path)
    return sorted(recordings), sorted(notes)


def _read_table(found: _Folder, keys: set[str]) -> None:
    found.definitions[FILEPATH] = Definition("global", "text", "filepath")
    path = found.root / TABLE
    if not path.exists():
        return
    header, rows = read_table(path)
    if FILEPATH not in header:
        raise DataError(f"{printable(path)}: line 1: no column '{FILEPATH}'")
    declared = _declared(found.root)
    for line, row in rows:
        key = path_to_key(PurePosixPath(row[FILEPATH]))
        if key not in keys:
            raise DataError(f"{printable(path)}: line {line}: no recording '{printable(row[FILEPATH])}'")
        found.table.setdefault(key, {})
    for name in header:
        if name == FILEPATH:
            continue
        filled = [row for _, row in rows if row[name]]
        content, values = parse_values([row[name] for row in filled])
        if name in declared and declared[name].content == "text":
            content, values = "text", [row[name] for row in filled]
        found.definitions[name] = Definition("global", content)
        for row, value in zip(filled, values):
            found.table[path_to_key(PurePosixPath(row[FILEPATH]))].setdefault(name, []).append(value)


def _declared(folder: Path) -> dict[str, Definition]:
    path = folder / DEFINITIONS
    if not path.exists():
        return {}
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return {name: parse_definition(name, value, path) for name, value in raw.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise DataError(f"{printable(path)}: cannot be read: {error}") from error


def _global_atoms(values: Mapping[str, list[Any]]) -> dict[str, list[Atom]]:
    return {name: [Atom(value) for value in items] for name, items in values.items()}


def _as_declared(atoms: list[Atom], definition: Definition) -> list[Atom]:
    """Values that look like numbers are texts where the definition says so."""
    if definition.content != "text":
        return atoms
    return [
        replace(atom, value=str(atom.value)) if isinstance(atom.value, (int, float)) else atom
        for atom in atoms
    ]


# --- data set -> folder ---


def set_to_folder(pyjama: Path, folder: Path, *, audio: Path | None = None, kind: str = "csv") -> Counts:
    """Make a folder of a data set.

    Parameters
    ----------
    pyjama
        The .pyjama file.
    folder
        The folder to be; it must not exist, or be empty.
    audio
        The audio file; by default the one beside the .pyjama file.
    kind
        ``csv``, ``lab``, ``mid`` or ``jams``: the format of annotations in time, where it can hold them.

    Raises
    ------
    DataError
        If the data set is damaged, or a recording is missing.
    OutputError
        If the folder is there already or cannot be written. In all cases nothing is left behind.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{printable(folder)}: exists already; choose a new folder")
    reader = PyjamaReader(pyjama)
    temporary = folder.with_name(f".mira-{os.urandom(8).hex()}.tmp")
    try:
        temporary.mkdir(parents=True)
        with AudioReader(audio or audio_file_of(pyjama)) as source:
            counts = _write_folder(reader, source, temporary, kind)
        temporary.replace(folder)
    except (OSError, soundfile.SoundFileError) as error:
        raise cannot_write(folder, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return counts


def _write_folder(reader: PyjamaReader, source: AudioReader, folder: Path, kind: str) -> Counts:
    definitions = {name: _without_clock(d) for name, d in reader.definitions.items()}
    columns = [name for name, d in definitions.items() if d.extent == "global" and name != FILEPATH]
    counts: dict[str, int] = defaultdict(int)
    recordings, seconds = 0, 0.0
    with (folder / TABLE).open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow([FILEPATH, *columns])
        for entry in reader:
            path = _wav_path(entry, source)
            seconds += _write_wav(folder / path, source, entry.filepath)
            recordings += 1
            for name, atoms in entry.annotations.items():
                counts[name] += len(atoms)
                definition = definitions.get(name) or Definition("global")
                if definition.extent in ("global", "breakpoint_time"):
                    continue
                target = (folder / path).with_suffix(f".{_file_part(name, entry)}")
                write_annotation(target, definition, atoms, kind)
            values = [[_cell(atom.value) for atom in entry[name]] for name in columns]
            for row in range(max([1, *map(len, values)])):
                table.writerow([path, *(items[row] if row < len(items) else "" for items in values)])
    kept = {name: d.to_json() for name, d in definitions.items() if d.extent != "breakpoint_time"}
    (folder / DEFINITIONS).write_text(json.dumps(kept, ensure_ascii=False, indent=1), encoding="utf-8")
    return Counts(recordings, seconds, dict(counts))


def _without_clock(definition: Definition) -> Definition:
    """In a folder every curve has its own times."""
    curve = definition.extent == "breakpoint_value"
    return replace(definition, extent="breakpoint") if curve else definition


def _wav_path(entry: Entry, source: AudioReader) -> PurePosixPath:
    key = entry.filepath
    if key not in source:
        where = f"entry {entry.index} ({printable(key)})"
        raise DataError(
            f"{printable(source.path)}: has no audio for {where}; get the file that belongs to the set"
        )
    path = key_to_path(key)
    return path if path.suffix.lower() == ".wav" else path.with_name(path.name + ".wav")


def _write_wav(path: Path, source: AudioReader, key: str) -> float:
    """Write a waveform as 32-bit float, which loses nothing; returns its seconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rate = source.sample_rate(key)
    with soundfile.SoundFile(path, "x", rate, 1, "FLOAT") as wav:
        for block in source.blocks(key):
            wav.write(block)
    return source.length(key) / rate


def _file_part(name: str, entry: Entry) -> str:
    if not name or name.startswith(".") or set(name) & set("/\\\0:."):
        raise DataError(f"entry {entry.index}: '{printable(name)}' cannot be part of a file name")
    return name


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, np.ndarray)) else value
