"""Ogg: its pages sorted into streams, so that each is read to its end whatever stands beside or behind it.

libsndfile ends after the first part of a chained file, refuses audio beside video, and can lose all of a file
that is cut inside a page. It gets each stream alone and in whole pages (RFC 3533).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from mira.audio._av import AvDecoder
from mira.audio._decoder import Decoder, Unreadable
from mira.audio._miniaudio import flac_info, stream
from mira.audio._segments import Segments
from mira.audio._sndfile import SndfileDecoder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_HEADER = 27
_READ = 1 << 16
_CODECS = {
    b"\x01vorbis": "Vorbis",
    b"OpusHead": "Opus",
    b"\x7fFLAC": "FLAC",
    b"Speex   ": "Speex",
    b"\x80theora": "Theora video",
    b"fishead\0": "Skeleton",
}
_AUDIO = ("Vorbis", "Opus", "FLAC")


@dataclass
class OggStream:
    """One logical stream: its codec, first packet, pages (offset, size), and whether it was ended."""

    codec: str
    packet: bytes
    pages: list[tuple[int, int]] = field(default_factory=list)
    ended: bool = False

    def add(self, at: int, size: int) -> None:
        """Take a page, joined to the one before where they touch."""
        if self.pages and sum(self.pages[-1]) == at:
            self.pages[-1] = (self.pages[-1][0], self.pages[-1][1] + size)
        else:
            self.pages.append((at, size))


def scan(file: BinaryIO, start: int) -> list[OggStream]:
    """Find the logical streams in the order of their starts; only whole pages count."""
    streams: list[OggStream] = []
    open_streams: dict[bytes, OggStream] = {}
    for at, header, size in _pages(file, start):
        serial = header[14:18]
        if header[5] & 2:
            packet = header[_HEADER + header[26] :]
            codec = next((name for magic, name in _CODECS.items() if packet.startswith(magic)), "unknown")
            open_streams[serial] = OggStream(codec, packet)
            streams.append(open_streams[serial])
        if serial in open_streams:
            current = open_streams[serial]
            current.add(at, size)
            current.ended = bool(header[5] & 4)
    return streams


def _pages(file: BinaryIO, at: int) -> Iterator[tuple[int, bytes, int]]:
    """Yield (offset, the page's beginning of some 400 bytes, size) of every whole page."""
    end = os.fstat(file.fileno()).st_size
    base, data = at, b""
    while at < end:
        if at + 512 > base + len(data) and base + len(data) < end:
            file.seek(at)
            base, data = at, file.read(_READ)
        i = at - base
        if data[i : i + 4] != b"OggS":
            found = data.find(b"OggS", i + 1)
            at = base + (found if found >= 0 else max(i + 1, len(data) - 3))
            continue
        header = data[i : i + 512]
        lacing = header[_HEADER : _HEADER + header[26]] if len(header) >= _HEADER else b""
        size = _HEADER + len(lacing) + sum(lacing)
        if len(header) < _HEADER or at + size > end:
            return
        yield at, header, size
        at += size


class OggDecoder(Decoder):
    """All sound in an Ogg file: its links one after the other; of streams side by side, the first.

    Parameters
    ----------
    file
        The file.
    links
        Its sound streams in order, none of them beside another.
    """

    def __init__(self, file: BinaryIO, links: list[OggStream]) -> None:
        self._file = file
        self._streams = links
        first = self._part = self._open(self._streams[0])
        whole = len(self._streams) == 1 and self._streams[0].ended
        super().__init__(first.format, first.rate, first.channels, first.frames if whole else None)

    def _open(self, part: OggStream) -> Decoder:
        data = Segments(self._file, list(part.pages))
        if part.codec == "FLAC":
            return _OggFlacDecoder(data, part.packet)
        return SndfileDecoder(data, f"Ogg {part.codec}")

    def blocks(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """See :class:`Decoder`."""
        seconds, count = 0.0, len(self._streams)
        for i, link in enumerate(self._streams):
            try:
                for rate, block in self._link_blocks(i, link):
                    seconds += len(block) / rate
                    yield rate, block
            except Unreadable as error:
                if count == 1:
                    raise
                self.warnings.append(f"part {i + 1} of {count} {error}: its rest is left out")
        if seconds and not self._streams[-1].ended:
            self.warnings.append(
                f"ends after {seconds:.1f} s without the mark that ends Ogg: the file may be cut short"
            )

    def _link_blocks(self, i: int, link: OggStream) -> Iterator[tuple[int, NDArray[np.float32]]]:
        if i:
            self._part.close()
            self._part = self._open(link)
        yield from self._part.blocks()

    def close(self) -> None:
        """See :class:`Decoder`."""
        self._part.close()


def open_ogg(file: BinaryIO, start: int) -> Decoder:
    """Open the Ogg file whose first page stands at ``start``.

    Raises
    ------
    Unreadable
        There is no sound stream, or none that mira reads.
    """
    streams = scan(file, start)
    links = _links(streams)
    if links:
        return OggDecoder(file, links)
    found = sorted({s.codec for s in streams})
    if "Speex" in found:
        return AvDecoder(file, start, "Ogg Speex")
    raise Unreadable(
        f"is Ogg without a sound stream that mira reads (found: {', '.join(found) or 'no whole page'})"
    )


def _links(streams: list[OggStream]) -> list[OggStream]:
    """Keep the first sound stream of each link: one that starts after the one before has ended."""
    links: list[OggStream] = []
    for current in streams:
        if current.codec in _AUDIO and (not links or current.pages[0][0] >= sum(links[-1].pages[-1])):
            links.append(current)
    return links


class _OggFlacDecoder(Decoder):
    """FLAC in Ogg, which libsndfile does not always open."""

    def __init__(self, data: Segments, packet: bytes) -> None:
        self._data = data
        super().__init__("Ogg FLAC", *flac_info(packet[17:51]))

    def blocks(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        for block in stream(self._data, "FLAC", self.rate, self.channels, self.block_frames):
            yield self.rate, block
