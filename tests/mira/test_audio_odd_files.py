"""Valid but odd files, and damaged ones: each is read to its true end or said to be short."""

from __future__ import annotations

import io
import struct
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
from mira.audio import Audio, open_audio, probe

RATE = 22050


def phrase(seconds: float = 4.0) -> np.ndarray:
    """Noise under an envelope: any part that is lost or moved shows."""
    rng = np.random.default_rng(5)
    return 0.3 * rng.standard_normal(int(RATE * seconds)) * np.linspace(0.2, 1, int(RATE * seconds))


@cache
def coded(container: str, coding: str | None = None, seconds: float = 4.0, rate: int = RATE) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, np.clip(phrase(seconds), -1, 1), rate, format=container, subtype=coding)
    return stream.getvalue()


def read(path: Path, data: bytes, rate: int = RATE) -> tuple[np.ndarray, Audio]:
    path.write_bytes(data)
    with open_audio(path, rate) as audio:
        return np.concatenate(list(audio)), audio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "song.wav"


def chunk(name: bytes, body: bytes, pad: bool = True) -> bytes:
    return name + struct.pack("<I", len(body)) + body + (b"\0" if pad and len(body) % 2 else b"")


@cache
def wavs() -> dict[str, bytes]:
    plain = coded("WAV")
    riff, fmt, data = plain[:12], plain[12:36], plain[36:]
    pcm = plain[44:]
    ds64 = chunk(b"ds64", struct.pack("<QQQI", 0, 0, 0, 0))
    crowded = fmt + chunk(b"LIST", b"INFOodd") + data + chunk(b"LIST", b"INFObehind")
    return {
        "plain": plain,
        "riff size of zero": plain[:4] + bytes(4) + plain[8:],
        "streamed": plain[:4] + b"\xff" * 4 + riff[8:] + fmt + b"data\xff\xff\xff\xff" + pcm,
        "streamed by sox": riff + fmt + b"data" + struct.pack("<I", 0x7FFFF000) + pcm,
        "wrong block align": plain[:32] + b"\7\0" + plain[34:],
        "list before fmt": riff + chunk(b"LIST", b"INFOodd") + fmt + data,
        "odd chunks around data": riff + crowded,
        "two MB of padding before fmt": riff + chunk(b"JUNK", bytes(2_000_000)) + fmt + data,
        "odd chunk without padding": riff + chunk(b"LIST", b"INFOodd", pad=False) + fmt + data,
        "list that lies about its size": riff + fmt + b"LIST\xff\xff\xff\x70abcd" + data,
        "empty data chunk first": riff + fmt + b"data\0\0\0\0" + data,
        "id3 before": b"ID3\4\0\0\0\0\0\x0a" + bytes(10) + plain,
        "rf64": b"RF64\xff\xff\xff\xffWAVE"
        + ds64[:16]
        + struct.pack("<Q", len(pcm))
        + ds64[24:]
        + fmt
        + b"data\xff\xff\xff\xff"
        + pcm,
        "bw64": b"BW64\xff\xff\xff\xffWAVE"
        + ds64[:16]
        + struct.pack("<Q", len(pcm))
        + ds64[24:]
        + fmt
        + b"data\xff\xff\xff\xff"
        + pcm,
    }


@pytest.mark.parametrize("case", wavs())
def test_odd_wavs_are_read_in_full_and_without_a_word(path: Path, case: str) -> None:
    expected, _ = soundfile.read(io.BytesIO(coded("WAV")), dtype="float32")
    samples, audio = read(path, wavs()[case])
    assert np.array_equal(samples, expected)
    assert audio.warnings == []
    assert probe(path).duration_s == 4.0


@pytest.mark.parametrize("case", ["wav", "rf64", "au", "caf"])
def test_a_header_of_0_bytes_is_read_to_the_end_of_the_file(path: Path, case: str) -> None:
    data = bytearray(wavs()["rf64"] if case == "rf64" else coded(case.upper()))
    if case == "rf64":
        data[20 + 8 : 20 + 16] = bytes(8)
    else:
        at, size = {"wav": (40, 4), "au": (8, 4), "caf": (data.find(b"data") + 4, 8)}[case]
        data[at : at + size] = bytes(size)
    samples, audio = read(path, bytes(data))
    assert len(samples) == 4 * RATE
    assert len(audio.warnings) == 1 and "0 bytes" in audio.warnings[0]


@pytest.mark.parametrize("case", ["au", "caf"])
def test_a_length_that_is_unknown_by_the_format_is_no_fault(path: Path, case: str) -> None:
    data = bytearray(coded(case.upper()))
    at, size = {"au": (8, 4), "caf": (data.find(b"data") + 4, 8)}[case]
    data[at : at + size] = b"\xff" * size
    samples, audio = read(path, bytes(data))
    assert len(samples) == 4 * RATE and audio.warnings == []


