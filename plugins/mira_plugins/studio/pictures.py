"""What a recording looks like: peaks of its waveform, and what the note model's own front end makes of it.

Both are computed in one pass and kept as bytes by the recording's content. The spectrogram is the output of
the graph's front end, cut out of the model file, so what is seen is what the network saw.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from mira.audio import open_audio
from mira.card import Card, load_bytes
from mira.results import Notes
from mira.session import INPUT, chunks
from numpy.typing import NDArray

from mira_plugins.chords.graph import encode, fields
from mira_plugins.studio.listening import Watched, duration_of

if TYPE_CHECKING:
    import onnxruntime
    from mira.task import Task

    from mira_plugins.studio.library import Track
    from mira_plugins.studio.listening import Report

PEAK_SAMPLES = 256
"""Samples behind one pair of peaks."""
TILE = 512
"""Columns of a tile."""
LEVELS = 8
"""A tile of level n shows the largest of 2 ** n frames in each column."""

_FRONT = b"/front/"
_LOUDEST = 6.5
"""Of the front end's logarithms; what is louder is as bright."""
_CHUNK_S, _OVERLAP_S = 30.0, 3.0
_BINS, _FIRST_PITCH = 3, 21 - 1 / 3
"""Bins a semitone, and MIDI pitch of the first bin, as in the note model."""

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Picture:
    """What there is to see of a recording.

    Parameters
    ----------
    peaks
        Shape (point, 2), int8: lowest and highest sample of each 256.
    spectrum
        Shape (frame, bin), uint8, bins from low to high; no frame if there is no note model.
    rate
        Samples a second behind the peaks.
    hop_s
        Seconds from frame to frame.
    """

    peaks: NDArray[np.int8]
    spectrum: Bytes
    rate: int
    hop_s: float

    def described(self) -> dict[str, Any]:
        """What the page needs to know to ask for tiles."""
        return {
            "frames": len(self.spectrum),
            "bins": self.spectrum.shape[1],
            "hop_s": self.hop_s,
            "tile": TILE,
            "levels": LEVELS,
            "first_pitch": _FIRST_PITCH,
            "bins_per_semitone": _BINS,
            "peak_s": PEAK_SAMPLES / self.rate,
        }

    def tile(self, level: int, index: int) -> bytes | None:
        """Columns of a tile, one after the other; None where there is none."""
        span = TILE << level
        if not 0 <= level < LEVELS or not 0 <= index * span < len(self.spectrum):
            return None
        part = self.spectrum[index * span : (index + 1) * span]
        return np.maximum.reduceat(part, np.arange(0, len(part), 1 << level), axis=0).tobytes()


class Pictures:
    """Pictures, kept in a folder.

    Parameters
    ----------
    folder
        Where they are kept.
    tasks
        All tasks; the first one that writes notes with a model lends its front end.
    """

    def __init__(self, folder: Path, tasks: Mapping[str, Task]) -> None:
        self._folder = folder / "pictures"
        self._folder.mkdir(parents=True, exist_ok=True)
        models = [task.model for task in tasks.values() if issubclass(task.result, Notes) and task.model]
        self._model = models[0] if models else None
        self._front: tuple[Card, onnxruntime.InferenceSession] | None = None

    def find(self, content: str) -> Picture | None:
        """The picture of a recording with this content, if it has been made."""
        place = self._place(content)
        try:
            with open(place, "rb") as stream:
                rate, hop_s = (float(value) for value in np.load(stream))
                peaks = np.load(stream)
                spectrum = np.load(stream)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError):  # damaged: as good as not there
            place.unlink(missing_ok=True)
            return None
        return Picture(peaks, spectrum, int(rate), hop_s)

    def make(self, content: str, track: Track, report: Report) -> None:
        """Make the picture of a recording."""
        front = self._front_end()
        rate, hop = (front[0].sample_rate, front[0].hop_length) if front else (16000, 512)
        peaks: list[NDArray[np.int8]] = []
        with Watched(open_audio(track.path, rate), duration_of(track.path), report) as audio:
            blocks = _peaked(audio, peaks)
            columns = (
                list(_columns(blocks, *front)) if front else [np.zeros((0, 1), np.uint8) for _ in blocks]
            )
        place = self._place(content)
        temporary = place.with_name(f".{place.name}.{os.getpid()}")
        try:
            with open(temporary, "wb") as stream:
                np.save(stream, np.array([rate, hop / rate]))
                np.save(stream, np.concatenate(peaks))
                np.save(stream, np.concatenate(columns))
            os.replace(temporary, place)
        finally:
            temporary.unlink(missing_ok=True)

    def _place(self, content: str) -> Path:
        name = hashlib.sha256(f"{content} {self._identity()}".encode()).hexdigest()[:32]
        return self._folder / f"{name}.npy"

    def _identity(self) -> str:
        from mira.card import read_card

        return read_card(self._model).graph_sha256 if self._model else ""

    def _front_end(self) -> tuple[Card, onnxruntime.InferenceSession] | None:
        import onnxruntime

        if self._front is None and self._model is not None:
            card, model = load_bytes(self._model)
            graph = front_end(model)
            if graph is not None:
                options = onnxruntime.SessionOptions()
                options.intra_op_num_threads = 1
                session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
                self._front = card, session
        return self._front


def front_end(model: bytes) -> bytes | None:
    """Cut a model off after its front end, whose nodes the exporter calls ``/front/...``.

    The runtime drops the nodes that the one output does not need. None if there is no front end of that name.
    """
    parts = []
    last = b""
    for number, kind, content in fields(model):
        if number == 7:  # the graph
            graph = list(fields(content))
            nodes = [node for found, _, node in graph if found == 1]
            names = [name for node in nodes for found, _, name in fields(node) if found == 2]
            last = next((name for name in reversed(names) if name.startswith(_FRONT)), b"")
            kept = [encode(found, part, how) for found, how, part in graph if found != 12]
            content = b"".join(kept) + encode(12, encode(1, last))
        parts.append(encode(number, content, kind))
    return b"".join(parts) if last else None


def _peaked(
    audio: Iterable[NDArray[np.float32]], peaks: list[NDArray[np.int8]]
) -> Iterator[NDArray[np.float32]]:
    """Hand blocks on; the last few samples of a block belong to the next block's peaks."""
    rest = np.zeros(0, np.float32)
    for block in audio:
        joined = np.concatenate([rest, block])
        whole = len(joined) // PEAK_SAMPLES * PEAK_SAMPLES
        peaks.append(_extremes(joined[:whole].reshape(-1, PEAK_SAMPLES)))
        rest = joined[whole:]
        yield block
    if len(rest):
        peaks.append(_extremes(rest[None]))


def _extremes(rows: NDArray[np.float32]) -> NDArray[np.int8]:
    ends = np.stack([rows.min(axis=1), rows.max(axis=1)], axis=1)
    return np.rint(np.clip(ends, -1, 1) * 127).astype(np.int8)


def _columns(
    blocks: Iterator[NDArray[np.float32]], card: Card, session: onnxruntime.InferenceSession
) -> Iterator[Bytes]:
    hop = card.hop_length
    overlap, core = (math.ceil(s * card.sample_rate / hop) for s in (_OVERLAP_S, _CHUNK_S))
    for chunk, first, count, _ in chunks(blocks, hop, overlap, core, overlap):
        loud = session.run(None, {INPUT: chunk[None]})[0][0, 0].T[first : first + count]
        yield np.rint(np.clip(loud / _LOUDEST, 0, 1) * 255).astype(np.uint8)
