"""From the chord network's activations to what recordings are compared by."""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from mira.card import load_bytes
from mira.errors import DataError, PluginError
from mira.task import Activations
from numpy.typing import NDArray

from mira_plugins.cover import MODEL, CoverPrint

if TYPE_CHECKING:
    import onnxruntime

Floats = NDArray[np.float32]

POOLED: Final = 10
"""Frames of the chord network that make one here: 0.46 s."""
DIMENSION: Final = 256
"""Of the vectors."""
SHORTEST: Final = 32
"""Frames that the network sees at least; shorter recordings are followed by silence."""
SEGMENT: Final = 64
"""Frames of a stretch with a vector of its own, 30 s; the next begins in its middle."""
_HEAD = struct.Struct("<IIIf")


def print_of(activations: Activations, model: Path = MODEL) -> CoverPrint:
    """What a recording is compared by; ``model`` makes the vectors.

    Raises
    ------
    PluginError
        If the chord model gives no chroma.
    """
    heard = activations.needed["chords"]
    if "chroma" not in heard.arrays:
        raise PluginError("cover: the chord model has no output 'chroma'; use mira's own")
    frames = pitch_classes(np.asarray(heard.arrays["chroma"], np.float32))
    return print_of_frames(frames, POOLED * heard.hop_s, heard.duration_s, model)


def print_of_frames(frames: Floats, frame_s: float, duration_s: float, model: Path = MODEL) -> CoverPrint:
    """The same from pitch classes of shape (frame, 12), ``frame_s`` seconds apart."""
    starts = range(0, max(len(frames) - SEGMENT // 2, 1), SEGMENT // 2)
    vectors = [embed(frames, model), *(embed(frames[s : s + SEGMENT], model) for s in starts)]
    return CoverPrint(
        duration_s,
        vector=vectors[0],
        time_s=np.array(starts) * frame_s,
        sequence=np.stack(vectors[1:]),
        frames=frames,
        frame_s=frame_s,
    )


def pitch_classes(chroma: Floats) -> Floats:
    """Means over :data:`POOLED` frames of the treble, compressed and of unit length.

    Parameters
    ----------
    chroma
        Shape (frame, 24): bass and treble, from A.

    Returns
    -------
    array
        Shape (frame / POOLED, 12), from C; at least one frame.
    """
    treble = np.roll(chroma[:, 12:], -3, axis=1)
    count = len(treble) // POOLED
    pooled = treble[: count * POOLED].reshape(count, POOLED, 12).mean(1) if count else treble.mean(0)[None]
    return unit(np.sqrt(np.maximum(pooled, 0)))


def unit(rows: Floats) -> Floats:
    """Rows of length 1; those of zeros stay."""
    return (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)).astype(np.float32)


def embed(frames: Floats, model: Path = MODEL) -> Floats:
    """The network's vector for pitch classes of shape (frame, 12)."""
    padded = np.pad(frames, ((0, max(SHORTEST - len(frames), 0)), (0, 0)))
    (vector,) = _graph(model).run(None, {"features": np.ascontiguousarray(padded.T[None])})
    return unit(vector)[0]


@cache
def _graph(model: Path) -> onnxruntime.InferenceSession:
    """The network; it is small, so one thread is the quickest."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(load_bytes(model)[1], options, providers=["CPUExecutionProvider"])


def pack(found: CoverPrint) -> bytes:
    """A print as bytes: pitch classes in 8 bits, vectors in 32."""
    head = _HEAD.pack(len(found.frames), len(found.sequence), len(found.vector), found.frame_s)
    frames = np.rint(found.frames * 255).astype(np.uint8)
    return head + frames.tobytes() + found.vector.tobytes() + found.sequence.astype(np.float32).tobytes()


def unpack(data: bytes, duration_s: float) -> CoverPrint:
    """The print that :func:`pack` packed.

    Raises
    ------
    DataError
        If the bytes are none.
    """
    try:
        frames, segments, size, frame_s = _HEAD.unpack_from(data)
        first, second = _HEAD.size + 12 * frames, _HEAD.size + 12 * frames + 4 * size
        classes = np.frombuffer(data[_HEAD.size : first], np.uint8).reshape(frames, 12)
        vector = np.frombuffer(data[first:second], np.float32).reshape(size)
        sequence = np.frombuffer(data[second:], np.float32).reshape(segments, size)
    except (struct.error, ValueError) as error:
        raise DataError(f"a stored print has another form than it should: {error}") from None
    time_s = np.arange(segments) * (SEGMENT // 2) * frame_s
    return CoverPrint(duration_s, vector, time_s, sequence, unit(classes.astype(np.float32)), frame_s)
