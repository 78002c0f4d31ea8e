"""The sound of m4a, wma, webm and video files by PyAV, which comes with the extra ``av``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, BinaryIO

from mira.audio._decoder import Decoder, Unreadable
from mira.audio._segments import Segments

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_KNOW_LENGTH = {"mov", "asf", "avi", "matroska", "webm", "wv", "tta", "ape", "wav", "caf"}


class AvDecoder(Decoder):
    """The first sound track of any container that FFmpeg knows, at its own rate.

    Parameters
    ----------
    file
        The file.
    start
        Where the container begins.
    format
        Its name for the user.
    """

    def __init__(self, file: BinaryIO, start: int, format: str) -> None:
        if find_spec("av") is None:
            raise Unreadable(f"is {format}: reading it needs the extra 'av': pip install 'mira-audio[av]'")
        import av

        self._data = Segments(file, [(start, os.fstat(file.fileno()).st_size - start)])
        try:
            self._container = av.open(self._data, metadata_errors="ignore")
        except av.FFmpegError as error:
            self._data.check()
            raise Unreadable(f"is {format}, but damaged: {error.strerror}") from error
        try:
            if not self._container.streams.audio:
                raise Unreadable(f"holds no sound track ({format})")
            self._track = self._container.streams.audio[0]
            if self._track.codec_context is None:
                raise Unreadable(f"is {format}, in a coding that FFmpeg does not know either")
            rate = self._track.rate or 0
            super().__init__(format, rate, self._track.channels, self._promised(rate), slack=rate // 5)
        except Unreadable:
            self._container.close()
            raise

    def _promised(self, rate: int) -> int | None:
        """Frames by the container's header; containers without one only guess."""
        if not _KNOW_LENGTH & set(self._container.format.name.split(",")):
            return None
        if self._track.duration and self._track.time_base:
            return int(self._track.duration * self._track.time_base * rate)
        return self._container.duration * rate // 1_000_000 if self._container.duration else None

    def blocks(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """See :class:`Decoder`."""
        import numpy as np

        rate, parts, count = self.rate, [], 0
        for new_rate, part in self._frames():
            if parts and (new_rate != rate or count >= self.block_frames or len(part[0]) != len(parts[0][0])):
                yield rate, np.concatenate(parts)
                parts, count = [], 0
            rate = new_rate
            parts.append(part)
            count += len(part)
        if parts:
            yield rate, np.concatenate(parts)

    def _frames(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        import av

        converter, kind = None, None
        try:
            for frame in self._container.decode(self._track):
                if converter is None or kind != (frame.layout.name, frame.rate, frame.format.name):
                    kind = (frame.layout.name, frame.rate, frame.format.name)
                    converter = av.AudioResampler(format="fltp")
                for converted in converter.resample(frame):
                    if converted.samples:
                        yield converted.sample_rate, converted.to_ndarray().T
        except av.FFmpegError as error:
            self._data.check()
            raise Unreadable(f"is damaged ({error.strerror})") from error

    def close(self) -> None:
        """See :class:`Decoder`."""
        self._container.close()
