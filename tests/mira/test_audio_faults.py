"""What is refused, with one line that says what and where; and what stdin, pipes and odd names give."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
from mira.audio import _av, _input, decoders, open_audio, probe
from mira.errors import AudioError, UsageError

RATE = 16000


def wav(seconds: float = 2.0, rate: int = RATE, container: str = "WAV") -> bytes:
    stream = io.BytesIO()
    samples = 0.4 * np.sin(np.arange(int(rate * seconds)) * 0.1)
    soundfile.write(stream, samples, rate, format=container)
    return stream.getvalue()


def header_at(rate: int) -> bytes:
    data = bytearray(wav())
    data[24:28] = rate.to_bytes(4, "little")
    return bytes(data)


REFUSED = {
    "empty": (b"", "empty"),
    "header only": (wav()[:44], "no audio"),
    "half a header": (wav()[:30], "no audio"),
    "no samples by its own word": (wav(0.0), "no audio"),
    "random bytes": (np.random.default_rng(1).bytes(100_000), "no audio that mira knows"),
    "text": (b"hello\n", "text"),
    "zeros": (bytes(5000), "zeros"),
    "midi": (b"MThd\0\0\0\6\0\0\0\1\0\x60", "MIDI"),
    "4 Hz": (header_at(4), "4 Hz"),
    "a million Hz": (header_at(1_000_000), "1000000 Hz"),
    "flac header only": (wav(container="FLAC")[:42], "FLAC"),
    "flac header cut": (wav(container="FLAC")[:20], "FLAC"),
    "ogg first page only": (wav(container="OGG")[:58], "Ogg"),
    "ogg cut in its first page": (wav(container="OGG")[:40], "no whole page"),
    "id3 tag only": (b"ID3\4\0\0\0\0\0\x0a" + bytes(10), "no audio"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_audio_is_refused_in_one_line(tmp_path: Path, case: str) -> None:
    data, reason = REFUSED[case]
    path = tmp_path / "song.wav"
    path.write_bytes(data)
    with pytest.raises(AudioError) as caught, open_audio(path, RATE) as audio:
        list(audio)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and reason in message and "\n" not in message


def test_missing_files_folders_and_devices_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"none\.wav: no such file"):
        open_audio(tmp_path / "none.wav", RATE)
    with pytest.raises(AudioError, match="is a folder"):
        open_audio(tmp_path, RATE)
    with pytest.raises(AudioError, match="device"):
        open_audio(os.devnull, RATE)
    with pytest.raises(AudioError, match="too long"):
        open_audio(tmp_path / ("x" * 300), RATE)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(AudioError, match="loop: "):
        open_audio(tmp_path / "loop", RATE)


def test_sockets_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")
        with pytest.raises(AudioError, match="socket"):
            open_audio("s", RATE)


def test_a_file_that_may_not_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.wav").write_bytes(wav())

    def denied(*args: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(_input, "open", denied, raising=False)
    with pytest.raises(AudioError, match=r"x\.wav: may not be read"):
        open_audio(tmp_path / "x.wav", RATE)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\0\0\0\x20ftypM4A \0\0\2\0" + bytes(100), "m4a"),
        (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + bytes(100), "wma"),
        (b"\x1a\x45\xdf\xa3" + bytes(100), "webm"),
        (b"RIFF\x64\0\0\0AVI LIST" + bytes(100), "avi"),
        (b"\xff\xf1\x50\x80\x02\x1f\xfc" + bytes(9) + b"\xff\xf1\x50\x80\x02\x1f\xfc" + bytes(9), "aac"),
    ],
)
def test_without_the_extra_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, name: str
) -> None:
    path = tmp_path / "song.mp3"
    path.write_bytes(data)
    monkeypatch.setattr(_av, "find_spec", lambda _: None)
    with pytest.raises(AudioError, match=r"song\.mp3: .*pip install 'mira-audio\[av\]'") as caught:
        open_audio(path, RATE)
    assert name in str(caught.value)


def test_m4a_is_read_with_the_extra_and_refused_in_one_line_without(tmp_path: Path) -> None:
    path = tmp_path / "song.wav"
    if not decoders()["av"]:
        path.write_bytes(b"\0\0\0\x20ftypM4A \0\0\2\0" + bytes(100))
        with pytest.raises(AudioError, match="needs the extra 'av'"):
            open_audio(path, RATE)
        return
    import av

    with av.open(path, "w", format="mp4") as container:
        track = container.add_stream("aac", rate=48000, layout="stereo")
        tone = np.tile(0.4 * np.sin(np.arange(48000) * 0.05).astype(np.float32), (2, 1))
        frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="stereo")
        frame.sample_rate = 48000
        for packet in [*track.encode(frame), *track.encode(None)]:
            container.mux(packet)
    with open_audio(path, 48000) as audio:
        samples = np.concatenate(list(audio))
    assert audio.warnings == [] and audio.channels == 2
    assert samples.dtype == np.float32 and 1.0 <= audio.duration_s <= 1.05
    assert np.abs(np.fft.rfft(samples[:48000])).argmax() == round(48000 * 0.05 / (2 * np.pi))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 3])
    with pytest.raises(AudioError, match="damaged"):
        open_audio(path, 48000)


@pytest.mark.parametrize("name", ["späße ♫.wav".encode(), b"bad\xff.wav", b"x" * 251 + b".wav", b"a\nb.wav"])
def test_names_of_all_kinds_are_opened_and_shown(tmp_path: Path, name: bytes) -> None:
    path = os.fsencode(tmp_path) + b"/" + name
    Path(os.fsdecode(path)).write_bytes(wav())
    for spelling in (path, os.fsdecode(path)):
        with open_audio(spelling, RATE) as audio:
            assert sum(map(len, audio)) == 2 * RATE
            shown = audio.path
            shown.encode()
            assert "\n" not in shown
        assert probe(spelling).duration_s == 2.0
    if name == b"bad\xff.wav":
        assert shown.endswith(r"bad\xff.wav")


def test_mp3_and_flac_with_names_that_are_not_utf8_are_opened(tmp_path: Path) -> None:
    for container in ("FLAC", "MP3", "OGG"):
        path = os.fsencode(tmp_path) + b"/\xe9\xff." + container.encode()
        Path(os.fsdecode(path)).write_bytes(wav(container=container))
        with open_audio(path, RATE) as audio:
            assert sum(map(len, audio)) == pytest.approx(2 * RATE, abs=1200)


READER = """
import sys
from mira.audio import open_audio
from mira.errors import MiraError
try:
    with open_audio("-", 16000, raw_rate=int(sys.argv[1]) if len(sys.argv) > 1 else None) as audio:
        samples = sum(map(len, audio))
    print(samples, audio.path, audio.duration_s, *audio.warnings)
