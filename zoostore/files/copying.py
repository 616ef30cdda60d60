"""Copying a file aside, and knowing what the copy holds."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import BinaryIO

from zoostore.digest import HashingWriter, Oid, hash_descriptor, pieces_of
from zoostore.files.links import hardlink, is_unavailable, reflink
from zoostore.files.staging import Staging


def link_aside(path: Path, file: BinaryIO, staging: Staging) -> Path | None:
    """A staged hard link to an open file; None where the file system makes none.

    Raises:
        FileNotFoundError: another file stands at the path by now.
    """
    staged = staging.new_path()
    try:
        hardlink(path, staged, 0)
    except OSError as error:
        if is_unavailable(error):
            return None
        raise
    if not os.path.samestat(os.lstat(staged), os.fstat(file.fileno())):
        staged.unlink()
        raise FileNotFoundError(errno.ENOENT, "It is another file by now", str(path))
    return staged


def clone_aside(path: Path, staging: Staging) -> Path | None:
    """A staged file that shares the blocks of another; None where that cannot be had."""
    clone = staging.new_path()
    try:
        reflink(path, clone, 0o600)
    except OSError:
        return None
    return clone


def copy_aside(path: Path, file: BinaryIO, staging: Staging) -> tuple[Path, Oid]:
    """A staged copy of an open file, and the oid of what the copy holds.

    Where the file system can share blocks, none are written; the copy is then read.
    """
    clone = clone_aside(path, staging)
    if clone is not None:
        with open(clone, "rb") as cloned:
            return clone, hash_descriptor(cloned.fileno())[0]
    with staging.new_file() as (target, staged):
        size = os.fstat(file.fileno()).st_size
        out = HashingWriter(target, expect_size=size)
        for piece in pieces_of(file.fileno()):
            out.write(piece)
    return staged, out.oid()
