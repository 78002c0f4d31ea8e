"""miniaudio as a stream of blocks: MP3, and FLAC in all its odd forms."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from mira.audio._decoder import Decoder, Unreadable
from mira.audio._segments import Segments

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def stream(
    data: Segments, format: str, rate: int, channels: int, block_frames: int
) -> Iterator[NDArray[np.float32]]:
    """Decode at the file's own rate and channels, so that miniaudio converts nothing.

    Parameters
    ----------
    data
        The bytes.
    format
        Name in :class:`miniaudio.FileFormat`.
    rate, channels
        As the file's header says.
    block_frames
        Frames of a block; each comes as an array of shape (frame, channel).
    """
    import miniaudio
    import numpy as np

    class Source(miniaudio.StreamableSource):
        def read(self, num_bytes: int) -> bytes:
            return data.read(num_bytes)

        def seek(self, offset: int, origin: miniaudio.SeekOrigin) -> bool:
            data.seek(offset, origin.value)
            return True

    try:
        blocks = miniaudio.stream_any(
            Source(),
            miniaudio.FileFormat[format],
            miniaudio.SampleFormat.FLOAT32,
            channels,
            rate,
            block_frames,
        )
        for block in blocks:
            data.check()
            yield np.frombuffer(block, np.float32).reshape(-1, channels)
    except miniaudio.MiniaudioError as error:
        data.check()
        raise Unreadable(f"is no {format} that can be decoded: the data are damaged") from error
    data.check()


class FlacDecoder(Decoder):
    """FLAC, also of unknown length (written to a pipe) or cut short, where libsndfile fails.

    Parameters
    ----------
    file
        The file.
    start
        Where ``fLaC`` stands.
    """

    def __init__(self, file: BinaryIO, start: int) -> None:
        file.seek(start)
        head = file.read(42)
        if len(head) < 42 or head[4] & 0x7F:
            raise Unreadable("is a FLAC file whose header is damaged")
        size = os.fstat(file.fileno()).st_size - start
        self._data = Segments(file, [(start, size)])
        super().__init__("FLAC", *flac_info(head[8:42]))

    def blocks(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """See :class:`Decoder`."""
        for block in stream(self._data, "FLAC", self.rate, self.channels, self.block_frames):
            yield self.rate, block


def flac_info(streaminfo: bytes) -> tuple[int, int, int | None]:
    """Rate, channels and frames (None if unknown) from a STREAMINFO block (RFC 9639, section 8.2)."""
    packed = int.from_bytes(streaminfo[10:18], "big")
    return packed >> 44, (packed >> 41 & 7) + 1, packed & (1 << 36) - 1 or None
