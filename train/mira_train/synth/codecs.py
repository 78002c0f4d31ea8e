"""What lossy files do to music: there and back through MP3, Ogg Vorbis or Opus, in memory."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
import soundfile
import soxr
from numpy.random import Generator
from numpy.typing import NDArray

Audio = NDArray[np.float32]

_MPEG = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
CODECS: Mapping[str, tuple[str, str, tuple[int, ...]]] = {
    "mp3": ("MP3", "MPEG_LAYER_III", _MPEG),
    "vorbis": ("OGG", "VORBIS", ()),
    "opus": ("OGG", "OPUS", (8000, 12000, 16000, 24000, 48000)),
}
"""Format and subtype as libsndfile calls them, and the rates in Hz that they have; none for any."""
SHARE = 0.25
"""Share of the clips that are compressed."""


def compressed(audio: Audio, sample_rate: int, rng: Generator) -> tuple[Audio, str]:
    """A clip as it is, or as a random codec leaves it; and the codec's name, empty if there was none."""
    if rng.random() >= SHARE:
        return audio, ""
    name = str(rng.choice(list(CODECS)))
    return through(audio, sample_rate, name, float(rng.uniform(0.3, 0.98))), name


def through(audio: Audio, sample_rate: int, codec: str, level: float) -> Audio:
    """Compress and read again; times do not move, and the length stays.

    Parameters
    ----------
    audio
        Shape (sample,).
    codec
        One of :data:`CODECS`.
    level
        From 0, large files, to 1, small ones.
    """
    form, subtype, rates = CODECS[codec]
    rate = sample_rate if not rates else next((r for r in rates if r >= sample_rate), rates[-1])
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", rate, 1, subtype, format=form, compression_level=level) as writer:
        writer.write(np.clip(_at(audio, sample_rate, rate), -1, 1))
    file.seek(0)
    heard = _at(soundfile.read(file, dtype="float32")[0], rate, sample_rate)[: len(audio)]
    return np.pad(heard, (0, len(audio) - len(heard)))


def _at(audio: Audio, rate: int, wanted: int) -> Audio:
    return audio if rate == wanted else np.asarray(soxr.resample(audio, rate, wanted), np.float32)
