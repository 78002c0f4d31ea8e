"""MP3: tags and frame headers, read here; the samples come from miniaudio.

The length that a Xing or Info header claims is never trusted to end the decoding: the header is stepped over
and the encoder's delay and padding are cut here, so that joined and mislabelled files are read to their end.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from mira.audio._decoder import Decoder, Unreadable
from mira.audio._miniaudio import stream
from mira.audio._segments import Segments

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_RATES = (44100, 48000, 32000)
_HALVINGS = {3: 0, 2: 1, 0: 2}
_KBPS = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_DECODER_DELAY = 529
_CONFIRM = 3


@dataclass(frozen=True)
class Frame:
    """Header of one MPEG audio frame."""

    version: int
    layer: int
    rate: int
    channels: int
    size: int
    samples: int

    @property
    def side_info(self) -> int:
        """Bytes between the header and the place of a Xing tag."""
        return {(1, 2): 32, (1, 1): 17, (2, 2): 17, (2, 1): 9}[self.version, self.channels]


def parse_frame(data: bytes, at: int) -> Frame | None:
    """Read the frame header at ``at``, None where there is none (ISO 11172-3 and 13818-3)."""
    if len(data) < at + 4 or data[at] != 0xFF or data[at + 1] & 0xE0 != 0xE0:
        return None
    b, c, d = data[at + 1], data[at + 2], data[at + 3]
    version, layer = (b >> 3) & 3, 4 - ((b >> 1) & 3)
    bitrate, rate = c >> 4, (c >> 2) & 3
    if version == 1 or layer == 4 or bitrate in (0, 15) or rate == 3:
        return None
    lsf = 1 if version == 3 else 2
    hz = _RATES[rate] >> _HALVINGS[version]
    kbps = _KBPS[lsf, layer if lsf == 1 else min(layer, 2)][bitrate - 1]
    padding = (c >> 1) & 1
    samples = 384 if layer == 1 else 576 if layer == 3 and lsf == 2 else 1152
    size = (12_000 * kbps // hz + padding) * 4 if layer == 1 else samples * 125 * kbps // hz + padding
    return Frame(lsf, layer, hz, 1 if d >> 6 == 3 else 2, size, samples)


def find_frame(data: bytes, *, whole: bool) -> int | None:
    """Offset of the first of a few frames that follow one another; ``whole``: ``data`` is all there is."""
    for match in re.finditer(rb"\xff[\xe2-\xff]", data):
        at = match.start()
        first = frame = parse_frame(data, at)
        count = 0
        while frame and first and (frame.rate, frame.layer) == (first.rate, first.layer) and count < _CONFIRM:
            count += 1
            at += frame.size
            frame = parse_frame(data, at)
        rest = data[at:]
        if count == _CONFIRM or (count and whole and (not rest or rest[:3] in (b"TAG", b"APE"))):
            return match.start()
    return None


def skip_id3(file: BinaryIO) -> int:
    """Offset behind the ID3v2 tags at the start; there may be several."""
    start = 0
    while True:
        file.seek(start)
        head = file.read(10)
        if len(head) < 10 or head[:3] != b"ID3" or max(head[6:10]) > 127:
            return start
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        end = start + 10 + size + (10 if head[5] & 0x10 else 0)
        if end > os.fstat(file.fileno()).st_size:
            return start
        start = end


def _audio_end(file: BinaryIO, end: int) -> int:
    """Offset before the ID3v1 and APE tags at the end."""
    file.seek(max(0, end - 128))
    if file.read(3) == b"TAG":
        end -= 128
    file.seek(max(0, end - 32))
    footer = file.read(32)
    if footer[:8] == b"APETAGEX":
        header = 32 if footer[23] & 0x80 else 0
        end -= int.from_bytes(footer[12:16], "little") + header
    return end


@dataclass(frozen=True)
class _Claim:
    """What a Xing, Info or VBRI header says: frames of the codec; samples to cut at both ends."""

    frames: int | None = None
    delay: int = 0
    padding: int = 0


def _claim(data: bytes, frame: Frame) -> _Claim | None:
    """Read the header in the first frame, None where it holds audio."""
    if data[36:40] == b"VBRI" and len(data) >= 54:
        return _Claim(int.from_bytes(data[50:54], "big"))
    at = 4 + frame.side_info
    if data[at : at + 4] not in (b"Xing", b"Info"):
        return None
    flags = int.from_bytes(data[at + 4 : at + 8], "big")
    frames = int.from_bytes(data[at + 8 : at + 12], "big") if flags & 1 else None
    lame = at + 8 + 4 * (flags & 1) + 2 * (flags & 2) + 25 * (flags & 4) + (flags & 8) // 2
    gaps = data[lame + 21 : lame + 24]
    if data[lame : lame + 4] not in (b"LAME", b"Lavc", b"Lavf") or len(gaps) < 3:
        return _Claim(frames)
    delay, padding = gaps[0] << 4 | gaps[1] >> 4, (gaps[1] & 15) << 8 | gaps[2]
    return _Claim(frames, delay + _DECODER_DELAY, max(0, padding - _DECODER_DELAY))


class Mp3Decoder(Decoder):
    """MPEG-1, 2 and 2.5 audio, layers I to III.

    Parameters
    ----------
    file
        The file.
    start, end
        Where its frames begin, and the offset behind the last byte that can belong to them.
    """

    def __init__(self, file: BinaryIO, start: int, end: int | None = None) -> None:
        end = _audio_end(file, os.fstat(file.fileno()).st_size if end is None else end)
        file.seek(start)
        head = file.read(4096)
        frame = parse_frame(head, 0)
        if frame is None:
            raise Unreadable("is no MP3 that mira can read: its first frame is damaged")
        claim = _claim(head, frame)
        self._claim = claim or _Claim()
        self._frame_samples = frame.samples
        first = start + (frame.size if claim else 0)
        self._data = Segments(file, [(first, max(0, end - first))])
        frames = None
        if self._claim.frames:
            frames = self._claim.frames * frame.samples - self._claim.delay - self._claim.padding
        super().__init__("MP3", frame.rate, frame.channels, frames, slack=4 * frame.samples)

    def blocks(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """See :class:`Decoder`."""
        skip, left = self._claim.delay, self.frames
        tail = self._claim.padding + self._frame_samples
        held: list[NDArray[np.float32]] = []
        for block in stream(self._data, "MP3", self.rate, self.channels, self.block_frames):
            skipped, block = min(skip, len(block)), block[skip:]
            skip -= skipped
            if left is not None and len(block) > left:
                held.append(block[left:])
                block = block[:left]
            if left is not None:
                left -= len(block)
            if sum(map(len, held)) > tail:
                left = None
                yield from ((self.rate, b) for b in [block, *held])
                held = []
            else:
                yield self.rate, block
