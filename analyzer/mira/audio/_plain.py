"""Samples that need no decoding: raw PCM from a pipe, and arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from mira.audio._decoder import Decoder, Unreadable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray


class RawDecoder(Decoder):
    """Signed 16-bit little-endian mono, as it comes; nothing is kept, so the stream may be endless.

    Parameters
    ----------
    stream
        Where the bytes come from.
    rate
        Sample rate in Hz.
    """

    blocking = True

    def __init__(self, stream: BinaryIO, rate: int) -> None:
        super().__init__("raw PCM", rate, 1)
        self._stream = stream

    def blocks(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """See :class:`Decoder`."""
        import numpy as np

        while data := self._stream.read(2 * self.block_frames):
            if len(data) % 2:
                self.warnings.append("the last byte is half a sample: left out")
            pcm = np.frombuffer(data, "<i2", len(data) // 2)
            yield self.rate, pcm.astype(np.float32)[:, None] / np.float32(32768)


class ArrayDecoder(Decoder):
    """An array of samples in memory.

    Parameters
    ----------
    samples
        Shape (frame,), (frame, channel) or (channel, frame): the shorter axis is the channels. Floats of full
        scale 1, or signed integers of the full scale of their type.
    rate
        Sample rate in Hz.
    """

    def __init__(self, samples: ArrayLike, rate: int) -> None:
        import numpy as np

        array = np.asarray(samples)
        if array.ndim not in (1, 2) or array.dtype.kind not in "fi":
            raise Unreadable(
                f"is of shape {array.shape} and type {array.dtype}: give floats or signed integers, "
                "one axis for mono, two for channels"
            )
        if array.ndim == 1:
            array = array[:, None]
        elif array.shape[0] < array.shape[1]:
            array = array.T
        if not array.size:
            raise Unreadable("holds no audio: 0 frames")
        super().__init__("array", rate, array.shape[1], len(array))
        self._array = array

    def blocks(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """See :class:`Decoder`."""
        import numpy as np

        scale = -float(np.iinfo(self._array.dtype).min) if self._array.dtype.kind == "i" else 1.0
        for i in range(0, len(self._array), self.block_frames):
            block = self._array[i : i + self.block_frames]
            yield self.rate, np.asarray(block / scale if scale != 1 else block, np.float32)
