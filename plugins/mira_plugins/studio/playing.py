"""The sound that the page plays: the file itself where browsers can, else a WAV copy of it."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mira_plugins.studio.library import Track

RATE = 44100

TYPES = {
    ".aac": "audio/aac", ".flac": "audio/flac", ".m4a": "audio/mp4", ".mp3": "audio/mpeg",
    ".oga": "audio/ogg", ".ogg": "audio/ogg", ".opus": "audio/ogg", ".wav": "audio/wav",
    ".wave": "audio/wav", ".webm": "audio/webm",
}  # fmt: skip
"""What browsers play, by suffix."""


def playable(track: Track, content: str, folder: Path, *, copy: bool) -> tuple[Path, str]:
    """File and media type of a recording's sound.

    Parameters
    ----------
    copy
        Make the WAV copy even where the browser should be able to play the file; it has tried and could not.

    Raises
    ------
    AudioError
        If the recording cannot be read.
    """
    kind = TYPES.get(os.path.splitext(track.path)[1].lower())
    if kind and not copy:
        return Path(track.path), kind
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{hashlib.sha256(content.encode()).hexdigest()[:32]}.wav"
    if not place.exists():
        _write_copy(track.path, place)
    return place, "audio/wav"


def _write_copy(path: str, place: Path) -> None:
    import numpy as np
    import soundfile
    from mira.audio import open_audio

    temporary = place.with_name(f".{secrets.token_hex(8)}")
    try:
        with (
            open_audio(path, RATE) as audio,
            soundfile.SoundFile(temporary, "w", RATE, 1, "PCM_16", format="WAV") as stream,
        ):
            for block in audio:
                stream.write(np.clip(block, -1, 1))
        os.replace(temporary, place)
    finally:
        temporary.unlink(missing_ok=True)
