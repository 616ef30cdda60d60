"""The hashing frontier: how far a partial file is there without a gap, and hashed."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterable

from zoostore.digest import Digest, DigestHasher
from zoostore.files.steady import begin_writing_out
from zoostore.transport.journal import GRAIN
from zoostore.transport.partial import Partial
from zoostore.transport.patience import Stopped

_WRITE_OUT_BYTES = 32 << 20


class Frontier(threading.Thread):
    """Hashes a partial file while it grows.

    The digests need the bytes in order, and they come out of order. So they are read back, which
    costs little while they are in memory, and leaves those who write nothing to wait for.

    Args:
        algorithms: of the digests to compute.
    """

    def __init__(self, partial: Partial, algorithms: Iterable[str]) -> None:
        super().__init__(name="zoostore-hash", daemon=True)
        self._partial = partial
        self._hasher = DigestHasher(algorithms, partial.size)
        self._is_unwanted = False
        self._error: OSError | None = None

    def stop(self) -> None:
        """End it, and wait until it has ended."""
        with self._partial.changed:
            self._is_unwanted = True
            self._partial.changed.notify_all()
        self.join()

    def digests(self) -> dict[str, Digest]:
        """The digests of the whole file; waits until it has been hashed.

        Raises:
            OSError: it could not be read.
            Stopped: somebody does not want them any more.
        """
        self.join()
        if self._error is not None:
            raise self._error
        if self._is_unwanted:
            raise Stopped
        return self._hasher.digests()

    def run(self) -> None:
        try:
            grain = 0
            view = memoryview(bytearray(GRAIN))
            while self._wait_for(grain):
                self._hash(grain, view)
                grain += 1
        except OSError as error:
            self._error = error

    def _wait_for(self, grain: int) -> bool:
        """Whether there is such a grain; waits until that is known."""
        partial = self._partial

        def is_known() -> bool:
            is_past_end = partial.size is not None and grain * GRAIN >= partial.size
            return self._is_unwanted or partial.has(grain) or is_past_end

        with partial.changed:
            partial.changed.wait_for(is_known)
            return partial.has(grain) and not self._is_unwanted

    def _hash(self, grain: int, view: memoryview) -> None:
        start = grain * GRAIN
        size = self._partial.size
        wanted = GRAIN if size is None else min(GRAIN, size - start)
        done = 0
        while done < wanted:
            count = os.preadv(self._partial.descriptor, [view[done:wanted]], start + done)
            if count == 0:
                raise OSError(errno.EIO, "a partial file is shorter than it was")
            done += count
        self._hasher.update(view[:wanted])
        if (start + wanted) % _WRITE_OUT_BYTES == 0:
            self._write_out(start + wanted - _WRITE_OUT_BYTES)

    def _write_out(self, start: int) -> None:
        """Have the disk begin to write, for the file is to be made durable when it is whole."""
        begin_writing_out(self._partial.descriptor, start, _WRITE_OUT_BYTES)
