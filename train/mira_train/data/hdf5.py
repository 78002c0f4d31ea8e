"""The ``.hdf5`` side of a data set: audio or features by key, read by slices and written in blocks.

Audio files hold one mono waveform a key, with its rate as an attribute. Feature files of the book come in
two forms: a group a key (value, times, frequencies), or one array (time, 12) a key. Either is read with time
last.

``/`` separates groups in HDF5, so a key joins the folders of a path with ``+++``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from mira.errors import DataError
from mira.writers.text import printable
from numpy.typing import NDArray

from mira_train.data.atomic import cannot_write, replacing

SEPARATOR = "+++"
RATE_NAMES = ("sr_hz", "sr")
BLOCK = 1 << 16
"""Samples that lie together on the disk, and that are copied at a time."""

_VALUE, _TIMES, _FREQUENCIES = "cqt_value_3m", "cqt_time_sec_v", "cqt_frequency_hz_v"


def path_to_key(path: PurePosixPath) -> str:
    """Key of a recording from its path inside a folder.

    Raises
    ------
    DataError
        If a name in the path is not Unicode text, or holds the separator itself, so that the way back would
        be another path.
    """
    if any(SEPARATOR in part for part in path.parts):
        raise DataError(f"{printable(path)}: a file name must not hold '{SEPARATOR}'; rename it")
    key = SEPARATOR.join(path.parts)
    try:
        key.encode()
    except UnicodeEncodeError:
        raise DataError(f"{printable(path)}: the name is not Unicode text; rename the file") from None
    key_to_path(key)
    return key


def key_to_path(key: str) -> PurePosixPath:
    """Path inside a folder from the key of a recording.

    Raises
    ------
    DataError
        If the path would lead out of the folder or is none.
    """
    parts = key.split(SEPARATOR)
    if any(part in ("", ".", "..") or set(part) & set("/\\\0") or part[1:2] == ":" for part in parts):
        raise DataError(f"key {printable(key)!r}: does not name a file inside a folder")
    return PurePosixPath(*parts)


class _Reader:
    """An open file; errors of the library become one clear line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._last: tuple[tuple[str, ...], h5py.Dataset] | None = None
        with reading(path):
            self._file = h5py.File(path, "r")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def keys(self) -> list[str]:
        """Keys of all recordings."""
        with reading(self.path):
            return list(self._file)

    def is_waveform(self, key: str) -> bool:
        """Whether a key holds a waveform and not a feature: it has one axis or a sample rate."""
        with reading(self.path, key):
            item = self._file.get(key)
            is_array = isinstance(item, h5py.Dataset)
            return is_array and (item.ndim == 1 or any(name in item.attrs for name in RATE_NAMES))

    def __contains__(self, key: str) -> bool:
        return "/" not in key and key in self._file

    def _dataset(self, key: str, *inner: str) -> h5py.Dataset:
        """A data set whose samples lie in this very file: links to other files are not followed."""
        if self._last is None or self._last[0] != (key, *inner):
            self._last = (key, *inner), self._found(key, *inner)
        return self._last[1]

    def _found(self, key: str, *inner: str) -> h5py.Dataset:
        where: Any = self._file
        with reading(self.path, key):
            for name in (key, *inner):
                if not isinstance(where, h5py.Group) or "/" in name or name not in where:
                    raise self._error(key, "is not in the file" if name == key else f"has no '{name}'")
                if not isinstance(where.get(name, getlink=True), h5py.HardLink):
                    raise self._error(key, "is a link, which mira does not follow")
                where = where[name]
        if not isinstance(where, h5py.Dataset):
            raise self._error(key, "is a group, not an array")
        if where.external or where.is_virtual:
            raise self._error(key, "is stored in another file, which mira does not follow")
        if where.dtype.kind not in "fiu":
            raise self._error(key, f"holds {where.dtype}, not numbers")
        return where

    def _error(self, key: str, text: str) -> DataError:
        return DataError(f"{printable(self.path)}: key '{printable(key)}' {text}")


