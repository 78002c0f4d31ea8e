"""What every decoder gives: a rate, channels, a promised length, and blocks of samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MIN_RATE, MAX_RATE = 4_000, 768_000
"""Sample rates in Hz that are taken seriously."""
BLOCK_S = 2
"""Seconds of audio in one block."""
_BLOCK_SAMPLES = 2**22


class Unreadable(Exception):
    """The bytes hold no audio, or none from here on; the text says why, without naming the file."""


class Decoder:
    """Base of the decoders.

    Parameters
    ----------
    format
        What the user calls it: ``WAV``, ``MP3``.
    rate, channels
        Of the (first) stream.
    frames
        How many frames the header promises, None where it does not say.
    slack
        Frames that may be missing without a word, where the header counts roughly.
    """

    blocking = False
    """Reading may wait for somebody, so it must not be waited for when the user wants to stop."""

    def __init__(
        self, format: str, rate: int, channels: int, frames: int | None = None, slack: int = 0
    ) -> None:
        if not MIN_RATE <= rate <= MAX_RATE:
            raise Unreadable(
                f"the header says {rate} Hz; mira reads {MIN_RATE} to {MAX_RATE} Hz: mend the header"
            )
        if channels < 1:
            raise Unreadable("the header says 0 channels: the file is damaged")
        self.format = format
        self.rate = rate
        self.channels = channels
        self.frames = frames
        self.slack = slack
        self.warnings: list[str] = []

    @property
    def block_frames(self) -> int:
        """Frames in one block: a few seconds, fewer where rate and channels would make it large."""
        return min(BLOCK_S * self.rate, _BLOCK_SAMPLES // self.channels)

    def blocks(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield (rate, samples of shape (frame, channel)); the rate changes only in chained streams.

        Raises
        ------
        Unreadable
            What follows is damaged.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the library's handle; the file itself belongs to the caller."""
