"""Claims: one process at a time, said by a file that names the process."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from zoostore.errors import StoreBusy
from zoostore.files.staging import host_name, owner_is_gone, random_name


@contextlib.contextmanager
def claim(path: Path, what: str) -> Iterator[None]:
    """Hold `path` while the context lasts. The claim of a process that is gone does not count.

    Raises:
        StoreBusy: another process holds it.
    """
    # Written aside first: a claim never stands there without saying whose it is.
    mine = path.with_name(f"{path.name}.{random_name(4)}")
    mine.write_text(f"{host_name()} {os.getpid()}\n")
    try:
        while True:
            try:
                os.link(mine, path)
                break
            except FileExistsError:
                _remove_if_abandoned(path, what)
    finally:
        mine.unlink()
    try:
        yield
    finally:
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
                os.link(taken, path)
            raise
        finally:
            taken.unlink()


def _require_abandoned(held: Path, path: Path, what: str) -> None:
    try:
        host, _, pid = held.read_text("utf-8", errors="replace").strip().partition(" ")
    except FileNotFoundError:  # given up in this moment
        return
    if owner_is_gone(host, pid):
        return
    raise StoreBusy(
        f"{what} is being written to by process {pid or '?'} on {host or 'some machine'} "
        f"({path}); nothing was changed.",
        path=str(path),
        pid=pid,
        host=host,
    )
