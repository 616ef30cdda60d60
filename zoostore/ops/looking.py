"""Looking at a checkout: which files are as they were laid out, and what else stands there."""

import contextlib
import os
import struct
from collections.abc import Iterator, Set
from functools import partial
from pathlib import Path

from zoostore.files.helping import several_at_a_time
from zoostore.files.listed import ROW_BYTES, Listed, list_as_bytes
from zoostore.files.scan import Folder, Found, by_name, scan
from zoostore.groups import batched
from zoostore.ops.tracking import Paths, Tracking
from zoostore.worker import Worker, hired, shared

_WORTH_A_WORKER = 30_000
"""To look at so many files takes longer than a worker takes to start."""

_FOLDERS_TOGETHER = 32
_TIME = struct.Struct(">q")
_MTIME, _CTIME = slice(10, 18), slice(26, 34)
"""Where they stand in a row, as signed integers, the greatest byte first."""

_ANY_CTIME = bytes(8)


class Unchanged(Set[str]):
    """Regular files whose stamps prove that they are as they were laid out."""

    def __init__(self, tracking: Tracking) -> None:
        paths = tracking.paths if isinstance(tracking.paths, Paths) else None
        self._data = paths.data if paths else b""
        self._offsets = paths.offsets if paths else {}
        self._written = _TIME.pack(tracking.written_ns)
        self._found: set[int] = set()

    def others(self, root: Path, threads: int | None) -> Iterator[Found]:
        """What stands below a folder, but for those; these are known when that is read.

        Raises:
            UnreadableFile: a folder cannot be listed.
        """
        is_much = len(self._offsets) >= _WORTH_A_WORKER
        with hired(when=is_much and several_at_a_time(threads, root)) as worker:
            yield from scan(root, list_folders=partial(self._list, root, worker))

    def _list(self, root: Path, worker: Worker | None, prefixes: list[str]) -> Iterator[Folder]:
        if len(prefixes) <= _FOLDERS_TOGETHER:
            worker = None  # who waited for it to start could have done it
        pieces = batched(prefixes, _FOLDERS_TOGETHER)
        work = ((None, partial(list_as_bytes, root, piece)) for piece in pieces)
        for _, folders in shared(worker, work):
            for listed in folders:
                yield self._without_unchanged(root, listed)

    def _without_unchanged(self, root: Path, listed: Listed) -> Folder:
        prefix, names, rows, others = listed
        offset_of, data, size = self._offsets.get, self._data, ROW_BYTES
        children = others.copy()
        for name, at in zip(names, range(0, len(rows), size), strict=True):
            recorded = offset_of(prefix + name, -1)
            row = rows[at : at + size]
            if recorded >= 0 and self._proves(row, data[recorded : recorded + size]):
                self._found.add(recorded)
            else:
                with contextlib.suppress(FileNotFoundError):  # it is gone by now
                    children.append((name, os.lstat(root / (prefix + name))))
        children.sort(key=by_name)
        return Folder(prefix, children, is_empty=not (names or others))

    def _proves(self, row: bytes, recorded: bytes) -> bool:
        """What `Tracking.is_certain` says, without making values of every row there is.

        Times before 1970, which are less and compare as more, are left to that.
        """
        if row == recorded:
            return row[_MTIME] < self._written and row[_CTIME] < self._written
        return row[: _CTIME.start] + _ANY_CTIME == recorded and row[_MTIME] < self._written

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[str]:
        return (path for path, at in self._offsets.items() if at in self._found)

    def __contains__(self, path: object) -> bool:
        return self._offsets.get(path) in self._found  # type: ignore[call-overload]
