"""Link modes: the ways to give a file in a checkout the bytes of an object."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

from zoostore.errors import LinkModeUnavailable
from zoostore.files.staging import random_name

REFLINK = "reflink"
HARDLINK = "hardlink"
SYMLINK = "symlink"
COPY = "copy"
AUTO = "auto"

LINK_MODES = (REFLINK, HARDLINK, SYMLINK, COPY)

_FICLONE = 0x40049409
"""ioctl request of Linux's linux/fs.h."""

_SENT_AT_ONCE = 64 << 20
_BINARY = getattr(os, "O_BINARY", 0)

_CANNOT_LINK = frozenset(
    [
        errno.EXDEV,
        errno.EPERM,
        errno.EACCES,
        errno.EMLINK,
        errno.ENOTSUP,
        errno.EOPNOTSUPP,
        errno.ENOTTY,
        errno.EINVAL,
        errno.ENOSYS,
    ]
)
"""What the kernel answers when a kind of link, or of copying, is not to be had here."""


def reflink(source: Path, target: Path, permissions: int) -> None:
    """Make `target` a file of its own that shares the blocks of `source`.

    Raises:
        OSError: the file system cannot; nothing is left at `target`.
    """
    if sys.platform != "linux":
        raise OSError(errno.EOPNOTSUPP, "no reflinks on this system")
    import fcntl

    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, permissions)
    try:
        with open(source, "rb") as original:
            fcntl.ioctl(descriptor, _FICLONE, original.fileno())
    except BaseException:
        os.unlink(target)
        raise
    finally:
        os.close(descriptor)


def hardlink(source: Path, target: Path, permissions: int) -> None:
    """Make `target` another name of `source`; permissions are shared and stay read-only."""
    os.link(source, target)


def symlink(source: Path, target: Path, permissions: int) -> None:
    """Make `target` point to `source`, by its absolute path."""
    os.symlink(os.path.abspath(source), target)


def copy(
    source: Path, target: Path, permissions: int, go_on: Callable[[], object] = lambda: None
) -> None:
    """Make `target` a file of its own with the bytes of `source`.

    Args:
        go_on: is called now and then, and may raise.
    """
    # Opened once, and not to be truncated: ext4 takes that for the replacement of a file, and
    # then begins to write it to the disk while it is closed.
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, permissions)
    with open(source, "rb", buffering=0) as original, open(descriptor, "wb", buffering=0) as new:
        if not _sent(original.fileno(), new.fileno(), go_on):
            # Imported here: it loads three compressors.
            import shutil

            shutil.copyfileobj(original, new)


def _sent(source: int, target: int, go_on: Callable[[], object]) -> bool:
    """Whether the system copied the rest of a file, from descriptor to descriptor."""
    if sys.platform != "linux":
        return False
    try:
        while os.sendfile(target, source, None, _SENT_AT_ONCE):
            go_on()
    except OSError as error:
        if is_unavailable(error):
            return False
        raise
    return True


LINKERS: dict[str, Callable[[Path, Path, int], None]] = {
    REFLINK: reflink,
    HARDLINK: hardlink,
    SYMLINK: symlink,
    COPY: copy,
}


def is_unavailable(error: OSError) -> bool:
    """Whether an error says that a kind of link, or of copying, is not to be had."""
    return error.errno in _CANNOT_LINK


def choose_mode(wanted: str, sample: Path, directory: Path) -> str:
    """The link mode to use from the store to a directory, found by trying it.

    Args:
        wanted: a link mode or `auto`: reflink, else hardlink, else copy.
        sample: a file of the store.
        directory: a folder that the files will be made in or beside.

    Raises:
        LinkModeUnavailable: the mode asked for by name does not work here.
    """
    candidates = (REFLINK, HARDLINK, COPY) if wanted == AUTO else (wanted,)
    for mode in candidates:
        if mode == COPY or _works(mode, sample, directory):
            return mode
    raise LinkModeUnavailable(
        f"The file system cannot {wanted} from the store to the directory (they may be on "
        "different ones, or it has no such links); nothing was checked out.",
        mode=wanted,
        directory=str(directory),
    )


def _works(mode: str, sample: Path, directory: Path) -> bool:
    trial = directory / f".zoostore-probe-{os.getpid()}-{random_name(4)}"
    try:
        LINKERS[mode](sample, trial, 0o600)
    except OSError as error:
        if is_unavailable(error):
            return False
        raise
    trial.unlink()
    return True
