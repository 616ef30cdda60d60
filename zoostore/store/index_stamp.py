"""Whether the index file is still as zoostore left it.

A page of the index that something else overwrote can make LMDB end the whole
process. So whoever commits notes the stat stamp of the file, and whoever opens it
compares. A stamp that differs is not yet damage (a process may have been killed
between the commit and the note): then the file is read through once in a process
of its own, which may die of it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path

from zoostore.files.sharing import share
from zoostore.files.staging import own_name, remove_abandoned

_STAMP = "stamp"
_TRIES = 10
_PAUSE_SECONDS = 0.002
_READ_THROUGH = """
import sys, lmdb, zlib
with lmdb.open(sys.argv[1], readonly=True, lock=False) as env, env.begin() as txn:
    for key, value in txn.cursor():
        assert zlib.crc32(key + value[:-4]) == int.from_bytes(value[-4:], "big")
"""


def record_stamp(folder: Path) -> None:
    """Note the index file's stamp. It is only a hint, so it need not be durable."""
    staged = folder / f"{_STAMP}.{own_name()}"
    with contextlib.suppress(OSError):
        if _is_noted(folder):  # nothing was written: the transaction changed nothing
            return
        try:
            staged.write_text(_stamp_of(folder))
            share(staged)
            os.replace(staged, folder / _STAMP)
        except OSError:
            staged.unlink(missing_ok=True)


def is_trustworthy(folder: Path, *, read_only: bool = False) -> bool:
    """Whether the index in a folder can be opened without danger; one to be made can.

    Args:
        read_only: note nothing in the folder.
    """
    if not (folder / "data.mdb").exists():
        return True
    # Another process may be between its commit and its note: it will not be for long.
    for _ in range(_TRIES):
        with contextlib.suppress(OSError):
            if _is_noted(folder):
                return True
        time.sleep(_PAUSE_SECONDS)
    if not _survives_reading(folder):
        return False
    if not read_only:
        remove_abandoned(folder, f"{_STAMP}.")
        record_stamp(folder)
    return True


def _is_noted(folder: Path) -> bool:
    try:
        return (folder / _STAMP).read_text() == _stamp_of(folder)
    except (FileNotFoundError, UnicodeDecodeError):
        return False


def _stamp_of(folder: Path) -> str:
    status = os.stat(folder / "data.mdb")
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}\n"


def _survives_reading(folder: Path) -> bool:
    import subprocess

    command = [sys.executable, "-c", _READ_THROUGH, os.fspath(folder)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:  # what cannot be found out is not trusted
        return False
