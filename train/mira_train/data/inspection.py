"""What is in a data file, and what is wrong with it: ``mira data info`` and ``mira data check``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from mira.errors import DataError
from mira.writers.text import printable

from mira_train.data.convert import audio_file_of
from mira_train.data.entries import FILEPATH, Definition
from mira_train.data.hdf5 import AudioReader, FeatureReader
from mira_train.data.pyjama import PyjamaReader, find_problems

PYJAMA = ".pyjama"
HDF5 = (".hdf5", ".h5")
_MOST_LABELS = 100


def check(path: Path, hdf5: Path | None = None, key: str = FILEPATH, limit: int = 100) -> list[str]:
    """Everything that is wrong with a .pyjama or .hdf5 file, one line each, at most ``limit`` lines.

    Parameters
    ----------
    path
        The file.
    hdf5
        For a .pyjama file: the .hdf5 file that must hold all its keys; by default the audio or feature file
        beside it, if there is one.
    key
        The annotation that is the key in the .hdf5 file.
    limit
        After how many lines to stop.

    Raises
    ------
    DataError
        If the file is of neither kind.
    """
    if _kind(path) == "hdf5":
        return list(islice(_check_hdf5(path), limit))
    lines = find_problems(path, limit)
    beside = hdf5 or _beside(path)
    if beside and len(lines) < limit:
        # A file that breaks off is found by both.
        new = (line for line in _check_keys(path, beside, key) if line not in lines)
        lines = [*lines, *islice(new, limit - len(lines))]
    return lines


def info(path: Path) -> dict[str, Any]:
    """What is in a .pyjama or .hdf5 file, ready for JSON.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    return _hdf5_info(path) if _kind(path) == "hdf5" else _pyjama_info(path)


def _kind(path: Path) -> str:
    if path.suffix.lower() == PYJAMA:
        return "pyjama"
    if path.suffix.lower() in HDF5:
        return "hdf5"
    raise DataError(f"{printable(path)}: neither a .pyjama nor a .hdf5 file")


def _beside(path: Path) -> Path | None:
    candidates = (audio_file_of(path), path.with_name(f"{path.stem}_feat.hdf5"))
    return next((candidate for candidate in candidates if candidate.exists()), None)


def _check_keys(path: Path, hdf5: Path, key: str) -> Iterator[str]:
    """Keys of the one file that the other lacks."""
    try:
        with AudioReader(hdf5) as file:
            unused = set(file.keys())
            for entry, _ in PyjamaReader(path).inspect():
                value = str(entry[key][0].value) if entry[key] else entry.filepath
                if value not in file:
                    where = f"{printable(path)}: entry {entry.index} ({printable(entry.filepath)}): {key}"
                    yield f"{where}: '{printable(value)}' is not in {printable(hdf5.name)}"
                unused.discard(value)
    except DataError as error:
        yield str(error)
        return
    for name in sorted(unused):
        yield f"{printable(hdf5)}: key '{printable(name)}' has no entry in {printable(path.name)}"


def _check_hdf5(path: Path) -> Iterator[str]:
    """Read both ends of each array, which finds what was cut off, and what the form demands."""
    try:
        with AudioReader(path) as file:
            keys = file.keys()
    except DataError as error:
        yield str(error)
        return
    if not keys:
        yield f"{printable(path)}: holds nothing"
    with AudioReader(path) as audio, FeatureReader(path) as features:
        for key in keys:
            try:
                if audio.is_waveform(key):
                    audio.sample_rate(key)
                    ends = _ends(audio, key, audio.length(key))
                else:
                    ends = _ends(features, key, features.shape(key)[-1])
            except DataError as error:
                yield str(error)
                continue
            if not ends.size:
                yield f"{printable(path)}: key '{printable(key)}' is empty"
            elif not np.isfinite(ends).all():
                yield f"{printable(path)}: key '{printable(key)}' holds values that are not numbers"


def _ends(reader: AudioReader | FeatureReader, key: str, length: int) -> np.ndarray:
    first = reader.read(key, 0, min(length, 1024))
    return np.concatenate([first, reader.read(key, max(0, length - 1024), length)], axis=-1)


def _hdf5_info(path: Path) -> dict[str, Any]:
    rates: Counter[int] = Counter()
    durations, frames = [], []
    with AudioReader(path) as audio, FeatureReader(path) as features:
        for key in audio.keys():  # noqa: SIM118 - not a mapping
            if audio.is_waveform(key):
                rate = audio.sample_rate(key)
                rates[rate] += 1
                durations.append(audio.length(key) / rate)
            else:
                frames.append(features.shape(key)[-1])
    out: dict[str, Any] = {"file": str(path), "kind": "hdf5", "recordings": len(durations) + len(frames)}
    if durations:
        out["sample_rates"] = {str(rate): count for rate, count in rates.items()}
        out["duration_s"] = _spread(durations)
    if frames:
        out["frames"] = _spread(frames)
    return out


def _pyjama_info(path: Path) -> dict[str, Any]:
    reader = PyjamaReader(path)
    atoms: Counter[str] = Counter()
    entries: Counter[str] = Counter()
    labels = [name for name, definition in reader.definitions.items() if _counts(definition)]
    values: dict[str, Counter[str]] = {name: Counter() for name in labels}
    end, total = 0.0, 0
    for entry in reader:
        total += 1
        for name, found in entry.annotations.items():
            atoms[name] += len(found)
            entries[name] += 1
            if name in values and len(values[name]) <= _MOST_LABELS:
                values[name].update(str(atom.value) for atom in found)
            end = max([end, *(atom.end_s for atom in found)])
    names: dict[str, dict[str, Any]] = {}
    for name, definition in reader.definitions.items():
        names[name] = {
            "extent": definition.extent,
            "content": definition.content,
            "entries": entries[name],
            "annotations": atoms[name],
        }
        if name in values and 0 < len(values[name]) <= _MOST_LABELS:
            names[name]["values"] = dict(sorted(values[name].items()))
    return {
        "file": str(path),
        "kind": "pyjama",
        "version": reader.version,
        "entries": total,
        "latest_annotation_s": round(end, 3),
        "names": names,
    }


def _counts(definition: Definition) -> bool:
    """Whether the values of a name are labels that are worth counting."""
    return definition.content == "text" and not definition.extent.startswith("breakpoint")


def _spread(values: list[Any]) -> dict[str, Any]:
    spread = {"total": sum(values), "shortest": min(values), "longest": max(values)}
    return {name: round(value, 3) for name, value in spread.items()}
