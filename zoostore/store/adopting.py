"""Adopting: somebody else's files become objects, without copying where links allow."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from zoostore.digest import BLAKE3, Digest, Oid, digest_descriptor, hash_bytes
from zoostore.errors import WrongContent
from zoostore.files.copying import clone_aside, copy_aside, link_aside
from zoostore.files.links import COPY, HARDLINK, REFLINK
from zoostore.files.sharing import hides
from zoostore.files.stamp import Stamp
from zoostore.store.batch import Advance, Batch, Staged, changed, open_regular
from zoostore.store.records import ObjectKind


class Adopted(NamedTuple):
    """A file after it was adopted.

    Attributes:
        oid, size: of its content; `size` in bytes.
        is_new: whether the store did not have it.
        how: `reflink`, `hardlink` or `copy`: how the store got a large content that is new;
            `packed` for a small one; empty for what was here.
    """

    oid: Oid
    size: int
    is_new: bool
    how: str


def adopt_file(
    batch: Batch,
    path: Path,
    expect: Stamp,
    promised: Iterable[Digest],
    origin: str,
    advance: Advance,
) -> Adopted:
    """Take in a file of somebody else's, without copying it where links allow.

    The file stays as it is. What it is called by becomes an alias of its content.

    Args:
        expect: the file's stamp when it was found.
        promised: what it must have.
        origin: who says so.

    Raises:
        WrongContent: it does not have a digest that was promised.
        FileChanged, UnreadableFile: as `add_file`.
    """
    promised = tuple(promised)
    with open_regular(path) as file:
        # Linking to it by another of its names has changed the time of its status.
        if Stamp.of(os.fstat(file.fileno())).without_ctime() != expect.without_ctime():
            raise changed(path)
        adopted, digests = _adopt(batch, path, file, expect, promised)
    batch.note_aliases(origin, {adopted.oid: digests.values()})
    advance(adopted.size)
    return adopted


def _adopt(
    batch: Batch, path: Path, file: BinaryIO, expect: Stamp, promised: Sequence[Digest]
) -> tuple[Adopted, Mapping[str, Digest]]:
    clone = None
    if expect.size >= batch.large_object:
        clone = clone_aside(path, batch.staging)
    with open(clone, "rb") if clone else contextlib.nullcontext(file) as source:
        digests = digest_descriptor(source.fileno(), [digest.algorithm for digest in promised])
        _check_promised(path, digests, promised)
    oid = Oid(digests[BLAKE3].value)
    if batch.has(oid):
        if clone is not None:
            clone.unlink()
        return Adopted(oid, expect.size, is_new=False, how=""), digests
    if expect.size < batch.large_object:
        file.seek(0)
        _put_read(batch, path, oid, file.read(expect.size + 1))
        return Adopted(oid, expect.size, is_new=True, how="packed"), digests
    how = REFLINK
    staged = Staged(clone) if clone is not None else None
    if staged is None:
        how, staged = _link_or_copy(batch, path, file, oid, expect)
    batch.stage(oid, staged, expect.size)
    return Adopted(oid, expect.size, is_new=True, how=how), digests


def _put_read(batch: Batch, path: Path, oid: Oid, data: bytes) -> None:
    if hash_bytes(data) != oid:
        raise changed(path)
    batch.put(oid, ObjectKind.BLOB, data)


def _link_or_copy(
    batch: Batch, path: Path, file: BinaryIO, oid: Oid, expect: Stamp
) -> tuple[str, Staged]:
    is_hidden = hides(os.fstat(file.fileno()), batch.staging.root)
    try:
        linked = None if is_hidden else link_aside(path, file, batch.staging)
    except FileNotFoundError:
        raise changed(path) from None
    if linked is not None:
        # What was hashed is the same inode: it must not have been written to since.
        if Stamp.of(os.lstat(linked)).without_ctime() != expect.without_ctime():
            linked.unlink()
            raise changed(path)
        return HARDLINK, Staged(linked, is_shared=True)
    copied, got = copy_aside(path, file, batch.staging)
    if got != oid:
        copied.unlink()
        raise changed(path)
    return COPY, Staged(copied)


def _check_promised(path: Path, digests: Mapping[str, Digest], promised: Iterable[Digest]) -> None:
    for digest in promised:
        got = digests.get(digest.algorithm)
        if got != digest:
            raise WrongContent(
                f"{path} is damaged: expected {digest}, got {got}. It was not taken in.",
                path=str(path),
            )
