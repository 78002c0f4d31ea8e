"""The session: chunked equals whole, memory stays flat, and nothing that is not a number gets out."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from mira.card import Card, Output, read_card, write_card
from mira.errors import AudioError, ModelError, UsageError
from mira.session import Session
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

HOP = 64
RATE = 1600
"""Low, so that a chunk of many seconds is quick to run."""

WINDOW, KERNEL, LAYERS = 200, 5, 3
REACH = WINDOW // 2 + LAYERS * (KERNEL // 2) * HOP

Floats = NDArray[np.float32]


def make_model(path: Path, *, width: int = 6, second: bool = False, tail: str = "") -> Path:
    """A front end that strides by the hop and convolutions over time, all padded with zeros, biases and ReLU.

    ``second`` adds an output, ``tail`` a last operation.
    """
    rng = np.random.default_rng(3)

    def weights(name: str, *shape: int) -> onnx.TensorProto:
        scale = 1 / np.sqrt(np.prod(shape[1:]))
        return numpy_helper.from_array((rng.standard_normal(shape) * scale).astype("float32"), name)

    tensors = [
        weights("w", width, 1, WINDOW),
        weights("b", width),
        numpy_helper.from_array(np.array([1]), "one"),
    ]
    pads = [WINDOW // 2, WINDOW // 2 - HOP]
    nodes = [
        helper.make_node("Unsqueeze", ["waveform", "one"], ["x"]),
        helper.make_node("Conv", ["x", "w", "b"], ["h0"], strides=[HOP], pads=pads),
    ]
    for i in range(LAYERS):
        tensors += [weights(f"w{i}", width, width, KERNEL), weights(f"b{i}", width)]
        nodes += [
            helper.make_node("Relu", [f"h{i}"], [f"r{i}"]),
            helper.make_node("Conv", [f"r{i}", f"w{i}", f"b{i}"], [f"h{i + 1}"], pads=[KERNEL // 2] * 2),
        ]
    nodes.append(
        helper.make_node("Transpose", [f"h{LAYERS}"], ["onset" if not tail else "t"], perm=[0, 2, 1])
    )
    if tail:
        nodes.append(helper.make_node(tail, ["t"], ["onset"]))
    outputs = [helper.make_tensor_value_info("onset", TensorProto.FLOAT, [1, "frames", width])]
    if second:
        nodes.append(helper.make_node("Sigmoid", ["onset"], ["frame"]))
        outputs.append(helper.make_tensor_value_info("frame", TensorProto.FLOAT, [1, "frames", width]))
    waveform = helper.make_tensor_value_info("waveform", TensorProto.FLOAT, [1, "n"])
    model = helper.make_model(
        helper.make_graph(nodes, "g", [waveform], outputs, tensors),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    onnx.save(model, path)
    names = [output.name for output in outputs]
    card = Card(
        task="test",
        name="test",
        version="1",
        sample_rate=RATE,
        hop_length=HOP,
        receptive_field=(REACH, REACH),
        outputs=tuple(Output(name, ("frame", "channel")) for name in names),
        defaults={"threshold": 0.25},
    )
    write_card(path, card)
    return path


def whole(path: Path, audio: Floats) -> Floats:
    """One pass over the recording, filled up to a whole hop."""
    padded = np.zeros((len(audio) // HOP + 1) * HOP, np.float32)
    padded[: len(audio)] = audio
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["onset"], {"waveform": padded[None]})[0][0]


def split(audio: Floats, size: int) -> Iterator[Floats]:
    for start in range(0, len(audio), size):
        yield audio[start : start + size]


def noise(samples: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal(samples).astype("float32")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("session") / "m.onnx")


@pytest.fixture
def session(model: Path) -> Session:
    session = Session(model, threads=1)
    session.chunk_s = 10 * HOP / RATE
    return session


def restamp(model: Path, to: Path, **change: object) -> Path:
    to.write_bytes(model.read_bytes())
    write_card(to, dataclasses.replace(read_card(model), **change))
    return to


def test_no_sample_is_refused_before_the_graph_runs(session: Session) -> None:
    for blocks in ([], [np.zeros(0, np.float32)] * 3):
        with pytest.raises(AudioError, match="no audio"):
            session.run(blocks)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_activations_that_are_not_finite_are_an_error(session: Session, value: float) -> None:
    audio = noise(3000)
    audio[1000] = value
    with pytest.raises(ModelError, match="onset has values that are not finite"):
        session.run([audio])


def test_damaged_model_is_refused(model: Path, tmp_path: Path) -> None:
    data = bytearray(model.read_bytes())
    data[len(data) // 3] ^= 4
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(data)
    with pytest.raises(ModelError, match="damaged"):
        Session(bad)


def test_unknown_provider_is_a_usage_error_that_names_those_there(model: Path) -> None:
    with pytest.raises(UsageError, match=r"no provider 'warp'.*cpu"):
        Session(model, provider="warp")


def test_threads_below_one_are_a_usage_error(model: Path) -> None:
    with pytest.raises(UsageError, match="threads"):
        Session(model, threads=0)


def test_outputs_that_the_graph_lacks_are_an_error(model: Path, tmp_path: Path) -> None:
    wrong = restamp(model, tmp_path / "m.onnx", outputs=(Output("offset", ("frame",)),))
    with pytest.raises(ModelError, match="lacks: offset"):
        Session(wrong)


def test_a_card_with_the_wrong_hop_is_an_error(model: Path, tmp_path: Path) -> None:
    wrong = restamp(model, tmp_path / "m.onnx", hop_length=2 * HOP)
    with pytest.raises(ModelError, match=r"onset has shape .* not"):
        Session(wrong).run([noise(5000)])


def test_a_graph_onnxruntime_cannot_load_is_one_line(tmp_path: Path) -> None:
    path = make_model(tmp_path / "m.onnx", tail="NoSuchOperation")
    with pytest.raises(ModelError, match="onnxruntime cannot load it") as caught:
        Session(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "samples",
    [
        1,
        16,
        HOP - 1,
        HOP,
        HOP + 1,
        9 * HOP,
        10 * HOP - 1,
        10 * HOP,
        10 * HOP + 1,
        17 * HOP,
        18 * HOP + 5,
        100 * HOP,
    ]
    + [k * HOP for k in range(19, 32)],
)
def test_chunks_equal_one_pass_over_the_whole(session: Session, model: Path, samples: int) -> None:
    audio = noise(samples, seed=samples)
    got = session.run([audio]).arrays["onset"]
    assert got.shape[0] == samples // HOP + 1
    np.testing.assert_allclose(got, whole(model, audio), atol=1e-4)


@pytest.mark.parametrize("size", [1, 63, 640, 5000])
def test_the_size_of_blocks_does_not_matter(session: Session, size: int) -> None:
    audio = noise(2700)
    assert np.array_equal(
        session.run(split(audio, size)).arrays["onset"], session.run([audio]).arrays["onset"]
    )


def test_too_small_a_receptive_field_would_be_seen(model: Path, tmp_path: Path) -> None:
    wrong = Session(restamp(model, tmp_path / "m.onnx", receptive_field=(0, 0)), threads=1)
    wrong.chunk_s = 10 * HOP / RATE
    audio = noise(3000)
    assert np.abs(wrong.run([audio]).arrays["onset"] - whole(model, audio)).max() > 1e-2


def test_the_card_says_rate_hop_and_defaults(session: Session) -> None:
    activations = session.run([noise(2400)])
    assert (activations.sample_rate, activations.hop_length, activations.duration_s) == (RATE, HOP, 1.5)
    assert activations.defaults == {"threshold": 0.25}


def test_blocks_are_taken_as_they_are_needed(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    seen: list[int] = []

    def blocks() -> Iterator[Floats]:
        for i in range(50):
            taken.append(i)
            yield noise(10 * HOP)

    infer = session._infer
    monkeypatch.setattr(session, "_infer", lambda chunk: seen.append(len(taken)) or infer(chunk))
    session.run(blocks())
    assert seen[0] <= 4 and len(seen) >= 49


def test_every_full_chunk_has_the_same_shape(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    infer = session._infer
    monkeypatch.setattr(session, "_infer", lambda chunk: sizes.append(len(chunk)) or infer(chunk))
    session.run([noise(104 * HOP)])
    assert len(set(sizes[:-1])) == 1 and len(sizes) == 9 and sizes[-1] <= sizes[0]


def test_one_session_serves_several_threads(session: Session) -> None:
    audios = [noise(1000 + 700 * i, seed=i) for i in range(8)]
    alone = [session.run([audio]).arrays["onset"] for audio in audios]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda audio: session.run([audio]).arrays["onset"], audios * 3))
    assert all(np.array_equal(a, b) for a, b in zip(alone * 3, together))


def test_long_recordings_are_gathered_in_half_precision(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio = noise(60 * HOP)
    full = session.run([audio]).arrays["onset"]
    monkeypatch.setattr("mira.session.HALF_BYTES", full.nbytes // 2)
    half = session.run([audio]).arrays["onset"]
    assert (full.dtype, half.dtype, half.shape) == (np.float32, np.float16, full.shape)
    np.testing.assert_allclose(half, full, rtol=2**-10, atol=1e-4)


MEASURE = """
import sys
import numpy as np
from mira.session import Session

def peak():  # not ru_maxrss, which begins at the size of the process that started this one
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith("VmHWM"))

session = Session(sys.argv[1], threads=1)
block = np.random.default_rng(0).standard_normal(16000).astype("float32")
peaks = []
for minutes in (1, int(sys.argv[2])):
    activations = session.run(block for _ in range(minutes * 6))
    assert len(activations.arrays["onset"]) == minutes * 96000 // 64 + 1
    held = sum(a.nbytes for a in activations.arrays.values())
    del activations
    peaks.append(peak())
print(peaks[1] - peaks[0], held, peaks[1])
"""


@pytest.mark.parametrize("minutes", [20, 200])
def test_memory_grows_by_the_activations_alone(tmp_path: Path, minutes: int) -> None:
    """25 frames a second of 2 x 88 float32; 200 minutes are 211 MB, gathered as 106."""
    path = make_model(tmp_path / "m.onnx", width=88, second=True)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, path, str(minutes)], capture_output=True, text=True, check=True
    )
    growth, held, peak = (int(number) for number in done.stdout.split())
    assert done.stderr == ""
    assert growth < held + (40 << 20)
    assert peak < 400 << 20
