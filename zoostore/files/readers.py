"""Reading many files: how many at a time, and which of them ahead of their turn."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self, TypeVar, cast

from zoostore.files.mounts import spins

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

_MOST_THREADS = 8
_WORTH_SHARING = 16 << 20
_AHEAD = 4
"""So many pieces of work wait for each thread, so that none has to."""

_BETWEEN = 4096
"""So many others, for which there is nothing to do, wait with them at most."""

K = TypeVar("K")
W = TypeVar("W", bound=Callable[[], object] | None)
"""Work, whose result has the same type as what it gives when it is called."""


class Threads(NamedTuple):
    """How many files are read at a time, and how many threads hash a large one."""

    files: int
    hashing: int

    def share(self, total: int) -> int:
        """From how many bytes on a file is better hashed by all threads than by one of them.

        It is more than one thread's share of the `total`, or no others are read meanwhile.
        """
        return max(total // self.files if self.files > 1 else 0, _WORTH_SHARING)


def threads_for(folder: Path, wanted: int | None) -> Threads:
    """The threads to read the files of a folder with; `wanted` is what somebody asked for.

    More than a few are no faster. A disk that spins has to go to and fro between files that are
    read together, so there they are read one after the other.
    """
    count = wanted or min(os.cpu_count() or 1, _MOST_THREADS)
    return Threads(1 if wanted is None and spins(folder) else count, count)


class _Unwanted(Exception):
    """What a thread works at is not wanted any more."""


class Readers:
    """Threads that do work ahead of its turn. Use as a context; at its end, they stop.

    Args:
        count: how many. With one, everything is done when its turn comes, by who asks.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._is_over = threading.Event()
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def go_on(self, _: int = 0) -> None:
        """To be called by work that takes long, now and then: raises if nobody waits for it."""
        if self._is_over.is_set():
            raise _Unwanted

    def ahead(self, work: Iterable[tuple[K, W]]) -> Iterator[tuple[K, W]]:
        """The same pieces of work in the same order, of which some are done already.

        A piece that fails raises when it is called, in the thread that calls it.

        Args:
            work: what to call, with a key; None where there is nothing to do.
        """
        if self._count == 1:
            yield from work
            return
        waiting: deque[tuple[K, W]] = deque()
        pieces = 0
        for key, piece in work:
            waiting.append((key, self._begun(piece)))
            pieces += piece is not None
            while pieces >= _AHEAD * self._count or len(waiting) > _BETWEEN:
                pieces -= waiting[0][1] is not None
                yield waiting.popleft()
        yield from waiting

    def _begun(self, piece: W) -> W:
        return piece if piece is None else cast(W, self._threads().submit(piece).result)

    def _threads(self) -> ThreadPoolExecutor:
        # Imported here: most often there is nothing to read.
        from concurrent.futures.thread import ThreadPoolExecutor

        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._count, thread_name_prefix="zoostore-reader")
        return self._pool
