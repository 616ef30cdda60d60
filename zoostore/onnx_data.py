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
_MAX_FIELDS = 1_000_000
"""More than the largest models have; what is none must not be read byte by byte."""


def external_data(model: BinaryIO, size: int) -> set[str]:
    """The paths, relative to the model's folder, of the files that hold tensors of it.

    Args:
        model: the model, to be read anywhere in it.
        size: of it, in bytes.

    Returns:
        What was found; of a file that is no ONNX model, what could be read of it.
    """
    found: set[str] = set()
    messages = _Messages(model)
    pending = [(_MODEL, 0, size)]
    while pending and messages.left:
        kind, start, end = pending.pop()
        try:
            if kind == _ENTRY:
                found.update(messages.location(start, end))
                continue
            for field, at, length in messages.fields(start, end):
                below = _BELOW[kind].get(field)
                if below is not None:
                    pending.append((below, at, at + length))
        except (ValueError, EOFError):
            continue  # what is broken here says nothing of the rest
    return found


class _Messages:
    """Reads the messages of a file, as many fields as there may be in a model."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.left = _MAX_FIELDS

    def location(self, start: int, end: int) -> Iterator[str]:
        """The value of an entry whose key says that it is a location."""
        parts = {field: (at, length) for field, at, length in self.fields(start, end)}
        key, value = parts.get(_KEY), parts.get(_VALUE)
        if key is None or value is None or key[1] != len(_LOCATION):
            return
        if value[1] <= _MAX_LOCATION_BYTES and self._read(*key) == _LOCATION:
            yield self._read(*value).decode("utf-8")

    def fields(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """The fields of a message that hold bytes: number, offset and length."""
        at = start
        while at < end and self.left:
            self.left -= 1
            self._file.seek(at)
            tag = self._varint()
            field, wire = tag >> 3, tag & 7
            length = {_FIXED64: 8, _FIXED32: 4}.get(wire, 0)
            if wire == _VARINT:
                self._varint()
            elif wire == _BYTES:
                length = self._varint()
            elif not length:
                raise ValueError("no wire type of a message")
            at = self._file.tell()
            if at + length > end or not field:
                raise ValueError("a field is longer than its message, or has no number")
            if wire == _BYTES:
                yield field, at, length
            at += length

    def _varint(self) -> int:
        value = 0
        for position in range(_MAX_VARINT_BYTES):
            byte = self._read(None, 1)[0]
            value |= (byte & 0x7F) << (7 * position)
            if byte < 0x80:
                return value
        raise ValueError("a number is too long")

    def _read(self, at: int | None, length: int) -> bytes:
        if at is not None:
            self._file.seek(at)
        data = self._file.read(length)
        if len(data) < length:
            raise EOFError
        return data
