"""Reading files that somebody may be writing to: what was read had the stamp, or it fails."""

import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO, TypeAlias

from zoostore.digest import Oid, hash_bytes, hash_descriptor
from zoostore.errors import FileChanged, UnreadableFile
from zoostore.files.stamp import Stamp, packed_stamp

_FLAGS = os.O_RDONLY
for _name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY", "O_CLOEXEC"):  # each on some systems only
    _FLAGS |= getattr(os, _name, 0)

Wanted: TypeAlias = tuple[str, int, bytes]
"""A file that was found: its path, its size, and the stamp that it had, as plain bytes."""


def read_together(root: str, files: Iterable[Wanted]) -> list[tuple[Oid, bytes]]:
    """The oid and the content of each of some small files, as it was when it had its stamp.

    Args:
        files: with their paths below `root`.

    Raises:
        FileChanged: a file is not what was found any more, or it changed while it was read.
        UnreadableFile: it cannot be opened.
    """
    return [read_small(f"{root}/{path}", size, expect) for path, size, expect in files]


def read_small(path: str, size: int, expect: bytes) -> tuple[Oid, bytes]:
    """The oid and the content of a small file, as it was when it had its stamp.

    Raises: what `read_together` raises.
    """
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        raise _unopened(Path(path), error) from error
    try:
        # The stamp says that it is the file that was found, and so a regular one.
        data = os.read(descriptor, size + 1)
        status = os.fstat(descriptor)
    except IsADirectoryError as error:
        raise changed(Path(path)) from error
    finally:
        os.close(descriptor)
    if len(data) != size or packed_stamp(status) != expect:
        raise changed(Path(path))
    return hash_bytes(data), data


def hash_file(path: Path, expect: Stamp, go_on: Callable[[int], None]) -> Oid:
    """The oid of a file's content, found by this thread alone.

    Args:
        expect: the file's stamp when it was found. Whether it still has it must be seen later.
        go_on: is told of each piece that was read, and may raise.

    Raises: what `read_together` raises.
    """
    with open_regular(path) as file:
        check_stamp(path, file, expect)
        return hash_descriptor(file.fileno(), threads=1, advance=go_on)[0]


def open_regular(path: Path) -> BinaryIO:
    """Open a file that was seen to be a regular one, without waiting if it no longer is."""
    try:
        descriptor = os.open(path, _FLAGS)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise changed(path)
        return open(descriptor, "rb", buffering=0)
    except OSError as error:
        raise _unopened(path, error) from error


def _unopened(path: Path, error: OSError) -> FileChanged | UnreadableFile:
    if isinstance(error, FileNotFoundError):
        return changed(path)
    return UnreadableFile(
        f"{path} cannot be read: {error.strerror}. Nothing was added.", path=str(path)
    )


def check_stamp(path: Path, file: BinaryIO, expect: Stamp) -> None:
    """Refuse an open file that is not the one that was found. Raises `FileChanged`."""
    if Stamp.of(os.fstat(file.fileno())) != expect:
        raise changed(path)


def changed(path: Path) -> FileChanged:
    """The error that says so."""
    return FileChanged(f"{path} changed while it was read; nothing was added.", path=str(path))
