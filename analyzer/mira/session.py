"""One ONNX model, run over a recording of any length in constant memory.

The graph takes ``waveform``, float32 of shape (1, n) with n a multiple of the hop, and gives outputs of shape
(1, n / hop, ...); frame ``i`` is centred on sample ``i * hop_length``. A recording is cut into chunks that
overlap by the receptive field; the frames that a cut could have touched are dropped, so what is left equals
one pass over the whole, whose ends are those of the recording.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mira.card import load_bytes
from mira.errors import AudioError, ModelError, UsageError
from mira.task import Activations

if TYPE_CHECKING:
    import numpy as np
    import onnxruntime
    from numpy.typing import NDArray

INPUT = "waveform"
"""Name of every graph's one input."""

HALF_BYTES = 64 << 20
"""Activations that grow past this are gathered as float16, so that an hour fits under the memory ceiling."""


class Session:
    """A model ready to run; one is enough for a process, and several threads may use it at once.

    Parameters
    ----------
    model
        Path of the .onnx file.
    threads
        Threads for one run; as many as this process may use cores if not given.
    provider
        ``cpu``, or another that the installed onnxruntime has, such as ``cuda``.

    Attributes
    ----------
    card
        The model's card.
    chunk_s
        Seconds of a recording that go through the graph at once, beside what they depend on: as long as that,
        though 20 to 30 s. Shorter ones would be heard twice for the most part, longer ones take memory.

    Raises
    ------
    ModelError
        If the file is missing, damaged, for a newer mira, or not the graph that its card describes.
    UsageError
        If there is no such provider, or ``threads`` is less than 1.
    """

    def __init__(self, model: Path, *, threads: int | None = None, provider: str | None = None) -> None:
        if threads is not None and threads < 1:
            raise UsageError(f"threads is {threads}, but must be at least 1")
        self.model = model
        self.card, graph = load_bytes(model)
        self.chunk_s = min(max(sum(self.card.receptive_field) / self.card.sample_rate, 20.0), 30.0)
        self._session = _onnx_session(graph, threads or usable_cores(), _provider(provider), model)
        self._names = [output.name for output in self.card.outputs]
        self._check_graph()

    def run(self, blocks: Iterable[NDArray[np.float32]]) -> Activations:
        """Run the model over a recording.

        Parameters
        ----------
        blocks
            Mono float32 arrays of any length at the card's sample rate; they are taken one at a time.

        Returns
        -------
        Activations
            ``n // hop_length + 1`` frames for n samples, as float32, or as float16 where float32 would take
            more than 64 MiB: an hour of 4 outputs of 88 pitches at 31 frames a second is then 79 MB.

        Raises
        ------
        AudioError
            If there is no sample.
        ModelError
            If the model gives something that is no finite number, or other shapes than its card says.
        """
        card = self.card
        left, right = (math.ceil(samples / card.hop_length) for samples in card.receptive_field)
        core = max(1, round(self.chunk_s * card.sample_rate / card.hop_length))
        gathered: dict[str, NDArray[np.float32]] = {}
        duration_s = 0.0
        for chunk, first, frames, heard in chunks(blocks, card.hop_length, left, core, right):
            for name, values in zip(self._names, self._infer(chunk)):
                gathered[name] = _append(gathered.get(name), values[0, first : first + frames])
            duration_s = heard / card.sample_rate
            if sum(a.nbytes for a in gathered.values()) > HALF_BYTES:
                for name in self._names:
                    gathered[name] = gathered[name].astype("float16", copy=False)
        told = {**card.calibration, **card.defaults}
        return Activations(gathered, card.sample_rate, card.hop_length, duration_s, told)

    def _infer(self, chunk: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        import numpy as np

        frames = len(chunk) // self.card.hop_length
        try:
            outputs = self._session.run(self._names, {INPUT: chunk[None]})
        except _onnx_errors() as error:
            raise ModelError(f"{self.model}: onnxruntime cannot run it: {_one_line(error)}") from error
        for name, values in zip(self._names, outputs):
            if values.ndim < 2 or values.shape[:2] != (1, frames):
                raise ModelError(f"{self.model}: {name} has shape {values.shape}, not (1, {frames}, ...)")
            if not np.isfinite(values).all():
                raise ModelError(f"{self.model}: {name} has values that are not finite")
        return outputs

    def _check_graph(self) -> None:
        inputs = [node.name for node in self._session.get_inputs()]
        if inputs != [INPUT]:
            raise ModelError(f"{self.model}: its inputs are {', '.join(inputs)}, not just {INPUT}")
        missing = set(self._names) - {node.name for node in self._session.get_outputs()}
        if missing:
            raise ModelError(
                f"{self.model}: its card names outputs that it lacks: {', '.join(sorted(missing))}"
            )


def usable_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def chunks(
    blocks: Iterable[NDArray[np.float32]], hop: int, left: int, core: int, right: int
) -> Iterator[tuple[NDArray[np.float32], int, int, int]]:
    """Cut a recording into chunks of ``left + core + right`` frames that overlap by ``left + right``.

    Gives the chunk (valid until the next is asked for), the first of its frames that counts, how many do, and
    the samples heard so far. The last chunk is only as long as it must be.
    """
    import numpy as np

    chunk = np.zeros((left + core + right) * hop, np.float32)
    filled = heard = done = first = 0
    for block in blocks:
        heard += len(block)
        while block.size:
            taken = block[: len(chunk) - filled]
            chunk[filled : filled + len(taken)] = taken
            filled += len(taken)
            block = block[len(taken) :]
            if filled == len(chunk):
                frames = left + core - first
                yield chunk, first, frames, heard
                done += frames
                first = left
                filled = (left + right) * hop
                chunk[:filled] = chunk[core * hop :]
    if not heard:
        raise AudioError("there is no audio: not a single sample")
    frames = heard // hop + 1 - done
    chunk[filled:] = 0
    yield chunk[: (first + frames) * hop], first, frames, heard


def _append(gathered: NDArray[np.float32] | None, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Grow an array in place; joining a list of parts at the end would hold everything twice."""
    if gathered is None:
        return values.copy()
    start = len(gathered)
    gathered.resize((start + len(values), *values.shape[1:]), refcheck=False)
    gathered[start:] = values
    return gathered


def _onnx_session(graph: bytes, threads: int, provider: str, model: Path) -> onnxruntime.InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # The pattern of allocations is kept for each shape: no faster here, and half as much memory again.
    options.enable_mem_pattern = False
    try:
        session = onnxruntime.InferenceSession(graph, options, providers=[provider])
    except _onnx_errors() as error:
        raise ModelError(f"{model}: onnxruntime cannot load it: {_one_line(error)}") from error
    if session.get_providers()[0] != provider:
        raise UsageError(f"onnxruntime cannot use {provider} here; leave out --provider to run on the CPU")
    return session


def _provider(wish: str | None) -> str:
    """Find the full name of a provider: ``cuda`` is ``CUDAExecutionProvider``."""
    import onnxruntime

    known = {p.removesuffix("ExecutionProvider").lower(): p for p in onnxruntime.get_available_providers()}
    short = (wish or "cpu").removesuffix("ExecutionProvider").lower()
    if short not in known:
        raise UsageError(f"no provider '{wish}' in this onnxruntime; it has: {', '.join(sorted(known))}")
    return known[short]


def _onnx_errors() -> tuple[type[Exception], ...]:
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return (
        state.Fail,
        state.InvalidArgument,
        state.InvalidGraph,
        state.InvalidProtobuf,
        state.NotImplemented,
        state.RuntimeException,
        state.EPFail,
    )


def _one_line(error: Any) -> str:
    return " ".join(str(error).split())
