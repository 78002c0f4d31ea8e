"""Front-end features of recordings by stretches of frames, computed once and kept."""

from __future__ import annotations

import dataclasses
import os
from functools import lru_cache
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import soxr
import torch
from mira import __version__
from numpy.typing import NDArray
from torch import nn

from mira_train.data.cache import FeatureCache, content_hash
from mira_train.data.hdf5 import AudioReader, FeatureReader, reading
from mira_train.recipe import Recipe, build_frontend
from mira_train.sets import Recording

Array = NDArray[np.float32]


class Features(Protocol):
    """What a data set of patches reads from.

    Attributes
    ----------
    hop_s
        Seconds from one frame to the next; 0 where the set does not say.
    """

    hop_s: float

    def frames(self, recording: Recording) -> int:
        """Number of frames."""
        ...

    def read(self, recording: Recording, start: int, stop: int) -> Array:
        """Frames ``start`` to ``stop``, shape (..., frame); fewer at the end."""
        ...


def features_of(recipe: Recipe, cache: Path) -> Features:
    """Features as the recipe's front end makes them; samples where it is learned with the network.

    Parameters
    ----------
    recipe
        Its front end counts.
    cache
        Folder in which computed features are kept.
    """
    frontend = build_frontend(recipe)
    if not hasattr(frontend, "sample_rate"):
        return _Stored(frontend)
    if is_learned(frontend) or not frontend.n_bins:
        return _Samples(frontend)
    return _Computed(frontend, recipe, cache)


def is_learned(frontend: nn.Module) -> bool:
    """Whether a front end has weights, so that it must be trained with the network."""
    return any(True for _ in frontend.parameters())


class _Stored:
    """Features that the set itself holds, brought into the form that the network wants."""

    hop_s = 0.0

    def __init__(self, frontend: nn.Module) -> None:
        self._frontend = frontend
        self._every = int(frontend.hop_length)

    def frames(self, recording: Recording) -> int:
        return _reader(FeatureReader, recording.samples).shape(recording.key)[-1] // self._every

    def read(self, recording: Recording, start: int, stop: int) -> Array:
        reader = _reader(FeatureReader, recording.samples)
        stored = reader.read(recording.key, start * self._every, stop * self._every)
        with torch.no_grad():
            return self._frontend(torch.from_numpy(stored)[None])[0].numpy()


class _Samples:
    """The waveform; a frame is one hop of the front end, which for a bare waveform is one sample."""

    def __init__(self, frontend: nn.Module) -> None:
        self._rate, self._hop = int(frontend.sample_rate), int(frontend.hop_length)
        self.hop_s = self._hop / self._rate
        self._bare = not frontend.n_bins

    def frames(self, recording: Recording) -> int:
        n = _length(recording, self._rate)
        return n if self._bare else 1 + n // self._hop

    def read(self, recording: Recording, start: int, stop: int) -> Array:
        first, last = start * self._hop, stop * self._hop
        if not self._bare:
            last -= self._hop  # a front end makes one frame more than there are hops
        reader = _reader(AudioReader, recording.samples)
        if reader.sample_rate(recording.key) == self._rate:
            samples = reader.read(recording.key, first, last)
        else:
            samples = _resampled(recording.samples, recording.key, self._rate)[first:last]
        return samples[None] if self._bare else samples


class _Computed:
    """What a front end without weights makes of the waveform, kept by content and parameters."""

    def __init__(self, frontend: nn.Module, recipe: Recipe, cache: Path) -> None:
        self._frontend = frontend.eval()
        self._rate, self._hop = int(frontend.sample_rate), int(frontend.hop_length)
        self.hop_s = self._hop / self._rate
        made = {"frontend": dataclasses.asdict(recipe.frontend), "mira": __version__, "hop": self._hop}
        self._cache = FeatureCache(cache, made)
        self._hashes: dict[str, str] = {}

    def frames(self, recording: Recording) -> int:
        return 1 + _length(recording, self._rate) // self._hop

    def read(self, recording: Recording, start: int, stop: int) -> Array:
        if recording.name not in self._hashes:
            samples = _waveform(recording.samples, recording.key, self._rate)
            self._hashes[recording.name] = content_hash(samples, self._rate)
        content = self._hashes[recording.name]
        return self._cache.get(content, lambda: self._compute(recording), start, stop)

    def _compute(self, recording: Recording) -> Array:
        samples = _waveform(recording.samples, recording.key, self._rate)
        with torch.no_grad():
            return self._frontend(torch.from_numpy(samples)[None])[0].numpy()


def _length(recording: Recording, rate: int) -> int:
    """Samples after resampling."""
    reader = _reader(AudioReader, recording.samples)
    n, stored = reader.length(recording.key), reader.sample_rate(recording.key)
    return n if stored == rate else len(_resampled(recording.samples, recording.key, rate))


def _waveform(path: Path, key: str, rate: int) -> Array:
    reader = _reader(AudioReader, path)
    samples, stored = reader.read(key), reader.sample_rate(key)
    return samples if stored == rate else np.asarray(soxr.resample(samples, stored, rate), np.float32)


@lru_cache(maxsize=16)
def _resampled(path: Path, key: str, rate: int) -> Array:
    return _waveform(path, key, rate)


Reader = TypeVar("Reader", AudioReader, FeatureReader)


def _reader(kind: type[Reader], path: Path) -> Reader:
    """A file that stays open: opening it for each patch would take longer than reading the patch."""
    with reading(path):
        version = path.stat().st_mtime_ns
    return _opened(kind, path, version, os.getpid())


@lru_cache(maxsize=16)
def _opened(kind: type[Reader], path: Path, version: int, process: int) -> Reader:
    """Once for each process, since an open file must not be shared with one that was forked."""
    return kind(path)
