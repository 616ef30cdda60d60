"""The shim from Python: built by the C compiler, loaded by LD_PRELOAD, told by ctypes."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from enum import IntEnum
from pathlib import Path

SOURCE = Path(__file__).with_name("shim.c")
NOWHERE = -1


class Action(IntEnum):
    """What happens at a position; the numbers are those of shim.c."""

    COUNT = 0
    KILL_BEFORE = 1
    KILL_AFTER = 2
    KILL_WITHIN = 3
    FAIL = 4
    FAIL_FROM_HERE_ON = 5


def compiler() -> str | None:
    """The machine's C compiler, if it has one."""
    return shutil.which("gcc") or shutil.which("cc")


def build(folder: Path) -> Path:
    """The shim as a library in a folder, made there if it was not yet."""
    library = folder / "shim.so"
    command = compiler()
    assert command is not None
    if not library.exists():
        made = folder / f"shim.{os.getpid()}.so"
        options = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror"]
        subprocess.run([command, *options, "-o", made, SOURCE, "-ldl", "-lpthread"], check=True)
        made.replace(library)
    return library


class Shim:
    """The shim that this process was started under."""

    def __init__(self, library: Path) -> None:
        self._library = ctypes.CDLL(os.fspath(library))
        self._library.shim_calls.restype = ctypes.c_long

    def watch(self, folder: Path) -> None:
        """Have the calls count that change something below a folder; nothing is waited for there.

        A process that is killed loses nothing that was not flushed, so no flush is needed.
        """
        self._library.shim_watch(os.fsencode(folder), 1)

    def arm(
        self, position: int = NOWHERE, action: Action = Action.COUNT, error: int = 0, log: int = -1
    ) -> None:
        """Count from 0 on in this process, and act at a position.

        Args:
            error: the errno that a call fails with.
            log: a file descriptor to write all calls to.
        """
        self._library.shim_arm(ctypes.c_long(position), int(action), error, log)

    def disarm(self) -> None:
        self._library.shim_disarm()

    @property
    def calls(self) -> int:
        return int(self._library.shim_calls())

    @property
    def fired(self) -> bool:
        return bool(self._library.shim_fired())
