"""Claims: one process at a time, said by a file that names the process."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from zoostore.errors import StoreBusy
from zoostore.files.links import is_unavailable
from zoostore.files.sharing import share
from zoostore.files.staging import host_name, owner_is_gone, random_name

_LONGEST = 1000
_SILENT_SECONDS = 60

SUFFIX = ".claim"
"""How the names of claims end that others may take away."""


@contextlib.contextmanager
def claim(path: Path, what: str) -> Iterator[None]:
    """Hold `path` while the context lasts. The claim of a process that is gone does not count.

    Raises:
        StoreBusy: another process holds it.
    """
    # Written aside first: a claim never stands there without saying whose it is.
    mine = path.with_name(f"{path.name}.{random_name(4)}")
    with open(mine, "x", encoding="utf-8") as file:
        try:
            share(mine)
            running = boot_id() if _lock(file.fileno()) else ""
            file.write(f"{host_name()} {os.getpid()} {running}".rstrip() + "\n")
            file.flush()
            while True:
                try:
                    _name(mine, path)
                    break
                except FileExistsError:
                    _remove_if_abandoned(path, what)
        finally:
            mine.unlink()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _name(claim: Path, path: Path) -> None:
    """Give a claim the name that others look for. Raises `FileExistsError` if that is taken."""
    try:
        os.link(claim, path)
    except OSError as error:
        if not is_unavailable(error):
            raise
        # Without hard links it says for a moment not whose it is, and then counts as held. Its
        # lock is not this file's, so the kernel's name, which would have it looked at, is left out.
        host, pid, *_ = claim.read_text("utf-8").split()
        with open(path, "x", encoding="utf-8") as file:
            file.write(f"{host} {pid}\n")
        share(path)


def boot_id() -> str:
    """What the running kernel is called, the same in all its containers; empty if it has no name.

    Source: Linux, random(4).
    """
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _lock(descriptor: int) -> bool:
    """Lock an open file for as long as it is open; whether that can be done, and was free."""
    if sys.platform == "win32":
        return False
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def is_held(path: Path) -> bool:
    """Whether a process that is still there holds a claim."""
    try:
        _require_abandoned(path, path, path.name)
    except StoreBusy:
        return True
    return False


def remove_abandoned_claims(folder: Path) -> None:
    """Take away the claims in a folder whose processes are gone."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.suffix == SUFFIX:
            with contextlib.suppress(StoreBusy):
                _remove_if_abandoned(path, path.name)
        elif path.name.rpartition(".")[0].endswith(SUFFIX):  # one that was not put there yet
            with contextlib.suppress(StoreBusy):
                _require_abandoned(path, path, path.name)
                path.unlink(missing_ok=True)


def _remove_if_abandoned(path: Path, what: str) -> None:
    """Take away the claim of a process that is gone.

    It is moved first and looked at then: another process may have replaced it meanwhile.
    """
    _require_abandoned(path, path, what)
    taken = path.with_name(f"{path.name}.{random_name(4)}")
    with contextlib.suppress(FileNotFoundError):
        os.rename(path, taken)
        try:
            _require_abandoned(taken, path, what)
        except StoreBusy:
            with contextlib.suppress(FileExistsError):
                _name(taken, path)
            raise
        finally:
            taken.unlink()


def _require_abandoned(held: Path, path: Path, what: str) -> None:
    try:
        with open(held, encoding="utf-8", errors="replace") as file:
            host, pid, running, *_ = *file.read(_LONGEST).split(), "", "", ""
            if _is_gone(file, host, pid, running):
                return
    except FileNotFoundError:  # given up in this moment
        return
    raise StoreBusy(
        f"{what} is being written to by process {pid or '?'} on {host or 'some machine'} "
        f"({path}); nothing was changed.",
        path=str(path),
        pid=pid,
        host=host,
    )


def _is_gone(file: TextIO, host: str, pid: str, running: str) -> bool:
    """Whether whoever made a claim is gone.

    Its lock says so if the same kernel runs as then: ids of processes are given again, and each
    container counts its own. Across machines locks are not to be trusted.
    """
    if not pid:  # it was killed before it could say who it is; or is about to say it
        return time.time() - os.fstat(file.fileno()).st_mtime > _SILENT_SECONDS
    if running and running == boot_id():
        return _lock(file.fileno())
    is_since_restarted = bool(running) and host == host_name()
    return is_since_restarted or owner_is_gone(host, pid)
