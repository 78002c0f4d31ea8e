"""What is in a data file, and what is wrong with it: ``mira data info`` and ``mira data check``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from mira.errors import DataError
from mira.writers.text import printable

from mira_train.data.convert import audio_file_of
from mira_train.data.entries import FILEPATH
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
        lines += islice(_check_keys(path, beside, key), limit - len(lines))
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
            for entry in PyjamaReader(path):
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
        keys = _keys(path)
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


def _spread(values: list[Any]) -> dict[str, Any]:
    return {
        "total": round(sum(values), 3),
        "shortest": round(min(values), 3),
        "longest": round(max(values), 3),
    }
