"""A watch on what a process writes: the paths that it asks the system to change, as they are asked.

Python tells its audit hooks of every file that is opened and of every call that changes a name, in
all threads. (What LMDB writes goes past them: it is given one folder, and `tests/hostile` looks at
what surrounds the store too, before and after; and one test looks at the system calls themselves.)
"""

from __future__ import annotations

import os
import stat
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

_CHANGES: dict[str, tuple[int, ...]] = {
    "os.mkdir": (0,),
    "os.remove": (0,),
    "os.rmdir": (0,),
    "os.rename": (0, 1),
    "os.link": (1,),
    "os.symlink": (1,),
    "os.truncate": (0,),
    "os.chmod": (0,),
    "os.chown": (0,),
    "os.utime": (0,),
    "os.setxattr": (0,),
}
"""Calls that change something, and which of their arguments say what."""

_DIRECTORIES = {"os.mkdir": 2, "os.remove": 1, "os.rmdir": 1, "os.chmod": 2, "os.utime": 3}
"""Which argument is the open directory that a relative path is below."""

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_NOWHERE = ("/dev/null", "/dev/tty")


class Watch:
    """Use as a context. While it lasts, what is changed is noted, whoever does it.

    Args:
        within: the files and folders that may be changed; those in their folders too.

    Attributes:
        outside: what was changed elsewhere: the call, and the path with its links followed.
        inside: how many changes there were where there may be some.
    """

    def __init__(self, within: Iterable[Path]) -> None:
        self._within = [os.path.realpath(path) for path in within]
        self.outside: list[tuple[str, str]] = []
        self.inside = 0

    def __enter__(self) -> Self:
        _HOOK.watches.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _HOOK.watches.remove(self)

    def note(self, call: str, path: str) -> None:
        if any(path == folder or path.startswith(f"{folder}/") for folder in self._within):
            self.inside += 1
        elif path not in _NOWHERE:
            self.outside.append((call, path))


class _Hook:
    """There is one for the process, for none can ever be taken away."""

    def __init__(self) -> None:
        self.watches: list[Watch] = []
        self._is_asking = threading.local()
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.watches or getattr(self._is_asking, "now", False):
            return
        self._is_asking.now = True
        try:
            for path in _changed(event, arguments):
                for watch in self.watches:
                    watch.note(event, path)
        finally:
            self._is_asking.now = False


def _changed(event: str, arguments: tuple[Any, ...]) -> list[str]:
    if event == "open":
        path, _, flags = arguments
        if isinstance(path, int) or not flags & _WRITING:
            return []
        return [_resolved(os.fsdecode(path))]
    above = arguments[_DIRECTORIES[event]] if event in _DIRECTORIES else -1
    return [_place(arguments[index], above) for index in _CHANGES.get(event, ())]


def _place(path: Any, above: int) -> str:
    """The path of a name itself: where a link leads that stands there does not matter."""
    if isinstance(path, int):
        return os.readlink(f"/proc/self/fd/{path}")
    folder, name = os.path.split(os.fsdecode(path))
    if above >= 0 and not os.path.isabs(folder):
        folder = os.path.join(f"/proc/self/fd/{above}", folder)
    return os.path.join(_resolved(folder or "."), name)


def _resolved(path: str) -> str:
    """A path with its links followed: by the system where it is there, which takes less time."""
    try:
        descriptor = os.open(path, getattr(os, "O_PATH", os.O_RDONLY))
    except OSError:
        folder, name = os.path.split(path.rstrip("/"))
        if os.path.islink(path) or not folder:
            return os.path.realpath(path)
        return os.path.join(_resolved(folder), name)
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


_HOOK = _Hook()


def picture(root: Path, but: Iterable[Path] = ()) -> dict[str, tuple[int, ...]]:
    """Everything below a folder, with what would show that it was touched.

    Args:
        but: files and folders that are left out.
    """
    left_out = {os.fspath(path) for path in but}
    found: dict[str, tuple[int, ...]] = {}
    for folder, names, files in os.walk(root):
        names[:] = [name for name in names if os.path.join(folder, name) not in left_out]
        for name in (*names, *files):
            path = os.path.join(folder, name)
            if path not in left_out:
                status = os.lstat(path)
                # A folder's own time changes with what is left out of the picture.
                is_folder = stat.S_ISDIR(status.st_mode)
                times = () if is_folder else (status.st_mtime_ns, status.st_size)
                found[path] = (status.st_mode, status.st_ino, *times)
    return found
