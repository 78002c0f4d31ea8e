"""Reading audio: any file, stdin or array as blocks of float32 mono at the rate that is asked for.

What is decoded counts, not what a header says. A file that ends early gives what is there and a warning that
says how much is missing; one that holds no audio raises :class:`mira.errors.AudioError`. Formats are told by
their content. Blocks are read one by one, so an hour costs the memory of a few seconds.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO

from mira.audio._decoder import Decoder, Unreadable
from mira.audio._input import open_input, shown, stdin_bytes
from mira.errors import AudioError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Audio", "AudioInfo", "decoders", "from_array", "open_audio", "probe"]


_ABSURD = 1e10
"""Samples past this are no sound; the resampler would make infinities of the largest."""


@dataclass(frozen=True)
class AudioInfo:
    """What a header says about a recording, without a promise that it is true.

    Parameters
    ----------
    format
        For instance ``WAV``.
    sample_rate
        In Hz.
    channels
        How many.
    duration_s
        Seconds, None where only decoding can tell.
    """

    format: str
    sample_rate: int
    channels: int
    duration_s: float | None


class Audio:
    """A recording that is being read; made by :func:`open_audio` and :func:`from_array`.

    Iterate over it once: each block is a float32 array of shape (sample,), C-contiguous, of some two seconds
    at :attr:`sample_rate`. Channels, however many (the LFE of surround sound too), are averaged: the exact
    mean, rounded once, so that equal channels give that channel bit for bit. NaN, infinite and absurdly large
    samples become silence.

    Attributes
    ----------
    path
        The file as it can be printed.
    sample_rate
        Of the blocks, in Hz.
    source_rate, channels
        Of the recording.
    duration_s
        Seconds that were decoded; None until all blocks have been read.
    warnings
        One line each, without the file's name; complete when all blocks have been read.

    Raises
    ------
    AudioError
        While iterating: there is not one sample, or the file cannot be read.
    """

    def __init__(self, path: str, sample_rate: int, decoder: Decoder, file: BinaryIO | None = None) -> None:
        self.path = path
        self.sample_rate = sample_rate
        self.source_rate = decoder.rate
        self.channels = decoder.channels
        self.duration_s: float | None = None
        self.warnings = decoder.warnings
        self._decoder = decoder
        self._file = file
        self._seconds = 0.0
        self._bad_samples = 0
        self._begun = False

    def __enter__(self) -> Audio:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        self._decoder.close()
        if self._file is not None:
            self._file.close()

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        import numpy as np

        if self._begun:
            raise AudioError(f"{self.path}: has been read already: open it again")
        self._begun = True
        empty = True
        with _named(self.path):
            for block in _resampled(self._mono_blocks(), self.sample_rate):
                if len(block):
                    empty = False
                    yield block
            self._finish()
        if empty:  # a few samples at a high rate are less than one at a low rate
            yield np.zeros(1, np.float32)

    def _mono_blocks(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        import numpy as np

        try:
            blocks = self._decoder.blocks()
            for rate, block in blocks if self._decoder.blocking else _in_thread(blocks):
                mono = _mean(block)
                if not np.abs(mono).max(initial=0) < _ABSURD:  # true of NaN, too
                    bad = ~(np.abs(block) < _ABSURD)
                    self._bad_samples += int(bad.sum())
                    mono = _mean(np.where(bad, np.float32(0), block))
                self._seconds += len(mono) / rate
                if len(mono):
                    yield rate, mono
        except Unreadable as error:
            if not self._seconds:
                raise
            self.warnings.append(f"{error} after {self._seconds:.1f} s: what follows is left out")

    def _finish(self) -> None:
        """Compare what came with what was promised."""
        if not self._seconds:
            raise Unreadable("holds no audio: 0 frames")
        if self._bad_samples:
            self.warnings.append(
                f"{self._bad_samples} samples are NaN, infinite or beyond {_ABSURD:g}: read as silence"
            )
        promised, rate = self._decoder.frames, self.source_rate
        if promised is not None and promised - self._seconds * rate > max(1, self._decoder.slack):
            digits = 1 if promised / rate - self._seconds >= 0.1 else 3
            got, want = f"{self._seconds:.{digits}f}", f"{promised / rate:.{digits}f}"
            self.warnings.append(f"ends after {got} of {want} s: the file is cut short")
        self.duration_s = self._seconds


def open_audio(
    path: str | bytes | os.PathLike[str] | os.PathLike[bytes],
    sample_rate: int,
    *,
    raw_rate: int | None = None,
) -> Audio:
    """Open a recording.

    Parameters
    ----------
    path
        A file of any name, a named pipe, or ``-`` for stdin. Pipes are copied to a temporary file first,
        since decoders seek; raw PCM is not.
    sample_rate
        Rate of the blocks in Hz.
    raw_rate
        With ``-``: stdin is signed 16-bit little-endian mono PCM of this rate, without a header.

    Raises
    ------
    AudioError
        Missing, unreadable, empty, no file, no audio, or in a format that needs the extra ``av``.
    UsageError
        ``raw_rate`` for a file.
    """
    name = shown(path)
    if raw_rate is not None:
        if name != "stdin":
            raise UsageError(f"{name}: a raw rate is for raw PCM from stdin: give '-' as the path")
        with _named(name):
            return Audio(name, sample_rate, _raw(raw_rate))
    with _named(name):
        file = open_input(path)
        try:
            return Audio(name, sample_rate, _decoder(file), file)
        except BaseException:
            file.close()
            raise


def from_array(samples: ArrayLike, source_rate: int, sample_rate: int) -> Audio:
    """Take samples in memory as a recording.

    Parameters
    ----------
    samples
        Shape (frame,), (frame, channel) or (channel, frame): the shorter axis is the channels. Floats of full
        scale 1, or signed integers.
    source_rate
        Their rate in Hz.
    sample_rate
        Rate of the blocks in Hz.

    Raises
    ------
    AudioError
        No samples, or not of such a shape or type.
    """
    from mira.audio._plain import ArrayDecoder

    with _named("array"):
        return Audio("array", sample_rate, ArrayDecoder(samples, source_rate))


def probe(path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> AudioInfo:
    """Read a recording's header, and nothing else; for regular files.

    Raises
    ------
    AudioError
        As :func:`open_audio`.
    """
    with _named(shown(path)):
        if os.fsencode(path) == b"-" or stat.S_ISFIFO(os.stat(path).st_mode):
            raise Unreadable("can be read only once, so its header cannot be looked at beforehand")
        with open_input(path) as file:
            decoder = _decoder(file)
            decoder.close()
    duration = decoder.frames / decoder.rate if decoder.frames else None
    return AudioInfo(decoder.format, decoder.rate, decoder.channels, duration)


def decoders() -> dict[str, bool | str]:
    """Libraries that read audio: name -> version, or False where it is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    def installed(name: str) -> str | bool:
        try:
            return version(name)
        except PackageNotFoundError:
            return False

    import soundfile

    return {
        "libsndfile": soundfile.__libsndfile_version__,
        "miniaudio": installed("miniaudio"),
        "av": installed("av"),
    }


