"""Writing a small file at once, where nothing stands."""

import os

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def write_new(target: str, data: bytes, permissions: int) -> os.stat_result:
    """Make a file; its status.

    Raises:
        FileExistsError: something stands there.
    """
    descriptor = os.open(target, _FLAGS, permissions)
    try:
        while data:
            data = data[os.write(descriptor, data) :]
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)
