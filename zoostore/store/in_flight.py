"""Work in flight: who is writing to a store now, and since when."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from zoostore.files.claim import SUFFIX, is_held
from zoostore.files.staging import BEGUN, host_name, owner_is_gone
from zoostore.store.layout import Layout

ELSEWHERE_SECONDS = 7 * 86_400
"""So long a process of another machine, which cannot be asked, is taken to be at work."""


def oldest_work(layout: Layout, now: float) -> float:
    """When the longest work in progress began, in seconds since 1970-01-01 UTC; `now` if none.

    What is newer than that may be about to get a name.
    """
    return min([now, *_beginnings(layout, now)])


def _beginnings(layout: Layout, now: float) -> Iterator[float]:
    for path in layout.tmp.iterdir() if layout.tmp.is_dir() else ():
        began = _began(path)
        if began is not None and is_at_work(path, now - began):
            yield began


def _began(path: Path) -> float | None:
    try:
        return os.stat(path if path.suffix == SUFFIX else path / BEGUN).st_mtime
    except OSError:  # not work, or it has just ended
        return None


def is_at_work(path: Path, age: float) -> bool:
    """Whether a claim or a staging folder is of a process that is still there."""
    if path.suffix == SUFFIX:
        return is_held(path)
    host, _, pid = path.name.rpartition(".")[0].rpartition(".")
    if owner_is_gone(host, pid):
        return False
    return host == host_name() or age < ELSEWHERE_SECONDS
