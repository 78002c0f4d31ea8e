"""Vectors in files: NPZ as it is, HDF5 by h5py, Parquet by pyarrow; of one recording, or of many together."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from mira.errors import OutputError, UsageError
from mira.results import Embedding, Result
from mira.writers import About, Writer, check_target, write_bytes
from mira.writers.text import printable

if TYPE_CHECKING:
    Arrays = Mapping[str, Any]

_EXTRAS: Mapping[str, str] = {".h5": "h5py", ".hdf5": "h5py", ".parquet": "pyarrow"}


def _npz(arrays: Arrays, stream: BinaryIO) -> None:
    import numpy as np

    np.savez_compressed(stream, **arrays)


def _hdf5(arrays: Arrays, stream: BinaryIO) -> None:
    import h5py

    with h5py.File(stream, "w") as file:
        for name, values in arrays.items():
            file[name] = values.astype(h5py.string_dtype()) if values.dtype.kind == "U" else values


def _parquet(arrays: Arrays, stream: BinaryIO) -> None:
    """A row a vector; what stands once for a recording is repeated in no row and left out."""
    import pyarrow
    from pyarrow import parquet

    rows = len(arrays["vector"])
    columns = {n: list(v) if v.ndim > 1 else v for n, v in arrays.items() if len(v) == rows}
    parquet.write_table(pyarrow.table(columns), stream)


FORMATS: Mapping[str, Callable[[Arrays, BinaryIO], None]] = {
    ".npz": _npz,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    ".parquet": _parquet,
}


def check_format(path: str) -> str:
    """The suffix of a file, once it is known to be one of :data:`FORMATS` that works here.

    Raises
    ------
    UsageError
        If it is none, or its library is not installed; the text says what to install.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in FORMATS:
        raise UsageError(f"{printable(path)}: cannot write that; name it {', '.join(FORMATS)}")
    library = _EXTRAS.get(suffix)
    if library and find_spec(library) is None:
        raise UsageError(f"{suffix} needs {library}: pip install 'mira-audio[embed]'; .npz needs nothing")
    return suffix


def write_table(
    target: str, heard: Sequence[tuple[str, Result]], *, force: bool, dry_run: bool
) -> Iterator[str]:
    """Write ``path``, ``duration_s`` and ``vector`` of all recordings; yields what was done.

    Raises
    ------
    OutputError
        If there is nothing to write, the file exists, or it cannot be written.
    """
    import numpy as np

    suffix = check_format(target)
    check_target(target, force)
    if not heard:
        raise OutputError(f"{printable(target)}: no recording could be heard, so nothing is written")
    found = [(path, cast(Embedding, result)) for path, result in heard]
    arrays = {
        "path": np.array([path for path, _ in found]),
        "duration_s": np.array([e.duration_s for _, e in found]),
        "vector": np.stack([e.vector for _, e in found]),
    }
    if not dry_run:
        stream = io.BytesIO()
        FORMATS[suffix](arrays, stream)
        write_bytes(stream.getvalue(), target, force=force)
    yield f"{target}: {len(found)} vectors of {arrays['vector'].shape[1]} dimensions"


def _write(result: Result, stream: BinaryIO, about: About, *, suffix: str) -> None:
    """Write a recording: ``vector`` of all of it, ``sequence`` and ``time_s``; in Parquet, a row a step."""
    import numpy as np

    try:
        check_format(suffix[1:] + suffix)
    except UsageError as error:
        raise OutputError(str(error)) from None
    heard = cast(Embedding, result)
    if suffix == ".parquet":
        arrays = {
            "time_s": np.concatenate([[np.nan], heard.time_s]),
            "vector": np.concatenate([heard.vector[None], heard.sequence]),
        }
    else:
        arrays = {"vector": heard.vector, "time_s": heard.time_s, "sequence": heard.sequence}
    kept = io.BytesIO()
    FORMATS[suffix](arrays, kept)
    stream.write(kept.getvalue())


WRITERS = (
    Writer("npz", (".npz",), (Embedding,), partial(_write, suffix=".npz")),
    Writer("hdf5", (".h5", ".hdf5"), (Embedding,), partial(_write, suffix=".h5")),
    Writer("parquet", (".parquet",), (Embedding,), partial(_write, suffix=".parquet")),
)
