"""Copying a file aside, and knowing what the copy holds."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import BinaryIO

from zoostore.digest import CHUNK, HashingWriter, Oid, hash_descriptor
from zoostore.files.links import reflink
from zoostore.files.staging import Staging


def copy_aside(path: Path, file: BinaryIO, staging: Staging) -> tuple[Path, Oid]:
    """A staged copy of an open file, and the oid of what the copy holds.

    Where the file system can share blocks, none are written; the copy is then read.
    """
    clone = staging.new_path()
    with contextlib.suppress(OSError):
        reflink(path, clone, 0o600)
        with open(clone, "rb") as cloned:
            return clone, hash_descriptor(cloned.fileno())[0]
    with staging.new_file() as (target, staged):
        out = HashingWriter(target)
        file.seek(0)
        while chunk := file.read(CHUNK):
            out.write(chunk)
    return staged, out.oid()
