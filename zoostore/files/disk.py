"""What a file system refuses, as errors of the tree."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from zoostore.errors import DiskFull, FileSystemError, ReadOnlyStore

_FULL = frozenset([errno.ENOSPC, errno.EDQUOT])


@contextlib.contextmanager
def errors_named() -> Iterator[None]:
    """Turn an `OSError` into an error that says what it means for the user.

    Raises:
        DiskFull: no space or no quota is left.
        ReadOnlyStore: the file system is mounted read-only.
        FileSystemError: anything else.
    """
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        if error.errno in _FULL:
            raise DiskFull(
                f"The disk is full{where}; what was written and not finished was removed.",
                path=str(error.filename or ""),
            ) from error
        if error.errno == errno.EROFS:
            raise ReadOnlyStore(
                f"The file system is read-only{where}; nothing was changed.",
                path=str(error.filename or ""),
            ) from error
        raise FileSystemError(
            f"The operating system refused a file operation{where}: {error.strerror or error}.",
            path=str(error.filename or ""),
        ) from error