def test_a_wav_past_4_gib_is_longer_than_its_header_can_say(path: Path) -> None:
    data = bytearray(coded("WAV")[:44])
    frames = (1 << 32) // 2 + 10 * RATE
    data[40:44] = (2 * frames % (1 << 32)).to_bytes(4, "little")
    with path.open("wb") as file:
        file.write(data)
        file.truncate(44 + 2 * frames)
    assert probe(path).duration_s == pytest.approx(frames / RATE, abs=0.01)


@pytest.mark.parametrize(
    ("container", "coding"),
    [
        ("WAV", "PCM_16"),
        ("WAV", "MS_ADPCM"),
        ("RF64", "PCM_16"),
        ("W64", "PCM_16"),
        ("AIFF", "PCM_16"),
        ("AU", "PCM_16"),
        ("CAF", "PCM_16"),
        ("FLAC", "PCM_16"),
        ("MP3", "MPEG_LAYER_III"),
    ],
)
def test_a_truncated_file_gives_what_is_there_and_says_how_much_is_missing(
    path: Path, container: str, coding: str
) -> None:
    whole, _ = read(path, coded(container, coding))
    data = coded(container, coding)
    samples, audio = read(path, data[: len(data) // 2])
    assert 1.7 * RATE < len(samples) < 2.2 * RATE
    assert np.abs(samples[: RATE * 3 // 2] - whole[: RATE * 3 // 2]).max() < 1e-6
    assert len(audio.warnings) == 1
    assert audio.warnings[0] == f"ends after {audio.duration_s:.1f} of 4.0 s: the file is cut short"


@pytest.mark.parametrize("coding", ["VORBIS", "OPUS"])
def test_a_truncated_ogg_gives_what_is_there_and_a_warning(path: Path, coding: str) -> None:
    data = coded("OGG", coding, rate=24000)
    samples, audio = read(path, data[: len(data) // 2], 24000)
    assert len(samples) > 0.5 * 24000
    assert len(audio.warnings) == 1 and audio.warnings[0].endswith("the file may be cut short")


def test_flac_of_unknown_length_is_read_to_its_end(path: Path) -> None:
    data = bytearray(coded("FLAC"))
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    samples, audio = read(path, bytes(data))
    expected, _ = soundfile.read(io.BytesIO(coded("FLAC")), dtype="float32")
    assert np.array_equal(samples, expected) and audio.warnings == []
    assert probe(path).duration_s is None


def test_id3_before_flac_is_stepped_over(path: Path) -> None:
    tag = b"ID3\3\0\0\0\0\2\0" + bytes(256)
    samples, audio = read(path, tag + tag + coded("FLAC"))
    assert len(samples) == 4 * RATE and audio.warnings == []


def test_a_hole_in_a_flac_loses_the_hole_only(path: Path) -> None:
    data = bytearray(coded("FLAC"))
    data[len(data) // 2 : len(data) // 2 + 500] = bytes(500)
    samples, _ = read(path, bytes(data))
    assert len(samples) > 3.3 * RATE


@cache
def mp3s() -> dict[str, tuple[bytes, float]]:
    data = coded("MP3")
    xing = data.find(data[:2], 4)
    tag = next(data.find(name) for name in (b"Xing", b"Info") if name in data)
    bare = data[xing:]
    cover = b"ID3\4\0\0\0\0\x27\x08" + bytes(range(256)) * 19 + bytes(24 + 128)
    ape = b"APETAGEX" + struct.pack("<4I", 2000, 32, 0, 0xA0000000) + bytes(8)
    footer = b"APETAGEX" + struct.pack("<4I", 2000, 32, 0, 0x80000000) + bytes(8)

    def claiming(factor: float) -> bytes:
        frames = int.from_bytes(data[tag + 8 : tag + 12], "big")
        return data[: tag + 8] + int(frames * factor).to_bytes(4, "big") + data[tag + 12 :]

    return {
        "plain": (data, 4.0),
        "without Xing": (bare, 4.05),
        "Xing that claims half": (claiming(0.5), 4.05),
        "Xing that claims nothing": (claiming(0), 4.03),
        "two files joined": (data + data, 8.1),
        "cover picture before": (cover + data, 4.0),
        "ID3v1 behind": (data + b"TAG" + bytes(125), 4.0),
        "APE and ID3v1 behind": (data + ape + bytes(1968) + footer + b"TAG" + bytes(125), 4.0),
        "rubbish before": (bytes(3000) + bare, 4.05),
        "rubbish between": (bare[:20000] + b"\x55" * 5000 + bare[20000:], 3.97),
        "ID3 tag that is longer than the file": (b"ID3\4\0\0\x7f\0\0\0" + bare, 4.05),
    }


@pytest.mark.parametrize("case", mp3s())
def test_odd_mp3s_are_read_to_their_end(path: Path, case: str) -> None:
    data, seconds = mp3s()[case]
    samples, audio = read(path, data)
    assert len(samples) / RATE == pytest.approx(seconds, abs=0.07)
    assert audio.warnings == []


def test_an_mp3_with_gapless_tag_lines_up_with_its_source(path: Path) -> None:
    samples, _ = read(path, coded("MP3"))
    source = phrase()
    assert len(samples) == len(source)
    assert np.corrcoef(samples, source)[0, 1] > 0.5


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 32000, 48000])
def test_mp3_of_every_rate(path: Path, rate: int) -> None:
    samples, audio = read(path, coded("MP3", rate=rate), rate)
    assert audio.source_rate == rate and len(samples) == 4 * RATE


def test_mp3_inside_wav_is_read(path: Path) -> None:
    data = coded("MP3")
    fmt = struct.pack("<HHIIHHH", 0x55, 1, RATE, 8000, 1, 0, 12) + bytes(12)
    samples, _ = read(path, b"RIFF\0\0\0\0WAVE" + chunk(b"fmt ", fmt) + chunk(b"data", data))
    assert len(samples) == 4 * RATE


def renumbered(data: bytes, serial: int) -> bytes:
    """The same Ogg stream with another serial number in every page."""
    out, at = bytearray(data), 0
    while at < len(out):
        size = 27 + out[at + 26] + sum(out[at + 27 : at + 27 + out[at + 26]])
        out[at + 14 : at + 18] = serial.to_bytes(4, "little")
        out[at + 22 : at + 26] = bytes(4)
        out[at + 22 : at + 26] = ogg_checksum(out[at : at + size]).to_bytes(4, "little")
        at += size
    return bytes(out)


def ogg_checksum(page: bytes) -> int:
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value >> 31 else 0)) & 0xFFFFFFFF
    return value


def pages(data: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(data):
        size = 27 + data[at + 26] + sum(data[at + 27 : at + 27 + data[at + 26]])
        found.append(data[at : at + size])
        at += size
    return found


def test_chained_ogg_is_read_link_by_link(path: Path) -> None:
    one, two = coded("OGG", "VORBIS"), coded("OGG", "VORBIS", seconds=2.0)
    samples, audio = read(path, one + two + one)
    assert len(samples) == 10 * RATE and audio.duration_s == 10.0 and audio.warnings == []
    alone, _ = read(path, two)
    assert np.array_equal(samples[4 * RATE : 6 * RATE], alone)


def test_links_of_other_rate_channels_and_codec_are_brought_to_one_rate(path: Path) -> None:
    stereo = io.BytesIO()
    soundfile.write(stereo, np.zeros((48000, 2)), 48000, format="OGG", subtype="VORBIS")
    opus = coded("OGG", "OPUS", rate=24000)
    samples, audio = read(path, coded("OGG", "VORBIS") + stereo.getvalue() + opus, 16000)
    seconds = 4 + 1 + 4 * RATE / 24000
    assert audio.duration_s == pytest.approx(seconds, abs=0.01)
    assert len(samples) == pytest.approx(seconds * 16000, abs=160)


def test_a_broken_link_is_left_out_and_the_next_one_read(path: Path) -> None:
    one = coded("OGG", "VORBIS")
    broken = pages(one)
    samples, audio = read(path, one + broken[0] + broken[-1] + one)
    assert len(samples) == 8 * RATE and audio.duration_s == 8.0
    assert len(audio.warnings) == 1 and audio.warnings[0].startswith("part 2 of 3 ")


def test_sound_beside_another_stream_is_read(path: Path) -> None:
    sound = pages(coded("OGG", "VORBIS"))
    other = pages(renumbered(coded("OGG", "VORBIS", seconds=1.0), 77))
    skeleton = other[0].replace(b"\x01vorbis", b"fishead")
    mixed = [skeleton, sound[0], other[1], *sound[1:3], *other[2:], *sound[3:]]
    samples, audio = read(path, b"".join(mixed))
    assert len(samples) == 4 * RATE and audio.warnings == []


def test_a_radio_capture_that_begins_late_is_read_without_false_alarm(path: Path) -> None:
    whole = pages(coded("OGG", "VORBIS", seconds=8.0))
    assert len(whole) > 5
    samples, audio = read(path, b"".join(whole[:2] + whole[-2:]))
    assert 0 < len(samples) < 8 * RATE and audio.warnings == []