except MiraError as error:
    sys.exit(str(error))
"""


def piped(data: bytes, *args: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-c", READER, *args], input=data, capture_output=True)


@pytest.mark.parametrize("container", ["WAV", "FLAC", "OGG"])
def test_stdin_is_read(container: str) -> None:
    assert piped(wav(container=container)).stdout.split() == [b"32000", b"stdin", b"2.0"]


def test_stdin_takes_a_wav_whose_length_was_unknown_when_it_began() -> None:
    data = wav()
    streamed = data[:4] + b"\xff" * 4 + data[8:40] + b"\xff" * 4 + data[44:]
    assert piped(streamed).stdout.split() == [b"32000", b"stdin", b"2.0"]


def test_stdin_takes_raw_samples() -> None:
    pcm = wav(3.0, 8000)[44:]
    assert piped(pcm, "8000").stdout.split() == [b"48000", b"stdin", b"3.0"]
    assert b"half a sample" in piped(pcm + b"\0", "8000").stdout


@pytest.mark.parametrize(("data", "args"), [(b"", ()), (b"", ("8000",)), (b"hello", ()), (wav(), ("4",))])
def test_stdin_without_audio_is_refused(data: bytes, args: tuple[str, ...]) -> None:
    done = piped(data, *args)
    assert done.returncode == 1
    assert done.stderr.startswith(b"stdin: ") and done.stderr.count(b"\n") == 1


def test_a_raw_rate_for_a_file_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="stdin"):
        open_audio(tmp_path / "x.wav", RATE, raw_rate=8000)


def test_a_named_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(wav(30.0),))
    writer.start()
    with open_audio(pipe, RATE) as audio:
        assert sum(map(len, audio)) == 30 * RATE
    writer.join()


def test_a_named_pipe_without_a_writer_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(_input, "PIPE_PATIENCE_S", 0.05)
    with pytest.raises(AudioError, match="named pipe into which nothing was written"):
        open_audio(tmp_path / "pipe", RATE)
    with pytest.raises(AudioError, match="only once"):
        probe(tmp_path / "pipe")
