"""Archives that were downloaded: what they hold becomes objects."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from zoostore.digest import Oid, hash_descriptor
from zoostore.errors import MalformedObject, UnsafeArchive
from zoostore.files.archive import unpack
from zoostore.files.scan import Found, require_keepable, scan
from zoostore.objects.listing import EMPTY_DIRECTORY
from zoostore.objects.tree import Entry, Kind
from zoostore.sources.url import WebFile
from zoostore.store.batch import Batch
from zoostore.transport.wanted import Arrived


def take_archive(
    batch: Batch, file: WebFile, arrived: Arrived, only: Collection[Oid] | None = None
) -> dict[str, Entry]:
    """Take the content of an archive into a batch; what it holds. The archive itself goes.

    Args:
        only: take in only these contents; None: all.

    Raises:
        UnsafeArchive, MalformedObject: it cannot be unpacked.
    """
    folder = batch.staging.new_path()
    folder.mkdir()
    archive = folder / file.name
    if isinstance(arrived.content, bytes):
        archive.write_bytes(arrived.content)
    else:
        arrived.content.replace(archive)
    unpacked = batch.staging.new_path()
    unpacked.mkdir()
    try:
        unpack(archive, unpacked)
    except (UnsafeArchive, MalformedObject) as error:  # it says where it was unpacked from
        message = error.message.replace(str(archive), file.address)
        raise type(error)(message, url=file.address) from error
    archive.unlink()
    found = require_keepable(unpacked, scan(unpacked))
    return {item.path: _take_in(batch, unpacked, item, only) for item in found}


def _take_in(batch: Batch, folder: Path, item: Found, only: Collection[Oid] | None) -> Entry:
    if item.kind is Kind.DIRECTORY:
        return EMPTY_DIRECTORY
    if item.kind is None or not item.kind.is_file:
        raise UnsafeArchive(f"{item.path!r} came out of an archive, and is no file.")
    path = folder / item.path
    with open(path, "rb") as content:
        oid, size = hash_descriptor(content.fileno())
    if only is None or oid in only:
        batch.take_file(oid, path, size)
    return Entry(item.kind, size, oid)
