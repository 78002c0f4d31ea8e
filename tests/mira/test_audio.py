"""Blocks, channels, rates, lengths: what an Audio gives for files that are as they should be."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from mira.audio import decoders, from_array, open_audio, probe
from mira.errors import AudioError


def tone(rate: int, seconds: float = 1.0, freq_hz: float = 440.0) -> np.ndarray:
    return (0.4 * np.sin(2 * np.pi * freq_hz * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


def read(path: Path | str, rate: int) -> np.ndarray:
    with open_audio(path, rate) as audio:
        return np.concatenate(list(audio))


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000, 192000])
def test_every_rate_comes_out_at_the_one_asked_for(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "x.wav", tone(rate, 5.0), rate)
    with open_audio(tmp_path / "x.wav", 16000) as audio:
        samples = np.concatenate(list(audio))
    assert abs(len(samples) - 80000) <= 1
    assert audio.source_rate == rate and audio.duration_s == 5.0 and audio.warnings == []
    middle = slice(8000, 72000)
    assert np.abs(samples[:80000] - tone(16000, 5.0)[: len(samples)])[middle].max() < 1e-3


def test_block_borders_leave_no_seam(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.wav", tone(44100, 9.0), 44100, subtype="FLOAT")
    import soxr

    whole = soxr.resample(tone(44100, 9.0), 44100, 22050, quality="HQ")
    assert np.abs(read(tmp_path / "x.wav", 22050) - whole).max() < 1e-6


@pytest.mark.parametrize("channels", range(1, 9))
def test_channels_are_averaged_exactly(tmp_path: Path, channels: int) -> None:
    samples = np.random.default_rng(channels).uniform(-1, 1, (3000, channels)).astype(np.float32)
    soundfile.write(tmp_path / "x.wav", samples, 16000, subtype="FLOAT")
    expected = samples.astype(np.float64).sum(axis=1) / channels
    with open_audio(tmp_path / "x.wav", 16000) as audio:
        assert np.array_equal(np.concatenate(list(audio)), expected.astype(np.float32))
        assert audio.channels == channels


@pytest.mark.parametrize("channels", [1, 3, 6, 8])
def test_equal_channels_of_a_flac_give_that_channel_bit_for_bit(tmp_path: Path, channels: int) -> None:
    samples = np.repeat(tone(16000)[:, None], channels, axis=1)
    soundfile.write(tmp_path / "x.flac", samples, 16000, subtype="PCM_24")
    expected, _ = soundfile.read(tmp_path / "x.flac", dtype="float32", always_2d=True)
    assert np.array_equal(read(tmp_path / "x.flac", 16000), expected[:, 0])


@pytest.mark.parametrize(
    ("container", "coding"),
    [
        ("WAV", "PCM_U8"),
        ("WAV", "PCM_24"),
        ("WAV", "PCM_32"),
        ("WAV", "DOUBLE"),
        ("WAV", "ULAW"),
        ("WAV", "ALAW"),
        ("WAV", "MS_ADPCM"),
        ("WAV", "IMA_ADPCM"),
        ("WAV", "GSM610"),
        ("WAVEX", "PCM_24"),
        ("RF64", "PCM_16"),
        ("W64", "PCM_16"),
        ("AIFF", "PCM_24"),
        ("AIFF", "FLOAT"),
        ("AU", "PCM_16"),
        ("CAF", "PCM_16"),
        ("CAF", "ALAC_16"),
        ("VOC", "PCM_16"),
        ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"),
        ("OGG", "OPUS"),
        ("MP3", "MPEG_LAYER_III"),
    ],
)
def test_formats_are_told_by_content(tmp_path: Path, container: str, coding: str) -> None:
    path = tmp_path / "misleading.txt"
    rate = 8000 if coding == "GSM610" else 24000
    soundfile.write(path, tone(rate, 3.0), rate, format=container, subtype=coding)
    with open_audio(path, rate) as audio:
        samples = np.concatenate(list(audio))
    assert audio.warnings == []
    assert audio.duration_s == pytest.approx(3.0, abs=0.07)  # ADPCM ends with a padded block
    error = np.abs(samples - tone(rate, 4.0)[: len(samples)])[rate // 2 : 2 * rate].max()
    assert error < 0.06, "the same wave, at the same place"
    info = probe(path)
    assert (info.sample_rate, info.channels) == (rate, 1)
    assert info.duration_s == pytest.approx(3.0, abs=0.07)


def test_big_endian_and_over_full_scale_samples_are_read_as_they_are(tmp_path: Path) -> None:
    loud = 3 * tone(16000)
    soundfile.write(tmp_path / "x.wav", loud, 16000, subtype="FLOAT", endian="BIG")
    assert np.array_equal(read(tmp_path / "x.wav", 16000), loud)


def test_blocks_are_short_contiguous_and_float32(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.wav", np.zeros((44100 * 11, 2)), 44100)
    with open_audio(tmp_path / "x.wav", 22050) as audio:
        assert audio.duration_s is None
        blocks = list(audio)
    assert len(blocks) >= 5
    assert all(b.dtype == np.float32 and b.ndim == 1 and b.flags.c_contiguous for b in blocks)
    assert max(map(len, blocks)) <= 5 * 22050


def test_three_hours_need_the_memory_of_seconds(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    soundfile.write(path, np.zeros(16), 8000, subtype="PCM_U8")
    head = bytearray(path.read_bytes()[:44])
    frames = 3 * 3600 * 8000
    head[4:8], head[40:44] = (36 + frames).to_bytes(4, "little"), frames.to_bytes(4, "little")
    with path.open("wb") as file:
        file.write(head)
        file.truncate(44 + frames)
    with open_audio(path, 8000) as audio:
        blocks = iter(audio)
        next(blocks)
        tracemalloc.start()
        count = sum(1 for _ in blocks)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert audio.duration_s == 3 * 3600 and count > 1000
    assert peak < 2_000_000


@pytest.mark.parametrize("frames", [1, 2, 441])
def test_the_shortest_recordings_give_at_least_a_sample(tmp_path: Path, frames: int) -> None:
    soundfile.write(tmp_path / "x.wav", tone(44100)[:frames], 44100)
    samples = read(tmp_path / "x.wav", 16000)
    assert 1 <= len(samples) <= frames


def test_nan_and_infinity_become_silence_before_they_can_spread(tmp_path: Path) -> None:
    samples = np.stack([tone(44100), tone(44100)], axis=1)
    clean = samples.copy()
    samples[1000, 0], samples[30000, 1], samples[30001, 1] = np.nan, np.inf, -np.inf
    samples[40000, 0] = 3e38
    clean[[1000, 40000], 0] = clean[[30000, 30001], 1] = 0
    soundfile.write(tmp_path / "bad.wav", samples, 44100, subtype="FLOAT")
    soundfile.write(tmp_path / "clean.wav", clean, 44100, subtype="FLOAT")
    with open_audio(tmp_path / "bad.wav", 16000) as audio:
        read_samples = np.concatenate(list(audio))
    assert audio.warnings == ["4 samples are NaN, infinite or beyond 1e+10: read as silence"]
    assert np.array_equal(read_samples, read(tmp_path / "clean.wav", 16000))


def test_a_second_reading_says_so(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.wav", tone(16000), 16000)
    with open_audio(tmp_path / "x.wav", 16000) as audio:
        list(audio)
        with pytest.raises(AudioError, match="read already"):
            list(audio)


def test_ctrl_c_while_a_library_reads_comes_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mira.audio._segments import Segments

    soundfile.write(tmp_path / "x.flac", np.random.default_rng(0).uniform(-1, 1, 300_000), 16000)
    with open_audio(tmp_path / "x.flac", 16000) as audio:
        blocks = iter(audio)
        next(blocks)

        def interrupted(self: Segments, count: int) -> bytes:
            raise KeyboardInterrupt

        monkeypatch.setattr(Segments, "_read", interrupted)
        with pytest.raises(KeyboardInterrupt):
            list(blocks)


@pytest.mark.parametrize("shape", ["mono", "frame, channel", "channel, frame"])
def test_arrays_of_any_layout_are_recordings_too(shape: str) -> None:
    left, right = tone(44100, 3.0), tone(44100, 3.0, 660)
    samples = {
        "mono": (left + right) / 2,
        "frame, channel": np.stack([left, right], 1),
        "channel, frame": np.stack([left, right]),
    }[shape]
    with from_array(samples, 44100, 44100) as audio:
        out = np.concatenate(list(audio))
    assert np.allclose(out, (left + right) / 2, atol=1e-7)
    assert audio.duration_s == 3.0 and audio.channels == (1 if shape == "mono" else 2)


def test_integer_arrays_are_scaled_by_their_type() -> None:
    out = np.concatenate(list(from_array(np.array([0, 16384, -32768], np.int16), 16000, 16000)))
    assert out.tolist() == [0, 0.5, -1]


@pytest.mark.parametrize(
    "samples",
    [[], np.zeros((0, 2)), np.zeros((2, 2, 2)), np.zeros(4, complex), np.zeros(4, np.uint8), "text"],
)
def test_arrays_that_are_no_audio_are_refused(samples: object) -> None:
    with pytest.raises(AudioError, match=r"^array: "):
        from_array(samples, 16000, 16000)  # type: ignore[arg-type]


def test_decoders_are_listed() -> None:
    found = decoders()
    assert isinstance(found["libsndfile"], str) and isinstance(found["miniaudio"], str) and "av" in found


def test_importing_loads_nothing_heavy() -> None:
    code = (
        "import sys, mira.audio;"
        "print([m for m in ('numpy', 'soundfile', 'soxr', 'miniaudio', 'av') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
