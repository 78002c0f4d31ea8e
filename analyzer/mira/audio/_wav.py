"""WAV, RF64 and BW64: where the samples are, whatever the chunks around them look like."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import BinaryIO

from mira.audio._decoder import Unreadable

_SCAN = 1 << 20
_LONGEST_FMT = 4096
_HUGE = 0xFFFF_0000
_UNKNOWN = range(0x7FFF_0000, 0x8000_0001)
"""Sizes that programs write when they cannot know better (sox, arecord)."""


@dataclass(frozen=True)
class Samples:
    """Where the coded samples of a file are.

    Parameters
    ----------
    start, size
        Their place, as far as it is in the file.
    promised
        Their size by the header, None where it does not say.
    header
        None, or what must stand before them so that libsndfile reads them all.
    tag
        Code of the coding (WAV), 0 elsewhere.
    crashed
        The header says 0 bytes although there are some.
    """

    start: int
    size: int
    promised: int | None
    header: bytes | None = None
    tag: int = 0
    crashed: bool = False


@dataclass
class _Wav:
    """What has been met on the way to the samples; ``odd`` where libsndfile would lose its way."""

    file: BinaryIO
    start: int
    end: int
    magic: bytes
    odd: bool
    fmt: bytes = b""
    long_size: int = 0

    def read(self, at: int, count: int) -> bytes:
        self.file.seek(at)
        return self.file.read(count)

    def number(self, data: bytes) -> int:
        return int.from_bytes(data, "big" if self.magic == b"RIFX" else "little")

    def is_chunk(self, at: int) -> bool:
        """Whether a chunk with a printable name that fits into the file starts at ``at``."""
        head = self.read(at, 8)
        printable = len(head) == 8 and all(32 <= b < 127 for b in head[:4])
        return printable and at + 8 + self.number(head[4:]) <= self.end

    def samples(self, at: int, size: int) -> Samples:
        """Judge the size of the ``data`` chunk whose content starts at ``at``."""
        there, wide = self.end - at, self.magic in (b"RF64", b"BW64")
        promised: int | None = self.long_size if wide and size == 0xFFFF_FFFF else size
        crashed = promised == 0
        if crashed or (not wide and size > there and (size >= _HUGE or size in _UNKNOWN)):
            promised = None
        elif not wide and there - size >= _HUGE:
            promised, self.odd = None, True  # past 4 GiB, of which the header holds the lower 32 bits
        length = there if promised is None else min(there, promised)
        rebuilt = (self.odd or crashed) and self.magic != b"RIFX"
        header = _rf64(self.fmt, length) if rebuilt else None
        return Samples(at, length, promised, header, self.number(self.fmt[:2]), crashed)


def find_wav_samples(file: BinaryIO, start: int, end: int) -> Samples:
    """Walk from chunk to chunk; where their order is broken, look for the next ``fmt`` or ``data``.

    Raises
    ------
    Unreadable
        There are no samples.
    """
    file.seek(start)
    magic = file.read(4)
    wav = _Wav(file, start, end, magic, odd=magic == b"BW64")
    at = searched = start + 12
    while at + 8 <= end:
        head, body = wav.read(at, 8), at + 8
        name, size = head[:4], wav.number(head[4:])
        if name == b"data" and wav.fmt:
            if size or not wav.is_chunk(body):
                return wav.samples(body, size)
            wav.odd = True  # an empty chunk before the true one
        elif name == b"fmt " and size <= _LONGEST_FMT:
            wav.fmt = wav.read(body, size)
        elif name == b"ds64":
            wav.long_size = wav.number(wav.read(body + 8, 8))
        elif not wav.is_chunk(at):
            # From one byte back: writers forget the byte that pads a chunk of odd length.
            again = max(at - 1, searched)
            found = re.search(rb"fmt |data", wav.read(again, _SCAN))
            if not found:
                break
            at = again + found.start()
            searched, wav.odd = at + 1, True
            continue
        at = body + size + size % 2
    raise Unreadable("holds no audio: it ends before the samples begin")


def _rf64(fmt: bytes, size: int) -> bytes:
    """Header of a WAV of any length (EBU Tech 3306)."""
    body = b"WAVEds64" + struct.pack("<IQQQI", 28, size + len(fmt) + 72, size, 0, 0)
    body += b"fmt " + struct.pack("<I", len(fmt)) + fmt + b"\0" * (len(fmt) % 2)
    return b"RF64\xff\xff\xff\xff" + body + b"data\xff\xff\xff\xff"
