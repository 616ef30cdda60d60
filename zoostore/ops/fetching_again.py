"""Fetching again: contents of a snapshot from where it says that it came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from zoostore.digest import Digest
from zoostore.errors import UsageError
from zoostore.objects.listing import Listing
from zoostore.objects.snapshot import Snapshot
from zoostore.ops.asking import Sources
from zoostore.ops.fetching import StartDownloads, receive_downloads
from zoostore.ops.from_archive import take_archive
from zoostore.ops.history import Found
from zoostore.sources.base import Upstream
from zoostore.sources.url import PINS, WebFile, is_web_address, parse_url
from zoostore.store.batch import Batch
from zoostore.stubs import Stub
from zoostore.transport.wanted import Arrived, Wanted


def fetch_again(
    batch: Batch, sources: Sources, found: Found, left: Listing, start: StartDownloads
) -> bool:
    """Get files from where a snapshot came from; whether all of them came.

    Args:
        left: the files.

    Raises:
        TransferFailed: they cannot be had there any more.
        WrongContent: they are others by now.
    """
    if came_from_address(found.snapshot):
        return not sources.offline and _from_address(batch, found.snapshot, left, start)
    return _from_upstream(batch, sources, found, left, start)


def came_from_address(snapshot: Snapshot) -> bool:
    """Whether a snapshot was pulled from a plain address, which it then is named after."""
    is_pinned = snapshot.revision.partition(":")[0] in PINS
    return is_pinned and is_web_address(snapshot.source)


def _from_upstream(
    batch: Batch, sources: Sources, found: Found, left: Listing, start: StartDownloads
) -> bool:
    asked = sources.upstream
    if asked is None or not found.snapshot.revision or (sources.offline and asked.needs_network):
        return False
    state = asked.resolve(Stub(found.stub, found.snapshot.revision))
    if not isinstance(state, Upstream):
        return False
    wanted = [
        replace(file.wanted, digests=(*file.wanted.digests, Digest.of_oid(left[file.path].oid)))
        for file in state.files
        if file.path in left
    ]
    return _receive(batch, wanted, state.source, left, start)


def _from_address(batch: Batch, snapshot: Snapshot, left: Listing, start: StartDownloads) -> bool:
    try:
        file = parse_url(snapshot.source)
    except UsageError:
        return False
    if file.is_archive:
        return _from_archive(batch, file, left, start)
    wanted = [
        replace(file.wanted, size=entry.size, digests=(Digest.of_oid(entry.oid),))
        for entry in left.values()
    ]
    return _receive(batch, wanted, file.address, left, start)


def _receive(
    batch: Batch, wanted: Sequence[Wanted], origin: str, left: Listing, start: StartDownloads
) -> bool:
    with start() as downloads:
        failures = receive_downloads(batch, downloads, wanted, origin)
    if failures:
        raise failures[0]
    return _all_came(batch, left)


def _from_archive(batch: Batch, file: WebFile, left: Listing, start: StartDownloads) -> bool:
    with start() as downloads:
        (outcome,) = downloads.run([replace(file.wanted, digests=())])
        if not isinstance(outcome, Arrived):
            raise outcome.error
        take_archive(batch, file, outcome, {entry.oid for entry in left.values()})
    return _all_came(batch, left)


def _all_came(batch: Batch, left: Listing) -> bool:
    return all(batch.has(entry.oid) for entry in left.values() if entry.kind.is_file)
