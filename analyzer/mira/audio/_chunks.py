"""Containers made of chunks (WAV, RF64, AIFF, CAF, Wave64, AU): where the samples are, how many are promised.

libsndfile clips what a header promises to what is there without a word, and believes a header of 0 bytes.
"""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass
from typing import BinaryIO

from mira.audio._decoder import Unreadable

_SCAN = 1 << 20
_HUGE = 0xFFFF_0000
_WAV_UNKNOWN = range(0x7FFF_0000, 0x8000_0001)
"""Sizes that programs write into a WAV when they cannot know better (sox, arecord)."""


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


def find_samples(file: BinaryIO, start: int) -> Samples | None:
    """Find the samples of the container at ``start``, None where it is of another kind.

    Raises
    ------
    Unreadable
        There are none.
    """
    end = os.fstat(file.fileno()).st_size
    file.seek(start)
    head = file.read(24)
    magic = head[:4]
    if magic in (b"RIFF", b"RIFX", b"RF64", b"BW64"):
        return _wav(file, start, end, ">" if magic == b"RIFX" else "<")
    if magic == b"FORM":
        place = _walk(file, start + 12, end, b"SSND", ">4xI", 8)
    elif magic == b"riff":
        place = _walk(file, start + 40, end, b"data", "<16xQ", 24, counted=24, align=8)
    elif magic == b"caff":
        place = _walk(file, start + 8, end, b"data", ">4xq", 12, align=1)
    elif magic == b".snd" and len(head) == 24:
        offset, size = struct.unpack(">4x2I", head[:12])
        place = start + offset, None if size == 0xFFFFFFFF else size
    else:
        return None
    return _patched(file, magic, start, end, place)


def _walk(
    file: BinaryIO,
    at: int,
    end: int,
    wanted: bytes,
    layout: str,
    header: int,
    counted: int = 0,
    align: int = 2,
) -> tuple[int, int] | None:
    """Offset and size of the chunk ``wanted``: from chunk to chunk, each ``header`` bytes and its content."""
    while at + header <= end:
        file.seek(at)
        head = file.read(header)
        (size,) = struct.unpack(layout, head)
        size -= counted
        if head.startswith(wanted):
            return at + header, size
        at += header + max(0, size) + -size % align
    return None


def _patched(
    file: BinaryIO, magic: bytes, start: int, end: int, place: tuple[int, int | None] | None
) -> Samples:
    if place is None or place[0] >= end:
        raise Unreadable("holds no audio: it ends before the samples begin")
    at, size = place
    promised = size if size and size > 0 else None
    there = min(end - at, promised or end)
    header = None
    if promised != there and magic in (b"caff", b".snd"):
        file.seek(start)
        header = file.read(at - start)
        if magic == b"caff":
            header = header[:-8] + struct.pack(">q", there)
        else:
            header = header[:8] + b"\xff" * 4 + header[12:]
    return Samples(at, there, promised, header, crashed=size == 0)


def _wav(file: BinaryIO, start: int, end: int, order: str) -> Samples:
    """Walk a WAV; where its structure is broken, look for the next ``fmt`` or ``data``."""
    file.seek(start)
    head = file.read(_SCAN)
    at, long_size, fmt, odd = 12, 0, b"", head[:4] == b"BW64"
    searched, empty = 0, False
    while at + 8 <= len(head):
        name, (size,) = head[at : at + 4], struct.unpack(order + "I", head[at + 4 : at + 8])
        body = at + 8
        if name == b"ds64":
            long_size = int.from_bytes(head[body + 8 : body + 16], "little")
        elif name == b"fmt " and size <= 4096:
            fmt = head[body : body + size]
        elif name == b"data" and fmt:
            there = end - start - body
            if size or there < 8 or not _is_chunk(head, body, end - start, order):
                return _wav_samples(head[:body], start, there, size, long_size, fmt, order, odd or empty)
            empty = True
        elif not _is_chunk(head, at, end - start, order):
            # One byte back, too: writers forget the byte that pads a chunk of odd length.
            again = max(at - 1, searched)
            found = re.search(rb"fmt |data", head[again:])
            at = again + found.start() if found else len(head)
            searched, odd = at + 1, True
            continue
        at = body + size + size % 2
    raise Unreadable("holds no audio: it ends before the samples begin")


def _is_chunk(head: bytes, at: int, end: int, order: str) -> bool:
    """Whether a chunk with a printable name that fits into the file starts at ``at``."""
    name, size = head[at : at + 4], head[at + 4 : at + 8]
    return (
        len(size) == 4
        and all(32 <= b < 127 for b in name)
        and at + 8 + struct.unpack(order + "I", size)[0] <= end
    )


def _wav_samples(
    head: bytes, start: int, there: int, size: int, long_size: int, fmt: bytes, order: str, odd: bool
) -> Samples:
    wide = head[:4] in (b"RF64", b"BW64")
    promised: int | None = long_size if wide and size == 0xFFFFFFFF else size
    crashed = promised == 0
    if crashed or (not wide and (size >= _HUGE or size in _WAV_UNKNOWN) and size > there):
        promised = None
    elif not wide and there - size >= _HUGE:
        promised = None  # the size of a WAV past 4 GiB, of which the header can hold the lower 32 bits only
        odd = True
    tag = struct.unpack(order + "H", fmt[:2])[0] if len(fmt) >= 2 else 0
    length = there if promised is None else min(there, promised)
    header = _rf64(fmt, length) if (odd or crashed) and order == "<" else None
    return Samples(start + len(head), length, promised, header, tag, crashed)


def _rf64(fmt: bytes, size: int) -> bytes:
    """Header of a WAV of any length (EBU Tech 3306)."""
    body = b"WAVEds64" + struct.pack("<IQQQI", 28, size + len(fmt) + 72, size, 0, 0)
    body += b"fmt " + struct.pack("<I", len(fmt)) + fmt + b"\0" * (len(fmt) % 2)
    return b"RF64\xff\xff\xff\xff" + body + b"data\xff\xff\xff\xff"
