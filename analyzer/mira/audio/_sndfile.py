"""Everything that libsndfile reads well, in blocks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO

from mira.audio._av import AvDecoder
from mira.audio._chunks import find_samples
from mira.audio._decoder import Decoder, Unreadable
from mira.audio._mpeg import Mp3Decoder
from mira.audio._segments import Segments

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_UNKNOWN = 1 << 62
_MP3_TAG = 0x55


class _UnknownCoding(Unreadable):
    """libsndfile cannot open this; FFmpeg may."""


@cache
def _stream_class() -> Any:
    """A SoundFile that never seeks back after a read, so that a short read is the end and no error."""
    import soundfile

    class Stream(soundfile.SoundFile):
        def seekable(self) -> bool:
            return False

    return Stream


class SndfileDecoder(Decoder):
    """One stream, by libsndfile.

    Parameters
    ----------
    data
        An open file at its start, or a :class:`Segments`.
    format
        Its name for the user.
    """

    def __init__(self, data: BinaryIO | Segments, format: str) -> None:
        import soundfile

        self._data = data
        # A bare descriptor spares the way back through Python for each read; Windows cannot share it.
        source = data if isinstance(data, Segments) or os.name == "nt" else data.fileno()
        try:
            self._sound = _stream_class()(source, closefd=False)
        except soundfile.SoundFileError as error:
            self._check()
            raise _UnknownCoding(f"is {format}, but damaged") from error
        frames = self._sound.frames
        try:
            super().__init__(
                format,
                self._sound.samplerate,
                self._sound.channels,
                frames if 0 < frames < _UNKNOWN else None,
            )
        except Unreadable:
            self.close()
            raise

    def blocks(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """See :class:`Decoder`."""
        import numpy as np
        import soundfile

        # The same numbers as libsndfile's own floats, several times as fast.
        dtype = "int16" if self._sound.subtype == "PCM_16" else "float32"
        while True:
            try:
                block = self._sound.read(self.block_frames, dtype=dtype, always_2d=True)
            except soundfile.SoundFileError as error:
                self._check()
                raise Unreadable("is damaged") from error
            self._check()
            if not len(block):
                return
            yield self.rate, block if dtype == "float32" else block * np.float32(2**-15)

    def close(self) -> None:
        """See :class:`Decoder`."""
        self._sound.close()

    def _check(self) -> None:
        if isinstance(self._data, Segments):
            self._data.check()


def open_container(file: BinaryIO, start: int, format: str) -> Decoder:
    """Open WAV, AIFF, CAF and their like, with the header mended where libsndfile would misread it.

    Raises
    ------
    Unreadable
        Damaged, without samples, or in a coding that libsndfile does not know.
    """
    place = find_samples(file, start)
    if place and not place.size:
        raise Unreadable("holds no audio: it ends before the samples begin")
    if place and place.tag == _MP3_TAG:
        return Mp3Decoder(file, place.start, place.start + place.size)
    data: BinaryIO | Segments = file
    if place and (place.header or start):
        data = Segments(file, [place.header or (start, place.start - start), (place.start, place.size)])
    elif start:
        data = Segments(file, [(start, os.fstat(file.fileno()).st_size - start)])
    try:
        data.seek(0)
        decoder = SndfileDecoder(data, format)
    except _UnknownCoding:
        return AvDecoder(file, start, f"{format}, damaged or in a rare coding")
    if place and place.crashed:
        decoder.warnings.append(
            "the header says 0 bytes (a recording that broke off?): read to the end of the file"
        )
    if place and place.promised and place.promised > place.size and decoder.frames:
        decoder.frames = decoder.frames * place.promised // place.size
    return decoder
