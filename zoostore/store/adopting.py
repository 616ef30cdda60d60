"""Adopting: somebody else's files become objects, without copying where links allow."""

import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

from zoostore.digest import BLAKE3, Digest, Oid, digest_descriptor, hash_bytes
from zoostore.errors import WrongContent
from zoostore.files.copying import clone_aside, copy_aside, link_aside
from zoostore.files.links import COPY, HARDLINK, REFLINK
from zoostore.files.reading import changed, open_regular
from zoostore.files.sharing import hides
from zoostore.files.staging import Staging
from zoostore.files.stamp import Stamp
from zoostore.store.batch import Advance, Batch, Staged
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


class Read(NamedTuple):
    """What reading somebody's file came to.

    Attributes:
        clone: a staged file that shares its blocks and was read in its stead, if one was made.
        digests: by algorithm, BLAKE3 always among them.
    """

    clone: Path | None
    digests: Mapping[str, Digest]


def read_file(
    path: Path,
    expect: Stamp,
    promised: Iterable[Digest],
    staging: Staging | None,
    *,
    threads: int = 0,
    go_on: Advance = lambda _: None,
) -> Read:
    """Read somebody's file to see whether it is what was promised.

    Args:
        expect: the file's stamp when it was found.
        promised: what it must have.
        staging: where to make a clone, if that is to be tried.
        threads: that hash it; 0: as many as are worth it.
        go_on: is told of each piece that was read, and may raise.

    Raises:
        WrongContent: it does not have a digest that was promised.
        FileChanged, UnreadableFile: as `Batch.add_file`.
    """
    promised = tuple(promised)
    with _open_unchanged(path, expect) as file:
        clone = clone_aside(path, staging) if staging else None
        try:
            with open(clone, "rb") if clone else contextlib.nullcontext(file) as source:
                algorithms = [digest.algorithm for digest in promised]
                digests = digest_descriptor(
                    source.fileno(), algorithms, threads=threads, advance=go_on
                )
            _check_promised(path, digests, promised)
        except BaseException:
            if clone is not None:
                clone.unlink()
            raise
    return Read(clone, digests)


def adopt_file(
    batch: Batch, path: Path, expect: Stamp, read: Read, origin: str, advance: Advance
) -> Adopted:
    """Take in a file of somebody else's, without copying it where links allow.

    The file stays as it is. What it is called by becomes an alias of its content.

    Args:
        expect: the file's stamp when it was found.
        read: what reading it came to.
        origin: who calls it so.

    Raises:
        FileChanged, UnreadableFile: as `Batch.add_file`.
    """
    with _open_unchanged(path, expect) as file:
        adopted = _adopt(batch, path, file, expect, read)
    batch.note_aliases(origin, {adopted.oid: read.digests.values()})
    advance(adopted.size)
    return adopted


def _open_unchanged(path: Path, expect: Stamp) -> BinaryIO:
    file = open_regular(path)
    # Linking to it by another of its names has changed the time of its status.
    if Stamp.of(os.fstat(file.fileno())).without_ctime() != expect.without_ctime():
        file.close()
        raise changed(path)
    return file


def _adopt(batch: Batch, path: Path, file: BinaryIO, expect: Stamp, read: Read) -> Adopted:
    clone, oid = read.clone, Oid(read.digests[BLAKE3].value)
    if batch.has(oid):
        if clone is not None:
            clone.unlink()
        return Adopted(oid, expect.size, is_new=False, how="")
    if expect.size < batch.large_object:
        _put_read(batch, path, oid, file.read(expect.size + 1))
        return Adopted(oid, expect.size, is_new=True, how="packed")
    how, staged = REFLINK, Staged(clone) if clone is not None else None
    if staged is None:
        how, staged = _link_or_copy(batch, path, file, oid, expect)
    batch.stage(oid, staged, expect.size)
    return Adopted(oid, expect.size, is_new=True, how=how)


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
