"""The reflog: every change of a ref or a tag, one line each. The truth about refs.

A line is a JSON object with sorted keys and no white space, ended by a newline:

    check     the first 16 hex digits of the BLAKE3 of the line without this key
    files     how many files and links the new snapshot holds
    message   what was said of the change
    new       the snapshot the name points to from now on; null: the name is gone
    old       the snapshot it pointed to; null: none
    op        the verb that made the change
    partial   whether some of the snapshot's files were left out on purpose
    size      the new snapshot's content in bytes
    stub      whose name it is
    tag       the tag that was set, or taken away; empty where the ref itself moved
    time      seconds since 1970-01-01 UTC

A line that does not carry its own check is damaged, and is passed over. One that a
crash cut off is ended, by whoever writes next, with the word "torn"; it was never
reported as done, and is no damage.
"""

import contextlib
import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from zoostore.digest import Oid, hash_bytes
from zoostore.errors import ZooError
from zoostore.files.sharing import share
from zoostore.files.staging import fsync_directory
from zoostore.store.records import Position, RefChange

if TYPE_CHECKING:
    import json

_CHECK_DIGITS = 16
_BEFORE_REST = len('{"check":"",') + _CHECK_DIGITS
_TORN = b" torn"
_TEXTS = ("message", "op", "stub", "tag")
_NUMBERS = ("files", "size", "time")
_MAX_NUMBER = (1 << 63) - 1


class Line(NamedTuple):
    """One line as read.

    Attributes:
        change: what it records; None if it is torn or damaged.
        torn: whether a crash cut it off.
        end: the file offset behind it.
        digest: of the line, for a `Position`.
    """

    change: RefChange | None
    torn: bool
    end: int
    digest: bytes


def encode_change(change: RefChange) -> bytes:
    """The line of a change, its newline included."""
    value: dict[str, object] = {
        "files": change.files,
        "message": change.message,
        "new": str(change.new) if change.new else None,
        "old": str(change.old) if change.old else None,
        "op": change.op,
        "partial": change.partial,
        "size": change.size,
        "stub": change.stub,
        "tag": change.tag,
        "time": change.time,
    }
    value["check"] = "0" * _CHECK_DIGITS
    value["check"] = _check_of(_canonical(value))
    return _canonical(value) + b"\n"


def decode_change(line: bytes) -> RefChange | None:
    """The change that a line without its newline records; None if it is damaged."""
    import json  # only to read or write lines: most commands do neither

    try:
        value = json.loads(line.decode("ascii"))
        if _canonical(value) != line or value.pop("check") != _check_of(line):
            return None
        return _from_json(value)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, ZooError):
        return None


def _from_json(value: dict[str, Any]) -> RefChange:
    """Raises `ValueError` or `ZooError` if the values are not those of a change."""
    of_type = {str: _TEXTS, int: _NUMBERS, bool: ("partial",)}
    for kind, keys in of_type.items():
        if any(type(value[key]) is not kind for key in keys):
            raise ValueError(f"one of {', '.join(keys)} is no {kind.__name__}")
    if not all(0 <= value[key] <= _MAX_NUMBER for key in _NUMBERS):
        raise ValueError("a number is out of range")
    for key in ("new", "old"):
        value[key] = None if value[key] is None else Oid.parse(value[key])
    return RefChange(**value)


@functools.cache
def _encoder() -> "json.JSONEncoder":
    import json

    return json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def _canonical(value: object) -> bytes:
    return _encoder().encode(value).encode("ascii")


def _check_of(line: bytes) -> str:
    """The check of a line, whatever it has for one: it sorts first."""
    return hash_bytes(b"{" + line[_BEFORE_REST:]).hex()[:_CHECK_DIGITS]


class Reflog:
    """The reflog file of a store."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def size(self) -> int:
        """Its length in bytes; 0 where there is none yet."""
        try:
            return os.stat(self._path).st_size
        except FileNotFoundError:
            return 0

    def append(self, change: RefChange) -> Position:
        """Add a line durably; where the file then ends.

        The caller holds the index's write transaction, which keeps lines apart.
        """
        line = encode_change(change)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            # A line that a crash cut off must not swallow this one.
            end = os.lseek(descriptor, 0, os.SEEK_END)
            if end == 0:
                share(self._path)
            torn = end > 0 and not self._ends_in_newline(descriptor, end)
            if end == 0:
                fsync_directory(self._path.parent)
            self._write(descriptor, end, (_TORN + b"\n" if torn else b"") + line)
            return Position(os.lseek(descriptor, 0, os.SEEK_END), hash_bytes(line[:-1]))
        finally:
            os.close(descriptor)

    @staticmethod
    def _write(descriptor: int, end: int, data: bytes) -> None:
        """Append durably, or not at all: a line that is not sure to be there must not be read."""
        try:
            _write_all(descriptor, data)
            os.fsync(descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, end)
            raise

    @staticmethod
    def _ends_in_newline(descriptor: int, end: int) -> bool:
        os.lseek(descriptor, end - 1, os.SEEK_SET)
        return os.read(descriptor, 1) == b"\n"

    def read(self, start: int = 0) -> Iterator[Line]:
        """The lines from a file offset on; one without a newline is not yet a line."""
        try:
            file = open(self._path, "rb")  # noqa: SIM115 - closed below
        except FileNotFoundError:
            return
        with file:
            file.seek(start)
            end = start
            for raw in file:
                if not raw.endswith(b"\n"):
                    return
                end += len(raw)
                line = raw[:-1]
                yield Line(decode_change(line), line.endswith(_TORN), end, hash_bytes(line))

    def continues(self, position: Position) -> bool:
        """Whether the file still begins with what a reader at `position` has read."""
        if position.length == 0:
            return True
        try:
            with open(self._path, "rb") as file:
                return self._last_line_before(file.fileno(), position.length) == position.last_line
        except FileNotFoundError:
            return False

    @staticmethod
    def _last_line_before(descriptor: int, end: int) -> bytes:
        block = 4096
        start = end
        data = b""
        while start > 0 and b"\n" not in data[:-1]:
            start = max(0, end - block)
            os.lseek(descriptor, start, os.SEEK_SET)
            data = os.read(descriptor, end - start)
            block *= 4
        if len(data) != end - start or not data.endswith(b"\n"):
            return b""
        return hash_bytes(data[:-1].rpartition(b"\n")[2])


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
