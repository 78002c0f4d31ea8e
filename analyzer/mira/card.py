"""The model card: one JSON document in the .onnx file that says what the model is and how it was made.

The card lies in the protobuf's metadata (``ModelProto.metadata_props``, field 14) under ``mira.card``. It is
read by walking over the file's top-level fields, without onnx or onnxruntime. Two SHA-256 sums guard the
file: ``graph_sha256`` covers every byte but the card's own entry, and the card's text ends with the sum of
what stands before it. So a file with one flipped bit is refused; onnxruntime would run most of them and give
other numbers.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from mira import __version__
from mira.errors import ModelError

CARD_FORMAT = 1
"""Version of the card's form; it grows when a field changes its meaning or goes."""

KEY = "mira.card"
_METADATA_PROPS = 14
_SEAL = ',"card_sha256":"'


@dataclass(frozen=True)
class Output:
    """One output of the graph: its name, what its axes mean, and the unit of its values."""

    name: str
    axes: tuple[str, ...]
    unit: str = ""


@dataclass(frozen=True)
class Source:
    """One set of recordings that went into the training, and what its licence allows."""

    name: str
    licence: str
    commercial: bool


@dataclass(frozen=True)
class Card:
    """What a model file says about itself.

    Parameters
    ----------
    task, name, version
        The task it serves, and its own name and version.
    sample_rate, hop_length
        The rate it hears in Hz, and the samples from one frame to the next.
    receptive_field
        (left, right): frame ``i`` depends on samples ``i * hop_length - left`` to ``i * hop_length + right``.
    outputs
        The graph's outputs.
    labels
        Name of an output or axis -> its labels in order.
    defaults
        Tuned settings; they fill settings that are left at ``None``.
    calibration
        How activations become probabilities.
    data
        What it was trained on.
    scores
        Name of a set -> measure -> value.
    recipe
        ``name`` and ``sha256`` of the recipe that trained it.
    mira
        The version of mira that made the file.
    graph_sha256
        SHA-256 over all of the file but the card; :func:`write_card` fills it in.
    format
        Version of the card's form.
    """

    task: str
    name: str
    version: str
    sample_rate: int
    hop_length: int
    receptive_field: tuple[int, int]
    outputs: tuple[Output, ...]
    labels: Mapping[str, list[str]] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, Any] = field(default_factory=dict)
    data: tuple[Source, ...] = ()
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    recipe: Mapping[str, str] = field(default_factory=dict)
    mira: str = __version__
    graph_sha256: str = ""
    format: int = CARD_FORMAT

    @property
    def commercial(self) -> bool:
        """Whether every source of the training data allows commercial use; False when none is named."""
        return bool(self.data) and all(source.commercial for source in self.data)

    def to_json(self) -> str:
        """JSON on one line, sealed by the SHA-256 of what stands before the seal."""
        body = json.dumps(dataclasses.asdict(self), separators=(",", ":"), allow_nan=False)
        return body[:-1] + _seal(body)

    @staticmethod
    def from_json(text: str) -> Card:
        """Read :meth:`to_json` back.

        Raises
        ------
        ModelError
            If the card is damaged, or of a newer format.
        """
        try:
            values = json.loads(text)
            newer = values["format"] > CARD_FORMAT
        except (ValueError, TypeError, KeyError):
            raise ModelError("the model card is damaged") from None
        if newer:
            made, reads = values["format"], CARD_FORMAT
            raise ModelError(
                f"made for card format {made}; this mira reads {reads}: pip install -U mira-audio"
            )
        body = text.rpartition(_SEAL)[0]
        if text != body + _seal(body + "}"):
            raise ModelError("the model card is damaged")
        return _card(values)


def read_card(path: str | os.PathLike[str]) -> Card:
    """Read the card of a model file; nothing but the metadata is read, and the graph is not checked.

    Raises
    ------
    ModelError
        If the file is missing, no ONNX file, truncated, without a card or with a damaged one, or made for a
        newer mira.
    """
    with _naming(path), open(path, "rb") as stream:
        return _the_card(stream)[0]


def load_bytes(path: str | os.PathLike[str]) -> tuple[Card, bytes]:
    """Read a model file as a whole, and check every byte of it against its card.

    Raises
    ------
    ModelError
        As :func:`read_card`, and if any bit of the file has changed since it was stamped.
    """
    with _naming(path):
        data = Path(path).read_bytes()
        card, start, end = _the_card(io.BytesIO(data))
        view = memoryview(data)
        if _digest(view[:start], view[end:]) != card.graph_sha256:
            raise ModelError("the file is damaged, its SHA-256 is not the one in its card; install it again")
    return card, data


