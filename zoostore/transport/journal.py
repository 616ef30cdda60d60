"""The journal of a partial file: which of its grains are on the disk, and what they hold.

A journal is text. Each line ends with the CRC-32 of what is before it, so that a line that a
crash tore, and all lines after it, count for nothing. The first line says what the file is a
part of; each other line is a grain: its number and the BLAKE3 of its bytes.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from zoostore.digest import OID_HEX, Oid
from zoostore.errors import UsageError

GRAIN = 1 << 20
"""A file is known to be right in pieces of so many bytes. A process that is killed loses one
for each of its connections."""

JOURNAL = ".journal"
_NEW = ".new"
JOURNAL_SUFFIXES = (JOURNAL, _NEW)
"""What the names of a journal end in: one that is whole, and one that is being written."""

_FORMAT = 1
_MAX_BYTES = 1 << 30
_MAX_SIZE = 1 << 63
_NUMBER_DIGITS = 20
_NONE: Mapping[int, Oid] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class State:
    """Which content a partial file is a part of, where no digest says it.

    Attributes:
        size: of the whole, in bytes; None if that is not known.
        place: what tells the place that it comes from; empty if that does not matter.
        validator: what that place calls this state of it: an ETag, or a date.
    """

    size: int | None = None
    place: str = ""
    validator: str = ""


class Journal:
    """Appends to a journal. What it says need not be durable: whoever reads it looks and sees."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def begin(self, state: State, grains: Mapping[int, Oid] = _NONE) -> None:
        """Write a new one, which takes the place of the old one when it is whole."""
        self.close()
        head = json.dumps({"format": _FORMAT, "grain": GRAIN, **asdict(state)})
        lines = [head, *(f"{grain} {oid}" for grain, oid in grains.items())]
        new = self._path.with_suffix(_NEW)
        with open(new, "wb") as file:
            file.writelines(map(_line, lines))
        os.replace(new, self._path)
        self._file = open(self._path, "ab", buffering=0)  # noqa: SIM115 - kept open

    def add(self, grain: int, oid: Oid) -> None:
        if self._file is not None:
            self._file.write(_line(f"{grain} {oid}"))

    def remove(self) -> None:
        self.close()
        self._path.unlink(missing_ok=True)


def _line(text: str) -> bytes:
    data = text.encode()
    return b"%b %08x\n" % (data, zlib.crc32(data))


def read_journal(path: Path) -> tuple[State, dict[int, Oid]] | None:
    """What a journal says, up to the first line that is torn; None if that is nothing."""
    try:
        with open(path, "rb") as file:
            lines = _whole_lines(file)
            state = _state(next(lines, b""))
            return None if state is None else (state, dict(_grains(lines)))
    except FileNotFoundError:
        return None


def _whole_lines(file: BinaryIO) -> Iterator[bytes]:
    for line in file.read(_MAX_BYTES).split(b"\n"):
        data, _, checksum = line.rpartition(b" ")
        if checksum != b"%08x" % zlib.crc32(data):
            return
        yield data


def _state(line: bytes) -> State | None:
    try:
        found = json.loads(line)
        known = found.pop("format"), found.pop("grain")
        state = State(**found)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    is_size = state.size is None or (type(state.size) is int and 0 <= state.size < _MAX_SIZE)
    is_text = isinstance(state.place, str) and isinstance(state.validator, str)
    return state if known == (_FORMAT, GRAIN) and is_size and is_text else None


def _grains(lines: Iterator[bytes]) -> Iterator[tuple[int, Oid]]:
    for line in lines:
        number, _, text = line.decode("ascii", "replace").partition(" ")
        is_number = number.isdigit() and len(number) <= _NUMBER_DIGITS
        if not is_number or int(number) * GRAIN >= _MAX_SIZE or len(text) != OID_HEX:
            return
        try:
            yield int(number), Oid.parse(text)
        except UsageError:
            return