def _decoder(file: BinaryIO) -> Decoder:
    from mira.audio._sniff import sniff

    content = sniff(file)
    if content.decoder == "mp3":
        from mira.audio._mpeg import Mp3Decoder

        return Mp3Decoder(file, content.start)
    if content.decoder == "flac":
        from mira.audio._miniaudio import FlacDecoder

        return FlacDecoder(file, content.start)
    if content.decoder == "ogg":
        from mira.audio._ogg import open_ogg

        return open_ogg(file, content.start)
    if content.decoder == "av":
        from mira.audio._av import AvDecoder

        return AvDecoder(file, content.start, content.format)
    from mira.audio._sndfile import open_container

    return open_container(file, content.start, content.format)


def _raw(rate: int) -> Decoder:
    from mira.audio._plain import RawDecoder

    return RawDecoder(stdin_bytes(), rate)


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Turn what goes wrong into an AudioError that names the file."""
    try:
        yield
    except Unreadable as error:
        raise AudioError(f"{name}: {error}") from error
    except OSError as error:
        hint = {
            "FileNotFoundError": "no such file",
            "PermissionError": "may not be read: check its permissions",
        }
        raise AudioError(f"{name}: {hint.get(type(error).__name__) or error.strerror or error}") from error


def _in_thread(
    blocks: Iterator[tuple[int, NDArray[np.float32]]],
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Decode in a thread of its own: a Ctrl-C that met a callback from a C library would be lost there."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as thread:
        while (block := thread.submit(next, blocks, None).result()) is not None:
            yield block


def _mean(block: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean over the channels of shape (frame, channel), rounded once (halves are exact in float32)."""
    import numpy as np

    if block.shape[1] == 1:
        return np.ascontiguousarray(block[:, 0])
    if block.shape[1] == 2:
        return block @ np.full(2, 0.5, np.float32)
    total = block[:, 0].astype(np.float64)
    for channel in range(1, block.shape[1]):
        total += block[:, channel]
    total /= block.shape[1]
    return total.astype(np.float32)


def _resampled(
    blocks: Iterable[tuple[int, NDArray[np.float32]]], sample_rate: int
) -> Iterator[NDArray[np.float32]]:
    """Bring blocks of (rate, samples) to one rate; a stream runs on without a seam while the rate stays."""
    import numpy as np

    for rate, run in groupby(blocks, itemgetter(0)):
        if rate == sample_rate:
            yield from map(itemgetter(1), run)
            continue
        import soxr

        resampler = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32", quality="HQ")
        for _, block in run:
            yield resampler.resample_chunk(block)
        yield resampler.resample_chunk(np.empty(0, np.float32), last=True)