def write_card(path: str | os.PathLike[str], card: Card) -> None:
    """Stamp a model file with a card, in place of the one it has; the file is replaced in one step.

    ``format`` and ``graph_sha256`` are filled in.

    Raises
    ------
    ModelError
        If the file is no ONNX file, or the card holds what a card cannot.
    """
    with _naming(path):
        data = Path(path).read_bytes()
        for _, start, end in reversed(list(_card_entries(io.BytesIO(data)))):
            data = data[:start] + data[end:]
        sealed = dataclasses.replace(card, format=CARD_FORMAT, graph_sha256=_digest(data))
        try:
            text = sealed.to_json()
        except (TypeError, ValueError) as error:
            raise ModelError(f"the card cannot be written as JSON: {error}") from None
        Card.from_json(text)
        _replace(Path(path), data + _field(_METADATA_PROPS, _KEY_FIELD + _field(2, text.encode())))


def _card(values: Mapping[str, Any]) -> Card:
    """Build a card from its JSON; unknown keys are ignored, so that a format can gain fields."""
    known = {f.name for f in dataclasses.fields(Card)}
    try:
        left, right = values["receptive_field"]
        given = {k: v for k, v in values.items() if k in known} | {
            "receptive_field": (left, right),
            "outputs": tuple(Output(o["name"], tuple(o["axes"]), o["unit"]) for o in values["outputs"]),
            "data": tuple(Source(s["name"], s["licence"], s["commercial"]) for s in values["data"]),
        }
        card = Card(**given)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"the model card lacks a field or has a wrong one: {error}") from None
    texts = (card.task, card.name, card.version, card.mira, card.graph_sha256)
    counts = (card.sample_rate - 1, card.hop_length - 1, left, right)
    if not all(isinstance(t, str) for t in texts) or not all(isinstance(n, int) and n >= 0 for n in counts):
        raise ModelError(
            "the model card has a name that is no text or a size that is no whole number above zero"
        )
    if not card.outputs:
        raise ModelError("the model card names no output")
    return card


def _seal(body: str) -> str:
    return f'{_SEAL}{hashlib.sha256(body.encode()).hexdigest()}"}}'


def _digest(*parts: bytes | memoryview) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


# The protobuf wire format, as far as it is needed (protobuf.dev/programming-guides/encoding).


def _the_card(stream: BinaryIO) -> tuple[Card, int, int]:
    """Find the one card, and where its entry starts and ends."""
    found = list(_card_entries(stream))
    if len(found) != 1:
        raise ModelError("no model card in it" if not found else "more than one model card in it")
    text, start, end = found[0]
    return Card.from_json(text), start, end


def _card_entries(stream: BinaryIO) -> Iterator[tuple[str, int, int]]:
    """Walk over the metadata; for each card give its text and where its entry starts and ends."""
    for number, start, body, end in _fields(stream):
        if number != _METADATA_PROPS:
            continue
        stream.seek(body)
        entry = stream.read(end - body)
        if not entry.startswith(_KEY_FIELD):
            continue
        value = entry[len(_KEY_FIELD) :]
        text = value[next((body for _, _, body, _ in _fields(io.BytesIO(value))), 0) :]
        if value != _field(2, text) or not text.isascii():
            raise ModelError("the model card is damaged")
        yield text.decode(), start, end


def _fields(stream: BinaryIO) -> Iterator[tuple[int, int, int, int]]:
    """Walk over the fields of a message: number, start, start of the content, end."""
    size = stream.seek(0, io.SEEK_END)
    if size == 0:
        raise ModelError("the file is empty")
    end = 0
    while end < size:
        start = stream.seek(end)
        number, kind = divmod(_varint(stream), 8)
        if kind == 0:
            _varint(stream)
            length = 0
        elif kind in _LENGTHS:
            length = _LENGTHS[kind]
        elif kind == 2:
            length = _varint(stream)
        else:
            raise ModelError("not an ONNX file")
        body = stream.tell()
        end = body + length
        if end > size:
            raise ModelError(f"not an ONNX file, or cut short: {size} bytes, where {end} should be")
        yield number, start, body, end


_LENGTHS = {1: 8, 5: 4}
"""Bytes of the fixed-size kinds."""


def _varint(stream: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = stream.read(1)
        if not byte:
            break
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise ModelError("not an ONNX file, or cut short")


def _field(number: int, content: bytes) -> bytes:
    """Encode one field of bytes."""
    return _encode_varint(number << 3 | 2) + _encode_varint(len(content)) + content


def _encode_varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


_KEY_FIELD = _field(1, KEY.encode())


@contextmanager
def _naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Put the file's name before the message of whatever goes wrong with it."""
    try:
        yield
    except ModelError as error:
        raise ModelError(f"{os.fspath(path)}: {error}") from None
    except OSError as error:
        raise ModelError(f"{os.fspath(path)}: cannot use this model file: {error.strerror}") from error


def _replace(path: Path, data: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        shutil.copymode(path, temporary)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
