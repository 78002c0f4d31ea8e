"""Containers made of chunks: where the samples are, and how many the header promises.

libsndfile clips what a header promises to what is there without a word, and believes a header of 0 bytes.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import BinaryIO

from mira.audio._decoder import Unreadable
from mira.audio._wav import Samples, find_wav_samples


@dataclass(frozen=True)
class _Layout:
    """How a container lays out its chunks.

    Parameters
    ----------
    first
        Offset of the first chunk.
    name
        Start of the name of the chunk that holds the samples.
    head
        :mod:`struct` format of a chunk's head, of which the size is read.
    counted
        Bytes of the head that count into the size.
    align
        Chunks start at multiples of this.
    """

    first: int
    name: bytes
    head: str
    counted: int = 0
    align: int = 1


_LAYOUTS = {
    b"FORM": _Layout(12, b"SSND", ">4xI", align=2),
    b"riff": _Layout(40, b"data", "<16xQ", counted=24, align=8),
    b"caff": _Layout(8, b"data", ">4xq"),
}


def find_samples(file: BinaryIO, start: int) -> Samples | None:
    """Find the samples of the container at ``start``, None where it is of another kind.

    Raises
    ------
    Unreadable
        There are none.
    """
    end = os.fstat(file.fileno()).st_size
    file.seek(start)
    head = file.read(12)
    magic = head[:4]
    if magic in (b"RIFF", b"RIFX", b"RF64", b"BW64"):
        return find_wav_samples(file, start, end)
    if magic in _LAYOUTS:
        at, size = _walk(file, start, end, _LAYOUTS[magic])
    elif magic == b".snd" and len(head) == 12:
        offset, size = struct.unpack(">4x2I", head)
        at, size = start + offset, -1 if size == 0xFFFF_FFFF else size
    else:
        return None
    if at >= end:
        raise Unreadable("holds no audio: it ends before the samples begin")
    promised = size if size > 0 else None
    there = min(end - at, promised or end)
    header = None
    if promised != there and magic in (b"caff", b".snd"):
        file.seek(start)
        header = _with_size(file.read(at - start), there)
    return Samples(at, there, promised, header, crashed=size == 0)


def _walk(file: BinaryIO, start: int, end: int, layout: _Layout) -> tuple[int, int]:
    """Offset and size of the samples, going from chunk to chunk; the end of the file where there are none."""
    at, head_size = start + layout.first, struct.calcsize(layout.head)
    while at + head_size <= end:
        file.seek(at)
        head = file.read(head_size)
        size = struct.unpack(layout.head, head)[0] - layout.counted
        if head.startswith(layout.name):
            return at + head_size, size
        at += head_size + max(0, size) + -size % layout.align
    return end, 0


def _with_size(head: bytes, size: int) -> bytes:
    """Write the true size of the samples into the head of a CAF, or "unknown" into that of an AU."""
    if head[:4] == b"caff":
        return head[:-8] + struct.pack(">q", size)
    return head[:8] + b"\xff" * 4 + head[12:]
