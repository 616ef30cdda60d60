"""Claims: one process at a time, said by a file that names the process."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from zoostore.errors import StoreBusy
from zoostore.files.staging import host_name, process_is_alive


@contextlib.contextmanager
def claim(path: Path, what: str) -> Iterator[None]:
    """Hold `path` while the context lasts. The claim of a process that is gone does not count.

    Raises:
        StoreBusy: another process holds it.
    """
    mine = f"{host_name()} {os.getpid()}\n"
    while True:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            break
        except FileExistsError:
            _remove_if_abandoned(path, what)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(mine)
        yield
    finally:
        path.unlink(missing_ok=True)


def _remove_if_abandoned(path: Path, what: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        host, _, pid = path.read_text().strip().partition(" ")
        if host == host_name() and pid.isdigit() and not process_is_alive(int(pid)):
            path.unlink(missing_ok=True)
            return
        raise StoreBusy(
            f"{what} is being written to by process {pid or '?'} on {host or 'some machine'}; "
            "nothing was changed.",
            path=str(path),
            pid=pid,
            host=host,
        )
