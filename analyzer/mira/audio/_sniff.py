"""Telling formats apart by their content; suffixes lie."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import BinaryIO

from mira.audio import _mpeg
from mira.audio._decoder import Unreadable

_HEAD = 1 << 18

SNDFILE = {
    b"RIFF": "WAV",
    b"RIFX": "WAV",
    b"RF64": "WAV (RF64)",
    b"BW64": "WAV (BW64)",
    b"riff": "Wave64",
    b"FORM": "AIFF",
    b"caff": "CAF",
    b".snd": "AU",
    b"dns.": "AU",
    b"Creative Voice": "VOC",
    b"NIST_1A": "NIST Sphere",
    b" paf": "PAF",
    b"fap ": "PAF",
    b"\0\0\1\x64\xa3": "IRCAM",
    b"\x64\xa3": "IRCAM",
    b"2BIT": "AVR",
    b"PVF1": "PVF",
}
"""First bytes -> name, for soundfile."""

AV = {
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": "wma/asf",
    b"\x1a\x45\xdf\xa3": "webm/matroska",
    b"FLV": "flv",
    b"ADIF": "aac",
    b"\x0b\x77": "ac3",
    b"\x7f\xfe\x80\x01": "dts",
    b"#!AMR": "amr",
    b"wvpk": "wavpack",
    b"MAC ": "monkey's audio",
    b"MPCK": "musepack",
    b"MP+": "musepack",
    b"TTA1": "tta",
    b"tBaK": "tak",
    b"DSD ": "dsf",
    b"FRM8": "dsdiff",
    b".RMF": "realmedia",
    b"\0\0\1\xba": "mpeg video",
    b"\0\0\1\xb3": "mpeg video",
}
"""First bytes -> name, for PyAV."""

_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")


@dataclass(frozen=True)
class Content:
    """What a file holds.

    Parameters
    ----------
    decoder
        ``sndfile``, ``flac``, ``mp3``, ``ogg`` or ``av``.
    format
        Its name for the user.
    start
        Where it begins, behind ID3 tags and rubbish.
    """

    decoder: str
    format: str
    start: int = 0


def sniff(file: BinaryIO) -> Content:
    """Say what ``file`` holds.

    Raises
    ------
    Unreadable
        Nothing that any decoder knows.
    """
    start = _mpeg.skip_id3(file)
    file.seek(start)
    head = file.read(_HEAD)
    if head[:4] == b"fLaC":
        return Content("flac", "FLAC", start)
    if head[:4] == b"OggS":
        return Content("ogg", "Ogg", start)
    if head[:4] == b"RIFF" and head[8:12] not in (b"WAVE", b""):
        return Content("av", "avi video" if head[8:11] == b"AVI" else "riff", start)
    for decoder, table in (("sndfile", SNDFILE), ("av", AV)):
        for magic, name in table.items():
            if head.startswith(magic):
                return Content(decoder, name, start)
    if head[4:8] in _MP4_BOXES:
        return Content("av", "m4a/aac or mp4 video", start)
    if _is_adts(head):
        return Content("av", "aac", start)
    if len(head) > 188 and head[0] == head[188] == 0x47:
        return Content("av", "mpeg video", start)
    ends = start + len(head) == os.fstat(file.fileno()).st_size
    at = _mpeg.find_frame(head, whole=ends)
    if at is not None:
        return Content("mp3", "MP3", start + at)
    if b"OggS" in head:
        return Content("ogg", "Ogg", start + head.index(b"OggS"))
    raise Unreadable(_refusal(head))


def _is_adts(head: bytes) -> bool:
    def frame(at: int) -> int:
        if len(head) < at + 7 or head[at] != 0xFF or head[at + 1] & 0xF6 != 0xF0:
            return 0
        return (head[at + 3] & 3) << 11 | head[at + 4] << 3 | head[at + 5] >> 5

    first = frame(0)
    return first > 7 and (frame(first) > 7 or first == len(head))


def _refusal(head: bytes) -> str:
    if head[:4] == b"MThd":
        return "is a MIDI file, which holds notes, not audio"
    if not head.strip(b"\0"):
        return (
            "holds no audio: nothing but zeros"
            if head
            else "holds no audio: it ends where the audio should begin"
        )
    try:
        head[:1000].decode("ascii")
    except UnicodeDecodeError:
        return "is no audio that mira knows: try to play it, then convert it to WAV or FLAC"
    return "is text, not audio"
