"""Counting the bytes of one content, and telling whoever watches."""

from __future__ import annotations

import threading

from zoostore.progress import Progress


class Tally:
    """May be told from several threads.

    Attributes:
        received: bytes that came over the network.
        total: the size of the content in bytes; None if it is not known.
    """

    def __init__(self, progress: Progress, name: str, total: int | None) -> None:
        self._progress = progress
        self._name = name
        self._lock = threading.Lock()
        self._done = 0
        self.received = 0
        self.total = total

    def came(self, received: int, new: int) -> None:
        """Bytes came, and so many of them were not there before."""
        with self._lock:
            self.received += received
            self._done += new
            done = self._done
        if new:
            self._progress.advance(new)
        self._progress.item(self._name, done, self.total)

    def found(self, count: int) -> None:
        """Bytes were on the disk; fewer than none if some of what was counted are thrown away."""
        self.came(0, count)

    def end(self) -> None:
        self._progress.item_end(self._name)
