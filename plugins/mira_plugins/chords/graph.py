"""The second half of an ONNX graph, cut out of the file without the onnx package."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mira.errors import ModelError

# Field numbers of the protobuf messages (onnx.proto).
_GRAPH = 7
_NODE, _INITIALIZER, _INPUT, _OUTPUT, _VALUE_INFO = 1, 5, 11, 12, 13
_NODE_INPUT, _NODE_OUTPUT = 1, 2
_VALUE_NAME, _TENSOR_NAME = 1, 8

Field = tuple[int, int, bytes]
"""Number, wire type, content (of a varint: its bytes)."""


def cut_graph(model: bytes, start: str, ends: Sequence[str]) -> bytes:
    """A model from the tensor ``start``, one of the given model's outputs, to the outputs ``ends``.

    Raises
    ------
    ModelError
        If the model has no such output, or the ends cannot be reached from it alone.
    """
    whole = list(fields(model))
    graph = list(fields(next(content for number, _, content in whole if number == _GRAPH)))
    outputs = {_name(content, _VALUE_NAME): content for number, _, content in graph if number == _OUTPUT}
    missing = [name for name in (start, *ends) if name not in outputs]
    if missing:
        raise ModelError(f"the model has no output '{missing[0]}'; it has: {', '.join(outputs)}")
    nodes = [content for number, _, content in graph if number == _NODE]
    kept, needed = _upstream(nodes, start, ends)
    inputs = {_name(content, _VALUE_NAME) for number, _, content in graph if number == _INPUT}
    if needed & inputs:
        raise ModelError(f"the model's outputs do not depend on '{start}' alone, so it cannot be cut there")
    body = b"".join(encode(_NODE, node) for node in kept)
    for number, kind, content in graph:
        if number in (_NODE, _INPUT, _OUTPUT, _VALUE_INFO):
            continue
        if number != _INITIALIZER or _name(content, _TENSOR_NAME) in needed:
            body += encode(number, content, kind)
    body += encode(_INPUT, outputs[start]) + b"".join(encode(_OUTPUT, outputs[name]) for name in ends)
    return b"".join(
        encode(number, body if number == _GRAPH else content, kind) for number, kind, content in whole
    )


def _upstream(nodes: Sequence[bytes], start: str, ends: Sequence[str]) -> tuple[list[bytes], set[str]]:
    """Nodes between the start and the ends, in order, and all tensors that they read."""
    needed, kept = set(ends), []
    for node in reversed(nodes):
        parts = [(number, content.decode()) for number, _, content in fields(node) if number <= _NODE_OUTPUT]
        made = {name for number, name in parts if number == _NODE_OUTPUT}
        if start not in made and made & needed:
            kept.append(node)
            needed |= {name for number, name in parts if number == _NODE_INPUT and name}
    return kept[::-1], needed


def _name(message: bytes, number: int) -> str:
    return next((content.decode() for found, _, content in fields(message) if found == number), "")


def fields(message: bytes) -> Iterator[Field]:
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        kind = tag & 7
        start = place
        if kind == 2:
            length, start = _varint(message, place)
            place = start + length
        elif kind == 0:
            place = _varint(message, place)[1]
        else:
            place += {1: 8, 5: 4}[kind]
        yield tag >> 3, kind, message[start:place]


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place


def encode(number: int, content: bytes, kind: int = 2) -> bytes:
    length = _encode_varint(len(content)) if kind == 2 else b""
    return _encode_varint(number << 3 | kind) + length + content


def _encode_varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