class AudioReader(_Reader):
    """An audio file: mono waveforms by key.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    DataError
        By every method, if the file is damaged or not of this form; the message names file and key.
    """

    def sample_rate(self, key: str) -> int:
        """Rate in Hz."""
        attributes = self._waveform(key).attrs
        for name in RATE_NAMES:
            if name in attributes:
                rate = np.ravel(attributes[name])
                if rate.size == 1 and rate.dtype.kind in "fiu" and rate[0] > 0 and rate[0] == int(rate[0]):
                    return int(rate[0])
                raise self._error(
                    key, f"has the attribute {name} = {attributes[name]!r}, which is no rate in Hz"
                )
        raise self._error(key, f"has no attribute {RATE_NAMES[0]} with its sample rate")

    def length(self, key: str) -> int:
        """Number of samples."""
        return self._waveform(key).size

    def read(self, key: str, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
        """Samples ``start`` to ``stop``, shape (n,); integers are scaled to -1..1."""
        data = self._waveform(key)
        axis = data.shape.index(data.size) if data.ndim > 1 else 0
        slices = tuple(slice(start, stop) if i == axis else slice(None) for i in range(data.ndim))
        with reading(self.path, key):
            samples = np.asarray(data[slices]).ravel()
        if samples.dtype.kind in "iu":
            info = np.iinfo(samples.dtype)
            middle = 0 if info.min else (info.max + 1) // 2
            return ((samples.astype(np.float64) - middle) / (info.max - middle + 1)).astype(np.float32)
        return samples.astype(np.float32, copy=False)

    def blocks(self, key: str, size: int = BLOCK) -> Iterator[NDArray[np.float32]]:
        """Yield the waveform in blocks of ``size`` samples."""
        for start in range(0, self.length(key), size):
            yield self.read(key, start, start + size)

    def _waveform(self, key: str) -> h5py.Dataset:
        data = self._dataset(key)
        if data.ndim == 0 or data.size != max(data.shape):
            raise self._error(key, f"has the shape {data.shape}, but audio is one waveform (n,)")
        return data


class FeatureReader(_Reader):
    """A feature file in either of the book's forms; time is the last axis.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    DataError
        By every method, if the file is damaged or not of this form; the message names file and key.
    """

    def shape(self, key: str) -> tuple[int, ...]:
        """Shape of the feature, (harmonic, bin, frame) or (pitch class, frame)."""
        data, grouped = self._feature(key)
        return data.shape if grouped else data.shape[::-1]

    def read(self, key: str, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
        """Frames ``start`` to ``stop``, shape (..., frame)."""
        data, grouped = self._feature(key)
        with reading(self.path, key):
            part = data[..., start:stop] if grouped else np.swapaxes(data[start:stop], 0, 1)
        return np.ascontiguousarray(part, dtype=np.float32)

    def times(self, key: str) -> NDArray[np.float64]:
        """Seconds of each frame; a file of plain arrays does not know them."""
        return self._axis(key, _TIMES)

    def frequencies(self, key: str) -> NDArray[np.float64]:
        """Hz of each bin; a file of plain arrays does not know them."""
        return self._axis(key, _FREQUENCIES)

    def _axis(self, key: str, name: str) -> NDArray[np.float64]:
        with reading(self.path, key):
            return self._dataset(key, name)[()].astype(np.float64)

    def _feature(self, key: str) -> tuple[h5py.Dataset, bool]:
        if isinstance(self._file.get(key), h5py.Group):
            return self._dataset(key, _VALUE), True
        data = self._dataset(key)
        if data.ndim != 2:
            raise self._error(key, f"has the shape {data.shape}, but a feature is a matrix (time, bin)")
        return data, False


class _Writer:
    """A file that appears when the ``with`` block ends without an error."""

    def __init__(self, path: Path, *, force: bool = False) -> None:
        self._path = path
        self._force = force

    def __enter__(self) -> Self:
        self._exit = ExitStack()
        temporary = self._exit.enter_context(replacing(self._path, force=self._force))
        with self._writing():
            self._file = self._exit.enter_context(h5py.File(temporary, "w"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The library writes what is left in its buffers here, so here too the disk can turn out full.
        with self._writing():
            self._exit.__exit__(kind, error, trace)

    def _new_key(self, key: str) -> None:
        key_to_path(key)
        if key in self._file:
            raise DataError(f"{printable(self._path)}: key '{printable(key)}' comes twice")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, RuntimeError) as error:
            raise cannot_write(self._path, error) from error


class AudioWriter(_Writer):
    """Writes an audio file, waveform by waveform and block by block.

    Parameters
    ----------
    path
        The file to be; it appears when the ``with`` block ends without an error.
    force
        Replace an existing file.

    Raises
    ------
    DataError
        If a key comes twice or is none.
    OutputError
        If the file cannot be written.
    """

    def add(self, key: str, sample_rate: int, blocks: Iterable[NDArray[np.float32]]) -> int:
        """Add a mono waveform in blocks of shape (n,); returns its length in samples."""
        self._new_key(key)
        length = 0
        with self._writing():
            data = self._file.create_dataset(
                key, shape=(0,), maxshape=(None,), chunks=(BLOCK,), dtype=np.float32
            )
            data.attrs[RATE_NAMES[0]] = sample_rate
        for block in blocks:
            with self._writing():
                data.resize((length + len(block),))
                data[length:] = block
            length += len(block)
        return length


class FeatureWriter(_Writer):
    """Writes a feature file of plain arrays (time, bin), as the cover task of the book reads.

    Parameters
    ----------
    path
        The file to be; it appears when the ``with`` block ends without an error.
    force
        Replace an existing file.

    Raises
    ------
    DataError
        If a key comes twice or is none.
    OutputError
        If the file cannot be written.
    """

    def add(self, key: str, feature: NDArray[np.float32]) -> None:
        """Add a feature of shape (bin, frame)."""
        self._new_key(key)
        with self._writing():
            self._file.create_dataset(key, data=feature.T)


@contextmanager
def reading(path: Path, key: str = "") -> Iterator[None]:
    """Turn the library's errors into one line that names the file and the key."""
    try:
        yield
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        where = f"{printable(path)}: key '{printable(key)}'" if key else printable(path)
        if isinstance(error, FileNotFoundError):
            raise DataError(f"{where}: no such file") from error
        reason = str(error)
        what = "the file is truncated" if "truncated" in reason else "cannot be read as HDF5"
        detail = "" if "truncated" in reason else f" ({reason.splitlines()[0][:100]})"
        raise DataError(f"{where}: {what}{detail}; get or make it again") from error
