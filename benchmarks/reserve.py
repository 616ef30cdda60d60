"""Memory that is ready for use: in a virtual machine, what nobody used lately must first be got.

Such a machine may hand free memory back to its host within seconds, and to get it again took
1.5 s for each GB where this was written, more than to write as much. Who pays would be chance.
So memory is held between two runs, and given free just before the second.
"""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from typing import Self

_MOST = 4 << 30
_SHARE = 4
"""Of the memory that there is, no more than one part in so many is held."""


class Reserve:
    """Memory held by another process, so that it does not count as the benchmark's own.

    Args:
        scale: of the workloads: at 1, as much is held as the largest run needs.
    """

    def __init__(self, scale: float) -> None:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        self._bytes = max(mmap.PAGESIZE, min(int(scale * _MOST), total // _SHARE))
        self._holder: subprocess.Popen[bytes] | None = None

    def take(self) -> None:
        """Hold the memory; it has been used once this returns."""
        if self._holder is None:
            arguments = [sys.executable, "-m", __name__, str(self._bytes)]
            pipe = subprocess.PIPE
            self._holder = subprocess.Popen(arguments, stdin=pipe, stdout=pipe)
            assert self._holder.stdout
            self._holder.stdout.readline()

    def give(self) -> None:
        """Let it go, for what runs next."""
        if self._holder is not None:
            self._holder.communicate()
            self._holder = None

    def __enter__(self) -> Self:
        self.take()
        return self

    def __exit__(self, *_: object) -> None:
        self.give()


def _hold(size: int) -> None:
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_HUGEPAGE)
    for page in range(0, size, mmap.PAGESIZE):
        memory[page] = 1
    print("held", flush=True)
    sys.stdin.read()  # until the other end is closed


if __name__ == "__main__":
    _hold(int(sys.argv[1]))
