"""External data: which other files an ONNX model keeps its tensors in.

ONNX and ONNX Runtime refuse such a file if they reach it through a link: onnx since 1.21
through a hard or a symbolic one, onnxruntime since 1.24 through a symbolic one that leads
out of the model's folder. So whoever lays a model out must know them. The model is not
loaded: its messages are walked, and the tensors in them are skipped.

Source: onnx/onnx.proto, for the numbers of the fields; developers.google.com, "Protocol
Buffers: Encoding", for how they are written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import BinaryIO, Final

_MODEL, _GRAPH, _FUNCTION, _NODE, _ATTRIBUTE, _SPARSE, _TENSOR, _ENTRY = range(8)

_BELOW: Final[Mapping[int, Mapping[int, int]]] = {
    _MODEL: {7: _GRAPH, 25: _FUNCTION},
    _GRAPH: {1: _NODE, 5: _TENSOR, 15: _SPARSE},
    _FUNCTION: {7: _NODE},
    _NODE: {5: _ATTRIBUTE},
    _ATTRIBUTE: {5: _TENSOR, 6: _GRAPH, 10: _TENSOR, 11: _GRAPH, 22: _SPARSE, 23: _SPARSE},
    _SPARSE: {1: _TENSOR, 2: _TENSOR},
    _TENSOR: {13: _ENTRY},
}
"""Of each message, the fields that lead to tensors, and what message each of them is."""

_KEY, _VALUE = 1, 2
_LOCATION = b"location"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT_BYTES = 10
_MAX_LOCATION_BYTES = 4096


def external_data(model: BinaryIO, size: int) -> set[str]:
    """The paths, relative to the model's folder, of the files that hold tensors of it.

    Args:
        model: the model, to be read anywhere in it.
        size: of it, in bytes.

    Returns:
        What was found; of a file that is no ONNX model, what could be read of it.
    """
    found: set[str] = set()
    pending = [(_MODEL, 0, size)]
    try:
        while pending:
            kind, start, end = pending.pop()
            if kind == _ENTRY:
                found.update(_location(model, start, end))
                continue
            for field, at, length in _fields(model, start, end):
                below = _BELOW[kind].get(field)
                if below is not None:
                    pending.append((below, at, at + length))
    except (ValueError, EOFError):
        pass
    return found


def _location(model: BinaryIO, start: int, end: int) -> Iterator[str]:
    parts = {field: (at, length) for field, at, length in _fields(model, start, end)}
    if parts.keys() != {_KEY, _VALUE} or parts[_VALUE][1] > _MAX_LOCATION_BYTES:
        return
    if _read(model, *parts[_KEY]) == _LOCATION:
        yield _read(model, *parts[_VALUE]).decode("utf-8")


def _fields(model: BinaryIO, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The fields of a message that hold bytes: number, offset and length."""
    at = start
    while at < end:
        model.seek(at)
        tag = _varint(model)
        field, wire = tag >> 3, tag & 7
        length = {_FIXED64: 8, _FIXED32: 4}.get(wire, 0)
        if wire == _VARINT:
            _varint(model)
        elif wire == _BYTES:
            length = _varint(model)
        elif not length:
            raise ValueError("no wire type of a message")
        at = model.tell()
        if at + length > end:
            raise ValueError("a field is longer than its message")
        if wire == _BYTES:
            yield field, at, length
        at += length


def _varint(model: BinaryIO) -> int:
    value = 0
    for position in range(_MAX_VARINT_BYTES):
        byte = _read(model, None, 1)[0]
        value |= (byte & 0x7F) << (7 * position)
        if byte < 0x80:
            return value
    raise ValueError("a number is too long")


def _read(model: BinaryIO, at: int | None, length: int) -> bytes:
    if at is not None:
        model.seek(at)
    data = model.read(length)
    if len(data) < length:
        raise EOFError
    return data
