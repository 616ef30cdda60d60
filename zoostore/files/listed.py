"""Folders listed as bytes, which one process can send another for little."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from zoostore.files.scan import children_of
from zoostore.files.stamp import packed_stamp
from zoostore.objects.tree import Kind

_EXECUTABLE, _FILE = bytes([Kind.EXECUTABLE, True]), bytes([Kind.FILE, True])


class Listed(NamedTuple):
    """What is in a folder.

    Attributes:
        prefix: its path, with a slash at the end; empty for the root.
        names: of the regular files in it.
        rows: of the same, in the same order: kind, a 1, and stamp, as a record of it begins.
        others: what else is in it, by name, with its status.
    """

    prefix: str
    names: list[str]
    rows: list[bytes]
    others: list[tuple[str, os.stat_result]]


def list_as_bytes(root: Path, prefixes: Iterable[str]) -> list[Listed]:
    """List folders. Raises what `children_of` raises."""
    return [_list_one(root, prefix) for prefix in prefixes]


def _list_one(root: Path, prefix: str) -> Listed:
    names: list[str] = []
    rows: list[bytes] = []
    others = []
    for child in children_of(root, prefix):
        name, status = child
        mode = status.st_mode
        if not stat.S_ISREG(mode):
            others.append(child)
            continue
        kind = _EXECUTABLE if mode & stat.S_IXUSR else _FILE
        rows.append(kind + packed_stamp(status))
        names.append(name)
    return Listed(prefix, names, rows, others)
