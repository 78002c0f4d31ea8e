"""A cache of features, keyed by what they were made from and how.

Each recording's feature is a file of its own, so workers write at the same time without locks, and a file
that is cut off or damaged costs one recording: it is made again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from mira.errors import DataError, OutputError
from numpy.typing import NDArray

from mira_train.data.atomic import cannot_write, replacing
from mira_train.data.hdf5 import reading

_FRAMES = 256
"""Frames that lie together on the disk."""


def content_hash(samples: NDArray[np.float32], sample_rate: int) -> str:
    """SHA-256 of a waveform and its rate, whatever the file it came from is called."""
    digest = hashlib.sha256(f"{sample_rate} {samples.dtype.str} {samples.shape}".encode())
    digest.update(np.ascontiguousarray(samples).data)
    return digest.hexdigest()


class FeatureCache:
    """Features in a folder, by content and parameters.

    Parameters
    ----------
    folder
        Where the files lie; it is created.
    parameters
        Everything that the feature depends on besides the samples: its name, rate, hop, bins, version.
    dtype
        ``float16`` halves the size and keeps three digits; ``float32`` keeps seven.
    """

    def __init__(self, folder: Path, parameters: Mapping[str, Any], dtype: str = "float16") -> None:
        self._folder = folder
        self._parameters = json.dumps({**parameters, "dtype": dtype}, sort_keys=True, ensure_ascii=False)
        self._hash = hashlib.sha256(self._parameters.encode()).hexdigest()
        self._dtype = np.dtype(dtype)

    def get(
        self,
        content: str,
        compute: Callable[[], NDArray[np.float32]],
        start: int = 0,
        stop: int | None = None,
    ) -> NDArray[np.float32]:
        """Frames ``start`` to ``stop`` of a feature of shape (..., frame), made only if not there.

        Parameters
        ----------
        content
            What :func:`content_hash` says of the recording.
        compute
            Makes the whole feature.
        start, stop
            Frames to read.

        Raises
        ------
        DataError
            If a value is too large for the cache's type.
        """
        path = self._path(content)
        try:
            return self._read(path, content, start, stop)
        except DataError:  # not there yet, or damaged: either way it is made again
            feature = compute()
        stored = self._narrow(feature)
        with suppress(OutputError):  # a cache that cannot be written makes things slow, not wrong
            self._write(path, content, stored)
        return stored[..., start:stop].astype(np.float32)

    def _path(self, content: str) -> Path:
        return self._folder / self._hash[:16] / f"{content}.hdf5"

    def _read(self, path: Path, content: str, start: int, stop: int | None) -> NDArray[np.float32]:
        with reading(path), h5py.File(path, "r") as file:
            data = file["feature"]
            if data.attrs["parameters_sha256"] != self._hash or data.attrs["content_sha256"] != content:
                raise DataError(f"{path}: holds another feature than its name says")
            return data[..., start:stop].astype(np.float32)

    def _write(self, path: Path, content: str, feature: NDArray[Any]) -> None:
        chunks = (*feature.shape[:-1], min(_FRAMES, feature.shape[-1])) if feature.size else None
        with replacing(path, force=True) as temporary:
            try:
                with h5py.File(temporary, "w") as file:
                    data = file.create_dataset("feature", data=feature, chunks=chunks)
                    data.attrs["content_sha256"] = content
                    data.attrs["parameters_sha256"] = self._hash
                    data.attrs["parameters"] = self._parameters
            except RuntimeError as error:
                raise cannot_write(path, error) from error

    def _narrow(self, feature: NDArray[np.float32]) -> NDArray[Any]:
        with np.errstate(over="ignore"):
            stored = feature.astype(self._dtype)
        if np.isfinite(feature).all() and not np.isfinite(stored).all():
            raise DataError(
                f"a feature reaches {np.abs(feature).max():g}, too large for {self._dtype}; use float32"
            )
        return stored
