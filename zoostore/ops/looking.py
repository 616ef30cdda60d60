"""Looking at a checkout: which files are as they were laid out, and what else stands there."""

import contextlib
import os
import struct
from collections.abc import Iterable, Iterator, Set
from functools import partial
from pathlib import Path

from zoostore.files.helping import several_at_a_time
from zoostore.files.listed import Listed, list_as_bytes
from zoostore.files.scan import Folder, Found, by_name, scan
from zoostore.groups import batched
from zoostore.objects.paths import parted
from zoostore.ops.records import is_laid_out
from zoostore.ops.tracking import Tracking
from zoostore.worker import Worker, hired, shared

_WORTH_A_WORKER = 30_000
"""To look at so many files takes longer than a worker takes to start."""

_FOLDERS_TOGETHER = 32
_TIME = struct.Struct(">q")
_MTIME, _CTIME = slice(10, 18), slice(26, 34)
"""Where they stand in a row, as signed integers, the greatest byte first."""

_ANY_CTIME = bytes(8)
_NONE: frozenset[str] = frozenset()


class Unchanged(Set[str]):
    """Regular files whose stamps prove that they are as they were laid out."""

    def __init__(self, tracking: Tracking) -> None:
        self._paths = tracking.paths
        self._written = _TIME.pack(tracking.written_ns)
        self._count = 0
        # By the folders that were listed: the names of what was laid out there, and is not proven.
        self._unproven: dict[str, frozenset[str]] = {}

    def others(self, root: Path, threads: int | None) -> Iterator[Found]:
        """What stands below a folder, but for those; these are known when that is read.

        Raises:
            UnreadableFile: a folder cannot be listed.
        """
        is_much = len(self._paths) >= _WORTH_A_WORKER
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
        children = others.copy()
        for name in self._not_proven(prefix, names, rows):
            with contextlib.suppress(FileNotFoundError):  # it is gone by now
                children.append((name, os.lstat(root / (prefix + name))))
        children.sort(key=by_name)
        return Folder(prefix, children, is_empty=not (names or others))

    def _not_proven(self, prefix: str, names: list[str], rows: list[bytes]) -> Iterable[str]:
        """Of the regular files in a folder, those that must be looked at."""
        recorded = self._paths.folder(prefix)
        if recorded is None:
            return names
        is_same = names == recorded.names
        before = recorded.rows()
        proven: list[str] = []
        for number, (name, row) in enumerate(zip(names, rows, strict=True)):
            known = number if is_same else recorded.number(name)
            if known is not None and self._proves(row, before[known]):
                proven.append(name)
        self._count += len(proven)
        if len(proven) == len(before):
            self._unproven[prefix] = _NONE
            return () if is_same else set(names).difference(proven)
        rest = set(proven)
        self._unproven[prefix] = frozenset(
            name
            for name, row in zip(recorded.names, before, strict=True)
            if is_laid_out(row) and name not in rest
        )
        return set(names) - rest

    def _proves(self, row: bytes, recorded: bytes) -> bool:
        """What `Tracking.is_certain` says, without making values of every row there is.

        Times before 1970, which are less and compare as more, are left to that.
        """
        if recorded.startswith(row):
            return row[_MTIME] < self._written and row[_CTIME] < self._written
        return recorded.startswith(row[: _CTIME.start] + _ANY_CTIME) and row[_MTIME] < self._written

    def not_proven(self) -> Iterator[str]:
        """All other paths that were laid out."""
        for prefix, names in self._unproven.items():
            yield from (prefix + name for name in names)
        for prefix in self._paths.prefixes():
            if prefix not in self._unproven:
                folder = self._paths.folder(prefix)
                assert folder is not None
                yield from (path for path, item in folder.items() if item.is_laid_out)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        for prefix, unproven in self._unproven.items():
            folder = self._paths.folder(prefix)
            assert folder is not None
            for name, row in zip(folder.names, folder.rows(), strict=True):
                if is_laid_out(row) and name not in unproven:
                    yield prefix + name

    def __contains__(self, path: object) -> bool:
        assert isinstance(path, str)
        prefix, name = parted(path)
        unproven = self._unproven.get(prefix)
        if unproven is None or name in unproven:
            return False
        tracked = self._paths.get(path)
        return tracked is not None and tracked.is_laid_out and tracked.entry.kind.is_file
