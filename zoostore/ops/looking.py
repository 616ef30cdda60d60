"""Looking at a checkout: which files are as they were laid out, and what else stands there."""

import os
import stat
import struct
from collections.abc import Callable, Iterable, Iterator, Set
from functools import partial
from pathlib import Path
from typing import TypeAlias

from zoostore.files.readers import threads_for
from zoostore.files.scan import Folder, Found, list_folder, scan
from zoostore.objects.tree import Kind
from zoostore.ops.tracking import Paths, Tracking
from zoostore.worker import Worker, hired, shared

_STAMPED = struct.Struct(">BBQqQq")
"""The beginning of a record, which is what is compared."""

_ANY_CTIME = bytes(8)
_EXECUTABLE, _FILE = int(Kind.EXECUTABLE), int(Kind.FILE)

_WORTH_A_WORKER = 30_000
"""To look at so many files takes longer than a worker takes to start."""

_FOLDERS_TOGETHER = 64

Looked: TypeAlias = tuple[list[Folder], list[int]]
"""What is in folders but for files that are as they were, and where those are in the record."""


class Unchanged(Set[str]):
    """Regular files whose stamps prove that they are as they were laid out."""

    def __init__(self, tracking: Tracking) -> None:
        self._tracking = tracking
        paths = tracking.paths
        self._offsets = paths.offsets if isinstance(paths, Paths) else {}
        self._found: set[int] = set()

    def others(self, root: Path, threads: int | None) -> Iterator[Found]:
        """What stands below a folder, but for those; these are known when that is read.

        Raises:
            UnreadableFile: a folder cannot be listed.
        """
        is_much = len(self._offsets) >= _WORTH_A_WORKER and threads_for(root, threads).files > 1
        with hired(when=is_much) as worker:
            yield from scan(root, list_folders=partial(self._list, root, worker))

    def _list(self, root: Path, worker: Worker | None, prefixes: list[str]) -> Iterator[Folder]:
        pieces = (
            prefixes[at : at + _FOLDERS_TOGETHER]
            for at in range(0, len(prefixes), _FOLDERS_TOGETHER)
        )
        work = ((None, partial(look, root, self._tracking, piece)) for piece in pieces)
        for _, (folders, unchanged) in shared(worker, work):
            self._found.update(unchanged)
            yield from folders

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[str]:
        return (path for path, at in self._offsets.items() if at in self._found)

    def __contains__(self, path: object) -> bool:
        return self._offsets.get(path) in self._found  # type: ignore[call-overload]


def look(root: Path, tracking: Tracking, prefixes: Iterable[str]) -> Looked:
    """What is in folders. Raises what `list_folder` raises."""
    unchanged: list[int] = []
    is_unchanged = _comparer(tracking, unchanged)
    return [list_folder(root, prefix, is_unchanged) for prefix in prefixes], unchanged


def _comparer(tracking: Tracking, unchanged: list[int]) -> Callable[[str, os.stat_result], bool]:
    """Tells of a regular file whether it is as it was, and notes where that is recorded.

    It says what `is_certain` would, and makes no values of what is recorded: this is done for
    every file there is.
    """
    if not isinstance(tracking.paths, Paths):
        return lambda path, status: False
    data, offset_of = tracking.paths.data, tracking.paths.offsets.get
    written_ns = tracking.written_ns

    def is_unchanged(path: str, status: os.stat_result) -> bool:
        at = offset_of(path)
        changed_ns, ctime_ns = status.st_mtime_ns, status.st_ctime_ns
        if at is None:
            return False
        kind = _EXECUTABLE if status.st_mode & stat.S_IXUSR else _FILE
        row = _STAMPED.pack(kind, True, status.st_size, changed_ns, status.st_ino, ctime_ns)
        recorded = data[at : at + _STAMPED.size]
        if row == recorded:
            changed_ns = max(changed_ns, ctime_ns)
        elif row[: -len(_ANY_CTIME)] + _ANY_CTIME != recorded:
            return False
        if changed_ns >= written_ns:
            return False
        unchanged.append(at)
        return True

    return is_unchanged
